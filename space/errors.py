"""The one exception a user's mistake raises; commands print it as a single line and exit with 2."""

from __future__ import annotations


class InputError(ValueError):
    """Something the user wrote is wrong: one line that says what, where, and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # what is quoted may have line breaks


def first_line(said: BaseException | str) -> str:
    """The first line of a text or of what an error says that is not empty; else the error's class, or ""."""
    line = next((line.strip() for line in str(said).splitlines() if line.strip()), "")
    return line or (type(said).__name__ if isinstance(said, BaseException) else "")
