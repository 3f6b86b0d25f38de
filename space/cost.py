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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from space.architecture import NORMS, Architecture
from space.columns import (
    Columns,
    StageColumns,
    Values,
    anywhere,
    columns_of,
    negated,
    one_column,
    settled,
    where,
)
from space.errors import InputError
from space.option import Option
from space.stage import OPTIONS

RESOLUTION = 224
NUM_CLASSES = 1000
DEPTHWISE, DENSE = 2, 0  # places in `CONVS`
BATCH_NORM, RMS_NORM = NORMS.index("batch"), NORMS.index("rms")
# weight, gradient and AdamW's two moments, fp32
BYTES_PER_PARAM, BYTES_PER_ELEMENT = 16, 4
METRICS = ("macs", "params", "activations", "saved")
# networks costed at once: their arrays stay in a processor's second-level cache
BLOCK = 16_384


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

    def __mul__(self, count: Any) -> Cost:
        """So many of it: an int, or one for each network."""
        return Cost(self.macs * count, self.params * count, self.activations * count, self.saved * count)

    def training_bytes(self, batch_size: int) -> Any:
        """Estimated peak memory of a training step in bytes: AdamW state in fp32 and what backward keeps."""
        return self.params * BYTES_PER_PARAM + self.saved * batch_size * BYTES_PER_ELEMENT


@dataclass(frozen=True)
class Part:
    """Cost of one part of a network (stem, downsampling, a stage, head) and the shape it hands on."""

    name: str
    channels: int
    resolution: int
    cost: Cost


@dataclass(frozen=True)
class Flow:
    """What passes between parts: channels and height = width, each [N] or one number."""

    channels: Values
    resolution: Values


