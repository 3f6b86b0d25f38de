"""log(E + A N^-alpha + B D^-beta), and descents to where Huber's loss of it is least, many at once.

Parameters are (log E, a, b, log alpha, log beta), with a and b the logarithms of the two falling terms in the
middle of the data; x and y are log N and log D around it.
"""

from __future__ import annotations

import numpy as np

from analysis.laws.law import Floats

SIZE = 5  # parameters
STEPS = 100
FAR = 2.0  # a step of a logarithm, at most: beyond, the slopes say nothing
ENOUGH = 1e-7  # of the loss, gained in a step


def log_error(theta: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Logarithms [m, n] at `theta` [m, 5], x and y [n] or [m, n], and their derivatives [m, n, 5]."""
    alpha, beta = np.exp(theta[:, 3:4]), np.exp(theta[:, 4:5])
    falling = theta[:, 1:2] - alpha * x, theta[:, 2:3] - beta * y
    terms = np.stack([np.broadcast_to(theta[:, :1], falling[0].shape), *falling], axis=-1)
    top = terms.max(axis=-1, keepdims=True)  # or a power far from the data would overflow
    parts = np.exp(terms - top)
    total = parts.sum(axis=-1, keepdims=True)
    share = parts / total
    by_alpha, by_beta = -share[..., 1] * alpha * x, -share[..., 2] * beta * y
    slopes = np.concatenate([share, by_alpha[..., None], by_beta[..., None]], axis=-1)
    return (np.log(total) + top)[..., 0], slopes


def descend(
    theta: Floats, x: Floats, y: Floats, target: Floats, delta: float, bounds: tuple[Floats, Floats]
) -> tuple[Floats, Floats]:
    """Parameters [m, 5] and loss [m] from starts `theta` [m, 5]; `target` is [n], or [m, n].

    Levenberg and Marquardt's steps, reweighted by Huber's loss; a parameter at a bound stays while its slope
    pushes it out.
    """
    low, high = bounds
    found = np.clip(theta, low, high)
    targets = np.broadcast_to(target, (len(found), target.shape[-1]))
    least = _huber(targets - log_error(found, x, y)[0], delta)
    damping = np.full(len(found), 1e-2)
    going = np.arange(len(found))  # those that still descend: a few flat ones take many steps
    for _ in range(STEPS):
        here, aim = found[going], targets[going]
        ahead = np.clip(here + _step(here, x, y, aim, delta, damping[going], bounds), low, high)
        loss = _huber(aim - log_error(ahead, x, y)[0], delta)
        better = loss < least[going]
        # no gain from so short a step either: at the bottom, as far as floats can tell
        done = np.where(better, least[going] - loss < ENOUGH * loss, damping[going] > 1e4)
        found[going[better]], least[going[better]] = ahead[better], loss[better]
        # nearer to Gauss and Newton's step after one that helped, much shorter after one that did not
        damping[going] = np.clip(damping[going] * np.where(better, 0.25, 5.0), 1e-9, 1e9)
        going = going[~done]
        if not going.size:
            break
    return found, least


def _step(
    theta: Floats,
    x: Floats,
    y: Floats,
    target: Floats,
    delta: float,
    damping: Floats,
    bounds: tuple[Floats, Floats],
) -> Floats:
    value, slopes = log_error(theta, x, y)
    rest = target - value
    # Huber's loss as squares with weights: 1 up to delta, beyond it less by as much as a residual is more
    weighted = slopes * np.minimum(1, delta / np.maximum(np.abs(rest), 1e-300))[..., None]
    pull = np.matmul(rest[:, None, :], weighted)[:, 0]
    free = ~(((theta <= bounds[0]) & (pull < 0)) | ((theta >= bounds[1]) & (pull > 0)))
    square = np.matmul(weighted.transpose(0, 2, 1), slopes) * (free[:, :, None] & free[:, None, :])
    diagonal = np.einsum("mkk->mk", square)
    # a held parameter has 1 on its diagonal and nothing else, so that it stays
    square = square + np.eye(SIZE) * (damping[:, None] * diagonal + ~free + 1e-14)[:, None, :]
    return np.clip(np.linalg.solve(square, (pull * free)[..., None])[..., 0], -FAR, FAR)


def _huber(rest: Floats, delta: float) -> Floats:
    size = np.abs(rest)
    inner = np.minimum(size, delta)  # t^2 / 2 up to delta, delta (t - delta / 2) beyond
    return np.asarray((inner * (size - inner / 2)).sum(axis=-1))
