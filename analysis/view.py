"""What a page or a paper shows: a view is a question, figures that answer it, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Cell = str | int | float | bool | None

# Okabe and Ito 2008: told apart by colour-blind readers, on white and on black
PALETTE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#999999")
FAMILY_COLOURS: Mapping[str, str] = {
    "searched": "#0072b2",
    "ConvNeXt": "#d55e00",
    "Swin": "#009e73",
    "ResNet": "#cc79a7",
}
FAMILY_SYMBOLS: Mapping[str, str] = {
    "searched": "circle",
    "ConvNeXt": "diamond",
    "Swin": "square",
    "ResNet": "triangle-up",
}
OTHER_COLOUR, OTHER_SYMBOL = "#999999", "x"
# lines and texts that belong to no family: readable on white and on black
NEUTRAL = "#808080"


@dataclass(frozen=True)
class Table:
    """Numbers of a view, a CSV file each: `name` is the file's, columns say their units."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


@dataclass(frozen=True)
class Figure:
    """One plot. `spec` is a plotly figure as plain values: {"data": [...], "layout": {...}}.

    Backgrounds, fonts, grid and text colours are the page's, for light and dark: a spec sets none. A trace
    whose points are networks of a study has `customdata`: [index of the study, number of the trial] a point.
    `alt` says in a sentence what is to be seen.
    """

    name: str
    title: str
    spec: Mapping[str, Any]
    alt: str


@dataclass(frozen=True)
class View:
    """A section: `lead` is the answer in plain sentences, `notes` the conditions and caveats.

    `empty` says why there is nothing to show, and what would fill it; then there are no figures.
    """

    key: str
    title: str
    lead: str
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default=())
    empty: str | None = None


def colour_of(family: str) -> str:
    """The colour of a family, the same in every view."""
    return FAMILY_COLOURS.get(family, OTHER_COLOUR)


def symbol_of(family: str) -> str:
    """The marker of a family, the same in every view."""
    return FAMILY_SYMBOLS.get(family, OTHER_SYMBOL)
