"""Which trainings go on: successive halving over epochs; a paused training continues from its checkpoint.

A training pauses at a rung (after so many epochs); the best share 1 / eta of a rung goes on to the next one.

* `asha`: asynchronous (Li et al. 2020, "A system for massively parallel hyperparameter tuning", Algorithm 2).
  Of n results at a rung at most floor(n / eta) are ever promoted; Algorithm 2 promotes whatever is among the
  best floor(n / eta) now, also after others that no longer are.
* `halving`: synchronous (Jamieson and Talwalkar 2016, "Non-stochastic best arm identification"), bracket
  after bracket: a rung is full before the best of it go on.
* `hyperband`: `asha` in brackets that begin at different rungs, in the proportions of Hyperband (Li et al.
  2018, "Hyperband", Algorithm 1); a network is compared with those of its own bracket.
* `none`: every network is trained fully.

`auto` is `none` until it has looked, and then `none` or `asha` (nas/driver/gate.py).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass, field

from space.errors import InputError, quoted

SCHEDULERS = ("none", "asha", "halving", "hyperband")
MOST_PAUSES = 3
KEPT = 8  # paused trials of a rung whose checkpoints are worth keeping


@dataclass
class _Rung:
    """The trials of a bracket that came as far as `epochs`; `waiting` are the paused ones that may go on."""

    epochs: int
    reached: int = 0
    failed: int = 0  # on their way here
    promoted: int = 0
    waiting: list[tuple[float, int]] = field(default_factory=list)  # accuracy, -trial: the best is the last


@dataclass
class _Bracket:
    """Trials that are compared with each other; `size` of them, where promotion waits for all."""

    rungs: list[_Rung]
    size: int | None = None
    started: int = 0

    @property
    def full(self) -> bool:
        return self.size is not None and self.started >= self.size

    def allowed(self, eta: int) -> list[int]:
        """How many may be promoted in all from each rung but the last, by now."""
        if self.size is None:
            return [rung.reached // eta for rung in self.rungs[:-1]]
        coming, found = self.size, [0] * (len(self.rungs) - 1)
        for i, rung in enumerate(self.rungs[:-1]):
            # somebody is still on the way: nobody goes on before the best of all are known
            if rung.reached + rung.failed < coming:
                break
            # the best share of those that can go on (a NaN never waits), and never fewer than have gone
            coming = max(min(coming // eta, rung.promoted + len(rung.waiting)), rung.promoted)
            found[i] = coming
        return found

    def over(self, eta: int) -> bool:
        """Full, and nobody is on the way to a rung or will be."""
        if self.size is None or not self.full:
            return False
        coming = [self.size, *self.allowed(eta)]
        return all(r.reached + r.failed >= n for r, n in zip(self.rungs, coming, strict=True))


@dataclass
class _Place:
    """Where a trial is: on its way to a rung of its bracket, or arrived."""

    bracket: _Bracket
    rung: int = 0
    accuracy: float | None = None  # of the rung it arrived at


class Rungs:
    """Decides after how many epochs trainings pause, and which of them go on.

    A value in memory: a function of its calls, and of their order only in so far as `start` gives brackets to
    networks one after the other. To resume, repeat the calls of the trials, one trial after the other.
    """

    def __init__(
        self,
        scheduler: str,
        epochs: int,
        trials: int,
        *,
        eta: int = 3,
        min_epochs: int | None = None,
        levels: Sequence[int] = (),
    ) -> None:
        """Rungs up to `epochs` for `trials` networks in all: from `min_epochs` on, or at `levels`.

        By default there are as many rungs as fit, at most three below full training, and no more than leave
        one of `trials` networks to be trained fully: keep `levels[0]` as the `min_epochs` of a search that
        may later have more trials. Raises `InputError`.
        """
        _check(scheduler, epochs, trials, eta, min_epochs)
        self._eta = eta
        self._trials = trials
        self._scheduler = scheduler
        self.levels: tuple[int, ...] = (epochs,)  # ascending
        if scheduler != "none":
            self.levels = tuple(levels) or _levels(epochs, trials, eta, min_epochs)
        least = eta ** (len(self.levels) - 1)
        if scheduler in {"asha", "halving"} and trials < least:
            rungs = ", ".join(map(str, self.levels))
            raise InputError(
                f"scheduler: with rungs at {rungs} epochs, {scheduler} trains none of {trials} networks "
                f"fully; {least} trials or a later first rung would do"
            )
        self._places: dict[int, _Place] = {}
        self._brackets = self._asynchronous()
        self._started = 0

    def start(self, number: int) -> int:
        """A new trial; the epochs of its first stretch."""
        if number in self._places:
            raise ValueError(f"trial {number} was started before")
        bracket = self._next_bracket()
        bracket.started += 1
        self._started += 1
        self._places[number] = _Place(bracket)
        return bracket.rungs[0].epochs

    def reached(self, number: int, epochs: int, accuracy: float) -> None:
        """A trial has done all the epochs it was sent for."""
        place, rung = self._on_its_way(number)
        if rung.epochs != epochs:
            raise ValueError(f"trial {number} was sent to {rung.epochs} epochs, not {epochs}")
        place.accuracy = accuracy
        rung.reached += 1
        # a NaN has no place in an order
        if rung.epochs < self.levels[-1] and not math.isnan(accuracy):
            insort(rung.waiting, (accuracy, -number))
        self._tidy()

    def failed(self, number: int) -> None:
        """A trial gave no result and will not; where a rung waits, it no longer waits for this one."""
        _, rung = self._on_its_way(number)
        rung.failed += 1
        del self._places[number]
        self._tidy()

    def promote(self) -> tuple[int, int] | None:
        """A trial that should go on now, and to how many epochs; from now on it is on its way there.

        The highest rung comes first, there the best accuracy, then the lower trial number.
        """
        best: tuple[int, float, int] | None = None
        for bracket in self._brackets:
            allowed = bracket.allowed(self._eta)
            for i in reversed(range(len(allowed))):
                rung = bracket.rungs[i]
                if rung.waiting and rung.promoted < allowed[i]:
                    # the lower rungs of this bracket cannot win: the higher target comes first
                    first = (bracket.rungs[i + 1].epochs, *rung.waiting[-1])
                    best = first if best is None else max(best, first)
                    break
        if best is None:
            return None
        target, _, negative = best
        self._go_on(-negative)
        return -negative, target

    def promoted(self, number: int, target: int) -> None:
        """The same again, when a search is resumed: this trial was sent on to `target` epochs."""
        place = self._places[number]
        if [rung.epochs for rung in place.bracket.rungs[place.rung + 1 :]][:1] != [target]:
            raise ValueError(f"trial {number} does not go on to {target} epochs")
        self._go_on(number)

    def may_start(self) -> bool:
        """Whether a new trial may start; not while a synchronous bracket is full and not over."""
        return not any(bracket.full for bracket in self._brackets)

    def close(self) -> None:
        """No new trial will come, although fewer than `trials` did: a bracket waits for no more."""
        for bracket in self._brackets:
            if bracket.size is not None:
                bracket.size = bracket.started
        self._tidy()

    def worth_keeping(self) -> frozenset[int]:
        """Paused trials whose checkpoint is worth its disk space: of each rung the next few in line.

        Others may be promoted all the same; they are trained again from the start, with the same result.
        """
        return frozenset(
            -negative
            for bracket in self._brackets
            for rung in bracket.rungs
            for _, negative in rung.waiting[-KEPT:]
        )

    def _asynchronous(self) -> list[_Bracket]:
        if self._scheduler == "halving":
            return []
        count = len(self.levels) if self._scheduler == "hyperband" else 1
        return [_Bracket([_Rung(epochs) for epochs in self.levels[first:]]) for first in range(count)]

    def _next_bracket(self) -> _Bracket:
        """The bracket of the next new trial."""
        if self._scheduler == "halving":
            if not self._brackets or self._brackets[-1].full:
                self._brackets.append(_Bracket([_Rung(e) for e in self.levels], self._size()))
            return self._brackets[-1]
        # the one that is furthest behind its share
        return min(self._brackets, key=lambda b: (b.started + 1) / self._share(b))

    def _share(self, bracket: _Bracket) -> int:
        """Hyperband's number of networks for a bracket with so many rungs (Algorithm 1, line 3)."""
        halvings = len(bracket.rungs) - 1
        share: int = math.ceil(len(self.levels) / (halvings + 1) * self._eta**halvings)
        return share

    def _size(self) -> int:
        """Of the next synchronous bracket: what its kept checkpoints suffice for.

        A rest from which no network would come to the last rung belongs to the bracket before it.
        """
        least: int = self._eta ** (len(self.levels) - 1)
        # about KEPT * eta networks, which send KEPT on: as many as keep their checkpoints
        size = max(least, KEPT * self._eta // least * least)
        left = self._trials - self._started
        # a search may become longer than was said
        return max(left, 1) if left < size + least else size

    def _on_its_way(self, number: int) -> tuple[_Place, _Rung]:
        place = self._places.get(number)
        if place is None or place.accuracy is not None:
            raise ValueError(f"trial {number} is not under way")
        return place, place.bracket.rungs[place.rung]

    def _go_on(self, number: int) -> None:
        place = self._places[number]
        rung = place.bracket.rungs[place.rung]
        if place.accuracy is None or math.isnan(place.accuracy):
            raise ValueError(f"trial {number} does not wait to go on")
        rung.waiting.pop(bisect_left(rung.waiting, (place.accuracy, -number)))
        rung.promoted += 1
        place.rung += 1
        place.accuracy = None

    def _tidy(self) -> None:
        """Forget synchronous brackets that are over."""
        if self._scheduler == "halving":
            self._brackets = [b for b in self._brackets if not b.over(self._eta)]


def candidate_levels(epochs: int, eta: int, min_epochs: int | None) -> tuple[int, ...]:
    """The epochs that `auto` looks at, rising and about a factor of two apart, and those of full training."""
    check_min_epochs(epochs, min_epochs)
    first = max(1, round(epochs / eta**MOST_PAUSES)) if min_epochs is None else min_epochs
    return _spread(first, epochs, 2)


def check_min_epochs(epochs: int, min_epochs: int | None) -> None:
    """Raises `InputError` for a first rung that there is not."""
    if min_epochs is not None and not 1 <= min_epochs <= epochs:
        raise InputError(
            f"min_epochs: {min_epochs} is not between 1 and the {epochs} epochs of full training"
        )


def _check(scheduler: str, epochs: int, trials: int, eta: int, min_epochs: int | None) -> None:
    if scheduler not in SCHEDULERS:
        raise InputError(f"scheduler: {quoted(scheduler)} is none of {', '.join(SCHEDULERS)}")
    for name, value, least in (("epochs", epochs, 1), ("trials", trials, 1), ("eta", eta, 2)):
        if value < least:
            raise InputError(f"{name}: {value} is less than {least}")
    check_min_epochs(epochs, min_epochs)


def _levels(epochs: int, trials: int, eta: int, min_epochs: int | None) -> tuple[int, ...]:
    """`min_epochs`, `epochs` and what lies between in nearly even ratios, as near to eta as can be."""
    first = min_epochs
    if first is None:
        pauses = MOST_PAUSES
        while eta**pauses > min(epochs, trials):
            pauses -= 1
        first = max(1, round(epochs / eta**pauses))
    return _spread(first, epochs, eta)


def _spread(first: int, epochs: int, ratio: int) -> tuple[int, ...]:
    if first == epochs:
        return (epochs,)
    # as many rungs as make the ratio between them nearest to the one wanted
    steps = max(1, round(math.log(epochs / first, ratio)))
    return tuple(sorted({round(first * (epochs / first) ** (i / steps)) for i in range(steps + 1)}))
