"""What all commands share: one line for whatever ends them, the exit code, and a quick start and end."""

from __future__ import annotations

import argparse
import atexit
import gc
import math
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

from space.errors import InputError, reason
from space.paths import at_home

if TYPE_CHECKING:
    from rich.console import Console

Number = TypeVar("Number", int, float)
PIPE = 220  # columns of a table where nobody looks at it on a terminal
CUT = 141  # a shell's word for a program whose reader has gone


class Command(argparse.ArgumentParser):
    """An argument parser whose errors are one line, without the usage, and that wants flags in full."""

    quiet = False  # say nothing of what ends it
    called: str | None = None  # what the program is called by, where that is not `python -m`

    def __init__(self, **options: Any) -> None:
        if self.called is not None:
            options["prog"] = self.called
        if os.environ.get("COLUMNS") == "0":  # a terminal that does not know: rich would print nothing
            del os.environ["COLUMNS"]
        super().__init__(allow_abbrev=False, **options)
        # or the interpreter would look through all there is for cycles before it ends: up to 2 s with torch
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with 2."""
        sys.exit(self.ended(2, f"{message} (--help shows the flags)"))

    def print_help(self, file: Any = None) -> None:
        """As argparse, but where it cannot be written that is told as of any command's output."""
        if file is not None:
            super().print_help(file)
        elif code := self.carry_out(lambda: print(self.format_help(), end="")):
            sys.exit(code)

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> Any:
        # `--flag=--`: argparse before Python 3.13 takes the dashes away and stumbles over what is left
        if arg_strings == ["--"] and action.option_strings and action.nargs is None:
            raise argparse.ArgumentError(action, "expected one argument")
        try:
            arg_strings = [at_home(text) for text in arg_strings]
        except InputError as error:
            raise argparse.ArgumentError(action, str(error)) from None
        return super()._get_values(action, arg_strings)

    @property
    def name(self) -> str:
        """What lines of this command start with."""
        return self.prog.removeprefix("python -m ")

    def carry_out(self, act: Callable[[], int | None], interrupted: Callable[[], str] | None = None) -> int:
        """The exit code of what the command does, and one line on stderr about what ended it.

        0 or what `act` returns; 2 for an `InputError`, or for a file or a full disk that the system refuses;
        130 for Ctrl-C (`interrupted` has more to say of it); 1 without memory; 141 where nobody reads on.
        """
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):  # whatever a name holds, and whatever the terminal can show
                stream.reconfigure(errors="backslashreplace")
        try:
            code = act() or 0
            # now: what fails when the interpreter ends can no longer be told in a line
            if sys.stdout is not None:
                sys.stdout.flush()
        except InputError as error:
            return self.ended(2, str(error))
        except KeyboardInterrupt:
            # 128 + SIGINT, as shells say it
            return self.ended(130, "interrupted" if interrupted is None else f"interrupted; {interrupted()}")
        except BrokenPipeError:
            _silence(sys.stdout)
            return CUT
        except MemoryError:
            return self.ended(1, "out of memory")
        except OSError as error:
            name = error.filename
            _silence(sys.stdout)
            place = "" if name is None else f"{os.fsdecode(name) if isinstance(name, bytes) else name}: "
            return self.ended(2, f"{place}{reason(error)}")
        return code

    def ended(self, code: int, message: str) -> int:
        """Say in one line why the command ends; the exit code."""
        with suppress(OSError):
            if not self.quiet and sys.stderr is not None:  # print() would take stdout in its place
                print(f"{self.name}: {InputError(message)}", file=sys.stderr)
        _silence(sys.stderr)
        return code


def _number(
    name: str, kind: Callable[[str], Number], fits: Callable[[Number], bool]
) -> Callable[[str], Number]:
    """A type for `add_argument`, which says "invalid NAME value" of what is none."""

    def read(text: str) -> Number:
        value = kind(text)
        if not fits(value):
            raise ValueError
        return value

    read.__name__ = name
    return read


COUNT = _number("number, at least 0,", int, lambda value: value >= 0)
POSITIVE_COUNT = _number("number, at least 1,", int, lambda value: value >= 1)
SEEDS = _number("number, 1 to 1000,", int, lambda value: 1 <= value <= 1000)
POSITIVE = _number("number above 0", float, lambda value: 0 < value < math.inf)
SHARE = _number("share, above 0 and at most 1,", float, lambda value: 0 < value <= 1)


def table_console() -> Console:
    """Where a command prints its tables: a file or a pipe has no edge to wrap at."""
    from rich.console import Console

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=PIPE)


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


class LastingOutput:
    """stdout for what goes on where nobody reads, or its disk is full; that is said once, on stderr."""

    def __init__(self, note: str) -> None:
        self._stream: Any = sys.stdout
        self._note = note
        self._lost = sys.stdout is None

    def write(self, text: str) -> int:
        """Write, where that can be done."""
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        """Flush, where that can be done."""
        self._try(lambda: self._stream.flush())  # noqa: PLW0108  there may be no stream

    def _try(self, act: Callable[[], Any]) -> None:
        if self._lost:
            return
        try:
            act()
        except (OSError, ValueError) as error:  # ValueError: closed
            self._lost = True
            _silence(sys.stdout)
            with suppress(OSError, ValueError):
                print(f"stdout: {reason(error)}; {self._note}", file=sys.stderr, flush=True)

    # what else rich asks of a stream: its encoding, whether it is a terminal
    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _silence(stream: TextIO | None) -> None:
    """Nothing more goes there: what is left in its buffer would fail again when the interpreter ends."""
    if stream is None:
        return
    try:
        stream.flush()
    except (OSError, ValueError):  # ValueError: closed
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
