"""What the driver of a search takes for a trial - propose, record, report - as its study grows.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.driver

A search of one budget runs with trainings that take no time (a simulated law), by the engine, controller and
SQLite record that every search has. A trial takes from one question for a job to the next; the figures are of
the last trials before the study has so many, by the clock and of the processor (other processes lengthen the
first more than the second). Resuming such a study is reading it again, to the first job.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.controller import SearchController
from nas.engines.local import LocalEngine
from nas.job import Job
from nas.plan import Plan
from nas.progress import Progress
from nas.record import Record
from nas.search import chosen, open_record
from nas.settings import read_settings
from tests.benchmarks.measuring import Row, report

SIZES = (10, 1000, 10_000)
WINDOW = 100  # trials, at most, that a figure is of


class Timed(SearchController):
    """A controller that notes when it is asked for a job."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.asked: list[tuple[float, float]] = []
        super().__init__(*args, **options)

    def next(self) -> Job | None:
        self.asked.append(clocks())
        return super().next()


def clocks() -> tuple[float, float]:
    """Seconds by the clock, and of the processor."""
    return time.perf_counter(), time.process_time()


def searched(folder: Path, sampler: str, trials: int) -> list[tuple[float, float]]:
    """Seconds until a search asks for its first job, then of each trial: by the clock, of the processor."""
    flags = {"budget": "4.5GFLOPs", "proxy": "simulated:separable", "trials": trials, "sampler": sampler}
    exists = folder.exists()
    plan = Plan.of(read_settings(flags | ({"resume": True, "study": f"{folder}"} if exists else {}), None))
    began = clocks()
    record = open_record(plan, folder)
    controller = controller_of(plan, record)
    LocalEngine(plan.judge.trainer).run(controller)
    record.close()
    times = itertools.pairwise([began, *controller.asked])
    return [(after[0] - before[0], after[1] - before[1]) for before, after in times]


def controller_of(plan: Plan, record: Record) -> Timed:
    progress = Progress(Console(file=StringIO()), "", plan.trainings, plan.judge.epochs)
    progress.resumed(record.trials())
    return Timed(
        record,
        plan.branches(lambda _: 0.0, 1),
        progress,
        seed=0,
        epochs=plan.judge.epochs,
        time_limit=None,
        confirm=(0, 0),
        choose=chosen,
    )


def measure(sampler: str, sizes: Sequence[int]) -> list[Row]:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "study"
        _, *seconds = searched(folder, sampler, max(sizes))
        (resumed, _), *_ = searched(folder, sampler, max(sizes))
        kilobytes = sum(path.stat().st_size for path in folder.glob("study.db*")) / 1e3
    rows = []
    for size in sizes:
        window, spent = zip(*seconds[size - min(WINDOW, size) : size], strict=True)
        rows.append(
            {
                "sampler": sampler,
                "trials in the study": size,
                "median, ms a trial": statistics.median(window) * 1e3,
                "processor, ms a trial": statistics.median(spent) * 1e3,
                "trials a second": len(window) / sum(window),
                "resumed after, s": resumed if size == max(sizes) else "-",
                "database, kB a trial": kilobytes / size if size == max(sizes) else "-",
            }
        )
    return rows


def main(argv: Sequence[str] | None = None) -> list[Row]:
    parser = argparse.ArgumentParser(description="The driver's time for a trial, as its study grows.")
    parser.add_argument("--quick", action="store_true", help="a few trials only: does it run at all")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    parser.add_argument("--samplers", nargs="+", default=["surrogate", "evolution", "random", "tpe"])
    parser.add_argument("--trials", type=int, nargs="+", default=list(SIZES), help="sizes of the study")
    options = parser.parse_args(argv)
    samplers, sizes = (["random"], [4, 12]) if options.quick else (options.samplers, options.trials)
    rows = [row for sampler in samplers for row in measure(sampler, sizes)]
    report("the driver's time for a trial", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
