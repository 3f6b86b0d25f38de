"""The Ray engine on a real Ray of this machine: jobs, order, losses, interrupts, several nodes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nas
from nas.engines.job import Job
from nas.engines.ray.cluster import importable_workers
from nas.engines.ray.engine import RayEngine
from nas.engines.ray.resources import Node, Share, default_cpus, gpu_share
from nas.training.result import Epoch, Result, TrialFailed
from space.errors import InputError
from space.families import named

ray = pytest.importorskip("ray")

ROOT = Path(__file__).parents[3]
NETWORK = named("convnext_tiny")
DRIVER = os.getpid()


@dataclass
class FakeTraining:
    """Epochs that take `seconds`, kept in the job's checkpoint; the job's label is what happens to it."""

    job: Job
    seconds: float
    curve: list[Epoch] = field(default_factory=list)

    def __post_init__(self):
        if self.job.checkpoint is not None and self.job.checkpoint.exists():
            self.curve = [Epoch(**point) for point in json.loads(self.job.checkpoint.read_text())]

    def epoch(self):
        number = len(self.curve) + 1
        time.sleep(self.seconds)
        if number == 2:
            self.happen()
        self.curve.append(Epoch(number, 1.0, 1.0, number / 10, self.seconds))
        if self.job.checkpoint is not None:
            self.job.checkpoint.write_text(json.dumps([asdict(point) for point in self.curve]))
        return self.curve[-1]

    def happen(self):
        what = self.job.label
        if what == "diverges":
            raise TrialFailed("loss is not finite")
        if what == "bug":
            raise KeyError("a bug\nof two lines")
        if what == "eats":
            eaten = [b"x" * 2**26 for _ in range(128)]
            time.sleep(20)
            raise MemoryError(len(eaten))
        if what == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "dies once" and not (gone := self.job.checkpoint.with_suffix(".gone")).exists():
            gone.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def result(self):
        threads = int(os.environ["OMP_NUM_THREADS"])
        if self.job.label == "torch":
            import torch

            threads = torch.get_num_threads()
        return Result(
            accuracy=self.curve[-1].val_accuracy,
            epochs=len(self.curve),
            curve=tuple(asdict(point) for point in self.curve),
            train_seconds=float(threads),
            eval_seconds=0.0,
            images_per_second=1.0,
            seed=self.job.seed,
            precision="fp32",
            device=f"{os.getpid()} {ray.get_runtime_context().get_node_id()}",
        )


@dataclass
class FakeTrainer:
    """Trains nothing."""

    seconds: float = 0.0
    epochs: int = 3

    def start(self, job):
        return FakeTraining(job, self.seconds)

    def latency(self, architecture):
        return float(len(architecture.stages))


class FakeController:
    """Hands out the jobs in their order and keeps every call; cannot be pickled, as a record cannot."""

    def __init__(self, jobs):
        self.left = list(jobs)
        self.calls = []
        self.lock = threading.Lock()
        self.thread = threading.get_ident()

    def note(self, *call):
        assert threading.get_ident() == self.thread
        self.calls.append(call)

    def next(self):
        job = self.left.pop(0) if self.left else None
        self.note("next", None if job is None else job.trial)
        return job

    @property
    def over(self):
        return not self.left

    def started(self, job):
        self.note("started", job.trial)

    def epoch(self, job, point):
        self.note("epoch", job.trial, point.epoch)

    def done(self, job, result):
        self.note("done", job.trial, result)

    def failed(self, job, reason, *, unexpected=False):
        assert unexpected == reason.startswith("KeyError")
        self.note("failed", job.trial, reason)

    def of(self, kind):
        return [call[1:] for call in self.calls if call[0] == kind]


def jobs(count, folder=None):
    kept = [None if folder is None else folder / f"{i}.json" for i in range(count)]
    return [Job(i, NETWORK, seed=i, epochs=3, checkpoint=kept[i]) for i in range(count)]


@pytest.fixture(scope="module")
def local_ray():
    """One Ray for the module; engines use it and leave it running."""
    os.environ["PYTHONPATH"] = str(ROOT)
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers need not import pytest
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def run(local_ray, tmp_path):
    """Runs jobs, and returns the controller."""

    def run_jobs(given, seconds=0.0, workers=1, controller=FakeController, **options):
        made = controller(given)
        with RayEngine(FakeTrainer(seconds), folder=tmp_path, workers=workers, **options) as engine:
            engine.run(made)
        return made

    return run_jobs


def test_one_worker_keeps_the_local_engines_order(run, tmp_path):
    found = run([replace(job, label="torch") for job in jobs(4)])
    expected = []
    for i in range(4):
        expected += [("next", i), ("started", i), *(("epoch", i, e) for e in (1, 2, 3)), ("done", i)]
    calls = [call[:2] if call[0] == "done" else call for call in found.calls]
    assert calls[: len(expected)] == expected
    assert set(calls[len(expected) :]) <= {("next", None)}
    results = [result for _, result in found.of("done")]
    assert [result.seed for result in results] == [0, 1, 2, 3]
    assert all([p["epoch"] for p in result.curve] == [1, 2, 3] for result in results)
    assert len({result.device for result in results}) == 1  # one worker went from job to job
    assert {result.train_seconds for result in results} == {1.0}  # with one thread
    assert not (tmp_path / ".ray").exists()


def test_two_workers_train_at_once(run):
    found = run(jobs(8), seconds=0.25, workers=2)
    assert sorted(i for i, _ in found.of("done")) == list(range(8))
    assert Counter(i for i, _ in found.of("epoch")) == dict.fromkeys(range(8), 3)
    assert min(Counter(result.device for _, result in found.of("done")).values()) >= 2
    running, most = set(), 0
    for call in found.calls:
        if call[0] == "started":
            running.add(call[1])
        elif call[0] == "done":
            running.remove(call[1])
        most = max(most, len(running))
    assert most == 2


class Rungs(FakeController):
    """Has no more jobs until both of the first have ended, as a synchronous rung has."""

    def next(self):
        if len(self.left) == 2 and len(self.of("done")) < 2:
            self.note("next", None)
            return None
        return super().next()


def test_a_controller_without_a_job_is_asked_again_when_one_ends(run):
    given = jobs(4)
    found = run([replace(given[0], epochs=1), replace(given[1], epochs=9), *given[2:]], 0.05, 2, Rungs)
    assert sorted(i for i, _ in found.of("done")) == [0, 1, 2, 3]
    # one answer of None holds until a job ends: both ends of the first, and the last ones
    assert found.of("next").count((None,)) <= 4


def test_a_search_that_is_over_starts_nothing(run):
    assert run([]).of("started") == []


@pytest.mark.slow
def test_a_lost_worker_goes_on_from_its_checkpoint(run, tmp_path):
    given = jobs(2, tmp_path)
    found = run([given[0], replace(given[1], label="dies once")])
    assert found.of("started") == [(0,), (1,), (1,)]
    assert found.of("epoch") == [(i, e) for i in range(2) for e in (1, 2, 3)]
    (first, before), (second, after) = found.of("done")
    assert (first, second) == (0, 1)
    assert before.device != after.device


def test_an_epoch_whose_news_was_lost_is_told(run, tmp_path):
    job = jobs(1, tmp_path)[0]
    kept = FakeTraining(job, 0.0)
    kept.epoch()
    kept.epoch()
    found = run([job])
    assert found.of("epoch") == [(0, 1), (0, 2), (0, 3)]
    kept.curve = [Epoch(**p) for p in json.loads(job.checkpoint.read_text())]
    assert len(kept.curve) == 3
    found = run([job])  # done before, as its checkpoint says
    assert [len(result.curve) for _, result in found.of("done")] == [3]


def test_a_failed_training_is_a_result_and_a_bug_a_failure(run):
    given = jobs(3)
    found = run([replace(given[0], label="diverges"), replace(given[1], label="bug"), given[2]])
    assert found.of("started") == [(0,), (1,), (2,)]
    assert found.of("failed")[0] == (0, "loss is not finite")
    trial, reason = found.of("failed")[1]
    assert trial == 1
    assert reason == "KeyError: 'a bug\\nof two lines'"
    assert [i for i, _ in found.of("done")] == [2]


@pytest.mark.slow
def test_a_job_that_always_loses_its_worker_fails(run):
    given = jobs(2)
    found = run([replace(given[0], label="dies"), given[1]])
    assert found.of("started") == [(0,)] * 4 + [(1,)]
    [(trial, reason)] = found.of("failed")
    assert trial == 0
    assert reason.startswith("worker lost 4 times: ")
    assert "\n" not in reason
    assert [i for i, _ in found.of("done")] == [1]


class Refusing(FakeController):
    def done(self, job, result):
        raise InputError("study.db: cannot be written")


def test_what_a_controller_raises_comes_out(run):
    with pytest.raises(InputError, match=r"^study\.db: cannot be written$"):
        run(jobs(3), controller=Refusing)
    assert run(jobs(1)).of("done")  # the workers are gone, and there is room for others


class Interrupted(FakeController):
    def epoch(self, job, point):
        super().epoch(job, point)
        if len(self.of("epoch")) == 2:
            os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_ends_the_run_and_its_workers(run):
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run(jobs(4), seconds=1.0, workers=2, controller=Interrupted)
    until = time.monotonic() + 10
    while ray.available_resources().get("CPU") != 2.0 and time.monotonic() < until:
        time.sleep(0.1)
    assert ray.available_resources().get("CPU") == 2.0
    assert time.monotonic() - began < 40
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def by_depth(network, budget):
    """An objective of a user's; the driver would be told by its value."""
    return (1 + (os.getpid() == DRIVER)) / (4 * sum(stage.depth for stage in network.stages))


