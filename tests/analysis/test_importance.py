"""Importance against functions that are known: what matters is found, noise is not, ties are not claimed."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from analysis import importance as module
from analysis.axes import axes_of, axis_of
from analysis.confounding import confounding
from analysis.effects import main_effects
from analysis.importance import (
    FANOVA,
    METHODS,
    PED_ANOVA,
    PERMUTATION,
    find,
    importance,
    main,
    partial_dependence,
)
from analysis.networkwise import MATTERS, TIED
from analysis.study import Study, read_study
from nas import search as nas_search
from nas.simulated import LAWS, traits_of
from space.architecture import Architecture
from space.errors import InputError

ROOT = Path(__file__).parents[2]


def design(n, seed=0):
    """Independent axes: a kernel, a width and a norm."""
    rng = np.random.default_rng(seed)
    return {
        "kernel": rng.choice([3.0, 5, 7, 9, 11], n),
        "width": rng.uniform(1, 2, n),
        "norm": np.array(["layer", "batch", "rms"])[rng.integers(3, size=n)],
    }


def planted(n, seed=0, noise=0.3):
    """Accuracy rises by 0.25 a kernel step and 0.5 with LayerNorm; the width is noise."""
    columns = design(n, seed)
    rng = np.random.default_rng(1000 + seed)
    accuracy = 0.125 * columns["kernel"] + 0.5 * (columns["norm"] == "layer") + noise * rng.normal(size=n)
    return columns, accuracy


def by_axis(scores):
    return {score.label: score for score in scores}


# ---- importance -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_an_axis_that_matters_ranks_first_and_noise_covers_zero(method):
    columns, accuracy = planted(150)
    found = importance(columns, accuracy, methods=(method,), halves=6)
    scores = found.methods[method]
    assert scores[0].label == "kernel"
    assert scores[0].importance.low > 0
    assert by_axis(scores)["width"].importance.covers_zero
    assert found.r2.low > 0.3
    assert found.ranked


def test_what_matters_is_said_of_both_and_of_no_other():
    found = importance(*planted(150), methods=(PERMUTATION,))
    assert [score.label for score in found.matters] == ["kernel", "norm"]


def test_without_any_relation_nothing_is_ranked():
    columns = design(80)
    found = importance(columns, np.random.default_rng(3).normal(size=80), methods=(PED_ANOVA, PERMUTATION))
    assert not found.ranked
    assert found.r2.value < 0.1
    assert found.matters == []
    assert {s.verdict for scores in found.methods.values() for s in scores} == {"not distinguishable"}


def test_false_alarms_of_permutation_beside_a_strong_axis_are_near_their_level():
    """Of one noise axis at one side of a 90% interval: 5%; the corrected variance makes it less."""
    alarms = 0
    for seed in range(60):
        found = importance(*planted(50, seed), methods=(PERMUTATION,), repeats=1, seed=seed)
        alarms += by_axis(found.methods[PERMUTATION])["width"].importance.low > 0
    assert alarms <= 8  # of 60 at 5%: more has a probability of 0.4%


def test_axes_that_are_tied_are_shuffled_together_and_none_is_claimed_alone():
    columns, accuracy = planted(100)
    columns["depth"] = -3 * columns["kernel"]
    found = importance(columns, accuracy, methods=(PED_ANOVA, PERMUTATION))
    joint = found.methods[PERMUTATION][0]
    assert set(joint.axes) == {"kernel", "depth"}
    assert joint.verdict == MATTERS
    alone = by_axis(found.methods[PED_ANOVA])
    assert alone["kernel"].verdict == alone["depth"].verdict == TIED


def test_rows_of_one_network_are_held_out_together():
    """A network copied with its accuracy is no evidence: an id for each row would predict noise."""
    columns = {"x": np.random.default_rng(0).normal(size=25)}
    accuracy = np.random.default_rng(1).normal(size=25)
    copied = {"x": np.tile(columns["x"], 4)}
    ids = [str(i) for i in range(25)] * 4
    found = importance(copied, np.tile(accuracy, 4), networks=ids, methods=(PERMUTATION,))
    assert not found.ranked
    plain = main_effects(columns, accuracy)[0]
    again = main_effects(copied, np.tile(accuracy, 4), networks=ids)[0]
    for one, other in zip(plain.levels, again.levels, strict=True):
        reach = [level.effect.high - level.effect.low for level in (one, other)]
        assert reach[1] == pytest.approx(reach[0], rel=0.25)  # four copies do not halve it


# ---- main effects ---------------------------------------------------------------------------------------


def test_adjusted_effects_are_the_true_ones_under_mild_confounding():
    """Wide networks have large kernels here; unadjusted, the width takes the kernel's merit."""
    rng = np.random.default_rng(0)
    kernel = rng.choice([3.0, 7.0], 300)
    width = 0.3 * (kernel - 5) + rng.normal(size=300)
    accuracy = 0.1 * kernel + 0.0 * width + 0.1 * rng.normal(size=300)
    effects = {e.axis: e for e in main_effects({"kernel": kernel, "width": width}, accuracy)}
    small, large = effects["kernel"].levels
    assert large.effect.value - small.effect.value == pytest.approx(0.4, abs=0.05)
    truth = -0.4 * large.networks / 300  # from the mean of all
    assert small.effect.low < truth < small.effect.high
    assert effects["kernel"].verdict == MATTERS
    assert effects["kernel"].best.label == "7"
    widths = effects["width"].levels
    assert widths[-1].mean - widths[0].mean > 0.15  # what it looks like
    assert effects["width"].verdict == "not distinguishable"
    assert effects["width"].adjusted_for == ("kernel",)


