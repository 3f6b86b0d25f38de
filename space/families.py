"""The named networks: ConvNeXt T to XL, the isotropic ones, ResNet-50 to 200, every step of the roadmap.

`roadmap_t_0` .. `roadmap_t_16` are the rows of the paper's Table 10 (ResNet-50 to ConvNeXt-T), `roadmap_b_*`
those of Table 11 (ResNet-200 to ConvNeXt-B). Steps 0 and 1 are one network under two recipes. LayerScale and
stochastic depth belong to the final recipe (Table 5), so the ResNets and the steps before 16 have neither,
and step 16 is `convnext_tiny` or `convnext_base` itself. Steps 3 to 12 keep ResNet's norm and activation
after the stem: the activation leaves with "fewer activations" (13), the norm with "fewer norms" (14) and
comes back with 16. Step 12 goes on from kernel 7 (9), not from 11.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from space.architecture import Architecture, Stage, Stem
from space.errors import InputError

ROADMAP_STEPS = 17


@dataclass(frozen=True)
class Regime:
    """One of the paper's two roads: depths and base widths of its ResNet, and what they change to."""

    start_depths: tuple[int, ...]
    depths: tuple[int, ...]
    middle_width: int
    width: int
    end: str


RESNET_WIDTH = 64
REGIMES = {
    "t": Regime((3, 4, 6, 3), (3, 3, 9, 3), middle_width=64, width=96, end="convnext_tiny"),
    "b": Regime((3, 24, 36, 3), (3, 3, 27, 3), middle_width=84, width=128, end="convnext_base"),
}
KERNEL_SIZES = {8: 5, 9: 7, 10: 9, 11: 11}


def convnext(depths: tuple[int, ...], width: int, drop_path: float) -> Architecture:
    """ConvNeXt (paper, section 3): widths double from stage to stage."""
    return Architecture.convnext(depths, doubling(width, len(depths)), drop_path=drop_path)


def isotropic(depth: int, width: int, drop_path: float, layer_scale: float | None) -> Architecture:
    """Isotropic ConvNeXt (paper, section 3.3): one stage at 1/16, no norm after the stem."""
    stem = Stem(patch_size=16, norm=False)
    return Architecture.convnext([depth], [width], stem=stem, drop_path=drop_path, layer_scale=layer_scale)


def resnet(depths: tuple[int, ...], width: int = RESNET_WIDTH) -> Architecture:
    """Bottleneck ResNet (He et al. 2016) with the stride in the 3x3 convolution."""
    stages = tuple(
        Stage(
            depth=d,
            width=w,
            kernel_size=3,
            style="bottleneck",
            conv="dense",
            spatial="middle",
            norm_after=(1, 2, 3),
            act_after=(1, 2, 3),
        )
        for d, w in zip(depths, doubling(width, len(depths)), strict=True)
    )
    return Architecture(
        stages=stages,
        stem=Stem(type="resnet", activation=True),
        downsampling="strided",
        norm="batch",
        activation="relu",
        layer_scale=None,
        head_norm=False,
    )


def roadmap(regime: str, step: int) -> Architecture:
    """The network of a step, by the `order` column of Tables 10 (`t`) and 11 (`b`)."""
    road = REGIMES[regime]
    if step == 16:
        return named(road.end)
    if step < 2:
        return resnet(road.start_depths)
    base = resnet(road.depths, road.width if step >= 5 else road.middle_width)
    if step < 3:
        return base
    kernel_size = 3 if step < 8 else KERNEL_SIZES.get(step, 7)
    block = replace(
        base.stages[0],
        kernel_size=kernel_size,
        conv="dense" if step < 4 else "depthwise",
        style="bottleneck" if step < 6 else "inverted",
        spatial="middle" if step < 7 else "first",
        act_after=(1, 2, 3) if step < 13 else (2,),
        norm_after=(1, 2, 3) if step < 14 else (1,),
    )
    return replace(
        base,
        stages=tuple(replace(block, depth=stage.depth, width=stage.width) for stage in base.stages),
        stem=Stem(norm=step < 14, activation=step < 13),
        activation="relu" if step < 12 else "gelu",
        norm="batch" if step < 15 else "layer",
    )


def doubling(width: int, count: int) -> tuple[int, ...]:
    """`count` widths, each twice the one before."""
    return tuple(width * 2**i for i in range(count))


# stochastic depth: Table 5 and TRAINING.md of the official code; XL from its ImageNet-22K recipe
_MAKERS: dict[str, Callable[[], Architecture]] = {
    "convnext_tiny": partial(convnext, (3, 3, 9, 3), 96, 0.1),
    "convnext_small": partial(convnext, (3, 3, 27, 3), 96, 0.4),
    "convnext_base": partial(convnext, (3, 3, 27, 3), 128, 0.5),
    "convnext_large": partial(convnext, (3, 3, 27, 3), 192, 0.5),
    "convnext_xlarge": partial(convnext, (3, 3, 27, 3), 256, 0.2),
    "convnext_isotropic_small": partial(isotropic, 18, 384, 0.1, None),
    "convnext_isotropic_base": partial(isotropic, 18, 768, 0.2, None),
    "convnext_isotropic_large": partial(isotropic, 36, 1024, 0.5, 1e-6),
    "resnet50": partial(resnet, (3, 4, 6, 3)),
    "resnet101": partial(resnet, (3, 4, 23, 3)),
    "resnet152": partial(resnet, (3, 8, 36, 3)),
    "resnet200": partial(resnet, (3, 24, 36, 3)),
    **{
        f"roadmap_{regime}_{step}": partial(roadmap, regime, step)
        for regime in REGIMES
        for step in range(ROADMAP_STEPS)
    },
}
NAMES = tuple(_MAKERS)


def named(name: str) -> Architecture:
    """The network of that name. Raises `InputError` with the closest names."""
    if name not in _MAKERS:
        close = difflib.get_close_matches(name, NAMES, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(NAMES[:5])}, ..."
        raise InputError(f"{name}: no network of this name; {hint}")
    return _MAKERS[name]()
