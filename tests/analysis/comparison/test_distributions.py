"""Design spaces against brute force and simulated truths."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison.distributions import best_of, compare_spaces, edf, range_of_best
from space.errors import InputError

small = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(small, st.integers(1, 4))
def test_best_of_n_is_the_bootstrap_over_all_draws(errors, n):
    every = np.sort([min(draw) for draw in itertools.product(errors, repeat=n)])
    best = best_of(errors, n, level=0.8)
    assert best.mean == pytest.approx(every.mean())
    for bound, tail in ((best.low, 0.1), (best.high, 0.9)):
        # the smallest value whose distribution reaches the tail, up to rounding of the tail itself
        reached = {np.quantile(every, t, method="inverted_cdf") for t in (tail - 1e-9, tail + 1e-9)}
        assert bound in reached


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_edf_counts(errors):
    ordered, share = edf(errors)
    assert share.tolist() == [np.mean(np.array(errors) <= e) for e in ordered]


def test_range_of_best_finds_the_good_setting():
    rng = np.random.default_rng(0)
    depth = rng.integers(10, 30, 400)
    errors = 30 + 0.1 * (depth - 20) ** 2 + rng.normal(0, 0.3, 400)
    best = range_of_best(depth, errors)
    assert 18 <= best.low <= best.mean <= best.high <= 22
    # the best of all that are drawn, when all are drawn often, is the best there is
    assert range_of_best([1, 2], [5.0, 3.0], share=1, resamples=50).high == 2
    with pytest.raises(InputError, match="setting"):
        range_of_best([1, 2], [1.0])
    with pytest.raises(InputError, match="at least 1"):
        best_of([1.0], 0)
    with pytest.raises(InputError, match="finite"):
        edf([])


errors = st.lists(st.floats(0, 100), min_size=2, max_size=12)


@given(errors, st.integers(1, 6))
def test_the_expected_best_is_that_of_all_subsets(drawn, n):
    n = min(n, len(drawn) // 2)
    expected = np.mean([min(subset) for subset in itertools.combinations(drawn, n)])
    found = compare_spaces([0.0] * len(drawn), drawn, n)
    assert found.best.value == pytest.approx(expected, abs=1e-9)
    assert found.mean.value == pytest.approx(np.mean(drawn), abs=1e-9)


@given(errors, errors, st.floats(-50, 50))
def test_spaces_swapped_or_shifted(first, second, shift):
    there, back = compare_spaces(first, second, 1), compare_spaces(second, first, 1)
    ends = there.best.value, there.best.low, there.best.high
    assert ends == pytest.approx((-back.best.value, -back.best.high, -back.best.low), abs=1e-9)
    assert there.distance == pytest.approx(back.distance)
    moved = compare_spaces(np.add(first, shift), np.add(second, shift), 1)
    assert (moved.best.value, moved.best.low, moved.best.high) == pytest.approx(ends, abs=1e-6)


def test_a_better_space_is_called_better():
    rng = np.random.default_rng(1)
    found = compare_spaces(rng.normal(30, 2, 200), rng.normal(33, 2, 200), 10)
    assert found.best.verdict == found.mean.verdict == "better" and found.same < 0.001
    assert found.mean.value == pytest.approx(3, abs=0.6)
    # the signed area between the two distributions is the difference of the means
    grid = np.linspace(20, 45, 5001)
    a, b = (np.random.default_rng(1).normal(m, 2, 200) for m in (30, 33))
    gap = np.searchsorted(np.sort(a), grid) - np.searchsorted(np.sort(b), grid)
    assert compare_spaces(a, b, 1).mean.value == pytest.approx(
        gap.sum() / 200 * (grid[1] - grid[0]), abs=0.01
    )


@pytest.mark.parametrize("n", [2, 10])
def test_intervals_of_design_spaces_cover(n):
    rng = np.random.default_rng(4)
    truth = float(-rng.standard_normal((40_000, n)).min(axis=1).mean())  # of the best of a, where b is 0
    held = 0
    for _ in range(400):
        best = compare_spaces(rng.standard_normal(20), [0.0] * 20, n).best
        held += best.low <= truth <= best.high
    assert 0.85 <= held / 400 <= 0.98


def test_spaces_that_cannot_be_compared():
    for bad in (([1.0, 2], [1.0, 2], 2), ([1.0, 2], [1.0, 2], 0), ([1.0], [2.0, 3], 1), ([1.0, 2], [], 1)):
        with pytest.raises(InputError, match=r"half the networks|must be finite"):
            compare_spaces(*bad)
