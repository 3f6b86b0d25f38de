"""Importance by permutation on networks that the model has not seen (Breiman 2001).

The loss of R^2 has an interval over repeated folds with the variance of Nadeau and Bengio 2003. Axes that
are tied are shuffled together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from analysis.axes.axes import Axis
from analysis.axes.confounding import Floats
from analysis.axes.networkwise import Ids, Interval, bootstrap_weights, half_width
from analysis.axes.regression import features, model

PERMUTATION = "permutation"
FOLDS = 5  # five or ten, says Hastie, Tibshirani and Friedman 2009, section 7.10
SHUFFLES = 5  # of each axis in each fold: chosen, not measured


def r2_lost(
    axes: Mapping[str, Axis],
    y: Floats,
    ids: Ids,
    units: Sequence[tuple[str, ...]],
    level: float,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[Interval, dict[tuple[str, ...], tuple[float, float, float]]]:
    """R^2 out of fold, and for each unit of axes: R^2 lost by shuffling it, standard error, freedom.

    All shuffled copies of a fold are predicted at once; scikit-learn's own function has no joint shuffling.
    """
    x, names = features(axes), list(axes)
    columns = [[names.index(name) for name in unit] for unit in units]
    squares = np.zeros(len(y))
    lost: list[Floats] = []
    variance = float(y.var())
    for held in (fold for _ in range(repeats) for fold in _folds(ids, rng)):
        train = np.setdiff1d(np.arange(len(y)), held)
        fitted = model(axes).fit(x[train], y[train])
        error = (y[held] - fitted.predict(x[held])) ** 2
        # each row is held out once a repeat
        squares[held] += error / repeats
        copies = [_shuffled(x[held], c, rng) for c in columns for _ in range(SHUFFLES)]
        predicted = fitted.predict(np.concatenate(copies)).reshape(len(columns), SHUFFLES, len(held))
        worse = ((y[held] - predicted) ** 2).mean(axis=(1, 2)) - error.mean()
        # of all networks' variance: with its own each fold would have another unit
        lost.append(worse / variance)
    table = np.array(lost)
    # folds share most of what they train on: Nadeau and Bengio's correction is 1 / (folds - 1)
    errors = table.std(axis=0, ddof=1) * math.sqrt(1 / len(table) + 1 / (FOLDS - 1))
    scores = {
        unit: (float(v), float(e), len(table) - 1.0)
        for unit, v, e in zip(units, table.mean(axis=0), errors, strict=True)
    }
    return _r2(y, squares, ids, level, rng), scores


def _folds(ids: Ids, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Rows held out in turn; those of one network together."""
    parts = np.array_split(rng.permutation(int(ids.max()) + 1), FOLDS)
    return [np.flatnonzero(np.isin(ids, part)) for part in parts]


def _shuffled(x: Floats, columns: Sequence[int], rng: np.random.Generator) -> Floats:
    copy = x.copy()
    copy[:, columns] = x[rng.permutation(len(x))][:, columns]
    return copy


def _r2(y: Floats, squares: Floats, ids: Ids, level: float, rng: np.random.Generator) -> Interval:
    """1 - squared error / variance with its bootstrap interval by network."""
    weights = bootstrap_weights(ids, 400, rng)
    total = weights.sum(axis=1)
    mean = weights @ y / total
    spread = weights @ y**2 / total - mean**2
    drawn = 1 - (weights @ squares / total) / np.maximum(spread, 1e-15)
    value = 1 - float(squares.mean() / y.var())
    # degrees of freedom: networks less one
    reach = half_width(float(drawn.std(ddof=1)), int(ids.max()), level)
    return Interval(value, value - reach, value + reach)
