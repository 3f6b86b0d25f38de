"""How long trainings take, judged by those so far, and how long a search may."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from nas.record.trial import Trial


class Pace:
    """The clock of one run of a search; `limit` is its time limit in seconds, None is none.

    `trials` are those of earlier runs: what they took is known from the start.
    """

    def __init__(self, limit: float | None = None, trials: Iterable[Trial] = ()) -> None:
        self.limit = limit
        self.seconds = 0.0  # of training, seen so far
        self.epochs = 0
        self._began = time.monotonic()
        for trial in trials:
            if trial.is_simulated:
                continue
            self.trained(trial.train_seconds or 0.0, trial.fidelity)

    @property
    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    @property
    def remaining(self) -> float:
        """Seconds until the limit; infinite where there is none."""
        return math.inf if self.limit is None else max(self.limit - self.elapsed, 0.0)

    def trained(self, seconds: float, epochs: int) -> None:
        """A training has taken so long for so many epochs."""
        self.seconds += seconds
        self.epochs += epochs

    def expected(self, epochs: int) -> float:
        """Seconds that so many epochs should take; 0 before the first are known."""
        return epochs * self.seconds / self.epochs if self.epochs else 0.0

    def allows(self, epochs: int) -> bool:
        """Whether so many epochs would end before the limit.

        Nobody knows of the first training: it is begun, and may end later.
        """
        return self.limit is None or self.elapsed + self.expected(epochs) <= self.limit
