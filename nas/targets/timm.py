"""Export to timm: YAML for its `train.py -c`, and a model file where its ConvNeXt class lacks an axis.

What is known of timm here, from train.py (huggingface/pytorch-image-models) and timm 1.0.31:

* train.py makes the model by `create_model(model, drop_path_rate=drop_path, **model_kwargs)`: stochastic
  depth is the key `drop_path`; as a model argument it would be passed twice. `create_model` drops null
  arguments, so LayerScale is switched off by naming a V2 model, which starts without.
* `--model` takes a registered name only, so a network of its own goes through a launcher that registers it.
* The class strides its first stage again behind a stem of stride 2, and dilates the last one behind a stem of
  stride 8: only the patch sizes in `PATCHES` build what is meant.
* GroupNorm there has 32 groups, and needs `conv_mlp`; a convolution before BatchNorm keeps its bias.
* `warmup_prefix` counts the warm-up apart from `epochs`; `sched_on_updates` sets the rate at every step.
* Its layer-wise decay counts every block, where the recipe's counts groups of three (`Layers`).
"""

from __future__ import annotations

import importlib.util
import io
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nas.layer_decay import head_layer
from nas.targets import verification
from nas.targets.target import Check, Chosen, Exported, Mismatch, Refused
from space.architecture import Architecture

if TYPE_CHECKING:
    from torch import Tensor

    from nas.recipe import Recipe

NAME = "timm"
SUMMARY = "a YAML file for timm's train.py, with a model file where timm's ConvNeXt class lacks an axis"
LIBRARY: str | None = "timm"

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "silu", "hardswish": "hard_swish"}
NORMS = {"layer": "layernorm", "rms": "rmsnorm", "group": "groupnorm"}
PATCHES = (1, 3, 4, 5, 6, 7)
BLOCK = {"style": "inverted", "conv": "depthwise", "spatial": "first", "norm_after": (1,), "act_after": (2,)}
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet's, as the recipe normalises
TRAIN = "PYTORCH_IMAGE_MODELS/train.py"


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - every target answers for a network
    """None: what timm's class cannot express is trained from a model file."""
    return None


def class_lacks(network: Architecture) -> str | None:
    """The first axis that timm's own class cannot express, "AXIS: what it is; what timm has", or None."""
    stages, stem = network.stages, network.stem
    values = {name: {getattr(stage, name) for stage in stages} for name in ("expansion", "grn", *BLOCK)}
    checks = [
        ("stages", len(stages) == 4, f"{len(stages)} of them; timm's class has 4"),
        ("stem.type", stem.type == "patchify", f"{stem.type}; timm's class has patchify"),
        ("stem.patch_size", stem.patch_size in PATCHES,
         f"{stem.patch_size}; timm's class then strides its stages otherwise"),
        ("stem.norm", stem.norm, "false; timm's class has a norm in the stem"),
        ("stem.activation", not stem.activation, "true; timm's patchify stem has no activation"),
        ("stem.width", stem.width is None, f"{stem.width}; timm's class has the first stage's width"),
        ("downsampling", network.downsampling == "separate", "strided; timm's class has separate layers"),
        ("norm", network.norm in NORMS, f"{network.norm}; timm's class keeps biases before a BatchNorm"),
        ("norm", network.norm != "group" or all(w % 32 == 0 and w > 32 for w in network.widths),
         f"group with widths {list(network.widths)}; timm's GroupNorm always has 32 groups"),
        ("head_norm", network.head_norm, "false; timm's class has a norm in the head"),
        ("expansion", values["expansion"] == {4}, f"{[s.expansion for s in stages]}; timm's class has 4"),
        ("grn", len(values["grn"]) == 1, "in some stages; timm's class has it in all or none"),
        *((name, values[name] == {value}, f"{_words(values[name])}; timm's class has {_words({value})}")
          for name, value in BLOCK.items()),
    ]  # fmt: skip
    return next((f"{axis}: {reason}" for axis, fits, reason in checks if not fits), None)


