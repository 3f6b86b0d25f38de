"""The images of a folder: which files, in which order, in which split, and what is left out and why."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Protocol

import numpy as np

from nas.data.class_names import RULE, is_class_name, nearly_alike
from nas.data.files import AGAIN, FORMAT, HIDDEN, NAME, OUTSIDE, ImageFiles, LeftOut, looked_at
from nas.data.held_out import held_out
from nas.data.images import EXTENSIONS
from nas.data.layout import LAYOUT, NEEDED, SPLITS, held, hidden, is_folder, layout_of
from nas.data.once import listing_of
from nas.data.sources.subset import existing_folder
from space.errors import InputError, printable, quoted, reason, some
from space.words import plural

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst")
ARRAYS = (
    ".npz",
    ".npy",
    ".pkl",
    ".pickle",
    ".pt",
    ".pth",
    ".h5",
    ".hdf5",
    ".mat",
    ".parquet",
    ".arrow",
    ".tfrecord",
)
# images, but not of a format that is read
UNREAD = (
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".svg", ".psd", ".tga", ".exr", ".hdr", ".dcm",
    ".dng", ".cr2", ".nef", ".arw", ".raw",
)  # fmt: skip
FIFTH = ", a fifth of each class kept for validation"


class Listing(Protocol):
    """Image files by split and class: what is read of a folder, or of a file that lists them."""

    root: Path
    classes: tuple[str, ...]

    def images(self, split: str, classes: Iterable[str]) -> ImageFiles:
        """The images of these classes, labelled in this order. Raises `InputError` at a class without any."""

    def read(self, classes: int, images: Sequence[tuple[int, int]]) -> str:
        """What is read of it, in a line: `classes`, and images that are read and that there are by split."""


class Folder:
    """A folder of class folders, in two splits or in one; `classes` are their names in the order of UTF-8.

    Images lie in a class folder or anywhere below, as torchvision and timm read them, linked folders
    included. `left_out` grows as splits are read. Raises `InputError` for a wrong layout.
    """

    def __init__(self, path: str | Path, splits: Sequence[str] = SPLITS) -> None:
        self.root = existing_folder(path, _needed(path))
        self.left_out = LeftOut()
        self._layout = layout_of(self.root, tuple(splits))
        self._found: dict[tuple[str, ...], ImageFiles] = {}
        if self._layout.whole:
            self.classes = tuple(self._class_names(""))
        else:
            names = {split: self._class_names(self.place(split)) for split in splits}
            _refuse_different(self.root, names)
            self.classes = tuple(names[splits[-1]])
        if len(self.classes) < 2 and len(splits) > 1:
            raise InputError(
                f"data: {self.root / self.place(splits[0])} has one class folder, {quoted(self.classes[0])}; "
                "a classifier needs at least two classes"
            )

    def place(self, split: str) -> str:
        """Where the class folders of a split are, relative to the root."""
        place = self._layout.train if split == "train" else self._layout.val
        assert place is not None, split
        return place

    def images(self, split: str, classes: Iterable[str]) -> ImageFiles:
        """The images of these classes, labelled in this order. Raises `InputError` at a class without any."""
        classes = tuple(classes)
        images = self._images(self.place(split), classes)
        if not self._layout.whole:
            return images
        starts = [len(f"{self.root}/{name}/") for name in classes]
        names = [file[starts[label] :] for file, label in zip(images.files, images.labels, strict=True)]
        val = held_out(images.labels, names, classes, str(self.root))
        return images.taken(np.flatnonzero(val if split == "val" else ~val))

    def read(self, classes: int, images: Sequence[tuple[int, int]]) -> str:
        """What is read of it, in a line: `classes`, and images that are read and that there are by split."""
        how = FIFTH if self._layout.whole else self._names()
        how += nearly_alike(self.classes, self.classes)
        return summary(str(self.root), (classes, len(self.classes)), images, how, self.left_out)

    def _names(self) -> str:
        """Which folders are the splits, where that is not plain."""
        layout = self._layout
        plain = layout.val == "val" and layout.train in (None, "train")
        said = "" if plain else f", in {' and '.join(filter(None, (layout.train, layout.val)))}"
        return f"{said}; not read: {', '.join(layout.unread)}" if layout.unread else said

    def _images(self, place: str, classes: tuple[str, ...]) -> ImageFiles:
        """All images of these classes there."""
        key = (place, *classes)
        if key not in self._found:  # where one folder is both splits, it is looked through once
            where = str(self.root), str(self.root.resolve())
            images, left_out = listing_of((*where, *key), lambda: self._looked(place, classes))
            self.left_out.extend(left_out)
            counts = np.bincount(images.labels, minlength=len(classes))
            if not counts.all():
                self._refuse_empty([_inside(place, classes[label]) for label in np.flatnonzero(counts == 0)])
            self._found[key] = images
        return self._found[key]

    def _looked(self, place: str, classes: tuple[str, ...]) -> tuple[ImageFiles, LeftOut]:
        """All images of these classes there, and what else."""
        left_out = LeftOut()
        walked = [self._walked(_inside(place, name), left_out) for name in classes]
        # flat from here on: a million files are looked at in one go, whatever their classes
        labels = np.repeat(np.arange(len(classes)), [len(own) for own in walked]).astype(np.int64)
        files = [f"{self.root}/{name}" for name in chain.from_iterable(walked)]
        why, facts = looked_at(files)
        for index in np.flatnonzero(why):
            left_out.add(why[index], self._place(files[index]))
        images = ImageFiles(files, labels, facts[:, 0], facts[:, 1]).taken(np.flatnonzero(why == ""))
        return images, left_out

    def _class_names(self, place: str) -> list[str]:
        names = []
        for entry in self._entries(place, self.left_out):
            if is_folder(entry):
                names.append(entry.name)
            else:
                self.left_out.add(OUTSIDE, _inside(place, entry.name))
        folder = self.root / place
        if not names:
            raise InputError(
                f"data: {folder} has no class folders; imagefolder needs {LAYOUT}; {held(folder)}"
            )
        for name in names:
            if not is_class_name(name):
                raise InputError(f"data: {folder} has a class folder {quoted(name)}; {RULE}")
        return names

    def _walked(self, top: str, left_out: LeftOut) -> list[str]:
        """Files below `top` that are named as images, relative to the root, in the order of their bytes."""
        found: list[str] = []
        # a link back to the class, the split or the root is a circle as well
        above = f"{self.root}/{top}", f"{self.root}/{top}/..", str(self.root)
        pending, seen = deque([top]), {_identity(folder) for folder in above}
        while pending:
            place = pending.popleft()
            for entry in self._entries(place, left_out):
                name = f"{place}/{entry.name}"
                if is_folder(entry):
                    identity = _identity(entry.path)
                    if identity in seen:  # a circle, if nothing worse
                        left_out.add(AGAIN, name)
                    else:
                        seen.add(identity)
                        pending.append(name)
                elif entry.name.lower().endswith(EXTENSIONS):
                    found.append(name)
                else:
                    left_out.add(FORMAT if entry.name.lower().endswith(UNREAD) else NAME, name)
        # bytes sort alike in every locale: an image's index, and so its crops, are the same on every machine
        return sorted(found, key=os.fsencode)

    def _entries(self, place: str, left_out: LeftOut) -> Iterator[os.DirEntry[str]]:
        """What a folder shows, sorted."""
        try:
            with os.scandir(f"{self.root}/{place}") as entries:
                found = sorted(entries, key=lambda entry: os.fsencode(entry.name))
        except OSError as error:
            raise InputError(f"data: {self.root / place} cannot be read ({reason(error)})") from None
        for entry in found:
            if hidden(entry.name):
                left_out.add(HIDDEN, _inside(place, entry.name))
            else:
                yield entry

    def _place(self, file: str) -> str:
        return file[len(str(self.root)) + 1 :]

    def _refuse_empty(self, tops: list[str]) -> None:
        count = len(tops) - 1
        verb = "has" if count == 1 else "have"
        others = f", nor {verb} {plural(count, 'other class', 'other classes')}" if count else ""
        left_out = f"; left out: {self.left_out}" if self.left_out else ""
        raise InputError(
            f"data: {self.root / tops[0]} has no images ({' '.join(EXTENSIONS)}){others}; a class needs "
            f"some, and what is no class has to lie elsewhere{left_out}"
        )


def summary(
    where: str, classes: tuple[int, int], images: Sequence[tuple[int, int]], how: str, left_out: LeftOut
) -> str:
    """What is read and what is left out, in a line: how many there are, of how many."""
    numbers = " + ".join(_of(read, there) for read, there in images)
    line = f"{printable(where)}: {_of(*classes)} classes, {numbers} images{printable(how)}"
    return f"{line}; left out: {left_out}" if left_out else line


def _needed(path: str | Path) -> str:
    """What would be right in place of what is no folder."""
    if not os.path.isfile(os.path.expanduser(path)):  # noqa: PTH111, PTH113  a NUL, no home: no file
        return NEEDED
    name = str(path).lower()
    if name.endswith(EXTENSIONS):
        hint = "an image alone is no data set"
    elif name.endswith(ARCHIVES):
        hint = "unpack the archive, and name the folder that comes out of it"
    elif name.endswith(ARRAYS):
        hint = "such a file is read in Python, and its images given as nas.search(data=...)"
    else:
        hint = "an archive has to be unpacked; a list of images that does not end in .csv is written csv:FILE"
    return f"{hint}; {NEEDED}"


def _inside(place: str, name: str) -> str:
    return f"{place}/{name}" if place else name


def _of(read: int, there: int) -> str:
    return f"{read:,}" if read == there else f"{read:,} of {there:,}"


def _identity(folder: str) -> tuple[int, int]:
    try:
        status = os.stat(folder)  # noqa: PTH116  a Path for each takes long
    except OSError as error:
        raise InputError(f"data: {folder} cannot be read ({reason(error)})") from None
    return status.st_dev, status.st_ino


def _refuse_different(root: Path, names: dict[str, list[str]]) -> None:
    # where train is not read there is nothing to differ: val stands for it
    train, val = (set(names.get(split, names["val"])) for split in SPLITS)
    if train == val:
        return
    odd = [
        f"{some(sorted(own))} {'is' if len(own) == 1 else 'are'} only in {where}"
        for where, own in (("train", train - val), ("val", val - train))
        if own
    ]
    raise InputError(
        f"data: {root} has {len(train)} classes in train and {len(val)} in val, which must be the same; "
        + "; ".join(odd)
        + nearly_alike(sorted(train - val), sorted(val - train))
    )
