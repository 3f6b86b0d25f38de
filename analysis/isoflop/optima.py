"""Where the error of one budget is least along a dimension: the lowest point of a parabola, or none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from analysis.comparison.distributions import Best, range_of_best
from analysis.isoflop.sample import Floats, Group, Ints, Sample
from analysis.laws.answer import FACTOR, Answer, Estimate, NotIdentified
from space.errors import InputError, quoted

# at equal cost one of them gives way to the other: neither can be held while the other moves
TRADED = ("depth", "width")
LEVEL = 0.9
FEWEST = 5  # networks of one budget; a parabola through three leaves nothing to tell the noise by
PER_PARAMETER = 3  # networks for each parameter, at least, or settings are left out of the fit
MANY = 300  # networks from which on effects of other settings are held while networks are resampled
SAME_COST = 0.1  # octaves of cost in one budget that need no term of their own
PARABOLA, RESAMPLED = "parabola", "best of resamples"


@dataclass(frozen=True)
class Optimum:
    """Where the error of one budget is least along one dimension.

    `parabola` is (a, b, c, centre): error = a + b u + c u^2 with u = log2(x) - centre. `tried` are the least
    and the largest value of the dimension. `best` is where the best of a quarter of the networks lie.
    """

    dimension: str
    group: Group
    answer: Answer
    method: str
    tried: tuple[float, float]
    parabola: tuple[float, float, float, float] | None
    best: Best | None
    draws: Floats = field(repr=False, default_factory=lambda: np.zeros(0))  # log2 of the lowest points

    @property
    def identified(self) -> bool:
        """Whether there is a number."""
        return isinstance(self.answer, Estimate)


def weights(sample: Sample, residual: Floats, parameters: int) -> Floats:
    """1 / variance of each network's mean error, up to a factor, (n,).

    The variance is that between networks, told from the `residual` of an unweighted fit, and that of a
    training over the number of trainings.
    """
    if sample.seed_variance is None or np.ptp(sample.seeds) == 0:
        return np.ones(sample.error.size)
    own = sample.seed_variance / sample.seeds
    freedom = max(residual.size - parameters, 1)
    # what is left of the residuals' variance when the trainings' own is taken out
    between = max(float(residual @ residual) / freedom - float(own.mean()), 0.0)
    variance = between + own
    return np.asarray(variance.min() / variance) if variance.min() > 0 else np.ones(sample.error.size)


def resampled(group: Ints, resamples: int, seed: int) -> Floats:
    """How often each network is drawn, groups apart, with replacement: (resamples, n)."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, group.size))
    for g in range(int(group.max(initial=-1)) + 1):
        rows = np.flatnonzero(group == g)
        # within each budget: across them a resample might have too few of one for a parabola
        drawn = rng.integers(rows.size, size=(resamples, rows.size))
        flat = (drawn + np.arange(resamples)[:, None] * rows.size).ravel()
        counts[:, rows] = np.bincount(flat, minlength=resamples * rows.size).reshape(resamples, -1)
    return counts


def optima_of(
    sample: Sample, dimension: str, counts: Floats, level: float = LEVEL
) -> tuple[tuple[Optimum, ...], Floats]:
    """The optimum of every group along a dimension, and the errors less the effects of other settings, (n,).

    `counts` (resamples, n) are the bootstrap's. Raises `InputError` for a dimension the networks lack.
    """
    if dimension not in sample.dimensions:
        raise InputError(f"isoflop: {quoted(dimension)} is not one of {', '.join(sample.dimensions)}")
    x = sample.dimensions[dimension]
    # about 0: far from it u and u^2 are nearly one column
    centre = np.array([np.median(x[sample.group == g]) for g in range(len(sample.groups))])
    curves, others = _curves(x - centre[sample.group], sample.group), _others(sample, dimension)
    fitted, effects, draws = _fitted(sample, curves, others, counts)
    adjusted = sample.error - others @ effects
    found = [
        _optimum(sample, dimension, g, (*fitted[g].tolist(), float(centre[g])), draws[:, g], adjusted, level)
        for g in range(len(sample.groups))
    ]
    return tuple(found), adjusted


