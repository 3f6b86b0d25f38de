"""FLOPs saved, against power laws and simulated truths."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.comparison.savings import chosen_by_others, mean_saving
from space.errors import InputError


def test_the_mean_saving_of_parallel_fronts_is_their_distance():
    flops = np.geomspace(1, 10, 5)
    value = (70 + 3 * np.log(flops))[:, None] + [0.0, 0.5, -0.5]  # a seed's shift is no noise
    saved = mean_saving(0.8 * flops, value, flops, value)
    assert (saved.value, saved.low, saved.high) == pytest.approx(
        (0.2, 0.2, 0.2)
    ) and saved.verdict == "better"
    back = mean_saving(flops, value, 0.8 * flops, value)
    assert 1 - back.value == pytest.approx(1 / 0.8) and back.verdict == "worse"


def test_fronts_that_share_no_accuracy_have_no_saving():
    saved = mean_saving([1, 2], [[70], [71]], [1, 2], [[80], [81]])
    assert (saved.value, saved.low, saved.high, saved.verdict) == (None, -math.inf, 1, "not distinguishable")
    sure = mean_saving([1, 2], [[70, 70.1], [71, 71]], [1, 2], [[80, 80.1], [81, 81]])
    assert sure.value is None and sure.verdict == "worse"
    with pytest.raises(InputError, match="the same seeds"):
        mean_saving([1], [[70, 71]], [1], [[70]])


def test_a_saving_is_of_what_the_other_seeds_choose():
    flops, group = np.repeat([1.0, 3.0, 9.0], 2), np.repeat([0, 1, 2], 2)
    rng = np.random.default_rng(3)
    level = 0.06 * np.log(np.array([1.0, 3.0, 9.0]))[:, None]
    rivals, theirs = (
        0.62 + np.repeat(level, 2, axis=0) + 0.01 * rng.normal(size=(6, 3)),
        0.6 + level + [0, 0, 0],
    )
    found = mean_saving(flops, rivals, flops[::2], theirs, rivals_a=group)
    picked = [rivals[g : g + 2][chosen_by_others(rivals[g : g + 2]), range(3)] for g in (0, 2, 4)]
    assert found.value == mean_saving(flops[::2], picked, flops[::2], theirs).value
    # names of groups are names, and in any order
    mixed, names = [4, 0, 2, 5, 1, 3], np.array(list("zzyyxx"))
    again = mean_saving(flops[mixed], rivals[mixed], flops[::2], theirs, rivals_a=names[mixed])
    assert again.value == pytest.approx(found.value)
    alone = mean_saving(flops, rivals, flops[::2], theirs, rivals_a=range(6))
    assert alone == mean_saving(flops, rivals, flops[::2], theirs)
    with pytest.raises(InputError, match=r"rivals_a \(2,\) must name the group of each of 6 networks"):
        mean_saving(flops, rivals, flops[::2], theirs, rivals_a=[0, 1])


def test_intervals_of_savings_allow_for_the_luck_of_the_choice():
    """With equal rivals, what the seeds measure of each other's choices is lucky together."""
    rng, flops, held = np.random.default_rng(8), np.geomspace(0.6, 9, 4), {"told": 0, "not told": 0}
    group, level = np.repeat(np.arange(4), 3), 0.6 + 0.06 * np.log(flops)[:, None]
    for i in range(250):
        rivals = np.repeat(level - 0.06 * np.log(0.8), 3, axis=0) + 0.012 * rng.standard_normal((12, 3))
        theirs = level + 0.012 * rng.standard_normal((4, 3))
        picked = [rivals[g : g + 3][chosen_by_others(rivals[g : g + 3]), range(3)] for g in range(0, 12, 3)]
        options = {"level": 0.95, "resamples": 200, "seed": i}
        for name, saved in {
            "told": mean_saving(flops[group], rivals, flops, theirs, rivals_a=group, **options),
            "not told": mean_saving(flops, picked, flops, theirs, **options),
        }.items():
            held[name] += saved.low <= 0.2 <= saved.high
    assert held["told"] >= 228  # of 250: at 95% fewer has a probability of 0.5%
    assert held["told"] > held["not told"]


def test_intervals_of_savings_cover():
    rng, flops, held = np.random.default_rng(2), np.geomspace(0.6, 9, 4), 0
    for i in range(100):
        table = 0.6 + 0.06 * np.log(flops)[:, None] + 0.02 * rng.standard_normal(3)
        first, second = (table + 0.006 * rng.standard_normal(table.shape) for _ in range(2))
        saved = mean_saving(0.8 * flops, first, flops, second, level=0.9, resamples=100, seed=i)
        held += saved.low <= 0.2 <= saved.high
    assert 82 <= held <= 99


@given(st.integers(0, 2**32 - 1))
def test_no_seed_chooses_what_it_measures(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 3))
    chosen = chosen_by_others(values)
    changed = values.copy()
    changed[:, 1] = rng.normal(size=4)
    assert chosen_by_others(changed)[1] == chosen[1]
    assert chosen.tolist() == [np.delete(values, s, axis=1).mean(axis=1).argmax() for s in range(3)]
    with pytest.raises(InputError, match="two seeds"):
        chosen_by_others(values[:, :1])


def test_the_mean_over_budgets_is_not_that_of_the_luckiest():
    rng, values, lucky = np.random.default_rng(6), [], []
    for _ in range(2000):
        table, theirs = rng.normal(0, 0.01, (3, 3)), rng.normal(0, 0.01, 3)
        values.append((table[chosen_by_others(table), range(3)] - theirs).mean())
        lucky.append(table.mean(axis=1).max() - theirs.mean())
    assert abs(np.mean(values)) < 0.0008 and np.mean(lucky) > 0.004
