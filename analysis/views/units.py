"""Costs on an axis: units, familiar ticks, logarithms."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from space.words import compact

Spec = dict[str, Any]
# the sizes that ConvNeXt, Swin and the networks for phones are published at
GFLOPS_TICKS = (0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 4.5, 8.7, 15.4, 34.4, 60.9)
MOST_TICKS = 9
MARGIN = 0.06  # of an axis, beyond the first and the last value


@dataclass(frozen=True)
class Unit:
    """How a cost is counted on an axis: `short` in a hover text, values divided by `divisor`."""

    title: str
    short: str
    divisor: float
    ticks: tuple[float, ...] = ()


UNITS: Mapping[str, Unit] = {
    "macs": Unit("GFLOPs (multiply-accumulates at 224x224)", "GFLOPs", 1e9, GFLOPS_TICKS),
    "params": Unit("parameters (millions)", "M parameters", 1e6),
    "activations": Unit("activations (millions, at 224x224)", "M activations", 1e6),
}


def cost_in(metric: str, value: float) -> float:
    """A cost in the unit of its axis, to four digits."""
    return compact(value / UNITS[metric].divisor)


def cost_axis(metric: str, values: Iterable[float]) -> Spec:
    """A log axis around `values`, in the metric's unit; values that are not positive are left out."""
    unit = UNITS[metric]
    return log_axis(unit.title, values, unit.ticks)


def log_axis(title: str, values: Iterable[float], familiar: Sequence[float] = ()) -> Spec:
    """A log axis around `values`, with the `familiar` ticks where at least three of them fall inside."""
    shown = [value for value in values if value > 0]
    low, high = (math.log10(end) for end in (min(shown, default=1.0), max(shown, default=1.0)))
    margin = max(MARGIN * (high - low), 0.008)
    low, high = low - margin, high + margin
    at = ticks(10**low, 10**high, familiar)
    return {
        "type": "log",
        "title": {"text": title},
        "range": [round(low, 4), round(high, 4)],
        "tickvals": at,
        "ticktext": [f"{tick:g}" for tick in at],
    }


def ticks(low: float, high: float, familiar: Sequence[float] = ()) -> list[float]:
    """Ticks of a log axis from `low` to `high`: familiar ones, else 1-2-5, else evenly spaced round ones."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    one_two_five = [compact(digit * 10.0**power) for power in decades for digit in (1, 2, 5)]
    for series in (familiar, one_two_five):
        inside = [tick for tick in series if low <= tick <= high]
        if len(inside) >= 3:
            return inside[:: 1 + (len(inside) - 1) // MOST_TICKS]
    step = round_step((high - low) / 5)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [compact(i * step, 6) for i in range(first, last + 1)]


def round_step(least: float) -> float:
    """The least of 1, 2, 5, 10, ... times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))
