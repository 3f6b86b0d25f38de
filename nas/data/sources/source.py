"""What a data set's file hands over, and what it is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]


Labels = NDArray[np.int64]


class Source(Protocol):
    """What a data set's file hands to the cache: sizes, what tells it apart, and its pixels."""

    num_classes: int
    classes: tuple[str, ...] | None
    read: str
    sizes: dict[str, int]

    def identity(self) -> dict[str, Any]:
        """Plain values that differ when the pixels would."""

    def fill(self, split: str, images: Images, labels: Labels) -> None:
        """Writes a split ("train" or "val") into arrays [N, H, W, 3] and [N]."""


@dataclass(frozen=True)
class Request:
    """What of a data set is wanted; `num_classes` None means all it has."""

    path: Path | None
    resolution: int
    train_size: int | None
    val_size: int | None
    num_classes: int | None
    seed: int
