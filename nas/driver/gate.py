"""Whether trainings are stopped early, and after which epochs: told by what the first, full trainings show.

`--scheduler auto` trains a third of a budget's networks fully, at least six. Where the order of their
accuracies after an epoch is much like that after the last (Kendall's tau-b above .5: three pairs of networks
in four stand in the same order), trainings pause there from then on, and go on as with `asha`; where no epoch
is like that, all are trained fully. The epochs that are saved go to further networks.

Tau and not Spearman's rho, for it is the stricter one where networks are few: of six whose orders have
nothing to do with each other tau is above .5 in 7 cases of 100, rho in 15. A budget looks for itself: it is
its own networks that are compared, and large ones may learn otherwise than small ones.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from nas.driver.rungs import Rungs
from space.words import plural

ABOVE = 0.5
LEAST = 6
SHARE = 1 / 3


@dataclass(frozen=True)
class Decision:
    """What was seen and decided: networks numbered from `since` on pause after `stops` epochs, rising.

    `trainings` is how many were looked at, `tau` their rank correlation with the last epoch, by epoch; None
    where all accuracies are alike.
    """

    since: int
    trainings: int
    tau: Mapping[int, float | None]
    stops: tuple[int, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, what it says among them, for the record."""
        tau = {str(epoch): value for epoch, value in self.tau.items()}
        seen = {"since": self.since, "trainings": self.trainings, "tau": tau, "stops": list(self.stops)}
        return {**seen, "says": self.says}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Decision:
        """The decision of plain values."""
        tau = {int(epoch): value for epoch, value in values["tau"].items()}
        return cls(values["since"], values["trainings"], tau, tuple(values["stops"]))

    @property
    def says(self) -> str:
        """For people, in a line."""
        if not self.tau:
            return "there is no epoch before the last to stop at; none stops early"
        seen = ", ".join(f"epoch {epoch} {_shown(value)}" for epoch, value in self.tau.items())
        word = "epoch" if len(self.stops) == 1 else "epochs"
        stops = f"stops at {word} {' and '.join(map(str, self.stops))}" if self.stops else "none stops early"
        looked = plural(self.trainings, "full training")
        return f"after {looked}, rank correlation with the last epoch: {seen}; {stops}"


class Gate:
    """Waits for `look` full trainings of a budget, and decides; a value in memory, like `Rungs`.

    `levels` are the epochs that may be stopped at, rising, and after them those of full training. What
    it decides stays so, whatever becomes known later: it is in the record, from which `decision` is set.
    """

    def __init__(self, levels: Sequence[int], look: int, eta: int) -> None:
        self.levels = tuple(levels)
        self.look = look
        self.decision: Decision | None = None
        self._eta = eta
        self._curves: dict[int, Sequence[float]] = {}

    def learn(self, number: int, accuracies: Sequence[float]) -> None:
        """A network has been trained fully: its accuracy after each epoch."""
        self._curves[number] = accuracies

    def governs(self, number: int) -> bool:
        """Whether a network of this number may be stopped early."""
        return self.decision is not None and number >= self.decision.since

    @property
    def ready(self) -> bool:
        """Whether there is enough to decide by."""
        return self.decision is None and (len(self.levels) == 1 or len(self._curves) >= self.look)

    def decide(self, since: int, worth: int) -> Decision:
        """By the first trainings; `since` is the next network, `worth` how many could be trained fully.

        Nothing changes by it: `decision` is set once it is in the record.
        """
        curves = [self._curves[number] for number in sorted(self._curves)[: self.look]]
        tau = correlations(curves, self.levels[:-1]) if len(self.levels) > 1 else {}
        stops = stops_of(tau, self.levels[-1], worth, self._eta)
        return Decision(since, len(curves) if tau else 0, tau, stops)

    def networks(self, worth: int) -> int:
        """How many networks the epochs of `worth` full trainings suffice for, as was decided."""
        return sufficient(worth, self._decided, self._eta)

    def rungs(self) -> Rungs:
        """What networks climb, as was decided."""
        levels = self._decided
        name = "asha" if len(levels) > 1 else "none"
        # asynchronous rungs do not ask how many will come
        least = self._eta ** (len(levels) - 1)
        return Rungs(name, levels[-1], least, eta=self._eta, levels=levels)

    @property
    def _decided(self) -> tuple[int, ...]:
        stops = () if self.decision is None else self.decision.stops
        return (*stops, self.levels[-1])


def look_of(networks: int) -> int:
    """How many of so many networks are trained fully before it is decided."""
    return max(LEAST, round(SHARE * networks))


def correlations(curves: Sequence[Sequence[float]], epochs: Sequence[int]) -> dict[int, float | None]:
    """Kendall's tau-b between the accuracies after each of `epochs` and after the last, over networks.

    None where fewer than six networks have both, or one of the two is the same for all.
    """
    from scipy.stats import kendalltau  # type: ignore[import-untyped]

    found: dict[int, float | None] = {}
    for epoch in epochs:
        both = [(curve[epoch - 1], curve[-1]) for curve in curves]
        both = [pair for pair in both if all(map(math.isfinite, pair))]
        varied = all(len(set(values)) > 1 for values in zip(*both, strict=True))
        known = len(both) >= LEAST and varied
        # rounded, so that what is shown, stored and decided by is the same
        found[epoch] = round(float(kendalltau(*zip(*both, strict=True)).statistic), 4) if known else None
    return found


def stops_of(tau: Mapping[int, float | None], epochs: int, worth: int, eta: int) -> tuple[int, ...]:
    """The epochs to stop at, rising: of those above the threshold as many as halving has a use for."""
    stops: list[int] = []
    for epoch, value in sorted(tau.items()):
        # rungs nearer to each other than eta would send on fewer than the epochs between them are worth
        if value is not None and value > ABOVE and (not stops or epoch >= eta * stops[-1]):
            stops.append(epoch)
    # one at least is to be trained fully
    while stops and sufficient(worth, (*stops, epochs), eta) < eta ** len(stops):
        del stops[0]
    return tuple(stops)


def sufficient(worth: int, levels: Sequence[int], eta: int) -> int:
    """How many networks the epochs of `worth` full trainings suffice for, with rungs at `levels`."""
    steps = [levels[0], *(high - low for low, high in pairwise(levels))]

    def spent(networks: int) -> int:
        return sum(step * (networks // eta**i) for i, step in enumerate(steps))

    each = sum(step / eta**i for i, step in enumerate(steps))
    networks = int(worth * levels[-1] / each)
    while spent(networks + 1) <= worth * levels[-1]:
        networks += 1
    return networks


def _shown(tau: float | None) -> str:
    """A correlation with two digits, as .74."""
    if tau is None:
        return "not known"
    text = f"{tau:.2f}"
    return text.replace("0.", ".", 1) if abs(tau) < 0.995 else text
