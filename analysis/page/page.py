"""The one page of a study or several: the answer first, then what it rests on.

A search writes it as its last act; `python -m analysis.dashboard` writes it again, serves it, and takes
several studies. It begins with what `analysis.page.answer` says; then come the views of `analysis.views`,
those of `OPEN` at once, the others folded under their titles.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.page.answer import header
from analysis.page.figures import THEMES, template
from analysis.page.markup import Html, compact, document, join, tag
from analysis.page.method import method
from analysis.page.picks import keys_of, marked
from analysis.page.sections import contents, figure_id, folded, not_shown, opened
from analysis.page.view import DARK, View
from analysis.views import networks
from analysis.views.planes import labels
from nas.record.study import Study
from nas.verdict.pick import Recommendation, recommend
from space.command import uncollected
from space.files import write_text

if TYPE_CHECKING:
    from analysis.views.results import PlaneResults

# modules of analysis.views in their order on the page
OPEN = ("plane", "networks", "progress", "curves")
FOLDED = (
    "scaling",
    "isoflop",
    "importance",
    "parallel",
    "edf",
    "roadmap",
    "published",
)
UNMISSED = ("roadmap",)  # nothing to say of any study that did not set out for it
VIEWS = (*OPEN, *FOLDED)
STYLES = ("page.css", "answer.css", "views.css", "paper.css")
SCRIPTS = (
    "page.js", "networks.js", "colours.js", "marks.js", "figures.js", "panel.js", "table.js", "address.js",
    "start.js",
)  # fmt: skip
FILE = "report.html"  # in the study's folder


@dataclass(frozen=True)
class Page:
    """The page of some studies, before it is a file: its markup, and what its script draws."""

    studies: Sequence[Study]
    plain: Sequence[View]  # as analysis.views makes them
    results: PlaneResults | None = None  # of others, in a section of their own
    live: bool = False  # it follows the studies

    @cached_property
    def recommended(self) -> list[Recommendation]:
        """What each study recommends."""
        return [recommend(study) for study in self.studies]

    @cached_property
    def views(self) -> list[View]:
        """What the studies recommend is marked in every figure."""
        keys = keys_of(self.recommended)
        return [marked(view, keys) for view in self.plain]

    @property
    def title(self) -> str:
        """The study's name, or how many there are."""
        names = labels(self.studies)
        return names[0] if len(names) == 1 else f"{len(names)} studies: {', '.join(names)}"

    @cached_property
    def shown(self) -> list[View]:
        """The views that have something to say."""
        return [view for view in self.views if not view.empty]

    @cached_property
    def body(self) -> Html:
        """Navigation, answer and sections."""
        first = [view for view in self.shown if view.key in OPEN]
        more = [view for view in self.shown if view.key not in OPEN]
        empty = [view for view in self.views if view.empty and view.key not in UNMISSED]
        others = [] if self.results is None else [self.results.view]
        main = tag(
            "main",
            header(self.studies, self.recommended, live=self.live),
            *map(opened, first),
            folded(more, method(self.recommended)),
            not_shown(empty),
            *map(opened, others),
        )
        return join([contents([*first, *others]), main])

    @cached_property
    def data(self) -> dict[str, Any]:
        """What the script needs at once."""
        return {
            "studies": [
                {"name": name, "export": f"python -m nas.export {shlex.quote(study.place)}"}
                for name, study in zip(labels(self.studies), self.studies, strict=True)
            ],
            "picks": sorted(f"{study}:{trial}" for study, trial in keys_of(self.recommended)),
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
        return {figure_id(view, figure): figure.spec for view in self.shown for figure in view.figures}


def view_of(name: str, studies: Sequence[Study]) -> View:
    """What a module of analysis.views makes of the studies."""
    view: View = import_module(f"analysis.views.{name}").view(studies)
    return view


def views_of(studies: Sequence[Study], names: Iterable[str] = VIEWS) -> list[View]:
    """Several views, in order."""
    with uncollected():  # there are next to no cycles
        return [view_of(name, studies) for name in names]


def suited(studies: Sequence[Study]) -> list[str]:
    """The views that suit these studies, in order."""
    names = set(VIEWS)
    if studies and all(study.tabled for study in studies):
        # a table's networks are none that can be built, or compared with published ones
        names -= {"roadmap", "published"}
        if all(study.plane[2] == 1 for study in studies):
            names -= {"curves"}
    return [name for name in VIEWS if name in names]


def page_of(studies: Sequence[Study], results: PlaneResults | None = None) -> Page:
    """The page of these studies with all views that suit them."""
    return Page(studies, views_of(studies, suited(studies)), results)


def render(page: Page) -> str:
    """The whole HTML file: about 1.3 MB, plotly.js included, and some hundred bytes a trial."""
    with uncollected():  # there are next to no cycles
        blocks = {"data": page.data, "details": page.details}
    blocks |= {f"spec-{key}": spec for key, spec in page.specs.items()}
    body = join([tag("div", page.body, id="app"), PANEL])
    styles, scripts = list(STYLES), list(SCRIPTS)
    if page.results is not None:
        blocks["results-data"] = page.results.details()
        styles.append("results.css")
        scripts.append("results.js")
    return document(page.title, body, styles=styles, scripts=scripts, blocks=blocks)


def write_page(page: Page, path: Path) -> Path:
    """Write the page to `path`, whole or not at all. Raises `InputError`."""
    return write_text(path, render(page))


def payload(page: Page) -> str:
    """The page's changing parts as JSON, for a browser that shows it already (analysis/page/live.py)."""
    data = {**page.data, "networks": page.details}
    return compact({"title": page.title, "body": page.body, "data": data, "specs": page.specs})


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
