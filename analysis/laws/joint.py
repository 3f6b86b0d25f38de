"""How error falls with cost and data together: error = E + A N^-alpha + B D^-beta.

    fit = fit_joint(gflops, images, error, network=names)
    fit.parameters["beta"]     an `Estimate`, or `NotIdentified` with its reason
    fit.divide(compute)        the N and D, N times D = compute, at which the error is least

The third approach of Hoffmann et al. 2022 ("Training compute-optimal large language models", section 3.3):
Huber's loss on the logarithm of the error, from several starts. Where it turns from squares to absolutes
follows from the residuals, as in the other laws; their 1e-3 is far below the noise of a training of images.
Intervals are a bootstrap (`joint_noise.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.laws.answer import Answer, NotIdentified, answer_of
from analysis.laws.joint_descent import SIZE, descend, log_error
from analysis.laws.joint_noise import resampled
from analysis.laws.law import EXPONENTS, Floats
from analysis.laws.losses import LOSSES, spread
from space.errors import InputError

NAMES = ("E", "A", "B", "alpha", "beta")
FORMULA = "E + A N^-alpha + B D^-beta"
ABOVE_0 = (0.0, float("inf"))
BOUNDS = {"E": ABOVE_0, "A": ABOVE_0, "B": ABOVE_0, "alpha": EXPONENTS, "beta": EXPONENTS}
LEAST = 3  # values of N, and of D: a floor, a factor and an exponent pass through any two
RESAMPLES = 400
NOTHING = float(np.log(1e-4))  # of the least error: a term so small is not there
SHARES, SLOPES = (0.3, 0.7, 0.95), (0.1, 0.4, 1.2)  # starts: the floor as a share of the least error


@dataclass(frozen=True)
class Division:
    """How a compute N times D is best divided, and the error there; `inside` the N and D that were tried."""

    n: Answer
    d: Answer
    error: Answer
    inside: bool


@dataclass(frozen=True)
class JointFit:
    """The law through trainings of networks of cost N with data D; `parameters` are answers at `level`.

    Where it cannot be fitted they all say why, and so does what is asked of it.
    """

    parameters: Mapping[str, Answer]
    level: float
    networks: int
    trainings: int
    _grid: Grid = field(repr=False)
    _theta: Floats = field(repr=False)
    _draws: Floats = field(repr=False)
    _scatter: Floats = field(repr=False)  # of the error's logarithm between trainings, for each draw

    @property
    def fitted(self) -> bool:
        """Whether there is a law at all."""
        return self._draws.size > 0

    def predict(self, n: ArrayLike, d: ArrayLike) -> Floats:
        """The law's error at n and d, both (m,). Raises `InputError` where nothing was fitted."""
        if not self.fitted:
            raise InputError(f"error(N, D) is {self.parameters['E']}")
        points = np.asarray(n, np.float64), np.asarray(d, np.float64)
        return np.asarray(self._errors(self._theta[None], *points)[0])

    def predict_intervals(self, n: ArrayLike, d: ArrayLike) -> tuple[Answer, ...]:
        """The law's error with its interval: of the law, not of one more training."""
        n, d = np.atleast_1d(np.asarray(n, np.float64)), np.atleast_1d(np.asarray(d, np.float64))
        if not self.fitted:
            return (self._unknown,) * n.size
        return self._answers(self.predict(n, d), self._errors(self._draws, n, d))

    def predict_trainings(self, n: ArrayLike, d: ArrayLike) -> tuple[Answer, ...]:
        """The error of a training of one more network at n and d, both (m,), with its interval."""
        n, d = np.atleast_1d(np.asarray(n, np.float64)), np.atleast_1d(np.asarray(d, np.float64))
        if not self.fitted:
            return (self._unknown,) * n.size
        noise = np.random.default_rng(1).standard_normal((len(self._draws), n.size)) * self._scatter[:, None]
        return self._answers(self.predict(n, d), self._errors(self._draws, n, d) * np.exp(noise))

    def divide(self, compute: float) -> Division:
        """The best N and D of N times D = compute, in the units of the data."""
        if not self.fitted:
            return Division(self._unknown, self._unknown, self._unknown, inside=False)
        thetas = np.vstack([self._theta, self._draws])
        n = np.exp(self._grid.best_log_n(thetas, compute))
        d = compute / n
        # each draw at its own best: what the compute can reach
        error = self._errors(thetas, n[:, None], d[:, None])[:, 0]
        answers = [self._answer(float(values[0]), values[1:]) for values in (n, d, error)]
        inside = self._grid.holds(float(n[0]), float(d[0]))
        return Division(answers[0], answers[1], answers[2], inside)

    def _errors(self, thetas: Floats, n: Floats, d: Floats) -> Floats:
        """[m, k] at n and d, [k] or [m, k]."""
        x, y = np.log(n) - self._grid.log_n_unit, np.log(d) - self._grid.log_d_unit
        return np.asarray(np.exp(log_error(thetas, x, y)[0]))

    def _answer(self, value: float, draws: Floats) -> Answer:
        return answer_of(value, _interval(draws, self.level), ABOVE_0)

    def _answers(self, values: Floats, draws: Floats) -> tuple[Answer, ...]:
        return tuple(self._answer(value, draws[:, i]) for i, value in enumerate(values.tolist()))

    @property
    def _unknown(self) -> Answer:
        first = self.parameters["E"]
        assert isinstance(first, NotIdentified)
        return NotIdentified(first.reason, *ABOVE_0)


