"""Which of several laws to believe: the one that foretells the largest networks best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.laws.fit import fit_law
from analysis.laws.law import Floats, Law
from analysis.laws.losses import LOSSES
from analysis.laws.problem import Problem
from space.errors import InputError


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
    problem = Problem.of(laws[0], flops, error, network, None, LOSSES[loss])
    # from here on without seeds: `Problem` has made one observation of each network
    order = np.argsort(problem.logs, kind="stable")
    sizes, errors = np.exp(problem.logs + problem.log_unit)[order], problem.error[order]
    # half, rounded up, but at least one network more than parameters: with fewer any law passes through all
    first = max(-(-len(sizes) // 2), max(len(law.parameters) for law in laws) + 1)
    if first > len(sizes) - 2:
        raise InputError(f"choose_law: {len(sizes)} networks; these laws need {first + 2}")
    squares = np.stack([_extrapolated(law, sizes, errors, first, loss) for law in laws])
    best = int(squares.mean(axis=1).argmin())
    # paired by network: some are hard to predict for every law
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
