"""The one exception a user's mistake raises; commands print it as a single line and exit with 2."""


class InputError(ValueError):
    """Something the user wrote is wrong: the message says what, where, and what would be right."""
