"""Distributions of error: of the networks trained inside each budget, and of the best of n of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from analysis.comparison.distributions import SpaceComparison, best_of, compare_spaces, edf
from analysis.page.view import Cell, Figure, Table, View
from analysis.views.common import (
    budget_colour,
    dash,
    escape,
    figure_spec,
    ribbon,
    spread_sample,
    study_colour,
)
from analysis.views.planes import Plane, apart, band_of, numbered, planes
from analysis.views.units import Spec, log_axis
from nas.record.study import Study
from nas.verdict.difference import UNCLEAR
from nas.verdict.field import searched_value
from space.words import compact, plural

KEY, TITLE = "edf", "Distribution of errors"
FEWEST = 3  # networks, to speak of a distribution
MOST_STEPS, SIZES = 400, 40  # points of a curve
LEVEL = 0.9
RESAMPLES, CHEAP_RESAMPLES, LARGE = 1000, 200, 2000
# n is at most this share of the networks: beyond, the bootstrap's band falls short (analysis/compare.py)
SHARE = 1 / 4
MOST_PAIRS = 15

COLUMNS = (
    "study", "budget", "sampler", "networks", "best error (%)", "median error (%)", "mean error (%)", "n",
    "expected best of n (%)", "low (90%)", "high (90%)",
)  # fmt: skip
PAIR_COLUMNS = (
    "study a", "study b", "budget", "networks a", "networks b", "n", "best of n: a better by (points)",
    "low", "high", "verdict on a", "mean: a better by (points)", "low (mean)", "high (mean)",
    "verdict on a (mean)", "Kolmogorov-Smirnov distance", "p",
)  # fmt: skip


def view(studies: Sequence[Study]) -> View:
    """Both distributions of each study and budget, two figures a plane, and the studies compared."""
    samples = [_samples(plane) for plane in planes(studies)]
    shown = [(plane, found) for plane, found in zip(planes(studies), samples, strict=True) if found]
    if not shown:
        reason = f"Fewer than {FEWEST} candidates have been trained in full: no distribution to speak of yet."
        return View(KEY, TITLE, lead=reason, empty=reason)
    figures = []
    for i, (plane, found) in enumerate(shown):
        figures.append(_edf_figure(plane, found, numbered("edf", i)))
        if any(len(one.sizes) > 1 for one in found):  # the best of one is no curve
            figures.append(_best_figure(plane, found, numbered("best_of", i)))
    every = [one for _, found in shown for one in found]
    tables = [Table("edf", "Errors of the candidates", COLUMNS, [_row(one) for one in every])]
    pairs = [_Pair.of(*two) for _, found in shown for two in _pairs(found)]
    if pairs:
        tables.append(
            Table("edf_compared", "Studies compared", PAIR_COLUMNS, [_pair_row(pair) for pair in pairs])
        )
    return View(
        KEY,
        TITLE,
        lead=" ".join(map(_pair_sentence, pairs) if pairs else _sentences(every)),
        figures=figures,
        tables=tables,
        notes=[*_notes(every, compared=bool(pairs), band=len(figures) > len(shown)), *apart(studies)],
    )


@dataclass(frozen=True)
class _Sample:
    """The errors in percent of one study's candidates of one budget, as its search saw them."""

    place: int  # of the study in its figure
    study: str
    budget: str
    several: bool  # budgets
    sampler: str
    scheduler: str
    front: bool
    failed: int
    errors: NDArray[np.float64]

    @property
    def label(self) -> str:
        return f"{self.study}, {self.budget}" if self.several else self.study

    @property
    def uniform(self) -> bool:
        """Whether the networks are a uniform sample of the band, or at least of its strata."""
        return self.sampler == "random" and self.scheduler == "none"

    @property
    def size(self) -> int:
        return int(self.errors.size)

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers n of networks to be the best of."""
        return sorted({round(n) for n in np.geomspace(1, most_of(self.size), SIZES).tolist()})

    @cached_property
    def expected(self) -> list[float]:
        """Error of the best of each of `sizes`."""
        return [best_of(self.errors, n, LEVEL).mean for n in self.sizes]

    @cached_property
    def interval(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of `expected`: percentiles of a bootstrap over the networks."""
        ordered = np.sort(self.errors)
        resamples = RESAMPLES if self.size <= LARGE else CHEAP_RESAMPLES
        drawn = np.random.default_rng(0).integers(self.size, size=(resamples, self.size))
        # sorting indices of sorted errors sorts the errors, faster
        tables = ordered[np.sort(drawn.astype(np.int32), axis=1)]
        left = 1 - np.arange(self.size + 1) / self.size
        weights = np.stack([-np.diff(left**n) for n in self.sizes], axis=1)  # as in `best_of`
        low, high = np.quantile(tables @ weights, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        return low, high


def _samples(plane: Plane) -> list[_Sample]:
    """Of each study of the plane, by budget; samples of too few networks are left out."""
    found = []
    for place, (_, label, study) in enumerate(plane.members):
        groups: dict[str, list[float]] = {}
        for tried in study.candidates:
            groups.setdefault(band_of(study, tried), []).append(100 * (1 - searched_value(tried)))
        for budget, errors in groups.items():
            if len(errors) >= FEWEST:
                found.append(_sample(place, label, study, budget, errors))
    return found


def _sample(place: int, label: str, study: Study, budget: str, errors: Sequence[float]) -> _Sample:
    mapping = study.mapping
    trials = study.trials
    return _Sample(
        place=place,
        study=label,
        budget=budget,
        several=len(study.bands) > 1,
        sampler=str(mapping.get("sampler") or "unknown"),
        scheduler=study.scheduler,
        front=mapping.get("objective") == "front",
        failed=sum(t.state == "failed" and t.is_candidate and (t.budget or budget) == budget for t in trials),
        errors=np.array(errors),
    )


# ---- figures --------------------------------------------------------------------------------------------


def _edf_figure(plane: Plane, samples: Sequence[_Sample], name: str) -> Figure:
    data: list[Spec] = []
    for look, one in zip(_looks(samples), samples, strict=True):
        errors, shares = edf(one.errors)
        kept = spread_sample(one.size, MOST_STEPS)
        data.append({
            "type": "scatter", "mode": "lines", "name": f"{escape(one.label)} ({one.size})",
            "x": [compact(float(errors[i])) for i in (0, *kept)],
            "y": [0, *(compact(float(shares[i]), 3) for i in kept)],
            "line": {"shape": "hv", **look},
            "hovertemplate": "%{y:.0%} of networks have an error of at most %{x:.1f}%<extra></extra>",
        })  # fmt: skip
    spec = figure_spec(
        data,
        xaxis={"title": plane.title("top-1 error")},
        yaxis={"title": {"text": "share of networks"}, "range": [0, 1.02]},
        showlegend=True,
    )
    return Figure(
        name,
        "Distribution of errors",
        spec,
        f"Cumulative share of networks by error, {_counted(samples)}.",
    )


def _best_figure(plane: Plane, samples: Sequence[_Sample], name: str) -> Figure:
    data: list[Spec] = []
    for look, one in zip(_looks(samples), samples, strict=True):
        low, high = ([compact(value) for value in end.tolist()] for end in one.interval)
        data += [
            ribbon(one.sizes, low, high, look["color"], legendgroup=escape(one.label)),
            {
                "type": "scatter", "mode": "lines+markers", "name": f"{escape(one.label)} ({one.size})",
                "x": one.sizes, "y": [compact(value) for value in one.expected], "line": look,
                "marker": {"size": 4, "color": look["color"]}, "legendgroup": escape(one.label),
                "hovertemplate": "best of %{x}: %{y:.1f}% error<extra></extra>",
            },
        ]  # fmt: skip
    spec = figure_spec(
        data,
        xaxis=log_axis("n, networks drawn", [n for one in samples for n in one.sizes]),
        yaxis={"title": plane.title("expected top-1 error")},
        showlegend=True,
    )
    return Figure(
        name,
        "Expected error of the best of n",
        spec,
        f"Expected error of the best of n networks against n, with a {LEVEL:.0%} bootstrap band, "
        f"{_counted(samples)}.",
    )


def _looks(samples: Sequence[_Sample]) -> Iterator[dict[str, str]]:
    """A colour a study, a dash a budget; of one study, a colour a budget."""
    alone = len({one.place for one in samples}) == 1
    budgets = list(dict.fromkeys(one.budget for one in samples))
    for one in samples:
        place = budgets.index(one.budget)
        own = budget_colour(place, len(budgets)) if alone and len(budgets) > 1 else study_colour(one.place)
        yield {"color": own, "dash": dash(place)}


def _counted(samples: Sequence[_Sample]) -> str:
    return "; ".join(f"{one.label}: {plural(one.size, 'network')}" for one in samples)


# ---- the numbers ----------------------------------------------------------------------------------------


def _row(one: _Sample) -> list[Cell]:
    n = most_of(one.size)
    best = best_of(one.errors, n, LEVEL)
    numbers = [float(one.errors.min()), float(np.median(one.errors)), float(one.errors.mean())]
    return [
        one.study,
        one.budget,
        one.sampler,
        one.size,
        *(compact(value) for value in numbers),
        n,
        *(compact(value) for value in (best.mean, best.low, best.high)),
    ]


def most_of(size: int) -> int:
    """The largest n of which so many networks tell the best."""
    return max(1, int(SHARE * size))


@dataclass(frozen=True)
class _Pair:
    """Two studies' networks of one budget, compared."""

    first: _Sample
    second: _Sample
    found: SpaceComparison

    @classmethod
    def of(cls, first: _Sample, second: _Sample) -> _Pair:
        n = most_of(min(first.size, second.size))
        return cls(first, second, compare_spaces(first.errors, second.errors, n, level=LEVEL))


def _pairs(samples: Sequence[_Sample]) -> list[tuple[_Sample, _Sample]]:
    """Different studies at one budget; the first pairs of too many."""
    two = [(a, b) for a, b in combinations(samples, 2) if a.place != b.place and a.budget == b.budget]
    return two[:MOST_PAIRS]


def _pair_row(pair: _Pair) -> list[Cell]:
    found = pair.found
    cells: list[Cell] = [
        pair.first.study,
        pair.second.study,
        pair.first.budget,
        pair.first.size,
        pair.second.size,
    ]
    cells.append(found.n)
    for difference in (found.best, found.mean):
        ends = (difference.value, difference.low, difference.high)
        cells += [*(round(end, 2) for end in ends), difference.verdict]
    return [*cells, round(found.distance, 3), compact(found.same, 2)]


# ---- the answer -----------------------------------------------------------------------------------------


def _sentences(samples: Sequence[_Sample]) -> list[str]:
    found = []
    for one in samples:
        n = most_of(one.size)
        found.append(
            f"{one.label}: the errors of {plural(one.size, 'candidate')} run from {one.errors.min():.1f}% to "
            f"{one.errors.max():.1f}%, half of them below {np.median(one.errors):.1f}%"
            + (f"; the best of {n} is expected at {best_of(one.errors, n).mean:.1f}%." if n > 1 else ".")
        )
    return found


def _pair_sentence(pair: _Pair) -> str:
    best, n = pair.found.best, pair.found.n
    what = f"accuracy of the best of {n} networks" if n > 1 else "mean accuracy"
    than = "" if best.verdict == UNCLEAR else " than it"
    kind = (
        "design spaces" if pair.first.uniform and pair.second.uniform else "what the searches trained in full"
    )
    return (
        f"{pair.first.study} less {pair.second.study} ({pair.first.budget}; {kind}): {best.value:+.1f} "
        f"points in {what} ({LEVEL:.0%} interval {best.low:+.1f} to {best.high:+.1f}): {best.verdict}{than}."
    )


def _notes(samples: Sequence[_Sample], *, compared: bool, band: bool) -> list[str]:
    """What the errors are of; `band`: the expected best of n is drawn."""
    notes = []
    guided = list(dict.fromkeys(one.study for one in samples if one.sampler != "random"))
    if guided:
        notes.append(
            f"Not a uniform sample: {', '.join(guided)} {'was' if len(guided) == 1 else 'were'} searched by "
            "a sampler that learns, so the distribution describes the search, not its design space. The "
            "record does not say which trials were drawn uniformly at its start; a study with --sampler "
            "random is such a sample."
        )
    strata = list(dict.fromkeys(one.study for one in samples if one.sampler == "random" and one.front))
    if strata:
        notes.append(
            f"{', '.join(strata)}: drawn uniformly in strata of log cost, not over the whole range at once."
        )
    stopped = list(dict.fromkeys(one.study for one in samples if one.scheduler != "none"))
    if stopped:
        notes.append(
            f"{', '.join(stopped)}: stopped early what learnt slowly; only what was trained in full is "
            "counted, so the errors are those of the survivors."
        )
    failed = sum(one.failed for one in samples)
    if failed:
        notes.append(f"Failed trainings have no error and no part in it: {failed}.")
    drawn = f"Band: {LEVEL:.0%} bootstrap interval over the networks, for n up to a quarter of them; the"
    notes.append(
        f"Errors are of one seed each. {drawn if band else 'The'} table's range is that of the best itself. "
        "Method: Radosavovic et al. 2020, section 3.1."
    )
    if compared:
        notes.append(
            "Studies are compared within one budget, at n of a quarter of the smaller one: above 0, the "
            "first is more accurate. The interval is over the networks of these two studies, and not "
            "widened for the number of pairs; another seed of a search would draw another sample."
        )
    return notes
