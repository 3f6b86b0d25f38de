"""What a fit answers: a number with its interval, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

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
