"""The proxy plane: accuracy against cost, with the front, the references, and what fresh seeds say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from analysis.fronts.pareto import front_probability, seeds_probability
from analysis.page.view import Cell, Figure, Table, View, colour_of, symbol_of
from analysis.views.common import (
    band_shapes,
    dash,
    escape,
    figure_spec,
    seed_bars,
    spread_sample,
    study_colour,
    study_symbol,
    with_room,
)
from analysis.views.plane_answers import budget_table, lead_of
from analysis.views.planes import Plane, apart, band_of, budgets, numbered, planes, searched_value
from analysis.views.units import UNITS, Spec, cost_axis, cost_in
from nas.record.study import Study, Tried
from nas.record.trial import SEARCHED
from nas.verdict.front import front
from space.words import compact, finite, percent, plural

KEY, TITLE = "plane", "Accuracy and cost"
# candidates drawn in a figure, and listed in the table: more would make a page heavy and show no more
MOST_POINTS, MOST_ROWS = 2000, 1000
MOST_LABELS = 6
DRAWS = 4000  # of the probability of being on the front: its standard error is below 0.01

COLUMNS = (
    "study", "trial", "network", "role", "family", "budget", "GFLOPs", "parameters (M)", "activations (M)",
    "accuracy in the search (%)", "on the front of the search", "fresh seeds", "mean of fresh seeds (%)",
    "least (%)", "largest (%)", "on the front of fresh means", "probability of being on that front",
)  # fmt: skip


def view(studies: Sequence[Study]) -> View:
    """Accuracy against the budget's cost and against parameters: a figure each for every plane."""
    shown = [plane for plane in planes(studies) if any(study.networks for _, _, study in plane.members)]
    if not shown:
        reason = "No network has been trained in full yet; the plane fills as trainings end."
        return View(KEY, TITLE, lead=reason, empty=reason)
    drawn = [_Drawn(plane) for plane in shown]
    figures = []
    for i, one in enumerate(drawn):
        first, second = one.metrics
        figures += [
            _figure(one, first, numbered("plane", i)),
            _figure(one, second, numbered(f"plane_{second}", i)),
        ]
    rows = [row for one in drawn for row in _rows(one)]
    tables = [*budget_table(studies), Table("plane", "Networks trained in full", COLUMNS, rows)]
    return View(
        KEY,
        TITLE,
        lead=lead_of(studies),
        figures=figures,
        tables=tables,
        notes=[*_notes(drawn), *apart(studies)],
    )


# ---- what is drawn --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """A network with the index and the label of its study, and whether it is on the fronts."""

    index: int
    study: str
    tried: Tried

    @cached_property
    def seeds(self) -> list[float]:
        """Accuracies that nothing was chosen by."""
        return list(self.tried.fresh.values())

    @property
    def customdata(self) -> list[int]:
        return [self.index, self.tried.trial]

    @property
    def is_candidate(self) -> bool:
        return self.tried.role == "candidate"


