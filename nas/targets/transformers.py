"""Export to transformers: config.json of ConvNextForImageClassification, or of ConvNext V2's with GRN.

What is known of transformers here, from modeling_convnext.py, modeling_convnextv2.py and
image_processing_convnext.py of transformers 5.23:

* Kernel size 7 and expansion 4 are written into the code, as is LayerNorm with eps 1e-6 everywhere but before
  the classifier: there `layer_norm_eps` counts, which is 1e-12 unless config.json says 1e-6.
* `layer_scale_init_value: 0` switches LayerScale off; V2 has GRN in every block and no LayerScale.
* The image processor crops `crop_pct` below 384 pixels and nothing from there on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nas.targets import verification
from nas.targets.folder import in_folder
from nas.targets.lacking import first_lacking, of_block
from nas.targets.library import BROKEN, library, said, unless_broken
from nas.targets.native import torchrun
from nas.targets.target import MEAN, STD, Check, Chosen, Exported, Mismatch, Refused

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nas.recipe.recipe import Recipe
    from space.architecture import Architecture

NAME = "transformers"
SUMMARY = "config.json (and model.safetensors) of Hugging Face's ConvNextForImageClassification"

EPS = 1e-6  # of every norm of space.layers
ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "silu": "silu", "hardswish": "hardswish"}
BLOCK = {
    "kernel_size": 7, "expansion": 4, "style": "inverted", "conv": "depthwise", "spatial": "first",
    "norm_after": (1,), "act_after": (2,),
}  # fmt: skip
PROCESSOR_FULL = 384  # pixels from which the image processor crops nothing
RESAMPLE = {"bilinear": 2, "bicubic": 3}  # PIL's codes


def lacks(network: Architecture) -> str | None:
    """The first axis that transformers cannot express, "AXIS: what it is; what transformers has", or None."""
    stages, stem = network.stages, network.stem
    grn = {stage.grn for stage in stages}
    checks = [
        ("stem.type", stem.type == "patchify", f"{stem.type}; transformers has patchify"),
        ("stem.norm", stem.norm, "false; transformers has a norm in the stem"),
        ("stem.activation", not stem.activation, "true; transformers has none in the stem"),
        ("stem.width", stem.width is None, f"{stem.width}; transformers has the first stage's width"),
        ("downsampling", network.downsampling == "separate", "strided; transformers has separate layers"),
        ("norm", network.norm == "layer", f"{network.norm}; transformers has LayerNorm"),
        ("head_norm", network.head_norm, "false; transformers has a norm in the head"),
        *of_block(network, BLOCK, "transformers"),
        ("grn", len(grn) == 1, "in some stages; transformers has it in all or none"),
        ("layer_scale", grn == {False} or network.layer_scale is None,
         f"{network.layer_scale} beside GRN; transformers' ConvNext V2 has no LayerScale"),
    ]  # fmt: skip
    return first_lacking(checks)


def export(chosen: Chosen) -> Exported:
    """config.json, preprocessor_config.json and, where there are weights, model.safetensors.

    Raises `Refused` with the axis, `Mismatch` where transformers builds another network.
    """
    from space.checkpoints import to_transformers

    reason = lacks(chosen.network)
    if reason is not None:
        raise Refused(reason)
    files: dict[str, str | bytes] = {
        "config.json": _json(config(chosen)),
        "preprocessor_config.json": _json(preprocessor(chosen.recipe)),
    }
    notes = _notes(chosen)
    if chosen.weights is not None:
        safetensors = library("safetensors.torch")  # comes with transformers
        if safetensors.module is None:
            notes.append(f"model.safetensors is not written: {safetensors.missing}; pip install safetensors")
        else:
            state = to_transformers(chosen.weights, chosen.network)
            files["model.safetensors"] = _safetensors(safetensors.module, state)
    check, unverified = verified(files, chosen)
    files["verify_transformers.py"] = verification.script("transformers", MAKE)
    files["verify_transformers.json"] = verification.expected(
        chosen, lambda state: to_transformers(state, chosen.network)
    )
    verify = "python verify_transformers.py"
    return Exported(files, check, verify, commands(chosen), tuple(notes), unverified)


def config(chosen: Chosen) -> dict[str, Any]:
    """The values of config.json."""
    network, recipe = chosen.network, chosen.recipe
    v2 = network.stages[0].grn  # transformers has a class of its own for it
    labels = chosen.classes or [f"LABEL_{i}" for i in range(recipe.data.num_classes)]
    values: dict[str, Any] = {
        "architectures": ["ConvNextV2ForImageClassification" if v2 else "ConvNextForImageClassification"],
        "model_type": "convnextv2" if v2 else "convnext",
        "num_channels": 3,
        "patch_size": network.stem.patch_size,
        "num_stages": len(network.stages),
        "hidden_sizes": list(network.widths),
        "depths": list(network.depths),
        "hidden_act": ACTIVATIONS[network.activation],
        "initializer_range": 0.02,
        "layer_norm_eps": EPS,
        "drop_path_rate": recipe.network.drop_path,
        "image_size": recipe.data.resolution,
        "id2label": {str(i): name for i, name in enumerate(labels)},
        "label2id": {name: i for i, name in enumerate(labels)},
    }
    if not v2:
        values["layer_scale_init_value"] = chosen.layer_scale or 0.0  # of none
    return values


def preprocessor(recipe: Recipe) -> dict[str, Any]:
    """The values of preprocessor_config.json: validation as the recipe has it, below 384 pixels."""
    data = recipe.data
    return {
        "image_processor_type": "ConvNextImageProcessor",
        "size": {"shortest_edge": data.resolution},
        "crop_pct": data.eval_crop,
        "resample": RESAMPLE[data.interpolation],
        "do_resize": True,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": MEAN,
        "image_std": STD,
    }


def verified(files: Mapping[str, str | bytes], chosen: Chosen) -> tuple[Check | None, str]:
    """The check by transformers, or None and why there is none. Raises `Mismatch` and `InputError`."""
    from nas.targets.checking import original_of

    original_of(chosen)  # refuses another network's weights, whether transformers is here or not
    found = library("transformers")
    if found.module is None:
        return None, found.missing
    try:  # it imports a model's code when the class is asked for
        getattr(found.module, config(chosen)["architectures"][0])
    except BROKEN as error:
        return None, f"transformers cannot be imported ({said(error)})"
    name = f"transformers {found.module.__version__}"
    return unless_broken(lambda: _checked(files, chosen, name), name)


def _checked(files: Mapping[str, str | bytes], chosen: Chosen, library: str) -> Check:
    """transformers reads the very files and builds the network; its logits against the original's."""
    from transformers import AutoConfig
    from transformers import AutoModelForImageClassification as Auto
    from transformers.utils import logging

    from nas.targets.checking import compare_module, randomised
    from space.checkpoints import to_transformers

    data = chosen.recipe.data
    original, images = randomised(chosen.network, data.num_classes, resolution=data.resolution)
    with in_folder(files) as folder:
        model = Auto.from_config(AutoConfig.from_pretrained(folder)).eval()  # type: ignore[no-untyped-call]
        _check_rates(model, chosen, library)
        if chosen.weights is not None:
            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            _check_weights(Auto.from_pretrained(folder), chosen, library)
    # not strict: keys that are missing or too many make a message of one line
    missing = model.load_state_dict(to_transformers(original.state_dict(), chosen.network), strict=False)
    if missing.missing_keys or missing.unexpected_keys:
        raise Mismatch(
            f"{library}: other weights, {(missing.missing_keys + missing.unexpected_keys)[0]} first"
        )
    return compare_module(
        original, images, model, library=library, run=lambda x: model(pixel_values=x).logits
    )


