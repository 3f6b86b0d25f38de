"""A training's state in a file: written whole or not at all, read only by the training that wrote it.

Layout: a magic line, CRC-32 and length of what follows, then torch's own format. torch finds a file that is
cut short by itself, but not a changed byte.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, cast

import torch

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
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.write(MAGIC + HEAD.pack(0, 0))
            body = _Summed(file)
            torch.save({"identity": dict(identity), "state": dict(state)}, cast(IO[bytes], body))
            file.seek(len(MAGIC))
            file.write(HEAD.pack(body.crc, body.length))
        temporary.replace(path)
    except RuntimeError as error:  # how torch reports a write that failed
        raise OSError(str(error).splitlines()[0]) from None
    finally:
        with contextlib.suppress(OSError):  # nor can it be removed where nothing can be written
            temporary.unlink(missing_ok=True)


def load(path: Path, identity: Mapping[str, Any]) -> dict[str, Any] | None:
    """The state that this training kept; None where there is no file. Raises `CheckpointError`."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})") from None
    start = len(MAGIC) + HEAD.size
    if not content.startswith(MAGIC) or len(content) < start:
        raise CheckpointError("is not a checkpoint of this version")
    crc, length = HEAD.unpack_from(content, len(MAGIC))
    body = memoryview(content)[start:]
    if len(body) != length or zlib.crc32(body) != crc:
        raise CheckpointError("is damaged")
    kept = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    if kept["identity"] != dict(identity):
        raise CheckpointError("belongs to another training")
    return dict(kept["state"])


class _Summed:
    """A file to write to that keeps the CRC and length of what was written."""

    def __init__(self, file: io.BufferedWriter) -> None:
        self._file = file
        self.crc = 0
        self.length = 0

    def write(self, data: Any) -> int:
        self.crc = zlib.crc32(data, self.crc)
        self.length += memoryview(data).nbytes
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()
