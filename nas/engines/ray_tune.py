"""The engine that runs jobs through Ray Tune: on this machine's cores and GPUs, or on a cluster's."""

from __future__ import annotations

import gc
import json
import logging
import os
import shutil
import signal
import socket
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from math import ceil, floor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas.result import TrialFailed
from space.errors import InputError, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from nas.engines.engine import Controller
    from nas.engines.ray_trial import Jobs
    from nas.job import Job, Trainer
    from space.architecture import Architecture
    from space.networks import Network

MISSING = "engine ray: needs ray; pip install 'convnext-nas[ray]'"
STEP = 1e-4  # the finest share of a resource that Ray knows
REACH_SECONDS = 5.0
# the client's connection preface and empty settings; the server's first frame is its settings, of type 4
# (RFC 9113, section 3.4): Ray speaks gRPC, which is HTTP/2
HTTP2_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
OBJECT_STORE = 100 * 2**20  # bytes; results travel without it, the trainer does not
# what Tune would do beside running trials, switched off; the record keeps a search, not Tune
TUNE_ENVIRONMENT = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "inf",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",  # the new output prints a table even where verbose is 0
    # Tune's handler would wait for the epochs under way; ours raises KeyboardInterrupt
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # relative paths of a data set hold in the workers, too
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


@dataclass(frozen=True)
class Share:
    """What one training gets of a node."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


@dataclass(frozen=True)
class Node:
    """What a node of the cluster has."""

    cpus: float
    gpus: float

    def fits(self, share: Share) -> int:
        """Trainings of this share that run here at once."""
        rooms = []
        if share.cpus:
            rooms.append(floor(self.cpus / share.cpus + STEP))
        if 0 < share.gpus < 1:  # a share lies on one GPU
            rooms.append(floor(self.gpus) * floor(1 / share.gpus + STEP))
        elif share.gpus:
            rooms.append(floor(self.gpus / share.gpus))
        return min(rooms)


def gpu_share(unit: float, need: int, memory: int) -> float:
    """GPUs for a training of `need` bytes: the smallest multiple of `unit` that holds it, at most 1.

    `memory` is one GPU's, in bytes. What no GPU holds gets a whole one, and fails there with its reason.
    """
    if unit >= 1:
        return unit
    units = max(1, ceil(need / memory / unit - STEP))
    return min(1.0, round(units * unit, 4))


def default_cpus(nodes: Sequence[Node], gpus: float) -> float:
    """CPUs of a training: one without GPUs, else its share of those that each GPU of a node comes with."""
    shares = [node.cpus / node.gpus for node in nodes if node.gpus]
    if not gpus or not shares:
        return 1.0
    return max(STEP, floor(min(shares) * gpus * 100) / 100)


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
        need: Callable[[Network], int] | None = None,
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
        """Jobs that run at once, at most."""
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
            with suppress(Exception):
                ray.kill(self._meter)
            self._meter = None
        if self._connected:
            self._connected = False
            ray.shutdown()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)

    def run(self, controller: Controller) -> None:
        """Train until the controller is over; what it raises passes through, as `KeyboardInterrupt` does."""
        from nas.engines.ray_trial import Jobs, RunEnded

        jobs = Jobs(controller)
        stopped: BaseException | None = None
        with tune_settings():
            try:
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

        from nas.engines.ray_trial import JobSearcher, JobTrainable, PatientScheduler, Reporter

        searcher: Searcher = JobSearcher(jobs, self._describe)
        trainable = tune.with_parameters(JobTrainable, trainer=self._trainer)
        tuner = tune.Tuner(
            tune.with_resources(trainable, resources_of),
            tune_config=tune.TuneConfig(
                search_alg=searcher,
                scheduler=PatientScheduler(),
                num_samples=-1,
                max_concurrent_trials=self._workers,
                reuse_actors=True,
                trial_name_creator=lambda trial: f"trial-{trial.config['trial']}-{trial.trial_id}",
                trial_dirname_creator=str,
            ),
            run_config=tune.RunConfig(
                name="tune",
                storage_path=str(self._folder.absolute()),
                callbacks=[Reporter(jobs, own=self._own)],
                failure_config=tune.FailureConfig(max_failures=0),
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

    def _share_of(self, network: Network) -> Share:
        """The resources of a network's training."""
        if self._need is None or self._gpu_memory is None or not self._share.gpus:
            return self._share
        gpus = gpu_share(self._share.gpus, self._need(network), self._gpu_memory)
        cpus = self._share.cpus
        if self._cpus_per_gpu is not None:
            cpus = floor(self._cpus_per_gpu * gpus * 100 + STEP) / 100
        return Share(cpus, gpus)

    def _make_meter(self) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from nas.engines.ray_trial import LatencyMeter

        options: dict[str, Any] = {"num_cpus": 0, "num_gpus": 0}
        if self._share.gpus:
            node = next(n["NodeID"] for n in alive_nodes() if n["Resources"].get("GPU"))
            options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node, soft=False)
            # else Ray hides the GPUs from who asks for none
            options["runtime_env"] = {"env_vars": {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}}
        return ray.remote(LatencyMeter).options(**options).remote(self._trainer, self._share.cpus)


