"""Every network of the studies: a table, and what is shown of the one that is chosen."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from analysis.axes.shapes import shapes_of
from analysis.page.view import Cell, Rows, Table, View
from analysis.views.designs import MISSING, sequence, stage_rows
from analysis.views.designs import facts as facts_of
from analysis.views.planes import judged, labels
from nas.record.study import Study
from nas.record.trial import Trial
from space.columns import Columns
from space.cost import NUM_CLASSES, RESOLUTION, walk
from space.networks import is_swin, is_tabled, parts_of, recorded_from
from space.words import finite, plural

Value = TypeVar("Value")
Counted = tuple[NDArray[np.intp], tuple[str, ...], NDArray[np.int64]]

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
class ShownNetwork:
    """A trial of the search with the trainings that confirm it; `study` is the index of its study."""

    study: int
    trial: Trial
    trainings: list[Trial] = field(default_factory=list)

    @property
    def full(self) -> list[float]:
        """Accuracies at full fidelity, the search's first."""
        return list(self._by_seed.values())

    @property
    def fresh(self) -> list[float]:
        """Of these, those that nothing was chosen by: all of a reference's."""
        chosen_by = None if self.trial.is_reference else self.trial.seed
        return [value for seed, value in self._by_seed.items() if seed != chosen_by]

    @property
    def _by_seed(self) -> dict[Any, float]:
        values = {trial.seed: trial.full_accuracy for trial in self.trainings}
        return {seed: value for seed, value in values.items() if value is not None}

    @property
    def state(self) -> str:
        """Such as `trained`, `stopped early`, `failed`."""
        state = str(self.trial.state)
        if state == "complete":
            return "trained" if self.trial.full_fidelity else "stopped early"
        return "stopped early" if state == "paused" else state

    @property
    def architecture(self) -> Mapping[str, Any]:
        """As recorded."""
        return self.trial.architecture or {}


def networks(studies: Sequence[Study]) -> list[ShownNetwork]:
    """The networks of all studies, by study and number of trial."""
    found: dict[tuple[int, int], ShownNetwork] = {}
    for index, study in enumerate(studies):
        again = []
        for trial in study.trials:
            if trial.is_confirmation:
                again.append(trial)
            else:
                found[index, trial.number] = ShownNetwork(index, trial, [trial])
        for trial in again:
            first = found.get((index, trial.of)) if trial.of is not None else None
            if first is not None:
                first.trainings.append(trial)
    return list(found.values())


def view(studies: Sequence[Study]) -> View:
    """All networks, trained or not, a row each."""
    found = networks(studies)
    title = "Networks"
    if not found:
        return View(KEY, title, "", empty="No network has been tried yet; the search fills this table.")
    names = labels(studies)
    # the page has a table of its own, made from `details`
    rows = Rows(lambda: (_row(names[network.study], network) for network in found))
    table = Table(KEY, title, COLUMNS, rows)
    note = (
        "A proxy accuracy is the mean over the fresh seeds, and of what has none, that of the one training; "
        "what stopped early has none and is compared with nothing. "
    ) + ("Costs are a table's." if all(s.tabled for s in studies) else "Costs are counted at 224x224.")
    return View(KEY, title, _lead(studies, found), tables=[table], notes=[note])


def _lead(studies: Sequence[Study], found: Sequence[ShownNetwork]) -> str:
    parts = []
    for index, name in enumerate(labels(studies)):
        states = Counter(network.state for network in found if network.study == index)
        each = ", ".join(f"{number} {state}" for state, number in states.most_common())
        tried = plural(sum(states.values()), "network")
        parts.append(f"{name}: {tried} ({each})." if len(studies) > 1 else f"{tried}: {each}.")
    return " ".join(parts)


