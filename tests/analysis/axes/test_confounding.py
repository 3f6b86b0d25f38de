"""Which axes go together, against designs made so."""

import numpy as np
import pytest

from analysis.axes.axes import axes_of, axis_of
from analysis.axes.confounding import confounding
from tests.analysis.planted import design


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
