"""Which networks no other one beats: the Pareto front of cost (lower is better) and value (higher)."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.fronts.dominance import undominated
from nas.verdict.front import checked_points, front, sorting, undominated_by_pivots

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


def front3(cost: ArrayLike, other_cost: ArrayLike, value: ArrayLike) -> NDArray[np.intp]:
    """Indices of the points non-dominated in two costs and a value, all (n,), by rising `cost`.

    As `front`, with two costs that are both better when lower: FLOPs and latency, say. O(n log^2 n).
    Raises `ValueError` where `front` does.
    Source: Kung, Luccio and Preparata 1975, "On finding the maxima of a set of vectors".
    """
    costs, values = checked_points(cost, value)
    others, _ = checked_points(other_cost, value)
    left = undominated_by_pivots(np.stack([costs, others, -values]))
    order = left[sorting(costs[left], others[left], -values[left])]
    sorted_points = np.stack([costs, others, -values], axis=1)[order]
    # Copies follow each other, and only the first of them is swept: copies do not dominate each other.
    first = np.ones(len(order), dtype=bool)
    first[1:] = (sorted_points[1:] != sorted_points[:-1]).any(axis=1)
    kept = undominated(sorted_points[first, 1], sorted_points[first, 2])
    chosen: NDArray[np.intp] = order[kept[np.cumsum(first) - 1]]
    return chosen


def hypervolume3(
    cost: ArrayLike, other_cost: ArrayLike, value: ArrayLike, reference: tuple[float, float, float]
) -> float:
    """Volume between the front in two costs and a value and `reference`, a point in the same three.

    As `hypervolume`: points that are not better than the reference in all three add nothing. O(n log n) and
    one insertion into the staircase a point of the front. Raises `ValueError` where `hypervolume` does.
    Source: Beume, Fonseca, Lopez-Ibanez, Paquete and Vahrenhold 2009, "On the complexity of computing the
    hypervolume indicator" (the sweep along one objective).
    """
    costs, values = checked_points(cost, value)
    others, _ = checked_points(other_cost, value)
    if not (np.isfinite(reference).all() and np.isfinite([costs, others, values]).all()):
        raise ValueError("hypervolume3: points and reference must be finite")
    worst, worst_other, worst_value = (float(bound) for bound in reference)
    inside = (costs < worst) & (others < worst_other) & (values > worst_value)
    costs, others, values = costs[inside], others[inside], values[inside]
    chosen = front3(costs, others, values)
    ends = np.append(costs[chosen][1:], worst)
    areas = _areas(others[chosen] - worst_other, worst_value - values[chosen])
    return float(np.sum((ends - costs[chosen]) * areas))


def attainment(runs: Sequence[tuple[ArrayLike, ArrayLike]], share: float = 0.5) -> tuple[Floats, Floats]:
    """The value that at least `share` of the runs reach within each cost: costs (m,) and values (m,).

    A run is the (cost, value) points of one seed, each of shape (n,), n may differ. Costs are all costs at
    which the surface rises; below the first it is not attained. share 0.5 is the median surface, the least
    positive share the best over all runs, 1 the worst. Raises `ValueError` as `front`, and without runs.
    Source: Fonseca and Fleming 1996; Grunert da Fonseca et al. 2001 (empirical attainment function).
    """
    if not runs or not 0 < share <= 1:
        raise ValueError("attainment: needs at least one run and a share above 0, at most 1")
    fronts = []
    for cost, value in runs:
        costs, values = checked_points(cost, value)
        chosen = front(costs, values)
        fronts.append((costs[chosen], values[chosen]))
    grid = np.unique(np.concatenate([costs for costs, _ in fronts]))
    reached = np.full((len(runs), grid.size), -np.inf)
    for row, (costs, values) in zip(reached, fronts, strict=True):
        last = np.searchsorted(costs, grid, side="right") - 1
        row[last >= 0] = values[last[last >= 0]]
    # the rounding of share * runs must not ask for one run more: 0.7 * 10 is 7.000000000000001
    needed = int(np.ceil(share * len(runs) - 1e-9))
    surface = -np.sort(-reached, axis=0)[needed - 1]
    rises = surface > np.concatenate([[-np.inf], surface[:-1]])
    return grid[rises], surface[rises]


def front_probability(
    cost: ArrayLike,
    mean: ArrayLike,
    std: ArrayLike,
    *,
    other_cost: ArrayLike | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Probability that each point is on the front, its value normal with `mean` and `std`; all (n,).

    `std` is that of the mean: divide the seeds' by the root of their number, or see `seeds_probability`.
    Costs are exact; with `other_cost` (n,) the front is that of `front3`, one sweep a draw. Monte Carlo:
    standard error at most 0.5 / sqrt(draws). Raises `ValueError` as `front`, and for a negative `std`.
    """
    costs, means = checked_points(cost, mean)
    _, stds = checked_points(cost, std)
    if not ((stds >= 0) & np.isfinite(stds)).all():
        raise ValueError("front_probability: std must be finite and not negative")
    rng = np.random.default_rng(seed)
    return _share_on_front(costs, other_cost, means, stds, np.ones(draws), rng)


