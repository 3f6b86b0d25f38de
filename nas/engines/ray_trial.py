"""Jobs as Ray Tune sees them: a searcher hands them out, a trainable trains one, a callback tells of it.

Imports ray; `nas.engines.ray_tune` imports this once an engine is made.
"""

# ruff: noqa: ARG002 - the arguments of methods that Tune calls are its own

from __future__ import annotations

import json
import os
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import OutOfMemoryError
from ray.tune import Trainable
from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from nas.engines.ray_tune import alive_nodes
from nas.job import Job
from nas.result import Epoch, Result, TrialFailed, UnexpectedFailure, outcomes
from space.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.exceptions import RayError
    from ray.tune.experiment import Trial

    from nas.engines.engine import Controller
    from nas.job import Trainer, Training

MAX_LOSSES = 3  # times a job begins again after its worker was lost
LOOK_SECONDS = 5.0
GONE = "engine ray: the Ray of this search has died; --resume goes on with what it was training"
START_SECONDS = 20.0  # a worker that takes longer to start has no place to start at

LOW_MEMORY = "due to the node running low on memory"  # as Ray words it


class RunEnded(BaseException):
    """Carries its cause, which ends the run, past Tune, which would take an `Exception` for a trial's."""


@dataclass
class Run:
    """A job that has been handed out, and how it goes."""

    job: Job
    told: int = 0  # epochs the controller has been told
    losses: int = 0  # workers lost under it
    begun: bool = False  # a worker has been up for it
    actor: Any = None


@dataclass
class Jobs:
    """The jobs handed out, between a controller and Tune; all calls come from the driver's thread.

    Jobs whose worker was lost are handed out again here and not by Tune's `FailureConfig`: that one would
    repeat bugs too, and gives up on a job where the lost worker was only being reset for it (Ray 2.60).
    """

    controller: Controller
    running: dict[str, Run] = field(default_factory=dict)  # by Tune's trial id
    again: list[Run] = field(default_factory=list)
    asked: bool = False  # the controller has no job, and nothing has ended since

    def next(self, trial_id: str) -> Job | None:
        """A job for a new trial of Tune's; None while there is none."""
        if self.again:
            run = self.again.pop(0)
        elif self.asked and self.running:
            return None
        else:
            job = self._tell(self.controller.next)
            self.asked = job is None
            if job is None:
                return None
            run = Run(job)
        self.running[trial_id] = run
        return run.job

    @property
    def over(self) -> bool:
        """Nothing runs, nothing waits and nothing will come."""
        return not self.running and not self.again and bool(self._tell(lambda: self.controller.over))

    def started(self, trial_id: str, actor: Any) -> None:
        """A worker begins with the trial's job."""
        run = self.running[trial_id]
        run.actor, run.begun = actor, True
        self._tell(self.controller.started, run.job)

    def progress(self, trial_id: str, epochs: list[Epoch], outcome: Result | str | None) -> None:
        """Epochs done, and the job's result or the reason of its failure."""
        run = self.running[trial_id]
        for point in epochs:
            if point.epoch > run.told:
                run.told = point.epoch
                self._tell(self.controller.epoch, run.job, point)
        if outcome is None:
            return
        self._end(trial_id)
        if isinstance(outcome, Result):
            self._tell(self.controller.done, run.job, outcome)
        else:
            self._tell(self.controller.failed, run.job, outcome)

    def failed(self, trial_id: str, text: str) -> None:
        """The trial's worker raised, or is gone, as `text` tells: its job has failed, or begins again."""
        if trial_id not in self.running:  # the job was over
            return
        run = self._end(trial_id)
        _, raised, bug = text.rpartition(f"{UnexpectedFailure.__name__}: ")
        if raised:
            self._tell(self.controller.failed, run.job, first_line(bug), unexpected=True)
        elif LOW_MEMORY in text:
            self._tell(self.controller.failed, run.job, f"out of memory: {loss_of(text)}")
        else:
            self._lost(run, loss_of(text))

    def broken_off(self, error: RayError | None) -> None:
        """Tune has stopped over what Ray told of a worker; the other jobs begin again, not to blame."""
        told = str(error)
        for trial_id, run in list(self.running.items()):
            if error is None or run.actor is None or actor_id(run.actor) not in told:
                continue
            self._end(trial_id)
            if isinstance(error, OutOfMemoryError):
                self._tell(self.controller.failed, run.job, f"out of memory: {first_line(told)}")
            else:
                self._lost(run, first_line(told))
        self.again += self.running.values()
        self.running.clear()

    def stop(self) -> None:
        """Kill the workers that train."""
        for run in self.running.values():
            if run.actor is not None:
                ray.kill(run.actor)

    def _end(self, trial_id: str) -> Run:
        self.asked = False
        return self.running.pop(trial_id)

    def _lost(self, run: Run, reason: str) -> None:
        run.losses += 1
        if run.losses <= MAX_LOSSES:
            self.again.append(run)
        elif run.begun:
            self._tell(self.controller.failed, run.job, f"worker lost {run.losses} times: {reason}")
        else:
            raise RunEnded from InputError(f"engine ray: workers do not start: {reason}")

    def _tell(self, call: Callable[..., Any], *values: Any, **more: Any) -> Any:
        try:
            return call(*values, **more)
        except Exception as error:
            raise RunEnded from error


