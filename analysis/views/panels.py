"""Small multiples: panels in rows, with one vertical scale for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.page.view import NEUTRAL
from analysis.views.units import Spec

A_ROW = 3
PANEL_HEIGHT = 230
BETWEEN_COLUMNS, BETWEEN_ROWS = 0.05, 0.42  # of the figure's width, and of a row's share of its height
TITLE_SIZE = 13


@dataclass
class Panels:
    """A figure of panels, filled one after the other: their titles, as plotly's texts, and the scale's name.

    Colours are the page's: there is no template.
    """

    titles: Sequence[str]
    vertical: str
    traces: list[Spec] = field(default_factory=list)
    axes: dict[int, Spec] = field(default_factory=dict)

    def add(self, panel: int, traces: Iterable[Spec], **axis: Any) -> None:
        """Traces of one panel, and what its horizontal axis has of its own."""
        number = _number(panel)
        self.traces += [{**trace, "xaxis": f"x{number}", "yaxis": f"y{number}"} for trace in traces]
        self.axes[panel] = axis

    @property
    def spec(self) -> Spec:
        """The figure, as plain values."""
        count = len(self.titles)
        columns = min(A_ROW, count)
        rows = -(-count // columns)
        layout: Spec = {}
        annotations = []
        lowest = columns * (rows - 1)  # the first panel of the last row: the others have its scale
        for panel in range(columns * rows):
            row, column = divmod(panel, columns)
            across = _span(column, columns, BETWEEN_COLUMNS)
            up = _span(rows - 1 - row, rows, BETWEEN_ROWS / rows if rows > 1 else 0.0)
            number = _number(panel)
            layout[f"xaxis{number}"] = {"anchor": f"y{number}", "domain": across, **self.axes.get(panel, {})}
            layout[f"yaxis{number}"] = {
                "anchor": f"x{number}", "domain": up,
                **({} if panel == lowest else {"matches": f"y{_number(lowest)}"}),
                **({} if column == 0 else {"showticklabels": False}),
                "zeroline": True, "zerolinecolor": NEUTRAL, "zerolinewidth": 1,
                **({"title": {"text": self.vertical}} if column == 0 else {}),
            }  # fmt: skip
            if panel < count:
                annotations.append({
                    "font": {"size": TITLE_SIZE}, "showarrow": False, "text": self.titles[panel],
                    "x": sum(across) / 2, "xanchor": "center", "xref": "paper",
                    "y": up[1], "yanchor": "bottom", "yref": "paper",
                })  # fmt: skip
        layout |= {
            "annotations": annotations,
            "margin": {"l": 60, "r": 10, "t": 30, "b": 60},
            "height": 60 + PANEL_HEIGHT * rows,
        }
        return {"data": self.traces, "layout": layout}


def _number(panel: int) -> str:
    """What plotly adds to the names of a panel's axes."""
    return "" if panel == 0 else str(panel + 1)


def _span(place: int, count: int, between: float) -> list[float]:
    """Where the n-th of some equal parts lies, as shares."""
    size = (1 - between * (count - 1)) / count
    start = place * (size + between)
    return [start, start + size]
