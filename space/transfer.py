"""Weights of one ConvNeXt as a start for another: what fits is taken, the rest starts afresh.

Of a stage's blocks the first are taken, of its channels every so many-th, which is the selection of Xu et al.
2023, Initializing Models with Larger Ones (arXiv:2311.18823). Kernels are taken from their middle, and larger
ones are zeros around it. What is new disturbs little: further blocks pass on what they are given, and what is
taken does not listen to further channels. Between equal networks this is a copy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from space.architecture import Architecture
from space.errors import InputError
from space.network import build
from space.stage import Stage
from space.stem import Stem
from space.weight_files import State

FRESH_SCALE = 1e-6  # LayerScale of blocks that the source does not have: next to nothing, as the paper starts
# names of the official code and ours, timm's, transformers'
DEPTHWISE = re.compile(r"stages\.(\d+)\.(?:blocks\.|layers\.)?(\d+)\.(?:dwconv|conv_dw)\.weight$")
EXPANDING = re.compile(r"stages\.(\d+)\.(?:blocks\.|layers\.)?0\.(?:pwconv1|mlp\.fc1)\.weight$")
STEM = re.compile(r"(?:downsample_layers\.0\.0|^stem\.0|embeddings\.patch_embeddings)\.weight$")
# ours: in blocks, before the head, of the stem, before downsampling
NORM = re.compile(r"\.norm\d?\.|^norm\.|^downsample_layers\.(0\.1|[1-9]\d*\.0)\.")
SCALE = re.compile(r"stages\.\d+\.(?:blocks\.|layers\.)?\d+\.(?:gamma|layer_scale_parameter)$")


@dataclass(frozen=True)
class Transfer:
    """Weights under our names to start from; so many of the network's parameters are the source's, in so many
    tensors that were `sliced` or `padded`. Its head is not counted."""

    state: State
    taken: int
    parameters: int
    sliced: int
    padded: int


def architecture_of(state: Mapping[str, Tensor]) -> Architecture | None:
    """The ConvNeXt whose weights these are, in any layout; None where they are of none, or isotropic."""
    depths: dict[int, int] = {}
    spatial: dict[int, Tensor] = {}
    hidden: dict[int, int] = {}
    stem = None
    for name, value in state.items():
        if found := DEPTHWISE.search(name):
            stage = int(found[1])
            depths[stage] = max(depths.get(stage, 0), int(found[2]) + 1)
            spatial[stage] = value
        elif found := EXPANDING.search(name):
            hidden[int(found[1])] = len(value)
        elif STEM.search(name):
            stem = value
    count = len(depths)
    if stem is None or not count or any(set(own) != set(range(count)) for own in (depths, spatial, hidden)):
        return None
    if any(value.dim() != 4 or not len(value) for value in [stem, *spatial.values()]):
        return None
    grn = any(".grn." in name for name in state)
    scaled = any(SCALE.search(name) for name in state)
    try:
        stages = tuple(
            Stage(depths[i], len(spatial[i]), spatial[i].shape[-1], hidden[i] / len(spatial[i]), grn=grn)
            for i in range(count)
        )
        return Architecture(
            stages, Stem(patch_size=stem.shape[-1]), layer_scale=FRESH_SCALE if scaled else None
        )
    except InputError:
        return None


def transferred(state: Mapping[str, Tensor], source: Architecture, target: Architecture) -> Transfer:
    """What `target` takes of the weights of `source` under our names, with its head where they have one.

    Raises `InputError` for networks of which nothing fits: other blocks than ConvNeXt's, other stages.
    """
    _refuse(source, "the checkpoint's")
    _refuse(target, "the recipe's")
    if len(source.stages) != len(target.stages):
        raise InputError(f"{len(source.stages)} stages, the recipe's network has {len(target.stages)}")
    classes = len(state["head.weight"]) if "head.weight" in state else 1
    with torch.random.fork_rng([]):
        torch.manual_seed(0)  # what is new beside what is taken
        fresh = build(target, classes).state_dict()
    found: State = {}
    taken = sliced = padded = 0
    for name, value in fresh.items():
        origin = state.get(name)
        if _is_norm(name) and (source.norm != target.norm or origin is None):
            continue
        if origin is not None and origin.dim() == value.dim():
            found[name], count = _taken(name, origin, value)
            if not name.startswith("head."):
                taken += count
                pairs = [*zip(origin.shape, value.shape, strict=True)]
                sliced += any(there > here for there, here in pairs)
                padded += any(there < here for there, here in pairs)
    _join_scales(found, state, source, target)
    _silence_new_blocks(found, fresh, source, target)
    parameters = sum(value.numel() for name, value in fresh.items() if not name.startswith("head."))
    return Transfer(found, taken, parameters, sliced, padded)


def _refuse(network: Architecture, whose: str) -> None:
    """Raises `InputError` for what has no ConvNeXt's blocks."""
    fields: list[tuple[str, str, str]] = [
        ("downsampling", network.downsampling, "separate"),
        ("stem.type", network.stem.type, "patchify"),
    ]
    for stage in network.stages:
        fields += [
            ("style", stage.style, "inverted"),
            ("conv", stage.conv, "depthwise"),
            ("spatial", stage.spatial, "first"),
        ]
    for name, value, needed in fields:
        if value != needed:
            raise InputError(f"{whose} network has {name} {value}; weights go between those of {needed}")


