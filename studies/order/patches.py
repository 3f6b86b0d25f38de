"""Fifty classes of patches of the two photographs that scikit-learn carries, for the settings `patches_8`.

    python -m studies.order.patches FOLDER

After exemplar CNNs (Dosovitskiy et al. 2014, arXiv 1406.6909): a class is a place, an image is what lies
around it, moved, turned, scaled, with other colours and noise, and often with a piece of another place on it.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

SIDE, CLASSES, EACH = 32, 50, {"train": 400, "val": 40}
LEAST_CONTRAST, LEAST_DISTANCE = 22, 36  # grey levels, pixels: a place is something, and not another


class Patches:
    """Places and the images around them."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._photos = [Image.fromarray(pixels) for pixels in load_sample_images().images]
        self._places: list[tuple[int, float, float]] = []
        while len(self._places) < CLASSES:
            self._try(len(self._places) % 2)

    def _try(self, which: int) -> None:
        width, height = self._photos[which].size
        x, y = self._random.uniform(40, width - 40), self._random.uniform(40, height - 40)
        box = (int(x) - 24, int(y) - 24, int(x) + 24, int(y) + 24)
        grey = np.asarray(self._photos[which].convert("L").crop(box), float)
        near = (i == which and math.hypot(x - a, y - b) <= LEAST_DISTANCE for i, a, b in self._places)
        if grey.std() > LEAST_CONTRAST and not any(near):
            self._places.append((which, x, y))

    def draw(self, label: int) -> Image.Image:
        """An image of a class."""
        draw = self._random
        which, x, y = self._places[label]
        scale = draw.uniform(30, 72) * math.exp(draw.normal(0, 0.1))
        angle = draw.uniform(-0.5, 0.5)
        x, y = x + draw.uniform(-0.25, 0.25) * scale, y + draw.uniform(-0.25, 0.25) * scale
        cos, sin = math.cos(angle) * scale / SIDE, math.sin(angle) * scale / SIDE
        aspect, half = math.exp(draw.normal(0, 0.15)), SIDE / 2
        a, d = cos * aspect, sin * aspect
        affine = (a, -sin, x - half * a + half * sin, d, cos, y - half * d - half * cos)
        image = self._photos[which].transform(
            (SIDE, SIDE), Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR
        )
        if draw.random() < 0.15:
            image = image.convert("L").convert("RGB")
        pixels = np.asarray(image, float)
        contrast, brightness = draw.uniform(0.5, 1.4), draw.uniform(0.6, 1.3)
        pixels = (pixels - pixels.mean()) * contrast + pixels.mean() * brightness + draw.normal(0, 18, 3)
        pixels = pixels + draw.normal(0, draw.uniform(0, 12), pixels.shape)
        if draw.random() < 0.7:
            self._cover(pixels)
        return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def _cover(self, pixels: np.ndarray) -> None:
        draw = self._random
        photo = self._photos[draw.integers(2)]
        width, height = int(draw.integers(6, 20)), int(draw.integers(6, 20))
        left, top = int(draw.integers(0, photo.width - width)), int(draw.integers(0, photo.height - height))
        x, y = int(draw.integers(0, SIDE - width + 1)), int(draw.integers(0, SIDE - height + 1))
        piece = photo.crop((left, top, left + width, top + height))
        pixels[y : y + height, x : x + width] = np.asarray(piece, float)


def write(folder: Path) -> None:
    """FOLDER/train/c00/0000.png and so on: 20,000 images, and 2,000 for validation."""
    patches = Patches()
    for split, each in EACH.items():
        for label in range(CLASSES):
            own = folder / split / f"c{label:02d}"
            own.mkdir(parents=True, exist_ok=True)
            for number in range(each):
                patches.draw(label).save(own / f"{number:04d}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
