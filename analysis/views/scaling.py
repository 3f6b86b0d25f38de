"""How error falls with cost: the best of a search and the references, with laws and their intervals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analysis.isoflop.series import Point, Series, reference_series, searched_series
from analysis.laws.answer import Estimate
from analysis.page.view import Cell, Figure, Table, View, colour_of, symbol_of
from analysis.views.common import escape, figure_spec, ribbon, study_colour, study_symbol
from analysis.views.planes import apart, numbered, planes
from analysis.views.units import UNITS, Spec, cost_axis, cost_in, log_axis
from nas.record.study import Study, Tried
from nas.record.trial import FAMILIES, SEARCHED
from space.words import compact, listed, percent, plural

KEY, TITLE = "scaling", "Error against cost"
AHEAD = 2.5  # how far beyond the largest network a law is drawn, as a factor in cost
STEPS = 25  # points of a line, on each of its two parts
LEAST_ERROR = 1e-3  # percent; a log axis has no 0

LAW_COLUMNS = (
    "conditions", "series", "networks", "values", "law", "parameter", "value", "low", "high",
    "not identified because",
)  # fmt: skip
POINT_COLUMNS = ("conditions", "trial", "network", "series", "cost", "error (%)", "trainings", "values")


def view(studies: Sequence[Study]) -> View:
    """Error against the budget's cost, a figure for every plane and every kind of budget."""
    shown = [panel for panel in _panels(studies) if any(one.series.fit for one in panel.lines)]
    if not shown:
        reason = "No law fits yet: it needs networks trained in full at several costs."
        return View(KEY, TITLE, lead=reason, empty=reason)
    return View(
        KEY,
        TITLE,
        lead=_lead(shown),
        figures=[_figure(panel, numbered("scaling", i)) for i, panel in enumerate(shown)],
        tables=[
            Table("scaling_laws", "Fitted laws", LAW_COLUMNS, list(_law_rows(shown))),
            Table("scaling_points", "What they are fitted to", POINT_COLUMNS, list(_point_rows(shown))),
        ],
        notes=[*_notes(shown), *apart(studies)],
    )


# ---- what is drawn --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """One series: of a study's search, or of a family of references; `indices` are of its points' studies."""

    name: str
    series: Series
    indices: tuple[int, ...]
    colour: str
    symbol: str


@dataclass(frozen=True)
class _Panel:
    """The series of one plane and one metric."""

    metric: str
    conditions: str
    lines: tuple[Line, ...]
    tabled: bool


def _panels(studies: Sequence[Study]) -> list[_Panel]:
    panels = []
    for plane in planes(studies):
        metrics = list(dict.fromkeys(study.metric for _, _, study in plane.members))
        for metric in metrics:
            members = [member for member in plane.members if member[2].metric == metric]
            panels.append(_Panel(metric, plane.conditions, tuple(lines_of(members)), plane.tabled))
    return panels


def lines_of(members: Sequence[tuple[int, str, Study]]) -> list[Line]:
    """The searches of studies of one plane and one metric, and their references by family."""
    return [*_searches(members), *_references(members)]


def _searches(members: Sequence[tuple[int, str, Study]]) -> Iterator[Line]:
    several = len(members) > 1
    for place, (index, label, study) in enumerate(members):
        series = searched_series(study)
        if series.points:
            colour = study_colour(place) if several else colour_of(SEARCHED)
            symbol = study_symbol(place) if several else symbol_of(SEARCHED)
            name = f"searched, {label}" if several else SEARCHED
            yield Line(name, series, (index,) * len(series.points), colour, symbol)


def _references(members: Sequence[tuple[int, str, Study]]) -> Iterator[Line]:
    """The references of all the studies together: networks that two studies trained are one."""
    for wanted in FAMILIES:
        found: dict[str, tuple[int, Tried]] = {}
        for index, _, study in members:
            for tried in study.references:
                if tried.family == wanted:
                    first, known = found.get(tried.fingerprint, (index, tried))
                    merged = {**tried.accuracies, **known.accuracies}
                    found[tried.fingerprint] = first, replace(known, accuracies=merged)
        if found:
            series = reference_series(members[0][2], wanted, [tried for _, tried in found.values()])
            place = {tried.fingerprint: index for index, tried in found.values()}
            indices = tuple(place[point.tried.fingerprint] for point in series.points)
            yield Line(wanted, series, indices, colour_of(wanted), symbol_of(wanted))


