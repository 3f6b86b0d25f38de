"""Optuna's proposals: always in the band, never seen before, the same for the same seed."""

import warnings

import numpy as np
import optuna
import pytest

from nas.engines.local import Job
from nas.proposals import SAMPLERS, Proposer, code_of, distributions, params_of
from nas.samplers.encoding import Encoder
from nas.samplers.evolution import evolve
from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from nas.simulated import LAWS, SimulatedEngine, traits_of_codes
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.design_space import load_space
from space.errors import InputError
from space.families import named

optuna.logging.set_verbosity(optuna.logging.WARNING)


def study_of(band, sampler="tpe", seed=0, startup=5, trials=0, value=None):
    """A study with `trials` results of a made-up law, and its proposer."""
    study = optuna.create_study(direction="maximize")
    proposer = Proposer(study, band, sampler, seed, startup)
    networks = []
    for _ in range(trials):
        proposal = proposer.next()
        networks.append(proposal.architecture)
        proposal.trial.set_user_attr("architecture", proposal.architecture.to_dict())
        study.tell(proposal.trial, value(proposal.architecture))
    return study, proposer, networks


def likes_wide_kernels(network):
    return float(sum(stage.kernel_size for stage in network.stages)) + 10 * (network.norm == "rms")


@pytest.mark.parametrize("space", ["convnext", "roadmap", "micro"])
def test_parameters_and_codes_are_the_same_thing(space):
    space = load_space(space)
    known = distributions(space)
    for code in space.sample_codes(100, np.random.default_rng(0)):
        params = params_of(space, code)
        assert (code_of(space, params) == code).all()
        for name, value in params.items():
            assert known[name]._contains(known[name].to_internal_repr(value))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_proposal_is_in_the_band_and_new(sampler):
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, _, networks = study_of(band, sampler, startup=4, trials=10, value=likes_wide_kernels)
    assert len({network.fingerprint for network in networks}) == 10
    for network in networks:
        assert band.budget.allows(cost(network).macs) and network in band.space


def test_tpe_learns_inside_the_band():
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    late = {}
    for sampler in ("random", "tpe"):
        scores = []
        for seed in range(3):
            _, _, networks = study_of(band, sampler, seed, startup=10, trials=50, value=likes_wide_kernels)
            scores += [likes_wide_kernels(network) for network in networks[30:]]
        late[sampler] = np.mean(scores)
    assert late["tpe"] > late["random"] + 5


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_seed_proposes_the_same_networks_also_after_a_restart(sampler):
    band = BandSampler(load_space("convnext"), parse_budget("1GFLOPs"))
    _, _, whole = study_of(band, sampler, startup=4, trials=8, value=likes_wide_kernels)
    study, _, first = study_of(band, sampler, startup=4, trials=5, value=likes_wide_kernels)
    proposer = Proposer(study, band, sampler, 0, 4)
    for _ in range(3):
        proposal = proposer.next()
        first.append(proposal.architecture)
        proposal.trial.set_user_attr("architecture", proposal.architecture.to_dict())
        study.tell(proposal.trial, likes_wide_kernels(proposal.architecture))
    assert first == whole
    _, _, other = study_of(band, sampler, seed=1, startup=4, trials=5, value=likes_wide_kernels)
    assert other != whole[:5]


@pytest.mark.parametrize("sampler", ["random", "tpe", "evolution", "surrogate"])
def test_a_band_is_proposed_to_its_last_network_and_then_ends(sampler):
    band = BandSampler(load_space("micro"), parse_budget("20M..20.5M"))
    assert 5 <= band.count <= 60
    _, proposer, networks = study_of(band, sampler, trials=band.count, value=likes_wide_kernels)
    assert all(band.budget.allows(cost(network).macs) for network in networks)
    assert len({network.fingerprint for network in networks}) == band.count
    assert proposer.next() is None


def test_the_reference_goes_first_even_from_outside_the_space():
    band = BandSampler(load_space("micro"), parse_budget("20M..40M"))
    study, proposer, _ = study_of(band)
    proposer.enqueue_reference("ResNet-50", named("resnet50"))
    proposal = proposer.next()
    assert (proposal.role, proposal.name, proposal.architecture) == (
        "reference",
        "ResNet-50",
        named("resnet50"),
    )
    assert proposal.trial.params == {}
    study.tell(proposal.trial, 1.0)
    assert proposer.next().role == "candidate"