class JobSearcher(Searcher):
    """Hands Tune the controller's jobs. `describe` makes the config of a job's trial."""

    def __init__(self, jobs: Jobs, describe: Callable[[Job], dict[str, Any]]) -> None:
        super().__init__()
        self._jobs = jobs
        self._describe = describe

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps itself as a file, for a restore that is never asked for

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The config of a new trial; None: not now; FINISHED: never again."""
        job = self._jobs.next(trial_id)
        if job is not None:
            return self._describe(job)
        return Searcher.FINISHED if self._jobs.over else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: `Reporter` is told more."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's record is what a search goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: see `save`."""


class PatientScheduler(FIFOScheduler):
    """First in, first out, and workers that start are let start.

    Tune gives the worker of a trial that ends to one whose own worker is starting, and ends that one: where
    jobs are shorter than a start, no second worker would ever come up. So a worker's first job that ends
    while others start holds on to it until they have, or `START_SECONDS` have passed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._patient: set[str] = set()  # workers that have waited
        self._waiting: dict[Trial, float] = {}  # trials that are over, until when they wait at most

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is over, or have it wait."""
        if not result["over"]:
            return str(self.CONTINUE)
        worker = actor_id(trial.temporary_state.ray_actor)
        if worker in self._patient or not self._starting(controller):
            return str(self.STOP)
        self._patient.add(worker)
        self._waiting[trial] = time.monotonic() + START_SECONDS
        return str(self.NOOP)

    def choose_trial_to_run(self, controller: Any) -> None:
        """None: Tune starts pending trials in their order; FIFO's search for one goes over all there were."""
        late = not self._waiting or self._starting(controller)
        for trial, until in list(self._waiting.items()):
            if not late or time.monotonic() > until:
                del self._waiting[trial]
                controller.stop_trial(trial)

    def on_trial_error(self, controller: Any, trial: Trial) -> None:
        """A worker lost while it waits has nothing to lose."""
        self._waiting.pop(trial, None)

    def _starting(self, controller: Any) -> bool:
        return any(trial.status == trial.PENDING for trial in controller.get_live_trials())


class Reporter(TrialProgressCallback):
    """Tells the controller what Tune's trials do, in place of Tune's callback, which prints it.

    `own`: the Ray is the search's own, and no machine will come in place of the one it has.
    """

    def __init__(self, jobs: Jobs, own: bool) -> None:
        super().__init__()
        self._jobs = jobs
        self._own = own
        self._look = time.monotonic() + LOOK_SECONDS

    def __getstate__(self) -> dict[str, Any]:
        return {}  # see `JobSearcher`

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Without its machine Tune would wait for ever."""
        if not self._own or time.monotonic() < self._look:
            return
        self._look = time.monotonic() + LOOK_SECONDS
        if not alive_nodes():
            raise RunEnded from InputError(GONE)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker, fresh or from an earlier job, is the trial's."""
        self._jobs.started(trial.trial_id, trial.temporary_state.ray_actor)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A step has ended. The result is emptied: of what it keeps of each, Tune's memory would grow."""
        epochs, outcome = result["epochs"], result["outcome"]
        result.clear()
        self._jobs.progress(trial.trial_id, epochs, outcome)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial is over; Tune keeps it, and need not keep the job with it."""
        trial.config, trial.evaluated_params = {}, {}

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's worker raised an exception or was lost."""
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self._jobs.failed(trial.trial_id, text)


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


def actor_id(actor: Any) -> str:
    """As Ray's messages write it."""
    return str(actor._actor_id.hex())


def loss_of(text: str) -> str:
    """Why a worker was lost, in one line, from what Tune wrote down of Ray's error."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("Failure #")]
    if "creation task" in text or "Traceback" in text:  # the last line is the exception
        return lines[-1]
    for line in lines:  # the first lines are names and ids, the first sentence says nothing
        if not re.match(r"\w+: |The actor (died unexpectedly|experienced an error) before", line):
            return line
    return lines[0] if lines else "no reason given"
