"""Paths as users write them."""

from __future__ import annotations

import os

from space.errors import InputError, quoted


def at_home(path: str) -> str:
    """A path that starts with `~`, as a shell has it: below the home of a user. Raises `InputError`.

    A shell leaves it to the program where it is quoted, or stands behind `=` or a colon.
    """
    if not path.startswith("~"):
        return path
    found = os.path.expanduser(path)  # noqa: PTH111  Path's own raises where there is no such user
    if found == path and path[1:2] in ("", os.sep):
        raise InputError(f"{quoted(path)}: there is no home directory; write the path in full")
    return found
