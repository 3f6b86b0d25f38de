"""The commands that kill searches and that run long ones, in short; what a trial costs, counted."""

import json
import sys
from collections import Counter

import pytest
import sqlalchemy
from sqlalchemy.engine import Engine

from tests import faults, soak
from tests.soak import Part, Soak


@pytest.mark.slow
def test_a_search_survives_a_kill(tmp_path, capsys):
    path = tmp_path / "faults.json"
    assert faults.main(["--kills", "1", "--scenarios", "local-simulated", "--json", str(path)]) == 0
    assert "fault campaign" in capsys.readouterr().out
    (tally,) = json.loads(path.read_text())
    assert tally["passed"] and tally["kills"] == 1 and tally["trials"] > 0
    assert tally["lost"] == tally["twice"] == tally["differences"] == 0


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
    monkeypatch.setattr("nas.record.Record.refresh_summary", lambda self: None)
    monkeypatch.setattr("nas.record.Record.report", lambda *_: None)
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
