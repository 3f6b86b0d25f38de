"""Lines of Python, as a formatter leaves them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

LINE = 88


def call_of(head: str, arguments: Sequence[str], tail: str = "", indent: int = 0) -> list[str]:
    """`head(arguments)tail` as ruff formats it, `indent` columns being added later."""
    line = f"{head}({', '.join(arguments)}){tail}"
    if len(line) + indent <= LINE:
        return [line]
    margin = " " * (len(head) - len(head.lstrip()))
    return [f"{head}(", *(f"{margin}    {argument}," for argument in arguments), f"{margin}){tail}"]


def list_of(values: Sequence[object]) -> str:
    """A list, over several lines where it is long."""
    return f"[{', '.join(map(str, values))}]"


def indented(lines: Sequence[str]) -> list[str]:
    """Lines one level deeper."""
    return [f"        {line}" if line else "" for line in lines]


def wrapped(text: str, indent: int, first: int = 0) -> str:
    """Text of a docstring, broken at the line length."""
    lines = textwrap.wrap("." * first + text, LINE - indent, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)[first:]


def number(value: float) -> str:
    """A number as Python writes it."""
    return re.sub(r"e([+-])0", r"e\1", repr(float(value)))
