"""`python -m nas.search --budget 4.5GFLOPs`: from a budget to a network, with the record and the picture.

Exit codes: 0 done, 1 no trial succeeded, 2 bad input, 130 interrupted (--resume goes on).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nas.plan.flags import add_search_flags
from space.command import Command, made_to_stay

if TYPE_CHECKING:
    from rich.console import Console

    from nas.api.results import Results
    from nas.record.record import Record


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m nas.search",
        description="Find the best network of a design space inside a cost budget, by short proxy trainings.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="""examples:
  python -m nas.search --budget 4.5GFLOPs
  python -m nas.search --budget 600MFLOPs --trials 30 --study small
  python -m nas.search --budget 30Mparams --proxy smoke --sampler random
  python -m nas.search --budget 1GFLOPs..9GFLOPs --scheduler asha --trials 100 --confirm 3x3
  python -m nas.search --budget 0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs --engine ray
  python -m nas.search --study small --resume --trials 60
  python -m nas.search --study-file study.yaml""",
    )
    add_search_flags(parse)
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    flags = vars(command.parse_args(argv))
    study_file = flags.pop("study_file")

    def act() -> int:
        from nas.plan.settings import read_settings

        settings = read_settings(flags, study_file)
        with made_to_stay():  # half a second of imports, not for a mistake in a flag
            from nas.driver.progress import lasting_console
            from nas.run import run
        return run(settings, lasting_console(), finish)

    return command.carry_out(act, lambda: "nothing was trained")


def finish(record: Record, console: Console, *, interrupted: bool) -> bool:
    """The page, the table, what to take, and where everything is; whether any trial succeeded."""
    from nas.api.results import Results
    from nas.record.study import study_of
    from nas.verdict.evidence import remarks
    from nas.verdict.ranking import print_ranking

    results = Results(study_of(record))
    study, found = results.study, results.recommendation
    results.page()
    for line in remarks(study):
        console.print(line, markup=False)
    if found.picks:
        print_ranking(found, console)
    for line in (*found.lines, *filter(None, [found.note, found.card])):
        console.print(line, markup=False, soft_wrap=True)
    folder = shlex.quote(study.place)
    where = "summary.json" if record.storage.shared else "study.db, summary.json"
    console.print(f"study   {folder}/ ({where})\nreport  {folder}/report.html", soft_wrap=True)
    if interrupted:
        console.print(f"resume  python -m nas.search --study {folder} --resume", soft_wrap=True)
        return bool(found.picks)
    console.print(f"next    {found.next}", markup=False, soft_wrap=True)
    if found.picks and found.next != found.export and not found.study.tabled:
        console.print(f"export  {found.export}", markup=False, soft_wrap=True)
    return bool(found.picks)


class _Search(ModuleType):
    """This module where it is called, so that `nas.search` is the command and the function at once.

    A module's class may be set: see "Customizing module attribute access" in Python's reference.
    """

    def __call__(self, *args: Any, **settings: Any) -> Results:
        """`nas.api.search`."""
        from nas.api import search

        return search(*args, **settings)


sys.modules[__name__].__class__ = _Search

if __name__ == "__main__":
    sys.exit(main())
