"""A network and its recipe as arguments of timm's train.py.

What is known of it here, from train.py (huggingface/pytorch-image-models) and timm 1.0.31:

* train.py makes the model by `create_model(model, drop_path_rate=drop_path, **model_kwargs)`: stochastic
  depth is the key `drop_path`; as a model argument it would be passed twice. `create_model` drops null
  arguments, so LayerScale is switched off by naming a V2 model, which starts without.
* `warmup_prefix` counts the warm-up apart from `epochs`; `sched_on_updates` sets the rate at every step.
* Its layer-wise decay counts every block, where the recipe's counts groups of three.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nas.targets.lacking import first_lacking
from nas.targets.target import MEAN, STD, Chosen, Refused
from nas.training.layer_decay import head_layer
from space.architecture import Architecture

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "silu", "hardswish": "hard_swish"}
NORMS = {"layer": "layernorm", "rms": "rmsnorm", "group": "groupnorm"}


def model_arguments(chosen: Chosen) -> dict[str, Any]:
    """The keys of train.py that make timm's ConvNeXt class the network; `class_lacks` must be None."""
    network, recipe = chosen.network, chosen.recipe
    arguments: dict[str, Any] = {
        "depths": list(network.depths),
        "dims": list(network.widths),
        "kernel_sizes": [stage.kernel_size for stage in network.stages],
        "patch_size": network.stem.patch_size,
        "act_layer": ACTIVATIONS[network.activation],
        "norm_layer": NORMS[network.norm],
        "use_grn": network.stages[0].grn,
    }
    if network.norm == "group":
        arguments["conv_mlp"] = True
    if network.layer_scale is not None:
        arguments["ls_init_value"] = chosen.layer_scale
    if recipe.head_init_scale != 1:
        arguments["head_init_scale"] = recipe.head_init_scale
    # a null for ls_init_value would be dropped: V2 starts without LayerScale
    base = "convnext_tiny" if network.layer_scale is not None else "convnextv2_tiny"
    return {"model": base, "model_kwargs": arguments}


def file_arguments(chosen: Chosen) -> dict[str, Any]:
    """The keys of train.py that ask for the network that launch.py registers."""
    scale = chosen.recipe.head_init_scale
    return {"model": chosen.name} | ({"model_kwargs": {"head_init_scale": scale}} if scale != 1 else {})


def train_arguments(recipe: Recipe, timms_class: bool = True) -> dict[str, Any]:
    """The recipe as keys of train.py (argparse's dest names). Raises `Refused` for what train.py lacks."""
    data, optimizer = recipe.data, recipe.optimizer
    schedule, augmentation = recipe.schedule, recipe.augmentation
    _refuse_recipe(recipe)
    warmup = int(schedule.warmup_epochs)
    values: dict[str, Any] = {
        "drop_path": recipe.network.drop_path,
        "num_classes": data.num_classes,
        "input_size": [3, data.resolution, data.resolution],
        "interpolation": data.interpolation, "train_interpolation": data.interpolation,
        "crop_pct": data.eval_crop, "mean": MEAN, "std": STD,
        "batch_size": recipe.batch_size, "grad_accum_steps": recipe.accumulation,
        "epochs": recipe.epochs - warmup, "warmup_epochs": warmup, "warmup_prefix": True,
        "sched": schedule.name, "sched_on_updates": True,
        "warmup_lr": schedule.warmup_from, "min_lr": schedule.min_lr, "cooldown_epochs": 0,
        "opt": optimizer.name, "lr": optimizer.lr, "opt_betas": list(optimizer.betas),
        "opt_eps": optimizer.eps, "weight_decay": optimizer.weight_decay,
        "scale": list(augmentation.random_resized_crop or ()),
        "hflip": 0.5 if augmentation.flip else 0.0,
        "color_jitter": augmentation.color_jitter,
        "reprob": augmentation.random_erasing, "remode": "pixel",
        "mixup": augmentation.mixup, "cutmix": augmentation.cutmix,
        "mixup_prob": augmentation.mixup_prob, "mixup_switch_prob": augmentation.switch_prob,
        "smoothing": augmentation.label_smoothing,
        "model_ema": recipe.ema_decay is not None,
        "amp": recipe.precision != "fp32", "channels_last": recipe.channels_last, "seed": recipe.seed,
    }  # fmt: skip
    optional = {
        "aa": augmentation.rand_augment,
        "model_ema_decay": recipe.ema_decay,
        "clip_grad": recipe.clip_norm,
        "layer_decay": _layer_decay(recipe, timms_class),
        "amp_dtype": "bfloat16" if recipe.precision != "fp32" else None,
        "torchcompile": "inductor" if recipe.compile else None,
    }
    return values | {key: value for key, value in optional.items() if value is not None}


def _refuse_recipe(recipe: Recipe) -> None:
    augmentation, warmup = recipe.augmentation, recipe.schedule.warmup_epochs
    checks = [
        ("augmentation.random_resized_crop", augmentation.random_resized_crop is not None,
         "none; timm's train.py switches every augmentation off with it"),
        ("augmentation.crop_padding", augmentation.crop_padding == 0,
         f"{augmentation.crop_padding}; timm's train.py has random resized crops"),
        ("schedule.warmup_epochs", warmup == int(warmup), f"{warmup:g}; timm's train.py has whole epochs"),
        ("schedule.warmup_epochs", warmup < recipe.epochs, f"all {recipe.epochs}; timm's cosine needs one"),
    ]  # fmt: skip
    lacking = first_lacking(checks)
    if lacking is not None:
        raise Refused(lacking)


def _layer_decay(recipe: Recipe, timms_class: bool) -> float | None:
    rate, network = recipe.optimizer.layer_decay, recipe.network
    if rate is None or not timms_class or not isinstance(network, Architecture):
        return rate
    # timm's class has more layers: the stem, every block, the head; this root gives the stem the same rate
    layers = sum(network.depths) + 1
    return round(math.pow(rate, head_layer(network.depths) / layers), 6)
