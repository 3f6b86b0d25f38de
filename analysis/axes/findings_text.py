"""Findings as tables for a terminal, as CSV and as plain values."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from analysis.axes.confounding import listed
from analysis.axes.effects import Effect
from analysis.axes.findings import Findings, points
from analysis.axes.networkwise import LEVEL, MATTERS, TIED, Interval
from analysis.axes.ranking import UNITS

# ---- tables ---------------------------------------------------------------------------------------------


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
