"""Where the best depth, width, expansion, kernel size and stage ratio of each budget lie, and how they move.

    found = profiles(sample_of(study))
    found.optima["depth"][0].answer      of the smallest budget: an `Estimate`, or `NotIdentified` and why
    found.rules["depth"].exponent        s of x*(F) = a F^s, over the budgets

At each budget a parabola in log2(dimension) is fitted to the error of its networks, and its lowest point is
the optimum (IsoFLOP profiles: Hoffmann et al. 2022, "Training compute-optimal large language models", section
3.2; for shapes of networks: Alabdulmohsin et al. 2023, "Getting ViT in shape"). Other settings that the
networks differ in enter the fit side by side, their effects shared by the budgets; at equal cost more depth
means less width, so for these two the other one gives way. Where the parabola has no lowest point, the
settings of the best networks are resampled (empirical bootstrap: Radosavovic et al. 2020, section 3.1).

Intervals are percentiles of a bootstrap by network through every step, the power law included (coverage:
tests/benchmarks/isoflop.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # type: ignore[import-untyped]

from analysis.compare import Best, range_of_best
from analysis.scaling import FACTOR, Answer, Estimate, NotIdentified
from space.columns import Columns, columns_of
from space.errors import InputError

if TYPE_CHECKING:
    from analysis.study import Study, Tried
    from space.architecture import Architecture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LABELS: Mapping[str, str] = {
    "depth": "depth (blocks)",
    "width": "base width",
    "expansion": "expansion",
    "kernel_size": "kernel size",
    "stage_ratio": "stage ratio",
}
MEANINGS: Mapping[str, str] = {
    "depth": "blocks of all stages",
    "width": "channels of the first stage",
    "expansion": "geometric mean over the stages",
    "kernel_size": "geometric mean over the stages",
    "stage_ratio": "blocks of the last stage but one against the geometric mean of the other stages'",
}
DIMENSIONS = tuple(LABELS)
# at equal cost one of them gives way to the other: neither can be held while the other moves
TRADED = ("depth", "width")
# families of networks whose shape these dimensions describe
SHAPED = ("searched", "ConvNeXt")

LEVEL = 0.9
RESAMPLES = 1000
FEWEST = 5  # networks of one budget; a parabola through three leaves nothing to tell the noise by
PER_PARAMETER = 3  # networks for each parameter, at least, or settings are left out of the fit
MANY = 300  # networks from which on effects of other settings are held while networks are resampled
MOST = 4000  # networks that are looked at
SPREAD = 2.0  # a factor in cost over which scaling can be told
BINS, PER_BIN = 6, 20
SCATTERED = 0.1  # probability below which optima scatter more than resampling says
SAME_COST = 0.1  # octaves of cost in one budget that need no term of their own
PARABOLA, RESAMPLED = "parabola", "best of resamples"


# ---- the networks ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Networks of about equal cost: `cost` is their geometric mean, in the metric of the study's budget."""

    text: str
    cost: float
    networks: int


@dataclass(frozen=True)
class Sample:
    """n networks in groups of equal cost: `error` are mean fractions over `seeds` trainings, all (n,).

    `dimensions` holds log2 of each, (n,); `categories` indicators of settings that have no order, (n, q);
    `stages` how a setting is spread over the stages, in octaves over its mean, (n, stages) each.
    `seed_variance` is that of one training, None where no network has two.
    """

    networks: Sequence[Tried] = field(repr=False)
    groups: tuple[Group, ...]
    group: Ints = field(repr=False)
    cost: Floats = field(repr=False)
    error: Floats = field(repr=False)
    seeds: Floats = field(repr=False)
    dimensions: Mapping[str, Floats] = field(repr=False)
    categories: Floats = field(repr=False)
    stages: Sequence[Floats] = field(repr=False, default=())
    seed_variance: float | None = None
    left_out: int = 0


