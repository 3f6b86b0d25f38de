"""Both engines take the same decisions: with one worker the records are equal, bit for bit."""

import json
import logging

import pytest

from nas import search
from nas.engines.job import Job
from nas.engines.local import LocalEngine
from nas.proxy.reduced import slimmed, with_stem
from nas.proxy.simulated import LAWS, SimulatedTrainer
from nas.record.record import Record
from nas.training.result import TrialFailed
from space.errors import InputError
from space.networks import cost_of, network_from
from space.space_file import load_space
from tests.nas.conftest import TINY_PROXY

VOLATILE = (
    "order", "attempts", "mark", "started", "ended", "train_seconds", "images_per_second", "threads", "curve"
)  # fmt: skip
RAY = ["--engine", "ray", "--cpus-per-trial", "1"]


def outcome(study):
    trials = Record.read(study).trials()
    steady = [{key: value for key, value in t.to_dict().items() if key not in VOLATILE} for t in trials]
    curves = [[{**point, "seconds": 0} for point in t.curve] for t in trials]
    return steady, curves


def searched(study, *flags):
    common = ["--space", "micro", "--budget", "20M..40M", "--objective", "best", "--study", study]
    assert search.main([*common, *map(str, flags)]) == 0
    return outcome(study)


def test_simulated_trainings_with_rungs_and_confirmation(workplace):
    flags = ["--proxy", "simulated:rugged", "--sampler", "evolution", "--scheduler", "asha", "--trials", 10]
    flags += ["--confirm", "1x2"]
    local = searched("local", *flags)
    assert searched("ray", *flags, *RAY, "--workers", 1) == local
    # and with two at once every network is trained once, in a recorded order
    searched("two", *flags, *RAY, "--workers", 2)
    trials = Record.read("two").trials()
    assert len({(t.fingerprint, t.seed) for t in trials}) == len(trials) == 10 + 4
    ended = [t.order for t in trials if t.state == "complete"]
    assert sorted(ended) == list(range(len(ended)))


def test_a_search_that_looks_before_it_stops_trainings_goes_on_on_either_engine(workplace):
    flags = ["--proxy", "simulated:separable", "--scheduler", "auto", "--sampler", "random"]
    searched("two", *flags, "--trials", 12, *RAY, "--workers", 2)
    before = Record.read("two")
    ((budget, decision),) = before.stopping.items()
    # what was begun before the decision was trained fully, though it was not waited for
    assert all(t.fidelity == 9 for t in before.trials()[: decision["since"]])
    assert decision["trainings"] == 6 and decision["stops"]
    again = ["--study", "two", "--resume", "--trials", "16", "--engine", "local"]
    assert search.main(again) == 0
    found = Record.read("two")
    assert found.stopping == {budget: decision}
    assert {t.fidelity for t in found.trials()[decision["since"] :]} <= {*decision["stops"], 9}


def test_real_trainings_and_a_study_that_changes_engines(workplace):
    (workplace / "deeper.yaml").write_text(TINY_PROXY.replace("epochs: 2", "epochs: 3"))
    flags = ["--proxy", "deeper.yaml", "--scheduler", "asha", "--min-epochs", 1, "--sampler", "random"]
    local = searched("local", *flags, "--trials", 6, "--threads", 1)
    searched("ray", *flags, "--trials", 5, *RAY, "--workers", 1)
    assert (
        search.main(["--study", "ray", "--resume", "--trials", "6", "--engine", "local", "--threads", "1"])
        == 0
    )
    assert outcome("ray") == local
    assert not (workplace / "runs/ray/.ray").exists()


