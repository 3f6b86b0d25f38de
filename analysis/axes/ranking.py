"""How much each axis matters for accuracy, by several methods, with a verdict each.

Where the model explains nothing of unseen networks, nothing is ranked. Verdicts allow for the number of axes
(Bonferroni); intervals are each axis's own, at `LEVEL`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from analysis.axes.confounding import Columns, Confounding, confounding
from analysis.axes.evaluators import FANOVA, PED_ANOVA, above_chance
from analysis.axes.held_out import PERMUTATION, r2_lost
from analysis.axes.networkwise import LEVEL, MATTERS, MOST, TIED, Interval, at_most, checked_rows, half_width
from nas.verdict.difference import UNCLEAR
from space.errors import InputError, quoted

METHODS = (PED_ANOVA, FANOVA, PERMUTATION)
QUICK = (PED_ANOVA, PERMUTATION)  # Optuna's fANOVA takes a few seconds
UNITS = {
    PED_ANOVA: "share of the divergence between the best and all, above chance",
    FANOVA: "share of the forest's variance, above chance",
    PERMUTATION: "R\u00b2 lost on unseen networks",
}


@dataclass(frozen=True)
class AxisScore:
    """The importance of an axis by one method; axes tied to each other have one, of all together."""

    axes: tuple[str, ...]
    importance: Interval
    verdict: str

    @property
    def label(self) -> str:
        """For people."""
        return " + ".join(self.axes)


@dataclass(frozen=True)
class Importance:
    """By method, most important first. `r2`: of accuracy, what the model explains on unseen networks.

    `ranked` is false where that is nothing: then no axis has the verdict `matters`.
    """

    networks: int
    r2: Interval
    ranked: bool
    methods: Mapping[str, tuple[AxisScore, ...]]
    confounding: Confounding

    @property
    def matters(self) -> list[AxisScore]:
        """By permutation on unseen networks, most important first."""
        return [score for score in self.methods.get(PERMUTATION, ()) if score.verdict == MATTERS]


def importance(
    columns: Columns,
    accuracy: ArrayLike,
    *,
    networks: Sequence[str] | None = None,
    methods: Sequence[str] = METHODS,
    level: float = LEVEL,
    repeats: int = 4,
    halves: int = 20,
    seed: int = 0,
) -> Importance:
    """The importance of every axis (columns of n values) for `accuracy` (n,), by each of `METHODS`.

    `networks` (n,) are ids: rows of one network are resampled, and held out, together. `repeats` of five
    folds; `halves` are the half-samples of the jackknife. Raises `InputError`, also for under 20 networks.
    """
    axes, y, ids = checked_rows(columns, accuracy, networks)
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise InputError(f"importance: no method {quoted(unknown[0])}; there are {', '.join(METHODS)}")
    ties = confounding(axes)
    rng = np.random.default_rng(seed)
    # what cannot be told apart is shuffled together: alone, the others would still tell the model its value
    units = [tuple(group) for group in ties.groups]
    units += [(name,) for name in axes if not any(name in group for group in ties.groups)]
    sample = at_most(MOST[PERMUTATION], axes, y, ids, rng)
    r2, lost = r2_lost(*sample, units, level, repeats, rng)
    ranked = r2.low > 0
    found: dict[str, tuple[AxisScore, ...]] = {}
    for method in methods:
        if method == PERMUTATION:
            scored = lost
        else:
            sample = at_most(MOST[method], axes, y, ids, rng)
            scored = {(name,): one for name, one in above_chance(method, *sample, halves, rng).items()}
        scores = [_told(_score(unit, *one, level, len(scored)), ties) for unit, one in scored.items()]
        found[method] = tuple(_final(scores, ranked=ranked))
    return Importance(len(y), r2, ranked, found, ties)


def _told(score: AxisScore, ties: Confounding) -> AxisScore:
    """A score of one axis alone, where others go along with it, tells nothing of that axis."""
    if len(score.axes) == 1 and ties.partners(score.axes[0]):
        return AxisScore(score.axes, score.importance, TIED)
    return score


def _score(
    unit: tuple[str, ...], value: float, error: float, freedom: float, level: float, tests: int
) -> AxisScore:
    reach = half_width(error, freedom, level)
    # the interval is each axis's own, the verdict is one of many
    sure = value - half_width(error, freedom, level, tests) > 0
    return AxisScore(unit, Interval(value, value - reach, value + reach), MATTERS if sure else UNCLEAR)


def _final(scores: Sequence[AxisScore], *, ranked: bool) -> Iterator[AxisScore]:
    """Most important first; without a model that explains anything, nothing matters."""
    for score in sorted(scores, key=lambda s: -s.importance.value):
        verdict = score.verdict if ranked or score.verdict == TIED else UNCLEAR
        yield AxisScore(score.axes, score.importance, verdict)
