"""The networks of a plane: how each is judged, and which are on a front, ranked first, recommended."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.fronts.pareto import front_probability, seeds_probability
from analysis.page.view import colour_of, symbol_of
from analysis.views.common import study_colour, study_symbol
from analysis.views.planes import Plane, is_narrow, judged
from nas.record.study import Tried
from nas.verdict.front import front
from nas.verdict.pick import recommend

MOST_RANKED = 20
DRAWS = 4000  # of the probability of being on the front: its standard error is below 0.01


@dataclass(frozen=True)
class Placed:
    """A network on the plane: the index and the label of its study, and the place of that in its plane.

    It is judged by `accuracies`, as the pick is; `stands` where it may be recommended by them.
    """

    index: int
    study: str
    place: int
    tried: Tried
    accuracies: list[float]
    stands: bool

    @cached_property
    def value(self) -> float:
        """The mean of what it is judged by."""
        return math.fsum(self.accuracies) / len(self.accuracies)

    @property
    def is_candidate(self) -> bool:
        """Whether it was searched."""
        return self.tried.role == "candidate"

    @property
    def is_sure(self) -> bool:
        """Whether it has a spread over seeds."""
        return len(self.accuracies) > 1

    @property
    def look(self) -> tuple[str, str]:
        """Colour and symbol: of its family, or of its study among several."""
        if self.is_candidate and self.place:
            return study_colour(self.place), study_symbol(self.place)
        return colour_of(self.tried.family), symbol_of(self.tried.family)


@dataclass(frozen=True)
class Drawn:
    """The networks of a plane."""

    plane: Plane

    @cached_property
    def placed(self) -> list[Placed]:
        """All of them."""
        members = enumerate(self.plane.members)
        return [
            Placed(i, label, n, one.tried, one.accuracies, one.stands)
            for n, (i, label, study) in members
            for one in judged(study)
        ]

    @property
    def several(self) -> bool:
        """Whether they are of several studies."""
        return len(self.plane.members) > 1

    @property
    def metric(self) -> str:
        """The cost of the budget."""
        return self.plane.members[0][2].metric

    @property
    def metrics(self) -> tuple[str, str]:
        """The budget's cost, and parameters or else FLOPs."""
        return self.metric, "params" if self.metric != "params" else "macs"

    @property
    def narrow(self) -> bool:
        """Whether all are of one budget, so that accuracy alone decides."""
        return all(is_narrow(study) for _, _, study in self.plane.members)

    @cached_property
    def candidates(self) -> list[Placed]:
        """What was searched."""
        return [p for p in self.placed if p.is_candidate]

    @cached_property
    def references(self) -> list[Placed]:
        """What that is compared with."""
        return [p for p in self.placed if not p.is_candidate]

    @cached_property
    def fronts(self) -> dict[int, list[Placed]]:
        """Place of a study -> its front, over what it recommends from; a narrow budget has none."""
        found = {}
        for place, (index, _, study) in enumerate(self.plane.members):
            if is_narrow(study):
                continue
            own = [p for p in self.placed if p.index == index and p.stands]
            kept = front([getattr(p.tried, self.metric) for p in own], [p.value for p in own])
            found[place] = [own[i] for i in kept]
        return found

    @cached_property
    def picks(self) -> set[tuple[int, int]]:
        """Index of the study and trial of what is recommended."""
        return {
            (index, pick.tried.trial)
            for index, _, study in self.plane.members
            for pick in recommend(study).picks
        }

    @cached_property
    def probability(self) -> dict[int, float]:
        """Id of a network with several seeds -> its probability of being on the front of them."""
        seeded = [p for p in self.placed if p.is_sure]
        if len(seeded) < 2 or self.narrow:
            return {}
        shares = _probability([getattr(p.tried, self.metric) for p in seeded], [p.accuracies for p in seeded])
        return {id(p): round(float(share), 2) for p, share in zip(seeded, shares, strict=True)}

    @cached_property
    def noted(self) -> set[int]:
        """Ids of what is drawn and listed whatever is left out: references, fronts, fresh seeds, picks."""
        kept = [p for p in self.placed if p.is_sure or (p.index, p.tried.trial) in self.picks]
        return {id(p) for p in [*kept, *self.references, *(p for ps in self.fronts.values() for p in ps)]}

    @cached_property
    def ranked(self) -> list[Placed]:
        """By accuracy: what has fresh seeds first, then what one training tells of."""
        found = sorted(self.placed, key=lambda p: (not p.is_sure, -p.value))
        return found[: max(MOST_RANKED, len(self.references))]


def _probability(cost: Sequence[float], seeds: Sequence[Sequence[float]]) -> Iterable[float]:
    """Of each network on the front of true means; `seeds` are accuracies of at least two seeds each."""
    if len({len(own) for own in seeds}) == 1:
        return list(seeds_probability(cost, seeds, draws=DRAWS))
    freedom = sum(len(own) - 1 for own in seeds)
    pooled = np.sqrt(sum(float(np.var(own)) * len(own) for own in seeds) / freedom)
    errors = [pooled / np.sqrt(len(own)) for own in seeds]
    return list(front_probability(cost, [float(np.mean(own)) for own in seeds], errors, draws=DRAWS))
