"""What a sampler is, and what it may look at; `nas/samplers/registry.py` lists them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from nas.samplers.feasible import ExhaustedError, Feasible
from nas.samplers.history import History, Outcome
from nas.samplers.strata import Strata
from nas.samplers.trials import Trials
from space.coded import CodedSpace
from space.columns import Array

# the latest slow networks that samplers know of
SLOW_SEEN = 50


@dataclass
class Search:
    """The search as its sampler sees it: where to look, and what is known so far.

    `whole` are the unseen networks of the band, `strata` the same in parts of rising cost (one part, unless
    `front`: then the most accurate network of every cost is sought). `parallel`: several trials run at once.
    """

    whole: Feasible
    strata: Strata
    trials: Trials
    startup: int
    front: bool = False
    parallel: bool = False
    begun: set[int] = field(default_factory=set)
    # networks too slow to be trained, by the trial in whose place they would have been; and since the last
    set_aside: dict[int, list[Outcome]] = field(default_factory=dict)
    slow: list[Outcome] = field(default_factory=list)

    @property
    def space(self) -> CodedSpace:
        """The space that is searched."""
        return self.whole.space

    def history(self, outcomes: list[Outcome]) -> History:
        """Outcomes as arrays."""
        return History.of(outcomes, len(self.space.factors))

    def latest(self, count: int) -> History:
        """The youngest results, oldest first."""
        return self.history(self.trials.latest(count))

    def results(self, best: int, latest: int) -> History:
        """The best results and the latest ones, oldest first; then networks too slow to train, as failed."""
        return self.history(self.outcomes(best, latest))

    def outcomes(self, best: int, latest: int) -> list[Outcome]:
        """The same, one by one."""
        past = [o for number in sorted(self.set_aside) for o in self.set_aside[number]]
        return [*self.trials.chosen(best, latest), *[*past, *self.slow][-SLOW_SEEN:]]

    def pending(self) -> list[Outcome]:
        """Networks in training, accuracies NaN, oldest first; none where one is trained at a time."""
        return self.trials.pending() if self.parallel else []

    def in_turn(self, choose: Callable[[int], Array]) -> Array:
        """What `choose` makes of the stratum whose turn it is, or of the next that is not exhausted.

        Raises `ExhaustedError` where all are.
        """
        # by trials begun: turns must not depend on which training ends first
        for stratum in self.strata.order(len(self.begun)):
            with suppress(ExhaustedError):
                return choose(stratum)
        raise ExhaustedError


class Sampler(ABC):
    """Chooses the next network of a search, once `startup` networks drawn uniformly have results.

    A sampler keeps nothing that it was not told: all it learns from is in `search`, and all randomness comes
    from `rng`, so that a study that is read again goes on as it would have.
    """

    most_startup: ClassVar[int | None] = None
    """More uniform draws than this are of no use to it, for each objective; None: as many as are planned."""

    def __init__(self, search: Search) -> None:
        self.search = search

    @abstractmethod
    def propose(self, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        """An unseen code of the band, [F], and JSON values to remember with its trial.

        Raises `ExhaustedError` where none is left.
        """


class InTurn(Sampler):
    """A sampler that chooses within one stratum at a time, each in its turn."""

    def propose(self, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        """What is chosen within the stratum whose turn it is, [F]."""
        return self.search.in_turn(lambda stratum: self.within(stratum, rng)), {}

    @abstractmethod
    def within(self, stratum: int, rng: np.random.Generator) -> Array:
        """An unseen code of a stratum, [F]. Raises `ExhaustedError` where it has none left."""
