"""How well a score ranks trained networks: rank correlations with intervals, and a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from space.errors import InputError

LEVEL = 0.90  # of the intervals
# at tau .3, 81% of the best tenth of the networks are in the better half by the score; by chance 50%
# (both normal; at .2 it is 71%, at .5 95%)
WORTHWHILE = 0.3
ENOUGH = 15  # networks; an interval of tau is 0.5 to 0.7 wide then (studies/scores)
FEWEST = 3  # networks: of two there is one pair, and no spread
RESAMPLES = 4000  # the end of a 90% interval stands at 5% of the draws, give or take 0.3%
BASELINES = ("flops", "params")


Floats = NDArray[np.float64]
OFFERED = "offered"
NOT_OFFERED = "not offered"
NO_RELATION = "not distinguishable from no relation"


@dataclass(frozen=True)
class RankInterval:
    """A rank correlation with its bootstrap interval; all None where it is not defined (a constant)."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "-"
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


@dataclass(frozen=True)
class Relation:
    """A score against trained accuracy: both correlations, what is gained on the baselines, and the verdict.

    `gain` is tau minus the better baseline's, with its interval; None for a baseline itself.
    """

    score: str
    networks: int
    tau: RankInterval
    rho: RankInterval
    gain: RankInterval | None
    verdict: str
    reason: str


def relations(
    scores: Mapping[str, ArrayLike], accuracies: ArrayLike, *, resamples: int = RESAMPLES
) -> list[Relation]:
    """Every score [n] against the accuracies [n], networks resampled alike for all of them.

    `scores` should hold `BASELINES`; without them no gain is asked for. Networks for which a score is not
    finite do not count for it. Raises `InputError`.
    """
    y = _checked("accuracies", accuracies, None)
    columns = {name: _checked(name, values, len(y)) for name, values in scores.items()}
    if not np.isfinite(y).all():
        raise InputError("accuracies: not all are finite")
    if len(y) < FEWEST:
        raise InputError(f"{len(y)} networks: a rank correlation needs at least {FEWEST}")
    draws = drawn(len(y), resamples)
    taus = {name: tau_b(x, y, draws) for name, x in columns.items()}
    return [_relation(name, x, y, draws, taus) for name, x in columns.items()]


def drawn(count: int, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """How often each of n networks is drawn, [1 + resamples, n]: first as they are, then the resamples."""
    weights = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    return np.vstack([np.ones((1, count)), weights])


def _checked(name: str, values: ArrayLike, length: int | None) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or (length is not None and len(array) != length):
        expected = "one number a network" if length is None else f"{length} numbers, one a network"
        raise InputError(f"{name}: must be {expected}, not an array of shape {array.shape}")
    return array


def _relation(name: str, x: Floats, y: Floats, draws: Floats, taus: Mapping[str, Floats]) -> Relation:
    tau, rho = interval(taus[name]), interval(spearman(x, y, draws))
    others = [taus[other] for other in BASELINES if other in taus and other != name]
    gain = None if name in BASELINES or not others else interval(_gain(taus[name], others))
    networks = int(np.isfinite(x).sum())
    return Relation(name, networks, tau, rho, gain, *_verdict(networks, tau, gain))


def _gain(tau: Floats, others: Sequence[Floats]) -> Floats:
    """Tau minus that of the best baseline, draw by draw; a baseline may as well be used upside down."""
    # which way is decided by the networks as they are, not anew in each draw: that would favour the baseline
    signed = [other * np.sign(other[0]) for other in others if np.isfinite(other[0])]
    best = max(signed, key=lambda other: float(other[0]), default=np.zeros_like(tau))
    return np.asarray(tau - best)


def _verdict(networks: int, tau: RankInterval, gain: RankInterval | None) -> tuple[str, str]:
    """The verdict and, in a few words, why."""
    if tau.value is None or tau.low is None or tau.high is None:
        return NO_RELATION, "constant"
    if tau.low <= 0 <= tau.high:
        return NO_RELATION, "the interval of tau holds 0"
    objections = {
        "negative": tau.high < 0,
        f"fewer than {ENOUGH} networks": networks < ENOUGH,
        f"tau may be {WORTHWHILE} or less": tau.low <= WORTHWHILE,
        "no better than FLOPs or parameters": gain is not None and (gain.low is None or gain.low <= 0),
    }
    reason = next((reason for reason, holds in objections.items() if holds), "")
    return NOT_OFFERED if reason else OFFERED, reason


def interval(draws: Floats, level: float = LEVEL) -> RankInterval:
    """The first draw with the percentile interval of the others; undefined draws are left out."""
    resampled = draws[1:][np.isfinite(draws[1:])]
    if not math.isfinite(draws[0]) or len(resampled) == 0:
        return RankInterval(None, None, None)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return RankInterval(float(draws[0]), float(low), float(high))


def tau_b(x: Floats, y: Floats, counts: ArrayLike, among: NDArray[np.bool_] | None = None) -> Floats:
    """Kendall's tau-b for each row of `counts` [B, n], how often every network is drawn; nan where undefined.

    A network drawn twice is tied with itself, in both rankings. Networks without a finite x have no weight.
    `among` [n, n] has the pairs that count; all by default.
    """
    x, weights = _known(x, np.asarray(counts, dtype=float))
    # signs of all pairs once; a resample only weighs them, by how often both were drawn
    signs_x, signs_y = (np.sign(v[:, None] - v) * (1 if among is None else among) for v in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        agree, untied_x, untied_y = (
            ((weights @ pairs) * weights).sum(axis=1)
            for pairs in (signs_x * signs_y, abs(signs_x), abs(signs_y))
        )
        return np.asarray(agree / np.sqrt(untied_x * untied_y))


def spearman(x: Floats, y: Floats, counts: ArrayLike) -> Floats:
    """Spearman's rho (ties share their mean rank) for each row of `counts` [B, n]; nan where undefined."""
    x, weights = _known(x, np.asarray(counts, dtype=float))
    total = weights.sum(axis=1, keepdims=True)
    centred = []
    for values in (x, y):
        below = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
        ranks = weights @ below.T  # up to a constant
        centred.append(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)
    a, b = centred
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
        # a constant's ranks differ from their mean by rounding only
        return np.where(spread > 1e-9, (weights * a * b).sum(axis=1) / spread, np.nan)


def _known(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(x)
    return np.where(known, x, 0.0), weights * known
