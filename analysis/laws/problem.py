"""The least-squares problem behind a fit: linear parameters solved for, exponents searched on a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.law import Floats, Law
from analysis.laws.losses import LossShape
from space.errors import InputError

# a side of the grid of exponents that descents start from, by the number of axes
GRID_POINTS = {1: 121, 2: 45}


@dataclass(frozen=True)
class Problem:
    """One observation a network: `weight` is 1 / noise^2, or 1 where the noise is to be estimated."""

    law: Law
    logs: Floats
    log_unit: float
    error: Floats
    weight: Floats
    noise_known: bool
    loss: LossShape

    @property
    def undetermined(self) -> bool:
        """Nothing is left of the data to tell their noise by."""
        return not self.noise_known and self.error.size <= len(self.law.parameters)

    @classmethod
    def of(
        cls,
        law: Law,
        flops: ArrayLike,
        error: ArrayLike,
        network: ArrayLike | None,
        noise: ArrayLike | None,
        loss: LossShape,
    ) -> Problem:
        """The problem of a law and data. Raises `InputError`."""
        logs, errors = log_flops(flops), np.asarray(error, dtype=np.float64)
        if errors.shape != logs.shape or not (np.isfinite(errors) & (errors > 0)).all():
            raise InputError(f"error {errors.shape} must be positive, one for each of {logs.size} flops")
        sigma = np.ones_like(logs) if noise is None else np.broadcast_to(np.asarray(noise, float), logs.shape)
        if not (np.isfinite(sigma) & (sigma > 0)).all():
            raise InputError("noise must be positive")
        if network is not None:
            logs, errors, sigma = _means(logs, errors, sigma, np.asarray(network))
        if np.unique(logs).size < 2:
            raise InputError("a law needs networks of at least two different flops")
        if errors.max() >= law.guess_error:
            raise InputError(f"{law.name}: an error of {errors.max():g} is no better than guessing")
        # F in units of its geometric mean: b is then what is above the floor in the middle of the data, and
        # hardly moves with the exponent; in the user's units the two would move together
        unit = float(logs.mean())
        # where the noise is estimated, a network counts once however many seeds it has
        weight = np.ones_like(logs) if noise is None else sigma**-2
        return cls(law, logs - unit, unit, errors, weight, noise is not None, loss)


def log_flops(flops: ArrayLike) -> Floats:
    """Natural logarithms of positive costs, (n,). Raises `InputError`."""
    values = np.asarray(flops, dtype=np.float64)
    if values.ndim != 1 or not values.size or not (np.isfinite(values) & (values > 0)).all():
        raise InputError(f"flops of shape {values.shape} must be positive, of shape (n,)")
    return np.log(values)


def _means(
    logs: Floats, errors: Floats, sigma: Floats, network: NDArray[np.generic]
) -> tuple[Floats, Floats, Floats]:
    """Mean over the seeds of each network, networks in the order of first appearance."""
    if network.shape != logs.shape:
        raise InputError(f"network {network.shape} must have one entry for each of {logs.size} flops")
    _, first, index, seeds = np.unique(network, return_index=True, return_inverse=True, return_counts=True)
    if not np.allclose(logs, logs[first][index], rtol=0, atol=1e-9):
        raise InputError("network: rows of one network differ in flops")
    mean, variance = (np.bincount(index, values) / seeds for values in (errors, sigma**2))
    # np.unique sorts by id
    order = np.argsort(first)
    return logs[first][order], mean[order], np.sqrt(variance / seeds)[order]


@dataclass(frozen=True)
class LeastLoss:
    """Where the loss is least; `scale` standardises residuals, `pseudo` are the pseudo-values there."""

    shape: Floats
    linear: Floats
    scale: float
    gradient: float
    pseudo: Floats


def shape_grid(axes: Sequence[tuple[float, float]], points: int) -> Floats:
    """All combinations, shape (points^k, k)."""
    lines = [np.linspace(low, high, points) for low, high in axes]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, len(axes))


def project(
    law: Law, logs: Floats, shapes: Floats, error: Floats, weight: Floats, *, bounded: bool = True
) -> tuple[Floats, Floats]:
    """Best linear parameters (..., j) for `shapes` (..., k), and the weighted squares they leave (...).

    `bounded` keeps them at 0 or above, and below the error of guessing.
    """
    offset, basis = law.terms(logs, shapes)
    target = error - offset
    if len(basis) == 1:
        z = basis[0]
        square = np.maximum(np.sum(weight * z * z, -1), np.finfo(float).tiny)  # 0 where all is guessing
        only = np.sum(weight * z * target, -1) / square
        linear = np.clip(only, 0, law.guess_error)[..., None] if bounded else only[..., None]
    else:
        linear = _line(basis[1], target, weight, bounded)
    rest = target - sum(linear[..., i, None] * z for i, z in enumerate(basis))
    return linear, np.asarray(np.sum(weight * rest * rest, -1))


def _line(z: Floats, y: Floats, weight: Floats, bounded: bool) -> Floats:
    """Weighted least squares of y on (1, z): shape (..., 2); both at 0 or above where `bounded`."""
    total = np.sum(weight, -1)
    z_mean, y_mean = np.sum(weight * z, -1) / total, np.sum(weight * y, -1) / total
    centred = z - z_mean[..., None]
    square = np.sum(weight * centred * centred, -1)
    square = np.maximum(square, np.finfo(float).tiny)
    # centred, or 1 and z would cancel to nothing where the exponent is small and z hardly changes
    b = np.sum(weight * centred * y, -1) / square
    a = y_mean - b * z_mean
    # a convex loss is least on the bound that its free minimum is beyond
    # (a < 0: a line through the origin; b < 0: a constant)
    if bounded:
        through_zero = np.sum(weight * z * y, -1) / np.sum(weight * z * z, -1)
        b = np.where(a < 0, through_zero, b)
        a = np.where(a < 0, 0.0, a)
        a, b = np.where(b < 0, np.maximum(y_mean, 0), a), np.maximum(b, 0)
    return np.stack([a, b], axis=-1)


def values_of(law: Law, logs: Floats, shape: Floats, linear: Floats) -> Floats:
    """The law's errors [..., n] at `logs`, for nonlinear and linear parameters."""
    offset, basis = law.terms(logs, shape)
    return np.asarray(offset + sum(linear[..., i, None] * z for i, z in enumerate(basis)))


def residual_of(problem: Problem, theta: Floats) -> Floats:
    """Measured error less the law's at the parameters `theta`, (n,)."""
    shapes = len(problem.law.axes)
    return problem.error - values_of(problem.law, problem.logs, theta[:shapes], theta[shapes:])
