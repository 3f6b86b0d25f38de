"""A search on a table: the whole path, with nothing trained."""

import json
import re
from pathlib import Path

import pytest

from analysis import dashboard, importance
from nas import export, measure, search
from nas.record.record import Record
from nas.record.study import read_study
from nas.verdict.pick import recommend
from tests.nas.table.conftest import rows


@pytest.fixture
def run(table, monkeypatch, capsys):
    monkeypatch.chdir(table.parent)

    def searched(*flags, command=search):
        code = command.main([str(flag) for flag in flags])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return searched


FLAGS = ("--proxy", "table:small.yaml", "--budget", "60M", "--band", "0.1:1")


def test_a_search_on_a_table_finds_confirms_and_shows_its_best(run, table):
    code, out, _ = run(*FLAGS, "--trials", 40, "--confirm", "3x1", "--study", "one")
    assert code == 0
    assert "table small: 72 networks" in out
    study = read_study("one")
    assert study.tabled
    assert {trial.seed for trial in study.trials} == {0, 1}
    best = max(float(row["a3"]) for row in rows())
    assert 100 * max(t.accuracies[0] for t in study.networks) == pytest.approx(best, abs=0.5)
    found = recommend(study)
    assert "fresh seed among" in found.lines[0]
    assert "networks" in found.lines[0]
    assert found.next == "python -m analysis.dashboard runs/one"
    page = (table.parent / "runs/one/report.html").read_text()
    assert "60\N{NO-BREAK SPACE}MFLOPs?" in page
    assert "at 224x224" not in page.partition("<main")[2].partition("</main>")[0]
    assert "Published networks" not in page
    head = re.sub("</?span>", "", page.partition("<main")[2].partition("</header>")[0])
    assert found.next in head and "nas.export" not in head


def test_it_goes_on_after_an_interruption_as_if_there_had_been_none(run):
    run(*FLAGS, "--trials", 20, "--sampler", "random", "--study", "whole")
    run(*FLAGS, "--trials", 8, "--sampler", "random", "--study", "half")
    code, _, _ = run("--study", "half", "--resume", "--trials", 20)
    assert code == 0
    whole, half = ([t.fingerprint for t in Record.read(name).trials()] for name in ("whole", "half"))
    assert whole == half


@pytest.mark.parametrize("scheduler", ["auto", "asha", "halving", "hyperband"])
def test_schedulers_stop_at_the_epochs_that_the_table_has(run, scheduler):
    code, _, _ = run(
        *FLAGS, "--trials", 20, "--scheduler", scheduler, "--min-epochs", 1, "--sampler", "random",
        "--study", "early",
    )  # fmt: skip
    assert code == 0
    assert {1, 3} <= {trial.fidelity for trial in Record.read("early").trials()}


def test_a_front_is_searched_and_its_page_and_axes_are_read(run):
    code, _, _ = run(*FLAGS[:2], "--budget", "10M..60M", "--trials", 40, "--study", "wide")
    assert code == 0
    assert recommend(read_study("wide")).kind == "front"
    assert run("wide", "--axes", "space", command=importance)[0] == 0
    assert run("wide", command=dashboard)[0] == 0


def test_a_front_over_parameters_needs_no_flops(run, table):
    costs = "costs: {macs: {column: mmacs, times: 1.0e+6}, params: params}"
    table.write_text(table.read_text().replace(costs, "costs: {params: params}"))
    flags = ("--proxy", "table:small.yaml", "--budget", "1kparams..6kparams", "--trials", 20)
    code, out, _ = run(*flags, "--sampler", "random", "--study", "params")
    assert code == 0 and "front under the table:small proxy" in out and "FLOPs" not in out
    assert run("params", command=dashboard)[0] == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--confirm", "3x2"), "3x1 would do"),
        (("--reference", "swin"), "networks of its own"),
        (("--space", "micro"), "--space"),
        (("--data", "digits"), "--data"),
        (("--epochs", "5"), "--epochs: a table's trainings are over"),
        (("--max-latency", "5ms"), "--max-latency"),
        (("--max-activations", "5M"), "--max-activations: the table small has no activations"),
        (("--budget", "13Mactivations"), "no activations"),
        (("--budget", "1T"), "nearest below is"),
        (("--proxy", "table:"), "table:FILE"),
        (("--proxy", "table:nope.yaml"), "cannot be read"),
    ],
)
def test_what_a_table_cannot_give_is_refused_in_one_line(run, table, flags, said):
    code, out, err = run(*FLAGS, *flags, "--study", "no")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (table.parent / "runs").exists()


def test_its_networks_are_neither_measured_by_name_nor_exported(run):
    code, _, err = run("convnext_tiny", "--proxy", "table:small.yaml", command=measure)
    assert code == 2
    assert "no names" in err
    run(*FLAGS, "--trials", 3, "--study", "few")
    code, _, err = run("few", command=export)
    assert code == 2
    assert "a network of a table" in err
    found = json.loads(Path("runs/few/summary.json").read_text())
    assert found["best"]["architecture"]["family"] == "table"
