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

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize  # type: ignore[import-untyped]

from analysis.laws.answer import Answer, Estimate, NotIdentified, answer_of
from analysis.laws.law import SATURATING_POWER, Floats, Law
from analysis.laws.losses import LOSSES, LossShape, spread
from analysis.laws.problem import (
    GRID_POINTS,
    LeastLoss,
    Problem,
    log_flops,
    project,
    residual_of,
    shape_grid,
    values_of,
)
from analysis.laws.profile import Region, corners_of, parameter_ranges, range_of, region_of
from nas.verdict.difference import student
from space.errors import InputError, quoted

STATIONARY = 1e-6  # cosine between the residual and the steepest free direction, at most


# ---- answers --------------------------------------------------------------------------------------------


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
    _problem: Problem = field(repr=False)
    _optimum: LeastLoss = field(repr=False)

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
        logs = log_flops(flops) - self._problem.log_unit
        return values_of(self.law, logs, self._optimum.shape, self._optimum.linear)

    def predict_intervals(self, flops: ArrayLike) -> tuple[Answer, ...]:
        """The law's error at `flops` (m,) with its interval: of the law, not of one more network on it."""
        logs = log_flops(flops) - self._problem.log_unit
        bounds = (0.0, self.law.guess_error)
        if self._problem.undetermined:
            return tuple(self._answer(float(value), bounds, bounds) for value in self.predict(flops))
        region, answers = self._region, []
        for log, value in zip(logs, self.predict(flops), strict=True):
            offset, basis = self.law.terms(np.array([log]), region.shapes)
            direction = np.concatenate(basis, axis=-1)
            linear, allowed = corners_of(region, self._problem, direction)
            values = np.sum(linear * direction[:, None, :], axis=-1) + offset.reshape(-1, 1)
            interval = range_of(np.where(allowed, values, np.nan), float(value))
            answers.append(self._answer(float(value), interval, bounds))
        return tuple(answers)

    def predict_networks(self, flops: ArrayLike) -> tuple[Answer, ...]:
        """The error of one more network at each of `flops` (m,): the law's interval, widened by the scatter.

        Both parts are added in squares, as of a linear fit; the scatter is Student's t times the deviation of
        the residuals, networks and seeds together. Where no noise is left to estimate it is the law's alone.
        """
        answers = self.predict_intervals(flops)
        if self._problem.undetermined:
            return answers
        freedom = max(1, self._problem.error.size - len(self.law.parameters))
        squares = float(np.sum(self.residuals**2)) / freedom
        reach = student(freedom, self.level) * math.sqrt(squares)
        widened = []
        for value, answer in zip(self.predict(flops).tolist(), answers, strict=True):
            low = max(0.0, value - math.hypot(value - answer.low, reach))
            high = min(self.law.guess_error, value + math.hypot(answer.high - value, reach))
            if isinstance(answer, Estimate):
                widened.append(self._answer(value, (low, high), (0.0, self.law.guess_error)))
            else:
                widened.append(NotIdentified(answer.reason, low, high))
        return tuple(widened)

    def _answer(self, value: float, interval: tuple[float, float], bounds: tuple[float, float]) -> Answer:
        return _answer(self._problem, self._optimum, value, interval, bounds)

    @cached_property
    def _region(self) -> Region:
        return region_of(self._problem, self._optimum, self.level)


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
    problem = Problem.of(law, flops, error, network, noise, LOSSES[loss])
    optimum = _solve(problem)
    point = law.named(optimum.shape, optimum.linear, problem.log_unit)
    values = {name: float(point[name]) for name in law.parameters}
    if problem.undetermined:
        intervals = {name: law.bounds(name) for name in values}
    else:
        intervals = parameter_ranges(region_of(problem, optimum, level), problem, values)
    answers = {
        name: _answer(problem, optimum, values[name], intervals[name], law.bounds(name)) for name in values
    }
    return Fit(law, answers, level, loss, optimum.gradient, values, problem, optimum)


def _answer(
    problem: Problem,
    optimum: LeastLoss,
    value: float,
    interval: tuple[float, float],
    bounds: tuple[float, float],
) -> Answer:
    low, high = interval
    networks, parameters = problem.error.size, len(problem.law.parameters)
    # the gravest reason first: each makes those behind it meaningless
    if networks <= parameters:
        reason = f"{networks} networks for {parameters} parameters"
    elif optimum.gradient > STATIONARY:
        reason = f"the fit reached no optimum (gradient {optimum.gradient:.0e})"
    else:
        return answer_of(value, interval, bounds)
    return NotIdentified(reason, low, high)


# ---- the fit --------------------------------------------------------------------------------------------