def _check_rates(model: nn.Module, chosen: Chosen, library: str) -> None:
    """Stochastic depth, block by block: eval mode does not show it."""
    wanted = verification.rates_of(chosen)
    found = [
        float(getattr(m, "drop_prob", -1)) for m in model.modules() if type(m).__name__.endswith("DropPath")
    ]
    near = len(found) == len(wanted) and all(abs(a - b) < 1e-6 for a, b in zip(found, wanted, strict=True))
    if not near:
        raise Mismatch(f"{library}: stochastic depth {found}; the network has {wanted}")


def _check_weights(model: nn.Module, chosen: Chosen, library: str) -> None:
    """model.safetensors, read by transformers, has every weight."""
    import torch

    from space.checkpoints import to_transformers

    assert chosen.weights is not None
    found = model.state_dict()
    for name, value in to_transformers(chosen.weights, chosen.network).items():
        if name not in found or not torch.equal(found[name], value.to(found[name].dtype)):
            raise Mismatch(f"{library}: {name} of model.safetensors is not the network's")


MAKE = """
    from transformers import AutoConfig, AutoModelForImageClassification

    return AutoModelForImageClassification.from_config(AutoConfig.from_pretrained(HERE))
"""


def _safetensors(module: Any, state: Mapping[str, Tensor]) -> bytes:
    whole = {name: value.contiguous() for name, value in state.items()}
    return bytes(module.save(whole, metadata={"format": "pt"}))


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=2) + "\n"


