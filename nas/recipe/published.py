"""The published recipe worked out for a network and the GPUs at hand."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from typing import Any, Literal

from nas.recipe.memory import largest_batch, memory_of
from nas.recipe.recipe import VARIANTS, Recipe, Variant, recipe_from
from space.architecture import Architecture
from space.errors import InputError
from space.networks import Network, cost_of, named_network
from space.swin import Swin

# bytes of a GPU where nobody says: the smaller A100
GPU_MEMORY = 40 * 10**9
# pixels from which validation crops nothing off the shorter side (official datasets.py: nothing at all)
NO_CROP_FROM = 384
# fine-tuned at 384 pixels ConvNeXt-B has .8, trained from scratch .5: the rule for what has no published rate
FINE_TUNED_MORE = 1.6
# a fine-tuning's learning rate from this width of the last stage on, which is T's; and what it is at most
FINE_TUNING_LR, FINE_TUNED_WIDTH, MOST_FINE_TUNING_LR = 5e-5, 768, 1e-3
# the published networks' rates, by recipe or family; other networks' lie between them, by their cost
STOCHASTIC_DEPTH: dict[str, dict[str, float]] = {
    "imagenet-1k": {"convnext_tiny": 0.1, "convnext_small": 0.4, "convnext_base": 0.5, "convnext_large": 0.5},
    "imagenet-22k": {
        "convnext_tiny": 0.0, "convnext_small": 0.0, "convnext_base": 0.1, "convnext_large": 0.1,
        "convnext_xlarge": 0.2,
    },
    "finetune-1k": {  # B and L are published
        "convnext_tiny": 0.1 * FINE_TUNED_MORE, "convnext_small": 0.4 * FINE_TUNED_MORE,
        "convnext_base": 0.8, "convnext_large": 0.95,
    },
    "finetune-22k": {
        "convnext_tiny": 0.0, "convnext_small": 0.1, "convnext_base": 0.2, "convnext_large": 0.3,
        "convnext_xlarge": 0.4,
    },
    "isotropic": {
        "convnext_isotropic_small": 0.1, "convnext_isotropic_base": 0.2, "convnext_isotropic_large": 0.5,
    },
    "swin": {"swin_tiny": 0.2, "swin_small": 0.3, "swin_base": 0.5},
}  # fmt: skip


def recipe_for(
    network: Network,
    *,
    variant: Variant = "imagenet-1k",
    resolution: int | None = None,
    gpus: int = 8,
    gpu_memory: float | None = None,
    num_classes: int | None = None,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
) -> Recipe:
    """The recipe that trains this network on so many GPUs of `gpu_memory` bytes each (None: `GPU_MEMORY`).

    `variant`: from scratch on ImageNet-1K or 22K, or fine-tuned on 1K after either. The stochastic depth is
    the recipe's, whatever the network came with. Raises `InputError` where the published total batch does not
    split over the GPUs, where not even one image fits, or where the resolution is too small for the network.
    """
    if variant not in VARIANTS:
        raise InputError(f"variant {variant!r}: must be one of {', '.join(VARIANTS)}")
    if isinstance(network, Swin) and variant != "imagenet-1k":
        raise InputError(
            f"variant {variant}: a Swin Transformer is trained to compare with, on imagenet-1k alone"
        )
    values = published(network, variant)
    trained = dataclasses.replace(network, drop_path=drop_path(network, variant))
    given = {"resolution": resolution, "num_classes": num_classes}
    data = values.get("data", {}) | {name: value for name, value in given.items() if value is not None}
    pixels = data.get("resolution", 224)
    if isinstance(pixels, int) and pixels >= NO_CROP_FROM:
        data["eval_crop"] = 1.0
    total = values.get("total_batch_size", 4096)
    # on one device for now; `split` shares the batch out
    whole = values | {
        "architecture": trained.to_dict(), "data": data, "precision": precision,
        "batch_size": total, "accumulation": 1, "devices": 1,
    }  # fmt: skip
    return split(recipe_from(whole, "recipe"), gpus, gpu_memory)


def split(recipe: Recipe, devices: int, memory: float | None = None) -> Recipe:
    """The same training over so many devices of `memory` bytes each (None: `GPU_MEMORY`).

    The total batch stays; a forward pass takes the largest divisor of a device's share that fits. Raises
    `InputError`.
    """
    total = recipe.total_batch_size
    if devices < 1 or total % devices:
        divisors = [count for count in range(1, total + 1) if total % count == 0]
        below = [count for count in divisors if count < devices][-1:]
        above = [count for count in divisors if count > devices][:1]
        choice = " or ".join(str(count) for count in below + above)
        raise InputError(
            f"gpus {devices}: a total batch of {total} does not split over them; {choice} would do"
        )
    share = total // devices
    batch = largest_batch(memory_of(recipe, devices), share, GPU_MEMORY if memory is None else memory)
    return recipe.changed(batch_size=batch, accumulation=share // batch, devices=devices)


def published(network: Network, variant: Variant) -> dict[str, Any]:
    """Where the published recipe differs from `Recipe`'s defaults, but for stochastic depth; plain values."""
    if isinstance(network, Swin):  # config.py; its learning rates are for 512 images and scale to its 1024
        return {
            "total_batch_size": 1024,
            "optimizer": {"lr": 1e-3},
            "schedule": {"warmup_from": 1e-6, "min_lr": 1e-5},
            "clip_norm": 5.0,
            "ema_decay": None,
        }
    # no average beside BatchNorm (paper, Table 10): it has weights of its own, but not their statistics
    averaged = 0.9999 if network.norm != "batch" else None
    if variant == "imagenet-1k":
        warmup = {"schedule": {"warmup_epochs": 50.0}} if is_isotropic(network) else {}
        return warmup | {"ema_decay": averaged}
    if variant == "imagenet-22k":
        return {
            "data": {"name": "imagenet-22k", "num_classes": 21841},
            "epochs": 90,
            "schedule": {"warmup_epochs": 5.0},
            "ema_decay": None,
        }
    # of the published ones only XL was averaged (TRAINING.md)
    large = variant == "finetune-22k" and cost_of(network).macs >= _macs("convnext_xlarge")
    return {
        "data": {"resolution": 384},
        "epochs": 30,
        "total_batch_size": 512,
        "optimizer": {
            "lr": fine_tuning_rate(network), "weight_decay": 1e-8,
            "layer_decay": 0.7 if variant == "finetune-1k" else 0.8,
        },
        "schedule": {"warmup_epochs": 0.0},
        "augmentation": {"mixup": 0.0, "cutmix": 0.0},
        "ema_decay": averaged if large else None,
        "head_init_scale": 0.001,
    }  # fmt: skip


