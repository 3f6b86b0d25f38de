"""What a training loop reads images from: batches of pixels by index, decoded beforehand or on the fly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from nas.data.crops import Crops, random_crop
from nas.data.dataset import Data, Split
from nas.data.transfer import pinned


class Batches(Protocol):
    """A data set's two splits as batches; one iteration at a time, training or validation.

    A batch is what an index tensor int64 [n] asks for, in its order: pixels uint8 [n, R, R, 3] and labels
    int64 [n], on the CPU, in pinned memory where there is CUDA, or on the device. Random crops depend on the
    seed, the epoch and the image's index alone, so that any division into batches, workers or ranks gives
    the same pixels.
    """

    @property
    def num_classes(self) -> int:
        """How many classes there are."""

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Their names by label; None where they have none."""

    @property
    def read(self) -> str:
        """What was read and what was left out, in a line; "" where there is nothing to say."""

    @property
    def fingerprint(self) -> str:
        """Digits that differ where the images, labels or names of classes do, wherever they lie."""

    @property
    def train_size(self) -> int:
        """Images in the training split."""

    @property
    def val_size(self) -> int:
        """Images in the validation split."""

    def training(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the training split, randomly cropped where the recipe says so."""

    def validation(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of the validation split."""


@dataclass(frozen=True, eq=False)
class Cached:
    """Batches of images that are in memory or memory-mapped at their resolution: no work but `crops`."""

    data: Data
    crops: Crops | None = None  # None: training images as they are

    @property
    def num_classes(self) -> int:
        return self.data.num_classes

    @property
    def classes(self) -> tuple[str, ...] | None:
        return self.data.classes

    @property
    def read(self) -> str:
        return self.data.read

    @property
    def fingerprint(self) -> str:
        """SHA-256 of pixels, labels and names."""
        return self.data.fingerprint

    @property
    def train_size(self) -> int:
        return len(self.data.train)

    @property
    def val_size(self) -> int:
        return len(self.data.val)

    def training(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in batches:
            pixels, labels = _taken(self.data.train, indices)
            if self.crops is not None:
                pixels = _cropped(pixels, self.crops, epoch, indices)
            yield pinned(pixels), pinned(labels)

    def validation(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        for indices in batches:
            pixels, labels = _taken(self.data.val, indices)
            yield pinned(pixels), pinned(labels)


class Resident(Cached):
    """`Cached` with both splits in the device's memory: batches are gathered there, whole images only."""

    there: tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]

    def __init__(self, data: Data, device: torch.device) -> None:
        super().__init__(data)
        self.__dict__.update(there=(_moved(data.train, device), _moved(data.val, device)))

    def training(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:  # noqa: ARG002
        return _gathered(*self.there[0], batches)

    def validation(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        return _gathered(*self.there[1], batches)


def _moved(split: Split, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(np.array(split.images)).to(device), torch.from_numpy(split.labels).to(device)


def _gathered(images: Tensor, labels: Tensor, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
    if not batches:
        return
    there = torch.cat(list(batches)).to(images.device)  # at once: the device is waited for
    for indices in torch.split(there, [len(batch) for batch in batches]):
        yield images[indices], labels[indices]


def _taken(split: Split, indices: Tensor) -> tuple[Tensor, Tensor]:
    chosen = indices.numpy()
    return torch.from_numpy(split.images[chosen]), torch.from_numpy(split.labels[chosen])


def _cropped(pixels: Tensor, crops: Crops, epoch: int, indices: Tensor) -> Tensor:
    from PIL import Image

    # through Pillow, so that cached images are resampled as streamed ones are
    images = [Image.fromarray(image) for image in pixels.numpy()]
    cropped = [
        random_crop(image, crops, epoch, index) for image, index in zip(images, indices.tolist(), strict=True)
    ]
    return torch.from_numpy(np.stack(cropped))
