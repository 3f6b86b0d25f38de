"""What an engine is given to do, and what does it: one stretch of training of one network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from space.architecture import Architecture
from space.networks import Recorded, recorded_from

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nas.training.result import Epoch, Result, StepDone


@dataclass(frozen=True)
class Job:
    """Train the network of a trial, from a seed, until `epochs` epochs are done in all.

    Where the `checkpoint` file holds a state of this very training, it goes on from there; a training keeps
    its state there as it goes. None keeps nothing. `label` is for people.
    """

    trial: int
    architecture: Recorded
    seed: int
    epochs: int
    checkpoint: Path | None = None
    label: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for a worker elsewhere."""
        kept = None if self.checkpoint is None else str(self.checkpoint)
        # asdict would take the network's fields apart, in no form that `recorded_from` reads
        plain = {"architecture": self.architecture.to_dict(), "checkpoint": kept}
        return {**{k: v for k, v in asdict(self).items() if k not in plain}, **plain}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Job:
        """The job of plain values."""
        kept = values["checkpoint"]
        return cls(
            **values
            | {
                "architecture": recorded_from(values["architecture"]),
                "checkpoint": None if kept is None else Path(kept),
            }
        )


class Training(Protocol):
    """One job under way; every method may raise `TrialFailed`, the reason in one line."""

    @property
    def curve(self) -> Sequence[Epoch]:
        """Every epoch done, those of a checkpoint included."""

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        """Train and validate one epoch more, and keep the state where that is due."""

    def result(self) -> Result:
        """What the epochs done so far gave."""


class Trainer(Protocol):
    """Trains jobs, each alike wherever it runs; can be pickled, and holds no data set when it is."""

    @property
    def epochs(self) -> int:
        """Full fidelity."""

    def start(self, job: Job) -> Training:
        """Begin a job, or go on with it from its checkpoint. Raises `TrialFailed`."""

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one 224x224 image on this trainer's device."""
