"""Whole trainings in their folders, read to be compared: each network with all its seeds.

A folder is what `nas.train` writes: one training, or several with a `trainings.json`, or the export in which
such a folder lies, under the name that `nas.train` gives it beside a recipe.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas.training.predictions import Predictions, read_predictions
from nas.training.trainings import CONTROL, NETWORK, TrainingEntry, read_trainings
from nas.training.trainings import FILE as SEVERAL
from space.errors import InputError, quoted, shortened, word
from space.reading import parse_json, parse_yaml, read_text
from space.words import listed

SUMMARY, RECIPE, LAST = "summary.json", "recipe.yaml", "checkpoint-last.pt"
BESIDE = ("trained", "*/trained")  # where nas.train puts what it trains of a recipe in an export
# of a recipe: what may differ between trainings that are alike
OWN = ("architecture", "seed", "batch_size", "accumulation", "devices", "data.classes")
MOST_CLASSES = 10**6
MOST_NAME = 60
NUMBERS = ("macs", "params", "resolution", "epochs", "recipe_epochs", "seed", "train_seconds", "eval_seconds",
           "images_per_second")  # fmt: skip


@dataclass(frozen=True, eq=False)
class Trained:
    """One whole training: its summary, its recipe's other fields by name, its predictions if it kept any."""

    folder: Path
    summary: Mapping[str, Any]
    recipe: Mapping[str, Any]
    predictions: Predictions | None

    @property
    def seed(self) -> int:
        """Its seed."""
        return int(self.summary["seed"])

    @cached_property
    def accuracy(self) -> float:
        """Top-1, in [0, 1], of the best epoch's better weights."""
        best = self.summary["best"]
        return max(float(best["val_accuracy"]), float(best.get("ema_accuracy") or 0.0))

    @property
    def seconds(self) -> float:
        """Of training and validation."""
        return float(self.summary["train_seconds"]) + float(self.summary["eval_seconds"])

    @property
    def whole(self) -> bool:
        """Whether all its epochs are done."""
        return bool(self.summary["epochs"] >= self.summary["recipe_epochs"])


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A network's trainings by seed."""

    name: str
    role: str
    by_seed: Mapping[int, Trained]

    @property
    def first(self) -> Trained:
        """The training with the least seed; what all seeds have in common stands in its summary."""
        return self.by_seed[min(self.by_seed)]

    @property
    def accuracies(self) -> dict[int, float]:
        """Top-1 by seed."""
        return {seed: trained.accuracy for seed, trained in sorted(self.by_seed.items())}

    @property
    def mean(self) -> float:
        """Of the accuracies."""
        return math.fsum(self.accuracies.values()) / len(self.by_seed)

    @property
    def seconds(self) -> float:
        """A training's, on average."""
        return math.fsum(one.seconds for one in self.by_seed.values()) / len(self.by_seed)

    @property
    def peak_memory(self) -> int | None:
        """The most bytes that one of its trainings had in use; None where that is not known."""
        known = [one.summary.get("peak_memory") for one in self.by_seed.values()]
        return max((int(bytes_) for bytes_ in known if isinstance(bytes_, int)), default=None)

    @property
    def answers(self) -> dict[int, Predictions]:
        """The predictions by seed, of the trainings that kept them."""
        return {s: one.predictions for s, one in self.by_seed.items() if one.predictions is not None}

    @cached_property
    def labelled(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Labels and predictions of all seeds, one after the other."""
        every = [*self.answers.values()]
        empty = np.zeros(0, dtype=np.int32)
        labels = np.concatenate([empty, *(one.label for one in every)])
        return labels, np.concatenate([empty, *(one.predicted for one in every)])

    def confusion(self, classes: int) -> NDArray[np.int64]:
        """int64 [classes, classes]: images of a class (row) by what they are taken for, over all seeds."""
        label, predicted = self.labelled
        counts = np.bincount(label.astype(np.int64) * classes + predicted, minlength=classes**2)
        return counts.reshape(classes, classes)

    def by_class(self, classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """int64 [classes] each: images of a class over all seeds, and those that are right."""
        label, predicted = self.labelled
        right = label[label == predicted]
        return np.bincount(label, minlength=classes), np.bincount(right, minlength=classes)


@dataclass(frozen=True, eq=False)
class Trainings:
    """What is compared: the network's group, the controls', and what there is to say of what was left out."""

    network: TrainedNetwork
    controls: tuple[TrainedNetwork, ...]
    notes: tuple[str, ...]

    @property
    def groups(self) -> tuple[TrainedNetwork, ...]:
        """The network first."""
        return (self.network, *self.controls)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names by label, numbers where they have none."""
        summary = self.network.first.summary
        return tuple(summary["classes"] or map(str, range(summary["num_classes"])))


def is_trained(folder: str | Path) -> bool:
    """Whether this is a folder of trainings, not a study's."""
    return bool(_places(Path(folder)))


def _places(folder: Path) -> list[Path]:
    """The folders of trainings that this one is or holds."""

    def holds(each: Path) -> bool:
        return (each / SEVERAL).exists() or (
            (each / RECIPE).exists() and ((each / SUMMARY).exists() or (each / LAST).exists())
        )

    try:
        if holds(folder):
            return [folder]
        return sorted(each for pattern in BESIDE for each in folder.glob(pattern) if holds(each))
    except (OSError, ValueError):  # a NUL in a path is a ValueError
        return []


def read_folders(folders: Sequence[str | Path]) -> Trainings:
    """The network of the first folder and every other one as a control. Raises `InputError`."""
    groups: list[TrainedNetwork] = []
    notes: list[str] = []
    for text in folders:
        if not is_trained(text):
            raise InputError(
                f"{text}: holds no training of nas.train; studies are not compared with trainings"
            )
        folder = Path(text)
        found = [each for place in _places(folder) for each in _groups(place, _title(folder), notes)]
        if not groups:  # the first one's own network comes before its controls
            found.sort(key=lambda group: group.role != NETWORK)
        groups += _named_apart(found, groups, _title(folder))
    if not groups:
        raise InputError(f"{folders[0]}: no training is whole yet: {'; '.join(notes)}")
    network, *controls = groups
    if not controls:
        notes.append(
            "nothing to compare it with: nas.train --control nearest trains a control beside it, and another "
            "folder may hold one"
        )
    for group in controls:
        _refuse_other_data(network.first, group.first)
    notes += _starts(groups) + _differences(network, controls)
    return Trainings(network, tuple(replace(group, role=CONTROL) for group in controls), tuple(notes))


def _title(folder: Path) -> str:
    """What a folder's one network is called: as the export that it is of, where it lies in one."""
    own = folder.resolve()
    return shortened(own.parent.name if own.name == BESIDE[0] else own.name, MOST_NAME) or NETWORK


def _groups(folder: Path, title: str, notes: list[str]) -> list[TrainedNetwork]:
    entries = read_trainings(folder)
    found: dict[tuple[str, str], dict[int, Trained]] = defaultdict(dict)
    if entries is None:
        entries = [TrainingEntry(title, NETWORK, 0, ".")]
    for entry in entries:
        trained = _read(folder / entry.folder)
        if trained is None or not trained.whole:
            done = "not begun" if trained is None else (
                f"after epoch {trained.summary['epochs']} of {trained.summary['recipe_epochs']}")  # fmt: skip
            notes.append(f"{folder / entry.folder}: {done}, left out; nas.train --resume goes on")
        else:
            found[entry.name, entry.role][trained.seed] = trained
    return [TrainedNetwork(name, role, by_seed) for (name, role), by_seed in found.items()]


def _named_apart(
    found: Sequence[TrainedNetwork], before: Sequence[TrainedNetwork], title: str
) -> list[TrainedNetwork]:
    """No two groups of one name: the folder's title makes them differ."""
    taken, named = {group.name for group in before}, []
    for group in found:
        name = group.name
        if name in taken or (name == NETWORK and before):
            name = title if name == NETWORK else f"{title}/{name}"
        while name in taken:
            name += " (2)"
        taken.add(name)
        named.append(replace(group, name=name))
    return named


# ---- one training ---------------------------------------------------------------------------------------


def _read(folder: Path) -> Trained | None:
    """None where it has not ended its first epoch. Raises `InputError`."""
    path = folder / SUMMARY
    if not path.exists():
        return None
    summary = parse_json(read_text(path, str(path)), str(path))
    _check(summary, path)
    where = str(folder / RECIPE)
    recipe = parse_yaml(read_text(folder / RECIPE, where), where)
    if not isinstance(recipe, dict):
        raise InputError(f"{where}: is no recipe")
    predictions = read_predictions(folder)
    classes, images = summary["num_classes"], summary["data"]["val_size"]
    if predictions is not None:
        largest = max(predictions.label.max(), predictions.predicted.max())
        if len(predictions.label) != images or largest >= classes:
            raise InputError(
                f"{folder}: its predictions are not of its {images} images and {classes} classes"
            )
    return Trained(folder, summary, _flat(recipe), predictions)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _check(summary: Any, path: Path) -> None:
    """Raises `InputError` unless these are a training's values."""
    if not isinstance(summary, dict):
        raise InputError(f"{path}: is no training's summary")
    best, data, names = summary.get("best"), summary.get("data"), summary.get("classes")
    count = summary.get("num_classes")
    tops = [best.get("val_accuracy"), best.get("ema_accuracy") or 0.0] if isinstance(best, dict) else [None]
    fits = {
        **{name: _number(summary.get(name)) for name in NUMBERS},
        **{name: isinstance(summary.get(name), str) for name in ("network", "architecture")},
        "best": all(_number(top) and float(top or 0) <= 1 for top in tops),
        "num_classes": isinstance(count, int) and 1 <= count <= MOST_CLASSES,
        "classes": names is None or _are_names(names, count),
        "data": isinstance(data, dict) and isinstance(data.get("val_size"), int),
    }
    wrong = [name for name, right in fits.items() if not right]
    if wrong:
        raise InputError(f"{path}: {wrong[0]}: not as nas.train writes it")


def _are_names(names: Any, count: Any) -> bool:
    return isinstance(names, list) and len(names) == count and all(isinstance(name, str) for name in names)


def _flat(values: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Nested values by dotted names, without those that may differ."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{before}{key}"
        if name in OWN:
            continue
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _refuse_other_data(one: Trained, other: Trained) -> None:
    """Raises `InputError` where two were not validated on the same images."""
    for name in ("classes", "num_classes"):
        if one.summary[name] != other.summary[name]:
            raise InputError(f"{one.folder} and {other.folder}: other classes: accuracies are not compared")
    data = [each.summary["data"].get("fingerprint") for each in (one, other)]
    if data[0] != data[1]:
        raise InputError(
            f"{one.folder} and {other.folder}: trained on other images ({word(data[0])}, {word(data[1])}): "
            "their accuracies are not compared"
        )


def _starts(groups: Sequence[TrainedNetwork]) -> list[str]:
    """Whose trainings start from weights, in lines, and whose do not, where some do."""
    lines, scratch = [], []
    for group in groups:
        init = group.first.summary.get("init")
        if not isinstance(init, Mapping):
            scratch.append(group.name)
            continue
        counts = [init.get(name) for name in ("taken", "parameters")]
        taken, parameters = (float(n or 0) if _number(n) else 0.0 for n in counts)
        share = f", {taken / parameters:.0%} of its parameters" if parameters else ""
        network, file = (word(str(init.get(name))) for name in ("network", "file"))
        lines.append(f"{group.name} starts from the weights of {network} in {file}{share}")
    if lines and scratch:
        lines.append(f"{listed(scratch)} from scratch")
    return lines


def _differences(network: TrainedNetwork, controls: Sequence[TrainedNetwork]) -> list[str]:
    """In what else than the network the trainings differ, in lines."""
    lines = []
    for group in controls:
        there, here = group.first.recipe, network.first.recipe
        names = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        told = [f"{name} {quoted(here.get(name))} against {quoted(there.get(name))}" for name in names[:4]]
        more = f" and {len(names) - 4} more" if len(names) > 4 else ""
        if told:
            lines.append(f"{network.name} and {group.name} were not trained alike: {', '.join(told)}{more}")
    return lines
