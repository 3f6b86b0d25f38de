"""One bad input, what came of it, and what is wrong with that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

COMMANDS = (
    "space.describe", "nas.search", "nas.measure", "nas.export", "nas.train", "nas.evaluate",
    "analysis.dashboard", "analysis.compare", "analysis.scale", "analysis.importance", "analysis.proxies",
    "analysis.agreement",
)  # fmt: skip
MOST_CHARACTERS = 1300  # of a line: 1,200 of the message, the command's name, a pointer to --help
MOST_MEMORY = 1536  # MiB over what the imports take
OTHERS = ("tmp/torchinductor_*",)  # folders that torch makes for itself, where it likes

Make = Callable[[Path, Path], None]
"""Makes a file or folder at a path; the second path is the stock of valid things."""


@dataclass(frozen=True)
class Case:
    """An input that must be refused: `files` are made in the working directory, by their names in it.

    `aim` is the flag, argument or file that is wrong. What is declared otherwise than by default, is right
    for this input: exit `code`, whether a line is `told` on stderr, whether anything may be `printed`, and
    names (in them * stands for any path) that may be left.
    """

    command: str
    kind: str
    aim: str
    name: str
    argv: tuple[str, ...]
    files: Mapping[str, str | bytes | Make] = field(default_factory=dict)
    env: Mapping[str, str | None] = field(default_factory=dict)
    code: int = 2
    told: bool | None = True  # None: whether or not, and in how many lines
    printed: bool = False
    leaves: tuple[str, ...] = ()
    secret: str = ""  # must not be shown
    streams: str = ""  # what a shell adds to the command line: redirections
    user: str = ""  # who runs it: of `runner.USERS`

    @property
    def fresh(self) -> bool:
        """Whether it needs an interpreter of its own from the start."""
        return bool(self.streams or self.user or {"LANG", "PYTHONIOENCODING"} & set(self.env))

    @property
    def line(self) -> str:
        """The input in a line."""
        return f"{self.command} | {self.kind} | {self.aim} | {self.name}"


@dataclass(frozen=True)
class Outcome:
    """What a command did: `memory` in MiB over the imports', `changed` what came, went or changed."""

    code: int | None  # None: it had to be killed
    out: str
    err: str
    seconds: float
    memory: float
    changed: tuple[str, ...]


def flaws(case: Case, found: Outcome) -> list[str]:
    """What is wrong with an outcome; empty for one that is right."""
    return [
        flaw
        for flaw in (
            _ended(case, found),
            _said(case, found),
            "prints to stdout" if found.out and not case.printed else "",
            "shows a secret" if case.secret and case.secret in found.out + found.err else "",
            f"takes {found.memory:.0f} MiB" if found.memory > MOST_MEMORY else "",
            _left(case, found),
        )
        if flaw
    ]


def _ended(case: Case, found: Outcome) -> str:
    if found.code is None:
        return f"does not end within {found.seconds:.0f} s"
    return "" if found.code == case.code else f"exit code {found.code}, not {case.code}"


def _said(case: Case, found: Outcome) -> str:
    lines = found.err.splitlines()
    if "Traceback" in found.err:
        return f"traceback ({_place(lines)})"
    if case.told is None:
        return ""
    if not case.told:
        return "says something on stderr" if lines else ""
    if found.code is None:
        return ""
    return _line(case, lines[0]) if len(lines) == 1 else f"{len(lines)} lines on stderr"


def _place(lines: Sequence[str]) -> str:
    """Where a traceback ends in this project's own code, and its last line."""
    places = re.findall(r'File ".*?/((?:space|nas|analysis)/[^"]*)", line (\d+)', "\n".join(lines))
    where = ":".join(places[-1]) if places else "nowhere here"
    return f"{where}: {lines[-1][:160]}"


def _line(case: Case, line: str) -> str:
    if not line.startswith(f"{case.command}: "):
        return "the line does not start with the command's name"
    if len(line) > MOST_CHARACTERS:
        return f"a line of {len(line)} characters"
    return "" if line.isprintable() else "the line is not printable"


def _left(case: Case, found: Outcome) -> str:
    may = (*case.leaves, *OTHERS)
    left = [name for name in found.changed if not any(fnmatch(name[1:], glob) for glob in may)]
    more = f" and {len(left) - 3} more" if len(left) > 3 else ""
    return f"leaves {', '.join(left[:3])}{more}" if left else ""