def test_a_proxy_that_trains_slim_networks_records_them_alike_on_both_engines(workplace):
    (workplace / "slim.yaml").write_text(TINY_PROXY + "width_share: 0.5\nstem_stride: 2\ninit: fan_in\n")
    flags = ["--proxy", "slim.yaml", "--sampler", "random", "--trials", 2, "--no-reference"]
    local = searched("local", *flags, "--threads", 1)
    assert searched("ray", *flags, *RAY, "--workers", 1) == local
    trial = Record.read("local").trials()[0]
    asked, slim = network_from(trial.architecture), network_from(trial.trained["architecture"])
    assert trial.macs == cost_of(asked).macs and slim.stem.patch_size == 2
    assert slim == with_stem(slimmed(asked, 0.5), 2) and slim.depths == asked.depths
    assert search.main(["--study", "local", "--resume", "--trials", "3", "--threads", "1"]) == 0
    assert Record.read("local").settings["proxy"]["width_share"] == 0.5


def test_what_no_machine_has_is_one_line_and_nothing_is_written(workplace, capsys):
    flags = ["--budget", "4.5G", "--proxy", "simulated:rugged", "--engine", "ray"]
    for more, message in [
        (["--cpus-per-trial", "1000"], "1000 CPUs"),
        (["--ray-address", "127.0.0.1:1"], "127.0.0.1:1"),
    ]:
        assert search.main([*flags, *more, "--study", "none"]) == 2
        err = capsys.readouterr().err
        assert message in err and err.count("\n") == 1, err
        assert not (workplace / "runs/none/study.db").exists()


@pytest.fixture(autouse=True)
def plain_summaries(workplace):
    yield
    for path in workplace.rglob("summary.json"):
        json.loads(path.read_text())


class Broken:
    """A trainer whose trainings raise what it is told to, by the number of the trial; else simulated ones."""

    epochs = 2

    def __init__(self, raises, at="start"):
        self.raises, self.at = raises, at
        self.inner = SimulatedTrainer(LAWS["separable"], epochs=2)

    def start(self, job):
        error = self.raises(job.trial)
        if error is not None and self.at == "start":
            raise error
        training = self.inner.start(job)
        if error is not None:
            training.epoch = lambda on_step: (_ for _ in ()).throw(error)
        return training

    def latency(self, architecture):
        raise ValueError("no clock")


class Told:
    """A controller of one job after another that keeps what it is told."""

    def __init__(self, jobs):
        self.jobs, self.told = list(jobs), []

    def next(self):
        return self.jobs.pop(0) if self.jobs else None

    over = property(lambda self: not self.jobs)

    def started(self, job):
        """Nothing."""

    def step(self, job, done, steps, loss):
        """Nothing."""

    def epoch(self, job, point):
        """Nothing."""

    def done(self, job, result):
        self.told.append((job.trial, None, False))

    def failed(self, job, reason, *, unexpected=False):
        self.told.append((job.trial, reason, unexpected))


def told_of(trainer):
    network = load_space("micro").sample(1)[0]
    told = Told(Job(number, network, 0, 2) for number in range(3))
    LocalEngine(trainer).run(told)
    return told.told


class MuteError(RuntimeError):
    """Says nothing, not even that."""

    def __str__(self):
        raise self


@pytest.mark.parametrize("at", ["start", "epoch"])
@pytest.mark.parametrize(
    ("error", "reason", "unexpected"),
    [
        (
            ValueError("Expected more than 1 value\nper channel"),
            "ValueError: Expected more than 1 value",
            True,
        ),
        (KeyError("k"), "KeyError: 'k'", True),
        (AssertionError(), "AssertionError", True),
        (InputError("recipe: wrong"), "InputError: recipe: wrong", True),
        (OSError(5, "Input/output error"), "OSError: [Errno 5] Input/output error", True),
        (RecursionError("x" * 9999), "RecursionError: xxx", True),
        (MuteError(), "MuteError", True),
        (MemoryError("std::bad_alloc"), "out of memory: std::bad_alloc", False),
        (TrialFailed("loss is not finite"), "loss is not finite", False),
    ],
)
def test_whatever_a_training_raises_is_its_outcome(error, reason, unexpected, at, caplog):
    with caplog.at_level(logging.DEBUG, "nas.training.result"):
        first, second, third = told_of(Broken(lambda number: error if number == 1 else None, at))
    assert first == (0, None, False) and third == (2, None, False)
    assert second[1].startswith(reason) and len(second[1]) <= 300 and second[2] == unexpected
    assert ("Traceback" in caplog.text) == (unexpected or isinstance(error, MemoryError))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_what_ends_a_process_ends_an_engine(error):
    with pytest.raises(type(error)):
        told_of(Broken(lambda _: error))


