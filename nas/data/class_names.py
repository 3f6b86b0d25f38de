"""The names of the classes by label: checked, and as a file of one name a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from space.errors import CONTROL, InputError, quoted
from space.reading import read_text

FILE = "classes.txt"  # timm reads it as --class-map


def read_class_names(path: Path, where: str) -> tuple[str, ...]:
    """The names in a file, one a line. Raises `InputError` that starts with `where`."""
    # not splitlines: it also breaks at control characters, which are refused below as part of a name
    lines = [line.strip() for line in read_text(path, where).replace("\r\n", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return class_names(lines, where)


def class_names(names: Iterable[Any], where: str) -> tuple[str, ...]:
    """Names that every export can write: one line each, unlike each other. Raises `InputError`."""
    labels: dict[str, int] = {}
    for label, name in enumerate(names):
        if not isinstance(name, str) or not name or name != name.strip() or CONTROL.search(name):
            raise InputError(f"{where}: class {label} is {quoted(name)}; a name is one line of text")
        if name in labels:
            both = f"{labels[name]} and {label}"
            raise InputError(f"{where}: classes {both} are both {quoted(name)}; their names must differ")
        labels[name] = label
    if len(labels) < 2:
        raise InputError(f"{where}: {len(labels)} names; a classifier has two classes or more")
    return tuple(labels)


def class_file(names: Iterable[str]) -> str:
    """The content of `FILE`."""
    return "".join(f"{name}\n" for name in names)
