"""What a training gives: a learning curve and an accuracy with its fidelity, or the reason of a failure."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from space.errors import first_line, printable, shortened, text_of

log = logging.getLogger(__name__)

MOST_REASON = 300  # characters
# as torch calls errors after which no more can be done on that device in the same process
LOST_DEVICE = ("AcceleratorError", "CUDA error", "HIP error", "CUBLAS_STATUS", "CUDNN_STATUS_EXECUTION")


class TrialFailed(RuntimeError):  # noqa: N818 - a trial's outcome, recorded with its reason
    """This training gave no result; the message is the reason, in one line."""


class UnexpectedFailure(TrialFailed):
    """A training ended with an error that nobody foresaw: class and first line. It can travel to a driver."""

    @property
    def lost_device(self) -> bool:
        """Whether the process cannot use its device any more."""
        return any(words in str(self) for words in LOST_DEVICE)


StepDone = Callable[[int, int, float], None]
"""Called with the steps done in an epoch, those there are, and the last loss that was read."""


@contextmanager
def outcomes() -> Iterator[None]:
    """Whatever building or training a network raises is its outcome: `TrialFailed`.

    Not what ends a process, such as Ctrl-C. Where an unexpected error came from is logged, at debug level.
    """
    try:
        yield
    except TrialFailed as failure:
        if type(failure) is TrialFailed:
            raise TrialFailed(first_line(failure)) from None
        raise
    except Exception as error:
        frames = "".join(traceback.format_exception(error, limit=-5))
        log.debug("a training raised\n%s", frames)
        if isinstance(error, MemoryError):
            raise TrialFailed(f"out of memory: {first_line(error)}") from None
        raise UnexpectedFailure(described(error)) from None


def described(error: BaseException) -> str:
    """An error as the reason of a failure, in one line: its class, and the first line of what it says."""
    name, said = type(error).__name__, first_line(text_of(error))
    return shortened(printable(f"{name}: {said}" if said else name), MOST_REASON)


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
    trained: dict[str, Any] | None = None  # what a proxy trained in place of the network asked for
