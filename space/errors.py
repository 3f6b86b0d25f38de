"""The one exception a user's mistake raises; commands print it as a single line and exit with 2."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Collection
from typing import Any

MOST_LINE = 1200  # characters of a line about a mistake: the longest list of keys there is has 700
MOST_QUOTED = 80
MOST_NAME = 100
_UNSHOWN = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
UNSHOWN = re.compile(f"[{_UNSHOWN}]")
"""Line breaks and control characters: no line and no command could show them."""
CONTROL = re.compile(f"[{_UNSHOWN}\\ud800-\\udfff]")
"""These, and what has no UTF-8."""


class InputError(ValueError):
    """Something the user wrote is wrong: one line that says what, where, and what would be right.

    Whatever is quoted in it, the line can be printed: no line breaks, no control characters, and the middle
    left out where it is long, since its start says where and its end what would be right.
    """

    def __init__(self, message: str) -> None:
        super().__init__(shortened(printable(message), MOST_LINE))


class _Short(reprlib.Repr):
    """`repr` that looks at no more of a value than it shows."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = self.maxlong = MOST_QUOTED
        self.maxlist = self.maxtuple = self.maxdict = self.maxset = self.maxfrozenset = 4
        self.maxlevel = 3

    def repr_int(self, x: int, level: int) -> str:
        # str() refuses more than 4,300 digits
        return super().repr_int(x, level) if x.bit_length() < 4096 else "a number of over 1,200 digits"


_short = _Short()


def quoted(value: Any) -> str:
    """A value of the user's as a line shows it: its `repr`, cut short, whatever its size or depth."""
    return shortened(_short.repr(value), MOST_QUOTED)


def word(value: Any) -> str:
    """A key or name of the user's as a line shows it: as it is, cut short."""
    return shortened(value, MOST_QUOTED) if isinstance(value, str) else quoted(value)


def checked_name(value: Any, where: str) -> str:
    """A name as text. Raises `InputError` unless it is one printable line of 1 to 100 characters."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = quoted(value)
    if not isinstance(value, str) or not 1 <= len(value) <= MOST_NAME or not value.isprintable():
        raise InputError(
            f"{where}: {quoted(value)} is no name: one printable line of at most {MOST_NAME} characters"
        )
    return value


def some(names: Collection[str], most: int = 3) -> str:
    """The first names, each cut short, and how many more."""
    shown = ", ".join(shortened(printable(name), MOST_QUOTED) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


def counted(number: int) -> str:
    """A count for people, however large."""
    return f"{number:,}" if number < 10**18 else f"about 1e{int(math.log10(number))}"


def shortened(text: str, most: int) -> str:
    """At most so many characters of a text, the middle left out."""
    if len(text) <= most:
        return text
    tail = (most - 1) // 2
    return f"{text[: most - 1 - tail]}…{text[-tail:]}"


def printable(text: str) -> str:
    """A text as a line that every terminal can show: control characters, lone surrogates are written out."""
    line = " ".join(text.split())
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in line)


def first_line(said: BaseException | str) -> str:
    """The first line of a text or of what an error says that is not empty; else the error's class, or ""."""
    line = next((line.strip() for line in text_of(said).splitlines() if line.strip()), "")
    return line or (type(said).__name__ if isinstance(said, BaseException) else "")


def text_of(said: BaseException | str) -> str:
    """What an error says; "" of one that fails even at that."""
    try:
        return str(said)
    except Exception:  # a class of somebody else's
        return ""


def reason(error: BaseException) -> str:
    """What the system says of a file, in a few words."""
    return printable(getattr(error, "strerror", None) or first_line(error))
