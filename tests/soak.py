"""Long searches that train nothing: does the memory or the cost of a trial grow?

    python -m tests.soak [--trials 2000] [--engine local|ray|both] [--schedulers none asha] [--json PATH]

Every run is a search of `--trials` simulated networks in a process of its own, by the functions that
`nas.search` is made of; a training takes no time, so what is measured is the search: proposals, decisions,
record and engine. It is cut into ten equal parts; the last is compared with the second, for the first holds
the start. Times of a busy machine vary: the processor time beside them varies less.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

PARTS = 10
# of the last part to the second: less is taken for the noise of a machine with other work
MOST_GROWTH = 1.5
MOST_MEMORY = 1.25


@dataclass(frozen=True)
class Part:
    """A tenth of a search: milliseconds a trial, and bytes at its end.

    `wall_ms` is all there is, `decide_ms` what is spent in the controller, the record included, and `cpu_ms`
    the processor time of the driver's process. `resident` is its memory, `stored` the size of study.db.
    """

    trials: int
    wall_ms: float
    decide_ms: float
    cpu_ms: float
    resident: int
    stored: int


@dataclass(frozen=True)
class Soak:
    """A search in parts."""

    engine: str
    scheduler: str
    parts: tuple[Part, ...]

    def growth(self, name: str) -> float:
        """The last part's value over the second's."""
        return float(getattr(self.parts[-1], name)) / float(getattr(self.parts[1], name))

    @property
    def bytes_a_trial(self) -> float:
        """Memory that every trial after the second part took, bytes."""
        return (self.parts[-1].resident - self.parts[1].resident) / sum(p.trials for p in self.parts[2:])

    @property
    def verdict(self) -> str:
        """Whether it grows, with the ratios."""
        names = {"cpu_ms": "processor time a trial", "decide_ms": "time a trial in controller and record",
                 "wall_ms": "time a trial", "resident": "memory"}  # fmt: skip
        told = []
        for name, text in names.items():
            growth = self.growth(name)
            grows = growth > (MOST_MEMORY if name == "resident" else MOST_GROWTH)
            told.append(f"{text} {'GROWS' if grows else 'is flat'} (x{growth:.2f})")
        return (
            f"{self.engine}, scheduler {self.scheduler}, last tenth to second: {', '.join(told)}; "
            f"{self.bytes_a_trial / 1000:.1f} kB of memory a trial"
        )


class Sample(NamedTuple):
    """A moment: seconds so far, all, in the controller, of the processor; bytes in memory and in study.db."""

    seconds: tuple[float, float, float]
    resident: int
    stored: int


class Meter:
    """An engine that reads the clock and the memory whenever a tenth of the trials has begun."""

    def __init__(self, engine: Any, trials: int, stored: Callable[[], int]) -> None:
        self._engine = engine
        self._stored = stored
        self._sizes = [trials // PARTS + (i < trials % PARTS) for i in range(PARTS)]
        self._deciding = 0.0
        self.parts: list[Part] = []
        self.workers: int = engine.workers
        self.latency = engine.latency

    def run(self, controller: Any) -> None:
        """The engine's own run, over a controller that is watched."""
        self._seen: set[int] = set()
        self._mark = self._ended = self._sample()
        self._engine.run(Watched(controller, self))
        # up to the last result: what an engine does at its end is no trial's
        self._part(len(self._seen) - sum(part.trials for part in self.parts), self._ended)

    def decided(self, name: str, seconds: float, found: Any) -> None:
        """A call of the controller took so long."""
        self._deciding += seconds
        if name in ("done", "failed"):
            self._ended = self._sample()
        if name != "next" or found is None or found.trial in self._seen:
            return
        # this trial is the first of a part: what has passed belongs to the one before
        if len(self.parts) < PARTS - 1 and len(self._seen) == sum(self._sizes[: len(self.parts) + 1]):
            self._part(self._sizes[len(self.parts)], self._sample())
        self._seen.add(found.trial)

    def _part(self, trials: int, now: Sample) -> None:
        wall, deciding, cpu = (
            1000 * (b - a) / max(trials, 1) for a, b in zip(self._mark.seconds, now.seconds, strict=True)
        )
        self.parts.append(Part(trials, wall, deciding, cpu, now.resident, now.stored))
        self._mark = now

    def _sample(self) -> Sample:
        seconds = (time.monotonic(), self._deciding, time.process_time())
        return Sample(seconds, resident(), self._stored())


