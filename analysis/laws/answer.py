"""What a fit answers: a number with its interval, or why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from space.words import compact

FACTOR = 3.0  # an interval wider than this factor names no number


@dataclass(frozen=True)
class Estimate:
    """A number that the data determine, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True)
class NotIdentified:
    """No number: the data allow everything from `low` to `high`."""

    reason: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"not identified: {self.reason}"


Answer = Estimate | NotIdentified


def in_percent(answer: Answer, what: str = "") -> str:
    """An answer in percent, of `what`, with its interval; or why there is none."""
    if isinstance(answer, Estimate):
        return f"{answer.value:.2f}%{what} ({answer.low:.2f} to {answer.high:.2f})"
    return str(answer)


def plain(answer: Answer) -> dict[str, Any]:
    """An answer as plain values, or why there is none."""
    ends = {
        name: compact(end, 4) if math.isfinite(end) else None
        for name, end in (("low", answer.low), ("high", answer.high))
    }
    if isinstance(answer, Estimate):
        return {"value": compact(answer.value, 4), **ends}
    return {"not identified": answer.reason, **ends}


def answer_of(value: float, interval: tuple[float, float], bounds: tuple[float, float]) -> Answer:
    """The number, or none where its interval reaches a bound or covers a factor over `FACTOR`."""
    low, high = interval
    at_low = low <= bounds[0] + 1e-6 * abs(bounds[0])
    if at_low or high >= bounds[1] * (1 - 1e-6):
        bound = bounds[0] if at_low else bounds[1]
        reason = f"the interval {low:.3g} to {high:.3g} reaches the bound {bound:.3g}"
    elif high > FACTOR * low:
        reason = f"the interval {low:.3g} to {high:.3g} covers a factor over {FACTOR:g}"
    else:
        return Estimate(value, low, high)
    return NotIdentified(reason, low, high)
