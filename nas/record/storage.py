"""Where a study's trials are stored: SQLite in the study's folder for one driver, PostgreSQL for several.

A driver that dies, however it dies, is known to be dead at once: its lock goes with its process (SQLite: a
file lock) or with its connection (PostgreSQL: an advisory lock).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import optuna

from nas.record.postgres import PostgresStorage, check_url, without_password
from nas.record.sqlite import SqliteStorage

__all__ = ["PostgresStorage", "SqliteStorage", "Storage", "check_url", "without_password"]


class Storage(Protocol):
    """A study's database, as one driver or reader has it."""

    @property
    def name(self) -> str:
        """Of the study in it, where it is made."""

    @property
    def driver(self) -> int:
        """This driver among the study's."""

    @property
    def shared(self) -> bool:
        """Whether there may be other drivers."""

    @property
    def place(self) -> str:
        """What errors call it."""

    @property
    def url(self) -> str | None:
        """Where it is, without a password; None in the study's folder."""

    @property
    def rdb(self) -> optuna.storages.RDBStorage:
        """Optuna's view of it."""

    def study(self) -> optuna.Study:
        """The study in it. Raises `UnfitError`, `DamagedError` or one of `FAILURES`."""

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes, the format the last."""

    def exists(self) -> bool:
        """Whether the study is there, made to the end."""

    def turn(self) -> Any:
        """A context in which no other driver decides anything."""

    def alive(self, driver: int) -> bool:
        """Whether this driver holds its lock."""

    def close(self) -> None:
        """Let go of all locks."""
