"""Paths as users write them: `~` is a home wherever it reaches the program, and never a folder's name."""

import argparse

import pytest

import nas
from analysis.comparison.trained import is_trained
from nas.plan.judge import table_path
from nas.plan.settings import read_settings
from nas.record.folder import study_folder
from space.command import Command
from space.errors import InputError
from space.paths import at_home


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def homeless(monkeypatch):
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)  # an unknown user, as in a container


def test_a_tilde_is_the_home(home):
    assert at_home("~") == str(home) and at_home("~/a b/c") == f"{home}/a b/c"
    for text in ("", "a", "a/~", "./~/x", "/~", "~no-such-user/x", "~x"):
        assert at_home(text) == text


def test_every_flag_argument_and_setting_takes_one(home, tmp_path):
    command = Command(prog="x")
    command.add_argument("studies", nargs="*")
    command.add_argument("--out")
    assert command.parse_args(["~/a", "--out=~/b"]) == argparse.Namespace(
        studies=[f"{home}/a"], out=f"{home}/b"
    )
    file = tmp_path / "study.yaml"
    file.write_text("budget: 1G\nstudy: ~/s\nspace: ~/space.yaml\n")
    settings = read_settings({"proxy": "~/p.yaml"}, file)
    assert (settings.study, settings.space, settings.proxy) == (
        f"{home}/s", f"{home}/space.yaml", f"{home}/p.yaml",
    )  # fmt: skip
    assert str(study_folder("~/s")) == f"{home}/s" and str(table_path("table:~/t")) == f"{home}/t"
    with pytest.raises(InputError, match=f"study {home}/nope: no such study"):
        nas.open("~/nope")


def test_without_a_home_it_is_refused(homeless, capsys):
    command = Command(prog="x")
    command.add_argument("--out")
    with pytest.raises(SystemExit):
        command.parse_args(["--out", "~/b"])
    assert capsys.readouterr().err.startswith("x: argument --out: '~/b': there is no home directory")
    with pytest.raises(InputError, match="no home directory"):
        study_folder("~/s")
    assert not is_trained("~no-such-user/x")
