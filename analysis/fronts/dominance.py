"""Which of many points others dominate, lower being better in all coordinates: the work behind the fronts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

from nas.verdict.front import Bools, Floats, sorting

SWEPT = 500  # points from which on halves are compared, all at once, rather than point after point
LEAF = 16  # points of which each is compared with all before it


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
