"""How error falls with compute: scaling laws fitted to networks, with intervals, or why there are none.

    fit = fit_law(gflops, error, network=fingerprints)
    fit.parameters["a"]      an `Estimate`, or `NotIdentified` with its reason

Linear parameters are projected out (variable projection, Golub and Pereyra 1973), so a law with one exponent
is a search along one line: a grid over it sees every minimum, and the best of them are polished together.

The interval is by default that of the profile likelihood: all values a parameter can take while the fit gets
no worse than an F test allows. It follows the bent valley between a, b and c, covers as it should from six
networks on, and is shorter than the bootstrap's for few networks (measured: studies/scaling/README.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special  # type: ignore[import-untyped]

from space.errors import InputError, quoted

Floats = NDArray[np.float64]
Terms = tuple[Floats, tuple[Floats, ...]]

EXPONENTS = (0.02, 5.0)  # outside, a power of F over a few octaves is a logarithm or a step
FACTOR = 3.0  # an interval wider than this factor names no number
STATIONARY = 1e-6  # cosine between the residual and the steepest free direction, at most
GRID_POINTS = {1: 121, 2: 45, 3: 19}
CHUNK = 500_000  # numbers in one array of the bootstrap: more than a cache holds would take longer
REFIT_STEPS = 30


# ---- laws -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """error = offset + sum of linear parameters times terms; `axes` bound the others, the first is log c.

    `guess_error` is the error of guessing, the ceiling of laws that saturate at both ends.
    """

    name: str
    formula: str
    parameters: tuple[str, ...]
    axes: tuple[tuple[float, float], ...]
    terms: Callable[[Floats, Floats], Terms] = field(repr=False)
    linear: int = 1
    guess_error: float = np.inf

    def bounds(self, parameter: str) -> tuple[float, float]:
        """The least and the largest value a parameter may take."""
        known = {"a": (0.0, self.guess_error), "b": (0.0, np.inf), "c": EXPONENTS, "alpha": ALPHAS}
        return known[parameter]

    def named(self, shape: Floats, linear: Floats, log_unit: float) -> dict[str, Floats]:
        """The reported parameters of `shape` (..., k) and `linear` (..., j), for F in the units given."""
        c = np.exp(shape[..., 0])
        if not np.isfinite(self.guess_error):
            values = {"b": linear[..., -1] * np.exp(c * log_unit), "c": c}
            return {"a": linear[..., 0], **values} if "a" in self.parameters else values
        alpha = shape[..., 2] if "alpha" in self.parameters else np.ones_like(c)
        a = linear[..., 0]
        b = (self.guess_error - a) ** (1 - alpha) * np.exp(shape[..., 1] + c * log_unit)
        values = {"a": a, "b": b, "c": c, "alpha": alpha}
        return {name: np.broadcast_to(values[name], a.shape) for name in self.parameters}


def _power_terms(logs: Floats, shape: Floats) -> Terms:
    return np.zeros(()), (np.exp(-np.exp(shape[..., :1]) * logs),)


def _saturating_terms(logs: Floats, shape: Floats) -> Terms:
    falling = np.exp(-np.exp(shape[..., :1]) * logs)
    return np.zeros(()), (np.ones_like(falling), falling)


def _guessing_terms(guess_error: float) -> Callable[[Floats, Floats], Terms]:
    """error = a (1 - s) + guess_error s with s / (1 - s)^alpha = v F^-c, so a is linear."""

    def terms(logs: Floats, shape: Floats) -> Terms:
        drive = shape[..., 1:2] - np.exp(shape[..., :1]) * logs
        share = special.expit(drive if shape.shape[-1] == 2 else _solved(drive, shape[..., 2:3]))
        return guess_error * share, (1.0 - share,)

    return terms


def _solved(drive: Floats, alpha: Floats) -> Floats:
    """t with log s - alpha log(1 - s) = drive for s = expit(t), by Newton's method."""
    # At min(drive, 0) the left side is below `drive` for alpha < 1: it is concave there, so the steps rise to
    # the root; above 1 it is convex, the first step passes the root and the others fall to it.
    t = np.minimum(drive, 0.0)
    for _ in range(60):
        value = -np.logaddexp(0, -t) + alpha * np.logaddexp(0, t) - drive
        step = value / (special.expit(-t) + alpha * special.expit(t))
        t = t - step
        if np.max(np.abs(step), initial=0.0) < 1e-13 * (1 + np.max(np.abs(t), initial=0.0)):
            break
    return t


