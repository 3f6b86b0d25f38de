"""Weights in and out: this project's state dict, the official ConvNeXt layout, timm's and transformers'.

A layout is the names and shapes of the weights, so it can hold what its own model code cannot build (another
kernel size or expansion, say). An architecture that needs a weight the layout has no name for is refused with
the field that asks for it. The official layout is that of ConvNeXt, of ConvNeXt V2 where a block has GRN, and
of the isotropic ConvNeXt where the stem has no norm; timm's may hold the 1x1 convolutions as [out, in] or
[out, in, 1, 1].
"""

from __future__ import annotations

import argparse
import pickle
import re
import zipfile
import zlib
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from space.architecture import Architecture
from space.errors import InputError
from space.network import Network, build

State = dict[str, Tensor]
Rules = tuple[tuple[str, str], ...]

# our name -> theirs; the first rule whose pattern fits is used, and a name that no rule fits stays
OFFICIAL: Rules = ()
OFFICIAL_ISOTROPIC: Rules = ((r"^downsample_layers\.0\.0\.", "stem."), (r"^stages\.0\.", "blocks."))
TIMM: Rules = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.dwconv\.", r"stages.\1.blocks.\2.conv_dw."),
    (r"^stages\.(\d+)\.(\d+)\.pwconv(\d)\.", r"stages.\1.blocks.\2.mlp.fc\3."),
    (r"^stages\.(\d+)\.(\d+)\.grn\.gamma$", r"stages.\1.blocks.\2.mlp.grn.weight"),
    (r"^stages\.(\d+)\.(\d+)\.grn\.beta$", r"stages.\1.blocks.\2.mlp.grn.bias"),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (r"^norm\.", "head.norm."),
    (r"^head\.", "head.fc."),
)
TRANSFORMERS: Rules = (
    (r"^downsample_layers\.0\.0\.", "convnext.embeddings.patch_embeddings."),
    (r"^downsample_layers\.0\.1\.", "convnext.embeddings.layernorm."),
    (r"^downsample_layers\.(\d+)\.(\d)\.", r"convnext.encoder.stages.\1.downsampling_layer.\2."),
    (r"^stages\.(\d+)\.(\d+)\.gamma$", r"convnext.encoder.stages.\1.layers.\2.layer_scale_parameter"),
    (r"^stages\.(\d+)\.(\d+)\.norm\.", r"convnext.encoder.stages.\1.layers.\2.layernorm."),
    (r"^stages\.(\d+)\.(\d+)\.", r"convnext.encoder.stages.\1.layers.\2."),
    (r"^norm\.", "convnext.layernorm."),
    (r"^head\.", "classifier."),
)
WRAPPINGS = ("model", "state_dict", "model_ema", "state_dict_ema")
PREFIXES = ("module.", "_orig_mod.")
POINTWISE_WEIGHT = re.compile(r"\.pwconv[12]\.weight$")
GRN_VECTOR = re.compile(r"\.grn\.(gamma|beta)$")


def to_official(state: Mapping[str, Tensor], architecture: Architecture) -> State:
    """Our weights under the official names and shapes. Raises `InputError` naming the field it lacks."""
    rules = _official_rules(architecture)
    return {
        _renamed(name, rules): v.view(1, 1, 1, -1) if GRN_VECTOR.search(name) else v
        for name, v in state.items()
    }


def from_official(state: Mapping[str, Tensor], architecture: Architecture) -> State:
    """Official weights under our names. Raises `InputError` for other keys than the architecture's."""
    return _read(state, architecture, _official_rules(architecture), "the official layout")


def to_timm(state: Mapping[str, Tensor], architecture: Architecture, *, conv_mlp: bool = False) -> State:
    """Our weights under timm's names; 1x1 convolutions are [out, in, 1, 1] if `conv_mlp`, else [out, in]."""
    _refuse_foreign(architecture, "timm's layout", norms=("layer", "rms", "group"))
    return {
        _renamed(name, TIMM): v[:, :, None, None] if conv_mlp and POINTWISE_WEIGHT.search(name) else v
        for name, v in state.items()
    }


def from_timm(state: Mapping[str, Tensor], architecture: Architecture) -> State:
    """timm's weights, `conv_mlp` or not, under our names. Raises `InputError` for other keys."""
    _refuse_foreign(architecture, "timm's layout", norms=("layer", "rms", "group"))
    return _read(state, architecture, TIMM, "timm's layout")


def to_transformers(state: Mapping[str, Tensor], architecture: Architecture) -> State:
    """Our weights under the names of transformers' `ConvNextForImageClassification`."""
    _refuse_foreign(architecture, "transformers' layout", grn=False)
    return {_renamed(name, TRANSFORMERS): v for name, v in state.items()}


def from_transformers(state: Mapping[str, Tensor], architecture: Architecture) -> State:
    """`ConvNextForImageClassification`'s weights under our names. Raises `InputError` for other keys."""
    _refuse_foreign(architecture, "transformers' layout", grn=False)
    return _read(state, architecture, TRANSFORMERS, "transformers' layout")


def load_weights(model: Network, path: str | Path) -> None:
    """Load a checkpoint file of any layout here into `model`, whichever it is.

    Raises `InputError`, in one line, for a file that cannot be read, for missing or unexpected keys, for
    wrong shapes, and for a layout that the architecture does not have.
    """
    state = unwrapped(read_values(Path(path)), Path(path))
    try:
        state = reader(state)(state, model.architecture)
        refuse_shapes(state, model.state_dict())
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    model.load_state_dict(state)


