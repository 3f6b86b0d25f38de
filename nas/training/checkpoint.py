"""A training's state in a file: written whole or not at all, read only by the training that wrote it.

Layout of a search's own checkpoints (`save`): a magic line, CRC-32 and length of what follows, then torch's
own format. torch finds a file that is cut short by itself, but not a changed byte. Checkpoints that others
read too (`save_plain`) are in torch's format alone, and checked by the CRC-32 that it keeps of each record.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch

from space.errors import first_line, reason
from space.files import replacing
from space.weight_files import UnreadableError, loaded, torch_values

MAGIC = b"convnext-nas checkpoint 1\n"
HEAD = struct.Struct("<IQ")  # CRC-32, bytes


class CheckpointError(ValueError):
    """The file is damaged or another training's; the message says which."""


def save(path: Path, identity: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Tensors and plain values to `path`, under a temporary name first. Raises `OSError`.

    Not synced to the disk: it survives the death of the process, and a torn file after a power cut is found
    by its CRC.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _replacing(path, sync=False) as file:
        # room for the head, which is known only behind the last byte: no second copy of the state in memory
        file.write(MAGIC + HEAD.pack(0, 0))
        body = _Summed(file)
        torch.save({"identity": dict(identity), "state": dict(state)}, cast(IO[bytes], body))
        file.seek(len(MAGIC))
        file.write(HEAD.pack(body.crc, body.length))


def save_plain(path: Path, values: Mapping[str, Any]) -> None:
    """Tensors and plain values to `path` in torch's own format, for `torch.load`. Raises `OSError`.

    Written under a temporary name and synced to the disk first.
    """
    with _replacing(path) as file:
        torch.save(dict(values), file)


@contextlib.contextmanager
def _replacing(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """`space.files.replacing`, for torch."""
    try:
        with replacing(path, sync=sync) as file:
            yield file
    except RuntimeError as error:  # how torch reports a write that failed
        raise OSError(first_line(error)) from None


def load_plain(path: Path) -> dict[str, Any] | None:
    """The values of `save_plain`; None where there is no file. Raises `CheckpointError`."""
    if not os.path.lexists(path):
        return None
    try:
        values = loaded(path)
    except UnreadableError as error:
        raise CheckpointError(str(error)) from None
    if not isinstance(values, dict):
        raise CheckpointError("is damaged, or no checkpoint: holds no values by name")
    return values


def load(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state that this training kept; None where there is no file. Raises `CheckpointError`."""
    try:
        body = _body(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"cannot be read ({reason(error)})") from None
    try:
        kept = torch_values(io.BytesIO(body))
    except UnreadableError as error:
        raise CheckpointError(str(error)) from None
    with fitting():
        # whole as it is, the file may hold other things than `save` writes: errors on the way are its own
        if dict(kept["identity"]) != dict(identity):
            raise CheckpointError("belongs to another training")
        return dict(kept["state"])


def _body(path: Path) -> bytes:
    """What follows the head, checked against it; no more is read than the head says. Raises `OSError`."""
    # O_NONBLOCK: a pipe of that name would be waited for
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(handle, "rb") as file:  # noqa: PTH123
        status = os.fstat(handle)
        head = file.read(len(MAGIC) + HEAD.size) if stat.S_ISREG(status.st_mode) else b""
        if not head.startswith(MAGIC) or len(head) < len(MAGIC) + HEAD.size:
            raise CheckpointError("is not a checkpoint of this version")
        crc, length = HEAD.unpack_from(head, len(MAGIC))
        # before it is read: a damaged length could ask for any amount of memory
        if status.st_size != len(head) + length:
            raise CheckpointError("is damaged")
        body = file.read()
    if len(body) != length or zlib.crc32(body) != crc:
        raise CheckpointError("is damaged")
    return body


@contextlib.contextmanager
def fitting() -> Iterator[None]:
    """`CheckpointError` for values of other names, kinds or shapes than a training's."""
    try:
        yield
    except CheckpointError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointError(f"does not fit this training ({first_line(error)})") from None


class _Summed:
    """A file to write to that keeps the CRC and length of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.crc = 0
        self.length = 0

    def write(self, data: Any) -> int:
        self.crc = zlib.crc32(data, self.crc)
        self.length += memoryview(data).nbytes
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
