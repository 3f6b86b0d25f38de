"""Accuracy and cost under the proxy: who leads, with which spread, and the front over a range of costs.

A mark is filled where a network has at least two seeds that no choice was made by; its bar is their range.
It is hollow where one training is all there is: no interval can be drawn, and none is to be thought of.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np

from analysis.laws.answer import Estimate
from analysis.page.view import Cell, Figure, Table, View
from analysis.views.common import (
    band_shapes,
    beside,
    dash,
    escape,
    figure_spec,
    ribbon,
    seed_bars,
    spread_sample,
    study_colour,
    with_room,
)
from analysis.views.placed import Drawn, Placed
from analysis.views.planes import (
    apart,
    band_of,
    budgets,
    labels,
    numbered,
    planes,
)
from analysis.views.scaling import lines_of
from analysis.views.units import UNITS, Spec, cost_axis, cost_in
from nas.record.study import Study
from nas.record.trial import SEARCHED
from nas.verdict.field import searched_value
from nas.verdict.pick import recommend
from space.budget import UNITS as COSTS
from space.budget import quantity
from space.words import compact, finite, listed, percent, plural, said

KEY, TITLE = "plane", "Accuracy and cost"
# candidates drawn in a figure, and listed in the table: more would make a page heavy and show no more
MOST_POINTS, MOST_ROWS = 2000, 1000
MOST_LABELS = 6
ROW_HEIGHT = 26  # pixels, of a ranking
LAW_STEPS = 20  # points of a drawn law
FRONT_POINTS = 30  # of each step of a front, that names are kept off

COLUMNS = (
    "study", "trial", "network", "role", "family", "budget", "GFLOPs", "parameters (M)", "activations (M)",
    "accuracy in the search (%)", "fresh seeds", "mean of fresh seeds (%)", "least (%)", "largest (%)",
    "on the front", "probability of being on it", "the pick",
)  # fmt: skip
PICK_COLUMNS = (
    "study", "budget", "pick", "GFLOPs", "accuracy (%)", "fresh seeds", "less", "difference (points)",
    "low (95%)", "high (95%)", "verdict",
)  # fmt: skip


def view(studies: Sequence[Study]) -> View:
    """Of each plane a ranking where its budget is narrow, and accuracy against both costs."""
    shown = [plane for plane in planes(studies) if any(study.networks for _, _, study in plane.members)]
    if not shown:
        reason = "No network has been trained in full yet."
        return View(KEY, TITLE, lead=reason, empty=reason)
    drawn = [Drawn(plane) for plane in shown]
    figures = [figure for i, one in enumerate(drawn) for figure in _figures(one, i, len(drawn) > 1)]
    tables = [
        Table("plane_picks", "What is recommended, against the references", PICK_COLUMNS,
              [row for i, study in enumerate(studies) for row in _pick_rows(labels(studies)[i], study)]),
        Table("plane", "Networks trained in full", COLUMNS, [row for one in drawn for row in _rows(one)]),
    ]  # fmt: skip
    return View(
        KEY,
        TITLE,
        lead=" ".join(_lead(one, several=len(drawn) > 1) for one in drawn),
        figures=figures,
        tables=[table for table in tables if table.rows],
        notes=[*_notes(drawn, figures), *apart(studies)],
    )


# ---- the figures ----------------------------------------------------------------------------------------


def _figures(drawn: Drawn, number: int, others: bool) -> Iterator[Figure]:
    """`others`: there are other planes, too."""
    start = f"{drawn.plane.names}: " if others else ""
    if drawn.narrow and len(drawn.placed) > 1:
        yield _ranking(drawn, numbered("ranking", number), start)
    for i, metric in enumerate(drawn.metrics):
        name = "plane" if i == 0 else f"plane_{metric}"
        yield _against(drawn, metric, numbered(name, number), start, folded=i > 0)


def _groups(drawn: Drawn, placed: Sequence[Placed]) -> Iterator[tuple[str, list[Placed]]]:
    """A trace's name and its networks: one look each."""
    groups: dict[tuple[bool, str, int, bool], list[Placed]] = {}
    for p in sorted(placed, key=lambda p: (not p.is_candidate, p.is_sure)):
        place = p.place if p.is_candidate else 0
        groups.setdefault((p.is_candidate, p.tried.family, place, p.is_sure), []).append(p)
    for (is_candidate, family, place, sure), own in groups.items():
        of = f"{SEARCHED}, {drawn.plane.members[place][1]}" if is_candidate and drawn.several else family
        yield escape(f"{of}, {'fresh seeds' if sure else 'one training'}"), own


