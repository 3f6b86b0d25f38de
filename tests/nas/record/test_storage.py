"""Several drivers on one study in a real PostgreSQL server, and who is alive."""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import optuna
import pytest
import sqlalchemy

from analysis import dashboard
from nas import search
from nas.record.folder import study_folder
from nas.record.record import Record
from nas.record.sqlite import SqliteStorage, _Waiting
from nas.record.storage import PostgresStorage, check_url, without_password
from space.errors import InputError

ROOT = Path(__file__).parents[3]
SEARCH = [
    "--budget",
    "4.5G",
    "--proxy",
    "simulated:rugged:0.02",
    "--sampler",
    "random",
    "--study",
    "together",
]


def driver(url, folder, *flags):
    folder.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "nas.search", *SEARCH, "--storage", url, *flags],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def trials_of(url):
    storage = PostgresStorage(url, "together")
    try:
        return Record._open(Path("together"), storage).trials()
    finally:
        storage.close()


def test_several_drivers_share_a_study_and_no_network_is_trained_twice(postgres_url, tmp_path):
    drivers = [
        driver(postgres_url, tmp_path / name, "--trials", "24", "--scheduler", "asha") for name in "abc"
    ]
    for process in drivers:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    trials = trials_of(postgres_url)
    assert len(trials) == 24 and {t.state for t in trials} <= {"complete", "paused"}
    assert len({t.fingerprint for t in trials}) == 24
    assert len({t.driver for t in trials}) == 3  # each had a part in it
    assert [t.role for t in trials].count("reference") == 1
    summary = json.loads((tmp_path / "a/runs/together/summary.json").read_text())
    assert summary["sampler"] == "random"


def test_drivers_of_one_study_look_together_and_stop_trainings_alike(postgres_url, tmp_path):
    flags = ("--proxy", "simulated:separable:0.02", "--scheduler", "auto")
    drivers = [driver(postgres_url, tmp_path / name, "--trials", "14", *flags) for name in "ab"]
    for process in drivers:
        _, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
    again = driver(postgres_url, tmp_path / "c", "--trials", "16", *flags)
    out, err = again.communicate(timeout=240)
    assert again.returncode == 0, err
    summary = json.loads((tmp_path / "c/runs/together/summary.json").read_text())
    ((_, decision),) = summary["stopping"].items()
    assert f"auto: {decision['says']}" in out
    trials = trials_of(postgres_url)
    assert decision["stops"] and decision["trainings"] == 6
    assert all(t.fidelity == 9 for t in trials[: decision["since"]])
    assert {t.fidelity for t in trials[decision["since"] :]} <= {*decision["stops"], 9}


def test_a_driver_takes_over_what_a_dead_one_left_but_not_what_a_living_one_has(postgres_url, tmp_path):
    slow = ["--proxy", "simulated:rugged:0.4"]
    first, second = (driver(postgres_url, tmp_path / name, "--trials", "6", *slow) for name in "ab")
    for process in (first, second):
        for line in process.stdout:
            if " starts" in line:
                break
    first.send_signal(signal.SIGKILL)
    first.communicate()
    _, err = second.communicate(timeout=240)
    assert second.returncode == 0, err
    left = [t for t in trials_of(postgres_url) if t.state == "interrupted"]
    assert len(left) == 1  # the dead one's; the other was there before and is not a new driver
    third = driver(postgres_url, tmp_path / "c", "--trials", "6", *slow)
    out, err = third.communicate(timeout=240)
    assert third.returncode == 0, err
    trials = trials_of(postgres_url)
    assert [t.state for t in trials] == ["complete"] * 6
    assert out.count("starts") == 1 and f"trial {left[0].number} " in out


