"""The laws: linear in some parameters, with one or two exponents that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]

Floats = NDArray[np.float64]


Terms = tuple[Floats, tuple[Floats, ...]]


EXPONENTS = (0.02, 5.0)  # outside, a power of F over a few octaves is a logarithm or a step


@dataclass(frozen=True)
class Law:
    """error = offset + sum of linear parameters times terms; `axes` bound the others, the first is log c.

    `guess_error` is the error of guessing, the ceiling of laws that saturate at both ends.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    axes: tuple[tuple[float, float], ...]
    terms: Callable[[Floats, Floats], Terms] = field(repr=False)
    linear: int = 1
    guess_error: float = np.inf

    def bounds(self, parameter: str) -> tuple[float, float]:
        """The least and the largest value a parameter may take."""
        known = {"a": (0.0, self.guess_error), "b": (0.0, np.inf), "c": EXPONENTS}
        return known[parameter]

    def named(self, shape: Floats, linear: Floats, log_unit: float) -> dict[str, Floats]:
        """The reported parameters of `shape` (..., k) and `linear` (..., j), for F in the units given."""
        # b of F in the user's units: logs are less `log_unit`, and (F / u)^-c = u^c F^-c
        c = np.exp(shape[..., 0])
        if not np.isfinite(self.guess_error):
            values = {"b": linear[..., -1] * np.exp(c * log_unit), "c": c}
            return {"a": linear[..., 0], **values} if "a" in self.parameters else values
        a = linear[..., 0]
        values = {"a": a, "b": np.exp(shape[..., 1] + c * log_unit), "c": c}
        return {name: np.broadcast_to(values[name], a.shape) for name in self.parameters}


def _power_terms(logs: Floats, shape: Floats) -> Terms:
    return np.zeros(()), (np.exp(-np.exp(shape[..., :1]) * logs),)


def _saturating_terms(logs: Floats, shape: Floats) -> Terms:
    falling = np.exp(-np.exp(shape[..., :1]) * logs)
    return np.zeros(()), (np.ones_like(falling), falling)


def _guessing_terms(guess_error: float) -> Callable[[Floats, Floats], Terms]:
    """error = a (1 - s) + guess_error s with s / (1 - s) = v F^-c, so a is linear."""

    def terms(logs: Floats, shape: Floats) -> Terms:
        # a logistic function of log F, which no extreme of v or F overflows
        share = special.expit(shape[..., 1:2] - np.exp(shape[..., :1]) * logs)
        return guess_error * share, (1.0 - share,)

    return terms


_LOG_C = (float(np.log(EXPONENTS[0])), float(np.log(EXPONENTS[1])))


_LOG_V = (-14.0, 7.0)  # share of the way from a to guessing at the middle of the data: 1e-6 .. 0.999


POWER = Law("power", "b F^-c", ("b", "c"), (_LOG_C,), _power_terms)


SATURATING_POWER = Law(
    "saturating power", "a + b F^-c", ("a", "b", "c"), (_LOG_C,), _saturating_terms, linear=2
)


def double_saturation(guess_error: float) -> Law:
    """(e - a) / (guess_error - e) = b F^-c: flat at a for large networks and at guessing for tiny ones.

    `guess_error` in the unit of the errors: 99.9 for 1000 classes in percent. Estimator M4 of Alabdulmohsin
    et al. 2022, section 4, with alpha = 1; unlike there, the error of guessing is known and residuals are
    errors, not logarithms of both sides.
    """
    formula = "(e - a) / (guess - e) = b F^-c"
    terms = _guessing_terms(guess_error)
    return Law(
        "double saturation", formula, ("a", "b", "c"), (_LOG_C, _LOG_V), terms, guess_error=guess_error
    )