def _marker(own: Sequence[Placed]) -> Spec:
    colour, symbol = own[0].look
    if own[0].is_sure:
        return {"color": colour, "symbol": symbol, "size": 10}
    small = own[0].is_candidate and len(own) > 100
    width = 1 if small else 2
    return {"color": colour, "symbol": f"{symbol}-open", "size": 6 if small else 10, "line": {"width": width}}


def _ranking(drawn: Drawn, name: str, start: str) -> Figure:
    """A row a network, the best at the top; `start` of the title."""
    ranked = drawn.ranked
    row = {id(p): i for i, p in enumerate(ranked)}
    data = []
    for group, own in _groups(drawn, ranked):
        trace = _dots(own, [percent(p.value) for p in own], [row[id(p)] for p in own], group, drawn)
        if own[0].is_sure:
            trace["error_x"] = seed_bars([p.accuracies for p in own])
        data.append(trace)
    texts = [f"{p.tried.label}, {p.study}" if drawn.several else p.tried.label for p in ranked]
    spec = figure_spec(
        data,
        xaxis={"title": drawn.plane.title()},
        yaxis={"tickvals": list(range(len(texts))), "ticktext": list(map(escape, texts)),
               "range": [len(texts) - 0.4, -0.6], "zeroline": False},
        height=150 + ROW_HEIGHT * len(texts),
    )  # fmt: skip
    alt = f"The best networks of {drawn.plane.names} by top-1 accuracy, references among them."
    more = len(drawn.placed) - len(ranked)
    title = f"{start}ranking by accuracy" + (f", without {more:,} below it" if more else "")
    return Figure(name, title if start else said(title), spec, alt)


def _against(drawn: Drawn, metric: str, name: str, start: str, *, folded: bool) -> Figure:
    """Accuracy against a cost, with the front where the budget has room for one."""
    bands = [band for _, _, study in drawn.plane.members for band in budgets(study)]
    shapes = band_shapes({(b.get("metric"), b.get("low"), b.get("high")): b for b in bands}.values(), metric)
    edges = [shape["x1"] for shape in shapes] + [
        cost_in(metric, low)
        for band in bands
        if band.get("metric", "macs") == metric and (low := finite(band.get("low")))
    ]
    kept = _kept(drawn)
    costs = [cost_in(metric, getattr(p.tried, metric)) for p in drawn.placed]
    data = [] if folded else [*_law_bands(drawn), *_front_lines(drawn, metric)]
    for group, own in _groups(drawn, [p for p in drawn.placed if id(p) in kept]):
        x = [cost_in(metric, getattr(p.tried, metric)) for p in own]
        trace = _dots(own, x, [percent(p.value) for p in own], group, drawn)
        if own[0].is_sure:
            trace["error_y"] = seed_bars([p.accuracies for p in own])
        if not own[0].is_candidate and len(drawn.references) <= MOST_LABELS:
            trace |= _named(drawn, own, metric)
        data.append(trace)
    spec = figure_spec(
        data,
        xaxis=cost_axis(metric, [*costs, *edges], tabled=drawn.plane.tabled),
        yaxis={"title": drawn.plane.title()},
        shapes=shapes,
    )
    what = "parameters" if metric == "params" else UNITS[metric].short
    alt = (
        f"Top-1 accuracy of {plural(len(drawn.candidates), 'candidate')} and "
        f"{plural(len(drawn.references), 'reference')} of {drawn.plane.names} against {what} on a log axis."
    )
    return Figure(
        name,
        f"{start}top-1 against {what}" if start else f"Top-1 against {what}",
        with_room(spec),
        alt,
        folded=folded,
    )


def _kept(drawn: Drawn) -> set[int]:
    """Ids of the networks to draw: all, or an even sample and what is noted."""
    sample = spread_sample(len(drawn.candidates), MOST_POINTS)
    return drawn.noted | {id(drawn.candidates[i]) for i in sample}


def _front_lines(drawn: Drawn, metric: str) -> Iterator[Spec]:
    for place, line in drawn.fronts.items():
        if line:
            label = drawn.plane.members[place][1]
            yield {
                "type": "scatter", "mode": "lines", "hoverinfo": "skip",
                "name": f"front, {escape(label)}" if drawn.several else "front",
                "x": [cost_in(metric, getattr(p.tried, metric)) for p in line],
                "y": [percent(p.value) for p in line],
                "customdata": [[p.index, p.tried.trial] for p in line],
                "line": {"shape": "hv", "color": study_colour(place), "dash": dash(place), "width": 1.5},
            }  # fmt: skip


