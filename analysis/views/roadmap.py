"""The roadmap from ResNet to ConvNeXt, step by step: as published, and beside it under a study's proxy."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from analysis.page.view import OTHER_COLOUR, Cell, Figure, Table, View, colour_of
from analysis.points.printed import ROADMAP_B, ROADMAP_T, RoadmapStep, roadmap
from analysis.scores.rank import FEWEST, LEVEL, Relation, relations
from analysis.views.common import escape, standard_error
from analysis.views.planes import Plane, apart, planes
from analysis.views.units import Spec
from nas.record.study import Study, Tried
from space.words import compact, percent, plural

KEY, TITLE = "roadmap", "The roadmap from ResNet to ConvNeXt"
REGIMES = {
    "t": (ROADMAP_T, "ResNet-50 to ConvNeXt-T", "T"),
    "b": (ROADMAP_B, "ResNet-200 to ConvNeXt-B", "B"),
}
SWIN, LAST = 17, 16
# steps 0 and 1 are one network under two recipes; under a proxy it is trained once, by the proxy's
SAME = 1
LABEL_WIDTH = 20  # characters of a line, so that there is room for bars on a phone
NOT_KEPT = (10, 11)  # kernels 9 and 11: step 12 goes on from kernel 7
STEP_NAME = re.compile(r"roadmap_([tb])_(\d+)")
ALIASES = {
    "t": {"resnet50": SAME, "resnet-50": SAME, "convnext_tiny": LAST, "convnext-t": LAST,
          "swin_tiny": SWIN, "swin-t": SWIN},
    "b": {"resnet200": SAME, "resnet-200": SAME, "convnext_base": LAST, "convnext-b": LAST,
          "swin_base": SWIN, "swin-b": SWIN},
}  # fmt: skip

MOST_NAME = 24
ROW_HEIGHT = 44  # pixels: three lines of text

COLUMNS = (
    "regime", "step", "change", "published top-1 (%)", "published sd (3 seeds)", "printed GFLOPs",
    "counted GFLOPs", "study", "proxy top-1 (%)", "standard error", "seeds",
)  # fmt: skip
RELATION_COLUMNS = (
    "regime", "study", "steps", "Kendall tau", "low of tau (90%)", "high of tau (90%)", "Spearman rho",
    "low of rho (90%)", "high of rho (90%)",
)  # fmt: skip


def view(studies: Sequence[Study] = ()) -> View:
    """Both columns of the roadmap, and the proxy's accuracies of the studies that measured its steps."""
    measured = [one for plane in planes(studies) for regime in REGIMES if (one := _measured(plane, regime))]
    if studies and not measured:
        reason = "No step of the roadmap was trained; `python -m nas.measure roadmap_t` does."
        return View(KEY, TITLE, lead=reason, empty=reason)
    figures = []
    for regime in REGIMES:
        own = [one for one in measured if one.regime == regime]
        figures += [_figure(regime, one, i) for i, one in enumerate(own)] or [_figure(regime, None, 0)]
    tables = [Table("roadmap", "Steps of the roadmap", COLUMNS, _rows(measured))]
    if measured:
        title = "Rank correlation of proxy and published accuracy"
        ranks = [_relation_row(one) for one in measured]
        tables.append(Table("roadmap_ranks", title, RELATION_COLUMNS, ranks))
    return View(
        KEY,
        TITLE,
        lead=_lead(measured),
        figures=figures,
        tables=tables,
        notes=[*_notes(bool(measured)), *(apart(studies) if len(measured) > 1 else [])],
    )


