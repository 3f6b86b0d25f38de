"""What the views share: planes, cost axes with familiar ticks, and numbers short enough for a page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.study import Study, Tried, role_of
from analysis.view import NEUTRAL

Spec = dict[str, Any]
Trial = Mapping[str, Any]

# the sizes that ConvNeXt, Swin and the networks for phones are published at
GFLOPS_TICKS = (0.075, 0.15, 0.3, 0.6, 1.2, 2.4, 4.5, 8.7, 15.4, 34.4, 60.9)
MOST_TICKS = 9
MARGIN = 0.06  # of an axis, beyond the first and the last value
# of the studies of one figure; those of FAMILY_COLOURS are left to the families
STUDY_COLOURS = ("#0072b2", "#e69f00", "#56b4e9", "#7a68c9", "#999999")
STUDY_SYMBOLS = ("circle", "cross", "pentagon", "star", "hexagram")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
MOST_CONDITIONS = 46  # characters beside an axis
LEGEND_PAD = 5  # pixels
ROOM = {"l": 76, "r": 16, "t": 28, "b": 56}  # pixels: a title of two lines with ticks, and one of one line


# ---- costs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Unit:
    """How a cost is counted on an axis: `short` in a hover text, values divided by `divisor`."""

    title: str
    short: str
    divisor: float
    ticks: tuple[float, ...] = ()


UNITS: Mapping[str, Unit] = {
    "macs": Unit("GFLOPs (multiply-accumulates at 224x224)", "GFLOPs", 1e9, GFLOPS_TICKS),
    "params": Unit("parameters (millions)", "M parameters", 1e6),
    "activations": Unit("activations (millions, at 224x224)", "M activations", 1e6),
}


def cost_in(metric: str, value: float) -> float:
    """A cost in the unit of its axis, to four digits."""
    return compact(value / UNITS[metric].divisor)


def cost_axis(metric: str, values: Iterable[float]) -> Spec:
    """A log axis around `values`, in the metric's unit; values that are not positive are left out."""
    unit = UNITS[metric]
    return log_axis(unit.title, values, unit.ticks)


def log_axis(title: str, values: Iterable[float], familiar: Sequence[float] = ()) -> Spec:
    """A log axis around `values`, with the `familiar` ticks where at least three of them fall inside."""
    shown = [value for value in values if value > 0]
    low, high = (math.log10(end) for end in (min(shown, default=1.0), max(shown, default=1.0)))
    margin = max(MARGIN * (high - low), 0.008)
    low, high = low - margin, high + margin
    at = ticks(10**low, 10**high, familiar)
    return {
        "type": "log",
        "title": {"text": title},
        "range": [round(low, 4), round(high, 4)],
        "tickvals": at,
        "ticktext": [f"{tick:g}" for tick in at],
    }


def ticks(low: float, high: float, familiar: Sequence[float] = ()) -> list[float]:
    """Ticks of a log axis from `low` to `high`: familiar ones, else 1-2-5, else evenly spaced round ones."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    one_two_five = [compact(digit * 10.0**power) for power in decades for digit in (1, 2, 5)]
    for series in (familiar, one_two_five):
        inside = [tick for tick in series if low <= tick <= high]
        if len(inside) >= 3:
            return inside[:: 1 + (len(inside) - 1) // MOST_TICKS]
    step = round_step((high - low) / 5)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [compact(i * step, 6) for i in range(first, last + 1)]


def round_step(least: float) -> float:
    """The least of 1, 2, 5, 10, ... times a power of ten that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(digit * power for digit in (1, 2, 5, 10) if digit * power >= least * (1 - 1e-9))


# ---- planes ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plane:
    """Studies whose accuracies mean the same: of each its index among all, its label, and the study."""

    members: tuple[tuple[int, str, Study], ...]

    @property
    def conditions(self) -> str:
        """What an accuracy means."""
        return self.members[0][2].conditions

    def title(self, what: str = "top-1") -> Spec:
        """Of an axis of accuracies or errors, in percent."""
        return {"text": accuracy_title(self.members[0][2], what)}

    @property
    def names(self) -> str:
        """The studies' labels."""
        return ", ".join(label for _, label, _ in self.members)


