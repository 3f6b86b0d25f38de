"""The search of one budget, among those of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.driver.gate import Decision, Gate
from nas.driver.rungs import Rungs
from nas.record.trial import Trial
from nas.samplers.proposer import NoProposer, Proposer
from space.networks import Recorded, recorded_from
from space.references import Reference


@dataclass
class Branch:
    """The search of one budget: `share` networks in all, the references included.

    With a gate that lets trainings stop early: as many as the epochs of `share` full trainings suffice for.
    """

    budget: str
    proposer: Proposer | NoProposer
    rungs: Rungs
    references: Sequence[Reference]
    share: int
    front: bool = False
    gate: Gate | None = None
    begun: int = 0
    ungoverned: int = 0  # of those, trials from before the gate's decision
    exhausted: bool = False
    met: set[int] = field(default_factory=set)  # trials the proposer knows
    trained: set[str] = field(default_factory=set)  # references that have a trial
    paused: set[int] = field(default_factory=set)  # trials with a checkpoint

    @property
    def most(self) -> int:
        """Networks in all, by what is decided so far."""
        if self.gate is None or self.gate.decision is None:
            return self.share
        return self.ungoverned + self.gate.networks(max(self.share - self.ungoverned, 0))

    @property
    def wants_more(self) -> bool:
        """Whether another network is to be started, now or later."""
        return self.begun < self.most and not self.exhausted

    def climbs(self, number: int) -> bool:
        """Whether a candidate passes rungs; what a gate looks at is trained fully."""
        return self.gate is None or self.gate.governs(number)

    def decision(self, number: int) -> Decision | None:
        """What the gate decides for trials from this number on; None while it waits, and where it has."""
        if self.gate is None or not self.gate.ready:
            return None
        return self.gate.decide(number, max(self.share - self.begun, 0))

    def settle(self, decision: Decision) -> None:
        """Go on by the gate's decision."""
        assert self.gate is not None
        self.gate.decision = decision
        self.rungs = self.gate.rungs()

    def start(self, number: int) -> int:
        """A new candidate; the epochs of its first stretch."""
        return self.rungs.start(number) if self.climbs(number) else self.rungs.levels[-1]

    def reached(self, number: int, epochs: int, accuracy: float) -> None:
        """A candidate has done all the epochs it was sent for."""
        if self.climbs(number):
            self.rungs.reached(number, epochs, accuracy)

    def failed(self, number: int) -> None:
        """A candidate gave no result and will not."""
        if self.climbs(number):
            self.rungs.failed(number)

    def close(self) -> None:
        """No further network will come."""
        self.exhausted = True
        self.rungs.close()

    def meet(self, trial: Trial, network: Recorded | None = None) -> None:
        """A trial of this budget, of this driver or another: its network is not proposed again.

        `network` is the trial's, where it is at hand.
        """
        if trial.is_confirmation or trial.number in self.met:
            return
        self.begun += 1
        self.ungoverned += self.gate is not None and not self.climbs(trial.number)
        self.met.add(trial.number)
        if trial.is_reference and trial.name is not None:
            self.trained.add(trial.name)
        # a reference in the band teaches a sampler as much as any candidate
        network = recorded_from(trial.architecture) if network is None else network
        self.proposer.started(trial.number, network, trial.memo)

    def learn(self, trial: Trial) -> None:
        """Tell the proposer, and the gate, how far a trial has come."""
        if trial.is_confirmation:
            return  # of a network that it knows by the search's own seed
        if trial.state == "failed":
            self.proposer.failed(trial.number)
        elif trial.state in ("complete", "paused") or trial.fidelity:
            self.proposer.reported(trial.number, trial.accuracies)
        if self.gate is not None and trial.is_candidate and trial.full_accuracy is not None:
            self.gate.learn(trial.number, trial.accuracies)

    def climb(self, trial: Trial) -> None:
        """Repeat what the rungs were told of a trial; they are no more than what they were told."""
        if not self.climbs(trial.number):
            return
        rungs, number, reached = self.rungs, trial.number, trial.fidelity
        target = rungs.start(number)
        while target <= reached:
            rungs.reached(number, target, trial.accuracies[target - 1])
            # it waits at this rung where the record has no further target for it
            above = [level for level in rungs.levels if level > target]
            if not above or trial.target <= target:
                return
            target = above[0]
            rungs.promoted(number, target)
        if trial.state == "failed":
            rungs.failed(number)

    def drop(self) -> set[int]:
        """Paused trials whose checkpoints are not worth their disk space any more; they are forgotten."""
        dropped = self.paused - self.rungs.worth_keeping()
        self.paused -= dropped
        return dropped