def test_what_the_controller_raises_is_no_outcome():
    told = Told([Job(0, load_space("micro").sample(1)[0], 0, 2)])
    told.epoch = lambda *_: (_ for _ in ()).throw(ValueError("the record"))
    with pytest.raises(ValueError, match="the record"):
        LocalEngine(Broken(lambda _: None)).run(told)
    assert not told.told


def test_a_device_that_is_lost_ends_the_search_after_the_failure_is_kept():
    told = Told([Job(number, load_space("micro").sample(1)[0], 0, 2) for number in range(2)])
    lost = RuntimeError("CUDA error: device-side assert triggered")
    with pytest.raises(InputError, match=r"CUDA error: .*; --resume goes on in a new process"):
        LocalEngine(Broken(lambda _: lost)).run(told)
    assert told.told == [(0, "RuntimeError: CUDA error: device-side assert triggered", True)]


def test_a_latency_that_cannot_be_measured_is_a_failure():
    with pytest.raises(TrialFailed, match="ValueError: no clock"):
        LocalEngine(Broken(lambda _: None)).latency(load_space("micro").sample(1)[0])


POISON_SPACE = """\
name: norms
base: {stages: [{depth: 1, width: 8}, {depth: 1, width: 8}, {depth: 1, width: 8}, {depth: 1, width: 8}]}
axes:
  norm: {choices: [layer, batch]}
  kernel_size: {choices: [3, 5, 7]}
"""


def test_candidates_that_cannot_be_trained_fail_and_the_search_goes_on(workplace):
    """BatchNorm has no variance over one image of one pixel: torch raises a ValueError."""
    (workplace / "poison.yaml").write_text(POISON_SPACE)
    (workplace / "one.yaml").write_text(
        TINY_PROXY.replace("size: 96", "size: 24").replace("size: 32", "size: 1")
    )
    flags = ["--space", "poison.yaml", "--proxy", "one.yaml", "--budget", "0.1M..100G", "--sampler", "random"]
    assert search.main([*flags, "--no-reference", "--study", "p", "--trials", "6"]) == 0
    trials = Record.read("p").trials()
    assert {t.state for t in trials if t.architecture["norm"] == "layer"} == {"complete"}
    failed = [t for t in trials if t.architecture["norm"] == "batch"]
    assert len(failed) == 3 and all(t.state == "failed" for t in failed)
    assert all(t.reason.startswith("ValueError: Expected more than 1 value per channel") for t in failed)
    assert search.main(["--study", "p", "--resume", "--trials", "7"]) == 0


@pytest.mark.parametrize(("references", "most"), [("convnext", 3), ("none", 8)])
def test_a_search_in_which_nothing_can_be_trained_ends_with_the_reason(
    workplace, monkeypatch, capsys, references, most
):
    def broken(self, job):
        raise NameError(f"name {job.trial} is not defined")

    monkeypatch.setattr(SimulatedTrainer, "start", broken)
    flags = ["--space", "micro", "--budget", "20M..40M", "--proxy", "simulated:rugged", "--study", "all"]
    assert search.main([*flags, "--reference", references, "--trials", "50"]) == 1
    ended = f"note: the first {most} trainings all failed alike: NameError: name {most - 1} is not defined"
    assert ended in " ".join(capsys.readouterr().out.split())
    assert len(Record.read("all").trials()) == most
    monkeypatch.undo()
    monkeypatch.chdir(workplace)
    assert search.main(["--study", "all", "--resume", "--trials", "10"]) == 0
