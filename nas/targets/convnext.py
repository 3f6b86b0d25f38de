"""The target `convnext`: training by `main.py` of the official repository, facebookresearch/ConvNeXt.

Its `--model` takes a name registered with timm, and its own networks have fixed kernels, expansions, norms
and activations. So model.py registers this network, and train.py imports it before main.py runs. Every value
of the recipe is on the command line, under the name it has in main.py's argparse. What main.py cannot do is
refused: it warms up from 0, clips gradients only in float16, crops and flips as timm does, validates with
bicubic resizing, and has layer-wise decay for its own S, B, L and XL alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nas.targets.library import BROKEN, library, said
from nas.targets.quoting import in_shell
from nas.targets.target import Check, Chosen, Exported, Refused
from space.families import named

if TYPE_CHECKING:
    from types import ModuleType

    from torch import Tensor, nn

    from nas.recipe.recipe import Recipe
    from space.architecture import Architecture
    from space.network import ConvNet

NAME = "convnext"
SUMMARY = "model.py and the command line for the official repository's main.py"
REPOSITORY = "https://github.com/facebookresearch/ConvNeXt"
RELATIVE = 1e-5  # the same operations in nearly the same order
WITH_LAYER_DECAY = ("convnext_small", "convnext_base", "convnext_large", "convnext_xlarge")
PUBLISHED = ("convnext_tiny", *WITH_LAYER_DECAY)
WARPED_FROM = 384  # main.py: images of this size and above are resized whole, not cropped
PADDED_TO = 32  # main.py: images of this size and below are padded and cropped its own way
TRAIN = '''\
"""Runs ConvNeXt/main.py, with its flags, after registering the network of model.py."""

import importlib
import os
import runpy
import sys
from pathlib import Path

folder = Path(__file__).resolve().parent
# a clone of https://github.com/facebookresearch/ConvNeXt: here, or where CONVNEXT says
repository = Path(os.environ.get("CONVNEXT", folder / "ConvNeXt"))
sys.path[:0] = [str(repository), str(folder)]

importlib.import_module("model")  # registers the network
runpy.run_path(str(repository / "main.py"), run_name="__main__")
'''


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - model.py brings the network
    """None: model.py brings the network."""
    return None


def export(chosen: Chosen) -> Exported:
    """model.py, train.py, verify.py and the command lines; weights.pth where there are weights.

    Raises `Refused` for what main.py's training cannot do.
    """
    from nas.targets.checking import original_of, saved, verify_source
    from nas.targets.source.module import chosen_source

    # first what is refused, which costs nothing to tell
    refuse_recipe(chosen.recipe, chosen.network)
    source = chosen_source(chosen, register_as=chosen.name)
    original, images = original_of(chosen)
    check = checked(chosen, source, original, images)
    make = f'timm.create_model("{chosen.name}", num_classes={chosen.recipe.data.num_classes})'
    imports = "import timm\nimport torch\nfrom torch import Tensor\n\nimport model  # noqa: F401"
    resolution = chosen.recipe.data.resolution
    files: dict[str, str | bytes] = {
        "model.py": source,
        "train.py": TRAIN,
        "verify.py": verify_source(original, resolution, imports, make, "through timm, as main.py does"),
    }
    if chosen.weights is not None:
        files["weights.pth"] = saved({"model": dict(original.state_dict())})
    return Exported(
        files=files | chosen.class_file,
        check=check,
        verify="python verify.py",
        commands=commands(chosen.recipe, chosen.name, weights=chosen.weights is not None),
        notes=tuple(notes(chosen.recipe)),
    )


def checked(chosen: Chosen, source: str, original: ConvNet, images: Tensor) -> Check:
    """model.py against the original; through timm's registry where timm is installed and works."""
    from nas.targets.checking import compare_module, imported

    with imported(source, f"{chosen.name}_model") as module:
        network, name = built(chosen, module)
        network.load_state_dict(original.state_dict())
        return compare_module(original, images, network.eval(), library=name, relative=RELATIVE)


