"""A study in an SQLite file in its own folder, one driver at a time."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import optuna
import sqlalchemy as sa

from nas.record.damage import DamagedError
from nas.record.database import check_tables, compatible, make_study, study_name, study_of
from space.errors import InputError
from space.files import fcntl, locked, sweep

log = logging.getLogger(__name__)


Found = TypeVar("Found")
PART = ".study.db.part"  # a database that is being made; SQLite puts a journal beside it
# seconds: that SQLite itself waits for a lock, until the wait is noted, and that a reader waits
# (the first is short, for Ctrl-C is not heard while SQLite waits)
STEP, NOTED, MOST_WAIT = 0.5, 5.0, 60.0
LOCK_TRIES = 6  # 0.02 s apart


class SqliteStorage:
    """`study.db` in the study's folder; a writer holds the folder's `.lock`."""

    shared = False
    place = "study.db"
    url = None
    driver = 0

    def __init__(self, folder: Path, *, write: bool) -> None:
        self._folder = folder
        self._path = folder / "study.db"
        self._lock = _locked(folder) if write else None
        self._waiting = _Waiting(self._path, float("inf") if write else MOST_WAIT)
        self._rdb: optuna.storages.RDBStorage | None = None
        self.name = study_name(folder)

    @property
    def rdb(self) -> optuna.storages.RDBStorage:
        """Optuna's view of the file, opened when first asked for."""
        if self._rdb is None:
            mode = "mode=rw" if self._lock is not None else _mode(self._path)
            self._check(mode)
            self._rdb = self._opened(self._path, mode, skip_table_creation=True)
        return self._rdb

    def study(self) -> optuna.Study:
        """The study of this program in the file, whatever its name: a folder may be renamed."""
        return study_of(self.rdb, None)

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes; under another name first, so that it is whole or not there."""
        self._sweep_part()  # of one that was killed; its journal is no longer true
        part = self._path.with_name(PART)
        try:
            rdb = self._opened(part, "mode=rwc")
            make_study(rdb, self.name, attributes)
            rdb.engine.dispose()
            part.replace(self._path)
        except BaseException:  # a full disk is not to be kept full
            self._sweep_part()
            raise

    def sweep(self) -> None:
        """Remove the temporary files of a driver that was killed while it wrote."""
        self._sweep_part()
        for folder in (self._folder, self._folder / "checkpoints"):
            sweep(folder)

    def remove(self) -> None:
        """Remove the study; its folder too, where nothing else is in it."""
        for name in ("study.db", "summary.json"):
            (self._folder / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            (self._folder / "checkpoints").rmdir()
        (self._folder / ".lock").unlink(missing_ok=True)  # while it is held
        self.close()
        with contextlib.suppress(OSError):
            self._folder.rmdir()

    def exists(self) -> bool:
        """Whether there is a database."""
        return self._path.exists()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """There is no other driver."""
        yield

    def alive(self, driver: int) -> bool:  # noqa: ARG002
        """Whether some driver has the folder."""
        if self._lock is not None:
            return True
        if fcntl is None:  # no driver runs on such a system
            return False
        try:
            with (self._folder / ".lock").open() as lock:
                # shared: two who look at the same time do not take each other for a driver
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Let another driver have the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._rdb is not None:
            self._rdb.engine.dispose()

    def _sweep_part(self) -> None:
        for left in self._folder.glob(f"{PART}*"):
            left.unlink(missing_ok=True)

    def _opened(self, path: Path, mode: str, **options: Any) -> optuna.storages.RDBStorage:
        # the path is no part of a URL that SQLAlchemy or Optuna would read
        engine = {"creator": partial(_connect, path, mode, self._waiting), "poolclass": sa.pool.QueuePool}
        return compatible(optuna.storages.RDBStorage, "sqlite://", engine, **options)

    def _check(self, mode: str) -> None:
        """Look before Optuna does: it would make its tables in any database, and write to a damaged one."""
        connect = partial(_connect, self._path, mode, self._waiting)
        engine = sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            found = connection.exec_driver_sql("pragma quick_check(1)").scalar()
            if found != "ok":
                raise DamagedError(str(found).splitlines()[-1])
            # SQLite takes what is missing of the last page for zeros
            if self._path.stat().st_size % connection.exec_driver_sql("pragma page_size").scalar_one():
                raise DamagedError("its end is missing")
            check_tables(connection)


def _connect(path: Path, mode: str, waiting: _Waiting) -> sqlite3.Connection:
    """A connection to a file, whatever characters are in its path."""
    uri = f"{path.absolute().as_uri()}?{mode}"
    connection = sqlite3.connect(uri, uri=True, timeout=STEP, check_same_thread=False, factory=_Patient)
    connection.waiting = waiting
    return connection


def _mode(path: Path) -> str:
    """How a reader opens a database.

    To write where it may: after a kill SQLite may have a transaction to roll back first. A log of SQLite's
    WAL mode cannot be made where nothing may be written, and is not needed where none was left.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return "mode=rw"
    with path.open("rb") as file:
        # in the header, versions for reading and writing: 2 is WAL (sqlite.org/fileformat.html)
        logged = file.read(20)[18:] == b"\x02\x02"
    return "mode=ro&immutable=1" if logged and not _size(path, "-wal") else "mode=ro"


def _size(path: Path, suffix: str) -> int:
    """Bytes of a file beside a database; 0 where there is none."""
    with contextlib.suppress(OSError):
        return path.with_name(path.name + suffix).stat().st_size
    return 0


class _Waiting:
    """How a program waits for a database that another one has locked."""

    def __init__(self, path: Path, most: float) -> None:
        self._path = path
        self._most = most  # seconds
        self._noted = False

    def __call__(self, act: Callable[[], Found]) -> Found:
        """What `act` gives once it is let; SQLite's own error after a reader's patience."""
        began = time.monotonic()
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - began
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or waited > self._most:
                    raise
            except KeyboardInterrupt:
                self._most = 0.0  # what is written at the end waits for nobody
                raise
            if waited > NOTED and not self._noted:
                log.warning("%s is locked by another program: waiting for it", self._path)
                self._noted = True
            time.sleep(0.01)


class _PatientCursor(sqlite3.Cursor):
    def execute(self, *arguments: Any) -> Self:
        return self._waited(partial(super().execute, *arguments))

    def executemany(self, *arguments: Any) -> Self:
        return self._waited(partial(super().executemany, *arguments))

    def _waited(self, act: Callable[[], Self]) -> Self:
        connection: _Patient = self.connection  # type: ignore[assignment]
        return connection.waiting(act)


class _Patient(sqlite3.Connection):
    """A connection whose statements wait for locks, and can be interrupted meanwhile.

    A statement that finds the database locked has changed nothing, and a commit leaves its transaction as it
    was: both may be tried again.
    """

    waiting: _Waiting

    def cursor(self, *_: Any) -> _PatientCursor:  # type: ignore[override]
        return super().cursor(_PatientCursor)

    def execute(self, *arguments: Any) -> _PatientCursor:
        return self.cursor().execute(*arguments)

    def commit(self) -> None:
        self.waiting(super().commit)


def _locked(folder: Path) -> IO[str]:
    """The folder, made and taken; the lock goes with the process, however it ends."""
    for _ in range(LOCK_TRIES - 1):  # who looks whether a search is running holds it for a moment
        with contextlib.suppress(InputError):
            return locked(folder / ".lock", "")
        time.sleep(0.02)
    try:
        return locked(folder / ".lock", f"study {folder}: another search is writing to it")
    except InputError as error:
        raise InputError(str(error) if str(error).startswith("study") else f"study {error}") from None
