"""The command for a GPU, held together without one: its small form, and what it does when things go wrong."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

from tests.gpu import wheels
from tests.gpu.__main__ import run_all, selected
from tests.gpu.checks import CHECKS, Check, plain
from tests.gpu.report import Report

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_small_form_of_every_check_holds(tmp_path):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", "tests.gpu", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    log = (tmp_path / "out" / "log.txt").read_text()
    assert done.returncode == 0, done.stdout + log
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert list(report["checks"]) == [check.name for check in CHECKS]
    verdicts = {each["verdict"] for found in report["checks"].values() for each in found}
    assert all(report["checks"].values()) and verdicts <= {"ok", "measured"}, log
    text = (tmp_path / "out" / "report.md").read_text()
    assert "nothing here is about a GPU" in text and "What the tables would have" not in text
    assert (tmp_path / "out" / "study" / "summary.json").exists()


def test_one_failure_loses_nothing(tmp_path):
    report = Report(tmp_path, {"device": "cpu"})
    checks = [Check(f"broken.{name}", 5, small=2) for name in ("raises", "dies", "hangs", "speaks")]
    with (tmp_path / "log.txt").open("w") as log:
        run_all(checks, report, log, time.monotonic() + 60)
    found = json.loads((tmp_path / "report.json").read_text())["checks"]
    said = {name.partition(".")[2]: [(e["verdict"], e["said"]) for e in each] for name, each in found.items()}
    assert [each[0] for name, each in said.items() if name != "speaks"] == [("measured", "said")] * 3
    assert said["raises"][1][0] == "failed" and "ValueError at broken.py:11: a | b" in said["raises"][1][1]
    assert said["dies"][1] == ("failed", "the process ended (3); see log.txt")
    assert said["hangs"][1] == ("failed", "stopped after its 2 s; see log.txt")
    assert said["speaks"] == [("measured", "2")]
    assert found["broken.speaks"][0]["numbers"] == {"number": 2, "endless": "inf"}
    assert "a / b" in (tmp_path / "report.md").read_text()


def test_what_no_time_is_left_for_is_said(tmp_path):
    report = Report(tmp_path, {"device": "cpu"})
    with (tmp_path / "log.txt").open("w") as log:
        run_all([Check("broken.speaks", 5), Check("broken.hangs", 5)], report, log, time.monotonic())
    assert [each[0]["said"] for each in report.findings.values()] == ["no time was left"] * 2


def test_parts_and_checks_can_be_chosen():
    assert [check.name for check in selected("memory,fast.waits")] == ["memory.estimate", "fast.waits"]
    assert selected(None) == list(CHECKS)
    with pytest.raises(SystemExit, match="unknown: slow"):
        selected("slow")


def test_every_check_is_a_function_with_a_reason():
    for check in CHECKS:
        assert check.function().__doc__


def test_numbers_are_plain():
    assert plain({"a": (1.23456789, None, True), 2: float("nan")}) == {"a": [1.23457, None, True], "2": "nan"}


def test_wheels_are_packed_again_without_what_is_unused(tmp_path):
    path = tmp_path / "ray-2.60.0-cp312-cp312-any.whl"
    record = "ray/a.py,sha256=x,1\nray/jars/b.jar,sha256=y,9\n"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in (("ray/a.py", "1"), ("ray/jars/b.jar", "9" * 9), ("ray.dist-info/RECORD", record)):
            file.writestr(name, text)
    (tmp_path / "out").mkdir()
    with zipfile.ZipFile(wheels.slimmed(path, tmp_path / "out")) as file:
        assert file.namelist() == ["ray/a.py", "ray.dist-info/RECORD"]
        assert io.TextIOWrapper(file.open("ray.dist-info/RECORD")).read() == "ray/a.py,sha256=x,1\n"


def test_only_what_is_missing_or_older_is_installed():
    import numpy

    assert not wheels.newer(Path(f"numpy-{numpy.__version__}-py3-none-any.whl"))
    assert wheels.newer(Path("numpy-99.0-py3-none-any.whl")) and wheels.newer(
        Path("no_such-1.0-py3-none.whl")
    )
    assert [wheels.normal(name) for name in ("Ray[tune]>=2", "typing_extensions", "a.b ; x")] == [
        "ray", "typing-extensions", "a-b",
    ]  # fmt: skip
    assert wheels.extra("ray").startswith("ray>=") and "optuna>=5.0,<6" in wheels.needed()
