"""What runs on a worker: one job's training, one network's latency."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from ray.tune import Trainable

from nas.engines.job import Job
from nas.training.cpu.memory import give_back
from nas.training.result import Epoch, Result, TrialFailed, UnexpectedFailure, outcomes

if TYPE_CHECKING:
    from nas.engines.job import Trainer, Training


class JobTrainable(Trainable):
    """A worker: trains one job after another, an epoch a step."""

    def setup(self, config: dict[str, Any], trainer: Trainer) -> None:  # type: ignore[override]
        """Take up the share of the machine that was asked for."""
        limit_threads(config["cpus"])
        limit_gpu_memory(config["gpus"])
        self._trainer = trainer
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Turn to another job."""
        self._plain = new_config["job"]
        self._training: Training | None = None
        return True

    def step(self) -> dict[str, Any]:
        """One epoch; the first step of a job also tells the epochs of its checkpoint."""
        epochs: list[Epoch] = []
        outcome: Result | str | None = None
        try:
            with outcomes():
                outcome = self._advance(epochs)
        except UnexpectedFailure:  # Tune starts a fresh worker: who knows what state this one is in
            raise
        except TrialFailed as failure:
            outcome = str(failure)
        if outcome is not None:
            self._training = None
        if isinstance(outcome, str):
            give_back()  # a training that had no memory left would leave the next without
        return {"epochs": epochs, "outcome": outcome, "over": outcome is not None}

    def _advance(self, epochs: list[Epoch]) -> Result | None:
        if self._training is None:
            self._job = Job.from_dict(json.loads(self._plain))
            self._training = self._trainer.start(self._job)
            epochs += self._training.curve
        if len(self._training.curve) < self._job.epochs:
            epochs.append(self._training.epoch())
        if len(self._training.curve) < self._job.epochs:
            return None
        return self._training.result()


class LatencyMeter:
    """Measures latencies where trainings run; an actor."""

    def __init__(self, trainer: Trainer, cpus: float) -> None:
        limit_threads(cpus)
        self._trainer = trainer

    def latency(self, architecture: dict[str, Any]) -> float | str:
        """Seconds, or why there are none."""
        from space.architecture import Architecture

        try:
            with outcomes():
                return self._trainer.latency(Architecture.from_dict(architecture))
        except TrialFailed as failure:
            return str(failure)


def limit_threads(cpus: float) -> None:
    """Give torch, imported already or not, as many threads as whole CPUs, and at least one."""
    threads = max(1, int(cpus))
    # for what is imported later, and for the processes that this one starts
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def limit_gpu_memory(gpus: float) -> None:
    """Hold this process to its share of a GPU's memory: Ray shares out GPUs by name only."""
    if not 0 < gpus < 1:
        return
    import torch

    if torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(gpus)