@dataclass(frozen=True)
class _Drawn:
    """A plane's networks and their fronts in the cost that its budgets are of."""

    plane: Plane

    @cached_property
    def placed(self) -> list[_Placed]:
        return [_Placed(i, label, t) for i, label, study in self.plane.members for t in study.networks]

    @property
    def metric(self) -> str:
        return self.plane.members[0][2].metric

    @property
    def metrics(self) -> tuple[str, str]:
        """The budget's cost, and parameters or else FLOPs."""
        return self.metric, "params" if self.metric != "params" else "macs"

    @cached_property
    def candidates(self) -> list[_Placed]:
        return [p for p in self.placed if p.is_candidate]

    @cached_property
    def references(self) -> list[_Placed]:
        return [p for p in self.placed if not p.is_candidate]

    @cached_property
    def fresh(self) -> list[_Placed]:
        """Candidates trained again with seeds that no choice was made by."""
        return [p for p in self.candidates if p.seeds]

    @cached_property
    def seeded(self) -> list[_Placed]:
        """All networks with at least two seeds that no choice was made by."""
        return [p for p in self.placed if len(p.seeds) > 1]

    def front_of(self, placed: Sequence[_Placed], value: Callable[[_Placed], float]) -> list[_Placed]:
        return _front(placed, self.metric, value)

    @cached_property
    def searched_front(self) -> set[int]:
        """Of each study alone, as its line is drawn: ids of `placed`."""
        own = [[p for p in self.candidates if p.index == i] for i, _, _ in self.plane.members]
        return {id(p) for ps in own for p in self.front_of(ps, _searched)}

    @cached_property
    def fresh_front(self) -> set[int]:
        return {id(p) for p in self.front_of(self.fresh, _fresh)}

    @cached_property
    def fresh_seeds(self) -> set[int]:
        """Those of the candidates."""
        return {seed for p in self.fresh for seed in p.tried.fresh}

    def compared(self, placed: _Placed) -> list[float]:
        """A network's accuracies with the candidates' fresh seeds, where there are any."""
        own = placed.tried.fresh
        return [own[seed] for seed in sorted(own.keys() & self.fresh_seeds)] or placed.seeds

    @cached_property
    def probability(self) -> dict[int, float]:
        """Id of a network with several seeds -> its probability of being on the front of them."""
        seeded = [(p, seeds) for p in self.seeded if len(seeds := self.compared(p)) > 1]
        if len(seeded) < 2:
            return {}
        cost = [getattr(p.tried, self.metric) for p, _ in seeded]
        shares = _probability(cost, [seeds for _, seeds in seeded])
        return {id(p): round(float(share), 2) for (p, _), share in zip(seeded, shares, strict=True)}


def _probability(cost: Sequence[float], seeds: Sequence[Sequence[float]]) -> Iterable[float]:
    """Of each network on the front of true means; `seeds` are accuracies of at least two seeds each."""
    if len({len(own) for own in seeds}) == 1:
        return list(seeds_probability(cost, seeds, draws=DRAWS))
    freedom = sum(len(own) - 1 for own in seeds)
    pooled = np.sqrt(sum(float(np.var(own)) * len(own) for own in seeds) / freedom)
    errors = [pooled / np.sqrt(len(own)) for own in seeds]
    return list(front_probability(cost, [float(np.mean(own)) for own in seeds], errors, draws=DRAWS))


def _searched(placed: _Placed) -> float:
    return searched_value(placed.tried)


def _fresh(placed: _Placed) -> float:
    return float(np.mean(placed.seeds))


def _front(placed: Sequence[_Placed], metric: str, value: Callable[[_Placed], float]) -> list[_Placed]:
    costs = [getattr(p.tried, metric) for p in placed]
    return [placed[i] for i in front(costs, [value(p) for p in placed])]


# ---- the figure -----------------------------------------------------------------------------------------


def _figure(drawn: _Drawn, metric: str, name: str) -> Figure:
    unit = UNITS[metric]
    bands = [band for _, _, study in drawn.plane.members for band in budgets(study)]
    bands = list({(b.get("metric"), b.get("low"), b.get("high")): b for b in bands}.values())
    shapes = band_shapes(bands, metric)
    edges = [shape["x1"] for shape in shapes] + [
        cost_in(metric, low)
        for band in bands
        if band.get("metric", "macs") == metric and (low := finite(band.get("low")))
    ]
    costs = [getattr(p.tried, metric) / unit.divisor for p in drawn.placed]
    spec = figure_spec(
        [*_candidates(drawn, metric), *_confirmed(drawn, metric), *_references(drawn, metric)],
        xaxis=cost_axis(metric, [*costs, *edges]),
        yaxis={"title": drawn.plane.title()},
        shapes=shapes,
    )
    what = "parameters" if metric == "params" else unit.short
    title = f"Top-1 against {what}, {drawn.plane.conditions}"
    alt = (
        f"Top-1 accuracy of {plural(len(drawn.candidates), 'candidate')} and "
        f"{plural(len(drawn.references), 'reference')} of {drawn.plane.names} against {what} on a log axis, "
        "with the Pareto front as a step line."
    )
    return Figure(name, title, with_room(spec), alt)


