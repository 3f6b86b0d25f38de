"""Uniform sampling among exactly the architectures of a space whose cost lies in a band.

The cost of a network is a sum over its stages (`stage_tables.py`). For each choice shared by all stages, the
first stages' partial sums are sorted and met by the last stages' (meet in the middle): for every way to
finish, two binary searches count the ways to begin that end inside the band. The counts are exact, so a draw
is a uniform integer looked up in them: no network outside the band is ever made, and none inside is favoured.
Where a space has too many partial sums to sort, `binned_band.py` draws as uniformly, and the count is
an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from space.architecture import Architecture
from space.binned_band import Binned, bin_width
from space.budget import UNITS, Budget, quantity
from space.columns import Array
from space.cost import NUM_CLASSES, RESOLUTION
from space.design_space import DesignSpace
from space.errors import InputError
from space.stage_tables import Allowed, ChosenRows, StageTable, StageTables, combinations, extremes

__all__ = ["Allowed", "BandSampler", "EmptyBandError"]

# partial sums that one half may have: about two seconds and half a gigabyte
MAX_SORTED = 10_000_000


class EmptyBandError(InputError):
    """No architecture of the space costs what the band asks for."""


class BandSampler:
    """The architectures of `space` inside `budget`: how many, and uniform draws among them.

    `allowed` restricts factors to some of their outcomes. An empty band has `count` 0; `sample` then raises
    `EmptyBandError`, naming the nearest feasible costs. With more than `max_sorted` partial sums, the count
    is an estimate.
    """

    def __init__(
        self,
        space: DesignSpace,
        budget: Budget,
        resolution: int = RESOLUTION,
        num_classes: int = NUM_CLASSES,
        max_sorted: int = MAX_SORTED,
    ) -> None:
        self.space = space
        self.budget = budget
        self._max_sorted = max_sorted
        self._tables = StageTables(space, budget.metric, resolution, num_classes)
        self._whole = self._counted({})

    @property
    def count(self) -> int:
        """How many architectures lie in the band: exactly, where `count_is_exact`."""
        # whatever free factors do costs nothing: each of their combinations is a network of the same cost
        return self._whole[0].total * self._free_count({})

    def part(self, budget: Budget) -> BandSampler:
        """The architectures of the same space inside another budget."""
        return BandSampler(self.space, budget)

    @property
    def count_is_exact(self) -> bool:
        """Whether `count` was counted, not estimated."""
        return self._whole[0].exact

    @property
    def count_error(self) -> float:
        """The relative standard error of `count`, 0 where it is exact."""
        return self._whole[0].relative_error

    def count_allowed(self, allowed: Allowed) -> int:
        """How many of them use only the `allowed` outcomes of some factors."""
        return self._restricted(allowed)[0].total * self._free_count(allowed)

    def sample_codes(self, count: int, rng: np.random.Generator, allowed: Allowed | None = None) -> Array:
        """`count` codes, uniform and independent in the band, shape [count, F]."""
        allowed = allowed or {}
        ways, kept = self._restricted(allowed)
        if ways.total == 0 or self._free_count(allowed) == 0:
            raise EmptyBandError(self.why_empty(allowed))
        codes = self._tables.codes(ways.draw(count, rng), kept)
        # the cost does not feel these: every outcome stays in the band, so they are drawn apart
        for f in self._tables.free:
            outcomes = np.asarray(allowed.get(f, range(len(self.space.factors[f]))))
            codes[:, f] = outcomes[rng.integers(len(outcomes), size=count)]
        return codes

    def all_codes(self) -> Array:
        """Every code of the band once, shape [count, F]; for bands small enough to hold."""
        ways, kept = self._whole
        every = ways.all()
        if every is None:
            raise InputError(f"space {self.space.name}: about {self.count:,} networks, too many to list")
        free = self._tables.free
        grid = combinations([len(self.space.factors[f]) for f in free])
        felt = self._tables.codes(every, kept)
        codes = np.repeat(felt, len(grid), axis=0)
        # every network that the cost tells apart, with every combination of the free factors
        codes[:, free] = np.tile(grid, (len(felt), 1))
        return codes

    def sample(self, count: int, seed: int = 0) -> list[Architecture]:
        """`count` architectures, uniform in the band, with replacement."""
        rng = np.random.default_rng(seed)
        return self.space.build_all(self.sample_codes(count, rng))

    def why_empty(self, allowed: Allowed | None = None) -> str:
        """One line: the band, and the nearest feasible cost below and above it."""
        unit = UNITS[self.budget.metric]
        ways = self._restricted(allowed or {})[0]
        near = [
            f"the nearest {side} is {quantity(value, unit)}"
            for side, value in zip(("below", "above"), ways.nearest(), strict=True)
            if value is not None
        ]
        name = f"the space {self.space.name}" + (" with the allowed values" if allowed else "")
        # where counts are estimates, none met is not none there
        none = "no network" if ways.relative_error == 0 else "none found: no drawn network"
        return f"budget {self.budget.text}: {none} of {name} costs {self.budget}; " + (
            " and ".join(near) or "try a wider band"
        )

    def _free_count(self, allowed: Allowed) -> int:
        return math.prod(len(allowed.get(f, self.space.factors[f])) for f in self._tables.free)

    def _restricted(self, allowed: Allowed) -> tuple[Met | Binned, ChosenRows]:
        return self._counted(allowed) if allowed else self._whole

    def _counted(self, allowed: Allowed) -> tuple[Met | Binned, ChosenRows]:
        """Exact counts where they fit, binned ones where not; and which rows of the tables they are of."""
        tables, kept = self._tables.restricted(allowed)
        low, high = _within(tables, self.budget)
        split, entries = best_split(tables)
        if entries <= self._max_sorted and _keys_fit(tables, split, high):
            return Met(tables, split, low, high), kept
        if bin_width(tables, low, high) == 0:
            raise self._tables.too_large(entries)
        return Binned(tables, low, high), kept


class Met:
    """Both halves of all networks of `tables`, met where the sum is from `low` to `high`.

    The first half is sorted by shared choice, class and sum; row r of the second half completes the rows
    start[r] .. stop[r] - 1 of the first.
    """

    exact = True
    relative_error = 0.0

    def __init__(self, tables: Sequence[StageTable], split: int, low: int, high: int) -> None:
        left, left_class = _beginnings(tables[:split], len(tables[0].cost))
        right = _endings(tables[split:], len(tables[0].cost), tables[split - 1].classes)
        groups, classes = right.shape[:2]
        self._left_shape = (groups, *(len(table) for table in tables[:split]))
        self._right_shape = (groups, classes, *(len(table) for table in tables[split:]))
        # shared choice and class give a key its span, the sum its place there: one sorted array serves all
        # pairs of choice and class, and within a span the keys rise as the sums do
        self._span = _span(left, high)
        group = np.arange(groups)[:, None] * classes
        keys = ((group + left_class) * self._span + left).ravel()
        self._order = np.argsort(keys)
        self._keys = keys[self._order]
        self._right = right
        # where the span of each row of the second half begins, [G, C, 1]
        self._base = ((group + np.arange(classes)) * self._span)[:, :, None]
        # [G * C * second], as all that follows: endings in the order of `ravel`
        self._start, self._stop = self._between(low, high)
        self._cumulative = np.cumsum(self._stop - self._start)
        self.total = int(self._cumulative[-1]) if len(self._cumulative) else 0

    def draw(self, count: int, rng: np.random.Generator) -> ChosenRows:
        """`count` networks, uniform and independent."""
        return self._at(rng.integers(self.total, size=count))

    def all(self) -> ChosenRows:
        """Every network once."""
        return self._at(np.arange(self.total))

    def nearest(self) -> tuple[int | None, int | None]:
        """The greatest feasible cost below the band and the least above, None where there is none."""
        if not len(self._keys) or not self._right.size:
            return None, None
        base, ends = np.broadcast_to(self._base, self._right.shape).ravel(), self._right.ravel()
        # the sorted neighbours just outside of each run, which count where they lie in the same span
        before = self._keys[np.maximum(self._start - 1, 0)]
        after = self._keys[np.minimum(self._stop, len(self._keys) - 1)]
        is_before = (self._start > 0) & (before >= base)
        is_after = (self._stop < len(self._keys)) & (after < base + self._span)
        below = (before - base + ends)[is_before]
        above = (after - base + ends)[is_after]
        return (int(below.max()) if below.size else None, int(above.min()) if above.size else None)

    def _between(self, low: int, high: int) -> tuple[Array, Array]:
        """For each ending, the first beginning that makes the sum `low`, and the first beyond `high`."""
        # clipped to the span, or a search would run on into the sums of another choice or class
        last = self._span - 1
        start = np.searchsorted(self._keys, (self._base + np.clip(low - self._right, 0, last)).ravel())
        stop = np.searchsorted(self._keys, (self._base + np.clip(high - self._right + 1, 0, last)).ravel())
        return start, stop

    def _at(self, ticket: Array) -> ChosenRows:
        """The networks that tickets 0 .. total - 1 stand for."""
        # side right passes over endings that no beginning completes: they do not raise the cumulative count
        right = np.searchsorted(self._cumulative, ticket, side="right")
        before = self._cumulative[right] - (self._stop[right] - self._start[right])
        left = self._order[self._start[right] + ticket - before]
        group, *first = np.unravel_index(left, self._left_shape)
        _, _, *second = np.unravel_index(right, self._right_shape)
        return ChosenRows(group, (*first, *second))


def best_split(tables: Sequence[StageTable]) -> tuple[int, int]:
    """After how many stages the halves meet so that the larger is smallest, and how large it then is."""
    sizes = [len(table) for table in tables]

    def larger(m: int) -> int:
        # endings are made from the last stage forwards, once for each class that may come before
        endings = [tables[i - 1].classes * math.prod(sizes[i:]) for i in range(m, len(sizes) + 1)]
        return max(math.prod(sizes[:m]), *endings)

    split = min(range(1, len(sizes) + 1), key=larger)
    return split, len(tables[0].cost) * larger(split)


def _within(tables: Sequence[StageTable], budget: Budget) -> tuple[int, int]:
    """The ends of the band, no further up than where networks end: then they fit 64 bits, too."""
    _, greatest = extremes(tables) or (0, 0)
    return min(budget.low, greatest + 1), min(budget.high, greatest)


def _keys_fit(tables: Sequence[StageTable], split: int, high: int) -> bool:
    """Whether shared choice, class and sum together fit one 64-bit integer."""
    largest = sum(int(table.cost.max(initial=0)) for table in tables[:split])
    states = len(tables[0].cost) * tables[split - 1].classes
    return states * (max(largest, high) + 2) <= np.iinfo(np.int64).max


def _span(left: Array, high: int) -> int:
    """More than any sum that matters: the room each shared choice and class has among the sorted keys."""
    # + 2: `high + 1`, where a run may have to end, must still be in the span
    return int(max(left.max(initial=0), high)) + 2


def _beginnings(tables: Sequence[StageTable], groups: int) -> tuple[Array, Array]:
    """Sums over the first stages, [G, O1 * .. * Om], and the class each hands on, [O1 * .. * Om]."""
    sums = np.zeros((groups, 1), dtype=np.int64)
    handed = np.zeros(1, dtype=np.int64)
    for table in tables:
        sums = (sums[:, :, None] + table.cost[:, handed, :]).reshape(groups, len(handed) * len(table))
        # the last option runs fastest in `sums`, and it alone decides what is handed on
        handed = np.tile(table.output_class, len(handed))
    return sums, handed


def _endings(tables: Sequence[StageTable], groups: int, classes: int) -> Array:
    """Sums over the other stages for every class they may follow, [G, C, Om+1 * .. * OS]."""
    last = tables[-1].classes if tables else classes
    sums = np.zeros((groups, last, 1), dtype=np.int64)
    for table in reversed(tables):
        # [G, options, rest]: what may follow each option; below it is joined on as [G, C, options * rest]
        after = sums[:, table.output_class, :]
        shape = (groups, table.cost.shape[1], len(table) * sums.shape[2])
        sums = (table.cost[:, :, :, None] + after[:, None]).reshape(shape)
    return sums
