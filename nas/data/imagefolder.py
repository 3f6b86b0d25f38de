"""ImageNet's layout on the local disk: PATH/train/CLASS/* and PATH/val/CLASS/*, decoded once with Pillow."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.subset import balanced, chosen_classes, chosen_size, shuffled
from space.errors import InputError

if TYPE_CHECKING:
    from nas.data.dataset import Request

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".ppm")
LAYOUT = "PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg"
PARALLEL_FROM = 256  # fewer images are decoded sooner than processes start
CHUNK = 64


class ImageFolder:
    """Short side resized to the resolution (bicubic), then the centre crop. `seed` chooses the subset."""

    def __init__(self, request: Request) -> None:
        root = request.path or Path()
        if not root.is_dir():
            raise InputError(f"data: {root} is no folder; imagefolder needs {LAYOUT}")
        names = {split: class_names(root / split) for split in ("train", "val")}
        same_classes(root, names)
        self.num_classes = chosen_classes(request.num_classes, len(names["train"]), str(root))
        seed = request.seed
        chosen = sorted(shuffled((seed,), len(names["train"]))[: self.num_classes])
        classes = [names["train"][i] for i in chosen]
        self.files: dict[str, list[Path]] = {}
        self.labels: dict[str, NDArray[np.int64]] = {}
        for split, asked in (("train", request.train_size), ("val", request.val_size)):
            files, labels = image_files(root / split, classes)
            size = chosen_size(asked, len(files), split, str(root / split))
            indices = balanced(labels, size, (seed, split == "val"))
            self.files[split] = [files[i] for i in indices]
            self.labels[split] = labels[indices]
        self.sizes = {split: len(files) for split, files in self.files.items()}

    def identity(self) -> dict[str, Any]:
        """Digest of every chosen file's path, size and time of change: an edited folder is decoded again."""
        digest = hashlib.sha256()
        for split, files in self.files.items():
            for file, label in zip(files, self.labels[split], strict=True):
                status = file.stat()
                digest.update(f"{file.resolve()}|{status.st_size}|{status.st_mtime_ns}|{label}\n".encode())
        return {"data": "imagefolder", "files": digest.hexdigest(), "num_classes": self.num_classes}

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decodes a split into `images`, in parallel processes if it is large."""
        labels[:] = self.labels[split]
        files, side = self.files[split], images.shape[1]
        chunks = [(files[i : i + CHUNK], side) for i in range(0, len(files), CHUNK)]
        if len(files) < PARALLEL_FROM:
            for i, chunk in enumerate(chunks):
                images[i * CHUNK : (i + 1) * CHUNK] = decode(*chunk)
            return
        # spawn: a fork of a process that runs torch's threads can hang
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(os.cpu_count(), mp_context=context) as pool:
            for i, decoded in enumerate(pool.map(decode, *zip(*chunks, strict=True))):
                images[i * CHUNK : (i + 1) * CHUNK] = decoded


def class_names(folder: Path) -> list[str]:
    """The class folders in `folder`, sorted. Raises `InputError` if there are none."""
    if not folder.is_dir():
        raise InputError(f"data: {folder} is missing; imagefolder needs {LAYOUT}")
    names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    if not names:
        raise InputError(f"data: {folder} has no class folders; imagefolder needs {LAYOUT}")
    return names


def same_classes(root: Path, names: dict[str, list[str]]) -> None:
    """Raises `InputError` where train and val do not have the same classes."""
    train, val = set(names["train"]), set(names["val"])
    if train != val:
        odd = sorted(train ^ val)[0]
        where = "train" if odd in train else "val"
        raise InputError(
            f"data: {root} has {len(train)} classes in train and {len(val)} in val, which must be the same; "
            f"{odd} is only in {where}"
        )


def image_files(folder: Path, classes: list[str]) -> tuple[list[Path], NDArray[np.int64]]:
    """The image files of each class, sorted, and their labels. Raises `InputError` at an empty class."""
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        with os.scandir(folder / name) as entries:  # of a million files, a Path for each takes seconds
            own = sorted(entry.path for entry in entries if entry.name.lower().endswith(EXTENSIONS))
        if not own:
            raise InputError(f"data: {folder / name} has no images ({', '.join(EXTENSIONS)})")
        files += map(Path, own)
        labels += [label] * len(own)
    return files, np.array(labels, np.int64)


def decode(files: list[Path], side: int) -> NDArray[np.uint8]:
    """Images [N, side, side, 3]. Raises `InputError` naming a file that cannot be read."""
    from PIL import Image

    out = np.empty((len(files), side, side, 3), np.uint8)
    for i, file in enumerate(files):
        try:
            with Image.open(file) as opened:
                opened.draft("RGB", (side, side))  # JPEG: decodes at 1/2, 1/4 .. where that is enough
                image = opened.convert("RGB")
        except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError .. by format
            raise InputError(f"data: {file} cannot be read as an image: {error}") from None
        scale = side / min(image.size)
        width, height = (max(side, round(length * scale)) for length in image.size)
        left, top = (width - side) // 2, (height - side) // 2
        resized = image.resize((width, height), Image.Resampling.BICUBIC)
        out[i] = np.asarray(resized.crop((left, top, left + side, top + side)))
    return out
