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
    theta = np.clip(theta, low, high)
    value, slopes = log_error(theta, x, y)
    loss, damping = _huber(target - value, delta), np.full(len(theta), 1e-2)
    for _ in range(STEPS):
        rest = target - value
        weighted = slopes * np.minimum(1, delta / np.maximum(np.abs(rest), 1e-300))[..., None]
        pull = np.matmul(rest[:, None, :], weighted)[:, 0]
        free = ~(((theta <= low) & (pull < 0)) | ((theta >= high) & (pull > 0)))
        square = np.matmul(weighted.transpose(0, 2, 1), slopes) * (free[:, :, None] & free[:, None, :])
        diagonal = np.einsum("mkk->mk", square)
        square = square + np.eye(SIZE) * (damping[:, None] * diagonal + ~free + 1e-14)[:, None, :]
        step = np.linalg.solve(square, (pull * free)[..., None])[..., 0]
        ahead = np.clip(theta + np.clip(step, -FAR, FAR), low, high)
        value_there, slopes_there = log_error(ahead, x, y)
        loss_there = _huber(target - value_there, delta)
        better = loss_there < loss
        done = np.where(better, loss - loss_there < ENOUGH * loss, damping > 1e4)
        theta = np.where(better[:, None], ahead, theta)
        value = np.where(better[:, None], value_there, value)
        slopes = np.where(better[:, None, None], slopes_there, slopes)
        loss = np.where(better, loss_there, loss)
        damping = np.clip(np.where(better, damping / 4, damping * 5), 1e-9, 1e9)
        if done.all():
            break
    return theta, loss


def _huber(rest: Floats, delta: float) -> Floats:
    size = np.abs(rest)
    inner = np.minimum(size, delta)
    return np.asarray((inner * (size - inner / 2)).sum(axis=-1))
