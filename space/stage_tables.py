"""What every stage of a space's networks costs under every choice: the tables that counting works on.

The cost of a network is a sum over its stages, and a stage sees the one before only through its output
channels. So the choices are split in three: those shared by several stages (enumerated), those of one stage,
and those the cost does not feel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from space.columns import Array, Columns, StageColumns
from space.cost import Cost, Flow, downsampling_cost, head_cost, stage_cost, stem_cost
from space.design_space import DesignSpace, columns_from
from space.errors import InputError, counted
from space.factors import NETWORK, Target
from space.stage import OPTIONS

# fields that a metric's closed form reads; the others never change it
_SHAPE = {
    "stem.type", "stem.patch_size", "stem.width", "downsampling",
    "depth", "width", "kernel_size", "expansion", "style", "conv", "group_width", "spatial",
}  # fmt: skip
_VECTORS = {"stem.norm", "norm", "layer_scale", "head_norm", "norm_after"}
FELT = {
    metric: fields | {o.name for o in OPTIONS if o.adds(metric)}
    for metric, fields in (("macs", _SHAPE), ("activations", _SHAPE), ("params", _SHAPE | _VECTORS))
}
# a table of this many int64 and what is computed on the way to it stay below about 2 GiB
MAX_TABLE = 10_000_000

Allowed = Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Options:
    """All combinations of some factors' outcomes: `codes[n, j]` is the outcome of `factors[j]`."""

    factors: tuple[int, ...]
    codes: Array

    def __len__(self) -> int:
        return len(self.codes)

    def keep(self, allowed: Allowed) -> Array:
        """Which combinations use allowed outcomes only, as indices."""
        kept = np.ones(len(self.codes), dtype=bool)
        for j, f in enumerate(self.factors):
            if f in allowed:
                kept &= np.isin(self.codes[:, j], np.asarray(allowed[f]))
        return np.flatnonzero(kept)


@dataclass(frozen=True)
class StageTable:
    """One stage: the class of output channels each of its options leads to, and its cost.

    `cost[g, c, o]`: under shared choice g, after class c of the stage before, with option o.
    """

    cost: Array
    output_class: Array
    classes: int

    def __len__(self) -> int:
        return len(self.output_class)

    def of(self, options: Array) -> StageTable:
        """The table of some of the options, in this order."""
        return StageTable(self.cost[:, :, options], self.output_class[options], self.classes)


@dataclass(frozen=True)
class ChosenRows:
    """N networks as rows of tables: a shared choice [N], and each stage's option [N]."""

    shared: Array
    options: tuple[Array, ...]

    def __getitem__(self, rows: Array | slice) -> ChosenRows:
        return ChosenRows(self.shared[rows], tuple(option[rows] for option in self.options))


