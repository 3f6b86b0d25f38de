"""The front and its hypervolume against their definitions, computed point by point."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.fronts import dominance
from analysis.fronts.pareto import (
    attainment,
    front3,
    front_probability,
    hypervolume,
    hypervolume3,
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


triples = st.lists(st.tuples(coordinate, coordinate, coordinate), max_size=30)


def dominates3(a, b):
    return a[0] <= b[0] and a[1] <= b[1] and a[2] >= b[2] and a != b


@given(triples)
def test_front_of_three_is_the_set_that_nothing_dominates(points):
    cost, other, value = ([p[i] for p in points] for i in range(3))
    chosen = front3(cost, other, value).tolist()
    assert set(chosen) == {i for i, p in enumerate(points) if not any(dominates3(q, p) for q in points)}
    assert [(cost[i], other[i]) for i in chosen] == sorted((cost[i], other[i]) for i in chosen)


@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate), max_size=40)
    | st.lists(st.tuples(*[st.floats(allow_nan=False)] * 3), max_size=25)
)
def test_pivots_take_away_dominated_points_only(points):
    """The short cut of large sets, which small ones do not take by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(front_module, "FEW", 1)
        chosen = front3(*([p[i] for p in points] for i in range(3))).tolist()
    assert set(chosen) == {i for i, p in enumerate(points) if not any(dominates3(q, p) for q in points)}


@pytest.mark.parametrize("leaf", [1, 4])
@given(
    st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=1, max_size=60)
    | st.lists(st.tuples(*[st.floats(allow_nan=False)] * 3), min_size=1, max_size=25)
)
def test_comparing_halves_finds_what_comparing_all_does(leaf, points):
    """The way of large fronts, which small ones do not take by themselves."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dominance, "SWEPT", 1)
        patch.setattr(dominance, "LEAF", leaf)
        chosen = front3(*([p[i] for p in points] for i in range(3))).tolist()
    assert set(chosen) == {i for i, p in enumerate(points) if not any(dominates3(q, p) for q in points)}


def test_a_large_front_of_three_is_that_of_its_parts():
    rng = np.random.default_rng(3)
    cost, other, value = np.round(rng.random((3, 30_000)), 2)  # many copies and ties
    chosen = front3(cost, other, value)
    # the front of the union is the front of the parts' fronts, each too small for the short cut
    parts = np.concatenate(
        [np.arange(30_000)[i::60][front3(cost[i::60], other[i::60], value[i::60])] for i in range(60)]
    )
    again = parts[front3(cost[parts], other[parts], value[parts])]
    assert sorted(chosen.tolist()) == sorted(again.tolist())


cubes = st.lists(st.tuples(*[st.integers(-1, 5)] * 3), max_size=12)


@given(cubes, st.tuples(*[st.integers(-1, 5)] * 3))
def test_hypervolume_of_three_counts_the_dominated_unit_cubes(points, worst):
    expected = sum(
        any(c <= x and o <= y and v >= z + 1 for c, o, v in points)
        for x in range(-1, worst[0])
        for y in range(-1, worst[1])
        for z in range(worst[2], 5)
    )
    columns3 = [[p[i] for p in points] for i in range(3)]
    assert hypervolume3(*columns3, worst) == expected


@given(points)
def test_hypervolume_of_three_is_that_of_two_times_a_constant_depth(pairs):
    cost, value = columns(pairs)
    assert hypervolume3(cost, [1.0] * len(cost), value, (7, 3, -1)) == pytest.approx(
        2 * hypervolume(cost, value, (7, -1)), abs=1e-9
    )
    assert hypervolume3([1.0] * len(cost), cost, value, (3, 7, -1)) == pytest.approx(
        2 * hypervolume(cost, value, (7, -1)), abs=1e-9
    )


def test_hypervolume_of_three_refuses_what_that_of_two_does():
    with pytest.raises(ValueError, match="finite"):
        hypervolume3([1], [1], [np.inf], (2, 2, 0))
    with pytest.raises(ValueError, match="finite"):
        hypervolume3([1], [1], [1], (2, np.nan, 0))
    with pytest.raises(ValueError, match=r"value\[0\] is NaN"):
        hypervolume3([1], [1], [np.nan], (2, 2, 0))
    assert hypervolume3([], [], [], (1, 1, 0)) == 0.0


@given(points)
def test_front_of_three_with_one_constant_is_the_front_of_two(pairs):
    cost, value = columns(pairs)
    two = sorted(front(cost, value).tolist())
    assert sorted(front3(cost, [7] * len(cost), value).tolist()) == two
    assert sorted(front3([7] * len(cost), cost, value).tolist()) == two


def test_three_objectives_refuse_what_two_do():
    with pytest.raises(ValueError, match="one shape"):
        front3([1, 2], [1], [1, 2])
    with pytest.raises(ValueError, match="NaN"):
        front3([1], [float("nan")], [1])


runs = st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=8), min_size=1, max_size=6)


@given(runs, st.integers(1, 20))
def test_attainment_is_reached_by_that_share_of_runs(drawn, twentieths):
    share = twentieths / 20
    costs, values = attainment([columns(run) for run in drawn], share)
    assert (np.diff(costs) > 0).all() and (np.diff(values) > 0).all()
    for cost in range(-1, 8):
        best = [max((v for c, v in run if c <= cost), default=-np.inf) for run in drawn]
        # the highest value that enough runs reach
        reached = [v for v in [*best] if 20 * sum(b >= v for b in best) >= twentieths * len(drawn)]
        below = values[costs <= cost]
        assert (below[-1] if below.size else -np.inf) == max(reached)


def test_attainment_of_one_run_is_its_front():
    costs, values = attainment([([3, 1, 2], [5, 4, 4])])
    assert costs.tolist() == [1, 3] and values.tolist() == [4, 5]
    with pytest.raises(ValueError, match="at least one run"):
        attainment([])


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


@given(triples)
def test_without_noise_the_probability_of_three_is_the_front(points):
    cost, other, value = ([p[i] for p in points] for i in range(3))
    share = front_probability(cost, value, [0] * len(cost), other_cost=other, draws=2)
    assert np.flatnonzero(share == 1).tolist() == sorted(front3(cost, other, value).tolist())
    assert set(share.tolist()) <= {0.0, 1.0}


def test_a_second_cost_keeps_a_point_on_the_front():
    # dearer in FLOPs, the better by chance only; but it is the faster one
    values = [[0.0, 0.2, 0.4], [0.0, 0.1, 0.2]]
    assert seeds_probability([1, 2], values)[1] < 0.5
    assert seeds_probability([1, 2], values, other_cost=[5, 3], draws=50).tolist() == [1.0, 1.0]
    slower = seeds_probability([1, 2], values, other_cost=[5, 5], draws=1000)
    assert slower[1] == pytest.approx(seeds_probability([1, 2], values)[1], abs=0.06)
    with pytest.raises(ValueError, match="one shape"):
        seeds_probability([1, 2], values, other_cost=[5])
