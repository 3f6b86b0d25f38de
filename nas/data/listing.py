"""The images of a folder in ImageNet's layout: which files, in which order, and what is left out and why."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nas.data.images import EXTENSIONS, HEAD, is_image
from nas.data.sources.subset import existing_folder
from space.errors import InputError, printable, quoted, reason, shortened

LAYOUT = "PATH/train/CLASS/*.jpg and PATH/val/CLASS/*.jpg"
SPLITS = ("train", "val")
# as good as hidden: what systems leave in folders, some of it images
SYSTEM = {"__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information"}
NAMED = 3  # of what is left out for one reason
NAME_LENGTH = 60
CHUNK = 1024  # files that a thread looks at in one go
THREADS = 16  # for disks that are far away; they wait, and do not work

NO_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # not UTF-8 is a surrogate here

HIDDEN = "hidden"
OUTSIDE = "outside of the class folders"
NAME = "not named as an image"
CONTENT = "without an image's content"
EMPTY = "empty"
NOWHERE = "linked to nothing"
KIND = "no regular file"
AGAIN = "linked to a folder that is read already"


class LeftOut:
    """What is not read: how much for each reason, and the first names."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._names: dict[str, list[str]] = {}

    def add(self, why: str, place: str) -> None:
        """Count a file or folder."""
        self._counts[why] += 1
        names = self._names.setdefault(why, [])
        if len(names) < NAMED:
            names.append(shortened(printable(place), NAME_LENGTH))

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        parts = []
        for why, count in self._counts.items():
            more = ", ..." if count > NAMED else ""
            parts.append(f"{count:,} {why} ({', '.join(self._names[why])}{more})")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class Images:
    """A split's image files by class: paths, and int64 [N] each of labels, bytes, times of change (ns)."""

    files: list[str]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    changed: NDArray[np.int64]


class Folder:
    """A folder in ImageNet's layout; `classes` are the names of its class folders in the order of UTF-8.

    Images lie in a class folder or anywhere below, as torchvision and timm read them, linked folders
    included. `left_out` grows as splits are read. Raises `InputError` for a wrong layout.
    """

    def __init__(self, path: str | Path, splits: Sequence[str] = SPLITS) -> None:
        self.root = existing_folder(path, f"imagefolder needs {LAYOUT}")
        self.left_out = LeftOut()
        names = {split: self._class_names(split) for split in splits}
        _refuse_different(self.root, names)
        self.classes = tuple(names[splits[-1]])
        if len(self.classes) < 2 and len(splits) > 1:
            raise InputError(
                f"data: {self.root / splits[0]} has one class folder, {quoted(self.classes[0])}; "
                "a classifier needs at least two classes"
            )

    def images(self, split: str, classes: Iterable[str]) -> Images:
        """The images of these classes, labelled in this order. Raises `InputError` at a class without any."""
        classes = list(classes)
        names = [self._walked(f"{split}/{name}") for name in classes]
        # flat from here on: a million files are looked at in one go, whatever their classes
        labels = np.repeat(np.arange(len(classes)), [len(own) for own in names])
        files = [f"{self.root}/{name}" for name in chain.from_iterable(names)]
        why, facts = _looked_at(files)
        for place in np.flatnonzero(why):
            self.left_out.add(why[place], self._place(files[place]))
        kept = np.flatnonzero(why == "")
        labels, facts = labels[kept].astype(np.int64), facts[kept]
        counts = np.bincount(labels, minlength=len(classes))
        if not counts.all():
            self._refuse_empty(split, [classes[label] for label in np.flatnonzero(counts == 0)])
        return Images([files[place] for place in kept], labels, facts[:, 0], facts[:, 1])

    def read(self, classes: int, images: Sequence[tuple[int, int]]) -> str:
        """What is read of it, in a line: `classes`, and images that are read and that there are by split."""
        numbers = " + ".join(_of(read, there) for read, there in images)
        line = f"{printable(str(self.root))}: {_of(classes, len(self.classes))} classes, {numbers} images"
        return f"{line}; left out: {self.left_out}" if self.left_out else line

    def _class_names(self, split: str) -> list[str]:
        if not _is_dir(self.root / split):
            raise InputError(_without(self.root, split))
        names = []
        for entry in self._entries(split):
            if _is_folder(entry):
                names.append(entry.name)
            else:
                self.left_out.add(OUTSIDE, f"{split}/{entry.name}")
        if not names:
            raise InputError(
                f"data: {self.root / split} has no class folders; imagefolder needs {LAYOUT}; "
                f"{_held(self.root / split)}"
            )
        for name in names:
            if NO_NAME.search(name):
                raise InputError(
                    f"data: {self.root / split} has a class folder {quoted(name)}; a class's name is text in "
                    "UTF-8, without control characters"
                )
        return names

    def _walked(self, top: str) -> list[str]:
        """Files below `top` that are named as images, relative to the root, in the order of their bytes."""
        found: list[str] = []
        # a link back to the class, the split or the root is a circle as well
        above = f"{self.root}/{top}", f"{self.root}/{top}/..", str(self.root)
        pending, seen = deque([top]), {_identity(folder) for folder in above}
        while pending:
            place = pending.popleft()
            for entry in self._entries(place):
                name = f"{place}/{entry.name}"
                if _is_folder(entry):
                    identity = _identity(entry.path)
                    if identity in seen:  # a circle, if nothing worse
                        self.left_out.add(AGAIN, name)
                    else:
                        seen.add(identity)
                        pending.append(name)
                elif entry.name.lower().endswith(EXTENSIONS):
                    found.append(name)
                else:
                    self.left_out.add(NAME, name)
        # bytes sort alike in every locale: an image's index, and so its crops, are the same on every machine
        return sorted(found, key=os.fsencode)

    def _entries(self, place: str) -> Iterator[os.DirEntry[str]]:
        """What a folder shows, sorted."""
        try:
            with os.scandir(f"{self.root}/{place}") as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            raise InputError(f"data: {self.root / place} cannot be read ({reason(error)})") from None
        for entry in found:
            if entry.name.startswith(".") or entry.name in SYSTEM:
                self.left_out.add(HIDDEN, f"{place}/{entry.name}")
            else:
                yield entry

    def _place(self, file: str) -> str:
        return file[len(str(self.root)) + 1 :]

    def _refuse_empty(self, split: str, classes: list[str]) -> None:
        others = f", nor have {len(classes) - 1:,} other classes" if len(classes) > 1 else ""
        left_out = f"; left out: {self.left_out}" if self.left_out else ""
        raise InputError(
            f"data: {self.root / split / classes[0]} has no images ({' '.join(EXTENSIONS)}){others}{left_out}"
        )


