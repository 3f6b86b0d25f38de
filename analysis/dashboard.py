"""The page of one study or several: `python -m analysis.dashboard STUDY...`.

It is the page that a search writes at its end, one file that works offline. `--serve` shows it from a server
and follows a running study; `--figures` writes the figures and tables for a paper. `--results FILE...` shows
what others trained, alone or in a section of its own beside the studies.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from space.command import Command

if TYPE_CHECKING:
    from analysis.views.results import PlaneResults

PORT = 8050


def parser() -> Command:
    """The command line."""
    command = Command(
        prog="python -m analysis.dashboard",
        description="Show all that is known of one study or several on one page that works offline.",
    )
    command.add_argument(
        "studies", metavar="STUDY", nargs="*", help="runs/NAME by its name, or a study folder"
    )
    command.add_argument(
        "--results", nargs="*", type=Path, metavar="FILE",
        help="show what others trained: the published points of this package, and those of CSV files of your "
        "own or timm's (results-imagenet.csv with benchmark-infer-*.csv)",
    )  # fmt: skip
    command.add_argument(
        "--out", type=Path, metavar="FILE",
        help="where to (default: STUDY/report.html; of several studies ./report.html; of results alone "
        "./results.html)",
    )  # fmt: skip
    command.add_argument(
        "--figures", type=Path, metavar="DIR",
        help="also write every figure as SVG and PNG and every table as CSV (needs kaleido and Chrome)",
    )  # fmt: skip
    command.add_argument(
        "--serve", action="store_true",
        help="show the page from a server that follows running studies, until Ctrl-C (needs dash)",
    )  # fmt: skip
    command.add_argument(
        "--host", default="127.0.0.1", help="to serve from (default: %(default)s, this machine only)"
    )
    command.add_argument(
        "--port", type=_port, default=PORT, help="to serve from; 0 takes a free one (default: %(default)s)"
    )
    return command


def _port(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 16:
        raise ValueError
    return value


_port.__name__ = "port, a number from 0 to 65535,"  # argparse says "invalid port, ... value"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    if args.serve and (args.out or args.figures):
        command.error("--serve writes nothing: leave out --out and --figures")
    if args.serve and args.results is not None:
        command.error("--serve shows studies: --results is for a page that is written")
    if not args.studies and args.results is None:
        command.error("which study? Give names under runs/ or folders, or --results for what others trained")

    def act() -> None:
        if args.serve:
            from analysis.page.live import serve

            serve(args.studies, args.host, args.port)
            return
        for line in _write(args.studies, args.results, args.out, args.figures):
            print(line)

    return command.carry_out(act)


def _write(
    names: Sequence[str], files: Sequence[Path] | None, out: Path | None, figures: Path | None
) -> Iterator[str]:
    """Write what was asked for; a line each."""
    from analysis.page import results as alone
    from analysis.page.figures import export
    from analysis.page.page import FILE, page_of, write_page
    from nas.record.study import read_studies
    from space.words import plural

    studies = read_studies(names) if names else []
    results = None if files is None else _results(files)
    page = page_of(studies, results) if studies else None
    if figures is not None:  # first: they may fail for want of a browser
        views = [*(page.views if page else []), *([results.view] if results else [])]
        yield f"{figures}: {plural(len(export(views, figures)), 'file')}"
    if page is None:
        assert results is not None
        yield str(alone.write_results(results, out or Path(alone.FILE)))
        return
    if out is None:
        out = (Path() if len(studies) > 1 else studies[0].folder or Path()) / FILE
    yield str(write_page(page, out))


def _results(files: Sequence[Path]) -> PlaneResults:
    """The published points and those in the files; what was read of each is told on stderr."""
    from analysis.points.own import read_files
    from analysis.points.packaged import packaged_points
    from analysis.views.results import PlaneResults
    from space.errors import printable

    points, said = read_files(files)
    for line in said:
        print(f"analysis.dashboard: {printable(line)}", file=sys.stderr)
    return PlaneResults([*packaged_points(), *points], said)


if __name__ == "__main__":
    sys.exit(main())
