"""Every network as a line through its choices, coloured by accuracy: parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.axes.axes import Axis, axis_of
from analysis.axes.sample import AxisSample, sample_of
from analysis.page.view import NEUTRAL, SEQUENCE, Cell, Figure, Table, View
from analysis.views.common import escape, spread_sample
from analysis.views.planes import Plane, apart, numbered, only, planes
from analysis.views.units import GFLOPS_TICKS, Spec, round_step, ticks
from nas.record.study import Study
from nas.verdict.field import searched_value
from space.words import compact, percent, plural

KEY, TITLE = "parallel", "Choices and accuracy"
MOST_AXES = 12
# networks that are looked at, and lines that are drawn: more would cover each other
MOST_READ, MOST_LINES = 2000, 800
MOST_TICKS, TICK_SIZE = 5, 10
BEST_SHARE = 0.1
FEWEST = 2
MOST_TOLD = 4
GFLOPS = tuple(tick * 1e9 for tick in GFLOPS_TICKS)


def view(studies: Sequence[Study], which: str = "summary") -> View:
    """A figure for every plane; `which` axes are those of `analysis.axes.axis_sets.SETS`."""
    parts = [_part(plane) for plane in planes(studies)]
    found = [(plane, sample_of([study for _, _, study in plane.members], which)) for plane in parts]
    shown = [(plane, sample) for plane, sample in found if len(sample) >= FEWEST and sample.axes]
    if not shown:
        reason = f"Fewer than {FEWEST} different networks have been trained in full yet."
        return View(KEY, TITLE, lead=reason, empty=reason)
    several = len(shown) > 1
    tables = [
        table
        for i, (plane, sample) in enumerate(shown)
        for table in (_best_table(sample, i), _rows_table(plane, sample, i))
    ]
    return View(
        KEY,
        TITLE,
        lead=" ".join(_lead(plane, sample, several) for plane, sample in shown),
        figures=[_figure(plane, sample, i, several) for i, (plane, sample) in enumerate(shown)],
        tables=tables,
        notes=[*filter(None, _notes(studies, [sample for _, sample in found])), *apart(studies)],
    )


def _part(plane: Plane) -> Plane:
    """The plane with as many networks as are looked at, evenly by rank: the best and the worst among them."""
    ranked = sorted(
        ((searched_value(tried), place, tried.trial)
         for place, (_, _, study) in enumerate(plane.members) for tried in study.networks)
    )  # fmt: skip
    if len(ranked) <= MOST_READ:
        return plane
    kept = [ranked[i] for i in spread_sample(len(ranked), MOST_READ)]
    return Plane(
        tuple(
            (index, label, only(study, {trial for _, own, trial in kept if own == place}))
            for place, (index, label, study) in enumerate(plane.members)
        )
    )


def _lead(plane: Plane, sample: AxisSample, several: bool) -> str:
    start = f"{plane.names}: " if several else ""
    best = _best(sample)
    # where they are closest together, beside all
    narrow = sorted((axis for axis in _drawn(sample) if not axis.cost), key=lambda a: _spread(a, best))
    where = [f"{axis.name} {_range(axis.take(best))}" for axis in narrow[:MOST_TOLD]]
    told = f" The best {len(best)} are most alike in: {'; '.join(where)}." if len(best) > 1 else ""
    return (
        f"{start}Each line is one of {plural(len(sample), 'network')}, from {sample.accuracy.min():.1%} to "
        f"{sample.accuracy.max():.1%}.{told}"
    )


def _spread(axis: Axis, rows: NDArray[np.intp]) -> float:
    """The deviation of some rows relative to that of all; of a category, by the share of its levels."""
    if axis.categorical:
        return _diversity(axis.values[rows]) / _diversity(axis.values)
    return float(axis.scaled[rows].std() / axis.scaled.std())


def _diversity(values: NDArray[np.float64]) -> float:
    """The probability that two drawn with replacement differ (Gini and Simpson's index)."""
    shares = np.unique(values, return_counts=True)[1] / len(values)
    return float(1 - (shares**2).sum())


def _notes(studies: Sequence[Study], samples: Sequence[AxisSample]) -> Iterator[str]:
    yield (
        "Drag a box over a part of an axis to keep the lines through it, with Shift another one; a "
        "double-click takes the boxes away. A click on a line chooses its network."
    )
    yield from (_cut(plane, sample) for plane, sample in zip(planes(studies), samples, strict=True))
    yield (
        "Where the best lie describes these networks; it is no claim on what makes them good: that is asked "
        "under which choices matter."
    )
    for sample in samples:
        yield from (f"{note[:1].upper()}{note[1:]}." for note in sample.notes)
        if len(sample.axes) > MOST_AXES:
            left = ", ".join(list(sample.axes)[MOST_AXES:])
            yield f"Not drawn, but in the table: {left}."


def _cut(plane: Plane, sample: AxisSample) -> str:
    """What was left out, or nothing."""
    every = sum(len(study.networks) for _, _, study in plane.members)
    parts = []
    if every > MOST_READ:
        parts.append(f"of {every:,} networks {MOST_READ:,} are looked at, evenly by rank of accuracy")
    if len(sample) > MOST_LINES:
        parts.append(f"{MOST_LINES:,} lines are drawn, evenly by rank")
    return f"{plane.names}: {'; '.join(parts)}." if parts else ""


def _drawn(sample: AxisSample) -> list[Axis]:
    return list(sample.axes.values())[:MOST_AXES]


def _figure(plane: Plane, sample: AxisSample, index: int, several: bool) -> Figure:
    """Lines in bins of accuracy, a trace each, over axes that are drawn by hand, all from 0 to 1."""
    axes = [*_origins(plane, sample), *_drawn(sample)]
    accuracy = np.array([percent(value) for value in sample.accuracy.tolist()])
    scales = [_scale(axis) for axis in axes] + [_accuracy_scale(accuracy)]
    heights = np.round(np.stack([scale.height for scale in scales], axis=1), 3)
    points = [[plane.members[s][0], trial] for s, trial in sample.points]
    edges = np.linspace(accuracy.min(), accuracy.max(), len(SEQUENCE) + 1)
    bins = np.clip(np.searchsorted(edges, accuracy, side="right") - 1, 0, len(SEQUENCE) - 1)
    order = spread_sample(len(sample), MOST_LINES)
    drawn = np.argsort(sample.accuracy, kind="stable")[order]  # the best are drawn last, on top
    traces = [
        _lines(heights[rows], [points[i] for i in rows], SEQUENCE[b], _between(edges, b), b / len(SEQUENCE))
        for b in range(len(SEQUENCE))
        if (rows := drawn[bins[drawn] == b]).size
    ]
    alt = (
        f"Parallel coordinates of {plural(len(drawn), 'network')} over {len(axes)} axes and accuracy, from "
        f"{accuracy.min():.1f}% to {accuracy.max():.1f}%; the table has the numbers."
    )
    title = "Choices of each network, coloured by accuracy" + (f" ({plane.names})" if several else "")
    names = [*(axis.name for axis in axes), "accuracy (%)"]
    return Figure(numbered("parallel", index), title, {"data": traces, "layout": _layout(names, scales)}, alt)


def _lines(
    heights: NDArray[np.float64], points: Sequence[list[int]], colour: str, name: str, share: float
) -> Spec:
    """Lines of one colour, one after the other with a gap between: heights (lines, axes)."""
    count, across = heights.shape
    gap: list[float | None] = [None]
    return {
        "type": "scatter", "mode": "lines", "name": name, "meta": {"lines": across + 1},
        "x": [*range(across), None] * count,
        "y": [value for row in heights.tolist() for value in row + gap],
        "customdata": [custom for point in points for custom in [*[point] * across, None]],
        "line": {"color": colour, "width": 1},
        # few are good, and those are looked for
        "opacity": round(0.5 + 0.4 * share, 2),
        "hovertemplate": f"trial %{{customdata[1]}}, {name}<extra></extra>",
    }  # fmt: skip


def _between(edges: NDArray[np.float64], place: int) -> str:
    return f"{edges[place]:.1f} to {edges[place + 1]:.1f}%"


@dataclass(frozen=True)
class _Scale:
    """An axis of the figure: `height` (n,) of the networks, from 0 to 1, and its ticks."""

    height: NDArray[np.float64]
    at: Sequence[float]
    text: Sequence[str]


def _scale(axis: Axis) -> _Scale:
    if axis.categorical:
        count = len(axis.levels)
        return _Scale(_level(axis.values, count), _level(np.arange(count), count).tolist(), axis.levels)
    low, high = float(axis.values.min()), float(axis.values.max())
    at = ticks(low, high, GFLOPS if axis.name == "FLOPs" else ()) if axis.log else _even(low, high)
    at = [tick for tick in at if low * (1 - 1e-9) <= tick <= high * (1 + 1e-9)]
    ends = np.log([low, high]) if axis.log else np.array([low, high])
    places = np.log(at) if axis.log else np.array(at)
    span = float(ends[1] - ends[0]) or 1.0
    heights = (axis.scaled - ends[0]) / span
    return _Scale(heights, ((places - ends[0]) / span).tolist(), [axis.text(tick) for tick in at])


def _level(index: NDArray[Any], count: int) -> NDArray[np.float64]:
    """Levels stand a little inside, so that the first and the last have room for their names."""
    return 0.05 + 0.9 * index / max(count - 1, 1)


def _even(low: float, high: float) -> list[float]:
    """Round values from `low` to `high`; the values themselves where there are few whole ones."""
    step = round_step(max((high - low) / MOST_TICKS, 1e-12))
    return [compact(i * step, 6) for i in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _accuracy_scale(accuracy: NDArray[np.float64]) -> _Scale:
    scale = _scale(Axis("accuracy", accuracy))
    return _Scale(scale.height, scale.at, [text if "." in text else f"{text}.0" for text in scale.text])


def _layout(names: Sequence[str], scales: Sequence[_Scale]) -> Spec:
    """Vertical lines for axes, their names above, ticks beside them; boxes choose lines (`meta`)."""
    lines = [
        {
            "type": "line", "layer": "below", "xref": "x", "x0": i, "x1": i, "yref": "y", "y0": 0, "y1": 1,
            "line": {"color": NEUTRAL, "width": 1},
        }
        for i in range(len(names))
    ]  # fmt: skip
    texts = [
        {
            "x": i, "y": round(at, 3), "text": escape(text), "showarrow": False, "xanchor": "left",
            "font": {"size": TICK_SIZE, "shadow": "auto"},
        }
        for i, scale in enumerate(scales) for at, text in zip(scale.at, scale.text, strict=True)
    ]  # fmt: skip
    return {
        "height": 480,
        "margin": {"l": 20, "r": 40, "t": 90, "b": 30},
        "xaxis": {
            "range": [-0.1, len(names) - 0.6], "tickvals": list(range(len(names))), "side": "top",
            "ticktext": [escape(name) for name in names], "tickangle": -25, "showgrid": False,
            "showline": False, "ticks": "", "fixedrange": True,
        },
        "yaxis": {"range": [-0.03, 1.03], "visible": False, "fixedrange": True},
        "legend": {
            "orientation": "h", "x": 0, "y": -0.02, "yanchor": "top",
            "title": {"text": "accuracy"}, "traceorder": "normal",
        },
        "showlegend": True,
        "dragmode": "select",
        "shapes": lines,
        "annotations": texts,
    }  # fmt: skip


def _origins(plane: Plane, sample: AxisSample) -> Iterator[Axis]:
    """References told from what was searched, and studies from each other, where there are both."""
    roles = {(s, t.trial): t.role for s, (_, _, study) in enumerate(plane.members) for t in study.networks}
    found = [axis_of("role", [roles[point] for point in sample.points])]
    if "study" not in sample.axes:
        found.append(axis_of("study", [plane.members[s][1] for s, _ in sample.points]))
    yield from (axis for axis in found if axis.distinct > 1)


def _best(sample: AxisSample) -> NDArray[np.intp]:
    count = max(1, round(BEST_SHARE * len(sample)))
    return np.argsort(-sample.accuracy, kind="stable")[:count]


def _range(axis: Axis) -> str:
    """The extent of numbers, or the levels by how often."""
    if axis.categorical:
        counts = np.bincount(axis.values.astype(int), minlength=len(axis.levels))
        order = np.argsort(-counts, kind="stable")
        return ", ".join(f"{axis.levels[k]} {counts[k]}x" for k in order[:3])
    low, high = axis.text(float(axis.values.min())), axis.text(float(axis.values.max()))
    return low if low == high else f"{low} to {high}"


def _best_table(sample: AxisSample, index: int) -> Table:
    best = _best(sample)
    rows = [(axis.name, _range(axis), _range(axis.take(best))) for axis in sample.axes.values()]
    title = f"Where the best {len(best)} of {plural(len(sample), 'network')} lie"
    return Table(numbered("parallel-best", index), title, ("axis", "all", "the best"), rows)


def _rows_table(plane: Plane, sample: AxisSample, index: int) -> Table:
    labels = {(s, t.trial): t.label for s, (_, _, study) in enumerate(plane.members) for t in study.networks}
    axes = list(sample.axes.values())
    rows: list[Sequence[Cell]] = []
    for i in np.argsort(-sample.accuracy, kind="stable").tolist():
        s, trial = sample.points[i]
        values = [_cell(axis, float(axis.values[i])) for axis in axes]
        accuracy = percent(float(sample.accuracy[i]))
        rows.append((plane.members[s][1], trial, labels[s, trial], accuracy, *values))
    columns = ("study", "trial", "network", "accuracy (%)", *(axis.name for axis in axes))
    return Table(
        numbered("parallel", index), "Networks with their axes, the most accurate first", columns, rows
    )


def _cell(axis: Axis, value: float) -> Cell:
    return axis.levels[int(value)] if axis.categorical else compact(value)
