"""The ConvNeXt training recipe for a network (paper, Table 5; the official TRAINING.md), as values."""

from __future__ import annotations

from typing import Any

import numpy as np

from space.architecture import Architecture
from space.cost import cost
from space.families import named

PUBLISHED = ("convnext_tiny", "convnext_small", "convnext_base")
TIMM_ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "silu", "hardswish": "hard_swish"}
TIMM_NORMS = {"layer": "layernorm", "rms": "rmsnorm"}


def stochastic_depth(macs: int) -> float:
    """The published rates (T .1, S .4, B .5) interpolated linearly in log MACs, constant outside."""
    published = [named(name) for name in PUBLISHED]
    at = [np.log(cost(network).macs) for network in published]
    return round(float(np.interp(np.log(macs), at, [network.drop_path for network in published])), 2)


def recipe(architecture: Architecture) -> dict[str, Any]:
    """ImageNet-1K from scratch at 224x224, total batch 4096; no EMA where there is BatchNorm (Table 10)."""
    return {
        "architecture": architecture.to_dict() | {"drop_path": stochastic_depth(cost(architecture).macs)},
        "data": {"set": "imagenet-1k", "resolution": 224, "interpolation": "bicubic", "eval_crop": 0.875},
        "epochs": 300,
        "total_batch_size": 4096,
        "optimizer": {
            "name": "adamw", "lr": 4e-3, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.05,
            "no_weight_decay": "biases and 1-D parameters",
        },
        "schedule": {
            "name": "cosine", "per_step": True, "warmup_epochs": 20, "warmup_from": 0.0, "min_lr": 1e-6,
        },
        "augmentation": {
            "rand_augment": "rand-m9-mstd0.5-inc1", "color_jitter": 0.4, "random_erasing": 0.25,
            "mixup": 0.8, "cutmix": 1.0, "mixup_prob": 1.0, "switch_prob": 0.5, "label_smoothing": 0.1,
        },
        "ema_decay": None if architecture.norm == "batch" else 0.9999,
        "gradient_clipping": None,
        "head_init_scale": 1.0,
    }  # fmt: skip


def why_not_timm(architecture: Architecture) -> str | None:
    """The first field that timm's ConvNeXt class cannot express, with the reason; None where it can."""
    stages = architecture.stages
    block = {name: {getattr(stage, name) for stage in stages} for name in ("expansion", *_TIMM_BLOCK)}
    checks = [
        ("stages", len(stages) == 4, f"{len(stages)} stages; it has 4"),
        ("stem.type", architecture.stem.type == "patchify", "resnet; it has patchify stems"),
        ("stem.norm", architecture.stem.norm, "false; its stem has a norm"),
        ("stem.activation", not architecture.stem.activation, "true; its stem has no activation"),
        ("stem.width", architecture.stem.width is None, "its stem has the first stage's width"),
        ("downsampling", architecture.downsampling == "separate", "strided; it downsamples separately"),
        ("norm", architecture.norm in TIMM_NORMS, f"{architecture.norm}; it has layer and rms here"),
        ("layer_scale", architecture.layer_scale is not None, "none; train.py cannot switch LayerScale off"),
        ("head_norm", architecture.head_norm, "false; its head has a norm"),
        ("expansion", block["expansion"] == {4}, f"{[s.expansion for s in stages]}; it has 4 everywhere"),
        ("grn", len({stage.grn for stage in stages}) == 1, "differs between stages"),
        *((name, block[name] == {value}, f"is not {value}") for name, value in _TIMM_BLOCK.items()),
    ]
    return next((f"{field}: {reason}" for field, fits, reason in checks if not fits), None)


_TIMM_BLOCK: dict[str, Any] = {
    "style": "inverted", "conv": "depthwise", "spatial": "first", "norm_after": (1,), "act_after": (2,),
}  # fmt: skip


def timm_recipe(architecture: Architecture) -> dict[str, Any]:
    """The same recipe in the keys of timm's `train.py -c`; `why_not_timm` must be None.

    `warmup_prefix` counts the warm-up apart, so 280 epochs and 20 make the recipe's 300; `batch_size` is per
    GPU: 8 GPUs x 128 x 4 accumulation steps are 4096.
    """
    stages = architecture.stages
    return {
        "model": "convnext_tiny",
        "model_kwargs": {
            "depths": [stage.depth for stage in stages],
            "dims": [stage.width for stage in stages],
            "kernel_sizes": [stage.kernel_size for stage in stages],
            "patch_size": architecture.stem.patch_size,
            "act_layer": TIMM_ACTIVATIONS[architecture.activation],
            "norm_layer": TIMM_NORMS[architecture.norm],
            "ls_init_value": architecture.layer_scale,
            "use_grn": stages[0].grn,
            "drop_path_rate": stochastic_depth(cost(architecture).macs),
        },
        "num_classes": 1000, "input_size": [3, 224, 224], "crop_pct": 0.875, "interpolation": "bicubic",
        "epochs": 280, "batch_size": 128, "grad_accum_steps": 4, "amp": True, "channels_last": True,
        "opt": "adamw", "lr": 4e-3, "opt_betas": [0.9, 0.999], "opt_eps": 1e-8, "weight_decay": 0.05,
        "sched": "cosine", "sched_on_updates": True, "warmup_epochs": 20, "warmup_prefix": True,
        "warmup_lr": 0.0, "min_lr": 1e-6,
        "aa": "rand-m9-mstd0.5-inc1", "color_jitter": 0.4, "train_interpolation": "bicubic",
        "reprob": 0.25, "remode": "pixel", "mixup": 0.8, "cutmix": 1.0, "mixup_prob": 1.0,
        "mixup_switch_prob": 0.5, "smoothing": 0.1, "model_ema": True, "model_ema_decay": 0.9999,
    }  # fmt: skip
