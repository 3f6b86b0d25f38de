"""Noise of a grid of trainings, drawn again: a part of the network, a part of the training.

What a network is better or worse than the law says, it is at every D: residuals drawn one by one would give
intervals that hold half as often as they say (measured: studies/scaling/README.md). The two variances follow
from what is left of the residuals within networks, and from their sums over a network (Henderson 1953, method
3). Few networks tell the first one badly, so each draw has its own two variances, chi-squared as the squares
that they are taken from (generalised confidence intervals, Weerahandi 1993): Student's t, as it were.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from analysis.laws.joint_descent import log_error
from analysis.laws.law import Floats


def resampled(
    x: Floats,
    y: Floats,
    target: Floats,
    network: NDArray[np.intp],
    theta: Floats,
    bounds: tuple[Floats, Floats],
    resamples: int,
    seed: int,
) -> tuple[Floats, Floats]:
    """Logarithms of the error [resamples, n], the law at `theta` (5,) with noise drawn again; and the noise's
    standard deviation in each [resamples]."""
    value, slopes = (found[0] for found in log_error(theta[None], x, y))
    rest = target - value
    free = slopes[:, (theta > bounds[0]) & (theta < bounds[1])]
    of = (network[:, None] == np.unique(network)).astype(np.float64)  # [n, networks]
    rng = np.random.default_rng(seed)
    own, shared = _variances(rest, free, of, resamples, rng)
    noise = np.sqrt(own)[:, None] * rng.standard_normal((resamples, rest.size))
    noise += np.sqrt(shared)[:, None] * rng.standard_normal((resamples, of.shape[1])) @ of.T
    return value + noise, np.sqrt(own + shared)


def _variances(
    rest: Floats, free: Floats, of: Floats, resamples: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Variances of a training and of a network, each [resamples]."""
    fit, both = _basis(free), _basis(np.hstack([free, of]))
    trainings = rest.size
    freedom = trainings - both.shape[1]
    # networks hardly repeat: their part cannot be told from the other
    if of.shape[1] == trainings or freedom < 1:
        left = max(trainings - fit.shape[1], 1)
        return rest @ rest / rng.chisquare(left, resamples), np.zeros(resamples)
    inside = rest - both @ (both.T @ rest)
    own = inside @ inside / rng.chisquare(freedom, resamples)
    # E |of' rest|^2 = shared tr(QK QK) + own tr(QK), with Q what the fit leaves and K = of of'
    kept = of - fit @ (fit.T @ of)
    product = kept.T @ of
    trace, squares = float(np.trace(product)), float(np.sum(product * product.T))
    sums = of.T @ rest
    like = trace**2 / squares  # degrees of freedom (Satterthwaite 1946)
    between = sums @ sums * like / rng.chisquare(like, resamples)
    # an estimate of a variance may come out below 0, a variance may not
    return own, np.maximum(0.0, (between - own * trace) / squares)


def _basis(columns: Floats) -> Floats:
    """Orthonormal, of the space that the columns span."""
    basis, sizes, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-8 * sizes[0]])