_LOG_C = (float(np.log(EXPONENTS[0])), float(np.log(EXPONENTS[1])))
_LOG_V = (-14.0, 7.0)  # share of the way from a to guessing at the middle of the data: 1e-6 .. 0.999
ALPHAS = (0.05, 3.0)

POWER = Law("power", "b F^-c", ("b", "c"), (_LOG_C,), _power_terms)
SATURATING_POWER = Law(
    "saturating power", "a + b F^-c", ("a", "b", "c"), (_LOG_C,), _saturating_terms, linear=2
)


def double_saturation(guess_error: float) -> Law:
    """(e - a) / (guess_error - e) = b F^-c: flat at a for large networks and at guessing for tiny ones.

    `guess_error` in the unit of the errors: 99.9 for 1000 classes in percent. M4 with alpha = 1.
    """
    formula = "(e - a) / (guess - e) = b F^-c"
    terms = _guessing_terms(guess_error)
    return Law(
        "double saturation", formula, ("a", "b", "c"), (_LOG_C, _LOG_V), terms, guess_error=guess_error
    )


def m4(guess_error: float) -> Law:
    """(e - a) / (guess_error - e)^alpha = b F^-c (Alabdulmohsin et al. 2022, section 4, estimator M4).

    Unlike there, the error of guessing is known and residuals are errors, not logarithms of both sides.
    """
    formula = "(e - a) / (guess - e)^alpha = b F^-c"
    terms, axes = _guessing_terms(guess_error), (_LOG_C, _LOG_V, ALPHAS)
    return Law("M4", formula, ("a", "b", "c", "alpha"), axes, terms, guess_error=guess_error)


# ---- losses ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Loss:
    """A loss of standardised residuals t: psi(t) = t weight(t); `tuning`: 95% efficient on a normal."""

    scipy_name: str
    tuning: float
    weight: Callable[[Floats], Floats]
    slope: Callable[[Floats], Floats]

    @cached_property
    def variance(self) -> float:
        """Variance of the estimate against least squares' under standard normal residuals."""
        nodes, weights = np.polynomial.hermite_e.hermegauss(201)
        weights = weights / weights.sum()
        psi = nodes * self.weight(nodes)
        return float(weights @ psi**2 / (weights @ self.slope(nodes)) ** 2)


_HUBER, _SOFT = 1.345, 1.287
LOSSES: Mapping[str, _Loss] = {
    "squared": _Loss("linear", 1.0, np.ones_like, np.ones_like),
    "huber": _Loss(
        "huber",
        _HUBER,
        lambda t: _HUBER / np.maximum(np.abs(t), _HUBER),
        lambda t: (np.abs(t) <= _HUBER).astype(np.float64),
    ),
    "soft_l1": _Loss(
        "soft_l1", _SOFT, lambda t: (1 + (t / _SOFT) ** 2) ** -0.5, lambda t: (1 + (t / _SOFT) ** 2) ** -1.5
    ),
}


# ---- answers --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """A number that the data determine, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


@dataclass(frozen=True)
class NotIdentified:
    """No number: the data allow everything from `low` to `high`."""

    reason: str
    low: float
    high: float

    def __str__(self) -> str:
        return f"not identified: {self.reason}"


Answer = Estimate | NotIdentified


