"""From a plan to a record: the main path of a search and of a measurement."""

from __future__ import annotations

import gc
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from space.command import made_to_stay

if TYPE_CHECKING:
    from rich.console import Console

    from nas.driver.controller import SearchController
    from nas.driver.progress import Progress
    from nas.engines.engine import Engine
    from nas.plan.measurement import Measurement
    from nas.plan.plan import Plan
    from nas.record.record import Record
from nas.driver.confirmation import chosen

AnyPlan = TypeVar("AnyPlan", "Plan", "Measurement")


def carry_out(
    prepare: Callable[[], AnyPlan],
    opened: Callable[[AnyPlan, Path], Record],
    finished: Callable[..., bool],
    folder: Path,
    console: Console,
) -> int:
    """Prepare, train and finish what a search or a measurement plans; the exit code.

    `finished(plan, record, interrupted=...)` tells whether anything succeeded. Raises `InputError`.
    """
    with ExitStack() as held:
        with made_to_stay():
            from nas.record.folder import unwritable

            held.callback(gc.unfreeze)  # a caller may live on
            with console.status("preparing the data set…"):
                plan = prepare()
            engine = held.enter_context(engine_of(plan, folder))
            record = opened(plan, folder)
            held.callback(record.close)
        if plan.judge.read:
            console.print(plan.judge.read, markup=False, soft_wrap=True)
        with unwritable(folder):
            interrupted = run(plan, record, engine, console)
            found = finished(plan, record, interrupted=interrupted)
    return 130 if interrupted else int(not found)


def run(plan: Plan | Measurement, record: Record, engine: Engine, console: Console) -> bool:
    """Propose, train, record, until enough is done; True where Ctrl-C or SIGTERM came first."""
    from nas.driver.controller import SearchController
    from nas.driver.progress import Progress

    progress = Progress(console, plan.title(record.folder), plan.trainings, plan.judge.epochs)
    progress.resumed(record.trials())
    controller = SearchController(
        record,
        plan.branches(engine.latency, engine.workers),
        progress,
        seed=plan.settings.seed,
        epochs=plan.judge.epochs,
        time_limit=plan.time_limit,
        confirm=plan.confirm,
        choose=chosen,
    )
    return drive(engine, controller, record, progress)


def drive(engine: Engine, controller: SearchController, record: Record, progress: Progress) -> bool:
    """Let the engine train what the controller decides; True where it was interrupted."""
    from nas.driver.controller import SearchEnded
    from nas.verdict.summary import Summary

    began = time.monotonic()
    with progress, interrupts():
        try:
            engine.run(controller)
        except KeyboardInterrupt:
            controller.interrupted()
            return True
        except SearchEnded as ended:
            record.warn(str(ended))
        finally:
            record.add_wall_seconds(time.monotonic() - began)
            Summary(record).write()
    return False


@contextmanager
def engine_of(plan: Plan | Measurement, folder: Path) -> Iterator[Engine]:
    """The engine that settings ask for. Raises `InputError`."""
    settings, judge = plan.settings, plan.judge
    if settings.engine == "local":
        from nas.engines.local import LocalEngine

        yield LocalEngine(judge.trainer)
        return
    from nas.engines.ray.engine import RayEngine
    from nas.training.form import PER_CARD

    gpus = settings.gpus_per_trial
    if gpus is None:
        gpus = judge.uses_gpu(settings.device) / PER_CARD
    with RayEngine(
        judge.trainer,
        folder=folder,
        cpus_per_trial=settings.cpus_per_trial,
        gpus_per_trial=gpus,
        workers=settings.workers,
        address=settings.ray_address,
        need=judge.training_bytes,
        gpu_memory=settings.gpu_bytes or judge.gpu_bytes(),
    ) as engine:
        yield engine


@contextmanager
def interrupts() -> Iterator[None]:
    """SIGTERM stops a search as cleanly as Ctrl-C does, and so does SIGINT where a shell had it ignored."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
