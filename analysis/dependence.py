"""Partial dependence (Friedman 2001): the model's accuracy along one axis, the others as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.axes import Axis
from analysis.confounding import Columns, Floats
from analysis.held_out import PERMUTATION
from analysis.networkwise import LEVEL, MOST, at_most, bootstrap_weights, checked_rows, half_width, some_rows
from analysis.regression import features, model

BACKGROUND = 100  # rows that a curve is the mean over


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
    level: float = LEVEL,
    resamples: int = 20,
    points: int = 9,
    seed: int = 0,
) -> tuple[Curve, ...]:
    """How the model's accuracy depends on each axis (columns of n values), the others as they are.

    From the 5th to the 95th percentile of a number, by scikit-learn, in accuracy's unit; each curve less its
    mean, with intervals from models refitted to bootstrap samples of networks. Raises `InputError`.
    """
    axes, y, ids = checked_rows(columns, accuracy, networks)
    rng = np.random.default_rng(seed)
    axes, y, ids = at_most(MOST[PERMUTATION], axes, y, ids, rng)
    x = features(axes)
    background = x[some_rows(len(x), BACKGROUND, rng)]
    models = [model(axes).fit(x, y)]
    for counts in bootstrap_weights(ids, resamples, rng).astype(int):
        drawn = np.repeat(np.arange(len(y)), counts)
        models.append(model(axes).fit(x[drawn], y[drawn]))
    return tuple(_curve(axis, j, models, background, points, level) for j, axis in enumerate(axes.values()))


def _curve(
    axis: Axis, column: int, models: Sequence[Any], background: Floats, points: int, level: float
) -> Curve:
    from sklearn.inspection import partial_dependence as dependence

    drawn, grid = [], np.zeros(0)
    for fitted in models:
        found = dependence(
            fitted,
            background,
            [column],
            categorical_features=[column] if axis.categorical else None,
            grid_resolution=points,
            kind="average",
            method="brute",
        )
        grid, curve = found["grid_values"][0], found["average"][0]
        drawn.append(curve - curve.mean())
    value = drawn[0]
    reach = half_width(1.0, max(len(models) - 2, 1), level) * np.std(drawn[1:], axis=0, ddof=1)
    at = np.exp(grid) if axis.log else grid
    return Curve(
        axis.name,
        tuple(at.tolist()),
        tuple(axis.text(v) for v in at.tolist()),
        tuple(value.tolist()),
        tuple((value - reach).tolist()),
        tuple((value + reach).tolist()),
    )
