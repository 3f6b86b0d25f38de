"""Published results as typed rows: each with its source, its resolution and its pre-training set."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, TypeVar

from space.errors import InputError, quoted, some

CONVNEXT_PAPER = "ConvNeXt paper Table 1"
ROADMAP_T, ROADMAP_B = "resnet50-to-convnext-t", "resnet200-to-convnext-b"
IMAGENET_1K = "imagenet-1k"  # the pre-training set of what has seen nothing else
VALIDATION = "imagenet-1k val"  # the images and labels that top-1 is of, where nothing else is said
# A line through points that differ in one of these compares recipes, not networks.
PLANE = ("source", "test_set", "pretrain", "resolution")
MOST_SHOWN = 8  # names in a message
# Counting gives these where Table 10 prints 4.46 and 4.49; Table 11's same two steps agree with the count.
COUNTED_GFLOPS: Mapping[tuple[str, int], float] = {(ROADMAP_T, 15): 4.15, (ROADMAP_T, 16): 4.456}


@dataclass(frozen=True)
class PublishedPoint:
    """One network in one table: ImageNet-1K top-1 in percent, costs in millions and GFLOPs (MACs).

    `test_set`: the images and labels that top-1 is of. `recipe`: how the weights were trained, where a source
    has several of a network.
    """

    name: str
    family: str
    pretrain: str
    resolution: int
    top1: float
    params_m: float
    gflops: float
    images_per_s: float | None
    device: str | None
    source: str
    test_set: str = VALIDATION
    recipe: str = ""

    @property
    def error(self) -> float:
        """Top-1 error in percent."""
        return round(100.0 - self.top1, 4)  # 100 - 82.1 is 17.9, not 17.900000000000006


Point = TypeVar("Point", bound=PublishedPoint)


@dataclass(frozen=True)
class RoadmapStep:
    """One row of the ConvNeXt paper's Tables 10 and 11; `top1_std` over 3 seeds, None for one run."""

    order: int
    step: str
    regime: str
    top1: float
    top1_std: float | None
    gflops: float
    source: str

    @property
    def counted_gflops(self) -> float | None:
        """What counting gives where the printed figure does not follow from it; None elsewhere."""
        return COUNTED_GFLOPS.get((self.regime, self.order))


def published_points(
    *,
    source: str | None = None,
    pretrain: str | None = None,
    resolution: int | None = None,
    family: str | None = None,
    pool: Collection[str] = (),
) -> tuple[PublishedPoint, ...]:
    """The published points with these fields, as in the file's order.

    Raises `InputError` where nothing is left, and where what is left differs in source, pre-training set or
    resolution, unless `pool` names that field.
    """
    wanted = {"family": family, "source": source, "pretrain": pretrain, "resolution": resolution}
    return select(_points(), pool, **wanted)


def select(
    points: Iterable[PublishedPoint], pool: Collection[str] = (), **wanted: object
) -> tuple[PublishedPoint, ...]:
    """Those of `points`, published or one's own, with the `wanted` fields; as `published_points`.

    Raises `InputError`.
    """
    left = tuple(points)
    for field, value in wanted.items():
        known = [str(getattr(point, field)) for point in left]
        left = tuple(point for point in left if value is None or getattr(point, field) == value)
        if not left:
            raise InputError(f"results: no {field} {quoted(value)} here; there is {listed(known)}")
    return one_plane(left, pool)


def having(points: Iterable[Point], wanted: Mapping[str, Any], none: str) -> list[Point]:
    """Those of `points` with these fields, named by flags; None: any. Raises `InputError`: `none` has it."""
    left = list(points)
    for name, value in wanted.items():
        known = sorted({str(getattr(point, name)) for point in left})
        left = [point for point in left if value is None or getattr(point, name) == value]
        if not left:
            raise InputError(f"--{name} {quoted(str(value))}: {none} has it; there is {listed(known)}")
    return left


def listed(names: Iterable[str]) -> str:
    """Different names in their order, the first of them, in a line."""
    return some(dict.fromkeys(names), MOST_SHOWN) or "nothing"


def one_plane(points: Iterable[PublishedPoint], pool: Collection[str] = ()) -> tuple[PublishedPoint, ...]:
    """`points`, of one source, pre-training set and resolution except where `pool` names the field.

    Raises `InputError` if they differ in another one.
    """
    points = tuple(points)
    unknown = sorted(set(pool) - set(PLANE))
    if unknown:
        raise InputError(f"results: pool takes {', '.join(PLANE)}, not {quoted(unknown[0])}")
    for field in PLANE:
        values = list(dict.fromkeys(str(getattr(point, field)) for point in points))
        if len(values) > 1 and field not in pool:
            raise InputError(f"results: {field} differs ({listed(values)}): choose one, or pool=({field!r},)")
    return points


def roadmap(regime: str) -> tuple[RoadmapStep, ...]:
    """The steps of one column of the roadmap, in order: `ROADMAP_T` (Table 10) or `ROADMAP_B` (Table 11).

    The last row is the table's Swin. Raises `InputError` for another regime.
    """
    steps = [step for step in _steps() if step.regime == regime]
    if not steps:
        raise InputError(f"roadmap: no regime {quoted(regime)}; there is {ROADMAP_T} and {ROADMAP_B}")
    return tuple(sorted(steps, key=lambda step: step.order))


def _points() -> Iterator[PublishedPoint]:
    for row in _rows("published_points.csv"):
        yield PublishedPoint(
            name=row["name"],
            family=row["family"],
            pretrain=row["pretrain"],
            resolution=int(row["resolution"]),
            top1=float(row["top1"]),
            params_m=float(row["params_m"]),
            gflops=float(row["gflops"]),
            images_per_s=_number(row["images_per_s"]),
            device=row["device"] or None,
            source=row["source"],
        )


def _steps() -> Iterator[RoadmapStep]:
    for row in _rows("roadmap.csv"):
        yield RoadmapStep(
            order=int(row["order"]),
            step=row["step"],
            regime=row["regime"],
            top1=float(row["top1"]),
            top1_std=_number(row["top1_std"]),
            gflops=float(row["gflops"]),
            source=row["source"],
        )


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files("analysis").joinpath("data", name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _number(text: str) -> float | None:
    return float(text) if text else None
