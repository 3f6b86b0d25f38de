"""The networks of studies of one plane, with the axes that vary: what importance is measured on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.axes.axes import Axis, AxisTable, Floats, axis_of, axis_table, word_of
from nas.record.study import Study, Tried
from space.budget import UNITS
from space.errors import InputError, quoted

# costs whose largest is this many times the smallest are an axis; inside a budget band they are not
COSTS_VARY = 1.15
# a parameter of a space that spans so many times its smallest value is spoken of in ratios
SPANS = 4
MOST_LEVELS = 12

Placed = tuple[int, Tried]  # a network, and which of the studies tried it


@dataclass(frozen=True)
class AxisSample:
    """Networks of one plane with their axes.

    `accuracy` (n,) are fractions, `networks` (n,) fingerprints, `points` [study, trial] for each row.
    """

    axes: Mapping[str, Axis]
    accuracy: Floats
    networks: tuple[str, ...]
    points: tuple[tuple[int, int], ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.networks)


def sample_of(
    studies: Sequence[Study], which: str = "summary", budget: str | None = None, *, most: int | None = None
) -> AxisSample:
    """The networks of studies of one plane, of one `budget` where one is named, with the axes that vary.

    Of more than `most` networks so many are drawn at random, and a note says so. A network's accuracy is its
    mean over the seeds that all of them have, so that a seed's shift, common to all, cancels. Costs are an
    axis where they vary by more than a budget band. Raises `InputError`.
    """
    chosen = found = _found(studies, budget)
    if most is not None and len(found) > most:
        drawn = np.sort(np.random.default_rng(0).choice(len(found), most, replace=False))
        chosen = [found[row] for row in drawn]
    rows, axes, outside = _choices(studies, chosen) if which == "space" else _shapes(chosen, which)
    kept = [chosen[row] for row in rows]
    # only now: the seeds that all have in common depend on who is left
    accuracy, notes, split = _accuracies(kept)
    if split:  # each study has a shift of its own
        axes["study"] = axis_of("study", [studies[s].name for s, _ in kept])
    if len(chosen) < len(found):
        notes.append(f"Of {len(found):,} networks {len(chosen):,}, drawn at random, are used")
    if outside:
        word = "reference differs" if outside == 1 else "references differ"
        notes.append(f"{outside} {word} in what the search never varied: left out")
    skipped = len(chosen) - len(kept) - outside
    if skipped:
        why = "have no parameters of the space" if which == "space" else "are not of the ConvNeXt family"
        notes.append(f"{skipped} of {len(chosen)} networks {why} and are left out")
    return AxisSample(
        axes={name: axis for name, axis in axes.items() if _worth(axis)},
        accuracy=accuracy,
        networks=tuple(tried.fingerprint for _, tried in kept),
        points=tuple((s, tried.trial) for s, tried in kept),
        notes=tuple(notes),
    )


def _found(studies: Sequence[Study], budget: str | None) -> list[Placed]:
    """The networks of the studies that a budget allows. Raises `InputError`."""
    if len({study.plane for study in studies}) > 1:
        conditions = "; ".join(sorted({study.conditions for study in studies}))
        raise InputError(
            f"studies of different planes ({conditions}): their accuracies do not compare; give those of one "
            "proxy and data set"
        )
    bands = [str(band["text"]) for study in studies for band in study.bands]
    if budget is not None and budget not in bands:
        raise InputError(f"--budget {quoted(budget)}: the studies have {', '.join(dict.fromkeys(bands))}")
    return [
        (s, tried) for s, study in enumerate(studies) for tried in study.networks if _in(tried, study, budget)
    ]


def _shapes(chosen: Sequence[Placed], which: str) -> tuple[list[int], dict[str, Axis], int]:
    """The rows whose shapes are axes, these axes, and how many references are left out."""
    table = axis_table([tried for _, tried in chosen], which)
    inside = np.flatnonzero(_inside(table, [tried.role == "candidate" for _, tried in chosen]))
    axes = {name: axis.take(inside) for name, axis in table.axes.items()}
    return table.rows[inside].tolist(), axes, len(table) - len(inside)


def _inside(table: AxisTable, candidate: Sequence[bool]) -> NDArray[np.bool_]:
    """Which networks of the table differ from the candidates in nothing but what these vary, (n,).

    A reference of another kind (a ResNet beside ConvNeXts) differs in many ways at once, none of which could
    be told from the others. Without candidates every network is inside.
    """
    searched = np.array(candidate)[table.rows]
    inside = np.ones(len(table), dtype=bool)
    if not searched.any():
        return inside
    for axis in table.axes.values():
        values = axis.values[searched]
        if (values == values[0]).all():
            inside &= axis.values == values[0]
    return inside


def _in(tried: Tried, study: Study, budget: str | None) -> bool:
    """Whether a network costs what a budget allows: references belong to whichever they fit."""
    if budget is None:
        return True
    bands = [band for band in study.bands if band["text"] == budget]
    return any(band["low"] <= getattr(tried, band["metric"]) <= band["high"] for band in bands)


def _worth(axis: Axis) -> bool:
    if axis.distinct < 2 or len(axis.levels) > MOST_LEVELS:
        return False
    return not axis.cost or bool(axis.values.max() > COSTS_VARY * axis.values.min())


def _accuracies(kept: Sequence[Placed]) -> tuple[Floats, list[str], bool]:
    """Accuracies of networks over common seeds, what to say of them, and whether studies' seeds differ."""
    common = set.intersection(*(set(tried.accuracies) for _, tried in kept)) if kept else set()
    if common:
        means = [np.mean([tried.accuracies[seed] for seed in sorted(common)]) for _, tried in kept]
        return np.array(means, dtype=np.float64), [], False
    values = np.array([tried.accuracy for _, tried in kept], dtype=np.float64)
    split = len({s for s, _ in kept}) > 1
    note = "the networks share no seed: each has the mean of its own, and a seed's shift adds noise"
    return values, [note] if kept else [], split


def _choices(studies: Sequence[Study], chosen: Sequence[Placed]) -> tuple[list[int], dict[str, Axis], int]:
    """The rows that have the sampler's parameters, these and the budget's cost, and none left out beside."""
    names: dict[str, None] = {}
    found: dict[int, Mapping[str, Any]] = {}
    by_number = [{trial.number: trial for trial in study.trials} for study in studies]
    for row, (s, tried) in enumerate(chosen):
        choices = by_number[s][tried.trial].choices
        if choices:
            found[row] = choices
            names |= dict.fromkeys(choices)
    # one space at a time: a network of another has no value here
    rows = [row for row, choices in found.items() if choices.keys() == names.keys()]
    if not rows:
        return [], {}, 0
    axes = {name: _parameter(name, [found[row][name] for row in rows]) for name in names}
    metric = studies[0].metric
    costs = np.array([getattr(chosen[row][1], metric) for row in rows], dtype=np.float64)
    axes[UNITS[metric]] = Axis(UNITS[metric], costs, log=True, cost=True)
    return rows, axes, 0


def _parameter(name: str, values: Sequence[Any]) -> Axis:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if not numbers:
        return axis_of(name, [word_of(value) for value in values])
    array = np.array(values, dtype=np.float64)
    return axis_of(name, array, log=bool(array.min() > 0 and array.max() >= SPANS * array.min()))