START = (
    'python -c "from transformers import AutoConfig, AutoModelForImageClassification as M; '
    "M.from_config(AutoConfig.from_pretrained('.')).save_pretrained('.')\""
)


def commands(chosen: Chosen) -> tuple[str, ...]:
    """The commands that start from this config: random weights where there are none, then a training."""
    recipe = chosen.recipe
    optimizer, schedule = recipe.optimizer, recipe.schedule
    min_lr = json.dumps({"min_lr": schedule.min_lr})
    flags = {
        "model_name_or_path": ".", "train_dir": "DATA/train", "validation_dir": "DATA/val",
        "output_dir": "trained", "do_train": None, "do_eval": None, "remove_unused_columns": "False",
        "label_column_name": "label", "num_train_epochs": recipe.epochs,
        "per_device_train_batch_size": recipe.batch_size,
        "gradient_accumulation_steps": recipe.accumulation,
        "learning_rate": optimizer.lr, "adam_beta1": optimizer.betas[0], "adam_beta2": optimizer.betas[1],
        "adam_epsilon": optimizer.eps, "weight_decay": optimizer.weight_decay,
        "lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": f"'{min_lr}'",
        # below 1 it is a share of all steps
        "warmup_steps": round(schedule.warmup_epochs / recipe.epochs, 6),
        "max_grad_norm": recipe.clip_norm or 0,
        "label_smoothing_factor": recipe.augmentation.label_smoothing, "seed": recipe.seed,
    }  # fmt: skip
    if recipe.precision != "fp32":
        flags["bf16"] = None
    words = " ".join(f"--{key}" if value is None else f"--{key} {value}" for key, value in flags.items())
    train = f"{torchrun(recipe.devices)} {SCRIPT} {words}"
    return (train,) if chosen.weights is not None else (START, train)


SCRIPT = "TRANSFORMERS/examples/pytorch/image-classification/run_image_classification.py"


def _notes(chosen: Chosen) -> list[str]:
    recipe = chosen.recipe
    notes = [
        "AutoModelForImageClassification.from_pretrained('.') loads it"
        + (
            " with its weights."
            if chosen.weights is not None
            else " once the first command has written weights."
        ),
        "run_image_classification.py is not the recipe: random resized crops and flips, but no RandAugment, "
        "random erasing, mixup, cutmix or average of the weights; it decays LayerScale (V2: GRN), which the "
        "recipe does not, and evaluates without the recipe's crop. For the recipe's accuracy train with "
        "another target and convert the weights.",
        "TRANSFORMERS is a clone of https://github.com/huggingface/transformers at the version of the "
        "installed one; DATA has train/ and val/, a folder per class.",
    ]
    if recipe.optimizer.layer_decay is not None:
        notes.append("The Trainer has no layer-wise decay of the learning rate, which this recipe has.")
    full = recipe.data.resolution >= PROCESSOR_FULL
    if full != (recipe.data.eval_crop == 1):
        notes.append(
            f"ConvNextImageProcessor crops {'nothing' if full else 'eval_crop 1.0 as it says'} at "
            f"{recipe.data.resolution} pixels; the recipe's eval_crop is {recipe.data.eval_crop:g}."
        )
    return notes
