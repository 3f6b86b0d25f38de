"""Bayesian optimisation inside the band: a Gaussian process over all results, and the network that it expects
to improve most on the best (expected improvement, Jones et al. 1998, section 4).

Candidates are drawn uniformly in the band and improved by in-band steps: costs are closed forms, so no
candidate outside the band is ever scored, and thousands are scored in a fraction of a second.

The front over a wide band is sought one stratum of costs at a time: maximise accuracy where the cost is at
most so much (the epsilon-constraint method, Haimes et al. 1971, "On a bicriterion formulation of the problems
of integrated system identification and system optimization"). Improvement is then over the best known network
that costs no more than the stratum's upper end, whichever stratum it is of; one model learns from all.

Networks still in training count with their predicted accuracy, so that the next is sought elsewhere
(the kriging believer of Ginsbourger et al. 2010, section 4.2).
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nas.samplers.encoding import Encoder
from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from nas.samplers.sampler import InTurn, Search
from space.columns import Array

# more random results than this teach the model less than its own choices do
MOST_STARTUP = 8
POOL = 2000
# the best results and the latest ones that the model learns from: its time grows with their cube
SEEN = (100, 100)
# the model's best candidates, whose neighbourhoods are searched, so many times
CLIMBERS, CLIMBS = 10, 3
# random pairs of steps tried, for every single step
PAIRS = 4
# the grid of hyperparameters: share of the variance that is additive, and of that the costs' own share beyond
# what they have as some of many features (on real tables more parameters in the band are often simply
# better); length (of distances whose root mean square is 1); share of a result's variance that is seed noise
ADDITIVE = ((0.0, 0.0), (0.5, 0.0), (0.5, 0.5), (0.9, 0.0), (0.9, 0.5))
LENGTHS = (0.5, 1.0, 2.0)
NOISES = (0.02, 0.1, 0.3)
# models that are this much less likely than the best are left out
NEGLIGIBLE = 0.05
# thousands of candidates are scored in half the digits, which a choice among them does not need
QUICK = np.float32
# of the better half's scales below the median: a collapsed training should not be the whole scale
LEAST = -5.0


# of known networks with others: the additive part by the costs' share of it, the Matern part by length
Shared = tuple[dict[float, Array], dict[float, Array]]


@dataclass(frozen=True)
class Known:
    """What the model learns from, and which networks it may assume.

    `pending` [P, F] are in training; `spread` [M, F] are typical networks of the whole band, by which
    features are scaled (None: those of the pool); `ceiling` is the most that a network to improve on costs.
    """

    history: History
    pending: Array
    spread: Array | None = None
    ceiling: float = math.inf

    @property
    def below(self) -> Array:
        """Which results are to be improved on, [N]."""
        return np.asarray(self.history.cost <= self.ceiling)


class Surrogate(InTurn):
    """A Gaussian process over all results, asked for the network of most promise in each stratum."""

    most_startup = MOST_STARTUP

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        self._encoder = Encoder(search.space)

    def within(self, stratum: int, rng: np.random.Generator) -> Array:
        """The unseen network of the highest expected improvement found, [F]."""
        feasible = self.search.strata.parts[stratum]
        return improve(self._known(feasible, rng), feasible, self._encoder, rng)

    def _known(self, feasible: Feasible, rng: np.random.Generator) -> Known:
        search = self.search
        history = search.results(*SEEN)
        pending = search.history(search.pending()).codes
        if not search.front:
            return Known(history, pending)
        each = POOL // len(search.strata)
        spread = np.concatenate([part.band.sample_codes(each, rng) for part in search.strata.parts])
        return Known(history, pending, spread, feasible.band.budget.high)


def improve(known: Known, feasible: Feasible, encoder: Encoder, rng: np.random.Generator) -> Array:
    """The unseen network of the band with the highest expected improvement found, [F].

    Raises `ExhaustedError` where none is left.
    """
    pool = feasible.pool(POOL, rng)
    history = known.history
    if len(history) < 2 or not len(pool):
        return feasible.draw(rng)
    model = Model(known, pool if known.spread is None else known.spread, encoder)
    if feasible.listed(POOL):
        return np.asarray(_scored(pool, model)[0])
    order = np.argsort(-history.accuracy, kind="stable")
    # the neighbourhoods of the best results as well as of the best draws
    best = history.codes[order[known.below[order]][:CLIMBERS]]
    tops = _scored(np.concatenate([pool, _around(best, feasible, rng)]), model)
    for _ in range(CLIMBS):
        nearby = {tuple(code): None for code in [*tops.tolist(), *_around(tops, feasible, rng).tolist()]}
        tops = _scored(np.array(list(nearby)), model)
    return np.asarray(tops[0])


def _around(codes: Array, feasible: Feasible, rng: np.random.Generator) -> Array:
    """Unseen in-band codes one step from `codes`, or two random ones, which together may stay in the band."""
    near = [codes[:0]]
    for code in codes:
        steps = feasible.space.neighbour_codes(code)
        if len(steps):
            first, second = steps[rng.integers(len(steps), size=(2, PAIRS * len(steps)))]
            # both steps at once: each changes one factor, the second one where they meet
            near += [steps, np.where(second != code, second, first)]
    return feasible.only(np.concatenate(near))


def _scored(codes: Array, model: Model) -> Array:
    """The most promising of the codes, best first."""
    return np.asarray(codes[np.argsort(-model.improvement(codes), kind="stable")[:CLIMBERS]])


def standardised(accuracy: Array) -> Array:
    """Accuracies on the scale of their better half, the worst no further down than `LEAST`, mean 0, [N].

    Bad networks are worse by more than good ones are better: on the scale of all, good ones would look alike.
    """
    middle = float(np.median(accuracy))
    better = accuracy[accuracy >= middle] - middle
    scale = math.sqrt(float(np.mean(better**2))) or 1.0
    held = np.maximum((accuracy - middle) / scale, LEAST)
    return np.asarray(held - held.mean())


def _expected(gain: Array, deviation: Array) -> Array:
    """The mean of the positive part of normal variables, [N]."""
    from scipy.special import ndtr  # type: ignore[import-untyped]  # 0.3 s that the first trials do without

    z = gain / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(gain * ndtr(z) + deviation * density)


@dataclass(frozen=True)
class GpFit:
    """One Gaussian process of the mixture: its weight, its kernel, and the results' covariance, solved."""

    weight: float
    additive: tuple[float, float]
    length: float
    noise: float
    scale: float  # variance of the standardised accuracies
    factor: Array  # the lower Cholesky factor of the covariance, networks in training included
    solved: Array  # the inverse covariance of the results times the accuracies
    best: float  # the highest predicted accuracy of the networks to improve on


