"""A user's own images on the local disk, a folder a class, decoded once with Pillow."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.crops import part_of_resized, resampling
from nas.data.images import as_rgb, opened
from nas.data.layout import SPLITS
from nas.data.listing import Folder
from nas.data.sources.subset import balanced, chosen_classes, chosen_size, shuffled
from space.errors import InputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from nas.data.listing import Listing
    from nas.data.sources.source import Request

VERSION = 2  # of the decoded pixels
CHUNK = 16  # images that a thread decodes in one go
SAMPLE = 200  # headers that tell the size of images


class ImageFolder:
    """Short side resized to the resolution (bicubic), then the centre crop. `seed` chooses the subset."""

    kind = "imagefolder"
    listing: Callable[..., Listing] = Folder

    def __init__(self, request: Request) -> None:
        folder = type(self).listing(request.path or Path())
        self.num_classes = chosen_classes(request.num_classes, len(folder.classes), str(folder.root))
        seed = request.seed
        chosen = sorted(shuffled((seed,), len(folder.classes))[: self.num_classes])
        self.classes: tuple[str, ...] | None = tuple(folder.classes[i] for i in chosen)
        self.files: dict[str, list[str]] = {}
        self.labels: dict[str, NDArray[np.int64]] = {}
        digest, counts = hashlib.sha256(os.fsencode(folder.root.resolve())), []
        for split, asked in zip(SPLITS, (request.train_size, request.val_size), strict=True):
            images = folder.images(split, self.classes)
            size = chosen_size(asked, len(images.files), split, str(folder.root / split))
            indices = balanced(images.labels, size, (seed, split == "val"))
            self.files[split] = [images.files[i] for i in indices]
            self.labels[split] = images.labels[indices]
            counts.append((size, len(images.files)))
            _add(digest, str(folder.root), self.files[split])
            for values in (self.labels[split], images.sizes[indices], images.changed[indices]):
                digest.update(values.tobytes())
        self.sizes = {split: len(files) for split, files in self.files.items()}
        self.read = folder.read(self.num_classes, counts)
        self._digest = digest.hexdigest()

    @property
    def pixels(self) -> int | None:
        """The median of the shorter sides of a sample of the training images, from their headers."""
        files = self.files["train"]
        sides = [_shorter_side(files[i]) for i in shuffled((0,), len(files))[:SAMPLE]]
        known = [side for side in sides if side is not None]
        return int(np.median(known)) if known else None

    def identity(self) -> dict[str, Any]:
        """Digest of every chosen file's path, size and time of change: an edited folder is decoded again."""
        return {
            "data": self.kind,
            "imagefolder": VERSION,
            "files": self._digest,
            "num_classes": self.num_classes,
        }

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Decodes a split into `images`, in threads: Pillow leaves Python's lock while it works."""
        labels[:] = self.labels[split]
        files, side = self.files[split], images.shape[1]

        def part(start: int) -> None:
            images[start : start + CHUNK] = decode(files[start : start + CHUNK], side)

        # not in processes: a script without `if __name__ == "__main__"` would be run again by each of them
        with ThreadPoolExecutor(cores()) as pool:
            try:
                for done in [pool.submit(part, start) for start in range(0, len(files), CHUNK)]:
                    done.result()
            finally:
                pool.shutdown(cancel_futures=True)


def _shorter_side(file: str) -> int | None:
    try:
        with opened(file) as image:
            return min(image.size)
    except InputError:  # who decodes it says so
        return None


def _add(digest: Any, root: str, files: Sequence[str]) -> None:
    for file in files:
        digest.update(os.fsencode(file.removeprefix(root)) + b"\0")


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def decode(files: Sequence[str | Path], side: int) -> NDArray[np.uint8]:
    """Images [N, side, side, 3]. Raises `InputError` naming a file that cannot be read."""
    out = np.empty((len(files), side, side, 3), np.uint8)
    for i, file in enumerate(files):
        with opened(str(file)) as image:
            image.draft("RGB", (side, side))  # JPEG: decodes at 1/2, 1/4 .. where that is enough
            out[i] = centred(image, side)
    return out


def centred(image: Image, side: int) -> NDArray[np.uint8]:
    """The pixels [side, side, 3] of an image: its shorter side resized (bicubic), the centre kept."""
    rgb = as_rgb(image)
    scale = side / min(rgb.size)
    width, height = (max(side, round(length * scale)) for length in rgb.size)
    corner = (width - side) // 2, (height - side) // 2
    return part_of_resized(rgb, (width, height), corner, side, resampling("bicubic"))
