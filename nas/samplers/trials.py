"""What is known of a study's trials, at one fidelity at a time.

A network that was stopped early has an accuracy of fewer epochs, which says nothing beside those of more. So
samplers learn from one level only: the highest that enough networks have reached, and their accuracies at
exactly that epoch (as BOHB's model does, Falkner et al. 2018, section 3.2). What samplers see follows from
the trials alone, not from the order in which their results came.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nas.samplers.history import Outcome


@dataclass
class _Trial:
    number: int
    code: tuple[int, ...]
    cost: int
    stratum: int
    memo: Mapping[str, Any]
    accuracies: tuple[float, ...] = ()
    failed: bool = False

    def at(self, level: int) -> float | None:
        """The accuracy after `level` epochs: NaN of a failed trial, None where it has not come so far."""
        if self.failed:
            return math.nan
        return self.accuracies[level - 1] if len(self.accuracies) >= level else None


@dataclass
class _Reached:
    """The trials that count at one level: numbers rising, and by stratum sorted by falling accuracy."""

    numbers: list[int] = field(default_factory=list)
    ranked: dict[int, list[tuple[float, int]]] = field(default_factory=dict)


class Trials:
    """The trials that samplers may learn from; `levels` are epochs, rising."""

    def __init__(self, levels: Sequence[int], startup: int) -> None:
        self._levels = tuple(levels)
        self._startup = max(startup, 1)
        self._trials: dict[int, _Trial] = {}
        self._pending: set[int] = set()
        self._counts = dict.fromkeys(self._levels, 0)
        self._level: int | None = None
        self._reached = _Reached()

    @property
    def level(self) -> int | None:
        """The epochs after which accuracies are compared; None while too few networks have any."""
        return self._level

    def start(
        self, number: int, code: Iterable[int], cost: int, stratum: int, memo: Mapping[str, Any]
    ) -> None:
        """A trial has begun. A number that is known already stays as it is."""
        if number not in self._trials:
            self._trials[number] = _Trial(number, tuple(code), cost, stratum, memo)
            self._pending.add(number)

    def report(self, number: int, accuracies: Sequence[float]) -> None:
        """Accuracies after epochs 1, 2, ...; one that is no number makes the trial a failed one."""
        failed = not all(map(math.isfinite, accuracies))
        self._change(number, tuple(accuracies), failed=failed)

    def fail(self, number: int) -> None:
        """A trial has failed."""
        if number in self._trials:
            self._change(number, self._trials[number].accuracies, failed=True)

    def pending(self) -> list[Outcome]:
        """Trials that have begun and not reported, accuracies NaN, oldest first."""
        return [self._outcome(number, math.nan) for number in sorted(self._pending)]

    def latest(self, count: int) -> list[Outcome]:
        """The youngest outcomes at this level, oldest first."""
        return self._outcomes(self._reached.numbers[-count:])

    def chosen(self, best: int, latest: int) -> list[Outcome]:
        """The best outcomes at this level, alike from every stratum, and the latest ones, oldest first."""
        numbers = self._reached.numbers
        if len(numbers) <= latest:
            return self._outcomes(numbers)
        # alike from each: the best of all could be those of the costly strata alone
        share = -(-best // max(len(self._reached.ranked), 1))
        kept = {number for ranked in self._reached.ranked.values() for _, number in ranked[:share]}
        return self._outcomes(sorted(kept.union(numbers[-latest:])))

    def _change(self, number: int, accuracies: tuple[float, ...], *, failed: bool) -> None:
        trial = self._trials.get(number)
        if trial is None:  # not one to learn from
            return
        self._pending.discard(number)
        # what this trial counted for, before and after: most reports add one trial, and need no rebuilding
        before = None if self._level is None else trial.at(self._level)
        for level in self._levels:
            self._counts[level] -= _counts(trial, level)
        trial.accuracies, trial.failed = accuracies, failed or trial.failed
        for level in self._levels:
            self._counts[level] += _counts(trial, level)
        reached = [level for level in self._levels if self._counts[level] >= self._startup]
        now = reached[-1] if reached else None
        # another level compares other accuracies; a changed one stands at another place in its ranking
        if now != self._level or (before is not None and trial.at(now or 0) != before):
            self._level = now
            self._rebuild()
        elif now is not None and before is None:
            self._enter(trial, now)

    def _rebuild(self) -> None:
        self._reached = _Reached()
        if self._level is not None:
            for number in sorted(self._trials):
                self._enter(self._trials[number], self._level)

    def _enter(self, trial: _Trial, level: int) -> None:
        accuracy = trial.at(level)
        if accuracy is not None:
            bisect.insort(self._reached.numbers, trial.number)
            # a failed one has been tried, and is never among the best
            if not trial.failed:
                ranked = self._reached.ranked.setdefault(trial.stratum, [])
                bisect.insort(ranked, (-accuracy, trial.number))

    def _outcomes(self, numbers: Iterable[int]) -> list[Outcome]:
        level = self._level or 0
        return [self._outcome(number, self._trials[number].at(level)) for number in numbers]

    def _outcome(self, number: int, accuracy: float | None) -> Outcome:
        trial = self._trials[number]
        return Outcome(number, trial.code, trial.cost, math.nan if accuracy is None else accuracy, trial.memo)


def _counts(trial: _Trial, level: int) -> bool:
    return not trial.failed and len(trial.accuracies) >= level
