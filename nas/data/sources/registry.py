"""The data sets, a line each: the one list that `--data`, its messages and the documents read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import PurePath

from space.errors import CONTROL, InputError, quoted
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
        path="a folder laid out as PATH/CLASS/*.jpg, or PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg",
        names_tell=True,
    ),
    "csv": DataSet(
        "nas.data.sources.csv_list:ImageList",
        "a user's own images, listed with their labels; full trainings decode them on the fly",
        path="a CSV file with columns file and label, and split if they are divided already",
        names_tell=True,
    ),
}


FOLDER, LIST = "imagefolder", "csv"  # what a path without a name is


def forms() -> list[str]:
    """How each data set is written after --data."""
    return [f"{name}:PATH" if source.path else name for name, source in SOURCES.items()]


def parsed(spec: str) -> tuple[str, str]:
    """A spec's data set by name and its path, "" where it takes none; a plain path is an image folder,
    one that ends in .csv a list of images.

    The names of data sets go before folders of that name (`./digits` is the folder). Raises `InputError`.
    """
    name, colon, path = spec.partition(":")
    if name not in SOURCES:
        if _is_path(spec, bool(colon)):
            return LIST if spec.lower().endswith(".csv") else FOLDER, spec
        raise InputError(
            f"data: {quoted(spec)} is no data set; there are {', '.join(forms())}, or the path of a folder "
            "of images, and none of that name is there"
        )
    data_set = SOURCES[name]
    if data_set.path and not path:
        raise InputError(f"data: {name} needs a path, {name}:PATH, {data_set.path}")
    if path and not data_set.path:
        raise InputError(f"data: {name} takes no path; {quoted(spec)} should be {name!r}")
    return name, path


def is_users(spec: str) -> bool:
    """Whether a data set lies in a place that the user names."""
    name = spec.partition(":")[0]
    return name not in SOURCES or bool(SOURCES[name].path)  # a plain path has no name


def called(spec: str) -> str:
    """A data set for people: by the end of its path, where that is a name, else by its kind."""
    kind, _, path = spec.partition(":")
    kind, path = (kind, path or kind) if kind in SOURCES else (FOLDER, spec)
    name = PurePath(path).name
    return name if name and not CONTROL.search(name) else kind


def _is_path(spec: str, colon: bool) -> bool:
    # with a colon it is rather a name that is spelt wrong, unless it is there
    there = os.path.lexists(os.path.expanduser(spec))  # noqa: PTH111  Path's own raises without a home
    return bool(spec) and (there or (not colon and (spec.startswith("~") or "/" in spec)))
