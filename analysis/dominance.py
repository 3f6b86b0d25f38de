"""Which of many points others dominate, lower being better in all coordinates: the work behind the fronts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

# Fewer points are sorted and swept faster than most of them are ruled out by a few, chosen from a sample, of
# which each has to dominate a share that is worthwhile; again, while this share or less is left of a round.
FEW, SAMPLE, WORTHWHILE, ROUND = 20_000, 400, 0.01, 0.7
SWEPT = 500  # points from which on halves are compared, all at once, rather than point after point
LEAF = 16  # points of which each is compared with all before it


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


def undominated(second: Floats, third: Floats) -> Bools:
    """Non-dominated mask of distinct points sorted by three coordinates, given the last two; all (n,).

    Whatever comes before a point is no worse in the first coordinate, and not equal in all: so it dominates
    the point if it is no worse in the other two.
    """
    return _swept(second, third) if second.size < SWEPT else ~_below_an_earlier(second, third)


def _swept(second: Floats, third: Floats) -> Bools:
    """`undominated`, point after point.

    Invariant: `ys` rises and `zs` falls strictly, the (second, third) staircase of the points before. A point
    is dominated if and only if the stair at or before its `second` is no higher than its `third`.
    """
    kept = np.zeros(second.size, dtype=bool)
    ys: list[float] = []
    zs: list[float] = []  # negated, so that it rises as well and can be bisected
    for i, (y, z) in enumerate(zip(second.tolist(), third.tolist(), strict=True)):
        place = bisect_right(ys, y)
        if place and -zs[place - 1] <= z:
            continue
        kept[i] = True
        begin = bisect_left(ys, y, 0, place)
        end = bisect_right(zs, -z, begin)
        ys[begin:end], zs[begin:end] = [y], [-z]
    return kept


def _below_an_earlier(second: Floats, third: Floats) -> Bools:
    """Whether an earlier point is no worse in both, (n,): by halves of halves, O(n log^2 n), in whole arrays.

    Invariant: `points` are in blocks of as many neighbours in the order given, each block sorted by `second`.
    In the right half of a block those are found whose `third` the least of the left half's, over what comes
    before in the block, does not exceed; then the halves are the blocks. (Bentley 1980, "Multidimensional
    divide-and-conquer".)
    """
    count = second.size
    bits = max(1, (count - 1).bit_length())
    size, places = 1 << bits, (1 << bits) - 1
    never = np.iinfo(np.int64).max
    # rank of `third` and place in one number, so that a least rank is a least number; the last are no points
    points = np.arange(size) | (never - places)
    points[:count] = ((_ranks(third) << bits) | np.arange(count))[sorting(second)]
    found = np.zeros(size, dtype=bool)
    half = size // 2
    while half >= LEAF:
        left = (points & half) == 0
        least = np.minimum.accumulate(np.where(left, points, never).reshape(-1, 2 * half), axis=1).ravel()
        right = ~left
        found[points[right & (least <= (points | places))] & places] = True
        halves = np.stack([points[left].reshape(-1, half), points[right].reshape(-1, half)], axis=1)
        points, half = halves.ravel(), half // 2
    found = found[:count]
    for step in range(1, min(2 * half, count)):  # the neighbours that a last block may hold
        found[step:] |= (second[:-step] <= second[step:]) & (third[:-step] <= third[step:])
    return found


def _ranks(values: Floats) -> NDArray[np.int64]:
    """The place of each value among the different ones, (n,)."""
    order = np.argsort(values)
    ordered = values[order]
    ranks = np.empty(values.size, dtype=np.int64)
    ranks[order] = np.cumsum(np.r_[False, ordered[1:] != ordered[:-1]])
    return ranks
