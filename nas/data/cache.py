"""One file per data set and size: a JSON header, then the images and labels of both splits.

The file is written beside its name and renamed, so a reader never sees half of it and two builders at once
only do the work twice. A file that is cut short, changed or of another version is built again, and what
builders left that died is removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import logging
import os
import stat
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError, printable, reason
from space.files import make_folder, replacing, sweep

if TYPE_CHECKING:
    from nas.data.sources.source import Source

log = logging.getLogger(__name__)

MAGIC = b"convnext-nas data\n"
VERSION = 1
HEADER_BYTES = 4096
CHUNK = 1 << 22

Arrays = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def default_dir() -> Path:
    """`$XDG_CACHE_HOME/convnext-nas`, or `~/.cache/convnext-nas`. Raises `RuntimeError` without a home."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "convnext-nas"


def writable_dir(cache_dir: Path | None) -> Path:
    """The cache folder, made if need be; the default one falls back to the system's temporary folder.

    Raises `InputError` if a folder that was asked for cannot be written.
    """
    if cache_dir is not None:
        if _can_write(cache_dir):
            return cache_dir
        raise InputError(f"cache: {cache_dir} cannot be written; name a folder that can")
    try:
        folder = default_dir()
        if _can_write(folder):
            return folder
        why = f"{folder} cannot be written"
    except RuntimeError:
        why = "there is no home directory"
    own = _own_temporary_dir(why)
    log.warning("cache: %s; using %s (XDG_CACHE_HOME sets another)", printable(why), own)
    return own


def _own_temporary_dir(why: str) -> Path:
    """A folder in the system's temporary one, whose name others can guess: its owner is looked at."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    try:
        own = Path(tempfile.gettempdir()) / f"convnext-nas-{user}"
    except OSError:  # no folder can be written at all
        raise InputError(f"cache: {why}, nor can the temporary folder; set XDG_CACHE_HOME") from None
    # whether it was there or not, what counts is whose it is, below
    with contextlib.suppress(OSError):
        own.mkdir(mode=0o700)
    try:
        status = own.lstat()
    except OSError:
        raise InputError(f"cache: {why}, nor can {own}; set XDG_CACHE_HOME") from None
    if hasattr(os, "getuid") and (
        not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o022
    ):
        raise InputError(
            f"cache: {why}, and {own} is no folder that only you can write; remove it, or set XDG_CACHE_HOME"
        )
    if not _can_write(own):
        raise InputError(f"cache: {why}, nor can {own}; set XDG_CACHE_HOME")
    return own


def _can_write(folder: Path) -> bool:
    try:
        make_folder(folder)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def read_or_build(source: Source, name: str, resolution: int, cache_dir: Path | None) -> tuple[Arrays, str]:
    """The arrays of `source` by split, memory-mapped read-only, and the SHA-256 of their bytes."""
    key = {"version": VERSION, "resolution": resolution, "sizes": source.sizes, **source.identity()}
    text = json.dumps(key, sort_keys=True)
    folder = writable_dir(cache_dir)
    path = folder / f"{name}-{resolution}px-{hashlib.sha256(text.encode()).hexdigest()[:12]}.bin"
    try:
        return read(path, key)
    except FileNotFoundError:
        pass
    except ValueError as error:
        log.warning("cache: %s %s; building it again", path, error)
    except OSError as error:
        log.warning("cache: %s cannot be read (%s); building it again", path, reason(error))
    build(source, key, path)
    try:
        return read(path, key)
    except (OSError, ValueError) as error:
        raise InputError(f"cache: {path}, just written: {reason(error)}; the disk may be failing") from None


def read(path: Path, key: dict[str, Any]) -> tuple[Arrays, str]:
    """Maps a cache file. Raises `OSError`; `ValueError` if it is not, whole, what `key` asks for."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
        if not head.startswith(MAGIC):
            raise ValueError("is not a cache file")
        try:
            header = json.loads(head[len(MAGIC) :].rstrip(b"\0"))
            digest = header.pop("sha256", None)
        except (ValueError, AttributeError, RecursionError):
            raise ValueError("has a damaged header") from None
        if header != key:
            raise ValueError("was written for another request or version")
        # first what is cheap: the digest reads the whole file
        if os.fstat(file.fileno()).st_size != HEADER_BYTES + _payload_bytes(key):
            raise ValueError("is cut short")
        if _digest(file) != digest:
            raise ValueError("does not match its SHA-256")
        return _mapped(file, key, "r"), str(digest)


def build(source: Source, key: dict[str, Any], path: Path) -> None:
    """Writes a cache file under a temporary name, then renames it. Raises `InputError` if it cannot."""
    sweep(path.parent)
    size = HEADER_BYTES + _payload_bytes(key)
    try:
        with replacing(path) as file:
            _reserve(file, size)
            arrays = _mapped(file, key, "r+")
            for split, (images, labels) in arrays.items():
                source.fill(split, images, labels)
                for array in (images, labels):
                    if isinstance(array, np.memmap):
                        array.flush()
            # last, into the room that was left for it: its digest is of all that stands behind
            header = MAGIC + json.dumps(key | {"sha256": _digest(file)}).encode()
            file.seek(0)
            file.write(header.ljust(HEADER_BYTES, b"\0"))
    except OSError as error:
        raise InputError(
            f"cache: {path} ({size / 1e6:,.1f} MB) cannot be written: {reason(error)}; XDG_CACHE_HOME sets "
            "another folder"
        ) from None


def _reserve(file: IO[bytes], size: int) -> None:
    """Takes the disk's space now: a full disk under a memory-mapped file ends the process without a word."""
    try:
        os.posix_fallocate(file.fileno(), 0, size)
    except (AttributeError, OSError) as error:  # macOS has none, and some file systems cannot
        if isinstance(error, OSError) and error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
            raise
        for start in range(0, size, CHUNK):
            file.write(bytes(min(CHUNK, size - start)))
        file.flush()


def _payload_bytes(key: dict[str, Any]) -> int:
    per_image = key["resolution"] ** 2 * 3 + np.dtype(np.int64).itemsize
    return sum(size * per_image for size in key["sizes"].values())


def _mapped(file: IO[bytes], key: dict[str, Any], mode: Any) -> Arrays:
    """Labels stand before images, so that they stay aligned to 8 bytes in the first split at least."""
    arrays: Arrays = {}
    offset, side = HEADER_BYTES, key["resolution"]
    for split, size in key["sizes"].items():
        labels = np.memmap(file, np.int64, mode, offset, (size,))
        offset += labels.nbytes
        images = np.memmap(file, np.uint8, mode, offset, (size, side, side, 3))
        offset += images.nbytes
        arrays[split] = (images, labels if mode == "r+" else np.array(labels))
    return arrays


def _digest(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    file.seek(HEADER_BYTES)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    return digest.hexdigest()