def test_an_objective_of_a_user_s_own_judges_in_the_workers(local_ray, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    share = 0.5

    def closure(network, budget):
        return share * by_depth(network, budget)

    study = nas.search(
        "20M..40M", space="micro", objective=closure, engine="ray", workers=2, trials=2,
        reference="none", sampler="random", study="own", quiet=True,
    )  # fmt: skip
    for row in study.trials:
        depth = sum(stage.depth for stage in study.network(row["trial"]).stages)
        assert row["accuracy"] == pytest.approx(share / (4 * depth))
    assert study.pick is not None


def test_latency_is_measured_by_a_process_of_its_own(local_ray, tmp_path):
    class Asking(FakeController):
        def next(self):
            if self.of("done"):  # every CPU is taken now
                self.note("latency", engine.latency(NETWORK))
            return super().next()

    with RayEngine(FakeTrainer(), folder=tmp_path, workers=2) as engine:
        assert engine.workers == 2
        found = Asking(jobs(3))
        engine.run(found)
    assert found.of("latency")[0] == (4.0,)


def test_what_does_not_fit_is_said(local_ray, tmp_path):
    said = "a trial asks for 3 CPUs and 0 GPUs; no node has that, the largest of 1 has 2 CPUs and 0 GPUs"
    with pytest.raises(InputError, match=said):
        RayEngine(FakeTrainer(), folder=tmp_path, cpus_per_trial=3)
    with pytest.raises(InputError, match=r"asks for 1 CPUs and 0\.5 GPUs; no node has that"):
        RayEngine(FakeTrainer(), folder=tmp_path, gpus_per_trial=0.5)
    with RayEngine(FakeTrainer(), folder=tmp_path, cpus_per_trial=2) as engine:
        assert engine.workers == 1


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"gpus_per_trial": 1.5}, "0 to 1, or a whole number, not 1.5"),
        ({"gpus_per_trial": -1}, "not -1"),
        ({"cpus_per_trial": 0}, "more than 0, not 0"),
        ({"workers": 0}, "1 or more, not 0"),
    ],
)
def test_settings_that_no_machine_has(options, said, tmp_path):
    with pytest.raises(InputError, match=said):
        RayEngine(FakeTrainer(), folder=tmp_path, **options)