def _row(name: str, network: ShownNetwork) -> list[Cell]:
    trial, architecture = network.trial, network.architecture
    depths, widths, kernels, expansions = _by_stage(architecture)
    norm, activation = ("layer", "gelu") if is_swin(architecture) else (
        architecture.get("norm"), architecture.get("activation")
    )  # fmt: skip
    cells = [
        name, trial.number, trial.name, trial.family, trial.role,
        trial.budget, network.state, trial.fidelity, _mean(network.full), len(network.full),
        _deviation(network.full), _mean(network.fresh),
        *(getattr(trial, metric) for metric in COSTS),
        depths, widths, kernels, expansions, norm, activation,
        trial.train_seconds, trial.reason, trial.fingerprint,
    ]  # fmt: skip
    return [None if value == MISSING else value for value in cells]


def _by_stage(architecture: Mapping[str, Any]) -> list[str]:
    """Depths, widths, kernels and expansions; of the last two one value where all stages agree."""
    depths, widths, *others = (values for _, values in stage_rows(architecture))
    return ["-".join(depths) or MISSING, "-".join(widths) or MISSING, *map(sequence, others)]


def _mean(values: Sequence[float]) -> float | None:
    return round(100 * math.fsum(values) / len(values), 3) if values else None


def _deviation(values: Sequence[float]) -> float | None:
    return round(100 * float(np.std(values, ddof=1)), 3) if len(values) > 1 else None


# ---- what the page shows of a chosen network --------------------------------------------------------------


def details(studies: Sequence[Study]) -> dict[str, Any]:
    """The table and the details of every network, as short columns that a page can hold by the ten thousand.

    `study`, `trial`, `accuracy` (%, by which a pick is made, over so many `seeds`), `macs`, `params` and
    `activations` have one value a network; `state`, `family`, `budget` and `form` are indices into the lists
    `states`, `families`, `budgets` and `forms` (what is not a number a stage, with the names of the parts of
    the network). `stages` are depths, widths, kernels and expansions. `parts` are MACs, parameters and
    activations of each part in multiples of `units`. `trainings` are [seed, accuracy (%), curve (0.01%), its
    epochs or 0 for 1, 2, ...].
    """
    found = networks(studies)
    accuracies = _judged(studies, found)
    units = {metric: _unit(getattr(network.trial, metric) for network in found) for metric in COSTS}
    step = max(1, math.ceil(sum(map(_epochs, found)) / CURVE_POINTS))
    forms, parts = _forms(found, units)
    trials = [network.trial for network in found]
    states, state = _indexed([network.state for network in found])
    families, family = _indexed([trial.family for trial in trials])
    budgets, budget = _indexed([trial.budget for trial in trials])
    different, form = _indexed(forms)
    return {
        "study": [network.study for network in found],
        "trial": [trial.number for trial in trials],
        "name": [trial.name for trial in trials],
        "family": family,
        "state": state,
        "budget": budget,
        "epochs": [trial.fidelity for trial in trials],
        "accuracy": [_mean(own) for own in accuracies],
        "seeds": [len(own) for own in accuracies],
        # what a table of trained networks does not know is recorded as 0
        **{metric: [getattr(trial, metric) or None for trial in trials] for metric in COSTS},
        "stages": [_by_stage(network.architecture) for network in found],
        "form": form,
        "parts": parts,
        "trainings": [[_training(training, step) for training in network.trainings] for network in found],
        "states": states,
        "families": families,
        "budgets": budgets,
        "forms": [
            {"facts": [fact for fact in facts if fact[1] != MISSING], "parts": names, "exported": exported}
            for facts, names, exported in different
        ],
        "reasons": {str(i): trial.reason for i, trial in enumerate(trials) if trial.reason},
        "units": units,
        "stage_names": [name for name, _ in stage_rows({})],
    }


def _judged(studies: Sequence[Study], found: Sequence[ShownNetwork]) -> list[list[float]]:
    """Of each network the accuracies that it is judged by; none of what was not trained in full."""
    own = {
        (index, placed.tried.trial): placed.accuracies
        for index, study in enumerate(studies)
        for placed in judged(study)
    }
    return [own.get((network.study, network.trial.number), []) for network in found]


