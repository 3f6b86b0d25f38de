"""The study folder: everything tried, at which fidelity, with what result. Only drivers write.

    runs/NAME/study.db       Optuna's SQLite storage: every trial with its parameters and attributes
              study.json     in its place, where the study is in a PostgreSQL database
              summary.json   what the study found, rewritten as it goes on
              report.html    the page to look at
              checkpoints/   states of trainings that can go on

A trial has two attributes, `NETWORK` and `RESULT` below: what is trained (its role is reference, candidate
or confirmation), and how far it came (target: epochs to reach; fidelity: epochs trained; order: of ending).
A trial that is paused or whose driver died stays RUNNING for Optuna: it can go on.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.damage import DamagedError, check_numbers, check_study, check_trial, values_of
from nas.storage import (
    FAILURES,
    PostgresStorage,
    SqliteStorage,
    Storage,
    check_url,
    said,
    without_password,
)
from nas.trial_rows import TrialStore, trial_store
from space.errors import InputError, quoted
from space.files import read_text, write_text
from space.networks import Network, cost_of, is_swin

optuna.logging.set_verbosity(optuna.logging.WARNING)

FORMAT = 2
READABLE = (1, 2)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# settings that make results comparable; a study is resumed under the same ones only
BINDING = ("budget", "objective", "limits", "space", "proxy", "data", "seed", "sampler", "scheduler")
# but for where data and files lie and what they are called: fingerprints tell them apart
UNBOUND = {"proxy": ("name", "data"), "data": ("spec", "classes")}
# what a study of format 1 was started with
BEFORE: dict[str, Any] = {"objective": "best", "limits": {}, "scheduler": {"name": "none"}}
PACKAGES = ("convnext-nas", "torch", "optuna", "ray", "numpy", "scikit-learn")
FINISHED = {TrialState.COMPLETE: "complete", TrialState.FAIL: "failed"}
ENDED = ("complete", "failed")
# of the time of a search, at most, that rewriting its summary may take
SUMMARY_SHARE = 0.02


def study_folder(study: str, root: Path = Path("runs")) -> Path:
    """The folder of a study named by NAME (under `root`) or by a path."""
    if os.sep in study:
        return Path(study)
    if not NAME.fullmatch(study):
        raise InputError(f"study {study!r}: a name holds letters, digits, '.', '_' and '-', or give a path")
    return root / study


class Record:
    """One study, open for writing (`create`, `resume`) or for reading (`read`)."""

    def __init__(self, folder: Path, storage: Storage, study: optuna.Study) -> None:
        self.folder = folder
        self.storage = storage
        self._study = study
        self._ids: dict[int, int] = {}  # of Optuna's, by number
        self._next = 0
        self._trials: dict[int, dict[str, Any]] = {}
        self._attributes = dict(study.user_attrs)
        self._summary_due = 0.0
        self._ended = 0
        self._read()
        check_numbers(self._ids)

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
        storage = SqliteStorage(folder, write=True)
        try:
            cls.check_free(folder, resume=False)  # nobody else makes it from now on
            with unwritable(folder):
                storage.make(_new(settings, asked))
        except InputError:
            storage.close()
            raise
        return cls._open(folder, storage)

    @classmethod
    def resume(cls, folder: Path, settings: Mapping[str, Any]) -> Record:
        """The study of `folder`, to go on with. Raises `InputError` where its settings differ."""
        cls.check_free(folder, resume=True)
        storage = SqliteStorage(folder, write=True)
        record = cls._open(folder, storage)
        record.refuse_difference(settings)
        storage.sweep()
        return record

    @classmethod
    def join(cls, folder: Path, url: str, settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Record:
        """The study of this name in a PostgreSQL database, made where it is not there.

        Raises `InputError` where its settings differ or the database cannot be used.
        """
        check_url(url)
        storage = PostgresStorage(url, folder.name)
        with storage.turn():
            if not storage.exists():
                with unwritable(folder):
                    storage.make(_new(settings, asked))
        record = cls._open(folder, storage)
        record.refuse_difference(settings)
        with unwritable(folder):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "study.json", {"storage": without_password(url), "study": folder.name})
        return record

    @classmethod
    def read(cls, study: str | Path) -> Record:
        """The study of a name or path, for reading."""
        folder = study_folder(str(study))
        if (folder / "study.json").is_file():
            place = json.loads(read_text(folder / "study.json", f"study {folder}"))
            return cls._open(folder, PostgresStorage(place["storage"], place["study"]))
        if not (folder / "study.db").is_file():
            raise InputError(f"study {folder}: no such study (no study.db there)")
        return cls._open(folder, SqliteStorage(folder, write=False))

    @classmethod
    def _open(cls, folder: Path, storage: Storage) -> Record:
        """The study in a storage; the storage is closed where it is refused."""
        where = f"study {storage.name!r} of the database" if storage.shared else "study.db"
        wrong = "is not a study of this program"
        try:
            study = optuna.load_study(study_name=storage.name, storage=storage.rdb)
            known = study.user_attrs["format"]
            if known in READABLE:
                wrong = "is damaged"
                check_study(study.user_attrs, [key for key in BINDING if key not in BEFORE])
                return cls(folder, storage, study)
            flaw = f"its format is {known}; this version reads {READABLE}"
        except DamagedError as error:
            flaw = f"{where} is damaged ({error})"
        except (*FAILURES, LookupError, TypeError, ValueError, RuntimeError, AssertionError) as error:
            reason = (
                "it has no format" if isinstance(error, KeyError) and wrong != "is damaged" else said(error)
            )
            flaw = f"{where} {wrong} ({reason})"
        storage.close()
        raise InputError(f"study {folder}: {flaw}")

    @cached_property
    def _rows(self) -> TrialStore:
        return trial_store(self.storage.rdb, self._study._study_id)

    @property
    def settings(self) -> dict[str, Any]:
        """What the study was started with."""
        return BEFORE | dict(self._attributes["settings"])

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as the user gave them."""
        return dict(self._attributes.get("asked", {}))

    @property
    def warnings(self) -> list[str]:
        """Remarks for the report."""
        return list(self._attributes.get("warnings", []))

    def refuse_difference(self, settings: Mapping[str, Any]) -> None:
        """Raises `InputError` naming what differs from what the study was started with."""
        if self._attributes["format"] != FORMAT:
            self.close()
            raise InputError(
                f"study {self.folder}: is of an earlier version (format {self._attributes['format']}), to be "
                "read and exported only; start another with --study NAME"
            )
        differences = list(_differences(self.settings, settings))
        if differences:
            self.close()
            raise InputError(f"study {self.folder}: was started with {'; '.join(differences)}")

    def trials(self) -> list[dict[str, Any]]:
        """Every trial as plain values, in order."""
        return [self._trials[number] for number in sorted(self._trials)]

    def trial(self, number: int) -> dict[str, Any]:
        """One trial as plain values."""
        return self._trials[number]

    def finished(self) -> list[dict[str, Any]]:
        """Trials that are over: complete or failed."""
        return [trial for trial in self.trials() if trial["state"] in ENDED]

    @property
    def next_number(self) -> int:
        """The number of the next trial; inside a turn nobody else takes it."""
        return self._next

    def turn(self) -> AbstractContextManager[None]:
        """A context in which no other driver of the study decides anything."""
        held: AbstractContextManager[None] = self.storage.turn()
        return held

    def news(self) -> list[dict[str, Any]]:
        """What other drivers have changed since the last look: their new and their changed trials."""
        if not self.storage.shared:
            return []
        before = dict(self._trials)
        self._read()
        return [trial for number, trial in self._trials.items() if before.get(number) != trial]

    def begin(
        self,
        architecture: Network,
        *,
        seed: int,
        target: int,
        role: str = "candidate",
        name: str | None = None,
        params: Mapping[str, Any] | None = None,
        distributions: Mapping[str, BaseDistribution] | None = None,
        **more: Any,
    ) -> int:
        """Store that a network is about to be trained to `target` epochs, in one transaction; its number.

        Inside a turn.
        """
        total = cost_of(architecture)
        network = {
            "role": role,
            "name": name,
            "architecture": architecture.to_dict(),
            "fingerprint": architecture.fingerprint,
            "macs": total.macs,
            "params": total.params,
            "activations": total.activations,
            "seed": seed,
            "driver": self.storage.driver,
            **more,
        }
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(params or {}),
            distributions=dict(distributions or {}),
            user_attrs={"network": network, "result": {"target": target, "attempts": 1}},
        )
        trial.number = number = self.next_number
        self._know(number, self._rows.begin(number, trial))
        self._trials[number] = self._plain(trial)
        return number

    def progress(self, number: int, **result: Any) -> None:
        """Store how far an unfinished trial has come, or is to come."""
        self._trials[number].update(result)
        self._rows.change(self._ids[number], "result", self._result(number))
        self._trials[number]["state"] = "paused" if self._trials[number]["paused"] else "running"

    def adopt(self, number: int) -> None:
        """Take over the trial of a driver that died."""
        network = {key: self._trials[number][key] for key in NETWORK}
        network["driver"] = self.storage.driver
        self._rows.change(self._ids[number], "network", network)
        self._trials[number].update(driver=self.storage.driver)

    def complete(self, number: int, accuracy: float, **result: Any) -> None:
        """Store a result, in one transaction."""
        self._end(number, TrialState.COMPLETE, accuracy, {"accuracy": accuracy, **result})

    def fail(self, number: int, reason: str, **result: Any) -> None:
        """Store a failure with its reason, in one transaction."""
        self._end(number, TrialState.FAIL, None, {"reason": reason, **result})

    def warn(self, text: str) -> None:
        """Keep a remark for the report, once."""
        if text not in self.warnings:
            self._set("warnings", [*self.warnings, text])

    def ask(self, **values: Any) -> None:
        """Keep what the user now says of settings that do not bind the study, for the next `--resume`."""
        asked = self.asked
        if any(asked.get(name) != value for name, value in values.items()):
            self._set("asked", asked | values)

    def add_wall_seconds(self, seconds: float) -> None:
        """Add the time of this run to the study's."""
        self._set("wall_seconds", self._attributes["wall_seconds"] + seconds)

    def mapping(self) -> dict[str, Any]:
        """The whole study as plain values: what a report is written from."""
        settings, attributes, trials = self.settings, self._attributes, self.trials()
        best = best_of(trials)
        reference = next((t for t in trials if t["role"] == "reference" and t["state"] == "complete"), None)
        return {
            "name": self.folder.resolve().name,
            "budget": settings["budget"],
            "objective": settings["objective"],
            "limits": settings["limits"],
            "space": settings["space"],
            "proxy": settings["proxy"],
            "data": settings["data"],
            "sampler": settings["sampler"],
            "scheduler": settings["scheduler"],
            "seed": settings["seed"],
            "versions": attributes["versions"],
            "created": attributes["created"],
            "wall_seconds": attributes["wall_seconds"],
            "train_seconds": sum(t["train_seconds"] or 0.0 for t in trials),
            "trials": trials,
            "best": None if best is None else best["number"],
            "reference": None if reference is None else reference["number"],
            "warnings": self.warnings,
        }

    def write_summary(self, **more: Any) -> Path:
        """Rewrite `summary.json`: the study without its trials, but for the best and the reference."""
        began = time.monotonic()
        study = self.mapping()
        trials = study.pop("trials")
        states = ("complete", "failed", "paused", "running", "interrupted")
        by_state = {state: sum(t["state"] == state for t in trials) for state in states}
        chosen = {key: _headline(trials, study.pop(key)) for key in ("best", "reference")}
        path = write_json(self.folder / "summary.json", study | {"trials": by_state} | chosen | more)
        self._summary_due = time.monotonic() + (time.monotonic() - began) / SUMMARY_SHARE
        return path

    def refresh_summary(self) -> None:
        """Rewrite `summary.json` unless that would take more than a small share of the time."""
        if time.monotonic() >= self._summary_due:
            self.write_summary()

    def close(self) -> None:
        """Let another driver have the study."""
        self.storage.close()

    def _read(self) -> None:
        """Look at the database again; finished trials do not change."""
        unfinished = [self._ids[n] for n, trial in self._trials.items() if trial["state"] not in ENDED]
        for trial in self._rows.read(max(self._ids.values(), default=0), unfinished):
            known = self._trials.get(trial.number)
            self._know(trial.number, trial._trial_id)
            if trial.state not in (TrialState.RUNNING, *FINISHED):
                continue
            self._trials[trial.number] = plain = self._plain(trial)
            if known is None:
                check_trial(plain, values_of(trial.number, trial.user_attrs).get("accuracy"))
            self._ended += plain["state"] in ENDED

    def _know(self, number: int, identity: int) -> None:
        self._ids[number] = identity
        self._next = max(self._next, number + 1)

    def _end(self, number: int, state: TrialState, accuracy: float | None, result: Mapping[str, Any]) -> None:
        trial = self._trials[number]
        trial.update({"paused": False, "order": self._ended, **result})
        self._rows.end(self._ids[number], state, accuracy, "result", self._result(number))
        trial.update(state=FINISHED[state], ended=_now())
        self._ended += 1

    def _result(self, number: int) -> dict[str, Any]:
        return {key: value for key, value in self._trials[number].items() if key in RESULT}

    def _set(self, name: str, value: Any) -> None:
        self._study.set_user_attr(name, value)
        self._attributes[name] = value

    def _plain(self, trial: FrozenTrial) -> dict[str, Any]:
        values = values_of(trial.number, trial.user_attrs)
        plain = {key: values.get(key) for key in (*NETWORK, *RESULT)}
        defaults = {"role": "candidate", "fidelity": 0, "full_fidelity": False, "paused": False, "curve": []}
        plain |= {key: default for key, default in defaults.items() if plain[key] is None}
        plain |= {
            "number": trial.number,
            "state": self._state(trial, values),
            "choices": dict(trial.params),
            "started": _time(trial.datetime_start),
            "ended": _time(trial.datetime_complete),
        }
        if trial.state is TrialState.COMPLETE:
            plain["accuracy"] = trial.value
        return plain

    def _state(self, trial: FrozenTrial, values: Mapping[str, Any]) -> str:
        if values.get("interrupted"):
            return "interrupted"
        if trial.state in FINISHED:
            return FINISHED[trial.state]
        if values.get("paused"):
            return "paused"
        return "running" if self.storage.alive(values.get("driver", 0)) else "interrupted"