def test_gpu_share_examples():
    assert gpu_share(0.25, 1, 16) == 0.25
    assert gpu_share(0.25, 4, 16) == 0.25
    assert gpu_share(0.25, 5, 16) == 0.5
    assert gpu_share(0.3, 11, 12) == 1.0  # four thirds of 0.3 are more than one GPU
    assert gpu_share(0.5, 99, 16) == 1.0
    assert gpu_share(2, 99, 16) == 2


@given(st.floats(0.01, 1), st.integers(0, 2**40), st.integers(2**20, 2**38))
def test_gpu_share_is_the_smallest_multiple_that_holds_it(unit, need, memory):
    share = gpu_share(unit, need, memory)
    assert min(unit, round(unit, 4)) <= share <= 1 or share == pytest.approx(unit, abs=1e-4)
    assert share == 1 or share == pytest.approx(round(share / unit) * unit, abs=1e-4)
    assert share == 1 or share * memory >= need * 0.99 - unit * memory * 1e-3
    units = round(share / unit)
    assert units == 1 or (units - 1) * unit * memory < need


def test_what_fits_on_a_node():
    assert Node(8, 0).fits(Share(1, 0)) == 8
    assert Node(8, 2).fits(Share(2, 0.5)) == 4
    assert Node(8, 2).fits(Share(1, 0.3)) == 6  # three to a GPU: a share lies on one
    assert Node(8, 4).fits(Share(1, 2)) == 2
    assert Node(1, 0).fits(Share(0.1, 0)) == 10
    assert Node(8, 0).fits(Share(1, 0.5)) == 0