def _words(values: set[Any]) -> str:
    return ", ".join(sorted(str(list(v) if isinstance(v, tuple) else v) for v in values))


def export(chosen: Chosen) -> Exported:
    """The network and its recipe for timm's train.py. Raises `Refused` and `Mismatch`.

    Where timm is installed and importable, the files are verified with it, in a process of its own.
    """
    from nas.targets.source import chosen_source

    why = class_lacks(chosen.network)
    arguments = model_arguments(chosen) if why is None else file_arguments(chosen)
    command = torchrun(chosen.recipe.devices)
    files: dict[str, str | bytes] = {}
    if why is None:
        command += f" {TRAIN} -c timm.yaml --data-dir DATA"
    else:
        command += f" launch.py {TRAIN} -c timm.yaml --data-dir DATA"
        files |= {f"{chosen.name}.py": chosen_source(chosen), "launch.py": _launcher(chosen)}
    files["timm.yaml"] = _yaml_text(
        chosen, why, arguments | train_arguments(chosen.recipe, why is None), command
    )
    files["verify_timm.py"] = verification.script("timm", MAKE)
    files["verify_timm.json"] = verification.expected(
        chosen,
        lambda state: state if why is not None else timm_state(state, chosen.network),
        launcher=why is not None,
    )
    check = _verified(files)
    tuned = chosen.recipe.optimizer.layer_decay is not None
    commands = [f"{command} --pretrained --pretrained-path CHECKPOINT" if tuned else command]
    if chosen.weights is not None:
        files[f"{chosen.name}.pth"] = _checkpoint(chosen.weights, chosen.network, why)
        commands.append(f"{command} --initial-checkpoint {chosen.name}.pth")
    return Exported(files, check, "python verify_timm.py", tuple(commands), tuple(_notes(chosen, why)))


def torchrun(devices: int) -> str:
    """The start of a command on so many GPUs: eight of a machine at most, as few machines as possible."""
    from nas.targets.native import nodes_and_gpus

    nodes, gpus = nodes_and_gpus(devices)
    several = f" --nnodes={nodes} --rdzv_backend=c10d --rdzv_endpoint=HOST:29500" if nodes > 1 else ""
    return f"torchrun{several} --nproc_per_node={gpus}"


def _notes(chosen: Chosen, why: str | None) -> list[str]:
    notes = [
        "PYTORCH_IMAGE_MODELS is a clone of https://github.com/huggingface/pytorch-image-models at the "
        "version of the installed timm; DATA has train/ and validation/ (or val/), a folder per class."
    ]
    if why is not None:
        notes.append(
            f"timm's own ConvNeXt class does not have {why}; launch.py registers {chosen.name} first."
        )
    if chosen.recipe.optimizer.layer_decay is not None:
        notes.append(
            "Fine-tuning starts from the CHECKPOINT of a pre-training in timm; its classifier is not read."
        )
        if why is None:
            notes.append(
                "timm decays the learning rate from block to block, the recipe from group to group of three; "
                "the rate in timm.yaml gives the stem the recipe's learning rate."
            )
    return notes


# -- the arguments of train.py


def model_arguments(chosen: Chosen) -> dict[str, Any]:
    """The keys of train.py that make timm's ConvNeXt class the network; `class_lacks` must be None."""
    network, recipe = chosen.network, chosen.recipe
    grn = network.stages[0].grn
    arguments: dict[str, Any] = {
        "depths": list(network.depths),
        "dims": list(network.widths),
        "kernel_sizes": [stage.kernel_size for stage in network.stages],
        "patch_size": network.stem.patch_size,
        "act_layer": ACTIVATIONS[network.activation],
        "norm_layer": NORMS[network.norm],
        "use_grn": grn,
    }
    if network.norm == "group":
        arguments["conv_mlp"] = True
    if network.layer_scale is not None:
        arguments["ls_init_value"] = _layer_scale(chosen)
    if recipe.head_init_scale != 1:
        arguments["head_init_scale"] = recipe.head_init_scale
    # a null for ls_init_value would be dropped: V2 starts without LayerScale
    base = "convnext_tiny" if network.layer_scale is not None else "convnextv2_tiny"
    return {"model": base, "model_kwargs": arguments}


