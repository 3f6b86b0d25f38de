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

from nas.data.class_names import FILE, class_file
from nas.targets import verification
from nas.targets.library import installed
from nas.targets.quoting import in_comment
from nas.targets.target import Check, Chosen, Exported, Mismatch, Refused
from nas.training.layer_decay import head_layer
from space.architecture import Architecture
from space.errors import first_line

if TYPE_CHECKING:
    from torch import Tensor

    from nas.recipe.recipe import Recipe

NAME = "timm"
SUMMARY = "a YAML file for timm's train.py, with a model file where timm's ConvNeXt class lacks an axis"

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

    Where timm is installed and can be imported, the files are verified with it, in a process of its own.
    """
    from nas.targets.source.module import chosen_source

    # timm's own class where it can build the network: its users know it, and no launcher is needed
    why = class_lacks(chosen.network)
    arguments = model_arguments(chosen) if why is None else file_arguments(chosen)
    command = torchrun(chosen.recipe.devices)
    files: dict[str, str | bytes] = {}
    if why is None:
        command += f" {TRAIN} -c timm.yaml --data-dir DATA"
    else:
        command += f" launch.py {TRAIN} -c timm.yaml --data-dir DATA"
        files |= {f"{chosen.name}.py": chosen_source(chosen), "launch.py": _launcher(chosen)}
    arguments |= train_arguments(chosen.recipe, why is None)
    if chosen.classes is not None:
        files[FILE] = class_file(chosen.classes)
        if chosen.folders:
            arguments["class_map"] = FILE
    files["timm.yaml"] = _yaml_text(chosen, why, arguments, command)
    files["verify_timm.py"] = verification.script("timm", MAKE, PILLOW)
    files["verify_timm.json"] = verification.expected(
        chosen,
        lambda state: state if why is not None else timm_state(state, chosen.network),
        launcher=why is not None,
        posterizes=chosen.recipe.augmentation.rand_augment is not None,
    )
    # all that verify_timm.py reads is there; weights and notes follow
    check, said = verified(files)
    tuned = chosen.recipe.optimizer.layer_decay is not None
    commands = [INSTALL, f"{command} --pretrained --pretrained-path CHECKPOINT" if tuned else command]
    if chosen.weights is not None:
        files[f"{chosen.name}.pth"] = _checkpoint(chosen.weights, chosen.network, why)
        commands.append(f"{command} --initial-checkpoint {chosen.name}.pth")
    notes = _notes(chosen, why)
    if check is not None and said:
        notes.append(f"Here {said}.")
    unverified = "" if check is not None else said
    return Exported(files, check, "python verify_timm.py", tuple(commands), tuple(notes), unverified)


def torchrun(devices: int) -> str:
    """The start of a command on so many GPUs: eight of a machine at most, as few machines as possible."""
    from nas.targets.native import nodes_and_gpus

    nodes, gpus = nodes_and_gpus(devices)
    several = f" --nnodes={nodes} --rdzv_backend=c10d --rdzv_endpoint=HOST:29500" if nodes > 1 else ""
    return f"torchrun{several} --nproc_per_node={gpus}"


def _notes(chosen: Chosen, why: str | None) -> list[str]:
    notes = [
        "PYTORCH_IMAGE_MODELS is a clone of https://github.com/huggingface/pytorch-image-models at the "
        "version of the installed timm; DATA has train/ and validation/ (or val/), a folder per class.",
        "timm needs the torchvision that was made for the installed torch, from the same index as that.",
    ]
    if chosen.classes is not None and not chosen.folders:
        notes.append(
            f"{FILE} has the classes by label; where DATA's folders have these names, --class-map {FILE} "
            "keeps their order: timm sorts numbers in names otherwise."
        )
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
    # timm's class has more layers: the stem, every block, the head; this root gives the stem the same rate
    layers = sum(network.depths) + 1
    return round(math.pow(rate, Layers(network.depths).last / layers), 6)


# -- the files


def _yaml_text(chosen: Chosen, why: str | None, values: Mapping[str, Any], command: str) -> str:
    import yaml

    lines = [in_comment(f"{chosen.title}, for timm's train.py:"), f"    {command}"]
    if why is not None:
        lines.append(in_comment(f"launch.py registers the model: timm's ConvNeXt class does not have {why}"))
    recipe = chosen.recipe
    lines.append(
        f"{recipe.devices} devices x {recipe.batch_size} x {recipe.accumulation} steps = "
        f"{recipe.total_batch_size} images; epochs counts those after the warm-up"
    )
    text = yaml.safe_dump(dict(values), sort_keys=False, default_flow_style=None, width=100)
    return "".join(f"# {line}\n" for line in lines) + text


def _launcher(chosen: Chosen) -> str:
    from nas.targets.source.module import camel_case

    data, layers = chosen.recipe.data, Layers(chosen.network.depths)
    stem = chosen.network.stem
    return LAUNCH.format(
        stride=4 if stem.type == "resnet" else stem.patch_size,
        through=THROUGH_STRIDED if chosen.network.downsampling == "strided" else THROUGH,
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


def verified(files: Mapping[str, str | bytes]) -> tuple[Check | None, str]:
    """What verify_timm.py says, in a process of its own: the check and what else would end a training.

    Or None and why timm cannot say. Raises `Mismatch`.
    """
    if not installed("timm"):
        return None, "timm is not installed"
    try:
        ran = _run(files)
    except OSError as error:  # no room for the files, say
        return None, f"verify_timm.py cannot be run ({first_line(error)})"
    # the last line is the script's own; libraries warn before it
    lines = ran.stderr.strip().splitlines() or [f"verify_timm.py ended with exit code {ran.returncode}"]
    last = lines[-1].removeprefix("not verified: ")
    if ran.returncode == verification.DIFFERS and last.startswith("verify_timm.py: "):
        raise Mismatch(f"timm: {last}")
    if ran.returncode not in (0, verification.AILING):
        return None, in_comment(last)
    check = Check(**json.loads(ran.stdout.strip().splitlines()[-1]))
    return check, last if ran.returncode == verification.AILING else ""


def _run(files: Mapping[str, str | bytes]) -> subprocess.CompletedProcess[str]:
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            data = content.encode() if isinstance(content, str) else content
            (Path(folder) / name).write_bytes(data)
        return subprocess.run(
            # the very script that the user gets; whatever timm's import does stays in its process
            [sys.executable, "verify_timm.py", "--json"],
            cwd=folder, capture_output=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip


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

INSTALL = "pip install timm 'pillow<13'"
PILLOW = """
    try:
        from PIL import Image, ImageOps, __version__

        if expected["posterizes"]:  # RandAugment's strongest posterize, about one image in 660
            ImageOps.posterize(Image.new("RGB", (1, 1)), 0)
    except ValueError as error:
        return [f"timm's RandAugment fails under Pillow {__version__} ({error}): pip install 'pillow<13'"]
    return []
