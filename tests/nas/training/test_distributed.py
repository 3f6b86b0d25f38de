"""Several processes train as one: torchrun on the CPU, against the same recipe in one process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nas import train
from nas.recipe.recipe import recipe_from, recipe_text
from nas.training import distributed
from nas.training.distributed import ALONE, ENVIRONMENT, own_device, started_by_torchrun
from space.architecture import Architecture
from space.errors import InputError
from tests.nas.test_train import assert_same, columns

ROOT = Path(__file__).parents[3]
# everything that draws random numbers, on two slots; no BatchNorm, whose statistics are the first process's
RECIPE = recipe_from(
    {
        "architecture": Architecture.convnext([1, 1], [8, 16], drop_path=0.3).to_dict(),
        "data": {"name": "digits", "num_classes": 10, "resolution": 16}, "epochs": 3,
        "total_batch_size": 400, "batch_size": 100, "accumulation": 2, "devices": 2,
        "optimizer": {"lr": 4e-3}, "schedule": {"warmup_epochs": 1}, "ema_decay": 0.5, "layer_scale": 1.0,
        "augmentation": {"random_resized_crop": None, "rand_augment": None, "color_jitter": 0.4},
    },
    "test",
)  # fmt: skip


def torchrun(*flags, cwd, processes=2):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes),
        "-m", "nas.train", *map(str, flags),
    ]  # fmt: skip
    paths = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        command, cwd=cwd, env=os.environ | paths, capture_output=True, text=True, check=False
    )


def test_two_processes_are_one_with_accumulation(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(recipe_text(RECIPE))
    flags = ["recipe.yaml", "--data", "digits", "--device", "cpu"]
    assert train.main([*flags, "--out", "one"]) == 0
    done = torchrun(*flags, "--out", "two", "--epochs-limit", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    # rank 0 alone speaks and writes
    assert done.stdout.count("epoch 2/2") == 1 and "cpu x 2" in done.stdout
    one, two = columns(Path("one")), columns(Path("two"))
    assert one["epoch"] == [1, 2, 3] and two["epoch"] == [1, 2]
    assert_same({name: values[:2] for name, values in one.items()}, two, accuracy=0.008)
    # slots are kept, not processes: one process goes on with what two began
    assert len(torch.load("two/checkpoint-last.pt", weights_only=True)["training"]["more_slots"]) == 3
    assert train.main([*flags, "--out", "two", "--resume"]) == 0
    assert_same(one, columns(Path("two")), accuracy=0.008)
    for key in ("model", "model_ema"):
        a, b = (torch.load(f"{out}/checkpoint-last.pt", weights_only=True)[key] for out in ("one", "two"))
        for name, value in a.items():
            torch.testing.assert_close(b[name], value, rtol=1e-3, atol=2e-4)


def test_one_process_needs_no_group():
    tensor = torch.arange(3.0)
    assert ALONE.main and ALONE.gathered(1) == [1]
    assert ALONE.sum(tensor) is tensor and ALONE.broadcast(tensor) is tensor
    with distributed.joined("cpu") as (ranks, device):
        assert (ranks, device) == (ALONE, "cpu") and not torch.distributed.is_initialized()


def test_torchrun_is_known_by_its_environment(monkeypatch):
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "4")  # some schedulers set this alone
    assert not started_by_torchrun()
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "2")
    assert started_by_torchrun()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not started_by_torchrun()


def test_every_process_has_a_gpu_of_its_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [own_device("auto", rank) for rank in (0, 1)] == ["cuda:0", "cuda:1"]
    assert own_device("cpu", 5) == "cpu"
    with pytest.raises(InputError, match="process 2 of this machine has no GPU, there are 2"):
        own_device("cuda", 2)
    with pytest.raises(InputError, match="cuda:1: under torchrun every process has a GPU of its own"):
        own_device("cuda:1", 0)