def test_a_reference_in_the_space_is_never_proposed_again():
    space = load_space("micro")
    band = BandSampler(space, parse_budget("20M..20.5M"))
    network = band.sample(1)[0]
    study, proposer, _ = study_of(band)
    proposer.enqueue_reference("known", network)
    seen = []
    while (proposal := proposer.next()) is not None:
        seen.append(proposal.architecture)
        study.tell(proposal.trial, 1.0)
    assert len(seen) == band.count and seen.count(network) == 1


def test_an_unknown_sampler_is_refused():
    band = BandSampler(load_space("micro"), parse_budget("20M..40M"))
    with pytest.raises(InputError, match="'cmaes' is none of tpe, gp, random, evolution, surrogate"):
        Proposer(optuna.create_study(), band, "cmaes", 0, 5)


def late_accuracies(band, sampler, law, seed, trials):
    """True accuracies of the later half of a search's proposals."""
    study = optuna.create_study(direction="maximize")
    proposer, engine = Proposer(study, band, sampler, seed, 8), SimulatedEngine(law)
    found = []
    for _ in range(trials):
        proposal = proposer.next()
        result = engine.train(Job(proposal.architecture, seed), lambda _: None)
        study.tell(proposal.trial, result.accuracy)
        found.append(law.of(proposal.architecture))
    return found[trials // 2 :]


# the incumbent of a single search is too much a matter of luck to tell samplers apart in seconds
@pytest.mark.parametrize("law", ["separable", "interacting"])
@pytest.mark.parametrize(("sampler", "trials"), [("evolution", 40), ("surrogate", 24)])
def test_samplers_propose_better_networks_than_random_draws(sampler, trials, law):
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    law = LAWS[law]
    drawn = law.accuracy(traits_of_codes(band.space, band.sample_codes(5000, np.random.default_rng(0))))
    proposed = np.concatenate([late_accuracies(band, sampler, law, seed, trials) for seed in range(2)])
    assert proposed.mean() > drawn.mean() + 0.5 * drawn.std()


def test_equal_results_leave_the_surrogate_without_a_preference_but_not_without_a_proposal():
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study_of(band, "surrogate", startup=2, trials=4, value=lambda network: 0.5)


@pytest.mark.parametrize("space", ["convnext", "roadmap", "micro"])
def test_many_codes_are_encoded_as_one_is(space):
    space = load_space(space)
    codes = space.sample_codes(40, np.random.default_rng(0))
    encoder = Encoder(space)
    assert (encoder.encode(codes) == [space.encode(space.build(code)) for code in codes]).all()
    assert encoder.closed_form(codes).shape == (40, 3 + 2 * len(space.base.stages))


def test_a_wish_in_the_band_is_granted_and_one_outside_loses_as_little_as_it_must():
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    rng = np.random.default_rng(0)
    feasible = Feasible(band, set())
    for code in band.sample_codes(10, rng):
        assert (feasible.towards(code, rng) == code).all()
    for wish in band.space.sample_codes(10, rng):
        granted = feasible.towards(wish, rng)
        assert len(feasible.only(granted[None])) == 1
        # norm and activation cost nothing, so nothing stands in their way
        assert (granted[-2:] == wish[-2:]).all()


def test_a_child_is_a_step_from_a_parent_that_is_alive():
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    rng = np.random.default_rng(0)
    codes = band.sample_codes(30, rng)
    best_is_dead = np.array([1.0] + [0.0] * 28 + [0.5])
    steps = {tuple(step) for step in band.space.neighbour_codes(codes[-1])}
    inside = 0
    for _ in range(40):
        child = evolve(History(codes, best_is_dead), Feasible(band, set()), rng)
        assert (child != codes[0]).sum() > 1
        inside += tuple(child) in steps
    assert inside > 8


@pytest.mark.parametrize("sampler", ["evolution", "surrogate"])
def test_failed_trainings_do_not_stop_a_search(sampler):
    band = BandSampler(load_space("convnext"), parse_budget("1GFLOPs"))
    study = optuna.create_study(direction="maximize")
    proposer = Proposer(study, band, sampler, 0, 2)
    for i in range(10):
        trial = proposer.next().trial
        failed = i < 2 or i == 5
        state = optuna.trial.TrialState.FAIL if failed else optuna.trial.TrialState.COMPLETE
        study.tell(trial, None if failed else i / 10, state=state)
    assert len(study.trials) == 10
