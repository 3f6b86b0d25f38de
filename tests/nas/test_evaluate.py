"""Evaluating a checkpoint: exact counts, every layout of weights, and mistakes in one line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas import evaluate
from nas.data import load
from nas.data.augment.batch import normalise
from nas.data.crops import centre_crop
from nas.training.weights import read_weights
from space.checkpoints import to_official, to_timm, to_transformers
from space.families import named
from space.network import build
from space.networks import build_network
from space.swin import named_swin

TINY = replace(
    named("convnext_tiny"),
    stages=tuple(
        replace(stage, depth=1, width=8 * 2**i) for i, stage in enumerate(named("convnext_tiny").stages)
    ),
)
SIDE = 32


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """The validation split of digits, and its cache where the command finds it."""
    cache = tmp_path_factory.mktemp("cache")
    return load("digits", SIDE, cache_dir=cache / "convnext-nas").val, cache


@pytest.fixture
def place(digits, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(digits[1]))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.json").write_text(json.dumps(TINY.to_dict()))
    return tmp_path


def model(seed=0, classes=10, network=TINY):
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        built = build_network(network, classes)
        with torch.no_grad():
            for parameter in built.parameters():  # fresh LayerScale and head would leave the logits near 0
                parameter.copy_(torch.randn(parameter.shape) / max(parameter[0].numel(), 1) ** 0.5)
    return built


def checkpoint(path, weights=None, average=None, network=TINY, **changes):
    """As `nas.train` writes them."""
    weights = weights or model()
    values = {
        "model": weights.state_dict(),
        "architecture": network.to_dict(),
        "num_classes": 10,
        "resolution": SIDE,
        "recipe": {"data": {"resolution": SIDE, "eval_crop": 0.5, "interpolation": "bilinear"}},
        "data": "f",
        "epoch": 3,
    }
    if average is not None:
        values["model_ema"] = average.state_dict()
    torch.save(values | changes, path)
    return path


def counted(built, split):
    """Top-1, top-5 and loss over a split, by hand."""
    with torch.inference_mode():
        logits = built.eval()(normalise(torch.from_numpy(np.array(split.images))))
    labels = torch.from_numpy(split.labels)
    places = (logits > logits.gather(1, labels[:, None])).sum(1)
    loss = (logits.logsumexp(1) - logits.gather(1, labels[:, None])[:, 0]).double().mean()
    return (places == 0).double().mean().item(), (places < 5).double().mean().item(), loss.item()


def evaluated(capsys, *words):
    assert evaluate.main([str(word) for word in words] + ["--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(capsys, *words, begun=False):
    """The one line of a mistake, nothing being printed before it but of an evaluation that has begun."""
    try:
        code = evaluate.main([str(word) for word in words])
    except SystemExit as ended:
        code = ended.code
    printed = capsys.readouterr()
    assert code == 2 and bool(printed.out) == begun
    assert printed.err.startswith("nas.evaluate: ") and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("batch_size", [7, 1000])
def test_counts_are_exact_whatever_the_batches(place, digits, capsys, batch_size):
    found = evaluated(capsys, checkpoint(place / "c.pt"), "--data", "digits", "--batch-size", batch_size)
    top1, top5, loss = counted(model(), digits[0])
    assert 0 < top1 < top5 < 1  # random weights, but no constant answer
    assert (found["top1"], found["top5"]) == pytest.approx((top1, top5), abs=1e-12)
    assert found["loss"] == pytest.approx(loss, rel=1e-4)
    assert found["images"] == len(digits[0]) and found["num_classes"] == 10 and found["ema"] is False
    assert found["top1_interval"][0] < top1 < found["top1_interval"][1]


def test_the_average_is_taken_where_there_is_one(place, digits, capsys):
    path = checkpoint(place / "c.pt", model(0), model(1))
    of = {seed: counted(model(seed), digits[0])[2] for seed in (0, 1)}
    assert abs(of[0] / of[1] - 1) > 0.01
    for flags, seed in (((), 1), (("--ema",), 1), (("--no-ema",), 0)):
        found = evaluated(capsys, path, "--data", "digits", *flags)
        assert found["loss"] == pytest.approx(of[seed], rel=1e-4) and found["ema"] == (seed == 1)


def test_the_weights_that_were_better_are_taken(place, digits, capsys):
    of = {seed: counted(model(seed), digits[0])[2] for seed in (0, 1)}
    cases = [
        ({"best_weights": "model", "epoch": 4}, 0, "weights, better than their moving average after epoch 4"),
        (
            {"best_weights": "model_ema"},
            1,
            "moving average of the weights, better than the weights after epoch 3",
        ),
        ({"val_accuracy": 0.21, "ema_accuracy": 0.125}, 0, "weights, better than"),  # of an older version
        ({"val_accuracy": 0.2, "ema_accuracy": 0.2}, 1, "moving average"),
        ({"val_accuracy": 0.2, "ema_accuracy": None}, 1, "moving average of the weights"),
    ]
    for changes, seed, words in cases:
        path = checkpoint(place / "c.pt", model(0), model(1), **changes)
        found = evaluated(capsys, path, "--data", "digits")
        assert found["loss"] == pytest.approx(of[seed], rel=1e-4) and found["ema"] == (seed == 1)
        assert found["weights"].startswith(words)
        state = read_weights(path).model.state_dict()
        assert torch.equal(state["head.weight"], model(seed).state_dict()["head.weight"])
        for flag, asked in (("--ema", 1), ("--no-ema", 0)):
            assert evaluated(capsys, path, "--data", "digits", flag)["ema"] == (asked == 1)


def folder_of(root, *names, count=3):
    """A validation folder of images that tell the classes' labels apart only by their folder."""
    rng = np.random.default_rng(0)
    for name in names:
        (root / "val" / name).mkdir(parents=True)
        for i in range(count):
            noise = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            Image.fromarray(noise).save(root / "val" / name / f"{i}.png")
    return f"imagefolder:{root}"


