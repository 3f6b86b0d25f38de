"""One result of a network on a data set, whoever measured it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.points.printed import PLANE, PublishedPoint
from space.errors import InputError, quoted
from space.words import compact


@dataclass(frozen=True, kw_only=True)
class OwnResult(PublishedPoint):
    """One training: a published point with its seed, None where the file does not say.

    `params_m`, `activations_m`, `images_seen_m` and `depth` (blocks) are NaN where the file has no such
    column; images seen are those of the whole training in millions, repeats included, and part of the recipe.
    `speeds` are images a
    second by device. `place` is the file and line that it comes from.
    """

    seed: int | None = None
    place: str = ""
    activations_m: float = math.nan
    speeds: tuple[tuple[str, float], ...] = ()
    images_seen_m: float = math.nan
    depth: float = math.nan

    @property
    def recipe_alone(self) -> str:
        """The recipe without the images seen."""
        return self.recipe.removesuffix(images_seen(self.images_seen_m)).removesuffix(", ")


def images_seen(millions: float) -> str:
    """What trainings are told apart by that differ in it alone, at the end of their recipe."""
    return f"{compact(millions)} M images seen"


def source_name(path: Path, names: Mapping[str, int]) -> str:
    """What a file's results are called by: its name, or its path where two have that name."""
    return path.name if names.get(path.name, 1) == 1 else str(path)


def is_positive(value: float) -> bool:
    """Whether a number is positive; NaN is not."""
    return value > 0


def check_repeats(points: Sequence[OwnResult]) -> None:
    """The same training twice would count twice."""
    seen: dict[tuple[object, ...], OwnResult] = {}
    for point in points:
        key = (point.name, point.seed, point.recipe, *(getattr(point, field) for field in PLANE))
        if key in seen:
            seed = "no seed" if point.seed is None else f"seed {point.seed}"
            raise InputError(
                f"{point.place}: {quoted(point.name)} with {seed} is there already: {seen[key].place}"
            )
        seen[key] = point
