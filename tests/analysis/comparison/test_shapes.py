"""What a shape goes with at equal FLOPs, and how it grows with them: found where known, else none."""

import dataclasses
import json

import numpy as np
import pytest

from analysis import scale
from analysis.comparison.families import PARAMS, planes
from analysis.comparison.shapes import DEPTH, effect_words, effects, exponents
from analysis.laws.answer import NotIdentified
from analysis.points.packaged import packaged_points
from tests.analysis.comparison.test_families import point


def plane(rng, families, each, *, effect=0.0, between=0.0, spread=0.4, noise=0.2):
    """Families whose top-1 rises with FLOPs, and by `effect` points with each doubling of parameters."""
    points = []
    for family in range(families):
        level, own = rng.standard_normal(), between * rng.standard_normal()
        for i, log in enumerate(np.sort(rng.uniform(-2, 4, each))):
            size = 0.8 * log + 3 + spread * rng.standard_normal()
            top1 = 75 + level + 2 * log - 0.2 * log**2 + (effect + own) * size + noise * rng.standard_normal()
            points.append(point(f"{family}-{i}", str(family), top1, 2.0**log, params_m=2.0**size))
    (found,) = planes(points)
    return found


@pytest.mark.parametrize(("families", "each", "between"), [(2, 14, 0.0), (30, 4, 0.5)])
def test_ninety_percent_intervals_of_an_effect_cover_ninety_percent(families, each, between):
    rng, held = np.random.default_rng(0), 0
    for _ in range(60):
        (found,) = effects(plane(rng, families, each, effect=0.7, between=between))
        held += found.difference.low <= 0.7 <= found.difference.high
    assert 47 <= held <= 60  # 46 or fewer of 60 at 90%: one in 500


@pytest.mark.parametrize("gflops", [1.0, 4.5])
def test_networks_of_one_cost_are_at_equal_flops(gflops):
    rng = np.random.default_rng(0)
    found = plane(rng, 2, 14, effect=0.7)
    sides = [
        point(p.name, p.family, p.top1 - 2 * np.log2(p.gflops) + 0.2 * np.log2(p.gflops) ** 2, gflops,
              params_m=p.params_m)
        for side in found.sides.values() for p in side.points
    ]  # fmt: skip
    (effect,) = effects(planes(sides)[0])
    assert effect.difference.low <= 0.7 <= effect.difference.high


def test_an_effect_is_said_with_its_interval_or_why_it_is_not_identified():
    rng = np.random.default_rng(1)
    (found,) = effects(plane(rng, 3, 12, effect=1.0))
    assert (found.networks, found.families, found.shape) == (36, 3, PARAMS)
    assert "At equal FLOPs, over 36 networks of 3 families, twice the parameters goes with +" in effect_words(
        found
    )
    (none,) = effects(plane(np.random.default_rng(1), 3, 12))
    assert "not distinguishable from none" in effect_words(none)
    (alike,) = effects(plane(rng, 3, 12, spread=0.0))
    assert effect_words(alike).endswith("not identified: it hardly varies at equal FLOPs.")
    (few,) = effects(plane(rng, 3, 3))
    assert few.difference is None and few.reason == "9 networks for 7 parameters"
    assert list(effects(plane(rng, 5, 1))) == []  # no family with two networks


def test_the_depth_of_regnets_hardly_grows_with_flops_and_tells_nothing_at_equal_flops():
    # Radosavovic et al. 2020, section 4: the depth of good models is stable across regimes
    regnets = next(p for p in planes(packaged_points()) if p.source == "pycls MODEL_ZOO")
    for side in regnets.sides.values():
        depth = dict(exponents(side))[DEPTH]
        assert 0 < depth.low < depth.value < 0.1 < depth.high < 0.2
    found = {effect.shape: effect for effect in effects(regnets)}
    assert found[DEPTH].networks == 24 and found[DEPTH].difference.low < 0 < found[DEPTH].difference.high


def test_an_exponent_that_scatters_or_has_no_range_is_not_identified():
    rng = np.random.default_rng(2)
    (side,) = plane(rng, 1, 12, spread=0.1).sides.values()
    assert dict(exponents(side))[PARAMS].value == pytest.approx(0.8, abs=0.1)
    (wild,) = plane(rng, 1, 5, spread=3.0).sides.values()
    assert isinstance(dict(exponents(wild))[PARAMS], NotIdentified)
    alike = dataclasses.replace(side, points=[dataclasses.replace(p, gflops=1.0) for p in side.points])
    assert str(dict(exponents(alike))[PARAMS]) == "not identified: its networks cost about the same"


def test_the_command_says_both(capsys):
    argv = ["--results", "--source", "pycls MODEL_ZOO", "--to", "64G"]
    assert scale.main(argv) == 0
    out = capsys.readouterr().out
    assert "regnetx with FLOPs^s: parameters s = 0.694" in out and "depth s = 0.0768" in out
    assert (
        "pycls MODEL_ZOO, imagenet-1k, 224 px: At equal FLOPs, over 24 networks of 2 families, twice the"
        in out
    )
    assert scale.main([*argv, "--json"]) == 0
    for found in json.loads(capsys.readouterr().out):
        assert set(found["exponents"]) == set(found["at_equal_flops"]) == {"params", "activations", "depth"}
