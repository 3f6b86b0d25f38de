"""What every stored study and trial has: where it is missing, the record was damaged, and is not gone by.

SQLite notices pages that were cut off or overwritten, but no row that is missing or was changed.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from space.errors import InputError
from space.networks import network_from

STUDY = {"settings": dict, "asked": dict, "created": str, "versions": dict, "wall_seconds": float}
TRIAL = {
    "role": str, "architecture": dict, "fingerprint": str, "macs": int, "params": int, "activations": int,
    "seed": int, "fidelity": int, "curve": list,
}  # fmt: skip
WORDS = {dict: "mapping", list: "list", str: "text", int: "whole number", float: "number"}


class DamagedError(InputError):
    """What a stored study lacks, in one line."""


def check_study(attributes: Mapping[str, Any], settings: Collection[str]) -> None:
    """Raises `DamagedError` unless the study has what each has, and these `settings`."""
    _check_kinds("the study", attributes, STUDY)
    missing = [name for name in settings if name not in attributes["settings"]]
    if missing:
        raise DamagedError(f"the study has no setting {missing[0]!r}")


def check_numbers(numbers: Collection[int]) -> None:
    """Raises `DamagedError` unless trials are numbered from 0 without a gap, as Optuna does."""
    for expected, number in enumerate(sorted(numbers)):
        if number != expected:
            state = "missing" if number > expected else "there twice"
            raise DamagedError(f"trial {min(expected, number)} is {state}")


def values_of(number: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial's attributes hold, in one mapping. Raises `DamagedError`."""
    parts = [attributes.get(name, {}) for name in ("network", "result")]
    if not all(isinstance(part, dict) for part in parts):
        raise DamagedError(f"trial {number}: network or result is no mapping")
    return {**attributes, **parts[0], **parts[1]}  # of format 1: all in one


def check_trial(trial: Mapping[str, Any], stored: float | None) -> None:
    """Raises `DamagedError` where a trial lacks what it must have in its state.

    `stored` is its accuracy among its attributes; None where there is none.
    """
    where = f"trial {trial['number']}"
    _check_kinds(where, trial, TRIAL)
    try:
        network_from(trial["architecture"])
    except InputError as error:
        raise DamagedError(f"{where}: architecture: {error}") from None
    for flaw in _flaws(trial, stored):
        raise DamagedError(f"{where} {flaw}")


def _flaws(trial: Mapping[str, Any], stored: float | None) -> Iterator[str]:
    state, accuracy = trial["state"], trial["accuracy"]
    if state == "failed" and not isinstance(trial["reason"], str):
        yield "failed without a reason"
    if state == "complete" and not (isinstance(accuracy, float) and math.isfinite(accuracy)):
        yield "is complete without an accuracy"
    if state == "complete" and stored is not None and stored != accuracy:
        yield f"has two accuracies, {accuracy:g} and {stored:g}"
    curve = trial["curve"]
    if state in ("complete", "paused") and not 0 < trial["fidelity"] == len(curve):
        yield f"was trained for {trial['fidelity']} epochs and its curve has {len(curve)}"
    if not all(isinstance(point, dict) and isinstance(point.get("val_accuracy"), float) for point in curve):
        yield "has a curve without accuracies"


def _check_kinds(where: str, values: Mapping[str, Any], kinds: Mapping[str, type]) -> None:
    for name, kind in kinds.items():
        if values.get(name) is None:
            raise DamagedError(f"{where} has no {name}")
        if not isinstance(values[name], kind):
            raise DamagedError(f"{where}: {name} is no {WORDS[kind]}")
