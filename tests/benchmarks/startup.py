"""Seconds from a command to its help, and from a default search to its first training step.

    python -m tests.benchmarks.startup

`first step` is a new process that runs the default search with its data set in the cache, until the trainer
has made one optimiser step. `bare Python` is what an interpreter takes that does nothing.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from tests.benchmarks.measuring import Row, flags, report

COMMANDS = (
    "nas.search",
    "nas.measure",
    "nas.train",
    "nas.evaluate",
    "nas.export",
    "space.describe",
    "analysis.dashboard",
    "analysis.report",
    "analysis.compare",
    "analysis.importance",
    "analysis.scale",
)
HELP_TARGET, STEP_TARGET = 0.3, 5.0  # seconds
# runs a search, and ends when the first optimiser step is done
FIRST_STEP = """
import os, sys
from nas import search, training
made = training.update
def update(*args):
    made(*args)
    print("stepped", flush=True)
    os._exit(0)
training.update = update
search.main(sys.argv[1:])
"""


def seconds(arguments: Sequence[str], repeats: int) -> list[float]:
    """Of each run. Raises `CalledProcessError` where the command fails."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return times


def first_step(repeats: int, flags_of_search: Sequence[str]) -> list[float]:
    """Seconds of a default search until its first optimiser step; the data set is cached by a run before."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        for i in range(repeats + 1):
            start = time.perf_counter()
            arguments = ["-c", FIRST_STEP, *flags_of_search, "--study", f"{folder}/{i}"]
            said = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True)
            times.append(time.perf_counter() - start)
            if not said.stdout.endswith("stepped\n"):
                raise RuntimeError(f"the search ended before a step: {said.stdout}{said.stderr}")
    return times[1:]


def row(what: str, times: Sequence[float], target: float | None) -> Row:
    return {
        "what": what,
        "least, s": min(times),
        "median, s": statistics.median(times),
        "a second": 1 / min(times),
        "target, s": target or "-",
    }


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Start-up: the commands' help, and the first training step of a search.", argv)
    repeats, commands = (1, COMMANDS[:1]) if options.quick else (7, COMMANDS)
    rows = [row("bare Python", seconds(["-c", "pass"], repeats), None)]
    rows += [
        row(f"{name} --help", seconds(["-m", name, "--help"], repeats), HELP_TARGET) for name in commands
    ]
    if options.quick:
        given = ["--budget", "60MFLOPs", "--space", "micro", "--proxy", "smoke", "--no-reference"]
        rows.append(row("smoke search, first step", first_step(1, given), STEP_TARGET))
    else:
        rows.append(row("default search, first step", first_step(3, ["--budget", "4.5GFLOPs"]), STEP_TARGET))
    report("start-up", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
