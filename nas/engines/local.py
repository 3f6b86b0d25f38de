"""The engine in this process: one training at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from nas.training.cpu.memory import give_back
from nas.training.result import TrialFailed, UnexpectedFailure, outcomes
from space.errors import InputError

if TYPE_CHECKING:
    from nas.engines.engine import Controller
    from nas.engines.job import Job, Trainer
    from nas.training.result import Result
    from space.architecture import Architecture


class LocalEngine:
    """Trains a controller's jobs one after the other."""

    workers = 1

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer

    def run(self, controller: Controller) -> None:
        while (job := controller.next()) is not None:
            self._train(job, controller)

    def latency(self, architecture: Architecture) -> float:
        with outcomes():
            return self._trainer.latency(architecture)

    def _train(self, job: Job, controller: Controller) -> None:
        controller.started(job)
        try:
            result = self._trained(job, controller)
        except UnexpectedFailure as failure:
            controller.failed(job, str(failure), unexpected=True)
            # recorded first: the resumed search does not train it again
            if failure.lost_device:
                raise InputError(f"{failure}; --resume goes on in a new process") from None
        except TrialFailed as failure:
            controller.failed(job, str(failure))
        else:
            controller.done(job, result)
            return
        give_back()  # a training that had no memory left would leave the next without

    def _trained(self, job: Job, controller: Controller) -> Result:
        """What the trainer raises is the training's outcome; what the controller raises is not."""
        with outcomes():
            training = self._trainer.start(job)
            done = list(training.curve)
        # those of a checkpoint, of which the record may not have heard
        for point in done:
            controller.epoch(job, point)
        # nothing is read from the device for it: how far an epoch is, the loop knows by itself
        on_step = partial(controller.step, job)
        while len(done) < job.epochs:
            with outcomes():
                done.append(training.epoch(on_step))
            controller.epoch(job, done[-1])
        with outcomes():
            return training.result()
