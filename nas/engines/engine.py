"""The two sides of a search: an engine trains jobs, a controller decides which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nas.engines.job import Job
    from nas.training.result import Epoch, Result
    from space.architecture import Architecture


class Controller(Protocol):
    """Decides what is trained next and records what comes of it. All calls come from one thread."""

    def next(self) -> Job | None:
        """A job to start now; None while there is none, which may change when a running one ends."""

    @property
    def over(self) -> bool:
        """There is no job now and, once the running ones have ended, none will come."""

    def started(self, job: Job) -> None:
        """A worker has begun with the job; again where it begins again after a loss."""

    def step(self, job: Job, done: int, steps: int, loss: float) -> None:
        """So many steps of an epoch under way are done; only where an engine sees them, and it may be seldom.

        Called between two steps of a training, which waits for it.
        """

    def epoch(self, job: Job, point: Epoch) -> None:
        """An epoch of the job is over. Epochs come in order; one may come twice where a worker was lost."""

    def done(self, job: Job, result: Result) -> None:
        """The job has reached its epochs."""

    def failed(self, job: Job, reason: str, *, unexpected: bool = False) -> None:
        """The job gave no result and is not tried again; `unexpected`: by an error that nobody foresaw."""


class Engine(Protocol):
    """Where trainings run."""

    @property
    def workers(self) -> int:
        """Jobs that run at once, at most."""

    def run(self, controller: Controller) -> None:
        """Train until the controller is over. `KeyboardInterrupt` passes through, running jobs undone."""

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one 224x224 image on a device that trains."""