def file_arguments(chosen: Chosen) -> dict[str, Any]:
    """The keys of train.py that ask for the network that launch.py registers."""
    scale = chosen.recipe.head_init_scale
    return {"model": chosen.name} | ({"model_kwargs": {"head_init_scale": scale}} if scale != 1 else {})


def _layer_scale(chosen: Chosen) -> float | None:
    """LayerScale's start value: the network's, or the recipe's in its place; None: no LayerScale."""
    start, own = chosen.recipe.layer_scale, chosen.network.layer_scale
    return own if own is None or start == "architecture" else float(start)


def _drop_path(recipe: Recipe) -> float:
    network = recipe.network
    return network.drop_path if isinstance(network, Architecture) else 0.0


def train_arguments(recipe: Recipe, timms_class: bool = True) -> dict[str, Any]:
    """The recipe as keys of train.py (argparse's dest names). Raises `Refused` for what train.py lacks."""
    data, optimizer, schedule, augmentation = (
        recipe.data,
        recipe.optimizer,
        recipe.schedule,
        recipe.augmentation,
    )
    _refuse_recipe(recipe)
    warmup = int(schedule.warmup_epochs)
    values: dict[str, Any] = {
        "drop_path": _drop_path(recipe),
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
    for axis, fits, reason in checks:
        if not fits:
            raise Refused(f"{axis}: {reason}")


@dataclass(frozen=True)
class Layers:
    """Which layer each block is in for a layer-wise decay of the learning rate: three blocks a layer.

    The official rule (optim_factory.py, written there for depths 3-3-27-3) for any depths: the stem is layer
    0, the layers between stages go with the blocks behind them, norm and classifier are the last layer.
    """

    depths: tuple[int, ...]

    @property
    def first(self) -> list[int]:
        """The layer of each stage's first block."""
        found = [1]
        for depth in self.depths[:-1]:
            found.append(found[-1] + math.ceil(depth / 3))
        return found

    @property
    def last(self) -> int:
        """The layer of the head."""
        return head_layer(self.depths)


def _layer_decay(recipe: Recipe, timms_class: bool) -> float | None:
    rate, network = recipe.optimizer.layer_decay, recipe.network
    if rate is None or not timms_class or not isinstance(network, Architecture):
        return rate
    # timm's class: the stem, every block, the head
    layers = sum(network.depths) + 1
    return round(math.pow(rate, Layers(network.depths).last / layers), 6)


# -- the files


def _yaml_text(chosen: Chosen, why: str | None, values: Mapping[str, Any], command: str) -> str:
    import yaml

    lines = [f"{chosen.title}, for timm's train.py:", f"    {command}"]
    if why is not None:
        lines.append(f"launch.py registers the model: timm's ConvNeXt class does not have {why}")
    recipe = chosen.recipe
    lines.append(
        f"{recipe.devices} devices x {recipe.batch_size} x {recipe.accumulation} steps = "
        f"{recipe.total_batch_size} images; epochs counts those after the warm-up"
    )
    text = yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=None, width=100)
    return (
        "".join(f"# {' '.join(line.split()) if not line.startswith(' ') else line}\n" for line in lines)
        + text
    )


def _launcher(chosen: Chosen) -> str:
    from nas.targets.source import camel_case

    data, layers = chosen.recipe.data, Layers(chosen.network.depths)
    return LAUNCH.format(
        name=chosen.name,
        network=camel_case(chosen.name),
        train=TRAIN,
        classes=data.num_classes,
        resolution=data.resolution,
        crop=data.eval_crop,
        interpolation=data.interpolation,
        first=layers.first,
        last=layers.last,
    )


