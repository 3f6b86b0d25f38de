"""Limits beside the budget: read as written, kept by every draw, and refused where nothing meets them."""

import json
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas.samplers.feasible import ExhaustedError, Feasible
from nas.samplers.limits import Limits, TooSlowError, parse_latency, parse_most
from nas.samplers.proposer import PATIENCE, Proposer
from nas.training.result import TrialFailed
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost, cost_columns
from space.errors import InputError
from space.space_file import load_space


@cache
def band_of(space="convnext", budget="4.5GFLOPs"):
    return BandSampler(load_space(space), parse_budget(budget))


def seconds_of(network):
    """A made-up latency: large kernels are slow."""
    return 1e-3 * sum(stage.kernel_size for stage in network.stages)


# reading


@pytest.mark.parametrize("text", ["30M", "30Mparams", " 30 M ", "30000000", "3e7", "0.03G", "30MPARAMS"])
def test_a_most_is_read_as_a_budget_is(text):
    assert parse_most(text, "params") == 30_000_000


@given(st.integers(1, 10**12))
def test_every_whole_number_is_read_as_itself(number):
    assert parse_most(str(number), "params") == number
    assert parse_most(f"{number}activations", "activations") == number


@pytest.mark.parametrize(
    "text", ["", "many", "-3M", "0", "30MFLOPs", "13Mactivations", "1M..2M", "30%", "nan", "inf"]
)
def test_what_is_no_number_of_parameters_is_refused_in_a_line(text):
    with pytest.raises(
        InputError, match=r"max-params: .* is no number of params; write it like 30M"
    ) as error:
        parse_most(text, "params")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("5ms", 5e-3), ("0.005s", 5e-3), ("500us", 5e-4), ("1.5 MS", 1.5e-3), (".2s", 0.2)]
)
def test_a_latency_is_read_in_seconds(text, seconds):
    assert parse_latency(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "ms", "-5ms", "0ms", "5 minutes", "5ms..6ms", "nanms"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InputError, match=r"max-latency: .* is no time; write it like 5ms"):
        parse_latency(text)


# closed forms


def test_limits_allow_costs_up_to_and_with_themselves():
    network = band_of().sample(1)[0]
    spent = cost(network)
    assert Limits().allow(spent)
    assert Limits(spent.params, spent.activations).allow(spent)
    assert not Limits(spent.params - 1, spent.activations).allow(spent)
    assert not Limits(spent.params, spent.activations - 1).allow(spent)


@pytest.mark.parametrize("front", [False, True])
def test_a_limit_that_few_networks_meet_is_met_by_every_one(front):
    band = band_of("micro", "10M..60M")
    costs = cost_columns(band.space.columns(band.all_codes()))
    least = int(np.sort(costs.params)[30])
    limits = Limits(max_params=least)
    few = int((costs.params <= least).sum())
    assert few < 0.1 * band.count
    proposer = Proposer(band, "evolution", 0, 3, front=front, limits=limits)
    found = []
    while (proposal := proposer.next(len(found))) is not None:
        proposer.started(len(found), proposal.architecture)
        proposer.reported(len(found), [0.1 * len(found)])
        found.append(proposal.architecture)
    assert len({network.fingerprint for network in found}) == len(found) == few
    assert all(cost(network).params <= least for network in found)


def test_a_rare_network_of_a_large_band_is_found():
    band = band_of()
    costs = cost_columns(band.space.columns(band.sample_codes(100_000, np.random.default_rng(5))))
    limits = Limits(max_params=int(np.sort(costs.params)[20]))  # one in 5,000
    rng = np.random.default_rng(0)
    feasible = Feasible(band, set(), limits)
    for code in (feasible.draw(rng), feasible.towards(band.sample_codes(1, rng)[0], rng)):
        assert len(feasible.only(code[None])) == 1
        assert limits.allow(cost_columns(band.space.columns(code[None])))[0]


def test_limits_that_nothing_meets_are_refused_with_the_smallest_seen():
    band = band_of("micro", "20M..30M")
    least = int(cost_columns(band.space.columns(band.all_codes())).params.min())
    with pytest.raises(InputError, match=r"--max-params 100 params \(the smallest seen: .* k?\)") as error:
        Proposer(band, "random", 0, 5, limits=Limits(max_params=100))
    assert f"{least / 1000:.2f} k" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(InputError, match="--max-activations 1 activations"):
        Proposer(band_of(), "random", 0, 5, limits=Limits(max_activations=1))


