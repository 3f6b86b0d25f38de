"""Files as every command writes them: whole or not at all; what a writer that dies leaves is swept."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from space.errors import InputError, reason

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

TEMPORARY = ".convnext-nas-part"
# what a spreadsheet would work out, or run, of a cell; a signed number and what comes after it is none
FORMULA = re.compile(r"[=@\t\r]|[-+].*(?:[|!]|\w\()", re.DOTALL)


def make_folder(folder: Path) -> Path:
    """The folder and those above it: all are there, or none that was not before. Raises `OSError`."""
    with folders(folder):
        return folder


@contextlib.contextmanager
def folders(folder: Path) -> Iterator[None]:
    """The folder and those above it, made; where what is done meanwhile fails, they are gone again if empty.

    Raises `OSError`.
    """
    made: list[Path] = []
    try:
        for each in reversed([folder, *folder.parents]):
            if not each.is_dir():
                _make(each)
                made.append(each)
        yield
    except BaseException:
        for each in reversed(made):
            with contextlib.suppress(OSError):  # not empty: something was written there
                each.rmdir()
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:  # another process was quicker; or it is a file, or a link to nothing
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder)) from None


def write_text(path: Path, text: str) -> Path:
    """Text written whole or not at all. Raises `InputError`."""
    # a lone surrogate, which JSON allows in a name, has no UTF-8
    return write_bytes(path, text.encode("utf-8", errors="replace"))


def csv_of(columns: Sequence[str], rows: Iterable[Mapping[str, Any] | Sequence[Any]]) -> str:
    """CSV text: a line of names, and one a row, by name or in their order; what is None or lacks is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = map(row.get, columns) if isinstance(row, Mapping) else row
        writer.writerow(map(csv_cell, cells))
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as CSV may have it: no name of a stranger's is a formula to the spreadsheet that opens it."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def write_bytes(path: Path, content: bytes) -> Path:
    """Bytes written whole or not at all. Raises `InputError`."""
    try:
        with replacing(path) as file:
            file.write(content)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    return path


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A file, to write and read, that takes the place of `path` when all is written, else is gone.

    On the disk first (`sync`), so that a power cut leaves the old file or the new one. What writers of the
    same path left that died is removed. Raises `OSError`.
    """
    # root could put a file in the place of /dev/null
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    sweep(path.parent, path.name)
    file, temporary = _temporary(path)
    try:
        with file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            temporary.replace(path)  # while it is locked: nobody sweeps it
    finally:
        with contextlib.suppress(OSError):  # nor can it be removed where nothing can be written
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> tuple[IO[bytes], Path]:
    """A new file of a name of its own, locked for as long as it is open."""
    while True:
        temporary = path.with_name(f"{_prefix(path.name)}{secrets.token_hex(4)}{TEMPORARY}")
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        file = open(handle, "w+b")  # noqa: PTH123, SIM115  the caller closes it
        if _take(handle) and temporary.exists():  # else swept before it was locked
            return file, temporary
        file.close()


def _prefix(name: str) -> str:
    """What the names of temporary files of `name` start with; they may be no longer than a name may be."""
    return "." + os.fsencode(name)[:200].decode(errors="ignore") + "."


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in `folder` (of the file `name` only) whose writers have died."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.endswith(TEMPORARY) and (name is None or entry.name.startswith(_prefix(name))):
                _remove_dead(Path(entry.path))


def _remove_dead(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if _take(file.fileno()):
            path.unlink()


def is_temporary(path: Path) -> bool:
    """Whether a file is what a writer leaves that dies."""
    return path.name.endswith(TEMPORARY)


# locks


def locked(path: Path, busy: str) -> IO[str]:
    """The file `path`, made, its folder too, and locked until it is closed or its process ends.

    Raises `InputError`: `busy` where another process has it.
    """
    if fcntl is None:
        raise InputError(f"{path}: this system has no POSIX locks; Linux and macOS have, and Windows has WSL")
    while True:
        try:
            make_folder(path.parent)
            lock = path.open("a", encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InputError(f"{path.parent}: cannot be written ({reason(error)})") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            taken = isinstance(error, BlockingIOError) or error.errno == errno.EACCES
            raise InputError(busy if taken else f"{path}: cannot be locked ({reason(error)})") from None
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                return lock
        lock.close()  # who had it has removed it: a lock of a file that nobody finds locks nobody out


def _take(handle: int) -> bool:
    """Lock an open file; whether nobody else holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
