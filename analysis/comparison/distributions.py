"""Design spaces by the errors of networks drawn from them: distributions, the best of n, and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.verdict.difference import Difference, welch
from space.errors import InputError

Floats = NDArray[np.float64]


def edf(errors: ArrayLike) -> tuple[Floats, Floats]:
    """Empirical distribution of the errors (n,): sorted errors, and the share at or below each, both (n,).

    Source: Radosavovic et al. 2020, "Designing network design spaces", section 3.1. Raises `InputError`.
    """
    ordered = np.sort(_checked(errors))
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
    ordered = np.sort(_checked(errors))
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
) -> Best:
    """Where a setting (m,) of the best networks lies: depth or width, say, against `errors` (m,).

    The best of a `share` of the networks drawn with replacement, its setting noted, `resamples` times
    (empirical bootstrap: Radosavovic et al. 2020, section 3.1: 25%, 10^4 times, 95%). Raises `InputError`.
    """
    values, losses = np.asarray(setting, dtype=np.float64), _checked(errors)
    if values.shape != losses.shape or not 0 < share <= 1:
        raise InputError(f"range_of_best: setting {values.shape} and errors {losses.shape}, share {share}")
    size = max(1, round(share * losses.size))
    order = np.argsort(losses, kind="stable")
    # The best of the drawn is the one of least rank, so ranks are drawn and nothing is looked up.
    ranks = np.random.default_rng(0).integers(losses.size, size=(resamples, size)).min(axis=1)
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
    from scipy import stats  # type: ignore[import-untyped]

    sets = [np.sort(_checked(errors)) for errors in (errors_a, errors_b)]
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
    reach = welch(variances, [1 / float(share @ share) for share in shares], level)
    return Difference(middle, middle - reach, middle + reach)


def _variance_of_best(ordered: Floats, n: int) -> float:
    """Of the expected best of n of the `ordered` errors (m,), by the jackknife: each left out in turn."""
    shares = _shares_of_best(ordered.size - 1, n)
    # each left out in turn, by two running sums: those before it keep their places, those behind move up
    before = np.r_[0.0, np.cumsum(shares * ordered[:-1])]
    after = np.r_[np.cumsum((shares * ordered[1:])[::-1])[::-1], 0.0]
    return float((before + after).var()) * (ordered.size - 1)


def _shares_of_best(size: int, n: int) -> Floats:
    """Probability of each of `size` networks, best first, to be the best of n different ones of them."""
    places = np.arange(size)
    # one after another: (size - n - i + 1) / (size - i) is the odds to be passed over once more
    left = np.cumprod(np.r_[1.0, np.maximum(size - n - places[:-1], 0) / (size - places[:-1])])
    return left * n / (size - places)


def _checked(errors: ArrayLike) -> Floats:
    """Finite numbers, (n,). Raises `InputError`."""
    values = np.asarray(errors, dtype=np.float64)
    if values.ndim != 1 or not values.size or not np.isfinite(values).all():
        raise InputError(f"errors of shape {values.shape} must be finite numbers, of shape (n,)")
    return values