# ---- figures --------------------------------------------------------------------------------------------


def _figure(panel: _Panel, name: str) -> Figure:
    laws = [trace for line in panel.lines if line.series.drawn for trace in _law(line, panel.metric)]
    traces = [*laws, *(_points(line, panel.metric) for line in panel.lines)]
    costs = [point.cost for line in panel.lines for point in line.series.points]
    shown = [cost_in(panel.metric, cost) for cost in (min(costs), max(costs))]
    shown += [x for trace in laws for x in trace["x"]]
    # intervals may go on beyond the plot: far out they would leave no room for what was measured
    errors = [percent(point.error) for line in panel.lines for point in line.series.points]
    errors += [y for trace in laws if "fill" not in trace for y in trace["y"]]
    y = log_axis(
        f"top-1 error (%)<br>{escape(panel.conditions)}", [max(error, LEAST_ERROR) for error in errors]
    )
    spec = figure_spec(traces, xaxis=cost_axis(panel.metric, shown, tabled=panel.tabled), yaxis=y)
    alt = (
        f"Top-1 error against {UNITS[panel.metric].short} on log axes: "
        f"{listed([line.name for line in panel.lines])}; laws and their intervals, dashed where extrapolated."
    )
    return Figure(name, "Error against cost", spec, alt)


def _law(line: Line, metric: str) -> list[Spec]:
    """The law inside the data, solid; beyond, dashed; and the interval around both."""
    fit = line.series.fit
    assert fit is not None
    costs = [point.cost for point in line.series.points]
    inside = np.geomspace(min(costs), max(costs), STEPS)
    beyond = np.geomspace(max(costs), AHEAD * max(costs), STEPS)
    both = [*inside.tolist(), *beyond[1:].tolist()]
    answers = line.series.at(both)
    x = [cost_in(metric, cost) for cost in both]
    # an interval that is open above ends where nothing is right
    low = [compact(max(answer.low, LEAST_ERROR)) for answer in answers]
    high = [compact(min(answer.high, 100.0)) for answer in answers]
    values = [compact(float(value)) for value in fit.predict([cost / line.series.unit for cost in both])]
    legend = {"legendgroup": escape(line.name)}
    hover = f"{escape(line.name)}, {escape(fit.law.formula)}<br>%{{x}}: %{{y}}%<extra></extra>"
    lines = [
        {
            "type": "scatter", "mode": "lines", "x": part_x, "y": part_y, "name": escape(name),
            "line": {"color": line.colour, "width": 2, "dash": drawn}, "hovertemplate": hover,
            "showlegend": False, **legend,
        }
        for part_x, part_y, name, drawn in (
            (x[:STEPS], values[:STEPS], f"{line.name}: law", "solid"),
            (x[STEPS - 1 :], values[STEPS - 1 :], f"{line.name}: extrapolated", "dash"),
        )
    ]  # fmt: skip
    return [ribbon(x, low, high, line.colour, **legend), *lines]


def _points(line: Line, metric: str) -> Spec:
    points = line.series.points
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(line.name),
        "legendgroup": escape(line.name),
        "x": [cost_in(metric, point.cost) for point in points],
        "y": [percent(point.error) for point in points],
        "error_y": _bars(points, fresh=line.series.fresh),
        "marker": {"color": line.colour, "symbol": line.symbol, "size": 8},
        "text": [_hover(point, fresh=line.series.fresh) for point in points],
        "hovertemplate": "%{text}<br>%{x} " + UNITS[metric].short + ", error %{y}%<extra></extra>",
        "customdata": [[index, point.tried.trial] for index, point in zip(line.indices, points, strict=True)],
    }


def _bars(points: Sequence[Point], *, fresh: bool) -> Spec:
    """From the least to the largest error of the seeds behind each point."""
    up, down = [], []
    for point in points:
        tried = point.tried
        values = list((tried.fresh if fresh and tried.fresh else tried.accuracies).values())
        errors = [1 - value for value in values] if point.seeds > 1 else [point.error]
        up.append(compact(100 * (max(errors) - point.error), 3))
        down.append(compact(100 * (point.error - min(errors)), 3))
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}


