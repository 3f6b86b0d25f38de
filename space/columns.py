"""Many architectures as arrays, one array a field: what the closed-form costs are computed on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from space.architecture import CONVS, NORMS, Architecture, Stage

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class StageColumns:
    """One stage of N architectures: arrays of shape [N], or [] where all agree. depth 0: no such stage.

    `conv` indexes `CONVS`; `norm_after` and `act_after` hold bit 1 << (i - 1) for convolution i.
    """

    depth: Array
    width: Array
    hidden: Array
    out: Array
    kernel_size: Array
    conv: Array
    group_width: Array
    middle: Array
    norm_after: Array
    act_after: Array
    grn: Array


@dataclass(frozen=True)
class Columns:
    """N architectures: network-wide fields of shape [N] or [], and their stages in order.

    `norm` indexes `NORMS`.
    """

    resnet_stem: Array
    patch_size: Array
    stem_width: Array
    stem_norm: Array
    stem_activation: Array
    separate: Array
    norm: Array
    relu: Array
    layer_scale: Array
    head_norm: Array
    stages: tuple[StageColumns, ...]


def stage_values(stage: Stage | None) -> dict[str, int | bool]:
    """The numbers of one stage, as `StageColumns` holds them; None is a stage that is not there."""
    if stage is None:
        return dict.fromkeys((f.name for f in dataclasses.fields(StageColumns)), 0) | {"kernel_size": 1}
    return {
        "depth": stage.depth,
        "width": stage.width,
        "hidden": stage.hidden,
        "out": stage.out,
        "kernel_size": stage.kernel_size,
        "conv": CONVS.index(stage.conv),
        "group_width": stage.group_width or 1,
        "middle": stage.spatial == "middle",
        "norm_after": bits(stage.norm_after),
        "act_after": bits(stage.act_after),
        "grn": stage.grn,
    }


def network_values(arch: Architecture) -> dict[str, int | bool]:
    """The network-wide numbers of an architecture, as `Columns` holds them."""
    return {
        "resnet_stem": arch.stem.type == "resnet",
        "patch_size": arch.stem.patch_size,
        "stem_width": arch.stem_width,
        "stem_norm": arch.stem.norm,
        "stem_activation": arch.stem.activation,
        "separate": arch.downsampling == "separate",
        "norm": NORMS.index(arch.norm),
        "relu": arch.activation == "relu",
        "layer_scale": arch.layer_scale is not None,
        "head_norm": arch.head_norm,
    }


def bits(positions: Sequence[int]) -> int:
    """Convolution positions 1, 2, 3 as a bit mask."""
    return sum(1 << (position - 1) for position in positions)


def scaled_array(width: Array, expansion: Array) -> Array:
    """`scaled` of the architecture module on arrays: both round half to even."""
    channels: Array = np.rint(width * expansion).astype(np.int64)
    return channels


def columns_of(architectures: Sequence[Architecture]) -> Columns:
    """The columns of any architectures, stages up to the longest."""
    count = max((len(arch.stages) for arch in architectures), default=1)
    stages = []
    for i in range(count):
        rows = [stage_values(arch.stages[i] if i < len(arch.stages) else None) for arch in architectures]
        stages.append(StageColumns(**_stack(rows, StageColumns)))
    network = _stack([network_values(arch) for arch in architectures], Columns)
    return Columns(**network, stages=tuple(stages))


def _stack(rows: Sequence[dict[str, int | bool]], kind: type) -> dict[str, Array]:
    names = [f.name for f in dataclasses.fields(kind) if f.name != "stages"]
    return {name: np.array([row[name] for row in rows]) for name in names}
