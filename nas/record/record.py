"""The study folder: everything tried, at which fidelity, with what result. Only drivers write.

    runs/NAME/study.db       Optuna's SQLite storage: every trial with its parameters and attributes
              study.json     in its place, where the study is in a PostgreSQL database: which one
              summary.json   what the study found, rewritten as it goes on
              report.html    the page to look at
              checkpoints/   states of trainings that can go on

`nas.record.stored` says how Optuna has a trial.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState, create_trial

from nas.record import stored
from nas.record.binding import BEFORE, BINDING, differences
from nas.record.damage import DamagedError, TrialCheck, check_numbers, check_study
from nas.record.database import FAILURES, UnfitError, failure, name_metric, said, study_name
from nas.record.folder import is_study, is_there, read_place, study_folder, unwritable, versions, write_json
from nas.record.postgres import check_trusted
from nas.record.rows import TrialStore, trial_store
from nas.record.sqlite import SqliteStorage
from nas.record.storage import PostgresStorage, Storage, check_url
from nas.record.trial import NETWORK, Trial
from space.command import uncollected
from space.errors import InputError, quoted
from space.networks import Recorded, cost_of

optuna.logging.set_verbosity(optuna.logging.WARNING)

FORMAT = 3
READABLE = (1, 2, 3)
RESUMABLE = (2, 3)  # 2: without what Optuna's tools want
# of the time of a search, at most, that showing curves that go on may take
REPORT_SHARE = 0.02


class Record:
    """One study, open for writing (`create`, `resume`) or for reading (`read`)."""

    def __init__(self, folder: Path, storage: Storage, study: optuna.Study) -> None:
        self.folder = folder
        self.storage = storage
        self._study = study
        self._ids: dict[int, int] = {}  # of Optuna's, by number
        self._next = 0
        self._trials: dict[int, Trial] = {}
        self._attributes = dict(study.user_attrs)
        self._report_due = 0.0
        self._ended = 0
        self._check = TrialCheck(self.settings, self.asked)
        with uncollected():
            self._read()
        check_numbers(self._ids)

    @staticmethod
    def check_free(folder: Path, *, resume: bool) -> None:
        """Raises `InputError` where there is a study and none was expected, or the other way round."""
        exists = is_there(folder / "study.db")
        if is_there(folder / "study.json"):
            raise InputError(
                f"study {folder}: is in a PostgreSQL database (study.json); --storage URL goes on with it, "
                "--study NAME starts another"
            )
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
        except InputError:
            storage.close()
            raise
        try:
            with unwritable(folder):
                storage.make(_new(settings, asked))
        except InputError:
            storage.remove()  # what there is of it
            raise
        return cls._open(folder, storage)

    @classmethod
    def resume(cls, folder: Path, settings: Mapping[str, Any]) -> Record:
        """The study of `folder`, to go on with. Raises `InputError` where its settings differ."""
        cls.check_free(folder, resume=True)
        storage = SqliteStorage(folder, write=True)
        record = cls._open(folder, storage)
        record.refuse_difference(settings)
        with unwritable(folder):
            record._bring_up_to_date()
            storage.sweep()
        return record

    @classmethod
    def join(cls, folder: Path, url: str, settings: Mapping[str, Any], asked: Mapping[str, Any]) -> Record:
        """The study of this name in a PostgreSQL database, made where it is not there.

        Raises `InputError` where its settings differ or the database cannot be used.
        """
        check_url(url)
        if is_there(folder / "study.db"):
            raise InputError(f"study {folder}: is a study of its own (study.db); --study NAME names another")
        storage = PostgresStorage(url, study_name(folder))
        with unwritable(folder):
            try:
                # in turn, or two drivers that start together would both make it
                with storage.turn():
                    if not storage.exists():
                        storage.make(_new(settings, asked))
            except BaseException:
                storage.close()
                raise
            record = cls._open(folder, storage)
            record.refuse_difference(settings)
            record._bring_up_to_date()
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "study.json", {"storage": storage.url, "study": storage.name})
        return record

    @classmethod
    def read(cls, study: str | Path, url: str | None = None) -> Record:
        """The study of a name or path, for reading; nothing is made.

        `url` is a database that the user named: without it, a study elsewhere is refused unless PGHOST
        names its host. Raises `InputError`.
        """
        folder = study_folder(str(study))
        place = folder / "study.json"
        if is_there(place):
            named, name = read_place(place, f"study {folder}: study.json")
            if url is None:
                check_trusted(named, f"study {folder}")
            return cls._open(folder, PostgresStorage(url or named, name, write=False))
        if not is_there(folder / "study.db"):
            here = Path(study)  # as a path, where a name was given
            hint = f"; ./{study} is one" if here != folder and is_study(here) else ""
            raise InputError(f"study {folder}: no such study (no study.db there){hint}")
        return cls._open(folder, SqliteStorage(folder, write=False))

    @classmethod
    def _open(cls, folder: Path, storage: Storage) -> Record:
        """The study in a storage; the storage is closed where it is refused."""
        try:
            study = storage.study()
            known = study.user_attrs["format"]
            if known in READABLE:
                check_study(study.user_attrs, [key for key in BINDING if key not in BEFORE])
                return cls(folder, storage, study)
            newer = isinstance(known, int) and known > FORMAT
            flaw = f"is of {'a later' if newer else 'no'} version of this program (format {quoted(known)}; "
            flaw += f"this version reads 1 to {FORMAT})"
        except UnfitError as error:
            flaw = str(error)
        except FAILURES as error:
            flaw = failure(error)
        # whatever Optuna, and the checks, make of rows that no Optuna wrote
        except (LookupError, TypeError, ValueError, RuntimeError, AssertionError, OverflowError) as error:
            flaw = f"is damaged ({said(error)})"
        except BaseException:
            storage.close()
            raise
        storage.close()
        raise InputError(f"study {folder}: {storage.place} {flaw}")

    @cached_property
    def _rows(self) -> TrialStore:
        return trial_store(self.storage.rdb, self._study._study_id)

    @property
    def settings(self) -> dict[str, Any]:
        """What the study was started with."""
        return BEFORE | dict(self._attributes["settings"])

    @property
    def asked(self) -> dict[str, Any]:
        """The settings as the user gave them; the database is the one that the study was found in."""
        return {**self._attributes["asked"], "storage": self.storage.url}

    @property
    def warnings(self) -> list[str]:
        """Remarks for the report."""
        return list(self._attributes.get("warnings", []))

    def refuse_earlier(self) -> None:
        """Raises `InputError` where the study is of a format that is read only."""
        if self._attributes["format"] not in RESUMABLE:
            self.close()
            raise InputError(
                f"study {self.folder}: is of an earlier version (format {self._attributes['format']}), to be "
                "read and exported only; start another with --study NAME"
            )

    def refuse_difference(self, settings: Mapping[str, Any]) -> None:
        """Raises `InputError` naming what differs from what the study was started with."""
        self.refuse_earlier()
        found = list(differences(self.settings, settings))
        if found:
            self.close()
            raise InputError(f"study {self.folder}: was started with {'; '.join(found)}")

    @property
    def stopping(self) -> dict[str, Any]:
        """What `--scheduler auto` saw and decided, by budget; of every driver, inside a turn."""
        if self.storage.shared:
            self._attributes |= self._study.user_attrs
        return dict(self._attributes.get("stopping", {}))

    def decide(self, budget: str, seen: Mapping[str, Any]) -> None:
        """Keep what was seen and decided for a budget, once for all. Inside a turn."""
        self._set("stopping", {**self.stopping, budget: dict(seen)})

    def trials(self) -> list[Trial]:
        """Every trial, in order."""
        return [self._trials[number] for number in sorted(self._trials)]

    def trial(self, number: int) -> Trial:
        """One trial."""
        return self._trials[number]

    @property
    def next_number(self) -> int:
        """The number of the next trial; inside a turn nobody else takes it."""
        return self._next

    def turn(self) -> AbstractContextManager[None]:
        """A context in which no other driver of the study decides anything."""
        held: AbstractContextManager[None] = self.storage.turn()
        return held

    def news(self) -> list[Trial]:
        """What other drivers have changed since the last look: their new and their changed trials."""
        if not self.storage.shared:
            return []
        before = dict(self._trials)
        self._read()
        return [trial for number, trial in self._trials.items() if before.get(number) != trial]

    def begin(
        self,
        architecture: Recorded,
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

        `params` are those of the study's space, None where the network is none of it. Inside a turn.
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
            distributions=dict(distributions or {}) if params else {},
            user_attrs=stored.begun(network, target),
        )
        trial.number = number = self.next_number
        self._know(number, self._rows.begin(number, trial))
        self._trials[number] = Trial.from_dict(stored.found(trial, self.storage.alive).trial)
        return number

    def report(self, number: int, curve: Sequence[Mapping[str, Any]]) -> None:
        """Show how a training goes to those who look, for a small share of the time."""
        began = time.monotonic()
        if began < self._report_due:
            return
        self._rows.change(self._ids[number], {}, stored.accuracies(curve))
        now = time.monotonic()
        # after t seconds of writing, none for t / share: whatever a write takes on this disk
        self._report_due = now + (now - began) / REPORT_SHARE

    def progress(self, number: int, **result: Any) -> None:
        """Store how far an unfinished trial has come, or is to come."""
        trial = self._trials[number].changed(**result)
        self._rows.change(
            self._ids[number], stored.result_of(trial), stored.accuracies(result.get("curve", ()))
        )
        self._trials[number] = trial.changed(state="paused" if trial.paused else "running")

    def adopt(self, number: int) -> None:
        """Take over the trial of a driver that died."""
        trial = self._trials[number].changed(driver=self.storage.driver)
        network = {key: getattr(trial, key) for key in NETWORK}
        self._rows.change(self._ids[number], {"network": network})
        self._trials[number] = trial

    def complete(self, number: int, accuracy: float, **result: Any) -> None:
        """Store a result, in one transaction; what is no number is a failure."""
        if not math.isfinite(accuracy):
            self.fail(number, f"its accuracy is {accuracy}", **result | {"full_fidelity": False})
            return
        trial = self._trials[number]
        given = not trial.is_candidate and self.settings["sampler"] != "none"
        outside = given and not trial.choices
        state = TrialState.PRUNED if outside else TrialState.COMPLETE
        self._end(number, state, accuracy, {"accuracy": accuracy, **result})

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

    def moved_to(self, spec: str) -> None:
        """Keep where the study's images lie now."""
        settings = dict(self._attributes["settings"])
        if settings["data"].get("spec") != spec:
            self._set("settings", {**settings, "data": {**settings["data"], "spec": spec}})

    def add_wall_seconds(self, seconds: float) -> None:
        """Add the time of this run to the study's."""
        self._set("wall_seconds", self._attributes["wall_seconds"] + seconds)

    def about(self) -> dict[str, Any]:
        """Settings, versions and sums as plain values: a study without its trials."""
        settings, attributes = self.settings, self._attributes
        same = ("budget", "objective", "limits", "space", "proxy", "data", "sampler", "scheduler", "seed")
        return {
            "name": self.folder.resolve().name,
            **{name: settings[name] for name in same},
            **{name: attributes[name] for name in ("versions", "created", "wall_seconds")},
            "train_seconds": sum(trial.train_seconds or 0.0 for trial in self.trials()),
            "warnings": self.warnings,
            **{name: attributes[name] for name in ("stopping",) if name in attributes},
        }

    @contextmanager
    def unless_refused(self) -> Iterator[None]:
        """Where an `InputError` comes before the first trial no study is left: the command, once it is set
        right, finds its name free."""
        try:
            yield
        except InputError:
            if isinstance(self.storage, SqliteStorage) and not self.trials():
                self.storage.remove()
            raise

    def close(self) -> None:
        """Let another driver have the study."""
        self.storage.close()

    def _read(self) -> None:
        """Look at the database again; finished trials do not change."""
        unfinished = [self._ids[n] for n, trial in self._trials.items() if not trial.over]
        found = []
        # in format 1 a trial's values were attributes of their own
        keys = stored.ATTRIBUTES if self._attributes["format"] > 1 else None
        for trial in self._rows.read(max(self._ids.values(), default=0), unfinished, keys):
            if self._ids.get(trial.number, trial._trial_id) != trial._trial_id:
                raise DamagedError(f"trial {trial.number} is there twice")
            self._know(trial.number, trial._trial_id)
            found.append(stored.found(trial, self.storage.alive))
        # once each, when it comes
        self._check([one for one in found if one.trial["number"] not in self._trials], self._trials)
        for one in found:
            read = Trial.from_dict(one.trial)
            self._trials[read.number] = read
            self._ended += read.over

    def _know(self, number: int, identity: int) -> None:
        self._ids[number] = identity
        self._next = max(self._next, number + 1)

    def _end(self, number: int, state: TrialState, accuracy: float | None, result: Mapping[str, Any]) -> None:
        trial = self._trials[number].changed(**{"paused": False, "order": self._ended, **result})
        self._rows.end(self._ids[number], state, accuracy, stored.result_of(trial), trial.accuracies)
        self._trials[number] = trial.changed(state=stored.FINISHED[state], ended=_now())
        self._ended += 1

    def _bring_up_to_date(self) -> None:
        """Mark a study of an earlier format that is gone on with: what is new in it has this format."""
        if self._attributes["format"] != FORMAT:
            name_metric(self._study)
            self._set("format", FORMAT)

    def _set(self, name: str, value: Any) -> None:
        self._study.set_user_attr(name, value)
        self._attributes[name] = value


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
