"""The searches of a study's budgets, and what they know: all of it comes from the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.driver.branch import Branch
from nas.driver.gate import Decision
from nas.record.record import Record
from nas.record.trial import Trial


class Branches:
    """The branches by budget. They hold no state of their own: after a crash `take_up` rebuilds them."""

    def __init__(self, record: Record, branches: Sequence[Branch]) -> None:
        self._record = record
        self._branches: dict[str | None, Branch] = {branch.budget: branch for branch in branches}

    def __iter__(self) -> Iterator[Branch]:
        return iter(self._branches.values())

    def of(self, number: int) -> Branch:
        """The branch of a trial."""
        return self._branches[self._record.trial(number).budget]

    def is_ours(self, trial: Trial) -> bool:
        """Whether this driver trains it, and not another of a shared study."""
        # a trial without a driver is of a study that could have one only, whose number is 0
        return (trial.driver or 0) == self._record.storage.driver

    def learn(self, number: int) -> None:
        """A trial has come further."""
        self.of(number).learn(self._record.trial(number))

    def hear(self) -> None:
        """What other drivers began, ended or decided since the last look."""
        self._settle()
        for trial in self._record.news():
            if not self.is_ours(trial):
                self.of(trial.number).meet(trial)
                self.learn(trial.number)

    def take_up(self) -> list[int]:
        """Repeat the study as the record has it; the trials that were under way. Inside a turn.

        Trial by trial, in their order: rungs and samplers follow from that alone.
        """
        self._settle()  # first: it tells which trials pass rungs
        unfinished = []
        for trial in map(self._adopted, self._record.trials()):
            branch, ours = self.of(trial.number), self.is_ours(trial)
            branch.meet(trial)
            # references pass no rungs, and every driver has rungs of its own
            if trial.is_candidate and ours:
                branch.climb(trial)
            branch.learn(trial)
            if ours and trial.state == "paused":
                branch.paused.add(trial.number)
            elif ours and not trial.over:
                unfinished.append(trial.number)
        return unfinished

    def decide(self, branch: Branch, number: int) -> None:
        """Let the branch's gate decide, if it can, from this trial on. Inside a turn."""
        decision = branch.decision(number)
        if decision is not None:
            # in the record before anything follows from it
            self._record.decide(branch.budget, decision.to_dict())
            branch.settle(decision)

    def _settle(self) -> None:
        """What gates have decided, earlier or in another driver."""
        waiting = [b for b in self if b.gate is not None and b.gate.decision is None]
        decided = self._record.stopping if waiting else {}
        for branch in waiting:
            if branch.budget in decided:
                branch.settle(Decision.from_dict(decided[branch.budget]))

    def _adopted(self, trial: Trial) -> Trial:
        """The trial, taken over where the driver that was training it has died."""
        if not (trial.over or self.is_ours(trial) or self._record.storage.alive(trial.driver or 0)):
            self._record.adopt(trial.number)
        return self._record.trial(trial.number)