def fine_tuning_rate(network: Network) -> float:
    """The published learning rate; of a narrower network than T more, in proportion, up to what was measured.

    What Adam changes in a layer's outputs goes with the rate times its inputs: Yang et al. 2022
    (arXiv:2203.03466), Table 3. Measured: studies/fine_tune.
    """
    width = network.stages[-1].out if isinstance(network, Architecture) else FINE_TUNED_WIDTH
    narrower = max(1.0, FINE_TUNED_WIDTH / width)
    return float(f"{min(FINE_TUNING_LR * narrower, MOST_FINE_TUNING_LR):.2g}")


def is_isotropic(network: Network) -> bool:
    """Whether all blocks work at one resolution (paper, section 3.3)."""
    return isinstance(network, Architecture) and len(network.stages) == 1


def drop_path(network: Network, variant: Variant = "imagenet-1k") -> float:
    """Stochastic depth's rate for the last block, of the published networks of the same kind and cost."""
    macs = cost_of(network).macs
    if isinstance(network, Swin):
        return stochastic_depth(macs, "swin")
    if is_isotropic(network) and variant == "imagenet-1k":
        return stochastic_depth(macs, "isotropic")
    if is_isotropic(network) and variant == "finetune-1k":
        return round(FINE_TUNED_MORE * stochastic_depth(macs, "isotropic"), 2)
    return stochastic_depth(macs, variant)


def stochastic_depth(macs: int, kind: str = "imagenet-1k") -> float:
    """The rates of `STOCHASTIC_DEPTH[kind]`, interpolated linearly in log MACs at 224 pixels, to 2 digits.

    Outside the published sizes the rate is the nearest one's.
    """
    points = [(math.log(_macs(name)), rate) for name, rate in STOCHASTIC_DEPTH[kind].items()]
    at = min(max(math.log(macs), points[0][0]), points[-1][0])
    for (left, low), (right, high) in itertools.pairwise(points):
        if at <= right:
            return round(low + (high - low) * (at - left) / (right - left), 2)
    raise AssertionError("at is between the first and the last point")


@functools.cache
def _macs(name: str) -> int:
    return int(cost_of(named_network(name)).macs)
