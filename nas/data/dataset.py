"""A data set as two splits of uint8 images, whatever it came from; `load` is the one way in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from nas.data import cache
from nas.data.sources.registry import SOURCES, parsed
from nas.data.sources.source import Images, Labels, Request, Source


@dataclass(frozen=True, eq=False)
class Split:
    """`images` uint8 [N, H, W, 3], in memory or memory-mapped read-only, and `labels` int64 [N]."""

    images: Images
    labels: Labels

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Data:
    """Two splits of one data set, the same wherever it lies if its `fingerprint` is the same.

    That is the SHA-256 of pixels, labels and the names of classes where a user gave them.
    """

    train: Split
    val: Split
    num_classes: int
    fingerprint: str
    spec: str
    classes: tuple[str, ...] | None = None  # names by label; None where they have none
    read: str = ""  # what was read and what was left out, in a line


def load(
    spec: str,
    resolution: int,
    train_size: int | None = None,
    val_size: int | None = None,
    seed: int = 0,
    cache_dir: Path | None = None,
    num_classes: int | None = None,
) -> Data:
    """The data set `spec` at resolution x resolution, made once and then read from the cache.

    `spec` is a name of `SOURCES`, with `:PATH` where that takes one; sizes are at most these, None being all
    there is; `seed` selects the class-balanced subset. Raises `InputError`.
    """
    source = open_source(spec, resolution, train_size, val_size, seed, num_classes)
    name, path = parsed(spec)
    whole = f"{name}:{path}" if path else name  # a plain path may be no path where it is read again
    arrays, digest = cache.read_or_build(source, name, resolution, cache_dir)
    splits = {split: Split(*arrays[split]) for split in ("train", "val")}
    # the cache's digest is of pixels and labels alone: folders of other names may hold the same
    if SOURCES[name].names_tell:
        digest = hashlib.sha256("\0".join([digest, *(source.classes or ())]).encode()).hexdigest()
    return Data(
        splits["train"], splits["val"], source.num_classes, digest, whole, source.classes, source.read
    )


def open_source(
    spec: str,
    resolution: int,
    train_size: int | None,
    val_size: int | None,
    seed: int,
    num_classes: int | None,
) -> Source:
    """The source a spec names, its path and sizes checked. Raises `InputError`."""
    name, path = parsed(spec)
    request = Request(Path(path) if path else None, resolution, train_size, val_size, num_classes, seed)
    source: Source = SOURCES[name].load()(request)
    return source
