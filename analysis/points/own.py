"""Results of your own, or timm's, as typed rows that the comparisons and fits take; from CSV files.

    points = read_results("mine.csv")
    points, said = read_files([Path("results-imagenet.csv"), Path("benchmark-infer-amp-nhwc-pt240.csv")])
    mine = table(reference.select(points, family="mine", pretrain="imagenet-1k", resolution=224))
    fit_law(mine.gflops, 100 - mine.top1.mean(axis=1))

A column's name states its unit, and nothing is guessed: `accuracy` is a fraction, `top1` percent.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.points.printed import PLANE, VALIDATION, PublishedPoint, listed
from analysis.points.result import OwnResult, check_repeats, images_seen, is_positive, source_name
from analysis.points.rows import FileLine, FileRows, read_rows, reading
from analysis.points.timm import TIMM_COSTS, TIMM_RESULTS, is_timm_rows, join_timm
from space.errors import InputError, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# columns of which a file has exactly one, and what its numbers are divided by to be percent or GFLOPs
ACCURACY = {"accuracy": 0.01, "top1": 1.0}
COST = {"gflops": 1.0, "gmacs": 1.0, "mflops": 1e3, "macs": 1e9}
SIZE = {"params_m": 1.0, "params": 1e6}
SEEN = {"images_seen_m": 1.0, "images_seen": 1e6}
OTHER = ("name", "family", "pretrain", "resolution", "seed", "source", "test_set", "recipe")


@dataclass(frozen=True)
class SeedTable:
    """Networks by rising cost: `gflops` (n,) and `top1` in percent (n, s), a column a seed.

    `seeds` are the ids of the columns; None where networks lack some, or ids: then s = 1, their mean.
    """

    names: tuple[str, ...]
    gflops: NDArray[np.float64]
    top1: NDArray[np.float64]
    seeds: tuple[int, ...] | None


# ---- your own -------------------------------------------------------------------------------------------


def read_results(
    path: str | Path,
    *,
    family: str | None = None,
    pretrain: str | None = None,
    resolution: int | None = None,
    source: str | None = None,
) -> tuple[OwnResult, ...]:
    """The rows of a CSV file, a training each, in the file's order.

    Columns: name; `accuracy` (a fraction) or `top1` (percent); `gflops`, `gmacs`, `mflops` or `macs`, all of
    them multiply-accumulates; and family, params_m or params, activations_m, images_per_s, device, seed,
    images_seen_m or images_seen, depth (blocks), resolution, pretrain, recipe, test_set and source. The
    arguments stand in for columns that the file lacks; a source is the file's name where nothing is said.
    Raises `InputError` in one line with the file and the line in it.
    """
    given = {"family": family, "pretrain": pretrain, "resolution": resolution, "source": source}
    return _own(read_rows(Path(path)), given)


def read_files(paths: Sequence[Path]) -> tuple[tuple[OwnResult, ...], tuple[str, ...]]:
    """The results in files of your own and in timm's, and a line a file on what was read of it.

    Files of one name in several folders are sources of their own. Raises `InputError`.
    """
    files = [read_rows(path) for path in paths]
    names = Counter(path.name for path in paths)
    points: list[OwnResult] = []
    said = []
    for file in files:
        if not is_timm_rows(file):
            found = _own(file, {} if "source" in file.columns else {"source": source_name(file.path, names)})
            points += found
            said.append(reading(file.path, len(file.rows), len(found), {}))
    # together: accuracies are in one of timm's files, costs in another
    timm = [file for file in files if is_timm_rows(file)]
    if timm:
        joined, of_each = join_timm(timm, names)
        points += joined
        said += of_each
    check_repeats(points)
    return tuple(points), tuple(said)


def _own(file: FileRows, given: Mapping[str, object]) -> tuple[OwnResult, ...]:
    defaults = {name: str(value) for name, value in given.items() if value is not None}
    _check_columns(file.path, file.columns, set(defaults))
    found = tuple(_result(line) for line in file.lines(defaults))
    if "top1" in file.columns:
        _check_percent(file, found)
    check_repeats(found)
    return found


def _check_percent(file: FileRows, found: Sequence[OwnResult]) -> None:
    """No fraction passes for percent."""
    low = [point for point in found if 0 < point.top1 <= 1]
    if low and len(low) == sum(point.top1 > 0 for point in found):
        raise InputError(f"{file.path}: top1 is in percent, and no row is above 1: name fractions accuracy")
    if low:
        raise InputError(
            f"{low[0].place}: top1 {low[0].top1:g} is at most 1, and others are above: a fraction is written "
            f"{100 * low[0].top1:g}; where it is percent, write all rows as fractions, in a column accuracy"
        )


def _check_columns(path: Path, columns: Sequence[str], given: set[str]) -> None:
    if "model" in columns:
        lacking = [[name for name in needed if name not in columns] for needed in (TIMM_RESULTS, TIMM_COSTS)]
        raise InputError(
            f"{path}: no file of timm's that is read here: accuracies (results-imagenet.csv) also have "
            f"{', '.join(lacking[0])}, costs (benchmark-infer-*.csv) {', '.join(lacking[1])}; in a file of "
            "your own model is called name"
        )
    known = [*ACCURACY, *COST, *SIZE, *SEEN, *OTHER, "activations_m", "depth", "images_per_s", "device"]
    for kind, choices, needed in (
        ("accuracy", ACCURACY, True),
        ("cost", COST, True),
        ("size", SIZE, False),
        ("images seen", SEEN, False),
    ):
        there = [name for name in choices if name in columns]
        if len(there) > 1:
            raise InputError(f"{path}: two columns of {kind}, {' and '.join(there)}: keep one")
        if needed and not there:
            raise InputError(f"{path}: no column of {kind}: {_one_of(choices)}; there is {listed(columns)}")
    for name in ("name", "family", "resolution", "pretrain"):
        if name not in columns and name not in given:
            raise InputError(f"{path}: no column {name!r}; where all rows have one {name}, each says it")
    for name in given & set(columns):
        raise InputError(f"{path}: has a column {name!r}, so no {name} can be given for the whole file")
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise InputError(f"{path}: unknown column {quoted(unknown[0])}; there is {', '.join(known)}")


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(choices)


def _result(line: FileLine) -> OwnResult:
    (accuracy,) = (name for name in ACCURACY if name in line.row)
    (cost,) = (name for name in COST if name in line.row)
    speed = line.number("images_per_s", is_positive, "above 0") if line.has("images_per_s") else None
    device = line.text("device") if line.has("device") else None
    size = next((name for name in SIZE if name in line.row), None)
    count = next((name for name in SEEN if name in line.row and line.has(name)), None)
    seen = math.nan if count is None else line.number(count, is_positive, "above 0") / SEEN[count]
    recipe = [line.text("recipe")] if line.has("recipe") else []
    top1 = line.number(accuracy, lambda v: 0 <= v <= 100 * ACCURACY[accuracy], _ACCURACY_IS[accuracy])
    return OwnResult(
        name=line.text("name"),
        family=line.text("family"),
        pretrain=line.text("pretrain"),
        resolution=line.integer("resolution", least=1),
        top1=round(top1 / ACCURACY[accuracy], 6),  # 0.821 is 82.1, not 82.10000000000001
        params_m=math.nan if size is None else line.number(size, is_positive, "above 0") / SIZE[size],
        gflops=line.number(cost, is_positive, "above 0") / COST[cost],
        images_per_s=speed,
        device=device,
        source=line.text("source") if line.has("source") else line.file.path.name,
        test_set=line.text("test_set") if line.has("test_set") else VALIDATION,
        recipe=", ".join([*recipe, *([] if count is None else [images_seen(seen)])]),
        seed=line.integer("seed", least=0) if line.has("seed") else None,
        place=str(line),
        activations_m=line.number("activations_m", is_positive, "above 0")
        if line.has("activations_m")
        else math.nan,
        speeds=() if speed is None else ((device or "device not said", speed),),
        images_seen_m=seen,
        depth=line.number("depth", is_positive, "above 0") if line.has("depth") else math.nan,
    )


_ACCURACY_IS = {
    "accuracy": "a fraction from 0 to 1; percent have a column top1",
    "top1": "percent, from 0 to 100",
}


# ---- a table --------------------------------------------------------------------------------------------


def table(points: Iterable[PublishedPoint]) -> SeedTable:
    """One row a network, by rising cost, its seeds side by side; for the comparisons and the laws.

    Raises `InputError` where a network's rows differ in cost.
    """
    import numpy as np

    by_name: dict[tuple[str, ...], list[PublishedPoint]] = {}
    for point in points:
        key = (point.name, point.recipe, *(str(getattr(point, field)) for field in PLANE))
        by_name.setdefault(key, []).append(point)
    # names decide between equal costs: files of results are often sorted by accuracy
    groups = sorted(by_name.values(), key=lambda group: (group[0].gflops, group[0].name))
    for group in groups:
        if len({point.gflops for point in group}) > 1:
            costs = listed(f"{point.gflops:g}" for point in group)
            raise InputError(f"results: {quoted(group[0].name)} has several costs ({costs} GFLOPs)")
    by_seed = [{getattr(p, "seed", None): p.top1 for p in group} for group in groups]
    first = set(by_seed[0]) if by_seed else set()
    seeds = None
    # a table needs the same columns for every row
    if first and None not in first and all(set(values) == first for values in by_seed):
        seeds = tuple(sorted(seed for seed in first if seed is not None))
    rows = [
        [values[seed] for seed in seeds] if seeds else [float(np.mean([p.top1 for p in group]))]
        for values, group in zip(by_seed, groups, strict=True)
    ]
    return SeedTable(
        tuple(group[0].name for group in groups),
        np.array([group[0].gflops for group in groups], dtype=np.float64),
        np.array(rows, dtype=np.float64).reshape(len(groups), len(seeds) if seeds else 1),
        seeds,
    )
