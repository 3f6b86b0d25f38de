"""The commands that kill searches and that run long ones, in short; what a trial costs, counted."""

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from space.files import is_temporary
from tests import event_kills, faults, soak
from tests.event_kills import Campaign, Ended, Found, Tally
from tests.file_events import Moment
from tests.soak import Part, Soak

ROOT = Path(__file__).parents[1]
WRITER = """
from pathlib import Path
import sqlalchemy as sa
from space.files import write_text

def main(argv):
    write_text(Path("page-12.html"), "whole")
    engine = sa.create_engine("sqlite:///study.db")
    with engine.begin() as connection:
        connection.execute(sa.text("create table trials (number)"))
    with engine.begin() as connection:
        connection.execute(sa.text("insert into trials values (1)"))

if __name__ == "__main__":
    main([])
"""


@pytest.mark.slow
def test_a_search_survives_a_kill(tmp_path, capsys):
    path = tmp_path / "faults.json"
    assert faults.main(["--kills", "1", "--scenarios", "local-simulated", "--json", str(path)]) == 0
    assert "fault campaign" in capsys.readouterr().out
    (tally,) = json.loads(path.read_text())
    assert tally["passed"] and tally["kills"] == 1 and tally["trials"] > 0
    assert tally["lost"] == tally["twice"] == tally["differences"] == 0


@pytest.fixture
def write(tmp_path):
    """Runs `WRITER` in a new folder, killed or not; the folder, the exit code and the events."""
    (tmp_path / "writer.py").write_text(WRITER)

    def run(*flags):
        folder = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        done = subprocess.run(
            [sys.executable, "-m", "tests.file_events", str(folder) + ".log", *flags, "--", "writer"],
            cwd=folder, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}, check=False,
        )  # fmt: skip
        lines = map(json.loads, Path(f"{folder}.log").read_text().splitlines())
        return folder, done.returncode, [line["event"] for line in lines if "event" in line]

    return run


def test_a_command_is_killed_just_before_and_just_after_what_it_does(write):
    part = ".page-*.html.*.convnext-nas-part"
    _, code, events = write()
    assert code == 0 and events[:3] == [f"{kind} {part} in a library" for kind in ("make", "sync", "rename")]
    assert "commit in a library" in events and "database remove study.db-journal in a library" in events
    for side, names in (("before", False), ("after", True)):
        folder, code, seen = write("--event", events[2], "--side", side)
        assert code == event_kills.KILLED and seen == events[:3]
        assert (folder / "page-12.html").exists() is names
        assert any(map(is_temporary, folder.iterdir())) is not names
    inside = next(event for event in events if event.startswith("database write study.db in"))
    for event, occurrence, side, rows in (
        ("commit in a library", 1, "before", 0),
        ("commit in a library", 1, "after", 1),
        (inside, events.count(inside), "after", 0),  # the journal is still there, and takes it back
    ):
        folder, code, _ = write("--event", event, "--occurrence", str(occurrence), "--side", side)
        assert code == event_kills.KILLED
        with sqlite3.connect(folder / "study.db") as database:
            assert database.execute("select count(*) from trials").fetchone() == (rows,)
        database.close()


@pytest.mark.slow
def test_the_same_command_after_kills_at_all_that_it_does(tmp_path):
    path = tmp_path / "kills.json"
    flags = ["--at", "events", "--scenarios", "dashboard", "--most", "1", "--fresh", "0", "--json", str(path)]
    # children of this process would have the threads of other tests to miss
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", *flags],
        cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    (tally,) = json.loads(path.read_text())
    assert done.returncode == 0 and tally["passed"], done.stdout
    assert tally["events"] == tally["places"] == 3 and tally["kills"] == 6 and tally["before"] == 3
    assert tally["kept"] == 6 * 18 and "runs/small/study.db" in tally["compared"]


def test_a_campaign_sees_what_a_kill_has_done(tmp_path):
    moment = Moment("commit in nas/record/record.py:Record.complete", 1, "after")
    campaign = Campaign("search-simulated", tmp_path, random.Random(0))
    campaign._expected = Found({"study.db": [1, 2], "report.html": "a"}, {}, {}, {})
    campaign.tally.compared = ["study.db"]
    there = Found({}, {0: "first"}, {"abc 0": 4}, {})
    killed = Ended(event_kills.KILLED, "", ({"stored": 0}, {"stored": 1}))
    again = Ended(0, "", ({"begun": 0, "training": "abc 0"}, {"epoch": 4}, {"epoch": 5}))
    end = Found({"study.db": [1, 3], ".report.html.part": "a"}, {0: "other"}, {}, {})
    one = Tally("search-simulated")
    campaign._check_lost(one, moment, killed, there)
    campaign._check_repeated(one, moment, again, there)
    campaign._check_end(one, moment, there, end)
    assert (one.lost, one.repeated, one.differences, one.leftovers) == (2, 2, 2, 1) and not one.passed
    assert [(note["what"], note["message"]) for note in one.notes] == [
        ("lost", "trials [1], epochs 0"),
        ("repeated", "trial 0, abc 0: epoch 4"),
        ("lost", "results of [0] at the kill"),
        ("different", "study.db, report.html: study.db: ('[1]', 2, 3)"),
        ("left over", ".report.html.part"),
    ]


