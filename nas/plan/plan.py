"""What a search is going to do, worked out from its settings and checked before anything is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.driver.branch import Branch
from nas.plan.effort import Effort
from nas.plan.judge import Judge, check_candidates, check_resolution, chosen_judge, table_path
from nas.plan.settings import Settings
from nas.proxy import is_objective, is_simulated, is_table
from nas.samplers.band import Band
from nas.samplers.limits import Limits, parse_latency, parse_most
from nas.samplers.proposer import Proposer
from nas.table.space import TableBand
from space.band import BandSampler
from space.budget import DEFAULT_BAND, Budget, parse_budgets
from space.coded import CodedSpace
from space.design_space import DesignSpace
from space.errors import InputError
from space.references import check_family, references_of
from space.space_file import load_space, space_from
from space.words import plural

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.table.table import Table
    from space.architecture import Architecture

DEFAULT_REFERENCES = ("convnext", "swin")
# the model-based samplers start after this share of the trials, and never before so many (chosen, not
# measured)
STARTUP_SHARE = 0.3
MIN_STARTUP = 5


@dataclass(frozen=True)
class Plan:
    """A search of one budget or several; everything that is trained, and how."""

    settings: Settings
    space: CodedSpace
    bands: Sequence[Band]
    effort: Effort
    judge: Judge
    limits: Limits

    @classmethod
    def of(cls, settings: Settings) -> Plan:
        """Work it out. Raises `InputError`, before any training."""
        # every mistake in a flag is found before what takes time: counting the bands, reading the data set
        budgets = parse_budgets(settings.budget, settings.band)
        if settings.band != DEFAULT_BAND and all(".." in budget.text for budget in budgets):
            settings.refuse_named(("band",), "a range of costs has its own ends; leave it out")
        limits = read_limits(settings)
        families = reference_families(settings)
        space = read_space(settings.space)
        chosen = chosen_judge(settings)
        front = is_front(settings, budgets)
        references = [references_of(budget, space, front, families) for budget in budgets]
        table = chosen.table
        if table is not None:
            check_table(settings, table, limits)
        for known in references:
            check_resolution(chosen, known)
        effort = Effort(settings, chosen.name, chosen.epochs, references, front)
        effort.check(rungs=not chosen.follows)
        drawn = [BandSampler(space, budget) for budget in budgets] if table is None else []
        bands: Sequence[Band] = drawn
        if table is not None:
            bands = [TableBand(table.space, budget) for budget in budgets]
        for band in bands:
            if band.count == 0:
                raise InputError(band.why_empty())
        limits.meeting(bands)
        for band in drawn:
            check_candidates(chosen, band)
        judge = chosen.load()
        # again: epochs and pixels may have followed from the data
        effort = replace(effort, epochs=judge.epochs)
        effort.check()
        for known in references:
            check_resolution(judge, known)
        searched = space if table is None else table.space
        return cls(settings, searched, bands, effort, judge, limits)

    @property
    def front(self) -> bool:
        """Whether the whole front over the band is wanted, not only the best of it."""
        return is_front(self.settings, [band.budget for band in self.bands])

    @property
    def trainings(self) -> int:
        """Networks to train, and to train again for the confirmation."""
        return self.effort.trainings

    @property
    def time_limit(self) -> float | None:
        """Seconds after which no training starts; None is no limit."""
        return self.effort.time_limit

    @property
    def confirm(self) -> tuple[int, int]:
        """How many of the best are trained again, and with how many fresh seeds."""
        return self.effort.confirm

    def asked(self) -> dict[str, Any]:
        """The settings in the user's own words, for `--resume`."""
        # with scheduler and first rung: by default they follow from the number of trials, which may grow
        rungs = {"scheduler": self.effort.stopping, "min_epochs": self.effort.scheduler["levels"][0]}
        return self.settings.asked() | rungs

    def binding(self) -> dict[str, Any]:
        """What makes the results of a study comparable; a study is never resumed under other values."""
        return {
            "budget": self.budget(),
            "objective": "front" if self.front else "best",
            "limits": {name: most for name, most in asdict(self.limits).items() if most is not None},
            "space": {
                "name": self.space.name,
                "fingerprint": self.space.fingerprint,
                "size": self.space.size,
                "in_band": sum(band.count for band in self.bands),
                "in_band_is_exact": all(band.count_is_exact for band in self.bands),
            },
            "proxy": self.judge.facts,
            "data": self.judge.data,
            "seed": self.settings.seed,
            "sampler": self.settings.sampler,
            "scheduler": self.effort.scheduler,
        }

    def budget(self) -> dict[str, Any]:
        """The budget; of several, what they span, and each."""
        budgets = [band.budget for band in self.bands]
        if len(budgets) == 1:
            return asdict(budgets[0])
        text = ",".join(budget.text for budget in budgets)
        # they come in rising order
        whole = Budget(text, budgets[0].metric, budgets[0].low, budgets[-1].high)
        return asdict(whole) | {"each": [asdict(budget) for budget in budgets]}

    def branches(self, latency: Callable[[Architecture], float], workers: int) -> list[Branch]:
        """A search for each budget; `latency` measures a network on a device that trains, in seconds."""
        return [self._branch(i, latency, workers) for i in range(len(self.bands))]

    def title(self, folder: Path) -> str:
        """The search in a line."""
        about = "" if all(band.count_is_exact for band in self.bands) else "about "
        budgets = " and ".join(str(band.budget) for band in self.bands)
        count = sum(band.count for band in self.bands)
        return f"{folder}: {budgets}, {about}{count:,} of {self.space.size:,} networks of {self.space.name}"

    def _branch(self, index: int, latency: Callable[[Architecture], float], workers: int) -> Branch:
        band, share, compared = self.bands[index], self.effort.shares[index], self.effort.compared(index)
        # the same first rung for all budgets, though some have a trial more
        rungs = self.effort.rungs(share, self.effort.scheduler["levels"][0])
        proposer = Proposer(
            band,
            self.settings.sampler,
            self.settings.seed,
            # in full trainings' worth of epochs: of a scheduler's networks most get a part of them
            max(MIN_STARTUP, round(STARTUP_SHARE * share * trained_share(rungs.levels, self.settings.eta))),
            epochs=self.judge.epochs,
            levels=rungs.levels,
            front=self.front,
            limits=replace(self.limits, latency=latency),
            parallel=workers > 1,
        )
        return Branch(band.budget.text, proposer, rungs, compared, share, self.front, self.effort.gate(share))


