"""How figures look, on a light and a dark page and on paper; and as files: SVG, PNG, and tables as CSV."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.page.view import PALETTE, Figure, Table, View
from space.errors import InputError, first_line, reason
from space.files import csv_of, make_folder, write_bytes

# pixels of a figure for a paper: text of 15 px is of 9 points where it is printed 6.5 inches wide
PAPER_WIDTH, PAPER_HEIGHT = 800, 500
# of a PNG: 370 dots an inch at that width
SCALE = 3
FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'
PAPER_FONT = "Arial, Helvetica, Liberation Sans, sans-serif"
NO_KALEIDO = "figures need kaleido: pip install 'convnext-nas[dashboard]'"
NO_BROWSER = (
    "figures are drawn by Chrome or Chromium, and none was found: install one (Debian: apt-get install "
    "chromium), or name it in BROWSER_PATH"
)


@dataclass(frozen=True)
class Theme:
    """Colours that a figure takes from where it stands; those of a page are page.css's."""

    ink: str
    muted: str
    line: str
    grid: str
    surface: str
    background: str = "rgba(0,0,0,0)"
    family: str = FONT
    size: float = 12.5


THEMES: Mapping[str, Theme] = {
    "light": Theme(ink="#1a1d21", muted="#565d66", line="#c3c8cd", grid="#e9ecee", surface="#ffffff"),
    "dark": Theme(ink="#e8eaec", muted="#a4acb5", line="#4a525b", grid="#2a2f35", surface="#1c2024"),
    "paper": Theme(
        ink="#000000", muted="#222222", line="#555555", grid="#e4e4e4", surface="#ffffff",
        background="#ffffff", family=PAPER_FONT, size=15,
    ),
}  # fmt: skip


def template(theme: Theme) -> dict[str, Any]:
    """A plotly template: what a figure that sets no colours and fonts is drawn with."""
    axis = {
        "gridcolor": theme.grid,
        "linecolor": theme.line,
        "tickcolor": theme.line,
        "zerolinecolor": theme.line,
        "zeroline": False,
        "showline": True,
        "ticks": "outside",
        "automargin": True,
        "title": {"standoff": 8, "font": {"color": theme.ink, "size": theme.size}},
    }
    box = {"bgcolor": theme.surface, "bordercolor": theme.line}
    return {
        "layout": {
            "font": {"family": theme.family, "size": theme.size, "color": theme.muted},
            "paper_bgcolor": theme.background,
            "plot_bgcolor": theme.background,
            "colorway": list(PALETTE),
            "margin": {"l": 60, "r": 16, "t": 28, "b": 48},
            "hovermode": "closest",
            "hoverlabel": {**box, "align": "left", "font": {"family": theme.family, "color": theme.ink}},
            "legend": {
                "orientation": "h",
                "x": 0,
                "y": 1.02,
                "yanchor": "bottom",
                "bgcolor": "rgba(0,0,0,0)",
            },
            "xaxis": axis,
            "yaxis": axis,
            "annotationdefaults": {"font": {"color": theme.ink}, "arrowcolor": theme.muted},
            "shapedefaults": {"line": {"color": theme.muted}},
            "coloraxis": {"colorbar": {"outlinewidth": 0}},
            "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": theme.muted, "activecolor": theme.ink},
        }
    }


def export(views: Sequence[View], folder: Path) -> list[Path]:
    """Write every figure as SVG and PNG and every table as CSV into `folder`; the paths, in order.

    All are drawn before the first is written; a file of that name is replaced. Raises `InputError`.
    """
    files = {f"{_stem(view, table.name)}.csv": csv_bytes(table) for view in views for table in view.tables}
    files |= images({_stem(view, figure.name): figure for view in views for figure in view.figures})
    try:
        make_folder(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({reason(error)})") from None
    return [write_bytes(folder / name, content) for name, content in sorted(files.items())]


def csv_bytes(table: Table) -> bytes:
    """UTF-8, the columns with their units first; a missing value is empty."""
    rows = ([str(cell).lower() if isinstance(cell, bool) else cell for cell in row] for row in table.rows)
    return csv_of(table.columns, rows).encode("utf-8", errors="replace")


def images(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    """`NAME.svg` and `NAME.png` of each figure, white, in the fonts of a paper. Raises `InputError`."""
    if not figures:
        return {}
    with _browser_errors():
        return asyncio.run(_drawn(figures))


async def _drawn(figures: Mapping[str, Figure]) -> dict[str, bytes]:
    from kaleido import Kaleido

    drawn = {}
    async with Kaleido(mathjax=False) as browser:  # mathjax would be fetched from the network
        for name, figure in figures.items():
            spec = paper(figure)
            for form, scale in (("svg", 1), ("png", SCALE)):
                options = {"format": form, "scale": scale, "width": PAPER_WIDTH}
                drawn[f"{name}.{form}"] = await browser.calc_fig(spec, opts=options)
    return drawn


def paper(figure: Figure) -> dict[str, Any]:
    """The plotly figure of a paper."""
    layout = dict(figure.spec.get("layout") or {})
    layout |= {"template": template(THEMES["paper"]), "height": layout.get("height") or PAPER_HEIGHT}
    return {"data": list(figure.spec["data"]), "layout": layout}


@contextlib.contextmanager
def _browser_errors() -> Iterator[None]:
    """One line for a missing library, a missing browser, and one that does not start."""
    try:
        from choreographer.errors import BrowserFailedError, ChromeNotFoundError
    except ModuleNotFoundError:
        raise InputError(NO_KALEIDO) from None
    logging.getLogger("choreographer").setLevel(logging.CRITICAL)  # what it warns of is said below
    try:
        yield
    except ModuleNotFoundError:
        raise InputError(NO_KALEIDO) from None
    except ChromeNotFoundError:
        raise InputError(NO_BROWSER) from None
    except BrowserFailedError as error:
        said = error.args[0] if error.args else error  # some come with a tuple of sentences
        said = said[0] if isinstance(said, tuple) and said else said
        raise InputError(f"figures: the browser does not start ({first_line(str(said))})") from None


def _stem(view: View, name: str) -> str:
    """A file's name, without what a file system might not take."""
    whole = name if name.startswith(view.key) else f"{view.key}-{name}"
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", whole)
