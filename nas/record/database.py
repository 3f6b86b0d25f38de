"""What the databases of studies have in common: Optuna's tables, the study in them, and what errors say."""

from __future__ import annotations

import os
import sqlite3
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy as sa
import sqlalchemy.exc
from optuna.storages import RDBStorage
from optuna.storages._rdb.models import BaseModel

from nas.record.damage import DamagedError
from space.errors import InputError, first_line, quoted, reason

LAST = "format"  # the attribute of a study that is written last
METRIC = "accuracy"
FAILURES = (sqlalchemy.exc.SQLAlchemyError, sqlite3.Error, optuna.exceptions.StorageInternalError, OSError)
# by the first byte of SQLite's error codes
SQLITE = {
    sqlite3.SQLITE_BUSY: "is locked by another program; try again when that has ended",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_CANTOPEN: "cannot be read",
    sqlite3.SQLITE_READONLY: "was left half written, to be rolled back by who may write in its folder",
    sqlite3.SQLITE_PERM: "cannot be read",
    sqlite3.SQLITE_IOERR: "cannot be read",
    sqlite3.SQLITE_FULL: "cannot be read",
}


class UnfitError(InputError):
    """Why a database gives no study: what comes after its name in a sentence."""


def study_name(folder: Path) -> str:
    """The name in its database of the study that a folder holds: the folder's."""
    name = folder.name or folder.resolve().name or "study"
    return os.fsencode(name).decode(errors="replace")


def make_study(rdb: RDBStorage, name: str, attributes: Mapping[str, Any]) -> None:
    """A new study with these attributes, `LAST` the last."""
    study = optuna.create_study(study_name=name, storage=rdb, direction="maximize", load_if_exists=True)
    name_metric(study)
    # killed in between, it leaves a study without `LAST`, which nobody takes for one
    for key, value in sorted(attributes.items(), key=lambda item: item[0] == LAST):
        study.set_user_attr(key, value)


def name_metric(study: optuna.Study) -> None:
    """Tell Optuna's pictures what the study's values are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([METRIC])


def check_tables(connection: sa.Connection) -> None:
    """Raises `UnfitError` or `DamagedError` unless all of Optuna's tables are there.

    Optuna would make in any database what it misses.
    """
    expected = {*BaseModel.metadata.tables, "alembic_version"}
    names = set(sa.inspect(connection).get_table_names())
    missing = sorted(expected - names)
    if not names:
        raise UnfitError("is empty")
    if not {"studies", "trials"} <= names:
        raise UnfitError(f"is not a study of this program: it has no table {missing[0]}")
    if missing:
        raise DamagedError(f"the table {missing[0]} is missing")
    for table in ("version_info", "alembic_version"):
        if connection.execute(sa.text(f"select 1 from {table}")).first() is None:
            raise DamagedError(f"{table} is empty")


def compatible(rdb: type[RDBStorage], *arguments: Any, **options: Any) -> RDBStorage:
    """Optuna's view of a database. Raises `UnfitError` where this Optuna does not know its tables."""
    try:
        return rdb(*arguments, **options)
    except RuntimeError as error:
        raise UnfitError(f"was written by another version of Optuna ({first_line(error)})") from None


def study_of(rdb: RDBStorage, name: str | None) -> optuna.Study:
    """The study of this name; without one the only study of this program, whatever it is called.

    Raises `UnfitError` where there is none.
    """
    studies = rdb.get_all_studies()
    own = [study for study in studies if LAST in study.user_attrs and name in (None, study.study_name)]
    if len(own) == 1:
        return optuna.load_study(study_name=own[0].study_name, storage=rdb)
    if own:
        raise UnfitError(f"holds {len(own)} studies of this program ({_named(own)}), not one")
    if not studies:
        raise UnfitError("holds no study")
    if name is not None and name not in {study.study_name for study in studies}:
        raise UnfitError(f"holds no study called {quoted(name)}")
    raise UnfitError(f"is not a study of this program: {_named(studies)} has no format")


def _named(studies: Collection[optuna.study._frozen.FrozenStudy]) -> str:
    return quoted([study.study_name for study in studies]).strip("[]")


def failure(error: BaseException) -> str:
    """Why a database cannot be read, as the rest of a sentence that starts with its name."""
    words = SQLITE.get(_code(error) or 0)
    if words is None:
        words = "cannot be read" if _code(error) is None else "is damaged"
    return f"{words} ({said(error)})"


def said(error: BaseException) -> str:
    """What an error says, in one line; of wrapped ones, what the database said."""
    error = _innermost(error)
    return reason(error) if isinstance(error, OSError) else first_line(error)


def _code(error: BaseException) -> int | None:
    """The first byte of SQLite's error code; None of another database's error."""
    inner = _innermost(error)
    code = getattr(inner, "sqlite_errorcode", None)
    if code is None:
        return sqlite3.SQLITE_ERROR if isinstance(inner, sqlite3.Error) else None
    return int(code) & 0xFF


def _innermost(error: BaseException) -> BaseException:
    while (inner := _wrapped(error)) is not None:
        error = inner
    return error


def _wrapped(error: BaseException) -> BaseException | None:
    if isinstance(error, optuna.exceptions.StorageInternalError):
        return error.__cause__
    return getattr(error, "orig", None)