def _candidates(drawn: _Drawn, metric: str) -> list[Spec]:
    """Of each study the candidates as the search saw them, and their front."""
    traces: list[Spec] = []
    several = len(drawn.plane.members) > 1
    kept = _kept(drawn)
    for place, (index, label, _) in enumerate(drawn.plane.members):
        own = [p for p in drawn.candidates if p.index == index]
        if not own:
            continue
        suffix = f", {escape(label)}" if several else ""
        look = {"color": study_colour(place), "symbol": study_symbol(place), "size": 6, "opacity": 0.6}
        cloud = [p for p in own if id(p) in kept]
        traces.append(_dots(cloud, metric, _searched, f"candidates, one seed{suffix}") | {"marker": look})
        line = _front(own, metric, _searched)
        traces.append(
            _dots(line, metric, _searched, f"front of the search{suffix}")
            | {
                "mode": "lines+markers",
                "line": {"shape": "hv", "color": study_colour(place), "dash": dash(place), "width": 1.5},
                "marker": {**look, "opacity": 1.0, "size": 7},
            }
        )
    return traces


def _kept(drawn: _Drawn) -> set[int]:
    """Ids of the candidates to draw: all, or an even sample; lines are drawn from all of them."""
    return {id(drawn.candidates[i]) for i in spread_sample(len(drawn.candidates), MOST_POINTS)}


def _confirmed(drawn: _Drawn, metric: str) -> list[Spec]:
    """The candidates trained again, and the front of their means."""
    if not drawn.fresh:
        return []
    look = {"color": colour_of(SEARCHED), "symbol": "circle-open-dot", "size": 11}
    dots = _dots(drawn.fresh, metric, _fresh, "fresh seeds: mean and range")
    dots |= {"marker": look, "error_y": seed_bars([p.seeds for p in drawn.fresh])}
    line = _dots(_front(drawn.fresh, metric, _fresh), metric, _fresh, "front of fresh means")
    line |= {"mode": "lines", "line": {"shape": "hv", "color": colour_of(SEARCHED), "dash": "dot"}}
    return [dots, line | {"hoverinfo": "skip"}]


def _references(drawn: _Drawn, metric: str) -> list[Spec]:
    """A trace a family, named where there is room; without candidates, their front."""
    traces: list[Spec] = []
    for kind in dict.fromkeys(p.tried.family for p in drawn.references):
        own = [p for p in drawn.references if p.tried.family == kind]
        named = _named(drawn, own, metric) if len(drawn.references) <= MOST_LABELS else {}
        look = {"color": colour_of(kind), "symbol": symbol_of(kind), "size": 10}
        trace = _dots(own, metric, lambda p: p.tried.accuracy, escape(kind)) | {"marker": look} | named
        if any(len(p.seeds) > 1 for p in own):
            trace["error_y"] = seed_bars([p.seeds for p in own])
        traces.append(trace)
    if not drawn.candidates and len(drawn.references) > 1:
        line = _front(drawn.references, metric, lambda p: p.tried.accuracy)
        traces.append(
            _dots(line, metric, lambda p: p.tried.accuracy, "front of the means")
            | {"mode": "lines", "line": {"shape": "hv", "width": 1.5, "dash": "dot"}, "hoverinfo": "skip"}
        )
    return traces


def _named(drawn: _Drawn, own: Sequence[_Placed], metric: str) -> Spec:
    """Names beside the points of references, on the side towards the middle of the figure."""
    logs = np.log([getattr(p.tried, metric) for p in drawn.placed])
    left, right = np.quantile([logs.min(), logs.max()], [1 / 3, 2 / 3])
    places = np.log([getattr(p.tried, metric) for p in own])
    sides = ["top right" if at < left else "top left" if at > right else "top center" for at in places]
    return {"mode": "markers+text", "textposition": sides, "cliponaxis": False}


