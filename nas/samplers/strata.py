"""A wide band cut into strata of equal width in log cost, visited in turn.

Most networks of a wide band cost nearly the most it allows: uniform draws would see its costly end only.
Strata are visited in the order of the van der Corput sequence (Niederreiter 1992, section 3.1), which fills
the range evenly from the start.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Container

import numpy as np

from nas.samplers.band import Band
from nas.samplers.feasible import Feasible
from nas.samplers.limits import Limits
from space.budget import Budget

STRATA = 8  # a power of two: each has its turn once in so many trials; eight is chosen, not measured


class Strata:
    """The parts of `band` that hold networks within the limits, in rising cost.

    Raises `InputError` where there is none.
    """

    def __init__(
        self, band: Band, count: int, seen: Container[tuple[int, ...]], limits: Limits, seed: int
    ) -> None:
        bands = [band] if count == 1 else _cut(band, count)
        self.parts = [Feasible(bands[i], seen, limits) for i in limits.meeting(bands)]
        self._highs = [part.band.budget.high for part in self.parts]
        # a seed enters the sequence at a place of its own
        self._shift = float(np.random.default_rng(seed).random())

    def __len__(self) -> int:
        return len(self.parts)

    def of(self, cost: int) -> int:
        """The stratum of a cost; of one between strata, the next."""
        return min(bisect.bisect_left(self._highs, cost), len(self.parts) - 1)

    def order(self, before: int) -> list[int]:
        """All strata, first the one whose turn it is after so many trials, then the ones nearest to it."""
        turn = int((_radical_inverse(before) + self._shift) % 1.0 * len(self.parts))
        return sorted(range(len(self.parts)), key=lambda i: (abs(i - turn), i))


def _cut(band: Band, count: int) -> list[Band]:
    """Bands of equal ratio that together are the whole; those without networks are left out."""
    budget = band.budget
    ends = np.geomspace(max(budget.low, 1), budget.high + 1, count + 1)
    starts = [budget.low, *(math.ceil(end) for end in ends[1:-1]), budget.high + 1]
    cut = []
    for low, following in itertools.pairwise(starts):
        # both ends of a budget are inside, so a part ends one below the next
        if low < following:
            part = band.part(Budget(budget.text, budget.metric, low, following - 1))
            cut += [part] if part.count > 0 else []
    return cut


def _radical_inverse(number: int) -> float:
    """The bits of a number mirrored at the binary point, in [0, 1)."""
    inverse, digit = 0.0, 0.5
    while number > 0:
        inverse += digit * (number & 1)
        number, digit = number >> 1, digit / 2
    return inverse