def test_of_alike_events_the_ends_and_some_between(capsys):
    rng = random.Random(0)
    assert event_kills.chosen(1, 3, rng) == [1] and event_kills.chosen(2, 3, rng) == [1, 2]
    assert event_kills.chosen(90, 3, rng) == [1, 2, 90] and event_kills.chosen(90, 1, rng) == [1]
    many = event_kills.chosen(90, 5, rng)
    assert many[:2] == [1, 2] and many[-1] == 90 and len(set(many)) == 5
    done = Ended(0, "", tuple({"event": name} for name in "abcacb"))
    assert event_kills.halfway(done, "a") == Moment("a", 2, "after")
    with pytest.raises(SystemExit):
        faults.main(["--at", "events", "--scenarios", "local-real"])
    assert "at events there are search-simulated" in capsys.readouterr().err


@pytest.mark.slow
def test_a_short_soak(tmp_path, capsys):
    path = tmp_path / "soak.json"
    flags = ["--trials", "60", "--engine", "local", "--schedulers", "asha", "--json", str(path)]
    assert soak.main(flags) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "local, scheduler asha, last tenth to second:" in out
    (found,) = json.loads(path.read_text())
    assert [part["trials"] for part in found["parts"]] == [6] * 10
    for part in found["parts"]:
        assert 0 < part["decide_ms"] < part["wall_ms"] and part["cpu_ms"] > 0 and part["resident"] > 10e6
    stored = [part["stored"] for part in found["parts"]]
    assert stored == sorted(stored) and stored[0] < stored[-1]


def test_the_verdict_tells_growth():
    def run(**last):
        usual = {"trials": 5, "wall_ms": 4.0, "decide_ms": 3.0, "cpu_ms": 2.0, "resident": 10**8, "stored": 1}
        return Soak("local", "none", (*(Part(**usual) for _ in range(9)), Part(**usual | last)))

    assert "GROWS" not in run().verdict and "memory is flat (x1.00)" in run().verdict
    assert run().bytes_a_trial == 0
    slower, fatter = run(cpu_ms=6.0), run(resident=2 * 10**8)
    assert "processor time a trial GROWS (x3.00)" in slower.verdict and slower.verdict.count("GROWS") == 1
    assert "memory GROWS (x2.00)" in fatter.verdict and fatter.bytes_a_trial == 10**8 / 40


def test_too_few_trials_for_a_soak(capsys):
    with pytest.raises(SystemExit):
        soak.main(["--trials", "10"])
    assert "10 is too few" in capsys.readouterr().err


class Counting(soak.Meter):
    """Counts, by part, calls of Python functions and statements of the database: no clock, so no noise."""

    def run(self, controller):
        self.counts, self._counter = [], Counter()
        sqlalchemy.event.listen(Engine, "before_cursor_execute", self._statement)
        sys.setprofile(self._call)
        try:
            super().run(controller)
        finally:
            sys.setprofile(None)
            sqlalchemy.event.remove(Engine, "before_cursor_execute", self._statement)

    def _part(self, trials, now):
        super()._part(trials, now)
        counted, self._counter = self._counter, Counter()
        self.counts.append(Counter({name: n / trials for name, n in counted.items()}))

    def _call(self, frame, event, _):
        if event == "call":  # of a generator whenever it goes on, so that a loop over all trials shows
            self._counter[frame.f_code] += 1

    def _statement(self, *_):
        self._counter["statement"] += 1


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_a_trial_of_a_long_search_costs_no_more_calls(monkeypatch, scheduler):
    meters = []

    def counting(*arguments):
        meters.append(Counting(*arguments))
        return meters[-1]

    # the summary and the curves have a share of the time, not of the trials
    monkeypatch.setattr("nas.verdict.summary.Summary.refresh", lambda self: None)
    monkeypatch.setattr("nas.record.record.Record.report", lambda *_: None)
    monkeypatch.setattr(soak, "Meter", counting)
    trials = 60
    soak.soak("local", scheduler, trials)
    second, last = meters[0].counts[1], meters[0].counts[-1]
    assert last["statement"] <= 1.1 * second["statement"] < 100
    assert sum(last.values()) <= 1.1 * sum(second.values())
    # between the two parts lie 0.8 of the trials: one call for each of them is too many
    most = 0.4 * trials
    grown = {n: (second[n], last[n]) for n in last if last[n] > 1.25 * second[n] + most}
    assert not grown
