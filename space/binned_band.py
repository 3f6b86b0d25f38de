"""Counting and drawing networks in a band where there are too many partial sums to sort.

The cost of each stage is rounded down to whole bins, far narrower than the band. How many ways there are to
finish a network with a given number of bins follows stage by stage, from the last to the first. Rounding
down loses less than one bin a stage, so a slightly wider band of bins holds every network of the band: a draw
among them, stage by stage in proportion to the ways to finish, is kept if its exact cost is in the band.
What is kept is uniform, and nearly all is kept.

A stage may have thousands of options. They are cut into blocks, and the ways to finish are counted block by
block: a draw looks up its block, then weighs the options of that block alone.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from space.columns import Array
from space.stage_tables import ChosenRows, StageTable, extremes, total_cost

# where memory allows: a stage loses less than one bin, so of four stages one or two draws in a hundred
# are outside of the band
BINS_IN_BAND = 256
MAX_BINS = 100_000
# adding two rows of bins: about a nanosecond a bin, and some microseconds a row
MAX_ROWS = 2_000_000
MAX_WORK = 4e9
MAX_COUNTS = 20_000_000
# counts by block, of all stages together: a quarter of a gigabyte
MAX_BLOCK_COUNTS = 32_000_000
# from 0 to the upper end of the band: with fewer the bins are too wide for it, and the space is refused
FEWEST_BINS = 256
# bins of an option that is none
NEVER = 2**60
# up to this many, networks are listed, and so counted exactly
MAX_LISTED = 200_000
# draws that measure which share of the wider band is in the band, and how many at most until one is
MEASURED = 4096
MEASURED_MOST = 16 * MEASURED
# numbers in one array of draws or of weights: 16 MB
CHUNK = 2_000_000


class Binned:
    """The networks of `tables` that cost from `low` to `high`; `exact` says whether `total` is."""

    def __init__(self, tables: Sequence[StageTable], low: int, high: int) -> None:
        self._order = [_alike_together(table) for table in tables]
        self._tables = [table.of(order) for table, order in zip(tables, self._order, strict=True)]
        self._low, self._high = low, high
        self._width = bin_width(tables, low, high)
        self._limit = high // self._width + 1
        most = MAX_BLOCK_COUNTS // max(len(tables) - 1, 1) // self._limit
        # the last stage is looked up otherwise
        self._blocks = [
            *(Blocks.of(table, self._width, most) for table in self._tables[:-1]),
            Blocks.of(self._tables[-1], self._width, 0),
        ]
        self._ways, self._ends = self._count_ways()
        # each of S stages loses less than a bin: what costs `low` has at least this many
        self._first = max(low // self._width - len(tables) + 1, 0)
        # class 0: before the first stage there is one class only
        self._wider = self._ways[0][:, 0, self._first :]
        superset = float(self._wider.sum())
        self._listed = self._list() if superset <= MAX_LISTED else None
        self.acceptance, self.relative_error = self._measure(superset)
        self.exact = self._listed is not None
        self.total = round(superset * self.acceptance) if self._listed is None else len(self._listed.shared)

    def draw(self, count: int, rng: np.random.Generator) -> ChosenRows:
        """`count` networks, uniform and independent."""
        if self._listed is not None:
            return self._listed[rng.integers(self.total, size=count)]
        parts: list[ChosenRows] = []
        missing = count
        while missing > 0:
            parts.append(self._inside(self._draw_wider(self._tries(missing), rng))[:missing])
            missing -= len(parts[-1].shared)
        return self._as_given(_joined(parts, len(self._tables)))

    def all(self) -> ChosenRows | None:
        """Every network once; None where there are too many to list."""
        return self._listed

    def nearest(self) -> tuple[int | None, int | None]:
        """The greatest cost where the band lies above all networks, the least where it lies below."""
        ends = extremes(self._tables)
        if ends is None:
            return None, None
        least, greatest = ends
        return greatest if greatest < self._low else None, least if least > self._high else None

    def _tries(self, missing: int) -> int:
        # a few more than should do: another round costs more than draws to spare
        return min(math.ceil(missing / self.acceptance * 1.05) + 8, CHUNK)

    def _measure(self, superset: float) -> tuple[float, float]:
        """The share of the wider band that is in the band, and the relative standard error of the share."""
        if self._listed is not None:
            return (len(self._listed.shared) / superset if superset else 1.0), 0.0
        # always the same draws: the count of a band is part of a study's record
        rng, drawn, inside = np.random.default_rng(0), 0, 0
        while drawn < MEASURED or (inside == 0 and drawn < MEASURED_MOST):
            inside += len(self._inside(self._draw_wider(MEASURED, rng)).shared)
            drawn += MEASURED
        share = inside / drawn
        return share, math.sqrt((1 - share) / inside) if inside else math.inf

    def _inside(self, chosen: ChosenRows) -> ChosenRows:
        cost = total_cost(self._tables, chosen)
        return chosen[(cost >= self._low) & (cost <= self._high)]

    def _as_given(self, chosen: ChosenRows) -> ChosenRows:
        """The options by their places in the tables that were given."""
        options = zip(self._order, chosen.options, strict=True)
        return ChosenRows(chosen.shared, tuple(order[option] for order, option in options))

    def _count_ways(self) -> tuple[list[Array], list[Array]]:
        """ways[i][g, c, b]: how many ways stages i and on cost exactly b bins after class c.

        ends[i], [G * C * B, blocks]: of these, how many begin with an option of one of the first blocks.
        Counts are float64: exact to 2**53, to 16 digits beyond, and never too large.
        """
        groups = len(self._tables[0].cost)
        after = np.zeros((groups, self._tables[-1].classes, self._limit))
        # after the last stage: nothing is left to spend, and there is one way to do so
        after[:, :, 0] = 1
        ways, ends = [after], list[Array]()
        for table, blocks in zip(reversed(self._tables), reversed(self._blocks), strict=True):
            counts = np.zeros((groups, table.cost.shape[1], blocks.count, self._limit))
            for g, c in np.ndindex(*counts.shape[:2]):
                bins = table.cost[g, c] // self._width
                _add_shifted(counts[g, c], after[g], table.output_class, bins, blocks.size, last=not ends)
            # over blocks: a draw finds its block by a binary search, and the last block has the sum of all
            summed = np.cumsum(counts, axis=2, out=counts)
            ends.append(np.ascontiguousarray(summed.transpose(0, 1, 3, 2)).reshape(-1, blocks.count))
            after = np.ascontiguousarray(summed[:, :, -1])
            ways.append(after)
        return ways[::-1], ends[::-1]

    def _weights(self, i: int, shared: Array, entering: Array, left: Array, block: Array) -> Array:
        """Ways to finish after each option of a block of stage i, [N, size], `left` bins to go before it."""
        ways, blocks = self._ways[i + 1], self._blocks[i]
        bins = left[:, None] - blocks.bins[shared, entering, block]
        # one flat index is about twice as fast as three
        row = shared[:, None] * ways.shape[1] + blocks.output_class[block]
        weights: Array = ways.ravel().take(row * self._limit + np.maximum(bins, 0))
        weights[bins < 0] = 0
        return weights

    def _draw_wider(self, count: int, rng: np.random.Generator) -> ChosenRows:
        """Networks of the wider band, uniform."""
        ends = np.cumsum(self._wider.ravel())
        start = np.searchsorted(ends, _tickets(np.full(count, ends[-1]), rng), side="right")
        shared, left = np.divmod(start, self._wider.shape[1])
        # bins that this network is to spend, from here on less those of each option taken
        left += self._first
        entering = np.zeros(count, dtype=np.int64)
        chosen = []
        for i, table in enumerate(self._tables):
            option = self._pick(i, shared, entering, left, rng)
            left = left - table.cost[shared, entering, option] // self._width
            entering = table.output_class[option]
            chosen.append(option)
        return ChosenRows(shared, tuple(chosen))

    def _pick(self, i: int, shared: Array, entering: Array, left: Array, rng: np.random.Generator) -> Array:
        """An option of stage i for each of N networks, in proportion to the ways to finish after it."""
        if i == len(self._tables) - 1:
            return self._pick_last(shared, entering, left, rng)
        ends, size = self._ends[i], self._blocks[i].size
        state = (shared * self._ways[i].shape[1] + entering) * self._limit + left
        block = _first_beyond(ends, state, _tickets(ends[state, -1], rng))
        picked = np.empty(len(block), dtype=np.int64)
        for part in _chunks(len(block), size):
            weights = self._weights(i, shared[part], entering[part], left[part], block[part])
            sums = np.cumsum(weights, axis=1)
            picked[part] = _first_beyond(sums, np.arange(len(sums)), _tickets(sums[:, -1], rng))
        return block * size + picked

    def _pick_last(self, shared: Array, entering: Array, left: Array, rng: np.random.Generator) -> Array:
        """An option of the last stage that takes all the bins left, each as likely."""
        sorted_bins, order = self._last
        row = (shared * self._tables[-1].cost.shape[1] + entering) * (self._limit + 1) + left
        start = np.searchsorted(sorted_bins, row)
        stop = np.searchsorted(sorted_bins, row, side="right")
        return np.asarray(order[rng.integers(start, stop)] % len(self._tables[-1]))

    @functools.cached_property
    def _last(self) -> tuple[Array, Array]:
        """The last stage's options sorted by shared choice, class and bins, as (keys, order)."""
        bins = self._tables[-1].cost // self._width
        row = np.arange(bins.shape[0] * bins.shape[1]).reshape(*bins.shape[:2], 1)
        keys = (row * (self._limit + 1) + np.minimum(bins, self._limit)).ravel()
        order = np.argsort(keys)
        return keys[order], order

    def _list(self) -> ChosenRows:
        """Every network of the band: all ways through the stages that can be finished."""
        shared, left = np.nonzero(self._wider)
        left = left + self._first
        entering = np.zeros(len(shared), dtype=np.int64)
        chosen: list[Array] = []
        for i, (table, blocks) in enumerate(zip(self._tables, self._blocks, strict=True)):
            rows, options = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
            for block in range(blocks.count):
                for part in _chunks(len(shared), blocks.size):
                    here = np.full(len(shared[part]), block)
                    row, option = np.nonzero(self._weights(i, shared[part], entering[part], left[part], here))
                    rows.append(row + part.start)
                    options.append(option + block * blocks.size)
            row, option = np.concatenate(rows), np.concatenate(options)
            shared, entering = shared[row], entering[row]
            left = left[row] - table.cost[shared, entering, option] // self._width
            entering = table.output_class[option]
            chosen = [*(earlier[row] for earlier in chosen), option]
        return self._as_given(self._inside(ChosenRows(shared, tuple(chosen))))


