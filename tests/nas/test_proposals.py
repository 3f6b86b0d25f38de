"""Optuna's proposals: always in the band, never seen before, the same for the same seed."""

import warnings

import numpy as np
import optuna
import pytest

from nas.proposals import Proposer, code_of, distributions, params_of
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


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_every_proposal_is_in_the_band_and_new(sampler):
    band = BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _, _, networks = study_of(band, sampler, startup=4, trials=14, value=likes_wide_kernels)
    assert len({network.fingerprint for network in networks}) == 14
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


def test_the_same_seed_proposes_the_same_networks_also_after_a_restart():
    band = BandSampler(load_space("convnext"), parse_budget("1GFLOPs"))
    _, _, whole = study_of(band, trials=12, value=likes_wide_kernels)
    study, _, first = study_of(band, trials=7, value=likes_wide_kernels)
    proposer = Proposer(study, band, "tpe", 0, 5)
    for _ in range(5):
        proposal = proposer.next()
        first.append(proposal.architecture)
        proposal.trial.set_user_attr("architecture", proposal.architecture.to_dict())
        study.tell(proposal.trial, likes_wide_kernels(proposal.architecture))
    assert first == whole
    _, _, other = study_of(band, seed=1, trials=12, value=likes_wide_kernels)
    assert other != whole


def test_a_band_is_proposed_to_its_last_network_and_then_ends():
    band = BandSampler(load_space("micro"), parse_budget("20M..20.5M"))
    assert 5 <= band.count <= 60
    _, proposer, networks = study_of(band, trials=band.count, value=likes_wide_kernels)
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
    with pytest.raises(InputError, match="'cmaes' is none of tpe, gp, random"):
        Proposer(optuna.create_study(), band, "cmaes", 0, 5)
