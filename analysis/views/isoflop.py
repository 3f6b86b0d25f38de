"""The best depth, width, expansion, kernel size and stage ratio of each budget, and how they move with it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.isoflop.optima import PARABOLA, Optimum
from analysis.isoflop.power_law import PowerLaw
from analysis.isoflop.profiles import Profiles, profiles
from analysis.isoflop.sample import DIMENSIONS, LABELS, MEANINGS, sample_of
from analysis.laws.answer import Estimate
from analysis.page.view import NEUTRAL, PALETTE, Cell, Figure, Table, View
from analysis.views.common import budget_colour, escape, figure_spec, ribbon, spread_sample
from analysis.views.planes import budgets, labels, numbered, random_part
from analysis.views.units import UNITS, Spec, cost_axis, cost_in, log_axis
from nas.record.study import Study
from space.errors import InputError
from space.words import compact, listed, percent, said

KEY, TITLE = "isoflop", "The best shape of each budget"
MOST_READ = 2000  # networks of a study
COLUMNS = 2  # of panels
PANEL_HEIGHT = 290
LEGEND_GAP = 24  # pixels above the panels, for what stands over each
GAP_X, GAP_Y = 0.1, 0.09  # between panels, as shares of the figure
MOST_DRAWN = 150  # networks of one budget in one panel
STEPS = 21  # points of a parabola, and of a power law

OPTIMUM_COLUMNS = (
    "study", "dimension", "budget", "cost", "networks", "least tried", "largest tried", "optimum", "low",
    "high", "by", "not identified because",
)  # fmt: skip
LAW_COLUMNS = (
    "study", "dimension", "budgets used", "exponent", "low", "high", "interval stretched by",
    "not identified because",
)  # fmt: skip


def view(studies: Sequence[Study]) -> View:
    """Two figures for every study: error against each dimension, and the optima against the budget."""
    found, reasons = [], []
    for index, (label, study) in enumerate(zip(labels(studies), studies, strict=True)):
        try:
            [looked_at], cut = random_part([study], MOST_READ)
            found.append(_Drawn(index, label, looked_at, profiles(sample_of(looked_at)), cut))
        except InputError as error:
            reasons.append(str(error))
    found = [one for one in found if one.says_something and budgets(one.study)]
    if not found:
        reason = (
            reasons[0] if reasons else "There are too few networks to say where the best of a budget lie."
        )
        return View(KEY, TITLE, lead=f"{reason[:1].upper()}{reason[1:]}.".replace("..", "."), empty=reason)
    figures = []
    for i, one in enumerate(found):
        start = f"{one.label}: " if len(found) > 1 else ""
        figures.append(_profiles_figure(one, numbered("isoflop", i), start))
        if len(one.found.sample.groups) > 1:
            figures.append(_optima_figure(one, numbered("isoflop_optima", i), start))
    optima, laws = list(_optimum_rows(found)), list(_law_rows(found))
    return View(
        KEY,
        TITLE,
        lead=" ".join(_lead(one, several=len(found) > 1) for one in found),
        figures=figures,
        tables=[
            Table("isoflop_optima", "The best of each budget", OPTIMUM_COLUMNS, optima),
            Table("isoflop_laws", "How the best moves with the budget", LAW_COLUMNS, laws),
        ],
        notes=_notes(found),
    )


@dataclass(frozen=True)
class _Drawn:
    """A study and what was found in it."""

    index: int
    label: str
    study: Study
    found: Profiles
    cut: str | None = None  # what was left out

    @property
    def dimensions(self) -> list[str]:
        """Those that the networks differ in."""
        return [
            name
            for name in DIMENSIONS
            if name in self.found.optima
            and any(one.tried[0] < one.tried[1] for one in self.found.optima[name])
        ]

    @property
    def says_something(self) -> bool:
        """Whether the best of any dimension is identified at any budget."""
        return any(one.identified for name in self.dimensions for one in self.found.optima[name])


# ---- panels ---------------------------------------------------------------------------------------------


def _suffix(panel: int) -> str:
    return "" if panel == 0 else str(panel + 1)


def _domains(count: int) -> Iterator[tuple[list[float], list[float]]]:
    """Where each of `count` panels lies, as shares of width and height, row by row from the top."""
    columns = min(COLUMNS, count)
    rows = math.ceil(count / columns)
    width, height = (1 - GAP_X * (columns - 1)) / columns, (1 - GAP_Y * (rows - 1)) / rows
    for i in range(count):
        row, column = divmod(i, columns)
        left, top = column * (width + GAP_X), 1 - row * (height + GAP_Y)
        yield [round(left, 4), round(left + width, 4)], [round(max(top - height, 0), 4), round(top, 4)]


def _panels(axes: Sequence[tuple[Spec, Spec]], traces: Sequence[Spec]) -> Spec:
    """A figure of panels with axes of their own."""
    layout: Spec = {}
    for i, ((x, y), (across, up)) in enumerate(zip(axes, _domains(len(axes)), strict=True)):
        layout[f"xaxis{_suffix(i)}"] = {**x, "domain": across, "anchor": f"y{_suffix(i)}"}
        layout[f"yaxis{_suffix(i)}"] = {**y, "domain": up, "anchor": f"x{_suffix(i)}"}
    rows = math.ceil(len(axes) / COLUMNS)
    spec = figure_spec(traces, **layout)
    spec["layout"]["height"] = 90 + PANEL_HEIGHT * rows
    spec["layout"]["legend"]["y"] = 1 + LEGEND_GAP / (PANEL_HEIGHT * rows)
    return spec


def _on(panel: int) -> Spec:
    return {"xaxis": f"x{_suffix(panel)}", "yaxis": f"y{_suffix(panel)}"}


# ---- error against each dimension -----------------------------------------------------------------------


def _profiles_figure(one: _Drawn, name: str, start: str) -> Figure:
    traces: list[Spec] = []
    axes = []
    for panel, dimension in enumerate(one.dimensions):
        x = 2 ** one.found.sample.dimensions[dimension]
        axes.append((log_axis(LABELS[dimension], x.tolist()), {"title": {"text": "error (%)"}}))
        for g, optimum in enumerate(one.found.optima[dimension]):
            traces.append(_points(one, dimension, g, panel))
            traces += _curve(optimum, g, budget_colour(g, len(one.found.sample.groups)), panel)
    spec = _panels(axes, traces)
    title = f"{start}error against {listed([LABELS[d] for d in one.dimensions])}"
    alt = (
        "For each dimension a panel with the error of the networks of every budget, a parabola through them, "
        "and a bar over the interval of its lowest point where that is identified."
    )
    return Figure(name, title if start else said(title), spec, alt)


def _points(one: _Drawn, dimension: str, g: int, panel: int) -> Spec:
    sample = one.found.sample
    rows = np.flatnonzero(sample.group == g)
    rows = rows[spread_sample(rows.size, MOST_DRAWN)]
    x, y = 2 ** sample.dimensions[dimension][rows], one.found.adjusted[dimension][rows]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(sample.groups[g].text),
        "legendgroup": f"{g}",
        "showlegend": panel == 0,
        "x": [compact(value, 3) for value in x.tolist()],
        "y": [percent(value) for value in y.tolist()],
        "marker": {"color": budget_colour(g, len(sample.groups)), "size": 5, "opacity": 0.55},
        "text": [escape(sample.networks[i].label) for i in rows.tolist()],
        "customdata": [[one.index, sample.networks[i].trial] for i in rows.tolist()],
        "hovertemplate": f"%{{text}}<br>{LABELS[dimension]} %{{x}}, error %{{y}}%<extra></extra>",
        **_on(panel),
    }


def _curve(optimum: Optimum, g: int, colour: str, panel: int) -> list[Spec]:
    """The parabola over what was tried, and its lowest point with the interval, where there is a number."""
    if optimum.parabola is None:
        return []
    a, b, c, centre = optimum.parabola
    logs = np.linspace(math.log2(optimum.tried[0]), math.log2(optimum.tried[1]), STEPS)
    shared = {
        "legendgroup": f"{g}",
        "showlegend": False,
        "type": "scatter",
        "hoverinfo": "skip",
        **_on(panel),
    }

    def error(at: NDArray[np.float64]) -> list[float]:
        u = at - centre
        return [percent(value) for value in (a + b * u + c * u**2).tolist()]

    lowest = optimum.identified and optimum.method == PARABOLA
    curve = {
        "mode": "lines", "x": [compact(value) for value in (2**logs).tolist()], "y": error(logs),
        "line": {"color": colour, "width": 2 if lowest else 1, "dash": "solid" if lowest else "dot"},
        **shared,
    }  # fmt: skip
    if not isinstance(optimum.answer, Estimate):
        return [curve]
    answer = optimum.answer
    ends = [compact(value) for value in (answer.low, answer.value, answer.high)]
    height = error(np.array([math.log2(answer.value)]))[0]
    bar = {
        "mode": "lines+markers", "x": ends, "y": [height] * 3,
        "line": {"color": colour, "width": 4},
        "marker": {"color": colour, "size": [0, 13, 0], "symbol": "diamond-tall"},
        **{**shared, "hoverinfo": "text", "text": [f"{escape(optimum.group.text)}: {escape(answer)}"] * 3},
    }  # fmt: skip
    return [curve, bar]


# ---- optima against the budget --------------------------------------------------------------------------


def _optima_figure(one: _Drawn, name: str, start: str) -> Figure:
    metric = one.study.metric
    costs = [group.cost for group in one.found.sample.groups]
    traces: list[Spec] = []
    axes = []
    for panel, dimension in enumerate(one.dimensions):
        optima = one.found.optima[dimension]
        shown = [end for optimum in optima for end in optimum.tried]
        axes.append(
            (cost_axis(metric, [cost_in(metric, c) for c in costs]), log_axis(LABELS[dimension], shown))
        )
        traces += _tried(optima, metric, panel)
        traces += _law(one.found.rules[dimension], costs, metric, panel)
        traces.append(_bars(optima, metric, panel))
    spec = _panels(axes, traces)
    spec["layout"]["annotations"] = [
        _exponent(one.found.rules[dimension], panel) for panel, dimension in enumerate(one.dimensions)
    ]
    alt = (
        f"For each dimension a panel with the optimum of every budget and its interval against "
        f"{UNITS[metric].short}, the power law through them where its exponent is identified, and a thin "
        "line over what was tried."
    )
    return Figure(
        name, f"{start}the best against the budget" if start else "The best against the budget", spec, alt
    )


def _exponent(rule: PowerLaw, panel: int) -> Spec:
    """The exponent of a panel, in its upper left corner."""
    known = isinstance(rule.exponent, Estimate)
    return {
        "text": f"exponent {rule.exponent}" if known else "exponent not identified",
        "showarrow": False, "x": 0.02, "y": 1.02, "xanchor": "left", "yanchor": "bottom",
        "xref": f"x{_suffix(panel)} domain", "yref": f"y{_suffix(panel)} domain",
        "font": {"size": 12, "color": NEUTRAL},
    }  # fmt: skip


def _tried(optima: Sequence[Optimum], metric: str, panel: int) -> list[Spec]:
    """A thin line at each budget from the least to the largest value tried."""
    x: list[float | None] = []
    y: list[float | None] = []
    for one in optima:
        at = cost_in(metric, one.group.cost)
        x += [at, at, None]
        y += [compact(one.tried[0]), compact(one.tried[1]), None]
    return [
        {
            "type": "scatter", "mode": "lines", "name": "tried", "x": x, "y": y, "hoverinfo": "skip",
            "legendgroup": "tried", "showlegend": panel == 0, "line": {"color": NEUTRAL, "width": 1},
            **_on(panel),
        }
    ]  # fmt: skip


def _law(rule: PowerLaw, costs: Sequence[float], metric: str, panel: int) -> list[Spec]:
    if not rule.identified:
        return []
    at = np.geomspace(min(costs), max(costs), STEPS).tolist()
    answers = [rule.at(cost) for cost in at]
    x = [cost_in(metric, cost) for cost in at]
    values = [compact(rule.value(cost)) for cost in at]
    group = {"legendgroup": "law", **_on(panel)}
    low, high = [compact(one.low) for one in answers], [compact(one.high) for one in answers]
    line = {
        "type": "scatter", "mode": "lines", "name": "power law", "x": x, "y": values,
        "line": {"color": PALETTE[0], "width": 2}, "showlegend": panel == 0,
        "hovertemplate": f"exponent {escape(rule.exponent)}<extra></extra>", **group,
    }  # fmt: skip
    return [ribbon(x, low, high, PALETTE[0], **group), line]


def _bars(optima: Sequence[Optimum], metric: str, panel: int) -> Spec:
    """The optima that have a number, with their intervals."""
    known = [(one, one.answer) for one in optima if isinstance(one.answer, Estimate)]
    values = [answer.value for _, answer in known]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "optimum",
        "legendgroup": "optimum",
        "showlegend": panel == 0,
        "x": [cost_in(metric, one.group.cost) for one, _ in known],
        "y": [compact(value) for value in values],
        "error_y": {
            "type": "data", "symmetric": False, "thickness": 2, "width": 5,
            "array": [compact(answer.high - answer.value, 3) for _, answer in known],
            "arrayminus": [compact(answer.value - answer.low, 3) for _, answer in known],
        },
        "marker": {"color": PALETTE[0], "symbol": "diamond-tall", "size": 11},
        "text": [f"{escape(one.group.text)}: {escape(answer)}" for one, answer in known],
        "hovertemplate": "%{text}<extra></extra>",
        **_on(panel),
    }  # fmt: skip


# ---- numbers and words ----------------------------------------------------------------------------------


def _optimum_rows(found: Sequence[_Drawn]) -> Iterator[list[Cell]]:
    for one in found:
        for name, optima in one.found.optima.items():
            for optimum in optima:
                group, answer = optimum.group, optimum.answer
                start: list[Cell] = [
                    one.label,
                    LABELS[name],
                    group.text,
                    cost_in(one.study.metric, group.cost),
                ]
                tried = [compact(end) for end in optimum.tried]
                value, reason = _cells(answer)
                yield [*start, group.networks, *tried, *value, optimum.method, reason]


def _law_rows(found: Sequence[_Drawn]) -> Iterator[list[Cell]]:
    for one in found:
        if len(one.found.sample.groups) < 2:
            continue
        for name, rule in one.found.rules.items():
            value, reason = _cells(rule.exponent)
            yield [one.label, LABELS[name], len(rule.used), *value, compact(rule.stretch, 3), reason]


def _cells(answer: object) -> tuple[list[Cell], str | None]:
    """Value, low and high, empty where they are none, and the reason why."""
    low, high = getattr(answer, "low", math.nan), getattr(answer, "high", math.nan)
    ends: list[Cell] = [
        compact(end) if math.isfinite(end) and abs(end) < 1e6 else None for end in (low, high)
    ]
    if isinstance(answer, Estimate):
        return [compact(answer.value), *ends], None
    return [None, *ends], str(getattr(answer, "reason", ""))


def _lead(one: _Drawn, *, several: bool) -> str:
    where = f"{one.label}: " if several else ""
    rules = {name: one.found.rules[name] for name in one.dimensions}
    if len(one.found.sample.groups) < 2:
        optima = {name: one.found.optima[name][0] for name in one.dimensions}
        known = [f"{LABELS[name]} {o.answer}" for name, o in optima.items() if o.identified]
        open_ = [LABELS[name] for name, o in optima.items() if not o.identified]
        return f"{where}{_found('best', known, open_)} One budget says nothing of how the best moves with it."
    known = [f"{LABELS[name]} {rule.exponent}" for name, rule in rules.items() if rule.identified]
    open_ = [LABELS[name] for name, rule in rules.items() if not rule.identified]
    return where + _found("power of the budget by which the best moves", known, open_)


def _found(what: str, known: Sequence[str], open_: Sequence[str]) -> str:
    parts = []
    if known:
        parts.append(f"The {what}: {listed(known)}.")
    if open_:
        parts.append(f"Not identified: {listed(open_)}.")
    return " ".join(parts)


def _notes(found: Sequence[_Drawn]) -> list[str]:
    notes = [
        "A parabola in log2 of the dimension through the networks of each budget; a diamond is its lowest "
        "point, the bar its 90% interval (bootstrap by network). Dotted where no optimum is identified: the "
        "lowest point lies at the edge of what was tried, or its interval covers a factor over 3.",
        "Errors are less the effects of the other settings that the networks differ in, as far as there are "
        "networks enough to tell them. At equal cost more depth is less width, so these two are nearly one "
        "choice seen twice.",
        "; ".join(f"{LABELS[name]}: {MEANINGS[name]}" for name in DIMENSIONS) + ".",
        "What a search proposes is no designed experiment: settings that it came to like together cannot be "
        "told apart well. A study with --sampler random shows an optimum with the least doubt.",
    ]
    return notes + [f"{one.label}: {one.cut}" for one in found if one.cut]
