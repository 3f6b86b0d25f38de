"""Bayesian optimisation inside the band: a Gaussian process over all results, and the network that it expects
to improve most on the best (expected improvement, Jones et al. 1998, section 4).

Candidates are drawn uniformly in the band and improved by in-band steps: costs are closed forms, so no
candidate outside the band is ever scored, and thousands are scored in a fraction of a second.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr  # type: ignore[import-untyped]

from nas.samplers.encoding import Encoder
from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from space.columns import Array

# more random results than this teach the model less than its own choices do
MOST_STARTUP = 8
POOL = 2000
# the model's best candidates, whose neighbourhoods are searched, so many times
CLIMBERS, CLIMBS = 10, 3
# random pairs of steps tried, for every single step
PAIRS = 4
# the grid of hyperparameters: share of the variance that is additive, length (of distances whose root mean
# square is 1), share of a result's variance that is seed noise
ADDITIVE = (0.0, 0.5, 0.9)
LENGTHS = (0.5, 1.0, 2.0)
NOISES = (0.02, 0.1, 0.3)
# models that are this much less likely than the best are left out
NEGLIGIBLE = 0.05
LEAST = -3.0  # standardised accuracies; a collapsed training should not be the whole scale


def improve(history: History, feasible: Feasible, encoder: Encoder, rng: np.random.Generator) -> Array:
    """The unseen network of the band with the highest expected improvement found, [F].

    Raises `ExhaustedError` where none is left.
    """
    pool = feasible.only(feasible.band.sample_codes(POOL, rng))
    if len(history) < 2 or not len(pool):
        return feasible.draw(rng)
    model = Model(history, pool, encoder)
    best = history.codes[np.argsort(-history.accuracy, kind="stable")[:CLIMBERS]]
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
            near += [steps, np.where(second != code, second, first)]
    return feasible.only(np.concatenate(near))


def _scored(codes: Array, model: Model) -> Array:
    """The most promising of the codes, best first."""
    return np.asarray(codes[np.argsort(-model.improvement(codes), kind="stable")[:CLIMBERS]])


def _expected(gain: Array, deviation: Array) -> Array:
    """The mean of the positive part of normal variables, [N]."""
    z = gain / deviation
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(gain * ndtr(z) + deviation * density)


@dataclass(frozen=True)
class Fit:
    """One Gaussian process of the mixture: its weight, its kernel, and the results' covariance, solved."""

    weight: float
    additive: float
    length: float
    noise: float
    scale: float  # variance of the standardised accuracies
    inverse: Array  # of the covariance's lower Cholesky factor
    solved: Array  # the inverse covariance times the accuracies
    best: float  # the highest predicted accuracy of the networks tried


class Model:
    """Gaussian processes over a grid of hyperparameters, each weighed by its marginal likelihood.

    The covariance of two networks is additive over their features and those' squares, plus Matern 5/2 in
    their distance. With the few results of a search a mixture is steadier than one optimum of the likelihood.
    """

    def __init__(self, history: History, pool: Array, encoder: Encoder) -> None:
        self._encoder = encoder
        raw = self._raw(pool)
        self._mean, deviation = raw.mean(axis=0), raw.std(axis=0)
        self._varied = np.flatnonzero(deviation > 1e-9)
        self._deviation = deviation[self._varied]
        closed = raw.shape[1] - len(encoder.positions)
        self._numbers = np.pad(encoder.positions, (0, closed), constant_values=True)[self._varied]
        self._near, self._features = self._seen_as(history.codes)
        spread = float(history.accuracy.std()) or 1.0
        self._targets = np.maximum((history.accuracy - history.accuracy.mean()) / spread, LEAST)
        shared = self._shared(self._near, self._features)
        fits = [self._fit(shared, grid) for grid in itertools.product(ADDITIVE, LENGTHS, NOISES)]
        likeliest = max(fit.weight for fit in fits)
        relative = [math.exp(fit.weight - likeliest) for fit in fits]
        self._fits = [
            dataclasses.replace(fit, weight=weight)
            for fit, weight in zip(fits, relative, strict=True)
            if weight > NEGLIGIBLE
        ]

    def improvement(self, codes: Array) -> Array:
        """Expected improvement on the best network tried, in standard deviations of the results, [N]."""
        near, features = self._seen_as(codes)
        shared = self._shared(near, features)
        own = (features**2).sum(axis=1)
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
        most = max(z.shape[1], 1)
        return z / math.sqrt(2 * most), features / math.sqrt(most + 2 * squares.shape[1])

    def _shared(self, near: Array, features: Array) -> tuple[Array, dict[float, Array]]:
        """The additive part and the Matern part by length of the results with other networks, [n, N] each."""
        squares = (self._near**2).sum(axis=1)[:, None] + (near**2).sum(axis=1) - 2 * self._near @ near.T
        distance = np.sqrt(5 * np.maximum(squares, 0))
        smooth = {}
        for length in LENGTHS:
            scaled = distance / length
            smooth[length] = (1 + scaled + scaled**2 / 3) * np.exp(-scaled)
        return self._features @ features.T, smooth

    def _fit(self, shared: tuple[Array, dict[float, Array]], grid: tuple[float, float, float]) -> Fit:
        """`weight` is the logarithm of the marginal likelihood, its scale at the maximum."""
        additive, length, noise = grid
        true = (1 - noise) * (additive * shared[0] + (1 - additive) * shared[1][length])
        n = len(self._targets)
        factor = np.linalg.cholesky(true + noise * np.eye(n))
        inverse = np.linalg.inv(factor)
        white = inverse @ self._targets
        solved = inverse.T @ white
        scale = max(float(white @ white) / n, 1e-12)  # 0 where all results are equal
        weight = -n / 2 * math.log(scale) - float(np.log(np.diag(factor)).sum())
        return Fit(weight, additive, length, noise, scale, inverse, solved, float((true @ solved).max()))

    def _predicted(
        self, fit: Fit, shared: tuple[Array, dict[float, Array]], own: Array
    ) -> tuple[Array, Array]:
        """Mean and standard deviation of true accuracies, standardised, [N] each."""
        additive, smooth = shared
        across = (1 - fit.noise) * (fit.additive * additive + (1 - fit.additive) * smooth[fit.length])
        prior = (1 - fit.noise) * (fit.additive * own + 1 - fit.additive)
        known = ((fit.inverse @ across) ** 2).sum(axis=0)
        variance = fit.scale * np.maximum(prior - known, 1e-9)
        return across.T @ fit.solved, np.sqrt(variance)