def _checkpoint(weights: Mapping[str, Tensor], network: Architecture, why: str | None) -> bytes:
    """The weights as timm's --initial-checkpoint reads them."""
    import torch

    file = io.BytesIO()
    torch.save(dict(weights) if why is not None else timm_state(weights, network), file)
    return file.getvalue()


def timm_state(weights: Mapping[str, Tensor], network: Architecture) -> dict[str, Tensor]:
    """Our weights under the names and shapes of timm's class, as `model_arguments` builds it."""
    from space.checkpoints import to_timm

    # GroupNorm's weights have LayerNorm's names and shapes
    layout = replace(network, norm="layer") if network.norm == "group" else network
    return to_timm(weights, layout, conv_mlp=network.norm == "group")


# -- the check


def _verified(files: Mapping[str, str | bytes]) -> Check | None:
    """What verify_timm.py says, in a process of its own; None where timm is not there or cannot be imported.

    Raises `Mismatch`.
    """
    if importlib.util.find_spec("timm") is None:
        return None
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (Path(folder) / name).write_bytes(data)
        ran = subprocess.run(
            [sys.executable, "verify_timm.py", "--json"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
    if ran.returncode == verification.ABSENT:
        return None
    if ran.returncode:
        lines = ran.stderr.strip().splitlines() or [f"verify_timm.py ended with exit code {ran.returncode}"]
        raise Mismatch(f"timm: {lines[-1]}")
    return Check(**json.loads(ran.stdout.strip().splitlines()[-1]))


MAKE = """
    import yaml

    args = yaml.safe_load((HERE / "timm.yaml").read_text())
    if expected["launcher"]:
        sys.path.insert(0, str(HERE))
        import launch  # noqa: F401 - registers the network
    return timm.create_model(
        args["model"],
        in_chans=args["input_size"][0],
        num_classes=args["num_classes"],
        drop_rate=0.0,
        drop_path_rate=args["drop_path"],
        **args.get("model_kwargs", {}),
    )
"""

LAUNCH = '''\
"""Registers {name} with timm, then runs a script of timm's:

    torchrun --nproc_per_node=8 launch.py {train} -c timm.yaml --data-dir DATA
"""

import runpy
import sys
from pathlib import Path

from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model

from {name} import {network}

default_cfgs = generate_default_cfgs(
    {{
        "{name}": {{
            "url": "",
            "num_classes": {classes},
            "input_size": (3, {resolution}, {resolution}),
            "pool_size": None,
            "crop_pct": {crop},
            "interpolation": "{interpolation}",
            "mean": IMAGENET_DEFAULT_MEAN,
            "std": IMAGENET_DEFAULT_STD,
            "first_conv": "downsample_layers.0.0",
            "classifier": "head",
        }}
    }}
)
# the layer of each stage's first block and of the head, for --layer-decay: three blocks a layer
FIRST_LAYER = {first}
LAST_LAYER = {last}


def layer_of(name):
    """The layer of a parameter, as in the official optim_factory.py."""
    part, *place = name.split(".")
    if part == "downsample_layers":
        return FIRST_LAYER[int(place[0])] if int(place[0]) > 0 else 0
    if part == "stages":
        return FIRST_LAYER[int(place[0])] + int(place[1]) // 3
    return LAST_LAYER


class ForTimm({network}):
    """The network, with what timm's train.py asks of a model."""

    def __init__(self, drop_rate=0.0, global_pool="avg", **kwargs):
        if drop_rate or global_pool != "avg":
            raise ValueError("the head is average pooling without dropout: no --drop, no --gp")
        super().__init__(**kwargs)

    def get_classifier(self):
        return self.head

    def group_matcher(self, coarse=False):
        return layer_of


@register_model
def {name}(pretrained=False, **kwargs):
    return build_model_with_cfg(ForTimm, "{name}", pretrained, **kwargs)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
'''