@dataclass(frozen=True)
class Grid:
    """Trainings as the fit sees them: logarithms around their means (n,), the networks as numbers (n,)."""

    x: Floats
    y: Floats
    log_n_unit: float
    log_d_unit: float
    target: Floats
    network: NDArray[np.intp]

    @classmethod
    def of(cls, n: Floats, d: Floats, error: Floats, network: NDArray[np.generic]) -> Grid:
        """The grid; trainings of a network with the same data are seeds, of which the mean counts."""
        _, ids = np.unique(network, return_inverse=True)
        cells, place = np.unique(np.stack([ids, d]), axis=1, return_inverse=True)
        place = place.reshape(-1)
        seeds = np.bincount(place)
        costs, errors = (np.bincount(place, values) / seeds for values in (n, error))
        mean = np.bincount(ids, n) / np.bincount(ids)
        if not np.allclose(mean[ids], n, rtol=1e-6):
            raise InputError("error(N, D): trainings of one network differ in cost")
        x, y = np.log(costs), np.log(cells[1])
        return cls(
            x - x.mean(), y - y.mean(), float(x.mean()), float(y.mean()), np.log(errors),
            cells[0].astype(np.intp),
        )  # fmt: skip

    @property
    def lacks(self) -> str:
        """Why no law can be fitted to it; empty where one can."""
        for values, what in ((self.x, "N"), (self.y, "D")):
            count = np.unique(np.round(values, 6)).size
            if count < LEAST:
                some = "one value" if count == 1 else f"{count} values"
                return f"{some} of {what}; a law with a floor needs {LEAST}"
        if self.target.size <= SIZE:
            return f"{self.target.size} trainings for {SIZE} parameters"
        return ""

    def best_log_n(self, thetas: Floats, compute: float) -> Floats:
        """log N [m] at which the error is least, of all N with N times D = compute."""
        # where a step of log N costs as much by one term as the other gives:
        # alpha A N^-alpha = beta B D^-beta, with x + y = log compute in the grid's units
        _, a, b, log_alpha, log_beta = thetas.T
        alpha, beta = np.exp(log_alpha), np.exp(log_beta)
        total = np.log(compute) - self.log_n_unit - self.log_d_unit
        return np.asarray((log_alpha + a - log_beta - b + beta * total) / (alpha + beta) + self.log_n_unit)

    def holds(self, n: float, d: float) -> bool:
        """Whether N and D are between the least and the largest tried."""
        x, y = np.log(n) - self.log_n_unit, np.log(d) - self.log_d_unit
        return bool(self.x.min() <= x <= self.x.max() and self.y.min() <= y <= self.y.max())

    def named(self, thetas: Floats) -> dict[str, Floats]:
        """The parameters [m] in the units of the data."""
        e, a, b, log_alpha, log_beta = thetas.T
        alpha, beta = np.exp(log_alpha), np.exp(log_beta)
        a_unit, b_unit = alpha * self.log_n_unit, beta * self.log_d_unit
        return dict(zip(NAMES, (np.exp(e), np.exp(a + a_unit), np.exp(b + b_unit), alpha, beta), strict=True))


