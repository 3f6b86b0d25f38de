"""One file per data set and size: a JSON header, then the images and labels of both splits.

The file is written beside its name and renamed, so a reader never sees half of it and two builders at once
only do the work twice. A file that is cut short, changed or of another version is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from space.errors import InputError

if TYPE_CHECKING:
    from nas.data.dataset import Source

log = logging.getLogger(__name__)

MAGIC = b"convnext-nas data\n"
VERSION = 1
HEADER_BYTES = 4096
CHUNK = 1 << 22

Arrays = dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]


def default_dir() -> Path:
    """`$XDG_CACHE_HOME/convnext-nas`, or `~/.cache/convnext-nas`."""
    root = os.environ.get("XDG_CACHE_HOME")
    return (Path(root) if root else Path.home() / ".cache") / "convnext-nas"


def writable_dir(cache_dir: Path | None) -> Path:
    """The cache folder, made if need be; the default one falls back to the system's temporary folder.

    Raises `InputError` if a folder that was asked for cannot be written.
    """
    folder = default_dir() if cache_dir is None else cache_dir
    if _can_write(folder):
        return folder
    if cache_dir is not None:
        raise InputError(f"cache: {folder} cannot be written; name a folder that can")
    own = Path(tempfile.gettempdir()) / f"convnext-nas-{os.getuid() if hasattr(os, 'getuid') else 'user'}"
    if not _can_write(own):
        raise InputError(f"cache: neither {folder} nor {own} can be written; set XDG_CACHE_HOME")
    log.warning("cache: %s cannot be written; using %s", folder, own)
    return own


def _can_write(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
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
    if path.exists():
        try:
            return read(path, key)
        except ValueError as error:
            log.warning("cache: %s %s; building it again", path, error)
    build(source, key, path)
    return read(path, key)


def read(path: Path, key: dict[str, Any]) -> tuple[Arrays, str]:
    """Maps a cache file. Raises `ValueError` if it is not, whole and unchanged, what `key` asks for."""
    with path.open("rb") as file:
        head = file.read(HEADER_BYTES)
    if not head.startswith(MAGIC):
        raise ValueError("is not a cache file")
    try:
        header = json.loads(head[len(MAGIC) :].rstrip(b"\0"))
    except ValueError:
        raise ValueError("has a damaged header") from None
    digest = header.pop("sha256", None)
    if header != key:
        raise ValueError("was written for another request or version")
    if path.stat().st_size != HEADER_BYTES + _payload_bytes(key):
        raise ValueError("is cut short")
    if _digest(path) != digest:
        raise ValueError("does not match its SHA-256")
    return _mapped(path, key, "r"), str(digest)


def build(source: Source, key: dict[str, Any], path: Path) -> None:
    """Writes a cache file under a temporary name, then renames it. Raises `InputError` if it cannot."""
    with _temporary(path) as temporary:
        try:
            with temporary.open("wb") as file:
                file.truncate(HEADER_BYTES + _payload_bytes(key))
            arrays = _mapped(temporary, key, "r+")
            for split, (images, labels) in arrays.items():
                source.fill(split, images, labels)
                for array in (images, labels):
                    if isinstance(array, np.memmap):
                        array.flush()
            header = MAGIC + json.dumps(key | {"sha256": _digest(temporary)}).encode()
            with temporary.open("r+b") as file:
                file.write(header.ljust(HEADER_BYTES, b"\0"))
            temporary.replace(path)
        except OSError as error:
            raise InputError(f"cache: {path} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def _temporary(path: Path) -> Iterator[Path]:
    handle, name = tempfile.mkstemp(prefix=f"{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _payload_bytes(key: dict[str, Any]) -> int:
    per_image = key["resolution"] ** 2 * 3 + np.dtype(np.int64).itemsize
    return sum(size * per_image for size in key["sizes"].values())


def _mapped(path: Path, key: dict[str, Any], mode: Any) -> Arrays:
    """Labels stand before images, so that they stay aligned to 8 bytes in the first split at least."""
    arrays: Arrays = {}
    offset, side = HEADER_BYTES, key["resolution"]
    for split, size in key["sizes"].items():
        labels = np.memmap(path, np.int64, mode, offset, (size,))
        offset += labels.nbytes
        images = np.memmap(path, np.uint8, mode, offset, (size, side, side, 3))
        offset += images.nbytes
        arrays[split] = (images, labels if mode == "r+" else np.array(labels))
    return arrays


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(HEADER_BYTES)
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
