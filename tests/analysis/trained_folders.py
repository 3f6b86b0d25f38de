"""Folders of trainings as `nas.train` leaves them, without a training: summaries, recipes, predictions."""

import json

import numpy as np

from nas.training.predictions import write_predictions

CLASSES = ("bars", "discs", "frames", "rings")


def training(
    folder, accuracy, *, seed=0, images=400, classes=CLASSES, data="f00d", recipe="epochs: 3\n", **changes
):
    """One training whose best weights are right on about such a share of the images; its right answers."""
    folder.mkdir(parents=True)
    random = np.random.default_rng([seed, round(1e6 * accuracy)])
    label = np.arange(images) % len(classes)
    # hard images are hard for every network
    right = np.random.default_rng(0).random(images) + 0.1 * random.standard_normal(images) < accuracy
    predicted = np.where(right, label, (label + 1) % len(classes))
    write_predictions(folder, label, predicted)
    top = float((label == predicted).mean())
    summary = {
        "network": "2-2-6-2 40-80-160-320 k7 e4 layer gelu", "architecture": "abc", "macs": 6e8,
        "params": 4.1e6, "resolution": 64, "num_classes": len(classes), "classes": list(classes),
        "data": {"name": "photos", "fingerprint": data, "train_size": 900, "val_size": images},
        "epochs": 3, "recipe_epochs": 3,
        "best": {"epoch": 2, "val_accuracy": top, "ema_accuracy": top - 0.01},
        "seed": seed, "device": "cpu", "train_seconds": 100.0 + seed, "eval_seconds": 9.0,
        "images_per_second": 25.0, "peak_memory": 10**9,
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary | changes))
    (folder / "recipe.yaml").write_text(f"seed: {seed}\n{recipe}")
    return top


def trainings(folder, **accuracies):
    """Several, by name their accuracies by seed; the first is the network."""
    entries = []
    for name, values in accuracies.items():
        role = "network" if not entries or entries[0]["name"] == name else "control"
        for seed, accuracy in enumerate(values):
            entries.append({"name": name, "role": role, "seed": seed, "folder": f"{name}/seed-{seed}"})
            training(folder / name / f"seed-{seed}", accuracy, seed=seed)
    (folder / "trainings.json").write_text(json.dumps({"data": "photos", "trainings": entries}))
    return folder