@dataclass(frozen=True)
class Fit:
    """A law fitted to n networks; `parameters` are answers at `level`, errors in the unit given.

    `gradient` is the cosine between the (weighted) residual and the steepest free direction: 0 at an optimum.
    """

    law: Law
    parameters: Mapping[str, Answer]
    level: float
    loss: str
    gradient: float
    point: Mapping[str, float] = field(repr=False)
    _problem: _Problem = field(repr=False)
    _optimum: _Optimum = field(repr=False)

    @property
    def networks(self) -> int:
        """How many networks were fitted."""
        return int(self._problem.error.size)

    @property
    def residuals(self) -> Floats:
        """Measured minus fitted error, one a network, by the order of first appearance."""
        return self._problem.error - self.predict(np.exp(self._problem.logs + self._problem.log_unit))

    def predict(self, flops: ArrayLike) -> Floats:
        """The law's error at `flops` (m,), also where the parameters are not identified."""
        logs = _logs(flops) - self._problem.log_unit
        return _values(self.law, logs, self._optimum.shape, self._optimum.linear)

    def predict_intervals(self, flops: ArrayLike) -> tuple[Answer, ...]:
        """The law's error at `flops` (m,) with its interval: of the law, not of one more network on it."""
        logs = _logs(flops) - self._problem.log_unit
        bounds = (0.0, self.law.guess_error)
        if self._problem.undetermined:
            return tuple(self._answer(float(value), bounds, bounds) for value in self.predict(flops))
        region, answers = self._region, []
        for log, value in zip(logs, self.predict(flops), strict=True):
            offset, basis = self.law.terms(np.array([log]), region.shapes)
            direction = np.concatenate(basis, axis=-1)
            linear, allowed = _corners(region, self._problem, direction)
            values = np.sum(linear * direction[:, None, :], axis=-1) + offset.reshape(-1, 1)
            interval = _range(np.where(allowed, values, np.nan), float(value))
            answers.append(self._answer(float(value), interval, bounds))
        return tuple(answers)

    def _answer(self, value: float, interval: tuple[float, float], bounds: tuple[float, float]) -> Answer:
        return _answer(self._problem, self._optimum, value, interval, bounds)

    @cached_property
    def _region(self) -> _Region:
        return _region(self._problem, self._optimum, self.level)


def fit_law(
    flops: ArrayLike,
    error: ArrayLike,
    *,
    law: Law = SATURATING_POWER,
    network: ArrayLike | None = None,
    noise: ArrayLike | None = None,
    loss: str = "huber",
    level: float = 0.9,
) -> Fit:
    """Fit `law` to `error` (n,) at `flops` (n,), both positive, in any units; profile intervals at `level`.

    Rows with equal `network` (n,) are seeds of one network: their mean is one observation, because seeds do
    not make up for few networks. `noise` is the standard deviation of one row, (n,) or one number, if it is
    known; otherwise it is estimated from the residuals, scatter between networks included.
    `loss` is one of `LOSSES`. Raises `InputError`.
    """
    if loss not in LOSSES:
        raise InputError(f"loss {quoted(loss)} is not one of {', '.join(LOSSES)}")
    if not 0 < level < 1:
        raise InputError(f"level {level} must be between 0 and 1")
    problem = _Problem.of(law, flops, error, network, noise, LOSSES[loss])
    optimum = _solve(problem)
    point = law.named(optimum.shape, optimum.linear, problem.log_unit)
    values = {name: float(point[name]) for name in law.parameters}
    if problem.undetermined:
        intervals = {name: law.bounds(name) for name in values}
    else:
        intervals = _parameter_ranges(_region(problem, optimum, level), problem, values)
    answers = {
        name: _answer(problem, optimum, values[name], intervals[name], law.bounds(name)) for name in values
    }
    return Fit(law, answers, level, loss, optimum.gradient, values, problem, optimum)


def _answer(
    problem: _Problem,
    optimum: _Optimum,
    value: float,
    interval: tuple[float, float],
    bounds: tuple[float, float],
) -> Answer:
    low, high = interval
    networks, parameters = problem.error.size, len(problem.law.parameters)
    if networks <= parameters:
        reason = f"{networks} networks for {parameters} parameters"
    elif optimum.gradient > STATIONARY:
        reason = f"the fit reached no optimum (gradient {optimum.gradient:.0e})"
    elif low <= bounds[0] + 1e-6 * abs(bounds[0]) or high >= bounds[1] * (1 - 1e-6):
        bound = bounds[0] if low <= bounds[0] + 1e-6 * abs(bounds[0]) else bounds[1]
        reason = f"the interval {low:.3g} to {high:.3g} reaches the bound {bound:.3g}"
    elif high > FACTOR * low:
        reason = f"the interval {low:.3g} to {high:.3g} covers a factor over {FACTOR:g}"
    else:
        return Estimate(value, low, high)
    return NotIdentified(reason, low, high)


