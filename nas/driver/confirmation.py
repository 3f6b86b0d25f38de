"""Which networks are trained again with fresh seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.record.trial import Trial


def chosen(trials: Sequence[Trial], count: int, front: bool) -> Sequence[Trial]:
    """The networks to confirm: the most accurate, or along the front, from the cheapest to the best."""
    import numpy as np

    from nas.verdict.front import front as front_of

    if not front or not trials:
        return best_trials(trials, count)
    macs = np.array([t.macs for t in trials])
    accuracy = np.array([t.full_accuracy for t in trials], dtype=np.float64)
    along = sorted(front_of(macs, accuracy), key=lambda i: macs[i])
    places = np.unique(np.linspace(0, len(along) - 1, min(count, len(along))).round().astype(int))
    return [trials[along[place]] for place in places]


def best_trials(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The most accurate, the first of equals."""
    return sorted(trials, key=lambda t: (-(t.full_accuracy or 0.0), t.number))[:count]