def _solve(problem: Problem) -> LeastLoss:
    squared = LOSSES["squared"]
    # least squares first: a robust loss needs a scale, which takes residuals, which take a fit
    theta, gradient = _polish(problem, squared, 1.0, _starts(problem, problem.weight, 3))
    scale, loss = 1.0, squared
    tiny = 1e-9 * float(np.abs(problem.error).max())
    if problem.loss.scipy_name != "linear":
        for _ in range(2):  # the scale of squared residuals is an outlier's; the second is nearly free of it
            residual = residual_of(problem, theta) * np.sqrt(problem.weight)
            scale = 1.0 if problem.noise_known else spread(residual, len(problem.law.parameters))
            if scale <= tiny:  # an exact fit has no outliers, and no scale to call them by
                scale = np.inf
                break
            loss = problem.loss
            robust = problem.weight * loss.weight(residual / scale)
            # one start from a grid without the outliers, one from where the fit is
            theta, gradient = _polish(problem, loss, scale, np.vstack([_starts(problem, robust, 1), theta]))
    shapes = len(problem.law.axes)
    return LeastLoss(
        theta[:shapes], theta[shapes:], scale, gradient, _pseudo_values(problem, loss, scale, theta)
    )


def _pseudo_values(problem: Problem, loss: LossShape, scale: float, theta: Floats) -> Floats:
    """Data whose least squares fit is the robust one, with its variance (Bickel 1976).

    They let every interval below be one of least squares. The factor on the slope is Huber's (1981, 7.6).
    """
    root = np.sqrt(problem.weight)
    residual = residual_of(problem, theta)
    t = residual * root / scale
    slopes = loss.slope(t)
    count, slope = t.size, float(slopes.mean())
    # 0 where every residual is an outlier: no stretch could be told then
    slope = max(slope, 1.0 / count)
    stretch = 1 + len(problem.law.parameters) / count * (1 - slope) / slope
    if problem.noise_known:  # the variance is known beforehand, see `_allowance`
        return (problem.error - residual) + residual * loss.weight(t)
    return (problem.error - residual) + residual * loss.weight(t) * stretch / slope


def _starts(problem: Problem, weight: Floats, parts: int) -> Floats:
    """Where to start: the best of the grid in each part of the exponents, shape (parts, parameters)."""
    shapes = shape_grid(problem.law.axes, GRID_POINTS[len(problem.law.axes)])
    linear, loss = project(problem.law, problem.logs, shapes, problem.error, weight)
    split = np.array_split(np.arange(len(shapes)), parts)  # the exponent is the slowest axis
    best = [int(part[np.argmin(loss[part])]) for part in split]
    return np.hstack([shapes[best], linear[best]])


def _jacobian(problem: Problem, theta: Floats) -> Floats:
    """Of the weighted residual, shape (n, parameters): linear ones exactly, the others by differences."""
    shapes, root = len(problem.law.axes), np.sqrt(problem.weight)
    _, basis = problem.law.terms(problem.logs, theta[:shapes])
    columns = []
    for i in range(shapes):
        step = np.zeros_like(theta)
        step[i] = 1e-5  # near the cube root of a double's rounding, where central differences are best
        ahead, behind = (residual_of(problem, theta + sign * step) for sign in (1, -1))
        columns.append((ahead - behind) / 2e-5)
    return np.stack([*columns, *(-z for z in basis)], axis=-1) * root[:, None]


def _polish(problem: Problem, loss: LossShape, scale: float, starts: Floats) -> tuple[Floats, float]:
    """The best stationary point reached from `starts`, and its gradient."""
    # a dozen steps tell which start leads lowest; one descent to the end is then enough, as a rule
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
    problem: Problem, loss: LossShape, scale: float, start: Floats, tolerance: float, steps: int
) -> tuple[float, Floats]:
    """Loss and parameters at the end of one descent."""
    bounds, root = _bounds(problem.law), np.sqrt(problem.weight)
    found = optimize.least_squares(
        lambda theta: residual_of(problem, theta) * root,
        np.clip(start, *bounds),
        lambda theta: _jacobian(problem, theta),
        bounds=bounds,
        loss=loss.scipy_name,
        f_scale=loss.tuning * scale,
        x_scale="jac",
        ftol=tolerance,
        xtol=tolerance,
        gtol=1e-15,  # whether it is an optimum `_gradient` says, in a measure without units
        max_nfev=steps,
    )
    return float(found.cost), np.asarray(found.x)


def _gradient(problem: Problem, loss: LossShape, scale: float, theta: Floats) -> float:
    """Largest cosine between the weighted residual and a direction in which a parameter is free to move."""
    residual = residual_of(problem, theta) * np.sqrt(problem.weight)
    # psi, the derivative of the loss: at its optimum orthogonal to every free direction
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
