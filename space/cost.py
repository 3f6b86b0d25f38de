"""What a network costs, in closed form: no model is built, a million networks go at once.

Conventions:

* ``macs``: multiply-accumulates of convolutions and linear layers, without bias; what the ConvNeXt paper
  prints as FLOPs (1 MAC = 1 FLOP). fvcore's default total adds norms, and ptflops adds norms, activations,
  pooling and biases: their convolution and linear terms equal ours.
* ``params``: every learnable parameter; equals the built module's.
* ``activations``: output elements of all convolutions, 1x1 ones included, the classifier not
  (Radosavovic et al. 2020, section 3.1; pycls).
* ``saved``: elements an image keeps for the backward pass, one input for each convolution, norm, activation
  (ReLU none, RMSNorm two), GRN and LayerScale; an estimate, within a tenth of what autograd keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from space.architecture import NORMS, Architecture
from space.columns import Array, Columns, StageColumns, columns_of
from space.errors import InputError

RESOLUTION = 224
NUM_CLASSES = 1000
DEPTHWISE, DENSE = 2, 0
BATCH_NORM, RMS_NORM = NORMS.index("batch"), NORMS.index("rms")
# weight, gradient and AdamW's two moments, fp32
BYTES_PER_PARAM = 16


@dataclass(frozen=True)
class Cost:
    """Costs of one network (ints) or of N (int64 arrays of shape [N]); they add."""

    macs: Any
    params: Any
    activations: Any
    saved: Any

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.macs + other.macs,
            self.params + other.params,
            self.activations + other.activations,
            self.saved + other.saved,
        )

    def training_bytes(self, batch_size: int, bytes_per_element: int = 4) -> Any:
        """Estimated peak memory of a training step in bytes: AdamW state in fp32 and what backward keeps."""
        return self.params * BYTES_PER_PARAM + self.saved * batch_size * bytes_per_element


@dataclass(frozen=True)
class Part:
    """Cost of one part of a network (stem, downsampling, a stage, head) and the shape it hands on."""

    name: str
    channels: int
    resolution: int
    cost: Cost


@dataclass(frozen=True)
class Flow:
    """What passes between parts: channels and height = width, each [N] or []."""

    channels: Array
    resolution: Array


def cost(architecture: Architecture, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Cost of one network at `resolution` x `resolution`.

    Raises `InputError` where the resolution is too small for it.
    """
    total = cost_columns(columns_of([architecture]), resolution, num_classes)
    return Cost(*(int(value[0]) for value in (total.macs, total.params, total.activations, total.saved)))


def costs(
    architectures: Sequence[Architecture], resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES
) -> Cost:
    """Costs of many networks, arrays of shape [N]."""
    return cost_columns(columns_of(architectures), resolution, num_classes)


def breakdown(
    architecture: Architecture, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES
) -> list[Part]:
    """Cost part by part, in the order of computation."""
    parts = []
    for name, flow, part in walk(columns_of([architecture]), resolution, num_classes):
        numbers = (part.macs, part.params, part.activations, part.saved)
        one = Cost(*(int(np.broadcast_to(number, 1)[0]) for number in numbers))
        channels, size = (int(np.broadcast_to(v, 1)[0]) for v in (flow.channels, flow.resolution))
        parts.append(Part(name, channels, size, one))
    return parts


