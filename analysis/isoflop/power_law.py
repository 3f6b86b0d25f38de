"""How the optima of several budgets move with the budget: a power law through them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import special  # type: ignore[import-untyped]

from analysis.isoflop.optima import LEVEL, PARABOLA, Optimum, exp2, interval_of, wide
from analysis.isoflop.sample import Floats
from analysis.laws.answer import FACTOR, Answer, Estimate, NotIdentified

SCATTERED = 0.1  # probability below which optima scatter more than resampling says


@dataclass(frozen=True)
class PowerLaw:
    """x*(F) = a F^s of one dimension, over the budgets that have an optimum.

    `used` are their places among the groups; `middle` is log2 of the cost where `draws` (resamples, 2), log2
    of x* there and s, hardly depend on each other. `stretch` is the factor by which the budgets scatter more
    than their own intervals say; the draws have it.
    """

    dimension: str
    exponent: Answer
    used: tuple[int, ...]
    middle: float = 0.0
    point: tuple[float, float] = (0.0, 0.0)
    draws: Floats = field(repr=False, default_factory=lambda: np.zeros((0, 2)))
    stretch: float = 1.0

    @property
    def identified(self) -> bool:
        """Whether there is an exponent."""
        return isinstance(self.exponent, Estimate)

    def value(self, cost: float) -> float:
        """x* at a cost by the line that fits best, also where it is not identified."""
        return exp2(self.point[0] + self.point[1] * (float(np.log2(cost)) - self.middle))

    def at(self, cost: float, level: float = LEVEL) -> Answer:
        """x* at a cost, of the metric that was fitted."""
        if not self.draws.size:
            assert isinstance(self.exponent, NotIdentified)
            return NotIdentified(self.exponent.reason, 0.0, float("inf"))
        octaves = np.log2(cost) - self.middle
        ends = interval_of(self.draws[:, 0] + self.draws[:, 1] * octaves, level)
        low, high = (exp2(end) for end in ends)
        if high > FACTOR * low:
            return NotIdentified(wide(low, high), low, high)
        return Estimate(self.value(cost), low, high)


def power_law(dimension: str, optima: Sequence[Optimum], level: float = LEVEL) -> PowerLaw:
    """The power law through the optima that are lowest points of a parabola, weighted by their intervals."""
    used = [i for i, one in enumerate(optima) if one.identified and one.method == PARABOLA]
    if len(used) < 2:
        some = "one budget has" if used else "none has"
        reason = f"of {len(optima)} budgets {some} an optimum; a power law needs two"
        return PowerLaw(dimension, NotIdentified(reason, -np.inf, np.inf), tuple(used))
    kept = [optima[i] for i in used]
    logs = np.log2([one.group.cost for one in kept])
    values = np.log2([one.answer.value for one in kept if isinstance(one.answer, Estimate)])
    ends = np.array([interval_of(one.draws, level) for one in kept])
    spread = np.maximum((ends[:, 1] - ends[:, 0]) / 2, 1e-6)
    weight = spread**-2
    # at the weighted mean the value and the slope of a line are uncorrelated
    middle = float(weight @ logs / weight.sum())
    line = _line(logs - middle, weight)
    point = line @ values
    # a draw without a lowest point lies somewhere beyond its interval
    far = 2 * (ends[:, 1] - ends[:, 0])[:, None]
    drawn = np.clip(np.stack([one.draws for one in kept]), ends[:, :1] - far, ends[:, 1:] + far)
    stretch = _stretch(values - point[0] - point[1] * (logs - middle), drawn)
    # the same line through each resample, so the exponent's interval has the optima's whole distribution
    draws = point + ((line @ drawn).T - point) * stretch
    low, high = interval_of(draws[:, 1], level)
    answer: Answer = Estimate(float(point[1]), low, high)
    octaves = float(np.ptp(np.log2([one.group.cost for one in optima])))
    # judged by what it says of a size from the least to the largest budget, as every answer is by a factor
    if (high - low) * octaves > np.log2(FACTOR):
        across = f"leaves a factor over {FACTOR:g} between the least and the largest budget"
        answer = NotIdentified(f"the interval {low:.2g} to {high:.2g} {across}", low, high)
    at_middle = (float(point[0]), float(point[1]))
    return PowerLaw(dimension, answer, tuple(used), middle, at_middle, draws, stretch)


def _line(x: Floats, weight: Floats) -> Floats:
    """(2, k): least squares of a line through k values, as value at x = 0 and slope."""
    columns = np.stack([np.ones_like(x), x], axis=1)
    return np.asarray(np.linalg.solve(columns.T @ (weight[:, None] * columns), columns.T * weight))


def _stretch(residual: Floats, drawn: Floats) -> float:
    """How much more the optima scatter about the line than resampling says, 1 at least.

    The square root of chi-squared over its degrees of freedom (Birge 1932; Particle Data Group), where it is
    so large in one of ten cases at most.
    """
    if residual.size < 3:
        return 1.0
    squares = residual**2 / np.maximum(drawn.var(axis=1), 1e-12)
    freedom = residual.size - 2
    usual = squares.sum() < special.chdtri(freedom, SCATTERED)
    return 1.0 if usual else float(max(1.0, np.sqrt(squares.sum() / freedom)))
