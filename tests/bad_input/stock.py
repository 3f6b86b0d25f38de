"""Valid things that bad ones are made from: studies, images, a recipe, a training, a warm cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.bad_input.runner import Server, copy

SIMULATED = ("--space", "micro", "--proxy", "simulated:separable", "--sampler", "random", "--no-reference")
SEARCHES = {
    "small": ("--budget", "20M..40M", "--objective", "best", "--trials", "12", *SIMULATED),
    "sweep": ("--budget", "8M,16M,32M", "--trials", "36", *SIMULATED),
}
MEASURED = ("convnext_tiny", "--seeds", "5", "--proxy", "simulated:separable")
TINY = {"stages": [{"depth": 1, "width": 8}] * 4, "layer_scale": 1.0}
PROXY = {
    "data": "digits", "resolution": 32, "train_size": 32, "val_size": 32, "epochs": 1, "batch_size": 16,
    "warmup_epochs": 0.5, "num_classes": 10,
}  # fmt: skip
RECIPE: dict[str, Any] = {
    "architecture": TINY,
    "data": {"num_classes": 2, "resolution": 32},
    "epochs": 1,
    "total_batch_size": 4,
    "batch_size": 4,
    "accumulation": 1,
    "devices": 1,
    "schedule": {"warmup_epochs": 0.0},
    "augmentation": {"rand_augment": None, "mixup": 0.0, "cutmix": 0.0},
}
FILES = ("study.db", ".lock", "summary.json")


def make(folder: Path, server: Server) -> Path:
    """The stock, in a folder of that name."""
    place = folder / "place"
    for name in ("work", "home", "cache", "tmp"):
        (place / name).mkdir(parents=True)
    work, stock = place / "work", folder / "stock"
    images(work / "images")
    (work / "recipe.json").write_text(json.dumps(RECIPE))
    (work / "recipe.yaml").write_text(json.dumps(RECIPE))
    (work / "tiny.json").write_text(json.dumps(TINY))
    (work / "proxy.yaml").write_text(json.dumps(PROXY))

    def run(command: str, *argv: str, code: int = 0) -> None:
        found = server.run(command, argv, place, {}, 300)
        if found["code"] != code:
            raise RuntimeError(f"{command} {argv}: exit code {found['code']}: {(place / 'err').read_text()}")

    for name, flags in SEARCHES.items():
        run("nas.search", *flags, "--study", name)
    run("nas.measure", *MEASURED, "--study", "measured")
    run(
        "nas.measure", "tiny.json", "--seeds", "1", "--proxy", "proxy.yaml", "--study", "digits"
    )  # warms the cache
    run("nas.measure", "tiny.json", "--seeds", "1", "--proxy", "smoke", "--study", "fractal")
    train = ("--data", "imagefolder:images", "--out", "trained", "--workers", "0", "--device", "cpu")
    run("nas.train", "recipe.yaml", *train)
    # of other classes, so it is refused, but in the cache from then on
    run("nas.evaluate", "trained/checkpoint-best.pt", "--data", "digits", code=2)
    run("nas.export", "small", "--to", "native", "--out", "exported")
    stock.mkdir()
    for name in (*SEARCHES, "measured"):
        (stock / name).mkdir()
        for file in FILES:
            copy(work / "runs" / name / file, stock / name / file)
    for name in ("images", "trained", "exported", "recipe.yaml", "tiny.json"):
        copy(work / name, stock / name)
    copy(place / "cache", stock / "cache")
    _weights(stock)
    return stock


def images(root: Path, classes: str = "ab", count: int = 4) -> None:
    """A folder of small pictures: one colour a class."""
    from PIL import Image

    for split in ("train", "val"):
        for k, name in enumerate(classes):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                Image.new("RGB", (40, 36), (40 + 90 * k, 20 * i, 60)).save(root / split / name / f"{i}.png")


def _weights(stock: Path) -> None:
    """Checkpoints that nothing but a training's code writes, of the training's weights."""
    import torch

    values = torch.load(stock / "trained" / "checkpoint-best.pt", weights_only=True)
    state = values["model"]
    less = dict(list(state.items())[:-1])
    wider = {name: torch.zeros(*value.shape, 2) for name, value in state.items()}
    odd = {
        "bare": state,
        "no_weights": {"architecture": values["architecture"]},
        "empty_mapping": {},
        "a_tensor": torch.zeros(3),
        "a_list": [1, 2, 3],
        "texts_for_tensors": dict.fromkeys(state, "x"),
        "a_key_less": values | {"model": less, "model_ema": less},
        "a_key_more": values | {"model": state | {"more": torch.zeros(1)},
            "model_ema": state | {"more": torch.zeros(1)}},
        "other_shapes": values | {"model": wider, "model_ema": wider},
        "another_network": values | {"architecture": {"stages": [{"depth": 2, "width": 16}]}},
        "no_network": values | {"architecture": {"stages": []}},
        "architecture_is_text": values | {"architecture": "convnext_tiny\n\x1b[31m"},
        "numbers_for_keys": {1: torch.zeros(1), 2: torch.zeros(1)},
        "nan": values | {name: {k: v * torch.nan for k, v in state.items()} for name in ("model",
            "model_ema")},
        "recipe_is_text": values | {"recipe": "x", "training": "x"},
        "training_is_empty": values | {"training": {}},
    }  # fmt: skip
    (stock / "weights").mkdir()
    for name, content in odd.items():
        torch.save(content, stock / "weights" / f"{name}.pt")