"""

LAUNCH = '''\
"""Registers {name} with timm, then runs a script of timm's:

    torchrun --nproc_per_node=8 launch.py {train} -c timm.yaml --data-dir DATA
"""

import runpy
import sys
from pathlib import Path

import torch
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.models import build_model_with_cfg, generate_default_cfgs, register_model
from torch import nn
from torch.utils.checkpoint import checkpoint

from {name} import DIMS, {network}, init_weights

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
# image pixels to a pixel of the first stage's map; each stage behind it halves again
STEM_STRIDE = {stride}
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


def stage_of(name):
    """The same with a layer for each stage: the stem 0, the stages 1 to N, the head N + 1."""
    part, *place = name.split(".")
    if part == "downsample_layers":
        return int(place[0]) + 1 if int(place[0]) > 0 else 0
    return int(place[0]) + 1 if part == "stages" else len(DIMS) + 1


class ForTimm({network}):
    """The network, with what timm asks of a model."""

    def __init__(self, drop_rate=0.0, global_pool="avg", **kwargs):
        super().__init__(**kwargs)
        self.num_features = self.head_hidden_size = DIMS[-1]
        self.in_chans = kwargs.get("in_chans", 3)
        self.feature_info = [
            {{"num_chs": dim, "reduction": STEM_STRIDE * 2**i, "module": f"stages.{{i}}"}}
            for i, dim in enumerate(DIMS)
        ]
        self.grad_checkpointing = False
        self.drop_rate = drop_rate
        self.head_drop = nn.Dropout(drop_rate)
        if not hasattr(self, "norm"):
            self.norm = nn.Identity()
        self.set_pool(global_pool)

    def set_pool(self, global_pool):
        if global_pool not in ("avg", ""):
            raise ValueError(f"global_pool {{global_pool!r}}: the head is average pooling, or '' for none")
        if not global_pool and self.num_classes > 0:
            raise ValueError("global_pool '': maps have no classifier, num_classes must be 0")
        self.global_pool = global_pool

    def stage(self, blocks: nn.Sequential, x):
        for block in blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return x

    def forward_features(self, x):
        """Images (N, 3, H, W) -> the last map (N, C, h, w)."""
{through}
        return x

    def forward_head(self, x, pre_logits: bool = False):
        if self.global_pool == "":  # the norm of each pixel
            shape = x.permute(0, 2, 3, 1).shape
            x = self.norm(x.permute(0, 2, 3, 1).reshape(-1, shape[3])).reshape(shape)
            x = x.permute(0, 3, 1, 2)
        else:
            x = self.norm(x.mean((-2, -1)))
        x = self.head_drop(x)
        return x if pre_logits else self.head(x)

    def forward(self, x):
        return self.forward_head(self.forward_features(x))

    @torch.jit.ignore
    def get_classifier(self):
        return self.head

    @torch.jit.ignore
    def reset_classifier(self, num_classes, global_pool=None, reset_other=False):
        like = next(self.parameters())
        self.num_classes = num_classes
        self.set_pool(self.global_pool if global_pool is None else global_pool)
        self.head = nn.Linear(self.num_features, num_classes) if num_classes > 0 else nn.Identity()
        self.head.apply(init_weights)
        self.head.to(device=like.device, dtype=like.dtype).train(self.training)
        if reset_other:
            self.norm = nn.Identity()

    @torch.jit.ignore
    def set_grad_checkpointing(self, enable=True):
        self.grad_checkpointing = enable

    @torch.jit.ignore
    def group_matcher(self, coarse=False):
        return stage_of if coarse else layer_of

    @torch.jit.ignore
    def no_weight_decay(self):
        return set()  # none but biases and 1-D parameters, which timm leaves out by itself

    def taken(self, indices):
        """The stages that timm's indices mean: all of them, the last few, or these."""
        count = len(self.stages)
        if indices is None:
            return list(range(count))
        if isinstance(indices, int):
            indices = range(-indices, 0)
        if not all(-count <= i < count for i in indices):
            raise ValueError(f"indices {{list(indices)}}: there are {{count}} stages")
        return [i % count for i in indices]

    @torch.jit.ignore
    def forward_intermediates(
        self, x, indices=None, norm=False, stop_early=False, output_fmt="NCHW", intermediates_only=False
    ):
        """The maps of these stages; the norm is behind the pooling, so it is for none of them."""
        if output_fmt != "NCHW":
            raise ValueError(f"output_fmt {{output_fmt!r}}: the maps are NCHW")
        taken = self.taken(indices)
        maps = {{}}
        for i in range(max(taken) + 1 if stop_early else len(self.stages)):
            if i < len(self.downsample_layers):
                x = self.downsample_layers[i](x)
            x = self.stage(self.stages[i], x) if self.grad_checkpointing else self.stages[i](x)
            maps[i] = x
        found = [maps[i] for i in sorted(set(taken))]
        return found if intermediates_only else (x, found)

    @torch.jit.ignore
    def prune_intermediate_layers(self, indices=1, prune_norm=False, prune_head=True):
        taken = self.taken(indices)
        last = max(taken)
        pruned = last < len(self.stages) - 1
        self.stages = self.stages[: last + 1]
        self.downsample_layers = self.downsample_layers[: last + 1]
        self.num_features = self.head_hidden_size = DIMS[last]
        if prune_norm or pruned:
            self.norm = nn.Identity()
        if prune_head or pruned:
            self.reset_classifier(0, "")
        return taken


@register_model
def {name}(pretrained=False, **kwargs):
    features = {{"out_indices": tuple(range(len(DIMS))), "feature_cls": "getter"}}
    return build_model_with_cfg(ForTimm, "{name}", pretrained, feature_cfg=features, **kwargs)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    sys.argv = sys.argv[1:]
    sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
    runpy.run_path(sys.argv[0], run_name="__main__")
'''
THROUGH = """\
        for downsample, stage in zip(self.downsample_layers, self.stages):
            x = downsample(x)
            if self.grad_checkpointing and not torch.jit.is_scripting():
                x = self.stage(stage, x)
            else:
                x = stage(x)"""
THROUGH_STRIDED = """\
        x = self.downsample_layers[0](x)
        for stage in self.stages:
            if self.grad_checkpointing and not torch.jit.is_scripting():
                x = self.stage(stage, x)
            else:
                x = stage(x)"""
