"""Error against cost: what a study searched and each family of references, with the law through each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from space.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.laws.answer import Answer
    from analysis.laws.choice import Choice
    from analysis.laws.fit import Fit
    from analysis.laws.law import Law
    from nas.record.study import Study, Tried

    Floats = NDArray[np.float64]

FEWEST_FRESH = 4  # networks with fresh seeds that stand for a search; three make no law
CHOICE_NEEDS = 6  # networks to choose a law by: four to fit three parameters, two to predict
MOST_POINTS = 24  # that a law is fitted to
NARROW = 1.5  # a factor in cost; over less there is no law to be seen
UNIT = {"macs": 1e9, "params": 1e6, "activations": 1e6}


@dataclass(frozen=True)
class Point:
    """One network that a law is fitted to: `error` is a fraction, the mean over `seeds` trainings."""

    tried: Tried = field(repr=False)
    cost: float
    error: float
    seeds: int


@dataclass(frozen=True)
class Series:
    """The error of a family's networks against cost, and the law through it.

    `fit` is of percent against cost in `unit`, 1e9 for FLOPs; it is None where `reason` says why. `fresh`
    says that nothing was chosen by these values. `choice` is None where there are too few networks to choose
    a law by extrapolation.
    """

    family: str
    points: tuple[Point, ...]
    unit: float
    fresh: bool
    fit: Fit | None
    choice: Choice | None
    reason: str

    @property
    def drawn(self) -> bool:
        """Whether there are networks enough for a line to mean something."""
        return self.fit is not None and self.fit.networks > len(self.fit.law.parameters)

    def at(self, costs: Sequence[float], law: Law | None = None) -> tuple[Answer, ...]:
        """Errors in percent at costs (m,), by the law that was chosen or by another. Raises `InputError`."""
        from analysis.laws.fit import fit_law

        fit = self.fit
        if fit is None:
            raise InputError(f"scale: there is no law: {self.reason}")
        if law is not None and law is not fit.law:
            fit = fit_law(*_columns(self.points, self.unit), law=law)
        return fit.predict_intervals([cost / self.unit for cost in costs])


def searched_series(study: Study) -> Series:
    """The best of a search: fresh means where enough networks have such, else the best search values.

    These are the best of each budget, or of each part of a range of costs. Fresh means are enough where a law
    can be fitted to them.
    """
    from nas.record.trial import SEARCHED

    points, fresh = searched_points(study)
    return _series(SEARCHED, points, fresh, study)


def reference_series(study: Study, family: str, networks: Sequence[Tried]) -> Series:
    """References of one family; their values were not chosen by."""
    points = [Point(t, float(getattr(t, study.metric)), 1 - t.accuracy, len(t.accuracies)) for t in networks]
    return _series(family, points, True, study)


def searched_points(study: Study) -> tuple[list[Point], bool]:
    """The networks that stand for the best of their budget, and whether their values are fresh."""
    from analysis.isoflop.sample import group_of

    candidates = study.candidates
    group = group_of(study, candidates)
    again = [i for i, tried in enumerate(candidates) if tried.fresh and group[i] >= 0]
    most = max((len(candidates[i].fresh) for i in again), default=0)
    # one with fewer seeds had one fail, or is not done: its mean is not of the same seeds
    again = [i for i in again if len(candidates[i].fresh) == most]
    found = [_fresh_point(candidates[i], study.metric) for i in again]
    costs = [point.cost for point in found]
    if len(found) >= FEWEST_FRESH and max(costs) >= NARROW * min(costs):
        return found, True
    inside = [tried for i, tried in enumerate(candidates) if group[i] >= 0]
    groups = [int(g) for g in group if g >= 0]
    best = _best_each(inside, groups)
    return [Point(t, float(getattr(t, study.metric)), 1 - _search_value(t), 1) for t in best], False


def _fresh_point(tried: Tried, metric: str) -> Point:
    values = list(tried.fresh.values())
    return Point(tried, float(getattr(tried, metric)), 1 - sum(values) / len(values), len(values))


def _search_value(tried: Tried) -> float:
    seen = None if tried.chosen_by is None else tried.accuracies.get(tried.chosen_by)
    return tried.accuracy if seen is None else seen


def _best_each(networks: Sequence[Tried], groups: Sequence[int]) -> list[Tried]:
    best: dict[int, Tried] = {}
    for tried, g in zip(networks, groups, strict=True):
        if g not in best or _search_value(tried) > _search_value(best[g]):
            best[g] = tried
    return [best[g] for g in sorted(best)]


def _series(family: str, points: Sequence[Point], fresh: bool, study: Study) -> Series:
    import numpy as np

    kept = sorted(points, key=lambda point: point.cost)
    if len(kept) > MOST_POINTS:
        kept = [kept[round(i)] for i in np.linspace(0, len(kept) - 1, MOST_POINTS)]
    unit = UNIT[study.metric]
    fit, choice, reason = _law(kept, unit, study)
    return Series(family, tuple(kept), unit, fresh, fit, choice, reason)


def _law(points: Sequence[Point], unit: float, study: Study) -> tuple[Fit | None, Choice | None, str]:
    """The law that predicts large networks from small ones; with few networks the one with a floor."""
    from analysis.laws.choice import choose_law
    from analysis.laws.fit import fit_law
    from analysis.laws.law import SATURATING_POWER
    from space.words import plural

    costs, errors = _columns(points, unit)
    count = plural(len(points), "network")
    if len(points) < 2 or max(costs) < NARROW * min(costs):
        return None, None, f"{count}; a law needs costs over a factor of at least {NARROW:g}"
    if len(points) < CHOICE_NEEDS:
        reason = f"{count} are too few to choose a law by extrapolation"
        return fit_law(costs, errors, law=SATURATING_POWER), None, reason
    choice = choose_law(costs, errors, laws_of(study, max(errors)))
    return fit_law(costs, errors, law=choice.law), choice, choice.reason


def _columns(points: Sequence[Point], unit: float) -> tuple[list[float], list[float]]:
    """Costs in the unit, and errors in percent."""
    # a fit takes errors above 0 alone, and a network may have made no mistake
    return [point.cost / unit for point in points], [max(100 * point.error, 1e-4) for point in points]


def laws_of(study: Study, worst: float) -> list[Law]:
    """Laws to choose among, of errors in percent up to `worst`.

    The one that is flat at guessing only where the number of classes is known.
    """
    from analysis.laws.law import POWER, SATURATING_POWER, double_saturation

    classes = study.mapping["proxy"].get("num_classes")
    laws = [POWER, SATURATING_POWER]
    if isinstance(classes, int) and classes > 1 and worst < 100 - 100 / classes:
        laws.append(double_saturation(100 - 100 / classes))
    return laws