# ---- what a proxy measured ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Measured:
    """One road under one plane's proxy: by step the accuracies of every seed, and the trial to point to."""

    regime: str
    plane: Plane
    names: Mapping[int, Sequence[str]]  # of the studies that measured it
    seeds: Mapping[int, Mapping[int, float]]
    customdata: Mapping[int, list[int]]

    @property
    def proxy(self) -> str:
        """Its name, which the figure's title says more of."""
        return f"{str(self.plane.members[0][2].mapping['proxy'].get('name'))[:MOST_NAME]} proxy"

    def mean(self, step: int) -> float:
        return float(np.mean(list(self.seeds[step].values())))

    @property
    def steps(self) -> list[int]:
        """Those to be ranked: without Swin, which is no step."""
        return sorted(step for step in self.seeds if step != SWIN)

    @cached_property
    def relation(self) -> Relation:
        """Of proxy and published top-1 over the steps."""
        published = {step.order: step.top1 for step in roadmap(REGIMES[self.regime][0])}
        own = [self.mean(step) for step in self.steps]
        return relations({"proxy": own}, [published[step] for step in self.steps])[0]


def _measured(plane: Plane, regime: str) -> _Measured | None:
    """The steps that the plane's studies measured; None of too few to be ranked."""
    seeds: dict[int, dict[int, float]] = {}
    names: dict[int, list[str]] = {}
    customdata: dict[int, list[int]] = {}
    for index, label, study in plane.members:
        for tried in study.references:
            step = step_of(tried, regime)
            if step is not None:
                names.setdefault(step, []).append(label)
                seeds[step] = {**tried.accuracies, **seeds.get(step, {})}
                customdata.setdefault(step, [index, tried.trial])
    if sum(step != SWIN for step in seeds) < FEWEST:
        return None
    return _Measured(regime, plane, names, seeds, customdata)


def step_of(tried: Tried, regime: str) -> int | None:
    """The step that a network of a study is, by its name or else by its fingerprint; 17 is Swin."""
    name = (tried.name or "").lower()
    match = STEP_NAME.fullmatch(name)
    if match is not None:
        step = int(match[2])
        return max(step, SAME) if match[1] == regime and step <= LAST else None
    step_of_name = ALIASES[regime].get(name)
    if step_of_name is not None or tried.family == "Swin":
        return step_of_name
    return _fingerprints(regime).get(tried.fingerprint)


@cache
def _fingerprints(regime: str) -> dict[str, int]:
    """Of the networks of the steps; step 0's is step 1's."""
    from space.families import ROADMAP_STEPS, named

    return {named(f"roadmap_{regime}_{step}").fingerprint: step for step in range(ROADMAP_STEPS)}


# ---- the figure -----------------------------------------------------------------------------------------


def _figure(regime: str, measured: _Measured | None, place: int) -> Figure:
    key, title, letter = REGIMES[regime]
    steps = list(roadmap(key))
    rows = [_row_label(step) for step in steps if step.order != SWIN]
    data = [_published_bars(steps)]
    shapes = [_swin_line("x", steps[-1].top1)] if steps[-1].order == SWIN else []
    values = [step.top1 for step in steps]
    layout: Spec = {
        "yaxis": {
            "type": "category", "categoryorder": "array", "categoryarray": rows[::-1], "automargin": True,
        },
        "xaxis": {"title": {"text": "ImageNet-1K top-1 (%)<br>published"}, "range": _range(values, 1.22)},
        "height": ROW_HEIGHT * len(rows) + 150,
        "bargap": 0.25,
        "showlegend": False,
        "hovermode": "closest",
    }  # fmt: skip
    name = f"roadmap_{regime}" if place == 0 else f"roadmap_{regime}_{place + 1}"
    alt = f"Bars of published top-1 from {title}, with printed GFLOPs; the dashed line is Swin-{letter}"
    if measured is not None:
        bars, dots = _proxy_traces(steps, measured)
        data += [bars, dots]
        layout["xaxis"]["domain"], low = (
            [0, 0.54],
            [100 * v for s in measured.seeds.values() for v in s.values()],
        )
        layout["xaxis2"] = {
            "title": {"text": f"top-1 (%)<br>{escape(measured.proxy)}"},
            "domain": [0.58, 1],
            "range": _range(low, 1.04),
        }
        if SWIN in measured.seeds:
            shapes.append(_swin_line("x2", percent(measured.mean(SWIN))))
        alt += "; beside them the same steps under the proxy, a dot a seed"
        title += f", published and under the {measured.plane.conditions}"
    return Figure(name, title, {"data": data, "layout": {**layout, "shapes": shapes}}, alt + ".")


