"""The command that compares families of networks at equal FLOPs, and says how many FLOPs are saved.

python -m analysis.compare STUDY...        is what a search found better than the reference families?
python -m analysis.compare DIR [DIR...]    is a network that nas.train trained better than its controls?
python -m analysis.compare --published     ConvNeXt and Swin at equal FLOPs, as published
python -m analysis.compare --results FILE...    two families in files of your own, or timm's
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.command import POSITIVE, Command, table_console
from space.errors import InputError, printable

if TYPE_CHECKING:
    from argparse import Namespace

    from analysis.comparison.answer import Answer, Match
    from analysis.comparison.published import Published
    from analysis.points.printed import PublishedPoint

PUBLISHED_FLAGS = (
    "family", "source", "recipe", "against", "against_source", "against_recipe", "pretrain", "resolution",
    "test_set", "noise",
)  # fmt: skip


def parser() -> Command:
    """The flags."""
    command = Command(
        prog="python -m analysis.compare",
        description="Are the networks that a search found "
        "better than ConvNeXt, Swin and ResNet at equal FLOPs, and how many FLOPs do they save?",
    )
    add = command.add_argument
    add(
        "studies",
        nargs="*",
        metavar="STUDY",
        help="names under runs/ or folders, all of one proxy and data set; or folders of nas.train: the "
        "first one's network is compared with its controls and with what is in the others",
    )
    add("--json", action="store_true", help="print everything as JSON in place of the tables")
    add("--csv", metavar="FILE", type=Path, help="write the differences there as well")
    add("--html", metavar="FILE", type=Path, help="of trainings: write a page with pictures there as well")
    _add_published_flags(command)
    return command


def _add_published_flags(command: Command) -> None:
    """Those of comparisons of what was published."""
    add = command.add_argument_group("the published plane, in place of studies").add_argument
    add("--published", action="store_true", help="compare two published families at equal FLOPs")
    add("--family", metavar="NAME", help="the first family (default: convnext)")
    add(
        "--source",
        metavar="NAME",
        help="its source (default: that of --results if they have the family, else ConvNeXt paper Table 1, "
        "or the only one)",
    )
    add("--recipe", metavar="NAME", help="its recipe, of timm the tag (default: that of most networks)")
    add("--against", metavar="NAME", help="the second family (default: swin)")
    add("--against-source", metavar="NAME", help="its source (default: the first family's)")
    add("--against-recipe", metavar="NAME", help="its recipe (default: that of most of its networks)")
    add("--pretrain", metavar="NAME", help="pre-training set of both (default: imagenet-1k)")
    add("--resolution", type=int, metavar="N", help="of both, in pixels (default: 224)")
    add("--test-set", metavar="NAME", help="images and labels of both, where a source has several")
    add(
        "--noise",
        type=POSITIVE,
        metavar="S",
        help="standard deviation of one training in points: none assumed "
        "without it, so no verdict on single runs",
    )
    add(
        "--results",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="in place of --published, CSV files of your own (name, family, "
        "resolution, pretrain, accuracy or top1, gflops), or timm's: results-imagenet.csv and "
        "benchmark-infer-*.csv",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    given = {name: getattr(args, name) for name in PUBLISHED_FLAGS if getattr(args, name) is not None}
    args.published = args.published or bool(args.results)
    if complaint := _complaint(args, list(given)):
        command.error(complaint)

    def act() -> None:
        if args.published:
            from analysis.comparison.published import published

            _show_published(published(results=_own(args.results or ()), **given), args)
            return
        from analysis.comparison.trained import is_trained

        if any(map(is_trained, args.studies)):
            _show_trained(args)
            return
        if args.html is not None:
            raise InputError("--html: is for trainings; of studies analysis.dashboard writes a page")
        from analysis.comparison.answer import answer
        from nas.record.study import read_studies

        _show_answer(answer(read_studies(args.studies)), args)

    return command.carry_out(act)


def _complaint(args: Namespace, given: Sequence[str]) -> str:
    """What does not go together; `given` are the flags of the published plane."""
    if args.published and args.html:
        return "--html is for folders of nas.train"
    if args.published and args.studies:
        flag = "--results" if args.results else "--published"
        return f"{flag} takes no study: the two planes are never compared"
    if not args.published and given:
        return f"--{given[0].replace('_', '-')} belongs to --published or --results"
    if not args.published and not args.studies:
        return "which study? Give names under runs/ or folders, --published, or --results FILE..."
    return ""


def _own(paths: Sequence[Path]) -> Sequence[PublishedPoint]:
    """The results in the files; what was read of each is told on stderr."""
    from analysis.points.own import read_files

    points, said = read_files(paths)
    for line in said:
        print(f"analysis.compare: {printable(line)}", file=sys.stderr)
    return points


def _show_answer(found: Answer, args: Namespace) -> None:
    from analysis.comparison.claims import COLUMNS, as_json, rows, sentences

    if args.csv:
        _write_csv(args.csv, COLUMNS, rows(found))
    if args.json:
        print(json.dumps(as_json(found), indent=2))
        return
    columns = ("budget", "reference", "GFLOPs", "accuracy", "searched", "GFLOPs", "accuracy", "points",
               f"{found.level:.0%} interval", "verdict")  # fmt: skip
    several = len(found.studies) > 1
    cells = [
        (*((match.study,) if several else ()), *_cells(match)) for f in found.families for match in f.matches
    ]
    _print_table(
        f"{', '.join(found.studies)}: searched less reference ({found.conditions})",
        (*(("study",) if several else ()), *columns),
        cells,
    )
    _print_lines(sentences(found))


def _cells(match: Match) -> tuple[str, ...]:
    accuracies = [f"{100 * value:.1f}%" for value in (match.reference_accuracy, match.searched_accuracy)]
    costs = [f"{tried.macs / 1e9:.3g}" for tried in (match.reference, match.searched)]
    difference = match.difference
    known = math.isfinite(difference.low)
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}" if known else "one seed"
    return (
        match.budget or "", match.reference.label, costs[0], accuracies[0], match.searched.label, costs[1],
        accuracies[1], f"{100 * difference.value:+.1f}", ends, match.verdict or "no interval",
    )  # fmt: skip


def _show_trained(args: Namespace) -> None:
    """Folders of nas.train."""
    from analysis.comparison.trained import read_folders
    from analysis.comparison.trained_claims import COLUMNS, as_json, compared, conditions, rows, sentences

    found = compared(read_folders(args.studies))
    if args.csv:
        _write_csv(args.csv, COLUMNS, rows(found))
    if args.html:
        from analysis.comparison.trained_page import write_comparison

        write_comparison(found, args.html)
    if args.json:
        print(json.dumps(as_json(found), indent=2))
        return
    from analysis.comparison.trained_tables import class_table, mix_up_lines, network_table

    _print_table(conditions(found), *network_table(found))
    _print_lines(sentences(found))
    title, columns, cells = class_table(found)
    if cells:
        _print_table(title, columns, cells)
    _print_lines(mix_up_lines(found))
    if args.html:
        print(f"page: {args.html}")


def _show_published(found: Published, args: Namespace) -> None:
    from analysis.comparison.published import published_json, published_rows, published_sentences

    plain = published_rows(found)
    if args.csv:
        _write_csv(args.csv, list(plain[0]), plain)
    if args.json:
        print(json.dumps(published_json(found), indent=2))
        return
    cells = []
    for name, gflops, other, other_gflops, difference in found.pairs:
        known = math.isfinite(difference.low)
        ends = f"{difference.low:+.1f} to {difference.high:+.1f}" if known else "one run"
        word = difference.verdict if known else "no interval"
        cells.append(
            (name, f"{gflops:.3g}", other, f"{other_gflops:.3g}", f"{difference.value:+.1f}", ends, word)
        )
    (family, _), (against, _) = found.sides
    columns = (family, "GFLOPs", against, "GFLOPs", "points", f"{found.level:.0%} interval", "verdict")
    _print_table(f"published top-1, {family} less {against} ({found.conditions})", columns, cells)
    _print_lines(published_sentences(found))


def _print_table(title: str, columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(printable(title)), title_justify="left")
    numbers = ("GFLOPs", "accuracy", "points", "seeds", "images", "M params", "GB")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in cells:
        table.add_row(*(Text(printable(cell)) for cell in row))  # Text: a bracket in a name is no markup
    table_console().print(table)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(printable(line))


def _write_csv(path: Path, columns: Sequence[str], values: Iterable[Mapping[str, Any]]) -> None:
    from space.files import csv_of, write_text

    write_text(path, csv_of(columns, values))


if __name__ == "__main__":
    sys.exit(main())
