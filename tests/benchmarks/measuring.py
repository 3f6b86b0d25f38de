"""What the benchmarks share: their flags, timing, the machine's description, and their table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Row = dict[str, Any]


def flags(description: str, argv: Sequence[str] | None) -> argparse.Namespace:
    """`--quick` and `--json`, which every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="a few networks only: does it run at all")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    return parser.parse_args(argv)


def best_time(
    work: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Seconds of the fastest run: what else the machine does can only slow a run down."""
    times = []
    for _ in range(repeats):
        start = clock()
        work()
        times.append(clock() - start)
    return min(times)


def processor_seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """`best_time` of the processor, where there is one thread."""
    return best_time(work, repeats, time.process_time)


def machine() -> str:
    """Cores and versions, in one line."""
    import torch

    return (
        f"{os.cpu_count()} cores ({platform.machine()}), Python {platform.python_version()}, "
        f"numpy {np.__version__}, torch {torch.__version__}"
    )


def report(title: str, rows: Sequence[Row], path: Path | None) -> None:
    """Print the rows as a table under the machine's description, and write them as JSON."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*(_text(value) for value in row.values()))
    console = Console(width=150)
    console.print(machine())
    console.print(table)
    if path is not None:
        path.write_text(json.dumps({"machine": machine(), "title": title, "rows": list(rows)}, indent=2))


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
