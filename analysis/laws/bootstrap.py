"""A law fitted again and again to networks drawn with replacement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]

from analysis.laws.fit import Fit
from analysis.laws.law import Floats, Law, Terms
from analysis.laws.problem import (
    GRID_POINTS,
    Optimum,
    Problem,
    least_of,
    residual_of,
    shape_grid,
    summed_terms,
    values_of,
)
from space.errors import InputError

CHUNK = 500_000  # numbers in one array of the bootstrap: more than a cache holds would take longer


REFIT_STEPS = 30


@dataclass(frozen=True)
class Bootstrap:
    """Parameters of refits to resampled networks: `draws[name]` has shape (resamples,)."""

    draws: Mapping[str, Floats]
    networks: int

    def interval(self, name: str, level: float = 0.9, *, expanded: bool = False) -> tuple[float, float]:
        """Percentiles; `expanded` widens them by t and n / (n - p) (Hesterberg 2015, section 5.3).

        That correction is for means: resampling networks also varies where they lie, which here makes up for
        it already, so expanded intervals cover too often with few networks.
        """
        freedom = self.networks - len(self.draws)
        tail = (1 - level) / 2
        if expanded:
            wide = np.sqrt(self.networks / freedom) * special.stdtrit(freedom, tail)
            tail = float(special.ndtr(wide))
        low, high = np.quantile(self.draws[name], [tail, 1 - tail])
        return float(low), float(high)


def bootstrap(fit: Fit, resamples: int = 2000, seed: int = 0) -> Bootstrap:
    """Refit to networks drawn with replacement, all seeds of a network together; all refits at once.

    Draws with no more different networks than parameters are drawn again. The scale of the loss is the
    fit's. Raises `InputError` for a fit with no more networks than parameters.
    """
    problem, optimum, law = fit._problem, fit._optimum, fit.law
    count, parameters = fit.networks, len(law.parameters)
    if count <= parameters:
        raise InputError(f"bootstrap: {count} networks for {parameters} parameters")
    rng = np.random.default_rng(seed)
    kept: list[Floats] = []
    while sum(len(part) for part in kept) < resamples:
        counts = rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(np.float64)
        kept.append(counts[(counts > 0).sum(axis=1) > parameters])
    weights = np.concatenate(kept)[:resamples] * problem.weight
    shapes = shape_grid(law.axes, GRID_POINTS[len(law.axes)])
    rows = max(1, CHUNK // len(shapes))
    found = [_refit(problem, optimum, weights[i : i + rows], shapes) for i in range(0, resamples, rows)]
    shape, linear = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Bootstrap(law.named(shape, linear, problem.log_unit), count)


def _refit(problem: Problem, optimum: Optimum, weights: Floats, shapes: Floats) -> tuple[Floats, Floats]:
    """Shapes (r, k) and linear parameters (r, j) for weights (r, n): damped Gauss-Newton, all r at once."""
    law, logs, error = problem.law, problem.logs, problem.error
    root, scale = np.sqrt(problem.weight), max(optimum.scale, np.finfo(float).tiny)
    theta = np.concatenate([optimum.shape, optimum.linear])
    robust = weights * problem.loss.weight(residual_of(problem, theta) * root / scale)
    shape = shapes[_grid_losses(law, logs, shapes, error, robust).argmin(axis=1)]
    terms = law.terms(logs, shape)
    linear, loss = least_of(law, terms, error, robust)
    limits, damping = np.array(law.axes), np.full(len(shape), 0.01)
    for _ in range(REFIT_STEPS):
        step = _newton_step(problem, shape, terms, linear, robust, damping)
        trial = np.clip(shape + step, limits[:, 0], limits[:, 1])
        tried = law.terms(logs, trial)
        moved, after = least_of(law, tried, error, robust)
        better = after <= loss
        shape, linear = (np.where(better[:, None], *pair) for pair in ((trial, shape), (moved, linear)))
        terms = _chosen(better, tried, terms)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e9)
        rest = error - summed_terms(terms, linear)
        robust = weights * problem.loss.weight(rest * root / scale)  # outliers weighed anew
        linear, loss = least_of(law, terms, error, robust)
    return shape, linear


def _grid_losses(law: Law, logs: Floats, shapes: Floats, error: Floats, weights: Floats) -> Floats:
    """The squares of `_project` for shapes (g, k) and weights (r, n), bounded: (r, g), to some digits.

    To choose a start from. Sums over networks are matrix products here, which takes a tenth of the time;
    their differences lose digits, and so decide nothing else.
    """
    offset, basis = law.terms(logs, shapes)
    tiny = np.finfo(float).tiny

    def total(values: Floats) -> Floats:
        return np.asarray(weights @ np.broadcast_to(values, (len(shapes), error.size)).T)

    y, z = error - offset, basis[-1]
    zy, zz, yy = total(z * y), np.maximum(total(z * z), tiny), total(y * y)
    slope = np.clip(zy / zz, 0, law.guess_error)
    through_zero = yy - 2 * slope * zy + slope**2 * zz
    if len(basis) == 1:
        return np.asarray(through_zero)
    middle, level = z.mean(axis=1, keepdims=True), error.mean()
    u, v = z - middle, y - level
    count, us, vs = weights.sum(axis=1, keepdims=True), total(u), total(v)
    spread = np.maximum(total(u * u) - us**2 / count, tiny)
    pull, flat = total(u * v) - us * vs / count, total(v * v) - vs**2 / count
    b = pull / spread
    a = level + vs / count - b * (middle[:, 0] + us / count)
    return np.where(b < 0, flat, np.where(a < 0, through_zero, flat - b * pull))


def _chosen(first: NDArray[np.bool_], terms: Terms, others: Terms) -> Terms:
    """The rows (r,) of the one or of the other."""
    pick = first[:, None]
    basis = tuple(np.where(pick, a, b) for a, b in zip(terms[1], others[1], strict=True))
    return np.where(pick, terms[0], others[0]), basis


def _newton_step(
    problem: Problem, shape: Floats, terms: Terms, linear: Floats, weight: Floats, damping: Floats
) -> Floats:
    """Step of the non-linear parameters (r, k), with `terms` there, when the linear ones move along."""
    law, logs = problem.law, problem.logs
    _, basis = terms
    columns = []
    for i in range(shape.shape[1]):
        nudge = np.zeros(shape.shape[1])
        nudge[i] = 1e-5
        ahead, behind = (values_of(law, logs, shape + sign * nudge, linear) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    jacobian = np.stack([*columns, *(np.broadcast_to(z, columns[0].shape) for z in basis)], axis=-1)
    rest = problem.error - summed_terms(terms, linear)
    normal = np.einsum("rni,rn,rnj->rij", jacobian, weight, jacobian, optimize=True)
    diagonal = np.einsum("rii->ri", normal)
    # without any pull a direction stays where it is, and the matrix can be solved
    diagonal += damping[:, None] * diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    pull = np.einsum("rni,rn->ri", jacobian, weight * rest)
    return np.asarray(np.linalg.solve(normal, pull[..., None])[:, : shape.shape[1], 0])
