"""The engine in this process: one training at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nas.result import TrialFailed

if TYPE_CHECKING:
    from nas.engines.engine import Controller
    from nas.job import Job, Trainer
    from space.architecture import Architecture


class LocalEngine:
    """Trains a controller's jobs one after the other."""

    workers = 1

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def run(self, controller: Controller) -> None:
        """Train until the controller has nothing more."""
        while (job := controller.next()) is not None:
            self._train(job, controller)

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one 224x224 image."""
        return self._trainer.latency(architecture)

    def _train(self, job: Job, controller: Controller) -> None:
        controller.started(job)
        try:
            training = self._trainer.start(job)
            for point in training.curve:
                controller.epoch(job, point)
            while len(training.curve) < job.epochs:
                controller.epoch(job, training.epoch())
            result = training.result()
        except TrialFailed as failure:
            controller.failed(job, str(failure))
        else:
            controller.done(job, result)
