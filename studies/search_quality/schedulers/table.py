"""Writes `table.md` of the `*.json` beside it, which `tests.benchmarks.search_quality` has written.

    python -m studies.search_quality.schedulers.table

Mean regret at the end of a search with its standard error, and what a scheduler adds to it: the mean of the
differences from no scheduler, seed by seed, with its standard error.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from nas.samplers.registry import SAMPLERS
from space.files import write_text
from tests.benchmarks.measuring import Row
from tests.benchmarks.search_quality import ALL_SCHEDULERS, AUTO, THIRD

FOLDER = Path(__file__).parent
ORDER = ("none", AUTO, *ALL_SCHEDULERS[1:-2], THIRD)
Regrets = dict[int, float]  # percentage points at the end of a search, by seed


def read(folder: Path) -> dict[tuple[str, str, str], Regrets]:
    """Of every sampler, scheduler and ground."""
    found: dict[tuple[str, str, str], Regrets] = {}
    for path in sorted(folder.glob("*.json")):
        for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
            found.setdefault((row["method"], row["scheduler"], row["law"]), {}).update(_regrets(row))
    return found


def _regrets(row: Row) -> Regrets:
    return {row["first seed"] + i: 100 * regret[-1] for i, regret in enumerate(row["regret"])}


def table(found: dict[tuple[str, str, str], Regrets], grounds: Sequence[str], title: str) -> str:
    """A table of regrets and one of differences; the last column is of all grounds, where there are all."""
    names = [ground.removeprefix("table:") for ground in grounds]
    parts = [f"## {title}"]
    for about, against in (("Mean regret", None), ("Regret less that of `none`, by seed", "none")):
        lines = [
            f"| sampler | scheduler | seeds | {' | '.join(names)} | mean |",
            "|---|---|---:|" + "---:|" * (len(names) + 1),
        ]
        for sampler in SAMPLERS:
            for scheduler in ORDER:
                cells = [_values(found, sampler, scheduler, ground, against) for ground in grounds]
                if scheduler != against and any(cells):
                    seeds = " to ".join(map(str, sorted({len(cell) for cell in cells if cell})))
                    shown = [_shown(cell.values(), against) for cell in (*cells, _over_all(cells))]
                    lines.append(f"| {sampler} | {scheduler} | {seeds} | {' | '.join(shown)} |")
        parts.append(f"{about}, percentage points (standard error):\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def _values(
    found: dict[tuple[str, str, str], Regrets], sampler: str, scheduler: str, ground: str, against: str | None
) -> Regrets:
    own = found.get((sampler, scheduler, ground), {})
    if against is None:
        return own
    other = found.get((sampler, against, ground), {})
    return {seed: own[seed] - other[seed] for seed in own if seed in other}


def _over_all(cells: Sequence[Regrets]) -> Regrets:
    """The mean over grounds, of seeds that have all."""
    return {
        seed: float(np.mean([cell[seed] for cell in cells])) for seed in set.intersection(*map(set, cells))
    }


def _shown(values: Iterable[float], against: str | None) -> str:
    found = np.array(list(values))
    if len(found) < 2:
        return ""
    error = found.std(ddof=1) / np.sqrt(len(found))
    return f"{found.mean():{'+' if against else ''}.2f} ({error:.2f})"


def main() -> None:
    """Write it."""
    found = read(FOLDER)
    grounds = list(dict.fromkeys(ground for _, _, ground in found))
    tables = [ground for ground in grounds if ground.startswith("table:")]
    parts = [
        table(found, [ground for ground in grounds if ground not in tables], "Five simulated laws"),
        table(found, tables, "Tables of networks that others trained") if tables else "",
    ]
    write_text(FOLDER / "table.md", "# Schedulers, figures\n\n" + "\n\n".join(filter(None, parts)) + "\n")


if __name__ == "__main__":
    main()
