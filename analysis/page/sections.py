"""The sections of the page: a view's answer, its figures and its tables; and the way to them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from analysis.page.markup import Html, section, tag
from analysis.page.view import Cell, Figure, Table, View
from analysis.views.designs import MISSING
from space.words import listed, plural

# rows of a table in the page; the CSV has all of them
MOST_ROWS = 200
HEIGHT = 440  # pixels of a figure that sets none

MORE = "more"
# of the navigation, where a title has too many letters for a phone
SHORT = {"plane": "Accuracy", "networks": "Networks", "curves": "Curves", "results": "Others"}


def contents(views: Sequence[View]) -> Html:
    """The navigation: the answer, the open views, the others."""
    links = [("answer", "Answer"), *((v.key, SHORT.get(v.key, v.title)) for v in views), (MORE, "More")]
    items = (tag("li", tag("a", title, href=f"#{key}")) for key, title in links)
    return tag("nav", tag("ul", *items), id="contents", aria_label="Sections")


def opened(view: View) -> Html:
    """A view as a section that is there at once."""
    return section(view.title, view.key, *_parts(view))


def folded(views: Sequence[View], *last: Html) -> Html:
    """Views that a reader opens, each under its title and the begin of its answer."""
    parts = (
        tag(
            "details",
            tag("summary", tag("h3", view.title), tag("span", view.lead), data_name=view.key),
            *_parts(view),
            id=view.key,
            class_="view",
        )
        for view in views
    )
    return section("More", MORE, *parts, *last)


def not_shown(views: Sequence[View]) -> Html:
    """Which views have nothing to say, in one line."""
    if not views:
        return Html("")
    names = listed([view.title[:1].lower() + view.title[1:] for view in views])
    return tag("p", f"With too few results as yet for: {names}.", class_="note", id="empty")


def _parts(view: View) -> Iterator[Html]:
    figures = [figure for figure in view.figures if not figure.folded]
    tables = [table for table in view.tables if table.open]
    yield tag("p", view.lead, class_="lead")
    yield from (_figure(view, figure) for figure in figures[:1])
    yield from map(_open_table, tables)
    yield from (_figure(view, figure) for figure in figures[1:])
    if view.key == "networks":
        yield tag("div", id="table")  # the script's
    if view.key == "results":
        yield tag("div", id="explorer")  # the script's
    yield from (_folded_figure(view, figure) for figure in view.figures if figure.folded)
    if view.key != "networks":
        yield from (_table(table) for table in view.tables if not table.open)
    if view.notes:
        notes = (tag("p", note, class_="note") for note in view.notes)
        yield tag("details", tag("summary", "How to read this", data_name=f"{view.key}-notes"), *notes)


def figure_id(view: View, figure: Figure) -> str:
    """The id of a figure's element."""
    return f"{view.key}-{figure.name}"


def _figure(view: View, figure: Figure) -> Html:
    said = figure.title == view.title  # by the heading above
    return tag("figure", "" if said else tag("figcaption", figure.title), _plot(view, figure))


def _folded_figure(view: View, figure: Figure) -> Html:
    summary = tag("summary", f"Figure: {figure.title}", data_name=figure.name)
    return tag("details", summary, _plot(view, figure))


def _plot(view: View, figure: Figure) -> Html:
    height = (figure.spec.get("layout") or {}).get("height") or HEIGHT
    plot = tag(
        "div",
        id=figure_id(view, figure),
        class_="plot",
        role="img",
        aria_label=figure.alt,
        data_height=f"{height:g}",
        style=f"height:{height:g}px",
    )
    return tag("div", plot, class_="scroll")


def _open_table(table: Table) -> Html:
    return tag("figure", tag("figcaption", table.title), *_rows_of(table), class_="beside")


def _table(table: Table) -> Html:
    title = f"Table: {table.title} ({plural(len(table.rows), 'row')})"
    return tag("details", tag("summary", title, data_name=table.name), *_rows_of(table))


def _rows_of(table: Table) -> Iterator[Html]:
    """The table, and a note where it does not hold all rows."""
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in table.columns)))
    columns = [_texts([row[i] for row in table.rows[:MOST_ROWS]]) for i in range(len(table.columns))]
    numeric = [_is_numeric(row[i] for row in table.rows) for i in range(len(table.columns))]
    rows = (
        tag("tr", *(_cell(text, right) for text, right in zip(texts, numeric, strict=True)))
        for texts in zip(*columns, strict=True)
    )
    yield tag("div", tag("table", head, tag("tbody", *rows)), class_="scroll", tabindex="0")
    if len(table.rows) > MOST_ROWS:
        note = f"The first {MOST_ROWS} of {len(table.rows)} rows; --figures DIR writes all of them as CSV."
        yield tag("p", note, class_="note")


def _cell(text: str, right: bool) -> Html:
    return tag("td", text, class_="number") if right else tag("td", text)


def _texts(values: Sequence[Cell]) -> list[str]:
    """A column's cells; numbers of one or two decimals all have as many."""
    texts = [_text(value) for value in values]
    floats = [text for text, value in zip(texts, values, strict=True) if isinstance(value, float)]
    decimals = max((len(text.partition(".")[2]) for text in floats if text[-1:].isdigit()), default=0)
    if any("e" in text for text in floats) or decimals not in (1, 2):
        return texts
    return [
        f"{value:.{decimals}f}" if isinstance(value, int | float) and math.isfinite(value) else text
        for text, value in zip(texts, values, strict=True)
    ]


def _is_numeric(values: Iterable[Cell]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in known)


def _text(value: Cell) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
