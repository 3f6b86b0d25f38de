"""The study folder: everything tried, at which fidelity, with what result; one writer, the driver.

    runs/NAME/study.db       Optuna's SQLite storage: every trial with its parameters and attributes
              summary.json   what the study found, rewritten after every trial
              report.html    the page to look at

A trial's attributes: role (reference or candidate), name, architecture, fingerprint, macs, params,
activations, seed, fidelity (epochs trained), full_fidelity, curve, train_seconds, reason (of a failure),
interrupted.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

import optuna
from optuna.trial import FrozenTrial, TrialState

from space.architecture import Architecture
from space.cost import cost
from space.errors import InputError
from space.files import write_text

optuna.logging.set_verbosity(optuna.logging.WARNING)

STUDY = "study"
FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# settings that make results comparable; a study is resumed under the same ones only
BINDING = ("budget", "space", "proxy", "data", "seed", "sampler")
PACKAGES = ("convnext-nas", "torch", "optuna", "numpy", "scikit-learn", "plotly")
STATES = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed", TrialState.RUNNING: "running"}


def study_folder(study: str, root: Path = Path("runs")) -> Path:
    """The folder of a study named by NAME (under `root`) or by a path."""
    if os.sep in study:
        return Path(study)
    if not NAME.fullmatch(study):
        raise InputError(f"study {study!r}: a name holds letters, digits, '.', '_' and '-', or give a path")
    return root / study


class Record:
    """One study folder, open for writing (`create`, `resume`) or for reading (`read`)."""

    def __init__(self, folder: Path, study: optuna.Study, lock: IO[str] | None) -> None:
        self.folder = folder
        self.study = study
        self._lock = lock

    @staticmethod
    def check_free(folder: Path, *, resume: bool) -> None:
        """Raises `InputError` where there is a study and none was expected, or the other way round."""
        exists = (folder / "study.db").exists()
        if exists and not resume:
            raise InputError(f"study {folder}: exists; --resume continues it, --study NAME starts another")
        if resume and not exists:
            raise InputError(f"study {folder}: there is nothing to resume (no study.db)")

    @classmethod
    def create(cls, folder: Path, settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Record:
        """A new study in `folder`; `asked` are the user's own words, for `--resume`.

        Raises `InputError` where a study exists or nothing can be written.
        """
        cls.check_free(folder, resume=False)
        lock = _locked(folder)
        with unwritable(folder):
            study = optuna.create_study(study_name=STUDY, storage=_storage(folder), direction="maximize")
        study.set_user_attr("asked", dict(asked))
        study.set_user_attr("settings", dict(settings))
        study.set_user_attr("created", _now())
        study.set_user_attr("versions", versions())
        study.set_user_attr("wall_seconds", 0.0)
        study.set_user_attr("format", FORMAT)
        return cls(folder, study, lock)

    @classmethod
    def resume(cls, folder: Path, settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Record:  # noqa: ARG003
        """The study of `folder`, to go on with. Raises `InputError` where its settings differ."""
        cls.check_free(folder, resume=True)
        lock = _locked(folder)
        record = cls(folder, _load(folder), lock)
        _refuse_difference(folder, record.settings, settings)
        record._close_abandoned()
        return record

    @classmethod
    def read(cls, study: str | Path) -> Record:
        """The study of a name or path, for reading."""
        folder = study_folder(str(study))
        if not (folder / "study.db").is_file():
            raise InputError(f"study {folder}: no such study (no study.db there)")
        return cls(folder, _load(folder), None)

    @property
    def settings(self) -> dict[str, Any]:
        """What the study was started with."""
        return dict(self.study.user_attrs["settings"])

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as the user gave them."""
        return dict(self.study.user_attrs.get("asked", {}))

    def trials(self) -> list[dict[str, Any]]:
        """Every trial as plain values, in order."""
        frozen = self.study.get_trials(deepcopy=False)
        return [_plain(trial) for trial in frozen if trial.state in STATES]

    def finished(self) -> list[dict[str, Any]]:
        """Trials that count: complete or failed, not interrupted."""
        return [trial for trial in self.trials() if trial["state"] in ("complete", "failed")]

    def trial(self, number: int) -> dict[str, Any]:
        """One trial as plain values."""
        return _plain(self.study.get_trials(deepcopy=False)[number])

    def start(
        self, trial: optuna.Trial, architecture: Architecture, role: str, name: str | None, seed: int
    ) -> None:
        """Store what is about to be trained, and its costs."""
        total = cost(architecture)
        self._set(
            trial,
            {
                "role": role,
                "name": name,
                "architecture": architecture.to_dict(),
                "fingerprint": architecture.fingerprint,
                "macs": total.macs,
                "params": total.params,
                "activations": total.activations,
                "seed": seed,
            },
        )

    def warn(self, text: str) -> None:
        """Keep a remark for the report, once."""
        warnings = self.study.user_attrs.get("warnings", [])
        if text not in warnings:
            self.study.set_user_attr("warnings", [*warnings, text])

    def complete(self, trial: optuna.Trial, accuracy: float, **attributes: Any) -> None:
        """Store a result; its attributes first, so that no complete trial lacks them."""
        self._set(trial, attributes)
        self.study.tell(trial, accuracy)

    def fail(self, trial: optuna.Trial, reason: str, **attributes: Any) -> None:
        """Store a failure with its reason."""
        self._set(trial, {"reason": reason, **attributes})
        self.study.tell(trial, state=TrialState.FAIL)

    def interrupt(self, trial: optuna.Trial, **attributes: Any) -> None:
        """Store that a trial did not end; the same network is queued again."""
        self._set(trial, {"reason": "interrupted", "interrupted": True, **attributes})
        self.study.tell(trial, state=TrialState.FAIL)
        self._again(self.study.trials[trial.number])

    def add_wall_seconds(self, seconds: float) -> None:
        """Add the time of this run to the study's."""
        self.study.set_user_attr("wall_seconds", self.study.user_attrs["wall_seconds"] + seconds)

    def mapping(self) -> dict[str, Any]:
        """The whole study as plain values: what a report is written from."""
        settings, attributes, trials = self.settings, self.study.user_attrs, self.trials()
        best = best_of(trials)
        reference = next((t for t in trials if t["role"] == "reference" and t["state"] == "complete"), None)
        return {
            "name": self.folder.resolve().name,
            "budget": settings["budget"],
            "space": settings["space"],
            "proxy": settings["proxy"],
            "data": settings["data"],
            "sampler": settings["sampler"],
            "seed": settings["seed"],
            "versions": attributes["versions"],
            "created": attributes["created"],
            "wall_seconds": attributes["wall_seconds"],
            "train_seconds": sum(t["train_seconds"] or 0.0 for t in trials),
            "trials": trials,
            "best": None if best is None else best["number"],
            "reference": None if reference is None else reference["number"],
            "warnings": attributes.get("warnings", []),
        }

    def write_summary(self) -> Path:
        """Rewrite `summary.json`: the study without its failed trials' details and learning curves."""
        study = self.mapping()
        trials = study.pop("trials")
        by_state = {state: sum(t["state"] == state for t in trials) for state in ("complete", "failed")}
        by_state["interrupted"] = sum(t["state"] == "interrupted" for t in trials)
        chosen = {key: _headline(trials, study.pop(key)) for key in ("best", "reference")}
        return write_json(self.folder / "summary.json", study | {"trials": by_state} | chosen)

    def close(self) -> None:
        """Let another driver have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _set(self, trial: optuna.Trial, attributes: Mapping[str, Any]) -> None:
        for name, value in attributes.items():
            trial.set_user_attr(name, value)

    def _close_abandoned(self) -> None:
        """Trials a dead driver left running are interrupted, and their networks queued again."""
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            storage, identity = self.study._storage, trial._trial_id
            storage.set_trial_user_attr(identity, "reason", "interrupted: the driver died")
            storage.set_trial_user_attr(identity, "interrupted", True)
            self.study.tell(trial.number, state=TrialState.FAIL)
            self._again(trial)

    def _again(self, trial: FrozenTrial) -> None:
        keep = ("role", "name", "architecture", "fingerprint", "macs", "params", "activations")
        attributes = {name: trial.user_attrs[name] for name in keep if name in trial.user_attrs}
        self.study.enqueue_trial(trial.params, user_attrs=attributes)


def best_of(trials: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The most accurate complete trial at full fidelity; the first of equals."""
    full = [t for t in trials if t["state"] == "complete" and t["full_fidelity"]]
    return max(full, key=lambda t: t["accuracy"], default=None)