def _row_label(step: RoadmapStep) -> str:
    """Number, change and printed GFLOPs; a star where these do not follow from counting."""
    star = "" if step.counted_gflops is None else "*"
    lines = textwrap.wrap(f"{step.order}  {step.step.split(' (')[0]}", LABEL_WIDTH, drop_whitespace=False)
    return "<br>".join([*map(escape, lines), f"{step.gflops:.2f} G{star}"])


def _published_bars(steps: Sequence[RoadmapStep]) -> Spec:
    own = [step for step in steps if step.order != SWIN]
    return {
        "type": "bar",
        "orientation": "h",
        "y": [_row_label(step) for step in own],
        "x": [step.top1 for step in own],
        "text": [f"  {step.top1:.2f}" for step in own],  # clear of the error bar
        "textposition": "outside",
        "cliponaxis": False,
        "error_x": {
            "type": "data",
            "array": [step.top1_std or 0 for step in own],
            "thickness": 1.2,
            "width": 3,
        },
        "marker": {
            "color": [_colour(step.order) for step in own],
            "pattern": {"shape": ["/" if step.order in NOT_KEPT else "" for step in own]},
        },
        "hovertemplate": "%{y}<br>%{x}%<extra>published</extra>",
    }


def _colour(order: int) -> str:
    if order <= SAME:
        return colour_of("ResNet")
    return colour_of("ConvNeXt") if order == LAST else OTHER_COLOUR


def _proxy_traces(steps: Sequence[RoadmapStep], measured: _Measured) -> tuple[Spec, Spec]:
    """A bar of the mean a step with its standard error, and a dot a seed."""
    own = [step for step in steps if step.order in measured.seeds and step.order != SWIN]
    values = {step.order: list(measured.seeds[step.order].values()) for step in own}
    errors = [compact(100 * (standard_error(values[step.order]) or 0.0), 3) for step in own]
    bars: Spec = {
        "type": "bar",
        "orientation": "h",
        "xaxis": "x2",
        "y": [_row_label(step) for step in own],
        "x": [percent(measured.mean(step.order)) for step in own],
        "customdata": [measured.customdata[step.order] for step in own],
        "error_x": {"type": "data", "array": errors, "thickness": 1.2, "width": 3},
        "marker": {
            "color": [_colour(step.order) for step in own],
            "pattern": {"shape": ["/" if step.order in NOT_KEPT else "" for step in own]},
        },
        "hovertemplate": "%{y}<br>mean %{x:.1f}%<extra>proxy</extra>",
    }
    dots: Spec = {
        "type": "scatter",
        "mode": "markers",
        "xaxis": "x2",
        "yaxis": "y",
        "y": [_row_label(step) for step in own for _ in values[step.order]],
        "x": [percent(value) for step in own for value in values[step.order]],
        "customdata": [measured.customdata[step.order] for step in own for _ in values[step.order]],
        "marker": {"color": colour_of("searched"), "size": 5, "symbol": "circle"},
        "hovertemplate": "%{y}<br>one seed %{x:.1f}%<extra>proxy</extra>",
    }
    return bars, dots


def _swin_line(axis: str, value: float) -> Spec:
    return {
        "type": "line", "layer": "below",
        "xref": axis, "x0": value, "x1": value, "yref": "paper", "y0": 0, "y1": 1,
        "line": {"color": colour_of("Swin"), "width": 1.5, "dash": "dash"},
        "label": {"text": "Swin", "textposition": "end", "textangle": 0, "font": {"size": 11}},
    }  # fmt: skip


def _range(values: Sequence[float], room: float) -> list[float]:
    """An axis that begins below the least value, as the paper's; `room` at its end is for the texts."""
    low, high = min(values), max(values)
    span = max(high - low, 0.5)
    return [round(low - 0.12 * span, 2), round(low + room * span, 2)]


# ---- the numbers ----------------------------------------------------------------------------------------


