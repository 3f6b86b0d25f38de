"""A comparison of trained networks in sentences, as tables, and as plain values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.comparison.claims import COST_TOLD
from analysis.comparison.contrast import Contrast, contrast
from analysis.comparison.trained import TrainedNetwork, Trainings
from nas.verdict.confirm import LEVEL
from nas.verdict.difference import UNCLEAR, Difference
from space.words import plural

MOST_MIX_UPS = 5
MOST_MATRIX = 300  # classes; the matrix has their square
COLUMNS = (
    "name", "role", "network", "seeds", "accuracy", "accuracy_std", "gflops", "params_m", "seconds",
    "images_per_second", "peak_memory_gb", "device",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Compared:
    """Trainings, and what the network is less each control."""

    trainings: Trainings
    contrasts: tuple[Contrast, ...]


def compared(trainings: Trainings) -> Compared:
    """Each control's difference."""
    return Compared(trainings, tuple(contrast(trainings.network, control) for control in trainings.controls))


# ---- sentences ------------------------------------------------------------------------------------------


def conditions(found: Compared) -> str:
    """What an accuracy means here."""
    summary = found.trainings.network.first.summary
    data = summary["data"]
    return (
        f"top-1 on {data['val_size']:,} validation images of {data.get('name')}, "
        f"{plural(summary['num_classes'], 'class', 'classes')} at {summary['resolution']} pixels; of each "
        "training its best epoch's, chosen by these images, for all alike"
    )


def sentences(found: Compared) -> list[str]:
    """The verdicts, how sure each is, and what would tell; then what is to be known of the trainings."""
    lines = []
    for each in found.contrasts:
        lines += [verdict(found.trainings.network, each), sure(each)]
        lines += filter(None, [would_tell(each)])
    return [*lines, *(f"{note}." for note in found.trainings.notes)]


def verdict(network: TrainedNetwork, one: Contrast) -> str:
    """Such as `network is better than convnext_tiny by 1.2 points (95% interval +0.4 to +2.0)`."""
    value, name = one.by_seeds.value, one.control.name
    low, high = one.reach
    if one.verdict is None:
        return (
            f"{network.name} less {name}: {100 * value:+.1f} points, and no interval: one training each, and "
            "no predictions kept."
        )
    ends = f"{LEVEL:.0%} interval {100 * low:+.1f} to {100 * high:+.1f}"
    if one.seeds == 1:
        ends += ", for these two trainings"
    if one.too_few:
        ends = "two seeds give no useful interval"
    cost = _cost(network, one.control)
    if one.verdict == UNCLEAR:
        return f"{network.name} is not distinguishable from {name}: {100 * value:+.1f} points, {ends}{cost}."
    return f"{network.name} is {one.verdict} than {name} by {100 * abs(value):.1f} points ({ends}){cost}."


def _cost(network: TrainedNetwork, control: TrainedNetwork) -> str:
    """What the network costs more or less, where it is worth saying."""
    gap = network.first.summary["macs"] / max(control.first.summary["macs"], 1) - 1
    if abs(gap) <= COST_TOLD:
        return ""
    return f"; it costs {abs(gap):.0%} {'more' if gap > 0 else 'fewer'} FLOPs"


def sure(one: Contrast) -> str:
    """What the intervals rest on."""
    parts = []
    if one.too_few:
        pairs = " and ".join(f"{100 * each:+.1f}" for each in one.by_seeds.pairs)
        parts.append(f"by seed {pairs}" if pairs else "of one of them two seeds, not paired")
    elif math.isfinite(one.by_seeds.low):
        how = f"over {one.seeds} paired seeds" if one.seeds else "over the seeds of both, not paired"
        parts.append(f"{how} {_ends(one.by_seeds)}")
    if one.by_images is not None and one.won is not None and one.lost is not None:
        each = "" if one.seeds == 1 else ", a seed on average"
        parts.append(
            f"over the validation images {_ends(one.by_images)} (right alone: {one.won:,.0f} against "
            f"{one.lost:,.0f}{each})"
        )
    if not math.isfinite(one.by_seeds.low):
        parts.append("one seed: how much another would change is not in it")
    return f"How sure: {'; '.join(parts)}."


def _ends(difference: Difference) -> str:
    return f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}"


def would_tell(one: Contrast) -> str:
    """What it would take to tell a difference as large as this one; "" where it is told."""
    if not math.isfinite(one.by_seeds.low):
        return "What would tell: --seeds 3 or more, of both."
    if one.verdict != UNCLEAR:
        return ""
    if one.too_few:
        return (
            "What would tell: --seeds 3 or more, of both (--continue trains what is lacking); how many, two "
            "cannot say."
        )
    value = f"{100 * abs(one.by_seeds.value):.1f} points"
    needs = []
    if one.by_seeds.verdict == UNCLEAR:
        needs.append(
            f"about {one.seeds_to_tell} seeds" if one.seeds_to_tell else "more seeds than anybody trains"
        )
    if one.by_images is not None and one.images_to_tell:
        needs.append(f"about {one.images_to_tell:,} validation images")
    if not needs or one.by_seeds.value == 0:
        return "What would tell: nothing; there is no difference to tell."
    return f"What would tell: {' and '.join(needs)}, if it is as large as it looks ({value})."