def versions() -> dict[str, str]:
    """Versions of what the results depend on."""
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def write_json(path: Path, values: Any) -> Path:
    """JSON written beside `path` and renamed, so that a reader never meets half a file."""
    return write_text(path, json.dumps(values, indent=2) + "\n")


@contextmanager
def foreign_database(folder: Path) -> Iterator[None]:
    """One line for a study.db that is damaged or made by another program."""
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, KeyError, RuntimeError, AssertionError) as error:
        reason = _reason(error)
        raise InputError(f"study {folder}: study.db is not a study of this program ({reason})") from None


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """One line for a database that cannot be made."""
    import sqlalchemy.exc

    try:
        yield
    except (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise InputError(f"study {folder}: cannot be written ({_reason(error)})") from None


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _plain(trial: FrozenTrial) -> dict[str, Any]:
    attributes = trial.user_attrs
    state = STATES[trial.state]
    if attributes.get("interrupted"):
        state = "interrupted"
    return {
        "number": trial.number,
        "state": state,
        "role": attributes.get("role", "candidate"),
        "name": attributes.get("name"),
        "architecture": attributes.get("architecture"),
        "fingerprint": attributes.get("fingerprint"),
        "macs": attributes.get("macs"),
        "params": attributes.get("params"),
        "activations": attributes.get("activations"),
        "seed": attributes.get("seed"),
        "fidelity": attributes.get("fidelity", 0),
        "full_fidelity": attributes.get("full_fidelity", False),
        "accuracy": trial.value if trial.state is TrialState.COMPLETE else None,
        "curve": attributes.get("curve", []),
        "train_seconds": attributes.get("train_seconds"),
        "images_per_second": attributes.get("images_per_second"),
        "precision": attributes.get("precision"),
        "device": attributes.get("device"),
        "reason": attributes.get("reason"),
        "choices": dict(trial.params),
    }


def _headline(trials: list[dict[str, Any]], number: int | None) -> dict[str, Any] | None:
    if number is None:
        return None
    trial = next(t for t in trials if t["number"] == number)
    keys = (
        "number", "role", "name", "accuracy", "fidelity", "seed", "fingerprint", "macs", "params",
        "activations", "train_seconds", "architecture",
    )  # fmt: skip
    return {key: trial[key] for key in keys}


def _locked(folder: Path) -> IO[str]:
    """The folder, made and taken; the lock goes with the process, however it ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise InputError(f"study {folder}: cannot be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise InputError(f"study {folder}: another search is writing to it") from None
    return lock


def _storage(folder: Path) -> optuna.storages.RDBStorage:
    return optuna.storages.RDBStorage(f"sqlite:///{folder / 'study.db'}")


def _check_tables(path: Path) -> None:
    """Look before Optuna does: it would make its tables in any database.

    Not read-only: after a kill SQLite may have a transaction to roll back first.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as database:
        tables = {name for (name,) in database.execute("select name from sqlite_master where type = 'table'")}
    if not {"studies", "trials", "trial_user_attributes"} <= tables:
        raise RuntimeError("it has none of Optuna's tables")


def _load(folder: Path) -> optuna.Study:
    with foreign_database(folder):
        _check_tables(folder / "study.db")
        study = optuna.load_study(study_name=STUDY, storage=_storage(folder))
        known = study.user_attrs["format"]
        study.user_attrs["settings"]
    if known != FORMAT:
        raise InputError(f"study {folder}: its format is {known}; this version reads {FORMAT}")
    return study


def _refuse_difference(folder: Path, stored: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    differences = []
    for key in BINDING:
        before, now = stored.get(key), json.loads(json.dumps(asked.get(key)))
        if before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
            differences += [f"{key}.{name} {before.get(name)!r}, not {now.get(name)!r}" for name in names]
        else:
            differences.append(f"{key} {before!r}, not {now!r}")
    if differences:
        raise InputError(f"study {folder}: was started with {'; '.join(differences)}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
