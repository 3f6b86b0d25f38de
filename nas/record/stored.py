"""A trial as Optuna keeps it, and as plain values.

It has two attributes, `NETWORK` and `RESULT` of `nas.record.trial`: what is trained (its role is reference,
candidate or confirmation), and how far it came (target: epochs to reach; fidelity: epochs trained; order: of
ending). A trial that is paused or whose driver died stays RUNNING for Optuna: it can go on.

For Optuna's own tools a trial has parameters wherever its network is of the space, its learning curve as
intermediate values, and what they may sort by (`SHOWN`) as attributes of their own. What was trained to its
end and is not of the space, such as a Swin, is PRUNED for them: it is none of what is searched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from nas.record.damage import DamagedError, Found, values_of
from nas.record.trial import NETWORK, RESULT, Trial

ATTRIBUTES = ("network", "result")
# what Optuna's tools may sort by, beside them; never read
SHOWN = (
    "role", "name", "macs", "params", "activations", "seed", "budget", "of", "fidelity", "train_seconds",
)  # fmt: skip
FINISHED = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed", TrialState.PRUNED: "complete"}


def begun(network: Mapping[str, Any], target: int) -> dict[str, Any]:
    """The attributes of a trial that is about to be trained to so many epochs."""
    return {"network": network, "result": {"target": target, "attempts": 1}, **_shown(network)}


def result_of(trial: Trial) -> dict[str, Any]:
    """The attributes that tell how far a trial has come."""
    result = {key: getattr(trial, key) for key in RESULT if key != "trained" or trial.trained is not None}
    return {"result": result, **_shown(result)}


def _shown(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: values[key] for key in SHOWN if values.get(key) is not None}


def accuracies(curve: Sequence[Mapping[str, Any]]) -> list[float]:
    """A learning curve as Optuna has it: the accuracy after each epoch."""
    return [point["val_accuracy"] for point in curve]


def found(trial: FrozenTrial, alive: Callable[[int], bool]) -> Found:
    """A trial that was read; `alive`: whether a driver is. Raises `DamagedError`."""
    values = values_of(trial.number, trial.user_attrs)
    plain = {key: values.get(key) for key in (*NETWORK, *RESULT)}
    # what a trial that has just begun, or is of an earlier format, does not say
    defaults = {"role": "candidate", "fidelity": 0, "full_fidelity": False, "paused": False, "curve": []}
    plain |= {key: default for key, default in defaults.items() if plain[key] is None}
    plain |= {
        "number": trial.number,
        "state": _state(trial, values, alive),
        "choices": dict(trial.params),
        "started": _time(trial.datetime_start),
        "ended": _time(trial.datetime_complete),
    }
    if plain["state"] == "complete":
        plain["accuracy"] = trial.value
    return Found(plain, values.get("accuracy"))


def _state(trial: FrozenTrial, values: Mapping[str, Any], alive: Callable[[int], bool]) -> str:
    if values.get("interrupted"):
        return "interrupted"
    pruned = trial.state is TrialState.PRUNED  # as only what is not of the space is
    if trial.state in FINISHED and not (pruned and (trial.params or values.get("role") == "candidate")):
        return FINISHED[trial.state]
    if trial.state is not TrialState.RUNNING:
        raise DamagedError(f"trial {trial.number} is {trial.state.name}, as none of this program is")
    if values.get("paused"):
        return "paused"
    return "running" if alive(values.get("driver", 0)) else "interrupted"


def _time(moment: datetime | None) -> str | None:
    """Optuna keeps local times without a zone."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")