def _law_bands(drawn: Drawn) -> Iterator[Spec]:
    """The laws of which every parameter is identified, over the costs they are fitted to, shaded."""
    members = [member for member in drawn.plane.members if member[2].metric == drawn.metric]
    for line in [] if drawn.narrow else lines_of(members):
        fit, costs = line.series.fit, [point.cost for point in line.series.points]
        if fit is None or not all(isinstance(answer, Estimate) for answer in fit.parameters.values()):
            continue
        at = np.geomspace(min(costs), max(costs), LAW_STEPS).tolist()
        x = [cost_in(drawn.metric, cost) for cost in at]
        answers = line.series.at(at)
        low, high = ([compact(100 - getattr(one, end)) for one in answers] for end in ("high", "low"))
        group = {"legendgroup": f"law, {escape(line.name)}"}
        yield ribbon(x, low, high, line.colour, **group)
        yield {
            "type": "scatter", "mode": "lines", "hoverinfo": "skip", "name": group["legendgroup"], "x": x,
            "y": [compact(100 - value) for value in fit.predict([c / line.series.unit for c in at]).tolist()],
            "line": {"color": line.colour, "width": 1.2, "dash": "dot"}, **group,
        }  # fmt: skip


def _named(drawn: Drawn, own: Sequence[Placed], metric: str) -> Spec:
    """Names beside the points of references, where the fewest others stand."""
    points = [
        (math.log(getattr(p.tried, metric)), value)
        for p in drawn.placed
        for value in (p.value, *([min(p.accuracies), max(p.accuracies)] if p.is_sure else []))
    ]
    points += _along(drawn, metric)
    at = [(math.log(getattr(p.tried, metric)), p.value) for p in own]
    names = [p.tried.label for p in own]
    # a reference that several studies trained is named once
    return {
        "mode": "markers+text",
        # clear of a star to its left or right, which is wider than the point
        "text": [f"\u2002{escape(n)}\u2002" if names.index(n) == i else "" for i, n in enumerate(names)],
        "textposition": beside(at, names, points),
        "cliponaxis": False,
    }


def _along(drawn: Drawn, metric: str) -> list[tuple[float, float]]:
    """What else names are to leave free: the drawn fronts, and picks again, whose stars are large."""
    found = []
    for line in drawn.fronts.values() if metric == drawn.metric else ():
        places = [(math.log(getattr(p.tried, metric)), p.value) for p in line]
        for (x, y), (right, _) in pairwise(places):
            found += [(x + share * (right - x), y) for share in np.linspace(0, 1, FRONT_POINTS).tolist()]
    for p in drawn.placed:
        if (p.index, p.tried.trial) in drawn.picks:
            found += [(math.log(getattr(p.tried, metric)), p.value)] * 2
    return found


def _dots(own: Sequence[Placed], x: Sequence[float], y: Sequence[float], name: str, drawn: Drawn) -> Spec:
    """Points of networks, each with its label and costs."""
    hover = [
        f"{escape(p.tried.label)}<br>{p.value:.1%}, "
        f"{f'mean of {len(p.accuracies)} fresh seeds' if p.is_sure else 'one training'}<br>"
        f"{quantity(getattr(p.tried, drawn.metric), COSTS[drawn.metric])}"
        for p in own
    ]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": list(x), "y": list(y), "hovertext": hover,
        "customdata": [[p.index, p.tried.trial] for p in own], "marker": _marker(own),
        "hovertemplate": "%{hovertext}<extra></extra>",
    }  # fmt: skip


# ---- the numbers ----------------------------------------------------------------------------------------


def _rows(drawn: Drawn) -> list[list[Cell]]:
    """What is noted; then the best of the others, as many as there is room."""
    first = [p for p in drawn.placed if id(p) in drawn.noted]
    rest = sorted((p for p in drawn.placed if id(p) not in drawn.noted), key=lambda p: -p.value)
    kept = first + rest[: max(0, MOST_ROWS - len(first))]
    on_front = {id(p) for line in drawn.fronts.values() for p in line}
    return [_row(drawn, p, on_front) for p in sorted(kept, key=lambda p: (p.index, p.tried.trial))]


