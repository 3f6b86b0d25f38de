"""timm's result files: accuracy in one, cost in another, families and pre-training in names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.points.printed import VALIDATION
from analysis.points.result import Result, check_repeats, is_positive, source_name
from analysis.points.rows import Line, Rows, read_rows, reading
from analysis.points.timm_names import timm_family, timm_pretrain, timm_recipe
from space.errors import InputError, quoted

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


@dataclass(frozen=True)
class TimmResults:
    """What timm's files give together; `left_out` says of each other row of the results why it is not in.

    `said` is a line a file: what was read of it, and what was left out.
    """

    points: tuple[Result, ...]
    left_out: tuple[str, ...]
    said: tuple[str, ...]


def is_timm(path: str | Path) -> bool:
    """Whether the CSV file is one of timm's: accuracies or costs. Raises `InputError`."""
    return is_timm_rows(read_rows(Path(path)))


def is_timm_rows(file: Rows) -> bool:
    """Whether rows are timm's accuracies or costs."""
    return any(set(needed) <= set(file.columns) for needed in (TIMM_RESULTS, TIMM_COSTS))


def read_timm(*paths: str | Path) -> TimmResults:
    """timm's accuracies (results-imagenet.csv) with its costs (benchmark-infer-*.csv), in any order.

    A row of accuracy is joined with costs of the same model and the same image size: top-1 at 288 pixels is
    never put beside the FLOPs at 224. Costs of a model hold for all its weights (`convnext_tiny` for
    `convnext_tiny.fb_in1k`). Family and pre-training set follow from the name
    (`analysis.points.timm_names`); rows whose name the rules do not know are left out. The recipe is the tag
    of the weights, the source the accuracy file's name, which also tells the test set. Raises `InputError`.
    """
    files = [read_rows(Path(path)) for path in paths]
    return join_timm(files, Counter(file.path.name for file in files))


def join_timm(files: Sequence[Rows], names: Mapping[str, int]) -> TimmResults:
    """Accuracies joined with costs, of files that are read. Raises `InputError`."""
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
                points.append(_timm_point(line, gmacs, source_name(file.path, names)))
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
    check_repeats(points)
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
        params_m=line.number("param_count", is_positive, "above 0"),
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
