"""Two sets of networks compared: at equal FLOPs, at equal accuracy, and as whole design spaces.

A difference counts only beside its noise: `better` and `worse` mean that the interval excludes 0.

    python -m analysis.compare STUDY...        is what a search found better than the reference families?
    python -m analysis.compare --published     ConvNeXt and Swin at equal FLOPs, as published
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.pareto import front
from analysis.reference import PublishedPoint, published_points
from space.errors import InputError

Floats = NDArray[np.float64]

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"
# Published FLOPs are printed to 2 or 3 digits; a wider match would compare networks of different cost.
FLOPS_TOLERANCE = 0.02
# at which two fronts are compared where both reach; more change the mean by less than a part in a thousand
ACCURACIES = 65


@dataclass(frozen=True)
class Difference:
    """Mean of the first minus mean of the second, with its interval; infinite where the noise is unknown."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`better`, `worse` or `not distinguishable`: of the first set, where higher values are better."""
        return verdict(self.low, self.high)


@dataclass(frozen=True)
class Pair:
    """Two networks of equal FLOPs: their rows in the two sets, and how their values differ."""

    first: int
    second: int
    flops: float
    difference: Difference


@dataclass(frozen=True)
class Comparison:
    """Every pair at equal FLOPs, by rising FLOPs, and the mean over the pairs.

    The interval of `mean` speaks for other pairs of the same two sets; each pair's own for that pair only.
    """

    pairs: tuple[Pair, ...]
    mean: Difference

    @property
    def verdict(self) -> str:
        """The verdict on the mean."""
        return self.mean.verdict


def verdict(low: float, high: float) -> str:
    """What an interval of a difference says, where more is better."""
    if low > 0:
        return BETTER
    return WORSE if high < 0 else UNCLEAR


def at_equal_flops(
    flops_a: ArrayLike,
    values_a: ArrayLike,
    flops_b: ArrayLike,
    values_b: ArrayLike,
    *,
    seeds_a: ArrayLike | None = None,
    seeds_b: ArrayLike | None = None,
    noise: float | None = None,
    tolerance: float = FLOPS_TOLERANCE,
    level: float = 0.9,
    resamples: int = 2000,
    seed: int = 0,
) -> Comparison:
    """Compare each network of a with one of b at equal FLOPs, to a relative `tolerance`; higher is better.

    flops (n,); values (n,) or (n, s), a column a seed. Columns whose ids in `seeds_a` (s,) and `seeds_b` are
    equal share data order and augmentation: they are paired, others left out; without ids the seeds are
    independent. `noise` is the known standard deviation of one training, for values without seeds.
    Intervals: bootstrap standard error times Student's t. Raises `InputError`, also where no FLOPs agree.
    """
    first, second = _table(flops_a, values_a, "a"), _table(flops_b, values_b, "b")
    if (seeds_a is None) != (seeds_b is None):
        raise InputError("compare: seeds of both sets are needed to pair them, or of neither")
    paired = seeds_a is not None and seeds_b is not None
    if seeds_a is not None and seeds_b is not None:
        first, second = _common_seeds(first, second, np.asarray(seeds_a), np.asarray(seeds_b))
    matches = _matches(first[0], second[0], tolerance)
    if not matches:
        raise InputError(f"compare: no two networks of a and b agree in FLOPs within {tolerance:.0%}")
    rng = np.random.default_rng(seed)
    pairs = []
    for i, j in matches:
        samples = (first[1][i] - second[1][j],) if paired else (first[1][i], second[1][j])
        middle = float(first[1][i].mean() - second[1][j].mean())
        reach = _reach(samples, noise, 2 if paired else 1, level, resamples, rng)
        pairs.append(Pair(i, j, float(first[0][i]), Difference(middle, middle - reach, middle + reach)))
    middles = np.array([pair.difference.value for pair in pairs])
    mean = float(middles.mean())
    reach = (
        _reach((middles,), None, 1, level, resamples, rng)
        if len(pairs) > 1
        else pairs[0].difference.high - mean
    )
    return Comparison(tuple(pairs), Difference(mean, mean - reach, mean + reach))