def built(chosen: Chosen, module: ModuleType) -> tuple[nn.Module, str]:
    """The network of the generated module, and what made it: timm, or torch and why not timm."""
    import torch

    from nas.targets.source.module import camel_case

    timm = library("timm")
    reason = timm.missing
    if timm.module is not None:
        version = f"timm {getattr(timm.module, '__version__', '?')}"
        try:
            classes = chosen.recipe.data.num_classes  # timm 0.3.2 has a default of its own
            return timm.module.create_model(chosen.name, num_classes=classes), version
        except BROKEN as error:
            reason = f"{version} failed ({said(error)})"
    network: nn.Module = getattr(module, camel_case(chosen.name))()
    return network, f"torch {torch.__version__}, not through timm's registry: {reason}"


def refuse_recipe(recipe: Recipe, network: Architecture) -> None:
    """Raise `Refused` for the first value of the recipe that main.py's training cannot have."""
    data, schedule, augmentation = recipe.data, recipe.schedule, recipe.augmentation
    padding = augmentation.crop_padding
    warped = data.resolution >= WARPED_FROM
    decay = recipe.optimizer.layer_decay
    mixes = augmentation.mixup > 0 or augmentation.cutmix > 0
    checks = [
        ("data.resolution", data.resolution, data.resolution > PADDED_TO, "crops 32 and below its own way"),
        ("data.num_classes", data.num_classes, data.num_classes >= 5, "reports the top five"),
        ("data.interpolation", data.interpolation, data.interpolation == "bicubic", "validates with bicubic"),
        ("data.eval_crop", data.eval_crop, data.eval_crop == 1 or not warped, "crops nothing from 384 on"),
        ("batch_size", recipe.batch_size, not (mixes and recipe.batch_size % 2), "mixes images in pairs"),
        ("optimizer.layer_decay", decay, decay in (None, 1.0) or published_name(network) in WITH_LAYER_DECAY,
         f"has it for its own {', '.join(WITH_LAYER_DECAY)} alone"),
        ("schedule.warmup_epochs", schedule.warmup_epochs, schedule.warmup_epochs % 1 == 0,
         "counts whole epochs"),
        ("schedule.warmup_from", schedule.warmup_from, schedule.warmup_from == 0, "warms up from 0"),
        ("augmentation.random_resized_crop", augmentation.random_resized_crop,
         augmentation.random_resized_crop == (0.08, 1.0), "crops 0.08 to 1 of the area"),
        ("augmentation.crop_padding", padding, padding == 0, "pads nothing"),
        ("augmentation.flip", augmentation.flip, augmentation.flip, "flips"),
        ("clip_norm", recipe.clip_norm, recipe.clip_norm is None, "clips in float16 alone"),
    ]  # fmt: skip
    for name, value, fits, reason in checks:
        if not fits:
            raise Refused(f"{name}: {value}; main.py {reason}")


def published_name(network: Architecture) -> str | None:
    """The published ConvNeXt of four stages that this network is, whatever its regularisation."""
    return next((name for name in PUBLISHED if _plain(named(name)) == _plain(network)), None)


def _plain(network: Architecture) -> Architecture:
    # both are flags of main.py; without LayerScale it is another network
    scale = None if network.layer_scale is None else 1e-6
    return dataclasses.replace(network, drop_path=0.0, layer_scale=scale)


def commands(recipe: Recipe, registered: str, *, weights: bool) -> tuple[str, ...]:
    """Preparation, training and, where there are weights, their evaluation."""
    from nas.targets.native import nodes_and_gpus

    nodes, gpus = nodes_and_gpus(recipe.devices)
    program = "train.py"
    if recipe.optimizer.layer_decay not in (None, 1.0):
        # main.py wants the published name then, which is its own network
        program = "ConvNeXt/main.py"
        registered = published_name(recipe_network(recipe)) or registered
    launch = f"python {program}"
    if recipe.devices > 1:
        machines = f" --nnodes={nodes} --node_rank=RANK --master_addr=HOST" if nodes > 1 else ""
        launch = f"python -m torch.distributed.launch --nproc_per_node={gpus}{machines} {program}"
    lines = [f"--model {registered}", *flags(recipe)]
    found = [
        f"git clone {REPOSITORY}",
        "pip install timm==0.3.2 'pillow<13' tensorboardX six",  # 13 posterizes to no less than 1 bit
        " \\\n    ".join([launch, *lines, "--output_dir results"]),
    ]
    if weights:
        # of a training's flags only what says which network and which images
        evaluate = [line for line in lines if line.startswith(("--model ", "--data_set", "--input_size"))]
        found.append(" \\\n    ".join(["python train.py", *evaluate, "--eval true --resume weights.pth"]))
    return tuple(found)


