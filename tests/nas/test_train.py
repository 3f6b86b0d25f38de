"""The command: a recipe from an image folder to a trained network, across a kill, and from given weights."""

import csv
import dataclasses
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from nas import evaluate, train
from nas.recipe.recipe import read_recipe, recipe_from, recipe_text
from nas.training import full as full_training
from nas.training.checkpoint import CheckpointError, load_plain, save_plain
from nas.training.controls import control
from nas.training.folder import difference, hold
from nas.training.full import initial_weights
from nas.training.predictions import read_predictions
from nas.training.result import TrialFailed
from nas.training.weights import read_weights
from space.architecture import Architecture
from space.checkpoints import to_official, to_timm, to_transformers
from space.errors import InputError
from space.families import named
from space.files import TEMPORARY
from space.network import build
from space.networks import build_network
from space.swin import Swin

ROOT = Path(__file__).parents[2]
NET = Architecture.convnext([1, 1], [8, 16], drop_path=0.1)
TIMED = ("seconds", "images_per_second")
COLOURS = {"bars": (200, 60, 60), "discs": (60, 190, 90), "frames": (70, 90, 210)}


def recipe(network=NET, **fields):
    values = {
        "architecture": network.to_dict(), "epochs": 3, "layer_scale": 1.0, "ema_decay": 0.9,
        "data": {"name": "shapes", "num_classes": 3, "resolution": 32},
        "optimizer": {"lr": 4e-3}, "schedule": {"warmup_epochs": 1},
        "total_batch_size": 32, "batch_size": 16, "accumulation": 2, "devices": 1,
    }  # fmt: skip
    return recipe_from(values | fields, "test")


def draw(kind, random):
    """One 48x40 image of a coloured shape on noise."""
    background = random.integers(0, 90, (40, 48, 3), dtype=np.uint8)
    image = Image.fromarray(background)
    colour = tuple(int(c + random.integers(-40, 40)) for c in COLOURS[kind])
    x, y, size = (int(random.integers(low, high)) for low, high in ((4, 20), (4, 12), (16, 26)))
    box = (x, y, x + size, y + size)
    pen = ImageDraw.Draw(image)
    if kind == "bars":
        pen.rectangle((x, y, x + size, y + 6), fill=colour)
    elif kind == "discs":
        pen.ellipse(box, fill=colour)
    else:
        pen.rectangle(box, outline=colour, width=4)
    return image


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of shapes, in ImageNet's layout."""
    root = tmp_path_factory.mktemp("shapes")
    random = np.random.default_rng(0)
    for split, count in (("train", 48), ("val", 24)):
        for kind in COLOURS:
            (root / split / kind).mkdir(parents=True)
            for i in range(count):
                draw(kind, random).save(root / split / kind / f"{i:03}.png")
    return root


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def run(place, folder, capsys):
    """Runs the command on the shapes; its exit code, output, errors."""

    def command(values, *flags, out="out", data=None):
        Path("recipe.yaml").write_text(recipe_text(values))
        given = ["recipe.yaml", "--data", data or f"imagefolder:{folder}", "--out", out, "--device", "cpu"]
        capsys.readouterr()
        code = train.main([*given, "--workers", "0", *map(str, flags)])
        return code, *capsys.readouterr()

    return command


def columns(out):
    """The log of a training without the clock's: values by name."""
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name not in TIMED]
    return {name: [float(row[name]) for row in rows if row[name]] for name in names}


def assert_same(a, b, accuracy):
    """To rounding, sums being in another order; an accuracy may differ by an image on the edge."""
    for name, values in a.items():
        off = accuracy if "accuracy" in name or "top5" in name else 1e-4
        assert b[name] == pytest.approx(values, abs=off), name


def weights(path):
    return torch.load(path, weights_only=True)


# a training


