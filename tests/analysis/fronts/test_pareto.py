"""The front and its hypervolume against their definitions, computed point by point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.fronts.pareto import (
    front_probability,
    hypervolume,
    seeds_probability,
)
from nas.verdict import front as front_module
from nas.verdict.front import front

# Few distinct values, so that ties and copies are the rule.
coordinate = st.one_of(st.integers(0, 6), st.floats(0, 6, allow_nan=False))
points = st.lists(st.tuples(coordinate, coordinate), max_size=40)
unbounded = st.lists(st.tuples(st.floats(allow_nan=False), st.floats(allow_nan=False)), max_size=25)


def columns(pairs):
    return [p[0] for p in pairs], [p[1] for p in pairs]


def dominates(a, b):
    return a[0] <= b[0] and a[1] >= b[1] and a != b


def brute_front(pairs):
    return {i for i, p in enumerate(pairs) if not any(dominates(other, p) for other in pairs)}


@given(points | unbounded)
def test_front_is_the_set_that_nothing_dominates(pairs):
    chosen = front(*columns(pairs))
    assert set(chosen.tolist()) == brute_front(pairs)
    assert len(set(chosen.tolist())) == len(chosen)


@given(points)
def test_front_rises_in_both_and_keeps_the_order_of_copies(pairs):
    chosen = front(*columns(pairs)).tolist()
    keys = [(*pairs[i], i) for i in chosen]
    assert keys == sorted(keys)
    assert [pairs[i][1] for i in chosen] == sorted(pairs[i][1] for i in chosen)


def test_all_copies_are_kept_and_ties_in_one_objective_are_not():
    cost, value = [2, 1, 2, 2, 1, 3], [5, 4, 5, 4, 3, 5]
    assert front(cost, value).tolist() == [1, 0, 2]


def test_integers_and_empty_input():
    assert front(np.array([3, 1], dtype=np.uint8), np.array([1, 2], dtype=np.uint8)).tolist() == [1]
    assert front([], []).tolist() == []
    assert hypervolume([], [], (1, 0)) == 0.0


@pytest.mark.parametrize("function", [front, lambda c, v: hypervolume(c, v, (9, 0))])
def test_nan_is_refused_by_name_and_place(function):
    with pytest.raises(ValueError, match=r"cost\[1\] is NaN"):
        function([1.0, float("nan")], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"value\[0\] is NaN"):
        function([1.0, 2.0], [float("nan"), 2.0])


@pytest.mark.parametrize(("cost", "value"), [([1, 2], [1]), ([[1]], [[1]]), (1, 2)])
def test_shapes_must_agree(cost, value):
    with pytest.raises(ValueError, match="one shape"):
        front(cost, value)


grid = st.lists(st.tuples(st.integers(-2, 8), st.integers(-2, 8)), max_size=20)


@given(grid, st.integers(-2, 8), st.integers(-2, 8))
def test_hypervolume_counts_the_dominated_unit_squares(pairs, worst_cost, worst_value):
    squares = sum(
        any(c <= x and v >= y + 1 for c, v in pairs)
        for x in range(-2, worst_cost)
        for y in range(worst_value, 8)
    )
    assert hypervolume(*columns(pairs), (worst_cost, worst_value)) == squares


def test_hypervolume_refuses_infinity():
    for cost, value, worst in [([1], [np.inf], (2, 0)), ([-np.inf], [1], (2, 0)), ([1], [1], (np.inf, 0))]:
        with pytest.raises(ValueError, match="finite"):
            hypervolume(cost, value, worst)


@given(points | unbounded)
def test_pivots_take_away_dominated_points_only(pairs):
    """The short cut of large sets, which small ones do not take by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(front_module, "FEW", 1)
        assert set(front(*columns(pairs)).tolist()) == brute_front(pairs)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=12))
def test_without_noise_the_probability_is_the_front(pairs):
    cost, value = columns(pairs)
    share = front_probability(cost, value, [0] * len(cost), draws=3)
    assert set(np.flatnonzero(share == 1).tolist()) == brute_front(pairs)
    assert set(share.tolist()) <= {0.0, 1.0}


def test_front_probability_of_two_points_is_the_normal_tail():
    # the dearer point is on the front if it is better: P(N(0.3, 0.5) > 0) = 0.7257
    cheap, dear = front_probability([1, 2], [0.0, 0.3], [0.3, 0.4], draws=40_000)
    assert cheap == 1
    assert dear == pytest.approx(0.7257, abs=0.008)


@given(st.integers(0, 2**32 - 1))
def test_front_probability_is_the_share_of_fronts(seed):
    rng = np.random.default_rng(seed)
    cost, mean, std = rng.integers(0, 4, 7), rng.normal(size=7), rng.uniform(0, 1, 7)
    order = np.argsort(cost, kind="stable")
    again = np.random.default_rng(11).standard_normal((20, 7))
    hits = np.zeros(7)
    for row in again:
        value = np.empty(7)
        value[order] = mean[order] + std[order] * row
        hits[front(cost, value)] += 1
    assert front_probability(cost, mean, std, draws=20, seed=11).tolist() == (hits / 20).tolist()


def test_probability_from_seeds_pools_their_noise():
    values = np.array([[0.0, 0.2, 0.4], [0.3, 0.5, 0.7]])
    cheap, dear = seeds_probability([1, 2], values, draws=40_000)
    # difference of means 0.3, standard error 0.2 sqrt(2 / 3), 4 degrees of freedom: t = 1.837
    assert cheap == 1
    assert dear == pytest.approx(0.9299, abs=0.006)
    assert seeds_probability(np.zeros(0), np.zeros((0, 2))).tolist() == []
    with pytest.raises(ValueError, match="two seeds"):
        seeds_probability([1], [[1.0]])
    with pytest.raises(ValueError, match="not negative"):
        front_probability([1], [1], [-1])
