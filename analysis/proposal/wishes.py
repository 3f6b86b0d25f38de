"""What each dimension of a network is to be at a larger budget, by its power law or kept, and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.isoflop.profiles import Profiles
    from analysis.laws.answer import Answer
    from space.architecture import Architecture

RULE, KEPT = "power law", "kept"
LEAST_TOLERANCE, OPEN = 0.1, 1.0  # octaves: of a dimension that is known well, and of one that is not


@dataclass(frozen=True)
class Wish:
    """What a dimension is to be at the target, and why; `tolerance` in octaves."""

    dimension: str
    value: float
    answer: Answer
    source: str
    reason: str
    tolerance: float


def wishes(found: Profiles, best: Architecture, target: float) -> dict[str, Wish]:
    """Each dimension at the target, by its power law or kept."""
    from analysis.isoflop.sample import dimensions
    from space.columns import columns_of

    own = {name: float(2 ** x[0]) for name, x in dimensions(columns_of([best]), 1).items()}
    return {name: _wish(found, name, own[name], target) for name in found.optima if name in own}


def _wish(found: Profiles, name: str, own: float, target: float) -> Wish:
    from analysis.laws.answer import Estimate

    rule = found.rules[name]
    if rule.identified:
        answer = rule.at(target, found.level)
        reason = f"exponent {rule.exponent}"
        if isinstance(answer, Estimate):
            # half the interval: what is known well is to be met closely
            tolerance = min(max(math.log2(answer.high / answer.low) / 2, LEAST_TOLERANCE), OPEN)
            return Wish(name, answer.value, answer, RULE, reason, tolerance)
        return Wish(name, rule.value(target), answer, RULE, f"{reason}; so far out {answer.reason}", OPEN)
    largest = max(found.optima[name], key=lambda one: one.group.cost)
    if isinstance(largest.answer, Estimate):
        return Wish(name, largest.answer.value, rule.exponent, KEPT, str(rule.exponent), OPEN / 2)
    return Wish(name, own, rule.exponent, KEPT, str(rule.exponent), OPEN)
