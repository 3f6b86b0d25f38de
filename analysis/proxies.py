"""`python -m analysis.proxies STUDY`: what training-free scores are worth among the networks a study trained.

Kendall's tau-b and Spearman's rho of score and trained accuracy, inside the budget band, with percentile
bootstrap intervals over networks. A score is offered as a pre-filter only where this table says so: at least
`ENOUGH` networks, the 90% interval of tau above `WORTHWHILE`, and above the better of FLOPs and parameters
(each in the direction that fits it best) on the same resamples.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from analysis.scores.measure import MeasuredBand, measure
from analysis.scores.rank import BASELINES, LEVEL, OFFERED, Relation, relations
from space.command import Command, table_console
from space.words import finite

if TYPE_CHECKING:
    from rich.table import Table


# ---- the command ----------------------------------------------------------------------------------------


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.proxies",
        description="Rank correlations of training-free scores with a study's accuracies inside its band.",
    )
    parse.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    parse.add_argument("--scores", metavar="A,B", help="these scores only (default: all)")
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    return command.carry_out(lambda: show(args))


def show(args: argparse.Namespace) -> None:
    """Print what was asked for. Raises `InputError`."""
    from nas.record.study import read_study

    names = None if args.scores is None else _names(args.scores)
    measured = measure(read_study(args.study), names)
    found = [(band, relations(band.scores, band.accuracies)) for band in measured]
    if args.json:
        bands = [as_json(*band) for band in found]
        print(json.dumps({"study": measured[0].study, "level": LEVEL, "bands": bands}, indent=2))
        return
    for band in found:
        print_table(*band)


def _names(text: str) -> list[str]:
    """The scores asked for, the baselines first: a gain needs them, and they cost nothing."""
    from analysis.scores.scores import find

    asked = [find(name.strip()).name for name in text.split(",")]
    return list(dict.fromkeys([*BASELINES, *asked]))


def as_json(measured: MeasuredBand, found: Sequence[Relation]) -> dict[str, Any]:
    """Everything behind one band's table as plain values; a number that is not finite is null."""
    networks = [
        {
            "fingerprint": measured.fingerprints[i],
            "accuracy": accuracy,
            "trainings": measured.trainings[i],
            "scores": {name: finite(values[i]) for name, values in measured.scores.items()},
        }
        for i, accuracy in enumerate(measured.accuracies)
    ]
    return {
        "band": measured.band,
        "warnings": measured.warnings,
        "relations": [asdict(relation) for relation in found],
        "networks": networks,
    }


def table(title: str, found: Sequence[Relation]) -> Table:
    """One row a score."""
    from rich import box
    from rich.table import Table

    it = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for heading in ("score", "networks", "Kendall tau", "Spearman rho", "tau above baseline", "verdict"):
        it.add_column(heading, no_wrap=heading != "verdict")
    for one in found:
        verdict = f"{one.verdict} ({one.reason})" if one.reason else one.verdict
        gain = "" if one.gain is None else str(one.gain)
        style = "bold" if one.verdict == OFFERED else ""
        it.add_row(one.score, str(one.networks), str(one.tau), str(one.rho), gain, verdict, style=style)
    return it


def print_table(measured: MeasuredBand, found: Sequence[Relation]) -> None:
    """The table, with notes; a pipe gets plain text, as wide as it needs to be."""
    from rich.markup import escape

    console = table_console()
    count = len(measured.accuracies)
    title = f"{measured.study}: {count} networks in the band of {measured.band}, {LEVEL:.0%} intervals"
    console.print(table(escape(title), found))
    for warning in measured.warnings:
        console.print(f"note: {warning}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
