"""`summary.json`: what a study found, beside its record, for scripts and for people who open the folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from nas.record.folder import write_json
from nas.record.record import Record
from nas.record.study import study_of
from nas.record.trial import Trial
from nas.verdict.confirm import confirmed
from nas.verdict.pick import recommend

STATES = ("complete", "failed", "paused", "running", "interrupted")
HEADLINE = (
    "number", "role", "name", "accuracy", "fidelity", "seed", "fingerprint", "macs", "params",
    "activations", "train_seconds", "architecture",
)  # fmt: skip
# of the time of a search, at most, that rewriting its summary may take
SHARE = 0.02


class Summary:
    """The summary of a study that is being written."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._due = 0.0

    def refresh(self) -> None:
        """Rewrite it unless that would take more than a small share of the time."""
        if time.monotonic() >= self._due:
            self.write()

    def write(self) -> Path:
        """Rewrite it."""
        began = time.monotonic()
        path = write_json(self._record.folder / "summary.json", summary(self._record))
        self._due = time.monotonic() + (time.monotonic() - began) / SHARE
        return path


def summary(record: Record) -> dict[str, Any]:
    """The study without its trials, but for the recommended one and the reference."""
    study = study_of(record)
    found = recommend(study)
    trials = {trial.number: trial for trial in study.trials}
    best = found.most_accurate
    reference = next((t for t in study.trials if t.is_reference and t.state == "complete"), None)
    return {
        **study.mapping,
        "trials": {state: sum(t.state == state for t in study.trials) for state in STATES},
        "best": None if best is None else _headline(trials[best.tried.trial]),
        "reference": None if reference is None else _headline(reference),
        "recommended": [pick.to_dict() for pick in found.picks],
        "says": list(found.lines),
        "next": found.next,
        "confirmed": [verdict.to_dict() for verdict in confirmed(study.trials)],
    }


def _headline(trial: Trial) -> dict[str, Any]:
    return {key: getattr(trial, key) for key in HEADLINE}