def _of(read: int, there: int) -> str:
    return f"{read:,}" if read == there else f"{read:,} of {there:,}"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116  a Path for each takes long
    except OSError as error:
        raise InputError(f"data: {folder} cannot be read ({reason(error)})") from None
    return status.st_dev, status.st_ino


def _looked_at(files: list[str]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Why each file is left out, or "", and int64 [N, 2] of its bytes and its time of change (ns)."""
    chunks = [files[start : start + CHUNK] for start in range(0, len(files), CHUNK)]
    if len(chunks) > 1:
        with ThreadPoolExecutor(THREADS) as pool:
            rows = list(chain.from_iterable(pool.map(_facts, chunks)))
    else:
        rows = _facts(files)
    why = np.array([row[0] for row in rows], object)
    return why, np.array([row[1:] for row in rows], np.int64).reshape(-1, 2)


def _facts(files: list[str]) -> list[tuple[str, int, int]]:
    return [_fact(file) for file in files]


def _fact(file: str) -> tuple[str, int, int]:
    try:
        status = os.stat(file)  # noqa: PTH116  of a million files, a Path for each takes long
        if not stat.S_ISREG(status.st_mode):  # nor opened: a pipe would be waited for
            return KIND, 0, 0
        if status.st_size == 0:
            return EMPTY, 0, 0
        handle = os.open(file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            head = os.read(handle, HEAD)
        finally:
            os.close(handle)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return NOWHERE, 0, 0
        raise InputError(f"data: {file} cannot be read as an image: {reason(error)}") from None
    return "" if is_image(head) else CONTENT, status.st_size, status.st_mtime_ns


def _refuse_different(root: Path, names: dict[str, list[str]]) -> None:
    # where train is not read there is nothing to differ: val stands for it
    train, val = (set(names.get(split, names["val"])) for split in SPLITS)
    if train == val:
        return
    odd = [
        f"{_listed(sorted(own))} {'is' if len(own) == 1 else 'are'} only in {where}"
        for where, own in (("train", train - val), ("val", val - train))
        if own
    ]
    raise InputError(
        f"data: {root} has {len(train)} classes in train and {len(val)} in val, which must be the same; "
        + "; ".join(odd)
    )


def _without(root: Path, split: str) -> str:
    """The line about a folder that has no such split: what is there, and what may have been meant."""
    line = f"data: {root / split} is missing; imagefolder needs {LAYOUT}; {_held(root)}"
    if root.absolute().name in SPLITS and (root.absolute().parent / split).is_dir():
        return f"{line}; PATH may be {root.absolute().parent}"
    inner = next((entry for entry in _shown(root) if _is_dir(entry / split)), None)
    return line if inner is None else f"{line}; PATH may be {inner}"


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # a folder that may not be looked into
        return False


def _held(folder: Path) -> str:
    names = [entry.name for entry in _shown(folder)]
    return f"{folder} holds {_listed(names)}" if names else f"{folder} is empty"


def _shown(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    except OSError:
        return []


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return ", ".join(shortened(printable(name), NAME_LENGTH) for name in names[:NAMED]) + more
