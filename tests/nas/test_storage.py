"""Several drivers on one study in a real PostgreSQL server, and who is alive."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analysis import report
from nas import search
from nas.record import Record
from nas.storage import PostgresStorage, SqliteStorage, check_url, without_password
from space.errors import InputError

ROOT = Path(__file__).parents[2]
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
    assert len(trials) == 24 and {t["state"] for t in trials} <= {"complete", "paused"}
    assert len({t["fingerprint"] for t in trials}) == 24
    assert len({t["driver"] for t in trials}) == 3  # each had a part in it
    assert [t["role"] for t in trials].count("reference") == 1
    summary = json.loads((tmp_path / "a/runs/together/summary.json").read_text())
    assert summary["sampler"] == "random"


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
    left = [t for t in trials_of(postgres_url) if t["state"] == "interrupted"]
    assert len(left) == 1  # the dead one's; the other was there before and is not a new driver
    third = driver(postgres_url, tmp_path / "c", "--trials", "6", *slow)
    out, err = third.communicate(timeout=240)
    assert third.returncode == 0, err
    trials = trials_of(postgres_url)
    assert [t["state"] for t in trials] == ["complete"] * 6
    assert out.count("starts") == 1 and f"trial {left[0]['number']} " in out


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
    assert report.main(["runs/together"]) == 0


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
        ("postgresql://nobody@127.0.0.1:1/none", "storage postgresql://nobody@127.0.0.1:1/none: "),
    ],
)
def test_a_database_that_cannot_be_used_is_one_line(url, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert search.main([*SEARCH, "--trials", "2", "--storage", url]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


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
