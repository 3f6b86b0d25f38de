"""Where trainings may stop early: never where full trainings showed other ranks early than at their end."""

import json
import math
from itertools import combinations, pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.driver.gate import (
    ABOVE,
    LEAST,
    Decision,
    Gate,
    correlations,
    look_of,
    stops_of,
    sufficient,
)
from nas.driver.rungs import candidate_levels

LEVELS = (1, 2, 4, 9)
# few different values, for ties, and what a training that fails on its way may show
ACCURACIES = st.one_of(st.integers(0, 6).map(lambda n: n / 6), st.just(math.nan))
CURVES = st.lists(st.lists(ACCURACIES, min_size=9, max_size=9), max_size=14)


def tau_b(curves, epoch):
    """Kendall's by its definition, over pairs; None where there are no untied ones."""
    both = [(c[epoch - 1], c[-1]) for c in curves if math.isfinite(c[epoch - 1]) and math.isfinite(c[-1])]
    signs = [((a > c) - (a < c), (b > d) - (b < d)) for (a, b), (c, d) in combinations(both, 2)]
    untied = [sum(abs(pair[i]) for pair in signs) for i in (0, 1)]
    if len(both) < LEAST or 0 in untied:
        return None
    return sum(early * late for early, late in signs) / math.sqrt(untied[0] * untied[1])


def gate_of(curves, look=LEAST, levels=LEVELS):
    gate = Gate(levels, look, 3)
    for number, curve in enumerate(curves):
        gate.learn(number, curve)
    return gate


@given(CURVES, st.integers(0, 40))
def test_nothing_stops_where_early_ranks_are_not_those_of_the_end(curves, worth):
    tau = correlations(curves, LEVELS[:-1])
    for epoch, value in tau.items():
        expected = tau_b(curves, epoch)
        assert value == (None if expected is None else pytest.approx(expected, abs=1e-4))
    stops = stops_of(tau, 9, worth, 3)
    assert all(tau[epoch] is not None and tau[epoch] > ABOVE for epoch in stops)
    assert list(stops) == sorted(set(stops))
    assert all(later >= 3 * earlier for earlier, later in pairwise(stops))


def test_networks_that_are_all_alike_tell_nothing():
    alike = [[0.5] * 9] * 12
    gate = gate_of(alike)
    assert gate.ready
    assert gate.decide(12, 20) == Decision(12, 6, {1: None, 2: None, 4: None}, ())
    # nor do those that differ only early, or only at the end
    early = [[i / 10, *[0.5] * 8] for i in range(8)]
    late = [[*[0.5] * 8, i / 10] for i in range(8)]
    assert correlations(early, (1,)) == correlations(late, (1,)) == {1: None}


def test_fewer_than_six_tell_nothing():
    curves = [[i / 10] * 9 for i in range(LEAST)]
    assert correlations(curves, (1,)) == {1: 1.0}
    assert correlations(curves[1:], (1,)) == {1: None}
    assert correlations([], (1,)) == {1: None}
    assert not gate_of(curves[1:]).ready
    assert [look_of(n) for n in (1, 6, 18, 21, 100)] == [6, 6, 6, 7, 33]


def test_of_six_networks_in_any_order_few_agree_by_chance():
    rising = range(LEAST)
    passed = [correlations([[a, b] for a, b in zip(order, rising, strict=True)], (1,))[1] > ABOVE
              for order in list(permutations(rising))[::7]]  # fmt: skip
    assert 0.04 < sum(passed) / len(passed) < 0.09


def test_reversed_ranks_stop_nothing():
    curves = [[(10 - i) / 10] * 4 + [i / 10] * 5 for i in range(10)]
    assert gate_of(curves).decide(10, 20).stops == ()


@given(CURVES.filter(lambda curves: len(curves) >= LEAST), st.randoms(use_true_random=False))
def test_a_decision_follows_from_the_first_networks_in_whatever_order_they_ended(curves, random):
    expected = gate_of(curves[:LEAST]).decide(20, 22)
    shuffled = list(enumerate(curves))
    random.shuffle(shuffled)
    gate = Gate(LEVELS, LEAST, 3)
    for number, curve in shuffled:
        gate.learn(number, curve)
    assert gate.decide(20, 22) == expected
    assert Decision.from_dict(json.loads(json.dumps(expected.to_dict()))) == expected


def test_networks_from_before_the_decision_are_trained_fully():
    gate = gate_of([[i / 10] * 9 for i in range(7)])
    assert not gate.governs(99) and gate.rungs().levels == (9,)
    gate.decision = gate.decide(7, 22)
    assert [gate.governs(number) for number in (6, 7)] == [False, True]
    assert not gate.ready
    assert gate.rungs().levels == (1, 4, 9)


@given(
    st.integers(0, 60),
    st.sets(st.integers(1, 29), max_size=3),
    st.integers(2, 4),
)
def test_networks_are_as_many_as_the_epochs_suffice_for(worth, stops, eta):
    levels = (*sorted(stops), 30)

    def spent(networks):
        total, before = 0, 0
        for level in levels:
            total += networks * (level - before)
            networks, before = networks // eta, level
        return total

    networks = sufficient(worth, levels, eta)
    assert spent(networks) <= 30 * worth < spent(networks + 1)
    assert networks >= worth


def test_a_decision_says_what_was_seen():
    seen = Decision(9, 7, {1: 0.21, 2: 0.7412, 4: None, 8: -0.3}, (2,))
    assert seen.says == (
        "after 7 full trainings, rank correlation with the last epoch: epoch 1 .21, epoch 2 .74, "
        "epoch 4 not known, epoch 8 -.30; stops at epoch 2"
    )
    assert Decision(9, 7, {1: 1.0, 3: 0.9}, (1, 3)).says.endswith(
        "epoch 1 1.00, epoch 3 .90; stops at epochs 1 and 3"
    )
    assert Decision(9, 7, {1: 0.5}, ()).says.endswith("epoch 1 .50; none stops early")


def test_trainings_of_one_epoch_are_not_looked_at():
    gate = Gate(candidate_levels(1, 3, None), LEAST, 3)
    assert gate.ready
    decision = gate.decide(1, 20)
    assert decision.says == "there is no epoch before the last to stop at; none stops early"
    gate.decision = decision
    assert gate.networks(20) == 20
    assert gate.rungs().levels == (1,)


def test_epochs_that_are_looked_at():
    assert candidate_levels(2, 3, None) == (1, 2)
    assert candidate_levels(3, 3, None) == (1, 2, 3)
    assert candidate_levels(9, 3, None) == LEVELS
    assert candidate_levels(9, 3, 3) == (3, 5, 9)
    assert candidate_levels(9, 3, 9) == (9,)
    assert candidate_levels(90, 3, None) == (3, 6, 12, 23, 46, 90)