# ---- the fit --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Problem:
    """One observation a network: `weight` is 1 / noise^2, or 1 where the noise is to be estimated."""

    law: Law
    logs: Floats
    log_unit: float
    error: Floats
    weight: Floats
    noise_known: bool
    loss: _Loss

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
        loss: _Loss,
    ) -> _Problem:
        logs, errors = _logs(flops), np.asarray(error, dtype=np.float64)
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
        unit = float(logs.mean())
        # where the noise is estimated, a network counts once however many seeds it has
        weight = np.ones_like(logs) if noise is None else sigma**-2
        return cls(law, logs - unit, unit, errors, weight, noise is not None, loss)


def _logs(flops: ArrayLike) -> Floats:
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
    order = np.argsort(first)
    return logs[first][order], mean[order], np.sqrt(variance / seeds)[order]


@dataclass(frozen=True)
class _Optimum:
    """Where the loss is least; `scale` standardises residuals, `pseudo` are the pseudo-values there."""

    shape: Floats
    linear: Floats
    scale: float
    gradient: float
    pseudo: Floats


def _solve(problem: _Problem) -> _Optimum:
    squared = LOSSES["squared"]
    theta, gradient = _polish(problem, squared, 1.0, _starts(problem, problem.weight, 3))
    scale, loss = 1.0, squared
    tiny = 1e-9 * float(np.abs(problem.error).max())
    if problem.loss.scipy_name != "linear":
        for _ in range(2):  # the scale of squared residuals is an outlier's; the second is nearly free of it
            residual = _residual(problem, theta) * np.sqrt(problem.weight)
            scale = 1.0 if problem.noise_known else _spread(residual, len(problem.law.parameters))
            if scale <= tiny:  # an exact fit has no outliers, and no scale to call them by
                scale = np.inf
                break
            loss = problem.loss
            robust = problem.weight * loss.weight(residual / scale)
            theta, gradient = _polish(problem, loss, scale, np.vstack([_starts(problem, robust, 1), theta]))
    shapes = len(problem.law.axes)
    return _Optimum(
        theta[:shapes], theta[shapes:], scale, gradient, _pseudo_values(problem, loss, scale, theta)
    )


def _spread(residual: Floats, parameters: int) -> float:
    """Median of the larger residuals, as a standard deviation (Street, Carroll and Ruppert 1988).

    A fit of p parameters can pass through p points, so the p - 1 smallest residuals say nothing.
    """
    larger = np.sort(np.abs(residual))[max(0, min(parameters, residual.size - 1) - 1) :]
    return float(np.median(larger)) / 0.6745


def _pseudo_values(problem: _Problem, loss: _Loss, scale: float, theta: Floats) -> Floats:
    """Data whose least squares fit is the robust one, with its variance (Bickel 1976).

    They let every interval below be one of least squares. The factor on the slope is Huber's (1981, 7.6).
    """
    root = np.sqrt(problem.weight)
    residual = _residual(problem, theta)
    t = residual * root / scale
    slopes = loss.slope(t)
    count, slope = t.size, float(slopes.mean())
    slope = max(slope, 1.0 / count)
    stretch = 1 + len(problem.law.parameters) / count * (1 - slope) / slope
    if problem.noise_known:  # the variance is known beforehand, see `_allowance`
        return (problem.error - residual) + residual * loss.weight(t)
    return (problem.error - residual) + residual * loss.weight(t) * stretch / slope


def _grid(axes: Sequence[tuple[float, float]], points: int) -> Floats:
    """All combinations, shape (points^k, k)."""
    lines = [np.linspace(low, high, points) for low, high in axes]
    return np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1).reshape(-1, len(axes))


def _starts(problem: _Problem, weight: Floats, parts: int) -> Floats:
    """Where to start: the best of the grid in each part of the exponents, shape (parts, parameters)."""
    shapes = _grid(problem.law.axes, GRID_POINTS[len(problem.law.axes)])
    linear, loss = _project(problem.law, problem.logs, shapes, problem.error, weight)
    split = np.array_split(np.arange(len(shapes)), parts)  # the exponent is the slowest axis
    best = [int(part[np.argmin(loss[part])]) for part in split]
    return np.hstack([shapes[best], linear[best]])


def _project(
    law: Law, logs: Floats, shapes: Floats, error: Floats, weight: Floats, *, bounded: bool = True
) -> tuple[Floats, Floats]:
    """Best linear parameters (..., j) for `shapes` (..., k), and the weighted squares they leave (...).

    `bounded` keeps them at 0 or above, and below the error of guessing.
    """
    return _least(law, law.terms(logs, shapes), error, weight, bounded=bounded)


