"""A difference of two means with its interval, and what the interval says of it.

A difference counts only beside its noise: `better` and `worse` mean that the interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus mean of the second, with its interval; infinite where the noise is unknown."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not distinguishable`: of the first set, where higher values are better."""
        return verdict(self.low, self.high)


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says, where more is better."""
    if low > 0:
        return BETTER
    return WORSE if high < 0 else UNCLEAR


def welch(variances: Sequence[float], sizes: Sequence[float], level: float) -> float:
    """Half an interval by Student's t; Welch and Satterthwaite's degrees of freedom, n - 1 for one sample."""
    from scipy import special  # type: ignore[import-untyped]  # not needed for --help

    total = sum(variances)
    if total == 0:
        return 0.0
    freedom = 1 / sum((e / total) ** 2 / (size - 1) for e, size in zip(variances, sizes, strict=True))
    return float(special.stdtrit(freedom, 0.5 + level / 2)) * float(np.sqrt(total))
