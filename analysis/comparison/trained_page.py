"""The page of a comparison of trained networks: the verdict, the differences, the classes, the mistakes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from analysis.comparison.trained_claims import (
    Compared,
    conditions,
    confusion,
    mix_ups,
    of_classes,
    rows,
    sure,
    verdict,
    would_tell,
)
from analysis.comparison.trained_tables import mix_up_lines
from analysis.page.figures import THEMES, template
from analysis.page.markup import Html, document, section, tag
from analysis.page.sections import figure_id, opened
from analysis.page.view import DARK, FAMILY_COLOURS, NEUTRAL, Cell, Figure, Table, View
from analysis.views.common import escape, figure_spec
from analysis.views.units import Spec
from nas.verdict.confirm import LEVEL
from nas.verdict.difference import Difference
from space.files import write_text
from space.words import compact, listed, percent, plural

STYLES = ("page.css", "answer.css", "views.css", "paper.css", "comparison.css")
SCRIPTS = ("page.js", "networks.js", "colours.js", "marks.js", "figures.js", "comparison.js")
MOST_CELLS = 30  # classes of the confusion matrix that is shown
MOST_BARS = 40  # classes of a figure
OURS, THEIRS = FAMILY_COLOURS["searched"], FAMILY_COLOURS["ConvNeXt"]


def write_comparison(found: Compared, path: Path) -> Path:
    """Write the page, whole or not at all. Raises `InputError`."""
    return write_text(path, page(found))


def page(found: Compared) -> str:
    """The whole HTML file."""
    views = [view for view in (_trainings(found), _classes(found)) if view is not None]
    main = tag("main", _header(found), *map(opened, views), _mistakes(found))
    blocks = {
        "data": {
            "templates": {name: template(THEMES[name]) for name in ("light", "dark")},
            "colours": {"light": {}, "dark": dict(DARK)},
        }
    }
    blocks |= {f"spec-{figure_id(v, f)}": dict(f.spec) for v in views for f in v.figures}
    body = tag("div", main, id="app")
    return document(_question(found), body, styles=STYLES, scripts=SCRIPTS, blocks=blocks)


def _question(found: Compared) -> str:
    network = found.trainings.network.name
    names = [each.control.name for each in found.contrasts]
    data = found.trainings.network.first.summary["data"].get("name")
    if not names:
        return f"How accurate is {network} on {data}?"
    return f"Is {network} better than {listed(names)} on {data}?"


def _header(found: Compared) -> Html:
    parts = []
    for each in found.contrasts:
        parts.append(tag("p", verdict(found.trainings.network, each), class_="answer"))
        parts += [tag("p", line, class_="sure") for line in (sure(each), would_tell(each)) if line]
    if not parts:
        mean = percent(found.trainings.network.mean)
        line = f"{found.trainings.network.name}: {mean:.1f}% of the images right."
        parts.append(tag("p", line, class_="answer"))
    if found.trainings.notes:
        items = (tag("li", note) for note in found.trainings.notes)
        parts.append(tag("div", tag("ul", *items), class_="warnings"))
    return tag(
        "header",
        tag("p", "Trained networks", class_="over"),
        tag("h1", _question(found)),
        *parts,
        id="answer",
    )


# ---- the networks ---------------------------------------------------------------------------------------

COLUMNS = (
    "network", "seeds", "accuracy (%)", "std (points)", "GFLOPs", "parameters (M)", "training (s)",
    "images/s", "memory (GB)", "device", "design",
)  # fmt: skip


def _trainings(found: Compared) -> View:
    table = Table("trainings", "The trainings", COLUMNS, [_cells(row) for row in rows(found)], open=True)
    figures = [_differences(found)] if found.contrasts else []
    notes = [
        f"{conditions(found)[:1].upper()}{conditions(found)[1:]}.",
        "Over the seeds: Student's t of paired differences, what another seed would change. Over the images: "
        "what other validation images of the same kind would change. Better or worse is what every interval "
        "says.",
        "Time and memory are of one training: training and validation, without the start; the most memory in "
        "use at once, of a GPU its tensors', of a CPU the whole process's.",
    ]
    return View("trainings", "The networks", _lead(found), figures, [table], notes)


def _cells(row: dict[str, object]) -> list[Cell]:
    def number(name: str, factor: float = 1.0) -> Cell:
        value = row[name]
        return compact(factor * value, 3) if isinstance(value, int | float) else None

    seeds = row["seeds"]
    assert isinstance(seeds, list)
    return [
        str(row["name"]), len(seeds), number("accuracy", 100), number("accuracy_std", 100),
        number("gflops"), number("params_m"), number("seconds"), number("images_per_second"),
        number("peak_memory_gb"), str(row["device"]), str(row["network"]),
    ]  # fmt: skip


def _lead(found: Compared) -> str:
    groups = found.trainings.groups
    trainings = sum(len(group.by_seed) for group in groups)
    means = ", ".join(f"{group.name} {100 * group.mean:.1f}%" for group in groups)
    return f"{plural(trainings, 'training')} of {plural(len(groups), 'network')}, on average: {means}."


def _differences(found: Compared) -> Figure:
    """A line a control and kind of chance; 0 is no difference."""
    network = found.trainings.network.name
    data: list[Spec] = []
    kinds = (("over the seeds", OURS, "circle"), ("over the images", NEUTRAL, "circle"))
    for place, (kind, colour, symbol) in enumerate(kinds):
        of_kind = [(i, (each.by_seeds, each.by_images)[place]) for i, each in enumerate(found.contrasts)]
        known = {
            i: d for i, d in of_kind
            if d is not None and math.isfinite(d.low) and not (place == 0 and found.contrasts[i].too_few)
        }  # fmt: skip
        if known:
            data.append(_whiskers(kind, known, colour, symbol, place))
    ticks = list(range(len(found.contrasts)))
    spec = figure_spec(
        data,
        xaxis={"title": {"text": f"points of top-1, {escape(network)} less the control"}, "zeroline": True,
               "zerolinecolor": NEUTRAL, "zerolinewidth": 2},
        yaxis={"tickvals": ticks, "ticktext": [escape(each.control.name) for each in found.contrasts],
               "range": [len(ticks) - 0.4, -0.6], "automargin": True},
        height=170 + 60 * len(ticks),
    )  # fmt: skip
    alt = " ".join(verdict(found.trainings.network, each) for each in found.contrasts)
    return Figure("differences", f"{network} less each control, {LEVEL:.0%} intervals", spec, alt)


def _whiskers(kind: str, known: Mapping[int, Difference], colour: str, symbol: str, place: int) -> Spec:
    """A point with its interval for each control by its place; those of one kind above the other's."""
    ends = list(known.values())
    return {
        "type": "scatter", "mode": "markers", "name": kind,
        "x": [compact(100 * d.value) for d in ends],
        "y": [i + 0.2 * (place - 0.5) for i in known],
        "error_x": {
            "type": "data", "symmetric": False, "array": [compact(100 * (d.high - d.value)) for d in ends],
            "arrayminus": [compact(100 * (d.value - d.low)) for d in ends], "thickness": 2, "width": 5,
        },
        "marker": {"color": colour, "symbol": symbol, "size": 10},
        "hovertemplate": "%{x:+.1f} points " + kind + "<extra></extra>",
    }  # fmt: skip


