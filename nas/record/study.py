"""A study folder read for analysis: its networks, each with every accuracy it reached at full fidelity."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.proxy import OBJECTIVE, is_objective, is_simulated, is_table
from nas.record.trial import Role, Trial
from space.errors import InputError, printable

if TYPE_CHECKING:
    from nas.record.record import Record

# what shells, and the reader of study names, would take for something else
AS_PATH = ("-", "~")


@dataclass(frozen=True)
class Tried:
    """One network of a study. `accuracies` are top-1 fractions by seed, all at the study's full fidelity.

    `chosen_by` is the seed of the training that the search saw, by which its best were chosen; None where
    nothing was. `trial` is the number of that training; `budget` the text of the budget it was proposed for.
    """

    trial: int
    role: Role  # candidate or reference
    family: str  # ConvNeXt, Swin, ResNet, other names of references, or "searched"
    name: str | None
    budget: str | None
    architecture: Mapping[str, Any]
    fingerprint: str
    macs: int
    params: int
    activations: int
    accuracies: Mapping[int, float]
    chosen_by: int | None = None

    @property
    def fresh(self) -> dict[int, float]:
        """Accuracies that nothing was chosen by: without the winner's curse."""
        return {seed: value for seed, value in self.accuracies.items() if seed != self.chosen_by}

    @property
    def accuracy(self) -> float:
        """The mean over all seeds."""
        values = list(self.accuracies.values())
        # most have one, at a 20th of the time
        return values[0] if len(values) == 1 else float(np.mean(values))

    @property
    def label(self) -> str:
        """For people."""
        return self.name or f"trial {self.trial}"


@dataclass(frozen=True)
class Study:
    """A study: settings and sums as plain values, its trials, and `networks`, what has a full result."""

    mapping: Mapping[str, Any]
    trials: Sequence[Trial]
    folder: Path | None = None
    networks: Sequence[Tried] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "networks", tuple(networks_of(self.trials)))

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any], folder: Path | None = None) -> Study:
        """The study of plain values, its trials among them as `trials`: of a file or a test."""
        own = {key: value for key, value in mapping.items() if key != "trials"}
        return cls(own, tuple(map(Trial.from_dict, mapping["trials"])), folder)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, the trials among them."""
        return {**self.mapping, "trials": [trial.to_dict() for trial in self.trials]}

    @property
    def name(self) -> str:
        """The folder's name."""
        return printable(str(self.mapping["name"]))

    @property
    def simulated(self) -> bool:
        """Whether nothing was trained: its accuracies are a formula's."""
        return is_simulated(self.mapping["proxy"]["name"])

    @property
    def tabled(self) -> bool:
        """Whether others trained its networks: its accuracies are a table's."""
        return is_table(self.mapping["proxy"]["name"])

    @property
    def objective(self) -> str | None:
        """The user's own function that gave the accuracies, by its name; None where a proxy did."""
        name = self.mapping["proxy"]["name"]
        return printable(name.removeprefix(OBJECTIVE)) if is_objective(name) else None

    @property
    def place(self) -> str:
        """The study's folder as an argument: a name alone would be looked for under runs/."""
        if self.folder is None:
            return self.name
        place = str(self.folder)
        return place if "/" in place and not place.startswith(AS_PATH) else f"./{place}"

    @property
    def candidates(self) -> list[Tried]:
        """What the search proposed."""
        return [tried for tried in self.networks if tried.role == "candidate"]

    @property
    def references(self) -> list[Tried]:
        """What it is compared with."""
        return [tried for tried in self.networks if tried.role == "reference"]

    @property
    def bands(self) -> list[Mapping[str, Any]]:
        """The budget, or each of several: text, metric, low, high."""
        budget = self.mapping["budget"]
        return list(budget.get("each") or [budget])

    @cached_property
    def metric(self) -> str:
        """The cost that the budget is of: macs, params or activations."""
        return str(self.mapping["budget"].get("metric", "macs"))

    @cached_property
    def plane(self) -> tuple[str, str, int]:
        """Proxy, data set and epochs: accuracies of different planes are never compared."""
        proxy, data = self.mapping["proxy"], self.mapping["data"]
        return str(proxy.get("fingerprint")), str(data.get("fingerprint")), int(proxy.get("epochs", 0))

    @property
    def scheduler(self) -> str:
        """What stopped trainings early, by its name; `none` where nothing did."""
        name = str((self.mapping.get("scheduler") or {}).get("name", "none"))
        # auto may have looked and decided against it
        return "none" if name == "auto" and not self.rungs else name

    @property
    def rungs(self) -> list[int]:
        """The epochs after which trainings paused, and those of full training; none where nothing stopped."""
        scheduler = self.mapping.get("scheduler") or {}
        levels = list(scheduler.get("levels") or [])
        if scheduler.get("name", "none") == "auto":
            stops = {stop for seen in self.mapping.get("stopping", {}).values() for stop in seen["stops"]}
            return sorted({*stops, *levels[-1:]}) if stops else []
        return levels if scheduler.get("name", "none") != "none" else []

    @property
    def conditions(self) -> str:
        """What an accuracy of the study means, in a few words."""
        if self.objective is not None:
            return f"objective {self.objective}"
        proxy = self.mapping["proxy"]
        size = f", {proxy['resolution']} px" if proxy.get("resolution") else ""
        data = "" if self.simulated else f": {proxy.get('data')}"  # a formula's "data" is its own name
        return printable(f"{proxy['name']} proxy{data}, {self.length}{size}")

    @property
    def length(self) -> str:
        """Such as `3 epochs`, of a full training."""
        epochs = self.mapping["proxy"].get("epochs")
        return "1 epoch" if epochs == 1 else f"{epochs} epochs"

    def cost(self, metric: str | None = None) -> NDArray[np.float64]:
        """Cost of every network, (n,)."""
        return np.array([getattr(tried, metric or self.metric) for tried in self.networks], dtype=np.float64)

    def accuracy(self) -> NDArray[np.float64]:
        """Mean accuracy of every network over its seeds, (n,)."""
        return np.array([tried.accuracy for tried in self.networks], dtype=np.float64)


