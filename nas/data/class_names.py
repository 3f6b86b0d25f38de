"""The names of the classes by label: checked, and as a file of one name a line."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from space.errors import CONTROL, InputError, quoted
from space.reading import read_text

FILE = "classes.txt"  # timm reads it as --class-map
RULE = "a class's name is one line of text in UTF-8, without spaces at its ends"


def is_class_name(name: Any) -> bool:
    """Whether every reader takes it and every export can write it."""
    return isinstance(name, str) and bool(name) and name == name.strip() and not CONTROL.search(name)


def one_form(name: str) -> str:
    """The name with each letter encoded in one way; macOS has written others than Linux and Windows do."""
    return unicodedata.normalize("NFC", name)


def in_one_form(*lists: Sequence[str]) -> list[tuple[str, ...]]:
    """Names to compare by `one_form`; as they are where two of a list would become one."""
    formed = [tuple(map(one_form, names)) for names in lists]
    return formed if all(len(set(names)) == len(names) for names in formed) else list(map(tuple, lists))


def nearly_alike(names: Iterable[str], others: Iterable[str]) -> str:
    """For the end of a line about names that differ: the first two that hardly do, and in what; or ""."""
    theirs = {one_form(name).casefold(): name for name in others}
    for name in names:
        other = theirs.get(one_form(name).casefold(), name)
        if other != name:
            what = (
                "the encoding of letters (Unicode NFC, NFD)" if one_form(name) == one_form(other) else "case"
            )
            return f"; {quoted(name)} and {quoted(other)} differ in {what} alone"
    return ""


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
        if not is_class_name(name):
            raise InputError(f"{where}: class {label} is {quoted(name)}; {RULE}")
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
