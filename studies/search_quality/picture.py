"""The table and the picture of the recorded figures in this folder.

    python -m studies.search_quality.picture

reads `*.json` (written by `tests.benchmarks.search_quality`), writes `table.md` and `regret.svg`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

Row = dict[str, Any]
FOLDER = Path(__file__).parent
# colours that differ in lightness as well (Okabe and Ito 2008)
COLOURS = {
    "script": "#000000",
    "random": "#999999",
    "tpe": "#0072b2",
    "gp": "#cc79a7",
    "evolution": "#e69f00",
    "surrogate": "#009e73",
}
WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 200, 50, 50, 40
LOWEST, HIGHEST = 0.5, 20.0  # percentage points of regret that the picture spans


def read(folder: Path) -> list[Row]:
    """All rows of the recorded files."""
    return [row for path in sorted(folder.glob("*.json")) for row in json.loads(path.read_text())["rows"]]


def table(rows: Sequence[Row]) -> str:
    """Median (quartiles) of regret in percentage points, by law, method and length of the run."""
    counts = sorted({n for row in rows for n in row["full trainings"]})
    lines = [
        "| law | method | seeds | trials | " + " | ".join(map(str, counts)) + " |",
        "|---|---|" + "---:|" * (2 + len(counts)),
    ]
    for row in sorted(rows, key=lambda r: (r["trials"], r["law"], list(COLOURS).index(r["method"]))):
        numbers = zip(row["full trainings"], row["median"], *row["quartiles"], strict=True)
        cells = {n: f"{100 * m:.1f} ({100 * low:.1f}-{100 * high:.1f})" for n, m, low, high in numbers}
        shown = " | ".join(cells.get(n, "") for n in counts)
        lines.append(f"| {row['law']} | {row['method']} | {row['seeds']} | {row['trials']} | {shown} |")
    return "\n".join(lines) + "\n"


def picture(rows: Sequence[Row]) -> str:
    """An SVG with a panel a law: median regret against epochs, both on logarithmic axes."""
    laws = list(dict.fromkeys(row["law"] for row in rows))
    last = max(row["epochs"][-1] for row in rows)
    first = min(row["epochs"][0] for row in rows)
    width, height = LEFT + len(laws) * (WIDTH + GAP), TOP + HEIGHT + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>'
    ]
    shown = {row["method"] for row in rows}
    for i, method in enumerate(m for m in COLOURS if m in shown):
        parts.append(f'<text x="{LEFT + 100 * i}" y="20" fill="{COLOURS[method]}">— {method}</text>')
    for i, law in enumerate(laws):
        parts += _panel(law, [r for r in rows if r["law"] == law], LEFT + i * (WIDTH + GAP), first, last)
    parts.append(
        f'<text x="{width / 2}" y="{height - 6}" text-anchor="middle">epochs trained; '
        "regret in percentage points, median over seeds</text></svg>"
    )
    return "\n".join(parts) + "\n"


def _panel(law: str, rows: Iterable[Row], x0: float, first: int, last: int) -> list[str]:
    def x(epochs: float) -> float:
        return x0 + WIDTH * math.log(epochs / first) / math.log(last / first)

    def y(points: float) -> float:
        inside = min(max(points, LOWEST), HIGHEST)
        return TOP + HEIGHT * math.log(HIGHEST / inside) / math.log(HIGHEST / LOWEST)

    parts = [
        f'<text x="{x0}" y="{TOP - 8}" font-weight="bold">{law}</text>',
        f'<rect x="{x0}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#ccc"/>',
    ]
    parts += [
        f'<text x="{x0 - 4}" y="{y(points) + 4:.1f}" text-anchor="end">{points:g}</text>'
        for points in (0.5, 1, 2, 5, 10, 20)
    ]
    parts += [
        f'<text x="{x(epochs):.1f}" y="{TOP + HEIGHT + 15}" text-anchor="middle">{epochs}</text>'
        for epochs in (90, 297, 900)
    ]
    for row in rows:
        line = " ".join(
            f"{x(e):.1f},{y(100 * m):.1f}" for e, m in zip(row["epochs"], row["median"], strict=True)
        )
        colour = COLOURS[row["method"]]
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
    return parts


def main() -> None:
    """Write both files."""
    rows = read(FOLDER)
    (FOLDER / "table.md").write_text(table(rows))
    # short runs start earlier with their model: one length of run a line
    (FOLDER / "regret.svg").write_text(picture([row for row in rows if row["trials"] > 10]))


if __name__ == "__main__":
    main()
