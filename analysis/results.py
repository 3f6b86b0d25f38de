"""Results of your own, or timm's, as typed rows that the comparisons and fits take; from CSV files.

    points = read_results("mine.csv")
    points = read_timm("results-imagenet.csv", "benchmark-infer-amp-nhwc-pt240-cu124-rtx3090.csv").points
    mine = table(reference.select(points, family="mine", pretrain="imagenet-1k", resolution=224))
    fit_law(mine.gflops, 100 - mine.top1.mean(axis=1))

A column's name states its unit, and nothing is guessed: `accuracy` is a fraction, `top1` percent.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.reference import PLANE, PublishedPoint
from space.errors import InputError
from space.files import read_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Row = Mapping[str, str]

# columns of which a file has exactly one, and what its numbers are divided by to be percent or GFLOPs
ACCURACY = {"accuracy": 0.01, "top1": 1.0}
COST = {"gflops": 1.0, "gmacs": 1.0, "mflops": 1e3, "macs": 1e9}
SIZE = {"params_m": 1.0, "params": 1e6}
OTHER = ("name", "family", "pretrain", "resolution", "seed", "source")
TIMM_RESULTS = ("model", "top1", "param_count", "img_size")
TIMM_COSTS = ("model", "infer_img_size", "infer_gmacs")
# how words of a timm tag begin where the weights saw more than ImageNet-1K
OTHER_DATA = (
    "in21k", "in22k", "in12k", "jft", "ig1b", "yfcc", "laion", "datacomp", "dfn", "openai", "metaclip",
    "clip", "siglip", "webli", "seer", "swag", "m30m", "m38m", "mim", "mae", "fcmae", "dino", "data2vec",
    "lvd", "merged", "sa1b", "cc12m",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Result(PublishedPoint):
    """One training: a published point with its seed, None where the file does not say.

    `params_m` is NaN where the file has no such column. `place` is the file and line that it comes from.
    """

    seed: int | None = None
    place: str = ""


@dataclass(frozen=True)
class TimmResults:
    """What timm's files give together; `left_out` says of each other row of the results why it is not in."""

    points: tuple[Result, ...]
    left_out: tuple[str, ...]


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
    them multiply-accumulates; and family, params_m or params, seed, resolution, pretrain and source. The
    arguments stand in for columns that the file lacks; a source is the file's name where nothing else is
    said. Raises `InputError` in one line with the file and the line in it.
    """
    path = Path(path)
    given = {"family": family, "pretrain": pretrain, "resolution": resolution, "source": source}
    columns, rows = _rows(path)
    _check_columns(path, columns, {name for name, value in given.items() if value is not None})
    defaults = {name: str(value) for name, value in given.items() if value is not None}
    found = tuple(_result(_Line(path, number, row, defaults)) for number, row in rows)
    if "top1" in columns and all(point.top1 <= 1 for point in found):
        raise InputError(f"{path}: top1 is in percent, and no row is above 1: name fractions accuracy")
    _check_repeats(found)
    return found


def _check_columns(path: Path, columns: Sequence[str], given: set[str]) -> None:
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
            raise InputError(
                f"{path}: no column of {kind}: {_one_of(choices)}; there is {', '.join(columns)}"
            )
    for name in ("name", "family", "resolution", "pretrain"):
        if name not in columns and name not in given:
            raise InputError(f"{path}: no column {name!r}, and no {name} given for the whole file")
    for name in given & set(columns):
        raise InputError(f"{path}: has a column {name!r}, so no {name} can be given for the whole file")
    unknown = sorted(set(columns) - set(known))
    if unknown:
        raise InputError(f"{path}: unknown column {unknown[0]!r}; there is {', '.join(known)}")


def _one_of(choices: Iterable[str]) -> str:
    return " or ".join(choices)


def _result(line: _Line) -> Result:
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
        device=line.row.get("device") or None,
        source=line.text("source") if line.has("source") else line.path.name,
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
        key = (point.name, point.seed, *(getattr(point, field) for field in PLANE))
        if key in seen:
            seed = "no seed" if point.seed is None else f"seed {point.seed}"
            raise InputError(f"{point.place}: {point.name!r} with {seed} is there already: {seen[key].place}")
        seen[key] = point


# ---- timm -----------------------------------------------------------------------------------------------


def is_timm(path: str | Path) -> bool:
    """Whether the CSV file is one of timm's: accuracies or costs. Raises `InputError`."""
    columns, _ = _rows(Path(path))
    return any(set(needed) <= set(columns) for needed in (TIMM_RESULTS, TIMM_COSTS))