def _hover(point: Point, *, fresh: bool) -> str:
    kind = "fresh seed" if fresh and point.tried.role == "candidate" else "training"
    return f"{escape(point.tried.label)}, {plural(point.seeds, kind)}"


# ---- numbers and words ----------------------------------------------------------------------------------


def _values(series: Series) -> str:
    if series.family != SEARCHED:
        return "all trainings"
    return "fresh seeds" if series.fresh else "search values"


def _law_rows(panels: Sequence[_Panel]) -> Iterator[list[Cell]]:
    for panel in panels:
        for line in panel.lines:
            series = line.series
            start: list[Cell] = [panel.conditions, line.name, len(series.points), _values(series)]
            if series.fit is None:
                yield [*start, None, None, None, None, None, series.reason]
                continue
            for name, answer in series.fit.parameters.items():
                known = isinstance(answer, Estimate)
                value = compact(answer.value) if isinstance(answer, Estimate) else None
                ends = [compact(end) if np.isfinite(end) else None for end in (answer.low, answer.high)]
                why = None if known else getattr(answer, "reason", None)
                yield [*start, series.fit.law.formula, name, value, *ends, why]


def _point_rows(panels: Sequence[_Panel]) -> Iterator[list[Cell]]:
    for panel in panels:
        for line in panel.lines:
            for point in line.series.points:
                cost, error = cost_in(panel.metric, point.cost), percent(point.error)
                kind = _values(line.series)
                yield [
                    panel.conditions,
                    point.tried.trial,
                    point.tried.label,
                    line.name,
                    cost,
                    error,
                    point.seeds,
                    kind,
                ]


def _lead(panels: Sequence[_Panel]) -> str:
    several = len(panels) > 1
    return (
        " ".join(
            _sentence(line, f" ({panel.conditions})" if several else "")
            for panel in panels
            for line in panel.lines
            if line.series.family == SEARCHED or line.series.drawn
        )
        or "There are references only, too few for a law."
    )


def _sentence(line: Line, where: str) -> str:
    series, name = line.series, line.name[:1].upper() + line.name[1:]
    if series.fit is None:
        return f"{name}{where}: no law, {series.reason}."
    answers = {key: str(answer) for key, answer in series.fit.parameters.items()}
    known = [f"{key} = {text}" for key, text in answers.items() if not text.startswith("not identified")]
    open_ = [key for key, text in answers.items() if text.startswith("not identified")]
    verb = "is" if len(open_) == 1 else "are"
    said = [*known, f"{', '.join(open_)} {verb} not identified"] if open_ else known
    law = f"error = {_right(series.fit.law.formula)} through {plural(series.fit.networks, 'network')}"
    return f"{name}{where}: {law}; {'; '.join(said)}."


def _right(formula: str) -> str:
    return formula if "=" not in formula else f"e in {formula}"


def _notes(panels: Sequence[_Panel]) -> list[str]:
    notes = [
        "Error in percent, F in the unit of the axis. Laws are fitted with Huber's loss, one observation a "
        "network; bands and brackets are 90% profile intervals of the law, not of one more network on it.",
        "Beyond the largest network a line is an extrapolation, and dashed. It is of what such a search, or "
        "such a family, would reach there, not of any one network.",
    ]
    searched = [line.series for panel in panels for line in panel.lines if line.series.family == SEARCHED]
    if any(not series.fresh for series in searched):
        notes.append(
            "Search values are optimistic: the best of many trainings is in part the luckiest, and the more "
            "were tried the more so. --confirm 3x3 at two budgets or more gives values without that."
        )
    if any(series.fresh for series in searched):
        notes.append(
            "Searched networks stand with the mean of their fresh seeds, by which nothing was chosen."
        )
    chosen = [
        f"{line.name}: {line.series.reason}"
        for panel in panels
        for line in panel.lines
        if line.series.choice is not None
    ]
    if chosen:
        notes.append(
            "Laws are chosen by how the small networks predict the large: " + "; ".join(chosen) + "."
        )
    return notes