def resources_of(config: dict[str, Any]) -> Any:
    """What a trial asks of Ray. Tune reuses a worker for a trial that asks for the same."""
    return placement(config["cpus"], config["gpus"])


@cache
def placement(cpus: float, gpus: float) -> Any:
    """Ray's own value for these resources; one for all trials, which keep theirs."""
    from ray.tune import PlacementGroupFactory

    return PlacementGroupFactory([{"CPU": cpus, "GPU": gpus}])


def check_shares(cpus: float | None, gpus: float, workers: int | None) -> None:
    """Raises `InputError` where no machine could ever give this."""
    if cpus is not None and not cpus > 0:
        raise InputError(f"engine ray: CPUs per trial must be more than 0, not {cpus:g}")
    if gpus < 0 or 0 < gpus < STEP or (gpus > 1 and gpus != int(gpus)):
        raise InputError(
            f"engine ray: GPUs per trial must be 0 to 1, or a whole number, not {gpus:g}; "
            f"Ray's finest share is {STEP:g}"
        )
    if workers is not None and workers < 1:
        raise InputError(f"engine ray: workers must be 1 or more, not {workers}")


def check_fits(nodes: Sequence[Node], share: Share) -> None:
    """Raises `InputError` where no node can hold one training."""
    if any(node.fits(share) for node in nodes):
        return
    best = max(nodes, key=lambda node: (node.gpus, node.cpus), default=Node(0, 0))
    raise InputError(
        f"engine ray: a trial asks for {share}; no node has that, the largest of {len(nodes)} has "
        f"{best.cpus:g} CPUs and {best.gpus:g} GPUs"
    )


def check_address(address: str) -> tuple[str, int] | None:
    """Host and port of a cluster, None for `auto`. Raises `InputError`."""
    if address == "auto":
        return None
    host, _, port = address.rpartition(":")
    if "://" in address or not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
        raise InputError(
            f"engine ray: the address of a Ray cluster is HOST:PORT or auto, not {quoted(address)}"
        )
    return host.strip("[]"), int(port)


def check_reachable(address: str) -> None:
    """Raises `InputError` where no server of Ray's kind answers: Ray itself tries without end."""
    place = check_address(address)
    if place is None:
        return
    try:
        with socket.create_connection(place, timeout=REACH_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") != "0":
                return
            connection.sendall(HTTP2_HELLO)
            answer = connection.recv(4)
    except (OSError, OverflowError, UnicodeError) as error:  # a host that is no name
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"engine ray: no Ray cluster at {address}: {reason}") from None
    if answer[3:4] != b"\4":
        raise InputError(f"engine ray: no Ray cluster at {address}: what listens there is something else")


def alive_nodes() -> list[dict[str, Any]]:
    """The cluster's nodes, as Ray describes them."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def cluster_nodes() -> list[Node]:
    """What every node of the cluster has."""
    return [Node(n["Resources"].get("CPU", 0.0), n["Resources"].get("GPU", 0.0)) for n in alive_nodes()]


def session_folder() -> Path | None:
    """A folder for a local Ray's sockets and logs; None, Ray's default, where its path would be too long."""
    if len(tempfile.gettempdir()) > 30:  # a socket's path has 107 bytes, of which Ray takes some 70
        return None
    return Path(tempfile.mkdtemp(prefix="ray-"))


@contextmanager
def importable_workers() -> Iterator[None]:
    """Workers of a local Ray find this package where it is not installed, too."""
    root, before = str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = root if before is None else os.pathsep.join((before, root))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@contextmanager
def reachable(*, from_outside: bool) -> Iterator[None]:
    """A Ray that starts meanwhile listens on 127.0.0.1 alone unless it is to be reached `from_outside`.

    On Linux it would listen on all interfaces, and whoever reaches it runs code as this user. This is Ray's
    own switch, read when it is imported (services.py of Ray 2.60); an address of 127.0.0.1 it replaces.
    """
    from ray._private import ray_constants

    variable, before = ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, ray_constants.ENABLE_RAY_CLUSTER
    given = os.environ.get(variable)
    if not from_outside:
        os.environ[variable] = "0"  # for the processes that it starts
        ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        os.environ.pop(variable, None)
        if given is not None:
            os.environ[variable] = given


@contextmanager
def own_handlers() -> Iterator[None]:
    """Ray and Tune set handlers of signals; those that were there are put back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextmanager
def tune_settings() -> Iterator[None]:
    """Tune's settings while it runs."""
    before = {name: os.environ.get(name) for name in TUNE_ENVIRONMENT}
    os.environ.update(TUNE_ENVIRONMENT)
    loggers = [logging.getLogger("ray.tune"), logging.getLogger("ray.train")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with own_handlers():
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
