"""`python -m analysis.importance STUDY...`: which choices matter for accuracy, which cannot be told apart.

Four answers, from the least assuming to the most: PED-ANOVA (Watanabe et al. 2023: what sets the best tenth
apart) and fANOVA (Hutter et al. 2014: variance of a random forest's main effects), both Optuna's; importance
by permutation on held-out networks (Breiman 2001); and main effects of a linear model, adjusted for all else
(`analysis.axes.effects`).

* PED-ANOVA and fANOVA are positive for noise too. What counts is the part above a shuffled copy of the
  axis, scored beside it (as in Boruta: Kursa and Rudnicki 2010), with a delete-half jackknife by network.
* Permutation importance is the loss of R^2 on networks that the model has not seen; its interval over
  repeated folds has the variance of Nadeau and Bengio 2003. Axes that are tied are shuffled together.
* Where the model explains nothing of unseen networks, nothing is ranked.
* Effects have bootstrap intervals by network. Verdicts allow for the number of axes (Bonferroni); intervals
  are each axis's own, at `LEVEL`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from analysis.axes.axis_sets import SETS
from space.command import Command


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.importance",
        description="Which choices of a study's networks matter for accuracy, with intervals.",
    )
    parse.add_argument("studies", metavar="STUDY", nargs="+", help="runs/NAME by its name, or a study folder")
    parse.add_argument(
        "--axes",
        choices=SETS,
        default="summary",
        help="one number a dimension (the default), stage by stage, the sampler's parameters, or all",
    )
    parse.add_argument("--budget", metavar="TEXT", help="the networks of this budget of a sweep only")
    parse.add_argument("--csv", metavar="FILE", type=Path, help="write every number to a CSV file")
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    return command.carry_out(lambda: show(args))


def show(args: argparse.Namespace) -> None:
    """Print, and write, what was asked for. Raises `InputError`."""
    from analysis.axes.findings import find
    from analysis.axes.findings_text import as_csv, as_json, print_findings
    from nas.record.study import read_studies
    from space.files import write_text

    found = find(read_studies(args.studies), args.axes, args.budget)
    if args.csv is not None:
        write_text(args.csv, as_csv(found))
    if args.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        print_findings(found)


if __name__ == "__main__":
    sys.exit(main())