def mix_ups(found: Compared, most: int = MOST_MIX_UPS) -> list[tuple[str, str, int, int]]:
    """Class, what it is taken for, how often, and its images, both over all seeds; the commonest first."""
    names = found.trainings.classes
    label, predicted = found.trainings.network.labelled
    wrong = label != predicted
    pairs, counts = np.unique(np.stack([label[wrong], predicted[wrong]]), axis=1, return_counts=True)
    images, _ = found.trainings.network.by_class(len(names))
    order = np.argsort(-counts, kind="stable")[:most].tolist()
    return [(names[pairs[0, k]], names[pairs[1, k]], int(counts[k]), int(images[pairs[0, k]])) for k in order]


# ---- tables ---------------------------------------------------------------------------------------------


def rows(found: Compared) -> list[dict[str, Any]]:
    """A row of `COLUMNS` a network; accuracies are fractions of 1, seconds a training's mean."""
    return [_row(group) for group in found.trainings.groups]


def _row(group: TrainedNetwork) -> dict[str, Any]:
    values, summary = list(group.accuracies.values()), group.first.summary
    spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
    memory = group.peak_memory
    rates = [float(one.summary["images_per_second"]) for one in group.by_seed.values()]
    return dict(
        zip(
            COLUMNS,
            (
                group.name, group.role, summary["network"], sorted(group.by_seed), group.mean, spread,
                summary["macs"] / 1e9, summary["params"] / 1e6, group.seconds, sum(rates) / len(rates),
                None if memory is None else memory / 1e9, summary.get("device"),
            ),
            strict=True,
        )
    )  # fmt: skip


@dataclass(frozen=True)
class OfClass:
    """A class: its validation images, and the share of them that each network has right, over its seeds.

    None for a network without predictions.
    """

    name: str
    images: int
    right: tuple[float | None, ...]

    @property
    def gain(self) -> float | None:
        """The network's less the first control's."""
        ours, theirs = (*self.right, None)[:2]
        return None if ours is None or theirs is None else ours - theirs


def of_classes(found: Compared) -> list[OfClass]:
    """Every class that has validation images, by label; empty where the network has kept no predictions."""
    names, answers = found.trainings.classes, found.trainings.network.answers
    if not answers:
        return []
    images = np.bincount(next(iter(answers.values())).label, minlength=len(names))
    counts = [group.by_class(len(names)) for group in found.trainings.groups]
    return [
        OfClass(name, int(images[i]), tuple(int(r[i]) / int(n[i]) if n[i] else None for n, r in counts))
        for i, name in enumerate(names)
        if images[i]
    ]


def confusion(found: Compared) -> list[list[int]] | None:
    """Rows of the network's confusion matrix over all seeds; None without predictions, or of many classes."""
    trainings = found.trainings
    if not trainings.network.answers or len(trainings.classes) > MOST_MATRIX:
        return None
    rows_: list[list[int]] = trainings.network.confusion(len(trainings.classes)).tolist()
    return rows_


# ---- plain values ---------------------------------------------------------------------------------------


def as_json(found: Compared) -> dict[str, Any]:
    """Everything as plain values; ends that are not known are None."""
    trainings = found.trainings
    return {
        "conditions": conditions(found),
        "level": LEVEL,
        "networks": [
            row | {"accuracies": {str(seed): value for seed, value in group.accuracies.items()}}
            for row, group in zip(rows(found), trainings.groups, strict=True)
        ],
        "differences": [_plain(each) for each in found.contrasts],
        "classes": [
            {"name": one.name, "images": one.images, "right": list(one.right)} for one in of_classes(found)
        ],
        "confusion": confusion(found),
        "notes": list(trainings.notes),
        "sentences": sentences(found),
    }


def _plain(one: Contrast) -> dict[str, Any]:
    return {
        "control": one.control.name,
        "seeds": one.seeds,
        "difference": one.by_seeds.value,
        "by_seeds": _interval(one.by_seeds),
        "by_images": _interval(one.by_images),
        "right_alone": None if one.won is None else [one.won, one.lost],
        "verdict": one.verdict,
        "seeds_to_tell": one.seeds_to_tell,
        "images_to_tell": one.images_to_tell,
    }


def _interval(found: Difference | None) -> list[float] | None:
    known = found is not None and math.isfinite(found.low)
    return [found.low, found.high] if known and found is not None else None
