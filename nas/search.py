"""`python -m nas.search --budget 4.5GFLOPs`: from a budget to a network, with the record and the picture.

Exit codes: 0 done, 1 no trial succeeded, 2 bad input, 130 interrupted (--resume goes on).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nas.plan.flags import add_search_flags
from space.command import Command, made_to_stay

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from nas.record.record import Record
    from nas.record.trial import Trial


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


def finish(record: Record, console: Console, confirm: tuple[int, int], *, interrupted: bool) -> bool:
    """The report, the table of the front, and where everything is; whether any trial succeeded."""
    from analysis.report import write_report
    from nas.verdict.confirm import confirmed

    study, trials = record.mapping(), record.trials()
    verdicts = confirmed(trials)
    record.write_summary(confirmed=[verdict.to_dict() for verdict in verdicts])
    write_report(study, record.folder / "report.html")
    for warning in study["warnings"]:
        console.print(f"note: {warning}", markup=False)
    for trial in trials:
        if trial.state == "failed":
            console.print(f"trial {trial.number} failed: {trial.reason}", markup=False)
    table = front_table(study, trials)
    if table is not None:
        console.print(table)
    for verdict in verdicts:
        console.print(verdict.text, markup=False, soft_wrap=True)
    if not verdicts and confirm == (0, 0) and study["best"] is not None:
        console.print("note: one training each; --resume --confirm 3x3 tells luck from merit", markup=False)
    folder = shlex.quote(str(record.folder))
    where = "summary.json" if record.storage.shared else "study.db, summary.json"
    console.print(f"study   {folder}/ ({where})\nreport  {folder}/report.html", soft_wrap=True)
    if study["best"] is not None:
        console.print(f"look    python -m analysis.dashboard {folder}", soft_wrap=True)
        console.print(f"export  python -m nas.export {folder}", soft_wrap=True)
    if interrupted:
        console.print(f"resume  python -m nas.search --study {folder} --resume", soft_wrap=True)
    return study["best"] is not None


def front_table(study: Mapping[str, Any], trials: Sequence[Trial]) -> Table | None:
    """The networks no other beats in both cost and accuracy, and the reference."""
    import numpy as np
    from rich.markup import escape
    from rich.table import Table

    from nas.driver.progress import TABLE_HEADINGS, trial_row
    from nas.verdict.front import front

    done = [t for t in trials if t.full_accuracy is not None and not t.is_confirmation]
    if not done:
        return None
    metric = study["budget"]["metric"]
    convnets = np.array([i for i, t in enumerate(done) if not t.is_swin], dtype=np.intp)
    on_front = front([getattr(done[i], metric) for i in convnets], [done[i].reached or 0.0 for i in convnets])
    shown = set(convnets[on_front].tolist()) | {i for i, t in enumerate(done) if t.is_reference}
    proxy = study["proxy"]
    under = f"front under the {proxy['name']} proxy ({proxy['data']}, {proxy['epochs']} epochs)"
    table = Table(title=escape(under))
    for heading in TABLE_HEADINGS:
        table.add_column(heading, justify="left" if heading == "network" else "right", overflow="fold")
    for i in sorted(shown, key=lambda i: int(getattr(done[i], metric))):
        best = done[i].number == study["best"]
        table.add_row(*map(escape, trial_row(done[i])), style="bold" if best else "")
    return table


if __name__ == "__main__":
    sys.exit(main())
