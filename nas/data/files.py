"""Files looked at before they are decoded: which are images, and what is left out and why."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from nas.data.images import HEAD, is_cut, is_image
from space.errors import printable, shortened

NAMED = 3  # of what is left out for one reason
NAME_LENGTH = 60
CHUNK = 1024  # files that a thread looks at in one go
THREADS = 16  # for disks that are far away; they wait, and do not work

HIDDEN = "hidden"
OUTSIDE = "outside of the class folders"
NAME = "not named as an image"
FORMAT = "in a format that is not read, JPEG would be"
CONTENT = "without an image's content"
CUT = "cut short"
EMPTY = "empty"
DENIED = "that may not be read"
NOWHERE = "linked to nothing"
MISSING = "not there"
KIND = "no regular file"
AGAIN = "linked to a folder that is read already"
TWICE = "listed twice"


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

    def extend(self, other: LeftOut) -> None:
        """Count what another has counted, too."""
        for why, count in other._counts.items():
            self._counts[why] += count
            names = self._names.setdefault(why, [])
            names += other._names[why][: NAMED - len(names)]

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        parts = []
        for why, count in self._counts.items():
            more = ", ..." if count > NAMED else ""
            parts.append(f"{count:,} {why} ({', '.join(self._names[why])}{more})")
        return ", ".join(parts)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """A split's image files by class: paths, and int64 [N] each of labels, bytes, times of change (ns)."""

    files: list[str]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    changed: NDArray[np.int64]

    def taken(self, places: NDArray[np.int64]) -> ImageFiles:
        """Those at `places` [n], in that order."""
        files = [self.files[place] for place in places]
        return ImageFiles(files, self.labels[places], self.sizes[places], self.changed[places])


def looked_at(files: list[str]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
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
            if not is_image(head):
                return CONTENT, 0, 0
            why = CUT if is_cut(handle, head, status.st_size) else ""
        finally:
            os.close(handle)
    except OSError as error:
        away = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
        return NOWHERE if away else DENIED, 0, 0
    return why, status.st_size, status.st_mtime_ns
