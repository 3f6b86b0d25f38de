"""Comparisons at equal FLOPs against arithmetic and simulated truths."""

import numpy as np
import pytest

from analysis.comparison.equal_flops import at_equal_flops
from nas.verdict.difference import verdict
from space.errors import InputError


def test_words():
    assert [verdict(*ends) for ends in ((0.1, 2), (-2, -0.1), (-1, 1), (0, 1))] == [
        "better", "worse", "not distinguishable", "not distinguishable",
    ]  # fmt: skip


def test_pairs_are_the_closest_in_flops_and_used_once():
    found = at_equal_flops([4.5, 4.45, 9], [1, 2, 3], [4.46, 20, 4.6], [10, 20, 30], tolerance=0.03)
    assert [(p.first, p.second) for p in found.pairs] == [(1, 0), (0, 2)]
    assert found.mean.value == pytest.approx(np.mean([2 - 10, 1 - 30]))
    with pytest.raises(InputError, match="agree in FLOPs"):
        at_equal_flops([1], [1], [2], [1])


def test_pairing_by_seed_removes_what_seeds_share():
    shared = np.array([0.0, 3.0, -2.0, 1.0])
    a, b = 80 + shared + [0.4, 0.5, 0.6, 0.5], 80 + shared
    paired = at_equal_flops([4.5], [a], [4.5], [b[::-1]], seeds_a=[1, 2, 3, 4], seeds_b=[4, 3, 2, 1])
    independent = at_equal_flops([4.5], [a], [4.5], [b])
    assert paired.verdict == "better" and independent.verdict == "not distinguishable"
    assert paired.mean.value == independent.mean.value == pytest.approx(0.5)
    # Student's interval of four differences of standard deviation 0.0816
    assert paired.mean.high - 0.5 == pytest.approx(2.3534 * 0.081650 / 2, rel=0.05)


def test_only_common_seeds_are_paired():
    found = at_equal_flops([1], [[1.0, 2, 9]], [1], [[1.5, 0.5, 7]], seeds_a=[0, 1, 2], seeds_b=[1, 0, 5])
    assert found.mean.value == pytest.approx(np.mean([1 - 0.5, 2 - 1.5]))
    with pytest.raises(InputError, match="no seed in common"):
        at_equal_flops([1], [[1.0]], [1], [[1.0]], seeds_a=[0], seeds_b=[1])
    with pytest.raises(InputError, match="or of neither"):
        at_equal_flops([1], [[1.0]], [1], [[1.0]], seeds_a=[0])


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_over_few_seeds_cover(paired):
    rng, seeds = np.random.default_rng(5), np.arange(3)
    ids = {"seeds_a": seeds, "seeds_b": seeds} if paired else {}
    held = 0
    for _ in range(400):
        a, b = rng.normal(0, 0.1, (2, 1, 3))
        mean = at_equal_flops([1], a + 0.2, [1], b, resamples=300, **ids).mean
        held += mean.low <= 0.2 <= mean.high
    assert 0.85 <= held / 400 <= 0.95


@pytest.mark.parametrize("bad", [([], []), ([1, 2], [1]), ([0], [1]), ([1], [float("nan")]), ([[1]], [1])])
def test_sets_that_cannot_be_compared_are_refused_in_one_line(bad):
    with pytest.raises(InputError, match=r"^compare: a [^\n]*$"):
        at_equal_flops(*bad, [1], [1])
