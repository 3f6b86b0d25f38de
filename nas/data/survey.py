"""How much of a data set there is, told without decoding an image."""

from __future__ import annotations

from dataclasses import dataclass, field

from nas.data.dataset import open_source

ANY_RESOLUTION = 32  # a source is asked for one, and makes no pixels here


@dataclass(frozen=True)
class Survey:
    """The classes by label, the images of both splits, and the pixels of a typical one.

    Classes that have no names are "0", "1", ... Sets that are drawn on the spot have what they give unless
    asked for more: fractal 10 classes, 4,000 + 1,000 images.
    """

    classes: tuple[str, ...]
    train: int
    val: int
    pixels: int | None
    """The shorter side, as a median over at most 200 training images; None where images have no size of
    their own, as those that are drawn at the resolution asked for."""
    read: str = field(default="", compare=False)
    """What was read and what was left out, in a line."""


def survey(spec: str) -> Survey:
    """What `--data SPEC` holds, of every kind: all its classes and images.

    Of an image folder files are listed, their first bytes looked at and a seeded sample of headers read:
    seconds for a million images; CIFAR's files are read. Raises `InputError` as `load` does for a wrong place
    or layout; a damaged image is found by who decodes it.
    """
    source = open_source(spec, ANY_RESOLUTION, None, None, 0, None)
    names = source.classes or tuple(str(label) for label in range(source.num_classes))
    # optional in a source: not every one has images of a size
    pixels = getattr(source, "pixels", None)
    return Survey(names, source.sizes["train"], source.sizes["val"], pixels, source.read)