def _least(
    law: Law, terms: Terms, error: Floats, weight: Floats, *, bounded: bool = True
) -> tuple[Floats, Floats]:
    """`_project` where the terms are known."""
    offset, basis = terms
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
    b = np.sum(weight * centred * y, -1) / square
    a = y_mean - b * z_mean
    if bounded:
        through_zero = np.sum(weight * z * y, -1) / np.sum(weight * z * z, -1)
        b = np.where(a < 0, through_zero, b)
        a = np.where(a < 0, 0.0, a)
        a, b = np.where(b < 0, np.maximum(y_mean, 0), a), np.maximum(b, 0)
    return np.stack([a, b], axis=-1)


def _values(law: Law, logs: Floats, shape: Floats, linear: Floats) -> Floats:
    return _summed(law.terms(logs, shape), linear)


def _summed(terms: Terms, linear: Floats) -> Floats:
    offset, basis = terms
    return np.asarray(offset + sum(linear[..., i, None] * z for i, z in enumerate(basis)))


def _residual(problem: _Problem, theta: Floats) -> Floats:
    shapes = len(problem.law.axes)
    return problem.error - _values(problem.law, problem.logs, theta[:shapes], theta[shapes:])


def _jacobian(problem: _Problem, theta: Floats) -> Floats:
    """Of the weighted residual, shape (n, parameters): linear ones exactly, the others by differences."""
    shapes, root = len(problem.law.axes), np.sqrt(problem.weight)
    _, basis = problem.law.terms(problem.logs, theta[:shapes])
    columns = []
    for i in range(shapes):
        step = np.zeros_like(theta)
        step[i] = 1e-5
        ahead, behind = (_residual(problem, theta + sign * step) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    return np.stack([*columns, *(-z for z in basis)], axis=-1) * root[:, None]


def _polish(problem: _Problem, loss: _Loss, scale: float, starts: Floats) -> tuple[Floats, float]:
    """The best stationary point reached from `starts`, and its gradient."""
    rough = [_descend(problem, loss, scale, start, 1e-5, 12) for start in starts]
    tried: list[tuple[bool, float, Floats, float]] = []
    for _, start in sorted(rough, key=lambda pair: pair[0]):
        cost, theta = _descend(problem, loss, scale, start, 1e-15, 400)
        gradient = _gradient(problem, loss, scale, theta)
        tried.append((gradient > STATIONARY, cost, theta, gradient))
        if gradient <= STATIONARY:
            break
    _, _, theta, gradient = min(tried, key=lambda one: one[:2])
    return theta, gradient


def _bounds(law: Law) -> tuple[Floats, Floats]:
    low = [axis[0] for axis in law.axes] + [0.0] * law.linear
    high = [axis[1] for axis in law.axes] + [law.guess_error] * law.linear
    return np.array(low), np.array(high)


def _descend(
    problem: _Problem, loss: _Loss, scale: float, start: Floats, tolerance: float, steps: int
) -> tuple[float, Floats]:
    """Loss and parameters at the end of one descent."""
    bounds, root = _bounds(problem.law), np.sqrt(problem.weight)
    found = optimize.least_squares(
        lambda theta: _residual(problem, theta) * root,
        np.clip(start, *bounds),
        lambda theta: _jacobian(problem, theta),
        bounds=bounds,
        loss=loss.scipy_name,
        f_scale=loss.tuning * scale,
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=1e-15,
        max_nfev=steps,
    )
    return float(found.cost), np.asarray(found.x)


def _gradient(problem: _Problem, loss: _Loss, scale: float, theta: Floats) -> float:
    """Largest cosine between the weighted residual and a direction in which a parameter is free to move."""
    residual = _residual(problem, theta) * np.sqrt(problem.weight)
    pull = residual * loss.weight(residual / scale)
    jacobian = _jacobian(problem, theta)
    # residuals of an exact fit are rounding, at which a direction means nothing
    floor = 1e-9 * float(np.linalg.norm(problem.error * np.sqrt(problem.weight)))
    sizes = np.linalg.norm(jacobian, axis=0) * max(float(np.linalg.norm(pull)), floor)
    slope = jacobian.T @ pull / np.where(sizes > 0, sizes, 1)
    low, high = _bounds(problem.law)
    at_low, at_high = theta <= low + 1e-9, theta >= high - 1e-9
    blocked = (at_low & (slope > 0)) | (at_high & (slope < 0))
    return float(np.max(np.abs(np.where(blocked, 0, slope))))


# ---- profile intervals ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Region:
    """The non-linear parameters at which the fit is not significantly worse: `shapes` (e, k)."""

    shapes: Floats
    error: Floats
    most: float


def _allowance(problem: _Problem, least: float, level: float) -> float:
    """How far the weighted squares may rise above their least (Bates and Watts 1988, section 6.1).

    F for an estimated noise, so that few networks get wider intervals; chi-squared for a known one.
    """
    tail = 0.5 + level / 2
    freedom = problem.error.size - len(problem.law.parameters)
    if problem.noise_known:
        return float(special.ndtri(tail)) ** 2 * problem.loss.variance
    return float(special.stdtrit(freedom, tail)) ** 2 * least / freedom


def _region(problem: _Problem, optimum: _Optimum, level: float) -> _Region:
    """Zoom a grid onto the region below the allowance, and add where its edges cross it."""
    law = problem.law
    _, least = _project(law, problem.logs, optimum.shape[None], optimum.pseudo, problem.weight)
    most = float(least[0]) + _allowance(problem, float(least[0]), level)
    limits = np.array(law.axes)
    box, points = limits.copy(), GRID_POINTS[len(law.axes)]
    for _ in range(12):
        shapes = _grid([(low, high) for low, high in box], points)
        _, loss = _project(law, problem.logs, shapes, optimum.pseudo, problem.weight)
        inside = np.vstack([shapes[loss <= most], optimum.shape[None]])
        step = (box[:, 1] - box[:, 0])[:, None] / (points - 1)
        tight = np.stack([inside.min(axis=0), inside.max(axis=0)], axis=1) + step * [-1, 1]
        tight = np.clip(tight, limits[:, :1], limits[:, 1:])
        if ((tight[:, 1] - tight[:, 0]) > 0.6 * (box[:, 1] - box[:, 0])).all():
            break
        box = tight
    edges = _crossings(shapes, loss, most, points)
    return _Region(np.vstack([inside, edges]), optimum.pseudo, most)


def _crossings(shapes: Floats, loss: Floats, most: float, points: int) -> Floats:
    """Where the profile along each axis crosses `most`, by interpolation; shape (m, k)."""
    axes = shapes.shape[1]
    cube = loss.reshape((points,) * axes)
    found = []
    for axis in range(axes):
        flat = np.moveaxis(cube, axis, 0).reshape(points, -1)
        indices = np.moveaxis(np.arange(len(shapes)).reshape(cube.shape), axis, 0).reshape(points, -1)
        place = indices[np.arange(points), flat.argmin(axis=1)]
        profile = loss[place]
        for here, there in pairwise(range(points)):
            inner, outer = (here, there) if profile[here] <= most else (there, here)
            if profile[inner] <= most < profile[outer] < np.inf:
                part = (most - profile[inner]) / (profile[outer] - profile[inner])
                found.append(shapes[place[inner]] * (1 - part) + shapes[place[outer]] * part)
    return np.array(found).reshape(-1, axes)


def _corners(
    region: _Region, problem: _Problem, direction: Floats | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Extreme linear parameters (e, m, j) the allowance leaves at each shape, and which of them exist.

    With two of them: the extremes of each and of `direction` (e, 2) on the ellipse, and its cuts with the
    bounds at 0; a linear function is largest at one of these.
    """
    law, weight = problem.law, problem.weight
    linear, loss = _project(law, problem.logs, region.shapes, region.error, weight, bounded=False)
    slack = np.maximum(region.most - loss, 0)
    _, basis = law.terms(problem.logs, region.shapes)
    if len(basis) == 1:
        reach = np.sqrt(slack / np.sum(weight * basis[0] ** 2, -1))
        ends = np.stack([linear[:, 0] - reach, linear[:, 0] + reach], axis=1)
        ends = np.clip(ends, 0, law.guess_error)[..., None]
        return ends, np.ones(ends.shape[:2], dtype=bool)
    z = basis[1]
    total, cross, square = weight.sum(), np.sum(weight * z, -1), np.sum(weight * z * z, -1)
    determinant = np.maximum(total * square - cross**2, np.finfo(float).tiny)
    units = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])] + ([] if direction is None else [direction])
    found = []
    for unit in units:
        tilt = np.stack(
            [unit[:, 0] * square - unit[:, 1] * cross, unit[:, 1] * total - unit[:, 0] * cross], axis=-1
        )
        tilt = tilt / determinant[:, None]
        length = np.sqrt(slack / np.maximum(np.sum(tilt * unit, -1), np.finfo(float).tiny))
        found += [linear - tilt * length[:, None], linear + tilt * length[:, None]]
    on_ellipse = np.stack(found, axis=1)
    cuts, exist = _cuts(region, weight, z)
    corners = np.concatenate([on_ellipse, cuts], axis=1)
    allowed = np.concatenate([(on_ellipse >= 0).all(-1), exist], axis=1)
    return corners, allowed


def _cuts(region: _Region, weight: Floats, z: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where the ellipse of (a, b) meets a = 0 and b = 0: shape (e, 4, 2), and which of them exist."""
    y, corners, exist = region.error, [], []
    for i, column in enumerate((np.ones_like(z), z)):
        square = np.sum(weight * column**2, -1)
        middle = np.sum(weight * column * y, -1) / square
        slack = region.most - np.sum(weight * (y - middle[:, None] * column) ** 2, -1)
        reach = np.sqrt(np.maximum(slack, 0) / square)
        for end in (middle - reach, middle + reach):
            corner = np.zeros((len(z), 2))
            corner[:, i] = end
            corners.append(corner)
            exist.append((slack >= 0) & (end >= 0))
    return np.stack(corners, axis=1), np.stack(exist, axis=1)


def _parameter_ranges(
    region: _Region, problem: _Problem, values: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    linear, allowed = _corners(region, problem)
    with np.errstate(over="ignore", invalid="ignore"):
        named = problem.law.named(region.shapes[:, None, :], linear, problem.log_unit)
    reached = {name: np.where(allowed, named[name], np.nan) for name in values}
    return {name: _range(reached[name], value) for name, value in values.items()}


def _range(values: Floats, value: float) -> tuple[float, float]:
    """Least and largest that exists; the optimum always does."""
    known = np.append(values[~np.isnan(values)], value)
    return float(known.min()), float(known.max())


# ---- bootstrap ------------------------------------------------------------------------------------------


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
    shapes = _grid(law.axes, GRID_POINTS[len(law.axes)])
    rows = max(1, CHUNK // len(shapes))
    found = [_refit(problem, optimum, weights[i : i + rows], shapes) for i in range(0, resamples, rows)]
    shape, linear = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return Bootstrap(law.named(shape, linear, problem.log_unit), count)


def _refit(problem: _Problem, optimum: _Optimum, weights: Floats, shapes: Floats) -> tuple[Floats, Floats]:
    """Shapes (r, k) and linear parameters (r, j) for weights (r, n): damped Gauss-Newton, all r at once."""
    law, logs, error = problem.law, problem.logs, problem.error
    root, scale = np.sqrt(problem.weight), max(optimum.scale, np.finfo(float).tiny)
    theta = np.concatenate([optimum.shape, optimum.linear])
    robust = weights * problem.loss.weight(_residual(problem, theta) * root / scale)
    shape = shapes[_grid_losses(law, logs, shapes, error, robust).argmin(axis=1)]
    terms = law.terms(logs, shape)
    linear, loss = _least(law, terms, error, robust)
    limits, damping = np.array(law.axes), np.full(len(shape), 0.01)
    for _ in range(REFIT_STEPS):
        step = _newton_step(problem, shape, terms, linear, robust, damping)
        trial = np.clip(shape + step, limits[:, 0], limits[:, 1])
        tried = law.terms(logs, trial)
        moved, after = _least(law, tried, error, robust)
        better = after <= loss
        shape, linear = (np.where(better[:, None], *pair) for pair in ((trial, shape), (moved, linear)))
        terms = _chosen(better, tried, terms)
        damping = np.clip(np.where(better, damping / 5, damping * 5), 1e-9, 1e9)
        rest = error - _summed(terms, linear)
        robust = weights * problem.loss.weight(rest * root / scale)  # outliers weighed anew
        linear, loss = _least(law, terms, error, robust)
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
    problem: _Problem, shape: Floats, terms: Terms, linear: Floats, weight: Floats, damping: Floats
) -> Floats:
    """Step of the non-linear parameters (r, k), with `terms` there, when the linear ones move along."""
    law, logs = problem.law, problem.logs
    _, basis = terms
    columns = []
    for i in range(shape.shape[1]):
        nudge = np.zeros(shape.shape[1])
        nudge[i] = 1e-5
        ahead, behind = (_values(law, logs, shape + sign * nudge, linear) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    jacobian = np.stack([*columns, *(np.broadcast_to(z, columns[0].shape) for z in basis)], axis=-1)
    rest = problem.error - _summed(terms, linear)
    normal = np.einsum("rni,rn,rnj->rij", jacobian, weight, jacobian, optimize=True)
    diagonal = np.einsum("rii->ri", normal)
    # without any pull a direction stays where it is, and the matrix can be solved
    diagonal += damping[:, None] * diagonal + 1e-12 * diagonal.max(axis=1, keepdims=True) + 1e-300
    pull = np.einsum("rni,rn->ri", jacobian, weight * rest)
    return np.asarray(np.linalg.solve(normal, pull[..., None])[:, : shape.shape[1], 0])


# ---- choice of a law ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extrapolation:
    """How well one law, fitted to the small networks, predicted the large: root mean square errors.

    `fitted` is on all networks together, shown because it decides nothing.
    """

    law: Law
    predicted: float
    fitted: float


@dataclass(frozen=True)
class Choice:
    """The simplest law that predicts no worse than the best, within one standard error."""

    law: Law
    table: tuple[Extrapolation, ...]
    reason: str


def choose_law(
    flops: ArrayLike,
    error: ArrayLike,
    laws: Sequence[Law],
    *,
    network: ArrayLike | None = None,
    loss: str = "huber",
) -> Choice:
    """Fit each of `laws` to the small networks and predict the large; never by the fit alone.

    The smallest half is fitted first, then one network more each time while at least two are left. Squared
    errors are averaged over these cuts for each network predicted, and compared network by network
    (one-standard-error rule: Hastie et al. 2009, section 7.10). Raises `InputError`.
    """
    if not laws:
        raise InputError("choose_law: no laws")
    problem = _Problem.of(laws[0], flops, error, network, None, LOSSES[loss])
    order = np.argsort(problem.logs, kind="stable")
    sizes, errors = np.exp(problem.logs + problem.log_unit)[order], problem.error[order]
    first = max(-(-len(sizes) // 2), max(len(law.parameters) for law in laws) + 1)
    if first > len(sizes) - 2:
        raise InputError(f"choose_law: {len(sizes)} networks; these laws need {first + 2}")
    squares = np.stack([_extrapolated(law, sizes, errors, first, loss) for law in laws])
    best = int(squares.mean(axis=1).argmin())
    worse = squares - squares[best]
    allowed = worse.std(axis=1, ddof=1) / np.sqrt(squares.shape[1])
    equal = [i for i in range(len(laws)) if worse[i].mean() <= allowed[i]]
    chosen = min(equal, key=lambda i: (len(laws[i].parameters), squares[i].mean()))
    fits = [fit_law(sizes, errors, law=law, loss=loss) for law in laws]
    table = tuple(
        Extrapolation(law, float(np.sqrt(row.mean())), float(np.sqrt(np.mean(fit.residuals**2))))
        for law, row, fit in zip(laws, squares, fits, strict=True)
    )
    reason = f"predicts the {squares.shape[1]} largest with an error of {table[chosen].predicted:.3g}"
    if chosen != best:
        reason += f"; {laws[best].name} ({table[best].predicted:.3g}) is not distinguishably better"
    return Choice(laws[chosen], table, reason)


def _extrapolated(law: Law, sizes: Floats, errors: Floats, first: int, loss: str) -> Floats:
    """Mean squared error of predicting each network after the `first`, over the cuts below it."""
    total, cuts = np.zeros(len(sizes)), np.zeros(len(sizes))
    for cut in range(first, len(sizes) - 1):
        fit = fit_law(sizes[:cut], errors[:cut], law=law, loss=loss)
        total[cut:] += (errors[cut:] - fit.predict(sizes[cut:])) ** 2
        cuts[cut:] += 1
    return total[first:] / cuts[first:]
