"""A made-up study for the tests of the report; the networks and costs are real, the accuracies invented."""

import math
import random

from space.architecture import Architecture
from space.cost import cost
from space.stage import Stage

EPOCHS = 6


def curve(accuracy, seed, epochs):
    """Epoch by epoch up to `accuracy`, with a little noise."""
    noise = random.Random(seed)
    rows = []
    for epoch in range(1, epochs + 1):
        share = (1 - math.exp(-0.55 * epoch)) / (1 - math.exp(-0.55 * epochs))
        reached = 0.1 + (accuracy - 0.1) * share + (noise.gauss(0, 0.008) if epoch < epochs else 0)
        rows.append(
            {
                "epoch": epoch,
                "train_loss": 2.3 * (1 - reached) + 0.05 + noise.gauss(0, 0.01),
                "val_loss": 2.3 * (1 - reached) + 0.2 + noise.gauss(0, 0.02),
                "val_accuracy": reached,
                "seconds": 11.0 + noise.random(),
            }
        )
    return rows


def trial(
    number, arch, accuracy, *, role="candidate", name=None, state="complete", epochs=EPOCHS, reason=None
):
    """One trial of the record; `accuracy` None for one that gave no result."""
    counted = cost(arch)
    return {
        "number": number,
        "state": state,
        "role": role,
        "name": name,
        "architecture": arch.to_dict(),
        "fingerprint": arch.fingerprint,
        "macs": counted.macs,
        "params": counted.params,
        "activations": counted.activations,
        "fidelity": epochs,
        "full_fidelity": epochs == EPOCHS,
        "seed": 0,
        "accuracy": accuracy,
        "curve": curve(accuracy or 0.3, number, epochs),
        "train_seconds": 11.5 * epochs,
        "reason": reason,
    }


def network(depths, widths, kernels=(7, 7, 7, 7), expansions=(4, 4, 4, 4), **fields):
    """A ConvNeXt whose kernel size and expansion differ from stage to stage."""
    columns = zip(depths, widths, kernels, expansions, strict=True)
    stages = tuple(Stage(depth=d, width=w, kernel_size=k, expansion=e) for d, w, k, e in columns)
    return Architecture(stages=stages, **fields)


def sample_study():
    """Fourteen trials with everything a study can hold: a failure, an interruption, a short training."""
    tiny = Architecture.convnext([3, 3, 9, 3], [96, 192, 384, 768])
    rms = {"norm": "rms", "activation": "silu"}
    rows = [
        (tiny, 0.5804, {"role": "reference", "name": "ConvNeXt-T"}),
        (network([2, 4, 10, 2], [96, 192, 384, 736], [5, 7, 7, 9]), 0.5712, {}),
        (network([4, 4, 8, 4], [88, 176, 360, 760], [7, 7, 9, 9]), 0.5631, {}),
        (network([3, 4, 12, 2], [80, 176, 360, 704], [9, 7, 7, 5], **rms), 0.5907, {}),
        (network([2, 3, 8, 3], [112, 208, 400, 720], [3, 5, 7, 7]), None,
         {"state": "failed", "epochs": 4, "reason": "loss became NaN in epoch 4 (learning rate 4e-3)"}),
        (network([3, 3, 10, 2], [96, 192, 384, 736], [3, 3, 5, 7], [4, 4, 4, 4]), 0.5744, {}),
        (network([3, 5, 14, 3], [72, 144, 336, 672], [7, 7, 7, 7], [4, 4, 4, 4]), 0.6021, {}),
        (network([2, 6, 9, 3], [96, 176, 368, 736], [7, 9, 7, 5], [3, 4, 4, 4]), 0.4475, {"epochs": 2}),
        (network([4, 6, 16, 3], [64, 128, 320, 640], [9, 9, 7, 7], [4, 4, 4, 4.5], **rms), 0.6130, {}),
        (network([3, 3, 7, 4], [96, 192, 400, 704], [11, 9, 7, 5]), 0.5689, {}),
        (network([5, 5, 15, 2], [64, 144, 328, 744], [5, 5, 5, 5], [4, 4, 4, 4]), 0.5993, {}),
        (network([3, 4, 13, 2], [80, 160, 360, 656], [7, 7, 9, 11]), 0.5960, {}),
        (network([2, 2, 9, 2], [104, 208, 416, 800], [7, 7, 7, 7]), 0.5577, {}),
        (network([3, 5, 12, 3], [80, 160, 344, 712], [7, 7, 7, 7]), None,
         {"state": "interrupted", "reason": "stopped by the user", "epochs": 3}),
    ]  # fmt: skip
    trials = [trial(i, arch, accuracy, **more) for i, (arch, accuracy, more) in enumerate(rows)]
    return {
        "name": "tiny-4.5G",
        "budget": {"text": "4.5GFLOPs", "metric": "macs", "low": 4.275e9, "high": 4.5e9},
        "space": {"name": "convnext", "size": 2_147_483_648, "in_band": 36_412_907},
        "proxy": {
            "name": "cpu",
            "data": "fractal",
            "resolution": 32,
            "epochs": EPOCHS,
            "train_size": 8000,
            "val_size": 2000,
            "num_classes": 10,
        },
        "seed": 0,
        "versions": {"convnext-nas": "0.1.0", "python": "3.11.7", "torch": "2.13.0", "optuna": "5.0.0"},
        "created": "2026-11-22T09:51:26+00:00",
        "wall_seconds": 941.0,
        "train_seconds": 872.4,
        "trials": trials,
        "best": 8,
        "reference": 0,
        "warnings": [],
    }
