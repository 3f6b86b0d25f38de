"""What a training gives: a learning curve and an accuracy with its fidelity, or the reason of a failure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class TrialFailed(RuntimeError):  # noqa: N818 - a trial's outcome, recorded with its reason
    """This training gave no result; the message is the reason, in one line."""


@dataclass(frozen=True)
class Epoch:
    """One point of the learning curve; `seconds` covers training and validation."""

    epoch: int
    train_loss: float
    val_loss: float
    val_accuracy: float
    seconds: float


@dataclass(frozen=True)
class Result:
    """`accuracy` is top-1 on the validation split, in [0, 1], after `epochs` (the fidelity) epochs."""

    accuracy: float
    epochs: int
    curve: tuple[dict[str, Any], ...]
    train_seconds: float
    eval_seconds: float
    images_per_second: float
    seed: int
    precision: str
    device: str
    threads: int = 1
