"""The whole path: budgets in, a trained, recorded, reported and exported network out. Trainings are real."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas import export, search
from nas.record.record import Record
from nas.record.study import read_study
from nas.samplers.proposer import Proposer
from space.architecture import Architecture
from space.cost import cost
from space.describe import read_file
from space.errors import InputError
from space.families import named
from space.networks import cost_of, network_from
from space.space_file import load_space
from tests.nas.conftest import TINY_PROXY

ROOT = Path(__file__).parents[2]

STUDY_FILE = """\
budget: 20M..40M
band: [0.5, 1.0]
space:
  name: mine
  base: {stages: [{depth: 1, width: 8}, {depth: 1, width: 16}]}
  axes:
    kernel_size: {choices: [3, 5], per_stage: true}
    depth: {integers: [1, 3], per_stage: true}
proxy: {data: digits, resolution: 32, train_size: 64, val_size: 64, epochs: 1, warmup_epochs: 0}
trials: 2
study: declared
reference: false
"""


def summary(folder):
    return json.loads((Path(folder) / "summary.json").read_text())


def results(folder):
    return [(t.fingerprint, t.accuracy, t.state) for t in Record.read(str(folder)).trials()]


def test_a_search_records_reports_and_exports(run, workplace, capsys):
    code, out, _ = run("--trials", 5, "--study", "one", "--seed", 3, reference=True)
    assert code == 0
    folder = workplace / "runs" / "one"
    found = summary(folder)
    assert found["trials"] == {"complete": 5, "failed": 0, "paused": 0, "running": 0, "interrupted": 0}
    assert found["budget"] == {"text": "20M..40M", "metric": "macs", "low": 20_000_000, "high": 40_000_000}
    assert (
        found["seed"] == 3
        and found["versions"]["torch"]
        and 0 < found["train_seconds"] < found["wall_seconds"]
    )
    best = Architecture.from_dict(found["best"]["architecture"])
    assert best.fingerprint == found["best"]["fingerprint"]
    assert (found["best"]["macs"], found["best"]["params"]) == (cost(best).macs, cost(best).params)
    assert 0 <= found["best"]["accuracy"] <= 1
    assert found["reference"]["role"] == "reference"
    assert {"study.db", "summary.json", "report.html"} <= {path.name for path in folder.iterdir()}
    assert "python -m nas.export runs/one" in out

    trials = Record.read(str(folder)).trials()
    space = load_space("micro")
    assert [t.role for t in trials] == ["reference"] * 2 + ["candidate"] * 3
    assert trials[0].name.startswith("ConvNeXt-A at width")
    swin = network_from(trials[1].architecture)
    assert trials[1].name == f"Swin-T at width {swin.width}" and trials[1].macs == cost_of(swin).macs
    assert 20e6 <= trials[1].macs <= 40e6
    for trial in trials[2:]:
        network = Architecture.from_dict(trial.architecture)
        assert network in space and 20e6 <= trial.macs <= 40e6 and trial.macs == cost(network).macs
    for trial in trials:
        assert trial.fidelity == 2 and trial.full_fidelity and len(trial.curve) == 2
        assert trial.accuracy == trial.curve[-1]["val_accuracy"] and trial.seed == 3
    # a Swin is there to compare with, never the answer
    convnets = [t for t in trials if t.number != 1]
    assert found["best"]["accuracy"] == max(t.accuracy for t in convnets)
    assert export.main(["runs/one", "--trial", "1"]) == 2
    assert "trial 1: a Swin Transformer" in capsys.readouterr().err


def test_the_same_seed_gives_the_same_study_bit_for_bit(run):
    run("--trials", 4, "--study", "a", "--seed", 5)
    run("--trials", 4, "--study", "b", "--seed", 5)
    run("--trials", 4, "--study", "c", "--seed", 6)
    assert results("runs/a") == results("runs/b")
    assert results("runs/a") != results("runs/c")


def test_resume_goes_on_as_if_never_stopped(run):
    run("--trials", 7, "--study", "whole")
    run("--trials", 3, "--study", "parts")
    code, _, _ = run("--trials", 7, "--study", "parts", "--resume")
    assert code == 0
    assert results("runs/parts") == results("runs/whole")


def test_resume_needs_nothing_but_the_study(workplace, run, capsys):
    run("--trials", 2, "--study", "parts")
    assert search.main(["--study", "parts", "--resume", "--trials", "3"]) == 0
    assert summary("runs/parts")["trials"]["complete"] == 3
    assert "20 MFLOPs" in capsys.readouterr().out.replace("20.00", "20")


def test_resume_under_other_settings_is_refused_with_the_difference(run):
    run("--trials", 2, "--study", "one")
    before = results("runs/one")
    for flags, message in [
        (("--budget", "20M..30M"), "budget.high 40000000, not 30000000"),
        (("--seed", 1), "seed 0, not 1"),
        (("--sampler", "random"), "sampler 'surrogate', not 'random'"),
        (("--space", "convnext", "--budget", "4.5G"), "space.name 'micro', not 'convnext'"),
    ]:
        code, _, err = run("--study", "one", "--resume", "--trials", 3, *flags)
        assert code == 2 and message in err and err.count("\n") == 1
    assert results("runs/one") == before


def test_a_proxy_that_changed_is_refused(run, workplace):
    run("--trials", 1, "--study", "one")
    path = workplace / "tiny.yaml"
    path.write_text(path.read_text().replace("epochs: 2", "epochs: 3"))
    code, _, err = run("--study", "one", "--resume", "--trials", 2)
    assert code == 2 and "proxy.epochs 2, not 3" in err


def test_an_existing_study_is_not_written_over(run):
    run("--trials", 1, "--study", "one")
    code, _, err = run("--trials", 1, "--study", "one")
    assert code == 2 and "exists; --resume continues it" in err


def test_studies_without_a_name_are_numbered(run, workplace):
    for _ in range(2):
        run("--trials", 1)
    assert sorted(path.name for path in (workplace / "runs").iterdir()) == [
        "micro-20M..40M",
        "micro-20M..40M-2",
    ]
    code, _, _ = run("--trials", 2, "--budget", "20M..40M", "--resume")
    assert code == 0 and summary("runs/micro-20M..40M-2")["trials"]["complete"] == 2


def test_a_study_file_says_everything(run, workplace):
    (workplace / "study.yaml").write_text(STUDY_FILE)
    assert search.main(["--study-file", "study.yaml", "--budget", "5M..20M"]) == 0
    found = summary("runs/declared")
    assert found["space"]["name"] == "mine" and found["reference"] is None
    assert found["trials"]["complete"] == 2


def test_a_failed_training_is_a_trial_with_its_reason_and_the_search_goes_on(run, workplace):
    path = workplace / "tiny.yaml"
    path.write_text(path.read_text().replace("lr: 4.0e-3", "lr: 1.0e+30"))
    code, out, _ = run("--trials", 3, "--study", "one")
    assert code == 1
    trials = Record.read("one").trials()
    assert [t.state for t in trials] == ["failed"] * 3
    assert all("loss is not finite at epoch" in t.reason for t in trials)
    assert summary("runs/one")["best"] is None and (workplace / "runs/one/report.html").is_file()
    assert "loss is not finite" in out


def test_batches_of_a_training_are_told_of_and_change_nothing(run, monkeypatch):
    run("--trials", 2, "--study", "quiet")
    monkeypatch.setattr("nas.driver.progress.SILENCE", 0.0)  # at every batch and epoch
    _, out, _ = run("--trials", 2, "--study", "talking")
    assert "trial 0: 0/2 epochs  batch 1/3 [time left unknown]" in out
    assert "trial 0: 1/2 epochs  batch 3/3  " in out
    assert results("runs/talking") == results("runs/quiet")


def test_a_time_limit_ends_the_search(run):
    code, out, _ = run("--trials", 500, "--time-limit", "3s", "--study", "one")
    done = summary("runs/one")["trials"]["complete"]
    assert code == 0 and 1 <= done < 500 and "the time limit of 3 s ended the search" in out


def test_a_small_band_ends_the_search(run):
    code, out, _ = run("--trials", 500, "--budget", "20M..20.1M", "--study", "one")
    found = summary("runs/one")
    assert code == 0 and found["trials"]["complete"] == found["space"]["in_band"] < 60
    assert "every network of the band has been tried" in out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--budget", "4.5Gbananas"], "budget '4.5Gbananas': unknown unit 'bananas'"),
        (["--budget", "0G"], "budget '0G': out of range"),
        (["--proxy", "small.yaml"], "proxy small: resolution 16: 1 px cannot be downsampled further"),
        (["--budget", "1FLOPs"], "the nearest above is"),
        (["--space", "none.yaml"], "space 'none.yaml': neither a file nor a shipped space"),
        (["--proxy", "none.yaml"], "proxy none.yaml"),
        (["--data", "imagefolder:nowhere"], "nowhere"),
        (["--data", "mnist"], "'mnist' is no data set"),
        (["--study", "a b"], "study 'a b'"),
        (["--study", "taken/study"], "cannot be written"),
        (["--study", "gone", "--resume", "--budget", "20M"], "no such study"),
        (["--device", "cuda:7"], "cuda:7"),
        (["--trials", "0"], "--trials: input should be greater than or equal to 1, not 0"),
        (["--sampler", "best"], "--sampler: input should be"),
        (["--reference", "vit"], "reference 'vit': is none of convnext, swin, resnet, or none"),
        (["--reference", "swin", "--proxy", "simulated:separable"], "a simulated law knows ConvNets only"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(run, workplace, flags, message):
    (workplace / "taken").write_text("a file where a folder should be")
    tiny = (workplace / "tiny.yaml").read_text()
    (workplace / "small.yaml").write_text(tiny.replace("resolution: 32", "resolution: 16"))
    code, out, err = run(*flags, reference="small.yaml" in flags or "--reference" in flags)
    assert code == 2 and message in err, err
    assert err.count("\n") == 1 and "Traceback" not in err and out == ""
    assert not (workplace / "runs").exists()


@pytest.mark.parametrize("flags", [["--bugdet", "4.5G"], ["--trials", "many"], ["surplus"]])
def test_unknown_flags_are_one_line(capsys, flags):
    with pytest.raises(SystemExit) as caught:
        search.main(flags)
    err = capsys.readouterr().err
    assert caught.value.code == 2 and err.count("\n") == 1 and err.startswith("nas.search: ")


@pytest.mark.parametrize(
    ("damage", "words"),
    [("no database, but long enough to have a header" * 40, "is not an SQLite database"), ("", "is empty")],
)
def test_a_damaged_or_foreign_database_is_one_line(run, workplace, damage, words):
    run("--trials", 1, "--study", "one")
    (workplace / "runs/one/study.db").write_text(damage)
    code, _, err = run("--study", "one", "--resume", "--trials", 2)
    assert code == 2 and f"study.db {words}" in err and err.count("\n") == 1
    assert (workplace / "runs/one/study.db").read_text() == damage


def test_another_program_s_database_is_one_line(run, workplace):
    folder = workplace / "runs/one"
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "study.db") as database:
        database.execute("create table trials (id integer)")
    before = (folder / "study.db").read_bytes()
    code, _, err = run("--study", "one", "--resume", "--trials", 2)
    assert code == 2 and "study.db is not a study of this program" in err
    assert (folder / "study.db").read_bytes() == before


def test_two_searches_do_not_share_a_study(run, workplace):
    run("--trials", 1, "--study", "one")
    held = Record.resume(workplace / "runs/one", Record.read("one").settings)
    code, _, err = run("--study", "one", "--resume", "--trials", 2)
    held.close()
    assert code == 2 and "another search is writing to it" in err


def command(*flags):
    return [sys.executable, "-m", "nas.search", "--space", "micro", "--proxy", "tiny.yaml", *flags]


def environment():
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_search_loses_nothing_and_goes_on(run, workplace, how):
    run("--trials", 6, "--study", "whole", "--threads", 1)
    started = subprocess.Popen(
        command("--budget", "20M..40M", "--no-reference", "--trials=6", "--study=cut", "--threads=1"),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for line in started.stdout:
        if line.startswith("trial 2 starts"):
            break
    time.sleep(0.05)
    started.send_signal(how)
    out = started.communicate(timeout=60)[0]
    if how is not signal.SIGKILL:
        assert started.returncode == 130 and "--resume" in out
    kept = [r for r in results("runs/cut") if r[2] == "complete"]
    assert len(kept) >= 2
    code, _, _ = run("--study", "cut", "--resume", "--trials", 6, "--threads", 1)
    assert code == 0
    complete = [r for r in results("runs/cut") if r[2] == "complete"]
    assert complete[: len(kept)] == kept
    assert complete == [r for r in results("runs/whole") if r[2] == "complete"]


def test_help_is_quick():
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nas.search", "--help"],
        env=environment(), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert time.perf_counter() - began < 10  # a hang, not a slow machine
    for heavy in ("torch", "optuna", "numpy", "pydantic"):
        assert not any(line.split("|")[-1].strip() == heavy for line in done.stderr.splitlines()), heavy


def test_export_writes_what_the_trial_was(run, workplace, capsys):
    run("--trials", 3, "--study", "one")
    assert export.main(["one", "--to", "native"]) == 0
    best = summary("runs/one")["best"]
    folder = workplace / f"runs/one/export/trial-{best['number']}"
    name, network = read_file(folder / "architecture.json")
    assert network.fingerprint == best["fingerprint"] and name
    values = json.loads((folder / "architecture.json").read_text())
    assert values["evidence"]["proxy_accuracy"] == best["accuracy"] and values["macs"] == cost(network).macs
    assert export.main(["runs/one", "--trial", "2", "--to", "native", "--out", "elsewhere"]) == 0
    assert (workplace / "elsewhere/recipe.yaml").is_file()
    capsys.readouterr()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["one", "--trial", "9"], "there is no trial 9"),
        (["two"], "no such study"),
        (["one", "--out", "tiny.yaml/x"], "is a file"),
    ],
)
def test_export_refuses_in_one_line(run, capsys, flags, message):
    run("--trials", 1, "--study", "one")
    assert export.main(flags) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_a_study_that_was_moved_here_is_named_by_its_path(run, workplace, capsys):
    run("--trials", 1, "--study", "one")
    (workplace / "runs/one").rename(workplace / "one")
    assert export.main(["one"]) == 2
    assert capsys.readouterr().err.endswith("runs/one: no such study (no study.db there); ./one is one\n")


def test_a_default_search_meets_the_published_network_first(run):
    code, _, _ = run(
        "--space",
        "convnext",
        "--budget",
        "4.5GFLOPs",
        "--trials",
        1,
        "--study",
        "t",
        "--data",
        "digits",
        reference=True,
    )
    reference = summary("runs/t")["reference"]
    assert code == 0 and reference["name"] == "ConvNeXt-T"
    assert Architecture.from_dict(reference["architecture"]) == named("convnext_tiny")


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (["--max-params", "1"], ["--max-params", "300k"]),
        (["--max-latency", "5"], ["--max-latency", "5s"]),
        (["--max-activations", "x"], []),
        (["--scheduler", "asha", "--min-epochs", "99"], ["--scheduler", "asha", "--min-epochs", "3"]),
        (["--reference", "vit"], ["--reference", "none"]),
        (["--trials", "0"], ["--trials", "3"]),
        (["--data", "imagefolder:nowhere"], []),
        (["--band", "1e300:1e308"], []),
    ],
)
def test_what_is_refused_leaves_no_study(run, workplace, wrong, right):
    flags = ["--proxy", "simulated:separable", "--trials", 3, "--study", "s"]
    if "--data" in wrong:
        flags = ["--trials", 3, "--study", "s"]
    code, out, err = run(*flags, *wrong, reference="--reference" in wrong)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (workplace / "runs").exists()
    assert run(*flags, *right)[0] == 0


def test_what_is_refused_before_the_first_trial_leaves_no_study(run, workplace, monkeypatch):
    """As a latency that no network has, which is known once networks have been measured."""
    flags = ["--proxy", "simulated:separable", "--study", "s"]
    with monkeypatch.context() as patch:
        patch.setattr(Proposer, "next", lambda *_: (_ for _ in ()).throw(InputError("--max-latency: none")))
        assert run(*flags, "--trials", 3, reference=False)[2] == "nas.search: --max-latency: none\n"
        assert not list((workplace / "runs").iterdir())
        assert run(*flags, "--trials", 3, reference=True)[0] == 2  # now that one has been trained: it is kept
    assert len(Record.read("s").trials()) == 1
    assert run(*flags, "--trials", 4, "--resume")[0] == 0


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "runs/" + "n" * 300, "a\0b.yaml"])
@pytest.mark.parametrize(
    "setting", ["study", "space", "proxy", "data", "device", "budget", "max-latency", "reference", "storage"]
)
def test_names_that_no_system_takes_are_one_line(run, workplace, setting, name):
    code, _, err = run("--trials", 2, f"--{setting}", name, reference=True)
    assert (code, err.count("\n")) == (2, 1) and len(err) < 1500
    assert not list(workplace.rglob("study.db"))


def test_a_study_goes_on_where_its_data_has_moved(run, workplace):
    old, new = workplace / "old", workplace / "new"
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in "ab":
            (old / split / label).mkdir(parents=True)
            for i in range(16):
                image = rng.integers(0, 255, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(image).save(old / split / label / f"{i}.png")
    (workplace / "tiny.yaml").write_text(TINY_PROXY.replace("train_size: 96\nval_size: 64\n", ""))
    assert run("--data", f"imagefolder:{old}", "--study", "m", "--trials", 2, "--sampler", "random")[0] == 0
    old.rename(new)
    code, _, err = run("--study", "m", "--resume", "--trials", 3)
    assert code == 2 and "old" in err
    moved = ["--study", "m", "--resume", "--data", f"imagefolder:{new}"]
    assert run(*moved, "--trials", 3)[0] == 0
    assert run("--study", "m", "--resume", "--trials", 4)[0] == 0  # it has learnt where they are
    assert read_study("m").mapping["data"]["spec"] == f"imagefolder:{new}"  # and an export too
    Image.new("RGB", (32, 32)).save(new / "val" / "a" / "0.png")
    code, _, err = run(*moved, "--trials", 5)
    assert code == 2 and "data.fingerprint" in err and "data.spec" not in err


def test_a_search_goes_on_without_its_output(workplace):
    command = f"{sys.executable} -m nas.search --space micro --budget 20M..40M --proxy simulated:rugged"
    for number, end in enumerate((" | head -n 1", " > /dev/full", " >&-")):
        given = f"set -o pipefail; {command} --trials 6 --study s{number}{end}"
        done = subprocess.run(["bash", "-c", given], capture_output=True, text=True, check=False)
        told = [
            "Broken pipe; the search goes on without it",
            "No space left on device; the search goes on",
            "",
        ]
        assert done.returncode == 0 and done.stderr.count("\n") == bool(told[number]), done.stderr
        assert told[number] in done.stderr
        assert [t.state for t in Record.read(f"s{number}").trials()] == ["complete"] * 6
