"""Uniform sampling among exactly the architectures of a space whose cost lies in a band.

The cost of a network is a sum over its stages, and a stage sees the one before only through its output
channels. So the choices are split in three: those shared by all stages (enumerated), those of one stage, and
those the cost does not feel (drawn freely). For each shared choice the first stages' partial sums are sorted
and met by the last stages' (meet in the middle): for every way to finish, two binary searches count the ways
to begin that end inside the band. The counts are exact, so a draw is a uniform integer looked up in them: no
network outside the band is ever made, and none inside is favoured.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from space.architecture import Architecture
from space.budget import UNITS, Budget, quantity
from space.columns import Array
from space.cost import NUM_CLASSES, RESOLUTION, Flow, downsampling_cost, head_cost, stage_cost, stem_cost
from space.design_space import DesignSpace, columns_from
from space.errors import InputError
from space.factors import NETWORK, Target

# fields that a metric's closed form reads; the others never change it
_SHAPE = {
    "stem.type", "stem.patch_size", "stem.width", "downsampling",
    "depth", "width", "kernel_size", "expansion", "style", "conv", "group_width", "spatial",
}  # fmt: skip
_VECTORS = {"stem.norm", "norm", "layer_scale", "head_norm", "norm_after", "grn"}
FELT = {"macs": _SHAPE, "activations": _SHAPE, "params": _SHAPE | _VECTORS}
MAX_ENTRIES = 30_000_000

Allowed = Mapping[int, Sequence[int]]


class EmptyBandError(InputError):
    """No architecture of the space costs what the band asks for."""


@dataclass(frozen=True)
class _Options:
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
class _Stage:
    """One stage's options, the class of output channels each leads to, and its cost.

    `table[g, c, o]`: cost under shared choice g, after class c of the stage before, with option o.
    """

    options: _Options
    output_class: Array
    classes: int
    table: Array


@dataclass(frozen=True)
class _Met:
    """Both halves, met: `left` sorted by group and sum; right entry r completes left[start[r]:stop[r]]."""

    left_order: Array
    start: Array
    stop: Array
    cumulative: Array
    left_shape: tuple[int, ...]
    right_shape: tuple[int, ...]
    nearest_below: int | None
    nearest_above: int | None

    @property
    def total(self) -> int:
        return int(self.cumulative[-1]) if len(self.cumulative) else 0


class BandSampler:
    """The architectures of `space` inside `budget`: how many, and uniform draws among them.

    `allowed` restricts factors to some of their outcomes. An empty band has `count` 0; `sample` then raises
    `EmptyBandError`, naming the nearest feasible costs.
    """

    def __init__(
        self,
        space: DesignSpace,
        budget: Budget,
        resolution: int = RESOLUTION,
        num_classes: int = NUM_CLASSES,
    ) -> None:
        self.space = space
        self.budget = budget
        self._resolution = resolution
        self._num_classes = num_classes
        self._split_factors()
        self._tables()
        self._whole = self._meet({})

    @property
    def count(self) -> int:
        """Exactly how many architectures lie in the band."""
        return self._whole.total * self._free_count({})

    def count_allowed(self, allowed: Allowed) -> int:
        """How many of them use only the `allowed` outcomes of some factors."""
        return self._meet(allowed).total * self._free_count(allowed)

    def sample_codes(self, count: int, rng: np.random.Generator, allowed: Allowed | None = None) -> Array:
        """`count` codes, uniform and independent in the band, shape [count, F]."""
        met = self._meet(allowed) if allowed else self._whole
        if met.total == 0:
            raise EmptyBandError(self.why_empty())
        codes = self._felt_codes(rng.integers(met.total, size=count), met, allowed or {})
        for f in self._free:
            outcomes = np.asarray((allowed or {}).get(f, range(len(self.space.factors[f]))))
            codes[:, f] = outcomes[rng.integers(len(outcomes), size=count)]
        return codes

    def all_codes(self) -> Array:
        """Every code of the band once, shape [count, F]; for bands small enough to hold."""
        sizes = [len(self.space.factors[f]) for f in self._free]
        free = np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), dtype=np.int64)
        felt = self._felt_codes(np.arange(self._whole.total), self._whole, {})
        codes = np.repeat(felt, len(free), axis=0)
        codes[:, self._free] = np.tile(free, (len(felt), 1))
        return codes

    def _felt_codes(self, ticket: Array, met: _Met, allowed: Allowed) -> Array:
        """The networks that tickets 0 .. total - 1 stand for, their free factors still 0."""
        codes = np.zeros((len(ticket), len(self.space.factors)), dtype=np.int64)
        right = np.searchsorted(met.cumulative, ticket, side="right")
        before = met.cumulative[right] - (met.stop[right] - met.start[right])
        left = met.left_order[met.start[right] + ticket - before]
        self._write(codes, left, right, met, allowed)
        return codes

    def sample(self, count: int, seed: int = 0) -> list[Architecture]:
        """`count` architectures, uniform in the band, with replacement."""
        rng = np.random.default_rng(seed)
        return [self.space.build(code) for code in self.sample_codes(count, rng)]

    def why_empty(self) -> str:
        """One line: the band, and the nearest feasible cost below and above it."""
        unit, met = UNITS[self.budget.metric], self._whole
        near = [
            f"the nearest {side} is {quantity(value, unit)}"
            for side, value in (("below", met.nearest_below), ("above", met.nearest_above))
            if value is not None
        ]
        return (
            f"budget {self.budget.text}: no network of the space {self.space.name} costs {self.budget}; "
            + " and ".join(near)
        )

    def _split_factors(self) -> None:
        """Sort factors into free, of one stage, and shared."""
        felt = FELT[self.budget.metric]
        self._free: list[int] = []
        shared: list[int] = []
        own: list[list[int]] = [[] for _ in self.space.base.stages]
        for f, factor in enumerate(self.space.factors):
            places = {i for i, field in factor.targets if field in felt}
            if not places:
                self._free.append(f)
            elif len(places) == 1 and NETWORK not in places:
                own[places.pop()].append(f)
            else:
                shared.append(f)
        self._shared = self._options(shared)
        self._own = [self._options(factors) for factors in own]

    def _options(self, factors: Sequence[int]) -> _Options:
        sizes = [len(self.space.factors[f]) for f in factors]
        if math.prod(sizes) > MAX_ENTRIES:
            raise InputError(self._too_large(math.prod(sizes)))
        grid = np.indices(sizes).reshape(len(sizes), -1).T if sizes else np.zeros((1, 0), dtype=np.int64)
        return _Options(tuple(factors), grid)

    def _too_large(self, entries: int) -> str:
        return (
            f"space {self.space.name}: {entries:,} partial networks to count, at most {MAX_ENTRIES:,}; "
            "tie axes between stages (per_stage: [a, a, b, b]) or use fewer values"
        )

    def _arrays(self, options: _Options, shape: tuple[int, ...]) -> dict[Target, Array]:
        arrays: dict[Target, Array] = {}
        for j, f in enumerate(options.factors):
            for target, table in self.space.outcome_arrays(f).items():
                arrays[target] = table[options.codes[:, j]].reshape(shape)
        return arrays

    def _tables(self) -> None:
        """Cost of every stage option under every shared choice and every class of incoming channels."""
        count = len(self.space.base.stages)
        arrays = self.space.base_arrays() | self._arrays(self._shared, (-1, 1, 1))
        self._stages: list[_Stage] = []
        flow: Flow | None = None
        for i, options in enumerate(self._own):
            here = arrays | self._arrays(options, (1, 1, -1))
            columns = columns_from(here, count)
            stage = columns.stages[i]
            if flow is None:
                flow, cost = stem_cost(columns, self._resolution)
            else:
                flow, cost = downsampling_cost(columns, stage, flow)
            table = getattr(cost, self.budget.metric)
            flow, cost = stage_cost(columns, stage, flow, first=i == 0)
            table = table + getattr(cost, self.budget.metric)
            if i == count - 1:
                table = table + getattr(head_cost(columns, flow, self._num_classes)[1], self.budget.metric)
            previous = self._stages[-1].classes if self._stages else 1
            shape = (len(self._shared), previous, len(options))
            if math.prod(shape) > MAX_ENTRIES:
                raise InputError(self._too_large(math.prod(shape)))
            output_class, first_of = self._output_classes(i, options)
            whole = np.ascontiguousarray(np.broadcast_to(table, shape))
            self._stages.append(_Stage(options, output_class, len(first_of), whole))
            # what follows sees only the class: channels [G, C, 1], resolution [G, 1, 1]
            channels = np.broadcast_to(flow.channels, shape)[:, 0, :][:, first_of, None]
            flow = Flow(channels, np.broadcast_to(flow.resolution, shape)[:, :1, :1])

    def _output_classes(self, i: int, options: _Options) -> tuple[Array, Array]:
        """The class of each option by what decides its output channels, and one option of each class."""
        space = self.space
        styles = {(i, "style")} & {t for f in space.factors for t in f.targets}
        bottleneck = styles or space.base.stages[i].style == "bottleneck"
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

    def _free_count(self, allowed: Allowed) -> int:
        return math.prod(len(allowed.get(f, self.space.factors[f])) for f in self._free)

    def _kept(self, allowed: Allowed) -> tuple[Array, list[Array]]:
        return self._shared.keep(allowed), [stage.options.keep(allowed) for stage in self._stages]

    def _split(self, sizes: Sequence[int]) -> int:
        """After how many stages the halves meet: where the larger half is smallest."""
        classes = [stage.classes for stage in self._stages]
        larger = {
            m: max(math.prod(sizes[:m]), classes[m - 1] * math.prod(sizes[m:]))
            for m in range(1, len(sizes) + 1)
        }
        return min(larger, key=larger.__getitem__)

    def _meet(self, allowed: Allowed) -> _Met:
        """Sort the beginnings, find for every ending the beginnings that keep the sum in the band."""
        shared, kept = self._kept(allowed)
        sizes = [len(options) for options in kept]
        split = self._split(sizes)
        left, left_class = self._left(shared, kept, split)
        right = self._right(shared, kept, split)
        if max(left.size, right.size) > MAX_ENTRIES:
            raise InputError(self._too_large(max(left.size, right.size)))
        groups, classes = len(shared), self._stages[split - 1].classes
        low, high = self.budget.low, self.budget.high
        span = int(max(left.max(initial=0), high)) + 2
        if groups * classes * span > np.iinfo(np.int64).max:
            raise InputError(self._too_large(groups * classes))
        group = np.arange(groups)[:, None] * classes
        keys = ((group + left_class) * span + left).ravel()
        order = np.argsort(keys)
        keys = keys[order]
        base = ((group + np.arange(classes)) * span)[:, :, None]
        start = np.searchsorted(keys, (base + np.clip(low - right, 0, span - 1)).ravel())
        stop = np.searchsorted(keys, (base + np.clip(high - right + 1, 0, span - 1)).ravel())
        if float(np.sum(stop - start, dtype=np.float64)) > 2**62:
            raise InputError(self._too_large(2**62))
        below, above = _nearest(keys, start, stop, base, right, span)
        return _Met(
            left_order=order,
            start=start,
            stop=stop,
            cumulative=np.cumsum(stop - start),
            left_shape=(groups, *sizes[:split]),
            right_shape=(groups, classes, *sizes[split:]),
            nearest_below=below,
            nearest_above=above,
        )

    def _left(self, shared: Array, kept: Sequence[Array], split: int) -> tuple[Array, Array]:
        """Sums over the first stages, [G, O1 * .. * Om], and the class each hands on, [O1 * .. * Om]."""
        sums = np.zeros((len(shared), 1), dtype=np.int64)
        handed = np.zeros(1, dtype=np.int64)
        for stage, options in zip(self._stages[:split], kept, strict=False):
            if sums.size * len(options) > MAX_ENTRIES:
                raise InputError(self._too_large(sums.size * len(options)))
            table = stage.table[np.ix_(shared, np.arange(stage.table.shape[1]), options)]
            sums = (sums[:, :, None] + table[:, handed, :]).reshape(len(shared), -1)
            handed = np.tile(stage.output_class[options], len(handed))
        return sums, handed

    def _right(self, shared: Array, kept: Sequence[Array], split: int) -> Array:
        """Sums over the other stages for every class they may follow, [G, C, Om+1 * .. * OS]."""
        last = self._stages[-1].classes
        sums = np.zeros((len(shared), last, 1), dtype=np.int64)
        for stage, options in zip(reversed(self._stages[split:]), reversed(kept[split:]), strict=True):
            entries = len(shared) * stage.table.shape[1] * len(options) * sums.shape[2]
            if entries > MAX_ENTRIES:
                raise InputError(self._too_large(entries))
            table = stage.table[np.ix_(shared, np.arange(stage.table.shape[1]), options)]
            after = sums[:, stage.output_class[options], :]
            sums = (table[:, :, :, None] + after[:, None]).reshape(len(shared), table.shape[1], -1)
        return sums

    def _write(self, codes: Array, left: Array, right: Array, met: _Met, allowed: Allowed) -> None:
        """Turn positions in the two halves into the outcomes of their factors."""
        shared, kept = self._kept(allowed)
        group, *first = np.unravel_index(left, met.left_shape)
        _, _, *second = np.unravel_index(right, met.right_shape)
        codes[:, list(self._shared.factors)] = self._shared.codes[shared[group]]
        for stage, options, chosen in zip(self._stages, kept, [*first, *second], strict=True):
            codes[:, list(stage.options.factors)] = stage.options.codes[options[chosen]]


def _nearest(
    keys: Array, start: Array, stop: Array, base: Array, right: Array, span: int
) -> tuple[int | None, int | None]:
    """The largest feasible cost below the band and the smallest above, None where there is none."""
    if not len(keys) or not right.size:
        return None, None
    groups = np.broadcast_to(base, right.shape).ravel()
    ends = right.ravel()
    before, after = keys[np.maximum(start - 1, 0)], keys[np.minimum(stop, len(keys) - 1)]
    is_before = (start > 0) & (before >= groups)
    is_after = (stop < len(keys)) & (after >= groups) & (after < groups + span)
    below = (before - groups + ends)[is_before]
    above = (after - groups + ends)[is_after]
    return (int(below.max()) if below.size else None, int(above.min()) if above.size else None)
