"""The folder of an export: whose it is, and all of its files or none."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from nas.targets import TARGETS
from space.errors import InputError, quoted, reason
from space.files import folders, is_temporary, replacing, sweep
from space.reading import parse_json, read_text

if TYPE_CHECKING:
    from nas.targets.exportable import Exportable


def check_folder(folder: Path, one: Exportable) -> None:
    """A folder that is there must be this network's, any other must be possible. Raises `InputError`."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: is a file; name another folder with --out")
    if folder.is_symlink() and not folder.exists():
        raise InputError(f"{folder}: is a link to what is not there; name another folder with --out")
    there = next((each for each in (folder, *folder.parents) if each.exists()), Path())
    if not there.is_dir():
        raise InputError(f"{folder}: {there} is a file; name another folder with --out")
    if not os.access(there, os.W_OK | os.X_OK):
        raise InputError(f"{there}: nothing can be written there; name another folder with --out")
    if not folder.is_dir() or all(is_left_over(entry) for entry in folder.iterdir()):
        return
    where = str(folder / "architecture.json")
    try:
        fingerprint = parse_json(read_text(folder / "architecture.json", where), where)["fingerprint"]
    except (InputError, LookupError, TypeError):
        raise InputError(
            f"{folder}: holds other things than an export; name another folder with --out"
        ) from None
    if fingerprint != one.network.fingerprint:
        raise InputError(
            f"{folder}: holds another network ({quoted(fingerprint)}); name another folder with --out"
        )


def is_left_over(path: Path) -> bool:
    """Whether this is what an export leaves in its folder that is killed before its first file is whole."""
    if path.is_dir() and not path.is_symlink():
        return path.name in TARGETS and all(is_temporary(entry) for entry in path.iterdir())
    return is_temporary(path)


@contextlib.contextmanager
def in_folder(files: Mapping[str, str | bytes]) -> Iterator[Path]:
    """These files in a temporary folder, for a library that reads them."""
    with TemporaryDirectory() as name:
        for file, content in files.items():
            (Path(name) / file).write_bytes(content.encode() if isinstance(content, str) else content)
        yield Path(name)


def write(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Every file, the first of them first: all are on the disk before one takes its name.

    Killed before, it leaves temporary files, which the next one removes; in the moment of the renaming, a
    folder that holds `architecture.json` and is this network's. Raises `InputError`.
    """
    try:
        with contextlib.ExitStack() as made, contextlib.ExitStack() as stack:
            for parent in dict.fromkeys((folder / name).parent for name in files):
                made.enter_context(folders(parent))
                sweep(parent)
            for name, content in reversed(list(files.items())):  # the last that is opened is renamed first
                file = stack.enter_context(replacing(folder / name))
                file.write(content.encode("utf-8", errors="replace") if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: cannot be written ({reason(error)})") from None
