"""The networks of a study in groups of equal cost, with the dimensions of their shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from analysis.axes.shapes import Shapes, shapes_of
from space.columns import Columns
from space.errors import InputError
from space.stage import OPTIONS

if TYPE_CHECKING:
    from nas.record.study import Study, Tried
    from space.architecture import Architecture

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LABELS: Mapping[str, str] = {
    "depth": "depth (blocks)",
    "width": "base width",
    "expansion": "expansion",
    "kernel_size": "kernel size",
    "stage_ratio": "stage ratio",
}
MEANINGS: Mapping[str, str] = {
    "depth": "blocks of all stages",
    "width": "channels of the first stage",
    "expansion": "geometric mean over the stages",
    "kernel_size": "geometric mean over the stages",
    "stage_ratio": "blocks of the last stage but one against the geometric mean of the other stages'",
}
DIMENSIONS = tuple(LABELS)
# families of networks whose shape these dimensions describe
SHAPED = ("searched", "ConvNeXt")
MOST = 4000  # networks that are looked at
SPREAD = 2.0  # a factor in cost over which scaling can be told
BINS, PER_BIN = 6, 20


@dataclass(frozen=True)
class Group:
    """Networks of about equal cost: `cost` is their geometric mean, in the metric of the study's budget."""

    text: str
    cost: float
    networks: int


@dataclass(frozen=True)
class Sample:
    """n networks in groups of equal cost: `error` are mean fractions over `seeds` trainings, all (n,).

    `dimensions` holds log2 of each, (n,); `categories` indicators of settings that have no order, (n, q);
    `stages` how a setting is spread over the stages, in octaves over its mean, (n, stages) each.
    `seed_variance` is that of one training, None where no network has two.
    """

    networks: Sequence[Tried] = field(repr=False)
    groups: tuple[Group, ...]
    group: Ints = field(repr=False)
    cost: Floats = field(repr=False)
    error: Floats = field(repr=False)
    seeds: Floats = field(repr=False)
    dimensions: Mapping[str, Floats] = field(repr=False)
    categories: Floats = field(repr=False)
    stages: Sequence[Floats] = field(repr=False, default=())
    seed_variance: float | None = None
    left_out: int = 0


def sample_of(study: Study) -> Sample:
    """The ConvNets inside the study's budgets, full-fidelity results only. Raises `InputError` for none.

    A range of costs over a factor of 2 or more is cut into groups of equally many networks by rising cost.
    """
    shaped = [tried for tried in study.networks if _is_shaped(tried)]
    costs = np.array([getattr(tried, study.metric) for tried in shaped], dtype=np.float64)
    groups, texts = _groups(study.bands, costs)
    rows = np.flatnonzero(groups >= 0)
    left_out = max(0, rows.size - MOST)
    if left_out:
        # a fixed seed: the same study gives the same page
        rows = np.sort(np.random.default_rng(0).choice(rows, MOST, replace=False))
    if not rows.size:
        raise InputError(f"study {study.name}: no network with a full-fidelity result inside the budget")
    shapes = shapes_of([shaped[i].architecture for i in rows])
    stages = shapes.stages.tolist()
    usual = max(set(stages), key=stages.count)  # of others the stages do not correspond
    kept = np.flatnonzero(shapes.stages == usual)
    rows, shapes = rows[kept], shapes.take(kept)
    present, group = np.unique(groups[rows], return_inverse=True)
    cost = costs[rows]
    found = tuple(
        Group(texts[g], float(np.exp(np.log(cost[group == i]).mean())), int((group == i).sum()))
        for i, g in enumerate(present)
    )
    networks = [shaped[i] for i in rows]
    return Sample(
        networks=networks,
        groups=found,
        group=group.astype(np.int64),
        cost=cost,
        error=np.array([1 - tried.accuracy for tried in networks]),
        seeds=np.array([len(tried.accuracies) for tried in networks], dtype=np.float64),
        dimensions=dimensions(shapes.columns, len(networks)),
        stages=_spread(shapes.columns, len(networks)),
        categories=_indicators(shapes),
        seed_variance=_seed_variance(networks),
        left_out=left_out,
    )


def group_of(study: Study, networks: Sequence[Tried]) -> Ints:
    """The group of each of the networks by rising cost, -1 outside the study's budgets: (n,)."""
    costs = np.array([getattr(tried, study.metric) for tried in networks], dtype=np.float64)
    return _groups(study.bands, costs)[0]


def _is_shaped(tried: Tried) -> bool:
    """Whether it is a ConvNeXt-like network, whose shape the dimensions describe."""
    if tried.architecture.get("family") is not None:
        return False
    return tried.family in SHAPED or (tried.name or "").startswith("convnext_")


