"""The page of the dashboard: its views as markup, and what its script draws."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from analysis.page.figures import THEMES, template
from analysis.page.markup import Html, compact, document, join, section, tag
from analysis.page.view import DARK, Cell, Figure, Table, View
from analysis.page.wording import MISSING, plural
from analysis.views import networks
from analysis.views.planes import labels
from nas.record.study import Study
from space.command import uncollected
from space.files import write_text

# the sections, in their order: modules of analysis.views
VIEWS = (
    "plane", "published", "roadmap", "scaling", "isoflop", "importance", "parallel", "edf", "curves",
    "progress", "networks",
)  # fmt: skip
STYLES = ("page.css", "dashboard.css")
SCRIPTS = ("page.js", "dashboard.js")
# rows of a table in the page; the CSV has all of them
MOST_ROWS = 200
HEIGHT = 480  # pixels of a figure that sets none
# what shells, and the reader of study names, would take for something else
AS_PATH = ("-", "~")


@dataclass(frozen=True)
class Page:
    """The page of some studies, before it is a file: its markup, and what its script draws."""

    studies: Sequence[Study]
    views: Sequence[View]

    @property
    def title(self) -> str:
        """The study's name, or how many there are."""
        names = labels(self.studies)
        return names[0] if len(names) == 1 else f"{len(names)} studies: {', '.join(names)}"

    @cached_property
    def body(self) -> Html:
        """Navigation and sections."""
        shown = [view for view in self.views if not view.empty]
        empty = [view for view in self.views if view.empty]
        main = tag("main", _header(self), *map(_view_section, shown), _empty_section(empty))
        return join([_navigation(shown), main])

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the script needs at once."""
        return {
            "studies": [
                {"name": name, "export": f"python -m nas.export {shlex.quote(_place(study))}"}
                for name, study in zip(labels(self.studies), self.studies, strict=True)
            ],
            "templates": {name: template(THEMES[name]) for name in ("light", "dark")},
            "colours": {"light": {}, "dark": dict(DARK)},
        }

    @cached_property
    def details(self) -> dict[str, Any]:
        """Every network, for the table and the panel."""
        return networks.details(self.studies)

    @cached_property
    def specs(self) -> dict[str, Any]:
        """The plotly figures, by the id of their element."""
        return {_figure_id(view, figure): figure.spec for view in self.views for figure in view.figures}


def views_of(studies: Sequence[Study], names: Iterable[str] = VIEWS) -> list[View]:
    """What each view of analysis.views makes of the studies, in order."""
    with uncollected():  # there are next to no cycles
        return [import_module(f"analysis.views.{name}").view(studies) for name in names]


def page_of(studies: Sequence[Study]) -> Page:
    """The page of these studies with all views."""
    return Page(studies, views_of(studies))


def render(page: Page) -> str:
    """The whole HTML file: about 1.5 MB, plotly.js included, and some hundred bytes a trial."""
    with uncollected():  # there are next to no cycles
        blocks = {"data": page.data, "details": page.details}
    blocks |= {f"spec-{key}": spec for key, spec in page.specs.items()}
    body = join([tag("div", page.body, id="app"), PANEL])
    return document(page.title, body, styles=STYLES, scripts=SCRIPTS, blocks=blocks)


def write_dashboard(page: Page, path: Path) -> Path:
    """Write the page to `path`, whole or not at all. Raises `InputError`."""
    return write_text(path, render(page))


def payload(page: Page) -> str:
    """The page's changing parts as JSON, for a browser that shows it already (analysis/page/live.py)."""
    data = {**page.data, "networks": page.details}
    return compact({"title": page.title, "body": page.body, "data": data, "specs": page.specs})


# ---- markup ---------------------------------------------------------------------------------------------

# the chosen network; the script fills it
PANEL = tag(
    "aside",
    tag("button", "Close", type="button", id="close"),
    tag("div", id="network", aria_live="polite"),
    id="detail",
    aria_label="Chosen network",
    tabindex="-1",
    hidden="",
)


def _navigation(views: Sequence[View]) -> Html:
    links = (tag("li", tag("a", view.title, href=f"#{view.key}")) for view in views)
    return tag("nav", tag("ul", *links), id="contents", aria_label="Sections")


def _header(page: Page) -> Html:
    studies = page.studies
    rows = (
        tag("div", tag("dt", name), tag("dd", _described(study)))
        for name, study in zip(labels(studies), studies, strict=True)
    )
    return tag(
        "header",
        tag("p", "Architecture search", class_="over"),
        tag("h1", studies[0].name if len(studies) == 1 else f"{len(studies)} studies"),
        tag("dl", *rows, class_="studies"),
        _filter(studies) if len(studies) > 1 else "",
        tag("p", id="status", role="status"),
        tag(
            "p", "Choose a point, or a row of the table of networks, to see its network.", class_="note hint"
        ),
    )


def _described(study: Study) -> str:
    """Budgets and conditions of a study, and what was tried, in one line."""
    budgets = ", ".join(str(band.get("text")) for band in study.bands if band.get("text"))
    trials = [t for t in study.trials if not t.is_confirmation]
    tried = f"{plural(len(trials), 'network')} tried, {len(study.networks)} trained in full"
    return " · ".join(filter(None, [budgets, study.conditions, tried]))


def _filter(studies: Sequence[Study]) -> Html:
    boxes = (tag("label", _checkbox(i), " ", name) for i, name in enumerate(labels(studies)))
    return tag("fieldset", tag("legend", "Show"), *boxes, id="shown")


def _checkbox(index: int) -> Html:
    return Html(f'<input type="checkbox" checked data-study="{index}">')


def _view_section(view: View) -> Html:
    tables = [] if view.key == networks.KEY else view.tables
    shown = [_open_table(table) for table in tables if table.open]
    folded = [_table(table) for table in tables if not table.open]
    chooser = [tag("div", id="table")] if view.key == networks.KEY else []
    notes = (tag("p", note, class_="note") for note in view.notes)
    figures = [_figure(view, figure) for figure in view.figures]
    return section(
        view.title, view.key, tag("p", view.lead, class_="lead"),
        *figures[:1], *shown, *figures[1:], *chooser, *notes, *folded,
    )  # fmt: skip


def _empty_section(views: Sequence[View]) -> Html:
    if not views:
        return Html("")
    rows = (tag("div", tag("dt", view.title), tag("dd", view.empty)) for view in views)
    return section("Nothing to show yet", "empty", tag("dl", *rows, class_="studies"))


def _figure_id(view: View, figure: Figure) -> str:
    return f"{view.key}-{figure.name}"


def _figure(view: View, figure: Figure) -> Html:
    height = (figure.spec.get("layout") or {}).get("height") or HEIGHT
    plot = tag(
        "div",
        id=_figure_id(view, figure),
        class_="plot",
        role="img",
        aria_label=figure.alt,
        data_height=f"{height:g}",
        style=f"height:{height:g}px",
    )
    return tag("figure", tag("figcaption", figure.title), tag("div", plot, class_="scroll"))


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


def _place(study: Study) -> str:
    """The study's folder as an argument: a name alone would be looked for under runs/."""
    if study.folder is None:
        return study.name
    place = str(study.folder)
    return place if "/" in place and not place.startswith(AS_PATH) else f"./{place}"