def recipe_network(recipe: Recipe) -> Architecture:
    """The recipe's network, which is no Swin here."""
    from space.networks import convnet

    return convnet(recipe.network, "recipe")


def flags(recipe: Recipe) -> Iterator[str]:
    """main.py's flags for the recipe, a line for each of its parts."""
    network, data, optimizer = recipe_network(recipe), recipe.data, recipe.optimizer
    scale = network.layer_scale if recipe.layer_scale == "architecture" else recipe.layer_scale
    start = 0 if network.layer_scale is None else scale  # 0 is main.py's word for none
    yield f"--drop_path {network.drop_path:g} --layer_scale_init_value {start:g}"
    crop = "" if data.resolution >= WARPED_FROM else f" --crop_pct {data.eval_crop:g}"
    yield f"--input_size {data.resolution}{crop}"
    yield data_flags(recipe)
    yield f"--epochs {recipe.epochs} --batch_size {recipe.batch_size} --update_freq {recipe.accumulation}"
    betas = " ".join(f"{beta:g}" for beta in optimizer.betas)
    yield (
        f"--opt {optimizer.name} --lr {optimizer.lr:g} --opt_betas {betas} --opt_eps {optimizer.eps:g} "
        f"--weight_decay {optimizer.weight_decay:g}"
    )
    schedule = recipe.schedule
    yield f"--warmup_epochs {int(schedule.warmup_epochs)} --min_lr {schedule.min_lr:g}"
    augmentation = recipe.augmentation
    yield (
        f"--aa {in_shell(augmentation.rand_augment or '')} --color_jitter {augmentation.color_jitter:g} "
        f"--train_interpolation {data.interpolation}"
    )
    yield f"--reprob {augmentation.random_erasing:g} --remode pixel --recount 1"
    yield (
        f"--mixup {augmentation.mixup:g} --cutmix {augmentation.cutmix:g} --mixup_prob "
        f"{augmentation.mixup_prob:g} --mixup_switch_prob {augmentation.switch_prob:g} "
        f"--smoothing {augmentation.label_smoothing:g}"
    )
    if recipe.ema_decay is None:
        yield "--model_ema false"
    else:
        yield f"--model_ema true --model_ema_eval true --model_ema_decay {recipe.ema_decay:g}"
    decay = "" if optimizer.layer_decay is None else f" --layer_decay {optimizer.layer_decay:g}"
    yield f"--head_init_scale {recipe.head_init_scale:g}{decay} --seed {recipe.seed}"
    if recipe.fine_tunes:
        yield "--finetune /path/to/checkpoint.pth"


def data_flags(recipe: Recipe) -> str:
    """main.py's IMNET has 1000 classes and train/ and val/; any other number is an image_folder."""
    data = recipe.data
    path = f"/path/to/{in_shell(data.name)}"
    if data.num_classes == 1000:
        return f"--data_set IMNET --nb_classes 1000 --data_path {path}"
    folder = f"--data_set image_folder --nb_classes {data.num_classes}"
    if data.name == "imagenet-22k":  # published without a validation set
        return f"{folder} --disable_eval true --data_path {path}"
    return f"{folder} --data_path {path}/train --eval_data_path {path}/val"


def notes(recipe: Recipe) -> Iterator[str]:
    """What a user of main.py must know about this recipe."""
    yield (
        "The repository was written for Python 3.8, torch 1.8 and timm 0.3.2 (its INSTALL.md): its utils.py "
        "imports torch._six, which torch 2.0 and later do not have. model.py is written for both."
    )
    if recipe.precision != "fp32":
        yield (
            "main.py trains in float32, as the published networks were; --use_amp true is float16 with loss "
            "scaling, and there is no bfloat16."
        )
    if recipe.data.resolution >= WARPED_FROM:
        yield (
            "From 384 pixels on main.py validates whole images, resized to a square; the recipe crops the "
            "centre."
        )
