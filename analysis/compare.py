"""Two sets of networks compared: at equal FLOPs, at equal accuracy, and as whole design spaces.

A difference counts only beside its noise: `better` and `worse` mean that the interval excludes 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # type: ignore[import-untyped]

from analysis.pareto import front
from analysis.reference import PublishedPoint, published_points
from space.errors import InputError

Floats = NDArray[np.float64]

BETTER, WORSE, UNCLEAR = "better", "worse", "not distinguishable"
# Published FLOPs are printed to 2 or 3 digits; a wider match would compare networks of different cost.
FLOPS_TOLERANCE = 0.02


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
    tail = 0.5 + level / 2
    if noise is not None:
        return float(special.ndtri(tail)) * noise * float(np.sqrt(sum(trainings / s.size for s in samples)))
    if min(sample.size for sample in samples) < 2:
        return float("inf")
    variances = [_variance_of_mean(sample, resamples, rng) for sample in samples]
    total = sum(variances)
    if total == 0:
        return 0.0
    # Welch and Satterthwaite's degrees of freedom; n - 1 for one sample
    freedom = total**2 / sum(e**2 / (s.size - 1) for e, s in zip(variances, samples, strict=True))
    return float(special.stdtrit(freedom, tail)) * float(np.sqrt(total))


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


def _errors(errors: ArrayLike) -> Floats:
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"errors of shape {values.shape} must be finite numbers, of shape (n,)")
    return values
