"""Results of your own, or timm's, as typed rows that the comparisons and fits take; from CSV files.

    points = read_results("mine.csv")
    points = read_timm("results-imagenet.csv", "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv").points
    mine = table(reference.select(points, family="mine", pretrain="imagenet-1k", resolution=224))
    fit_law(mine.gflops, 100 - mine.top1.mean(axis=1))

A column's name states its unit, and nothing is guessed: `accuracy` is a fraction, `top1` percent.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.reference import PLANE, VALIDATION, PublishedPoint, listed
from analysis.rows import Line, Rows, read_rows, reading
from analysis.timm_names import timm_family, timm_pretrain, timm_recipe
from space.errors import InputError, quoted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# columns of which a file has exactly one, and what its numbers are divided by to be percent or GFLOPs
ACCURACY = {"accuracy": 0.01, "top1": 1.0}
COST = {"gflops": 1.0, "gmacs": 1.0, "mflops": 1e3, "macs": 1e9}
SIZE = {"params_m": 1.0, "params": 1e6}
OTHER = ("name", "family", "pretrain", "resolution", "seed", "source", "test_set", "recipe")
TIMM_RESULTS = ("model", "top1", "param_count", "img_size")
TIMM_COSTS = ("model", "infer_img_size", "infer_gmacs")
# the images and labels of timm's files, by their names: nothing in them tells
TIMM_TEST_SETS = {
    "results-imagenet": VALIDATION,
    "results-imagenet-real": f"{VALIDATION}, ReaL labels",
    "results-imagenet-a": "imagenet-a",
    "results-imagenet-a-clean": f"{VALIDATION}, the classes of imagenet-a",
    "results-imagenet-r": "imagenet-r",
    "results-imagenet-r-clean": f"{VALIDATION}, the classes of imagenet-r",
    "results-imagenetv2-matched-frequency": "imagenetv2",
    "results-sketch": "imagenet-sketch",
}


@dataclass(frozen=True, kw_only=True)
class Result(PublishedPoint):
    """One training: a published point with its seed, None where the file does not say.

    `params_m` is NaN where the file has no such column. `place` is the file and line that it comes from.
    """

    seed: int | None = None
    place: str = ""


@dataclass(frozen=True)
class TimmResults:
    """What timm's files give together; `left_out` says of each other row of the results why it is not in.

    `said` is a line a file: what was read of it, and what was left out.
    """

    points: tuple[Result, ...]
    left_out: tuple[str, ...]
    said: tuple[str, ...]


@dataclass(frozen=True)
class Table:
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
) -> tuple[Result, ...]:
    """The rows of a CSV file, a training each, in the file's order.

    Columns: name; `accuracy` (a fraction) or `top1` (percent); `gflops`, `gmacs`, `mflops` or `macs`, all of
    them multiply-accumulates; and family, params_m or params, seed, resolution, pretrain, recipe, test_set
    and source. The arguments stand in for columns that the file lacks; a source is the file's name where
    nothing else is said. Raises `InputError` in one line with the file and the line in it.
    """
    given = {"family": family, "pretrain": pretrain, "resolution": resolution, "source": source}
    return _own(read_rows(Path(path)), given)


def read_files(paths: Sequence[Path]) -> tuple[tuple[Result, ...], tuple[str, ...]]:
    """The results in files of your own and in timm's, and a line a file on what was read of it.

    Files of one name in several folders are sources of their own. Raises `InputError`.
    """
    files = [read_rows(path) for path in paths]
    names = Counter(path.name for path in paths)
    points: list[Result] = []
    said = []
    for file in files:
        if not _is_timm(file):
            found = _own(file, {} if "source" in file.columns else {"source": _source(file.path, names)})
            points += found
            said.append(reading(file.path, len(file.rows), len(found), {}))
    timm = [file for file in files if _is_timm(file)]
    if timm:
        joined = _join_timm(timm, names)
        points += joined.points
        said += joined.said
    _check_repeats(points)
    return tuple(points), tuple(said)


def _source(path: Path, names: Mapping[str, int]) -> str:
    return path.name if names.get(path.name, 1) == 1 else str(path)


def _own(file: Rows, given: Mapping[str, object]) -> tuple[Result, ...]:
    defaults = {name: str(value) for name, value in given.items() if value is not None}
    _check_columns(file.path, file.columns, set(defaults))
    found = tuple(_result(line) for line in file.lines(defaults))
    if "top1" in file.columns:
        _check_percent(file, found)
    _check_repeats(found)
    return found


def _check_percent(file: Rows, found: Sequence[Result]) -> None:
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
            f"{', '.join(lacking[0])}, costs (benchmark-infer-*.csv) {', '.join(lacking[1])}"
        )
    known = [*ACCURACY, *COST, *SIZE, *OTHER, "images_per_s", "device"]
    for kind, choices, needed in (
        ("accuracy", ACCURACY, True),
        ("cost", COST, True),
        ("size", SIZE, False),
    ):
        there = [name for name in choices if name in columns]
        if len(there) > 1:
            raise InputError(f"{path}: two columns of {kind}, {' and '.join(there)}: keep one")
        if needed and not there:
            raise InputError(f"{path}: no column of {kind}: {_one_of(choices)}; there is {listed(columns)}")
    for name in ("name", "family", "resolution", "pretrain"):
        if name not in columns and name not in given:
            raise InputError(f"{path}: no column {name!r}, and no {name} given for the whole file")
    for name in given & set(columns):
        raise InputError(f"{path}: has a column {name!r}, so no {name} can be given for the whole file")
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise InputError(f"{path}: unknown column {quoted(unknown[0])}; there is {', '.join(known)}")


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(choices)


def _result(line: Line) -> Result:
    (accuracy,) = (name for name in ACCURACY if name in line.row)
    (cost,) = (name for name in COST if name in line.row)
    size = next((name for name in SIZE if name in line.row), None)
    top1 = line.number(accuracy, lambda v: 0 <= v <= 100 * ACCURACY[accuracy], _ACCURACY_IS[accuracy])
    return Result(
        name=line.text("name"),
        family=line.text("family"),
        pretrain=line.text("pretrain"),
        resolution=line.integer("resolution", least=1),
        top1=round(top1 / ACCURACY[accuracy], 6),  # 0.821 is 82.1, not 82.10000000000001
        params_m=math.nan if size is None else line.number(size, _positive, "above 0") / SIZE[size],
        gflops=line.number(cost, _positive, "above 0") / COST[cost],
        images_per_s=line.number("images_per_s", _positive, "above 0") if line.has("images_per_s") else None,
        device=line.text("device") if line.has("device") else None,
        source=line.text("source") if line.has("source") else line.file.path.name,
        test_set=line.text("test_set") if line.has("test_set") else VALIDATION,
        recipe=line.text("recipe") if line.has("recipe") else "",
        seed=line.integer("seed", least=0) if line.has("seed") else None,
        place=str(line),
    )


def _positive(value: float) -> bool:
    return value > 0


_ACCURACY_IS = {
    "accuracy": "a fraction from 0 to 1; percent have a column top1",
    "top1": "percent, from 0 to 100",
}


def _check_repeats(points: Sequence[Result]) -> None:
    """The same training twice would count twice."""
    seen: dict[tuple[object, ...], Result] = {}
    for point in points:
        key = (point.name, point.seed, point.recipe, *(getattr(point, field) for field in PLANE))
        if key in seen:
            seed = "no seed" if point.seed is None else f"seed {point.seed}"
            raise InputError(
                f"{point.place}: {quoted(point.name)} with {seed} is there already: {seen[key].place}"
            )
        seen[key] = point


# ---- timm -----------------------------------------------------------------------------------------------


def is_timm(path: str | Path) -> bool:
    """Whether the CSV file is one of timm's: accuracies or costs. Raises `InputError`."""
    return _is_timm(read_rows(Path(path)))


