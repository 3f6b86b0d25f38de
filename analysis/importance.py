"""`python -m analysis.importance STUDY...`: which choices matter for accuracy, which cannot be told apart.

Four answers, from the least assuming to the most: PED-ANOVA (Watanabe et al. 2023: what sets the best tenth
apart) and fANOVA (Hutter et al. 2014: variance of a random forest's main effects), both Optuna's; importance
by permutation on held-out networks (Breiman 2001); and main effects of a linear model, adjusted for all else
(`analysis.effects`).

* PED-ANOVA and fANOVA are positive for noise too. What counts is the part above a shuffled copy of the
  axis, scored beside it (as in Boruta: Kursa and Rudnicki 2010), with a delete-half jackknife by network.
* Permutation importance is the loss of R^2 on networks that the model has not seen; its interval over
  repeated folds has the variance of Nadeau and Bengio 2003. Axes that are tied are shuffled together.
* Where the model explains nothing of unseen networks, nothing is ranked.
* Effects have bootstrap intervals by network. Verdicts allow for the number of axes (Bonferroni); intervals
  are each axis's own, at `LEVEL`.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.axes import SETS, Axis, Sample, sample_of
from analysis.compare import UNCLEAR
from analysis.confounding import Columns, Confounding, Floats, confounding, listed
from analysis.effects import Effect, main_effects
from analysis.networkwise import (
    FEWEST,
    LEVEL,
    MATTERS,
    MOST,
    TIED,
    Ids,
    Interval,
    at_most,
    bootstrap_weights,
    checked_rows,
    half_width,
    some_rows,
)
from analysis.study import Study, read_studies
from space.command import Command
from space.errors import InputError
from space.files import write_text

if TYPE_CHECKING:
    from optuna.importance import BaseImportanceEvaluator

PED_ANOVA, FANOVA, PERMUTATION = "PED-ANOVA", "fANOVA", "permutation"
METHODS = (PED_ANOVA, FANOVA, PERMUTATION)
QUICK = (PED_ANOVA, PERMUTATION)  # Optuna's fANOVA takes a few seconds
UNITS = {
    PED_ANOVA: "share of the divergence between the best and all, above chance",
    FANOVA: "share of the forest's variance, above chance",
    PERMUTATION: "R\u00b2 lost on unseen networks",
}

FOLDS = 5


@dataclass(frozen=True)
class Score:
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
    methods: Mapping[str, tuple[Score, ...]]
    confounding: Confounding

    @property
    def matters(self) -> list[Score]:
        """By permutation on unseen networks, most important first."""
        return [score for score in self.methods.get(PERMUTATION, ()) if score.verdict == MATTERS]


@dataclass(frozen=True)
class Curve:
    """Partial dependence (Friedman 2001): the model's mean accuracy at (k,) values `at`, less its mean.

    `low` and `high` are the bootstrap's, by network.
    """

    axis: str
    at: tuple[float, ...]
    labels: tuple[str, ...]
    value: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


# ---- importance -----------------------------------------------------------------------------------------


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
        raise InputError(f"importance: no method {unknown[0]!r}; there are {', '.join(METHODS)}")
    ties = confounding(axes)
    rng = np.random.default_rng(seed)
    units = [tuple(group) for group in ties.groups]
    units += [(name,) for name in axes if not any(name in group for group in ties.groups)]
    sample = at_most(MOST[PERMUTATION], axes, y, ids, rng)
    r2, lost = _held_out(*sample, units, level, repeats, rng)
    ranked = r2.low > 0
    found: dict[str, tuple[Score, ...]] = {}
    for method in methods:
        if method == PERMUTATION:
            scores = [_score(unit, *lost[unit], level, len(units)) for unit in units]
            scores = [_told(score, ties) for score in scores]
        else:
            sample = at_most(MOST[method], axes, y, ids, rng)
            scores = _above_chance(method, *sample, ties, level, halves, rng)
        found[method] = tuple(_final(scores, ranked=ranked))
    return Importance(len(y), r2, ranked, found, ties)


def _told(score: Score, ties: Confounding) -> Score:
    """A score of one axis alone, where others go along with it, tells nothing of that axis."""
    if len(score.axes) == 1 and ties.partners(score.axes[0]):
        return Score(score.axes, score.importance, TIED)
    return score


def _score(
    unit: tuple[str, ...], value: float, error: float, freedom: float, level: float, tests: int
) -> Score:
    reach = half_width(error, freedom, level)
    sure = value - half_width(error, freedom, level, tests) > 0
    return Score(unit, Interval(value, value - reach, value + reach), MATTERS if sure else UNCLEAR)


def _final(scores: Sequence[Score], *, ranked: bool) -> Iterator[Score]:
    """Most important first; without a model that explains anything, nothing matters."""
    for score in sorted(scores, key=lambda s: -s.importance.value):
        verdict = score.verdict if ranked or score.verdict == TIED else UNCLEAR
        yield Score(score.axes, score.importance, verdict)


# ---- permutation importance on held-out networks --------------------------------------------------------


def _held_out(
    axes: Mapping[str, Axis],
    y: Floats,
    ids: Ids,
    units: Sequence[tuple[str, ...]],
    level: float,
    repeats: int,
    rng: np.random.Generator,
) -> tuple[Interval, dict[tuple[str, ...], tuple[float, float, float]]]:
    """R^2 out of fold, and for each unit of axes: R^2 lost by shuffling it, standard error, freedom.

    All shuffled copies of a fold are predicted at once; scikit-learn's own function has no joint shuffling.
    """
    x, names = _features(axes), list(axes)
    columns = [[names.index(name) for name in unit] for unit in units]
    squares = np.zeros(len(y))
    lost: list[Floats] = []
    variance = float(y.var())
    for held in (fold for _ in range(repeats) for fold in _folds(ids, rng)):
        train = np.setdiff1d(np.arange(len(y)), held)
        model = _model(axes).fit(x[train], y[train])
        error = (y[held] - model.predict(x[held])) ** 2
        squares[held] += error / repeats
        copies = [_shuffled(x[held], c, rng) for c in columns for _ in range(SHUFFLES)]
        predicted = model.predict(np.concatenate(copies)).reshape(len(columns), SHUFFLES, len(held))
        worse = ((y[held] - predicted) ** 2).mean(axis=(1, 2)) - error.mean()
        lost.append(worse / variance)
    table = np.array(lost)
    # folds share most of what they train on: Nadeau and Bengio's correction is 1 / (folds - 1)
    errors = table.std(axis=0, ddof=1) * math.sqrt(1 / len(table) + 1 / (FOLDS - 1))
    scores = {
        unit: (float(v), float(e), len(table) - 1.0)
        for unit, v, e in zip(units, table.mean(axis=0), errors, strict=True)
    }
    return _r2(y, squares, ids, level, rng), scores


SHUFFLES = 5


def _features(axes: Mapping[str, Axis]) -> Floats:
    """One column an axis, (n, axes): numbers as models see them, categories as indices."""
    return np.stack([a.values if a.categorical else a.scaled for a in axes.values()], axis=1)


def _folds(ids: Ids, rng: np.random.Generator) -> list[NDArray[np.intp]]:
    """Rows held out in turn; those of one network together."""
    parts = np.array_split(rng.permutation(int(ids.max()) + 1), FOLDS)
    return [np.flatnonzero(np.isin(ids, part)) for part in parts]


def _shuffled(x: Floats, columns: Sequence[int], rng: np.random.Generator) -> Floats:
    copy = x.copy()
    copy[:, columns] = x[rng.permutation(len(x))][:, columns]
    return copy


def _model(axes: Mapping[str, Axis]) -> Any:
    """The regression that held-out networks are predicted by, of the columns of `_features`.

    A ridge of second order: of 400 networks of the simulated laws it predicts unseen ones better than a
    random forest does on four of the five, of 80 about as well, and it is far quicker.
    """
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    return make_pipeline(FunctionTransformer(_encoder(axes)), RidgeCV(np.geomspace(1e-1, 1e4, 11)))


def _encoder(axes: Mapping[str, Axis]) -> Callable[[Floats], Floats]:
    """`_features` (n, axes) as numbers, levels, squares, products of numbers and of levels, standardised."""
    numbers = [i for i, axis in enumerate(axes.values()) if not axis.categorical]
    levels = [(i, len(axis.levels)) for i, axis in enumerate(axes.values()) if axis.categorical]
    first, second = np.triu_indices(len(numbers))
    x = _features(axes)
    middle, spread = x[:, numbers].mean(axis=0), np.maximum(x[:, numbers].std(axis=0), 1e-12)

    def raw(x: Floats) -> Floats:
        scaled = (x[:, numbers] - middle) / spread
        indicators = [(x[:, [i]] == np.arange(count)).astype(np.float64) for i, count in levels]
        both = [
            (a[:, :, None] * b[:, None, :]).reshape(len(x), -1)
            for a, b in itertools.combinations(indicators, 2)
        ]
        return np.concatenate([scaled, scaled[:, first] * scaled[:, second], *indicators, *both], axis=1)

    encoded = raw(x)
    centre, scale = encoded.mean(axis=0), encoded.std(axis=0)
    scale[scale < 1e-9] = np.inf  # the square of a balanced two-valued axis is a constant
    return lambda x: np.asarray((raw(x) - centre) / scale)


def _r2(y: Floats, squares: Floats, ids: Ids, level: float, rng: np.random.Generator) -> Interval:
    """1 - squared error / variance with its bootstrap interval by network."""
    weights = bootstrap_weights(ids, 400, rng)
    total = weights.sum(axis=1)
    mean = weights @ y / total
    spread = weights @ y**2 / total - mean**2
    drawn = 1 - (weights @ squares / total) / np.maximum(spread, 1e-15)
    value = 1 - float(squares.mean() / y.var())
    reach = half_width(float(drawn.std(ddof=1)), int(ids.max()), level)
    return Interval(value, value - reach, value + reach)


# ---- Optuna's evaluators --------------------------------------------------------------------------------


def _above_chance(
    method: str,
    axes: Mapping[str, Axis],
    y: Floats,
    ids: Ids,
    ties: Confounding,
    level: float,
    halves: int,
    rng: np.random.Generator,
) -> list[Score]:
    """Every axis's score above that of its shuffled copies, as a share of what all axes have together."""
    scorers = [_Scorer(method, axes, y, rng) for _ in range(COPIES[method])]
    everything = np.ones(len(y), dtype=bool)
    full = np.array([scorer(everything) for scorer in scorers])
    scale = max(float(full[:, 0].mean(axis=0).sum()), 1e-12)
    value = (full[:, 0] - full[:, 1]).mean(axis=0) / scale
    groups = int(ids.max()) + 1
    halves = min(halves, MOST_HALVES[method])
    drawn = []
    for half in range(halves):
        chosen = np.isin(ids, rng.permutation(groups)[: groups // 2])
        own, chance = scorers[half % len(scorers)](chosen)
        drawn.append((own - chance) / scale)
    # half left out: the standard error is the deviation itself (Shao and Wu 1989, delete-d jackknife)
    errors = np.std(drawn, axis=0, ddof=1)
    scores = []
    for name, v, e in zip(axes, value.tolist(), errors.tolist(), strict=True):
        scores.append(_told(_score((name,), v, e, halves - 1, level, len(axes)), ties))
    return scores


# shuffled copies of every axis, a fit of the evaluator each
COPIES = {PED_ANOVA: 4, FANOVA: 1}
MOST_HALVES = {PED_ANOVA: 40, FANOVA: 8}
TREES, TREE_DEPTH = 16, 8
DENSITY_BINS = 6
SHUFFLED = "\0shuffled "


class _Scorer:
    """An Optuna study of the rows, one fixed distribution an axis, each axis with a shuffled copy."""

    def __init__(self, method: str, axes: Mapping[str, Axis], y: Floats, rng: np.random.Generator) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._method, self._y, self._names = method, y, list(axes)
        self._seed = int(rng.integers(2**31))
        parameters = {name: _parameter(method, axis) for name, axis in axes.items()}
        parameters |= {
            SHUFFLED + name: (rng.permutation(column), distribution)
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

    def __call__(self, chosen: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        """Scores of the axes and of their copies, (axes,) each, on the rows `chosen` (n,)."""
        from optuna.importance import get_param_importances

        # the evaluators leave out trials without a number; PED-ANOVA wants a target to be small
        loss = np.where(chosen, -self._y, np.nan)
        evaluator = self._evaluator()
        params = [*self._names, *(SHUFFLED + name for name in self._names)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(
                self._study,
                evaluator=evaluator,
                params=params,
                target=lambda trial: float(loss[trial.number]),
                normalize=False,
            )
        return np.array([found[n] for n in self._names]), np.array([found[SHUFFLED + n] for n in self._names])

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


# ---- partial dependence ---------------------------------------------------------------------------------


def partial_dependence(
    columns: Columns,
    accuracy: ArrayLike,
    *,
    networks: Sequence[str] | None = None,
    level: float = LEVEL,
    resamples: int = 20,
    points: int = 9,
    seed: int = 0,
) -> tuple[Curve, ...]:
    """How the model's accuracy depends on each axis (columns of n values), the others as they are.

    From the 5th to the 95th percentile of a number, by scikit-learn, in accuracy's unit; each curve less its
    mean, with intervals from models refitted to bootstrap samples of networks. Raises `InputError`.
    """
    axes, y, ids = checked_rows(columns, accuracy, networks)
    rng = np.random.default_rng(seed)
    axes, y, ids = at_most(MOST[PERMUTATION], axes, y, ids, rng)
    x = _features(axes)
    background = x[some_rows(len(x), BACKGROUND, rng)]
    models = [_model(axes).fit(x, y)]
    for counts in bootstrap_weights(ids, resamples, rng).astype(int):
        drawn = np.repeat(np.arange(len(y)), counts)
        models.append(_model(axes).fit(x[drawn], y[drawn]))
    return tuple(_curve(axis, j, models, background, points, level) for j, axis in enumerate(axes.values()))


BACKGROUND = 100  # rows that a curve is the mean over


def _curve(
    axis: Axis, column: int, models: Sequence[Any], background: Floats, points: int, level: float
) -> Curve:
    from sklearn.inspection import partial_dependence as dependence

    drawn, grid = [], np.zeros(0)
    for model in models:
        found = dependence(
            model,
            background,
            [column],
            categorical_features=[column] if axis.categorical else None,
            grid_resolution=points,
            kind="average",
            method="brute",
        )
        grid, curve = found["grid_values"][0], found["average"][0]
        drawn.append(curve - curve.mean())
    value = drawn[0]
    reach = half_width(1.0, max(len(models) - 2, 1), level) * np.std(drawn[1:], axis=0, ddof=1)
    at = np.exp(grid) if axis.log else grid
    return Curve(
        axis.name,
        tuple(at.tolist()),
        tuple(axis.text(v) for v in at.tolist()),
        tuple(value.tolist()),
        tuple((value - reach).tolist()),
        tuple((value + reach).tolist()),
    )


# ---- studies --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Findings:
    """What the networks of one plane say of its axes; `notes` are conditions and caveats."""

    studies: tuple[str, ...]
    conditions: str
    sample: Sample
    importance: Importance
    effects: tuple[Effect, ...]
    curves: tuple[Curve, ...]
    notes: tuple[str, ...]
    adaptive: tuple[str, ...] = ()  # samplers that look where they found accuracy

    @property
    def words(self) -> list[str]:
        """The answer in sentences."""
        return _words(self)


def find(
    studies: Sequence[Study],
    which: str = "summary",
    budget: str | None = None,
    *,
    thorough: bool = True,
) -> Findings:
    """Everything above, of studies of one plane; not `thorough`: with fewer resamples and without fANOVA.

    Raises `InputError`: planes that differ, a budget that no study has, fewer than 20 networks.
    """
    sample = sample_of(studies, which, budget)
    if not sample.axes:
        raise InputError(f"{_names(studies)}: {len(sample)} networks, and no axis varies between them")
    ids = sample.networks
    count = len(set(ids))
    if count < FEWEST:
        raise InputError(f"{_names(studies)}: {count} networks trained in full; importance needs {FEWEST}")
    repeats, halves, methods = (4, 20, METHODS) if thorough else (2, 10, QUICK)
    axes, y = sample.axes, sample.accuracy
    found = importance(axes, y, networks=ids, methods=methods, repeats=repeats, halves=halves)
    effects = main_effects(axes, y, networks=ids, resamples=400 if thorough else 200)
    curves = partial_dependence(axes, y, networks=ids, resamples=20 if thorough else 8)
    return Findings(
        studies=tuple(study.name for study in studies),
        conditions=studies[0].conditions,
        sample=sample,
        importance=found,
        effects=effects,
        curves=curves,
        notes=tuple(_notes(studies, sample)),
        adaptive=_adaptive(studies),
    )


def _names(studies: Sequence[Study]) -> str:
    return ", ".join(study.name for study in studies)


def _notes(studies: Sequence[Study], sample: Sample) -> Iterator[str]:
    """How the networks came to be, where it biases what they say."""
    yield from sample.notes
    adaptive = _adaptive(studies)
    if adaptive:
        yield (
            f"The networks were proposed by an adaptive sampler ({', '.join(adaptive)}), which looks where "
            "it found accuracy: axes go together more, poor values are rare, and an effect counts for the "
            "region it favours. A verdict is then on what goes with accuracy here, not on its cause; for "
            "that search with --sampler random"
        )
    if any(_scheduled(study) for study in studies):
        yield (
            "Trainings were stopped early by a scheduler: only those promoted to full fidelity are here, "
            "which makes effects look smaller than they are"
        )
    if len(sample) > MOST[FANOVA]:
        cut = [f"{name} {most:,}" for name, most in MOST.items() if len(sample) > most]
        yield f"Of {len(sample):,} networks a random part is used: {', '.join(cut)}"
    if not any(axis.cost for axis in sample.axes.values()):
        yield "All networks cost about the same, so FLOPs are not an axis: each effect is at equal cost"


def _adaptive(studies: Sequence[Study]) -> tuple[str, ...]:
    samplers = {str(study.mapping.get("sampler") or "unknown") for study in studies if study.candidates}
    return tuple(sorted(samplers - {"random"}))


def _scheduled(study: Study) -> bool:
    scheduler = study.mapping.get("scheduler") or {}
    return str(scheduler.get("name", "none")) != "none"


def _words(findings: Findings) -> list[str]:
    found = findings.importance
    r2 = f"R\u00b2 {found.r2.value:.2f} ({LEVEL:.0%} interval {found.r2.low:.2f} to {found.r2.high:.2f})"
    if not found.ranked:
        return [
            f"Not distinguishable: from the axes of {found.networks} networks the accuracy of unseen ones "
            f"cannot be predicted, {r2}, so no axis is ranked."
        ]
    lines = [f"The axes of {found.networks} networks predict the accuracy of unseen ones with {r2}."]
    matters = [f"{score.label} ({score.importance.value:.2f})" for score in found.matters]
    unclear = [s.label for s in found.methods.get(PERMUTATION, ()) if s.verdict == UNCLEAR]
    if matters:
        what = "what matters is"
        if findings.adaptive:  # where it was looked depends on what was found
            what = "what goes with accuracy among these adaptively chosen networks is"
        lines.append(f"By R\u00b2 lost when shuffled, {what} {listed(matters)}.")
    if unclear:
        lines.append(f"Not distinguishable from no importance: {listed(unclear)}.")
    for effect in findings.effects:
        if effect.verdict == MATTERS:
            best = effect.best
            lines.append(
                f"{effect.axis}: best at {best.label}, {_points(best.effect)} from the mean, at equal "
                + (", ".join(effect.adjusted_for) or "nothing else")
                + "."
            )
    return lines


def _points(interval: Interval) -> str:
    """Percentage points with their interval."""
    if math.isinf(interval.low):
        return f"{100 * interval.value:+.1f} points (no interval)"
    ends = f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    return f"{100 * interval.value:+.1f} points ({ends})"


# ---- the command ----------------------------------------------------------------------------------------


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.importance",
        description="Which choices of a study's networks matter for accuracy, with intervals.",
    )
    parse.add_argument("studies", metavar="STUDY", nargs="+", help="runs/NAME by its name, or a study folder")
    parse.add_argument(
        "--axes",
        choices=SETS,
        default="summary",
        help="one number a dimension (the default), stage by stage, the sampler's parameters, or all",
    )
    parse.add_argument("--budget", metavar="TEXT", help="the networks of this budget of a sweep only")
    parse.add_argument("--csv", metavar="FILE", type=Path, help="write every number to a CSV file")
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the tables")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    args = parser().parse_args(argv)
    try:
        found = find(read_studies(args.studies), args.axes, args.budget)
        if args.csv is not None:
            write_text(args.csv, as_csv(found))
    except InputError as error:
        print(f"analysis.importance: {error}", file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(as_json(found), indent=2))
    else:
        print_findings(found)
    return 0


CSV_COLUMNS = ("kind", "axis", "level", "at", "networks", "mean", "value", "low", "high", "verdict")


def rows_of(found: Findings) -> list[tuple[str | float | int | None, ...]]:
    """Every number, long: kind, axis, level, at, networks, mean, value, low, high, verdict.

    Importances by method, effects by level and partial dependence by point; accuracies are fractions.
    """
    rows: list[tuple[str | float | int | None, ...]] = []
    for method, scores in found.importance.methods.items():
        rows += [(method, s.label, None, None, None, None, *_ends(s.importance), s.verdict) for s in scores]
    for effect in found.effects:
        for one in effect.levels:
            numbers = (one.at, one.networks, one.mean)
            rows.append(("main effect", effect.axis, one.label, *numbers, *_ends(one.effect), effect.verdict))
    for curve in found.curves:
        points = zip(curve.labels, curve.at, curve.value, curve.low, curve.high, strict=True)
        for label, at, *ends in points:
            rows.append(("partial dependence", curve.axis, label, at, None, None, *ends, None))
    for tie in found.importance.confounding.ties:
        verdict = f"{TIED}: {', '.join(tie.by)}" if tie.tied else None
        rows.append(
            ("explained by the others", tie.axis, None, None, None, None, tie.explained, None, None, verdict)
        )
    return rows


def as_csv(found: Findings) -> str:
    """`rows_of` as CSV text, with a header; what is not known is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in rows_of(found):
        writer.writerow(["" if v is None else f"{v:.6g}" if isinstance(v, float) else v for v in row])
    return out.getvalue()


def as_json(found: Findings) -> dict[str, Any]:
    """Plain values; the ends of an interval that are not known are None."""
    result = found.importance
    plain = {
        "studies": list(found.studies),
        "conditions": found.conditions,
        "networks": result.networks,
        "level": LEVEL,
        "r2": asdict(result.r2),
        "ranked": result.ranked,
        "words": found.words,
        "importance": {
            method: {"unit": UNITS[method], "scores": [asdict(score) for score in scores]}
            for method, scores in result.methods.items()
        },
        "effects": [asdict(effect) for effect in found.effects],
        "partial_dependence": [asdict(curve) for curve in found.curves],
        "confounding": asdict(result.confounding) | {"text": result.confounding.text},
        "notes": list(found.notes),
    }
    cleaned: dict[str, Any] = _finite(plain)
    return cleaned


def _ends(interval: Interval) -> tuple[float, float | None, float | None]:
    if math.isinf(interval.low):
        return interval.value, None, None
    return interval.value, interval.low, interval.high


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_findings(found: Findings) -> None:
    """Tables with verdicts in words; a pipe gets plain text, as wide as it needs to be."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=160)
    console.print(f"{', '.join(found.studies)}: {found.conditions}", markup=False, soft_wrap=True)
    for line in found.words:
        console.print(line, markup=False, soft_wrap=True)
    for table in _tables(found):
        console.print(table)
    for line in [*found.importance.confounding.text, *found.notes]:
        console.print(f"note: {escape(line)}", soft_wrap=True)


def _tables(found: Findings) -> Iterator[Any]:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    def table(title: str, *headings: str) -> Table:
        made = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
        for heading in headings:
            made.add_column(heading)
        return made

    for method, scores in found.importance.methods.items():
        it = table(f"{method}: {UNITS[method]}", "axis", f"importance ({LEVEL:.0%} interval)", "verdict")
        for score in scores:
            i = score.importance
            style = "bold" if score.verdict == MATTERS else ""
            text = f"{i.value:+.3f} ({i.low:+.3f} to {i.high:+.3f})"
            it.add_row(escape(score.label), text, score.verdict, style=style)
        yield it
    it = table("main effects: accuracy at equal values of the other axes, from the mean of all",
               "axis", "level", "networks", "mean", f"effect ({LEVEL:.0%} interval)", "verdict")  # fmt: skip
    for effect in found.effects:
        for k, one in enumerate(effect.levels):
            verdict = _verdict_text(effect) if k == 0 else ""
            name = escape(effect.axis) if k == 0 else ""
            mean = f"{one.mean:.1%}"
            it.add_row(name, escape(one.label), str(one.networks), mean, _points(one.effect), verdict)
        it.add_section()
    yield it


def _verdict_text(effect: Effect) -> str:
    if effect.verdict == TIED:
        return f"{TIED} from {listed(effect.along)}"
    return f"{effect.verdict} (p = {effect.p:.2g})"


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends it quietly
    sys.exit(main())
