"""Studies that hold little, nothing, or names that are no names: a page all the same, or one line."""

import argparse
import copy
import json
import os
from pathlib import Path

import pytest

from analysis import dashboard
from analysis.axes.findings import find
from analysis.compare import _show_answer
from analysis.comparison.answer import answer
from analysis.comparison.claims import as_json
from analysis.page.page import page_of, payload, render, write_page
from analysis.proposal.proposal import plan
from analysis.scores.measure import measure
from nas.record.study import Study, networks_of, read_study
from space.errors import InputError
from tests.trials import made

ROOT = Path(__file__).resolve().parents[2]
HOSTILE = "</script><img src=x onerror=alert(1)>\n\u2028\x1b[2J\ud800{%x}<!--<script>"


@pytest.fixture(scope="module")
def recorded():
    return read_study(ROOT / "studies" / "default").to_dict()


def changed(recorded, *, every=None, **fields):
    mapping = copy.deepcopy(recorded) | fields
    for trial in mapping["trials"]:
        trial.update(every or {})
    return mapping


WITHOUT = {"best": None, "reference": None}
ODD = {
    "empty": {"trials": [], **WITHOUT},
    "failed": {"every": {"state": "failed", "accuracy": None, "reason": HOSTILE, "curve": []}, **WITHOUT},
    "running": {"every": {"state": "running", "accuracy": None, "full_fidelity": False}, **WITHOUT},
    "paused": {"every": {"state": "paused", "accuracy": None, "full_fidelity": False}, **WITHOUT},
    "of an unknown state": {"every": {"state": "pruned", "accuracy": None}, **WITHOUT},
    "not finite": {"every": {"accuracy": float("nan")}, **WITHOUT},
}


def study_of(mapping):
    return Study.from_dict(mapping)


@pytest.mark.parametrize("kind", ODD)
def test_a_study_without_a_result_is_a_page_or_a_line(recorded, kind, tmp_path):
    study = study_of(changed(recorded, **ODD[kind]))
    assert write_page(page_of([study]), tmp_path / "report.html").stat().st_size > 1e6
    assert "<h1" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    for act, message in (
        (lambda: answer([study]), "no searched network was trained to the end"),
        (lambda: find([study], "summary", None), "0 networks, and no axis varies between them"),
        (lambda: plan(study, "15.4GFLOPs"), "no network with a full-fidelity result inside the budget"),
        (lambda: measure(study, ["flops"]), "0 networks trained in full inside a band"),
    ):
        with pytest.raises(InputError, match=message):
            act()


def test_names_are_text_on_every_page_and_in_every_line(recorded, capsys):
    mapping = changed(recorded, every={"name": HOSTILE, "reason": HOSTILE, "budget": HOSTILE}, name=HOSTILE)
    mapping["proxy"] |= {"name": HOSTILE, "data": HOSTILE}
    mapping["space"] |= {"name": HOSTILE}
    study = study_of(mapping)
    page = page_of([study])
    for text in (render(page), json.loads(payload(page))["body"]):
        assert "<img" not in text and "img src=x" in text
    for shown in (False, True):
        _show_answer(answer([study]), argparse.Namespace(csv=None, json=shown))
    assert "\x1b[2J" not in capsys.readouterr().out
    json.dumps(as_json(answer([study])), allow_nan=False)
    with pytest.raises(InputError) as caught:
        find([study], "summary", None)
    assert str(caught.value).isprintable()


def test_what_is_not_said_to_be_trained_in_full_was_not(recorded):
    trials = study_of(recorded).trials
    known = [trial.number for trial in trials if trial.full_accuracy is not None]
    assert [tried.trial for tried in networks_of(trials)] == known and len(known) == 10
    for missing in (None, False):
        assert not study_of(changed(recorded, every={"full_fidelity": missing})).networks
    assert made(0, 0.0).full_accuracy == 0.0


@pytest.mark.parametrize("place", ["folder", "fifo", "nowhere/page.html", "x" * 300, "/dev/full"])
def test_a_page_is_written_to_a_file_or_not_at_all(tmp_path, place, capsys):
    target = tmp_path / place
    if place == "folder":
        target.mkdir()
    elif place == "fifo":
        os.mkfifo(target)
    study = str(ROOT / "studies" / "default")
    assert dashboard.main([study, "--out", str(target)]) == 2
    error = capsys.readouterr().err
    assert "cannot be written" in error and error.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if path.is_file()]
    assert not Path("/dev/full").exists() or Path("/dev/full").is_char_device()
