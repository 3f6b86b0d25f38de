"""Lines of Python, as a formatter leaves them."""

from __future__ import annotations

import re
import textwrap

LINE = 88
CALL = re.compile(r"( *)(.*?\()(.*)(\).*)")


def exploded(code: str) -> str:
    """Code whose calls and signatures have an argument a line where they are too long for one line."""
    return "\n".join(_exploded(line) if len(line) > LINE else line for line in code.split("\n"))


def _exploded(line: str) -> str:
    found = CALL.fullmatch(line)
    if found is None or "#" in line:
        return line
    margin, head, arguments, tail = found.groups()
    inner = "".join(f"{margin}    {argument},\n" for argument in arguments.split(", "))
    return f"{margin}{head}\n{inner}{margin}{tail}"


def wrapped(text: str, indent: int, first: int = 0) -> str:
    """Text of a docstring, broken at the line length."""
    lines = textwrap.wrap("." * first + text, LINE - indent, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)[first:]


def number(value: float) -> str:
    """A number as Python writes it."""
    return re.sub(r"e([+-])0", r"e\1", repr(float(value)))
