"""Text of the user's in other languages, one way into each: no name is read as markup, code or a command.

YAML and JSON are written by their libraries; Python's literals by `repr`.
"""

from __future__ import annotations

import re
import shlex

from space.errors import CONTROL, InputError, printable, quoted, shortened

LONGEST = 300  # characters of a name in a comment or a heading
MARKDOWN = re.compile(r"([\\`*\[\]|~$]|<(?=[A-Za-z/!?])|&(?=#?\w+;)|(?<!\S)[#>]|(?<![^\W_])_|_(?![^\W_]))")
"""What Markdown and its extensions (tables, HTML, mathematics) read, where they read it."""
BULLET = re.compile(r"(?<!\S)([-+=]+)(?=\s|$)")
NUMBER = re.compile(r"(?<!\S)(\d+)([.)])(?=\s|$)")


def in_comment(text: str) -> str:
    """One line for a comment of any language."""
    return shortened(printable(text), LONGEST)


def in_docstring(text: str) -> str:
    """One line for the start of a Python docstring in three double quotes."""
    return in_comment(text).replace("\\", "\\\\").replace('"""', "'''")


def in_markdown(text: str) -> str:
    """One line that Markdown shows as it is: no markup, HTML or list."""
    line = MARKDOWN.sub(r"\\\1", printable(text))
    # wrapped, a line may start with any word: lists
    return NUMBER.sub(r"\1\\\2", BULLET.sub(r"\\\1", line))


def in_code(text: str) -> str:
    """A code span of Markdown."""
    line = printable(text)
    longest = max((len(run) for run in re.findall("`+", line)), default=0)
    fence = "`" * (longest + 1)
    margin = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{margin}{line}{margin}{fence}"


def in_shell(text: str) -> str:
    """One word of a shell's command. Raises `InputError` for line breaks and control characters."""
    if CONTROL.search(text):
        raise InputError(f"{quoted(text)}: has line breaks or control characters; no command can show it")
    return shlex.quote(text)
