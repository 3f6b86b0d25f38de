"""Jobs as Ray Tune sees them: a searcher hands them out, a trainable trains one, a callback tells of it.

Imports ray; `nas.engines.ray.engine` imports this once an engine is made.
"""

# ruff: noqa: ARG002 - the arguments of methods that Tune calls are its own

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.tune.progress_reporter import TrialProgressCallback
from ray.tune.schedulers import FIFOScheduler
from ray.tune.search import Searcher

from nas.engines.job import Job
from nas.engines.ray.cluster import alive_nodes
from nas.engines.ray.jobs import Jobs, RunEnded, actor_id
from space.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ray.tune.experiment import Trial


# between looks at whether the search's own Ray is still there
LOOK_SECONDS = 5.0
GONE = "engine ray: the Ray of this search has died; --resume goes on with what it was training"
START_SECONDS = 20.0  # a worker that takes longer to start has no place to start at


class JobSearcher(Searcher):
    """Hands Tune the controller's jobs. `describe` makes the config of a job's trial."""

    def __init__(self, jobs: Jobs, describe: Callable[[Job], dict[str, Any]]) -> None:
        super().__init__()
        self._jobs = jobs
        self._describe = describe

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune keeps itself as a file, for a restore that is never asked for

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """The config of a new trial; None: not now; FINISHED: never again."""
        job = self._jobs.next(trial_id)
        if job is not None:
            return self._describe(job)
        return Searcher.FINISHED if self._jobs.over else None

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: `Reporter` is told more."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study's record is what a search goes on from."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: see `save`."""

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Nothing: see `save`."""


class PatientScheduler(FIFOScheduler):
    """First in, first out, and workers that start are let start.

    Tune gives the worker of a trial that ends to one whose own worker is starting, and ends that one: where
    jobs are shorter than a start, no second worker would ever come up. So a worker's first job that ends
    while others start holds on to it until they have, or `START_SECONDS` have passed.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._patient: set[str] = set()  # workers that have waited
        self._waiting: dict[Trial, float] = {}  # trials that are over, until when they wait at most

    def on_trial_result(self, controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Stop a trial that is over, or have it wait."""
        if not result["over"]:
            return str(self.CONTINUE)
        worker = actor_id(trial.temporary_state.ray_actor)
        if worker in self._patient or not self._starting(controller):
            return str(self.STOP)
        self._patient.add(worker)
        self._waiting[trial] = time.monotonic() + START_SECONDS
        return str(self.NOOP)

    def choose_trial_to_run(self, controller: Any) -> None:
        """None: Tune starts pending trials in their order; FIFO's search for one goes over all there were."""
        late = not self._waiting or self._starting(controller)
        for trial, until in list(self._waiting.items()):
            if not late or time.monotonic() > until:
                del self._waiting[trial]
                controller.stop_trial(trial)

    def on_trial_error(self, controller: Any, trial: Trial) -> None:
        """A worker lost while it waits has nothing to lose."""
        self._waiting.pop(trial, None)

    def _starting(self, controller: Any) -> bool:
        return any(trial.status == trial.PENDING for trial in controller.get_live_trials())


class Reporter(TrialProgressCallback):
    """Tells the controller what Tune's trials do, in place of Tune's callback, which prints it.

    `own`: the Ray is the search's own, and no machine will come in place of the one it has.
    """

    def __init__(self, jobs: Jobs, own: bool) -> None:
        super().__init__()
        self._jobs = jobs
        self._own = own
        self._look = time.monotonic() + LOOK_SECONDS

    def __getstate__(self) -> dict[str, Any]:
        return {}  # see `JobSearcher`

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Without its machine Tune would wait for ever."""
        if not self._own or time.monotonic() < self._look:
            return
        self._look = time.monotonic() + LOOK_SECONDS
        if not alive_nodes():
            raise RunEnded from InputError(GONE)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A worker, fresh or from an earlier job, is the trial's."""
        self._jobs.started(trial.trial_id, trial.temporary_state.ray_actor)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A step has ended. The result is emptied: of what it keeps of each, Tune's memory would grow."""
        epochs, outcome = result["epochs"], result["outcome"]
        result.clear()
        self._jobs.progress(trial.trial_id, epochs, outcome)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial is over; Tune keeps it, and need not keep the job with it."""
        trial.config, trial.evaluated_params = {}, {}

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """The trial's worker raised an exception or was lost."""
        text = Path(trial.error_file).read_text(encoding="utf-8", errors="replace")
        self._jobs.failed(trial.trial_id, text)
