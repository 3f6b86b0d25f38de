"""What a training's best weights take each validation image for, in a file that a comparison reads."""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError, first_line, reason
from space.files import write_bytes
from space.reading import MOST_BYTES

FILE = "predictions.npz"


@dataclass(frozen=True, eq=False)
class Predictions:
    """int32 [images] each, in the order of the validation split: the labels, and the classes predicted."""

    label: NDArray[np.int32]
    predicted: NDArray[np.int32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Of which images the class is right."""
        return np.equal(self.label, self.predicted)


def write_predictions(folder: Path, label: NDArray[np.int64], predicted: NDArray[np.int64]) -> None:
    """Raises `InputError` where they cannot be written."""
    file = io.BytesIO()
    np.savez_compressed(file, label=label.astype(np.int32), predicted=predicted.astype(np.int32))
    write_bytes(folder / FILE, file.getvalue())


def read_predictions(folder: Path) -> Predictions | None:
    """None where a training has kept none. Raises `InputError` for what is no such file."""
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    if not path.is_file():  # nobody may ever write to a pipe
        raise InputError(f"{path}: is no file that can be read")
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > MOST_BYTES:
                raise ValueError("it unpacks to more than any such file")
        with np.load(path, allow_pickle=False) as values:
            found = [np.asarray(values[name]) for name in ("label", "predicted")]
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({reason(error)})") from None
    except Exception as error:  # numpy and zipfile have no one error for a damaged file
        raise InputError(f"{path}: is damaged, or holds no predictions ({first_line(error)})") from None
    fits = all(values.dtype == np.int32 and values.ndim == 1 and len(values) for values in found)
    if not fits or len(found[0]) != len(found[1]) or min(values.min() for values in found) < 0:
        raise InputError(f"{path}: holds no labels and predictions, one of each an image")
    return Predictions(*found)
