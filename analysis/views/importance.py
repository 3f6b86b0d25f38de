"""Which choices matter for accuracy: importances, main effects, partial dependence, and what is tied."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analysis.axes.dependence import Curve
from analysis.axes.effects import Effect
from analysis.axes.findings import Findings, find
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import LEVEL, MATTERS, TIED, Interval
from analysis.axes.ranking import UNITS, AxisScore
from analysis.page.view import NEUTRAL, PALETTE, Cell, Figure, Table, View
from analysis.views.common import escape, ribbon
from analysis.views.panels import Panels
from analysis.views.planes import Plane, apart, numbered, planes, random_part
from analysis.views.units import Spec
from nas.record.study import Study
from nas.verdict.difference import UNCLEAR
from space.errors import InputError
from space.words import compact, finite, percent

KEY, TITLE = "importance", "Which choices matter"
LONG_TICK = 10  # letters
COLOURS = {MATTERS: PALETTE[0], TIED: PALETTE[4], UNCLEAR: NEUTRAL}
# networks: more changes intervals that are narrow already, and takes seconds
MOST_READ = 500
POINTS = "points from the mean"
BAR_HEIGHT = 26
LONGEST_LABEL = 44


def view(studies: Sequence[Study], which: str = "summary", *, thorough: bool = False) -> View:
    """A group of figures for every plane; `which` axes are those of `analysis.axes.axis_sets.SETS`.

    `thorough` as in `analysis.axes.findings.find`.
    """
    found: list[tuple[Plane, Findings]] = []
    missing: list[str] = []
    cuts: list[str | None] = []
    for plane in planes(studies):
        looked_at, cut = random_part([study for _, _, study in plane.members], MOST_READ)
        cuts.append(cut)
        try:
            findings = find(looked_at, which, thorough=thorough)
            found.append((plane, findings))
        except InputError as error:
            missing.append(f"{error}.")
    if not found:
        reason = " ".join([*missing, "More trainings of different networks would fill this."])
        return View(KEY, TITLE, lead=reason, empty=reason)
    several = len(found) > 1
    notes = [
        f"Intervals are {LEVEL:.0%}, each axis's own; verdicts allow for the number of axes. Networks are "
        "resampled, not trainings.",
        *filter(None, cuts),
        *(note for plane, one in found for note in _notes(plane, one, several)),
        *(
            []
            if thorough
            else ["fANOVA as well, more networks and more resamples: python -m analysis.importance STUDY."]
        ),
        *missing,
        *apart(studies),
    ]
    return View(
        KEY,
        TITLE,
        lead=" ".join(_lead(found, several)),
        figures=[
            figure for i, (plane, one) in enumerate(found) for figure in _figures(plane, one, i, several)
        ],
        tables=[table for i, (_, one) in enumerate(found) for table in _tables(one, i)],
        notes=notes,
    )


def _lead(found: Sequence[tuple[Plane, Findings]], several: bool) -> Iterator[str]:
    for plane, one in found:
        if several:
            yield f"{plane.names}:"
        yield from one.words


def _notes(plane: Plane, one: Findings, several: bool) -> Iterator[str]:
    start = f"{plane.names}: " if several else ""
    for note in (*one.importance.confounding.text, *one.notes):
        yield f"{start}{note.rstrip('.')}."


def _figures(plane: Plane, one: Findings, index: int, several: bool) -> Iterator[Figure]:
    where = f" ({plane.names})" if several else ""
    methods = sorted(one.importance.methods, key=lambda method: method != PERMUTATION)
    for method in methods:
        yield _bars(method, one.importance.methods[method], where, index)
    yield _effects(one.effects, where, index)
    yield _curves(one, where, index)


# ---- importances ----------------------------------------------------------------------------------------


def _bars(method: str, scores: Sequence[AxisScore], where: str, index: int) -> Figure:
    labels = [_short(score.label) for score in scores]
    data = []
    for verdict, colour in COLOURS.items():
        mine = [i for i, score in enumerate(scores) if score.verdict == verdict]
        if mine:
            data.append(_bar_trace(verdict, colour, [scores[i] for i in mine], [labels[i] for i in mine]))
    layout = {
        "height": 110 + BAR_HEIGHT * len(scores),
        "barmode": "overlay",
        "bargap": 0.35,
        "margin": {"l": 10, "r": 20, "t": 30, "b": 50},
        "xaxis": {"title": {"text": UNITS[method]}, "zeroline": True},
        "yaxis": {
            "type": "category",
            "categoryorder": "array",
            "categoryarray": labels[::-1],
            "automargin": True,
            "ticklabelstandoff": 6,
        },
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "showlegend": True,
    }
    top = scores[0]
    alt = (
        f"Bars of the importance of {len(scores)} axes by {method}, with intervals; highest: {top.label}, "
        f"{top.importance.value:.2f}, {top.verdict}."
    )
    name = method.lower().replace("-", "_")
    title = f"Importance by {method if method != PERMUTATION else 'permutation'}{where}"
    return Figure(numbered(f"importance-{name}", index), title, {"data": data, "layout": layout}, alt)


def _bar_trace(verdict: str, colour: str, scores: Sequence[AxisScore], labels: Sequence[str]) -> Spec:
    return {
        "type": "bar",
        "orientation": "h",
        "name": verdict,
        "x": [compact(score.importance.value) for score in scores],
        "y": list(labels),
        "error_x": _errors([score.importance for score in scores], 1),
        "marker": {"color": colour, "opacity": 0.75},
        "hovertext": [
            f"{escape(s.label)}<br>{s.importance.value:.3f} "
            f"({s.importance.low:.3f} to {s.importance.high:.3f})<br>{verdict}"
            for s in scores
        ],
        "hoverinfo": "text",
    }


def _known(intervals: Sequence[Interval]) -> list[bool]:
    """Which of them are intervals: an end may be infinite, and one of no width is of a single network."""
    return [0 < i.high - i.low < float("inf") for i in intervals]


def _errors(intervals: Sequence[Interval], scale: float) -> Spec:
    """Error bars; none where there is no interval."""
    known = _known(intervals)
    return {
        "type": "data",
        "symmetric": False,
        "array": [
            compact(scale * (i.high - i.value)) if k else 0 for i, k in zip(intervals, known, strict=True)
        ],
        "arrayminus": [
            compact(scale * (i.value - i.low)) if k else 0 for i, k in zip(intervals, known, strict=True)
        ],
        "color": NEUTRAL,
        "thickness": 1.5,
        "width": 4,
    }


# ---- small multiples ------------------------------------------------------------------------------------


def _marks(
    labels: Sequence[str], intervals: Sequence[Interval], hover: Sequence[str], colour: str
) -> Iterator[Spec]:
    """Values in percent points: filled with a bar where there is an interval, hollow where there is none."""
    known = _known(intervals)
    for sure in (True, False):
        own = [i for i, one in enumerate(known) if one == sure]
        if own:
            trace: Spec = {
                "type": "scatter", "mode": "markers",
                "x": [labels[i] for i in own], "y": [compact(100 * intervals[i].value) for i in own],
                "marker": {"color": colour, "size": 9, "symbol": "circle" if sure else "circle-open",
                           "line": {"width": 0 if sure else 2}},
                "hovertext": [hover[i] for i in own], "hoverinfo": "text", "showlegend": False,
            }  # fmt: skip
            bars = _errors([intervals[i] for i in own], 100) | {"color": colour}
            yield trace | ({"error_y": bars} if sure else {})


def _categories(labels: Sequence[str]) -> Spec:
    """Of an axis, in this order whatever trace has which of them."""
    return {"type": "category", "categoryorder": "array", "categoryarray": list(labels)}


def _effects(effects: Sequence[Effect], where: str, index: int) -> Figure:
    panels = Panels([_short(_titled(effect.axis, effect.verdict)) for effect in effects], POINTS)
    for i, effect in enumerate(effects):
        levels = effect.levels
        labels = [_tick(level.label) for level in levels]
        hover = [
            f"{escape(effect.axis)} {escape(level.label)}: {_signed(level.effect)}<br>"
            f"{level.networks} networks, mean accuracy {level.mean:.1%}"
            for level in levels
        ]
        marks = _marks(labels, [level.effect for level in levels], hover, COLOURS[effect.verdict])
        panels.add(i, list(marks), **_categories(labels))
    alt = f"Adjusted mean accuracy at the levels of {len(effects)} axes, with intervals: " + (
        "; ".join(f"{e.axis}, best at {e.best.label}" for e in effects if e.verdict == MATTERS)
        or "no axis is distinguishable from no effect"
    )
    title = f"Main effects at equal values of the other axes{where}"
    return Figure(numbered("importance-effects", index), title, panels.spec, f"{alt}.")


def _tick(label: str) -> str:
    """A long range in two lines: in one it would be turned."""
    return escape(label).replace(" to ", "<br>to ") if len(label) > LONG_TICK else escape(label)


def _curves(one: Findings, where: str, index: int) -> Figure:
    curves = one.curves
    verdicts = {name: s.verdict for s in one.importance.methods[PERMUTATION] for name in s.axes}
    tied = {name for group in one.importance.confounding.groups for name in group}
    panels = Panels([_short(curve.axis) for curve in curves], POINTS)
    for i, curve in enumerate(curves):
        verdict = TIED if curve.axis in tied else verdicts.get(curve.axis, UNCLEAR)
        axis = one.sample.axes[curve.axis]
        if axis.categorical:
            panels.add(i, _dots(curve, verdict), **_categories(list(map(escape, curve.labels))))
        else:
            panels.add(i, _lines(curve, verdict), **({"type": "log", **_ticks(curve)} if axis.log else {}))
    alt = f"Partial dependence of accuracy on {len(curves)} axes, with intervals."
    title = f"Partial dependence{where}"
    return Figure(numbered("importance-dependence", index), title, panels.spec, alt)


def _ticks(curve: Curve) -> Spec:
    """Three values of the curve: the ticks of a short logarithmic axis are unfamiliar."""
    chosen = sorted({0, len(curve.at) // 2, len(curve.at) - 1})
    return {
        "tickmode": "array",
        "tickvals": [curve.at[k] for k in chosen],
        "ticktext": [curve.labels[k] for k in chosen],
    }


def _dots(curve: Curve, verdict: str) -> list[Spec]:
    intervals = [Interval(*ends) for ends in zip(curve.value, curve.low, curve.high, strict=True)]
    labels = list(map(escape, curve.labels))
    return list(_marks(labels, intervals, _hover(curve), COLOURS[verdict]))


def _lines(curve: Curve, verdict: str) -> list[Spec]:
    at = [compact(v) for v in curve.at]
    low, high = ([compact(100 * v) for v in ends] for ends in (curve.low, curve.high))
    band = ribbon(at, low, high, COLOURS[verdict])
    line = {
        "type": "scatter",
        "mode": "lines",
        "x": at,
        "y": [compact(100 * v) for v in curve.value],
        "line": {"color": COLOURS[verdict], "width": 2},
        "hovertext": _hover(curve),
        "hoverinfo": "text",
        "showlegend": False,
    }
    return [band, line]


def _hover(curve: Curve) -> list[str]:
    points = zip(curve.labels, curve.value, curve.low, curve.high, strict=True)
    name = escape(curve.axis)
    return [f"{name} {escape(label)}: {_signed(Interval(*ends))}" for label, *ends in points]


# ---- tables ---------------------------------------------------------------------------------------------


def _tables(one: Findings, index: int) -> Iterator[Table]:
    importances: list[Sequence[Cell]] = [
        (method, s.label, *map(compact, (s.importance.value, s.importance.low, s.importance.high)), s.verdict)
        for method, scores in one.importance.methods.items()
        for s in scores
    ]
    columns = ("method", "axis", "importance", "low", "high", "verdict")
    yield Table(numbered("importance", index), f"Importances, {LEVEL:.0%} intervals", columns, importances)
    yield Table(
        numbered("importance-effects", index),
        "Main effects",
        ("axis", "level", "networks", "mean accuracy (%)", "effect (points)", "low", "high", "p", "verdict",
         "adjusted for"),
        [
            (e.axis, at.label, at.networks, percent(at.mean), *_in_points(at.effect), compact(e.p),
             _verdict(e), ", ".join(e.adjusted_for))
            for e in one.effects for at in e.levels
        ],
    )  # fmt: skip
    yield Table(
        numbered("importance-dependence", index),
        "Partial dependence",
        ("axis", "at", "points from the mean", "low", "high"),
        [
            (c.axis, label, *(compact(100 * v) for v in ends))
            for c in one.curves
            for label, *ends in zip(c.labels, c.value, c.low, c.high, strict=True)
        ],
    )
    yield Table(
        numbered("importance-ties", index),
        "How far the other axes determine each axis",
        ("axis", "explained", "variance inflation", "by"),
        [
            (t.axis, compact(t.explained), _cell(t.inflation), ", ".join(t.by))
            for t in one.importance.confounding.ties
        ],
    )


def _verdict(effect: Effect) -> str:
    return f"{TIED} from {', '.join(effect.along)}" if effect.verdict == TIED else effect.verdict


def _in_points(interval: Interval) -> tuple[Cell, Cell, Cell]:
    return _cell(100 * interval.value), _cell(100 * interval.low), _cell(100 * interval.high)


def _signed(interval: Interval) -> str:
    if interval.high == float("inf"):
        return f"{100 * interval.value:+.1f} points, no interval"
    return f"{100 * interval.value:+.1f} points ({100 * interval.low:+.1f} to {100 * interval.high:+.1f})"


def _titled(name: str, verdict: str) -> str:
    return name if verdict == MATTERS else f"{name} ({'tied' if verdict == TIED else 'unclear'})"


def _short(text: str) -> str:
    cut = text if len(text) <= LONGEST_LABEL else text[: LONGEST_LABEL - 1] + "\u2026"
    return escape(cut)


def _cell(value: float) -> float | None:
    """A number of a table; None where there is no interval."""
    return None if finite(value) is None else compact(value)
