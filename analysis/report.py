"""One study as one HTML page that works offline: the question, the answer, and everything behind it.

`python -m analysis.report STUDY` writes it again from a study's record.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from space.command import Command

if TYPE_CHECKING:
    from nas.record.study import Study


def write_report(study: Study, path: str | Path, *, folder: str | Path | None = None) -> Path:
    """Write `study` as one self-contained HTML page to `path` (about 1.5 MB, plotly.js included).

    Accuracies are fractions of 1, costs are counts at 224x224,
    times are seconds. `folder` is the run folder in the export command, by default the folder of `path`.
    The page is written beside `path` and renamed, so a reader never sees half of it. Raises `InputError`.
    """
    from analysis.page.report.page import render
    from nas.verdict.pick import recommend
    from space.files import write_text

    path = Path(path)
    best = recommend(study).most_accurate
    reference = next((t.number for t in study.trials if t.is_reference and t.state == "complete"), None)
    values = {"best": best and best.tried.trial, "reference": reference, **study.to_dict()}
    return write_text(path, render(values, str(path.parent if folder is None else folder)))


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = Command(prog="python -m analysis.report", description="Write a study's report from its record.")
    command.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    command.add_argument("--out", type=Path, metavar="FILE", help="where to (default: STUDY/report.html)")
    args = command.parse_args(argv)

    def act() -> None:
        from nas.record.study import read_study

        study = read_study(args.study)
        folder = study.folder or Path()
        print(write_report(study, args.out or folder / "report.html", folder=folder))

    return command.carry_out(act)


if __name__ == "__main__":
    sys.exit(main())