def _row(drawn: Drawn, placed: Placed, on_front: set[int]) -> list[Cell]:
    tried, seeds = placed.tried, placed.accuracies if placed.is_sure else []
    return [
        placed.study,
        tried.trial,
        tried.name,
        tried.role,
        tried.family,
        band_of(drawn.plane.members[placed.place][2], tried),
        compact(tried.macs / 1e9),
        compact(tried.params / 1e6),
        compact(tried.activations / 1e6),
        percent(searched_value(tried)) if placed.is_candidate else None,
        len(seeds),
        percent(placed.value) if seeds else None,
        percent(min(seeds)) if seeds else None,
        percent(max(seeds)) if seeds else None,
        None if drawn.narrow else id(placed) in on_front,
        drawn.probability.get(id(placed)),
        (placed.index, tried.trial) in drawn.picks,
    ]


def _pick_rows(label: str, study: Study) -> Iterator[list[Cell]]:
    """A row for each network that a pick is compared with; one without where there is none."""
    for pick in recommend(study).picks:
        start: list[Cell] = [
            label, band_of(study, pick.tried), pick.tried.label, compact(pick.tried.macs / 1e9),
            percent(pick.accuracy), pick.seeds,
        ]  # fmt: skip
        if not pick.rivals:
            yield [*start, *[None] * 5]
        for rival in pick.rivals:
            d = rival.difference
            ends = [round(100 * end, 1) if math.isfinite(end) else None for end in (d.value, d.low, d.high)]
            yield [*start, rival.label, *ends, rival.verdict or "no interval"]


# ---- the words ------------------------------------------------------------------------------------------


def _lead(drawn: Drawn, *, several: bool) -> str:
    # of named networks none is the reference of another
    other = "reference" if drawn.candidates else "network"
    counts = [
        plural(len(found), noun)
        for found, noun in ((drawn.candidates, "searched network"), (drawn.references, other))
        if found
    ]
    sure = sum(p.is_sure for p in drawn.placed)
    how = (
        "one training each, so hollow marks: no interval"
        if not sure
        else f"{'each' if sure == len(drawn.placed) else sure} with a range of fresh seeds"
    )
    whose = f"{drawn.plane.names}: " if several else ""
    return f"{whose}{listed(counts)} trained in full, {how} ({drawn.plane.conditions})."


def _notes(drawn: Sequence[Drawn], figures: Sequence[Figure]) -> list[str]:
    tabled = drawn and all(one.plane.tabled for one in drawn)
    whose = "the table that the axis names" if tabled else "the proxy that the axis names, never ImageNet's"
    notes = [f"Accuracies are of {whose}. Shaded upright: the budget."]
    if any("fill" in trace for figure in figures for trace in figure.spec["data"]):
        notes.append(
            "Dotted, with its 90% interval shaded: the law of a family, or of the best of a search, where "
            "all of its parameters are identified; more under Error against cost."
        )
    if any(one.fronts for one in drawn):
        notes.append(
            "Front: of the ConvNets that a study recommends from, those that no other one beats in both cost "
            "and accuracy; by the means of fresh seeds where there are such."
        )
    if any(p.is_candidate and not p.is_sure for one in drawn for p in one.placed):
        notes.append(
            "What one training decides is optimistic: the best were chosen for the very accuracies that are "
            "drawn, luck of the seed included (the winner's curse). Fresh seeds are free of that, but for "
            "the choice among the few that were trained again."
        )
    if any(p.is_sure for one in drawn for p in one.placed):
        notes.append("Bars run from the least to the largest of a network's fresh seeds.")
    if any(one.probability for one in drawn):
        notes.append(
            "The probability of being on the front is among the networks with at least two fresh seeds, "
            "references included, over the same seeds; the deviation is pooled over the networks, and seeds "
            "are taken as independent, so that what a seed shifts alike for all blurs it."
        )
    return notes + [text for one in drawn for text in _cuts(one)]


def _cuts(one: Drawn) -> Iterator[str]:
    """What was left out of figures and table."""
    if len(one.candidates) > MOST_POINTS:
        yield (
            f"{one.plane.names}: {MOST_POINTS:,} of {len(one.candidates):,} candidates are drawn, an even "
            "sample, and every one that is on a front."
        )
    if len(one.placed) > MOST_ROWS:
        yield (
            f"{one.plane.names}: the table holds the references, the fronts, what has seeds, and the best of "
            f"the others, {MOST_ROWS:,} of {len(one.placed):,} networks."
        )