class Model:
    """Gaussian processes over a grid of hyperparameters, each weighed by its marginal likelihood.

    The covariance of two networks is additive over their features and those' squares, plus Matern 5/2 in
    their distance. With the few results of a search a mixture is steadier than one optimum of the likelihood.
    """

    def __init__(self, known: Known, spread: Array, encoder: Encoder) -> None:
        self._encoder = encoder
        # how features are scaled: by networks of the whole band
        raw = self._raw(spread)
        self._mean, deviation = raw.mean(axis=0), raw.std(axis=0)
        # features that are the same all over the band tell nothing, and cannot be scaled
        self._varied = np.flatnonzero(deviation > 1e-9)
        self._deviation = deviation[self._varied]
        closed = raw.shape[1] - len(encoder.positions)
        first = len(encoder.positions)
        is_cost = (self._varied >= first) & (self._varied < first + encoder.costs)
        # closed forms are numbers, as positions are
        self._numbers = np.pad(encoder.positions, (0, closed), constant_values=True)[self._varied]
        # of the features of the additive part, by the costs' share: z and squares
        costs = np.concatenate([is_cost, is_cost[self._numbers]])
        variances = np.concatenate([np.ones(len(is_cost)), np.full(self._numbers.sum(), 2.0)])
        most = variances.sum() / max(variances[costs].sum(), 1)  # the costs alone, as if there were no other
        self._weights = {share: 1 - share + share * most * costs for _, share in ADDITIVE}
        # what is known: results first, then networks in training, which have no target
        history, self._below = known.history, known.below
        self._near, self._features = self._seen_as(np.concatenate([history.codes, known.pending]))
        self._targets = standardised(history.accuracy)
        # a process for each point of the grid, the likely ones kept
        shared = self._shared(self._near, self._features, LENGTHS)
        fits = [self._fit(shared, grid) for grid in itertools.product(ADDITIVE, LENGTHS, NOISES)]
        likeliest = max(fit.weight for fit in fits)
        # less the largest first: the likelihoods themselves would underflow
        relative = [math.exp(fit.weight - likeliest) for fit in fits]
        self._fits = [
            self._believing(shared, dataclasses.replace(fit, weight=weight))
            for fit, weight in zip(fits, relative, strict=True)
            if weight > NEGLIGIBLE
        ]
        self._lengths = tuple({fit.length: None for fit in self._fits})

    def improvement(self, codes: Array) -> Array:
        """Expected improvement on the best known network, in standard deviations of the results, [N]."""
        near, features = self._seen_as(codes)
        shared = self._shared(near, features, self._lengths, QUICK)
        own = {share: features**2 @ weights for share, weights in self._weights.items()}
        total = np.zeros(len(codes))
        for fit in self._fits:
            # the best by the model: the best result is partly its seed's luck
            mean, deviation = self._predicted(fit, shared, own)
            total += fit.weight * _expected(mean - fit.best, deviation)
        return total / sum(fit.weight for fit in self._fits)

    def _raw(self, codes: Array) -> Array:
        return np.concatenate([self._encoder.encode(codes), self._encoder.closed_form(codes)], axis=1)

    def _seen_as(self, codes: Array) -> tuple[Array, Array]:
        """Features whose distances count (root mean square 1 in the band), and those of the additive part."""
        z = (self._raw(codes)[:, self._varied] - self._mean[self._varied]) / self._deviation
        squares = z[:, self._numbers] ** 2 - 1  # an indicator's square says nothing new
        features = np.concatenate([z, squares], axis=1)
        # two networks of the band are 2 apart in each squared feature of variance 1; a network's own additive
        # covariance is 1 in the mean, for the square of a normal less 1 has variance 2
        most = max(z.shape[1], 1)
        return z / math.sqrt(2 * most), features / math.sqrt(most + 2 * squares.shape[1])

    def _shared(
        self,
        near: Array,
        features: Array,
        lengths: Sequence[float],
        kind: type[np.floating[Any]] = np.float64,
    ) -> Shared:
        """The additive part by the costs' share, the Matern part by length, of known with others, [n, N]."""
        known, near = self._near.astype(kind), near.astype(kind)
        # |a - b|^2 = |a|^2 + |b|^2 - 2 ab: one matrix product; rounding may leave it below 0
        squares = (known**2).sum(axis=1)[:, None] + (near**2).sum(axis=1) - 2 * known @ near.T
        distance = np.sqrt(5 * np.maximum(squares, 0))
        smooth = {}
        for length in lengths:
            # Matern 5/2 (Rasmussen and Williams 2006, section 4.2.1)
            scaled = distance / length
            smooth[length] = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        features, own = features.astype(kind), self._features.astype(kind)
        return {
            share: (own * weights.astype(kind)) @ features.T for share, weights in self._weights.items()
        }, smooth

    def _fit(self, shared: Shared, grid: tuple[tuple[float, float], float, float]) -> GpFit:
        """`weight` is the logarithm of the marginal likelihood, its scale at the maximum."""
        from scipy.linalg import solve_triangular  # type: ignore[import-untyped]

        additive, length, noise = grid
        n = len(self._targets)
        # [:n]: networks in training have no result to fit
        true = _covariance(shared, additive, length, noise)[:n, :n]
        factor = np.linalg.cholesky(true + noise * np.eye(n))
        white = solve_triangular(factor, self._targets, lower=True, check_finite=False)
        solved = solve_triangular(factor, white, lower=True, trans="T", check_finite=False)
        scale = max(float(white @ white) / n, 1e-12)  # 0 where all results are equal
        # without what all of the grid have in common
        weight = -n / 2 * math.log(scale) - float(np.log(np.diag(factor)).sum())
        predicted = true @ solved
        # where nothing so cheap is known, everything improves: on the worst that is known
        best = predicted[self._below].max() if self._below.any() else predicted.min()
        return GpFit(weight, additive, length, noise, scale, factor, solved, float(best))

    def _believing(self, shared: Shared, fit: GpFit) -> GpFit:
        """A fit that is as sure near networks in training as if they had come out as it predicts."""
        count = len(self._near)
        if count == len(self._targets):
            return fit
        covariance = _covariance(shared, fit.additive, fit.length, fit.noise) + fit.noise * np.eye(count)
        return dataclasses.replace(fit, factor=np.linalg.cholesky(covariance))

    def _predicted(self, fit: GpFit, shared: Shared, own: Mapping[float, Array]) -> tuple[Array, Array]:
        """Mean and standard deviation of true accuracies, standardised, [N] each."""
        from scipy.linalg import solve_triangular

        across = _covariance(shared, fit.additive, fit.length, fit.noise)
        # a network's covariance with itself: additive by its features, 1 in the Matern part
        additive, share = fit.additive
        prior = (1 - fit.noise) * (additive * own[share] + 1 - additive)
        white = solve_triangular(fit.factor.astype(QUICK), across, lower=True, check_finite=False)
        variance = fit.scale * np.maximum(prior - (white**2).sum(axis=0), 1e-9)
        # what is only believed moves no mean
        return across[: len(self._targets)].T @ fit.solved.astype(QUICK), np.sqrt(variance)


def _covariance(shared: Shared, additive: tuple[float, float], length: float, noise: float) -> Array:
    """The covariance of true accuracies, in parts of a result's variance."""
    share, costs = additive
    linear, smooth = shared
    return np.asarray((1 - noise) * (share * linear[costs] + (1 - share) * smooth[length]))
