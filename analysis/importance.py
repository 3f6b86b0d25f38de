"""`python -m analysis.importance STUDY...`: which choices matter for accuracy, which cannot be told apart.

Four answers, from the least assuming to the most: PED-ANOVA (Watanabe et al. 2023: what sets the best tenth
apart) and fANOVA (Hutter et al. 2014: variance of a random forest's main effects), both Optuna's; importance
by permutation on held-out networks (Breiman 2001); and main effects of a linear model, adjusted for all else
(`analysis.effects`).

* PED-ANOVA and fANOVA are positive for noise too. What counts is the part above a shuffled copy of the
  axis, scored beside it (as in Boruta: Kursa and Rudnicki 2010), with a delete-half jackknife by network.
* Permutation importance is the loss of R^2 on networks that the model has not seen; its interval over
  repeated folds has the variance of Nadeau and Bengio 2003. Axes that are tied are shuffled together.
* Where the model explains nothing of unseen networks, nothing is ranked.
* Effects have bootstrap intervals by network. Verdicts allow for the number of axes (Bonferroni); intervals
  are each axis's own, at `LEVEL`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.axes import SETS
from analysis.confounding import listed
from analysis.dependence import Curve
from analysis.effects import Effect
from analysis.findings import Findings, find, points
from analysis.held_out import PERMUTATION
from analysis.networkwise import LEVEL, MATTERS, TIED, Interval
from analysis.ranking import UNITS, Score
from analysis.study import read_studies
from space.command import Command
from space.errors import InputError
from space.files import write_text

# what the pages draw
__all__ = ["PERMUTATION", "UNITS", "Curve", "Findings", "Score", "find", "main"]


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
    args = parser().parse_args(argv)
    try:
        found = find(read_studies(args.studies), args.axes, args.budget)
        if args.csv is not None:
            write_text(args.csv, as_csv(found))
    except InputError as error:
        print(f"analysis.importance: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        print_findings(found)
    return 0


def print_findings(found: Findings) -> None:
    """Tables with verdicts in words; a pipe gets plain text, as wide as it needs to be."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    console.print(f"{', '.join(found.studies)}: {found.conditions}", markup=False, soft_wrap=True)
    for line in found.words:
        console.print(line, markup=False, soft_wrap=True)
    for table in _tables(found):
        console.print(table)
    for line in [*found.importance.confounding.text, *found.notes]:
        console.print(f"note: {escape(line)}", soft_wrap=True)


def _tables(found: Findings) -> Iterator[Any]:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    def table(title: str, *headings: str) -> Table:
        made = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for heading in headings:
            made.add_column(heading)
        return made

    for method, scores in found.importance.methods.items():
        it = table(f"{method}: {UNITS[method]}", "axis", f"importance ({LEVEL:.0%} interval)", "verdict")
        for score in scores:
            i = score.importance
            style = "bold" if score.verdict == MATTERS else ""
            text = f"{i.value:+.3f} ({i.low:+.3f} to {i.high:+.3f})"
            it.add_row(escape(score.label), text, score.verdict, style=style)
        yield it
    it = table("main effects: accuracy at equal values of the other axes, from the mean of all",
               "axis", "level", "networks", "mean", f"effect ({LEVEL:.0%} interval)", "verdict")  # fmt: skip
    for effect in found.effects:
        for k, one in enumerate(effect.levels):
            verdict = _verdict_text(effect) if k == 0 else ""
            name = escape(effect.axis) if k == 0 else ""
            mean = f"{one.mean:.1%}"
            it.add_row(name, escape(one.label), str(one.networks), mean, points(one.effect), verdict)
        it.add_section()
    yield it


def _verdict_text(effect: Effect) -> str:
    if effect.verdict == TIED:
        return f"{TIED} from {listed(effect.along)}"
    return f"{effect.verdict} (p = {effect.p:.2g})"


# ---- plain values ---------------------------------------------------------------------------------------

CSV_COLUMNS = ("kind", "axis", "level", "at", "networks", "mean", "value", "low", "high", "verdict")


def rows_of(found: Findings) -> list[tuple[str | float | int | None, ...]]:
    """Every number, long: kind, axis, level, at, networks, mean, value, low, high, verdict.

    Importances by method, effects by level and partial dependence by point; accuracies are fractions.
    """
    rows: list[tuple[str | float | int | None, ...]] = []
    for method, scores in found.importance.methods.items():
        rows += [(method, s.label, None, None, None, None, *_ends(s.importance), s.verdict) for s in scores]
    for effect in found.effects:
        for one in effect.levels:
            numbers = (one.at, one.networks, one.mean)
            rows.append(("main effect", effect.axis, one.label, *numbers, *_ends(one.effect), effect.verdict))
    for curve in found.curves:
        points = zip(curve.labels, curve.at, curve.value, curve.low, curve.high, strict=True)
        for label, at, *ends in points:
            rows.append(("partial dependence", curve.axis, label, at, None, None, *ends, None))
    for tie in found.importance.confounding.ties:
        verdict = f"{TIED}: {', '.join(tie.by)}" if tie.tied else None
        rows.append(
            ("explained by the others", tie.axis, None, None, None, None, tie.explained, None, None, verdict)
        )
    return rows


def as_csv(found: Findings) -> str:
    """`rows_of` as CSV text, with a header; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows_of(found):
        writer.writerow(["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in row])
    return out.getvalue()


def as_json(found: Findings) -> dict[str, Any]:
    """Plain values; the ends of an interval that are not known are None."""
    result = found.importance
    plain = {
        "studies": list(found.studies),
        "conditions": found.conditions,
        "networks": result.networks,
        "level": LEVEL,
        "r2": asdict(result.r2),
        "ranked": result.ranked,
        "words": found.words,
        "importance": {
            method: {"unit": UNITS[method], "scores": [asdict(score) for score in scores]}
            for method, scores in result.methods.items()
        },
        "effects": [asdict(effect) for effect in found.effects],
        "partial_dependence": [asdict(curve) for curve in found.curves],
        "confounding": asdict(result.confounding) | {"text": result.confounding.text},
        "notes": list(found.notes),
    }
    cleaned: dict[str, Any] = _finite(plain)
    return cleaned


def _ends(interval: Interval) -> tuple[float, float | None, float | None]:
    if math.isinf(interval.low):
        return interval.value, None, None
    return interval.value, interval.low, interval.high


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main())
