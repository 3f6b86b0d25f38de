"""Optuna's importances, PED-ANOVA and fANOVA, above what a shuffled copy of each axis scores.

PED-ANOVA (Watanabe et al. 2023) is of what sets the best tenth apart, fANOVA (Hutter et al. 2014) of the
variance of a random forest's main effects. Both are positive for noise too; what counts is the part above a
shuffled copy of the axis (as in Boruta: Kursa and Rudnicki 2010), with a delete-half jackknife by network.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.axes.axes import Axis
from analysis.axes.confounding import Floats
from analysis.axes.networkwise import Ids

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

PED_ANOVA, FANOVA = "PED-ANOVA", "fANOVA"

# shuffled copies of every axis
COPIES = {PED_ANOVA: 4, FANOVA: 1}
MOST_HALVES = {PED_ANOVA: 40, FANOVA: 8}
TREES, TREE_DEPTH = 16, 8
DENSITY_BINS = 6
SHUFFLED = "\0shuffled {} {}"


def above_chance(
    method: str, axes: Mapping[str, Axis], y: Floats, ids: Ids, halves: int, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """By axis: its score above that of its shuffled copies, standard error, degrees of freedom.

    Scores are shares of what all axes have together. The errors are of `halves` half-samples of networks.
    """
    copies = COPIES[method]
    scorer = _Scorer(method, axes, y, copies, rng)
    own, chance = scorer(np.ones(len(y), dtype=bool), range(copies))
    # of the whole sample, and for the halves as well: their own would add its noise to every axis
    scale = max(float(own.sum()), 1e-12)
    value = (own - chance) / scale
    groups = int(ids.max()) + 1
    halves = min(halves, MOST_HALVES[method])
    drawn = []
    for half in range(halves):
        chosen = np.isin(ids, rng.permutation(groups)[: groups // 2])
        own, chance = scorer(chosen, [half % copies])
        drawn.append((own - chance) / scale)
    # half left out: the standard error is the deviation itself (Shao and Wu 1989, delete-d jackknife)
    errors = np.std(drawn, axis=0, ddof=1)
    return {
        name: (v, e, halves - 1.0) for name, v, e in zip(axes, value.tolist(), errors.tolist(), strict=True)
    }


class _Scorer:
    """An Optuna study of the rows, one fixed distribution an axis, each axis with shuffled copies."""

    def __init__(
        self, method: str, axes: Mapping[str, Axis], y: Floats, copies: int, rng: np.random.Generator
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._method, self._y, self._names = method, y, list(axes)
        self._seed = int(rng.integers(2**31))
        parameters = {name: _parameter(method, axis) for name, axis in axes.items()}
        parameters |= {
            SHUFFLED.format(copy, name): (rng.permutation(column), distribution)
            for copy in range(copies)
            for name, (column, distribution) in parameters.items()
        }
        distributions = {name: distribution for name, (_, distribution) in parameters.items()}
        rows = zip(*(column.tolist() for column, _ in parameters.values()), strict=True)
        self._study = optuna.create_study(direction="maximize")
        self._study.add_trials(
            optuna.create_trial(
                params=dict(zip(parameters, row, strict=True)),
                distributions=distributions,
                value=float(value),
            )
            for row, value in zip(rows, y, strict=True)
        )

    def __call__(self, chosen: NDArray[np.bool_], copies: Sequence[int]) -> tuple[Floats, Floats]:
        """Scores of the axes, and means of some copies of each, on the rows `chosen` (n,): (axes,) both."""
        from optuna.importance import get_param_importances

        # the evaluators leave out trials without a number; PED-ANOVA wants a target to be small
        loss = np.where(chosen, -self._y, np.nan)
        shuffled = [[SHUFFLED.format(copy, name) for name in self._names] for copy in copies]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(
                self._study,
                evaluator=self._evaluator(),
                params=[name for names in (self._names, *shuffled) for name in names],
                target=lambda trial: float(loss[trial.number]),
                normalize=False,
            )
        chance = np.mean([[found[name] for name in names] for names in shuffled], axis=0)
        return np.array([found[name] for name in self._names]), chance

    def _evaluator(self) -> BaseImportanceEvaluator:
        from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator

        if self._method == FANOVA:
            return FanovaImportanceEvaluator(n_trees=TREES, max_depth=TREE_DEPTH, seed=self._seed)
        # the best tenth, but twenty networks: a half-sample has ten then (Optuna asks for five at least)
        return PedAnovaImportanceEvaluator(target_quantile=min(0.5, max(0.1, 20 / len(self._y))))


def _parameter(method: str, axis: Axis) -> tuple[NDArray[Any], Any]:
    """An axis as a column and its distribution. For PED-ANOVA numbers are bins of about equal size.

    It divides densities, which must not vanish between the few values that a number takes.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.categorical:
        return axis.values.astype(int), CategoricalDistribution(list(range(len(axis.levels))))
    if method == PED_ANOVA:
        edges = np.unique(np.quantile(axis.values, np.linspace(0, 1, DENSITY_BINS + 1)[1:-1]))
        bins = np.unique(np.searchsorted(edges, axis.values, side="right"), return_inverse=True)[1]
        return bins, IntDistribution(0, int(bins.max()))
    return axis.scaled, FloatDistribution(float(axis.scaled.min()), float(axis.scaled.max()))