def _curves(u: Floats, group: Ints) -> Floats:
    """1, u and u^2 of each group in columns of its own, (n, 3 groups)."""
    powers = np.stack([np.ones_like(u), u, u**2], axis=1)
    own = np.arange(int(group.max()) + 1) == group[:, None]
    return np.asarray((own[:, :, None] * powers[:, None, :]).reshape(u.size, -1))


def _others(sample: Sample, dimension: str) -> Floats:
    """What else the networks of a group differ in, centred on its mean: (n, q).

    Cost first, then settings without an order, then other dimensions and their squares, then how kernel sizes
    and expansions are spread over the stages, as long as there are `PER_PARAMETER` networks a parameter.
    """
    # every budget has three parameters of its own, its parabola
    room = sample.error.size // PER_PARAMETER - 3 * len(sample.groups)
    kept: list[Floats] = []
    for block in _blocks(sample, dimension):
        columns = _centred(block, sample.group)
        columns = columns[:, np.ptp(columns, axis=0) > 1e-9]
        if sum(one.shape[1] for one in kept) + columns.shape[1] <= room:
            kept.append(columns)
    return np.concatenate([np.zeros((sample.error.size, 0)), *kept], axis=1)


def _blocks(sample: Sample, dimension: str) -> Iterator[Floats]:
    logs = np.log2(sample.cost)[:, None]
    if max(np.ptp(logs[sample.group == g]) for g in range(len(sample.groups))) > SAME_COST:
        yield logs
    yield sample.categories
    others = {name: x for name, x in sample.dimensions.items() if name not in (*TRADED, dimension)}
    traded = [sample.dimensions[name] for name in TRADED if name in sample.dimensions]
    if dimension not in TRADED and traded:
        # at equal cost depth and width move against each other: their ratio is what the two have to say
        others["shape"] = traded[0] - traded[1] if len(traded) > 1 else traded[0]
    for x in [x[:, None] for x in others.values()] + list(sample.stages):
        u = _centred(x, sample.group)
        yield np.concatenate([u, u**2], axis=1)


def _centred(columns: Floats, group: Ints) -> Floats:
    """Less the mean of the group."""
    sums = np.zeros((int(group.max()) + 1, columns.shape[1]))
    np.add.at(sums, group, columns)
    return np.asarray(columns - (sums / np.bincount(group)[:, None])[group])


def _fitted(sample: Sample, curves: Floats, others: Floats, counts: Floats) -> tuple[Floats, Floats, Floats]:
    """(groups, 3) parabolas, (q,) effects of the others, and the lowest points of the resamples.

    Lowest points are relative to the centres, (resamples, groups), infinite where the parabola has none.
    """
    design = np.concatenate([curves, others], axis=1)
    # unweighted first: weights need the variance between networks, which is told from residuals
    first = _solve(design, sample.error, np.ones((1, sample.error.size)))[0]
    weight = weights(sample, sample.error - design @ first, design.shape[1])
    whole = _solve(design, sample.error, weight[None])[0]
    groups = len(sample.groups)
    effects, drawn = whole[3 * groups :], counts * weight
    if sample.error.size <= MANY:
        parabolas = _solve(design, sample.error, drawn)[:, : 3 * groups].reshape(-1, groups, 3)
    else:  # so many networks tell the effects of the others far better than any lowest point
        error = sample.error - others @ effects
        own = [(sample.group == g, slice(3 * g, 3 * g + 3)) for g in range(groups)]
        each = [_solve(curves[rows, part], error[rows], drawn[:, rows]) for rows, part in own]
        parabolas = np.stack(each, axis=1)
    u = curves.reshape(-1, groups, 3)[:, :, 1]
    return whole[: 3 * groups].reshape(groups, 3), effects, _lowest(parabolas, u.min(axis=0), u.max(axis=0))


def _solve(design: Floats, error: Floats, weight: Floats) -> Floats:
    """Weighted least squares for each row of `weight` (r, n): (r, p)."""
    count, parameters = design.shape
    products = (design[:, :, None] * design[:, None, :]).reshape(count, -1)
    normal = (weight @ products).reshape(-1, parameters, parameters)
    pull = weight @ (design * error[:, None])
    # what a resample does not tell stays at 0
    size = np.maximum(np.einsum("nii->ni", normal), 1e-12)
    # columns scaled to one size, so that one small number on the diagonal is small for all of them
    scale = 1 / np.sqrt(size)
    scaled = normal * scale[:, :, None] * scale[:, None, :] + 1e-9 * np.eye(parameters)
    return np.asarray(scale * np.linalg.solve(scaled, (pull * scale)[..., None])[..., 0])


