"""A difference of two means with its interval, and what the interval says of it.

A difference counts only beside its noise: `better` and `worse` mean that the interval excludes 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from space.errors import InputError

Floats = NDArray[np.float64]

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


def cost_table(flops: ArrayLike, values: ArrayLike, name: str) -> tuple[Floats, Floats]:
    """Costs (n,) and values (n, seeds) of the set `name`. Raises `InputError`."""
    costs, table = np.asarray(flops, dtype=np.float64), np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if costs.ndim != 1 or table.ndim != 2 or len(table) != len(costs) or not table.size:
        raise InputError(f"compare: {name} has flops {costs.shape} and values {table.shape}; n and n x seeds")
    if not (np.isfinite(costs) & (costs > 0)).all() or not np.isfinite(table).all():
        raise InputError(f"compare: {name} has flops that are not positive, or values that are not numbers")
    return costs, table


def checked_errors(errors: ArrayLike) -> Floats:
    """Finite numbers, (n,). Raises `InputError`."""
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"errors of shape {values.shape} must be finite numbers, of shape (n,)")
    return values
