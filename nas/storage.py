"""Where a study's trials are stored: SQLite in the study's folder for one driver, PostgreSQL for several.

A driver that dies, however it dies, is known to be dead at once: its lock goes with its process (SQLite: a
file lock) or with its connection (PostgreSQL: an advisory lock).
"""

from __future__ import annotations

import fcntl
import random
import sqlite3
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any, Protocol
from urllib.parse import quote

import optuna
import sqlalchemy
import sqlalchemy.exc

from nas.damage import DamagedError
from space.errors import InputError, first_line

SQLITE_STUDY = "study"
# what `space.files.write_text` and `nas.checkpoint.save` write before they rename it
LEFT_BEHIND = (".summary.json.*", ".report.html.*", ".dashboard.html.*", "checkpoints/.trial-*.ckpt.*")
LAST = "format"  # the attribute of a study that is written last
# the first half of the advisory locks' keys
TURNS, DRIVERS = 0x6E6173, 0x6E6174
FAILURES = (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError, OSError)


class Storage(Protocol):
    """A study's database, as one driver or reader has it."""

    @property
    def name(self) -> str:
        """Of the study in it."""

    @property
    def driver(self) -> int:
        """This driver among the study's."""

    @property
    def shared(self) -> bool:
        """Whether there may be other drivers."""

    @property
    def rdb(self) -> optuna.storages.RDBStorage:
        """Optuna's view of it."""

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes, `LAST` the last."""

    def exists(self) -> bool:
        """Whether the study is there, made to the end."""

    def turn(self) -> Any:
        """A context in which no other driver decides anything."""

    def alive(self, driver: int) -> bool:
        """Whether this driver holds its lock."""

    def close(self) -> None:
        """Let go of all locks."""


class SqliteStorage:
    """`study.db` in the study's folder; a writer holds the folder's `.lock`."""

    name = SQLITE_STUDY
    shared = False

    def __init__(self, folder: Path, *, write: bool) -> None:
        self._folder = folder
        self._path = folder / "study.db"
        self._lock = _locked(folder) if write else None
        self.driver = 0
        self._rdb: optuna.storages.RDBStorage | None = None

    @property
    def rdb(self) -> optuna.storages.RDBStorage:
        """Optuna's view of the file, opened when first asked for."""
        if self._rdb is None:
            if self._path.exists():
                _check_tables(self._path)
            self._rdb = optuna.storages.RDBStorage(f"sqlite:///{self._path}")
        return self._rdb

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes; under another name first, so that it is whole or not there."""
        part = self._path.with_name(".study.db.part")
        for left in self._folder.glob(
            f"{part.name}*"
        ):  # by one that was killed; its journal is no longer true
            left.unlink()
        rdb = optuna.storages.RDBStorage(f"sqlite:///{part}")
        _made(rdb, self.name, attributes)
        rdb.engine.dispose()
        part.replace(self._path)

    def sweep(self) -> None:
        """Remove the temporary files of a driver that was killed while it wrote."""
        for pattern in LEFT_BEHIND:
            for path in self._folder.glob(pattern):
                path.unlink(missing_ok=True)

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
        try:
            with (self._folder / ".lock").open() as lock:
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


class PostgresStorage:
    """A study in a PostgreSQL database that several drivers may write to."""

    shared = True

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.url = url
        self.driver = random.SystemRandom().randrange(1, 2**31)
        self._key = zlib.crc32(name.encode()) - 2**31
        try:
            self._connection = _connected(url)
            self._take(DRIVERS, self._driver_key(self.driver))
            with self.turn():  # two drivers that made Optuna's tables at once would stumble
                self.rdb = optuna.storages.RDBStorage(_with_driver(url))
        except FAILURES as error:
            raise InputError(f"storage {without_password(url)}: {said(error)}") from None

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes."""
        _made(self.rdb, self.name, attributes)

    def exists(self) -> bool:
        """Whether a study of this name is there, made to the end."""
        studies = self.rdb.get_all_studies()
        return any(study.study_name == self.name and LAST in study.user_attrs for study in studies)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One driver at a time decides."""
        self._take(TURNS, self._key)
        try:
            yield
        finally:
            self._run("select pg_advisory_unlock(:a, :b)", TURNS, self._key)

    def alive(self, driver: int) -> bool:
        """Whether this driver's connection is open."""
        key = self._driver_key(driver)
        if driver == self.driver:
            return True
        if not self._run("select pg_try_advisory_lock(:a, :b)", DRIVERS, key):
            return True
        self._run("select pg_advisory_unlock(:a, :b)", DRIVERS, key)
        return False

    def close(self) -> None:
        """Leave the study to the others."""
        self._connection.close()
        self._connection.engine.dispose()
        self.rdb.engine.dispose()

    def _driver_key(self, driver: int) -> int:
        return zlib.crc32(f"{self.name} {driver}".encode()) - 2**31

    def _take(self, first: int, second: int) -> None:
        self._run("select pg_advisory_lock(:a, :b)", first, second)

    def _run(self, statement: str, first: int, second: int) -> Any:
        return self._connection.execute(sqlalchemy.text(statement), {"a": first, "b": second}).scalar()