def _is_norm(name: str) -> bool:
    return NORM.search(name) is not None


def _taken(name: str, origin: Tensor, fresh: Tensor) -> tuple[Tensor, int]:
    """A weight of the fresh one's shape, and how many of its numbers are the origin's."""
    origin = origin.to(fresh.dtype)
    if fresh.dim() == 4 and origin.shape[2:] != fresh.shape[2:]:
        origin = (
            _resized(origin, fresh) if name.startswith("downsample_layers.0.") else _centred(origin, fresh)
        )
    if origin.shape == fresh.shape:
        return origin.clone(), origin.numel()
    value = fresh.clone()
    places, chosen = zip(
        *(_selected(a, b) for a, b in zip(origin.shape, fresh.shape, strict=True)), strict=True
    )
    if value.dim() >= 2 and len(places[1]) < value.shape[1]:
        # outputs that are taken do not listen to further inputs
        value[places[0]] = 0.0
    picked = origin
    for dim, index in enumerate(chosen):
        picked = picked.index_select(dim, index)
    value[torch.meshgrid(*places, indexing="ij")] = picked
    return value, picked.numel()


def _selected(there: int, here: int) -> tuple[Tensor, Tensor]:
    """Places here that are filled, and of what there: all, or of more than there are every so many-th."""
    count = min(there, here)
    return torch.arange(count), torch.arange(count) * there // count


def _centred(kernel: Tensor, like: Tensor) -> Tensor:
    """[O, I, k, k] of the other's k: its middle, or zeros around it."""
    size, wanted = kernel.shape[-1], like.shape[-1]
    pad = (wanted - size) // 2  # kernels are odd; a negative one cuts off
    return F.pad(kernel, (pad, wanted - size - pad, pad, wanted - size - pad))


def _resized(patches: Tensor, like: Tensor) -> Tensor:
    """The stem's [O, 3, p, p] for patches of another size, with the same sum of weights (as FlexiViT's, Beyer
    et al. 2022, arXiv:2212.08013, to first order)."""
    side = like.shape[-1]
    ratio = (patches.shape[-1] / side) ** 2
    return ratio * F.interpolate(patches, size=(side, side), mode="bilinear", antialias=True)


def _blocks(source: Architecture, target: Architecture) -> list[tuple[str, bool]]:
    """The target's blocks by the start of their names, and whether the source has them."""
    return [
        (f"stages.{i}.{j}.", j < source.stages[i].depth)
        for i, stage in enumerate(target.stages)
        for j in range(stage.depth)
    ]


def _join_scales(
    found: State, state: Mapping[str, Tensor], source: Architecture, target: Architecture
) -> None:
    """A LayerScale that one of the two has alone: 1 where it is the target, else part of the convolution."""
    if (source.layer_scale is None) == (target.layer_scale is None):
        return
    for block in (name for name, there in _blocks(source, target) if there):
        weight, bias, gamma = (f"{block}{name}" for name in ("pwconv2.weight", "pwconv2.bias", "gamma"))
        scale = torch.ones(len(found[weight]))
        if source.layer_scale is None:
            found[gamma] = scale
            continue
        places, chosen = _selected(len(state[gamma]), len(scale))
        scale[places] = state[gamma].to(scale.dtype)[chosen]
        found[weight] *= scale[:, None]
        if bias in found:
            found[bias] *= scale


def _silence_new_blocks(
    found: State, fresh: Mapping[str, Tensor], source: Architecture, target: Architecture
) -> None:
    """Further blocks add next to nothing to what they are given."""
    for block, there in _blocks(source, target):
        if there:
            continue
        if target.layer_scale is not None:
            found[f"{block}gamma"] = torch.full_like(fresh[f"{block}gamma"], FRESH_SCALE)
        else:
            found[f"{block}pwconv2.weight"] = torch.zeros_like(fresh[f"{block}pwconv2.weight"])