def test_cpus_by_default():
    assert default_cpus([Node(8, 0)], 0) == 1
    assert default_cpus([Node(16, 4), Node(4, 0)], 0.5) == 2
    assert default_cpus([Node(3, 2)], 0.5) == 0.75
    assert Node(3, 2).fits(Share(0.75, 0.5)) == 4


def python(code, **options):
    """A process of its own: it starts and stops a Ray, which this one must not."""
    preamble = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom tests.nas.engines.test_ray import *\n"
    preamble += "ray.cloudpickle.register_pickle_by_value(sys.modules['tests.nas.engines.test_ray'])\n"
    code = preamble + textwrap.dedent(code)
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "cwd": ROOT}
    return subprocess.Popen([sys.executable, "-c", code], **piped, **options)


def test_workers_of_a_local_ray_find_the_packages(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    with importable_workers():
        *others, root = os.environ["PYTHONPATH"].split(os.pathsep)
    assert all((Path(root) / package / "__init__.py").exists() for package in ("nas", "space"))
    assert others == ["elsewhere"] and os.environ["PYTHONPATH"] == "elsewhere"


def test_ray_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"^engine ray: needs ray; pip install 'convnext-nas\[ray\]'$"):
        RayEngine(FakeTrainer(), folder=tmp_path)


def test_no_cluster_there(tmp_path):
    code = f"""
        import socket

        other = socket.create_server(("127.0.0.1", 0))  # listens, and never answers
        silent = "127.0.0.1:%d" % other.getsockname()[1]
        for address in ("127.0.0.1:1", silent, "nonsense", "ray://127.0.0.1:10001"):
            began = time.monotonic()
            try:
                RayEngine(FakeTrainer(), folder=Path({str(tmp_path)!r}), address=address)
            except InputError as error:
                print(str(error).replace(silent, 'silent'), time.monotonic() - began < 10)
    """
    printed, errors = python(code).communicate(timeout=200)
    assert errors == ""
    assert printed.splitlines() == [
        "engine ray: no Ray cluster at 127.0.0.1:1: Connection refused True",
        "engine ray: no Ray cluster at silent: timed out True",
        "engine ray: the address of a Ray cluster is HOST:PORT or auto, not 'nonsense' True",
        "engine ray: the address of a Ray cluster is HOST:PORT or auto, not 'ray://127.0.0.1:10001' True",
    ]


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_killed_driver_leaves_no_workers(tmp_path):
    code = f"""
        class Telling(FakeController):
            def epoch(self, job, point):
                import psutil
                for p in psutil.Process().children(recursive=True):
                    print(p.pid, " ".join(p.cmdline()).split()[0])
                print(flush=True)

        with RayEngine(FakeTrainer(0.5), folder=Path({str(tmp_path)!r}), workers=1) as engine:
            engine.run(Telling(jobs(100)))
    """
    driver = python(code, start_new_session=True)
    started = {}
    while line := driver.stdout.readline().strip():
        pid, name = line.split()
        started[int(pid)] = name
    driver.kill()
    driver.wait()
    workers = [pid for pid, name in started.items() if name.startswith("ray::") and "Agent" not in name]
    assert workers
    until = time.monotonic() + 30
    while any(map(alive, workers)) and time.monotonic() < until:
        time.sleep(0.2)
    left = list(filter(alive, workers))
    for pid in filter(alive, started):  # Ray's own agents take longer to notice
        os.kill(pid, signal.SIGKILL)
    assert left == []


@pytest.mark.slow
def test_a_local_ray_is_quiet_and_ends(tmp_path):
    code = f"""
        with RayEngine(FakeTrainer(0.2), folder=Path({str(tmp_path)!r}), workers=1) as engine:
            engine.run(FakeController(jobs(2)))
            (node,) = ray.nodes()
            print("at", node["NodeManagerAddress"], outside_reaches(node["NodeManagerPort"]))
        print("over", ray.is_initialized())
    """
    process = python(code, env={**os.environ, "TMPDIR": "/tmp"})
    printed, errors = process.communicate(timeout=300)
    assert (printed, errors) == ("at 127.0.0.1 False\nover False\n", "")


