"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from the official binary version, on the local disk."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.sources.subset import balanced, chosen_classes, chosen_size, existing_folder
from space.errors import InputError, printable, reason

if TYPE_CHECKING:
    from nas.data.sources.source import Request

SIDE = 32
PIXELS = 3 * SIDE * SIDE
FINE = """\
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard
lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear
pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark
shrew skunk skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone
television tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""


class Cifar:
    """A record is `label_bytes` labels, the last of them the one used, and 3 x 32 x 32 pixels."""

    pixels = SIDE
    name: str
    folder: str
    names: tuple[str, ...]  # of the classes
    label_bytes: int
    files: dict[str, tuple[str, ...]]
    most: dict[str, int]  # records of a file of that split, as published

    def __init__(self, request: Request) -> None:
        path = existing_folder(request.path or Path(), f"{self.name}:PATH is the unpacked {self.folder}")
        if (path / self.folder).is_dir():  # PATH is where it was unpacked
            path /= self.folder
        self.num_classes = chosen_classes(request.num_classes, len(self.names), self.name)
        self.classes: tuple[str, ...] | None = self.names[: self.num_classes]
        self.records, self.indices = {}, {}
        digest = hashlib.sha256()
        for split, asked in (("train", request.train_size), ("val", request.val_size)):
            records = np.concatenate([self._records(path / file, split) for file in self.files[split]])
            digest.update(records.data)
            labels = records[:, self.label_bytes - 1].astype(np.int64)
            kept = np.flatnonzero(labels < self.num_classes)
            size = chosen_size(asked, len(kept), split, str(path))
            self.records[split] = records
            self.indices[split] = kept[balanced(labels[kept], size, (request.seed, split == "val"))]
        self.digest = digest.hexdigest()
        self.sizes = {split: len(indices) for split, indices in self.indices.items()}
        self.seed = request.seed
        images = " + ".join(self._of_published(split) for split in self.files)
        self.read = f"{printable(str(path))}: {self.num_classes} classes, {images} images"

    def _records(self, file: Path, split: str) -> NDArray[np.uint8]:
        record, most = self.label_bytes + PIXELS, self.most[split]
        size = self._size(file)
        if size > most * record:
            raise InputError(
                f"data: {file} has {size:,} bytes, more than the {most * record:,} of {self.name}'s"
            )
        if size == 0 or size % record:
            raise InputError(
                f"data: {file} has {size} bytes, not a multiple of {record}: it is cut, or no such file"
            )
        try:
            records = np.fromfile(file, np.uint8, size).reshape(-1, record)
        except (OSError, ValueError) as error:
            raise InputError(f"data: {file} cannot be read ({reason(error)})") from None
        worst = int(records[:, self.label_bytes - 1].max())
        if worst >= len(self.names):
            raise InputError(f"data: {file} has a label {worst}; {self.name} has {len(self.names)} classes")
        return records

    def _size(self, file: Path) -> int:
        needed = f"{self.name} needs {', '.join(file for files in self.files.values() for file in files)}"
        try:
            status = file.stat()
        except FileNotFoundError:
            python = (
                " (this is the Python version, not the binary one)" if file.with_suffix("").exists() else ""
            )
            raise InputError(f"data: {file} is missing{python}; {needed}") from None
        except OSError as error:
            raise InputError(f"data: {file} cannot be read ({reason(error)})") from None
        if not stat.S_ISREG(status.st_mode):
            raise InputError(f"data: {file} is no file; {needed}")
        return status.st_size

    def _of_published(self, split: str) -> str:
        here, published = len(self.records[split]), self.most[split] * len(self.files[split])
        there = f"{here:,}" if here == published else f"{here:,} (as published: {published:,})"
        return there if self.sizes[split] == here else f"{self.sizes[split]:,} of {there}"

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

    name, folder, label_bytes = "cifar10", "cifar-10-batches-bin", 1
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    files = {  # noqa: RUF012 - a constant of the format
        "train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "val": ("test_batch.bin",),
    }
    most = {"train": 10_000, "val": 10_000}  # noqa: RUF012


class Cifar100(Cifar):
    """50 000 and 10 000 images, 100 fine classes."""

    name, folder, label_bytes = "cifar100", "cifar-100-binary", 2
    names = tuple(FINE.split())
    files = {"train": ("train.bin",), "val": ("test.bin",)}  # noqa: RUF012 - a constant of the format
    most = {"train": 50_000, "val": 10_000}  # noqa: RUF012