def read_timm(*paths: str | Path) -> TimmResults:
    """timm's accuracies (results-imagenet.csv) with its costs (benchmark-infer-*.csv), in any order.

    A row of accuracy is joined with costs of the same model and the same image size: top-1 at 288 pixels is
    never put beside the FLOPs at 224. Costs of a model hold for all its weights (`convnext_tiny` for
    `convnext_tiny.fb_in1k`). The pre-training set is read from the weights' tag: `imagenet-1k` where nothing
    else is named, imagenet-12k and -22k, otherwise the tag; without a tag it is `unknown`. The family is the
    first word of the model's name without its depth. Source: the accuracy file's name. Raises `InputError`.
    """
    accuracies, costs = _timm_files([Path(path) for path in paths])
    by_model = _timm_costs(costs)
    points, left_out = [], []
    for path in accuracies:
        for number, row in _rows(path)[1]:
            line = _Line(path, number, row, {})
            model, size = line.text("model"), line.integer("img_size", least=1)
            gmacs = by_model.get((model, size), by_model.get((model.partition(".")[0], size)))
            if gmacs is not None:
                points.append(_timm_point(line, gmacs))
                continue
            sizes = sorted(s for name, s in by_model if name in (model, model.partition(".")[0]))
            there = f"at {', '.join(map(str, sizes))} pixels only" if sizes else "not of this model"
            left_out.append(f"{line}: {model} at {size} pixels: costs are {there}")
    if not points:
        raise InputError(f"{accuracies[0]}: no model has costs at its image size in {costs[0]}")
    _check_repeats(points)
    return TimmResults(tuple(points), tuple(left_out))


