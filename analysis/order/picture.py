"""The picture of an agreement: a network a point, one side against the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from analysis.order.answer import OrderAnswer, between, sentence
from analysis.order.common import CommonNetwork
from analysis.page.figures import images, paper
from analysis.page.markup import document, tag
from analysis.page.view import Figure, colour_of, symbol_of
from analysis.views.common import escape, figure_spec, seed_bars
from analysis.views.units import Spec
from space.errors import InputError
from space.files import write_bytes, write_text
from space.words import percent

MOST_LABELS = 40  # points with their names beside them
MOST_TITLE = 60  # characters of an axis title's line


def figure(found: OrderAnswer) -> Figure:
    """Accuracies in percent; bars go from the least to the largest seed."""
    common, first = found.common, found.agreements[0]
    families = list(dict.fromkeys(network.family for network in common.networks))
    data = [_trace(f, [n for n in common.networks if n.family == f], len(common.networks)) for f in families]
    title = f"{first.group}: Kendall tau {between(first.tau)}"
    spec = figure_spec(
        data,
        xaxis={"title": {"text": _title(common.sides[0])}},
        yaxis={"title": {"text": _title(common.sides[1])}},
        title={"text": escape(title), "font": {"size": 14}, "x": 0, "xref": "paper"},
        margin={"t": 80},
        showlegend=len(families) > 1,
    )
    return Figure("agreement", title, spec, f"Accuracies of one side against the other: {sentence(found)}")


def _title(side: str) -> str:
    words = side if len(side) <= MOST_TITLE else side[: MOST_TITLE - 1] + "…"
    return f"top-1 (%)<br>{escape(words)}"


def _trace(family: str, networks: Sequence[CommonNetwork], count: int) -> Spec:
    names = [escape(f"{n.step[1]}" if n.step and n.step[1] <= 16 else n.label) for n in networks]
    both = (lambda n: list(n.ours.values()), lambda n: list(n.theirs.values()))
    return {
        "type": "scatter",
        "mode": "markers+text" if count <= MOST_LABELS else "markers",
        "name": escape(family),
        "x": [percent(sum(v) / len(v)) for v in map(both[0], networks)],
        "y": [percent(sum(v) / len(v)) for v in map(both[1], networks)],
        "error_x": seed_bars([both[0](n) for n in networks]),
        "error_y": seed_bars([both[1](n) for n in networks]),
        "text": names,
        "textposition": "top center",
        "customdata": [escape(n.label) for n in networks],
        "hovertemplate": "%{customdata}<br>%{x:.1f}% and %{y:.1f}%<extra></extra>",
        "marker": {"color": colour_of(family), "symbol": symbol_of(family), "size": 9},
    }


def draw(found: OrderAnswer, path: Path) -> Path:
    """Write the picture, SVG or a page of its own by the file's ending. Raises `InputError`."""
    return writer_of(path)(figure(found), path)


def writer_of(path: Path) -> Callable[[Figure, Path], Path]:
    """What writes a file of that ending. Raises `InputError`."""
    writers = {".svg": _svg, ".html": _page}
    if path.suffix.lower() not in writers:
        raise InputError(f"--plot {path}: the name must end in .svg or .html")
    return writers[path.suffix.lower()]


def _svg(drawn: Figure, path: Path) -> Path:
    return write_bytes(path, images({drawn.name: drawn})[f"{drawn.name}.svg"])


def _page(drawn: Figure, path: Path) -> Path:
    body = tag("main", tag("div", "", id="plot"), tag("p", drawn.alt))
    blocks = {"figure": paper(drawn)}
    text = document(drawn.title, body, styles=["page.css"], scripts=["alone.js"], blocks=blocks)
    return write_text(path, text)
