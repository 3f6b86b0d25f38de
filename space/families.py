"""The named networks: ConvNeXt A to XL, V2, the isotropic ones, ResNet-50 to 200, every step of the roadmap.

Atto to nano and ConvNeXt V2 are Woo et al. 2023's (section 4 and appendix A; V1's small sizes are timm's
first): a block of V2 has GRN and no LayerScale. `convnextv2_small` is timm's.

`roadmap_t_0` .. `roadmap_t_16` are the rows of the paper's Table 10 (ResNet-50 to ConvNeXt-T), `roadmap_b_*`
those of Table 11 (ResNet-200 to ConvNeXt-B). Steps 0 and 1 are one network under two recipes. LayerScale and
stochastic depth belong to the final recipe (Table 5), so the ResNets and the steps before 16 have neither,
and step 16 is `convnext_tiny` or `convnext_base` itself. Steps 3 to 12 keep ResNet's norm and activation
after the stem: the activation leaves with "fewer activations" (13), the norm with "fewer norms" (14) and
comes back with 16. Step 12 goes on from kernel 7 (9), not from 11.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from space.architecture import Architecture
from space.errors import InputError, shortened
from space.stage import Stage
from space.stem import Stem

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
# by step; the other steps from 8 on have 7
KERNEL_SIZES = {8: 5, 9: 7, 10: 9, 11: 11}


def convnext(depths: tuple[int, ...], width: int, drop_path: float) -> Architecture:
    """ConvNeXt (paper, section 3): widths double from stage to stage."""
    return Architecture.convnext(depths, doubling(width, len(depths)), drop_path=drop_path)


def convnext_v2(depths: tuple[int, ...], width: int, drop_path: float) -> Architecture:
    """ConvNeXt V2 (Woo et al. 2023, section 3.2): GRN in every block, and no LayerScale."""
    stages = tuple(
        Stage(depth=d, width=w, grn=True) for d, w in zip(depths, doubling(width, len(depths)), strict=True)
    )
    return Architecture(stages=stages, layer_scale=None, drop_path=drop_path)


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
    # the rows: 2 stage ratio, 3 patchify, 4 depthwise, 5 width, 6 inverted, 7 spatial first, 8 to 11 kernels,
    # 12 GELU, 13 fewer activations, 14 fewer norms, 15 LayerNorm, 16 separate downsampling
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


# stochastic depth: Table 5 and TRAINING.md of the official code; XL from its ImageNet-22K recipe; the small
# ones and V2 from V2's fine-tuning on ImageNet-1K (appendix A)
_MAKERS: dict[str, Callable[[], Architecture]] = {
    "convnext_atto": partial(convnext, (2, 2, 6, 2), 40, 0.1),
    "convnext_femto": partial(convnext, (2, 2, 6, 2), 48, 0.1),
    "convnext_pico": partial(convnext, (2, 2, 6, 2), 64, 0.1),
    "convnext_nano": partial(convnext, (2, 2, 8, 2), 80, 0.1),
    "convnext_tiny": partial(convnext, (3, 3, 9, 3), 96, 0.1),
    "convnext_small": partial(convnext, (3, 3, 27, 3), 96, 0.4),
    "convnext_base": partial(convnext, (3, 3, 27, 3), 128, 0.5),
    "convnext_large": partial(convnext, (3, 3, 27, 3), 192, 0.5),
    "convnext_xlarge": partial(convnext, (3, 3, 27, 3), 256, 0.2),
    "convnextv2_atto": partial(convnext_v2, (2, 2, 6, 2), 40, 0.1),
    "convnextv2_femto": partial(convnext_v2, (2, 2, 6, 2), 48, 0.1),
    "convnextv2_pico": partial(convnext_v2, (2, 2, 6, 2), 64, 0.1),
    "convnextv2_nano": partial(convnext_v2, (2, 2, 8, 2), 80, 0.1),
    "convnextv2_tiny": partial(convnext_v2, (3, 3, 9, 3), 96, 0.2),
    "convnextv2_small": partial(convnext_v2, (3, 3, 27, 3), 96, 0.2),
    "convnextv2_base": partial(convnext_v2, (3, 3, 27, 3), 128, 0.1),
    "convnextv2_large": partial(convnext_v2, (3, 3, 27, 3), 192, 0.2),
    "convnextv2_huge": partial(convnext_v2, (3, 3, 27, 3), 352, 0.3),
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
    """The network of that name, in any common spelling. Raises `InputError` with the closest names."""
    own = canonical(name)
    if own not in _MAKERS:
        close = difflib.get_close_matches(own, NAMES, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else f"there are {', '.join(NAMES[:5])}, ..."
        raise InputError(f"{shortened(name, 80)}: no network of this name; {hint}")
    return _MAKERS[own]()


# hubs under whose names the weights of these very networks lie
_OWNERS = r"(?:hf[-_]hub:)?(?:(?:timm|facebook|microsoft|apple)/)?"
_SIZES = {
    "a": "atto", "f": "femto", "p": "pico", "n": "nano", "t": "tiny", "s": "small", "b": "base", "l": "large",
    "xl": "xlarge", "h": "huge",
}  # fmt: skip
_SIZE = rf"({'|'.join([*_SIZES.values(), *_SIZES])})"
_SPELLINGS = (
    (re.compile(rf"convnext_?{_SIZE}"), "convnext_{}"),
    (re.compile(rf"convnext_?v2_?{_SIZE}"), "convnextv2_{}"),
    (re.compile(rf"convnext_(?:isotropic|iso)_{_SIZE}|convnext_{_SIZE}_iso"), "convnext_isotropic_{}"),
    (re.compile(r"resnet_?(\d+)"), "resnet{}"),
    (re.compile(rf"swin_?{_SIZE}(?:_patch4)?(?:_window7)?"), "swin_{}"),
    (re.compile(rf"swin_?{_SIZE}(?:_patch4)?_window12"), "swin_{}_window12"),
)
_LONGEST = 100


def canonical(name: str) -> str:
    """This program's name of a network: `convnext_tiny` for `ConvNeXt-T`, `convnext_tiny.fb_in1k` (timm),
    `facebook/convnext-tiny-224` (the Hugging Face hub), `swin_tiny_patch4_window7_224`; else as it is.

    What a name says of weights, their data and image size, is not of the network.
    """
    if len(name) > _LONGEST:
        return name
    bare = re.sub(rf"^{_OWNERS}", "", name.strip().lower())
    bare = re.sub(r"[\s_()-]+", "_", bare.split(".")[0]).strip("_")
    # the weights: images of 224, 384 .. pixels, ImageNet-1K or 22K (in22ft1k: timm's older names), an average
    bare = re.sub(r"(?:_(?:224|256|288|320|384|512|(?:in)?(?:1|12|22)k|in22ft1k|ft|to|ema))+$", "", bare)
    for spelling, own in _SPELLINGS:
        match = spelling.fullmatch(bare)
        if match:
            (size,) = filter(None, match.groups())
            return own.format(_SIZES.get(size, size))
    return name
