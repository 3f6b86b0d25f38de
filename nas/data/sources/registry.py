"""The data sets, a line each: the one list that `--data`, its messages and the documents read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from space.registry import Entry


@dataclass(frozen=True)
class DataSet(Entry):
    """A class that makes a `Source` of a `Request`, by its place."""

    path: str = ""
    """What PATH is in "name:PATH"; empty: the data set takes none."""
    any_classes: bool = False
    """Whether it has as many classes as are asked for, instead of some of its own."""
    names_tell: bool = False
    """Whether a user names the classes: then their names are part of what the data set is."""


SOURCES: dict[str, DataSet] = {
    "fractal": DataSet(
        "nas.data.sources.fractal:Fractal", "fractal images, drawn on the spot", any_classes=True
    ),
    "digits": DataSet("nas.data.sources.digits:Digits", "scikit-learn's digits, 1797 images of 8x8 pixels"),
    "cifar10": DataSet(
        "nas.data.sources.cifar:Cifar10",
        "CIFAR-10, 60,000 images of 32x32 pixels",
        path="the folder of the official binary version, cifar-10-batches-bin",
    ),
    "cifar100": DataSet(
        "nas.data.sources.cifar:Cifar100",
        "CIFAR-100, 60,000 images of 32x32 pixels",
        path="the folder of the official binary version, cifar-100-binary",
    ),
    "imagefolder": DataSet(
        "nas.data.sources.imagefolder:ImageFolder",
        "a user's own images, a folder a class; full trainings decode them on the fly",
        path="a folder laid out as PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg",
        names_tell=True,
    ),
}


def forms(sources: Mapping[str, DataSet] = SOURCES) -> list[str]:
    """How each data set is written after --data."""
    return [f"{name}:PATH" if source.path else name for name, source in sources.items()]