def loss_of(built, spec, places):
    """Cross-entropy over a folder whose classes stand at these places among the network's."""
    files = sorted(Path(spec.partition(":")[2]).rglob("*.png"))
    pixels = np.stack([centre_crop(Image.open(file), SIDE, 0.5, "bilinear") for file in files])
    labels = torch.tensor(places).repeat_interleave(len(files) // len(places))
    with torch.inference_mode():
        logits = built.eval()(normalise(torch.from_numpy(pixels)))
    return torch.nn.functional.cross_entropy(logits, labels).item()


@pytest.mark.parametrize(
    ("names", "places", "note"),
    [
        (("ant", "bee", "cat"), [0, 1, 2], ""),
        (("cat", "ant", "bee"), [1, 2, 0], ""),  # the network's order; a folder's is sorted
        (("bee", "ant", "cat", "dog"), [1, 0, 2], "classes: 3 of the network's 4, among all of which it "
                                                  "chooses; without dog"),
    ],
)  # fmt: skip
def test_classes_are_mapped_by_name(place, capsys, names, places, note):
    spec = folder_of(place / "data", "ant", "bee", "cat")
    built = model(classes=len(names))
    path = checkpoint(place / "c.pt", built, num_classes=len(names), classes=list(names))
    found = evaluated(capsys, path, "--data", spec, "--workers", "0")
    assert found["loss"] == pytest.approx(loss_of(built, spec, places), rel=1e-4)
    assert [line for line in found["notes"] if line.startswith("classes")] == ([note] if note else [])


def test_classes_that_the_network_does_not_know_are_named(place, capsys):
    spec = folder_of(place / "data", "ant", "bee", "wasp")
    path = checkpoint(place / "c.pt", model(classes=3), num_classes=3, classes=["ant", "bee", "cat"])
    line = refused(capsys, path, "--data", spec, "--workers", "0")
    assert "has classes that the network does not know: wasp; it knows cat" in line
    path = checkpoint(place / "c.pt", model(classes=2), num_classes=2, classes=["ant", "bee"])
    line = refused(capsys, path, "--data", spec, "--workers", "0")
    assert line.endswith("has classes that the network does not know: wasp\n")
    path = checkpoint(place / "c.pt", model(classes=3), num_classes=3, classes=["ant", "bee", "Wasp"])
    line = refused(capsys, path, "--data", spec, "--workers", "0")
    assert line.endswith("it knows Wasp; 'wasp' and 'Wasp' differ in case alone\n")


def test_a_name_is_the_same_however_its_letters_are_encoded(place, capsys):
    spec = folder_of(place / "data", "ant", "cafe\u0301")  # as macOS has written it
    path = checkpoint(place / "c.pt", model(classes=2), num_classes=2, classes=["caf\u00e9", "ant"])
    assert evaluate.main([str(path), "--data", spec, "--workers", "0"]) == 0
    assert "classes: " not in capsys.readouterr().out.replace("2 classes", "")
    both = checkpoint(place / "b.pt", model(classes=2), num_classes=2, classes=["caf\u00e9", "cafe\u0301"])
    assert "does not know: ant; it knows caf" in refused(capsys, both, "--data", spec, "--workers", "0")


def test_without_names_their_number_is_what_can_be_checked(place, capsys):
    spec = folder_of(place / "data", "ant", "bee", "cat")
    path = checkpoint(place / "c.pt", model(classes=3), num_classes=3)
    assert evaluate.main([str(path), "--data", spec, "--workers", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].startswith("classes: 3 in both; ") and lines[2].endswith("could not be checked")
    assert f"{path} keeps no names" in lines[2]
    path = checkpoint(place / "c.pt", model(classes=4), num_classes=4)
    assert "has 3 classes; the network in" in refused(capsys, path, "--data", spec, "--workers", "0")


def test_odd_values_in_a_checkpoint_are_one_line(place, capsys):
    for changes, words in (
        ({"classes": ["a"] * 10}, "classes: must be 10 different names, not ['a', "),
        ({"classes": "abcdefghij"}, "classes: must be 10 different names"),
        ({"recipe": {"data": {"resolution": -3}}}, "recipe: data: resolution: "),
        ({"recipe": {"data": {"resolution": "n" * 10**6}}}, "recipe: data: resolution: "),
        ({"recipe": {"data": [1]}}, "recipe: data: "),
        ({"architecture": {"stages": torch.zeros(3)}}, "architecture: "),
        ({"architecture": {"family": "swin", "width": [], "depths": 3}}, "architecture: "),
    ):
        line = refused(capsys, checkpoint(place / "c.pt", **changes), "--data", "digits")
        assert f"c.pt: {words}" in line and len(line) < 1300


def test_text_names_network_weights_and_intervals(place, capsys):
    assert evaluate.main([str(checkpoint(place / "c.pt")), "--data", "digits"]) == 0
    printed = capsys.readouterr().out
    assert "1-1-1-1 8-16-32-64 k7 e4 layer gelu, weights\n" in printed
    assert printed.count("% (95% interval") == 0 and printed.count("%  (95% interval ") == 2
    assert "images  599 of digits at 32 pixels on cpu in fp32" in printed


@pytest.mark.parametrize("layout", ["bare", "official", "timm", "transformers", "safetensors", "averaged"])
def test_weights_of_every_layout_with_their_network_named(place, digits, capsys, layout):
    state = model().state_dict()
    path = place / "w.pth"
    if layout == "safetensors":
        path = place / "model.safetensors"
        pytest.importorskip("safetensors.torch").save_file(to_transformers(state, TINY), path)
    else:
        torch.save(
            {
                "bare": state,
                "official": {"model": to_official(state, TINY), "epoch": 3},
                "timm": {"state_dict": {f"module.{k}": v for k, v in to_timm(state, TINY).items()}},
                "transformers": to_transformers(state, TINY),
                "averaged": {"model": model(5).state_dict(), "model_ema": state},
            }[layout],
            path,
        )
    words = (path, "--data", "digits", "--network", "tiny.json", "--resolution", SIDE)
    assert evaluated(capsys, *words)["loss"] == pytest.approx(counted(model(), digits[0])[2], rel=1e-4)


def test_a_swin_s_checkpoint(place, digits, capsys):
    swin = replace(named_swin("swin_tiny"), depths=(1, 1, 1, 1), width=24)
    path = checkpoint(place / "s.pt", model(network=swin), network=swin)
    loss = counted(model(network=swin), digits[0])[2]
    assert evaluated(capsys, path, "--data", "digits")["loss"] == pytest.approx(loss, rel=1e-4)
    states = model(network=swin).state_dict()
    states.pop("head.bias")
    checkpoint(place / "cut.pt", network=swin, model=states)
    assert "layout: missing head.bias" in refused(capsys, "cut.pt", "--data", "digits")


def test_image_folder_needs_val_only_and_is_cropped_as_the_recipe_says(place, capsys):
    rng = np.random.default_rng(0)
    for name in ("ant", "bee"):
        (place / "data" / "val" / name).mkdir(parents=True)
        for i in range(3):
            noise = Image.fromarray(rng.integers(0, 256, (3, 4, 3), np.uint8)).resize((80, 60))
            noise.save(place / "data" / "val" / name / f"{i}.png")
    two = model(classes=2)
    path = checkpoint(place / "c.pt", two, num_classes=2)
    files = sorted((place / "data" / "val").rglob("*.png"))
    for flags, crop in (((), 0.5), (("--crop", "1"), 1.0)):
        pixels = np.stack([centre_crop(Image.open(file), SIDE, crop, "bilinear") for file in files])
        with torch.inference_mode():
            logits = two.eval()(normalise(torch.from_numpy(pixels)))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor([0] * 3 + [1] * 3)).item()
        found = evaluated(capsys, path, "--data", "imagefolder:data", "--workers", "0", *flags)
        assert found["loss"] == pytest.approx(loss, rel=1e-4)
        assert found["top5"] is None and found["images"] == 6
    (place / "data" / "val" / "bee" / "broken.png").write_bytes(
        files[0].read_bytes()[:99] + files[0].read_bytes()[-12:]
    )
    assert "broken.png cannot be read as an image" in refused(
        capsys, path, "--data", "imagefolder:data", "--workers", "0", begun=True
    )


def test_a_pipe_hears_how_far_it_is(place, capsys, monkeypatch):
    monkeypatch.setattr("nas.training.display.EvaluationProgress.silence", 0.0)
    path = checkpoint(place / "c.pt")
    assert evaluate.main([str(path), "--data", "digits", "--batch-size", "200"]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines] == ["200 of 599 images", "400 of 599 images"]
    assert all(" left" in line and "top-1 so far" in line for line in lines)


def test_wilson_s_interval():
    """Against Brown, Cai and DasGupta 2001's formula, worked by hand for 8 of 10, and at the ends."""
    assert evaluate.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert evaluate.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert evaluate.wilson(50000, 50000)[1] == 1.0


# mistakes


def test_mistakes_of_the_command_line(place, capsys):
    path = checkpoint(place / "c.pt")
    assert "none.pt: No such file" in refused(capsys, "none.pt", "--data", "digits")
    assert "is no data set" in refused(capsys, path, "--data", "mnist")
    assert "is no folder" in refused(capsys, path, "--data", "imagefolder:none")
    assert "above 0 and at most 1" in refused(capsys, path, "--data", "digits", "--crop", "1.5")
    assert "at least 1" in refused(capsys, path, "--data", "digits", "--batch-size", "0")
    assert "cannot be used" in refused(capsys, path, "--data", "digits", "--device", "abacus")
    assert "needs larger images" in refused(capsys, path, "--data", "digits", "--resolution", "8")
    assert "holds no moving average" in refused(capsys, path, "--data", "digits", "--ema")


def test_classes_must_be_those_of_the_data(place, capsys):
    path = checkpoint(place / "c.pt", model(classes=12), num_classes=12)
    line = refused(capsys, path, "--data", "digits")
    assert "data: digits has 10 classes; the network in" in line and "tells 12 apart" in line


def test_the_network_must_be_the_weights(place, capsys):
    path = checkpoint(place / "c.pt")
    assert "c.pt holds 1-1-1-1 8-16-32-64" in refused(
        capsys, path, "--data", "digits", "--network", "convnext_tiny"
    )
    torch.save(model().state_dict(), place / "bare.pt")
    assert "does not say which network" in refused(capsys, "bare.pt", "--data", "digits")
    wider = replace(TINY, stages=tuple(replace(stage, width=2 * stage.width) for stage in TINY.stages))
    (place / "wider.json").write_text(json.dumps(wider.to_dict()))
    line = refused(capsys, "bare.pt", "--data", "digits", "--network", "wider.json")
    assert "bare.pt: " in line and "shape [8, 3, 4, 4], the network has [16, 3, 4, 4]" in line
    deeper = replace(TINY, stages=tuple(replace(stage, depth=2) for stage in TINY.stages))
    (place / "deeper.json").write_text(json.dumps(deeper.to_dict()))
    assert "missing stages.0.1." in refused(capsys, "bare.pt", "--data", "digits", "--network", "deeper.json")
    assert evaluated(capsys, path, "--data", "digits", "--network", "tiny.json")["images"] == 599


def test_damaged_files_are_refused(place, capsys):
    path = checkpoint(place / "c.pt")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    (place / "changed.pt").write_bytes(content)
    assert "does not match its CRC-32" in refused(capsys, "changed.pt", "--data", "digits")
    (place / "cut.pt").write_bytes(content[: len(content) // 2])
    assert "cut.pt: " in refused(capsys, "cut.pt", "--data", "digits")
    (place / "text.safetensors").write_text("no tensors here")
    assert "is damaged, or no checkpoint" in refused(capsys, "text.safetensors", "--data", "digits")
    torch.save({"model": {"stem": torch.zeros(1)}, "architecture": TINY.to_dict()}, place / "other.pt")
    assert "missing downsample_layers" in refused(capsys, "other.pt", "--data", "digits")
    backbone = {name: value for name, value in model().state_dict().items() if not name.startswith("head.")}
    checkpoint(place / "headless.pt", model=backbone)
    line = refused(capsys, "headless.pt", "--data", "digits")
    assert "headless.pt: holds no classifier (head.weight, " in line and "nas.train --init" in line
    checkpoint(place / "odd.pt", architecture={"stages": 3})
    assert "odd.pt: architecture: " in refused(capsys, "odd.pt", "--data", "digits")


def test_weights_that_are_not_finite_give_no_accuracy(place, capsys):
    broken = model()
    torch.nn.init.constant_(broken.head.weight, 3e38)  # whose sums are infinite
    line = refused(capsys, checkpoint(place / "c.pt", broken), "--data", "digits", begun=True)
    assert "the network's outputs are not finite" in line
    torch.nn.init.constant_(broken.head.bias, float("nan"))
    line = refused(capsys, checkpoint(place / "c.pt", broken), "--data", "digits")
    assert "c.pt: head.bias is not finite: its training diverged" in line


def test_reading_weights_leaves_torch_s_randomness(place):
    before = torch.get_rng_state()
    weights = read_weights(checkpoint(place / "c.pt"))
    assert torch.equal(torch.get_rng_state(), before)
    assert (weights.num_classes, weights.resolution, weights.crop) == (10, SIDE, 0.5)
    assert (
        weights.network == TINY and build(TINY, 10).state_dict().keys() == weights.model.state_dict().keys()
    )