# ---- the classes ----------------------------------------------------------------------------------------


def _classes(found: Compared) -> View | None:
    classes = of_classes(found)
    if not classes:
        return None
    names = [group.name for group in found.trainings.groups]
    low = sorted(classes, key=lambda one: one.right[0] or 0.0)
    shown = low[:MOST_BARS]
    colours = (OURS, THEIRS, "#009e73", "#cc79a7", "#56b4e9")
    data: list[Spec] = [
        {
            "type": "scatter", "mode": "markers", "name": escape(name),
            "x": [None if one.right[i] is None else percent(one.right[i] or 0.0) for one in shown],
            "y": [escape(one.name) for one in shown],
            "marker": {"color": colours[i % len(colours)], "symbol": "circle" if i == 0 else "diamond-open",
                       "size": 10 if i == 0 else 9, "line": {"width": 2}},
            "hovertemplate": "%{y}<br>" + escape(name) + " %{x:.1f}%<extra></extra>",
        }
        for i, name in enumerate(names)
    ]  # fmt: skip
    spec = figure_spec(
        data,
        xaxis={"title": {"text": "right (% of the class's validation images)"}},
        yaxis={"autorange": "reversed", "automargin": True, "type": "category"},
        height=130 + 22 * len(shown),
    )
    which = (
        "Each class" if len(shown) == len(classes) else f"The {MOST_BARS} classes with the lowest accuracy"
    )
    least, most = (f"{one.name} ({100 * (one.right[0] or 0):.0f}%)" for one in (low[0], low[-1]))
    lead = f"{names[0]} is right least often on {least} and most often on {most}."
    figure = Figure("classes", f"{which}, over all seeds", spec, lead)
    columns = [
        "class",
        "images",
        *(f"{name} (%)" for name in names),
        *([f"less {names[1]}"] if found.contrasts else []),
    ]
    cells: list[list[Cell]] = [
        [one.name, one.images, *(None if r is None else percent(r) for r in one.right),
         *([None if one.gain is None else compact(100 * one.gain, 3)] if found.contrasts else [])]
        for one in classes
    ]  # fmt: skip
    return View("classes", "The classes", lead, [figure], [Table("classes", "All classes", columns, cells)])


def _mistakes(found: Compared) -> Html:
    """The commonest mistakes, and the confusion matrix where it can be shown."""
    lines = mix_up_lines(found)
    if not found.trainings.network.answers:
        return Html("")
    lead = lines[0] if lines else "No validation image is taken for another class."
    counts, names = confusion(found), found.trainings.classes
    if counts is None or len(names) > MOST_CELLS:
        pairs = mix_ups(found, MOST_BARS)
        cells: list[list[Cell]] = [[a, b, wrong, images] for a, b, wrong, images in pairs]
        table = Table("mistakes", "The commonest", ("class", "taken for", "images", "of"), cells, open=True)
        return opened(View("mistakes", "The mistakes", lead, (), [table]))
    return section("The mistakes", "mistakes", tag("p", lead, class_="lead"), _matrix(counts, names))


def _matrix(counts: list[list[int]], names: tuple[str, ...]) -> Html:
    """A row a class, a column what its images are taken for; the more of the row, the stronger the colour."""
    heads = [tag("th", name, scope="col") for name in names]
    head = tag("tr", tag("th", "class \u2193 taken for \u2192"), *heads)
    rows_ = []
    for i, (name, row) in enumerate(zip(names, counts, strict=True)):
        cells = [_cell(count, sum(row), i == j) for j, count in enumerate(row)]
        rows_.append(tag("tr", tag("th", name, scope="row"), *cells))
    table = tag("table", tag("thead", head), tag("tbody", *rows_))
    title = "Images of each class by what they are taken for, over all seeds"
    scroll = tag("div", table, class_="scroll", tabindex="0")
    return tag("figure", tag("figcaption", title), scroll, class_="confusion")


def _cell(count: int, total: int, right: bool) -> Html:
    style = f"--share:{count / total if total else 0:.3f}"
    return tag("td", count or "", style=style, class_="right" if right else "wrong")
