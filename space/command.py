"""What all commands share: one line for a mistake, exit code 2."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn


class Command(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage, and that wants flags in full."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {message} (--help shows the flags)\n")
