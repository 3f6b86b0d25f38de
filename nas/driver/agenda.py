"""What a search trains next: a promotion, else a network that is new, else a confirmation.

It decides by the record, the branches and the clock; what it decides is in the record before it is trained.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from nas.driver.branch import Branch
from nas.driver.branches import Branches
from nas.driver.checkpoints import Checkpoints
from nas.driver.confirmation import lacking
from nas.driver.pace import Pace
from nas.engines.job import Job
from nas.record.record import Record
from nas.record.trial import Role, Trial
from nas.samplers.limits import TooSlowError
from space.networks import Recorded, recorded_from, titled
from space.references import Reference
from space.words import duration


class Agenda:
    """`epochs` is full fidelity; `confirm` is how many networks are trained again, with how many seeds."""

    def __init__(
        self,
        record: Record,
        branches: Sequence[Branch],
        pace: Pace,
        *,
        seed: int,
        epochs: int,
        confirm: tuple[int, int],
    ) -> None:
        self.record = record
        self.branches = Branches(record, branches)
        self.checkpoints = Checkpoints(record.folder / "checkpoints")
        self.pace = pace
        self.epochs = epochs
        self._seed = seed
        self._confirm = confirm

    def next(self, running: Collection[int]) -> Job | None:
        """The next job beside the running trials; None while there is none. Inside a turn."""
        # promotions first, as in ASHA's Algorithm 2: or new networks would fill the first rung alone
        return self._promotion() or self._fresh() or self._confirmation(running)

    def job(self, number: int, network: Recorded | None = None) -> Job:
        """The job of a trial; `network` is the trial's, where it is at hand."""
        trial = self.record.trial(number)
        network = recorded_from(trial.architecture) if network is None else network
        label = titled(trial.name, network)
        if trial.is_confirmation:
            label = f"trial {trial.of} again, seed {trial.seed}: {label}"
        return Job(number, network, trial.seed, trial.target, self.checkpoints.path(number), label)

    def _promotion(self) -> Job | None:
        """A paused training that earned more epochs."""
        for branch in self.branches:
            if not self.pace.allows(branch.rungs.levels[0]):
                return None
            promoted = branch.rungs.promote()
            if promoted is not None:
                return self._go_on(branch, *promoted)
        return None

    def _go_on(self, branch: Branch, number: int, target: int) -> Job:
        self.record.progress(number, paused=False, target=target, attempts=1)
        branch.paused.discard(number)
        return self.job(number)

    def _fresh(self) -> Job | None:
        """A network that has not been trained, for the budget that has had the fewest."""
        for branch in sorted(self.branches, key=lambda branch: branch.begun / branch.most):
            if not branch.wants_more:
                continue
            if not self.pace.allows(branch.rungs.levels[0]):
                self._out_of_time()
                return None
            # references first: a time limit must not cut off what everything is compared with
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
        for branch in self.branches:
            own = [t for t in self.record.trials() if t.budget == branch.budget and t.is_candidate]
            states = {t.state for t in own}
            if branch.wants_more or states & {"complete", "running"} or not self.pace.allows(1):
                continue
            paused = [t for t in own if t.state == "paused" and self.branches.is_ours(t)]
            paused = [t for t in paused if math.isfinite(t.accuracies[-1])]
            if paused:
                # accuracies of fewer epochs say nothing beside those of more
                best = max(paused, key=lambda t: (t.fidelity, t.accuracies[-1], -t.number))
                target = min(level for level in branch.rungs.levels if level > best.fidelity)
                branch.rungs.promoted(best.number, target)
                return self._go_on(branch, best.number, target)
        return None

    def _begin_reference(self, branch: Branch, reference: Reference) -> Job:
        if not reference.in_band:
            self.record.warn(f"the reference {reference.name} does not meet the budget")
        # whatever the rungs say: what everything is compared with has to be trained fully
        return self._begin(branch, reference.network, "reference", self.epochs, name=reference.name)

    def _begin_candidate(self, branch: Branch) -> Job | None:
        # the proposal's randomness and the rungs go by the number, which nobody else takes inside a turn
        number = self.record.next_number
        over = "every network of the band has been tried"
        try:
            proposal = branch.proposer.next(number)
        except TooSlowError as slow:
            proposal, over = None, str(slow)
        if proposal is None:
            self.record.warn(over)
            branch.close()
            return None
        target = branch.rungs.start(number)
        return self._begin(
            branch, proposal.architecture, "candidate", target, memo=proposal.memo, params=proposal.params
        )

    def _begin(
        self,
        branch: Branch,
        network: Recorded,
        role: Role,
        target: int,
        seed: int | None = None,
        params: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Job:
        number = self.record.begin(
            network,
            role=role,
            target=target,
            seed=self._seed if seed is None else seed,
            budget=branch.budget,
            params=branch.proposer.params(network) if params is None else params,
            distributions=branch.proposer.distributions,
            **more,
        )
        branch.meet(self.record.trial(number), network)
        return self.job(number, network)

    def _confirmation(self, running: Collection[int]) -> Job | None:
        """Once the search is over: the best, and the references, with seeds that no choice was made by."""
        # while a candidate is trained, nobody knows which are the best
        searching = any(not self.record.trial(number).is_confirmation for number in running)
        if searching or self._confirm[1] == 0 or any(branch.wants_more for branch in self.branches):
            return None
        trials = self.record.trials()
        if any(t.state == "running" and not self.branches.is_ours(t) for t in trials):
            self.record.warn("other drivers were still training: the last one confirms")
            return None
        return self._confirmation_of(trials)

    def _confirmation_of(self, trials: list[Trial]) -> Job | None:
        count, seeds = self._confirm
        # the same for all networks and budgets, so that differences can be paired by seed
        fresh = range(self._seed + 1, self._seed + 1 + seeds)
        for branch in self.branches:
            for trial, seed in lacking(branch, trials, count, fresh):
                if not self.pace.allows(self.epochs):
                    self._out_of_time()
                    return None
                network, name = recorded_from(trial.architecture), trial.name
                return self._begin(
                    branch, network, "confirmation", self.epochs, seed, name=name, of=trial.number
                )
        return None

    def _out_of_time(self) -> None:
        if self.pace.limit is not None:  # the record keeps a remark once
            self.record.warn(f"the time limit of {duration(self.pace.limit)} ended the search")
