"""The mark of what a study recommends: the same star in every figure that shows the network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace
from typing import Any

from analysis.page.view import PICK_COLOUR, PICK_EDGE, PICK_SYMBOL, Figure, View
from nas.verdict.pick import Recommendation

Key = tuple[int, int]  # the index of a study, the number of a trial


def keys_of(recommended: Iterable[Recommendation]) -> set[Key]:
    """The recommended networks of some studies."""
    return {(i, pick.tried.trial) for i, one in enumerate(recommended) for pick in one.picks}


def marked(view: View, keys: Set[Key]) -> View:
    """The view with the recommended networks marked in its figures."""
    return replace(view, figures=[_marked(figure, keys) for figure in view.figures])


def _marked(figure: Figure, keys: Set[Key]) -> Figure:
    # a trace for each study, which goes when that one is hidden
    panels: dict[tuple[str, str, int], dict[tuple[float, float], None]] = {}
    for trace in figure.spec["data"]:
        if trace.get("type", "scatter") == "scatter" and trace.get("customdata"):
            axes = trace.get("xaxis", "x"), trace.get("yaxis", "y")
            for study, point in _points(trace, keys):
                panels.setdefault((*axes, study), {})[point] = None
    stars = [_star(panel, list(points)) for panel, points in panels.items()]
    if stars:
        stars[0]["showlegend"] = True
    return replace(figure, spec={**figure.spec, "data": [*figure.spec["data"], *stars]})


def _points(trace: dict[str, Any], keys: Set[Key]) -> Iterator[tuple[int, tuple[float, float]]]:
    """Where the recommended networks stand in a trace, after their study.

    One that is a curve is marked at its end; one that is several marks, a seed each, at their mean.
    """
    steps = trace.get("line", {}).get("shape") == "hv"  # a step goes on to the right of its network
    seeds = trace.get("mode") == "markers"
    found: dict[Key, tuple[float, float]] = {}
    counts: dict[Key, int] = {}
    for custom, x, y in zip(trace["customdata"], trace["x"], trace["y"], strict=True):
        if custom is None or x is None or y is None:
            continue
        key = custom[0], custom[1]
        if key not in keys or (steps and key in found):
            continue
        counts[key] = count = counts.get(key, 0) + 1
        if seeds and count > 1:
            found[key] = _further(found[key][0], x, count), _further(found[key][1], y, count)
        else:
            found[key] = x, y
    yield from ((study, point) for (study, _), point in found.items())


def _further(mean: Any, value: Any, count: int) -> Any:
    """The mean with one value more; a category stays what it is."""
    return mean if isinstance(value, str) else mean + (value - mean) / count


def _star(panel: tuple[str, str, int], points: Sequence[tuple[float, float]]) -> dict[str, Any]:
    x, y, study = panel
    # no customdata: what a click finds is the network's own point below
    return {
        "type": "scatter", "mode": "markers", "name": "the pick", "showlegend": False, "hoverinfo": "skip",
        "x": [x for x, _ in points], "y": [y for _, y in points], "xaxis": x, "yaxis": y,
        "cliponaxis": False, "meta": {"study": study},
        "marker": {"symbol": PICK_SYMBOL, "size": 14, "color": PICK_COLOUR,
                   "line": {"color": PICK_EDGE, "width": 1.2}},
    }  # fmt: skip