def _timm_files(paths: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    found: tuple[list[Path], list[Path]] = ([], [])
    for path in paths:
        columns = set(_rows(path)[0])
        kinds = [set(TIMM_RESULTS) <= columns, set(TIMM_COSTS) <= columns]
        if not any(kinds):
            raise InputError(
                f"{path}: neither timm's accuracies ({', '.join(TIMM_RESULTS)}) nor its costs "
                f"({', '.join(TIMM_COSTS)})"
            )
        found[kinds.index(True)].append(path)
    for files, what in zip(
        found, ("accuracies: results-imagenet.csv", "costs: benchmark-infer-*.csv"), strict=True
    ):
        if not files:
            raise InputError(f"{', '.join(map(str, paths)) or 'timm'}: no file of {what}")
    return found


def _timm_costs(paths: Sequence[Path]) -> dict[tuple[str, int], float]:
    """GMACs by model and image size; rows without a count are left out."""
    found: dict[tuple[str, int], float] = {}
    for path in paths:
        for number, row in _rows(path)[1]:
            line = _Line(path, number, row, {})
            if not line.has("infer_gmacs"):
                continue  # timm could not count that model
            key = line.text("model"), line.integer("infer_img_size", least=1)
            gmacs = line.number("infer_gmacs", lambda v: v >= 0, "not below 0")
            # printed to 2 digits, so files of other devices may differ in the last one
            if abs(found.setdefault(key, gmacs) - gmacs) > 0.011:
                raise InputError(
                    f"{line}: {key[0]} at {key[1]} pixels costs {gmacs} here, {found[key]} before"
                )
    return {key: gmacs for key, gmacs in found.items() if gmacs > 0}


def _timm_point(line: _Line, gmacs: float) -> Result:
    model = line.text("model")
    return Result(
        name=model,
        family=timm_family(model),
        pretrain=timm_pretrain(model),
        resolution=line.integer("img_size", least=1),
        top1=line.number("top1", lambda v: 0 <= v <= 100, "percent, from 0 to 100"),
        params_m=line.number("param_count", _positive, "above 0"),
        gflops=gmacs,
        images_per_s=None,
        device=None,
        source=line.path.name,
        place=str(line),
    )


def timm_family(model: str) -> str:
    """The first word of a timm model's name without its depth: `convnext`, `swin`, `resnet`, `convnextv2`."""
    word = model.partition(".")[0].removeprefix("tf_").removeprefix("dm_").partition("_")[0]
    named = re.match(r"[a-z]+?v\d|[a-z]+", word)
    return named.group() if named else word


def timm_pretrain(model: str) -> str:
    """What the weights were trained with before ImageNet-1K, by their tag; see `read_timm`."""
    _, dot, tag = model.partition(".")
    if not dot:
        return "unknown"
    before = re.sub(r"_?(in1k)?(_\d+)?$", "", tag)
    if not any(word.startswith(OTHER_DATA) for word in before.split("_")):
        return "imagenet-1k" if "in1k" in tag else tag
    one = re.fullmatch(r"(?:[a-z0-9]+_)?in(21k|22k|12k)_ft", before)
    # 21K and 22K are two names of the same set
    return before if one is None else f"imagenet-{one.group(1).replace('21k', '22k')}"


# ---- a table --------------------------------------------------------------------------------------------


def table(points: Iterable[PublishedPoint]) -> Table:
    """One row a network, by rising cost, its seeds side by side; for `analysis.equal_flops` and `.scaling`.

    Raises `InputError` where a network's rows differ in cost.
    """
    import numpy as np

    by_name: dict[tuple[str, ...], list[PublishedPoint]] = {}
    for point in points:
        key = (point.name, *(str(getattr(point, field)) for field in PLANE))
        by_name.setdefault(key, []).append(point)
    groups = sorted(by_name.values(), key=lambda group: group[0].gflops)
    for group in groups:
        if len({point.gflops for point in group}) > 1:
            costs = ", ".join(f"{point.gflops:g}" for point in group)
            raise InputError(f"results: {group[0].name!r} has several costs ({costs} GFLOPs)")
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


# ---- lines of a file ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Line:
    """A row of a file, whose fields are read by name; a bad one is an error that names file and line."""

    path: Path
    line: int
    row: Row
    defaults: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"

    def has(self, name: str) -> bool:
        return bool(self.row.get(name) or self.defaults.get(name))

    def text(self, name: str) -> str:
        value = self.row.get(name) or self.defaults.get(name)
        if not value:
            raise InputError(f"{self}: no {name}")
        return value

    def number(self, name: str, allowed: Callable[[float], bool], is_: str) -> float:
        text = self.text(name)
        try:
            value = float(re.sub(r"(?<=\d),(?=\d{3}\b)", "", text))  # timm writes 1,014.45
        except ValueError:
            value = math.nan
        if not (math.isfinite(value) and allowed(value)):
            raise InputError(f"{self}: {name} {text!r} must be {is_}")
        return value

    def integer(self, name: str, *, least: int) -> int:
        value = self.number(name, lambda v: v == int(v) and v >= least, f"a whole number from {least}")
        return int(value)


def _rows(path: Path) -> tuple[list[str], list[tuple[int, Row]]]:
    """The column names and the rows of a CSV file, each with its line number. Raises `InputError`."""
    lines = read_text(path, str(path)).removeprefix("\ufeff").splitlines()
    reader = csv.reader(lines, skipinitialspace=True)
    rows: list[tuple[int, Row]] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(values)} fields; the header has {len(columns)}"
                )
            fields = zip(columns, (value.strip() for value in values), strict=True)
            rows.append((reader.line_num, dict(fields)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from None
    if len(set(columns)) != len(columns):
        twice = next(name for name in columns if columns.count(name) > 1)
        raise InputError(f"{path}: the column {twice!r} is there twice")
    if not rows:
        raise InputError(f"{path}: no rows under a header of column names")
    return columns, rows