def test_a_driver_with_other_settings_is_refused(postgres_url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    flags = [*SEARCH, "--storage", postgres_url, "--trials", "2"]
    assert search.main(flags) == 0
    assert search.main([*flags, "--seed", "1"]) == 2
    err = capsys.readouterr().err
    assert "seed 0, not 1" in err and err.count("\n") == 1
    # more of the same, told nothing but the study
    assert search.main(["--study", "together", "--resume", "--trials", "3"]) == 0
    assert len(trials_of(postgres_url)) == 3
    assert dashboard.main(["runs/together"]) == 0


def test_one_decides_at_a_time(postgres_url):
    storages = [PostgresStorage(postgres_url, "x") for _ in range(2)]
    inside, most = [], []

    def decide(storage):
        for _ in range(20):
            with storage.turn():
                inside.append(storage)
                most.append(len(inside))
                time.sleep(0.002)
                inside.remove(storage)

    threads = [threading.Thread(target=decide, args=(storage,)) for storage in storages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == 1 and len(most) == 40
    first, second = storages
    assert first.alive(second.driver) and second.alive(second.driver) and not first.alive(12345)
    second.close()
    deadline = time.monotonic() + 10
    while first.alive(second.driver):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.close()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///study.db", "must be postgresql://USER@HOST/DATABASE"),
        ("nonsense", "must be postgresql://USER@HOST/DATABASE"),
        ("postgresql://u:p@h:notaport/d", "storage 'postgresql://u@h:notaport/d': must be postgresql://USER"),
        ("postgresql+asyncpg://h/d", "must be postgresql://USER@HOST/DATABASE"),
        ("mysql://u:hidden@h/d", "storage 'mysql://u@h/d': must be postgresql://USER@HOST/DATABASE"),
        ("mysql://u:hid@den/x@h:port/d?password=hidden", "storage 'mysql://u@h:port/d?password=': must be"),
        ("postgresql://nobody@127.0.0.1:1/none", "storage postgresql://nobody@127.0.0.1:1/none: "),
        ("postgresql://u:hidden@127.0.0.1:1/{none}", "storage postgresql://u@127.0.0.1:1/%7Bnone%7D: "),
        ("postgresql://u@127.0.0.1:1/d?password=hidden", "storage postgresql://u@127.0.0.1:1/d: "),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert search.main([*SEARCH, "--trials", "2", "--storage", url]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1 and "hid" not in err


def test_passwords_are_neither_shown_nor_kept(postgres_url, tmp_path, monkeypatch):
    secret = postgres_url.replace("tester@", "tester:secret@")
    check_url(secret)
    assert "secret" not in without_password(secret) and "tester" in without_password(secret)
    monkeypatch.chdir(tmp_path)
    assert search.main([*SEARCH, "--storage", secret, "--trials", "2"]) == 0
    for path in (tmp_path / "runs").rglob("*"):
        assert not path.is_file() or b"secret" not in path.read_bytes()
    with pytest.raises(InputError, match="must be postgresql"):
        check_url("mysql://host/x")


def test_a_folder_has_one_driver_and_readers_know_whether_it_lives(tmp_path):
    writer = SqliteStorage(tmp_path, write=True)
    with pytest.raises(InputError, match="another search is writing to it"):
        SqliteStorage(tmp_path, write=True)
    assert SqliteStorage(tmp_path, write=False).alive(0)
    writer.close()
    assert not SqliteStorage(tmp_path, write=False).alive(0)


def test_a_system_without_locks_has_readers_only(tmp_path, monkeypatch):
    monkeypatch.setattr("space.files.fcntl", None)
    monkeypatch.setattr("nas.record.sqlite.fcntl", None)
    with pytest.raises(InputError, match="Linux and macOS have, and Windows has WSL"):
        SqliteStorage(tmp_path, write=True)
    assert not SqliteStorage(tmp_path, write=False).alive(0)


def test_another_program_s_study_of_the_same_name_is_left_alone(postgres_url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    storage = postgres_url.replace("://", "+psycopg://")
    theirs = optuna.create_study(study_name="together", storage=storage)
    theirs.add_trial(optuna.trial.create_trial(value=1.0))
    assert search.main([*SEARCH, "--storage", postgres_url, "--trials", "2"]) == 2
    err = capsys.readouterr().err
    assert "holds a study of another program called 'together'" in err and err.count("\n") == 1
    assert optuna.load_study(study_name="together", storage=storage).user_attrs == {}


# locks of other programs


def hold(path, seconds):
    """Another program that has the whole database for so long."""
    held = threading.Event()

    def keep():
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("begin exclusive")
            held.set()
            time.sleep(seconds)
            database.execute("commit")

    thread = threading.Thread(target=keep)
    thread.start()
    assert held.wait(10)
    return thread


def test_a_search_waits_for_who_has_its_database_and_notes_it_once(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("nas.record.sqlite.NOTED", 0.3)
    monkeypatch.setattr("nas.record.sqlite.STEP", 0.05)
    flags = [*SEARCH[:-1], "./one", "--trials"]
    assert search.main([*flags, "2"]) == 0
    began, taken = Record.begin, []

    def begin(self, *arguments, **options):  # while the search runs
        if len(taken) < 2:
            taken.append(hold(tmp_path / "one/study.db", 0.8))
        return began(self, *arguments, **options)

    monkeypatch.setattr(Record, "begin", begin)
    assert search.main([*flags, "5", "--resume"]) == 0
    record = Record.read("./one")
    assert [t.state for t in record.trials()] == ["complete"] * 5
    assert caplog.text.count("study.db is locked by another program: waiting for it") == 1
    for thread in taken:
        thread.join()


def test_a_reader_waits_and_then_says_that_the_database_is_locked(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert search.main([*SEARCH[:-1], "./one", "--trials", "1"]) == 0
    monkeypatch.setattr("nas.record.sqlite.STEP", 0.05)
    thread = hold(tmp_path / "one/study.db", 0.5)
    assert len(Record.read("./one").trials()) == 1
    thread.join()
    monkeypatch.setattr("nas.record.sqlite.MOST_WAIT", 0.2)
    thread = hold(tmp_path / "one/study.db", 1.0)
    capsys.readouterr()
    assert dashboard.main(["./one"]) == 2
    err = capsys.readouterr().err
    assert err == (
        "analysis.dashboard: study one: study.db is locked by another program; try again when that has ended "
        "(database is locked)\n"
    )
    thread.join()


def test_what_is_interrupted_while_it_waits_waits_no_more(tmp_path):
    waiting, calls = _Waiting(tmp_path / "x", float("inf")), []

    def act():
        calls.append(1)
        if len(calls) == 1:
            raise KeyboardInterrupt
        sqlite3.connect(f"file:{tmp_path}/x", uri=True, timeout=0).execute("begin exclusive")

    with contextlib.closing(sqlite3.connect(tmp_path / "x", isolation_level=None)) as database:
        database.execute("begin exclusive")
        with pytest.raises(KeyboardInterrupt):
            waiting(act)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            waiting(act)


# folders that may only be read


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_study_is_read_where_nothing_may_be_written(tmp_path, monkeypatch, mode):
    monkeypatch.chdir(tmp_path)
    assert search.main([*SEARCH[:-1], "./one", "--trials", "2"]) == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "one/study.db")) as database:
        database.execute(f"pragma journal_mode = {mode}")
    before = sorted(path.name for path in (tmp_path / "one").iterdir())
    allowed = os.access
    monkeypatch.setattr("os.access", lambda path, how: how != os.W_OK and allowed(path, how))
    record = Record.read("./one")
    assert len(record.trials()) == 2
    record.close()
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == before


# a server that is lost


IMPATIENT = """
import sys, nas.record.postgres
nas.record.postgres.SILENCE, nas.record.postgres.CONNECT["connect_timeout"] = 1.0, 2
from nas import search
sys.exit(search.main(sys.argv[1:]))
"""


def under_way(url, folder):
    """A search of networks that take a while, in its third training, that waits for a server for a second."""
    flags = [*SEARCH, "--proxy", "simulated:rugged:0.02", "--storage", url, "--trials", "40"]
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT, *flags],
        cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    for line in process.stdout:
        if "trial 2 starts" in line:
            return process
    raise AssertionError(process.stderr.read())


def test_a_lost_server_is_one_line_and_the_study_goes_on(
    postgres_server, postgres_url, tmp_path, monkeypatch
):
    """Its processes stand still: connections are accepted, and nothing is answered."""
    process = under_way(postgres_url, tmp_path)
    with stopped(postgres_server):
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and err.count("\n") == 1, err
    assert "study runs/together: cannot be written (the server has not answered for 1 s)" in err
    kept = [t.fingerprint for t in trials_of(postgres_url) if t.state == "complete"]
    assert len(kept) >= 2
    monkeypatch.chdir(tmp_path)
    again = ["--study", "together", "--resume", "--proxy", "simulated:rugged", "--trials", str(len(kept) + 2)]
    assert search.main(again) == 0
    trials = trials_of(postgres_url)
    assert [t.fingerprint for t in trials][: len(kept)] == kept
    assert [t.state for t in trials] == ["complete"] * len(trials)


def test_a_search_is_ended_though_its_server_stands_still(postgres_server, postgres_url, tmp_path):
    process = under_way(postgres_url, tmp_path)
    with stopped(postgres_server):
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=90)
    assert process.returncode in (2, 130) and "Traceback" not in err, err


@contextlib.contextmanager
def stopped(server):
    """All of a server's processes by SIGSTOP."""
    engine = sqlalchemy.create_engine(server.replace("://", "+psycopg://") + "/postgres")
    with engine.connect() as connection:
        pids = set(connection.execute(sqlalchemy.text("select pid from pg_stat_activity")).scalars())
        folder = connection.execute(sqlalchemy.text("show data_directory")).scalar_one()
    engine.dispose()
    pids.add(int(Path(folder, "postmaster.pid").read_text().splitlines()[0]))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def test_reading_makes_nothing_in_a_database(postgres_url, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one").mkdir()
    (tmp_path / "one/study.json").write_text(json.dumps({"storage": postgres_url, "study": "x"}))
    engine = sqlalchemy.create_engine(postgres_url.replace("://", "+psycopg://"))
    for _ in range(2):
        assert dashboard.main(["./one"]) == 2
        assert sqlalchemy.inspect(engine).get_table_names() == []
    assert "storage postgresql://tester@127.0.0.1" in (err := capsys.readouterr().err) and "is empty" in err
    engine.dispose()
    PostgresStorage(postgres_url, "y").close()
    assert dashboard.main(["./one"]) == 2
    assert "study 'x' of the database holds no study" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["./a\x1b[31m", "x/a\nb", "x/\x85"])
def test_a_folder_that_no_line_can_show_is_none_of_a_study(name):
    with pytest.raises(InputError, match="has line breaks or control characters; rename the folder"):
        study_folder(name)


def test_a_study_whose_disk_is_not_there_is_not_made_anew(tmp_path):
    place = tmp_path / "study.db"
    place.symlink_to(tmp_path / "unmounted" / "study.db")
    with pytest.raises(InputError, match="exists; --resume continues it"):
        Record.check_free(tmp_path, resume=False)
    with pytest.raises(InputError, match=r"study\.db cannot be read"):
        Record.read(tmp_path)
    assert place.is_symlink()
