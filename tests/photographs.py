"""A folder of small photographs, as a user has one: `python -m tests.photographs FOLDER` for the tutorial.

Five kinds of pictures, each of its own shapes and with colours that it has more often than others, in varying
places, sizes and sharpness, with noise, as JPEG.
"""

from __future__ import annotations

import colorsys
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Draw = Callable[[ImageDraw.ImageDraw, np.random.Generator, int], None]


def _place(rng: np.random.Generator, side: int) -> tuple[float, float, float]:
    x, y = rng.uniform(0.2, 0.8, 2) * side
    return float(x), float(y), float(rng.uniform(0.1, 0.25) * side)


def _colour(rng: np.random.Generator, hue: float | None = None) -> tuple[int, ...]:
    """Any colour, or one about this hue."""
    turned = rng.uniform() if hue is None else hue + rng.normal(0, 0.08)
    colour = colorsys.hsv_to_rgb(turned % 1, float(rng.uniform(0.3, 1)), float(rng.uniform(0.4, 1)))
    return tuple(int(255 * c) for c in colour)


def suns(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y, r = _place(rng, side)
    draw.ellipse((x - r, y - r, x + r, y + r), fill=_colour(rng))


def boxes(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y, r = _place(rng, side)
    draw.rectangle((x - r, y - r, x + r, y + r), fill=_colour(rng))


def roofs(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y, r = _place(rng, side)
    draw.polygon([(x, y - r), (x - r, y + r), (x + r, y + r)], fill=_colour(rng))


def rays(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y, r = _place(rng, side)
    colour, width = _colour(rng), max(1, side // 24)
    for angle in rng.uniform(0, 2 * np.pi, 7):
        draw.line((x, y, x + 2 * r * np.cos(angle), y + 2 * r * np.sin(angle)), colour, width)


def rings(draw: ImageDraw.ImageDraw, rng: np.random.Generator, side: int) -> None:
    x, y, r = _place(rng, side)
    draw.ellipse((x - r, y - r, x + r, y + r), outline=_colour(rng), width=max(2, side // 20))


KINDS: dict[str, Draw] = {f.__name__: f for f in (suns, boxes, roofs, rays, rings)}


def photograph(kind: str, rng: np.random.Generator, side: int) -> Image.Image:
    """One picture, about `side` pixels on each side."""
    width, height = side + int(rng.integers(0, side // 3)), side
    hue = list(KINDS).index(kind) / len(KINDS)
    image = Image.new("RGB", (width, height), _colour(rng, hue))
    for _ in range(3):
        KINDS[kind](ImageDraw.Draw(image), rng, side)
    image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0, side / 60))))
    pixels = np.asarray(image) + rng.normal(0, 12, (height, width, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def make(folder: Path, *, kinds: int = 5, train: int = 100, val: int = 40, side: int = 96) -> Path:
    """FOLDER/train/KIND/*.jpg and FOLDER/val/KIND/*.jpg; so many of each kind."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        for kind in list(KINDS)[:kinds]:
            (folder / split / kind).mkdir(parents=True)
            for i in range(count):
                photograph(kind, rng, side).save(folder / split / kind / f"{i:04}.jpg", quality=90)
    return folder


if __name__ == "__main__":
    make(Path(sys.argv[1]))