def sample_of(study: Study) -> Sample:
    """The ConvNets inside the study's budgets, full-fidelity results only. Raises `InputError` for none.

    A range of costs over a factor of 2 or more is cut into groups of equally many networks by rising cost.
    """
    from space.architecture import Architecture

    shaped = [tried for tried in study.networks if _is_shaped(tried)]
    costs = np.array([getattr(tried, study.metric) for tried in shaped], dtype=np.float64)
    groups, texts = _groups(study.bands, costs)
    rows = np.flatnonzero(groups >= 0)
    left_out = max(0, rows.size - MOST)
    if left_out:
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    architectures = [Architecture.from_dict(shaped[i].architecture) for i in rows]
    stages = [len(architecture.stages) for architecture in architectures]
    usual = max(set(stages), key=stages.count, default=0)  # of others the stages do not correspond
    kept = [j for j, count in enumerate(stages) if count == usual]
    if not kept:
        raise InputError(f"study {study.name}: no network with a full-fidelity result inside the budget")
    rows, architectures = rows[kept], [architectures[j] for j in kept]
    present, group = np.unique(groups[rows], return_inverse=True)
    cost = costs[rows]
    found = tuple(
        Group(texts[g], float(np.exp(np.log(cost[group == i]).mean())), int((group == i).sum()))
        for i, g in enumerate(present)
    )
    networks, columns = [shaped[i] for i in rows], columns_of(architectures)
    return Sample(
        networks=networks,
        groups=found,
        group=group.astype(np.int64),
        cost=cost,
        error=np.array([1 - tried.accuracy for tried in networks]),
        seeds=np.array([len(tried.accuracies) for tried in networks], dtype=np.float64),
        dimensions=dimensions(columns, len(architectures)),
        stages=_spread(columns, len(architectures)),
        categories=_indicators(architectures),
        seed_variance=_seed_variance(networks),
        left_out=left_out,
    )


def group_of(study: Study, networks: Sequence[Tried]) -> Ints:
    """The group of each of the networks by rising cost, -1 outside the study's budgets: (n,)."""
    costs = np.array([getattr(tried, study.metric) for tried in networks], dtype=np.float64)
    return _groups(study.bands, costs)[0]


def _is_shaped(tried: Tried) -> bool:
    """Whether it is a ConvNeXt-like network, whose shape the dimensions describe."""
    if tried.architecture.get("family") is not None:
        return False
    return tried.family in SHAPED or (tried.name or "").startswith("convnext_")


def dimensions(columns: Columns, count: int) -> dict[str, Floats]:
    """log2 of every dimension of `count` networks, (n,) each; no stage ratio for networks of one stage."""
    depth, width = _stacked(columns, "depth", count), _stacked(columns, "width", count)
    here = depth > 0
    present = here.sum(axis=1)
    found = {
        "depth": np.log2(depth.sum(axis=1)),
        "width": np.log2(width[:, 0]),
        "expansion": _mean_log(_expansion(columns, count), here),
        "kernel_size": _mean_log(_stacked(columns, "kernel_size", count), here),
    }
    if present.min(initial=9) >= 2:
        longest = np.arange(depth.shape[1]) == (present - 2)[:, None]
        found["stage_ratio"] = _mean_log(depth, longest) - _mean_log(depth, here & ~longest)
    return found


def _spread(columns: Columns, count: int) -> list[Floats]:
    """Octaves of each stage's kernel size and expansion over their mean, (n, stages) each."""
    logs = [
        np.log2(np.maximum(_stacked(columns, "kernel_size", count), 1)),
        np.log2(_expansion(columns, count)),
    ]
    return [np.asarray(one - one.mean(axis=1, keepdims=True)) for one in logs]


def _stacked(columns: Columns, name: str, count: int) -> Floats:
    """A field of all stages, (n, stages)."""
    fields = [np.broadcast_to(getattr(stage, name), count) for stage in columns.stages]
    return np.stack(fields, axis=1).astype(np.float64)


def _expansion(columns: Columns, count: int) -> Floats:
    """Of each stage, (n, stages); 1 where there is no such stage."""
    widest = np.maximum(_stacked(columns, "hidden", count), _stacked(columns, "out", count))
    width = _stacked(columns, "width", count)
    return np.asarray(np.where(width > 0, widest, 1.0) / np.maximum(width, 1))