NETWORK = (
    "role", "name", "architecture", "fingerprint", "macs", "params", "activations", "seed", "budget",
    "driver", "memo", "of",
)  # fmt: skip
RESULT = (
    "target", "fidelity", "full_fidelity", "paused", "accuracy", "curve", "train_seconds",
    "images_per_second", "precision", "device", "threads", "reason", "order", "attempts",
    "mark",
)  # fmt: skip


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
def unwritable(folder: Path) -> Iterator[None]:
    """One line for a database that cannot be written."""
    try:
        yield
    except FAILURES as error:
        raise InputError(f"study {folder}: cannot be written ({said(error)})") from None


def _new(settings: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a new study."""
    return {
        "asked": dict(asked),
        "settings": dict(settings),
        "created": _now(),
        "versions": versions(),
        "wall_seconds": 0.0,
        "format": FORMAT,
    }


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterable[str]:
    now = json.loads(json.dumps(dict(now)))
    for key in BINDING:
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        if isinstance(old, dict) and isinstance(new, dict):
            names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
            names = [name for name in names if name not in UNBOUND.get(key, ())]
            yield from (
                f"{key}.{name} {quoted(old.get(name))}, not {quoted(new.get(name))}" for name in names
            )
        else:
            yield f"{key} {quoted(old)}, not {quoted(new)}"


def _headline(trials: list[dict[str, Any]], number: int | None) -> dict[str, Any] | None:
    if number is None:
        return None
    trial = next(t for t in trials if t["number"] == number)
    keys = (
        "number", "role", "name", "accuracy", "fidelity", "seed", "fingerprint", "macs", "params",
        "activations", "train_seconds", "architecture",
    )  # fmt: skip
    return {key: trial[key] for key in keys}


def _time(moment: datetime | None) -> str | None:
    """Optuna keeps local times without a zone."""
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