def _table(flops: ArrayLike, values: ArrayLike, name: str) -> tuple[Floats, Floats]:
    costs, table = np.asarray(flops, dtype=np.float64), np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if costs.ndim != 1 or table.ndim != 2 or len(table) != len(costs) or not table.size:
        raise InputError(f"compare: {name} has flops {costs.shape} and values {table.shape}; n and n x seeds")
    if not (np.isfinite(costs) & (costs > 0)).all() or not np.isfinite(table).all():
        raise InputError(f"compare: {name} has flops that are not positive, or values that are not numbers")
    return costs, table


def _common_seeds(
    first: tuple[Floats, Floats],
    second: tuple[Floats, Floats],
    seeds_a: NDArray[np.generic],
    seeds_b: NDArray[np.generic],
) -> tuple[tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Only the columns of seeds that both have, in one order."""
    for seeds, table, name in ((seeds_a, first[1], "a"), (seeds_b, second[1], "b")):
        if seeds.shape != table.shape[1:] or np.unique(seeds).size != seeds.size:
            raise InputError(f"compare: seeds_{name} {seeds.shape} must be different ids, one a column")
    _, columns_a, columns_b = np.intersect1d(seeds_a, seeds_b, return_indices=True)
    if not columns_a.size:
        raise InputError("compare: a and b have no seed in common")
    return (first[0], first[1][:, columns_a]), (second[0], second[1][:, columns_b])


def _matches(flops_a: Floats, flops_b: Floats, tolerance: float) -> list[tuple[int, int]]:
    """Pairs within `tolerance`, each network once, the closest pairs first; by rising FLOPs."""
    gaps = np.abs(np.log(flops_a)[:, None] - np.log(flops_b)[None, :])
    order = np.argsort(gaps, axis=None, kind="stable")
    taken_a, taken_b, found = set[int](), set[int](), []
    for flat in order[: int((gaps <= np.log1p(tolerance)).sum())].tolist():
        i, j = divmod(flat, flops_b.size)
        if i not in taken_a and j not in taken_b:
            taken_a.add(i)
            taken_b.add(j)
            found.append((i, j))
    return sorted(found, key=lambda match: (flops_a[match[0]], match))


def _reach(
    samples: tuple[Floats, ...],
    noise: float | None,
    trainings: int,
    level: float,
    resamples: int,
    rng: np.random.Generator,
) -> float:
    """Half the interval of a sum or difference of the samples' means; infinite if nothing tells the noise.

    `trainings` is how many trainings one number of a sample is made of.
    """
    from scipy import special  # type: ignore[import-untyped]  # not needed for --help

    if noise is not None:
        tail = float(special.ndtri(0.5 + level / 2))
        return tail * noise * float(np.sqrt(sum(trainings / s.size for s in samples)))
    if min(sample.size for sample in samples) < 2:
        return float("inf")
    variances = [_variance_of_mean(sample, resamples, rng) for sample in samples]
    return _welch(variances, [sample.size for sample in samples], level)


def _variance_of_mean(sample: Floats, resamples: int, rng: np.random.Generator) -> float:
    """By the bootstrap, times n / (n - 1), which resampling n lacks."""
    means = sample[rng.integers(sample.size, size=(resamples, sample.size))].mean(axis=1)
    return float(means.var()) * sample.size / (sample.size - 1)


def flops_saved(
    flops_a: ArrayLike, value_a: ArrayLike, flops_b: ArrayLike, value_b: ArrayLike, at: float
) -> float | None:
    """Share of b's FLOPs that a saves at value `at`: 1 - F_a / F_b between the two fronts; all (n,).

    Fronts are interpolated linearly in log FLOPs. None where one of them does not reach `at` from below and
    above: nothing is extrapolated. Raises `InputError` for FLOPs that are not positive.
    """
    needed = [
        _flops_needed(*_table(f, v, n), at) for f, v, n in ((flops_a, value_a, "a"), (flops_b, value_b, "b"))
    ]
    if needed[0] is None or needed[1] is None:
        return None
    return 1.0 - needed[0] / needed[1]


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
    level: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
) -> Saving:
    """The share of b's FLOPs that a saves, on average over all accuracies that both fronts reach.

    flops (n,); values (n, s), a column a seed, the same s seeds in both sets. The average is of the logarithm
    of FLOPs along the fronts, each linear in log FLOPs (Bjontegaard 2001, "Calculation of average PSNR
    differences between RD-curves", with FLOPs for bit rate). Interval for these networks, not for others: a
    parametric bootstrap over seeds, whose noise is pooled over the networks of both sets after what a seed
    gives to all alike is taken out; one seed has no interval. A network that was chosen among others by these
    very values makes its front look better: see `chosen_by_others`. Raises `InputError`.
    """
    first, second = _table(flops_a, values_a, "a"), _table(flops_b, values_b, "b")
    if first[1].shape[1] != second[1].shape[1]:
        raise InputError("compare: a and b must have the same seeds, a column each")
    table = np.concatenate([first[1], second[1]])
    size, seeds = table.shape
    costs, means, split = np.concatenate([first[0], second[0]]), table.mean(axis=1), first[0].size
    found = _log_ratio(costs, means, split)
    value = None if not np.isfinite(found) else float(-np.expm1(found))
    if seeds < 2:
        return Saving(value, -np.inf, 1.0)
    freedom = (size - 1) * (seeds - 1)
    noise = table - means[:, None] - table.mean(axis=0) + table.mean()
    spread = np.sqrt((noise**2).sum() / freedom / seeds)
    rng = np.random.default_rng(seed)
    widths = spread * np.sqrt(freedom / rng.chisquare(freedom, size=resamples))
    drawn = np.array([_log_ratio(costs, means + w * rng.standard_normal(size), split) for w in widths])
    # not linear interpolation: between two draws one of which is infinite lies no number
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], method="closest_observation")
    return Saving(value, float(-np.expm1(high)), float(-np.expm1(low)))


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


def _log_ratio(costs: Floats, values: Floats, split: int) -> float:
    """Mean log FLOPs of the first `split` points' front less the others', over accuracies of both fronts.

    Infinite where one front begins above the end of the other: the lower one needs more than it has.
    """
    sides = []
    for part in (slice(None, split), slice(split, None)):
        chosen = front(costs[part], values[part])
        sides.append(_rising(values[part][chosen], np.log(costs[part][chosen])))
    (reached_a, logs_a), (reached_b, logs_b) = sides
    low, high = max(reached_a[0], reached_b[0]), min(reached_a[-1], reached_b[-1])
    if low > high:
        return float("-inf") if reached_a[0] > reached_b[-1] else float("inf")
    grid = np.linspace(low, high, ACCURACIES)
    gaps = np.interp(grid, reached_a, logs_a) - np.interp(grid, reached_b, logs_b)
    return float(np.mean((gaps[1:] + gaps[:-1]) / 2))


def _flops_needed(flops: Floats, table: Floats, at: float) -> float | None:
    values = table.mean(axis=1)
    chosen = front(flops, values)
    logs, reached = np.log(flops[chosen]), values[chosen]
    if not reached[0] <= at <= reached[-1]:
        return None
    return float(np.exp(np.interp(at, *_rising(reached, logs))))


def _rising(values: Floats, logs: Floats) -> tuple[Floats, Floats]:
    """Without copies of one point, so that each value has one cost."""
    first = np.r_[True, np.diff(values) > 0]
    return values[first], logs[first]


# ---- the published plane --------------------------------------------------------------------------------


def published_difference(
    family_a: str,
    family_b: str,
    *,
    source_a: str,
    source_b: str,
    pretrain: str = "imagenet-1k",
    resolution: int = 224,
    noise: float | None = None,
) -> tuple[tuple[PublishedPoint, PublishedPoint, Difference], ...]:
    """Top-1 of two families' published networks at equal FLOPs, each family from the one source named.

    `noise` is the standard deviation of one published number in points, if one is assumed; otherwise no
    verdict is possible and every interval is infinite. Raises `InputError`.
    """
    sets = [
        published_points(source=source, pretrain=pretrain, resolution=resolution, family=family)
        for family, source in ((family_a, source_a), (family_b, source_b))
    ]
    flops_a, flops_b = ([point.gflops for point in points] for points in sets)
    top1_a, top1_b = ([point.top1 for point in points] for points in sets)
    found = at_equal_flops(flops_a, top1_a, flops_b, top1_b, noise=noise)
    return tuple((sets[0][pair.first], sets[1][pair.second], pair.difference) for pair in found.pairs)


# ---- design spaces --------------------------------------------------------------------------------------


def edf(errors: ArrayLike) -> tuple[Floats, Floats]:
    """Empirical distribution of the errors (n,): sorted errors, and the share at or below each, both (n,).

    Source: Radosavovic et al. 2020, "Designing network design spaces", section 3.1. Raises `InputError`.
    """
    ordered = np.sort(_errors(errors))
    return ordered, np.searchsorted(ordered, ordered, side="right") / ordered.size


@dataclass(frozen=True)
class Best:
    """Error of the best of n networks drawn from a design space: its mean and its range."""

    mean: float
    low: float
    high: float


def best_of(errors: ArrayLike, n: int, level: float = 0.95) -> Best:
    """The best error of n networks drawn with replacement from `errors` (m,): the bootstrap, without drawing.

    All n are above the i-th smallest with probability ((m - i) / m)^n, which is the bootstrap's limit. It
    knows no error below the smallest seen, so n well above m is the minimum of the sample, no forecast.
    Raises `InputError`.
    """
    ordered = np.sort(_errors(errors))
    if n < 1 or not 0 < level < 1:
        raise InputError(f"best_of: n = {n} and level = {level} must be at least 1, and between 0 and 1")
    above = (1 - np.arange(ordered.size + 1) / ordered.size) ** n
    below = 1 - above[1:]
    tail = (1 - level) / 2
    low, high = (ordered[min(int(np.searchsorted(below, q)), ordered.size - 1)] for q in (tail, 1 - tail))
    return Best(float(-np.diff(above) @ ordered), float(low), float(high))


def range_of_best(
    setting: ArrayLike,
    errors: ArrayLike,
    *,
    share: float = 0.25,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Best:
    """Where a setting (m,) of the best networks lies: depth or width, say, against `errors` (m,).

    The best of a `share` of the networks drawn with replacement, its setting noted, `resamples` times
    (empirical bootstrap: Radosavovic et al. 2020, section 3.1: 25%, 10^4 times, 95%). Raises `InputError`.
    """
    values, losses = np.asarray(setting, dtype=np.float64), _errors(errors)
    if values.shape != losses.shape or not 0 < share <= 1:
        raise InputError(f"range_of_best: setting {values.shape} and errors {losses.shape}, share {share}")
    size = max(1, round(share * losses.size))
    order = np.argsort(losses, kind="stable")
    # The best of the drawn is the one of least rank, so ranks are drawn and nothing is looked up.
    ranks = np.random.default_rng(seed).integers(losses.size, size=(resamples, size)).min(axis=1)
    best = values[order[ranks]]
    low, high = np.quantile(best, [(1 - level) / 2, (1 + level) / 2])
    return Best(float(best.mean()), float(low), float(high))


@dataclass(frozen=True)
class SpaceComparison:
    """Two design spaces by networks drawn. Differences are b's error less a's: positive, a is better.

    `best`: of the expected error of the best of `n` networks. `mean`: of the mean error, which is the signed
    area between the two distributions. `distance` is Kolmogorov and Smirnov's, the largest gap between them,
    and `same` the probability of one as large if both were one distribution.
    """

    n: int
    best: Difference
    mean: Difference
    distance: float
    same: float


def compare_spaces(
    errors_a: ArrayLike, errors_b: ArrayLike, n: int, *, level: float = 0.9
) -> SpaceComparison:
    """Compare two design spaces by the errors of random networks, (m,) and (k,), as Radosavovic et al. 2020.

    The expected error of the best of n is that of n different networks among those drawn, which is unbiased.
    Intervals: jackknife by network times Student's t, with as many degrees of freedom as networks have a say
    in the best (1 / sum of their squared shares, less 1); they cover up to n = m / 2, the most allowed, where
    a bootstrap's fall short from n = m / 4 on (tests/benchmarks/fronts.py). Raises `InputError`.
    """
    from scipy import stats

    sets = [np.sort(_errors(errors)) for errors in (errors_a, errors_b)]
    fewest = min(ordered.size for ordered in sets)
    if not 1 <= n <= fewest / 2:
        raise InputError(
            f"compare_spaces: n = {n} must be from 1 to half the networks of a set, {fewest} here"
        )
    found = stats.ks_2samp(*sets, method="asymp")
    best, mean = (_best_difference(sets, size, level) for size in (n, 1))
    return SpaceComparison(n, best, mean, float(found.statistic), float(found.pvalue))


def _best_difference(sets: Sequence[Floats], n: int, level: float) -> Difference:
    """Expected error of the best of n of the second set less the first's; of one, the mean error."""
    shares = [_shares_of_best(ordered.size, n) for ordered in sets]
    middle = float(shares[1] @ sets[1] - shares[0] @ sets[0])
    variances = [_variance_of_best(ordered, n) for ordered in sets]
    reach = _welch(variances, [1 / float(share @ share) for share in shares], level)
    return Difference(middle, middle - reach, middle + reach)


def _variance_of_best(ordered: Floats, n: int) -> float:
    """Of the expected best of n of the `ordered` errors (m,), by the jackknife: each left out in turn."""
    shares = _shares_of_best(ordered.size - 1, n)
    before = np.r_[0.0, np.cumsum(shares * ordered[:-1])]
    after = np.r_[np.cumsum((shares * ordered[1:])[::-1])[::-1], 0.0]
    return float((before + after).var()) * (ordered.size - 1)


def _shares_of_best(size: int, n: int) -> Floats:
    """Probability of each of `size` networks, best first, to be the best of n different ones of them."""
    places = np.arange(size)
    # one after another: (size - n - i + 1) / (size - i) is the odds to be passed over once more
    left = np.cumprod(np.r_[1.0, np.maximum(size - n - places[:-1], 0) / (size - places[:-1])])
    return left * n / (size - places)


def _welch(variances: Sequence[float], sizes: Sequence[float], level: float) -> float:
    """Half an interval by Student's t; Welch and Satterthwaite's degrees of freedom, n - 1 for one sample."""
    from scipy import special

    total = sum(variances)
    if total == 0:
        return 0.0
    freedom = 1 / sum((e / total) ** 2 / (size - 1) for e, size in zip(variances, sizes, strict=True))
    return float(special.stdtrit(freedom, 0.5 + level / 2)) * float(np.sqrt(total))


def _errors(errors: ArrayLike) -> Floats:
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"errors of shape {values.shape} must be finite numbers, of shape (n,)")
    return values


if __name__ == "__main__":
    # imported again under its own name, so that the classes here and there are the same
    import sys

    from analysis.answer import main

    sys.exit(main())