def planes(studies: Sequence[Study]) -> list[Plane]:
    """The studies by plane, in order of first appearance."""
    found: dict[tuple[str, str, int], list[tuple[int, str, Study]]] = {}
    for index, (label, study) in enumerate(zip(labels(studies), studies, strict=True)):
        found.setdefault(study.plane, []).append((index, label, study))
    return [Plane(tuple(members)) for members in found.values()]


def labels(studies: Sequence[Study]) -> list[str]:
    """The studies' names, told apart where several folders have one name."""
    names = [study.name for study in studies]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]


def accuracy_title(study: Study, what: str = "top-1") -> str:
    """An axis title that nobody takes for ImageNet: the conditions, shortened to fit beside an axis."""
    proxy = study.mapping["proxy"]
    short = f"{proxy.get('name')} proxy, {proxy.get('epochs')} epochs"
    fitting = (text for text in (study.conditions, short) if len(text) <= MOST_CONDITIONS)
    return f"{what} (%)<br>{escape(next(fitting, short[: MOST_CONDITIONS - 1] + '…'))}"


def numbered(name: str, index: int) -> str:
    """`plane`, `plane_2`, ...: a file's name for the figure of each plane or study."""
    return name if index == 0 else f"{name}_{index + 1}"


def apart(studies: Sequence[Study]) -> list[str]:
    """The note that accuracies of different planes are not compared, where there are such."""
    found = planes(studies)
    if len(found) < 2:
        return []
    return [
        "Trained under different conditions, so never drawn together or compared: "
        + "; ".join(f"{plane.names} ({plane.conditions})" for plane in found)
        + "."
    ]


# ---- networks -------------------------------------------------------------------------------------------


def searched_value(tried: Tried) -> float:
    """The accuracy that the search saw: of one training; of a reference without such, the mean."""
    if tried.chosen_by is not None and tried.chosen_by in tried.accuracies:
        return tried.accuracies[tried.chosen_by]
    return tried.accuracy


def budgets(study: Study) -> list[Mapping[str, Any]]:
    """The bands of a search; named networks that were only measured are inside none."""
    return [] if study.mapping.get("objective") == "measure" else study.bands


def band_of(study: Study, tried: Tried) -> str:
    """The text of the budget a network was trained for; of an older record, of the first that holds it."""
    if tried.budget is not None:
        return tried.budget
    bands = study.bands
    cost = getattr(tried, study.metric)
    inside = (b for b in bands if (b.get("low") or 0) <= cost <= (b.get("high") or math.inf))
    return str(next(inside, bands[0]).get("text"))


def only(study: Study, trials: Set[int]) -> Study:
    """The study as if it had tried nothing but the networks of these trials; their repeats stay."""
    rows = study.mapping["trials"]
    own = (row.get("of") if role_of(row) == "confirmation" else row["number"] for row in rows)
    kept = [row for row, number in zip(rows, own, strict=True) if number in trials]
    return Study({**study.mapping, "trials": kept}, study.folder)


def random_part(studies: Sequence[Study], most: int) -> tuple[list[Study], str | None]:
    """The studies with at most `most` of their networks, drawn at random, and the note that says so."""
    places = [(i, tried.trial) for i, study in enumerate(studies) for tried in study.networks]
    if len(places) <= most:
        return list(studies), None
    drawn = np.random.default_rng(0).choice(len(places), most, replace=False).tolist()
    kept = [{places[j][1] for j in drawn if places[j][0] == i} for i in range(len(studies))]
    note = (
        f"To keep the page quick, {most:,} networks drawn at random are looked at, of the {len(places):,} "
        "that were trained in full."
    )
    return [only(study, trials) for study, trials in zip(studies, kept, strict=True)], note


def study_colour(place: int) -> str:
    """The colour of a figure's n-th study."""
    return STUDY_COLOURS[place % len(STUDY_COLOURS)]


def study_symbol(place: int) -> str:
    """The marker of a figure's n-th study."""
    return STUDY_SYMBOLS[place % len(STUDY_SYMBOLS)]


def dash(place: int) -> str:
    """The dash of a figure's n-th line of a kind."""
    return DASHES[place % len(DASHES)]


def spread_sample(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, most).tolist()})


# ---- numbers and words ----------------------------------------------------------------------------------


def compact(value: float, digits: int = 4) -> float:
    """A number to so many significant digits, without a trailing .0."""
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def percent(fraction: float) -> float:
    """A fraction in percent, to two decimals."""
    return compact(round(100 * fraction, 2), 6)