def study_of(record: Record) -> Study:
    """The study of a record as it is now, for reading."""
    return Study(record.about(), tuple(record.trials()), record.folder)


def read_study(name: str | Path) -> Study:
    """The study of a name under runs/, or of a folder. Raises `InputError`."""
    from nas.record.record import Record

    record = Record.read(name)
    try:
        return study_of(record)
    finally:
        record.close()


def read_studies(names: Iterable[str | Path]) -> list[Study]:
    """Several studies, in order. Raises `InputError` for none."""
    studies = [read_study(name) for name in names]
    if not studies:
        raise InputError("which study? Give a name under runs/ or a folder")
    return studies


def networks_of(trials: Iterable[Trial]) -> list[Tried]:
    """The networks of a record's trials with full-fidelity results, by number; repeats are gathered."""
    found: dict[int, tuple[Trial, dict[int, float]]] = {}
    later = []
    for trial in trials:
        if trial.is_confirmation:
            later.append(trial)
        elif (accuracy := trial.full_accuracy) is not None:
            found[trial.number] = (trial, {trial.seed: accuracy})
    for trial in later:
        accuracy = trial.full_accuracy
        # a repeat of a network without a full result of its own says nothing that is compared
        if accuracy is not None and trial.of in found:
            found[trial.of][1][trial.seed] = accuracy
    return [_tried(trial, accuracies) for trial, accuracies in found.values()]


def _tried(trial: Trial, accuracies: Mapping[int, float]) -> Tried:
    return Tried(
        trial=trial.number,
        role=trial.role,
        family=trial.family,
        name=trial.shown_name,
        budget=trial.budget,
        architecture=trial.architecture,
        fingerprint=trial.fingerprint,
        macs=trial.macs,
        params=trial.params,
        activations=trial.activations,
        accuracies=accuracies,
        chosen_by=trial.seed if trial.is_candidate else None,
    )