def test_false_alarms_of_main_effects_are_near_their_level():
    """100 data sets without any effect: at most one in ten has one claimed, over all axes (and the luck)."""
    alarms, covered = 0, []
    for seed in range(100):
        accuracy = np.random.default_rng(500 + seed).normal(size=40)
        effects = main_effects(design(40, seed), accuracy, resamples=120, seed=seed)
        alarms += any(effect.verdict == MATTERS for effect in effects)
        covered += [level.effect.covers_zero for e in effects for level in e.levels if level.networks >= 4]
    assert alarms <= 19  # of 100 at 10%: more has a probability of 0.2%
    assert 0.85 <= np.mean(covered) <= 0.97


def test_tied_axes_have_no_claimed_effect_and_say_what_goes_along():
    columns, accuracy = planted(100)
    columns["depth"] = -3 * columns["kernel"]
    effects = {e.axis: e for e in main_effects(columns, accuracy)}
    assert effects["kernel"].verdict == TIED
    assert effects["kernel"].along == ("depth",)
    assert "depth" not in effects["kernel"].adjusted_for


def test_a_level_of_few_networks_has_no_interval():
    columns, accuracy = planted(60)
    columns["stem"] = np.array(["a"] * 58 + ["b"] * 2)
    stem = next(e for e in main_effects(columns, accuracy) if e.axis == "stem")
    assert [np.isinf(level.effect.low) for level in stem.levels] == [False, True]
    assert stem.verdict == "not distinguishable"


# ---- confounding ----------------------------------------------------------------------------------------


def test_independent_axes_are_not_tied():
    found = confounding(design(200))
    assert found.text == []
    assert found.groups == ()
    assert all(tie.inflation < 1.2 for tie in found.ties)


def test_an_axis_made_of_others_is_found_with_what_it_is_made_of():
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 100))
    found = confounding({"a": a, "b": b, "c": c, "sum": a + b})
    assert found.rank == found.columns - 1
    tie = next(tie for tie in found.ties if tie.axis == "sum")
    assert tie.explained == 1
    assert np.isinf(tie.inflation)
    assert set(tie.by) == {"a", "b"}
    assert set(found.groups[0]) == {"a", "b", "sum"}
    assert any("cannot be told apart" in line for line in found.text)


