"""Class-balanced subsets, the same on every machine; and the checks all sources share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError, reason


def uniform(seed: tuple[int, ...], shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1): raw bits of PCG64, the part of numpy's generators that never changes."""
    bits = np.random.PCG64(np.random.SeedSequence(seed)).random_raw(int(np.prod(shape)))
    return ((bits >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)


def shuffled(seed: tuple[int, ...], count: int) -> NDArray[np.int64]:
    """The indices 0 .. count - 1 in an order given by `seed`."""
    return np.argsort(uniform(seed, (count,)), kind="stable")


def balanced(labels: NDArray[np.int64], size: int, seed: tuple[int, ...]) -> NDArray[np.int64]:
    """`size` indices, as even over the classes as they allow, in shuffled order."""
    order = shuffled(seed, len(labels))
    rank = np.empty(len(labels), np.int64)  # how many of its class come before an image
    for label in np.unique(labels):
        own = order[labels[order] == label]
        rank[own] = np.arange(len(own))
    return order[np.argsort(rank[order], kind="stable")][:size]


def chosen_size(asked: int | None, there: int, split: str, where: str) -> int:
    """The size asked for, or all there is if that is less. Raises `InputError` if there is nothing."""
    if there == 0:
        raise InputError(f"data: {where} has no {split} images")
    return there if asked is None else min(asked, there)


def chosen_classes(asked: int | None, there: int, where: str) -> int:
    """The number of classes asked for, or all there are. Raises `InputError` if there are fewer."""
    if asked is not None and not 2 <= asked <= there:
        raise InputError(f"num_classes: {asked} asked for; {where} has {there}, and at least 2 are needed")
    return there if asked is None else asked


def existing_folder(path: str | Path, needed: str) -> Path:
    """The folder at `path`, `~` being the user's own. Raises `InputError` that ends with what is needed."""
    folder = Path(os.path.expanduser(path))  # noqa: PTH111  Path's own raises without a home
    try:
        folder.stat()
        if folder.is_dir():
            return folder
        why = "is no folder"
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        why = f"is no folder ({reason(error)})"
    raise InputError(f"data: {folder} {why}; {needed}")