def _dots(placed: Sequence[_Placed], metric: str, value: Callable[[_Placed], float], name: str) -> Spec:
    """Points of networks; the names of references are their text."""
    trace: Spec = {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [cost_in(metric, getattr(p.tried, metric)) for p in placed],
        "y": [percent(value(p)) for p in placed],
        "customdata": [p.customdata for p in placed],
        "hovertemplate": f"trial %{{customdata[1]}}<br>%{{x}} {UNITS[metric].short}<br>%{{y:.1f}}%"
        f"<extra>{name}</extra>",
    }
    if placed and not placed[0].is_candidate:
        names = [escape(p.tried.label) for p in placed]
        trace["hovertext"] = names
        # a reference that several studies trained is named once
        trace["text"] = [name if names.index(name) == i else "" for i, name in enumerate(names)]
        trace["hovertemplate"] = trace["hovertemplate"].replace("trial %{customdata[1]}", "%{hovertext}", 1)
    return trace


# ---- the numbers ----------------------------------------------------------------------------------------


def _rows(drawn: _Drawn) -> list[list[Cell]]:
    """References, fronts and networks with seeds; then the best of the others, as many as there is room."""
    noted = drawn.searched_front | drawn.fresh_front | {id(p) for p in drawn.fresh}
    first = [p for p in drawn.placed if not p.is_candidate or id(p) in noted]
    rest = sorted((p for p in drawn.candidates if id(p) not in noted), key=_searched, reverse=True)
    kept = first + rest[: max(0, MOST_ROWS - len(first))]
    return [_row(drawn, p) for p in sorted(kept, key=lambda p: (p.index, p.tried.trial))]


def _row(drawn: _Drawn, placed: _Placed) -> list[Cell]:
    tried, seeds = placed.tried, placed.seeds
    study = next(study for index, _, study in drawn.plane.members if index == placed.index)
    return [
        placed.study,
        tried.trial,
        tried.name,
        tried.role,
        tried.family,
        band_of(study, tried),
        compact(tried.macs / 1e9),
        compact(tried.params / 1e6),
        compact(tried.activations / 1e6),
        percent(searched_value(tried)) if placed.is_candidate else None,
        id(placed) in drawn.searched_front if placed.is_candidate else None,
        len(seeds),
        percent(_fresh(placed)) if seeds else None,
        percent(min(seeds)) if seeds else None,
        percent(max(seeds)) if seeds else None,
        id(placed) in drawn.fresh_front if placed.is_candidate and seeds else None,
        drawn.probability.get(id(placed)),
    ]


# ---- the answer -----------------------------------------------------------------------------------------


def _notes(drawn: Sequence[_Drawn]) -> list[str]:
    notes = [
        "Accuracies are of the proxy that the axis names, never ImageNet's. Shaded: the budget.",
    ]
    if any(one.candidates for one in drawn):
        notes.append(
            "The front of the search is optimistic: its networks were chosen for the very accuracies that "
            "are drawn, luck of the seed included (the winner's curse). Fresh seeds are free of that, but "
            "for the choice among the few that were trained again."
        )
    if any(one.seeded for one in drawn):
        notes.append("Bars run from the least to the largest of a network's fresh seeds.")
    if any(one.probability for one in drawn):
        notes.append(
            "The probability of being on the front is among the networks with at least two fresh seeds, "
            "references included, over the same seeds; the deviation is pooled over the networks, and seeds "
            "are taken as independent, so that what a seed shifts alike for all blurs it."
        )
    return notes + _cuts(drawn)


def _cuts(drawn: Sequence[_Drawn]) -> list[str]:
    """What was left out of figures and table."""
    notes = []
    for one in drawn:
        if len(one.candidates) > MOST_POINTS:
            notes.append(
                f"{one.plane.names}: {MOST_POINTS:,} of {len(one.candidates):,} candidates are drawn, an "
                "even sample, and every one that is on a front."
            )
        if len(one.placed) > MOST_ROWS:
            notes.append(
                f"{one.plane.names}: the table holds the references, the fronts, what has seeds, and the "
                f"best of the others, {MOST_ROWS:,} of {len(one.placed):,} networks."
            )
    return notes