def seeds_probability(
    cost: ArrayLike,
    values: ArrayLike,
    *,
    other_cost: ArrayLike | None = None,
    draws: int = 10_000,
    seed: int = 0,
) -> Floats:
    """Probability that each point is on the front of true means, from `values` (n, s) of s > 1 seeds.

    The seeds' standard deviation is pooled over the points, and its own uncertainty drawn along with it
    (chi-squared with n (s - 1) degrees of freedom). `other_cost` as in `front_probability`.
    Raises `ValueError`.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise ValueError(f"values {table.shape} must be of shape (n, s) with at least two seeds")
    costs, means = checked_points(cost, table.mean(axis=1))
    freedom = table.shape[0] * (table.shape[1] - 1)
    pooled = float(np.sqrt(table.var(axis=1, ddof=1).mean() / table.shape[1])) if freedom else 0.0
    rng = np.random.default_rng(seed)
    widths = np.sqrt(freedom / rng.chisquare(freedom, size=draws)) if freedom else np.ones(draws)
    return _share_on_front(costs, other_cost, means, np.full(means.shape, pooled), widths, rng)


def _share_on_front(
    costs: Floats,
    other_cost: ArrayLike | None,
    means: Floats,
    stds: Floats,
    widths: Floats,
    rng: np.random.Generator,
) -> Floats:
    """Share of draws in which each point is non-dominated; `widths` (draws,) scale the noise of a draw."""
    if other_cost is not None:
        others, _ = checked_points(other_cost, means)
        tally = np.zeros(costs.size)
        for width in widths:
            drawn = means + stds * width * rng.standard_normal(costs.size)
            tally[front3(costs, others, drawn)] += 1
        return tally / widths.size
    order = np.argsort(costs, kind="stable")
    costs, means, stds = costs[order], means[order], stds[order]
    hits = np.zeros(costs.size)
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


def _areas(second: Floats, third: Floats) -> Floats:
    """Area below 0 that the first i points (second, third) dominate, both negative, for each i: (n,).

    Invariant: `ys` rises and `zs` falls strictly, the (second, third) staircase of the points before, with a
    stair from 0 on at each end; a point adds what lies between it and the stairs that it covers.
    """
    areas = np.empty(second.size)
    area, ys, zs = 0.0, [-np.inf, 0.0], [-0.0, np.inf]  # zs negated, so that it can be bisected
    for i, (y, z) in enumerate(zip(second.tolist(), third.tolist(), strict=True)):
        begin = bisect_left(ys, y)  # stairs before it are left of the point
        end = bisect_right(zs, -z)  # stairs from it on are lower than the point
        if begin <= end:  # else a stair of the same or a smaller `second` is lower: nothing is added
            edges = [y, *ys[begin:end], ys[end]]
            tops = [zs[begin - 1], *zs[begin:end]]
            area += sum(
                (right - left) * (-z - top) for (left, right), top in zip(pairwise(edges), tops, strict=True)
            )
            ys[begin:end], zs[begin:end] = [y], [-z]
        areas[i] = area
    return areas
