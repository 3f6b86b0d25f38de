"""error(N, D): known laws recovered, intervals that cover, and no number where the grid tells none."""

import numpy as np
import pytest

from analysis.laws.answer import Estimate, NotIdentified
from analysis.laws.joint import fit_joint
from space.errors import InputError
from tests.benchmarks.joint import COMPUTE, FAR, TRUTH, Design, asked, best_n, truth


def grid(networks=6, sizes=5):
    n, d = np.geomspace(0.1, 10, networks), np.geomspace(0.05, 5, sizes)
    return np.repeat(n, sizes), np.tile(d, networks)


def test_a_law_without_noise_is_recovered_and_divides_a_compute():
    n, d = grid()
    fit = fit_joint(n, d, truth(n, d))
    assert {name: answer.value for name, answer in fit.parameters.items()} == pytest.approx(TRUTH, rel=1e-3)
    best = fit.divide(COMPUTE)
    assert best.n.value == pytest.approx(best_n(), rel=1e-3)
    assert best.n.value * best.d.value == pytest.approx(COMPUTE)
    assert best.error.value == pytest.approx(float(truth(best_n(), COMPUTE / best_n())), rel=1e-5)
    assert not best.inside and fit.divide(1.0).inside  # 7 times 7 is beyond a grid that ends at 5


def test_units_change_nothing_but_the_numbers_that_have_them():
    n, d, error, network = Design(6, 5, 0.01).draw(np.random.default_rng(0))
    one = fit_joint(n, d, error, network=network)
    other = fit_joint(1e9 * n, 1e6 * d, error / 100, network=network)
    for name in ("alpha", "beta"):
        assert other.parameters[name].value == pytest.approx(one.parameters[name].value, rel=1e-4)
    assert other.parameters["E"].low == pytest.approx(one.parameters["E"].low / 100, rel=0.02)
    assert other.divide(1e15).n.high == pytest.approx(1e9 * one.divide(1.0).n.high, rel=0.02)


def test_ninety_percent_intervals_cover_ninety_percent():
    true = {**TRUTH, "far": float(truth(*FAR)), "best N": best_n()}
    rng, held = np.random.default_rng(2), dict.fromkeys(true, 0)
    for _ in range(10):
        n, d, error, network = Design(6, 4, 0.015).draw(rng)
        for name, answer in asked(fit_joint(n, d, error, network=network)).items():
            held[name] += answer.low <= true[name] <= answer.high
    # residuals drawn one by one hold E in half of them; over 200 grids: studies/scaling
    assert sum(held.values()) >= 8 * len(held) and min(held.values()) >= 7, held


def test_seeds_of_a_training_are_one_observation():
    n, d, error, network = Design(6, 4).draw(np.random.default_rng(3))
    one = fit_joint(n, d, error, network=network)
    twice = fit_joint(*(np.tile(c, 2) for c in (n, d, error)), network=np.tile(network, 2))
    assert twice.trainings == one.trainings == 24 and twice.networks == 6
    assert str(twice.parameters) == str(one.parameters)


@pytest.mark.parametrize(
    ("kept", "reason"),
    [
        (lambda n, d: d == d[0], "one value of D; a law with a floor needs 3"),
        (lambda n, d: d < 0.2, "2 values of D; a law with a floor needs 3"),
        (lambda n, d: n == n[0], "one value of N; a law with a floor needs 3"),
        (lambda n, d: (n == n[0]) & (d < 0.6) | (n == n[5]) & (d == d[1]) | (n == n[-1]) & (d == d[2]),
         "5 trainings for 5 parameters"),
    ],
)  # fmt: skip
def test_a_grid_that_cannot_tell_says_why(kept, reason):
    n, d = (column[kept(*grid())] for column in grid())
    fit = fit_joint(n, d, truth(n, d))
    assert {str(answer) for answer in fit.parameters.values()} == {f"not identified: {reason}"}
    best = fit.divide(COMPUTE)
    assert str(best.n) == str(best.error) == f"not identified: {reason}"
    with pytest.raises(InputError, match=reason):
        fit.predict([1.0], [1.0])


def test_data_that_change_nothing_identify_no_exponent_of_theirs():
    n, d = grid()
    error = 15 + 8 * n**-0.45
    fit = fit_joint(n, d, error * np.exp(0.01 * np.random.default_rng(4).standard_normal(n.size)))
    for name in ("B", "beta"):
        assert isinstance(fit.parameters[name], NotIdentified)
    assert isinstance(fit.divide(COMPUTE).n, NotIdentified)
    assert isinstance(fit.predict_intervals(1.0, 1.0)[0], Estimate)


def test_an_outlier_hardly_moves_the_law():
    n, d, error, network = Design(8, 5).draw(np.random.default_rng(5))
    spoiled = error.copy()
    spoiled[17] *= 1.5
    plain, robust = (fit_joint(n, d, e, network=network).predict(*FAR) for e in (error, spoiled))
    assert robust == pytest.approx(plain, rel=0.02)


def test_one_training_scatters_more_than_the_law():
    n, d, error, network = Design(8, 5, 0.015).draw(np.random.default_rng(6))
    fit = fit_joint(n, d, error, network=network)
    (law,), (training,) = fit.predict_intervals(1.0, 1.0), fit.predict_trainings(1.0, 1.0)
    assert training.low < law.low < law.high < training.high
    assert training.high / training.value > 1 + 1.5 * 0.018


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1, 2], [1], [1, 2]), "d has the shape"),
        (([1, -2], [1, 2], [1, 2]), "n must be positive"),
        (([1, 2], [1, 2], [1, np.nan]), "error must be positive"),
        (([], [], []), "n has the shape"),
    ],
)
def test_what_is_no_grid_is_refused(columns, message):
    with pytest.raises(InputError, match=message):
        fit_joint(*columns)


def test_trainings_of_one_network_have_one_cost():
    n, d = grid()
    n[0] *= 2
    with pytest.raises(InputError, match="trainings of one network differ in cost"):
        fit_joint(n, d, truth(n, d), network=np.repeat(np.arange(6), 5))
