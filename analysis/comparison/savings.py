"""FLOPs that one set of networks saves against another at equal accuracy, between their fronts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.comparison.equal_flops import Floats, cost_table
from analysis.fronts.pareto import kept_rows
from nas.verdict.difference import verdict
from space.errors import InputError

# at which two fronts are compared where both reach; more change the mean by less than a part in a thousand
ACCURACIES = 65


@dataclass(frozen=True)
class Saving:
    """Share of b's FLOPs that a saves at equal accuracy; None where no accuracy is on both fronts.

    Negative: a needs more FLOPs. `low` is minus infinity, and `high` is 1, where the seeds' noise may carry
    one front out of the other's reach.
    """

    value: float | None
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """Of a: `better` where it saves FLOPs."""
        return verdict(self.low, self.high)


def mean_saving(
    flops_a: ArrayLike,
    values_a: ArrayLike,
    flops_b: ArrayLike,
    values_b: ArrayLike,
    *,
    rivals_a: ArrayLike | None = None,
    level: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
) -> Saving:
    """The share of b's FLOPs that a saves, on average over all accuracies that both fronts reach.

    flops (n,); values (n, s), a column a seed, the same s seeds in both sets. The average is of the logarithm
    of FLOPs along the fronts, each linear in log FLOPs (Bjontegaard 2001, "Calculation of average PSNR
    differences between RD-curves", with FLOPs for bit rate). `rivals_a` (n,) numbers groups in a of about
    equal FLOPs of which one network is to be chosen: each seed measures the one that the others choose
    (`chosen_by_others`). A front of all of them would be the front of their luck.

    Interval for these networks, not for others: a parametric bootstrap over seeds, whose noise is pooled over
    all networks of both sets after what a seed gives to all alike is taken out. Where a choice is made its
    noise is that of a choice among equals: seeds that choose each other's networks are lucky together, which
    makes their mean vary more than that of as many independent trainings. Simulated with 4 budgets of 3 equal
    networks and 3 seeds, 95% intervals cover in 95% of cases; 90% where that is left out, 67% for a front of
    all (tests/benchmarks/fronts.py). Unequal networks are chosen less by luck: then they are a little too
    long. One seed has no interval. Raises `InputError`.
    """
    first, second = cost_table(flops_a, values_a, "a"), cost_table(flops_b, values_b, "b")
    if first[1].shape[1] != second[1].shape[1]:
        raise InputError("compare: a and b must have the same seeds, a column each")
    groups = _groups(rivals_a, len(first[0]))
    costs, means = _chosen(*first, groups)
    costs, means = np.concatenate([costs, second[0]]), np.concatenate([means, second[1].mean(axis=1)])
    found = float(_log_ratios(costs, means[None], len(groups))[0])
    value = float(-np.expm1(found)) if np.isfinite(found) else None
    seeds = first[1].shape[1]
    if seeds < 2:
        return Saving(value, -np.inf, 1.0)
    rng = np.random.default_rng(seed)
    widths = _noise(np.concatenate([first[1], second[1]]), resamples, rng)
    drawn_a = [_luck(rng, resamples, group.size, seeds) for group in groups]
    drawn_b = [_luck(rng, resamples, 1, seeds) for _ in second[0]]
    luck = np.stack([*drawn_a, *drawn_b], axis=1)
    drawn = _log_ratios(costs, means + widths[:, None] * luck, len(groups))
    # not linear interpolation: between two draws one of which is infinite lies no number
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="closest_observation")
    return Saving(value, float(-np.expm1(high)), float(-np.expm1(low)))


def _noise(table: Floats, draws: int, rng: np.random.Generator) -> Floats:
    """The standard deviation of one training of `table` (n, s), as far as it is known: (draws,)."""
    freedom = (len(table) - 1) * (table.shape[1] - 1)
    # two-way residuals: what a network and what a seed gives to all alike is taken out
    noise = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    spread = np.sqrt((noise**2).sum() / freedom)
    # it is estimated, and may be larger: a Student's t, drawn
    return np.asarray(spread * np.sqrt(freedom / rng.chisquare(freedom, size=draws)))


def _groups(rivals: ArrayLike | None, size: int) -> list[NDArray[np.intp]]:
    """The rows of each group; without groups each network stands for itself."""
    if rivals is None:
        return list(np.arange(size)[:, None])
    ids = np.asarray(rivals)
    if ids.shape != (size,):
        raise InputError(f"compare: rivals_a {ids.shape} must name the group of each of {size} networks")
    return [np.flatnonzero(ids == group) for group in np.unique(ids)]


def _chosen(costs: Floats, table: Floats, groups: Sequence[NDArray[np.intp]]) -> tuple[Floats, Floats]:
    """Mean FLOPs (geometric) and mean value of the networks that each group's seeds measure, (groups,)."""
    logs, means = [], []
    for rows in groups:
        chosen = rows[chosen_by_others(table[rows])] if rows.size > 1 else np.repeat(rows, table.shape[1])
        logs.append(np.log(costs[chosen]).mean())
        means.append(table[chosen, np.arange(table.shape[1])].mean())
    return np.exp(logs), np.array(means)


def _luck(rng: np.random.Generator, draws: int, rivals: int, seeds: int) -> Floats:
    """Mean noise of what the seeds measure, each by the choice of the others among equal rivals: (draws,).

    Of equals, because there the choice is luck alone, and the luck that the seeds share is largest.
    """
    noise = rng.standard_normal((draws, rivals, seeds))
    others = noise.sum(axis=2, keepdims=True) - noise
    chosen = others.argmax(axis=1)[:, None, :]
    return np.asarray(np.take_along_axis(noise, chosen, axis=1)[:, 0].mean(axis=1))


def chosen_by_others(values: ArrayLike) -> NDArray[np.intp]:
    """For each seed, the network that is best by the mean of the others: (s,), of `values` (n, s), s > 1.

    What a choice and the same values that it was made by say of the chosen is optimistic; a seed that had no
    say is not: `values[chosen, range(s)]` are accuracies of the choice without its luck. Raises `InputError`.
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not len(table) or table.shape[1] < 2:
        raise InputError(f"chosen_by_others: values {table.shape} must be (n, s) with at least two seeds")
    others: Floats = table.sum(axis=1, keepdims=True) - table
    chosen: NDArray[np.intp] = np.argmax(others, axis=0)
    return chosen


def _log_ratios(costs: Floats, values: Floats, split: int) -> Floats:
    """Mean log FLOPs of the first `split` points' front less the others', by rows of `values` (d, n): (d,).

    Over accuracies of both fronts. Infinite where one front begins above the end of the other: the lower one
    needs more than it has.
    """
    sides = [_knots(costs[part], values[:, part]) for part in (slice(None, split), slice(split, None))]
    (reached_a, logs_a), (reached_b, logs_b) = sides
    low = np.maximum(reached_a[:, 0], reached_b[:, 0])
    high = np.minimum(reached_a[:, -1], reached_b[:, -1])
    apart = np.where(reached_a[:, 0] > reached_b[:, -1], -np.inf, np.inf)
    grid = np.linspace(low, high, ACCURACIES, axis=1)
    gaps = _along(grid, reached_a, logs_a) - _along(grid, reached_b, logs_b)
    # the trapezoidal rule on an even grid
    means = ((gaps[:, 1:] + gaps[:, :-1]) / 2).mean(axis=1)
    return np.where(low > high, apart, means)


def _knots(costs: Floats, values: Floats) -> tuple[Floats, Floats]:
    """Values and log FLOPs of the front of each row of `values` (d, n), by rising FLOPs: (d, n) each.

    A point that is not on the front repeats the one before, or the first of the front.
    """
    order = np.argsort(costs, kind="stable")
    costs, values = costs[order], values[:, order]
    kept = kept_rows(costs, values)
    last = np.maximum.accumulate(np.where(kept, np.arange(costs.size), -1), axis=1)
    last = np.where(last < 0, kept.argmax(axis=1)[:, None], last)
    return np.take_along_axis(values, last, axis=1), np.log(costs)[last]


def _along(at: Floats, values: Floats, logs: Floats) -> Floats:
    """Log FLOPs at values (d, m) inside each row's range, by lines through its knots (d, n): (d, m)."""
    found = np.repeat(logs[:, :1], at.shape[1], axis=1)
    # piece by piece, for all draws at once: each adds its part of the rise as far as `at` has come
    # (np.interp takes one curve at a time; repeated knots have no rise)
    for j in range(values.shape[1] - 1):
        begin, step = values[:, j, None], np.diff(values[:, j : j + 2], axis=1)
        rise = np.diff(logs[:, j : j + 2], axis=1)
        found += rise * np.clip((at - begin) / np.where(step > 0, step, 1.0), 0, 1)
    return found
