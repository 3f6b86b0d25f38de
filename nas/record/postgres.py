"""A study in a PostgreSQL database that several drivers may write to.

A server that is no longer there is noticed within a minute: by the system where the connection is lost, by
`SILENCE` where it is not.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import re
import time
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy as sa
import sqlalchemy.exc

from nas.record.database import FAILURES, LAST, check_tables, compatible, make_study, said, study_of
from space.errors import InputError, quoted

# the first half of the advisory locks' keys
TURNS, DRIVERS = 0x6E6173, 0x6E6174
DRIVERNAMES = ("postgresql", "postgresql+psycopg")
SILENCE = 30.0  # seconds without a word of a server that was asked something
CONNECT: dict[str, Any] = {
    "connect_timeout": 10,  # seconds, as the next two
    "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 4,
    "tcp_user_timeout": 30_000,  # milliseconds
}  # fmt: skip
# and how the server notices that a driver is gone; a wait for a lock is asked for anew before `SILENCE`
SESSION = {
    "lock_timeout": "10s", "statement_timeout": "300s", "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3",
}  # fmt: skip
LOCK_NOT_AVAILABLE = "55P03"
# of a URL that came with a study, not from the command line
HARMLESS = ("host", "port", "sslmode", "sslrootcert")
SECRET = ("password", "passfile", "sslpassword")


class PostgresStorage:
    """One study among those of a database. Raises `InputError` where it cannot be reached."""

    shared = True

    def __init__(self, url: str, name: str, *, write: bool = True) -> None:
        """A reader (`write` false) makes nothing and takes no lock."""
        check_url(url)
        self.name = name
        self.url = without_password(url)
        self.place = f"study {quoted(name)} of the database"
        # never 0: that is the driver of a trial which names none
        self.driver = random.SystemRandom().randrange(1, 2**31)
        self._server = _Server(url)
        # the halves of an advisory lock's key are signed 32-bit integers
        self._key = zlib.crc32(name.encode(errors="replace")) - 2**31
        try:
            # AUTOCOMMIT: the locks are the session's, so no transaction stays open while they are held
            self._engine = sa.create_engine(
                "postgresql+psycopg://", creator=self._server.connect, isolation_level="AUTOCOMMIT"
            )
            self._connection = self._engine.connect()
            if write:
                self._take(DRIVERS, self._driver_key(self.driver))
                with self.turn():  # two drivers that made Optuna's tables at once would stumble
                    self.rdb = self._opened()
            else:
                check_tables(self._connection)
                self.rdb = self._opened(skip_table_creation=True)
        except FAILURES as error:
            self.close()
            raise InputError(f"storage {self.url}: {said(error)}") from None
        except InputError as error:
            self.close()
            raise InputError(f"storage {self.url}: {error}") from None

    def study(self) -> optuna.Study:
        """The study of this name."""
        return study_of(self.rdb, self.name)

    def make(self, attributes: Mapping[str, Any]) -> None:
        """A new study with these attributes. Raises `InputError` for the name of another program's."""
        with contextlib.suppress(KeyError):
            if self.rdb.get_all_trials(self.rdb.get_study_id_from_name(self.name), deepcopy=False):
                raise InputError(
                    f"storage {self.url}: holds a study of another program called {quoted(self.name)}; "
                    "--study NAME names another"
                )
        make_study(self.rdb, self.name, attributes)

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
        # a lock that can be taken has lost its owner
        if not self._run("select pg_try_advisory_lock(:a, :b)", DRIVERS, key):
            return True
        self._run("select pg_advisory_unlock(:a, :b)", DRIVERS, key)
        return False

    def close(self) -> None:
        """Leave the study to the others."""
        with contextlib.suppress(AttributeError, *FAILURES):  # what was never opened, or is lost
            self._connection.close()
        for engine in (getattr(self, "_engine", None), getattr(getattr(self, "rdb", None), "engine", None)):
            if engine is not None:
                engine.dispose()

    def _opened(self, **options: Any) -> optuna.storages.RDBStorage:
        engine = {"creator": self._server.connect}
        return compatible(optuna.storages.RDBStorage, "postgresql+psycopg://", engine, **options)

    def _driver_key(self, driver: int) -> int:
        return zlib.crc32(f"{self.name} {driver}".encode(errors="replace")) - 2**31

    def _take(self, first: int, second: int) -> None:
        while True:
            try:
                self._run("select pg_advisory_lock(:a, :b)", first, second)
            except sqlalchemy.exc.OperationalError as error:
                if getattr(error.orig, "sqlstate", None) != LOCK_NOT_AVAILABLE:
                    raise
            else:
                return

    def _run(self, statement: str, first: int, second: int) -> Any:
        return self._connection.execute(sa.text(statement), {"a": first, "b": second}).scalar()


