"""Which trial a study calls its best."""

from __future__ import annotations

from typing import Any

from space.networks import is_swin


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The fully trained ConvNet with the best mean over fresh seeds; without such, with the best accuracy.

    The first of equals. A Swin is there to compare with, never the answer.
    """
    full = [t for t in trials if t["state"] == "complete" and t["full_fidelity"]]
    searched = [t for t in full if t["role"] != "confirmation" and not is_swin(t["architecture"])]
    again: dict[int, list[float]] = {}
    for trial in full:
        if trial["role"] == "confirmation":
            again.setdefault(trial["of"], []).append(trial["accuracy"])
    most = max(map(len, again.values()), default=0)
    means = {number: sum(values) / most for number, values in again.items() if len(values) == most}
    compared = [t for t in searched if t["number"] in means] if means else searched
    return max(compared, key=lambda t: means.get(t["number"], t["accuracy"]), default=None)