def _is_timm(file: Rows) -> bool:
    return any(set(needed) <= set(file.columns) for needed in (TIMM_RESULTS, TIMM_COSTS))


def read_timm(*paths: str | Path) -> TimmResults:
    """timm's accuracies (results-imagenet.csv) with its costs (benchmark-infer-*.csv), in any order.

    A row of accuracy is joined with costs of the same model and the same image size: top-1 at 288 pixels is
    never put beside the FLOPs at 224. Costs of a model hold for all its weights (`convnext_tiny` for
    `convnext_tiny.fb_in1k`). Family and pre-training set follow from the name (`analysis.timm_names`); rows
    whose name the rules do not know are left out. The recipe is the tag of the weights, the source the
    accuracy file's name, which also tells the test set. Raises `InputError`.
    """
    files = [read_rows(Path(path)) for path in paths]
    return _join_timm(files, Counter(file.path.name for file in files))


def _join_timm(files: Sequence[Rows], names: Mapping[str, int]) -> TimmResults:
    accuracies, costs = _timm_files(files)
    by_model, said = _timm_costs(costs)
    sizes: dict[str, list[int]] = {}
    for model, size in sorted(by_model):
        sizes.setdefault(model, []).append(size)
    points: list[Result] = []
    left_out: list[str] = []
    for file in accuracies:
        reasons: dict[str, list[str]] = {}
        before = len(points)
        for line in file.lines():
            model, size = line.text("model"), line.integer("img_size", least=1)
            bare = model.partition(".")[0]
            gmacs = by_model.get((model, size), by_model.get((bare, size)))
            reason, more = _unusable(model, gmacs, sizes.get(model) or sizes.get(bare))
            if gmacs is not None and not reason:
                points.append(_timm_point(line, gmacs, _source(file.path, names)))
                continue
            reasons.setdefault(reason, []).append(model)
            left_out.append(f"{line}: {model} at {size} pixels: {more}")
        said.append(reading(file.path, len(file.rows), len(points) - before, reasons))
    if not points and not any(
        model_known(line.text("model")) for file in accuracies for line in file.lines()
    ):
        raise InputError(f"{accuracies[0].path}: no name of a model is one of timm's")
    if not points:
        raise InputError(f"{accuracies[0].path}: no model has costs at its image size in {costs[0].path}")
    _check_repeats(points)
    return TimmResults(tuple(points), tuple(left_out), tuple(said))


