"""The decisions of a search: what is trained next, to how many epochs, and what is recorded of it.

The same for every engine, and a function of the record: after a crash it is rebuilt from there.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from nas.driver.agenda import Agenda
from nas.engines.job import Job
from nas.verdict.summary import Summary

if TYPE_CHECKING:
    from nas.driver.progress import Progress
    from nas.record.trial import Trial
    from nas.training.result import Epoch, Result

# a training in which the driver has died so often, with no epoch gained, is taken to be the reason
MOST_ATTEMPTS = 5
# failures alike, from the first training on, that end a search: a published network should train anywhere,
# while an axis may have a value with which no network trains (both chosen, not measured)
MOST_ALIKE, MOST_ALIKE_CANDIDATES = 3, 8

Callback = Callable[["Trial"], object]
"""Called with every trial that is over or pauses, once it is recorded; what it raises ends the search."""


class SearchEnded(Exception):  # noqa: N818 - no error of the program's
    """To go on training would be of no use; the message says why, in one line."""


@dataclass
class Running:
    """A job under way and its learning curve."""

    job: Job
    curve: list[dict[str, Any]] = field(default_factory=list)
    began: float = 0.0  # by the clock, when a worker began with it
    told: int = 0  # epochs that this worker has told of,
    seconds: float = 0.0  # and what they took: longer ago, where they are a checkpoint's


class SearchController:
    """An engine's `Controller`: the agenda decides, and every trial is in the record before it is trained."""

    def __init__(self, agenda: Agenda, progress: Progress, callbacks: Sequence[Callback] = ()) -> None:
        self._agenda = agenda
        self._record = agenda.record
        self._branches = agenda.branches
        self._checkpoints = agenda.checkpoints
        self._pace = agenda.pace
        self._progress = progress
        self._callbacks = callbacks
        self._summary = Summary(agenda.record)
        self._running: dict[int, Running] = {}
        self._alike: list[str] = []  # reasons of the first trainings, where all failed unexpectedly
        self._idle = False
        self._told: set[str] = set()  # budgets of which was said where they stop trainings early
        with self._record.turn():
            self._unfinished = self._branches.take_up()
            self._checkpoints.sweep(trial.number for trial in self._record.trials() if trial.over)

    def next(self) -> Job | None:
        """The next job; None while there is none."""
        with self._record.turn():
            self._branches.hear()
            job = self._begun() or self._agenda.next(self._running)
        self._idle = job is None
        self._tell()
        if job is not None:
            self._run(job)
        return job

    @property
    def over(self) -> bool:
        """Nothing runs and `next` found nothing."""
        return self._idle and not self._running

    def started(self, job: Job) -> None:
        """A worker has begun with the job."""
        running = self._running[job.trial]
        running.began, running.told, running.seconds = time.monotonic(), 0, 0.0
        self._progress.trial(job.trial, job.label, job.epochs)

    def step(self, job: Job, done: int, steps: int, loss: float = 0.0) -> None:
        """So many optimiser steps of an epoch under way are done; called in the training loop, so quick."""
        del loss
        self._progress.step(job.trial, done, steps)

    def epoch(self, job: Job, point: Epoch) -> None:
        """An epoch of the job is over; one may come twice."""
        running = self._running[job.trial]
        running.told += 1
        running.seconds += point.seconds
        # told again, of a checkpoint or by another worker: what followed it is trained anew
        del running.curve[point.epoch - 1 :]
        running.curve.append(asdict(point))
        self._record.report(job.trial, running.curve)
        self._progress.epoch(job.trial, point.epoch, point.val_accuracy)

    def done(self, job: Job, result: Result) -> None:
        """The job has reached its epochs: it pauses at a rung, or is complete."""
        number, full = job.trial, result.epochs >= self._agenda.epochs
        known = {
            "fidelity": result.epochs,
            "full_fidelity": full,
            "curve": list(result.curve),
            "train_seconds": result.train_seconds + result.eval_seconds,
            "images_per_second": result.images_per_second,
            "precision": result.precision,
            "device": result.device,
            "threads": result.threads,
            "trained": result.trained,
        }
        # the record before anything else: whatever dies from here on, the result is kept
        if full:
            self._record.complete(number, result.accuracy, **known)
        else:
            self._record.progress(number, paused=True, **known)
        if self._record.trial(number).is_candidate:
            self._branches.of(number).reached(number, result.epochs, result.accuracy)
        self._ended(number)

    def failed(self, job: Job, reason: str, *, unexpected: bool = False) -> None:
        """The job gave no result; a failure is a result too.

        Raises `SearchEnded` where nothing has ever been trained and this is how it fails every time.
        """
        number, curve = job.trial, self._running[job.trial].curve
        spent = sum(point["seconds"] for point in curve)
        self._record.fail(number, reason, fidelity=len(curve), curve=curve, train_seconds=spent)
        if self._record.trial(number).is_candidate:
            self._branches.of(number).failed(number)
        self._ended(number)
        self._end_alike(reason if unexpected else None)

    def interrupted(self) -> None:
        """The search stops here on purpose: running trainings did not fail."""
        for number in self._running:
            attempts = self._record.trial(number).attempts or 1
            # to be stopped is no fault of the network: the attempt does not count
            self._record.progress(number, attempts=attempts - 1)

    def _tell(self) -> None:
        """Say what gates have decided, once a run."""
        branches = list(self._branches)
        for branch in branches:
            decision = None if branch.gate is None else branch.gate.decision
            if decision is not None and branch.budget not in self._told:
                self._told.add(branch.budget)
                whose = f"auto, {branch.budget}" if len(branches) > 1 else "auto"
                self._progress.decided(f"{whose}: {decision.says}", branch.share, branch.most)

    def _run(self, job: Job) -> None:
        self._running[job.trial] = Running(job, [dict(p) for p in self._record.trial(job.trial).curve])

    def _begun(self) -> Job | None:
        """A training that was under way when a driver ended."""
        while self._unfinished and self._pace.allows(1):
            number = self._unfinished.pop(0)
            trial, job = self._record.trial(number), self._agenda.job(number)
            mark = self._checkpoints.mark(number)
            # a checkpoint that was written since means epochs gained: then the attempts before do not count
            attempts = trial.attempts or 0 if mark == trial.mark else 0
            if attempts < MOST_ATTEMPTS:
                self._record.progress(number, attempts=attempts + 1, mark=mark)
                return job
            self._run(job)
            self.failed(job, f"the search died {attempts} times while it trained this network")
        return None

    def _end_alike(self, reason: str | None) -> None:
        """Where the first trainings all end with one unexpected error, no network is to blame."""
        self._alike = [] if reason is None else [*self._alike, reason]
        kinds = {re.sub(r"\d+", "0", each) for each in self._alike}  # sizes differ from network to network
        trials = self._record.trials()
        published = any(t.is_reference and t.state == "failed" for t in trials)
        enough = len(self._alike) >= (MOST_ALIKE if published else MOST_ALIKE_CANDIDATES)
        if enough and len(kinds) == 1 and not any(t.fidelity for t in trials):
            raise SearchEnded(f"the first {len(self._alike)} trainings all failed alike: {reason}")

    def _ended(self, number: int) -> None:
        """A training is over or pauses, and the record has what it gave."""
        running, trial = self._running.pop(number), self._record.trial(number)
        branch = self._branches.of(number)
        branch.learn(trial)
        if trial.state == "paused":
            branch.paused.add(number)
            for other in branch.drop():
                self._checkpoints.discard(other)
        else:
            self._checkpoints.discard(number)
        if running.told:
            elapsed = time.monotonic() - running.began
            told = 0.0 if trial.is_simulated else running.seconds
            self._pace.trained(max(elapsed, told), running.told)
        self._progress.done(trial)
        self._summary.refresh()
        for callback in self._callbacks:
            callback(trial)
