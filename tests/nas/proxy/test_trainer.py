"""Trainings that are kept: a checkpoint changes no bit, and a damaged one loses nothing but time."""

import copy
import dataclasses
import io
import logging
import os
import pickle
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas.engines.job import Job
from nas.proxy.proxy import Proxy
from nas.proxy.trainer import ProxyTrainer, train
from nas.training import checkpoint
from nas.training.checkpoint import CheckpointError
from nas.training.result import TrialFailed
from space.architecture import Architecture

ROOT = Path(__file__).parents[3]
# stochastic depth, mixing, cropping: everything that draws random numbers
PROXY = Proxy(
    data="digits", resolution=16, epochs=4, batch_size=32, lr=4e-3, layer_scale=1.0, stochastic_depth=0.3,
    mixup=0.2, cutmix=1.0, crop_padding=2, train_size=128, val_size=64,
)  # fmt: skip
TINY = Architecture.convnext([1, 2, 1], [8, 16, 24])


def trained(trainer, job):
    training = trainer.start(job)
    while len(training.curve) < job.epochs:
        training.epoch()
    return training


def bits(result):
    timed = ("train_seconds", "eval_seconds", "images_per_second", "curve")
    curve = [{**point, "seconds": 0} for point in result.curve]
    return curve, {k: v for k, v in dataclasses.asdict(result).items() if k not in timed}


@pytest.mark.parametrize("stops", [[2], [1, 2, 3], [1, 3]])
def test_a_training_in_stretches_is_the_training_in_one_go_bit_for_bit(data, tmp_path, stops):
    whole = train(TINY, PROXY, data, 5, device="cpu")
    trainer = ProxyTrainer(PROXY, "cpu", data=data)
    path = tmp_path / "deep" / "trial-0.ckpt"
    for epochs in [*stops, 4]:
        torch.manual_seed(epochs)  # whatever else the process drew
        before = torch.get_rng_state()
        training = trained(trainer, Job(0, TINY, 5, epochs, path))
        assert torch.equal(torch.get_rng_state(), before)
        assert len(training.curve) == epochs
    assert bits(training.result()) == bits(whole)
    assert training.result().train_seconds > 0


def test_a_training_goes_on_where_the_checkpoint_is(data, tmp_path):
    trainer = ProxyTrainer(PROXY, "cpu", data=data)
    path = tmp_path / "trial-0.ckpt"
    trained(trainer, Job(0, TINY, 5, 3, path))
    again = trainer.start(Job(0, TINY, 5, 4, path))
    assert [point.epoch for point in again.curve] == [1, 2, 3]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other", "older"])
