"""The tables and the picture of the recorded figures in this folder.

    python -m studies.search_quality.picture [--add FILE ...]

reads `*.json` (written by `tests.benchmarks.search_quality`), writes `table.md` and `regret.svg`. `--add`
first puts the rows of further files into `script.json` or `worthN_of_E_epochs.json`: further searches, and
further seeds of those that are there.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from space.files import write_text

Row = dict[str, Any]
FOLDER = Path(__file__).parent
# colours that differ in lightness as well (Okabe and Ito 2008)
COLOURS = {
    "script": "#000000",
    "random": "#999999",
    "tpe": "#0072b2",
    "gp": "#cc79a7",
    "nsga2": "#56b4e9",
    "evolution": "#e69f00",
    "surrogate": "#009e73",
}
DASHES = {"none": "", "asha": "6 3", "hyperband": "2 2", "halving": "8 2 2 2"}
# what tells one search from another
SEARCH = ("law", "method", "scheduler", "epochs", "eta", "min_epochs", "trials")
DEFAULT = ("surrogate", "none")
THIRD = 33  # full trainings, where the script has 100
RESAMPLES = 10_000
ENOUGH = 4  # seeds
WIDTH, HEIGHT, LEFT, TOP, GAP = 250, 200, 50, 50, 40
LOWEST, HIGHEST = 0.5, 20.0  # percentage points of regret that the picture spans


def read(folder: Path) -> list[Row]:
    """All rows of the recorded files, those of one search with more seeds as one."""
    return merged(row for path in sorted(folder.glob("*.json")) for row in _rows(path))


def _rows(path: Path) -> list[Row]:
    return [_current(row) for row in json.loads(path.read_text())["rows"]]


def _current(row: Row) -> Row:
    """A row of the first form of the benchmark, which knew no schedulers, as one of today."""
    if "scheduler" in row:
        return row
    full = row["epochs"][0] // row["full trainings"][0]
    search = {"scheduler": "none", "epochs": full, "eta": 3, "min_epochs": None, "networks": None}
    regret = {"regret": [row["median"]]} if row["seeds"] == 1 else {}
    return row | search | {"epochs trained": row["epochs"]} | regret


def merged(rows: Iterable[Row]) -> list[Row]:
    """One row a search; rows without the regret of each seed stay as they are."""
    found: dict[str, dict[int, list[float]]] = {}
    last: dict[str, Row] = {}
    apart = []
    for row in rows:
        if "regret" not in row:
            apart.append(row)
            continue
        key = json.dumps([row[name] for name in SEARCH])
        numbers = row.get("seed numbers") or range(row["first seed"], row["first seed"] + row["seeds"])
        found.setdefault(key, {}).update(zip(numbers, row["regret"], strict=True))
        last[key] = row
    return [_row(last[key], regrets) for key, regrets in found.items()] + apart


def _row(row: Row, regrets: dict[int, list[float]]) -> Row:
    seeds = sorted(regrets)
    low, median, high = np.quantile([regrets[seed] for seed in seeds], (0.25, 0.5, 0.75), axis=0)
    return row | {
        "seeds": len(seeds),
        "first seed": seeds[0],
        "seed numbers": seeds,
        "median": median.round(6).tolist(),
        "quartiles": [low.round(6).tolist(), high.round(6).tolist()],
        "regret": [regrets[seed] for seed in seeds],
    }


def add(paths: Sequence[Path], folder: Path) -> None:
    """Put the rows of more files into the recorded ones."""
    files: dict[str, list[Row]] = {}
    for row in (row for path in paths for row in _rows(path)):
        worth = f"worth{row['trials']}_of_{row['epochs']}_epochs"
        files.setdefault("script" if row["method"] == "script" else worth, []).append(row)
    machine = json.loads(paths[0].read_text())["machine"]
    for name, rows in files.items():
        path = folder / f"{name}.json"
        known = _rows(path) if path.exists() else []
        lines = ",\n".join(json.dumps(row) for row in merged([*known, *rows]))
        write_text(path, f'{{"machine": {json.dumps(machine)}, "rows": [\n{lines}\n]}}\n')


def table(rows: Sequence[Row]) -> str:
    """Median (quartiles) of regret in percentage points, by law, method and length of the run."""
    counts = sorted({n for row in rows for n in row["full trainings"]})
    lines = [
        "| law | method | scheduler | epochs of a full training | seeds | networks | "
        + " | ".join(map(str, counts))
        + " |",
        "|---|---|---|" + "---:|" * (3 + len(counts)),
    ]
    for row in sorted(rows, key=_order):
        numbers = zip(row["full trainings"], row["median"], *row["quartiles"], strict=True)
        cells = {n: f"{100 * m:.1f} ({100 * low:.1f}-{100 * high:.1f})" for n, m, low, high in numbers}
        shown = " | ".join(cells.get(n, "") for n in counts)
        known = [
            row["law"],
            row["method"],
            _scheduler(row),
            row["epochs"],
            row["seeds"],
            row["networks"] or "",
        ]
        lines.append("| " + " | ".join(map(str, known)) + f" | {shown} |")
    return "\n".join(lines) + "\n"


def _order(row: Row) -> tuple[Any, ...]:
    method, scheduler = list(COLOURS).index(row["method"]), list(DASHES).index(row["scheduler"])
    return row["trials"], row["epochs"], row["law"], method, scheduler, row["min_epochs"] or 0


def _scheduler(row: Row) -> str:
    first = f", first rung {row['min_epochs']}" if row["min_epochs"] else ""
    return f"{row['scheduler']}{first}" if row["method"] != "script" else "Optuna's"


def differences(rows: Sequence[Row]) -> str:
    """Each search's mean regret at its end less the default's, in points: by law, and the mean over the laws.

    In brackets a 95% interval by bootstrap of the seeds within each law; of fewer than `ENOUGH` seeds a law,
    for the mean over the laws alone.
    """
    laws = list(dict.fromkeys(row["law"] for row in rows))
    names = ["method", "scheduler", "full trainings' worth", "epochs of a full training", "seeds"]
    lines = ["| " + " | ".join([*names, *laws, "mean"]) + " |", "|---|---|" + "---:|" * (len(laws) + 4)]
    searches: dict[tuple[Any, ...], dict[str, dict[int, float]]] = {}
    for row in sorted(rows, key=_order):
        search = (row["method"], _scheduler(row), row["trials"], row["epochs"])
        searches.setdefault(search, {}).setdefault(row["law"], {}).update(_at_the_end(row))
    for (method, scheduler, trials, epochs), found in searches.items():
        against = searches.get((*DEFAULT, THIRD if method == "script" else trials, epochs), {})
        if (method, scheduler) == DEFAULT or not found.keys() == against.keys() == set(laws):
            continue
        rng = np.random.default_rng(0)
        drawn = [_drawn_differences(found[law], against[law], rng) for law in laws]
        counts = {len(found[law]) for law in laws}
        known = [method, scheduler, trials, epochs, " to ".join(map(str, sorted({min(counts), max(counts)})))]
        by_law = [_interval(d) if min(counts) >= ENOUGH else f"{100 * d[0]:+.1f}" for d in drawn]
        cells = [*known, *by_law, _interval(np.mean(drawn, axis=0))]
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def _at_the_end(row: Row) -> dict[int, float]:
    """Each seed's regret when all epochs are spent."""
    if "regret" in row:
        return {seed: r[-1] for seed, r in zip(row["seed numbers"], row["regret"], strict=True)}
    # of four seeds, median and quartiles alone were kept: they fix the mean, and each value up to one
    # number. Of the values that are possible the most spread out are taken, for the widest interval.
    low, median, high = (numbers[-1] for numbers in (row["quartiles"][0], row["median"], row["quartiles"][1]))
    possible = [
        (4 * low - 3 * second, second, 2 * median - second, 4 * high - 3 * (2 * median - second))
        for second in (max(low, 2 * median - high), median)
    ]
    return dict(enumerate(max(possible, key=np.var), start=row.get("first seed", 0)))


