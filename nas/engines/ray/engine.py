"""The engine that runs jobs through Ray Tune: on this machine's cores and GPUs, or on a cluster's."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
from contextlib import suppress
from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.engines.ray.cluster import (
    MISSING,
    OBJECT_STORE,
    alive_nodes,
    check_reachable,
    cluster_nodes,
    importable_workers,
    own_handlers,
    reachable,
    session_folder,
    tune_settings,
)
from nas.engines.ray.resources import (
    STEP,
    Share,
    check_fits,
    check_shares,
    default_cpus,
    gpu_share,
    resources_of,
)
from nas.training.result import TrialFailed
from space.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from nas.engines.engine import Controller
    from nas.engines.job import Job, Trainer
    from nas.engines.ray.jobs import Jobs
    from space.architecture import Architecture
    from space.networks import Recorded


class RayEngine:
    """Trains jobs on a local Ray, or on the cluster at `address`.

    `folder` holds Tune's own files under `.ray` while a search runs. `need(architecture)`, bytes of GPU
    memory, and `gpu_memory`, bytes of one GPU, give larger networks a larger share of a GPU. Raises
    `InputError`: ray is missing, the cluster cannot be reached, no node can hold a training.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        folder: Path,
        cpus_per_trial: float | None = None,
        gpus_per_trial: float = 0.0,
        workers: int | None = None,
        address: str | None = None,
        need: Callable[[Recorded], int] | None = None,
        gpu_memory: int | None = None,
    ) -> None:
        check_shares(cpus_per_trial, gpus_per_trial, workers)
        self._trainer = trainer
        self._folder = folder / ".ray"
        self._need = need
        self._gpu_memory = gpu_memory
        self._meter: Any = None
        self._temporary: Path | None = None
        self._connected = self._connect(address)
        self._own = self._connected and address is None
        try:
            nodes = cluster_nodes()
            self._cpus_per_gpu = None
            if cpus_per_trial is None and gpus_per_trial:
                self._cpus_per_gpu = default_cpus(nodes, gpus_per_trial) / gpus_per_trial
            cpus = default_cpus(nodes, gpus_per_trial) if cpus_per_trial is None else cpus_per_trial
            self._share = Share(cpus, gpus_per_trial)
            self._workers = workers or sum(node.fits(self._share) for node in nodes)
            check_fits(nodes, self._share)
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        return self._workers

    def __enter__(self) -> RayEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the Ray that this engine started, or leave the cluster that it joined."""
        import ray

        if self._meter is not None:
            with suppress(Exception):  # where Ray itself is gone there is nothing to stop
                ray.kill(self._meter)
            self._meter = None
        if self._connected:
            self._connected = False
            ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def run(self, controller: Controller) -> None:
        """Train until the controller is over; what it raises passes through, as `KeyboardInterrupt` does."""
        from nas.engines.ray.jobs import Jobs, RunEnded

        jobs = Jobs(controller)
        stopped: BaseException | None = None
        with tune_settings():
            try:
                # again after Tune has broken off: what was running is handed out anew
                while not jobs.over:
                    self._fit(jobs)
            except RunEnded as error:
                stopped = error.__cause__
            except KeyboardInterrupt:
                stopped = KeyboardInterrupt()
            finally:
                jobs.stop()
                # what Tune left behind: an unfinished run's placement groups go, with the workers in them
                gc.collect()
        if stopped is not None:
            raise stopped
        shutil.rmtree(self._folder, ignore_errors=True)

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one 224x224 image, beside the trainings that run there.

        Measured by a process of its own that holds no resources: it never waits for a training to end.
        Raises `TrialFailed`.
        """
        import ray

        if self._meter is None:
            self._meter = self._make_meter()
        measured = ray.get(self._meter.latency.remote(architecture.to_dict()))
        if isinstance(measured, str):
            raise TrialFailed(measured)
        return float(measured)

    def _connect(self, address: str | None) -> bool:
        """Start or join a Ray; False where this process has one already."""
        try:
            import ray
            import ray.tune  # ray without its extra has no tune
        except ImportError:
            raise InputError(MISSING) from None
        if ray.is_initialized():
            return False
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # silences a notice about the future
        quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        logging.getLogger("ray").setLevel(logging.ERROR)
        if address is not None:
            check_reachable(address)
        else:
            self._temporary = session_folder()
            quiet |= {"include_dashboard": False, "object_store_memory": OBJECT_STORE}
            if self._temporary is not None:
                quiet["_temp_dir"] = str(self._temporary)
        try:
            with importable_workers(), own_handlers(), reachable(from_outside=address is not None):
                ray.init(address=address or "local", **quiet)
        except Exception as error:  # ray has no class for these
            doing = "Ray does not start" if address is None else f"no Ray cluster at {address}"
            raise InputError(f"engine ray: {doing}: {str(error).strip() or type(error).__name__}") from None
        return True

    def _fit(self, jobs: Jobs) -> None:
        """Run Tune over the jobs, until they are over or Tune breaks off over a worker's end."""
        from ray import tune
        from ray.exceptions import RayError
        from ray.tune.search import Searcher

        from nas.engines.ray.tune import JobSearcher, PatientScheduler, Reporter
        from nas.engines.ray.worker import JobTrainable

        searcher: Searcher = JobSearcher(jobs, self._describe)
        trainable = tune.with_parameters(JobTrainable, trainer=self._trainer)
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources_of),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=PatientScheduler(),
                # as many as the searcher has jobs
                num_samples=-1,
                max_concurrent_trials=self._workers,
                # a worker starts once, with torch and the data, and goes from job to job
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial-{trial.config['trial']}-{trial.trial_id}",
                trial_dirname_creator=str,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self._folder.absolute()),
                callbacks=[Reporter(jobs, own=self._own)],
                # `Jobs` decides what is tried again
                failure_config=tune.FailureConfig(max_failures=0),
                # trainings keep their own state
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                verbose=0,
            ),
        )
        stopped: RayError | None = None
        try:
            tuner.fit()
        except RuntimeError as error:
            # Tune knows workers that raise or die; one killed for memory breaks it off (Ray 2.60)
            if not isinstance(error.__cause__, RayError):
                raise
            stopped = error.__cause__
            jobs.stop()
        jobs.broken_off(stopped)

    def _describe(self, job: Job) -> dict[str, Any]:
        """The config of the job's trial."""
        share = self._share_of(job.architecture)
        plain = job.to_dict()
        if job.checkpoint is not None:
            plain["checkpoint"] = str(job.checkpoint.absolute())
        return {"job": json.dumps(plain), "trial": job.trial, "cpus": share.cpus, "gpus": share.gpus}

    def _share_of(self, network: Recorded) -> Share:
        """The resources of a network's training."""
        if self._need is None or self._gpu_memory is None or not self._share.gpus:
            return self._share
        gpus = gpu_share(self._share.gpus, self._need(network), self._gpu_memory)
        cpus = self._share.cpus
        if self._cpus_per_gpu is not None:
            # down to hundredths, as `default_cpus`: rounded up, the last training on a node would not fit
            cpus = floor(self._cpus_per_gpu * gpus * 100 + STEP) / 100
        return Share(cpus, gpus)

    def _make_meter(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from nas.engines.ray.worker import LatencyMeter

        options: dict[str, Any] = {"num_cpus": 0, "num_gpus": 0}
        if self._share.gpus:
            # it asks for nothing, so Ray could put it on a node without a GPU
            node = next(n["NodeID"] for n in alive_nodes() if n["Resources"].get("GPU"))
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
            # else Ray hides the GPUs from who asks for none
            options["runtime_env"] = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}
        return ray.remote(LatencyMeter).options(**options).remote(self._trainer, self._share.cpus)
