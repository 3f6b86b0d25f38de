"""Findings as tables for a terminal, as CSV and as plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from analysis.axes.effects import Effect
from analysis.axes.findings import Findings, points
from analysis.axes.networkwise import LEVEL, MATTERS, TIED, Interval
from analysis.axes.ranking import UNITS
from space.command import table_console
from space.files import csv_of
from space.words import listed

# ---- tables ---------------------------------------------------------------------------------------------


def print_findings(found: Findings) -> None:
    """Tables with verdicts in words; a pipe gets plain text, as wide as it needs to be."""
    from rich.markup import escape

    console = table_console()
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


def as_csv(found: Findings) -> str:
    """Every number, long, as CSV text: importances by method, effects by level, curves by point.

    Accuracies are fractions; what is not known is empty.
    """
    return csv_of(CSV_COLUMNS, ({key: _cell(value) for key, value in row.items()} for row in _rows(found)))


def _rows(found: Findings) -> Iterator[dict[str, Any]]:
    for method, scores in found.importance.methods.items():
        for score in scores:
            yield {
                "kind": method, "axis": score.label, **_ends(score.importance), "verdict": score.verdict,
            }  # fmt: skip
    for effect in found.effects:
        for level in effect.levels:
            yield {
                "kind": "main effect", "axis": effect.axis, "level": level.label, "at": level.at,
                "networks": level.networks, "mean": level.mean, **_ends(level.effect),
                "verdict": effect.verdict,
            }  # fmt: skip
    for curve in found.curves:
        names = ("level", "at", "value", "low", "high")
        for row in zip(curve.labels, curve.at, curve.value, curve.low, curve.high, strict=True):
            yield {"kind": "partial dependence", "axis": curve.axis, **dict(zip(names, row, strict=True))}
    for tie in found.importance.confounding.ties:
        verdict = f"{TIED}: {', '.join(tie.by)}" if tie.tied else None
        yield {
            "kind": "explained by the others", "axis": tie.axis, "value": tie.explained, "verdict": verdict,
        }  # fmt: skip


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else value


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


def _ends(interval: Interval) -> dict[str, float]:
    ends = {} if math.isinf(interval.low) else {"low": interval.low, "high": interval.high}
    return {"value": interval.value, **ends}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