def dimensions(columns: Columns, count: int) -> dict[str, Floats]:
    """log2 of every dimension of `count` networks, (n,) each; no stage ratio for networks of one stage."""
    depth, width = _stacked(columns, "depth", count), _stacked(columns, "width", count)
    here = depth > 0
    present = here.sum(axis=1)
    found = {
        "depth": np.log2(depth.sum(axis=1)),
        "width": np.log2(width[:, 0]),
        "expansion": _mean_log(_expansion(columns, count), here),
        "kernel_size": _mean_log(_stacked(columns, "kernel_size", count), here),
    }
    if present.min(initial=9) >= 2:
        longest = np.arange(depth.shape[1]) == (present - 2)[:, None]
        found["stage_ratio"] = _mean_log(depth, longest) - _mean_log(depth, here & ~longest)
    return found


def _spread(columns: Columns, count: int) -> list[Floats]:
    """Octaves of each stage's kernel size and expansion over their mean, (n, stages) each."""
    logs = [
        np.log2(np.maximum(_stacked(columns, "kernel_size", count), 1)),
        np.log2(_expansion(columns, count)),
    ]
    return [np.asarray(one - one.mean(axis=1, keepdims=True)) for one in logs]


def _stacked(columns: Columns, name: str, count: int) -> Floats:
    """A field of all stages, (n, stages)."""
    fields = [np.broadcast_to(getattr(stage, name), count) for stage in columns.stages]
    return np.stack(fields, axis=1).astype(np.float64)


def _expansion(columns: Columns, count: int) -> Floats:
    """Of each stage, (n, stages); 1 where there is no such stage."""
    # a bottleneck is narrow inside: its expansion is how much wider it comes out
    widest = np.maximum(_stacked(columns, "hidden", count), _stacked(columns, "out", count))
    width = _stacked(columns, "width", count)
    return np.asarray(np.where(width > 0, widest, 1.0) / np.maximum(width, 1))


def _mean_log(values: Floats, where: NDArray[np.bool_]) -> Floats:
    """Mean of log2 over the stages that are meant, (n,)."""
    logs = np.log2(np.where(where, values, 1.0))
    return np.asarray(logs.sum(axis=1) / np.maximum(where.sum(axis=1), 1))


def _groups(bands: Sequence[Mapping[str, Any]], costs: Floats) -> tuple[Ints, list[str]]:
    """The group of each network, -1 where it is in no band, and what the groups are called."""
    group = np.full(costs.size, -1, dtype=np.int64)
    ordered = sorted(bands, key=lambda band: float(band.get("low") or 0))
    for g, band in enumerate(ordered):
        low, high = float(band.get("low") or 0), float(band.get("high") or np.inf)
        # the cheaper band has what lies in two
        group[(costs >= low) & (costs <= high) & (group < 0)] = g
    texts = [str(band.get("text") or "the budget") for band in ordered]
    inside = np.flatnonzero(group >= 0)
    if len(ordered) != 1 or inside.size < 2 or np.ptp(np.log(costs[inside])) < np.log(SPREAD):
        return group, texts
    bins = int(np.clip(inside.size // PER_BIN, 2, BINS))
    return _binned(costs, inside, bins)


def _binned(costs: Floats, inside: Ints, bins: int) -> tuple[Ints, list[str]]:
    """Bins of equally many networks by rising cost, named by the range of cost they hold."""
    from space.budget import quantity

    group = np.full(costs.size, -1, dtype=np.int64)
    texts = []
    parts = np.array_split(inside[np.argsort(costs[inside], kind="stable")], bins)
    for g, part in enumerate(parts):
        group[part] = g
        texts.append(f"{quantity(costs[part].min())} to {quantity(costs[part].max())}")
    return group, texts


def _indicators(shapes: Shapes) -> Floats:
    """One column for every level but the commonest of each setting without an order, (n, q)."""
    columns = []
    for values in _settings(shapes):
        levels, index, counts = np.unique(np.array(values), return_inverse=True, return_counts=True)
        # settings enter a fit all or none: one of many levels would keep the others out
        if 1 < levels.size <= 6:
            others = np.delete(np.arange(levels.size), counts.argmax())
            columns.append((index[:, None] == others).astype(np.float64))
    return np.concatenate(columns, axis=1) if columns else np.zeros((len(shapes.form), 0))


def _settings(shapes: Shapes) -> Iterator[list[str]]:
    for name in ("norm", "activation", "downsampling", "stem", "layer_scale", "head_norm"):
        yield list(map(str, shapes.each(attrgetter(name))))
    for name in ("style", "conv", "spatial", *(o.name for o in OPTIONS), "norm_after", "act_after"):
        yield shapes.each(partial(_by_stage, name))


def _by_stage(name: str, form: Architecture) -> str:
    return str([getattr(stage, name) for stage in form.stages])


def _seed_variance(networks: Sequence[Tried]) -> float | None:
    """Of one training, pooled over the networks that were trained with several seeds."""
    repeated = [list(tried.accuracies.values()) for tried in networks if len(tried.accuracies) > 1]
    freedom = sum(len(values) - 1 for values in repeated)
    if not freedom:
        return None
    return float(sum(np.var(values) * len(values) for values in repeated)) / freedom