def test_strata_without_a_network_within_the_limits_are_passed_over():
    band = band_of("micro", "10M..60M")
    costs = cost_columns(band.space.columns(band.all_codes()))
    limits = Limits(max_activations=int(costs.activations[costs.macs < 20_000_000].max()))
    proposer = Proposer(band, "random", 0, 5, front=True, limits=limits)
    for number in range(20):
        network = proposer.next(number).architecture
        proposer.started(number, network)
        assert limits.allow(cost(network))


# latency


def searched(band, limits, trials, sampler="random", proposer=None):
    """Networks and memos of a search that is told nothing but 0.5."""
    proposer = proposer or Proposer(band, sampler, 0, 3, limits=limits)
    found = []
    for number in range(trials):
        proposal = proposer.next(number)
        if proposal is None:
            break
        found.append((proposal.architecture, json.loads(json.dumps(proposal.memo))))
        proposer.started(number, *found[-1])
        proposer.reported(number, [seconds_of(proposal.architecture)])
    return proposer, found


@pytest.mark.parametrize("sampler", ["random", "tpe", "nsga2", "evolution", "surrogate"])
def test_only_fast_networks_are_proposed_and_slow_ones_are_measured_once(sampler):
    measured = []

    def latency(network):
        measured.append(network.fingerprint)
        return seconds_of(network)

    limits = Limits(max_latency=0.022, latency=latency)
    _, found = searched(band_of(), limits, 14, sampler)
    assert all(seconds_of(network) <= 0.022 for network, _ in found)
    assert len(set(measured)) == len(measured) > len(found)
    assert sum(len(memo.get("slow", ())) for _, memo in found) == len(measured) - len(found)


@pytest.mark.parametrize("sampler", ["random", "evolution", "surrogate"])
def test_a_search_that_is_read_again_remembers_what_was_too_slow(sampler):
    limits = Limits(max_latency=0.022, latency=seconds_of)
    whole = searched(band_of(), limits, 10, sampler)[1]
    again = Proposer(band_of(), sampler, 0, 3, limits=limits)
    for number, (network, memo) in enumerate(whole[:9]):
        again.started(number, network, memo)
        again.reported(number, [seconds_of(network)])
    last = again.next(9)
    assert (last.architecture, last.memo) == whole[9]


def test_a_network_that_cannot_be_run_is_too_slow():
    def latency(network):
        if network.norm == "layer":
            raise TrialFailed("out of memory")
        return 1e-3

    _, found = searched(band_of(), Limits(max_latency=5e-3, latency=latency), 10)
    assert len(found) == 10 and all(network.norm != "layer" for network, _ in found)


def test_a_limit_that_no_network_meets_is_refused_with_the_fastest():
    proposer = Proposer(band_of(), "random", 0, 3, limits=Limits(max_latency=1e-3, latency=seconds_of))
    with pytest.raises(InputError) as error:
        proposer.next(0)
    assert str(error.value).startswith("--max-latency: no network is within 1 ms (the fastest took ")
    assert str(PATIENCE) in str(error.value)


def test_a_small_band_of_slow_networks_is_refused_too():
    band = band_of("micro", "20M..20.5M")
    proposer = Proposer(band, "random", 0, 3, limits=Limits(max_latency=1e-3, latency=seconds_of))
    with pytest.raises(InputError, match="no network is within 1 ms"):
        proposer.next(0)


def test_a_search_whose_fast_networks_are_used_up_ends_with_the_reason():
    fast = band_of().sample(1)[0]

    def latency(network):
        return 1e-3 if network.fingerprint == fast.fingerprint else 9e-3

    limits = Limits(max_latency=5e-3, latency=latency)
    proposer = Proposer(band_of(), "random", 0, 3, limits=limits)
    proposer.started(0, fast)
    with pytest.raises(
        TooSlowError, match=r"200 networks in a row were slower than 5 ms \(the fastest took 9"
    ):
        proposer.next(1)


def test_a_small_band_with_fast_networks_is_used_up():
    band = band_of("micro", "20M..20.5M")
    fast = sum(seconds_of(band.space.build(code)) <= 8e-3 for code in band.all_codes())
    assert 0 < fast < band.count
    _, found = searched(band, Limits(max_latency=8e-3, latency=seconds_of), band.count)
    assert len(found) == fast


def test_a_limit_of_latency_needs_a_measurement():
    with pytest.raises(ValueError, match="needs a way to measure"):
        Proposer(band_of(), "random", 0, 3, limits=Limits(max_latency=1e-3))


def test_everything_tried_is_told_apart_from_nothing_allowed():
    band = band_of("micro", "20M..20.5M")
    everything = {tuple(code) for code in band.all_codes().tolist()}
    with pytest.raises(ExhaustedError):
        Feasible(band, everything).draw(np.random.default_rng(0))
