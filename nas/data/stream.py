"""Image files decoded on the fly: worker processes read, crop and resize batch after batch."""

from __future__ import annotations

import hashlib
import multiprocessing
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from nas.data.crops import Crops, centre_crop, random_crop
from nas.data.images import opened
from nas.data.layout import SPLITS
from nas.data.listing import Folder, Listing
from nas.data.transfer import pinned
from space.errors import InputError, first_line, reason

VALIDATION = -1  # in place of an epoch
WORKER = "DataLoader worker"  # as torch's messages about one that died call it
AHEAD = 2  # batches that each worker prepares beforehand
# of a split's files for the fingerprint: to read all of ImageNet would take an hour on some disks
MOST_HASHED, MOST_HASHED_BYTES = 4096, 1 << 30


@dataclass(frozen=True)
class _Task:
    """One batch to decode; the files travel with it, so that workers hold no list of all of them."""

    epoch: int
    indices: list[int]
    files: list[str]


class _Decoder(Dataset[Tensor | str]):
    """Task -> pixels uint8 [n, R, R, 3], or what is wrong with a file: an exception would be many lines."""

    def __init__(self, resolution: int, eval_crop: float, interpolation: str, crops: Crops | None) -> None:
        self.resolution, self.eval_crop, self.interpolation = resolution, eval_crop, interpolation
        self.crops = crops

    def __getitem__(self, task: _Task) -> Tensor | str:
        pixels = np.empty((len(task.files), self.resolution, self.resolution, 3), np.uint8)
        try:
            for place, (index, file) in enumerate(zip(task.indices, task.files, strict=True)):
                pixels[place] = self._decoded(file, task.epoch, index)
        except InputError as error:
            return str(error)
        return torch.from_numpy(pixels)

    def _decoded(self, file: str, epoch: int, index: int) -> NDArray[np.uint8]:
        with opened(file) as image:
            if self.crops is not None and epoch != VALIDATION:
                return random_crop(image, self.crops, epoch, index)
            return centre_crop(image, self.resolution, self.eval_crop, self.interpolation)


class _Plan(Sampler[_Task]):
    """The tasks of the iteration under way; replaced between iterations, while the workers stay."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.epoch = VALIDATION
        self.batches: Sequence[Tensor] = ()

    def __iter__(self) -> Iterator[_Task]:
        for indices in self.batches:
            chosen = indices.tolist()
            yield _Task(self.epoch, chosen, [self.files[index] for index in chosen])

    def __len__(self) -> int:
        return len(self.batches)


class Streamed:
    """A folder of images, or a list of them, decoded by `workers` processes (0: by this one).

    Training images are `crops`, or where that is None cropped as validation's are: shorter side resized to
    R / `eval_crop`, then the centre. With `training` False only the validation split need be there. Raises
    `InputError` here for a wrong layout, and while iterating for an image that is damaged, by its name.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        listing: Callable[..., Listing] = Folder,
        resolution: int,
        eval_crop: float = 0.875,
        interpolation: str = "bicubic",
        crops: Crops | None = None,
        workers: int = 0,
        training: bool = True,
    ) -> None:
        splits = SPLITS if training else SPLITS[1:]
        folder = listing(path, splits)
        self.classes: tuple[str, ...] | None = folder.classes
        self.num_classes = len(folder.classes)
        found = {split: folder.images(split, folder.classes) for split in splits}
        self.read = folder.read(self.num_classes, [(len(each.files),) * 2 for each in found.values()])
        self._files: dict[str, list[str]] = {"train": []}
        self._labels = {"train": torch.zeros(0, dtype=torch.int64)}
        self._sizes = {"train": np.zeros(0, np.int64)}
        for split, images in found.items():
            self._files[split], self._sizes[split] = images.files, images.sizes
            self._labels[split] = torch.from_numpy(images.labels)
        self._plan, self._turn = _Plan(), 0
        self._decoder = _Decoder(resolution, eval_crop, interpolation, crops)
        self._workers = workers

    @property
    def train_size(self) -> int:
        return len(self._files["train"])

    @property
    def val_size(self) -> int:
        return len(self._files["val"])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the classes' names, every image's label and bytes, and the content of a sample."""
        digest = hashlib.sha256("\0".join(self.classes or ()).encode())
        for split in sorted(self._files):
            files = self._files[split]
            # evenly over the sorted files, so over the classes
            sample = files[:: 1 + len(files) // MOST_HASHED]
            for values in (np.array([len(files)]), self._labels[split].numpy(), self._sizes[split]):
                digest.update(values.astype("<i8").tobytes())
            # the first bytes of each, so that few large files take no longer than many small ones
            for file in sample:
                digest.update(_content(file, MOST_HASHED_BYTES // len(sample)))
        return digest.hexdigest()

    def training(self, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        return self._stream("train", epoch, batches)

    def validation(self, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        return self._stream("val", VALIDATION, batches)

    def _stream(self, split: str, epoch: int, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        self._turn += 1
        turn = self._turn
        # before `iter`: it hands the workers their first tasks
        self._plan.files, self._plan.epoch, self._plan.batches = self._files[split], epoch, batches
        with _without_main():
            results = iter(self._loader)
        for indices in batches:
            # persistent workers have one iterator: the older loop would be given the newer one's batches
            if turn != self._turn:
                raise RuntimeError("another iteration of these batches has begun; there is one at a time")
            result = self._next(results)
            if isinstance(result, str):
                raise InputError(result)
            yield result, pinned(self._labels[split][indices])

    def _next(self, results: Iterator[Tensor | str]) -> Tensor | str:
        try:
            return next(results)
        except (RuntimeError, OSError, EOFError) as error:  # the latter from a hand-over cut short
            if not self._workers or (isinstance(error, RuntimeError) and WORKER not in str(error)):
                raise
            _worker_died(error)

    @cached_property
    def _loader(self) -> DataLoader[Tensor | str]:
        options: dict[str, Any] = {}
        if self._workers:
            options = {
                "multiprocessing_context": _processes(),
                "persistent_workers": True,
                "prefetch_factor": AHEAD,
            }
        return DataLoader(
            self._decoder,
            batch_size=None,  # a task is a batch already
            sampler=self._plan,
            num_workers=self._workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # of its own: it would draw its workers' seed from the global one
            **options,
        )


def _content(file: str, most: int) -> bytes:
    """SHA-256 of a file's first `most` bytes. Raises `InputError`."""
    try:
        with Path(file).open("rb") as opened_file:
            return hashlib.sha256(opened_file.read(most)).digest()
    except OSError as error:
        raise InputError(f"data: {file} cannot be read as an image: {reason(error)}") from None


def _processes() -> Any:
    """How workers start: never as a fork of this process, whose threads and CUDA would not survive it."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["nas.data.stream", "PIL.Image"])  # imported once for all workers
    return context


@contextmanager
def _without_main() -> Iterator[None]:
    """Workers start without the program's own module: where it has no guard, each would run it again."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _worker_died(error: Exception) -> NoReturn:
    reason = first_line(error) if WORKER in str(error) else f"a {WORKER} died"
    raise InputError(
        f"data: {reason} (out of memory, or of shared memory in /dev/shm; fewer workers need less, "
        "0 decodes in this process)"
    ) from None
