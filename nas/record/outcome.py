"""Which trial a study calls its best."""

from __future__ import annotations

from collections.abc import Sequence

from nas.record.trial import Trial


def best_of(trials: Sequence[Trial]) -> Trial | None:
    """The fully trained ConvNet with the best mean over fresh seeds; without such, with the best accuracy.

    The first of equals. A Swin is there to compare with, never the answer.
    """
    full = [(t, value) for t in trials if (value := t.full_accuracy) is not None]
    searched = [(t, value) for t, value in full if not t.is_confirmation and not t.is_swin]
    again: dict[int, list[float]] = {}
    for trial, value in full:
        if trial.of is not None:
            again.setdefault(trial.of, []).append(value)
    most = max(map(len, again.values()), default=0)
    means = {number: sum(values) / most for number, values in again.items() if len(values) == most}
    compared = [(t, means[t.number]) for t, _ in searched if t.number in means] if means else searched
    return max(compared, key=lambda pair: pair[1], default=(None, 0.0))[0]
