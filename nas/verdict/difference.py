"""A difference of two means with its interval, and what the interval says of it.

A difference counts only beside its noise: `better` and `worse` mean that the interval excludes 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus mean of the second, with its interval; infinite where the noise is unknown.

    `pairs` are the differences that it is the mean of, where they are paired.
    """

    value: float
    low: float
    high: float
    pairs: tuple[float, ...] = field(default=(), compare=False)

    @property
    def too_few(self) -> bool:
        """Whether two pairs are all there is, and do not decide: then they say more than their interval.

        Student's t of two reaches 9 standard deviations to each side, of three 2.5, of five 1.2.
        """
        return len(self.pairs) == 2 and self.verdict == UNCLEAR

    def interval(self, level: float, *, of: str = "two seeds", scale: float = 100.0) -> str:
        """Such as `95% interval +0.4 to +2.0`, in points; both pairs in its place where they are too few."""
        if math.isinf(self.low):
            return "no interval"
        if self.too_few:
            one, other = (f"{scale * each:+.1f}" for each in self.pairs)
            return f"{one} and {other}: {of} give no useful interval"
        return f"{level:.0%} interval {scale * self.low:+.1f} to {scale * self.high:+.1f}"

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not distinguishable`: of the first set, where higher values are better."""
        return verdict(self.low, self.high)


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says, where more is better."""
    if low > 0:
        return BETTER
    return WORSE if high < 0 else UNCLEAR


def student(freedom: float, level: float) -> float:
    """Half a two-sided interval in standard errors, by Student's t of so many degrees of freedom."""
    from scipy import special  # type: ignore[import-untyped]  # not needed for --help

    return float(special.stdtrit(freedom, (1 + level) / 2))


def welch(variances: Sequence[float], sizes: Sequence[float], level: float) -> float:
    """Half an interval by Student's t; Welch and Satterthwaite's degrees of freedom, n - 1 for one sample."""
    total = sum(variances)
    if total == 0:
        return 0.0
    freedom = 1 / sum((e / total) ** 2 / (size - 1) for e, size in zip(variances, sizes, strict=True))
    return student(freedom, level) * float(np.sqrt(total))
