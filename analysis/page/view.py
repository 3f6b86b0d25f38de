"""What a page or a paper shows: a view is a question, figures that answer it, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, overload

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
# the network that a study recommends; nothing else is orange or a star
PICK_COLOUR, PICK_EDGE, PICK_SYMBOL = "#e69f00", "#5c3d00", "star"
# lines and texts that belong to no family: readable on white and on black
NEUTRAL = "#808080"
# from the least to the largest: YlGnBu (Brewer 2003, safe for colour-blind readers) without its pale end
SEQUENCE = ("#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#253494", "#081d58")
# what a dark page draws instead: Okabe and Ito's blue is dim there, and lighter it must stay apart from their
# sky blue and green; the end of a sequence that stands out from the page stays the largest
DARK: Mapping[str, str] = {
    "#0072b2": "#3d9be9",
    "#56b4e9": "#a9defa",
    "#009e73": "#2fc99b",
    "#7a68c9": "#a898ee",
    "#8c5a2b": "#cf9a62",
    **dict(zip(SEQUENCE, ("#2f66a8", "#1d8cbd", "#41b6c4", "#84cfb4", "#c7e9b4", "#fdfdc8"), strict=True)),
}


class Rows(Sequence[Sequence[Cell]]):
    """Rows that are made when they are first asked for: a page need not show all that a CSV file has."""

    def __init__(self, make: Callable[[], Iterable[Sequence[Cell]]]) -> None:
        self._make = make

    @cached_property
    def _made(self) -> list[Sequence[Cell]]:
        return list(self._make())

    def __len__(self) -> int:
        return len(self._made)

    @overload
    def __getitem__(self, place: int) -> Sequence[Cell]: ...
    @overload
    def __getitem__(self, place: slice) -> list[Sequence[Cell]]: ...
    def __getitem__(self, place: int | slice) -> Sequence[Cell] | list[Sequence[Cell]]:
        return self._made[place]


@dataclass(frozen=True)
class Table:
    """Numbers of a view, a CSV file each: `name` is the file's, columns say their units.

    `open`: shown with the figures, not on demand: it answers what the lead only counts.
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    open: bool = False


@dataclass(frozen=True)
class Figure:
    """One plot. `spec` is a plotly figure as plain values: {"data": [...], "layout": {...}}.

    Backgrounds, fonts, grid and text colours are the page's, for light and dark: a spec sets none, and of its
    own colours a dark page draws some lighter (`DARK`). A trace whose points are networks of a study has
    `customdata`: [index of the study, number of the trial] a point. A trace of lines with `meta` {"lines": n}
    has n values a line; a box drawn over its figure keeps the lines through it. `alt` says in a sentence what
    is to be seen. A page shows what is `folded` on demand.
    """

    name: str
    title: str
    spec: Mapping[str, Any]
    alt: str
    folded: bool = False


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
