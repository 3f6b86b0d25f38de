"""The search of one budget, among those of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from nas.driver.rungs import Rungs
from nas.record.trial import Trial
from nas.samplers.proposer import NoProposer, Proposer
from space.networks import Network, network_from
from space.references import Reference


@dataclass
class Branch:
    """The search of one budget: `most` networks in all, the references included."""

    budget: str
    proposer: Proposer | NoProposer
    rungs: Rungs
    references: Sequence[Reference]
    most: int
    front: bool = False
    begun: int = 0
    exhausted: bool = False
    met: set[int] = field(default_factory=set)  # trials the proposer knows
    trained: set[str] = field(default_factory=set)  # references that have a trial

    @property
    def wants_more(self) -> bool:
        """Whether another network is to be started, now or later."""
        return self.begun < self.most and not self.exhausted

    def close(self) -> None:
        """No further network will come."""
        self.exhausted = True
        self.rungs.close()

    def meet(self, trial: Trial, network: Network | None = None) -> None:
        """A trial of this budget, of this driver or another: its network is not proposed again.

        `network` is the trial's, where it is at hand.
        """
        if trial.is_confirmation or trial.number in self.met:
            return
        self.begun += 1
        self.met.add(trial.number)
        if trial.is_reference and trial.name is not None:
            self.trained.add(trial.name)
        # a reference in the band teaches a sampler as much as any candidate
        network = network_from(trial.architecture) if network is None else network
        self.proposer.started(trial.number, network, trial.memo)
