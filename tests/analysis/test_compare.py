"""Comparisons against arithmetic, brute force and simulated truths."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.compare import (
    at_equal_flops,
    best_of,
    edf,
    flops_saved,
    published_difference,
    range_of_best,
    verdict,
)
from analysis.reference import CONVNEXT_PAPER
from space.errors import InputError


def convnext_and_swin(**options):
    return published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b=CONVNEXT_PAPER, **options
    )


def test_convnext_minus_swin_in_the_papers_own_table():
    found = convnext_and_swin()
    assert [(a.name, b.name) for a, b, _ in found] == [
        (f"ConvNeXt-{size}", f"Swin-{size}") for size in ("T", "S", "B")
    ]
    assert [d.value for _, _, d in found] == pytest.approx([0.8, 0.1, 0.3])
    # one run each: without a noise to compare with, no verdict
    assert {d.verdict for _, _, d in found} == {"not distinguishable"}


def test_verdicts_on_the_published_plane_follow_the_noise_assumed():
    found = convnext_and_swin(noise=0.1)
    assert [d.verdict for _, _, d in found] == ["better", "not distinguishable", "better"]
    half = 1.6448536 * 0.1 * np.sqrt(2)
    assert [d.high - d.value for _, _, d in found] == pytest.approx([half] * 3)


def test_sources_are_chosen_one_by_one():
    found = published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b="Swin-Transformer README"
    )
    assert [d.value for _, _, d in found] == pytest.approx([0.9, -0.1, 0.3])
    with pytest.raises(InputError, match="no source"):
        published_difference("convnext", "swin", source_a="somewhere", source_b=CONVNEXT_PAPER)


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


def test_flops_saved_between_two_power_laws():
    # b reaches everything a does with three times the FLOPs
    flops = np.geomspace(1, 100, 9)
    value = 80 + np.log(flops)
    assert flops_saved(flops, value, 3 * flops, value, 82.2) == pytest.approx(2 / 3)
    assert flops_saved(3 * flops, value, flops, value, 82.2) == pytest.approx(-2)
    assert flops_saved(flops, value, 3 * flops, value, 80) == pytest.approx(2 / 3)
    for outside in (79.9, 84.7):
        assert flops_saved(flops, value, 3 * flops, value, outside) is None


def test_flops_saved_sees_only_the_fronts():
    with_poor = ([1, 2, 4, 4, 3], [1, 2, 3, 3, 0])
    assert flops_saved(*with_poor, [1, 2, 4], [1, 2, 3], 2.5) == pytest.approx(0)
    assert flops_saved(*with_poor, [5, 6], [4, 5], 3) is None


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
