"""The plane of what others trained: results from CSV files beside the packaged published points.

The page's script draws it (assets/results.js) by what a reader chooses: a source, a pre-training set, a
resolution, a cost. What takes statistics is made here: the laws of the families, and two at equal FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from analysis.comparison.equal_flops import Comparison
from analysis.comparison.families import Plane, Side, network, planes
from analysis.comparison.published import PUBLISHED_LEVEL
from analysis.laws.fit import Fit
from analysis.page.view import Cell, Rows, Table, View
from analysis.points.printed import VALIDATION, PublishedPoint
from nas.verdict.front import front
from space.words import compact, plural

KEY, TITLE = "results", "What others trained"
STEPS = 16  # points of a drawn law
POINT_COLUMNS = (
    "network", "family", "pre-training", "resolution", "top-1 (%)", "GFLOPs", "parameters (M)",
    "activations (M)", "images/s", "recipe", "test set", "source", "on the front",
)  # fmt: skip
LAW_COLUMNS = (
    "source", "test set", "pre-training", "resolution", "family", "networks", "parameter", "point",
    "low (90%)", "high (90%)", "answer",
)  # fmt: skip
PAIR_COLUMNS = (
    "source", "test set", "pre-training", "resolution", "family", "less", "network", "GFLOPs",
    "other network", "GFLOPs of it", "difference (points)",
)  # fmt: skip


class Results:
    """Results on their planes, with what is computed of each plane once."""

    def __init__(self, points: Iterable[PublishedPoint], said: Sequence[str] = ()) -> None:
        self.points = tuple(points)
        self.said = said
        self.planes = planes(self.points)
        self.laws = [list(plane.laws()) for plane in self.planes]
        self.pairs = [list(plane.pairs()) for plane in self.planes]

    @property
    def view(self) -> View:
        """The section: what was read, and the tables; the script adds the figure."""
        return View(
            KEY,
            TITLE,
            lead=self._lead(),
            tables=[
                Table("results", "Results, by plane", POINT_COLUMNS, Rows(self._point_rows)),
                Table("results_laws", "Laws: error = a + b GFLOPs^-c", LAW_COLUMNS, Rows(self._law_rows)),
                Table("results_pairs", "Two families at equal FLOPs", PAIR_COLUMNS, Rows(self._pair_rows)),
            ],
            notes=[*self.said, *NOTES],
        )

    def _lead(self) -> str:
        networks = len({network(point) for point in self.points})
        families = len({point.family for point in self.points})
        largest = self.planes[0]
        return (
            f"{plural(len(self.points), 'result')} of {plural(networks, 'network')} and "
            f"{plural(families, 'family', 'families')} on {plural(len(self.planes), 'plane')}: only what "
            "shares source, test set, pre-training and resolution is compared. "
            f"Most are on {_name(largest)} "
            f"({len(largest.points):,})."
        )

    # ---- for the script ---------------------------------------------------------------------------------

    def details(self) -> dict[str, Any]:
        """What the script draws: short names of columns, texts once and by their place."""
        texts: dict[str, dict[str, int]] = {
            name: {} for name in ("source", "test_set", "family", "pretrain", "recipe", "device")
        }

        def place(kind: str, text: str) -> int:
            return texts[kind].setdefault(text, len(texts[kind]))

        rows = [
            [
                point.name, network(point), place("family", point.family), place("pretrain", point.pretrain),
                point.resolution, place("source", point.source), place("test_set", point.test_set),
                place("recipe", point.recipe), point.top1, compact(point.gflops), _known(point.params_m),
                _known(getattr(point, "activations_m", math.nan)),
                [[place("device", device), compact(speed)] for device, speed in speeds_of(point)],
                getattr(point, "seed", None),
            ]
            for point in self.points
        ]  # fmt: skip
        found = [
            {
                "source": place("source", plane.source), "test_set": place("test_set", plane.test_set),
                "pretrain": place("pretrain", plane.pretrain), "resolution": plane.resolution,
                "sides": {side.family: [len(side.table.names), side.points[0].recipe, side.note]
                          for side in plane.sides.values()},
                "laws": {side.family: _law(side, fit) for side, fit in laws},
                "pairs": [[a.family, b.family, *_pair(a, b, c)] for a, b, c in pairs],
            }
            for plane, laws, pairs in zip(self.planes, self.laws, self.pairs, strict=True)
        ]  # fmt: skip
        lists = {name: list(known) for name, known in texts.items()}
        return {**lists, "rows": rows, "planes": found, "validation": VALIDATION, "level": PUBLISHED_LEVEL}

    # ---- the tables -------------------------------------------------------------------------------------

    def _point_rows(self) -> Iterable[list[Cell]]:
        for plane in self.planes:
            best = set(front([p.gflops for p in plane.points], [p.top1 for p in plane.points]).tolist())
            for i, point in enumerate(plane.points):
                yield [
                    point.name, point.family, point.pretrain, point.resolution, point.top1, point.gflops,
                    _known(point.params_m), _known(getattr(point, "activations_m", math.nan)),
                    "; ".join(f"{speed:g} {device}" for device, speed in speeds_of(point)) or None,
                    point.recipe or None, point.test_set, point.source, i in best,
                ]  # fmt: skip

    def _law_rows(self) -> Iterable[list[Cell]]:
        for plane, laws in zip(self.planes, self.laws, strict=True):
            start = _start(plane)
            for side, fit in laws:
                for name, answer in fit.parameters.items():
                    yield [
                        *start, side.family, fit.networks, name, compact(fit.point[name], 3),
                        _known(answer.low), _known(answer.high), str(answer),
                    ]  # fmt: skip

    def _pair_rows(self) -> Iterable[list[Cell]]:
        for plane, found in zip(self.planes, self.pairs, strict=True):
            start = _start(plane)
            for first, second, comparison in found:
                for pair in comparison.pairs:
                    i, j = pair.first, pair.second
                    yield [
                        *start, first.family, second.family, first.table.names[i],
                        float(first.table.gflops[i]), second.table.names[j], float(second.table.gflops[j]),
                        round(pair.difference.value, 2),
                    ]  # fmt: skip


NOTES = (
    "A network counts once in laws and comparisons, however many weights it has: those of the recipe that "
    "most networks of its family have, never the most accurate.",
    "One run has no interval: that of a mean difference is from how the pairs differ. A law is not "
    "identified where its interval reaches a bound or covers a factor over 3; it is drawn, dotted.",
    "Families were trained with other recipes: a distance is not the network's alone. No accuracy under a "
    "proxy is on this plane, and none of these is on a proxy's.",
)


def speeds_of(point: PublishedPoint) -> tuple[tuple[str, float], ...]:
    """Images a second by device."""
    found: tuple[tuple[str, float], ...] = getattr(point, "speeds", ())
    if found or point.images_per_s is None:
        return found
    return ((point.device or "device not said", point.images_per_s),)


def _start(plane: Plane) -> list[Cell]:
    return [plane.source, plane.test_set, plane.pretrain, plane.resolution]


def _name(plane: Plane) -> str:
    return f"{plane.source}, {plane.pretrain}, {plane.resolution} px"


def _known(value: float) -> float | None:
    return compact(value) if math.isfinite(value) else None


def _law(side: Side, fit: Fit) -> dict[str, Any]:
    """The law's answers in words, and its line over the family's costs."""
    costs = np.geomspace(side.table.gflops.min(), side.table.gflops.max(), STEPS)
    return {
        "networks": fit.networks,
        "answers": {name: str(answer) for name, answer in fit.parameters.items()},
        "x": [compact(x) for x in costs.tolist()],
        "y": [compact(100 - y, 5) for y in fit.predict(costs).tolist()],
    }


def _pair(first: Side, second: Side, comparison: Comparison) -> list[Any]:
    mean = comparison.mean
    ends = [round(end, 2) if math.isfinite(end) else None for end in (mean.value, mean.low, mean.high)]
    one, other = first.table, second.table
    pairs = [
        [one.names[p.first], other.names[p.second], compact(float(one.gflops[p.first])),
         compact(float(other.gflops[p.second])), round(p.difference.value, 2)]
        for p in comparison.pairs
    ]  # fmt: skip
    return [ends, mean.verdict if math.isfinite(mean.low) else None, pairs]