class _Server:
    """Connections to a server that give up on it, once for all, where it falls silent."""

    def __init__(self, url: str) -> None:
        parsed = sa.engine.make_url(url).set(drivername="postgresql+psycopg")
        try:
            dialect: Any = sa.create_engine(parsed).dialect
        except ModuleNotFoundError:
            raise InputError(
                "storage: PostgreSQL needs psycopg; pip install 'convnext-nas[postgresql]'"
            ) from None
        self._positional, named = dialect.create_connect_args(parsed)
        self._named = CONNECT | dict(named)
        self._lost = ""

    def connect(self) -> Any:
        """A new connection."""
        psycopg = _psycopg()
        if self._lost:
            raise psycopg.OperationalError(self._lost)
        try:
            connection = _connection_class().connect(*self._positional, **self._named)
            connection.server = self
            settings = ", ".join(f"set_config('{name}', '{value}', false)" for name, value in SESSION.items())
            connection.execute(f"select {settings}")
            connection.commit()
        except psycopg.Error as error:
            self.lose(said(error))
            raise
        return connection

    def lose(self, reason: str) -> None:
        """Make no further connections: whoever still has something to write would wait for each."""
        self._lost = self._lost or reason


def _psycopg() -> Any:
    import psycopg

    return psycopg


@functools.cache
def _connection_class() -> Any:
    psycopg = _psycopg()

    class Connection(psycopg.Connection):  # type: ignore[misc, name-defined]
        """One that does not wait for ever."""

        server: _Server | None = None

        def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
            try:
                return super().wait(_heard(gen), *arguments, **options)
            except TimeoutError as error:
                self.pgconn.finish()
                self._lose(str(error))
                raise psycopg.OperationalError(str(error)) from None
            except KeyboardInterrupt:
                if self.pgconn.status != psycopg.pq.ConnStatus.OK:
                    self._lose("the server did not answer")
                raise

        def _lose(self, reason: str) -> None:
            if self.server is not None:
                self.server.lose(reason)

    return Connection


def _heard(gen: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
    """What psycopg waits for, until it has waited for `SILENCE`; it asks ten times a second."""
    news, heard = None, time.monotonic()
    while True:
        try:
            ready = gen.send(news)
        except StopIteration as over:
            return over.value
        news = yield ready
        if news:
            heard = time.monotonic()
        elif time.monotonic() - heard > SILENCE:
            raise TimeoutError(f"the server has not answered for {SILENCE:g} s")


def check_url(url: str) -> None:
    """Raises `InputError` unless it is a PostgreSQL URL that can be read."""
    try:
        known = sa.engine.make_url(url).drivername in DRIVERNAMES
    except (sqlalchemy.exc.ArgumentError, ValueError):  # a port that is no number
        known = False
    if not known:
        raise InputError(
            f"storage {quoted(without_password(url))}: must be postgresql://USER@HOST/DATABASE; without "
            "--storage a study is an SQLite file in its folder"
        )


def check_trusted(url: str, where: str) -> None:
    """Raises `InputError` for a database elsewhere that only a study's own file names.

    The file may be a stranger's, and PostgreSQL's client sends PGPASSWORD to whatever host it is told.
    """
    check_url(url)
    parsed = sa.engine.make_url(url)
    strange = sorted(set(parsed.query) - set(HARMLESS))
    if strange:
        raise InputError(f"{where}: {strange[0]} of the database's URL is taken from --storage only")
    for host in hosts_of(parsed):
        if not _is_local(host) and host != os.environ.get("PGHOST"):
            raise InputError(
                f"{where}: is in a database on {quoted(host)}; set PGHOST={host} if you know that host, or "
                "name it by --storage"
            )


def hosts_of(url: sa.URL) -> list[str]:
    """The hosts or socket folders that a URL may connect to."""
    named = [url.host] if url.host else []
    for value in (url.query.get("host", ()), url.query.get("hostaddr", ())):
        named += [value] if isinstance(value, str) else value
    # the client tries one after the other
    return [host.strip() for several in named for host in several.split(",")]


def _is_local(host: str) -> bool:
    # a path or an abstract name is a socket of this machine
    return host in ("", "localhost", "127.0.0.1", "::1") or host[0] in "/@"


def without_password(url: str) -> str:
    """A database URL that may be shown and stored."""
    try:
        parsed = sa.engine.make_url(url)
        if "@" in (parsed.database or ""):  # of a password that is not written as in a URL
            raise ValueError
    except (sqlalchemy.exc.ArgumentError, ValueError):
        shorter = re.sub(r"(?s)(//[^:@]*):.*@", r"\1@", url)
        return re.sub(rf"(?i)({'|'.join(SECRET)})=[^&]*", r"\1=", shorter)
    # `set` takes None for no change
    shown: sa.URL = parsed._replace(password=None).difference_update_query(SECRET)
    return shown.render_as_string(hide_password=False)
