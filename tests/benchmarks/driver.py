"""What the driver of a search takes for a trial - propose, record, report - as its study grows.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.driver

A search of one budget runs with simulated trainings, by the engine, controller and SQLite record that any
has. A trial takes from one question for a job to the next, less what the training takes; the figures are of
the last trials before the study has so many, by the clock and of the processor (other processes lengthen the
first more than the second). Resuming such a study is reading it again, to the first job.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from rich.console import Console

from nas.driver.agenda import Agenda
from nas.driver.controller import SearchController
from nas.driver.pace import Pace
from nas.driver.progress import Progress
from nas.engines.job import Job, Trainer, Training
from nas.engines.local import LocalEngine
from nas.plan.plan import Plan
from nas.plan.settings import read_settings
from nas.plan.study import open_record
from nas.record.record import Record
from nas.training.result import Epoch, Result, StepDone
from space.architecture import Architecture
from tests.benchmarks.measuring import Row, report

SIZES = (10, 1000, 10_000)
WINDOW = 100  # trials, at most, that a figure is of

Clocks = tuple[float, float]  # seconds by the clock, and of the processor


class Timed(SearchController):
    """A controller that notes when it is asked for a job, less what trainings took until then."""

    def __init__(self, trainer: TimedTrainer, *args: Any, **options: Any) -> None:
        self.asked: list[Clocks] = []
        self._trainer = trainer
        super().__init__(*args, **options)

    def next(self) -> Job | None:
        now, spent = clocks(), self._trainer.spent
        self.asked.append((now[0] - spent[0], now[1] - spent[1]))
        return super().next()


class TimedTrainer:
    """A trainer that adds up what its trainings take."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
        self.epochs = trainer.epochs
        self.spent: Clocks = (0.0, 0.0)

    def latency(self, architecture: Architecture) -> float:
        return self._trainer.latency(architecture)

    def start(self, job: Job) -> TimedTraining:
        with self.timed():
            return TimedTraining(self, self._trainer.start(job))

    @contextmanager
    def timed(self) -> Iterator[None]:
        began = clocks()
        yield
        ended = clocks()
        self.spent = (self.spent[0] + ended[0] - began[0], self.spent[1] + ended[1] - began[1])


class TimedTraining:
    """One training of a `TimedTrainer`."""

    def __init__(self, trainer: TimedTrainer, training: Training) -> None:
        self._trainer = trainer
        self._training = training

    @property
    def curve(self) -> Sequence[Epoch]:
        return self._training.curve

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        with self._trainer.timed():
            return self._training.epoch(on_step)

    def result(self) -> Result:
        return self._training.result()


def clocks() -> Clocks:
    """Seconds by the clock, and of the processor."""
    return time.perf_counter(), time.process_time()


def searched(folder: Path, sampler: str, trials: int) -> list[Clocks]:
    """Seconds until a search asks for its first job, then of each trial: by the clock, of the processor."""
    flags = {"budget": "4.5GFLOPs", "proxy": "simulated:separable", "trials": trials, "sampler": sampler}
    exists = folder.exists()
    plan = Plan.of(read_settings(flags | ({"resume": True, "study": f"{folder}"} if exists else {}), None))
    began = clocks()
    record = open_record(plan, folder)
    trainer = TimedTrainer(plan.judge.trainer)
    controller = controller_of(plan, record, trainer)
    LocalEngine(trainer).run(controller)
    record.close()
    times = itertools.pairwise([began, *controller.asked])
    return [(after[0] - before[0], after[1] - before[1]) for before, after in times]


def controller_of(plan: Plan, record: Record, trainer: TimedTrainer) -> Timed:
    pace = Pace(None, record.trials())
    progress = Progress(Console(file=StringIO()), "", plan.trainings, plan.judge.epochs, pace)
    progress.resumed(record.trials())
    branches = plan.branches(lambda _: 0.0, 1)
    agenda = Agenda(record, branches, pace, seed=0, epochs=plan.judge.epochs, confirm=(0, 0))
    return Timed(trainer, agenda, progress)


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
