"""Seconds from a command to its help, and from a default search to its first training step.

    python -m tests.benchmarks.startup

Every run is a new process. `processor` is what it and its children take of the processor, `clock` the time by
the clock, which other work on the machine lengthens; the least of the runs is the figure. `first step` runs
the default search with its data set in the cache until the trainer has made one optimiser step; with Ray,
until the driver is told that a worker begins with a training, and Ray has stopped. `bare Python` is what an
interpreter takes that does nothing, `torch` what it takes to import, `Ray` to import it, to start it and to
stop it again.
"""

from __future__ import annotations

import importlib.util
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.measuring import Row, flags, report

COMMANDS = (
    "nas.search",
    "nas.measure",
    "nas.train",
    "nas.evaluate",
    "nas.export",
    "space.describe",
    "analysis.compare",
    "analysis.dashboard",
    "analysis.importance",
    "analysis.proxies",
    "analysis.scale",
)
HELP_TARGET, STEP_TARGET = 0.3, 5.0  # seconds
# runs a search; ends when the first optimiser step is done, or a worker of Ray's has begun with a training.
# What it changes it changes once the search has imported it itself
FIRST_STEP = """
import os, sys
from nas import search
from nas.engines import local

def ended(*_):
    print("stepped", flush=True)
    os._exit(0)

def run(engine, controller, run=local.LocalEngine.run):
    from nas.training import loop as training
    made = training.update
    training.update = lambda *args: ended(made(*args))
    run(engine, controller)

local.LocalEngine.run = run
if "ray" in sys.argv:
    from nas.engines.ray import engine as ray_engine
    def run(engine, controller, run=ray_engine.RayEngine.run):
        controller.started = lambda job: (engine.close(), ended())
        run(engine, controller)
    ray_engine.RayEngine.run = run
search.main(sys.argv[1:])
"""
# with what the engine starts it with
RAY = """
import logging, ray, ray.tune
ray.init(address="local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR,
         object_store_memory=100 * 2**20)
ray.shutdown()
"""


@dataclass(frozen=True)
class Taken:
    """Seconds of one run."""

    processor: float
    clock: float


def taken(arguments: Sequence[str], said: str = "") -> Taken:
    """Of one run of Python. Raises `RuntimeError` where it fails, or its output does not end with `said`."""
    before, start = spent(), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    times = Taken(spent() - before, time.perf_counter() - start)
    if done.returncode != 0 or not done.stdout.endswith(said):
        raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
    return times


def spent() -> float:
    """Seconds of the processor that the children so far have taken."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def first_steps(repeats: int, flags_of_search: Sequence[str]) -> list[Taken]:
    """Searches until their first optimiser step."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [["-c", FIRST_STEP, *flags_of_search, "--study", f"{folder}/{i}"] for i in range(repeats)]
        return [taken(arguments, "stepped\n") for arguments in runs]


def row(what: str, times: Sequence[Taken], target: float | None) -> Row:
    return {
        "what": what,
        "processor, s": min(t.processor for t in times),
        "clock, s": min(t.clock for t in times),
        "median clock, s": statistics.median(t.clock for t in times),
        "a second": 1 / min(t.clock for t in times),
        "target, s": target or "-",
    }


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Start-up: the commands' help, and the first training step of a search.", argv)
    repeats, commands = (1, COMMANDS[:1]) if options.quick else (7, COMMANDS)

    def of(what: str, target: float | None, *arguments: str) -> Row:
        return row(what, [taken(arguments) for _ in range(repeats)], target)

    rows = [of("bare Python", None, "-c", "pass")]
    rows += [of(f"{name} --help", HELP_TARGET, "-m", name, "--help") for name in commands]
    if options.quick:
        given = ["--budget", "60MFLOPs", "--space", "micro", "--proxy", "smoke", "--no-reference"]
        rows.append(row("smoke search, first step", first_steps(1, given), STEP_TARGET))
    else:
        budget = ["--budget", "4.5GFLOPs"]
        rows.append(of("torch", None, "-c", "import os, torch; os._exit(0)"))
        first_steps(1, budget)  # makes the data set where it is not in the cache
        rows.append(row("default search, first step", first_steps(5, budget), STEP_TARGET))
        if importlib.util.find_spec("ray"):
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            rows.append(of("Ray", None, "-c", RAY))
            rows.append(
                row("with --engine ray, a training", first_steps(3, [*budget, "--engine", "ray"]), None)
            )
    report("start-up", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