def read_space(declared: str | dict[str, Any]) -> DesignSpace:
    """The space that settings name or hold."""
    return load_space(declared) if isinstance(declared, str) else space_from(declared, "space")


def space_name(settings: Settings) -> str:
    """The name of what is searched. Raises `InputError`."""
    if not is_table(settings.proxy):
        return read_space(settings.space).name
    from nas.table.declared import name_of, read_declared

    path = table_path(settings.proxy)
    return name_of(read_declared(path), path)


def trained_share(levels: Sequence[int], eta: int) -> float:
    """The epochs that a network gets on average, of those of full training."""
    # one of eta goes on at each rung: the stretch to rung i is trained by a share of eta ** -i
    steps = [levels[0], *(high - low for low, high in pairwise(levels))]
    return float(sum(step / eta**i for i, step in enumerate(steps)) / levels[-1])


def check_table(settings: Settings, table: Table, limits: Limits) -> None:
    """Refuse what a table cannot give. Raises `InputError`."""
    if settings.space != Settings.model_fields["space"].default:
        raise InputError("--space: the space of a table is the networks it has")
    if settings.max_latency is not None:
        raise InputError("--max-latency: a table has no latencies")
    for metric in limits.closed_form:
        if metric not in table.space.metrics:
            raise InputError(f"--max-{metric}: the table {table.name} has no {metric}")
    fresh = table.seeds - 1  # one is what the search sees
    if settings.confirmations[1] > fresh:
        most = f"3x{fresh}" if fresh else "0x0"
        raise InputError(
            f"confirm {settings.confirm}: the table has {plural(table.seeds, 'seed')}, one of which the "
            f"search sees; {most} would do"
        )


def read_limits(settings: Settings) -> Limits:
    """The limits beside the budget. Raises `InputError`."""
    params, activations, latency = settings.max_params, settings.max_activations, settings.max_latency
    return Limits(
        None if params is None else parse_most(params, "params"),
        None if activations is None else parse_most(activations, "activations"),
        None if latency is None else parse_latency(latency),
    )


def is_front(settings: Settings, budgets: Sequence[Budget]) -> bool:
    """A range is searched for its whole front unless told otherwise."""
    if settings.objective == "auto":
        return len(budgets) == 1 and ".." in budgets[0].text
    return settings.objective == "front"


def reference_families(settings: Settings) -> tuple[str, ...]:
    """The families that the search is compared with. Raises `InputError`."""
    simulated = is_simulated(settings.proxy)
    if is_table(settings.proxy):
        if settings.references:
            raise InputError(f"reference {settings.references[0]}: a table has networks of its own only")
        return ()
    for family in settings.references or ():
        check_family(family)
    if settings.references is None:
        # a function of the user's may know ConvNets only, too; it is asked about a Swin where that was said
        plain = simulated or is_objective(settings.proxy)
        return ("convnext",) if plain else DEFAULT_REFERENCES
    if simulated and "swin" in settings.references:
        raise InputError("reference swin: a simulated law knows ConvNets only")
    return settings.references