def reader(state: Collection[str]) -> Callable[[Mapping[str, Tensor], Architecture], State]:
    """The function that reads a state dict with these keys."""
    if "head.fc.weight" in state:
        return from_timm
    if "classifier.weight" in state:
        return from_transformers
    if "stem.weight" in state:
        return from_official
    # our own names are the official ones wherever there are official ones
    return lambda values, architecture: _read(values, architecture, OFFICIAL, "this network")


def read_values(path: Path) -> Any:
    """What the file holds, plain values and tensors. Raises `InputError`."""
    if path.suffix == ".safetensors":
        return _safetensors(path)
    if zipfile.is_zipfile(path):  # torch's format since 1.6; its CRC-32s are kept, but not checked by torch
        try:
            with zipfile.ZipFile(path) as records:
                damaged = records.testzip()
        except (OSError, zipfile.BadZipFile, zlib.error):
            damaged = "its directory"
        if damaged is not None:
            raise InputError(f"{path}: damaged: {damaged} does not match its CRC-32")
    return _torch_file(path)


def _safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise InputError(f"{path}: reading it needs safetensors: pip install safetensors") from None
    try:
        return load_file(path)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except SafetensorError as error:
        raise InputError(f"{path}: not a readable safetensors file: {error}") from None


def _torch_file(path: Path) -> Any:
    try:
        # the official training script stores its arguments beside the weights
        with torch.serialization.safe_globals([argparse.Namespace]):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path}: damaged, or more than weights; only tensors and plain values are read"
        ) from None
    except Exception as error:  # torch.load has no one error for a damaged file
        reason = re.split(r"\n|\. ", str(error).strip())[0] or type(error).__name__
        raise InputError(f"{path}: not a readable checkpoint: {reason}") from None


def unwrapped(values: Any, path: Path) -> State:
    """The state dict itself, out of the wrappings of training scripts, DDP and torch.compile."""
    for wrapping in WRAPPINGS:
        if isinstance(values, Mapping) and isinstance(values.get(wrapping), Mapping):
            values = values[wrapping]
            break
    if not isinstance(values, Mapping) or not values:
        raise InputError(f"{path}: holds no weights, bare or under {', '.join(WRAPPINGS)}")
    for name, value in values.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{path}: {name} is {type(value).__name__}, not a tensor")
    state = dict(values)
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _read(state: Mapping[str, Tensor], architecture: Architecture, rules: Rules, layout: str) -> State:
    """`state` under our names and shapes."""
    with torch.device("meta"):
        names = {_renamed(name, rules): name for name in build(architecture, num_classes=1).state_dict()}
    missing = [name for name in names if name not in state]
    unexpected = [name for name in state if name not in names]
    if missing or unexpected:
        problems = [f"{what} {some(keys)}" for what, keys in
                    (("missing", missing), ("unexpected", unexpected)) if keys]  # fmt: skip
        raise InputError(f"the keys are not those of the architecture in {layout}: {'; '.join(problems)}")
    return {name: _own_shape(name, state[theirs]) for theirs, name in names.items()}


def _own_shape(name: str, value: Tensor) -> Tensor:
    if POINTWISE_WEIGHT.search(name) and value.dim() == 4 and value.shape[2:] == (1, 1):
        return value[:, :, 0, 0]
    if GRN_VECTOR.search(name) and value.dim() == 4 and value.shape[:3] == (1, 1, 1):
        return value[0, 0, 0]
    return value


def refuse_shapes(state: State, expected: Mapping[str, Tensor]) -> None:
    """Raises `InputError` for the first weight that has another shape than expected."""
    wrong = [name for name, value in state.items() if value.shape != expected[name].shape]
    if wrong:
        name = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise InputError(
            f"{name}: shape {list(state[name].shape)}, the network has {list(expected[name].shape)}{more}"
        )


def some(names: Collection[str]) -> str:
    """The first three names and how many more."""
    shown = ", ".join(list(names)[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"


def _renamed(name: str, rules: Rules) -> str:
    for pattern, template in rules:
        renamed, count = re.subn(pattern, template, name)
        if count:
            return renamed
    return name


def _official_rules(architecture: Architecture) -> Rules:
    isotropic = len(architecture.stages) == 1 and not architecture.stem.norm
    _refuse_foreign(architecture, "the official layout", stem_norm=not isotropic)
    return OFFICIAL_ISOTROPIC if isotropic else OFFICIAL


def _refuse_foreign(
    architecture: Architecture,
    layout: str,
    *,
    norms: Collection[str] = ("layer",),
    stem_norm: bool = True,
    grn: bool = True,
) -> None:
    """Raise `InputError` for the first field whose value has no place in a ConvNeXt layout."""
    stem = architecture.stem
    needed: list[tuple[str, Any, Collection[Any]]] = [
        ("stem.type", stem.type, ("patchify",)),
        ("stem.norm", stem.norm, (stem_norm,)),
        ("stem.width", stem.width, (None,)),
        ("norm", architecture.norm, norms),
        ("downsampling", architecture.downsampling, ("separate",)),
        ("head_norm", architecture.head_norm, (True,)),
    ]
    for i, stage in enumerate(architecture.stages):
        needed += [
            (f"stages[{i}].style", stage.style, ("inverted",)),
            (f"stages[{i}].conv", stage.conv, ("depthwise",)),
            (f"stages[{i}].spatial", stage.spatial, ("first",)),
            (f"stages[{i}].norm_after", stage.norm_after, ((1,),)),
            (f"stages[{i}].grn", stage.grn, (False, grn)),
        ]
    for name, value, possible in needed:
        if value not in possible:
            raise InputError(f"{name}: {layout} has no weights for {value!r}")