def _indexed(values: Sequence[Value]) -> tuple[list[Value], list[int]]:
    """The different values by first appearance, and the place of each among them."""
    places = {value: i for i, value in enumerate(dict.fromkeys(values))}
    return list(places), [places[value] for value in values]


def _unit(values: Iterable[Any]) -> int:
    """A power of ten, a 100,000th of the smallest total or less: small parts keep two digits."""
    smallest = min((value for value in map(finite, values) if value), default=1.0)
    return int(10 ** max(0, math.floor(math.log10(smallest)) - 5))


def _epochs(network: ShownNetwork) -> int:
    return sum(len(training.curve) for training in network.trainings)


def _training(trial: Trial, step: int) -> list[Any]:
    rows = trial.curve or []
    if step > 1:
        rows = [row for i, row in enumerate(rows) if i % step == 0 or i == len(rows) - 1]
    epochs = [row.get("epoch") for row in rows]
    values = [finite(row.get("val_accuracy")) for row in rows]
    curve = [None if value is None else round(1e4 * value) for value in values]
    accuracy = trial.full_accuracy
    shown = None if accuracy is None else round(100 * accuracy, 2)
    return [trial.seed, shown, curve, 0 if epochs == list(range(1, len(epochs) + 1)) else epochs]


Form = tuple[tuple[tuple[str, str], ...], tuple[str, ...], bool]


def _forms(found: Sequence[ShownNetwork], units: Mapping[str, int]) -> tuple[list[Form], list[list[int]]]:
    """Of each network: facts, names of its parts, whether it can be exported; and what the parts cost.

    Costs stand one part after the other: MACs, parameters, activations.
    """
    forms: list[Form] = [((), (), True)] * len(found)
    costs: list[list[int]] = [[]] * len(found)
    ours = []
    for i, architecture in enumerate(network.architecture for network in found):
        if is_swin(architecture) or is_tabled(architecture):
            names, costs[i] = _other_parts(architecture, units)
            forms[i] = tuple(facts_of(architecture)), names, False
        elif architecture:
            ours.append(i)
        else:
            forms[i] = tuple(facts_of(architecture)), (), True
    if ours:
        shapes = shapes_of([found[i].architecture for i in ours])
        facts = [tuple(facts_of(found[ours[k]].architecture)) for k in shapes.first.tolist()]
        for rows, names, table in _counted(shapes.columns, len(ours), units):
            for j, numbers in zip(rows.tolist(), table.tolist(), strict=True):
                forms[ours[j]] = facts[shapes.form[j]], names, True
                costs[ours[j]] = numbers
    return forms, costs


def _counted(columns: Columns, count: int, units: Mapping[str, int]) -> Iterator[Counted]:
    """Rows of networks with the same parts, the parts' names, and what they cost, (rows, parts x costs)."""
    walked = [(name, part) for name, _, part in walk(columns, RESOLUTION, NUM_CLASSES)]
    table = np.empty((count, len(walked), len(COSTS)), dtype=np.int64)
    for i, (_, part) in enumerate(walked):
        for j, metric in enumerate(COSTS):
            table[:, i, j] = getattr(part, metric)
    rounded = np.rint(table / np.array([units[metric] for metric in COSTS])).astype(np.int64)
    there = np.any(table != 0, axis=2)  # a stage that a network does not have costs nothing
    for kept in np.unique(there, axis=0):
        rows = np.flatnonzero((there == kept).all(axis=1))
        names = tuple(name for (name, _), exists in zip(walked, kept, strict=True) if exists)
        yield rows, names, rounded[rows][:, kept].reshape(rows.size, -1)


def _other_parts(
    architecture: Mapping[str, Any], units: Mapping[str, int]
) -> tuple[tuple[str, ...], list[int]]:
    parts = parts_of(recorded_from(dict(architecture)))
    numbers = [round(getattr(part.cost, metric) / units[metric]) for part in parts for metric in COSTS]
    return tuple(part.name for part in parts), numbers