def test_an_image_folder_is_learned_through_the_whole_recipe(run, place):
    """RandAugment, erasing, mixing, smoothing, stochastic depth, EMA, accumulation: all of it is on."""
    values = recipe(epochs=14, ema_decay=0.8, optimizer={"lr": 1e-2})
    code, out, err = run(values)
    assert code == 0, err
    log = columns(place / "out")
    assert log["epoch"] == list(range(1, 15))
    assert max(log["ema_accuracy"]) > 0.7 and max(log["val_accuracy"]) > 0.7  # chance is a third
    assert out.count("\nepoch ") == 14 and "images/s" in out and "EMA" in out and "left]" in out
    assert "best top-1" in out.splitlines()[-1]
    files = {p.name for p in (place / "out").iterdir()}
    assert files == {"recipe.yaml", "checkpoint-last.pt", "checkpoint-best.pt", "log.csv", "summary.json",
                     "predictions.npz", "tensorboard", ".lock"}  # fmt: skip
    best = weights("out/checkpoint-best.pt")
    assert best["architecture"] == values.architecture and best["num_classes"] == 3
    summary = json.loads(Path("out/summary.json").read_text())
    assert summary["best"]["epoch"] == best["epoch"] and summary["epochs"] == 14
    assert max(best["val_accuracy"], best["ema_accuracy"]) == max(log["val_accuracy"] + log["ema_accuracy"])
    assert best["classes"] == summary["classes"] == ["bars", "discs", "frames"]
    assert read_recipe("out/recipe.yaml").data.classes == ("bars", "discs", "frames")
    which = "model_ema" if best["ema_accuracy"] >= best["val_accuracy"] else "model"
    assert best["best_weights"] == summary["best_weights"] == which
    assert f" of {'their moving average' if which == 'model_ema' else 'the weights'} after" in out
    for name in ("last", "best"):  # the project's own reader
        assert read_weights(f"out/checkpoint-{name}.pt").network == values.network


def test_events_of_tensorboard_are_the_log(run, place):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    assert run(recipe(epochs=2))[0] == 0
    events = EventAccumulator(str(place / "out" / "tensorboard")).Reload()
    log = columns(place / "out")
    for tag, name in (("loss/train", "train_loss"), ("top1/ema", "ema_accuracy"), ("schedule/lr", "lr")):
        told = events.Scalars(tag)
        assert [event.step for event in told] == [1, 2]
        assert [event.value for event in told] == pytest.approx(log[name], rel=1e-5)