def _mean_log(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Mean of log2 over the stages that are meant, (n,)."""
    logs = np.log2(np.where(where, values, 1.0))
    return np.asarray(logs.sum(axis=1) / np.maximum(where.sum(axis=1), 1))


def _groups(bands: Sequence[Mapping[str, Any]], costs: Floats) -> tuple[Ints, list[str]]:
    """The group of each network, -1 where it is in no band, and what the groups are called."""
    group = np.full(costs.size, -1, dtype=np.int64)
    ordered = sorted(bands, key=lambda band: float(band.get("low") or 0))
    for g, band in enumerate(ordered):
        low, high = float(band.get("low") or 0), float(band.get("high") or np.inf)
        group[(costs >= low) & (costs <= high) & (group < 0)] = g
    texts = [str(band.get("text") or "the budget") for band in ordered]
    inside = np.flatnonzero(group >= 0)
    if len(ordered) != 1 or inside.size < 2 or np.ptp(np.log(costs[inside])) < np.log(SPREAD):
        return group, texts
    bins = int(np.clip(inside.size // PER_BIN, 2, BINS))
    return _binned(costs, inside, bins)


def _binned(costs: Floats, inside: Ints, bins: int) -> tuple[Ints, list[str]]:
    """Bins of equally many networks by rising cost, named by the range of cost they hold."""
    from space.budget import quantity

    group = np.full(costs.size, -1, dtype=np.int64)
    texts = []
    parts = np.array_split(inside[np.argsort(costs[inside], kind="stable")], bins)
    for g, part in enumerate(parts):
        group[part] = g
        texts.append(f"{quantity(costs[part].min())} to {quantity(costs[part].max())}")
    return group, texts


def _indicators(architectures: Sequence[Architecture]) -> Floats:
    """One column for every level but the commonest of each setting without an order, (n, q)."""
    columns = []
    for values in _settings(architectures):
        levels, index, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
        if 1 < levels.size <= 6:
            others = np.delete(np.arange(levels.size), counts.argmax())
            columns.append((index[:, None] == others).astype(np.float64))
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(architectures), 0))


def _settings(architectures: Sequence[Architecture]) -> Iterator[list[str]]:
    for name in ("norm", "activation", "downsampling", "stem", "layer_scale", "head_norm"):
        yield [str(getattr(a, name)) for a in architectures]
    for name in ("style", "conv", "spatial", "grn", "norm_after", "act_after"):
        yield [str([getattr(stage, name) for stage in a.stages]) for a in architectures]


def _seed_variance(networks: Sequence[Tried]) -> float | None:
    """Of one training, pooled over the networks that were trained with several seeds."""
    repeated = [list(tried.accuracies.values()) for tried in networks if len(tried.accuracies) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    return float(sum(np.var(values) * len(values) for values in repeated)) / freedom


# ---- the optimum of one budget --------------------------------------------------------------------------


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
    between = max(float(residual @ residual) / freedom - float(own.mean()), 0.0)
    variance = between + own
    return np.asarray(variance.min() / variance) if variance.min() > 0 else np.ones(sample.error.size)


def resampled(group: Ints, resamples: int, seed: int) -> Floats:
    """How often each network is drawn, groups apart, with replacement: (resamples, n)."""
    rng = np.random.default_rng(seed)
    counts = np.zeros((resamples, group.size))
    for g in range(int(group.max(initial=-1)) + 1):
        rows = np.flatnonzero(group == g)
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
        raise InputError(f"isoflop: {dimension!r} is not one of {', '.join(sample.dimensions)}")
    x = sample.dimensions[dimension]
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
    low, high = (_exp2(end) for end in interval_of(draws, level))
    if not x.min() <= lowest <= x.max():
        return NotIdentified(_at_the_edge(lowest > x.max(), 2 ** x.min(), 2 ** x.max()), low, high)
    if high > FACTOR * low:
        return NotIdentified(_wide(low, high), low, high)
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


def _wide(low: float, high: float) -> str:
    """What is wrong with an interval that covers a factor over 3, or has no end."""
    ends = [end for end, open_ in (("below", low < 1e-3), ("above", not high < 1e6)) if open_]
    if ends:
        return f"the interval has no end {' and '.join(ends)}"
    return f"the interval {low:.3g} to {high:.3g} covers a factor over {FACTOR:g}"


def _exp2(octaves: float) -> float:
    """2 to a power that may be infinite, or too large for a number."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.exp2(octaves))


def interval_of(draws: Floats, level: float) -> tuple[float, float]:
    """Percentiles of draws, which may be infinite."""
    tail = (1 - level) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    return float(low), float(high)


# ---- how it moves ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PowerLaw:
    """x*(F) = a F^s of one dimension, over the budgets that have an optimum.

    `used` are their places among the groups; `middle` is log2 of the cost where `draws` (resamples, 2), log2
    of x* there and s, hardly depend on each other. `stretch` is the factor by which the budgets scatter more
    than their own intervals say; the draws have it.
    """

    dimension: str
    exponent: Answer
    used: tuple[int, ...]
    middle: float = 0.0
    point: tuple[float, float] = (0.0, 0.0)
    draws: Floats = field(repr=False, default_factory=lambda: np.zeros((0, 2)))
    stretch: float = 1.0

    @property
    def identified(self) -> bool:
        """Whether there is an exponent."""
        return isinstance(self.exponent, Estimate)

    def value(self, cost: float) -> float:
        """x* at a cost by the line that fits best, also where it is not identified."""
        return _exp2(self.point[0] + self.point[1] * (float(np.log2(cost)) - self.middle))

    def at(self, cost: float, level: float = LEVEL) -> Answer:
        """x* at a cost, of the metric that was fitted."""
        if not self.draws.size:
            assert isinstance(self.exponent, NotIdentified)
            return NotIdentified(self.exponent.reason, 0.0, float("inf"))
        octaves = np.log2(cost) - self.middle
        ends = interval_of(self.draws[:, 0] + self.draws[:, 1] * octaves, level)
        low, high = (_exp2(end) for end in ends)
        if high > FACTOR * low:
            return NotIdentified(_wide(low, high), low, high)
        return Estimate(self.value(cost), low, high)


def power_law(dimension: str, optima: Sequence[Optimum], level: float = LEVEL) -> PowerLaw:
    """The power law through the optima that are lowest points of a parabola, weighted by their intervals."""
    used = [i for i, one in enumerate(optima) if one.identified and one.method == PARABOLA]
    if len(used) < 2:
        some = "one budget has" if used else "none has"
        reason = f"of {len(optima)} budgets {some} an optimum; a power law needs two"
        return PowerLaw(dimension, NotIdentified(reason, -np.inf, np.inf), tuple(used))
    kept = [optima[i] for i in used]
    logs = np.log2([one.group.cost for one in kept])
    values = np.log2([one.answer.value for one in kept if isinstance(one.answer, Estimate)])
    ends = np.array([interval_of(one.draws, level) for one in kept])
    spread = np.maximum((ends[:, 1] - ends[:, 0]) / 2, 1e-6)
    weight = spread**-2
    middle = float(weight @ logs / weight.sum())
    line = _line(logs - middle, weight)
    point = line @ values
    # a draw without a lowest point lies somewhere beyond its interval
    far = 2 * (ends[:, 1] - ends[:, 0])[:, None]
    drawn = np.clip(np.stack([one.draws for one in kept]), ends[:, :1] - far, ends[:, 1:] + far)
    stretch = _stretch(values - point[0] - point[1] * (logs - middle), drawn)
    draws = point + ((line @ drawn).T - point) * stretch
    low, high = interval_of(draws[:, 1], level)
    answer: Answer = Estimate(float(point[1]), low, high)
    octaves = float(np.ptp(np.log2([one.group.cost for one in optima])))
    if (high - low) * octaves > np.log2(FACTOR):
        across = f"leaves a factor over {FACTOR:g} between the least and the largest budget"
        answer = NotIdentified(f"the interval {low:.2g} to {high:.2g} {across}", low, high)
    at_middle = (float(point[0]), float(point[1]))
    return PowerLaw(dimension, answer, tuple(used), middle, at_middle, draws, stretch)


def _line(x: Floats, weight: Floats) -> Floats:
    """(2, k): least squares of a line through k values, as value at x = 0 and slope."""
    columns = np.stack([np.ones_like(x), x], axis=1)
    return np.asarray(np.linalg.solve(columns.T @ (weight[:, None] * columns), columns.T * weight))


def _stretch(residual: Floats, drawn: Floats) -> float:
    """How much more the optima scatter about the line than resampling says, 1 at least.

    The square root of chi-squared over its degrees of freedom (Birge 1932; Particle Data Group), where it is
    so large in one of ten cases at most.
    """
    if residual.size < 3:
        return 1.0
    squares = residual**2 / np.maximum(drawn.var(axis=1), 1e-12)
    freedom = residual.size - 2
    usual = squares.sum() < special.chdtri(freedom, SCATTERED)
    return 1.0 if usual else float(max(1.0, np.sqrt(squares.sum() / freedom)))


# ---- everything at once ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Profiles:
    """By dimension: the optimum of each group, the power law over them, and the adjusted errors, (n,)."""

    sample: Sample
    optima: Mapping[str, tuple[Optimum, ...]]
    rules: Mapping[str, PowerLaw]
    adjusted: Mapping[str, Floats] = field(repr=False)
    level: float = LEVEL


def profiles(sample: Sample, *, level: float = LEVEL, resamples: int = RESAMPLES, seed: int = 0) -> Profiles:
    """Optima of every dimension at every budget, and how they move; intervals at `level`.

    Raises `InputError` for a level or a number of resamples that makes no interval.
    """
    if not 0 < level < 1 or resamples < 20:
        raise InputError(
            f"isoflop: level {level} and {resamples} resamples; between 0 and 1, and at least 20"
        )
    counts = resampled(sample.group, resamples, seed)
    optima, adjusted = {}, {}
    for name in sample.dimensions:
        optima[name], adjusted[name] = optima_of(sample, name, counts, level)
    rules = {name: power_law(name, found, level) for name, found in optima.items()}
    return Profiles(sample, optima, rules, adjusted, level)


def sample_from(
    cost: ArrayLike,
    error: ArrayLike,
    group: ArrayLike,
    dimensions: Mapping[str, ArrayLike],
    *,
    seeds: ArrayLike | None = None,
    seed_variance: float | None = None,
    categories: ArrayLike | None = None,
) -> Sample:
    """A sample of any origin: all (n,), `group` numbers 0 .. groups - 1, `dimensions` positive values.

    Raises `InputError`.
    """
    costs, errors = np.asarray(cost, dtype=np.float64), np.asarray(error, dtype=np.float64)
    index = np.asarray(group, dtype=np.int64)
    fields = {name: np.asarray(values, dtype=np.float64) for name, values in dimensions.items()}
    shapes = {costs.shape, errors.shape, index.shape, *(values.shape for values in fields.values())}
    if len(shapes) != 1 or costs.ndim != 1 or not costs.size:
        raise InputError("isoflop: cost, error, group and dimensions must have one number for each network")
    if set(index.tolist()) != set(range(int(index.max()) + 1)):
        raise InputError("isoflop: groups must be numbered from 0, none empty")
    if any(not (np.isfinite(values) & (values > 0)).all() for values in (costs, *fields.values())):
        raise InputError("isoflop: costs and dimensions must be positive")
    if not np.isfinite(errors).all():
        raise InputError("isoflop: errors must be finite")
    groups = tuple(
        Group(f"group {g + 1}", float(np.exp(np.log(costs[index == g]).mean())), int((index == g).sum()))
        for g in range(int(index.max()) + 1)
    )
    return Sample(
        networks=(),
        groups=groups,
        group=index,
        cost=costs,
        error=errors,
        seeds=np.ones(costs.size) if seeds is None else np.asarray(seeds, dtype=np.float64),
        dimensions={name: np.log2(values) for name, values in fields.items()},
        categories=np.zeros((costs.size, 0)) if categories is None else np.asarray(categories, dtype=float),
        seed_variance=seed_variance,
    )
