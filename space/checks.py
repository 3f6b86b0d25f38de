"""What a network's fields may be: one error, and the checks that raise it, the field's name first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from space.errors import InputError, quoted, word


class ArchitectureError(InputError):
    """A combination that no network can have; the message starts with the field."""


def need_int(value: Any, high: int, name: str) -> None:
    """From 1 to `high`."""
    # the usual case first: a space that is read, and a study, check these thousands of times
    if type(value) is int and 1 <= value <= high:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArchitectureError(f"{name}: {quoted(value)} must be an integer of at least 1")
    if value > high:
        raise ArchitectureError(f"{name}: {quoted(value)} must be at most {high}")


def need_bool(value: Any, name: str) -> None:
    """True or false; 0 and 1 are neither."""
    if not isinstance(value, bool):
        raise ArchitectureError(f"{name}: {quoted(value)} must be true or false")


_NUMBERS = (int, float)


def need_number(value: Any, name: str) -> None:
    """A finite one."""
    # `not ... < ...` refuses NaN too
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not -1e9 < value < 1e9:
        raise ArchitectureError(f"{name}: {quoted(value)} must be a number")


def need_choice(value: Any, choices: Sequence[str], name: str) -> None:
    """One of these words."""
    if value not in choices:
        raise ArchitectureError(f"{name}: {quoted(value)} must be one of {', '.join(choices)}")


def refuse_unknown(values: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    """No other fields than the known ones."""
    if values.keys() <= known.keys():
        return
    for name in values:
        if name not in known:
            raise ArchitectureError(f"{where}{word(name)}: unknown field; the fields are {', '.join(known)}")