def cost_columns(columns: Columns, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Costs of the N networks of `columns`, arrays of shape [N] (or [] where nothing varies)."""
    total = Cost(0, 0, 0, 0)
    for _, _, part in walk(columns, resolution, num_classes):
        total = total + part
    return total


def walk(columns: Columns, resolution: int, num_classes: int) -> Iterator[tuple[str, Flow, Cost]]:
    """The parts of N networks, in the order of computation: name, what it hands on, costs [N] or []."""
    flow, part = stem_cost(columns, resolution)
    yield "stem", flow, part
    for i, stage in enumerate(columns.stages):
        if i > 0 and np.any(columns.separate):
            try:
                flow, part = downsampling_cost(columns, stage, flow)
            except InputError as error:
                raise InputError(f"resolution {resolution}: {error}") from None
            yield f"downsampling {i + 1}", flow, part
        flow, part = stage_cost(columns, stage, flow, first=i == 0)
        yield f"stage {i + 1}", flow, part
    yield "head", *head_cost(columns, flow, num_classes)


def stem_cost(columns: Columns, resolution: int) -> tuple[Flow, Cost]:
    """From the image to the first stage: 7x7 stride 2 and max-pool, or a patchify convolution."""
    width = columns.stem_width
    half = (resolution + 1) // 2
    conv_size = np.where(columns.resnet_stem, half, resolution // columns.patch_size)
    size = np.where(columns.resnet_stem, (half + 1) // 2, conv_size)
    _refuse_nothing_left(size, resolution)
    kernel = np.where(columns.resnet_stem, 7, columns.patch_size)
    weights = 3 * kernel * kernel * width
    elements = width * conv_size**2
    bias = np.where(columns.stem_norm & (columns.norm == BATCH_NORM), 0, width)
    return Flow(width, size), Cost(
        macs=weights * conv_size**2,
        params=weights + bias + columns.stem_norm * _norm_params(columns, width),
        activations=elements,
        saved=3 * resolution**2
        + elements
        * (
            columns.stem_norm * _kept_by_norm(columns)
            + (columns.stem_activation & ~columns.relu)
            + columns.resnet_stem
        ),
    )


def downsampling_cost(columns: Columns, stage: StageColumns, flow: Flow) -> tuple[Flow, Cost]:
    """Norm and 2x2 stride-2 convolution before a stage, where downsampling is separate (section 2.6)."""
    here = columns.separate & (stage.depth > 0)
    size = np.where(here, flow.resolution // 2, flow.resolution)
    _refuse_nothing_left(size, flow.resolution)
    weights = 4 * flow.channels * stage.out
    return Flow(np.where(here, stage.out, flow.channels), size), Cost(
        macs=here * weights * size**2,
        params=here * (weights + stage.out + _norm_params(columns, flow.channels)),
        activations=here * stage.out * size**2,
        saved=here * (1 + _kept_by_norm(columns)) * flow.channels * flow.resolution**2,
    )


def stage_cost(columns: Columns, stage: StageColumns, flow: Flow, *, first: bool) -> tuple[Flow, Cost]:
    """All blocks of one stage: the first sees the stage before, the others repeat."""
    here = stage.depth > 0
    strided = here & ~columns.separate.astype(bool) & (not first)
    size = np.where(strided, (flow.resolution + 1) // 2, flow.resolution)
    entering = np.where(here, flow.channels, stage.out)
    projected = strided | (entering != stage.out)
    one = _block_cost(columns, stage, Flow(entering, np.where(here, flow.resolution, 0)), size, projected)
    again = _block_cost(columns, stage, Flow(stage.out, size), size, np.array(False))
    more = np.maximum(stage.depth - 1, 0)
    total = Cost(
        macs=here * one.macs + more * again.macs,
        params=here * one.params + more * again.params,
        activations=here * one.activations + more * again.activations,
        saved=here * one.saved + more * again.saved,
    )
    return Flow(np.where(here, stage.out, flow.channels), size), total


def _block_cost(columns: Columns, stage: StageColumns, flow: Flow, size: Array, projected: Array) -> Cost:
    """One block of three convolutions, from `flow` to `stage.out` channels at `size`."""
    entering, hidden, out = flow.channels, stage.hidden, stage.out
    area = size * size
    spatial = np.where(stage.middle, hidden, entering)  # channels of the k x k convolution
    # the 1x1 of `spatial: middle` runs before the stride
    early = np.where(stage.middle, flow.resolution * flow.resolution, area)
    per_group = np.where(
        stage.conv == DEPTHWISE, 1, np.where(stage.conv == DENSE, spatial, stage.group_width)
    )
    spatial_weights = spatial * per_group * stage.kernel_size**2
    expand_weights, reduce_weights = entering * hidden, hidden * out
    shortcut_weights = projected * (entering * out)
    outputs = (spatial * np.where(stage.middle, early, area), hidden * area, out * area)

    has_norm = [(stage.norm_after >> i) & 1 for i in range(3)]
    has_act = [(stage.act_after >> i) & 1 for i in range(3)]
    widths = (spatial, hidden, out)
    biased = [1 - has_norm[i] * (columns.norm == BATCH_NORM) for i in range(3)]
    vectors = sum(widths[i] * biased[i] for i in range(3))
    norms = sum(has_norm[i] * _norm_params(columns, widths[i]) for i in range(3))
    shortcut_vectors = projected * (out * biased[2] + has_norm[2] * _norm_params(columns, out))
    grn, scale = stage.grn.astype(np.int64), columns.layer_scale.astype(np.int64)

    by_norm = _kept_by_norm(columns)
    # ReLU keeps its output, which the next layer keeps anyway; the other activations keep their input
    by_act = 1 - columns.relu
    kept = sum((1 + has_norm[i] * by_norm + has_act[i] * by_act) * outputs[i] for i in range(3)) - outputs[2]
    return Cost(
        macs=spatial_weights * area
        + expand_weights * early
        + (reduce_weights + shortcut_weights) * area,
        params=spatial_weights + expand_weights + reduce_weights + shortcut_weights
        + vectors + norms + shortcut_vectors + 2 * hidden * grn + out * scale,
        activations=sum(outputs) + projected * outputs[2],
        saved=entering * flow.resolution**2 + kept + grn * 2 * outputs[1] + scale * outputs[2]
        + projected * has_norm[2] * by_norm * outputs[2],
    )  # fmt: skip


def head_cost(columns: Columns, flow: Flow, num_classes: int) -> tuple[Flow, Cost]:
    """Global average pooling, a norm if `head_norm`, and the classifier."""
    channels, normed = flow.channels, columns.head_norm.astype(np.int64)
    weights = channels * num_classes
    return Flow(np.int64(num_classes) + 0 * channels, np.ones_like(flow.resolution)), Cost(
        macs=weights,
        params=weights + num_classes + normed * _norm_params(columns, channels),
        activations=0 * channels,
        saved=channels * (1 + normed * _kept_by_norm(columns)),
    )


def _norm_params(columns: Columns, channels: Array) -> Array:
    """Scale and shift; RMSNorm has no shift."""
    return np.where(columns.norm == RMS_NORM, 1, 2) * channels


def _kept_by_norm(columns: Columns) -> Array:
    """Tensors a norm keeps for its backward pass: its input, and RMSNorm what it has normalised as well."""
    return np.where(columns.norm == RMS_NORM, 2, 1)


def _refuse_nothing_left(size: Array, resolution: Any) -> None:
    if np.any(size < 1):
        given = int(np.min(resolution))
        raise InputError(f"{given} px cannot be downsampled further; the network needs larger images")
