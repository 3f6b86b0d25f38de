"""The decisions of a search: what is trained next, to how many epochs, and what is recorded of it.

The same for every engine, and a function of the record: after a crash it is rebuilt from there.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.driver.branch import Branch
from nas.driver.progress import duration
from nas.engines.job import Job
from nas.record.record import Record
from nas.record.trial import Role, Trial
from nas.samplers.limits import TooSlowError
from nas.verdict.summary import Summary
from space.networks import Network, brief, network_from
from space.references import Reference

if TYPE_CHECKING:
    from nas.driver.progress import Progress
    from nas.training.result import Epoch, Result

# a training in which the driver has died so often, with no epoch gained, is taken to be the reason
MOST_ATTEMPTS = 5
# failures alike, from the first training on, that end a search: a published network should train anywhere,
# while an axis may have a value with which no network trains
MOST_ALIKE, MOST_ALIKE_CANDIDATES = 3, 8


class SearchEnded(Exception):  # noqa: N818 - no error of the program's
    """To go on training would be of no use; the message says why, in one line."""


@dataclass
class Running:
    """A job under way and its learning curve."""

    job: Job
    curve: list[dict[str, Any]] = field(default_factory=list)


class SearchController:
    """Decides by the branches' proposers and rungs; every trial is in the record before it is trained."""

    def __init__(
        self,
        record: Record,
        branches: Sequence[Branch],
        progress: Progress,
        *,
        seed: int,
        epochs: int,
        time_limit: float | None,
        confirm: tuple[int, int],
        choose: Callable[[Sequence[Trial], int, bool], Sequence[Trial]],
    ) -> None:
        """`epochs` is full fidelity; `confirm` is how many networks are trained again, with how many seeds.

        `choose(trials, count, front)` picks those among a branch's fully trained candidates.
        """
        self._record = record
        self._branches: dict[str | None, Branch] = {branch.budget: branch for branch in branches}
        self._progress = progress
        self._seed = seed
        self._epochs = epochs
        self._limit = time_limit
        self._confirm = confirm
        self._choose = choose
        self._began = time.monotonic()
        self._running: dict[int, Running] = {}
        self._summary = Summary(record)
        self._alike: list[str] = []  # reasons of the first trainings, where all failed unexpectedly
        self._unfinished: list[int] = []
        self._paused: set[int] = set()  # with a checkpoint
        self._checkpoints = record.folder / "checkpoints"
        self._checkpoints.mkdir(exist_ok=True)
        self._stopped = False
        self._idle = False
        with record.turn():
            self._replay()

    def next(self) -> Job | None:
        """The next job; None while there is none."""
        with self._record.turn():
            for trial in self._record.news():
                self._hear(trial)
            job = self._begun() or self._promotion() or self._fresh() or self._confirmation()
        self._idle = job is None
        if job is not None:
            self._running[job.trial] = Running(
                job, [dict(point) for point in self._record.trial(job.trial).curve]
            )
        return job

    @property
    def over(self) -> bool:
        """Nothing runs and `next` found nothing."""
        return self._idle and not self._running

    def started(self, job: Job) -> None:
        """A worker has begun with the job."""
        self._progress.trial(job.trial, job.label, job.epochs)

    def epoch(self, job: Job, point: Epoch) -> None:
        """An epoch of the job is over; one may come twice."""
        curve = self._running[job.trial].curve
        del curve[point.epoch - 1 :]
        curve.append(asdict(point))
        self._record.report(job.trial, curve)
        self._progress.epoch(job.trial, point.epoch, point.val_accuracy)

    def done(self, job: Job, result: Result) -> None:
        """The job has reached its epochs: it pauses at a rung, or is complete."""
        number, full = job.trial, result.epochs >= self._epochs
        known = {
            "fidelity": result.epochs,
            "full_fidelity": full,
            "curve": list(result.curve),
            "train_seconds": result.train_seconds + result.eval_seconds,
            "images_per_second": result.images_per_second,
            "precision": result.precision,
            "device": result.device,
            "threads": result.threads,
        }
        if full:
            self._record.complete(number, result.accuracy, **known)
        else:
            self._record.progress(number, paused=True, **known)
        branch = self._branch(number)
        if self._record.trial(number).is_candidate:
            branch.rungs.reached(number, result.epochs, result.accuracy)
        self._learn(number)
        self._ended(number)

    def failed(self, job: Job, reason: str, *, unexpected: bool = False) -> None:
        """The job gave no result; a failure is a result too.

        Raises `SearchEnded` where nothing has ever been trained and this is how it fails every time.
        """
        curve = self._running[job.trial].curve
        spent = sum(point["seconds"] for point in curve)
        self._record.fail(job.trial, reason, fidelity=len(curve), curve=curve, train_seconds=spent)
        if self._record.trial(job.trial).is_candidate:
            self._branch(job.trial).rungs.failed(job.trial)
        self._learn(job.trial)
        self._ended(job.trial)
        self._end_alike(reason if unexpected else None)

    def interrupted(self) -> None:
        """The search stops here on purpose: running trainings did not fail."""
        for number in self._running:
            attempts = self._record.trial(number).attempts or 1
            self._record.progress(number, attempts=attempts - 1)

    def _end_alike(self, reason: str | None) -> None:
        """Where the first trainings all end with one unexpected error, no network is to blame."""
        self._alike = [] if reason is None else [*self._alike, reason]
        kinds = {re.sub(r"\d+", "0", each) for each in self._alike}  # sizes differ from network to network
        trials = self._record.trials()
        published = any(t.is_reference and t.state == "failed" for t in trials)
        enough = len(self._alike) >= (MOST_ALIKE if published else MOST_ALIKE_CANDIDATES)
        if enough and len(kinds) == 1 and not any(t.fidelity for t in trials):
            raise SearchEnded(f"the first {len(self._alike)} trainings all failed alike: {reason}")

    # rebuilding

    def _replay(self) -> None:
        """Take up the record: what is known, what is paused, what was under way."""
        for each in self._record.trials():
            trial = self._taken_over(each)
            self._branch(trial.number).meet(trial)
            if trial.is_candidate and self._is_ours(trial):
                self._climb(trial)
            self._learn(trial.number)
            if self._is_ours(trial) and trial.state == "paused":
                self._paused.add(trial.number)
            elif self._is_ours(trial) and not trial.over:
                self._unfinished.append(trial.number)
        self._sweep()

    def _sweep(self) -> None:
        """Remove checkpoints of trainings that are over: a driver may die between the result and this."""
        over = {self._checkpoint(t.number).name for t in self._record.trials() if t.over}
        for path in self._checkpoints.glob("trial-*.ckpt"):
            if path.name in over:
                path.unlink(missing_ok=True)

    def _taken_over(self, trial: Trial) -> Trial:
        """The trial, this driver's if the one that trained it died."""
        if not trial.over and not self._is_ours(trial) and not self._record.storage.alive(trial.driver or 0):
            self._record.adopt(trial.number)
        return self._record.trial(trial.number)

    def _is_ours(self, trial: Trial) -> bool:
        return (trial.driver or 0) == self._record.storage.driver

    def _climb(self, trial: Trial) -> None:
        """Repeat what the rungs were told of a trial."""
        rungs, number, reached = self._branch(trial.number).rungs, trial.number, trial.fidelity
        target = rungs.start(number)
        while target <= reached:
            rungs.reached(number, target, trial.accuracies[target - 1])
            above = [level for level in rungs.levels if level > target]
            if not above or trial.target <= target:
                return
            target = above[0]
            rungs.promoted(number, target)
        if trial.state == "failed":
            rungs.failed(number)

    def _hear(self, trial: Trial) -> None:
        """Another driver began or ended a trial."""
        if self._is_ours(trial):
            return
        self._branch(trial.number).meet(trial)
        self._learn(trial.number)

    def _learn(self, number: int) -> None:
        """Tell the proposer how far a trial has come."""
        trial, branch = self._record.trial(number), self._branch(number)
        if trial.is_confirmation:
            return
        if trial.state == "failed":
            branch.proposer.failed(number)
        elif trial.state in ("complete", "paused") or trial.fidelity:
            branch.proposer.reported(number, trial.accuracies)

    # what comes next, in this order

    def _begun(self) -> Job | None:
        """A training that was under way when a driver ended."""
        while self._unfinished and self._has_time(1):
            number = self._unfinished.pop(0)
            trial = self._record.trial(number)
            job = self._job(number)
            mark = self._mark(number)
            attempts = trial.attempts or 0 if mark == trial.mark else 0
            if attempts < MOST_ATTEMPTS:
                self._record.progress(number, attempts=attempts + 1, mark=mark)
                return job
            self._running[number] = Running(job, [dict(point) for point in trial.curve])
            self.failed(job, f"the search died {attempts} times while it trained this network")
        return None

    def _promotion(self) -> Job | None:
        """A paused training that earned more epochs."""
        for branch in self._branches.values():
            if not self._has_time(branch.rungs.levels[0]):
                return None
            promoted = branch.rungs.promote()
            if promoted is not None:
                return self._go_on(*promoted)
        return None

    def _go_on(self, number: int, target: int) -> Job:
        self._record.progress(number, paused=False, target=target, attempts=1)
        self._paused.discard(number)
        return self._job(number)

    def _fresh(self) -> Job | None:
        """A network that has not been trained, for the budget that has had the fewest."""
        for branch in sorted(self._branches.values(), key=lambda branch: branch.begun / branch.most):
            if not branch.wants_more:
                continue
            if not self._has_time(branch.rungs.levels[0]):
                self._out_of_time()
                return None
            missing = next((r for r in branch.references if not r.is_among(branch.trained)), None)
            if missing is not None:
                return self._begin_reference(branch, missing)
            if branch.rungs.may_start():
                job = self._begin_candidate(branch)
                if job is not None:
                    return job
        # a last synchronous bracket may have waited for networks that do not come
        return self._promotion() or self._last()

    def _last(self) -> Job | None:
        """Where too many failed for any to be promoted to the end, the best of the others goes on."""
        for branch in self._branches.values():
            own = [t for t in self._record.trials() if t.budget == branch.budget]
            own = [t for t in own if t.is_candidate]
            states = {t.state for t in own}
            if branch.wants_more or "complete" in states or "running" in states or not self._has_time(1):
                continue
            paused = [
                t for t in own if t.state == "paused" and self._is_ours(t) and math.isfinite(t.accuracies[-1])
            ]
            if paused:
                best = max(paused, key=lambda t: (t.fidelity, t.accuracies[-1], -t.number))
                target = min(level for level in branch.rungs.levels if level > best.fidelity)
                branch.rungs.promoted(best.number, target)
                return self._go_on(best.number, target)
        return None

    def _begin_reference(self, branch: Branch, reference: Reference) -> Job:
        if not reference.in_band:
            self._record.warn(f"the reference {reference.name} does not meet the budget")
        return self._begin(branch, reference.network, "reference", self._epochs, name=reference.name)

    def _begin_candidate(self, branch: Branch) -> Job | None:
        number = self._record.next_number
        over = "every network of the band has been tried"
        try:
            proposal = branch.proposer.next(number)
        except TooSlowError as slow:
            proposal, over = None, str(slow)
        if proposal is None:
            self._record.warn(over)
            branch.close()
            return None
        target = branch.rungs.start(number)
        return self._begin(
            branch,
            proposal.architecture,
            "candidate",
            target,
            memo=proposal.memo,
            params=proposal.params,
        )

    def _begin(
        self,
        branch: Branch,
        network: Network,
        role: Role,
        target: int,
        seed: int | None = None,
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Job:
        number = self._record.begin(
            network,
            role=role,
            target=target,
            seed=self._seed if seed is None else seed,
            budget=branch.budget,
            params=branch.proposer.params(network) if params is None else params,
            distributions=branch.proposer.distributions,
            **more,
        )
        branch.meet(self._record.trial(number), network)
        return self._job(number, network)

    def _confirmation(self) -> Job | None:
        """Once the search is over: the best, and the references, with seeds that no choice was made by."""
        running = (self._record.trial(number).role for number in self._running)
        searching = any(role != "confirmation" for role in running)
        if searching or self._confirm[1] == 0 or any(b.wants_more for b in self._branches.values()):
            return None
        if any(t.state == "running" and not self._is_ours(t) for t in self._record.trials()):
            self._record.warn("other drivers were still training: the last one confirms")
            return None
        for branch, trial, seed in self._to_confirm():
            if not self._has_time(self._epochs):
                self._out_of_time()
                return None
            network = network_from(trial.architecture)
            return self._begin(
                branch, network, "confirmation", self._epochs, seed, name=trial.name, of=trial.number
            )
        return None

    def _to_confirm(self) -> Iterator[tuple[Branch, Trial, int]]:
        """Trainings that the confirmation still lacks; seed by seed, so that comparisons stay paired."""
        count, seeds = self._confirm
        trials = self._record.trials()
        there = {(t.of, t.seed) for t in trials if t.is_confirmation}
        for branch in self._branches.values():
            own = [t for t in trials if t.budget == branch.budget and t.state == "complete"]
            references = [t for t in own if t.is_reference]
            candidates = [t for t in own if t.is_candidate and t.full_fidelity]
            chosen = [*references, *self._choose(candidates, count, branch.front)]
            for seed in range(self._seed + 1, self._seed + 1 + seeds):
                for trial in chosen:
                    if (trial.number, seed) not in there:
                        yield branch, trial, seed

    # small parts

    def _job(self, number: int, network: Network | None = None) -> Job:
        """The job of a trial; `network` is the trial's, where it is at hand."""
        trial = self._record.trial(number)
        network = network_from(trial.architecture) if network is None else network
        label = brief(network) if trial.name is None else f"{trial.name}: {brief(network)}"
        if trial.is_confirmation:
            label = f"trial {trial.of} again, seed {trial.seed}: {label}"
        return Job(number, network, trial.seed, trial.target, self._checkpoint(number), label)

    def _branch(self, number: int) -> Branch:
        return self._branches[self._record.trial(number).budget]

    def _has_time(self, epochs: int) -> bool:
        if self._limit is None:
            return True
        return time.monotonic() - self._began + self._progress.expected_seconds(epochs) <= self._limit

    def _out_of_time(self) -> None:
        if not self._stopped and self._limit is not None:
            self._record.warn(f"the time limit of {duration(self._limit)} ended the search")
            self._stopped = True

    def _ended(self, number: int) -> None:
        del self._running[number]
        trial = self._record.trial(number)
        if trial.state != "paused":
            self._discard(number)
        else:
            self._paused.add(number)
            worth = self._branch(number).rungs.worth_keeping()
            dropped = {n for n in self._paused if self._branch(n) is self._branch(number)} - worth
            for other in dropped:
                self._discard(other)
            self._paused -= dropped
        self._progress.done(trial)
        self._summary.refresh()

    def _mark(self, number: int) -> int | None:
        """Tells whether a training has come further since the last look."""
        path = self._checkpoint(number)
        return path.stat().st_mtime_ns if path.exists() else None

    def _discard(self, number: int) -> None:
        self._checkpoint(number).unlink(missing_ok=True)

    def _checkpoint(self, number: int) -> Path:
        return self._checkpoints / f"trial-{number}.ckpt"
