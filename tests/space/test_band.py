"""Counting and drawing in a band against full enumeration: three ways to count, one truth."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from space import band, binned_band
from space.band import BandSampler, EmptyBandError
from space.budget import Budget, parse_budget, quantity
from space.columns import Array
from space.cost import cost, cost_columns
from space.design_space import DesignSpace
from space.errors import InputError
from space.space_file import load_space, space_from
from tests.space.space_strategies import small_spaces

METRICS = ("macs", "params", "activations")
UNITS = {"macs": "FLOPs", "params": "params", "activations": "activations"}
WAYS = ("sorted", "listed", "binned")
SHARES = ((0.0, 1.0), (0.3, 0.5), (0.85, 1.0), (0.0, 0.02))
DRAWS = 20_000

BLOCK = {"depth": 1, "width": 8}
WRITTEN: dict[str, dict[str, Any]] = {
    "widths": {
        "base": {"stages": [BLOCK] * 3},
        "axes": {
            "width": {"choices": [8, 12, 24], "per_stage": True},
            "depth": {"integers": [1, 2], "per_stage": True},
            "norm": {"choices": ["layer", "batch", "rms"]},
        },
    },
    "bottleneck": {
        "base": {"block": {"style": "bottleneck", "spatial": "middle"}, "stages": [BLOCK] * 3},
        "axes": {
            "expansion": {"choices": [1, 2, 4], "per_stage": True},
            "width": {"choices": [8, 16], "per_stage": True},
            "downsampling": {"choices": ["strided", "separate"]},
        },
    },
    "styles": {
        "base": {"stages": [BLOCK] * 2, "downsampling": "strided"},
        "axes": {
            "style": {"choices": ["bottleneck", "inverted"], "per_stage": True},
            "width": {"choices": [8, 12], "per_stage": True},
            "expansion": {"choices": [2, 3], "per_stage": True},
            "kernel_size": {"choices": [3, 5]},
        },
    },
    "isotropic": {
        "base": {"stages": [BLOCK], "stem": {"norm": False, "patch_size": 16}},
        "axes": {
            "depth": {"integers": [1, 9]},
            "width": {"integers": [8, 32], "step": 4},
            "stem.patch_size": {"choices": [8, 14, 16]},
            "stem.width": {"choices": [4, 6]},
        },
    },
    "tied": {
        "base": {"stages": [BLOCK] * 5},
        "axes": {
            "width": {"choices": [8, 16], "per_stage": True},
            "depth": {"choices": [1, 3], "per_stage": ["a", "a", "b", "c", "c"]},
            "kernel_size": {"choices": [3, 7], "per_stage": ["a", "b", "b", "b", "b"]},
        },
    },
    "six": {
        "base": {"stages": [BLOCK] * 6},
        "axes": {
            "width": {"choices": [8, 16], "per_stage": True},
            "downsampling": {"choices": ["strided", "separate"]},
            "depth": {"choices": [1, 2], "per_stage": ["a", "b", "c", "c", "b", "a"]},
        },
    },
}  # fmt: skip
LARGE: dict[str, Any] = {
    "name": "large",
    "axes": {
        "depth": {"integers": [1, 8], "per_stage": True},
        "width": {"log_integers": [24, 1024], "count": 12, "multiple_of": 8, "per_stage": True},
        "kernel_size": {"choices": [3, 5, 7, 9], "per_stage": True},
        "expansion": {"choices": [2, 3, 4, 6], "per_stage": True},
        "activation": {"choices": ["gelu", "relu"]},
    },
}


def small(name: str) -> DesignSpace:
    return space_from(WRITTEN[name], f"space {name}") if name in WRITTEN else load_space(name)


SMALL = [*WRITTEN, "micro", "roadmap"]


class Enumerated:
    """All networks of a small space with their costs."""

    def __init__(self, space: DesignSpace) -> None:
        self.codes = np.array(list(space.all_codes()))
        total = cost_columns(space.columns(self.codes))
        self.costs = {m: np.broadcast_to(getattr(total, m), len(self.codes)) for m in METRICS}

    def inside(self, budget: Budget) -> set[tuple[int, ...]]:
        kept = (self.costs[budget.metric] >= budget.low) & (self.costs[budget.metric] <= budget.high)
        return set(map(tuple, self.codes[kept].tolist()))


def budget_of(metric: str, low: int, high: int) -> Budget:
    return Budget("test", metric, low, high)


def budget_at(enumerated: Enumerated, metric: str, shares: tuple[float, float]) -> Budget:
    """The band between two quantiles of the costs."""
    low, high = np.quantile(enumerated.costs[metric], shares, method="nearest")
    return budget_of(metric, int(low), int(high))


def sampler(space: DesignSpace, budget: Budget, way: str) -> BandSampler:
    return BandSampler(space, budget, max_sorted=band.MAX_SORTED if way == "sorted" else 0)


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How networks are counted; `binned` forbids listing the few networks of a small space."""
    if request.param == "binned":
        monkeypatch.setattr(binned_band, "MAX_LISTED", -1)
    return str(request.param)


