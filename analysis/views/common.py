"""What the views share: planes, cost axes with familiar ticks, and numbers short enough for a page."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analysis.page.view import NEUTRAL, SEQUENCE
from analysis.views.units import Spec, cost_in
from space.words import compact, finite

# of the studies of one figure; those of FAMILY_COLOURS are left to the families, orange and stars to the pick
STUDY_COLOURS = ("#0072b2", "#8c5a2b", "#56b4e9", "#7a68c9", "#999999")
STUDY_SYMBOLS = ("circle", "cross", "pentagon", "hexagon", "bowtie")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
LEGEND_PAD = 5  # pixels
ROOM = {"l": 76, "r": 16, "t": 28, "b": 56}  # pixels: a title of two lines with ticks, and one of one line


def study_colour(place: int) -> str:
    """The colour of a figure's n-th study."""
    return STUDY_COLOURS[place % len(STUDY_COLOURS)]


def study_symbol(place: int) -> str:
    """The marker of a figure's n-th study."""
    return STUDY_SYMBOLS[place % len(STUDY_SYMBOLS)]


def budget_colour(place: int, count: int) -> str:
    """The colour of the n-th of some budgets of one study: the larger, the darker on a light page."""
    return SEQUENCE[round(place * (len(SEQUENCE) - 1) / max(1, count - 1))]


def dash(place: int) -> str:
    """The dash of a figure's n-th line of a kind."""
    return DASHES[place % len(DASHES)]


def spread_sample(count: int, most: int) -> list[int]:
    """At most `most` of `count` indices, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i) for i in np.linspace(0, count - 1, most).tolist()})


# ---- numbers and words ----------------------------------------------------------------------------------


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


def vertical_line(x: float, text: str) -> tuple[Spec, Spec]:
    """A dotted line over the whole height, and its label at the top."""
    line = {
        "type": "line", "layer": "below", "yref": "paper", "y0": 0, "y1": 1, "x0": x, "x1": x,
        "line": {"width": 1, "dash": "dot", "color": NEUTRAL},
    }  # fmt: skip
    label = {
        "x": x, "yref": "paper", "y": 1, "yanchor": "top", "xanchor": "left", "showarrow": False,
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


# of a name: room that it takes to each side of its point, as shares of a figure's width and height
LETTER, LINE, CLEAR = 0.009, 0.05, 0.012
SIDES = {"top center": (0, 1), "bottom center": (0, -1), "middle right": (1, 0), "middle left": (-1, 0)}


def beside(
    at: Sequence[tuple[float, float]], names: Sequence[str], points: Sequence[tuple[float, float]]
) -> list[str]:
    """On which side of its point each name covers the fewest of all `points`, and leaves the figure least."""
    every = np.array(points, dtype=np.float64)
    low, span = every.min(axis=0), np.maximum(np.ptp(every, axis=0), 1e-9)
    every = (every - low) / span
    sides = []
    for point, name in zip((np.array(at, dtype=np.float64) - low) / span, names, strict=True):
        wide = LETTER * len(name)

        def covered(side: str, point: NDArray[np.float64] = point, wide: float = wide) -> float:
            right, up = SIDES[side]
            centre = point + np.array([right * (wide / 2 + CLEAR), up * (LINE / 2 + CLEAR)])
            inside = np.abs(every - centre) < [wide / 2 + CLEAR, LINE / 2 + CLEAR]
            return float(inside.all(axis=1).sum()) + 3 * float(abs(centre[0] - 0.5) + wide / 2 > 0.55)

        sides.append(min(SIDES, key=covered))
    return sides


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
