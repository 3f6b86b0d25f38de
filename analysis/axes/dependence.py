"""Partial dependence (Friedman 2001): the model's accuracy along one axis, the others as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.axes.axes import Axis
from analysis.axes.confounding import Columns, Floats
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import (
    LEVEL,
    MOST,
    at_most,
    bootstrap_weights,
    checked_rows,
    half_width,
    some_rows,
)
from analysis.axes.regression import features, model

BACKGROUND = 100  # rows that a curve is the mean over
POINTS = 9  # of a curve
CUNNANE = 0.4  # of the plotting positions of a quantile


@dataclass(frozen=True)
class Curve:
    """Partial dependence (Friedman 2001): the model's mean accuracy at (k,) values `at`, less its mean.

    `low` and `high` are the bootstrap's, by network.
    """

    axis: str
    at: tuple[float, ...]
    labels: tuple[str, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


def partial_dependence(
    columns: Columns,
    accuracy: ArrayLike,
    *,
    networks: Sequence[str] | None = None,
    resamples: int = 20,
) -> tuple[Curve, ...]:
    """How the model's accuracy depends on each axis (columns of n values), the others as they are.

    From the 5th to the 95th percentile of a number, in accuracy's unit; each curve less its
    mean, with intervals from models refitted to bootstrap samples of networks. Raises `InputError`.
    """
    axes, y, ids = checked_rows(columns, accuracy, networks)
    rng = np.random.default_rng(0)
    axes, y, ids = at_most(MOST[PERMUTATION], axes, y, ids, rng)
    x = features(axes)
    # the same rows for every model and value, so that curves differ by these alone
    background = x[some_rows(len(x), BACKGROUND, rng)]
    # the first is the curve, the others its interval
    models = [model(axes).fit(x, y)]
    for counts in bootstrap_weights(ids, resamples, rng).astype(int):
        drawn = np.repeat(np.arange(len(y)), counts)
        models.append(model(axes).fit(x[drawn], y[drawn]))
    grids = [_grid(background[:, j], categorical=axis.categorical) for j, axis in enumerate(axes.values())]
    predicted = _predicted(models, background, grids)
    return tuple(map(_curve, axes.values(), grids, predicted))


def _grid(values: Floats, *, categorical: bool) -> Floats:
    """The values of one axis, or evenly from the 5th to the 95th percentile where they are many: (k,)."""
    distinct = np.unique(values)
    if categorical or distinct.size < POINTS:
        return distinct
    return np.asarray(np.linspace(quantile(values, 0.05), quantile(values, 0.95), num=POINTS))


def quantile(values: Floats, share: float) -> float:
    """By Cunnane's plotting positions, as in `scipy.stats.mstats.mquantiles` and scikit-learn's grids."""
    ordered = np.sort(values)
    position = len(ordered) * share + (CUNNANE + share * (1 - CUNNANE - CUNNANE))
    below = int(min(max(position, 1), len(ordered) - 1))
    part = min(max(position - below, 0.0), 1.0)
    return float((1 - part) * ordered[below - 1] + part * ordered[below])


def _predicted(models: Sequence[Any], background: Floats, grids: Sequence[Floats]) -> list[Floats]:
    """For each axis the mean prediction of each model at its grid, less the mean over it: (models, k).

    All axes and values at once: a call of a model takes a millisecond, however few rows it is of.
    """
    copies = []
    for j, grid in enumerate(grids):
        rows = np.tile(background, (len(grid), 1))
        rows[:, j] = np.repeat(grid, len(background))
        copies.append(rows)
    table = np.concatenate(copies)
    means = np.stack([fitted.predict(table).reshape(-1, len(background)).mean(axis=1) for fitted in models])
    ends = np.cumsum([len(grid) for grid in grids])[:-1]
    return [curves - curves.mean(axis=1, keepdims=True) for curves in np.split(means, ends, axis=1)]


def _curve(axis: Axis, grid: Floats, drawn: Floats) -> Curve:
    value = drawn[0]
    # the deviation is of the len(drawn) - 1 resamples
    reach = half_width(1.0, max(len(drawn) - 2, 1), LEVEL) * np.std(drawn[1:], axis=0, ddof=1)
    at = np.exp(grid) if axis.log else grid
    return Curve(
        axis.name,
        tuple(at.tolist()),
        tuple(axis.text(v) for v in at.tolist()),
        tuple(value.tolist()),
        tuple((value - reach).tolist()),
        tuple((value + reach).tolist()),
    )