class StageTables:
    """Stage tables of all networks of a space, by the `metric` at a resolution and a number of classes."""

    def __init__(self, space: DesignSpace, metric: str, resolution: int, num_classes: int) -> None:
        self.space = space
        self._metric = metric
        self._resolution = resolution
        self._num_classes = num_classes
        self._split_factors()
        self._stages = self._make_stages()

    def restricted(self, allowed: Allowed) -> tuple[list[StageTable], ChosenRows]:
        """The tables of networks with `allowed` outcomes only, and which row each of theirs was."""
        shared = self._shared.keep(allowed)
        kept = tuple(options.keep(allowed) for options in self._own)
        tables = [
            StageTable(
                stage.cost[np.ix_(shared, np.arange(stage.cost.shape[1]), options)],
                stage.output_class[options],
                stage.classes,
            )
            for stage, options in zip(self._stages, kept, strict=True)
        ]
        return tables, ChosenRows(shared, kept)

    def codes(self, chosen: ChosenRows, kept: ChosenRows) -> Array:
        """The codes of networks of restricted tables, their free factors still 0."""
        codes = np.zeros((len(chosen.shared), len(self.space.factors)), dtype=np.int64)
        # a row of a restricted table stands for a row of the whole one, and that for outcomes
        codes[:, list(self._shared.factors)] = self._shared.codes[kept.shared[chosen.shared]]
        for options, rows, option in zip(self._own, kept.options, chosen.options, strict=True):
            codes[:, list(options.factors)] = options.codes[rows[option]]
        return codes

    def too_large(self, entries: int) -> InputError:
        """The refusal of a space with too much to hold."""
        return InputError(
            f"space {self.space.name}: {counted(entries)} partial networks to count, at most {MAX_TABLE:,}; "
            "tie axes between stages (per_stage: [a, a, b, b]) or use fewer values"
        )

    def _split_factors(self) -> None:
        """Sort factors into free, of one stage, and shared."""
        felt = FELT[self._metric]
        self.free: list[int] = []
        shared: list[int] = []
        own: list[list[int]] = [[] for _ in self.space.base.stages]
        for f, factor in enumerate(self.space.factors):
            # a field of the network (place NETWORK) changes the cost of every stage, so it is shared
            places = {i for i, field in factor.targets if field in felt}
            if not places:
                self.free.append(f)
            elif len(places) == 1 and NETWORK not in places:
                own[places.pop()].append(f)
            else:
                shared.append(f)
        self._shared = self._options(shared)
        self._own = [self._options(factors) for factors in own]

    def _options(self, factors: Sequence[int]) -> Options:
        sizes = [len(self.space.factors[f]) for f in factors]
        if math.prod(sizes) > MAX_TABLE:
            raise self.too_large(math.prod(sizes))
        return Options(tuple(factors), combinations(sizes))

    def _arrays(self, options: Options, shape: tuple[int, ...]) -> dict[Target, Array]:
        arrays: dict[Target, Array] = {}
        for j, f in enumerate(options.factors):
            for target, table in self.space.outcome_arrays(f).items():
                arrays[target] = table[options.codes[:, j]].reshape(shape)
        return arrays

    def _make_stages(self) -> list[StageTable]:
        """Cost of every stage option under every shared choice and every class of incoming channels."""
        count = len(self.space.base.stages)
        # axes of every array from here on: shared choice, class of the stage before, the stage's own option
        arrays = self.space.base_arrays() | self._arrays(self._shared, (-1, 1, 1))
        stages: list[StageTable] = []
        flow: Flow | None = None
        for i, options in enumerate(self._own):
            shape = (len(self._shared), stages[-1].classes if stages else 1, len(options))
            if math.prod(shape) > MAX_TABLE:
                raise self.too_large(math.prod(shape))
            columns = columns_from(arrays | self._arrays(options, (1, 1, -1)), count)
            stage = columns.stages[i]
            flow, cost = self._entry_cost(columns, stage, flow)
            flow, blocks = stage_cost(columns, stage, flow, first=i == 0)
            table = getattr(cost, self._metric) + getattr(blocks, self._metric)
            if i == count - 1:
                table = table + getattr(head_cost(columns, flow, self._num_classes)[1], self._metric)
            output_class, first_of = self._output_classes(i, options)
            whole = np.ascontiguousarray(np.broadcast_to(table, shape))
            stages.append(StageTable(whole, output_class, len(first_of)))
            # what follows sees only the class: channels [G, C, 1], resolution [G, 1, 1]
            channels = np.broadcast_to(flow.channels, shape)[:, 0, :][:, first_of, None]
            flow = Flow(channels, np.broadcast_to(flow.resolution, shape)[:, :1, :1])
        return stages

    def _entry_cost(self, columns: Columns, stage: StageColumns, flow: Flow | None) -> tuple[Flow, Cost]:
        """What comes before the blocks of a stage: the stem, or downsampling."""
        try:
            if flow is None:
                return stem_cost(columns, self._resolution)
            return downsampling_cost(columns, stage, flow)
        except InputError as error:
            where = f"space {self.space.name} at resolution {self._resolution}"
            raise InputError(f"{where}: {error}") from None

    def _output_classes(self, i: int, options: Options) -> tuple[Array, Array]:
        """The class of each option by what decides its output channels, and one option of each class."""
        space = self.space
        styles = {(i, "style")} & {t for f in space.factors for t in f.targets}
        bottleneck = styles or space.base.stages[i].style == "bottleneck"
        # an inverted block hands on its width, whatever it expands to inside
        decisive = {"width", "expansion", "style"} if bottleneck else {"width"}
        columns = [
            j
            for j, f in enumerate(options.factors)
            if any(t[0] == i and t[1] in decisive for t in space.factors[f].targets)
        ]
        if not columns:
            return np.zeros(len(options), dtype=np.int64), np.zeros(1, dtype=np.int64)
        _, first, classes = np.unique(
            options.codes[:, columns], axis=0, return_index=True, return_inverse=True
        )
        return classes.reshape(-1), first


def combinations(sizes: Sequence[int]) -> Array:
    """Every choice of one of each size, [product of sizes, len(sizes)]; of none, the one empty choice."""
    return np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), dtype=np.int64)


def total_cost(tables: Sequence[StageTable], chosen: ChosenRows) -> Array:
    """The cost of whole networks, [N]."""
    total = np.zeros(len(chosen.shared), dtype=np.int64)
    entering = np.zeros(len(chosen.shared), dtype=np.int64)
    for table, option in zip(tables, chosen.options, strict=True):
        total += table.cost[chosen.shared, entering, option]
        entering = table.output_class[option]
    return total


def extremes(tables: Sequence[StageTable]) -> tuple[int, int] | None:
    """The least and the greatest cost of all networks, None where there are none."""
    if any(table.cost.size == 0 for table in tables):
        return None
    # of all ways to finish after each class, from the last stage forwards
    least: Array = np.zeros((len(tables[0].cost), tables[-1].classes), dtype=np.int64)
    greatest = least
    for table in reversed(tables):
        least = (table.cost + least[:, None, table.output_class]).min(axis=2)
        greatest = (table.cost + greatest[:, None, table.output_class]).max(axis=2)
    return int(least.min()), int(greatest.max())
