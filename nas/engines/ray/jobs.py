"""The jobs under way, and what becomes of them when a worker dies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import OutOfMemoryError

from nas.engines.job import Job
from nas.training.result import Epoch, Result, UnexpectedFailure
from space.errors import InputError, first_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.exceptions import RayError

    from nas.engines.engine import Controller


MAX_LOSSES = 3  # times a job begins again after its worker was lost
LOW_MEMORY = "due to the node running low on memory"  # as Ray words it


class RunEnded(BaseException):
    """Carries its cause, which ends the run, past Tune, which would take an `Exception` for a trial's."""


@dataclass
class JobRun:
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
    running: dict[str, JobRun] = field(default_factory=dict)  # by Tune's trial id
    again: list[JobRun] = field(default_factory=list)
    asked: bool = False  # the controller has no job, and nothing has ended since

    def next(self, trial_id: str) -> Job | None:
        """A job for a new trial of Tune's; None while there is none."""
        if self.again:
            run = self.again.pop(0)
        # Tune asks in every loop; what the controller has may change only when a job ends
        elif self.asked and self.running:
            return None
        else:
            job = self._tell(self.controller.next)
            self.asked = job is None
            if job is None:
                return None
            run = JobRun(job)
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
            # a training that begins again tells epochs from its checkpoint on once more
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
        # Tune leaves no exception, only its text in a file
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

    def _end(self, trial_id: str) -> JobRun:
        self.asked = False
        return self.running.pop(trial_id)

    def _lost(self, run: JobRun, reason: str) -> None:
        run.losses += 1
        if run.losses <= MAX_LOSSES:
            self.again.append(run)
        # a worker that never came up is the cluster's fault: every other job would go the same way
        elif run.begun:
            self._tell(self.controller.failed, run.job, f"worker lost {run.losses} times: {reason}")
        else:
            raise RunEnded from InputError(f"engine ray: workers do not start: {reason}")

    def _tell(self, call: Callable[..., Any], *values: Any, **more: Any) -> Any:
        try:
            return call(*values, **more)
        except Exception as error:
            raise RunEnded from error


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
