"""Every network of the studies: a table, and what is shown of the one that is chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from analysis.study import Study, family_of
from analysis.view import Cell, Table, View
from analysis.views.common import labels
from analysis.wording import MISSING, STAGE_FIELDS, finite, plural, sequence, stage_rows
from analysis.wording import facts as facts_of
from space.networks import is_swin

KEY = "networks"
COLUMNS = (
    "study", "trial", "name", "family", "role", "budget", "state", "epochs", "proxy accuracy (%)", "seeds",
    "standard deviation over seeds (points)", "accuracy with fresh seeds (%)", "FLOPs (multiply-accumulates)",
    "parameters", "activations", "depths", "widths", "kernel sizes", "expansions", "norm", "activation",
    "training (s)", "reason", "fingerprint",
)  # fmt: skip
COSTS = ("macs", "params", "activations")
# epochs of all learning curves together; more would make the file heavy, and are not seen
CURVE_POINTS = 150_000


@dataclass(frozen=True)
class Network:
    """A trial of the search with the trainings that confirm it; `study` is the index of its study."""

    study: int
    trial: Mapping[str, Any]
    trainings: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def full(self) -> list[float]:
        """Accuracies at full fidelity, the search's first."""
        return [value for t in self.trainings if t.get("full_fidelity", True) and (value := _reached(t))]

    @property
    def fresh(self) -> list[float]:
        """Of these, those that nothing was chosen by: all of a reference's."""
        found = self.trainings if self.trial.get("role") == "reference" else self.trainings[1:]
        return [value for t in found if t.get("full_fidelity", True) and (value := _reached(t))]

    @property
    def state(self) -> str:
        """Such as `trained`, `stopped early`, `failed`."""
        state = str(self.trial.get("state"))
        if state == "complete":
            return "trained" if self.trial.get("full_fidelity", True) else "stopped early"
        return "stopped early" if state == "paused" else state

    @property
    def architecture(self) -> Mapping[str, Any]:
        """As recorded."""
        return self.trial.get("architecture") or {}


def networks(studies: Sequence[Study]) -> list[Network]:
    """The networks of all studies, by study and number of trial."""
    found: dict[tuple[int, int], Network] = {}
    for index, study in enumerate(studies):
        later = []
        for trial in study.mapping["trials"]:
            if trial.get("role") == "confirmation":
                later.append(trial)
            else:
                found[index, trial["number"]] = Network(index, trial, [trial])
        for trial in later:
            if (index, trial["of"]) in found:
                found[index, trial["of"]].trainings.append(trial)
    return list(found.values())


def view(studies: Sequence[Study]) -> View:
    """All networks, trained or not, a row each."""
    found = networks(studies)
    title = "All networks"
    if not found:
        return View(KEY, title, "", empty="No network has been tried yet; the search fills this table.")
    names = labels(studies)
    table = Table(KEY, title, COLUMNS, [_row(names[network.study], network) for network in found])
    note = (
        "A proxy accuracy is the mean over the seeds of full trainings, the search's own included; what "
        "stopped early has none and is compared with nothing. Costs are counted at 224x224."
    )
    return View(KEY, title, _lead(studies, found), tables=[table], notes=[note])


def _lead(studies: Sequence[Study], found: Sequence[Network]) -> str:
    parts = []
    for index, name in enumerate(labels(studies)):
        states = Counter(network.state for network in found if network.study == index)
        each = ", ".join(f"{number} {state}" for state, number in states.most_common())
        tried = plural(sum(states.values()), "network")
        parts.append(f"{name}: {tried} ({each})." if len(studies) > 1 else f"{tried}: {each}.")
    return " ".join(parts)


def _row(name: str, network: Network) -> list[Cell]:
    trial, architecture = network.trial, network.architecture
    depths, widths, kernels, expansions = _by_stage(architecture)
    norm, activation = ("layer", "gelu") if is_swin(architecture) else (
        architecture.get("norm"), architecture.get("activation")
    )  # fmt: skip
    cells = [
        name, trial["number"], trial.get("name"), family_of(trial), trial.get("role"),
        trial.get("budget"), network.state, trial.get("fidelity"), _mean(network.full), len(network.full),
        _deviation(network.full), _mean(network.fresh),
        *(trial.get(metric) for metric in COSTS),
        depths, widths, kernels, expansions, norm, activation,
        trial.get("train_seconds"), trial.get("reason"), trial.get("fingerprint"),
    ]  # fmt: skip
    return [None if value == MISSING else value for value in cells]


def _by_stage(architecture: Mapping[str, Any]) -> list[str]:
    """Depths, widths, kernels and expansions; of the last two one value where all stages agree."""
    depths, widths, *others = (values for _, values in stage_rows(architecture))
    return ["-".join(depths) or MISSING, "-".join(widths) or MISSING, *map(sequence, others)]


def _reached(trial: Mapping[str, Any]) -> float | None:
    return finite(trial.get("accuracy")) if trial.get("state") == "complete" else None


def _mean(values: Sequence[float]) -> float | None:
    return round(100 * math.fsum(values) / len(values), 3) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    return round(100 * float(np.std(values, ddof=1)), 3) if len(values) > 1 else None


# ---- what the page shows of a chosen network --------------------------------------------------------------


