"""The validation images of a data set that comes without splits."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError, quoted

SHARE = 5  # one image of so many
SEED = b"nas.data.held_out 0\0"


def held_out(
    labels: NDArray[np.int64], names: Sequence[str], classes: Sequence[str], where: str
) -> NDArray[np.bool_]:
    """Which images [N] are for validation: a fifth of each class, at least one, and one left for training.

    It follows from the images' names alone, which stay the same wherever they lie: those whose digests are
    smallest, so that an image more changes the place of at most one other. Raises `InputError` at a class
    of one image.
    """
    digests = np.array([hashlib.sha256(SEED + os.fsencode(name)).digest() for name in names], "S32")
    chosen = np.zeros(len(labels), bool)
    for label, name in enumerate(classes):
        own = np.flatnonzero(labels == label)
        if len(own) == 1:
            raise InputError(
                f"data: {where} has one image of class {quoted(name)}; a class needs two, one of them for "
                "validation"
            )
        chosen[own[np.argsort(digests[own], kind="stable")[: max(1, round(len(own) / SHARE))]]] = True
    return chosen