def test_without_tensorboard_there_is_the_csv_and_a_line(run, place, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    code, out, _ = run(recipe(epochs=1))
    assert code == 0 and "pip install 'convnext-nas[train]'" in out
    assert (place / "out" / "log.csv").exists() and not (place / "out" / "tensorboard").exists()


# across an end


def command_line(out, folder):
    return [
        sys.executable, "-m", "nas.train", "recipe.yaml", "--data", f"imagefolder:{folder}", "--out", out,
        "--device", "cpu", "--workers", "1",
    ]  # fmt: skip


def begun(out, folder, epochs):
    """The command in a process of its own, till so many epochs are kept."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command_line(out, folder), env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    log = Path(out) / "log.csv"
    while not log.exists() or len(log.read_text().splitlines()) <= epochs:
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    return process


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_training_that_is_stopped_goes_on_to_the_same_curve(run, place, folder, how):
    values = recipe(epochs=6)
    assert run(values, out="whole")[0] == 0
    process = begun("cut", folder, 2)
    os.killpg(process.pid, how)  # as a terminal does; the workers that decode images get it too
    _, err = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert err.count("\n") == 1 and "nas.train: interrupted; go on with: python -m nas.train" in err
        assert err.rstrip().endswith("--resume")
    else:
        assert process.returncode == -signal.SIGKILL
    done = len(columns(place / "cut")["epoch"])
    assert 2 <= done < 6
    code, out, err = run(values, "--resume", out="cut")
    assert code == 0, err
    assert "going on after epoch" in out
    assert columns(place / "cut") == columns(place / "whole")
    for name in ("last", "best"):
        a, b = (weights(f"{out}/checkpoint-{name}.pt") for out in ("whole", "cut"))
        for key in ("model", "model_ema"):
            assert all(torch.equal(value, b[key][k]) for k, value in a[key].items())


def test_a_training_in_stretches_is_the_training_in_one_go(run, place):
    values = recipe()
    assert run(values, out="whole")[0] == 0
    code, out, _ = run(values, "--epochs-limit", 1, out="parts")
    assert code == 0 and "epochs 2 to 3 are to come" in out
    assert run(values, "--resume", "--epochs-limit", 2, out="parts")[0] == 0
    assert run(values, "--resume", out="parts")[0] == 0
    assert columns(place / "parts") == columns(place / "whole")
    before = (place / "parts" / "checkpoint-last.pt").read_bytes()
    code, out, _ = run(values, "--resume", out="parts")  # nothing is left to do
    assert code == 0 and "best top-1" in out
    assert (place / "parts" / "checkpoint-last.pt").read_bytes() == before
    # as one leaves it that is killed after its last checkpoint and before the rest
    rows, summary = columns(place / "parts"), (place / "parts" / "summary.json").read_text()
    (place / "parts" / "log.csv").unlink()
    (place / "parts" / "summary.json").unlink()
    left = place / "parts" / f".log.csv.0123abcd{TEMPORARY}"
    left.touch()
    assert run(values, "--resume", out="parts")[0] == 0
    assert columns(place / "parts") == rows and not left.exists()
    assert (place / "parts" / "summary.json").read_text() == summary


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(place, monkeypatch):
    path = place / "checkpoint-last.pt"
    save_plain(path, {"epoch": 1, "weights": torch.arange(5)})

    def torn(values, file):
        file.write(b"half of it")
        raise RuntimeError("[enforce fail at inline_container.cc] PytorchStreamWriter failed\nmore")

    monkeypatch.setattr(torch, "save", torn)
    with pytest.raises(OSError, match=r"failed$"):
        save_plain(path, {"epoch": 2})
    assert load_plain(path)["epoch"] == 1 and [p.name for p in place.iterdir()] == [path.name]


@pytest.mark.parametrize("damage", ["changed", "cut", "empty"])
def test_a_damaged_checkpoint_is_found(place, damage):
    path = place / "x.pt"
    assert load_plain(path) is None
    save_plain(path, {"weights": torch.arange(1000.0)})
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[len(content) // 2] ^= 1  # within the weights
    path.write_bytes(content[: {"changed": None, "cut": 700, "empty": 0}[damage]])
    with pytest.raises(CheckpointError, match="is empty" if damage == "empty" else "is damaged"):
        load_plain(path)


# mistakes


def shapes_of(root, *names):
    for split in ("train", "val"):
        for name in names:
            (root / split / name).mkdir(parents=True)
            Image.new("RGB", (40, 40)).save(root / split / name / "0.png")
    return f"imagefolder:{root}"


def test_a_mistake_is_one_line_and_nothing_is_written(run, place, folder):
    cases = [
        (recipe(), ["--data", f"imagefolder:{place}/no"], "no"),
        (recipe(), ["--data", "nothing"], "nothing"),
        (recipe(), ["--set", "lr=1"], "--set lr: unknown key; the nearest is "),
        (recipe(), ["--set", "schedule.warm=1"], "--set schedule.warm: unknown key; the nearest"),
        (recipe(), ["--set", "optimizer.lr=-1"], "optimizer.lr: input should be greater than 0, not -1"),
        (recipe(), ["--set", "architecture.dropout=1"], "--set architecture.dropout: unknown key"),
        (recipe(), ["--set", "epochs"], "--set 'epochs': write it like"),
        (recipe(), ["--control", "convnext_teeny"], "--control convnext_teeny: "),
        (recipe(), ["--finetune"], "--finetune: of which weights?"),
        (recipe(), ["--device", "cuda:7"], "device 'cuda:7' cannot be used"),
        (recipe(), ["--init", "no.pt"], "--init no.pt: No such file"),
        (recipe(), ["--init", "/dev/zero"], "--init /dev/zero: a device or pipe, no file"),
        (recipe(), ["--resume"], "--out out: holds no training to resume"),
    ]  # fmt: skip
    for values, flags, words in cases:
        code, out, err = run(values, *flags)
        assert (code, out) == (2, "") and words in err, err
        assert err.startswith("nas.train: ") and err.count("\n") == 1
        assert not (place / "out").exists()
    Path("recipe.yaml").write_text("epochs: 3\nlr: 1\n")
    assert train.main(["recipe.yaml", "--data", "digits", "--out", "out"]) == 2


def test_a_folder_that_holds_a_training_is_kept(run, place):
    assert run(recipe(epochs=1))[0] == 0
    before = {p: p.read_bytes() for p in (place / "out").glob("*.*")}
    code, _, err = run(recipe(epochs=1))
    assert code == 2 and "--out out: holds a training (checkpoint-last.pt); --resume goes on" in err
    code, _, err = run(recipe(epochs=1, optimizer={"lr": 1e-3}), "--resume")
    assert code == 2 and "trained with another recipe: optimizer.lr is 0.004 there, 0.001 here" in err
    other = shapes_of(place / "other", "a", "b", "c")
    code, _, err = run(recipe(epochs=1), "--resume", "--data", other)
    assert code == 2  # too few images, or not the ones
    path = place / "out" / "checkpoint-last.pt"
    path.write_bytes(before[path][:1000])
    code, _, err = run(recipe(epochs=1), "--resume")
    assert code == 2 and "checkpoint-last.pt: is damaged" in err
    assert "remove it to train again from the start" in err
    path.write_bytes(before[path])
    assert {p: p.read_bytes() for p in (place / "out").glob("*.*")} == before


def test_the_recipe_s_classes_are_the_folder_s(run, place):
    shapes = {"name": "shapes", "num_classes": 3, "resolution": 32}
    named = recipe(epochs=1, data=shapes | {"classes": ["bars", "discs", "frames"]})
    assert run(named)[0] == 0
    assert run(recipe(epochs=1), "--resume")[0] == 0  # one that leaves the names to the data is the same
    for names, words in (
        (["a"], "classes: 1 names, but num_classes is 3"),
        (["a", "b", "a"], "'a' stands twice"),
    ):
        with pytest.raises(InputError, match=words):
            recipe(data=shapes | {"classes": names})


def test_two_trainings_in_one_folder_are_refused(run, place, folder):
    with hold(place / "out"):
        code, out, err = run(recipe(epochs=1))
        assert (code, out) == (2, "") and f"another nas.train is at work there (process {os.getpid()})" in err
        assert err.count("\n") == 1 and "torchrun that was killed" in err
        assert {path.name for path in (place / "out").iterdir()} == {".lock"}
    assert run(recipe(epochs=1))[0] == 0
    Path("recipe.yaml").write_text(recipe_text(recipe(epochs=40)))
    process = begun("live", folder, 0)
    try:
        code, _, err = run(recipe(epochs=40), "--resume", out="live")
        assert code == 2 and f"(process {process.pid})" in err
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=60)
    # the lock ends with its process
    assert run(recipe(epochs=40), "--resume", "--epochs-limit", 2, out="live")[0] == 0


@pytest.mark.parametrize("resolution", [16, 64])
def test_one_image_and_batch_norm(run, place, resolution):
    """A map of one pixel has one value a channel, which BatchNorm cannot train on; a larger one has more."""
    network = dataclasses.replace(
        named("resnet50"),
        stages=tuple(dataclasses.replace(stage, depth=1, width=8) for stage in named("resnet50").stages),
    )
    values = recipe(
        network, epochs=1, ema_decay=None, total_batch_size=48, batch_size=1, accumulation=48,
        data={"name": "shapes", "num_classes": 3, "resolution": resolution},
    )  # fmt: skip
    code, out, err = run(values)
    if resolution == 64:
        assert code == 0, err
        return
    assert (code, out) == (2, "") and not (place / "out").exists()
    assert "recipe: batch_size: 1 leaves BatchNorm a single value a channel" in err and err.count("\n") == 1


def test_a_last_checkpoint_that_is_none_is_one_line(run, place):
    assert run(recipe(epochs=1))[0] == 0
    path = place / "out" / "checkpoint-last.pt"
    kept = weights(path)
    for changes, words in (
        ({"training": None}, "does not fit this training"),
        ({"training": kept["training"] | {"optimizer": {"state": {}, "param_groups": []}}}, "does not fit"),
        ({"training": kept["training"] | {"generator": torch.zeros(3)}}, "does not fit this training"),
        ({"model": {}}, "does not fit this training"),
        ({"recipe": 3}, "does not fit this training"),
    ):
        torch.save(kept | changes, path)
        code, out, err = run(recipe(epochs=1), "--resume")
        assert (code, out) == (2, "") and words in err and err.count("\n") == 1
        assert "remove it to train again from the start" in err


def test_other_images_do_not_continue_a_training(run, place, folder):
    assert run(recipe(epochs=1))[0] == 0
    copy = place / "copy"
    for file in sorted(folder.rglob("*.png")):
        target = copy / file.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    assert run(recipe(epochs=1), "--resume", data=f"imagefolder:{copy}")[0] == 0  # moved, but the same
    (copy / "val" / "bars" / "000.png").unlink()
    code, _, err = run(recipe(epochs=1), "--resume", data=f"imagefolder:{copy}")
    assert code == 2 and "these are not the images that out was trained on" in err


def test_a_training_that_diverges_ends_with_the_reason(run, place, monkeypatch):
    from nas.training import loop as training

    original = training.update

    def poison(state, *rest):
        original(state, *rest)
        if state.step == 5:
            with torch.no_grad():
                state.network.head.bias.fill_(float("nan"))

    monkeypatch.setattr(training, "update", poison)
    code, _, err = run(recipe(epochs=3))
    assert code == 1 and err == "nas.train: loss is not finite at epoch 2, step 6\n"
    assert weights("out/checkpoint-last.pt")["epoch"] == 1


def test_the_first_difference_is_named():
    there = {"a": {"b": [1, {"c": 2}]}, "d": 1}
    assert difference(there, there) is None
    assert difference(there, {"a": {"b": [1, {"c": 3}]}, "d": 2}) == ("a.b[1].c", 2, 3)
    assert difference({"a": 1}, {"a": 1, "b": None, "c": 2}) == ("c", None, 2)


def test_an_interrupt_waits_for_what_is_being_written():
    done = []
    with pytest.raises(KeyboardInterrupt), full_training.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append(1)
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# fine-tuning


def other_layout(layout, state, network):
    if layout == "official":
        return {"model": to_official(state, network)}
    if layout == "timm":
        return to_timm(state, network)
    if layout == "transformers":
        return to_transformers(state, network)
    return {"model": state, "architecture": network.to_dict()}


@pytest.mark.parametrize("layout", ["official", "timm", "transformers", "own"])
@pytest.mark.parametrize("classes", [3, 7])
def test_weights_of_every_layout_are_started_from(place, layout, classes):
    torch.manual_seed(1)
    state = build(NET, classes).state_dict()
    torch.save(other_layout(layout, state, NET), "given.pt")
    found = initial_weights("given.pt", NET, 3).state
    expected = {k: v for k, v in state.items() if classes == 3 or not k.startswith("head.")}
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_what_is_taken_and_what_is_not_is_said(run, place):
    torch.manual_seed(1)
    state = build(NET, 3).state_dict()
    wide = build(NET, 7).state_dict()
    backbone = {name: value for name, value in state.items() if not name.startswith("head.")}
    fresh = "a fresh one of 3 classes is trained"
    cases = [
        (backbone, ["starts from its weights", "without head.weight, head.bias, which start afresh"]),
        ({"model": wide}, ["starts from its weights", f"without its classifier, of 7 classes; {fresh}"]),
        ({"model_ema": state}, ["starts from its moving average of the weights, all there is"]),
        ({"model": wide, "model_ema": state, "best_weights": "model_ema", "epoch": 5},
         ["starts from its moving average of the weights, better than the weights after epoch 5"]),
        ({"model": state, "classes": ["frames", "bars", "discs"]},
         ["starts from its weights",
          "its classes are these in another order; its classifier's rows are put in theirs"]),
        ({"model": state, "classes": ["a", "b", "c"]},
         ["starts from its weights", f"without its classifier, of other classes (a, b, c); {fresh}"]),
    ]  # fmt: skip
    for values, notes in cases:
        torch.save(values, "given.pt")
        said = []
        found = initial_weights("given.pt", NET, 3, ("bars", "discs", "frames"), said.append).state
        assert said == [f"--init given.pt: {note}" for note in notes]
        assert all(
            torch.equal(found[name], state[name]) for name in backbone if values.get("model") is not wide
        )
        if "another order" in notes[-1]:
            assert torch.equal(found["head.weight"], state["head.weight"][[1, 2, 0]])
            assert torch.equal(found["head.bias"], state["head.bias"][[1, 2, 0]])
    code, out, _ = run(recipe(epochs=1), "--init", "given.pt")
    assert code == 0 and "--init given.pt: without its classifier, of other classes (a, b, c)" in out


def test_a_swin_starts_from_its_official_weights(place):
    swin = Swin(12, (2, 1), window=3)
    state = build_network(swin, 3).state_dict()
    torch.save({"model": state | {"layers.0.blocks.1.attn_mask": torch.zeros(4, 9, 9)}}, "given.pt")
    said = []
    found = initial_weights("given.pt", swin, 3, None, said.append).state
    assert all(torch.equal(value, state[name]) for name, value in found.items())
    assert "left out, as they are computed: " in said[1] and "attn_mask" in said[1]


def test_a_short_training_s_average_forgets_the_start(run, place):
    code, out, _ = run(recipe(epochs=2, ema_decay=0.9999))
    assert code == 0 and "EMA: decay 0.39160" in out  # e^(-7.5 / 8 steps)
    assert json.loads(Path("out/summary.json").read_text())["ema_decay"] == pytest.approx(math.exp(-7.5 / 8))


@pytest.mark.parametrize("layout", ["official", "timm"])
def test_fine_tuning_starts_where_the_weights_are(run, place, layout):
    """A rate of next to nothing leaves them there, in the network and in its average; the head is fresh."""
    torch.manual_seed(1)
    state = build(NET, 7).state_dict()
    torch.save(other_layout(layout, state, NET), "given.pt")
    values = recipe(
        epochs=1, head_init_scale=0.001, ema_decay=0.5, layer_scale="architecture",
        optimizer={"lr": 1e-9, "weight_decay": 0.0, "layer_decay": 0.8},
    )  # fmt: skip
    code, _, err = run(values, "--init", "given.pt")
    assert code == 0, err
    kept = weights("out/checkpoint-last.pt")
    for key in ("model", "model_ema"):
        for name, value in kept[key].items():
            if not name.startswith("head."):
                torch.testing.assert_close(value, state[name], rtol=0, atol=1e-6)
    assert kept["model"]["head.weight"].shape == (3, 16)
    assert kept["model"]["head.weight"].abs().max() < 1e-3  # .02 x .001


def test_what_it_starts_from_is_kept_from_the_beginning(run, place, monkeypatch):
    """A training that dies in its first epoch needs no --init to begin it again."""
    torch.manual_seed(1)
    torch.save(build(NET, 3).state_dict(), "given.pt")
    values = recipe(epochs=1)
    assert run(values, "--init", "given.pt", out="whole")[0] == 0

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(full_training, "run_epoch", interrupted)
        assert run(values, "--init", "given.pt", out="cut")[0] == 130
    Path("given.pt").unlink()
    assert run(values, "--resume", out="cut")[0] == 0
    assert columns(place / "cut") == columns(place / "whole")
    init = json.loads(Path("cut/summary.json").read_text())["init"]
    assert init == json.loads(Path("whole/summary.json").read_text())["init"]
    assert (init["file"], init["classifier"], init["taken"]) == ("given.pt", "taken", init["parameters"])
    assert run(values, out="fresh")[0] == 0
    assert json.loads(Path("fresh/summary.json").read_text())["init"] is None
    assert columns(place / "fresh") != columns(place / "whole")


def test_another_convnext_s_weights_are_a_start(run, place):
    """What it has learned is there after an epoch; from scratch there is next to nothing."""
    source = Architecture.convnext([2, 2], [16, 24])
    assert run(recipe(source, epochs=5), out="source")[0] == 0
    target = recipe(Architecture.convnext([1, 2], [12, 20]), epochs=1)
    code, out, err = run(target, "--init", "source/checkpoint-best.pt", out="taken")
    assert code == 0, err
    sizes = [p.numel() for name, p in build(target.network, 3).named_parameters() if "head" not in name]
    size = sum(sizes)
    assert f"of another network, 2-2 16-24 k7 e4 layer gelu: {size:,} of {size:,} parameters below the" in out
    assert f"; of its tensors {len(sizes)} sliced, 0 padded" in out
    assert run(target, out="scratch")[0] == 0
    losses = {each: columns(place / each) for each in ("taken", "scratch")}
    assert losses["taken"]["val_loss"] < losses["scratch"]["val_loss"]
    assert losses["taken"]["train_loss"] < losses["scratch"]["train_loss"]


def test_weights_of_no_convnext_are_refused(run, place):
    Path("given.pt").write_bytes(b"nothing")
    assert run(recipe(), "--init", "given.pt")[0] == 2
    torch.save({"bias": torch.zeros(3)}, "given.pt")
    with pytest.raises(InputError, match=r"--init given\.pt: the keys are not those .*; unexpected bias"):
        initial_weights("given.pt", NET, 3)


def test_a_fine_tuning_has_the_published_rates_and_enough_steps(run, place):
    torch.manual_seed(1)
    torch.save(build(NET, 7).state_dict(), "given.pt")
    code, out, err = run(recipe(), "--init", "given.pt", "--finetune", "--epochs-limit", 1)
    assert code == 0, err
    # of 144 images a batch may have 9, which is 8; 500 steps of 18 an epoch
    assert "batch: 8 images a step, learning rate 0.001; 512 are too many of 144" in out
    assert (
        "at the recipe's 32 pixels, where the weights have seen 224; --set data.resolution=224 takes" in out
    )
    tuned = read_recipe("out/recipe.yaml")
    assert tuned.optimizer.layer_decay == 0.7 and tuned.optimizer.lr == 1e-3 and tuned.epochs == 30
    assert tuned.augmentation.mixup == 0 and tuned.head_init_scale == 0.001
    assert tuned.data.resolution == 32 and tuned.data.num_classes == 3
    torch.save({"model": build(NET, 7).state_dict(), "recipe": {"data": {"resolution": 16}}}, "given.pt")
    code, out, _ = run(recipe(), "--init", "given.pt", "--finetune", "--set", "epochs=1", out="short")
    assert code == 0 and read_recipe("short/recipe.yaml").epochs == 1
    assert "where the weights have seen 16; --set data.resolution=16 is about 4 times as quick" in out
    code, out, _ = run(recipe(epochs=1, head_init_scale=0.001), out="alone")
    assert code == 0 and "from scratch by a recipe for fine-tuning (learning rate 0.004)" in out


# what is set right


def test_what_contradicts_itself_or_the_data_is_set_right_and_said(run, place, folder):
    two = place / "two"
    for split in ("train", "val"):
        (two / split).mkdir(parents=True)
        for name in ("bars", "discs"):
            (two / split / name).symlink_to(folder / split / name)
    values = recipe(total_batch_size=4096, batch_size=128, devices=4, accumulation=8, epochs=2)
    flags = ("--set", "epochs=1", "--set", "schedule.warmup_epochs=20", "--set", "batch_size=3")
    code, out, err = run(values, *flags, data=str(two))
    assert code == 0, err
    for line in (
        "warm-up: 0.07 epochs, a fifteenth as in the published recipe; 20 would be more than all 1",
        "batch: 4,096 images a step, 2 a forward pass x 512 accumulated x 4 devices",
        f"classes: 2, those of {two}; the recipe has 3",
        "batch: 8 images a step, 2 a forward pass x 4 accumulated, learning rate 0.00018; "
        "4,096 are too many of 96",
    ):
        assert line in out.splitlines(), out
    trained = read_recipe("out/recipe.yaml")
    assert trained.data.classes == ("bars", "discs") and trained.data.name == "two"
    # the same command goes on with it
    assert run(values, *flags, "--continue", data=str(two))[0] == 0


def test_a_field_of_the_recipe_is_set(run, place):
    flags = (
        "optimizer.betas=[0.8, 0.9]",
        "architecture.drop_path=0.3",
        "augmentation.rand_augment=null",
        "seed=4",
    )
    sets = [word for flag in flags for word in ("--set", flag)]
    assert run(recipe(epochs=1), *sets)[0] == 0
    trained = read_recipe("out/recipe.yaml")
    assert trained.optimizer.betas == (0.8, 0.9) and trained.network.drop_path == 0.3
    assert trained.augmentation.rand_augment is None and trained.seed == 4
    assert trained.optimizer.lr == 4e-3  # the rest of a part stays the file's


def test_a_training_lies_beside_its_recipe(place, folder, capsys):
    Path("best").mkdir()
    Path("best/recipe.yaml").write_text(recipe_text(recipe(epochs=1)))
    flags = ["--data", str(folder), "--device", "cpu", "--workers", "0"]
    assert train.main(["best/recipe.yaml", *flags]) == 0
    assert Path("best/trained/summary.json").exists()


# several


WIDE = dataclasses.replace(NET, stages=tuple(dataclasses.replace(s, width=s.width + 4) for s in NET.stages))


def test_seeds_and_controls_are_whole_trainings_of_one_recipe(run, place):
    Path("wide.json").write_text(WIDE.to_json())
    flags = ("--seeds", 2, "--control", "wide.json")
    code, out, err = run(recipe(epochs=1, seed=3), *flags)
    assert code == 0, err
    assert "4 trainings: network, wide, each with seeds 3 to 4" in out
    assert "2/4 wide, seed 3: epoch 1/1: loss" in out
    assert out.splitlines()[-1] == "compare them: python -m analysis.compare out"
    kept = json.loads(Path("out/trainings.json").read_text())["trainings"]
    names = [f"{name}/seed-{seed}" for seed in (3, 4) for name in ("network", "wide")]
    assert [each["folder"] for each in kept] == names
    assert [each["role"] for each in kept] == ["network", "control"] * 2
    recipes = {each: read_recipe(f"out/{each}/recipe.yaml") for each in names}
    assert {each.seed for each in recipes.values()} == {3, 4}
    assert recipes["wide/seed-3"].network.drop_path == NET.drop_path
    same = recipes["network/seed-3"].changed(architecture=recipes["wide/seed-3"].architecture)
    assert same == recipes["wide/seed-3"]
    # a training among several is the training alone
    assert run(recipe(epochs=1, seed=3), out="alone")[0] == 0
    assert columns(place / "alone") == columns(place / "out/network/seed-3")
    code, _, err = run(recipe(epochs=1, seed=3), *flags)
    assert code == 2 and "holds trainings (trainings.json); --resume goes on with them" in err
    code, _, err = run(recipe(epochs=1, seed=3), "--continue")
    assert code == 2 and "holds several trainings (trainings.json); name another folder" in err
    # another seed is added to those that are there
    before = (place / "out/wide/seed-4/checkpoint-last.pt").read_bytes()
    assert run(recipe(epochs=1, seed=3), "--seeds", 3, "--control", "wide.json", "--continue")[0] == 0
    assert (place / "out/wide/seed-4/checkpoint-last.pt").read_bytes() == before
    assert len(json.loads(Path("out/trainings.json").read_text())["trainings"]) == 6


def test_several_trainings_that_are_stopped_lose_and_repeat_nothing(run, place, monkeypatch):
    Path("wide.json").write_text(WIDE.to_json())
    flags = ("--seeds", 2, "--control", "wide.json", "--continue")
    assert run(recipe(epochs=2), *flags, out="whole")[0] == 0
    original, epochs = full_training.run_epoch, []

    def stopped(*words):
        epochs.append(1)
        if len(epochs) == 4:  # the second epoch of the second training
            raise KeyboardInterrupt
        return original(*words)

    with monkeypatch.context() as patched:
        patched.setattr(full_training, "run_epoch", stopped)
        code, _, err = run(recipe(epochs=2), *flags, out="cut")
        assert code == 130 and err.rstrip().endswith("--continue")
        epochs[:] = [1] * 4
        assert run(recipe(epochs=2), *flags, out="cut")[0] == 0
    assert len(epochs) == 4 + 5
    for name in ("network", "wide"):
        for seed in (0, 1):
            own = f"{name}/seed-{seed}"
            assert columns(place / "cut" / own) == columns(place / "whole" / own)
            assert read_predictions(place / "cut" / own).right.tolist() == (
                read_predictions(place / "whole" / own).right.tolist()
            )


def test_one_training_that_diverges_does_not_end_the_others(run, place, monkeypatch):
    original = full_training.run_epoch

    def failing(state, given, *words):
        if given.recipe.seed == 0:
            raise TrialFailed("loss is not finite at epoch 1, step 1")
        return original(state, given, *words)

    monkeypatch.setattr(full_training, "run_epoch", failing)
    code, out, err = run(recipe(epochs=1), "--seeds", 2)
    assert code == 1 and err == "nas.train: network, seed 0: loss is not finite at epoch 1, step 1\n"
    assert "2/2 network, seed 1: best top-1" in out


def test_the_nearest_control_is_a_published_network():
    tiny = named("convnext_tiny")
    atto = dataclasses.replace(tiny, stages=(*named("convnext_atto").stages[:3], tiny.stages[3]))
    assert control("nearest", dataclasses.replace(tiny, activation="relu"))[0] == "convnext_tiny"
    assert control("swin", tiny)[0] == "swin_tiny"
    assert control("nearest", atto)[0] in (
        "convnext_atto",
        "convnext_femto",
        "convnext_pico",
        "convnext_nano",
    )
    with pytest.raises(InputError, match="is the recipe's own network"):
        control("nearest", tiny)


# what is evaluated later


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_an_evaluation_reports_the_accuracy_of_the_training(run, place, folder, capsys, norm):
    """Its crop, pixels, interpolation and its choice of weights; and what it has kept of each image."""
    values = recipe(
        dataclasses.replace(NET, norm=norm), epochs=3, ema_decay=0.8, optimizer={"lr": 1e-2},
        data={"name": "shapes", "num_classes": 3, "resolution": 24, "eval_crop": 0.6,
              "interpolation": "bilinear"},
    )  # fmt: skip
    assert run(values)[0] == 0
    summary = json.loads(Path("out/summary.json").read_text())
    best = max(summary["best"]["val_accuracy"], summary["best"]["ema_accuracy"])
    capsys.readouterr()
    words = ["out/checkpoint-best.pt", "--data", str(folder), "--workers", "0", "--device", "cpu", "--json"]
    assert evaluate.main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["top1"] == pytest.approx(best, abs=1e-12) and 0.3 < best < 1
    kept = read_predictions(Path("out"))
    assert kept.right.mean() == pytest.approx(best, abs=1e-12)
    assert np.bincount(kept.label).tolist() == [24, 24, 24]
    assert summary["peak_memory"] > 10**7
    # weights alone do not say at which pixels they were trained; a recipe does
    torch.save(weights("out/checkpoint-best.pt")[summary["best_weights"]], "bare.pt")
    words[0] = "bare.pt"
    assert evaluate.main([*words, "--network", "out/recipe.yaml"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["top1"] == pytest.approx(best, abs=1e-12) and not any("pixels" in n for n in found["notes"])
    Path("net.json").write_text(values.network.to_json())
    assert evaluate.main([*words, "--network", "net.json", "--resolution", "24"]) == 0
    assert "pixels: 24, a crop of 0.875, as published" in json.loads(capsys.readouterr().out)["notes"][1]
