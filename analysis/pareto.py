"""Which networks no other one beats: the Pareto front of cost (lower is better) and value (higher)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def front(cost: ArrayLike, value: ArrayLike) -> NDArray[np.intp]:
    """Indices of the non-dominated points, by rising cost; `cost` and `value` have shape (n,), any units.

    A point is dominated by one that is no worse in both and better in one. Equal points do not dominate
    each other, so all copies of a non-dominated point are kept, in the order given. O(n log n).
    Raises `ValueError` for NaN and for shapes that differ or are not (n,).
    """
    costs, values = _points(cost, value)
    order = np.lexsort((-values, costs))  # stable: equal points stay in the order given
    return order[_kept(costs[order], values[order])]


def hypervolume(cost: ArrayLike, value: ArrayLike, reference: tuple[float, float]) -> float:
    """Area between the front and `reference`, a (cost, value) point; in units of cost times value.

    Points that are not better than the reference in both add nothing. 0 without points. O(n log n).
    Raises `ValueError` where `front` does, and for infinite points or an infinite reference.
    Source: Zitzler and Thiele 1998, "Multiobjective optimization using evolutionary algorithms".
    """
    costs, values = _points(cost, value)
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


def _points(cost: ArrayLike, value: ArrayLike) -> tuple[Floats, Floats]:
    costs, values = np.asarray(cost, dtype=np.float64), np.asarray(value, dtype=np.float64)
    if costs.ndim != 1 or costs.shape != values.shape:
        raise ValueError(f"cost {costs.shape} and value {values.shape} must be of one shape (n,)")
    for name, numbers in (("cost", costs), ("value", values)):
        missing = np.flatnonzero(np.isnan(numbers))
        if missing.size:
            raise ValueError(f"{name}[{missing[0]}] is NaN: a point without a {name} has no place on a front")
    return costs, values


def _kept(costs: Floats, values: Floats) -> NDArray[np.bool_]:
    """Non-dominated mask of points sorted by rising cost, then falling value."""
    if not costs.size:
        return np.zeros(0, dtype=bool)
    # Invariant: each run of equal cost starts with its best value, so a point survives its own run if it
    # equals the run's first, and survives the cheaper ones if it is above everything before the run.
    begins = np.r_[True, costs[1:] != costs[:-1]]
    first = np.maximum.accumulate(np.where(begins, np.arange(costs.size), 0))
    best_so_far = np.maximum.accumulate(values)
    kept: NDArray[np.bool_] = (values == values[first]) & ((first == 0) | (values > best_so_far[first - 1]))
    return kept
