"""A search, or a measurement, from its settings to its result: the page to read first.

plan        nas/plan/       what is asked for, worked out and checked before anything is trained
engine      nas/engines/    where trainings run
record      nas/record/     the study's folder: every training with its result
controller  nas/driver/     decides what the engine trains next, and writes it into the record
finish      nas/verdict/    what was found, and how sure that is
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from nas.data.once import listed_once
from nas.driver.agenda import Agenda
from nas.driver.controller import Callback, SearchController, SearchEnded
from nas.driver.interrupts import interrupts
from nas.driver.pace import Pace
from nas.driver.progress import Progress
from nas.engines.local import LocalEngine
from nas.plan.forecast import foretold
from nas.plan.measurement import Measurement
from nas.plan.plan import Plan
from nas.plan.settings import MeasureSettings, Settings
from nas.plan.study import choose_folder, open_record
from nas.record.folder import unwritable
from nas.training.form import PER_CARD
from nas.verdict.summary import Summary
from space.command import made_to_stay

if TYPE_CHECKING:
    from rich.console import Console

    from nas.engines.engine import Engine
    from nas.record.record import Record


class Finish(Protocol):
    """The end of a command: shows what a study has found, and tells whether that is anything."""

    def __call__(self, record: Record, console: Console, *, interrupted: bool) -> bool:
        """`interrupted`: Ctrl-C or SIGTERM came first."""


def run(
    settings: Settings | MeasureSettings,
    console: Console,
    finish: Finish,
    callbacks: Sequence[Callback] = (),
) -> int:
    """Plan, train and record what the settings ask for; the exit code.

    Raises `InputError`, for all that can be known by then before anything is trained.
    """
    with ExitStack() as held:
        with made_to_stay():
            held.callback(gc.unfreeze)  # a caller may live on
            folder = choose_folder(settings)
            check_engine(settings)
            with console.status("preparing the data set…"):
                plan = plan_of(settings)
            engine = held.enter_context(engine_of(plan, folder))
            record = open_record(plan, folder)
            held.callback(record.close)
        for line in filter(None, (plan.judge.read, plan.judge.few, plan.judge.fitted, plan.judge.card)):
            console.print(line, markup=False, soft_wrap=True)
        with unwritable(folder), record.unless_refused():
            interrupted = train(plan, engine, record, console, callbacks)
            found = finish(record, console, interrupted=interrupted)
    return 130 if interrupted else int(not found)


def train(
    plan: Plan | Measurement,
    engine: Engine,
    record: Record,
    console: Console,
    callbacks: Sequence[Callback] = (),
) -> bool:
    """Let the engine train what the controller decides; True where Ctrl-C or SIGTERM came first."""
    foreseen = foretold(plan, engine, record.trials(), console)
    pace = Pace(plan.time_limit, record.trials())
    progress = Progress(console, plan.title(record.folder), plan.trainings, plan.judge.epochs, pace, foreseen)
    progress.resumed(record.trials())
    agenda = Agenda(
        record,
        plan.branches(engine.latency, engine.workers),
        pace,
        seed=plan.settings.seed,
        epochs=plan.judge.epochs,
        confirm=plan.confirm,
    )
    controller = SearchController(agenda, progress, callbacks)
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


def plan_of(settings: Settings | MeasureSettings) -> Plan | Measurement:
    """What is going to be trained. Raises `InputError`."""
    with listed_once():  # the proxy is fitted to the images, then they are read
        return Plan.of(settings) if isinstance(settings, Settings) else Measurement.of(settings)


def check_engine(settings: Settings | MeasureSettings) -> None:
    """Refuse what `engine_of` would, as far as that can be known before a data set is read."""
    if settings.engine == "ray":
        from nas.engines.ray.cluster import check_usable

        check_usable(settings.ray_address)


@contextmanager
def engine_of(plan: Plan | Measurement, folder: Path) -> Iterator[Engine]:
    """The engine that settings ask for. Raises `InputError`."""
    settings, judge = plan.settings, plan.judge
    if settings.engine == "local":
        yield LocalEngine(judge.trainer)
        return
    from nas.engines.ray.engine import RayEngine  # imports ray, which not everybody has

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