def rows(codes: Array) -> list[tuple[int, ...]]:
    return list(map(tuple, codes.tolist()))


def uniformity(drawn: Array, expected: set[tuple[int, ...]]) -> float:
    """p of the chi-square test that draws are uniform over the expected codes, none outside."""
    index = {code: i for i, code in enumerate(sorted(expected))}
    assert set(rows(drawn)) <= set(index)
    counts = np.bincount([index[code] for code in rows(drawn)], minlength=len(index))
    return float(chisquare(counts).pvalue) if len(index) > 1 else 1.0


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("name", SMALL)
def test_count_and_listing_equal_enumeration(name: str, metric: str):
    space = small(name)
    enumerated = Enumerated(space)
    for how in ("sorted", "listed"):
        for shares in SHARES:
            budget = budget_at(enumerated, metric, shares)
            counted = sampler(space, budget, how)
            expected = enumerated.inside(budget)
            assert counted.count_is_exact
            assert counted.count_error == 0
            assert counted.count == len(expected)
            codes = rows(counted.all_codes())
            assert len(codes) == len(expected)
            assert set(codes) == expected


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_spaces(), st.sampled_from(METRICS), st.data())
def test_drawn_spaces_equal_enumeration(space: DesignSpace, metric: str, data: st.DataObject):
    enumerated = Enumerated(space)
    ends = sorted(data.draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
    budget = budget_at(enumerated, metric, (ends[0], ends[1]))
    expected = enumerated.inside(budget)
    for how in ("sorted", "listed"):
        counted = sampler(space, budget, how)
        assert counted.count == len(expected)
        assert sorted(rows(counted.all_codes())) == sorted(expected)
        assert set(rows(counted.sample_codes(50, np.random.default_rng(0)))) <= expected


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(small_spaces(max_stages=6, most=1500), st.sampled_from(METRICS), st.data())
def test_restrictions_equal_enumeration(space: DesignSpace, metric: str, data: st.DataObject):
    enumerated = Enumerated(space)
    budget = budget_at(enumerated, metric, (0.2, 0.9))
    allowed = {
        f: data.draw(st.lists(st.integers(0, len(factor) - 1), min_size=1, unique=True))
        for f, factor in enumerate(space.factors)
        if data.draw(st.booleans())
    }
    expected = {
        code for code in enumerated.inside(budget) if all(code[f] in kept for f, kept in allowed.items())
    }
    for how in ("sorted", "listed"):
        counted = sampler(space, budget, how)
        assert counted.count_allowed(allowed) == len(expected)
        rng = np.random.default_rng(1)
        if expected:
            assert set(rows(counted.sample_codes(40, rng, allowed))) <= expected
        else:
            with pytest.raises(EmptyBandError):
                counted.sample_codes(1, rng, allowed)


@pytest.mark.parametrize(
    ("name", "metric", "shares"),
    [
        ("micro", "macs", (0.6, 0.7)),
        ("roadmap", "params", (0.2, 0.25)),
        ("widths", "params", (0.3, 0.4)),
        ("bottleneck", "macs", (0.4, 0.8)),
        ("styles", "activations", (0.2, 0.9)),
        ("isotropic", "macs", (0.1, 0.9)),
        ("tied", "params", (0.5, 0.9)),
        ("six", "macs", (0.3, 0.6)),
    ],
)
def test_draws_are_uniform(way: str, name: str, metric: str, shares: tuple[float, float]):
    space = small(name)
    enumerated = Enumerated(space)
    budget = budget_at(enumerated, metric, shares)
    counted = sampler(space, budget, way)
    assert counted.count_is_exact == (way != "binned")
    drawn = counted.sample_codes(DRAWS, np.random.default_rng(7), {})
    assert len(drawn) == DRAWS
    assert uniformity(drawn, enumerated.inside(budget)) > 1e-3


@pytest.mark.parametrize("block_counts", [binned_band.MAX_BLOCK_COUNTS, 0])
def test_wide_bins_still_draw_uniformly(block_counts: int, monkeypatch: pytest.MonkeyPatch):
    """With two bins in the band most draws are thrown away; what is kept stays uniform.

    So it does where memory allows one block of options only.
    """
    monkeypatch.setattr(binned_band, "MAX_BLOCK_COUNTS", block_counts)
    monkeypatch.setattr(binned_band, "MAX_LISTED", -1)
    monkeypatch.setattr(binned_band, "BINS_IN_BAND", 2)
    space = small("widths")
    enumerated = Enumerated(space)
    budget = budget_at(enumerated, "macs", (0.4, 0.5))
    counted = sampler(space, budget, "binned")
    expected = enumerated.inside(budget)
    assert 0 < counted.count_error < 0.1
    assert abs(counted.count / len(expected) - 1) < 4 * counted.count_error
    assert uniformity(counted.sample_codes(DRAWS, np.random.default_rng(3)), expected) > 1e-3


def test_restricted_draws_are_uniform(way: str):
    space = small("micro")
    enumerated = Enumerated(space)
    budget = budget_at(enumerated, "macs", (0.3, 0.8))
    allowed = {0: [0, 2], 3: [1, 2], 7: [1]}
    expected = {c for c in enumerated.inside(budget) if all(c[f] in kept for f, kept in allowed.items())}
    drawn = sampler(space, budget, way).sample_codes(DRAWS, np.random.default_rng(5), allowed)
    assert uniformity(drawn, expected) > 1e-3


def test_one_network_and_one_cost(way: str):
    space = small("micro")
    enumerated = Enumerated(space)
    smallest = int(enumerated.costs["params"].min())
    counted = sampler(space, budget_of("params", smallest, smallest), way)
    expected = enumerated.inside(counted.budget)
    assert set(rows(counted.sample_codes(300, np.random.default_rng(0)))) <= expected
    assert counted.count == len(expected)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("metric", METRICS)
def test_an_empty_band_names_the_nearest_costs(name: str, metric: str):
    space = small(name)
    costs = np.unique(Enumerated(space).costs[metric])
    gap = int(np.argmax(np.diff(costs)))
    below, above = int(costs[gap]), int(costs[gap + 1])
    counted = BandSampler(space, budget_of(metric, below + 1, above - 1))
    assert counted.count == 0
    with pytest.raises(EmptyBandError) as caught:
        counted.sample(1)
    message = str(caught.value)
    assert "\n" not in message
    assert re.findall(r"the nearest (?:below|above) is (.*?)(?: and|$)", message) == [
        quantity(below, UNITS[metric]),
        quantity(above, UNITS[metric]),
    ]
    with pytest.raises(EmptyBandError):
        counted.sample_codes(1, np.random.default_rng(0), {0: [0]})


@pytest.mark.parametrize("how", ["sorted", "listed"])
def test_a_band_beyond_all_networks_names_the_last(how: str):
    space = small("micro")
    costs = Enumerated(space).costs["macs"]
    least, greatest = int(costs.min()), int(costs.max())
    low = sampler(space, budget_of("macs", 1, least - 1), how)
    assert low.count == 0
    assert low.why_empty().endswith(f"; the nearest above is {quantity(least, 'FLOPs')}")
    for far in (greatest + 1, 10**30):  # no integer of 64 bits holds the second
        high = sampler(space, budget_of("macs", far, 10 * far), how)
        assert high.count == 0
        assert high.why_empty().endswith(f"; the nearest below is {quantity(greatest, 'FLOPs')}")
    assert sampler(space, budget_of("macs", 1, 10**30), how).count == space.size


@pytest.mark.parametrize("text", ["600MFLOPs", "4.5G", "15G", "28Mparams", "13Mactivations", "2G..2.001G"])
def test_samples_of_the_convnext_space_are_in_the_band(text: str):
    counted = BandSampler(load_space("convnext"), parse_budget(text))
    for architecture in counted.sample(40, seed=3):
        assert counted.budget.allows(getattr(cost(architecture), counted.budget.metric))
        assert architecture in counted.space
    codes = counted.sample_codes(20_000, np.random.default_rng(0))
    costs = getattr(cost_columns(counted.space.columns(codes)), counted.budget.metric)
    assert counted.budget.low <= costs.min()
    assert costs.max() <= counted.budget.high


def test_other_resolutions_and_classes_count_their_own_costs():
    space = small("widths")
    codes = np.array(list(space.all_codes()))
    macs = cost_columns(space.columns(codes), 64, 10).macs
    low, high = (int(v) for v in np.quantile(macs, (0.3, 0.6)))
    counted = BandSampler(space, budget_of("macs", low, high), resolution=64, num_classes=10)
    assert counted.count == int(np.sum((macs >= low) & (macs <= high)))


def test_draws_follow_from_the_seed(way: str):
    space = small("micro")
    counted = sampler(space, budget_at(Enumerated(space), "macs", (0.2, 0.6)), way)
    first, again, other = (counted.sample(20, seed=seed) for seed in (4, 4, 5))
    assert first == again
    assert first != other
    assert len(counted.sample_codes(0, np.random.default_rng(0))) == 0


@pytest.fixture(scope="module")
def large() -> BandSampler:
    return BandSampler(space_from(LARGE, "space large"), parse_budget("4.5GFLOPs"))


def test_a_large_space_is_counted_by_bins(large: BandSampler):
    """Against blind draws: their share in the band, with both standard errors."""
    assert not large.count_is_exact
    assert 0 < large.count_error < 0.01
    space, budget = large.space, large.budget
    drawn = space.sample_codes(400_000, np.random.default_rng(0))
    macs = cost_columns(space.columns(drawn)).macs
    inside = int(np.sum((macs >= budget.low) & (macs <= budget.high)))
    share, expected = inside / len(macs), large.count / space.size
    assert abs(share / expected - 1) < 4 * np.hypot(1 / np.sqrt(inside), large.count_error)


def test_a_large_space_draws_as_blind_rejection_does(large: BandSampler):
    """Each factor's outcomes come as often as among uniform draws that happen to lie in the band."""
    space, budget = large.space, large.budget
    blind = space.sample_codes(600_000, np.random.default_rng(1))
    macs = cost_columns(space.columns(blind)).macs
    kept = blind[(macs >= budget.low) & (macs <= budget.high)]
    drawn = large.sample_codes(2000, np.random.default_rng(2))
    drawn_macs = cost_columns(space.columns(drawn)).macs
    assert budget.low <= drawn_macs.min()
    assert drawn_macs.max() <= budget.high
    ps = []
    for f, factor in enumerate(space.factors):
        sizes = [np.bincount(codes[:, f], minlength=len(factor)) for codes in (drawn, kept)]
        seen = (sizes[0] + sizes[1]) > 0
        table = np.array(sizes)[:, seen]
        expected = table.sum(axis=0) * table.sum(axis=1, keepdims=True) / table.sum()
        enough = expected.min(axis=0) > 5
        ps.append(float(chisquare(table[:, enough].ravel(), expected[:, enough].ravel(),
                                  ddof=int(enough.sum()), sum_check=False).pvalue))  # fmt: skip
    assert min(ps) > 1e-3 / len(ps)


def test_a_large_space_with_restrictions(large: BandSampler):
    space, budget = large.space, large.budget
    one = large.sample_codes(1, np.random.default_rng(4))[0]
    free = range(6)
    allowed = {f: [int(one[f])] for f in range(len(space.factors)) if f not in free}
    grid = np.indices([len(space.factors[f]) for f in free]).reshape(len(free), -1).T
    codes = np.repeat(one[None], len(grid), axis=0)
    codes[:, list(free)] = grid
    macs = cost_columns(space.columns(codes)).macs
    assert large.count_allowed(allowed) == int(np.sum((macs >= budget.low) & (macs <= budget.high))) > 0
    within = {0: [2, 3], 4: [3, 4, 5], 8: [0]}
    codes = large.sample_codes(30, np.random.default_rng(0), within)
    for f, kept in within.items():
        assert set(codes[:, f].tolist()) <= set(kept)
    macs = cost_columns(large.space.columns(codes)).macs
    assert large.budget.low <= macs.min() <= macs.max() <= large.budget.high
    with pytest.raises(InputError, match="too many to list"):
        large.all_codes()


def test_too_many_shared_choices_are_refused_in_one_line():
    axes = {"width": {"integers": [8, 512]}, "kernel_size": {"integers": [1, 63], "step": 2}}
    axes |= {"depth": {"integers": [1, 300]}, "expansion": {"integers": [1, 9]}}
    space = space_from({"name": "shared", "axes": axes}, "space shared")
    with pytest.raises(InputError, match=r"space shared: .* partial networks to count") as caught:
        BandSampler(space, parse_budget("4.5G"))
    assert "\n" not in str(caught.value)


def test_too_small_a_resolution_is_refused_with_its_place():
    with pytest.raises(InputError, match="space micro at resolution 4: ") as caught:
        BandSampler(load_space("micro"), parse_budget("20M"), resolution=4)
    assert "\n" not in str(caught.value)