def _lowest(parabolas: Floats, least: Floats, largest: Floats) -> Floats:
    """u of the lowest points of parabolas (..., 3); of others, minus or plus infinity by their lower end."""
    b, c = parabolas[..., 1], parabolas[..., 2]
    slope = b + c * (least + largest)  # between the ends of what was tried
    with np.errstate(divide="ignore", invalid="ignore"):
        lowest = -b / (2 * c)
    return np.where(c > 1e-12, lowest, np.where(slope < 0, np.inf, -np.inf))


def _optimum(
    sample: Sample,
    dimension: str,
    g: int,
    parabola: tuple[float, ...],
    draws: Floats,
    adjusted: Floats,
    level: float,
) -> Optimum:
    rows = sample.group == g
    x = sample.dimensions[dimension][rows]
    tried = (float(2 ** x.min()), float(2 ** x.max()))
    values = np.unique(np.round(x, 6)).size
    if rows.sum() < FEWEST or values < 3:
        reason = f"{int(rows.sum())} networks with {values} different values"
        return Optimum(
            dimension, sample.groups[g], NotIdentified(reason, *tried), PARABOLA, tried, None, None
        )
    best = range_of_best(2**x, adjusted[rows], level=level, resamples=2000)
    a, b, c, centre = parabola
    lowest = float(_lowest(np.array([a, b, c]), x.min() - centre, x.max() - centre)) + centre
    method, answer = PARABOLA, _answer(lowest, draws + centre, x, level)
    if not np.isfinite(lowest):
        method, answer = RESAMPLED, _from_best(best, tried)
    return Optimum(
        dimension, sample.groups[g], answer, method, tried, (a, b, c, centre), best, draws + centre
    )


def _answer(lowest: float, draws: Floats, x: Floats, level: float) -> Answer:
    """The lowest point with its interval, where it is one."""
    low, high = (exp2(end) for end in interval_of(draws, level))
    if not x.min() <= lowest <= x.max():
        return NotIdentified(_at_the_edge(lowest > x.max(), 2 ** x.min(), 2 ** x.max()), low, high)
    if high > FACTOR * low:
        return NotIdentified(wide(low, high), low, high)
    if low <= 2 ** x.min() and high >= 2 ** x.max():
        return NotIdentified(f"the interval {low:.3g} to {high:.3g} covers all that was tried", low, high)
    return Estimate(float(2**lowest), low, high)


def _from_best(best: Best, tried: tuple[float, float]) -> Answer:
    """Where the best networks lie, in place of a lowest point that the parabola lacks."""
    if best.low <= tried[0] and best.high >= tried[1]:
        reason = "the best networks are spread over all that was tried"
    elif best.low <= tried[0] or best.high >= tried[1]:
        reason = _at_the_edge(best.high >= tried[1], *tried)
    elif best.high > FACTOR * best.low:
        reason = f"the best networks cover a factor over {FACTOR:g}"
    else:
        return Estimate(best.mean, best.low, best.high)
    return NotIdentified(reason, best.low, best.high)


def _at_the_edge(large: bool, least: float, largest: float) -> str:
    side, end = ("largest", largest) if large else ("smallest", least)
    return f"at the edge of what was tried: best towards the {side}, {end:.3g}"


def wide(low: float, high: float) -> str:
    """What is wrong with an interval that covers a factor over 3, or has no end."""
    # no dimension is below a thousandth or above a million: such ends stand for infinity
    ends = [end for end, open_ in (("below", low < 1e-3), ("above", not high < 1e6)) if open_]
    if ends:
        return f"the interval has no end {' and '.join(ends)}"
    return f"the interval {low:.3g} to {high:.3g} covers a factor over {FACTOR:g}"


def exp2(octaves: float) -> float:
    """2 to a power that may be infinite, or too large for a number."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp2(octaves))


def interval_of(draws: Floats, level: float) -> tuple[float, float]:
    """Percentiles of draws, which may be infinite."""
    tail = (1 - level) / 2
    # one of the draws themselves: between a number and infinity there is nothing to interpolate
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)
