"""The front of cost and value: networks that no other one beats."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def front(cost: ArrayLike, value: ArrayLike) -> NDArray[np.intp]:
    """Indices of the non-dominated points, by rising cost; `cost` and `value` have shape (n,), any units.

    A point is dominated by one that is no worse in both and better in one. Equal points do not dominate
    each other, so all copies of a non-dominated point are kept, in the order given. O(n log n).
    Raises `ValueError` for NaN and for shapes that differ or are not (n,).
    """
    costs, values = checked_points(cost, value)
    left = undominated_by_pivots(np.stack([costs, -values]))
    order = left[sorting(costs[left], -values[left])]
    return order[_kept(costs[order], values[order])]


def checked_points(cost: ArrayLike, value: ArrayLike) -> tuple[Floats, Floats]:
    """Costs and values as arrays (n,). Raises `ValueError` where they do not match."""
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


Floats = NDArray[np.float64]


Bools = NDArray[np.bool_]


Ints = NDArray[np.intp]


# Fewer points are sorted and swept faster than most of them are ruled out by a few, chosen from a sample, of
# which each has to dominate a share that is worthwhile; again, while this share or less is left of a round.
FEW, SAMPLE, WORTHWHILE, ROUND = 20_000, 400, 0.01, 0.7


def sorting(*keys: Floats) -> Ints:
    """Indices (n,) that sort by the first key, then the next ones; equal points in the order given."""
    order = np.argsort(keys[0])  # without ties one quick sort does, at a fraction of a stable one of all keys
    first = keys[0][order]
    return np.lexsort(keys[::-1]) if (first[1:] == first[:-1]).any() else order


def undominated_by_pivots(points: Floats) -> Ints:
    """Rising indices of `points` (k, n) that a few of them do not dominate.

    Most points of a large set fall to few others, far faster than in a sort or a sweep (Bentley, Clarkson and
    Levine 1993, "Fast linear expected-time algorithms for computing maxima and convex hulls"). Whatever the
    few are, only dominated points go.
    """
    left, before = np.arange(points.shape[1]), np.inf
    while FEW <= left.size < ROUND * before:
        before = left.size
        for pivot in _pivots(points[:, :: max(1, left.size // SAMPLE)]):
            # what a pivot leaves: all that is better in something, and its equals
            kept = points[0] < pivot[0]
            for row, bound in zip(points[1:], pivot[1:], strict=True):
                kept |= row < bound
            same = np.flatnonzero(points[0] == pivot[0])
            kept[same] |= (points[:, same] == pivot).all(axis=0)
            left, points = left[kept], points[:, kept]
    return left


def _pivots(sample: Floats) -> list[Floats]:
    """Points (k, 1) of a sample (k, m), greedily by how much more of it each one dominates."""
    # [i, j]: i is no worse than j in anything
    reach: Bools = np.all(sample[:, :, None] <= sample[:, None, :], axis=0)
    left = np.ones(sample.shape[1], dtype=bool)
    chosen: list[Floats] = []
    while (gains := (reach & left).sum(axis=1)).max() > WORTHWHILE * left.size:
        best = int(gains.argmax())
        left &= ~reach[best]
        chosen.append(sample[:, best, None])
    return chosen
