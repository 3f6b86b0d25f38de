"""A training that is not done here: a law, a table or a function tells what it would give."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, ClassVar

from nas.training.result import Epoch, Result, StepDone, TrialFailed

if TYPE_CHECKING:
    from nas.engines.job import Job


class Told(ABC):
    """A `nas.engines.job.Training` as `point` tells it, epoch by epoch; `by` is who tells, for the record."""

    by: ClassVar[str]
    images_per_second = 0.0

    def __init__(self, job: Job) -> None:
        self._job = job
        self._curve: list[Epoch] = []

    @abstractmethod
    def point(self, epoch: int) -> Epoch:
        """What epoch `epoch`, from 1, gives. May raise `TrialFailed`."""

    @property
    def curve(self) -> Sequence[Epoch]:
        """Every epoch so far."""
        return tuple(self._curve)

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        """One epoch more; it has no steps."""
        del on_step
        self._curve.append(self.point(len(self._curve) + 1))
        return self._curve[-1]

    def result(self) -> Result:
        """What the epochs so far gave."""
        if not self._curve:
            raise TrialFailed("no epoch was trained")
        return Result(
            accuracy=self._curve[-1].val_accuracy,
            epochs=len(self._curve),
            curve=tuple(asdict(point) for point in self._curve),
            train_seconds=math.fsum(point.seconds for point in self._curve),
            eval_seconds=0.0,
            images_per_second=self.images_per_second,
            seed=self._job.seed,
            precision=self.by,
            device=self.by,
        )
