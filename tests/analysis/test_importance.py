"""What studies say of their axes, against the laws that simulated them, and the command that says it."""

import csv
import io
import json

import numpy as np
import pytest

from analysis.axes import evaluators, networkwise
from analysis.axes.evaluators import FANOVA, PED_ANOVA
from analysis.axes.findings import find
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import MATTERS
from analysis.axes.ranking import METHODS
from analysis.importance import main
from nas import search as nas_search
from nas.proxy.simulated import LAWS, traits_of
from nas.record.study import Study, read_study
from space.architecture import Architecture


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Simulated searches: uniform draws of one band under `separable`, and an adaptive one of two bands."""
    folder = tmp_path_factory.mktemp("importance")
    asked = {"uniform": ["2.4GFLOPs", "random", "80"], "sweep": ["0.6GFLOPs,2.4GFLOPs", "evolution", "48"]}
    for name, (budget, sampler, trials) in asked.items():
        flags = ["--budget", budget, "--sampler", sampler, "--trials", trials, "--no-reference"]
        at = ["--proxy", "simulated:separable", "--study", str(folder / name)]
        assert nas_search.main([*flags, *at]) == 0
    return folder
    return folder


def test_the_law_of_a_simulated_search_is_recovered(studies):
    """Under `separable` the kernels' term is by far the largest of those that are not tied in a band."""
    found = find([read_study(studies / "uniform")], thorough=False)
    assert any("cost about the same" in note for note in found.notes)
    assert not any("adaptive" in note for note in found.notes)
    assert {"depth", "base width"} in [set(group) for group in found.importance.confounding.groups]
    scores = found.importance.methods[PERMUTATION]
    assert set(scores[0].axes) >= {"depth", "base width"}  # shape(0.3) has the widest range in the band
    assert scores[0].verdict == MATTERS
    # the truth, from the formula: what networks lose by kernels that are small, all else as it is
    networks = [Architecture.from_dict(t.architecture) for t in read_study(studies / "uniform").networks]
    truth = LAWS["separable"].accuracy(traits_of(networks))
    assert np.corrcoef(truth, found.sample.accuracy)[0, 1] > 0.8
    kernels = next(c for c in found.curves if c.axis == "kernel size")
    assert kernels.value[0] < 0 < kernels.value[-2]  # k* is 8 in the mean, few means are above


def test_how_networks_came_to_be_is_said(studies):
    study = read_study(studies / "sweep")
    found = find([study], thorough=False)
    assert any("adaptive sampler (evolution)" in note for note in found.notes)
    assert found.adaptive == ("evolution",)
    assert not any("what matters" in line for line in found.words)  # association is all that is claimed
    assert not any("scheduler" in note for note in found.notes)
    found = find([Study.from_dict({**study.to_dict(), "scheduler": {"name": "asha"}})], thorough=False)
    assert any("stopped early by a scheduler" in note for note in found.notes)
    assert "FLOPs" in found.sample.axes
    inside = find([study], budget="0.6GFLOPs", thorough=False)
    assert len(inside.sample) < len(found.sample)
    assert "FLOPs" not in inside.sample.axes


def test_the_command_prints_tables_and_writes_every_number(studies, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(evaluators, "TREES", 3)
    monkeypatch.setitem(evaluators.MOST_HALVES, FANOVA, 2)
    out = tmp_path / "importance.csv"
    assert main([str(studies / "uniform"), "--csv", str(out)]) == 0
    text = capsys.readouterr().out
    assert "cannot be told apart from" in text
    assert "main effects" in text
    for method in (PED_ANOVA, FANOVA, PERMUTATION):
        assert method in text
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert {row["kind"] for row in rows} >= {*METHODS, "main effect", "partial dependence"}
    assert main([str(studies / "uniform"), "--json", "--axes", "space"]) == 0
    plain = json.loads(capsys.readouterr().out)
    assert {"base_width", "norm"} <= {e["axis"] for e in plain["effects"]}
    assert plain["networks"] == 80


def test_mistakes_are_one_line_and_exit_code_2(studies, tmp_path, capsys):
    assert main([str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("analysis.importance: ")
    assert main([str(studies / "uniform"), "--budget", "7G"]) == 2
    assert "the studies have 2.4GFLOPs" in capsys.readouterr().err


def test_of_very_many_networks_a_random_part_is_read(studies, monkeypatch):
    for name in networkwise.MOST:
        monkeypatch.setitem(networkwise.MOST, name, 40)
    study = read_study(studies / "uniform")
    found = find([study], thorough=False)
    assert found.importance.networks == len(found.sample) == 40 < len(study.networks)
    assert any(f"Of {len(study.networks)} networks 40, drawn at random, are used" in n for n in found.notes)
