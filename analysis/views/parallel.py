"""Every network as a line through its choices, coloured by accuracy: parallel coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.axes import Axis, Sample, axis_of, sample_of
from analysis.study import Study
from analysis.view import Cell, Figure, Table, View
from analysis.views.common import (
    GFLOPS_TICKS,
    Plane,
    Spec,
    apart,
    compact,
    escape,
    numbered,
    percent,
    planes,
    plural,
    ticks,
)

KEY, TITLE = "parallel", "Choices and accuracy"
# perceptually uniform, and read alike by colour-blind readers (Nunez et al. 2018)
COLOURSCALE = "Cividis"
MOST_AXES = 12
BEST_SHARE = 0.1
FEWEST = 2
MOST_TOLD = 4
GFLOPS = tuple(tick * 1e9 for tick in GFLOPS_TICKS)


def view(studies: Sequence[Study], which: str = "summary") -> View:
    """A figure for every plane; `which` axes are those of `analysis.axes.SETS`."""
    found = [(plane, sample_of([study for _, _, study in plane.members], which)) for plane in planes(studies)]
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
        notes=[*_notes([sample for _, sample in found]), *apart(studies)],
    )


def _lead(plane: Plane, sample: Sample, several: bool) -> str:
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


def _notes(samples: Sequence[Sample]) -> Iterator[str]:
    yield (
        "Drag along an axis to keep the lines through a part of it, drag its name to move it. Lines are not "
        "linked to the other figures, since this kind of plot carries no data with its lines: the table "
        "names study and trial of each."
    )
    yield (
        "Where the best lie describes these networks; it is no claim on what makes them good: that is asked "
        "under which choices matter."
    )
    for sample in samples:
        yield from (f"{note[:1].upper()}{note[1:]}." for note in sample.notes)
        if len(sample.axes) > MOST_AXES:
            left = ", ".join(list(sample.axes)[MOST_AXES:])
            yield f"Not drawn, but in the table: {left}."


def _drawn(sample: Sample) -> list[Axis]:
    return list(sample.axes.values())[:MOST_AXES]


def _figure(plane: Plane, sample: Sample, index: int, several: bool) -> Figure:
    axes = [*_origins(plane, sample), *_drawn(sample)]
    order = np.argsort(sample.accuracy, kind="stable")  # the best are drawn last, on top
    accuracy = [percent(value) for value in sample.accuracy[order].tolist()]
    dimensions = [_dimension(axis, axis.values[order]) for axis in axes]
    dimensions.append({"label": "accuracy (%)", "values": accuracy})
    trace = {
        "type": "parcoords",
        "dimensions": dimensions,
        "line": {
            "color": accuracy,
            "colorscale": COLOURSCALE,
            "showscale": True,
            "colorbar": {"title": {"text": "accuracy (%)", "side": "right"}, "thickness": 12},
        },
        "labelangle": -20,
        "labelside": "top",
    }
    layout = {"height": 460, "margin": {"l": 60, "r": 30, "t": 90, "b": 30}}
    alt = (
        f"Parallel coordinates of {plural(len(sample), 'network')} over {len(axes)} axes and accuracy, from "
        f"{accuracy[0]:.1f}% to {accuracy[-1]:.1f}%; the table has the numbers."
    )
    title = "Choices of each network, coloured by accuracy" + (f" ({plane.names})" if several else "")
    return Figure(numbered("parallel", index), title, {"data": [trace], "layout": layout}, alt)


def _origins(plane: Plane, sample: Sample) -> Iterator[Axis]:
    """References told from what was searched, and studies from each other, where there are both."""
    roles = {(s, t.trial): t.role for s, (_, _, study) in enumerate(plane.members) for t in study.networks}
    found = [axis_of("role", [roles[point] for point in sample.points])]
    if "study" not in sample.axes:
        found.append(axis_of("study", [plane.members[s][1] for s, _ in sample.points]))
    yield from (axis for axis in found if axis.distinct > 1)


def _dimension(axis: Axis, values: NDArray[np.float64]) -> Spec:
    """A vertical axis; a logarithmic one has the logarithms, with ticks at values."""
    label = escape(axis.name)
    if axis.categorical:
        return {
            "label": label,
            "values": [int(v) for v in values],
            "tickvals": list(range(len(axis.levels))),
            "ticktext": [escape(level) for level in axis.levels],
            "range": [-0.2, len(axis.levels) - 0.8],
        }
    if not axis.log:
        return {"label": label, "values": [compact(v) for v in values]}
    low, high = float(values.min()), float(values.max())
    at = [tick for tick in ticks(low, high, GFLOPS if axis.name == "FLOPs" else ()) if low <= tick <= high]
    return {
        "label": label,
        "values": [compact(v, 5) for v in np.log10(values).tolist()],
        "tickvals": [compact(math.log10(tick), 5) for tick in at],
        "ticktext": [axis.text(tick) for tick in at],
    }


def _best(sample: Sample) -> NDArray[np.intp]:
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


def _best_table(sample: Sample, index: int) -> Table:
    best = _best(sample)
    rows = [(axis.name, _range(axis), _range(axis.take(best))) for axis in sample.axes.values()]
    title = f"Where the best {len(best)} of {plural(len(sample), 'network')} lie"
    return Table(numbered("parallel-best", index), title, ("axis", "all", "the best"), rows)


def _rows_table(plane: Plane, sample: Sample, index: int) -> Table:
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