def details(studies: Sequence[Study]) -> dict[str, Any]:
    """The table and the details of every network, as short columns that a page can hold by the ten thousand.

    `study`, `trial`, `accuracy` (%, mean over seeds), `macs`, `params`, `activations` have one value a
    network; `state`, `family`, `budget` and `form` are indices into the lists `states`, `families`, `budgets`
    and `forms` (what is not a number a stage, with the names of the parts of the network). `stages` are
    depths, widths, kernels and expansions. `parts` are MACs, parameters and activations of each part in
    multiples of `units`. `trainings` are [seed, accuracy (%), curve (0.01%), its epochs or 0 for 1, 2, ...].
    """
    found = networks(studies)
    indices: dict[str, dict[Any, int]] = {name: {} for name in ("state", "family", "budget", "form")}

    def index(name: str, value: Any) -> int:
        return indices[name].setdefault(value, len(indices[name]))

    units = {metric: _unit(network.trial.get(metric) for network in found) for metric in COSTS}
    step = max(1, math.ceil(sum(map(_epochs, found)) / CURVE_POINTS))
    columns: dict[str, list[Any]] = {}
    known: dict[str, Facts] = {}
    for network, (names, numbers) in zip(found, _parts(found, units), strict=True):
        trial = network.trial
        form = (_facts(network.architecture, known), names, not is_swin(network.architecture))
        values = {
            "study": network.study,
            "trial": trial["number"],
            "name": trial.get("name"),
            "family": index("family", family_of(trial)),
            "state": index("state", network.state),
            "budget": index("budget", trial.get("budget")),
            "epochs": trial.get("fidelity"),
            "accuracy": _mean(network.full),
            **{metric: trial.get(metric) for metric in COSTS},
            "stages": _by_stage(network.architecture),
            "form": index("form", form),
            "parts": numbers,
            "trainings": [_training(training, step) for training in network.trainings],
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    return {
        **columns,
        "states": list(indices["state"]),
        "families": list(indices["family"]),
        "budgets": list(indices["budget"]),
        "forms": [
            {"facts": [fact for fact in facts if fact[1] != MISSING], "parts": names, "exported": exported}
            for facts, names, exported in indices["form"]
        ],
        "reasons": {str(i): one.trial["reason"] for i, one in enumerate(found) if one.trial.get("reason")},
        "units": units,
        "stage_names": [name for name, _ in stage_rows({})],
    }  # fmt: skip


Facts = tuple[tuple[str, str], ...]


def _facts(architecture: Mapping[str, Any], known: dict[str, Facts]) -> Facts:
    """What is not a number a stage; `known` has it of architectures that differ in such numbers only."""
    numbers = STAGE_FIELDS.values()
    stages = [{k: v for k, v in s.items() if k not in numbers} for s in architecture.get("stages") or []]
    key = repr([(k, stages if k == "stages" else v) for k, v in architecture.items()])
    if key not in known:
        known[key] = tuple(facts_of(architecture))
    return known[key]


def _unit(values: Iterable[Any]) -> int:
    """A power of ten, a 100,000th of the smallest total or less: small parts keep two digits."""
    smallest = min((value for value in map(finite, values) if value), default=1.0)
    return int(10 ** max(0, math.floor(math.log10(smallest)) - 5))


def _epochs(network: Network) -> int:
    return sum(len(training.get("curve") or []) for training in network.trainings)


def _training(trial: Mapping[str, Any], step: int) -> list[Any]:
    rows = trial.get("curve") or []
    if step > 1:
        rows = [row for i, row in enumerate(rows) if i % step == 0 or i == len(rows) - 1]
    epochs = [row.get("epoch") for row in rows]
    values = [finite(row.get("val_accuracy")) for row in rows]
    curve = [None if value is None else round(1e4 * value) for value in values]
    accuracy = _reached(trial) if trial.get("full_fidelity", True) else None
    shown = None if accuracy is None else round(100 * accuracy, 2)
    return [trial.get("seed"), shown, curve, 0 if epochs == list(range(1, len(epochs) + 1)) else epochs]


Parts = tuple[tuple[str, ...], list[int]]


def _parts(found: Sequence[Network], units: Mapping[str, int]) -> Iterator[Parts]:
    """Names of each network's parts, and their costs one after the other: MACs, parameters, activations."""
    ours = [
        i for i, network in enumerate(found) if network.architecture and not is_swin(network.architecture)
    ]
    counted = dict(zip(ours, _counted([found[i].architecture for i in ours], units), strict=True))
    for i, network in enumerate(found):
        if i in counted:
            yield counted[i]
        else:
            yield _swin_parts(network.architecture, units) if network.architecture else ((), [])


def _counted(architectures: Sequence[Mapping[str, Any]], units: Mapping[str, int]) -> Iterator[Parts]:
    """The parts of many networks at once: one by one they take a millisecond each."""
    from space.architecture import Architecture
    from space.columns import columns_of
    from space.cost import NUM_CLASSES, RESOLUTION, walk

    if not architectures:
        return
    columns = columns_of([Architecture.from_dict(dict(values)) for values in architectures])
    walked = [(name, part) for name, _, part in walk(columns, RESOLUTION, NUM_CLASSES)]
    shape = (len(walked), len(COSTS), len(architectures))
    table = np.empty(shape, dtype=np.int64)
    for i, (_, part) in enumerate(walked):
        for j, metric in enumerate(COSTS):
            table[i, j] = getattr(part, metric)
    there = np.any(table != 0, axis=1)  # a stage that a network does not have costs nothing
    rounded = np.rint(table / np.array([units[metric] for metric in COSTS])[:, None]).astype(np.int64)
    for i in range(len(architectures)):
        names = tuple(name for (name, _), exists in zip(walked, there[:, i], strict=True) if exists)
        yield names, rounded[there[:, i], :, i].ravel().tolist()


def _swin_parts(architecture: Mapping[str, Any], units: Mapping[str, int]) -> Parts:
    from space.networks import network_from, parts_of

    parts = parts_of(network_from(dict(architecture)))
    numbers = [round(getattr(part.cost, metric) / units[metric]) for part in parts for metric in COSTS]
    return tuple(part.name for part in parts), numbers
