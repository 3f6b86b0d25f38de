"""A table's accuracies in place of trainings: a look-up takes no time, and its seeds are those there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from nas.training.result import Epoch, TrialFailed
from nas.training.told import Told

if TYPE_CHECKING:
    from nas.engines.job import Job
    from nas.table.table import Table
    from space.architecture import Architecture


class TableTrainer:
    """Looks jobs up: a `nas.engines.job.Trainer`. Seed s is accuracy s, modulo the seeds of the table."""

    def __init__(self, table: Table) -> None:
        self._space = table.space
        self._accuracies = table.accuracies
        self.epochs = table.epochs

    def start(self, job: Job) -> LookUp:
        """The curve of the job's network and seed. Raises `TrialFailed` where the table has none."""
        row = self._space.row_of(job.architecture)
        if row is None:
            raise TrialFailed("the table has no such network")
        seed = job.seed % self._accuracies.shape[1]
        curve = self._accuracies[row, seed]
        if not np.isfinite(curve).all():
            raise TrialFailed(f"the table has no accuracy of this network with its seed {seed + 1}")
        return LookUp(job, curve.tolist())

    def latency(self, architecture: Architecture) -> float:
        """A table has none. Raises `TrialFailed`."""
        del architecture
        raise TrialFailed("a table has no latencies")


class LookUp(Told):
    """One job under way. It keeps no checkpoint: to look up again is as quick."""

    by = "table"

    def __init__(self, job: Job, accuracies: Sequence[float]) -> None:
        super().__init__(job)
        self._accuracies = accuracies

    def point(self, epoch: int) -> Epoch:
        """The table's accuracy; its losses are not known, and stand as the share that is wrong."""
        accuracy = self._accuracies[epoch - 1]
        return Epoch(epoch, 1 - accuracy, 1 - accuracy, accuracy, 0.0)
