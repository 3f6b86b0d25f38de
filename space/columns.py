"""Many architectures as arrays, one array a field: what the closed-form costs are computed on."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from space.architecture import NORMS, Architecture
from space.stage import CONVS, OPTIONS, Stage

Array = npt.NDArray[Any]
# an array [N], or one plain number where all N agree: arithmetic, `where` and `negated` take both
Values = Any


@dataclass(frozen=True)
class StageColumns:
    """One stage of N architectures: arrays of shape [N], or numbers where all agree. depth 0: no such stage.

    `conv` indexes `CONVS`; `norm_after` and `act_after` hold bit 1 << (i - 1) for convolution i; `options`
    has the declared fields, by name, that any block may have.
    """

    depth: Values
    width: Values
    hidden: Values
    out: Values
    kernel_size: Values
    conv: Values
    group_width: Values
    middle: Values
    norm_after: Values
    act_after: Values
    options: Mapping[str, Values]


@dataclass(frozen=True)
class Columns:
    """N architectures: network-wide fields, arrays of shape [N] or numbers, and their stages in order.

    `norm` indexes `NORMS`.
    """

    resnet_stem: Values
    patch_size: Values
    stem_width: Values
    stem_norm: Values
    stem_activation: Values
    separate: Values
    norm: Values
    relu: Values
    layer_scale: Values
    head_norm: Values
    stages: tuple[StageColumns, ...]

    def __len__(self) -> int:
        """N; 1 where every field is one number."""
        fields = list(_fields(self).values())
        for stage in self.stages:
            fields += [*_fields(stage).values(), *stage.options.values()]
        return max((len(value) for value in fields if isinstance(value, np.ndarray)), default=1)

    def __getitem__(self, rows: slice) -> Columns:
        """Those of some of the architectures."""
        stages = tuple(
            StageColumns(**_of_rows(_fields(stage), rows), options=_of_rows(stage.options, rows))
            for stage in self.stages
        )
        return Columns(**_of_rows(_fields(self), rows), stages=stages)


def where(condition: Values, chosen: Values, other: Values) -> Values:
    """`np.where`; at once, and as it is, what one condition for all chooses."""
    if isinstance(condition, np.ndarray):
        return np.where(condition, chosen, other)
    return chosen if condition else other


def negated(condition: Values) -> Values:
    """The other truth value."""
    return ~condition if isinstance(condition, np.ndarray) else not condition


def anywhere(condition: Values) -> bool:
    """Whether the condition holds for any of N."""
    return bool(condition.any() if isinstance(condition, np.ndarray) else condition)


def settled(values: Values) -> Values:
    """One number for an array that holds the same everywhere: what follows is then computed once."""
    if isinstance(values, np.ndarray) and values.size and (values == values.flat[0]).all():
        return values.flat[0].item()
    return values


def one_column(arch: Architecture) -> Columns:
    """The columns of one architecture, all of them plain numbers."""
    stages = tuple(_stage_columns([stage], _only) for stage in arch.stages)
    return _columns([arch], stages, _only)


def columns_of(architectures: Sequence[Architecture]) -> Columns:
    """The columns of any architectures, arrays of shape [N], with stages up to the longest."""
    count = max((len(arch.stages) for arch in architectures), default=1)
    stages = tuple(
        _stage_columns([a.stages[i] if i < len(a.stages) else _ABSENT for a in architectures], _array)
        for i in range(count)
    )
    return _columns(architectures, stages, _array)


def bits(positions: Sequence[int]) -> int:
    """Convolution positions 1, 2, 3 as a bit mask."""
    return sum(1 << (position - 1) for position in positions)


def scaled_array(width: Values, expansion: Values) -> Values:
    """`scaled` of the architecture module on arrays, or numbers: both round half to even."""
    if isinstance(width, np.ndarray) or isinstance(expansion, np.ndarray):
        return np.rint(width * expansion).astype(np.int64)
    return round(width * expansion)


# in place of a stage that a network lacks: with depth 0 none of the rest counts
_ABSENT = Stage(depth=0, width=0, kernel_size=1, expansion=1, conv="dense", norm_after=(), act_after=())
_OPTIONS = [(option.name, attrgetter(option.name), option.default) for option in OPTIONS]
_CONV_INDEX = {name: i for i, name in enumerate(CONVS)}
_NORM_INDEX = {name: i for i, name in enumerate(NORMS)}
_BITS: dict[tuple[int, ...], int] = {
    positions: bits(positions) for positions in ((), (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3))
}


def _array(values: list[Any]) -> Values:
    return np.array(values) if values else np.zeros(0, dtype=np.int64)


def _only(values: list[Any]) -> Values:
    return values[0]


# field by field over all networks: half the time of network by network
def _stage_columns(stages: Sequence[Stage], column: Callable[[list[Any]], Values]) -> StageColumns:
    width = column([stage.width for stage in stages])
    expanded = scaled_array(width, column([stage.expansion for stage in stages]))
    inverted = column([stage.style == "inverted" for stage in stages])
    return StageColumns(
        depth=column([stage.depth for stage in stages]),
        width=width,
        hidden=where(inverted, expanded, width),
        out=where(inverted, width, expanded),
        kernel_size=column([stage.kernel_size for stage in stages]),
        conv=column([_CONV_INDEX[stage.conv] for stage in stages]),
        # arrays have no None; it is read where `conv` is grouped only
        group_width=column([stage.group_width or 1 for stage in stages]),
        middle=column([stage.spatial == "middle" for stage in stages]),
        norm_after=column([_BITS[stage.norm_after] for stage in stages]),
        act_after=column([_BITS[stage.act_after] for stage in stages]),
        options=_options(stages, column),
    )


def _options(stages: Sequence[Stage], column: Callable[[list[Any]], Values]) -> dict[str, Values]:
    options = {}
    for name, of, default in _OPTIONS:
        values = list(map(of, stages))
        # only what some network has: the cost does not go through the others
        if values.count(default) < len(values):
            options[name] = column(values)
    return options


def _columns(
    archs: Sequence[Architecture], stages: tuple[StageColumns, ...], column: Callable[[list[Any]], Values]
) -> Columns:
    return Columns(
        resnet_stem=column([arch.stem.type == "resnet" for arch in archs]),
        patch_size=column([arch.stem.patch_size for arch in archs]),
        stem_width=column([arch.stem_width for arch in archs]),
        stem_norm=column([arch.stem.norm for arch in archs]),
        stem_activation=column([arch.stem.activation for arch in archs]),
        separate=column([arch.downsampling == "separate" for arch in archs]),
        norm=column([_NORM_INDEX[arch.norm] for arch in archs]),
        relu=column([arch.activation == "relu" for arch in archs]),
        layer_scale=column([arch.layer_scale is not None for arch in archs]),
        head_norm=column([arch.head_norm for arch in archs]),
        stages=stages,
    )


def _fields(columns: Columns | StageColumns) -> dict[str, Values]:
    names = (field.name for field in dataclasses.fields(columns) if field.name not in ("stages", "options"))
    return {name: getattr(columns, name) for name in names}


def _of_rows(fields: Mapping[str, Values], rows: slice) -> dict[str, Values]:
    return {n: value[rows] if isinstance(value, np.ndarray) else value for n, value in fields.items()}
