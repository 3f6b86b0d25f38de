"""A budget as the user writes it, and the band of costs it allows.

`4.5GFLOPs`, `4.5G`, `600MFLOPs`, `4.5e9`: multiply-accumulates at 224x224, as the ConvNeXt paper counts
FLOPs; `30Mparams`: parameters; `13Mactivations`: output elements of convolutions; `4GFLOPs..5GFLOPs`: both
ends of the band; a list is separated by commas.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from space.errors import InputError

METRICS = {"flops": "macs", "macs": "macs", "params": "params", "activations": "activations"}
PREFIXES = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
UNITS = {"macs": "FLOPs", "params": "params", "activations": "activations"}
NUMBER = re.compile(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)\s*([kmgt]?)\s*([a-z]*)\s*", re.I)
EXAMPLES = "write it like 4.5GFLOPs, 600MFLOPs, 4.5e9 or 30Mparams"
DEFAULT_BAND = (0.95, 1.0)


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
    if not 0 < low_share <= high_share:
        raise InputError(f"band {low_share:g} to {high_share:g}: must be two shares, 0 < low <= high")
    if ".." in text:
        low_text, high_text = text.split("..", 1)
        (low, metric), (high, other) = _quantity(low_text, text), _quantity(high_text, text)
        if metric != other or low > high:
            raise InputError(f"budget {text!r}: a range goes from low to high in one unit")
    else:
        number, metric = _quantity(text, text)
        low, high = number * low_share, number * high_share
    return Budget(text.strip(), metric, math.ceil(round(low, 6)), math.floor(round(high, 6)))


def parse_budgets(text: str, band: tuple[float, float] = DEFAULT_BAND) -> list[Budget]:
    """Budgets separated by commas, all of one metric, in rising order, none twice."""
    budgets = [parse_budget(part, band) for part in text.split(",")]
    if len({budget.metric for budget in budgets}) > 1:
        raise InputError(f"budget {text!r}: all must have one unit")
    budgets.sort(key=lambda budget: (budget.high, budget.low))
    if len({(budget.low, budget.high) for budget in budgets}) < len(budgets):
        raise InputError(f"budget {text!r}: one stands twice")
    return budgets


def quantity(value: float, unit: str = "") -> str:
    """A cost for people: 4.456 GFLOPs, 28.59 Mparams."""
    for prefix, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if value >= scale:
            digits = f"{value / scale:.3f}" if prefix in "GT" else f"{value / scale:.2f}"
            return f"{digits} {prefix}{unit}"
    return f"{value:g} {unit}".strip()


def _quantity(part: str, text: str) -> tuple[float, str]:
    match = NUMBER.fullmatch(part)
    if match is None:
        raise InputError(f"budget {text!r}: {part.strip()!r} is not a cost; {EXAMPLES}")
    number, prefix, unit = match.groups()
    metric = METRICS.get(unit.lower() or "flops")
    if metric is None:
        raise InputError(f"budget {text!r}: unknown unit {unit!r}; {EXAMPLES}")
    value = float(number) * PREFIXES[prefix.lower()]
    if not 1 <= value <= 1e15:
        raise InputError(f"budget {text!r}: out of range (1 to 1e15); {EXAMPLES}")
    return value, metric