@dataclass(frozen=True)
class Blocks:
    """The options of a stage, `size` to a block; the last block is filled up with options that never fit.

    `bins` [G, C, count, size] is what an option costs, `output_class` [count, size] what it leads to.
    """

    count: int
    size: int
    bins: Array
    output_class: Array

    @classmethod
    def of(cls, table: StageTable, width: int, most: int) -> Blocks:
        """Blocks as many as large, but for at most `most` counts of ways after any class."""
        states, options = table.cost.shape[0] * table.cost.shape[1], len(table)
        size = max(math.ceil(options / max(min(math.isqrt(options), most // max(states, 1)), 1)), 1)
        count = max(math.ceil(options / size), 1)
        spare = count * size - options
        bins = np.pad(table.cost // width, ((0, 0), (0, 0), (0, spare)), constant_values=NEVER)
        output_class = np.pad(table.output_class, (0, spare))
        return cls(count, size, bins.reshape(*bins.shape[:2], count, size), output_class.reshape(count, size))


def bin_width(tables: Sequence[StageTable], low: int, high: int) -> int:
    """The narrowest bins that time and memory allow, 0 where even wide ones take too much."""
    groups = len(tables[0].cost)
    rows = sum(table.cost.size for table in tables[:-1])
    states = sum(groups * table.cost.shape[1] for table in tables)
    most = int(min(MAX_BINS, MAX_WORK / max(rows, 1), MAX_COUNTS / max(states, 1)))
    if rows > MAX_ROWS or most < FEWEST_BINS:
        return 0
    return max(1, (high - low + 1) // BINS_IN_BAND, math.ceil((high + 1) / most))


def _alike_together(table: StageTable) -> Array:
    """An order of the options in which those of one class and nearly one cost stand together."""
    # any order is right, and in this one many of a block are alike, which `_add_shifted` adds as one row;
    # slices, for there may be no choice or class
    return np.lexsort((table.cost[:1, :1].sum(axis=(0, 1)), table.output_class))


def _add_shifted(
    counts: Array, after: Array, output_class: Array, bins: Array, size: int, *, last: bool
) -> None:
    """Add to `counts[k, b]` the ways to go on from every option of block k that takes some of b bins."""
    limit = counts.shape[1]
    fits = bins < limit
    if last:
        # all options are one block, and after each there is one way to go on: to spend nothing
        counts[0] += np.bincount(bins[fits], minlength=limit)
        return
    # options of a block alike in class and bins are one row, many times
    states = (np.arange(len(bins)) // size * len(after) + output_class) * limit + bins
    keys, times = np.unique(states[fits], return_counts=True)
    for key, many in zip(keys.tolist(), times.tolist(), strict=True):
        state, taken = divmod(key, limit)
        block, following = divmod(state, len(after))
        row = after[following, : limit - taken]
        counts[block, taken:] += row if many == 1 else many * row


def _tickets(weight: Array, rng: np.random.Generator) -> Array:
    """Uniform numbers from 0 to total weights, which rounding must not let them reach."""
    tickets: Array = np.minimum(rng.random(len(weight)) * weight, np.nextafter(weight, 0))
    return tickets


def _first_beyond(sums: Array, row: Array, ticket: Array) -> Array:
    """The first place in `sums[row]`, which rises, that is more than `ticket`: a binary search a row."""
    low, high = np.zeros(len(row), dtype=np.int64), np.full(len(row), sums.shape[1] - 1)
    while np.any(low < high):
        middle = (low + high) // 2
        beyond = sums[row, middle] > ticket
        low, high = np.where(beyond, low, middle + 1), np.where(beyond, middle, high)
    return low


def _chunks(count: int, options: int) -> Iterator[slice]:
    step = max(CHUNK // max(options, 1), 1)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _joined(parts: Sequence[ChosenRows], stages: int) -> ChosenRows:
    empty = np.zeros(0, dtype=np.int64)
    return ChosenRows(
        np.concatenate([empty, *(part.shared for part in parts)]),
        tuple(np.concatenate([empty, *(part.options[i] for part in parts)]) for i in range(stages)),
    )