def _drawn_differences(first: dict[int, float], second: dict[int, float], rng: np.random.Generator) -> Any:
    """The difference of the means, and those of samples of the seeds; of pairs where the seeds are alike."""
    if first.keys() == second.keys():
        return _drawn_means([first[seed] - second[seed] for seed in first], rng)
    return _drawn_means(list(first.values()), rng) - _drawn_means(list(second.values()), rng)


def _drawn_means(values: Sequence[float], rng: np.random.Generator) -> Any:
    """[1 + RESAMPLES]; spread as the mean of so few seeds is, which resampling alone understates."""
    sample, n = np.array(values), len(values)
    means = sample[rng.integers(n, size=(RESAMPLES, n))].mean(axis=1)
    spread = math.sqrt(n / (n - 1)) if n > 1 else math.nan
    return np.append(sample.mean(), sample.mean() + spread * (means - sample.mean()))


def _interval(drawn: Any) -> str:
    low, high = 100 * np.quantile(drawn[1:], (0.025, 0.975))
    return f"{100 * drawn[0]:+.1f}" + (f" ({low:+.1f} to {high:+.1f})" if math.isfinite(low) else "")


def picture(rows: Sequence[Row]) -> str:
    """An SVG with a panel a law: median regret against epochs, both on logarithmic axes."""
    laws = list(dict.fromkeys(row["law"] for row in rows))
    last = max(row["epochs trained"][-1] for row in rows)
    first = min(row["epochs trained"][0] for row in rows)
    width, height = LEFT + len(laws) * (WIDTH + GAP), TOP + HEIGHT + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>'
    ]
    methods = {row["method"] for row in rows}
    for i, method in enumerate(m for m in COLOURS if m in methods):
        parts.append(f'<text x="{LEFT + 80 * i}" y="20" fill="{COLOURS[method]}">— {method}</text>')
    schedulers = {row["scheduler"] for row in rows}
    for i, scheduler in enumerate(d for d in DASHES if d in schedulers):
        x = LEFT + 650 + 110 * i
        parts.append(
            f'<line x1="{x}" y1="16" x2="{x + 30}" y2="16" stroke="#000" '
            f'stroke-dasharray="{DASHES[scheduler]}"/><text x="{x + 35}" y="20">{scheduler}</text>'
        )
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
            f"{x(e):.1f},{y(100 * m):.1f}" for e, m in zip(row["epochs trained"], row["median"], strict=True)
        )
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{COLOURS[row["method"]]}" stroke-width="2" '
            f'stroke-dasharray="{DASHES[row["scheduler"]]}"/>'
        )
    return parts


def main() -> None:
    """Write all of it."""
    parser = argparse.ArgumentParser(description="Tables and picture of the recorded search quality.")
    parser.add_argument("--add", nargs="+", type=Path, default=[], metavar="FILE", help="record these first")
    options = parser.parse_args()
    if options.add:
        add(options.add, FOLDER)
    rows = read(FOLDER)
    text = f"## Regret\n\n{table(rows)}\n## Mean regret less that of the default\n\n{differences(rows)}"
    write_text(FOLDER / "table.md", text)
    # short runs start earlier with their model: one length of run a line; few seeds only blur the picture
    shown = [row for row in rows if row["trials"] > 10 and row["seeds"] >= ENOUGH]
    write_text(FOLDER / "regret.svg", picture(shown))


if __name__ == "__main__":
    main()
