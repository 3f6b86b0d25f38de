"""The images that scores look at: one small batch of a proxy's training images, without augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from space.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor

    from nas.data import Data
    from nas.proxy.proxy import Proxy

BATCH_SIZE = 64  # images
# the batch in parts: with two, as published, the ratio of a normal gradient has no mean, with four it has
ZICO_BATCHES = 4


@dataclass(frozen=True, eq=False)
class Batch:
    """Normalised images [N, 3, R, R], labels [N], and the seed that weights are drawn from."""

    images: Tensor
    labels: Tensor
    num_classes: int
    seed: int

    @property
    def resolution(self) -> int:
        """Pixels on a side."""
        return int(self.images.shape[-1])


def draw_batch(proxy: Proxy, data: Data | None = None, seed: int = 0) -> Batch:
    """Training images chosen by `seed`, as the proxy's data set has them. Raises `InputError`."""
    import torch

    from nas.data.augment.batch import normalise

    data = proxy.load_data() if data is None else data
    least = 2 * ZICO_BATCHES  # BatchNorm needs two images in each part
    if len(data.train) < least:
        raise InputError(f"scores: {len(data.train)} training images; they need at least {least}")
    size = min(BATCH_SIZE, len(data.train))
    rows = np.random.default_rng(seed).choice(len(data.train), size, replace=False)
    images = normalise(torch.from_numpy(data.train.images[rows]))
    return Batch(images, torch.from_numpy(data.train.labels[rows]), data.num_classes, seed)
