"""The one exception a user's mistake raises; commands print it as a single line and exit with 2."""


class InputError(ValueError):
    """Something the user wrote is wrong: one line that says what, where, and what would be right."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))  # what is quoted may have line breaks
