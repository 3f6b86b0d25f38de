"""A study's folder: its name, and the plain files in it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from nas.record.database import FAILURES, said
from space.errors import UNSHOWN, InputError, quoted, reason
from space.files import write_text
from space.paths import at_home
from space.reading import parse_json, read_text

MOST_NAME = 255  # bytes of a file's name, on every system
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
PACKAGES = ("convnext-nas", "torch", "optuna", "ray", "numpy", "scikit-learn")


def study_folder(study: str) -> Path:
    """The folder of a study named by NAME (under `runs`) or by a path. Raises `InputError`."""
    study = at_home(study)
    if os.sep not in study and not NAME.fullmatch(study):
        raise InputError(
            f"study {quoted(study)}: a name holds letters, digits, '.', '_' and '-', or give a path"
        )
    if UNSHOWN.search(study):
        raise InputError(f"study {quoted(study)}: has line breaks or control characters; rename the folder")
    folder = Path(study) if os.sep in study else Path("runs") / study
    if any(len(os.fsencode(part)) > MOST_NAME for part in folder.parts):
        raise InputError(f"study {quoted(study)}: a folder's name has at most {MOST_NAME} bytes")
    return folder


def is_study(folder: Path) -> bool:
    """Whether a study is there, in the folder or in a database that it names. Raises `InputError`."""
    return any(is_there(folder / name) for name in ("study.db", "study.json"))


def is_there(path: Path) -> bool:
    """Whether there is a file, or anything else. Raises `InputError` where nobody may look."""
    try:
        return path.exists() or path.is_symlink()  # to nothing now, such as a disk that is not there
    except (OSError, ValueError) as error:
        raise InputError(f"study {path.parent}: cannot be read ({reason(error)})") from None


def read_place(path: Path, where: str) -> tuple[str, str]:
    """Database and study of a `study.json`. Raises `InputError`."""
    place = parse_json(read_text(path, where), where)
    if not (isinstance(place, dict) and place.keys() == {"storage", "study"}):
        raise InputError(f"{where}: must have the keys storage and study, and no other")
    for key, value in place.items():
        if not isinstance(value, str):
            raise InputError(f"{where}: {key} is {quoted(value)}, no text")
    return place["storage"], place["study"]


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: Path, values: Any) -> Path:
    """JSON written beside `path` and renamed, so that a reader never meets half a file."""
    return write_text(path, json.dumps(values, indent=2) + "\n")


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """One line for a database that cannot be written."""
    try:
        yield
    except FAILURES as error:
        raise InputError(f"study {folder}: cannot be written ({said(error)})") from None
