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
from analysis.comparison.families import (
    ACTIVATIONS,
    GFLOPS,
    PARAMS,
    CostAxis,
    ResultPlane,
    Side,
    network,
    planes,
    speeds_of,
    time_on,
)
from analysis.comparison.published import PUBLISHED_LEVEL
from analysis.comparison.shapes import WORDS, ShapeEffect, effect_words, effects
from analysis.laws.answer import Estimate
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
    "source", "test set", "pre-training", "resolution", "family", "cost", "networks", "parameter", "point",
    "low (90%)", "high (90%)", "answer",
)  # fmt: skip
PAIR_COLUMNS = (
    "source", "test set", "pre-training", "resolution", "family", "less", "cost", "network", "of it",
    "other network", "of that", "difference (points)",
)  # fmt: skip
SHAPE_COLUMNS = (
    "source", "test set", "pre-training", "resolution", "twice the", "networks", "families",
    "points of top-1 at equal FLOPs", "low (90%)", "high (90%)", "not identified because",
)  # fmt: skip
MOST_LAWS = 200  # over other costs than FLOPs: each takes a fiftieth of a second


Laws = dict[CostAxis, list[tuple[Side, Fit]]]
Pairs = dict[CostAxis, list[tuple[Side, Side, Comparison]]]


class PlaneResults:
    """Results on their planes, with what is computed of each plane once."""

    def __init__(self, points: Iterable[PublishedPoint], said: Sequence[str] = ()) -> None:
        self.points = tuple(points)
        self.said = said
        self.planes = planes(self.points)
        self.devices = tuple(dict.fromkeys(name for point in self.points for name, _ in speeds_of(point)))
        self.laws: list[Laws] = [{GFLOPS: list(plane.laws())} for plane in self.planes]
        self.pairs: list[Pairs] = [{GFLOPS: list(plane.pairs())} for plane in self.planes]
        self.effects = [list(effects(plane)) for plane in self.planes]
        self.left = self._other_costs([PARAMS, ACTIVATIONS, *map(time_on, self.devices)])

    def _other_costs(self, costs: Sequence[CostAxis]) -> int:
        """Laws and pairs over other costs, on the largest planes first; how many planes are left out."""
        fitted = 0
        for place, plane in enumerate(self.planes):
            if fitted >= MOST_LAWS:
                return len(self.planes) - place
            for cost in costs:
                self.laws[place][cost] = list(plane.laws(cost=cost))
                self.pairs[place][cost] = list(plane.pairs(cost))
                fitted += len(self.laws[place][cost])
        return 0

    @property
    def view(self) -> View:
        """The section: what was read, and the tables; the script adds the figure."""
        return View(
            KEY,
            TITLE,
            lead=self._lead(),
            tables=[
                Table("results", "Results, by plane", POINT_COLUMNS, Rows(self._point_rows)),
                Table("results_laws", "Laws: error = a + b cost^-c", LAW_COLUMNS, Rows(self._law_rows)),
                Table("results_shapes", "What a shape goes with", SHAPE_COLUMNS, Rows(self._shape_rows)),
                Table("results_pairs", "Two families at equal cost", PAIR_COLUMNS, Rows(self._pair_rows)),
            ],
            notes=[*self.said, *NOTES, *self._left()],
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
        """What the script draws: texts, models and what is known of a network once, and by their places."""
        texts = _Texts("name", "source", "test_set", "family", "pretrain", "recipe", "device", "note")
        models: dict[tuple[int, ...], int] = {}
        costs: dict[tuple[Any, ...], int] = {}
        rows = []
        for point in self.points:
            model = tuple(texts.of(point, kind) for kind in ("name", "family", "pretrain", "recipe"))
            speeds = tuple((texts.place("device", name), compact(speed)) for name, speed in speeds_of(point))
            cost = tuple(_known(of.of(point)) for of in (GFLOPS, PARAMS, ACTIVATIONS)), speeds
            rows.append([
                models.setdefault(model, len(models)), point.resolution, texts.of(point, "source"),
                texts.of(point, "test_set"), compact(point.top1, 6), costs.setdefault(cost, len(costs)),
                getattr(point, "seed", None),
            ])  # fmt: skip
        found = zip(self.planes, self.laws, self.pairs, self.effects, strict=True)
        drawn = [_plane(*one, texts) for one in found]
        return {
            **texts.lists, "models": list(models), "costs": list(costs), "rows": rows, "planes": drawn,
            "validation": VALIDATION, "level": PUBLISHED_LEVEL,
        }  # fmt: skip

    def _left(self) -> list[str]:
        if not self.left:
            return []
        other = plural(len(self.planes) - self.left, "plane")
        return [
            f"Laws and differences over parameters, activations and throughput are those of the {other} of "
            "most networks; the others have them over FLOPs."
        ]

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
            for cost, side, fit in ((cost, *one) for cost, own in laws.items() for one in own):
                for name, answer in fit.parameters.items():
                    yield [
                        *start, side.family, cost.unit, fit.networks, name, compact(fit.point[name], 3),
                        _known(answer.low), _known(answer.high), str(answer),
                    ]  # fmt: skip

    def _shape_rows(self) -> Iterable[list[Cell]]:
        for plane, found in zip(self.planes, self.effects, strict=True):
            for effect in found:
                d = effect.difference
                ends: list[Cell] = (
                    [None] * 3 if d is None else [round(x, 2) for x in (d.value, d.low, d.high)]
                )
                counts: list[Cell] = [WORDS[effect.shape.key], effect.networks, effect.families]
                yield [*_start(plane), *counts, *ends, effect.reason or None]

    def _pair_rows(self) -> Iterable[list[Cell]]:
        for plane, found in zip(self.planes, self.pairs, strict=True):
            start = _start(plane)
            for cost, (first, second, comparison) in (
                (cost, one) for cost, own in found.items() for one in own
            ):
                costs = first.costs(cost), second.costs(cost)
                for pair in comparison.pairs:
                    i, j = pair.first, pair.second
                    yield [
                        *start, first.family, second.family, cost.unit, first.table.names[i],
                        compact(float(costs[0][i])), second.table.names[j], compact(float(costs[1][j])),
                        round(pair.difference.value, 2),
                    ]  # fmt: skip


NOTES = (
    "A network counts once in laws and comparisons, however many weights it has: those of the recipe that "
    "most networks of its family have, never the most accurate.",
    "One run has no interval: that of a mean difference is from how the pairs differ. A "
    "parameter is not identified where its interval reaches a bound or covers a factor over 3. Dotted: the "
    "laws; shaded: their 90% intervals, of the law and not of one more network on it, also where single "
    "parameters are not identified. Over throughput the cost is the time an image.",
    "Families were trained with other recipes: a distance is not the network's alone. No accuracy under a "
    "proxy is on this plane, and none of these is on a proxy's.",
)


def _start(plane: ResultPlane) -> list[Cell]:
    return [plane.source, plane.test_set, plane.pretrain, plane.resolution]


def _name(plane: ResultPlane) -> str:
    return f"{plane.source}, {plane.pretrain}, {plane.resolution} px"


def _known(value: float) -> float | None:
    return compact(value) if math.isfinite(value) else None


class _Texts:
    """Texts of several kinds, each once, by their places."""

    def __init__(self, *kinds: str) -> None:
        self._places: dict[str, dict[str, int]] = {kind: {} for kind in kinds}

    def place(self, kind: str, text: str) -> int:
        """Where it is in the list of its kind."""
        return self._places[kind].setdefault(text, len(self._places[kind]))

    def of(self, point: PublishedPoint, kind: str) -> int:
        """Where the point's field of that name is."""
        return self.place(kind, getattr(point, kind))

    @property
    def lists(self) -> dict[str, list[str]]:
        """All of them."""
        return {kind: list(texts) for kind, texts in self._places.items()}


def _plane(
    plane: ResultPlane, laws: Laws, pairs: Pairs, found: Sequence[ShapeEffect], texts: _Texts
) -> dict[str, Any]:
    """The plane's families, by cost its laws and its differences, and what shapes go with."""

    def family(side: Side) -> int:
        return texts.place("family", side.family)

    return {
        "source": texts.of(plane.points[0], "source"), "test_set": texts.of(plane.points[0], "test_set"),
        "pretrain": texts.of(plane.points[0], "pretrain"), "resolution": plane.resolution,
        "sides": [[family(side), len(side.table.names), texts.place("note", side.note)]
                  for side in plane.sides.values()],
        "laws": {cost.key: [[family(side), *_law(side, fit, cost)] for side, fit in own]
                 for cost, own in laws.items() if own},
        "shapes": [effect_words(effect) for effect in found],
        "pairs": {cost.key: [[family(a), family(b), *_pair(a, b, c, cost, texts)] for a, b, c in own]
                  for cost, own in pairs.items() if own},
    }  # fmt: skip


def _law(side: Side, fit: Fit, cost: CostAxis) -> list[Any]:
    """Networks, the law's answers in words, and its top-1 over the family's costs: of both ends of the costs,
    at `STEPS` between, and the ends of its interval where it is identified, whatever its parameters are."""
    costs = [cost.of(point) for point in side.known(cost)]
    at = np.geomspace(min(costs), max(costs), STEPS)
    lines = [fit.predict(at).tolist()]
    answers = fit.predict_intervals(at)
    if all(isinstance(answer, Estimate) for answer in answers):
        lines += [[answer.high for answer in answers], [answer.low for answer in answers]]
    words = [f"{name} {answer}" for name, answer in fit.parameters.items()]
    ends = [compact(min(costs)), compact(max(costs))]
    return [fit.networks, "; ".join(words), ends, *([compact(100 - y, 4) for y in line] for line in lines)]


def _pair(first: Side, second: Side, comparison: Comparison, cost: CostAxis, texts: _Texts) -> list[Any]:
    """The mean difference with its ends, and of each pair the names, the cost and the difference."""
    mean = comparison.mean
    ends = [round(end, 2) if math.isfinite(end) else None for end in (mean.value, mean.low, mean.high)]
    costs = first.costs(cost)
    pairs = [
        [texts.place("name", first.table.names[p.first]), texts.place("name", second.table.names[p.second]),
         compact(float(costs[p.first])), round(p.difference.value, 2)]
        for p in comparison.pairs
    ]  # fmt: skip
    return [ends, pairs]
