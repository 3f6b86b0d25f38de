"""A target's library as it is on this machine: imported once, whatever its imports raise, or why it is not.

The most frequent of what is broken: timm and transformers beside a torchvision made for another torch, which
raises no ImportError.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING

from nas.targets.target import Mismatch
from space.errors import InputError, first_line, printable, shortened

if TYPE_CHECKING:
    from nas.targets.target import Check

BROKEN = (Exception, SystemExit)  # what an import may raise
LONGEST = 200


@dataclass(frozen=True)
class Library:
    """`module` None: `missing` says why."""

    module: ModuleType | None
    missing: str = ""


@functools.cache
def library(name: str) -> Library:
    """The library of that name. Tried once: an import that failed half-way may do anything another time."""
    if not installed(name):
        return Library(None, f"{name} is not installed")
    try:
        return Library(importlib.import_module(name))
    except BROKEN as error:
        return Library(None, f"{name} cannot be imported ({said(error)})")


def installed(name: str) -> bool:
    """Whether there is a library of that name, imported or not."""
    try:
        spec = importlib.util.find_spec(name)
    except BROKEN:  # `name` is a part of one whose own import fails: importing it says how
        return True
    return spec is not None and spec.origin is not None  # a folder of that name is no library


def said(error: BaseException) -> str:
    """What an error's first cause says, in a line."""
    while error.__cause__ is not None:  # of a library that imports lazily
        error = error.__cause__
    line, name = first_line(error), type(error).__name__
    return shortened(printable(line if line == name else f"{name}: {line}"), LONGEST)


def unless_broken(check: Callable[[], Check], name: str) -> tuple[Check | None, str]:
    """The check by the library of this name; or None and why: what the library raises costs its check alone.

    Raises `Mismatch`, which is what a check is for, and `InputError`.
    """
    try:
        return check(), ""
    except (Mismatch, InputError):
        raise
    except BROKEN as error:
        return None, f"{name} failed ({said(error)})"
