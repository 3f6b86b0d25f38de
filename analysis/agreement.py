"""How far the order of a study's networks is another one's: ImageNet's as published, or another study's.

python -m analysis.agreement STUDY          with ImageNet's, of networks that were published
python -m analysis.agreement STUDY STUDY    of two studies: proxy and long training, one data set and another
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from space.command import Command, table_console
from space.errors import printable

if TYPE_CHECKING:
    from argparse import Namespace

    from rich.table import Table

    from analysis.order.answer import OrderAnswer
    from analysis.scores.rank import RankInterval

MOST_STUDIES = 2


def parser() -> Command:
    """The flags."""
    command = Command(
        prog="python -m analysis.agreement",
        description="How far does the order of a study's networks agree with ImageNet's as published, "
        "or with that of another study?",
    )
    add = command.add_argument
    add("studies", nargs="+", metavar="STUDY", help="one or two: runs/NAME by its name, or a study folder")
    add("--json", action="store_true", help="print everything as JSON in place of the table")
    add("--csv", metavar="FILE", type=Path, help="write the table there as well")
    add(
        "--card",
        metavar="FILE",
        type=Path,
        help="write the card of the study's proxy there, as presets have; to a card of the same proxy and "
        "images over other networks the tau is added",
    )
    add("--plot", metavar="FILE", type=Path, help="draw one order against the other, as .svg or .html")
    return command


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    if len(args.studies) > MOST_STUDIES:
        command.error(f"one study or two, not {len(args.studies)}")
    if args.card is not None and len(args.studies) > 1:
        command.error("--card is of one study, by its agreement with the published accuracies")
    return command.carry_out(lambda: show(args))


def show(args: Namespace) -> None:
    """Print and write what was asked for. Raises `InputError`."""
    from analysis.order.answer import COLUMNS, answer, as_json, more_sentences, rows, sentence
    from analysis.order.card import card_text
    from analysis.order.picture import draw, writer_of
    from nas.record.study import read_studies
    from space.files import csv_of, write_text
    from space.reading import read_text

    if args.plot is not None:
        writer_of(args.plot)  # a wrong name is told before anything is worked out
    studies = read_studies(args.studies)
    found = answer(studies)
    if args.card is not None:
        held = read_text(args.card, "card") if args.card.is_file() else None
        write_text(args.card, card_text(studies[0], found, held))
    if args.csv is not None:
        write_text(args.csv, csv_of(COLUMNS, rows(found)))
    if args.plot is not None:
        draw(found, args.plot)
    if args.json:
        print(json.dumps(as_json(found), indent=2))
        return
    print_table(found)
    for line in (sentence(found), *more_sentences(found)):
        print(printable(line))


def table(found: OrderAnswer) -> Table:
    """A row a group."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from analysis.order.agreement import TOP
    from analysis.scores.rank import LEVEL

    title = f"{found.common.sides[0]} against {found.common.sides[1]}, {LEVEL:.0%} intervals"
    it = Table(title=Text(printable(title)), title_justify="left", box=box.SIMPLE, pad_edge=False)
    regrets = [f"regret of top {k}" for k in TOP]
    columns = ("over", "n", "Kendall tau", "seeds drawn too", "Spearman rho", "tau at equal FLOPs", *regrets)
    for column in columns:
        it.add_column(column)
    for one in found.agreements:
        seeds = "" if one.tau_seeds is None else f"[{one.tau_seeds.low:+.2f}, {one.tau_seeds.high:+.2f}]"
        cells = (
            one.group,
            str(one.networks),
            str(one.tau),
            seeds,
            str(one.rho),
            f"{one.near} ({one.pairs} pairs)",
        )
        it.add_row(*map(Text, (*cells, *(_points(one.regret.get(k)) for k in TOP))))
    return it


def _points(regret: RankInterval | None) -> str:
    """In points of the second side's accuracy."""
    if regret is None or regret.value is None or regret.low is None or regret.high is None:
        return "-"
    return f"{100 * regret.value:.1f} [{100 * regret.low:.1f}, {100 * regret.high:.1f}]"


def print_table(found: OrderAnswer) -> None:
    """The table; a pipe gets plain text, as wide as it needs to be."""
    table_console().print(table(found))


if __name__ == "__main__":
    sys.exit(main())
