"""Gives every command input that must be refused, and checks how it refuses: the campaign of bad input.

    python -m tests.bad_input [--only PATTERN ...] [--jobs N] [--json PATH]

Each input is run as a user runs the command, in a folder, a home and a cache of its own, within bounds of
time and memory. Right is exit code 2, one printable line on stderr that starts with the command's name,
nothing on stdout, and nothing left behind. Commands run in forks of a process that has the imports done; a
sample of them again in processes of their own, which must end the same. Exit code 1 if any input failed.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bad_input import stock as stocks
from tests.bad_input.case import COMMANDS, Case, Outcome, flaws
from tests.bad_input.cases import all_cases
from tests.bad_input.runner import SECONDS, USERS, Server, can_play, run_all, run_case, servers

CONTROL = 60  # every so many inputs one is run again in a process of its own
SHOWN = 4000  # characters of stderr that are kept


@dataclass(frozen=True)
class Tried:
    """An input, what came of it, and what is wrong with that."""

    case: Case
    outcome: Outcome
    flaws: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; output cut short."""
        case, outcome = self.case, asdict(self.outcome)
        for stream in ("out", "err"):
            outcome[stream] = (
                outcome[stream][:SHOWN] + ("…" + outcome[stream][-SHOWN:])[: len(outcome[stream][SHOWN:])]
            )
        return {
            "command": case.command, "kind": case.kind, "aim": case.aim, "name": case.name,
            "argv": [word[:200] for word in case.argv], "files": [*case.files], "flaws": self.flaws,
                **outcome,
        }  # fmt: skip


def selected(patterns: Sequence[str]) -> list[Case]:
    """The cases whose line holds one of the patterns, with * and ? as in a shell; all for none."""
    wanted = [f"*{pattern.lower()}*" for pattern in patterns or ("",)]
    return [case for case in all_cases() if any(fnmatch.fnmatch(case.line.lower(), one) for one in wanted)]


def try_all(
    cases: Sequence[Case], jobs: Sequence[Server], folder: Path, seconds: float, console: Console
) -> list[Tried]:
    """All cases, and the sample again."""
    found: list[Tried] = []
    stock = stocks.make(folder, jobs[0])

    def done(case: Case, outcome: Outcome) -> None:
        tried = Tried(case, outcome, tuple(flaws(case, outcome)))
        found.append(tried)
        if tried.flaws:
            console.print(
                f"{case.line}: {'; '.join(tried.flaws)}", markup=False, soft_wrap=True, highlight=False
            )

    run_all(cases, stock, jobs, done, seconds)
    order = {id(case): i for i, case in enumerate(cases)}
    found.sort(key=lambda tried: order[id(tried.case)])
    return found + _controls(found, stock, seconds)


def _controls(found: Sequence[Tried], stock: Path, seconds: float) -> list[Tried]:
    """A sample run again by itself: what is wrong is what differs from the fork."""
    again = []
    for tried in [t for t in found if not t.case.fresh and t.outcome.code is not None][::CONTROL]:
        alone = run_case(tried.case, stock, None, seconds)
        differs = (alone.code, alone.err) != (tried.outcome.code, tried.outcome.err)
        flaw = ("ends in another way in a process of its own",) if differs and not tried.flaws else ()
        case = Case(tried.case.command, "controls", tried.case.aim, tried.case.name, tried.case.argv)
        again.append(Tried(case, alone, flaw))
    return again


def report(found: Sequence[Tried]) -> Table:
    """By command and kind: tried, passed, failed."""
    kinds = list(dict.fromkeys(tried.case.kind for tried in found))
    table = Table(title="bad input: tried, and what failed of it")
    table.add_column("command")
    for kind in (*kinds, "tried", "passed", "failed"):
        table.add_column(kind, justify="right")
    for command in (*COMMANDS, "all"):
        own = [tried for tried in found if command in ("all", tried.case.command)]
        cells = [_cell([tried for tried in own if tried.case.kind == kind]) for kind in kinds]
        failed = sum(bool(tried.flaws) for tried in own)
        table.add_row(command, *cells, str(len(own)), str(len(own) - failed), str(failed))
    return table


def _cell(found: Sequence[Tried]) -> str:
    failed = sum(bool(tried.flaws) for tried in found)
    return f"{len(found)} ([red]{failed}[/red])" if failed else str(len(found) or "")


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parse = argparse.ArgumentParser(description="Give every command bad input, and check how it refuses it.")
    parse.add_argument(
        "--only",
        nargs="+",
        default=(),
        metavar="PATTERN",
        help="inputs whose line (command | kind | aim | name) holds this",
    )
    parse.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N", help="commands at once")
    parse.add_argument("--seconds", type=float, default=SECONDS, metavar="S", help="that a command may take")
    parse.add_argument("--json", type=Path, metavar="PATH", help="write all there")
    parse.add_argument("--list", action="store_true", help="print the inputs, run none")
    options = parse.parse_args(argv)
    console = Console(width=None if sys.stdout.isatty() else 220)
    cases = selected(options.only)
    if options.list:
        print("\n".join(case.line for case in cases).encode("ascii", "backslashreplace").decode())
        return 0
    unplayed = {user for user in USERS if not can_play(user)}
    if unplayed:
        console.print(f"note: cannot play users: {', '.join(sorted(unplayed))}")
        cases = [case for case in cases if case.user not in unplayed]
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="bad-input-stock-") as folder,
        servers(max(1, options.jobs)) as jobs,
    ):
        found = try_all(cases, jobs, Path(folder), options.seconds, console)
    console.print(report(found))
    slowest = sorted(found, key=lambda tried: -tried.outcome.seconds)[:5]
    for tried in slowest:
        console.print(
            f"slow: {tried.outcome.seconds:.1f} s  {tried.case.line}",
            markup=False,
            soft_wrap=True,
            highlight=False,
        )
    failed = sum(bool(tried.flaws) for tried in found)
    seconds = time.monotonic() - began
    console.print(f"{len(found)} runs, {failed} failed, {seconds / 60:.1f} min", highlight=False)
    if options.json is not None:
        whole = {"seconds": seconds, "failed": failed, "tried": [tried.to_dict() for tried in found]}
        options.json.write_text(json.dumps(whole, indent=1) + "\n")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
