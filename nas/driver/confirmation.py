"""Which networks are trained again with fresh seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def chosen(trials: list[dict[str, Any]], count: int, front: bool) -> list[dict[str, Any]]:
    """The networks to confirm: the most accurate, or along the front, from the cheapest to the best."""
    import numpy as np

    from nas.verdict.front import front as front_of

    if not front or not trials:
        return best_trials(trials, count)
    macs, accuracy = (np.array([t[key] for t in trials]) for key in ("macs", "accuracy"))
    along = sorted(front_of(macs, accuracy), key=lambda i: macs[i])
    places = np.unique(np.linspace(0, len(along) - 1, min(count, len(along))).round().astype(int))
    return [trials[along[place]] for place in places]


def best_trials(trials: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The most accurate, the first of equals."""
    return sorted(trials, key=lambda t: (-t["accuracy"], t["number"]))[:count]
