"""The published plane: two families of published networks, or of results of one's own, at equal FLOPs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.claims import COST_TOLD, interval, known, points
from analysis.difference import Difference
from analysis.equal_flops import at_equal_flops
from analysis.reference import CONVNEXT_PAPER, PLANE, PublishedPoint, published_points, select
from analysis.results import table
from space.errors import InputError

PUBLISHED_LEVEL = 0.9


@dataclass(frozen=True)
class Published:
    """Two families of published networks, or of results of one's own: top-1 in percent at equal FLOPs.

    `sides` are family and source of each; `pairs` their names, GFLOPs and differences; `fits` the answers of
    a + b F^-c for the error of each family.
    """

    sides: tuple[tuple[str, str], tuple[str, str]]
    conditions: str
    noise: float | None
    level: float
    pairs: tuple[tuple[str, float, str, float, Difference], ...]
    mean: Difference
    fits: tuple[Mapping[str, Any], ...]


def published(
    family: str = "convnext",
    against: str = "swin",
    *,
    source: str | None = None,
    against_source: str | None = None,
    pretrain: str = "imagenet-1k",
    resolution: int = 224,
    noise: float | None = None,
    results: Iterable[PublishedPoint] = (),
) -> Published:
    """Compare two families among the published points and `results`, each family from one source.

    A source that is not named is the ConvNeXt paper's Table 1, or the only one that has the family.
    `noise` is the standard deviation of one training in points. Raises `InputError`.
    """
    everything = [*published_points(pool=PLANE), *results]
    plane = [p for p in everything if p.pretrain == pretrain and p.resolution == resolution]
    sides = [
        select(plane, family=name, source=chosen or _source(plane, name))
        for name, chosen in ((family, source), (against, against_source))
    ]
    tables = [table(side) for side in sides]
    first, second = tables
    known = first.seeds is not None and second.seeds is not None
    found = at_equal_flops(
        first.gflops,
        first.top1,
        second.gflops,
        second.top1,
        seeds_a=first.seeds if known else None,
        seeds_b=second.seeds if known else None,
        noise=noise,
        level=PUBLISHED_LEVEL,
    )
    pairs = tuple(
        (first.names[p.first], float(first.gflops[p.first]), second.names[p.second],
         float(second.gflops[p.second]), p.difference)
        for p in found.pairs
    )  # fmt: skip
    named = ((family, sides[0][0].source), (against, sides[1][0].source))
    fits = tuple(_fit(side, noise) for side in sides)
    return Published(named, f"{pretrain}, {resolution} px", noise, PUBLISHED_LEVEL, pairs, found.mean, fits)


def _source(points: Sequence[PublishedPoint], family: str) -> str:
    there = list(dict.fromkeys(point.source for point in points if point.family == family))
    if CONVNEXT_PAPER in there:
        return CONVNEXT_PAPER
    if len(there) > 1:
        raise InputError(f"compare: {family} has several sources ({', '.join(there)}): name one")
    if not there:
        known = ", ".join(sorted({point.family for point in points})) or "none"
        raise InputError(f"compare: no family {family!r} under these conditions; there is {known}")
    return there[0]


def _fit(points: Sequence[PublishedPoint], noise: float | None) -> dict[str, Any]:
    from analysis.scaling import SATURATING_POWER, fit_law  # scipy: not for --help

    names = [point.name for point in points]
    plain = {"law": SATURATING_POWER.formula, "networks": len(set(names))}
    if len({point.gflops for point in points}) < 2:
        return plain  # no line through one point: no parameter is asked for
    fitted = fit_law(
        [point.gflops for point in points],
        [point.error for point in points],
        network=names,
        noise=noise,
        level=PUBLISHED_LEVEL,
    )
    return plain | dict(fitted.parameters)


def published_sentences(found: Published) -> list[str]:
    """The published plane's answer, a sentence a claim."""
    (family, source), (against, other_source) = found.sides
    lines = []
    for name, gflops, other, other_gflops, difference in found.pairs:
        gap = gflops / other_gflops - 1
        costs = "" if abs(gap) <= COST_TOLD else f"; {abs(gap):.0%} {'more' if gap > 0 else 'less'} FLOPs"
        lines.append(f"{name} less {other}: {points(difference, found.level, 1.0)}{costs}.")
    if len(found.pairs) > 1:
        lines.append(f"Mean over {len(found.pairs)} pairs: {points(found.mean, found.level, 1.0)}.")
    if found.noise is None:
        lines.append(
            "One published run has no interval: --noise assumes a standard deviation of one training."
        )
    else:
        lines.append(f"Assumed: a standard deviation of {found.noise:g} points of one training.")
    for (name, _), fit in zip(found.sides, found.fits, strict=True):
        answers = "; ".join(f"{key} {value}" for key, value in fit.items() if key not in ("law", "networks"))
        count = "1 network" if fit["networks"] == 1 else f"{fit['networks']} networks"
        lines.append(f"{name}, error = {fit['law']} over {count}: {answers or 'not identified'}.")
    lines.append(f"Sources: {family}: {source}; {against}: {other_source}; {found.conditions}.")
    return lines


def published_rows(found: Published) -> list[dict[str, Any]]:
    """A row a pair; differences are points of top-1, unknown ends None."""
    (family, source), (against, other_source) = found.sides
    return [
        {
            "family": family, "network": name, "gflops": gflops, "source": source,
            "against": against, "other": other, "other_gflops": other_gflops, "other_source": other_source,
            "difference": difference.value, "low": known(difference.low), "high": known(difference.high),
            "verdict": difference.verdict if math.isfinite(difference.low) else None,
        }
        for name, gflops, other, other_gflops, difference in found.pairs
    ]  # fmt: skip


def published_json(found: Published) -> dict[str, Any]:
    """Everything as plain values; a parameter that is not identified has its reason in place of a value."""
    fits = []
    for (family, _), fit in zip(found.sides, found.fits, strict=True):
        plain = {
            key: value if key in ("law", "networks") else {k: _plain(v) for k, v in asdict(value).items()}
            for key, value in fit.items()
        }
        fits.append({"family": family, **plain})
    return {
        "conditions": found.conditions,
        "level": found.level,
        "noise": found.noise,
        "pairs": published_rows(found),
        "mean": interval(found.mean),
        "fits": fits,
        "sentences": published_sentences(found),
    }


def _plain(value: Any) -> Any:
    return known(value) if isinstance(value, float) else value


def published_difference(
    family_a: str,
    family_b: str,
    *,
    source_a: str,
    source_b: str,
    pretrain: str = "imagenet-1k",
    resolution: int = 224,
    noise: float | None = None,
) -> tuple[tuple[PublishedPoint, PublishedPoint, Difference], ...]:
    """Top-1 of two families' published networks at equal FLOPs, each family from the one source named.

    `noise` is the standard deviation of one published number in points, if one is assumed; otherwise no
    verdict is possible and every interval is infinite. Raises `InputError`.
    """
    sets = [
        published_points(source=source, pretrain=pretrain, resolution=resolution, family=family)
        for family, source in ((family_a, source_a), (family_b, source_b))
    ]
    flops_a, flops_b = ([point.gflops for point in points] for points in sets)
    top1_a, top1_b = ([point.top1 for point in points] for points in sets)
    found = at_equal_flops(flops_a, top1_a, flops_b, top1_b, noise=noise)
    return tuple((sets[0][pair.first], sets[1][pair.second], pair.difference) for pair in found.pairs)
