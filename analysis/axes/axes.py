"""Networks as columns: the shape dimensions that people talk about, one column an axis, one row a network.

Every ConvNeXt-family network has them, whatever space it came from; Swins have other ones and are left out.
Columns of any other origin become axes by `axis_of`, so that what reads axes works on plain arrays.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.axes.axis_sets import SETS
from analysis.axes.shapes import Shapes, shapes_of
from nas.record.study import Tried
from space.architecture import Architecture
from space.cost import cost_columns
from space.errors import InputError, quoted
from space.stage import OPTIONS, Stage

Floats = NDArray[np.float64]
Network = Tried | Architecture | Mapping[str, Any]


@dataclass(frozen=True)
class Axis:
    """A named column: `values` (n,) are numbers, or indices of `levels` where it is a category.

    `log` axes are spoken of in ratios (twice as wide): models take their logarithm. `cost` axes follow from
    the others.
    """

    name: str
    values: Floats
    levels: tuple[str, ...] = ()
    log: bool = False
    cost: bool = False

    @property
    def categorical(self) -> bool:
        """Whether the values are levels without an order."""
        return bool(self.levels)

    @property
    def scaled(self) -> Floats:
        """What a model sees of a numeric axis: the values or their logarithms, (n,)."""
        return np.log(self.values) if self.log else self.values

    @property
    def distinct(self) -> int:
        """How many different values there are; of 1 nothing can be learned."""
        return int(np.unique(self.values).size)

    def take(self, rows: ArrayLike) -> Axis:
        """The axis of some rows, levels that are left without a network dropped."""
        values = self.values[np.asarray(rows)]
        if not self.categorical:
            return Axis(self.name, values, (), self.log, self.cost)
        kept = np.unique(values).astype(int)
        return Axis(
            self.name, np.searchsorted(kept, values).astype(float), tuple(self.levels[k] for k in kept)
        )

    def text(self, value: float) -> str:
        """A value for people."""
        if self.categorical:
            return self.levels[int(value)]
        return _quantity(value) if self.cost else f"{value:.3g}"


def _quantity(value: float) -> str:
    scale, unit = (1e9, "G") if value >= 1e9 else (1e6, "M") if value >= 1e6 else (1.0, "")
    return f"{value / scale:.3g}{unit}"


@dataclass(frozen=True)
class AxisTable:
    """Axes by name, all of one length; `rows` are the positions of the networks among those given."""

    axes: Mapping[str, Axis]
    rows: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.rows)


# ---- any columns ----------------------------------------------------------------------------------------


def axis_of(name: str, values: ArrayLike, *, log: bool = False) -> Axis:
    """An axis from one value a network, (n,): numbers, or anything else as levels of a category.

    Levels are sorted. Raises `InputError` for numbers that are not finite, or not positive with `log`.
    """
    array = np.asarray(values)
    if array.ndim != 1 or not array.size:
        raise InputError(f"axis {name}: must be one value a network, not an array of shape {array.shape}")
    if array.dtype.kind in "iuf":
        numbers = array.astype(np.float64)
        if not np.isfinite(numbers).all():
            raise InputError(f"axis {name}: value {numbers[~np.isfinite(numbers)][0]} is not finite")
        if log and (numbers <= 0).any():
            raise InputError(f"axis {name}: {numbers.min():g} has no logarithm; must be above 0")
        return Axis(name, numbers, log=log)
    words = [word_of(value) for value in array.tolist()]
    levels = tuple(sorted(set(words)))
    index = {level: i for i, level in enumerate(levels)}
    return Axis(name, np.array([index[word] for word in words], dtype=np.float64), levels)


def axes_of(columns: Mapping[str, ArrayLike | Axis]) -> dict[str, Axis]:
    """Axes from plain columns, all of one length. Raises `InputError`."""
    axes = {
        str(name): column if isinstance(column, Axis) else axis_of(str(name), column)
        for name, column in columns.items()
    }
    if not axes:
        raise InputError("axes: there is no column")
    lengths = {name: len(axis.values) for name, axis in axes.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise InputError(f"axes: the columns differ in length ({listed}); one value a network in each")
    return axes


def word_of(value: Any) -> str:
    """A level of a category."""
    return {True: "on", False: "off", None: "none"}.get(value, str(value)) if _is_flag(value) else str(value)


def _is_flag(value: Any) -> bool:
    return value is None or isinstance(value, bool)


# ---- networks -------------------------------------------------------------------------------------------


def axis_table(networks: Iterable[Network], which: str = "summary") -> AxisTable:
    """The axes of networks: what a study tried, architectures, or their plain values.

    `which` is `summary` (one number a dimension), `stages` (depths, kernel sizes and expansions stage by
    stage) or `all` (both, the stage ratio, parameters). Axes stage by stage exist where all networks have
    equally many stages; else the number of stages is an axis. Raises `InputError`.
    """
    if which not in SETS or which == "space":
        raise InputError(f"axes {quoted(which)}: networks have summary, stages or all")
    recorded = [(row, network, _recorded(network)) for row, network in enumerate(networks)]
    found = [(row, network, values) for row, network, values in recorded if values.get("family") is None]
    rows = np.array([row for row, *_ in found], dtype=np.intp)
    if not found:
        return AxisTable({}, rows)
    shapes = shapes_of([values for *_, values in found])
    axes: list[Axis] = []
    if which in ("summary", "all"):
        axes += _summary(shapes)
    if which in ("stages", "all"):
        axes += _by_stage(shapes)
    if which == "stages":
        axes += [axis for axis in _summary(shapes) if axis.name not in PER_STAGE]
    if which == "all":
        axes.append(_ratio(shapes))
    costs = _costs([network for _, network, _ in found], shapes)
    for name in ("FLOPs", "params") if which == "all" else ("FLOPs",):
        axes.append(Axis(name, costs[name], log=True, cost=True))
    return AxisTable({axis.name: axis for axis in axes}, rows)


def _recorded(network: Network) -> Mapping[str, Any]:
    if isinstance(network, Tried):
        return network.architecture
    return network.to_dict() if isinstance(network, Architecture) else network


def _costs(networks: Sequence[Network], shapes: Shapes) -> dict[str, Floats]:
    """Multiply-accumulates and parameters, (n,): as recorded, or counted."""
    known = [(network.macs, network.params) for network in networks if isinstance(network, Tried)]
    if len(known) == len(networks):
        table = np.array(known, dtype=np.float64)
        return {"FLOPs": table[:, 0], "params": table[:, 1]}
    total = cost_columns(shapes.columns)
    return {"FLOPs": total.macs.astype(np.float64), "params": total.params.astype(np.float64)}


def _means(values: NDArray[Any], shapes: Shapes) -> list[float]:
    """Of each network over its stages."""
    return [math.fsum(row) / n for row, n in zip(values.tolist(), shapes.stages.tolist(), strict=True)]


def _growth(shapes: Shapes) -> list[float]:
    """From stage to stage, in the geometric mean."""
    return [
        (row[n - 1] / row[0]) ** (1 / max(n - 1, 1))
        for row, n in zip(shapes.width.tolist(), shapes.stages.tolist(), strict=True)
    ]


def _a_block(name: str) -> Callable[[Shapes], list[float]]:
    """How many of them a block has, on average over the stages."""

    def of(a: Architecture) -> float:
        return math.fsum(len(getattr(stage, name)) for stage in a.stages) / len(a.stages)

    return lambda shapes: shapes.each(of)


# name -> (of each network, whether spoken of in ratios)
NUMBERS: Mapping[str, tuple[Callable[[Shapes], Sequence[float] | NDArray[Any]], bool]] = {
    "stages": (lambda shapes: shapes.stages, False),
    "depth": (lambda shapes: shapes.depth.sum(axis=1), True),
    "base width": (lambda shapes: shapes.width[:, 0], True),
    "width growth": (_growth, True),
    "kernel size": (lambda shapes: _means(shapes.kernel_size, shapes), False),
    "expansion": (lambda shapes: _means(shapes.expansion, shapes), True),
    "norms a block": (_a_block("norm_after"), False),
    "activations a block": (_a_block("act_after"), False),
}
SPATIALS = {"first": "spatial first", "middle": "spatial in the middle"}


def _option(name: str, form: Architecture) -> Any:
    return _agreed(form.stages, attrgetter(name))


# name -> of a form
CATEGORIES: Mapping[str, Callable[[Architecture], Any]] = {
    "norm": lambda a: a.norm,
    "activation": lambda a: a.activation,
    "downsampling": lambda a: a.downsampling,
    "stem": lambda a: a.stem.type if a.stem.type == "resnet" else f"patches of {a.stem.patch_size}",
    "block": lambda a: _agreed(a.stages, lambda s: s.style),
    "convolution": lambda a: _agreed(a.stages, lambda s: s.conv),
    "block order": lambda a: _agreed(a.stages, lambda s: SPATIALS[s.spatial]),
    **{o.label: partial(_option, o.name) for o in OPTIONS},
    "LayerScale": lambda a: a.layer_scale is not None,
}
# of which `stages` has the parts
PER_STAGE = ("depth", "kernel size", "expansion", "stage 3 share", "share of the stage before last")


def _agreed(stages: Sequence[Stage], of: Callable[[Stage], Any]) -> Any:
    values = {of(stage) for stage in stages}
    return values.pop() if len(values) == 1 else "mixed"


def _summary(shapes: Shapes) -> list[Axis]:
    axes = []
    for name, (of, log) in NUMBERS.items():
        axes.append(axis_of(name, np.asarray(of(shapes), dtype=np.float64), log=log))
        if name == "depth":
            axes += _share(shapes)
    for name, level in CATEGORIES.items():
        axes.append(axis_of(name, list(map(word_of, shapes.each(level)))))
    return axes


def _share(shapes: Shapes) -> list[Axis]:
    """The blocks of the last stage but one, the deepest in ResNets and ConvNeXts, of all blocks."""
    counts = shapes.stages
    if counts.min() < 2:
        return []
    name = "stage 3 share" if (counts == 4).all() else "share of the stage before last"
    # from the back: networks may have unlike numbers of stages
    deepest = shapes.depth[np.arange(counts.size), counts - 2]
    return [axis_of(name, deepest / shapes.depth.sum(axis=1))]


def _ratio(shapes: Shapes) -> Axis:
    """The depths in lowest terms: 3-3-9-3 is 1:1:3:1."""
    ratios = []
    for row in shapes.depth.tolist():
        depths = [depth for depth in row if depth]
        common = math.gcd(*depths)
        ratios.append(":".join(str(depth // common) for depth in depths))
    return axis_of("stage ratio", ratios)


def _by_stage(shapes: Shapes) -> list[Axis]:
    if np.ptp(shapes.stages) > 0:
        return []
    fields = {
        "depth": (shapes.depth, True),
        "kernel": (shapes.kernel_size, False),
        "expansion": (shapes.expansion, True),
    }
    return [
        axis_of(f"{name} {s + 1}", values[:, s].astype(np.float64), log=log)
        for name, (values, log) in fields.items()
        for s in range(values.shape[1])
    ]
