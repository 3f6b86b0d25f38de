"""The published plane: ImageNet-1K top-1 of published networks, from one printed source, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from analysis.comparison.published import published_difference
from analysis.laws.answer import NotIdentified
from analysis.laws.fit import Fit, fit_law
from analysis.laws.law import SATURATING_POWER
from analysis.page.view import Cell, Figure, Table, View, colour_of, symbol_of
from analysis.points.printed import CONVNEXT_PAPER, ROADMAP_T, PublishedPoint, published_points, roadmap
from analysis.views.common import escape, figure_spec, ribbon
from analysis.views.units import GFLOPS_TICKS, Spec, log_axis
from nas.record.study import Study
from nas.verdict.difference import UNCLEAR
from space.words import compact, listed

KEY, TITLE = "published", "Published networks"
SWIN_README = "Swin-Transformer README"
PRETRAIN, RESOLUTION = "imagenet-1k", 224
PRINTED_TO = 0.1  # points: top-1 in the tables
LEVEL = 0.9
FAMILIES = {
    "convnext": "ConvNeXt", "swin": "Swin", "regnet": "RegNet", "vit": "DeiT", "efficientnet": "EfficientNet",
}  # fmt: skip
FITTED = ("convnext", "swin")


def view(studies: Sequence[Study] = (), *, source: str = CONVNEXT_PAPER) -> View:
    """ConvNeXt, Swin and the others as `source` prints them; the same for every study.

    Trained on ImageNet-1K alone, at 224x224. Raises `InputError` for a source without ConvNeXt and Swin.
    """
    del studies  # accuracies under a proxy have no place here
    noise = printed_noise()
    known = published_points(source=source, pretrain=PRETRAIN, resolution=RESOLUTION)
    families = {
        family: [p for p in known if p.family == family] for family in dict.fromkeys(p.family for p in known)
    }
    fits = {family: _fit(families[family], noise) for family in FITTED if family in families}
    differences = _differences(source, noise)
    figure = Figure(
        "published",
        f"ImageNet-1K top-1, 224x224, {source}",
        _spec(families, fits),
        f"ImageNet-1K top-1 accuracy against GFLOPs as printed in {source}: "
        f"{listed([_family(name) for name in families])}, ConvNeXt above Swin at equal FLOPs.",
    )
    return View(
        KEY,
        TITLE,
        lead=_lead(differences, fits, noise),
        figures=[figure],
        tables=[
            Table("published", f"Published networks ({source})", POINT_COLUMNS, _point_rows(known)),
            Table(
                "published_differences", "ConvNeXt less Swin at equal FLOPs", DIFFERENCE_COLUMNS, differences
            ),
            Table("published_laws", "error = a + b GFLOPs^-c", LAW_COLUMNS, _law_rows(fits)),
        ],
        notes=_notes(noise),
    )


def printed_noise() -> float:
    """The standard deviation of one published top-1, in points: of a training's seed, and of its rounding.

    That of the seed is pooled from Table 10 of the ConvNeXt paper, the only one that prints deviations.
    """
    stds = [step.top1_std for step in roadmap(ROADMAP_T) if step.top1_std is not None]
    return math.sqrt(float(np.mean(np.square(stds))) + PRINTED_TO**2 / 12)


# ---- the figure -----------------------------------------------------------------------------------------


def _spec(families: dict[str, list[PublishedPoint]], fits: dict[str, Fit]) -> Spec:
    top1 = [p.top1 for points in families.values() for p in points]
    room = 0.05 * (max(top1) - min(top1))
    shown = min(top1) - room, max(top1) + room
    traces = [trace for family, fit in fits.items() for trace in _law(family, families[family], fit, shown)]
    for family, points in families.items():
        colour = colour_of(_family(family))
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers+text" if family in FITTED else "markers+text",
                "name": escape(_family(family)),
                "x": [p.gflops for p in points],
                "y": [p.top1 for p in points],
                "text": [escape(p.name) for p in points],
                "textposition": "top left" if family == "convnext" else "bottom right",
                "marker": {"color": colour, "symbol": symbol_of(_family(family)), "size": 10},
                "line": {"color": colour, "width": 1.5},
                "cliponaxis": False,
                "hovertemplate": "%{text}<br>%{x} GFLOPs<br>%{y}%<extra></extra>",
            }
        )
    every = [p.gflops for points in families.values() for p in points]
    axis = log_axis(
        "GFLOPs (multiply-accumulates at 224x224)", [min(every) / 1.4, max(every) * 1.15], GFLOPS_TICKS
    )
    return figure_spec(
        traces, xaxis=axis, yaxis={"title": {"text": "ImageNet-1K top-1 (%), as published, 224x224"}}
    )


def _law(family: str, points: Sequence[PublishedPoint], fit: Fit, shown: tuple[float, float]) -> list[Spec]:
    """The law, dotted, and where it is identified its interval, which may go on beyond what is `shown`."""
    name, colour = _family(family), colour_of(_family(family))
    gflops = np.geomspace(points[0].gflops, points[-1].gflops, 30)
    x = [compact(value) for value in gflops.tolist()]
    law = {
        "type": "scatter",
        "mode": "lines",
        "name": f"law of {name}",
        "x": x,
        "y": [compact(100 - value) for value in fit.predict(gflops).tolist()],
        "line": {"color": colour, "width": 1, "dash": "dot"},
        "hoverinfo": "skip",
    }
    answers = fit.predict_intervals(gflops)
    if any(isinstance(answer, NotIdentified) for answer in answers):
        return [law]
    low, high = (
        [compact(float(np.clip(100 - end, *shown))) for end in ends]
        for ends in zip(*((answer.high, answer.low) for answer in answers), strict=True)
    )
    return [ribbon(x, low, high, colour), law]


def _family(family: str) -> str:
    return FAMILIES.get(family, family)


# ---- the numbers ----------------------------------------------------------------------------------------

POINT_COLUMNS = ("network", "family", "GFLOPs", "parameters (M)", "top-1 (%)", "images/s", "device", "source")
DIFFERENCE_COLUMNS = (
    "ConvNeXt", "Swin", "GFLOPs", "ConvNeXt top-1 (%)", "Swin top-1 (%)", "difference (points)",
    "low (90%)", "high (90%)", "verdict on ConvNeXt", "source of ConvNeXt", "source of Swin",
)  # fmt: skip
LAW_COLUMNS = ("family", "networks", "parameter", "point", "low (90%)", "high (90%)", "answer")


def _point_rows(points: Sequence[PublishedPoint]) -> list[list[Cell]]:
    return [
        [p.name, _family(p.family), p.gflops, p.params_m, p.top1, p.images_per_s, p.device, p.source]
        for p in points
    ]


def _differences(source: str, noise: float) -> list[list[Cell]]:
    """ConvNeXt less Swin, by the one source; and with Swin as its own authors print it."""
    rows: list[list[Cell]] = []
    for other in dict.fromkeys((source, SWIN_README)):
        found = published_difference("convnext", "swin", source_a=source, source_b=other, noise=noise)
        for ours, theirs, difference in found:
            ends = [round(end, 2) for end in (difference.value, difference.low, difference.high)]
            names: list[Cell] = [ours.name, theirs.name, ours.gflops, ours.top1, theirs.top1]
            rows.append([*names, *ends, difference.verdict, source, other])
    return rows


def _fit(points: Sequence[PublishedPoint], noise: float) -> Fit:
    return fit_law(
        [p.gflops for p in points],
        [p.error for p in points],
        law=SATURATING_POWER,
        noise=noise,
        level=LEVEL,
    )


def _law_rows(fits: dict[str, Fit]) -> list[list[Cell]]:
    return [
        [
            _family(family),
            fit.networks,
            name,
            compact(fit.point[name], 3),
            _finite(answer.low),
            _finite(answer.high),
            str(answer),
        ]
        for family, fit in fits.items()
        for name, answer in fit.parameters.items()
    ]


def _finite(value: float) -> float | None:
    return compact(value, 3) if math.isfinite(value) else None


# ---- the answer -----------------------------------------------------------------------------------------


def _lead(differences: Sequence[Sequence[Cell]], fits: dict[str, Fit], noise: float) -> str:
    first = [row for row in differences if row[9] == row[10]]  # both families from the one source
    parts = [
        f"{row[5]:+.1f} points at {row[2]:g} GFLOPs ({_words(str(row[8]))}, {row[6]:+.1f} to {row[7]:+.1f})"
        for row in first
    ]
    answers = []
    for family, fit in fits.items():
        exponent = fit.parameters["c"]
        what = str(exponent) if isinstance(exponent, NotIdentified) else f"c = {exponent}"
        answers.append(f"{_family(family)}, {what}")
    return (
        f"ConvNeXt less Swin at equal FLOPs: {'; '.join(parts)}; intervals at 90% for a published number's "
        f"deviation of {noise:.2f} points. The exponent c of error = a + b GFLOPs^-c: {'; '.join(answers)}."
    )


def _words(verdict: str) -> str:
    return UNCLEAR if verdict == UNCLEAR else f"{verdict} than it"


def _notes(noise: float) -> list[str]:
    return [
        "These are the printed results of full ImageNet-1K trainings. No accuracy under a proxy is on this "
        "plane, and none of these is on a proxy's.",
        f"One published number is one training. Its deviation is taken to be {noise:.2f} points: that of the "
        "seeds in the ConvNeXt paper's Table 10, pooled, and of rounding to 0.1. Nobody has published it for "
        "these networks.",
        "Networks of other families were trained with other recipes: their distance is not the network's "
        "alone. Dotted: the fitted laws, drawn also where their parameters are not identified; shaded: their "
        "90% intervals, of the law and not of one more network on it.",
        "Swin's own repository prints other figures for the same networks; the table has the differences by "
        "both, never mixed.",
    ]
