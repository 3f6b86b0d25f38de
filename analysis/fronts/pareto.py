"""Which networks no other one beats: the Pareto front of cost (lower is better) and value (higher)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.verdict.front import checked_points, front

Floats = NDArray[np.float64]


def hypervolume(cost: ArrayLike, value: ArrayLike, reference: tuple[float, float]) -> float:
    """Area between the front and `reference`, a (cost, value) point; in units of cost times value.

    Points that are not better than the reference in both add nothing. 0 without points. O(n log n).
    Raises `ValueError` where `front` does, and for infinite points or an infinite reference.
    Source: Zitzler and Thiele 1998, "Multiobjective optimization using evolutionary algorithms".
    """
    costs, values = checked_points(cost, value)
    worst_cost, worst_value = (float(bound) for bound in reference)
    if not np.isfinite([worst_cost, worst_value, *costs, *values]).all():
        raise ValueError("hypervolume: points and reference must be finite")
    inside = (costs < worst_cost) & (values > worst_value)
    costs, values = costs[inside], values[inside]
    chosen = front(costs, values)
    # Along the front cost and value rise together, so each point owns the strip up to the next one's cost.
    # Equal points own strips of width 0, so copies are counted once.
    ends = np.append(costs[chosen][1:], worst_cost)
    return float(np.sum((ends - costs[chosen]) * (values[chosen] - worst_value)))


def front_probability(
    cost: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    draws: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Probability that each point is on the front, its value normal with `mean` and `std`; all (n,).

    `std` is that of the mean: divide the seeds' by the root of their number, or see `seeds_probability`.
    Costs are exact. Monte Carlo: standard error at most 0.5 / sqrt(draws). Raises `ValueError` as `front`,
    and for a negative `std`.
    """
    costs, means = checked_points(cost, mean)
    _, stds = checked_points(cost, std)
    if not ((stds >= 0) & np.isfinite(stds)).all():
        raise ValueError("front_probability: std must be finite and not negative")
    rng = np.random.default_rng(seed)
    return _share_on_front(costs, means, stds, np.ones(draws), rng)


def seeds_probability(
    cost: ArrayLike,
    values: ArrayLike,
    *,
    draws: int = 10_000,
) -> Floats:
    """Probability that each point is on the front of true means, from `values` (n, s) of s > 1 seeds.

    The seeds' standard deviation is pooled over the points, and its own uncertainty drawn along with it
    (chi-squared with n (s - 1) degrees of freedom). Raises `ValueError`.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"values {table.shape} must be of shape (n, s) with at least two seeds")
    costs, means = checked_points(cost, table.mean(axis=1))
    freedom = table.shape[0] * (table.shape[1] - 1)
    pooled = float(np.sqrt(table.var(axis=1, ddof=1).mean() / table.shape[1])) if freedom else 0.0
    rng = np.random.default_rng(0)
    # one factor a draw for all points: their deviation is pooled, so wrong for all alike
    widths = np.sqrt(freedom / rng.chisquare(freedom, size=draws)) if freedom else np.ones(draws)
    return _share_on_front(costs, means, np.full(means.shape, pooled), widths, rng)


def _share_on_front(
    costs: Floats,
    means: Floats,
    stds: Floats,
    widths: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Share of draws in which each point is non-dominated; `widths` (draws,) scale the noise of a draw."""
    # sorted once: costs are exact, so they are in this order in every draw
    order = np.argsort(costs, kind="stable")
    costs, means, stds = costs[order], means[order], stds[order]
    hits = np.zeros(costs.size)
    # 16 MB of draws at a time, whatever their number
    rows = max(1, 2_000_000 // max(costs.size, 1))
    for start in range(0, widths.size, rows):
        width = widths[start : start + rows, None]
        drawn = means + stds * width * rng.standard_normal((len(width), costs.size))
        hits += kept_rows(costs, drawn).sum(axis=0)
    shares = np.empty_like(hits)
    shares[order] = hits / widths.size
    return shares


def kept_rows(costs: Floats, values: Floats) -> NDArray[np.bool_]:
    """Non-dominated mask (d, n) of each row of `values` (d, n), at `costs` (n,) that rise."""
    if not costs.size:
        return np.zeros(values.shape, dtype=bool)
    # A value survives the points of lower or equal cost if it equals their best; and at a cost of its own
    # that best must not come from a lower cost: an equal value there is cheaper.
    begins = np.flatnonzero(np.r_[True, costs[1:] != costs[:-1]])
    run = np.cumsum(np.r_[True, costs[1:] != costs[:-1]]) - 1
    tops = np.maximum.reduceat(values, begins, axis=1)
    before = np.full_like(tops, -np.inf)
    before[:, 1:] = np.maximum.accumulate(tops, axis=1)[:, :-1]
    cheapest = run == 0
    kept: NDArray[np.bool_] = (values == tops[:, run]) & (cheapest | (values > before[:, run]))
    return kept
