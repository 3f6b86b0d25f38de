"""Families of networks on planes of results: who is on which plane, their laws, and two at equal cost."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.comparison.equal_flops import FLOPS_TOLERANCE, Comparison, at_equal_flops
from analysis.comparison.published import PUBLISHED_LEVEL, one_recipe
from analysis.laws.fit import Fit, fit_law
from analysis.points.own import SeedTable, table
from analysis.points.printed import VALIDATION, PublishedPoint
from space.words import compact

LEAST = 4  # networks of a family that a law of three parameters is asked of


@dataclass(frozen=True)
class CostAxis:
    """What networks are compared at: `of` a point, NaN where it is not known; `unit` in a law's formula.

    `device` is that of a throughput, whose cost is the time of an image.
    """

    key: str
    unit: str
    of: Callable[[PublishedPoint], float] = field(repr=False)
    device: str = ""

    def told(self, value: float, digits: int = 6) -> str:
        """A cost in words."""
        if self.device:
            return f"{1000 / value:.{digits}g} images/s on {self.device}"
        return f"{value:.{digits}g} {self.unit}"

    def plain(self, value: float) -> dict[str, float | str]:
        """A cost by its name, of a throughput with its device."""
        if self.device:
            return {"images_per_s": compact(1000 / value), "device": self.device}
        return {self.key: value}


GFLOPS = CostAxis("gflops", "GFLOPs", lambda point: point.gflops)
PARAMS = CostAxis("params", "M parameters", lambda point: point.params_m)
ACTIVATIONS = CostAxis(
    "activations", "M activations", lambda point: getattr(point, "activations_m", math.nan)
)


def time_on(device: str) -> CostAxis:
    """Milliseconds an image on a device: of its throughput, so that less is better, as of any cost."""

    def of(point: PublishedPoint) -> float:
        speed = dict(speeds_of(point)).get(device, math.nan)
        return 1000 / speed if speed > 0 else math.nan

    return CostAxis(f"speed:{device}", f"ms an image on {device}", of, device)


def speeds_of(point: PublishedPoint) -> tuple[tuple[str, float], ...]:
    """Images a second by device."""
    found: tuple[tuple[str, float], ...] = getattr(point, "speeds", ())
    if found or point.images_per_s is None:
        return found
    return ((point.device or "device not said", point.images_per_s),)


@dataclass(frozen=True)
class Side:
    """A family on a plane: its networks of one recipe, each once, and what was left out for that."""

    family: str
    points: Sequence[PublishedPoint]
    note: str

    @cached_property
    def table(self) -> SeedTable:
        """The networks by rising cost. Raises `InputError` where one has several costs."""
        return table(self.points)

    def known(self, cost: CostAxis) -> list[PublishedPoint]:
        """Its points of known cost."""
        return [point for point in self.points if math.isfinite(cost.of(point))]

    def costs(self, cost: CostAxis) -> NDArray[np.float64]:
        """Of the networks of the table, (n,), NaN where not known."""
        of = {point.name: cost.of(point) for point in self.points}
        return np.array([of[name] for name in self.table.names], dtype=np.float64)

    def law(self, cost: CostAxis = GFLOPS) -> Fit | None:
        """Of the error against a cost; None where two costs are not to be had."""
        points = self.known(cost)
        if len({cost.of(point) for point in points}) < 2:
            return None
        return fit_law(
            [cost.of(point) for point in points],
            [point.error for point in points],
            network=[point.name for point in points],
            level=PUBLISHED_LEVEL,
        )


@dataclass(frozen=True)
class ResultPlane:
    """What may be compared: results of one source, test set, pre-training set and resolution."""

    source: str
    test_set: str
    pretrain: str
    resolution: int
    points: Sequence[PublishedPoint]

    @cached_property
    def sides(self) -> dict[str, Side]:
        """The families, those of most networks first."""
        found: dict[str, list[PublishedPoint]] = {}
        for point in self.points:
            # no error is no point of a law: a power law reaches 0 nowhere
            if point.error > 0:
                found.setdefault(point.family, []).append(point)
        sides = [
            Side(family, *one_recipe(points, "analysis.compare --recipe", None))
            for family, points in found.items()
        ]
        sides.sort(key=lambda side: (-len(side.table.names), side.family))
        return {side.family: side for side in sides}

    def laws(self, cost: CostAxis = GFLOPS) -> Iterator[tuple[Side, Fit]]:
        """The law of each family that has at least `LEAST` networks of known cost."""
        for side in self.sides.values():
            networks = {point.name for point in side.known(cost)}
            if len(networks) >= LEAST and (fit := side.law(cost)) is not None:
                yield side, fit

    def pairs(self, cost: CostAxis = GFLOPS) -> Iterator[tuple[Side, Side, Comparison]]:
        """Every two families that have networks of equal cost, in the order of `sides`."""
        logs = {name: np.log(side.costs(cost)) for name, side in self.sides.items()}
        for first, second in combinations(self.sides.values(), 2):
            # quick: of hundreds of families most do not meet
            gaps = np.abs(logs[first.family][:, None] - logs[second.family])
            if (gaps <= np.log1p(FLOPS_TOLERANCE)).any():
                yield first, second, compared(first, second, cost)


def compared(first: Side, second: Side, cost: CostAxis = GFLOPS) -> Comparison:
    """Two families at equal cost, seeds paired where both have them; the pairs' places are the tables'.

    Raises `InputError`.
    """
    seeded = first.table.seeds is not None and second.table.seeds is not None
    costs = first.costs(cost), second.costs(cost)
    rows = [np.flatnonzero(np.isfinite(own)) for own in costs]
    found = at_equal_flops(
        costs[0][rows[0]],
        first.table.top1[rows[0]],
        costs[1][rows[1]],
        second.table.top1[rows[1]],
        names=(first.family, second.family),
        seeds_a=first.table.seeds if seeded else None,
        seeds_b=second.table.seeds if seeded else None,
        level=PUBLISHED_LEVEL,
    )
    pairs = (
        replace(pair, first=int(rows[0][pair.first]), second=int(rows[1][pair.second]))
        for pair in found.pairs
    )
    return replace(found, pairs=tuple(pairs))


def planes(points: Iterable[PublishedPoint]) -> list[ResultPlane]:
    """The planes of these results, those of most results first; of several such the validation images'.

    Raises `InputError`.
    """
    groups: dict[tuple[str, str, str, int], list[PublishedPoint]] = {}
    for point in points:
        key = (point.source, point.test_set, point.pretrain, point.resolution)
        groups.setdefault(key, []).append(point)
    found = [ResultPlane(*key, group) for key, group in groups.items()]
    return sorted(found, key=lambda plane: (-len(plane.points), plane.test_set != VALIDATION))


def network(point: PublishedPoint) -> str:
    """The network, whichever its weights."""
    return point.name.removesuffix(f".{point.recipe}") if point.recipe else point.name
