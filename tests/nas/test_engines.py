"""Both engines take the same decisions: with one worker the records are equal, bit for bit."""

import json

import pytest

from nas import search
from nas.record import Record
from tests.nas.conftest import TINY_PROXY

VOLATILE = (
    "order", "attempts", "mark", "started", "ended", "train_seconds", "images_per_second", "threads", "curve"
)  # fmt: skip
RAY = ["--engine", "ray", "--cpus-per-trial", "1"]


def outcome(study):
    trials = Record.read(study).trials()
    steady = [{key: value for key, value in t.items() if key not in VOLATILE} for t in trials]
    curves = [[{**point, "seconds": 0} for point in t["curve"]] for t in trials]
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
    assert len({(t["fingerprint"], t["seed"]) for t in trials}) == len(trials) == 10 + 4
    ended = [t["order"] for t in trials if t["state"] == "complete"]
    assert sorted(ended) == list(range(len(ended)))


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
