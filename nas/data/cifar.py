"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the official binary version, on the local disk."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.subset import balanced, chosen_classes, chosen_size
from space.errors import InputError

if TYPE_CHECKING:
    from nas.data.dataset import Request

SIDE = 32
PIXELS = 3 * SIDE * SIDE


class Cifar:
    """A record is `label_bytes` labels, the last of them the one used, and 3 x 32 x 32 pixels."""

    name: str
    folder: str
    classes: int
    label_bytes: int
    files: dict[str, tuple[str, ...]]

    def __init__(self, request: Request) -> None:
        path = _found(request.path or Path(), self.folder, self.name)
        self.num_classes = chosen_classes(request.num_classes, self.classes, self.name)
        self.records, self.indices = {}, {}
        digest = hashlib.sha256()
        for split, asked in (("train", request.train_size), ("val", request.val_size)):
            records = np.concatenate([self._read(path / file) for file in self.files[split]])
            digest.update(records.tobytes())
            labels = records[:, self.label_bytes - 1].astype(np.int64)
            kept = np.flatnonzero(labels < self.num_classes)
            size = chosen_size(asked, len(kept), split, str(path))
            self.records[split] = records
            self.indices[split] = kept[balanced(labels[kept], size, (request.seed, split == "val"))]
        self.digest = digest.hexdigest()
        self.sizes = {split: len(indices) for split, indices in self.indices.items()}
        self.seed = request.seed

    def _read(self, file: Path) -> NDArray[np.uint8]:
        if not file.is_file():
            raise InputError(f"data: {file} is missing; {self.name} needs {', '.join(self._all_files())}")
        content = np.fromfile(file, np.uint8)
        record = self.label_bytes + PIXELS
        if len(content) == 0 or len(content) % record:
            raise InputError(f"data: {file} has {len(content)} bytes, not a multiple of {record}")
        records = content.reshape(-1, record)
        worst = int(records[:, self.label_bytes - 1].max())
        if worst >= self.classes:
            raise InputError(f"data: {file} has a label {worst}; {self.name} has {self.classes} classes")
        return records

    def _all_files(self) -> list[str]:
        return [file for files in self.files.values() for file in files]

    def identity(self) -> dict[str, Any]:
        """The files' digest, and what chooses the subset."""
        return {"data": self.name, "files": self.digest, "num_classes": self.num_classes, "seed": self.seed}

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Records to [N, H, W, 3]; another resolution than 32 is resized (bicubic)."""
        from PIL import Image

        chosen = self.records[split][self.indices[split]]
        labels[:] = chosen[:, self.label_bytes - 1]
        pixels = chosen[:, self.label_bytes :].reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
        side = images.shape[1]
        if side == SIDE:
            images[:] = pixels
            return
        for i, image in enumerate(pixels):
            picture = Image.fromarray(np.ascontiguousarray(image))
            images[i] = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))


class Cifar10(Cifar):
    """50 000 and 10 000 images, 10 classes."""

    name, folder, classes, label_bytes = "cifar10", "cifar-10-batches-bin", 10, 1
    files = {  # noqa: RUF012 - a constant of the format
        "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "val": ("test_batch.bin",),
    }


class Cifar100(Cifar):
    """50 000 and 10 000 images, 100 fine classes."""

    name, folder, classes, label_bytes = "cifar100", "cifar-100-binary", 100, 2
    files = {"train": ("train.bin",), "val": ("test.bin",)}  # noqa: RUF012 - a constant of the format


def _found(path: Path, folder: str, name: str) -> Path:
    """The folder itself, or the one it was unpacked into."""
    if not path.is_dir():
        raise InputError(f"data: {path} is no folder; {name}:PATH is the unpacked {folder}")
    return path / folder if (path / folder).is_dir() else path