def _unusable(model: str, gmacs: float | None, sizes: Sequence[int] | None) -> tuple[str, str]:
    """Why a row cannot be used, as a reason of many and in its own words; empty where it can."""
    if timm_pretrain(model) is None:
        tag = timm_recipe(model)
        return (
            "of weights that the rules do not know",
            f"no rule for the tag {quoted(tag)}" if tag else "no tag",
        )
    if timm_family(model) is None:
        return "of families that the rules do not know", "no rule for the family"
    if gmacs is None:
        there = f"at {', '.join(map(str, sizes))} pixels only" if sizes else "not of this model"
        return "without costs at their image size", f"costs are {there}"
    return "", ""


def model_known(model: str) -> bool:
    """Whether the rules tell family and pre-training set of a timm model."""
    return timm_pretrain(model) is not None and timm_family(model) is not None


def _timm_files(files: Sequence[Rows]) -> tuple[list[Rows], list[Rows]]:
    found: tuple[list[Rows], list[Rows]] = ([], [])
    for file in files:
        columns = set(file.columns)
        kinds = [set(TIMM_RESULTS) <= columns, set(TIMM_COSTS) <= columns]
        if not any(kinds):
            raise InputError(
                f"{file.path}: neither timm's accuracies ({', '.join(TIMM_RESULTS)}) nor its costs "
                f"({', '.join(TIMM_COSTS)})"
            )
        found[kinds.index(True)].append(file)
    for kind, what in zip(
        found, ("accuracies: results-imagenet.csv", "costs: benchmark-infer-*.csv"), strict=True
    ):
        if not kind:
            given = ", ".join(str(file.path) for file in files) or "timm"
            raise InputError(f"{given}: no file of {what}")
    return found


def _timm_costs(files: Sequence[Rows]) -> tuple[dict[tuple[str, int], float], list[str]]:
    """GMACs by model and image size, and a line a file; rows without a count are left out."""
    found: dict[tuple[str, int], float] = {}
    said = []
    for file in files:
        uncounted = []
        for line in file.lines():
            key = line.text("model"), line.integer("infer_img_size", least=1)
            gmacs = (
                line.number("infer_gmacs", lambda v: v >= 0, "not below 0") if line.has("infer_gmacs") else 0
            )
            if gmacs == 0:  # timm could not count that model
                uncounted.append(key[0])
                continue
            # printed to 2 digits, so files of other devices may differ in the last one
            if abs(found.setdefault(key, gmacs) - gmacs) > 0.011:
                raise InputError(
                    f"{line}: {key[0]} at {key[1]} pixels costs {gmacs} here, {found[key]} before"
                )
        used = len(file.rows) - len(uncounted)
        said.append(reading(file.path, len(file.rows), used, {"without a count of GMACs": uncounted}))
    return found, said


def _timm_point(line: Line, gmacs: float, source: str) -> Result:
    model = line.text("model")
    return Result(
        name=model,
        family=timm_family(model) or "",
        pretrain=timm_pretrain(model) or "",
        resolution=line.integer("img_size", least=1),
        top1=line.number("top1", lambda v: 0 <= v <= 100, "percent, from 0 to 100"),
        params_m=line.number("param_count", _positive, "above 0"),
        gflops=gmacs,
        images_per_s=None,
        device=None,
        source=source,
        test_set=timm_test_set(line.file.path),
        recipe=timm_recipe(model),
        place=str(line),
    )


def timm_test_set(path: Path) -> str:
    """The images and labels of one of timm's files of accuracies; of an unknown name the file itself."""
    # a browser calls a second download "results-imagenet (1).csv"
    return TIMM_TEST_SETS.get(re.sub(r" ?\(\d+\)$", "", path.stem), f"that of {path.name}")


# ---- a table --------------------------------------------------------------------------------------------


def table(points: Iterable[PublishedPoint]) -> Table:
    """One row a network, by rising cost, its seeds side by side; for `analysis.equal_flops` and `.scaling`.

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
    if first and None not in first and all(set(values) == first for values in by_seed):
        seeds = tuple(sorted(seed for seed in first if seed is not None))
    rows = [
        [values[seed] for seed in seeds] if seeds else [float(np.mean([p.top1 for p in group]))]
        for values, group in zip(by_seed, groups, strict=True)
    ]
    return Table(
        tuple(group[0].name for group in groups),
        np.array([group[0].gflops for group in groups], dtype=np.float64),
        np.array(rows, dtype=np.float64).reshape(len(groups), len(seeds) if seeds else 1),
        seeds,
    )
