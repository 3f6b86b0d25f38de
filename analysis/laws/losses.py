"""How much a residual counts: squares, or losses that forgive outliers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.laws.law import Floats


@dataclass(frozen=True)
class LossShape:
    """A loss of standardised residuals t: psi(t) = t weight(t); `tuning`: 95% efficient on a normal."""

    scipy_name: str
    tuning: float
    weight: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]

    @cached_property
    def variance(self) -> float:
        """Variance of the estimate against least squares' under standard normal residuals."""
        # E psi^2 / (E psi')^2, the asymptotic variance of an M-estimator. psi' may have steps, so E psi' is
        # taken as E t psi, which Stein's identity makes the same; psi has kinks, so by a fine even grid
        t = np.linspace(-9, 9, 3601)
        density = np.exp(-(t**2) / 2)
        density /= density.sum()
        psi = t * self.weight(t)
        return float(density @ psi**2 / (density @ (t * psi)) ** 2)


_HUBER, _SOFT = 1.345, 1.287


LOSSES: Mapping[str, LossShape] = {
    "squared": LossShape("linear", 1.0, np.ones_like, np.ones_like),
    "huber": LossShape(
        "huber",
        _HUBER,
        lambda t: _HUBER / np.maximum(np.abs(t), _HUBER),
        lambda t: (np.abs(t) <= _HUBER).astype(np.float64),
    ),
    "soft_l1": LossShape(
        "soft_l1", _SOFT, lambda t: (1 + (t / _SOFT) ** 2) ** -0.5, lambda t: (1 + (t / _SOFT) ** 2) ** -1.5
    ),
}


def spread(residual: Floats, parameters: int) -> float:
    """Median of the larger residuals, as a standard deviation (Street, Carroll and Ruppert 1988).

    A fit of p parameters can pass through p points, so the p - 1 smallest residuals say nothing.
    """
    larger = np.sort(np.abs(residual))[max(0, min(parameters, residual.size - 1) - 1) :]
    return float(np.median(larger)) / 0.6745  # the median of |z|, z standard normal