def outside_reaches(port):
    """Whether a port is open at another address of this machine than 127.0.0.1."""
    for number in range(2, 5):  # all of 127/8 is this machine, and only 127.0.0.1 is what Ray was told
        with contextlib.suppress(OSError), socket.create_connection((f"127.0.0.{number}", port), timeout=5):
            return True
    return False


@pytest.mark.slow
def test_a_worker_out_of_memory_fails_and_takes_no_other_job_with_it(tmp_path):
    import psutil

    memory = psutil.virtual_memory()
    if memory.available < 14 * 2**30:
        pytest.skip("needs 14 GB of free memory")
    limit = (memory.total - memory.available + 5.5 * 2**30) / memory.total
    code = f"""
        folder = Path({str(tmp_path)!r})
        given = jobs(4, folder)
        given[1] = replace(given[1], label="eats")
        with RayEngine(FakeTrainer(0.3), folder=folder, cpus_per_trial=0.5, workers=2) as engine:
            found = FakeController(given)
            engine.run(found)
        print(json.dumps([found.of("failed"), [i for i, _ in found.of("done")], found.of("epoch")]))
    """
    # the system takes a moment to clear what the worker had: looking sooner, Ray kills another one for it
    watched = {"RAY_memory_usage_threshold": f"{limit:.4f}", "RAY_memory_monitor_refresh_ms": "1000"}
    printed, errors = python(code, env={**os.environ, **watched}).communicate(timeout=400)
    failed, done, epochs = told_by(printed, errors)
    assert len(failed) == 1, failed
    [(trial, reason)] = failed
    assert trial == 1
    assert reason.startswith("out of memory: ")
    assert sorted(done) == [0, 2, 3]
    assert Counter(i for i, _ in epochs) == {0: 3, 1: 1, 2: 3, 3: 3}


def told_by(printed, errors):
    """What a process printed as JSON; Ray may print its own words after it."""
    for line in reversed(printed.splitlines()):
        with contextlib.suppress(ValueError):
            return json.loads(line)
    return pytest.fail(printed + errors)


@pytest.mark.slow
def test_nodes_share_the_work_and_one_may_leave(tmp_path):
    code = f"""
        from ray.cluster_utils import Cluster

        cluster = Cluster()
        cluster.add_node(num_cpus=0)
        nodes = [cluster.add_node(num_cpus=4, num_gpus=1) for _ in range(2)]
        cluster.wait_for_nodes()

        class Leaving(FakeController):
            def done(self, job, result):
                super().done(job, result)
                if len(self.of("done")) == 4:
                    cluster.remove_node(nodes[0], allow_graceful=False)
                    for pid, node in (r.device.split() for _, r in self.of("done")):
                        if node == nodes[0].node_id:
                            os.kill(int(pid), signal.SIGKILL)

        folder = Path({str(tmp_path)!r})
        options = dict(folder=folder, address=cluster.address, gpus_per_trial=0.5)
        with RayEngine(FakeTrainer(1.0), **options) as engine:
            found = Leaving(jobs(12, folder))
            engine.run(found)
            print(json.dumps({{
                "workers": engine.workers,
                "done": [i for i, _ in found.of("done")],
                "failed": found.of("failed"),
                "epochs": found.of("epoch"),
                "where": [r.device.split() for _, r in found.of("done")],
                "threads": [r.train_seconds for _, r in found.of("done")],
                "started": found.of("started"),
            }}))
        cluster.shutdown()
    """
    printed, errors = python(code).communicate(timeout=400)
    told = told_by(printed, errors)
    assert told["workers"] == 4
    assert told["failed"] == []
    assert sorted(told["done"]) == list(range(12))
    assert Counter(i for i, _ in told["epochs"]) == dict.fromkeys(range(12), 3)
    assert set(told["threads"]) == {2.0}  # four CPUs, two halves of a GPU
    at = {node: {pid for pid, n in told["where"][:4] if n == node} for _, node in told["where"][:4]}
    assert sorted(len(workers) for workers in at.values()) == [2, 2]  # halves are packed two to a GPU
    assert len({node for _, node in told["where"][8:]}) == 1  # the node that stays
    assert len(told["started"]) > 12  # what ran on the other began again
