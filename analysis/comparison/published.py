"""The published plane: two families of published networks, or of results of one's own, at equal FLOPs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from analysis.comparison.claims import COST_TOLD, interval, known, points
from analysis.comparison.equal_flops import at_equal_flops
from analysis.points.own import SeedTable, table
from analysis.points.printed import (
    CONVNEXT_PAPER,
    IMAGENET_1K,
    PLANE,
    VALIDATION,
    PublishedPoint,
    listed,
    published_points,
    select,
)
from analysis.points.timm_names import timm_remarks
from nas.verdict.difference import Difference
from space.errors import InputError, quoted
from space.words import plural

PUBLISHED_LEVEL = 0.9
# a network and its GFLOPs, of either family, and the first less the second
PublishedPair = tuple[str, float, str, float, Difference]


@dataclass(frozen=True)
class Published:
    """Two families of published networks, or of results of one's own: top-1 in percent at equal FLOPs.

    `sides` are family and source of each; `pairs` their names, GFLOPs and differences; `fits` the answers of
    a + b F^-c for the error of each family; `notes` what was left out.
    """

    sides: tuple[tuple[str, str], tuple[str, str]]
    conditions: str
    noise: float | None
    level: float
    pairs: tuple[PublishedPair, ...]
    mean: Difference
    fits: tuple[Mapping[str, Any], ...]
    notes: tuple[str, ...] = ()


def published(
    family: str = "convnext",
    against: str = "swin",
    *,
    source: str | None = None,
    against_source: str | None = None,
    recipe: str | None = None,
    against_recipe: str | None = None,
    pretrain: str = IMAGENET_1K,
    resolution: int = 224,
    test_set: str | None = None,
    noise: float | None = None,
    results: Iterable[PublishedPoint] = (),
) -> Published:
    """Compare two families among the published points and `results`, from one source and of one recipe each.

    A source that is not named is that of the results that have the family, else the ConvNeXt paper's Table 1,
    else the only one; the second family's is the first's. A recipe that is not named is that of most networks
    of the family. `noise` is the standard deviation of one training in points. Raises `InputError`, also
    where nothing of the results is compared.
    """
    own = tuple(results)
    everything = [*published_points(pool=PLANE), *own]
    plane = [p for p in everything if p.pretrain == pretrain and p.resolution == resolution]
    plane = [p for p in plane if test_set is None or p.test_set == test_set]
    if not plane:
        raise InputError(f"{_nothing(everything, pretrain, resolution, test_set)}")
    # which networks: one source, then one recipe, a side
    first_source = _source(plane, family, own) if source is None else source
    first_side = select(plane, family=family, source=first_source)
    second_source = _same_source(plane, against, first_source) if against_source is None else against_source
    both = [
        one_recipe(first_side, "--recipe", recipe),
        one_recipe(select(plane, family=against, source=second_source), "--against-recipe", against_recipe),
    ]
    sides = [points for points, _ in both]
    _check_test_sets(sides)
    notes = [note for _, note in both if note] + _unused(own, sides)
    pairs, mean = _difference(sides[0], sides[1], noise)
    named = ((family, sides[0][0].source), (against, sides[1][0].source))
    fits = tuple(_fit(side, noise) for side in sides)
    conditions = f"{pretrain}, {resolution} px"
    if sides[0][0].test_set != VALIDATION:
        conditions += f", {sides[0][0].test_set}"
    return Published(named, conditions, noise, PUBLISHED_LEVEL, pairs, mean, fits, tuple(notes))


def _difference(
    one: Sequence[PublishedPoint], other: Sequence[PublishedPoint], noise: float | None
) -> tuple[tuple[PublishedPair, ...], Difference]:
    """Each pair of networks at equal FLOPs, and the mean over the pairs."""
    first, second = table(one), table(other)
    known = first.seeds is not None and second.seeds is not None
    found = at_equal_flops(
        first.gflops,
        first.top1,
        second.gflops,
        second.top1,
        names=(_described(one, first), _described(other, second)),
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
    return pairs, found.mean


def _source(plane: Sequence[PublishedPoint], family: str, own: Sequence[PublishedPoint]) -> str:
    """The source of the first family where none is named: of the results given, if they have the family."""
    there = list(dict.fromkeys(point.source for point in plane if point.family == family))
    given = [source for source in there if source in {point.source for point in own}]
    if given:
        there = given
    elif CONVNEXT_PAPER in there:
        return CONVNEXT_PAPER
    if len(there) > 1:
        raise InputError(f"{family} has several sources ({listed(there)}): --source names one")
    if not there:
        known = listed(sorted({point.family for point in plane}))
        raise InputError(f"no family {quoted(family)} under these conditions; there is {known}")
    return there[0]


def _same_source(plane: Sequence[PublishedPoint], family: str, source: str) -> str:
    """The source of the first family: one less another would compare recipes, and measurements."""
    there = list(dict.fromkeys(point.source for point in plane if point.family == family))
    if there and source not in there:
        raise InputError(
            f"{source} has no {family} under these conditions; --against-source names another "
            f"({listed(there)})"
        )
    return source


def one_recipe(
    points: Sequence[PublishedPoint], flag: str, wanted: str | None
) -> tuple[Sequence[PublishedPoint], str]:
    """The points of one recipe, each network once, and what is to be said of that.

    Where none is wanted it is the recipe of most networks, whatever their accuracies, and of several such the
    first by its name.
    """
    # networks are counted, not rows: seeds of one are no more networks
    counts = Counter(point.recipe for point in {(p.name, p.recipe): p for p in points}.values())
    if wanted is not None and wanted not in counts:
        known = listed(sorted(name for name in counts if name))
        raise InputError(f"{points[0].family} has no recipe {quoted(wanted)} here; there is {known}")
    chosen = min(counts, key=lambda name: (-counts[name], name)) if wanted is None else wanted
    kept = [point for point in points if point.recipe == chosen]
    if not chosen and len(counts) == 1:
        return kept, ""
    note = f"{points[0].family}: {plural(counts[chosen], 'network')} of the recipe {chosen or 'none'}"
    if wanted is None and len(counts) > 1:
        note += ", which most have" if counts.most_common(2)[1][1] < counts[chosen] else ", the first by name"
    others = sorted(name for name in counts if name != chosen)
    if others:
        lacking = len({_network(p) for p in points} - {_network(p) for p in kept})
        note += (
            f"; left out: {sum(counts[name] for name in others)} weights of other recipes "
            f"({listed(name or 'none' for name in others)}), and with them {plural(lacking, 'network')} that "
            f"it lacks: {flag} takes another"
        )
    remarks = "".join(f"; {remark}" for remark in timm_remarks(chosen))
    return kept, f"{note}{remarks}."


def _described(side: Sequence[PublishedPoint], networks: SeedTable) -> str:
    """A side of a comparison in a few words."""
    recipe = f" of the recipe {side[0].recipe}" if side[0].recipe else ""
    costs = f"{networks.gflops.min():.3g} to {networks.gflops.max():.3g} GFLOPs"
    return f"{side[0].family} ({plural(len(networks.names), 'network')}{recipe}, {costs})"


def _network(point: PublishedPoint) -> str:
    return point.name.removesuffix(f".{point.recipe}")


def _check_test_sets(sides: Sequence[Sequence[PublishedPoint]]) -> None:
    first, second = (side[0] for side in sides)
    if first.test_set != second.test_set:
        raise InputError(
            f"top-1 of {first.source} is of {first.test_set}, that of {second.source} of "
            f"{second.test_set}: they are never compared; --source and --against-source name the sources"
        )


def _unused(own: Sequence[PublishedPoint], sides: Sequence[Sequence[PublishedPoint]]) -> list[str]:
    """A sentence for each source of the results of which nothing is compared. Raises `InputError` for all."""
    used = {point.source for side in sides for point in side}
    groups: dict[str, list[PublishedPoint]] = {}
    for point in own:
        groups.setdefault(point.source, []).append(point)
    told = [
        f"Nothing of {source} is compared: {_what_would(source, points, sides[0][0])}."
        for source, points in groups.items()
        if source not in used
    ]
    if told and len(told) == len(groups):
        raise InputError(" ".join(told).removesuffix("."))
    return told


def _what_would(source: str, points: Sequence[PublishedPoint], first: PublishedPoint) -> str:
    """What would compare something of a source."""
    same = [point for point in points if point.family == first.family]
    if any((p.pretrain, p.resolution) == (first.pretrain, first.resolution) for p in same):
        return f"--source '{source}' takes {first.family} from it"
    if same:
        planes = listed(f"{p.pretrain} at {p.resolution} px" for p in same)
        return f"--pretrain and --resolution name where it has {first.family} ({planes})"
    families = listed(f"{p.family}, {p.pretrain}, {p.resolution} px" for p in points)
    return f"--family, or --against and --against-source, name what it has ({families})"


def _nothing(points: Sequence[PublishedPoint], pretrain: str, resolution: int, test_set: str | None) -> str:
    """Which condition nothing meets."""
    for name, value in (("pretrain", pretrain), ("resolution", resolution), ("test_set", test_set)):
        there = [getattr(point, name) for point in points]
        if value is not None and value not in there:
            known = listed(map(str, sorted(set(there))))
            return f"no {name.replace('_', ' ')} {quoted(value)}; there is {known}"
    return f"nothing of {pretrain} at {resolution} px" + ("" if test_set is None else f" on {test_set}")


def _fit(points: Sequence[PublishedPoint], noise: float | None) -> dict[str, Any]:
    from analysis.laws.fit import fit_law  # scipy: not for --help
    from analysis.laws.law import SATURATING_POWER  # scipy: not for --help

    names = [point.name for point in points]
    plain = {"law": SATURATING_POWER.formula, "networks": len(set(names))}
    if len({point.gflops for point in points}) < 2 or any(point.error <= 0 for point in points):
        return plain  # no line through one point, no power law through no error: no parameter is asked for
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
        law = f"{name}, error = {fit['law']} over {plural(fit['networks'], 'network')}"
        lines.append(f"{law}: {answers or 'not identified'}.")
    lines += found.notes
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
