"""Main effects of axes on accuracy by a linear model: levels, at equal values of all other axes.

Intervals are bootstraps by network, each level's own at `LEVEL`; verdicts allow for the number of axes
(Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.axes.axes import Axis
from analysis.axes.confounding import Columns, Floats, block_of, confounding, stacked
from analysis.axes.networkwise import (
    EFFECTS,
    LEVEL,
    MATTERS,
    MOST,
    TIED,
    Interval,
    at_most,
    bootstrap_weights,
    checked_rows,
    half_width,
)
from nas.verdict.difference import UNCLEAR

BINS = 4  # of an axis of many values: quartiles
# networks that a level needs for an interval
FEWEST_A_LEVEL = 4


@dataclass(frozen=True)
class Level:
    """A level or bin of an axis. `mean`: of the accuracies there; `effect`: adjusted, from the mean of all.

    `at` is where it lies on a numeric axis (the median there), of a category the index.
    """

    label: str
    at: float
    networks: int
    mean: float
    effect: Interval


@dataclass(frozen=True)
class Effect:
    """The main effect of an axis: accuracy at its levels, at equal values of `adjusted_for`.

    `along` are the axes tied to it, which change with it; `p` is of no difference between the levels.
    """

    axis: str
    levels: tuple[Level, ...]
    adjusted_for: tuple[str, ...]
    along: tuple[str, ...]
    p: float
    verdict: str

    @property
    def best(self) -> Level:
        """The level of the highest adjusted accuracy."""
        return max(self.levels, key=lambda level: level.effect.value)


def main_effects(
    columns: Columns,
    accuracy: ArrayLike,
    *,
    networks: Sequence[str] | None = None,
    resamples: int = 400,
    seed: int = 0,
) -> tuple[Effect, ...]:
    """The main effect of every axis (columns of n values) on `accuracy` (n,), in accuracy's own unit.

    A linear model of the axis's levels or quantile bins and of all other axes but those tied to it; squares
    of the others where there are five networks a column. With under three networks a column, only costs are
    adjusted for. Bootstrap by network, which `networks` (n,) name. Raises `InputError`.
    """
    axes, y, ids = checked_rows(columns, accuracy, networks)
    rng = np.random.default_rng(seed)
    ties = confounding(axes)
    axes, y, ids = at_most(MOST[EFFECTS], axes, y, ids, rng)
    # first the networks as they are, then the resamples
    weights = np.vstack([np.ones(len(y)), bootstrap_weights(ids, resamples, rng)])
    tests = len(axes)
    return tuple(
        _effect(name, axes, y, weights, ties.partners(name), int(ids.max()) + 1, tests) for name in axes
    )


def _effect(
    name: str,
    axes: Mapping[str, Axis],
    y: Floats,
    weights: Floats,
    along: tuple[str, ...],
    groups: int,
    tests: int,
) -> Effect:
    bins, labels, places = _binned(axes[name])
    others = {other: axis for other, axis in axes.items() if other != name and other not in along}
    covariates, adjusted = _covariates(others, len(y), groups, len(labels))
    indicators = np.eye(len(labels))[bins]
    counts = indicators.sum(axis=0)
    common = counts >= FEWEST_A_LEVEL
    design = np.concatenate([np.ones((len(y), 1)), indicators[:, 1:], covariates], axis=1)
    # a resample without a level has no effect of it
    present = np.all(weights @ indicators[:, common] > 0, axis=1)
    fitted = _weighted_fits(design, y, weights[present])[:, 1 : len(labels)]
    effects = np.concatenate([np.zeros((len(fitted), 1)), fitted], axis=1)
    # so far effects are from the first level, which has no interval; from the mean each level has one
    share = np.where(common, counts, 0) / max(counts[common].sum(), 1)
    effects -= (effects @ share)[:, None]
    freedom = max(groups - design.shape[1], 1)
    p = _p_value(effects[:, common], freedom)
    errors = effects[1:].std(axis=0, ddof=1)
    levels = []
    for k, label in enumerate(labels):
        value = float(effects[0, k])
        reach = half_width(float(errors[k]), freedom, LEVEL) if common[k] else math.inf
        interval = Interval(value, value - reach, value + reach)
        levels.append(Level(label, places[k], int(counts[k]), float(y[bins == k].mean()), interval))
    verdict = TIED if along else MATTERS if p < (1 - LEVEL) / tests else UNCLEAR
    return Effect(name, tuple(levels), adjusted, along, p, verdict)


def _binned(axis: Axis) -> tuple[NDArray[np.intp], list[str], list[float]]:
    """The level or quantile bin of each row, and a label and a place for each."""
    if axis.categorical:
        return axis.values.astype(np.intp), list(axis.levels), [float(k) for k in range(len(axis.levels))]
    values, index = np.unique(axis.values, return_inverse=True)
    if len(values) <= BINS + 1:
        return index, [axis.text(v) for v in values], values.tolist()
    edges = np.unique(np.quantile(axis.values, np.linspace(0, 1, BINS + 1)[1:-1]))
    index = np.unique(np.searchsorted(edges, axis.values, side="right"), return_inverse=True)[1]
    labels, places = [], []
    for k in range(int(index.max()) + 1):
        inside = axis.values[index == k]
        low, high = axis.text(float(inside.min())), axis.text(float(inside.max()))
        labels.append(low if low == high else f"{low} to {high}")
        places.append(float(np.median(inside)))
    return index, labels, places


def _covariates(
    others: Mapping[str, Axis], rows: int, networks: int, levels: int
) -> tuple[Floats, tuple[str, ...]]:
    """The columns that are adjusted for, and the axes they are of: as many as the networks bear."""
    linear = {name: block_of(axis) for name, axis in others.items()}
    squares = {
        f"{name} squared": _centred_square(axis)
        for name, axis in others.items()
        if not axis.categorical and axis.distinct > 2
    }
    plain, curved = stacked(linear, rows), stacked(linear | squares, rows)
    # the richest model that leaves several networks to a coefficient
    if networks >= 5 * (curved.shape[1] + levels):
        return curved, tuple(others)
    if networks >= 3 * (plain.shape[1] + levels):
        return plain, tuple(others)
    costs = {name: linear[name] for name, axis in others.items() if axis.cost}
    return stacked(costs, rows), tuple(costs)


def _centred_square(axis: Axis) -> Floats:
    block = block_of(axis) ** 2
    return np.asarray(block - block.mean(axis=0))


def _weighted_fits(design: Floats, y: Floats, weights: Floats) -> Floats:
    """Coefficients of weighted least squares for each row of `weights` (b, n): (b, p), of least norm."""
    p = design.shape[1]
    products = (design[:, :, None] * design[:, None, :]).reshape(len(y), p * p)
    # all resamples in one product: weights are counts, so X'WX is linear in them
    gram = (weights @ products).reshape(-1, p, p)
    inverse = np.linalg.pinv(gram, rcond=1e-10, hermitian=True)
    return np.asarray(np.einsum("bij,bj->bi", inverse, weights @ (design * y[:, None])))


def _p_value(effects: Floats, freedom: int) -> float:
    """Of no difference between the levels: Hotelling's statistic with the bootstrap's covariance."""
    from scipy import stats  # type: ignore[import-untyped]

    # k levels of fixed mean have k - 1 differences
    contrasts = effects[:, 1:] - effects[:, :1]
    count = contrasts.shape[1]
    if not count or len(contrasts) < count + 3:
        return 1.0
    covariance = np.atleast_2d(np.cov(contrasts[1:], rowvar=False))
    statistic = float(contrasts[0] @ np.linalg.pinv(covariance, hermitian=True) @ contrasts[0]) / count
    return float(stats.f.sf(statistic, count, freedom))
