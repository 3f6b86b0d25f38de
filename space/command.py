"""What all commands share: one line for a mistake, exit code 2, and a quick start and end."""

from __future__ import annotations

import argparse
import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn


class Command(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage, and that wants flags in full."""

    def __init__(self, **options: Any) -> None:
        super().__init__(allow_abbrev=False, **options)
        # or the interpreter would look through all there is for cycles before it ends: up to 2 s with torch
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        self.exit(2, f"{self.prog.removeprefix('python -m ')}: {message} (--help shows the flags)\n")


@contextmanager
def uncollected() -> Iterator[None]:
    """Without the garbage collector, which walks through all there is each time that much has been made."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def made_to_stay() -> Iterator[None]:
    """What is imported and made meanwhile stays: the garbage collector never looks through it.

    Imports make half a million objects; going over them again and again took 0.4 s of a search's start.
    """
    with uncollected():
        try:
            yield
        finally:
            gc.freeze()