def _made(rdb: optuna.storages.RDBStorage, name: str, attributes: Mapping[str, Any]) -> None:
    study = optuna.create_study(study_name=name, storage=rdb, direction="maximize", load_if_exists=True)
    for key, value in sorted(attributes.items(), key=lambda item: item[0] == LAST):
        study.set_user_attr(key, value)


def without_password(url: str) -> str:
    """A database URL that may be shown and stored."""
    parsed = sqlalchemy.engine.make_url(url)
    # `set` takes None for no change
    return parsed._replace(password=None).render_as_string(hide_password=False)


def check_url(url: str) -> None:
    """Raises `InputError` unless it is a PostgreSQL URL that can be read."""
    try:
        backend = sqlalchemy.engine.make_url(url).get_backend_name()
    except sqlalchemy.exc.ArgumentError:
        backend = ""
    if backend != "postgresql":
        raise InputError(
            f"storage {url!r}: must be postgresql://USER@HOST/DATABASE; without --storage a study is "
            "an SQLite file in its folder"
        )


def said(error: BaseException) -> str:
    """What an error says, in one line; of wrapped ones, what the database said."""
    while (inner := _wrapped(error)) is not None:
        error = inner
    return first_line(error)


def _wrapped(error: BaseException) -> BaseException | None:
    if isinstance(error, optuna.exceptions.StorageInternalError):
        return error.__cause__
    return getattr(error, "orig", None)


def _connected(url: str) -> sqlalchemy.Connection:
    try:
        engine = sqlalchemy.create_engine(_with_driver(url), isolation_level="AUTOCOMMIT")
    except ModuleNotFoundError:
        raise InputError(
            "storage: PostgreSQL needs psycopg; pip install 'convnext-nas[postgresql]'"
        ) from None
    return engine.connect()


def _with_driver(url: str) -> str:
    parsed = sqlalchemy.engine.make_url(url)
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed.render_as_string(hide_password=False)


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


def _check_tables(path: Path) -> None:
    """Look before Optuna does: it would make its tables in any database, and write to a damaged one.

    Not read-only: after a kill SQLite may have a transaction to roll back first.
    """
    with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=rw", uri=True)) as database:
        try:
            names = database.execute("select name from sqlite_master where type = 'table'").fetchall()
            (found,) = database.execute("pragma quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT:
                raise
            raise DamagedError(str(error)) from None
    if not {"studies", "trials", "trial_user_attributes"} <= {name for (name,) in names}:
        raise RuntimeError("it has none of Optuna's tables")
    if found != "ok":
        raise DamagedError(str(found).splitlines()[-1])
