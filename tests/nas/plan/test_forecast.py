"""What a search will take, told before it starts."""

import re
import time

import pytest

from nas import run as search_run
from nas.plan.forecast import Forecast, _Clock, _Enough
from nas.record.record import Record


def looked(each, passes, monkeypatch, steps=1000):
    """How long a look at steps of so many seconds takes, and its clock."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = _Clock(passes)
    clock.begin()
    with pytest.raises(_Enough):
        for done in range(1, steps + 1):
            now[0] += each * (3 if done == 1 else 1)  # the first prepares much
            clock.step(done, steps, 0.0)
    return now[0], clock


@pytest.mark.parametrize("each", [1e-4, 0.01, 0.3, 0.5, 2.0, 60.0])
def test_a_look_takes_two_seconds_or_a_hundredth_of_the_whole(each, monkeypatch):
    passes, steps = 30, 1000
    spent, clock = looked(each, passes, monkeypatch, steps)
    assert spent <= max(2, 0.01 * passes * steps * each)
    assert clock.each == pytest.approx(each) and clock.steps == steps


def test_a_look_at_a_short_training_is_its_first_step(monkeypatch):
    spent, clock = looked(5.0, 1, monkeypatch, 10)
    assert clock.counted == 1 and spent == 15


def test_the_line_says_one_training_the_whole_and_what_a_limit_skips():
    found = Forecast(40.0, 400.0, 10, "ConvNeXt-T", 5)
    assert found.line(None) == (
        "about 40 s a training here (5 steps of ConvNeXt-T): 6 min 40 s for 10 trainings"
    )
    assert found.line(400) == found.line(None)
    assert found.line(200).endswith("--time-limit 3 min 20 s has room for about 5 of 10, the rest is skipped")
    assert found.line(20).endswith("more than --time-limit 20 s: one is trained all the same")


def test_a_search_says_it_once_and_its_results_do_not_depend_on_it(run, monkeypatch):
    code, out, _ = run("--trials", 3, "--study", "told", "--confirm", "1x1")
    lines = re.findall(r"^about .+ a training here \(\d steps? of .+\): .+ for 4 trainings$", out, re.M)
    assert code == 0 and len(lines) == 1
    assert "a training here" not in run("--study", "told", "--resume", "--trials", 4)[1]
    monkeypatch.setattr(search_run, "foretold", lambda *_: "")
    assert run("--trials", 3, "--study", "untold", "--confirm", "1x1")[0] == 0
    told, untold = ([t.accuracies for t in Record.read(name).trials()] for name in ("told", "untold"))
    assert told[:3] == untold[:3]


def test_a_law_is_known_after_its_first_training(run):
    out = run("--proxy", "simulated:rugged", "--trials", 2, "--study", "law")[1]
    assert "a training here" not in out and "known after the first" in out
