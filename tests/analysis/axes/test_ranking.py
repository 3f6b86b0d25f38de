"""Importances against planted effects, and their false alarms."""

import numpy as np
import pytest

from analysis.axes import networkwise
from analysis.axes.effects import main_effects
from analysis.axes.evaluators import PED_ANOVA
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import MATTERS, TIED
from analysis.axes.ranking import METHODS, importance
from space.errors import InputError
from tests.analysis.planted import design, planted


def by_axis(scores):
    return {score.label: score for score in scores}


@pytest.mark.parametrize("method", METHODS)
def test_an_axis_that_matters_ranks_first_and_noise_covers_zero(method):
    columns, accuracy = planted(150)
    found = importance(columns, accuracy, methods=(method,), halves=6)
    scores = found.methods[method]
    assert scores[0].label == "kernel"
    assert scores[0].importance.low > 0
    width = by_axis(scores)["width"].importance
    assert width.low <= 0 <= width.high
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


def test_large_samples_are_cut(monkeypatch):
    for name in networkwise.MOST:
        monkeypatch.setitem(networkwise.MOST, name, 40)
    columns, accuracy = planted(400)
    found = importance(columns, accuracy, methods=(PED_ANOVA, PERMUTATION), halves=5)
    assert found.networks == 400
    assert sum(level.networks for level in main_effects(columns, accuracy)[0].levels) == 40
