"""Scores of the architecture alone: no network is built, and torch is not needed."""

from __future__ import annotations

import itertools
import math

from space.architecture import Architecture
from space.cost import breakdown
from space.stage import Stage

LAST_STAGE_WEIGHT = 8  # DeepMAD's alpha is (1, 1, 1, 1, 8)


def widths_by_stage(architecture: Architecture) -> list[list[float]]:
    """DeepMAD's width c k^2 / g of every convolution on the main path: the stem's, then each stage's.

    `c` input channels, `k` kernel size, `g` groups: the inputs that one output sees. A separate downsampling
    counts with the stage it leads to; shortcuts and the classifier do not count.
    """
    stem = architecture.stem
    widths = [[3.0 * (7 if stem.type == "resnet" else stem.patch_size) ** 2]]
    previous = architecture.stem_width
    for i, (stage, entering) in enumerate(zip(architecture.stages, architecture.in_channels, strict=True)):
        separate = i > 0 and architecture.downsampling == "separate"
        # 2x2, dense
        here = [4.0 * previous] if separate else []
        for j in range(stage.depth):
            here += _block_widths(stage, entering if j == 0 else stage.out)
        widths.append(here)
        previous = stage.out
    return widths


def _block_widths(stage: Stage, channels: int) -> list[float]:
    middle = stage.spatial == "middle"
    inputs = stage.hidden if middle else channels
    per_group = {"depthwise": 1, "dense": inputs, "grouped": stage.group_width or 1}[stage.conv]
    spatial = float(per_group * stage.kernel_size**2)
    return [float(channels), spatial, float(stage.hidden)] if middle else [
        spatial, float(channels), float(stage.hidden),
    ]  # fmt: skip


def entropy(architecture: Architecture) -> float:
    """DeepMAD's multi-scale entropy at 224 pixels: the sum over stages of alpha log(r^2 c) sum_i log w_i.

    `w_i` are the widths c k^2 / g; each stage's sum runs from the first layer to the stage's last; the stem
    is a stage.
    """
    parts = [part for part in breakdown(architecture) if part.name.startswith(("stem", "stage"))]
    total, logs = 0.0, 0.0
    for i, (part, widths) in enumerate(zip(parts, widths_by_stage(architecture), strict=True)):
        logs += sum(math.log(width) for width in widths)
        weight = LAST_STAGE_WEIGHT if i == len(parts) - 1 else 1
        total += weight * math.log(part.resolution**2 * part.channels) * logs
    return total


def effectiveness(architecture: Architecture) -> float:
    """DeepMAD's rho: the depth over the geometric mean of the widths."""
    widths = list(itertools.chain(*widths_by_stage(architecture)))
    return len(widths) / math.exp(sum(math.log(width) for width in widths) / len(widths))


def depth(architecture: Architecture) -> float:
    """Convolutions on the main path."""
    return float(sum(len(widths) for widths in widths_by_stage(architecture)))