def test_a_damaged_or_foreign_checkpoint_is_said_and_the_training_starts_again(
    data, tmp_path, caplog, damage
):
    trainer = ProxyTrainer(PROXY, "cpu", data=data)
    path = tmp_path / "trial-0.ckpt"
    trained(trainer, Job(0, TINY, 6 if damage == "other" else 5, 2, path))
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "empty":
        content = b""
    elif damage == "changed":
        content[len(content) // 2] ^= 1
    elif damage == "older":
        content = content.replace(b"checkpoint 1\n", b"checkpoint 0\n")
    path.write_bytes(content)
    whole = train(TINY, PROXY, data, 5, device="cpu")
    with caplog.at_level(logging.WARNING):
        training = trained(trainer, Job(0, TINY, 5, 4, path))
    assert bits(training.result()) == bits(whole)
    words = {"other": "belongs to another training", "cut": "is damaged", "changed": "is damaged"}
    assert words.get(damage, "is not a checkpoint of this version") in caplog.text
    assert "the training starts again" in caplog.text and caplog.text.count("\n") == 1


def test_a_checkpoint_is_whole_or_not_there(tmp_path, monkeypatch):
    path = tmp_path / "x.ckpt"
    identity = {"seed": 1}
    assert checkpoint.load(path, identity) is None
    checkpoint.save(path, identity, {"weights": torch.arange(5), "epoch": 3})
    kept = checkpoint.load(path, identity)
    assert kept["epoch"] == 3 and torch.equal(kept["weights"], torch.arange(5))

    def broken(*_):
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed\nmore")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(OSError, match=r"^\[enforce fail.*failed$"):
        checkpoint.save(path, identity, {"epoch": 4})
    assert checkpoint.load(path, identity)["epoch"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["x.ckpt"]
    with pytest.raises(CheckpointError, match="belongs to another training"):
        checkpoint.load(path, {"seed": 2})


def test_a_pickle_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    path = tmp_path / "x.ckpt"
    checkpoint.save(path, {}, {"evil": Evil()})
    with pytest.raises(CheckpointError, match="only tensors and plain values are read"):
        checkpoint.load(path, {})
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "odd", ["pickle", "empty", "shapes", "moments", "curve", "epoch", "folder", "pipe", "zero"]
)
def test_what_is_no_checkpoint_starts_the_training_again(data, tmp_path, caplog, odd):
    path = tmp_path / "x.ckpt"
    trainer = ProxyTrainer(PROXY, "cpu", data=data)
    whole = train(TINY, PROXY, data, 5, device="cpu")
    trained(trainer, Job(0, TINY, 5, 2, path))
    assert path.exists()
    kept = torch.load(io.BytesIO(path.read_bytes()[len(checkpoint.MAGIC) + checkpoint.HEAD.size :]))
    state, identity = kept["state"], kept["identity"]
    moments = copy.deepcopy(state["optimizer"])
    moments["state"][0]["exp_avg"] = torch.zeros(2)
    changed = {
        "pickle": {"network": trained}, "empty": dict.fromkeys(state), "curve": {"curve": []},
        "epoch": {"epoch": "two"}, "moments": {"optimizer": moments},
        "shapes": {"network": {name: value[:1] for name, value in state["network"].items()}},
    }  # fmt: skip
    if odd in changed:
        checkpoint.save(path, identity, state | changed[odd])
    else:
        path.unlink()
        if odd == "folder":
            path.mkdir()
        elif odd == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to("/dev/zero")
    with caplog.at_level(logging.WARNING):
        training = trained(trainer, Job(0, TINY, 5, 4, tmp_path / "x.ckpt"))
    assert bits(training.result()) == bits(whole)
    assert "the training starts again" in caplog.text


FULL_DISK = """\
import logging, resource, signal, sys
from pathlib import Path
from nas.data import load
from nas.engines.job import Job
from nas.proxy.trainer import ProxyTrainer
from tests.nas.proxy.test_trainer import PROXY, TINY, trained
logging.basicConfig()
data = load("digits", 16, 128, 64, cache_dir=Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
print(trained(ProxyTrainer(PROXY, "cpu", data=data), Job(0, TINY, 5, 4, Path(sys.argv[2]))).result().accuracy)
"""


def test_a_full_disk_costs_the_checkpoint_not_the_training(data, tmp_path):
    assert resource.RLIM_INFINITY  # POSIX only
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(tmp_path / "x.ckpt")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert float(done.stdout) == train(TINY, PROXY, data, 5, device="cpu").accuracy
    assert "cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert not [p for p in tmp_path.iterdir() if "ckpt" in p.name]


def test_other_data_on_another_host_is_refused(data, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    job = Job(0, TINY, 5, 1)
    elsewhere = pickle.loads(pickle.dumps(ProxyTrainer(PROXY, "cpu", data=data)))
    assert len(trained(elsewhere, job).curve) == 1  # reads this host's own cache
    with pytest.raises(TrialFailed, match="differs on this host from the study's"):
        ProxyTrainer(PROXY, "cpu", fingerprint="0" * 64).start(job)


def test_jobs_travel_as_plain_values(tmp_path):
    for path in (None, tmp_path / "x.ckpt"):
        job = Job(3, TINY, 5, 2, path, "a label")
        assert Job.from_dict(job.to_dict()) == job