def cost(architecture: Architecture, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Cost of one network at `resolution` x `resolution`.

    Raises `InputError` where the resolution is too small for it.
    """
    return _total(one_column(architecture), resolution, num_classes)


def costs(
    architectures: Sequence[Architecture], resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES
) -> Cost:
    """Costs of many networks, arrays of shape [N]."""
    return cost_columns(columns_of(architectures), resolution, num_classes)


def breakdown(
    architecture: Architecture, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES
) -> list[Part]:
    """Cost part by part, in the order of computation."""
    return [
        Part(name, flow.channels, flow.resolution, part)
        for name, flow, part in walk(one_column(architecture), resolution, num_classes)
    ]


def cost_columns(columns: Columns, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Costs of the N networks of `columns`, arrays of shape [N]."""
    count = len(columns)
    total = Cost(*(np.empty(count, dtype=np.int64) for _ in METRICS))
    for start in range(0, count, BLOCK):
        rows = slice(start, start + BLOCK)
        block = _total(columns[rows], resolution, num_classes)
        for metric in METRICS:
            getattr(total, metric)[rows] = getattr(block, metric)
    return total


def _total(columns: Columns, resolution: int, num_classes: int) -> Cost:
    total = Cost(0, 0, 0, 0)
    for _, _, part in walk(columns, resolution, num_classes):
        total = total + part
    return total


def walk(columns: Columns, resolution: int, num_classes: int) -> Iterator[tuple[str, Flow, Cost]]:
    """The parts of N networks, in the order of computation: name, what it hands on, costs [N] or numbers."""
    flow, part = stem_cost(columns, resolution)
    yield "stem", flow, part
    for i, stage in enumerate(columns.stages):
        if i > 0 and anywhere(columns.separate):
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
    width, resnet = columns.stem_width, columns.resnet_stem
    # with paddings of 3 and 1, 7x7 and max-pool of stride 2 round up; a patch that is not whole is left out
    half = (resolution + 1) // 2
    conv_size = where(resnet, half, resolution // columns.patch_size)
    size = settled(where(resnet, (half + 1) // 2, conv_size))
    _refuse_nothing_left(size, resolution)
    # 3 channels of 7 x 7 or patch x patch
    weights = 3 * where(resnet, 49, columns.patch_size**2) * width
    elements = width * conv_size**2
    bias = where(columns.stem_norm & (columns.norm == BATCH_NORM), 0, width)
    by_norm = columns.stem_norm * _kept_by_norm(columns)
    return Flow(width, size), Cost(
        macs=weights * conv_size**2,
        params=weights + bias + columns.stem_norm * width * _norm_params(columns),
        activations=elements,
        # the image; what goes into the norm, into an activation that is no ReLU, and into max-pool
        saved=3 * resolution**2
        + elements * (by_norm + (columns.stem_activation & negated(columns.relu)) + resnet),
    )


def downsampling_cost(columns: Columns, stage: StageColumns, flow: Flow) -> tuple[Flow, Cost]:
    """Norm and 2x2 stride-2 convolution before a stage, where downsampling is separate (section 2.6)."""
    here = settled(columns.separate & (stage.depth > 0))
    size = settled(where(here, flow.resolution // 2, flow.resolution))
    _refuse_nothing_left(size, flow.resolution)
    area = size * size
    # 2 x 2
    weights = 4 * flow.channels * stage.out
    part = Cost(
        macs=weights * area,
        params=weights + stage.out + flow.channels * _norm_params(columns),
        activations=stage.out * area,
        saved=(1 + _kept_by_norm(columns)) * flow.channels * flow.resolution**2,
    )
    # networks that lack the stage, or downsample inside of it, pay nothing here
    return Flow(where(here, stage.out, flow.channels), size), part if here is True else part * here


def stage_cost(columns: Columns, stage: StageColumns, flow: Flow, *, first: bool) -> tuple[Flow, Cost]:
    """All blocks of one stage: the first sees the stage before, the others repeat."""
    here = settled(stage.depth > 0)
    strided = False if first else settled(here & negated(columns.separate))
    size = settled(where(strided, (flow.resolution + 1) // 2, flow.resolution))
    # so that a stage which is not there asks for no projection, and `projected` can settle for all
    entering = where(here, flow.channels, stage.out)
    projected = settled(strided | (entering != stage.out))
    layers = _layers(columns, stage)
    after = Flow(where(here, stage.out, flow.channels), size)
    again = _block_cost(stage, layers, Flow(stage.out, size), size, False)
    if projected is False:  # then the first block is like the others
        return after, again * stage.depth
    before = Flow(entering, where(here, flow.resolution, 0))
    one = _block_cost(stage, layers, before, size, projected)
    # `here` counts as one block: without the stage it is 0 less 0
    return after, (one if here is True else one * here) + again * (stage.depth - here)


@dataclass(frozen=True)
class Layers:
    """What the layers around each convolution add: parameters a channel, and tensors kept for going backward.

    The projection on the shortcut has a bias and a norm where the third convolution has them.
    """

    params: tuple[Values, Values, Values]
    kept: tuple[Values, Values, Values]
    projection_params: Values
    projection_kept: Values
    options: Sequence[tuple[Option, Values]]  # those that any block has


def _layers(columns: Columns, stage: StageColumns) -> Layers:
    normed = [(stage.norm_after >> i) & 1 for i in range(3)]
    activated = [(stage.act_after >> i) & 1 for i in range(3)]
    # BatchNorm spares its convolution the bias
    by_norm = _norm_params(columns) - (columns.norm == BATCH_NORM)
    kept_by_norm = _kept_by_norm(columns)
    # ReLU keeps its output, which the next layer keeps anyway; the other activations keep their input
    kept_by_act = 1 - columns.relu
    kept = [normed[i] * kept_by_norm + activated[i] * kept_by_act for i in range(3)]
    # the 1 is the bias
    by_conv = [1 + normed[i] * by_norm for i in range(3)]
    return Layers(
        params=(by_conv[0], by_conv[1], by_conv[2] + columns.layer_scale),
        # the output of one convolution is the input of the next; the last goes into the sum, which keeps none
        kept=(1 + kept[0], 1 + kept[1], kept[2] + columns.layer_scale),
        projection_params=by_conv[2],
        projection_kept=normed[2] * kept_by_norm,
        options=_chosen(stage.options) if stage.options else (),
    )


def _block_cost(stage: StageColumns, layers: Layers, flow: Flow, size: Values, projected: Values) -> Cost:
    """One block of three convolutions, from `flow` to `stage.out` channels at `size`."""
    entering, hidden, out = flow.channels, stage.hidden, stage.out
    area, before = size * size, flow.resolution * flow.resolution
    spatial = where(stage.middle, hidden, entering)  # channels of the k x k convolution
    # the 1x1 of `spatial: middle` runs before the stride
    early = where(stage.middle, before, area)
    per_group = where(stage.conv == DEPTHWISE, 1, where(stage.conv == DENSE, spatial, stage.group_width))
    spatial_weights = spatial * per_group * stage.kernel_size**2
    expand_weights = entering * hidden
    late_weights = (hidden + projected * entering) * out  # reduction, and the projection on the shortcut
    outputs = (spatial * early, hidden * area, out * area)
    params, kept = layers.params, layers.kept
    # `saved` has the block's input once: the first convolution and the projection keep the same tensor
    bare = Cost(
        macs=(spatial_weights + late_weights) * area + expand_weights * early,
        params=spatial_weights + expand_weights + late_weights
        + spatial * params[0] + hidden * params[1] + out * (params[2] + projected * layers.projection_params),
        activations=outputs[0] + outputs[1] + (1 + projected) * outputs[2],
        saved=entering * before + outputs[0] * kept[0] + outputs[1] * kept[1]
        + outputs[2] * (kept[2] + projected * layers.projection_kept),
    )  # fmt: skip
    if not layers.options:
        return bare
    places = ((spatial, early), (hidden, area), (out, area))
    for option, value in layers.options:
        bare = _with_option(bare, option, value, *places[option.after - 1])
    return bare


def _with_option(block: Cost, option: Option, value: Values, channels: Values, area: Values) -> Cost:
    """The cost of a block and of a declared layer in it, where it is there."""
    # zeros are left out: most layers add to some metrics only, and adding nothing to N networks takes time
    terms = {metric: term for metric, term in option.cost(value, channels, area)._asdict().items()
             if isinstance(term, np.ndarray) or term}  # fmt: skip
    if isinstance(value, np.ndarray):
        here = value != option.default
        terms = {metric: term * here for metric, term in terms.items()}
    return replace(block, **{metric: getattr(block, metric) + term for metric, term in terms.items()})


def _chosen(options: Mapping[str, Values]) -> Sequence[tuple[Option, Values]]:
    """Those that any block has."""
    chosen = []
    for option in OPTIONS:
        value = options.get(option.name, option.default)
        if anywhere(value != option.default):
            chosen.append((option, value))
    return chosen


def head_cost(columns: Columns, flow: Flow, num_classes: int) -> tuple[Flow, Cost]:
    """Global average pooling, a norm if `head_norm`, and the classifier."""
    channels, normed = flow.channels, columns.head_norm
    weights = channels * num_classes
    return Flow(num_classes, 1), Cost(
        macs=weights,
        params=weights + num_classes + normed * channels * _norm_params(columns),
        activations=0,
        # pooled: one number a channel, into the norm and into the classifier
        saved=channels * (1 + normed * _kept_by_norm(columns)),
    )


def _norm_params(columns: Columns) -> Values:
    """Parameters a channel of a norm: scale and shift; RMSNorm has no shift."""
    return 2 - (columns.norm == RMS_NORM)


def _kept_by_norm(columns: Columns) -> Values:
    """Tensors a norm keeps for its backward pass: its input, and RMSNorm what it has normalised as well."""
    return 1 + (columns.norm == RMS_NORM)


def _refuse_nothing_left(size: Values, resolution: Values) -> None:
    if anywhere(size < 1):
        given = int(np.min(resolution))
        raise InputError(f"{given} px cannot be downsampled further; the network needs larger images")