def fit_joint(
    n: ArrayLike,
    d: ArrayLike,
    error: ArrayLike,
    *,
    network: ArrayLike | None = None,
    level: float = 0.9,
    seed: int = 0,
) -> JointFit:
    """Fit E + A N^-alpha + B D^-beta to `error` (m,) at `n` (m,) and `d` (m,), all positive, in any units.

    `network` (m,) tells which trainings are of one network; without it those of equal `n` are. Needs three
    values of N and of D; a grid that has fewer gets the reason in place of every number. Raises `InputError`.
    """
    columns = [np.asarray(values, dtype=np.float64) for values in (n, d, error)]
    for name, values in zip(("n", "d", "error"), columns, strict=True):
        if values.shape != columns[0].shape or values.ndim != 1 or not values.size:
            raise InputError(f"error(N, D): {name} has the shape {values.shape}; all must be (m,)")
        if not (np.isfinite(values) & (values > 0)).all():
            raise InputError(f"error(N, D): {name} must be positive")
    if not 0 < level < 1:
        raise InputError(f"level {level} must be between 0 and 1")
    ids = columns[0] if network is None else np.asarray(network)
    if ids.shape != columns[0].shape:
        raise InputError(f"error(N, D): network has the shape {ids.shape}; it must be {columns[0].shape}")
    grid = Grid.of(columns[0], columns[1], columns[2], ids)
    networks = np.unique(grid.network).size
    if grid.lacks:
        none: dict[str, Answer] = {name: NotIdentified(grid.lacks, *BOUNDS[name]) for name in NAMES}
        empty = np.zeros((0, SIZE))
        return JointFit(none, level, networks, grid.target.size, grid, empty, empty, empty)
    theta, delta, bounds = _solve(grid)
    targets, scatter = resampled(grid.x, grid.y, grid.target, grid.network, theta, bounds, RESAMPLES, seed)
    draws, _ = descend(np.repeat(theta[None], RESAMPLES, 0), grid.x, grid.y, targets, delta, bounds)
    point, drawn = grid.named(theta[None]), grid.named(draws)
    # a term that the bounds hold at nothing is 0 there, and its interval reaches the bound
    for name, log in zip(NAMES[:3], draws.T[:3], strict=True):
        drawn[name] = np.where(log <= bounds[0][0] + 1e-9, 0.0, drawn[name])
    answers = {
        name: answer_of(float(point[name][0]), _interval(drawn[name], level), BOUNDS[name]) for name in NAMES
    }
    return JointFit(answers, level, networks, grid.target.size, grid, theta, draws, scatter)


def _solve(grid: Grid) -> tuple[Floats, float, tuple[Floats, Floats]]:
    """The best parameters (5,), where Huber's loss turns, and the bounds."""
    least, most = float(grid.target.min()), float(grid.target.max())
    ends = [np.log(end) for end in EXPONENTS]
    low = np.array([least + NOTHING] * 3 + [ends[0]] * 2)
    high = np.array([most] + [most + 2] * 2 + [ends[1]] * 2)  # a term in the middle of the data
    middle = float(np.exp(np.median(grid.target)))
    # from many starts: the loss has valleys, as a floor and a small exponent stand in for each other
    starts = []
    for share in SHARES:
        # what is above the floor in the middle of the data, half of it by either term
        each = np.log(max(middle - share * np.exp(least), 0.05 * middle) / 2)
        starts += [[least + np.log(share), each, each, np.log(p), np.log(q)] for p in SLOPES for q in SLOPES]
    bounds, delta = (low, high), np.inf
    found, loss = descend(np.array(starts), grid.x, grid.y, grid.target, delta, bounds)
    # the scale of squared residuals is an outlier's; the second of Huber's is nearly free of it
    for _ in range(2):
        best = found[loss.argmin()]
        scale = spread(grid.target - log_error(best[None], grid.x, grid.y)[0][0], SIZE)
        if scale < 1e-9:  # an exact fit has no outliers
            break
        delta = LOSSES["huber"].tuning * scale
        found, loss = descend(found, grid.x, grid.y, grid.target, delta, bounds)
    return found[loss.argmin()], delta, bounds


def _interval(draws: Floats, level: float) -> tuple[float, float]:
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)
