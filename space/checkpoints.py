"""Weights in and out: this project's state dict, the official layouts, timm's and transformers'.

A layout is the names and shapes of the weights, so it can hold what its own model code cannot build (another
kernel size or expansion, say). An architecture that needs a weight the layout has no name for is refused with
the field that asks for it. The official layout is that of ConvNeXt, of ConvNeXt V2 where a block has GRN, of
the isotropic ConvNeXt where the stem has no norm, and of Swin; timm's may hold the 1x1 convolutions as
[out, in] or [out, in, 1, 1]; transformers' is that of its ConvNext, its ConvNextV2 where a block has GRN, and
its Swin.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from space.architecture import Architecture
from space.errors import InputError, some
from space.networks import Network, build_network
from space.swin import Swin
from space.weight_files import BODIES, State

Rules = tuple[tuple[str, str], ...]
Layout = Literal["own", "official", "timm", "transformers", "transformers 5"]

# our name -> theirs; the first rule whose pattern fits is used, and a name that no rule fits stays;
# {a,b} stands for several weights that are one of ours, in this order
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
    (r"^stages\.(\d+)\.(\d+)\.grn\.gamma$", r"convnext.encoder.stages.\1.layers.\2.grn.weight"),
    (r"^stages\.(\d+)\.(\d+)\.grn\.beta$", r"convnext.encoder.stages.\1.layers.\2.grn.bias"),
    (r"^stages\.(\d+)\.(\d+)\.", r"convnext.encoder.stages.\1.layers.\2."),
    (r"^norm\.", "convnext.layernorm."),
    (r"^head\.", "classifier."),
)
_SWIN_BLOCK = r"^layers\.(\d+)\.blocks\.(\d+)\."
_THEIR_BLOCK = r"swin.encoder.layers.\1.blocks.\2."
SWIN_TRANSFORMERS: Rules = (
    (r"^patch_embed\.proj\.", "swin.embeddings.patch_embeddings.projection."),
    (r"^patch_embed\.norm\.", "swin.embeddings.norm."),
    (_SWIN_BLOCK + r"norm1\.", _THEIR_BLOCK + "layernorm_before."),
    (_SWIN_BLOCK + r"norm2\.", _THEIR_BLOCK + "layernorm_after."),
    (_SWIN_BLOCK + r"attn\.qkv\.", _THEIR_BLOCK + "attention.self.{query,key,value}."),
    (_SWIN_BLOCK + r"attn\.proj\.", _THEIR_BLOCK + "attention.output.dense."),
    (_SWIN_BLOCK + r"attn\.", _THEIR_BLOCK + "attention.self."),
    (_SWIN_BLOCK + r"mlp\.fc1\.", _THEIR_BLOCK + "intermediate.dense."),
    (_SWIN_BLOCK + r"mlp\.fc2\.", _THEIR_BLOCK + "output.dense."),
    (r"^layers\.", "swin.encoder.layers."),
    (r"^norm\.", "swin.layernorm."),
    (r"^head\.", "classifier."),
)
# the names inside of transformers 5, whose files keep the older ones
SWIN_TRANSFORMERS_5: Rules = (
    (_SWIN_BLOCK + r"attn\.qkv\.", _THEIR_BLOCK + "attention.{q_proj,k_proj,v_proj}."),
    (_SWIN_BLOCK + r"attn\.proj\.", _THEIR_BLOCK + "attention.o_proj."),
    (_SWIN_BLOCK + r"attn\.", _THEIR_BLOCK + "attention.relative_position_bias."),
    (_SWIN_BLOCK + r"mlp\.", _THEIR_BLOCK + "mlp."),
    *SWIN_TRANSFORMERS,
)
TITLES: dict[Layout, str] = {
    "own": "this project's layout", "official": "the official layout", "timm": "timm's layout",
    "transformers": "transformers' layout", "transformers 5": "transformers' layout",
}  # fmt: skip
BODY = tuple(f"{name}." for name in BODIES)
HEADS = ("head.weight", "head.fc.weight", "classifier.weight")  # official and ours, timm, transformers
POINTWISE_WEIGHT = re.compile(r"\.pwconv[12]\.weight$")
GRN_VECTOR = re.compile(r"\.grn\.(gamma|beta)$")
COMPUTED = re.compile(r"(^|\.)(attn_mask|relative_position_index)$")  # Swin's, of no training
HEAD = ("norm.", "head.")


@dataclass(frozen=True)
class Read:
    """Weights under our names; masks in the file, which are computed, and ours that are missing in it."""

    state: State
    left_out: tuple[str, ...]
    missing: tuple[str, ...] = ()


def to_official(state: Mapping[str, Tensor], network: Network) -> State:
    """Our weights under the official names and shapes. Raises `InputError` naming the field it lacks."""
    return _written(state, network, "official", _grn_map)


def to_timm(state: Mapping[str, Tensor], network: Network, *, conv_mlp: bool = False) -> State:
    """Our weights under timm's names; 1x1 convolutions are [out, in, 1, 1] if `conv_mlp`, else [out, in].

    Without what timm computes itself (a Swin's `relative_position_index`).
    """

    def shaped(name: str, value: Tensor) -> Tensor:
        return value[:, :, None, None] if conv_mlp and POINTWISE_WEIGHT.search(name) else value

    return _written(state, network, "timm", shaped)


def to_transformers(state: Mapping[str, Tensor], network: Network) -> State:
    """Our weights under the names in files of transformers' `ConvNextForImageClassification`,
    `ConvNextV2ForImageClassification` (where a block has GRN) or `SwinForImageClassification`."""
    return _written(state, network, "transformers", _grn_map)


def read(state: Mapping[str, Tensor], network: Network, *, head: bool = True) -> Read:
    """Weights of any layout under our names; `head` False lets the last norm and the classifier be missing.

    Raises `InputError` for other keys than the network's.
    """
    layout = layout_of(state)
    names = theirs(network, layout)
    # what Swin computes may be in a file or not, and is not compared
    computed = {name for name in state if COMPUTED.search(name)} if isinstance(network, Swin) else set()
    given = {name: value for name, value in state.items() if name not in computed}
    if layout.startswith("transformers") and not any(name.startswith(BODY) for name in given):
        body = next(iter(names.values()))[0].partition(".")[0]  # its bare model, without a classifier
        given = {name if name.startswith("classifier.") else f"{body}.{name}": v for name, v in given.items()}
    # their names, each with ours
    wanted = {part: name for name, parts in names.items() for part in parts}
    missing = [part for part in wanted if part not in given]
    # the last norm and the classifier, each as a whole: part of one missing is a mistake
    absent = () if head else _whole(HEAD, [wanted[part] for part in missing], names)
    missing = [part for part in missing if wanted[part] not in absent]
    unexpected = [name for name in given if name not in wanted]
    if missing or unexpected:
        problems = [f"{what} {some(keys)}" for what, keys in
                    (("missing", missing), ("unexpected", unexpected)) if keys]  # fmt: skip
        raise InputError(
            f"the keys are not those of the architecture in {TITLES[layout]}: {'; '.join(problems)}"
        )
    found = {
        name: _own_shape(name, _joined(parts, given)) for name, parts in names.items() if name not in absent
    }
    return Read(found, tuple(name for name in state if name in computed and name.endswith("mask")), absent)


def layout_of(names: Collection[str]) -> Layout:
    """The layout whose names these are, with a classifier or without."""

    def some_start(*starts: str) -> bool:
        return any(name.startswith(starts) for name in names)

    if "classifier.weight" in names or some_start(*BODY, "embeddings."):
        return "transformers 5" if any(".attention.q_proj." in name for name in names) else "transformers"
    if "head.fc.weight" in names or some_start("stem.0.", "stages.0.blocks."):
        return "timm"
    # a Swin of timm's downsamples before a stage, an official one after it
    if "layers.1.downsample.norm.weight" in names and "layers.0.downsample.norm.weight" not in names:
        return "timm"
    # only where a network is isotropic are the official names others than ours
    return "official" if "stem.weight" in names else "own"


def theirs(network: Network, layout: Layout) -> dict[str, tuple[str, ...]]:
    """Our names of a network's weights, and of each the layout's, several where they are one of ours.

    Without what is computed. Raises `InputError` naming the field that the layout has no weights for.
    """
    rules = _rules(network, layout)
    with torch.device("meta"):
        # for the names alone: no memory, no initialising, and one class is as good as a thousand
        ours = [name for name in build_network(network, 1).state_dict() if not COMPUTED.search(name)]
    return {name: _parts(_renamed(name, rules)) for name in ours}


def _rules(network: Network, layout: Layout) -> Rules:
    if isinstance(network, Swin):
        stages = range(len(network.depths) - 1)
        downsampling = tuple((rf"^layers\.{i}\.downsample\.", f"layers.{i + 1}.downsample.") for i in stages)
        return {
            "timm": (*downsampling, (r"^head\.", "head.fc.")),
            "transformers": SWIN_TRANSFORMERS,
            "transformers 5": SWIN_TRANSFORMERS_5,
        }.get(layout, ())
    if layout == "official":
        isotropic = len(network.stages) == 1 and not network.stem.norm
        _refuse_foreign(network, TITLES[layout], stem_norm=not isotropic)
        return OFFICIAL_ISOTROPIC if isotropic else ()
    if layout == "timm":
        _refuse_foreign(network, TITLES[layout], norms=("layer", "rms", "group"))
        return TIMM
    if layout == "own":
        return ()
    _refuse_foreign(network, TITLES[layout])
    if not any(stage.grn for stage in network.stages):
        return TRANSFORMERS
    # transformers has a class of its own for V2, whose weights differ in this prefix
    return tuple((pattern, name.replace("convnext.", "convnextv2.")) for pattern, name in TRANSFORMERS)


def _parts(name: str) -> tuple[str, ...]:
    """The names that `a.{b,c}.d` stands for."""
    before, opened, rest = name.partition("{")
    if not opened:
        return (name,)
    inner, _, after = rest.partition("}")
    return tuple(f"{before}{part}{after}" for part in inner.split(","))


def _written(
    state: Mapping[str, Tensor], network: Network, layout: Layout, shaped: Callable[[str, Tensor], Tensor]
) -> State:
    """Our weights under a layout's names, and each in its shape."""
    rules = _rules(network, layout)
    written: State = {}
    for name, value in state.items():
        # official files hold what timm and transformers compute
        if COMPUTED.search(name) and layout != "official":
            continue
        names = _parts(_renamed(name, rules))
        shape = shaped(name, value)
        written |= zip(names, shape.chunk(len(names)) if len(names) > 1 else (shape,), strict=True)
    return written


def _whole(groups: Collection[str], missing: list[str], names: Collection[str]) -> tuple[str, ...]:
    """The missing names of the groups, by what they start with, of which all are missing."""
    gone = [
        group for group in groups if not any(name.startswith(group) for name in names if name not in missing)
    ]
    return tuple(name for name in missing if name.startswith(tuple(gone)))


def _joined(parts: tuple[str, ...], state: Mapping[str, Tensor]) -> Tensor:
    if len(parts) == 1:
        return state[parts[0]]
    try:
        return torch.cat([state[part] for part in parts])
    except RuntimeError:
        raise InputError(f"{some(parts)}: shapes that are not parts of one weight") from None


def _grn_map(name: str, value: Tensor) -> Tensor:
    return value.view(1, 1, 1, -1) if GRN_VECTOR.search(name) else value


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


def _renamed(name: str, rules: Rules) -> str:
    for pattern, template in rules:
        renamed, count = re.subn(pattern, template, name)
        if count:
            return renamed
    return name


def _refuse_foreign(
    architecture: Architecture,
    layout: str,
    *,
    norms: Collection[str] = ("layer",),
    stem_norm: bool = True,
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
        ]
    for name, value, possible in needed:
        if value not in possible:
            raise InputError(f"{name}: {layout} has no weights for {value!r}")
