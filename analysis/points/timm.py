"""timm's result files: accuracy in one, cost in another, families and pre-training in names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from analysis.points.printed import VALIDATION
from analysis.points.result import OwnResult, check_repeats, is_positive, source_name
from analysis.points.rows import FileLine, FileRows, reading
from analysis.points.timm_names import timm_family, timm_pretrain, timm_recipe
from space.errors import InputError

TIMM_RESULTS = ("model", "top1", "param_count", "img_size")
TIMM_COSTS = ("model", "infer_img_size", "infer_gmacs")
# a benchmark on a CPU may count nothing
TIMM_SPEEDS = ("model", "infer_img_size", "infer_samples_per_sec")
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


def is_timm_rows(file: FileRows) -> bool:
    """Whether rows are timm's accuracies or costs."""
    return any(set(needed) <= set(file.columns) for needed in (TIMM_RESULTS, TIMM_COSTS, TIMM_SPEEDS))


def join_timm(files: Sequence[FileRows], names: Mapping[str, int]) -> tuple[list[OwnResult], list[str]]:
    """timm's accuracies (results-imagenet.csv) with its costs (benchmark-infer-*.csv); a line a file on them.

    A row of accuracy is joined with costs of the same model and the same image size: top-1 at 288 pixels is
    never put beside the FLOPs at 224. Costs of a model hold for all its weights (`convnext_tiny` for
    `convnext_tiny.fb_in1k`). Family and pre-training set follow from the name
    (`analysis.points.timm_names`); rows whose name the rules do not know are left out. The recipe is the tag
    of the weights, the source the accuracy file's name, which also tells the test set. Raises `InputError`.
    """
    accuracies, costs = _timm_files(files)
    by_model, said = _timm_costs(costs)
    points: list[OwnResult] = []
    for file in accuracies:
        reasons: dict[str, list[str]] = {}
        before = len(points)
        for line in file.lines():
            model, size = line.text("model"), line.integer("img_size", least=1)
            bare = model.partition(".")[0]
            cost = by_model.get((model, size), by_model.get((bare, size)))
            reason = _unusable(model, cost)
            if cost is not None and not reason:
                points.append(_timm_point(line, cost, source_name(file.path, names)))
            else:
                reasons.setdefault(reason, []).append(model)
        said.append(reading(file.path, len(file.rows), len(points) - before, reasons))
    if not points and not any(
        model_known(line.text("model")) for file in accuracies for line in file.lines()
    ):
        raise InputError(f"{accuracies[0].path}: no name of a model is one of timm's")
    if not points:
        raise InputError(f"{accuracies[0].path}: no model has costs at its image size in {costs[0].path}")
    check_repeats(points)
    return points, said


def _unusable(model: str, cost: _Cost | None) -> str:
    """Why a row cannot be used; empty where it can."""
    if timm_pretrain(model) is None:
        return "of weights that the rules do not know"
    if timm_family(model) is None:
        return "of families that the rules do not know"
    return "" if cost is not None and cost.counts else "without costs at their image size"


def model_known(model: str) -> bool:
    """Whether the rules tell family and pre-training set of a timm model."""
    return timm_pretrain(model) is not None and timm_family(model) is not None


def _timm_files(files: Sequence[FileRows]) -> tuple[list[FileRows], list[FileRows]]:
    found: tuple[list[FileRows], list[FileRows]] = ([], [])
    for file in files:
        found[not set(TIMM_RESULTS) <= set(file.columns)].append(file)
    for kind, what in zip(
        found, ("accuracies: results-imagenet.csv", "costs: benchmark-infer-*.csv"), strict=True
    ):
        if not kind:
            given = ", ".join(str(file.path) for file in files)
            raise InputError(f"{given}: no file of {what}")
    return found


@dataclass
class _Cost:
    """Of a model at an image size: GMACs and activations (M) by file, images a second by device."""

    counts: dict[Path, tuple[float, float]] = field(default_factory=dict)
    speeds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def counted(self) -> tuple[float, float]:
        """What most files say, of several such the first; 0 GMACs where none has a count.

        timm's versions differ: some do not see fused attention, others fuse branches before they count.
        """
        most = Counter(gmacs for gmacs, _ in self.counts.values()).most_common(1)
        return next((count for count in self.counts.values() if count[0] == most[0][0]), (0.0, math.nan))


def _timm_costs(files: Sequence[FileRows]) -> tuple[dict[tuple[str, int], _Cost], list[str]]:
    """Costs by model and image size, and a line a file; rows without a count give their speed alone."""
    found: dict[tuple[str, int], _Cost] = {}
    uncounted = {file.path: [_read_cost(line, found) for line in file.lines()] for file in files}
    said = []
    for file in files:
        without = [name for name in uncounted[file.path] if name]
        rows = len(file.rows)
        if "infer_gmacs" in file.columns:
            told = reading(file.path, rows, rows - len(without), {"without a count of GMACs": without})
        else:
            told = f"{reading(file.path, rows, rows, {})}: speeds only, there is no column of GMACs"
        # printed to 2 digits, so the last one may differ
        others = [
            f"{model} at {size} pixels {cost.counts[file.path][0]:g}, {cost.counted[0]:g} kept"
            for (model, size), cost in found.items()
            if file.path in cost.counts and abs(cost.counts[file.path][0] - cost.counted[0]) > 0.011
        ]
        if others:
            more = f", {others[0]}" + (", ..." if len(others) > 1 else "")
            told += f"; {len(others)} counted otherwise than in most files{more}"
        said.append(told)
    return found, said


def _read_cost(line: FileLine, found: dict[tuple[str, int], _Cost]) -> str:
    """Add what a row says; the model where it has no count of GMACs."""
    known = {
        name: line.number(name, lambda v: v >= 0, "not below 0") if line.has(name) else 0.0
        for name in ("infer_samples_per_sec", "infer_gmacs", "infer_macts")
    }
    key = line.text("model"), line.integer("infer_img_size", least=1)
    cost = found.setdefault(key, _Cost())
    speed, gmacs, activations = known.values()
    if speed:  # 0 of what did not run there
        cost.speeds[timm_device(line.file.path)] = speed
    if not gmacs:  # timm could not count that model
        return key[0]
    cost.counts[line.file.path] = gmacs, activations or math.nan
    return ""


def timm_device(path: Path) -> str:
    """What a benchmark ran on, by the file's name: `amp-nhwc-pt240-cu124-rtx3090`."""
    return re.sub(r" ?\(\d+\)$", "", path.stem).removeprefix("benchmark-infer-")


def _timm_point(line: FileLine, cost: _Cost, source: str) -> OwnResult:
    model = line.text("model")
    return OwnResult(
        name=model,
        family=timm_family(model) or "",
        pretrain=timm_pretrain(model) or "",
        resolution=line.integer("img_size", least=1),
        top1=line.number("top1", lambda v: 0 <= v <= 100, "percent, from 0 to 100"),
        params_m=line.number("param_count", is_positive, "above 0"),
        gflops=cost.counted[0],
        images_per_s=None,
        device=None,
        source=source,
        test_set=timm_test_set(line.file.path),
        recipe=timm_recipe(model),
        place=str(line),
        activations_m=cost.counted[1],
        speeds=tuple(cost.speeds.items()),
    )


def timm_test_set(path: Path) -> str:
    """The images and labels of one of timm's files of accuracies; of an unknown name the file itself."""
    # a browser calls a second download "results-imagenet (1).csv"
    return TIMM_TEST_SETS.get(re.sub(r" ?\(\d+\)$", "", path.stem), f"that of {path.name}")
