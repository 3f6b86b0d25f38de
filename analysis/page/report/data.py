"""What the script of a report draws: its trials as plain values."""
# ruff: noqa: RUF001 - the page is typeset: real multiplication signs

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.page.report.reported import (
    Reported,
    Trial,
    accuracy_of,
    kind_of,
    label_of,
    network_facts,
    network_of,
)
from analysis.page.wording import facts, finite, stage_rows
from nas.verdict.front import front
from space.networks import is_swin

SERIES = ("val_accuracy", "val_loss", "train_loss")


def page_data(view: Reported) -> dict[str, Any]:
    """The plane, its axis and front, and every trial with its curve."""
    scale, (low, high) = view.scales[view.metric], view.band
    # a Swin is there to compare with: the front is of ConvNets
    convnets = [t for t in view.finished if not is_swin(t.get("architecture") or {})]
    placed = [t for t in convnets if finite(t.get(view.metric)) is not None]
    chosen = front([t[view.metric] for t in placed], [accuracy_of(t) or 0.0 for t in placed])
    forms: dict[Any, int] = {}
    trials = [_trial_data(view, t, forms) for t in view.trials]
    shown = view.best or view.reference or next(iter(view.trials), None)
    unit = f"{scale.unit}, multiply-accumulates" if view.metric == "macs" else scale.unit.strip()
    return {
        "axis": f"{unit} at 224×224",
        "unit": scale.unit,
        "band": [None if edge is None else edge / scale.divisor for edge in (low, high)],
        "front": [placed[i].get("number") for i in chosen],
        "best": None if view.best is None else view.best.get("number"),
        "reference": None if view.reference is None else view.reference.get("number"),
        "selected": None if shown is None else shown.get("number"),
        "trials": trials,
        "forms": list(forms),
        "stage_names": [name for name, _ in stage_rows({})],
        "fact_names": [name for name, _ in network_facts(view, {})],
    }


def _trial_data(view: Reported, trial: Trial, forms: dict[Any, int]) -> dict[str, Any]:
    """One trial for the script; what it shares with others of its form goes into `forms` once."""
    cost, accuracy = finite(trial.get(view.metric)), accuracy_of(trial)
    name, number = trial.get("name"), trial.get("number")
    return {
        "number": number,
        "label": label_of(trial),
        "title": f"{name} (trial {number})" if name else f"Trial {number}",
        "kind": kind_of(view, trial),
        "state": trial.get("state"),
        "reason": trial.get("reason"),
        "cost": None if cost is None else float(f"{cost / view.scales[view.metric].divisor:.6g}"),
        "accuracy": None if accuracy is None else round(100 * accuracy, 3),
        "stages": [values for _, values in stage_rows(network_of(trial))],
        "facts": [text for _, text in network_facts(view, trial)],
        "form": forms.setdefault(tuple(facts(network_of(trial))), len(forms)),
        "curve": _curve_data(trial.get("curve") or [], view.curve_step),
    }


def _curve_data(curve: Sequence[Mapping[str, Any]], step: int) -> dict[str, list[float | None]]:
    rows = [row for i, row in enumerate(curve) if i % step == 0 or i == len(curve) - 1]
    data = {"epoch": [finite(row.get("epoch")) for row in rows]}
    for name in SERIES:
        factor = 100 if name == "val_accuracy" else 1
        values = (finite(row.get(name)) for row in rows)
        data[name] = [None if v is None else float(f"{factor * v:.4g}") for v in values]
    return data
