"""Which networks are trained again with fresh seeds, and which of these trainings are still to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas.driver.branch import Branch
    from nas.record.trial import Trial


def lacking(
    branch: Branch, trials: Sequence[Trial], count: int, seeds: Sequence[int]
) -> Iterator[tuple[Trial, int]]:
    """The trials of a branch that are still to be trained again, each with a seed.

    Seed by seed: wherever a search is cut off, the networks compared have the same seeds, as far as can be.
    """
    there = {(t.of, t.seed) for t in trials if t.is_confirmation}
    own = [t for t in trials if t.budget == branch.budget and t.state == "complete"]
    references = [t for t in own if t.is_reference]
    candidates = [t for t in own if t.is_candidate and t.full_fidelity]
    again = [*references, *chosen(candidates, count, branch.front)]
    for seed in seeds:
        for trial in again:
            if (trial.number, seed) not in there:
                yield trial, seed


def chosen(trials: Sequence[Trial], count: int, front: bool) -> Sequence[Trial]:
    """The networks to confirm: the most accurate, or along the front, from the cheapest to the best."""
    import numpy as np

    from nas.verdict.front import front as front_of

    if not front or not trials:
        return best_trials(trials, count)
    macs = np.array([t.macs for t in trials])
    accuracy = np.array([t.full_accuracy for t in trials], dtype=np.float64)
    along = sorted(front_of(macs, accuracy), key=lambda i: macs[i])
    # evenly along the front, both of its ends among them
    places = np.unique(np.linspace(0, len(along) - 1, min(count, len(along))).round().astype(int))
    return [trials[along[place]] for place in places]


def best_trials(trials: Sequence[Trial], count: int) -> list[Trial]:
    """The most accurate, the first of equals."""
    return sorted(trials, key=lambda t: (-(t.full_accuracy or 0.0), t.number))[:count]
