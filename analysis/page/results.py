"""The page of results alone, without a study."""

from __future__ import annotations

from pathlib import Path

from analysis.page.figures import THEMES, template
from analysis.page.markup import document, tag
from analysis.page.sections import opened
from analysis.page.view import DARK
from analysis.views.results import PlaneResults
from space.files import write_text

STYLES = ("page.css", "answer.css", "views.css", "paper.css", "results.css")
SCRIPTS = ("page.js", "colours.js", "results.js")
FILE = "results.html"


def write_results(results: PlaneResults, path: Path) -> Path:
    """Write the page, whole or not at all. Raises `InputError`."""
    return write_text(path, page(results))


def page(results: PlaneResults) -> str:
    """The whole HTML file."""
    blocks = {
        "data": {
            "templates": {name: template(THEMES[name]) for name in ("light", "dark")},
            "colours": {"light": {}, "dark": dict(DARK)},
        },
        "results-data": results.details(),
    }
    view = results.view
    body = tag("div", tag("main", opened(view)), id="app")
    return document(view.title, body, styles=STYLES, scripts=SCRIPTS, blocks=blocks)
