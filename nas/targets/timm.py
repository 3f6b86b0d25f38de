"""Export to timm: YAML for its `train.py -c`, and a model file where its ConvNeXt class lacks an axis.

What is known of timm 1.0.31 here, beside what `timm_arguments` says of train.py:

* `--model` takes a registered name only, so a network of its own goes through a launcher that registers it.
* The class strides its first stage again behind a stem of stride 2, and dilates the last one behind a stem of
  stride 8: only the patch sizes in `PATCHES` build what is meant.
* GroupNorm there has 32 groups, and needs `conv_mlp`; a convolution before BatchNorm keeps its bias.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nas.data.class_names import FILE
from nas.targets import verification
from nas.targets.folder import in_folder
from nas.targets.lacking import first_lacking, of_block
from nas.targets.library import installed
from nas.targets.native import torchrun
from nas.targets.quoting import in_comment
from nas.targets.target import Check, Chosen, Exported, Mismatch
from nas.targets.timm_arguments import NORMS, file_arguments, model_arguments, train_arguments
from nas.training.layer_decay import head_layer
from space.architecture import Architecture
from space.errors import first_line

if TYPE_CHECKING:
    from torch import Tensor

NAME = "timm"
SUMMARY = "a YAML file for timm's train.py, with a model file where timm's ConvNeXt class lacks an axis"

PATCHES = (1, 3, 4, 5, 6, 7)
BLOCK = {"style": "inverted", "conv": "depthwise", "spatial": "first", "norm_after": (1,), "act_after": (2,)}
TRAIN = "PYTORCH_IMAGE_MODELS/train.py"


def lacks(network: Architecture) -> str | None:  # noqa: ARG001 - every target answers for a network
    """None: what timm's class cannot express is trained from a model file."""
    return None


def class_lacks(network: Architecture) -> str | None:
    """The first axis that timm's own class cannot express, "AXIS: what it is; what timm has", or None."""
    stages, stem = network.stages, network.stem
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
        ("expansion", all(s.expansion == 4 for s in stages),
         f"{[s.expansion for s in stages]}; timm's class has 4"),
        ("grn", len({s.grn for s in stages}) == 1, "in some stages; timm's class has it in all or none"),
        *of_block(network, BLOCK, "timm's class"),
    ]  # fmt: skip
    return first_lacking(checks)


def export(chosen: Chosen) -> Exported:
    """The network and its recipe for timm's train.py. Raises `Refused` and `Mismatch`.

    Where timm is installed and can be imported, the files are verified with it, in a process of its own.
    """
    from nas.targets.checking import saved
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
    files |= chosen.class_file
    if chosen.classes is not None and chosen.folders:
        arguments["class_map"] = FILE

    def mapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return dict(state) if why is not None else timm_state(state, chosen.network)

    files["timm.yaml"] = _yaml_text(chosen, why, arguments, command)
    files["verify_timm.py"] = verification.script("timm", MAKE, PILLOW)
    files["verify_timm.json"] = verification.expected(
        chosen,
        mapped,
        launcher=why is not None,
        posterizes=chosen.recipe.augmentation.rand_augment is not None,
    )
    # all that verify_timm.py reads is there; weights and notes follow
    check, said = verified(files)
    tuned = chosen.recipe.optimizer.layer_decay is not None
    commands = [INSTALL, f"{command} --pretrained --pretrained-path CHECKPOINT" if tuned else command]
    if chosen.weights is not None:
        files[f"{chosen.name}.pth"] = saved(mapped(chosen.weights))
        commands.append(f"{command} --initial-checkpoint {chosen.name}.pth")
    notes = _notes(chosen, why)
    if check is not None and said:
        notes.append(f"Here {said}.")
    unverified = "" if check is not None else said
    return Exported(files, check, "python verify_timm.py", tuple(commands), tuple(notes), unverified)


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
    from nas.targets.source.module import camel_case, template

    network, data = chosen.network, chosen.recipe.data
    text = template("launch.py.jinja").render(
        name=chosen.name,
        class_name=camel_case(chosen.name),
        train=TRAIN,
        data=data,
        stem_stride=4 if network.stem.type == "resnet" else network.stem.patch_size,
        strided=network.downsampling == "strided",
        first_layers=[head_layer(network.depths[:stage]) for stage in range(len(network.depths))],
        last_layer=head_layer(network.depths),
    )
    return text + "\n"


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
    with in_folder(files) as folder:
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
