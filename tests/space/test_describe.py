"""The command: table, JSON, files, and one line for every mistake."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from space.architecture import Architecture
from space.cost import cost
from space.describe import main
from space.families import NAMES, named
from space.swin import SWIN_NAMES

TINY = named("convnext_tiny")


def run(*argv: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "space.describe", *argv],
        capture_output=True, text=True, check=False, env=os.environ | environment,
    )  # fmt: skip


def described(capsys: pytest.CaptureFixture[str], *argv: str) -> dict:
    assert main([*argv, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_json_holds_totals_parts_and_the_architecture(capsys):
    out = described(capsys, "convnext_tiny", "--resolution", "97", "--num-classes", "10")
    expected = cost(TINY, 97, 10)
    assert (out["params"], out["macs"], out["activations"]) == (
        expected.params, expected.macs, expected.activations,
    )  # fmt: skip
    assert (out["name"], out["fingerprint"], out["resolution"]) == ("convnext_tiny", TINY.fingerprint, 97)
    assert Architecture.from_dict(out["architecture"]) == TINY
    assert [part["name"] for part in out["parts"]][:3] == ["stem", "stage 1", "downsampling 2"]
    for total in ("params", "macs", "activations"):
        assert sum(part[total] for part in out["parts"]) == out[total]


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_described(capsys, name: str):
    assert described(capsys, name)["fingerprint"] == named(name).fingerprint


def test_list_prints_the_names(capsys):
    assert main(["--list"]) == 0
    assert capsys.readouterr().out.split() == [*NAMES, *SWIN_NAMES]


def test_on_a_pipe_the_table_is_plain_and_whole():
    ran = run("convnext_tiny", COLUMNS="40")
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert "\x1b" not in ran.stdout
    assert "…" not in ran.stdout
    lines = ran.stdout.splitlines()
    assert lines[0].startswith(f"convnext_tiny  {TINY.fingerprint}")
    stage = next(line for line in lines if "stage 3" in line)
    assert "384 x 14 x 14" in stage
    assert "2,114,090,496" in stage
    total = next(line for line in lines if "total" in line)
    assert total.split() == ["total", "4,455,531,264", "28,589,128", "13,434,624"]


def test_files_of_every_kind(capsys, tmp_path: Path):
    small = Architecture.convnext([1, 2], [8, 16], drop_path=0.1)
    first = described(capsys, "convnext_tiny")
    texts = {
        "canonical.json": small.to_json(),
        "own.json": json.dumps({"name": "mine", "architecture": small.to_dict(), "macs": 3}),
        "dumped.yaml": yaml.safe_dump(small.to_dict()),
        "written.yml": "stages:\n- {depth: 1, width: 8}\n- {depth: 2, width: 16}\n"
        "layer_scale: 1e-6\ndrop_path: 1e-1\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
        out = described(capsys, str(tmp_path / name))
        assert out["fingerprint"] == small.fingerprint, name
        assert out["name"] == ("mine" if name == "own.json" else Path(name).stem)
    (tmp_path / "again.json").write_text(json.dumps(first))
    assert described(capsys, str(tmp_path / "again.json")) == first


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("bad.json", "{", "not JSON"),
        ("bad.yaml", "a: [1", "not YAML"),
        ("tag.yaml", "!!python/object/apply:os.system ['true']", "not YAML"),
        ("deep.json", "[" * 100_000, "nested more than 64 deep"),
        ("list.json", "[]", "an architecture is a mapping"),
        ("empty.yaml", "", "an architecture is a mapping"),
        ("unknown.yaml", "stages: [{depth: 1, width: 8}]\nnorms: batch", "norms: unknown field"),
        ("inner.json", '{"architecture": {"stages": [{"depth": 1}]}}', r"stages[0].width: missing"),
        ("date.yaml", "stages: 2020-01-01", "stages: must be a list"),
        ("keys.yaml", "1: 2\nstages: []", "1: unknown field"),
    ],
)
def test_a_bad_file_is_one_line_and_exit_code_2(capsys, tmp_path: Path, name: str, text: str, message: str):
    path = tmp_path / name
    path.write_text(text)
    assert main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err
    assert name in err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["convnext_tny"], "convnext_tiny"),
        (["nowhere/a.json"], "nowhere/a.json: cannot be read (No such file or directory)"),
        (["missing.yaml"], "missing.yaml: cannot be read (No such file or directory)"),
        (["convnext_tiny", "--resolution", "31"], "resolution"),
        (["convnext_tiny", "--resolution", "0"], "--resolution: 0 must be at least 1"),
        (["convnext_tiny", "--num-classes", "-3"], "--num-classes: -3 must be at least 1"),
        ([], "which network?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, argv: list[str], message: str):
    assert main([*argv, "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 1
    assert message in err


@pytest.mark.parametrize("argv", [["--resolution", "x"], ["--frobnicate"], ["a", "b"]])
def test_a_wrong_option_too(argv: list[str]):
    ran = run(*argv)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1


def test_a_binary_file_and_a_folder(capsys, tmp_path: Path):
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00")
    assert main([str(tmp_path / "x.json")]) == 2
    assert "not a text file" in capsys.readouterr().err
    assert main([str(tmp_path)]) == 2
    assert "directory" in capsys.readouterr().err


def test_help_imports_nothing_slow():
    started = time.perf_counter()
    ran = run("--help")
    assert "--resolution" in ran.stdout
    assert time.perf_counter() - started < 2  # 0.07 s on an idle machine; the imports are the point
    code = (
        "import sys, space.describe\n"
        "try: space.describe.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'torch', 'rich', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_swin_is_described_like_any_network(capsys):
    assert main(["swin_tiny", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["macs"], found["params"]) == (4_490_566_656, 28_288_354)
    assert sum(part["macs"] for part in found["parts"]) == found["macs"]
    assert found["architecture"]["family"] == "swin"


@pytest.mark.parametrize("name", ["two\nlines", "\u001b[31m", "n" * 101, ["a"]])
def test_a_name_in_a_file_is_one_printable_line(tmp_path, capsys, name):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"name": name, "architecture": {"stages": [{"depth": 1, "width": 8}]}}))
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "x.json: name: " in error and "is no name" in error


@pytest.mark.parametrize("option", ["--resolution", "--num-classes"])
def test_a_size_beyond_any_is_one_line(capsys, option):
    assert main(["convnext_tiny", option, "1000000000"]) == 2
    assert f"{option}: 1000000000 must be at most 1,000,000" in capsys.readouterr().err
