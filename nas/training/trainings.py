"""Several whole trainings in one folder: a network's and its controls', each with the same seeds.

    trainings.json        which trainings these are, and of what
    NAME/seed-S/          a training's own folder, as a single one has it (nas/training/full.py)

A plain file that `analysis.compare` reads; what a training gave stands in its own summary.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from space.errors import InputError, checked_name, quoted
from space.files import write_text
from space.reading import parse_json, read_text
from space.words import plural

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe

FILE = "trainings.json"
NETWORK, CONTROL = "network", "control"  # roles


@dataclass(frozen=True)
class TrainingEntry:
    """A training in the file; `folder` is below the file's own."""

    name: str
    role: str
    seed: int
    folder: str


@dataclass(frozen=True)
class PlannedTraining:
    """One of the trainings that are asked for, before its data are known."""

    entry: TrainingEntry
    recipe: Recipe
    folder: Path

    @property
    def label(self) -> str:
        """For people."""
        return f"{self.entry.name}, seed {self.entry.seed}"


def planned(
    recipe: Recipe, controls: Mapping[str, Recipe], seeds: int, folder: Path
) -> list[PlannedTraining]:
    """Every training, seed by seed, so that what is done at any time can be compared."""
    found, taken = [], {NETWORK}
    names = [(NETWORK, NETWORK, recipe, NETWORK)]
    for name, own in controls.items():
        place = re.sub(r"[^A-Za-z0-9_.-]+", "-", name).strip(".-") or CONTROL
        while place in taken:
            place += "-2"
        taken.add(place)
        names.append((name, CONTROL, own, place))
    for seed in range(recipe.seed, recipe.seed + seeds):
        for name, role, own, place in names:
            entry = TrainingEntry(name, role, seed, f"{place}/seed-{seed}")
            found.append(PlannedTraining(entry, own.changed(seed=seed), folder / entry.folder))
    return found


def read_trainings(folder: Path) -> list[TrainingEntry] | None:
    """The trainings that a folder's file tells of; None without one. Raises `InputError`."""
    path = folder / FILE
    if not os.path.lexists(path):
        return None
    values = parse_json(read_text(path, str(path)), str(path))
    rows = values.get("trainings") if isinstance(values, dict) else None
    if not isinstance(rows, list) or not rows:
        raise InputError(f"{path}: holds no trainings, a list of mappings")
    return [_entry(row, f"{path}: trainings[{i}]") for i, row in enumerate(rows)]


def _entry(row: Any, where: str) -> TrainingEntry:
    if not isinstance(row, dict) or row.keys() != TrainingEntry.__dataclass_fields__.keys():
        raise InputError(
            f"{where}: must have {', '.join(TrainingEntry.__dataclass_fields__)} and nothing else"
        )
    seed, role, place = row["seed"], row["role"], row["folder"]
    if not isinstance(seed, int) or isinstance(seed, bool) or role not in (NETWORK, CONTROL):
        raise InputError(f"{where}: seed must be a whole number, role {NETWORK} or {CONTROL}")
    if not isinstance(place, str) or not re.fullmatch(r"[\w.-]+/[\w.-]+", place) or ".." in place:
        raise InputError(f"{where}: folder: {quoted(place)} is none below the file's")
    return TrainingEntry(checked_name(row["name"], f"{where}: name"), role, seed, place)


def write_trainings(folder: Path, trainings: Sequence[PlannedTraining], data: str) -> None:
    """Write the file, what it told of before kept. Raises `InputError`."""
    entries = {each.folder: each for each in read_trainings(folder) or ()}
    entries |= {each.entry.folder: each.entry for each in trainings}
    values = {"data": data, "trainings": [asdict(each) for each in entries.values()]}
    write_text(folder / FILE, json.dumps(values, indent=1) + "\n")


def said(trainings: Sequence[PlannedTraining]) -> str:
    """What is ahead, in a line."""
    seeds = sorted({each.entry.seed for each in trainings})
    names = list(dict.fromkeys(each.entry.name for each in trainings))
    which = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return f"{plural(len(trainings), 'training')}: {', '.join(names)}, each with {which}"
