"""scikit-learn's digits: 1797 images of 8x8 pixels, 10 classes, resized (bilinear) to the resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.sources.subset import balanced, chosen_classes, chosen_size

if TYPE_CHECKING:
    from nas.data.sources.source import Request

VAL_SHARE = 1 / 3


class Digits:
    """A third of the images, class-balanced and always the same third, is the validation split."""

    pixels = 8

    def __init__(self, request: Request) -> None:
        from sklearn.datasets import load_digits

        found = load_digits()
        self.images, self.labels = found.images, found.target.astype(np.int64)
        self.num_classes = chosen_classes(request.num_classes, 10, "digits")
        kept = np.flatnonzero(self.labels < self.num_classes)
        order = kept[balanced(self.labels[kept], len(kept), (0,))]
        held_out = int(len(order) * VAL_SHARE)
        self.indices = {}
        for split, pool, asked in (
            ("train", order[held_out:], request.train_size),
            ("val", order[:held_out], request.val_size),
        ):
            size = chosen_size(asked, len(pool), split, "digits")
            self.indices[split] = pool[balanced(self.labels[pool], size, (request.seed, 1))]
        self.classes: tuple[str, ...] | None = tuple("0123456789"[: self.num_classes])
        self.read = ""
        self.sizes = {split: len(indices) for split, indices in self.indices.items()}
        self.seed = request.seed

    def identity(self) -> dict[str, Any]:
        """The seed chooses the subset."""
        return {"data": "digits", "num_classes": self.num_classes, "seed": self.seed}

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Grey values 0 .. 16 become 0 .. 255 in all three channels."""
        from PIL import Image

        side = images.shape[1]
        for i, index in enumerate(self.indices[split]):
            grey = Image.fromarray((self.images[index] * (255 / 16)).astype(np.uint8))
            resized = grey.resize((side, side), Image.Resampling.BILINEAR)
            images[i] = np.asarray(resized)[:, :, None]
        labels[:] = self.labels[self.indices[split]]
