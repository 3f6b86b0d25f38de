"""How much a search trains: networks, epochs and confirmations, known before the networks are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas.driver.gate import Gate, look_of
from nas.driver.rungs import Rungs, candidate_levels
from nas.plan.settings import Settings
from space.errors import InputError
from space.references import Reference

AUTO = "auto"
# where `auto` is the default: a sampler with which it gained and lost on no law or table, and searches that
# are long enough (studies/search_quality/schedulers). `evolution` lost on one table, `surrogate` on one law.
# With `random` it gains, too, but who takes that wants a uniform sample of full trainings, for a law or a
# comparison. Not for fronts: rungs favour large networks
LOOKING = ("tpe",)
LOOKING_EPOCHS, LOOKING_TRIALS = 9, 18
DEFAULT_TRIALS = {"smoke": 6, "cpu": 10, "photos": 16, "simulated": 100, "table": 100}
OTHER_TRIALS = 32
NOTHING_STOPS = "nothing stops trainings early here; --scheduler asha, halving, hyperband or auto would"
# of a search under the cpu proxy that was told neither --trials nor --time-limit
# (ten minutes in all: no training starts that would end later, and the page is made after it)
DEFAULT_SECONDS = 570.0
# a minute of a laptop is better spent on another network; hours of a GPU on knowing which is best
DEFAULT_CONFIRM = {"gpu": (3, 3), "imagenet-subset": (3, 3)}


@dataclass(frozen=True)
class Effort:
    """What a search may spend, under the proxy of this name with so many epochs of full training."""

    settings: Settings
    proxy: str
    epochs: int
    references: Sequence[Sequence[Reference]]  # of each budget
    front: bool = False  # wanted is the best network at every cost

    def check(self, *, rungs: bool = True) -> None:
        """Raises `InputError` where trials, `rungs` and budgets do not go together."""
        if rungs and self.stopping == "none":
            self.settings.refuse_named(self._unused, NOTHING_STOPS)
        self.scheduler if rungs else self.shares  # noqa: B018  works it out

    @property
    def budgets(self) -> int:
        """Searches that share the trials."""
        return len(self.references)

    @property
    def trials(self) -> int:
        """Networks to train in all, the references included. Raises `InputError`."""
        each = DEFAULT_TRIALS.get(self.proxy, OTHER_TRIALS)
        wanted = self.settings.trials or each * self.budgets
        if wanted < self.budgets:
            raise InputError(f"trials: {wanted} is fewer than one for each of {self.budgets} budgets")
        return wanted

    @property
    def shares(self) -> list[int]:
        """The trials of each budget."""
        return [self.trials // self.budgets + (i < self.trials % self.budgets) for i in range(self.budgets)]

    @property
    def time_limit(self) -> float | None:
        """Seconds after which no training starts; None is no limit."""
        limit = self.settings.time_limit_seconds
        if self.proxy == "cpu" and self.settings.trials is None and limit is None:
            return DEFAULT_SECONDS
        return limit

    @property
    def confirm(self) -> tuple[int, int]:
        """How many of the best are trained again, and with how many fresh seeds."""
        if self.settings.confirm is None:
            return DEFAULT_CONFIRM.get(self.proxy, (0, 0))
        return self.settings.confirmations

    @property
    def trainings(self) -> int:
        """Networks to train, and to train again for the confirmation."""
        count, seeds = self.confirm
        references = sum(len(self.compared(i)) for i in range(self.budgets))
        return self.trials + (seeds * (count * self.budgets + references) if count else 0)

    @property
    def stopping(self) -> str:
        """The scheduler that was asked for, or the default one: the only place that says which that is."""
        if self.settings.scheduler is not None:
            return self.settings.scheduler
        long = self.epochs >= LOOKING_EPOCHS and self._candidates(min(self.shares)) >= LOOKING_TRIALS
        return AUTO if long and self.settings.sampler in LOOKING and not self.front else "none"

    @property
    def scheduler(self) -> dict[str, Any]:
        """The scheduler's name and rungs, for the record; of `auto` those it may use. Raises `InputError`."""
        settings = self.settings
        if self.stopping == AUTO:
            levels = candidate_levels(self.epochs, settings.eta, settings.min_epochs)
            return {"name": AUTO, "eta": settings.eta, "levels": list(levels)}
        # the rungs of a search that is made longer stay the same: `asked` keeps the first one
        levels = self.rungs(min(self.shares), settings.min_epochs).levels
        name = self.stopping if len(levels) > 1 else "none"
        return {"name": name, "eta": settings.eta, "levels": list(levels)}

    def compared(self, index: int) -> Sequence[Reference]:
        """References of a budget; the search itself has at least half of the trials."""
        return self.references[index][: max(1, self.shares[index] // 2)]

    def rungs(self, share: int, min_epochs: int | None) -> Rungs:
        """The rungs of a budget with so many trials, as long as no gate has decided. Raises `InputError`."""
        settings = self.settings
        name = "none" if self.stopping == AUTO else self.stopping
        return Rungs(name, self.epochs, self._candidates(share), eta=settings.eta, min_epochs=min_epochs)

    def gate(self, share: int) -> Gate | None:
        """What decides whether trainings of a budget with so many trials are stopped early."""
        scheduler = self.scheduler
        if scheduler["name"] != AUTO:
            return None
        return Gate(scheduler["levels"], look_of(self._candidates(share)), scheduler["eta"])

    @property
    def _unused(self) -> list[str]:
        """Settings of rungs that are not as they are without any."""
        without = {"eta": (Settings.model_fields["eta"].default,), "min_epochs": (None, self.epochs)}
        return [name for name, values in without.items() if getattr(self.settings, name) not in values]

    def _candidates(self, share: int) -> int:
        # references are trained fully whatever the rungs say, so they take no places in them
        return max(share - len(self.compared(0)), 1)
