"""A budget as the user writes it, and the band of costs it allows.

`4.5GFLOPs`, `4.5G`, `600MFLOPs`, `4.5e9`: multiply-accumulates at 224x224, as the ConvNeXt paper counts
FLOPs; `30Mparams`: parameters; `13Mactivations`: output elements of convolutions; `4GFLOPs..5GFLOPs`: both
ends of the band; a list is separated by commas.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from space.errors import InputError, quoted

METRICS = {"flops": "macs", "macs": "macs", "params": "params", "activations": "activations"}
PREFIXES = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
UNITS = {"macs": "FLOPs", "params": "params", "activations": "activations"}
NUMBER = re.compile(
    r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)"
    r"\s*((?:(?!macs\s*$)[kmgt])?)\s*([a-z]*)\s*",  # the m of 5macs is no prefix
    re.I,
)
EXAMPLES = "write it like 4.5GFLOPs, 600MFLOPs, 4.5e9 or 30Mparams"
DEFAULT_BAND = (0.95, 1.0)
MOST_SHARE = 1000  # with the largest budget still a 64-bit integer
MOST_BUDGETS = 100
MOST_CHARACTERS = 40  # of a number


@dataclass(frozen=True)
class Budget:
    """Costs from `low` to `high`, both included, of one metric: macs, params or activations."""

    text: str
    metric: str
    low: int
    high: int

    def allows(self, cost: int) -> bool:
        """Whether a cost of the budget's metric lies in the band."""
        return self.low <= cost <= self.high

    def __str__(self) -> str:
        unit = UNITS[self.metric]
        return f"{quantity(self.low, unit)} to {quantity(self.high, unit)}"


def parse_budget(text: str, band: tuple[float, float] = DEFAULT_BAND) -> Budget:
    """One budget; its band is `band` times the number (low, high shares), or the two ends of a range.

    Raises `InputError` in one line.
    """
    low_share, high_share = band
    if not 0 < low_share <= high_share <= MOST_SHARE:
        raise InputError(
            f"band {low_share:g}:{high_share:g}: must be two shares of the budget, "
            f"0 < low <= high <= {MOST_SHARE}"
        )
    if ".." in text:
        low_text, high_text = text.split("..", 1)
        (low, metric), (high, other) = _quantity(low_text, text), _quantity(high_text, text)
        if metric != other or low > high:
            raise InputError(f"budget {quoted(text)}: a range goes from low to high in one unit")
    else:
        number, metric = _quantity(text, text)
        # in decimals as written: 0.95 and 8.53 are not binary fractions
        low, high = number * Fraction(str(low_share)), number * Fraction(str(high_share))
    # inwards: a whole cost that is allowed lies between the ends as they were written
    return Budget(text.strip(), metric, math.ceil(low), math.floor(high))


def parse_budgets(text: str, band: tuple[float, float] = DEFAULT_BAND) -> list[Budget]:
    """Budgets separated by commas, all of one metric, in rising order, none twice."""
    parts = text.split(",")
    if len(parts) > MOST_BUDGETS:
        raise InputError(f"budget {quoted(text)}: {len(parts):,} budgets; at most {MOST_BUDGETS}")
    budgets = [parse_budget(part, band) for part in parts]
    if len({budget.metric for budget in budgets}) > 1:
        raise InputError(f"budget {quoted(text)}: all must have one unit")
    budgets.sort(key=lambda budget: (budget.high, budget.low))
    if len({(budget.low, budget.high) for budget in budgets}) < len(budgets):
        raise InputError(f"budget {quoted(text)}: one stands twice")
    return budgets


def quantity(value: float, unit: str = "") -> str:
    """A cost for people: 4.456 GFLOPs, 28.59 Mparams."""
    for prefix, scale, digits, finer in (
        ("T", 1e12, 3, 3),
        ("G", 1e9, 3, 2),
        ("M", 1e6, 2, 2),
        ("k", 1e3, 2, 9),
    ):
        # `finer` is how many digits the next smaller prefix shows: what it would show as 1000 goes up here
        if round(value / scale * 1000, finer) >= 1000:  # 999,999 is not 1000.00 k
            return f"{value / scale:.{digits}f} {prefix}{unit}"
    return f"{value:g} {unit}".strip()


def _quantity(part: str, text: str) -> tuple[Fraction, str]:
    match = NUMBER.fullmatch(part) if len(part.strip()) <= MOST_CHARACTERS else None
    if match is None:
        raise InputError(f"budget {quoted(text)}: {quoted(part.strip())} is not a cost; {EXAMPLES}")
    number, prefix, unit = match.groups()
    metric = METRICS.get(unit.lower() or "flops")
    if metric is None:
        raise InputError(f"budget {quoted(text)}: unknown unit {quoted(unit)}; {EXAMPLES}")
    # a float first: a huge exponent would make a huge fraction
    if not 1 <= float(number) * PREFIXES[prefix.lower()] <= 1e15:
        raise InputError(f"budget {quoted(text)}: out of range (1 to 1e15); {EXAMPLES}")
    return Fraction(number) * PREFIXES[prefix.lower()], metric
