"""Main effects against true ones, and their false alarms."""

import numpy as np
import pytest

from analysis.axes.effects import main_effects
from analysis.axes.networkwise import MATTERS, TIED
from tests.analysis.planted import design, planted


def test_adjusted_effects_are_the_true_ones_under_mild_confounding():
    """Wide networks have large kernels here; unadjusted, the width takes the kernel's merit."""
    rng = np.random.default_rng(0)
    kernel = rng.choice([3.0, 7.0], 300)
    width = 0.3 * (kernel - 5) + rng.normal(size=300)
    accuracy = 0.1 * kernel + 0.0 * width + 0.1 * rng.normal(size=300)
    effects = {e.axis: e for e in main_effects({"kernel": kernel, "width": width}, accuracy)}
    small, large = effects["kernel"].levels
    assert large.effect.value - small.effect.value == pytest.approx(0.4, abs=0.05)
    truth = -0.4 * large.networks / 300  # from the mean of all
    assert small.effect.low < truth < small.effect.high
    assert effects["kernel"].verdict == MATTERS
    assert effects["kernel"].best.label == "7"
    widths = effects["width"].levels
    assert widths[-1].mean - widths[0].mean > 0.15  # what it looks like
    assert effects["width"].verdict == "not distinguishable"
    assert effects["width"].adjusted_for == ("kernel",)


def test_false_alarms_of_main_effects_are_near_their_level():
    """100 data sets without any effect: at most one in ten has one claimed, over all axes (and the luck)."""
    alarms, covered = 0, []
    for seed in range(100):
        accuracy = np.random.default_rng(500 + seed).normal(size=40)
        effects = main_effects(design(40, seed), accuracy, resamples=120, seed=seed)
        alarms += any(effect.verdict == MATTERS for effect in effects)
        covered += [
            level.effect.low <= 0 <= level.effect.high
            for e in effects
            for level in e.levels
            if level.networks >= 4
        ]
    assert alarms <= 19  # of 100 at 10%: more has a probability of 0.2%
    assert 0.85 <= np.mean(covered) <= 0.97


def test_tied_axes_have_no_claimed_effect_and_say_what_goes_along():
    columns, accuracy = planted(100)
    columns["depth"] = -3 * columns["kernel"]
    effects = {e.axis: e for e in main_effects(columns, accuracy)}
    assert effects["kernel"].verdict == TIED
    assert effects["kernel"].along == ("depth",)
    assert "depth" not in effects["kernel"].adjusted_for


def test_a_level_of_few_networks_has_no_interval():
    columns, accuracy = planted(60)
    columns["stem"] = np.array(["a"] * 58 + ["b"] * 2)
    stem = next(e for e in main_effects(columns, accuracy) if e.axis == "stem")
    assert [np.isinf(level.effect.low) for level in stem.levels] == [False, True]
    assert stem.verdict == "not distinguishable"