def test_a_cost_that_the_axes_add_up_to_is_no_partner_of_theirs():
    rng = np.random.default_rng(0)
    depth, width = rng.uniform(1, 8, (2, 100))
    cost = axis_of("FLOPs", depth * width**2, log=True)
    cost = type(cost)("FLOPs", cost.values, log=True, cost=True)
    axes = axes_of({"depth": axis_of("depth", depth, log=True), "width": axis_of("width", width, log=True)})
    found = confounding({**axes, "FLOPs": cost})
    assert found.groups == (("depth", "width"),)  # at equal FLOPs, deeper is narrower
    assert set(found.partners("FLOPs")) == {"depth", "width"}
    assert found.partners("depth") == ("width",)


def test_associations_are_those_of_the_kinds_of_axes():
    rng = np.random.default_rng(0)
    letters = np.array(list("abc"))[rng.integers(3, size=400)]
    same = np.char.upper(letters)
    other = np.array(list("xyz"))[rng.integers(3, size=400)]
    number = (letters == "a") + 0.01 * rng.normal(size=400)
    found = {
        frozenset(p[:2]): p[2] for p in confounding({"l": letters, "s": same, "o": other, "n": number}).pairs
    }
    assert found[frozenset("ls")] == pytest.approx(1, abs=0.01)
    assert found[frozenset("lo")] < 0.1
    assert found[frozenset("ln")] == pytest.approx(1, abs=0.01)
    assert found[frozenset("on")] < 0.15


# ---- partial dependence ---------------------------------------------------------------------------------


def test_partial_dependence_has_the_shape_of_the_function():
    rng = np.random.default_rng(0)
    x, z = rng.uniform(-1, 1, (2, 200))
    curves = {c.axis: c for c in partial_dependence({"x": x, "z": z}, -(x**2) + 0.02 * rng.normal(size=200))}
    at, value = np.array(curves["x"].at), np.array(curves["x"].value)
    truth = -(at**2)
    assert np.abs(value - (truth - truth.mean())).max() < 0.03
    flat = curves["z"]
    assert all(low <= 0 <= high for low, high in zip(flat.low, flat.high, strict=True))


# ---- what is refused ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, y: (c, y[:-1]), "one a row"),
        (lambda c, y: (c, np.full_like(y, np.nan)), "finite"),
        (lambda c, y: (c, np.ones_like(y)), "nothing to explain"),
        (lambda c, y: ({k: v[:9] for k, v in c.items()}, y[:9]), "9 networks: importance needs at least 20"),
        (lambda c, y: ({"k": np.ones(len(y))}, y), "none varies"),
    ],
)
def test_bad_input_is_one_clear_line(change, message):
    with pytest.raises(InputError, match=message):
        importance(*change(*planted(30)))


def test_an_unknown_method_is_refused():
    with pytest.raises(InputError, match=r"'shap'; there are PED-ANOVA, fANOVA, permutation"):
        importance(*planted(30), methods=("shap",))


# ---- a study and the command ----------------------------------------------------------------------------


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
    found = find([Study({**study.mapping, "scheduler": {"name": "asha"}})], thorough=False)
    assert any("stopped early by a scheduler" in note for note in found.notes)
    assert "FLOPs" in found.sample.axes
    inside = find([study], budget="0.6GFLOPs", thorough=False)
    assert len(inside.sample) < len(found.sample)
    assert "FLOPs" not in inside.sample.axes


def test_the_command_prints_tables_and_writes_every_number(studies, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "TREES", 3)
    monkeypatch.setitem(module.MOST_HALVES, FANOVA, 2)
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


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; sys.argv = ['x', '--help']\n"
        "from analysis import importance\n"
        "try: importance.main(['--help'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'sklearn', 'optuna', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_large_samples_are_cut(monkeypatch):
    for name in module.MOST:
        monkeypatch.setitem(module.MOST, name, 40)
    columns, accuracy = planted(400)
    found = importance(columns, accuracy, methods=(PED_ANOVA, PERMUTATION), halves=5)
    assert found.networks == 400
    assert sum(level.networks for level in main_effects(columns, accuracy)[0].levels) == 40
