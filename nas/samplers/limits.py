"""Limits beside the budget: parameters and activations, in closed form, and latency, which is measured."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from space.budget import UNITS, parse_budget, quantity
from space.columns import Array
from space.cost import Cost
from space.errors import InputError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from nas.samplers.band import Band
    from space.architecture import Architecture

SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
MOST_SECONDS = 86400.0
LATENCY = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(us|µs|ms|s)\s*", re.I)
# draws that look for a network within the limits: seconds where counts are exact, slower through bins
MOST_DRAWS, MOST_BINNED_DRAWS = 1_000_000, 100_000
BATCH = 20_000
# a band of so many networks is looked through whole, so that "none" is certain
ENUMERABLE = 200_000


class TooSlowError(Exception):
    """So many networks in a row were too slow that the search ends; the message says how many."""


@dataclass(frozen=True)
class Limits:
    """The most parameters, activations and seconds of a forward pass; `latency` measures the latter.

    None is no limit.
    """

    max_params: int | None = None
    max_activations: int | None = None
    max_latency: float | None = None
    latency: Callable[[Architecture], float] | None = None

    @property
    def closed_form(self) -> dict[str, int]:
        """The limits known before anything is built, by metric of `Cost`."""
        limits = {"params": self.max_params, "activations": self.max_activations}
        return {metric: most for metric, most in limits.items() if most is not None}

    def allow(self, cost: Cost) -> Array:
        """Whether costs, one or [N], are within the closed-form limits."""
        within = [getattr(cost, metric) <= most for metric, most in self.closed_form.items()]
        return np.logical_and.reduce(within) if within else np.ones(np.shape(cost.params), dtype=bool)

    def meeting(self, bands: Sequence[Band]) -> list[int]:
        """Which of the bands have a network within the closed-form limits, as far as draws can tell.

        Raises `InputError` with the smallest values seen where none has.
        """
        least: dict[str, int] = {}
        if not self.closed_form:
            return list(range(len(bands)))
        found = [i for i, band in enumerate(bands) if self._met(band, least, len(bands))]
        if found:
            return found
        limits = ", ".join(
            f"--max-{metric} {quantity(most, UNITS[metric])} (the smallest seen: {quantity(least[metric])})"
            for metric, most in self.closed_form.items()
        )
        raise InputError(f"{limits}: no network of {bands[0].space.name} in the budget meets it")

    def _met(self, band: Band, least: dict[str, int], bands: int) -> bool:
        """Whether a network of one of so many bands meets the limits; `least` learns the smallest costs."""
        # always the same draws: whether a study is refused does not change from run to run
        rng = np.random.default_rng(0)
        listed = band.count_is_exact and band.count <= ENUMERABLE
        most = MOST_DRAWS if band.count_is_exact else MOST_BINNED_DRAWS
        # the bands share the draws: many strata take no longer than one band
        for _ in range(1 if listed else math.ceil(most / bands / BATCH)):
            codes = band.all_codes() if listed else band.sample_codes(BATCH, rng)
            costs = band.space.costs(codes)
            for metric in self.closed_form:
                smallest = int(np.min(getattr(costs, metric)))
                least[metric] = min(least.get(metric, smallest), smallest)
            if np.any(self.allow(costs)):
                return True
        return False


def parse_most(text: str, metric: str) -> int:
    """`30M` or `30Mparams` of the metric params or activations. Raises `InputError` in one line."""
    text = text.strip()
    named = text if text.lower().endswith(tuple(UNITS.values())) else text + UNITS[metric]
    try:
        # a limit is written as a budget is; a band of nothing but its end gives the number
        budget = parse_budget(named, (1.0, 1.0))
    except InputError:
        budget = None
    if budget is None or ".." in text or budget.metric != metric:
        raise InputError(
            f"max-{metric}: {quoted(text)} is no number of {metric}; write it like 30M or 30M{metric}"
        )
    return budget.high


def parse_latency(text: str) -> float:
    """Seconds of `5ms`, `0.005s` or `500us`. Raises `InputError` in one line."""
    match = LATENCY.fullmatch(text) if len(text) <= 100 else None
    seconds = float(match[1]) * SECONDS[match[2].lower()] if match else 0.0
    if not 0 < seconds <= MOST_SECONDS:
        raise InputError(
            f"max-latency: {quoted(text.strip())} is no time; write it like 5ms, 0.005s or 500us"
        )
    return seconds


def milliseconds(seconds: float) -> str:
    """A latency for people: 5.24 ms."""
    return f"{seconds * 1000:.3g} ms"
