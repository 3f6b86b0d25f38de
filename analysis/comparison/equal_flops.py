"""Two sets of networks compared at equal FLOPs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas.verdict.difference import Difference, welch
from space.errors import InputError

Floats = NDArray[np.float64]

# Published FLOPs are printed to 2 or 3 digits; a wider match would compare networks of different cost.
FLOPS_TOLERANCE = 0.02


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


def at_equal_flops(
    flops_a: ArrayLike,
    values_a: ArrayLike,
    flops_b: ArrayLike,
    values_b: ArrayLike,
    *,
    names: tuple[str, str] = ("a", "b"),
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
    independent. Of equally close pairs the first in order counts. `names` are those of the sets in messages.
    `noise` is the known standard deviation of one training, for values without seeds.
    Intervals: bootstrap standard error times Student's t. Raises `InputError`, also where no FLOPs agree.
    """
    first, second = cost_table(flops_a, values_a, names[0]), cost_table(flops_b, values_b, names[1])
    if (seeds_a is None) != (seeds_b is None):
        raise InputError("compare: seeds of both sets are needed to pair them, or of neither")
    paired = seeds_a is not None and seeds_b is not None
    if seeds_a is not None and seeds_b is not None:
        first, second = _common_seeds(first, second, np.asarray(seeds_a), np.asarray(seeds_b))
    matches = _matches(first[0], second[0], tolerance)
    if not matches:
        raise InputError(
            f"compare: no networks of {names[0]} and {names[1]} agree in FLOPs within {tolerance:.0%}"
        )
    rng = np.random.default_rng(seed)

    def pair(i: int, j: int) -> Pair:
        # paired, the seeds' own differences are one sample: what a seed gives to both is gone
        samples = (first[1][i] - second[1][j],) if paired else (first[1][i], second[1][j])
        middle = float(first[1][i].mean() - second[1][j].mean())
        reach = _reach(samples, noise, 2 if paired else 1, level, resamples, rng)
        return Pair(i, j, float(first[0][i]), Difference(middle, middle - reach, middle + reach))

    pairs = tuple(pair(i, j) for i, j in matches)
    if len(pairs) == 1:
        return Comparison(pairs, pairs[0].difference)
    middles = np.array([pair.difference.value for pair in pairs])
    mean = float(middles.mean())
    # from how pairs differ, which holds the noise of their trainings as well
    reach = _reach((middles,), None, 1, level, resamples, rng)
    return Comparison(pairs, Difference(mean, mean - reach, mean + reach))


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
    # greedy, by rising gap: of two that want the same partner the closer has it
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
    return welch(variances, [sample.size for sample in samples], level)


def _variance_of_mean(sample: Floats, resamples: int, rng: np.random.Generator) -> float:
    """By the bootstrap, times n / (n - 1), which resampling n lacks."""
    means = sample[rng.integers(sample.size, size=(resamples, sample.size))].mean(axis=1)
    return float(means.var()) * sample.size / (sample.size - 1)


def cost_table(flops: ArrayLike, values: ArrayLike, name: str) -> tuple[Floats, Floats]:
    """Costs (n,) and values (n, seeds) of the set `name`. Raises `InputError`."""
    costs, table = np.asarray(flops, dtype=np.float64), np.asarray(values, dtype=np.float64)
    table = table[:, None] if table.ndim == 1 else table
    if costs.ndim != 1 or table.ndim != 2 or len(table) != len(costs) or not table.size:
        raise InputError(f"compare: {name} has flops {costs.shape} and values {table.shape}; n and n x seeds")
    if not (np.isfinite(costs) & (costs > 0)).all() or not np.isfinite(table).all():
        raise InputError(f"compare: {name} has flops that are not positive, or values that are not numbers")
    return costs, table