def _rows(measured: Sequence[_Measured]) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for regime, (key, title, _) in REGIMES.items():
        for step in roadmap(key):
            published: list[Cell] = [
                title, step.order, step.step, step.top1, step.top1_std, step.gflops, step.counted_gflops,
            ]  # fmt: skip
            found = [one for one in measured if one.regime == regime and step.order in one.seeds]
            rows += [[*published, *_proxy_cells(one, step.order)] for one in found] or [
                [*published, None, None, None, None]
            ]
    return rows


def _proxy_cells(measured: _Measured, step: int) -> list[Cell]:
    values = list(measured.seeds[step].values())
    error = standard_error(values)
    return [
        ", ".join(dict.fromkeys(measured.names[step])),
        percent(float(np.mean(values))),
        None if error is None else compact(100 * error, 3),
        len(values),
    ]


def _relation_row(measured: _Measured) -> list[Cell]:
    relation = measured.relation
    ends = [
        None if end is None else round(end, 3)
        for end in (
            relation.tau.value, relation.tau.low, relation.tau.high,
            relation.rho.value, relation.rho.low, relation.rho.high,
        )
    ]  # fmt: skip
    studies = dict.fromkeys(label for step in measured.steps for label in measured.names[step])
    return [REGIMES[measured.regime][1], ", ".join(studies), relation.networks, *ends]


# ---- the answer -----------------------------------------------------------------------------------------


def _lead(measured: Sequence[_Measured]) -> str:
    sentences = [_rank_sentence(one) for one in measured]
    if not sentences:
        sentences = [
            _gain("t"),
            _gain("b"),
            "No study here has trained the steps: python -m nas.measure roadmap_t --seeds 3 does.",
        ]
    return " ".join(sentences)


def _gain(regime: str) -> str:
    steps = {step.order: step for step in roadmap(REGIMES[regime][0])}
    first, last, swin = steps[SAME], steps[LAST], steps[SWIN]
    return (
        f"{REGIMES[regime][1]}: {last.top1 - first.top1:+.2f} points at {last.gflops:g} GFLOPs under one "
        f"recipe, {last.top1 - swin.top1:+.2f} to Swin-{REGIMES[regime][2]}."
    )


def _rank_sentence(measured: _Measured) -> str:
    where = f"{REGIMES[measured.regime][1]} under the {measured.plane.conditions}"
    relation = measured.relation
    verdict = _verdict(relation)
    return (
        f"{where}: over {plural(relation.networks, 'step')} the proxy's ranks go with the published ones at "
        f"Kendall tau {relation.tau}, Spearman rho {relation.rho} ({LEVEL:.0%} intervals): {verdict}."
    )


def _verdict(relation: Relation) -> str:
    tau = relation.tau
    if tau.value is None or tau.low is None or tau.high is None:
        return "all steps are equal under the proxy, there is nothing to rank"
    if tau.low <= 0 <= tau.high:
        return "not distinguishable from no relation"
    return "they agree more than by chance" if tau.low > 0 else "the order is reversed more than by chance"


def _miscounted() -> list[str]:
    return [
        f"{title}, {step.step}: printed {step.gflops:g}, counts to {step.counted_gflops:g}"
        for key, title, _ in REGIMES.values()
        for step in roadmap(key)
        if step.counted_gflops is not None
    ]


def _notes(has_proxy: bool) -> list[str]:
    notes = [
        "Published: the ConvNeXt paper's Tables 10 and 11 (its Figure 2); error bars are standard deviations "
        "over 3 seeds where the table prints one. Axes do not begin at 0.",
        "G: GFLOPs as printed. A star marks those that do not follow from counting the network: "
        f"{'; '.join(_miscounted())}.",
        "Hatched: kernels 9 and 11, which the roadmap does not keep; step 12 goes on from kernel 7. The "
        "dashed line is Swin.",
    ]
    if has_proxy:
        notes += [
            "Steps 0 and 1 are one network under two recipes; under a proxy it is one bar, at step 1, and "
            "only step 1's published number is compared with it.",
            "Under the proxy: mean over seeds, bars of one standard error, a dot a seed. Intervals of the "
            "rank correlations are percentiles of a bootstrap over the steps; they leave out the noise of "
            "the seeds, and steps are no random sample: each is the one before it with one change.",
        ]
    return notes
