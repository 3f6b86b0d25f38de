"""Families of networks on planes of results: who is on which plane, their laws, and two at equal FLOPs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np

from analysis.comparison.equal_flops import FLOPS_TOLERANCE, Comparison, at_equal_flops
from analysis.comparison.published import PUBLISHED_LEVEL, one_recipe
from analysis.laws.fit import Fit, fit_law
from analysis.points.own import Table, table
from analysis.points.printed import PublishedPoint

LEAST = 4  # networks of a family that a law of three parameters is asked of


@dataclass(frozen=True)
class Side:
    """A family on a plane: its networks of one recipe, each once, and what was left out for that."""

    family: str
    points: Sequence[PublishedPoint]
    note: str

    @cached_property
    def table(self) -> Table:
        """The networks by rising cost. Raises `InputError` where one has several costs."""
        return table(self.points)

    def law(self) -> Fit | None:
        """Of the error against GFLOPs; None where two costs are not to be had."""
        if len({point.gflops for point in self.points}) < 2:
            return None
        return fit_law(
            [point.gflops for point in self.points],
            [point.error for point in self.points],
            network=[point.name for point in self.points],
            level=PUBLISHED_LEVEL,
        )


@dataclass(frozen=True)
class Plane:
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

    def laws(self) -> Iterator[tuple[Side, Fit]]:
        """The law of each family that has at least `LEAST` networks."""
        for side in self.sides.values():
            if len(side.table.names) >= LEAST and (fit := side.law()) is not None:
                yield side, fit

    def pairs(self) -> Iterator[tuple[Side, Side, Comparison]]:
        """Every two families that have networks of equal FLOPs, in the order of `sides`."""
        for first, second in combinations(self.sides.values(), 2):
            # quick: of hundreds of families most do not meet
            gaps = np.abs(np.log(first.table.gflops)[:, None] - np.log(second.table.gflops))
            if gaps.min() > np.log1p(FLOPS_TOLERANCE):
                continue
            yield first, second, compared(first, second)


def compared(first: Side, second: Side) -> Comparison:
    """Two families at equal FLOPs, seeds paired where both have them. Raises `InputError`."""
    known = first.table.seeds is not None and second.table.seeds is not None
    return at_equal_flops(
        first.table.gflops,
        first.table.top1,
        second.table.gflops,
        second.table.top1,
        names=(first.family, second.family),
        seeds_a=first.table.seeds if known else None,
        seeds_b=second.table.seeds if known else None,
        level=PUBLISHED_LEVEL,
    )


def planes(points: Iterable[PublishedPoint]) -> list[Plane]:
    """The planes of these results, those of most networks first. Raises `InputError`."""
    groups: dict[tuple[str, str, str, int], list[PublishedPoint]] = {}
    for point in points:
        key = (point.source, point.test_set, point.pretrain, point.resolution)
        groups.setdefault(key, []).append(point)
    found = [Plane(*key, group) for key, group in groups.items()]
    return sorted(found, key=lambda plane: -len(plane.points))


def network(point: PublishedPoint) -> str:
    """The network, whichever its weights."""
    return point.name.removesuffix(f".{point.recipe}") if point.recipe else point.name