def finite(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if ok else None


def points(difference: float) -> str:
    """A difference of fractions in points, signed."""
    return f"{100 * difference:+.1f} points"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 network`, `2 networks`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.3g} min"
    return f"{minutes / 60:,.1f} h" if minutes < 60 * 100 else f"{minutes / 60 / 24:,.1f} days"


def said(lead: str) -> str:
    """A sentence that begins with a capital; not for one that begins with a study's or a network's name."""
    return lead[:1].upper() + lead[1:]


def escape(text: object) -> str:
    """Text as plotly shows it literally, also in a hover template; it knows no entity for quotes."""
    return html.escape(str(text), quote=False).replace("%{", "&#37;{")


# ---- parts of figures -----------------------------------------------------------------------------------


def figure_spec(data: Sequence[Spec], **layout: Any) -> Spec:
    """A plotly figure; the legend stands above the plot, so that the plot keeps its width."""
    legend = {"orientation": "h", "yanchor": "bottom", "y": 1.01, "xanchor": "left", "x": 0}
    return {"data": list(data), "layout": {"legend": legend, "hovermode": "closest", **layout}}


def with_room(spec: Spec) -> Spec:
    """A figure of many points with room for its axes: plotly, asked to find out, draws all of them twice."""
    layout = spec["layout"]
    axes = {name: {**layout[name], "automargin": False} for name in ("xaxis", "yaxis")}
    # plotly makes room for a legend of several rows to the pixel: an unseen border keeps it off the edge
    legend = {**layout["legend"], "borderwidth": LEGEND_PAD, "bordercolor": "rgba(0,0,0,0)"}
    return {**spec, "layout": {**layout, **axes, "legend": legend, "margin": ROOM}}


def band_shapes(bands: Iterable[Mapping[str, Any]], metric: str) -> list[Spec]:
    """Each budget band of this metric, shaded over the whole height."""
    shapes = []
    for band in bands:
        low, high = finite(band.get("low")), finite(band.get("high"))
        if band.get("metric", "macs") != metric or high is None:
            continue
        ends = [cost_in(metric, end) for end in (max(low or 0.0, high / 1000), high)]
        shapes.append(
            {
                "type": "rect", "layer": "below", "yref": "paper", "y0": 0, "y1": 1,
                "x0": ends[0], "x1": ends[1], "line": {"width": 0}, "fillcolor": NEUTRAL, "opacity": 0.16,
            }
        )  # fmt: skip
    return shapes


def vertical_line(x: float, text: str, *, log: bool = False) -> tuple[Spec, Spec]:
    """A dotted line over the whole height, and its label at the top."""
    line = {
        "type": "line", "layer": "below", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x,
        "line": {"width": 1, "dash": "dot", "color": NEUTRAL},
    }  # fmt: skip
    at = math.log10(x) if log else x  # annotations on a log axis stand at logarithms, shapes do not
    label = {
        "x": at, "yref": "paper", "y": 1, "yanchor": "top", "xanchor": "left", "showarrow": False,
        "text": escape(text), "font": {"size": 11, "color": NEUTRAL},
    }  # fmt: skip
    return line, label


def ribbon(
    x: Sequence[float], low: Sequence[float], high: Sequence[float], colour: str, **fields: Any
) -> Spec:
    """The area between two lines."""
    return {
        "type": "scatter",
        "x": [*x, *reversed(x)],
        "y": [*high, *reversed(low)],
        "fill": "toself",
        "fillcolor": translucent(colour, 0.18),
        "line": {"width": 0, "color": colour},
        "mode": "lines",
        "hoverinfo": "skip",
        "showlegend": False,
        **fields,
    }


def translucent(colour: str, opacity: float) -> str:
    """`#rrggbb` as rgba."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity:g})"


def seed_bars(values: Sequence[Sequence[float]]) -> Spec:
    """Bars from the least to the largest of each network's seeds, in points of percent, around its mean."""
    up = [compact(100 * (max(v) - float(np.mean(v))), 3) for v in values]
    down = [compact(100 * (float(np.mean(v)) - min(v)), 3) for v in values]
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.2, "width": 3}


def standard_error(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Of the mean; None of a single value."""
    if len(values) < 2:
        return None
    return float(np.std(values, ddof=1)) / math.sqrt(len(values))
