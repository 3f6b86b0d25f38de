"""The campaign of bad input: it has an input for all that a command takes; a sample of it; its judge."""

import dataclasses
import json
from collections import Counter

import pytest

from tests.bad_input import __main__ as campaign
from tests.bad_input.case import COMMANDS, Case, Outcome, flaws
from tests.bad_input.cases import all_cases
from tests.bad_input.cases.flags import BAD, TOGETHER, names, parser
from tests.bad_input.runner import Server, differences, run_case, snapshot

LIGHT = (
    "space.describe",
    "space.networks",
    "space.files",
    "analysis.compare",
    "analysis.points.own",
    "analysis.comparison.published",
)
SAMPLE = 30


def test_there_are_hundreds_of_distinct_inputs_of_every_command():
    inputs = Counter(case.line for case in all_cases())
    assert [line for line, count in inputs.items() if count > 1] == []
    assert len(inputs) >= 500
    by_command = Counter(case.command for case in all_cases())
    assert set(by_command) == set(COMMANDS) and min(by_command.values()) >= 30


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_has_values_that_must_be_refused(command):
    """A new flag needs some in `BAD`, or, where it takes no value, something in `TOGETHER` or a form."""
    aimed = {case.aim for case in all_cases() if case.command == command}
    for action in parser(command)._actions:
        if action.dest == "help":
            continue
        assert aimed & set(names(action)), f"{command}: nothing aims at {action.dest}"
        if action.nargs != 0 and not action.choices and not isinstance(action.default, bool):
            known = [*BAD[command], *(aim for aim, _ in TOGETHER[command])]
            assert set(names(action)) & set(known), f"{command}: no bad values for {names(action)[0]}"


def sample():
    """The same every time, of what needs neither torch nor a study: files, tables, forms of flags."""
    files = [
        case
        for case in all_cases()
        if case.command == "space.describe" and case.kind in ("odd files", "keys of files")
    ]
    tables = [case for case in all_cases() if case.kind == "tables"]
    forms = [dataclasses.replace(case, files={}) for case in all_cases() if case.kind == "flag forms"]
    return [case for part in (files, tables, forms) for case in part[:: len(part) // (SAMPLE // 3) + 1]]


def test_a_sample_of_it_is_refused_in_one_line_each(tmp_path):
    server = Server(*LIGHT)
    try:
        found = {case.line: flaws(case, run_case(case, tmp_path, server)) for case in sample()}
    finally:
        server.close()
    assert len(found) > 0.8 * SAMPLE
    assert {line: what for line, what in found.items() if what} == {}


def test_a_command_by_itself_is_judged_the_same(tmp_path):
    case = Case("space.describe", "flags", "--resolution", "0", ("convnext_tiny", "--resolution", "0"))
    assert flaws(case, run_case(case, tmp_path, None)) == []
    right = dataclasses.replace(case, argv=("--list",))
    wrong = flaws(right, run_case(right, tmp_path, None))
    assert wrong == ["exit code 0, not 2", "0 lines on stderr", "prints to stdout"]


CASE = Case("nas.search", "flags", "--seed", "x", ("--seed", "x"), secret="SECRET")
CRASH = """\
Traceback (most recent call last):
  File "/here/nas/x.py", line 5, in <module>
    f()
  File "/there/y.py", line 7, in f
ValueError: no
"""
RIGHT = Outcome(2, "", "nas.search: no\n", 1.0, 10.0, ())


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({}, None),
        ({"code": 1}, "exit code 1, not 2"),
        ({"code": None}, "does not end within 1 s"),
        ({"code": -11}, "exit code -11, not 2"),
        ({"err": "nas.search: no\nmore\n"}, "2 lines on stderr"),
        ({"err": ""}, "0 lines on stderr"),
        ({"err": "error: no\n"}, "the line does not start with the command's name"),
        ({"err": CRASH}, "traceback (nas/x.py:5: ValueError: no)"),
        ({"err": "nas.search: \x1b[31m\n"}, "the line is not printable"),
        ({"err": f"nas.search: {'x' * 2000}\n"}, "a line of 2012 characters"),
        ({"err": "nas.search: SECRET\n"}, "shows a secret"),
        ({"out": "hello"}, "prints to stdout"),
        ({"memory": 2000.0}, "takes 2000 MiB"),
        ({"changed": ("+work/runs",)}, "leaves +work/runs"),
    ],
)
def test_what_is_wrong_with_an_outcome(change, flaw):
    assert flaws(CASE, dataclasses.replace(RIGHT, **change)) == ([] if flaw is None else [flaw])


def test_what_comes_goes_and_changes_is_seen(tmp_path):
    (tmp_path / "gone").mkdir()
    (tmp_path / "file").write_text("a")
    before = snapshot(tmp_path)
    (tmp_path / "gone").rmdir()
    (tmp_path / "file").write_text("b")
    (tmp_path / "new").symlink_to("nowhere")
    assert differences(before, snapshot(tmp_path)) == ("+new", "-gone", "~file")


def test_the_command_reports_and_lists(tmp_path, capsys):
    assert campaign.main(["--list", "--only", "space.describe | flag values | --resolution"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines and all(line.startswith("space.describe | flag values | --resolution") for line in lines)


@pytest.mark.slow
def test_a_part_of_the_campaign(tmp_path, capsys):
    path = tmp_path / "bad_input.json"
    only = "space.describe | flag values | --num-classes"
    assert campaign.main(["--jobs", "1", "--only", only, "--json", str(path)]) == 0
    assert "0 failed" in capsys.readouterr().out
    found = json.loads(path.read_text())
    assert found["failed"] == 0 and {tried["kind"] for tried in found["tried"]} == {"flag values", "controls"}