class Watched:
    """A controller whose calls are timed."""

    def __init__(self, controller: Any, meter: Meter) -> None:
        self._controller = controller
        self._meter = meter

    @property
    def over(self) -> bool:
        """The controller's."""
        return bool(self._controller.over)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._controller, name)

        def timed(*arguments: Any) -> Any:
            began = time.monotonic()
            found = call(*arguments)
            self._meter.decided(name, time.monotonic() - began, found)
            return found

        return timed


def resident() -> int:
    """Resident memory of this process, bytes."""
    try:
        import psutil
    except ImportError:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return int(psutil.Process().memory_info().rss)


def soak(engine: str, scheduler: str, trials: int) -> Soak:
    """One search in this process."""
    from nas.plan.plan import Plan
    from nas.plan.settings import Settings
    from nas.plan.study import open_record
    from nas.run import engine_of, train

    more = {} if engine == "local" else {"engine": engine, "cpus_per_trial": 1.0}
    settings = Settings(
        budget="4.5GFLOPs", proxy="simulated:separable", sampler="random", scheduler=scheduler,
        trials=trials, confirm="0x0", **more,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as root, Path(os.devnull).open("w") as nowhere:
        folder = Path(root) / "soak"
        plan = Plan.of(settings)
        with engine_of(plan, folder) as inner:
            record = open_record(plan, folder)
            try:
                meter = Meter(inner, trials, lambda: (folder / "study.db").stat().st_size)
                train(plan, meter, record, Console(file=nowhere))
                begun = len(record.trials())
            finally:
                record.close()
    if begun != trials:
        raise RuntimeError(f"{begun} trials in the record, not {trials}")
    return Soak(engine, scheduler, tuple(meter.parts))


def fresh(engine: str, scheduler: str, trials: int) -> Soak:
    """The same in a new process, whose memory holds nothing of other runs."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(soak, engine, scheduler, trials).result()


def report(found: Soak) -> Table:
    """One row a part."""
    table = Table(title=f"soak: {found.engine} engine, scheduler {found.scheduler}")
    for heading in ("trials", "ms a trial", "in controller and record", "processor ms", "memory", "study.db"):
        table.add_column(heading, justify="right")
    done = 0
    for part in found.parts:
        done += part.trials
        times = (f"{value:.1f}" for value in (part.wall_ms, part.decide_ms, part.cpu_ms))
        table.add_row(str(done), *times, f"{part.resident / 1e6:.0f} MB", f"{part.stored / 1e6:.1f} MB")
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parse = argparse.ArgumentParser(description="Search long, train nothing, and measure what a trial costs.")
    parse.add_argument("--trials", type=int, default=2000)
    parse.add_argument("--engine", choices=("local", "ray", "both"), default="both")
    parse.add_argument("--schedulers", nargs="+", choices=("none", "asha"), default=["none", "asha"])
    parse.add_argument("--json", type=Path, metavar="PATH")
    options = parse.parse_args(argv)
    if options.trials < 2 * PARTS:
        parse.error(f"--trials: {options.trials} is too few for {PARTS} parts of 2")
    console, plain = Console(), []
    for engine in ("local", "ray") if options.engine == "both" else (options.engine,):
        for scheduler in options.schedulers:
            found = fresh(engine, scheduler, options.trials)
            console.print(report(found))
            console.print(found.verdict, highlight=False)
            growths = {name: found.growth(name) for name in ("wall_ms", "decide_ms", "cpu_ms", "resident")}
            plain.append(asdict(found) | {"growth": growths, "bytes_a_trial": found.bytes_a_trial})
    if options.json is not None:
        options.json.write_text(json.dumps(plain, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
