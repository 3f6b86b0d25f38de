"""The simulated trainer: the same results for the same network and seed, and noise of the stated size."""

import subprocess
import sys

import numpy as np
import pytest

from nas.engines.local import Job
from nas.simulated import (
    CHANCE,
    LAWS,
    NOISE,
    TOP,
    SimulatedEngine,
    best_in_band,
    traits_of,
    traits_of_codes,
)
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.design_space import load_space
from space.families import named


@pytest.fixture(scope="module")
def band():
    return BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))


def test_it_needs_no_torch():
    code = "import sys, nas.simulated; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_same_training_gives_the_same_result(law):
    network = named("convnext_tiny")
    points = []
    first = SimulatedEngine(law).train(Job(network, 3), points.append)
    assert first == SimulatedEngine(law).train(Job(network, 3), lambda _: None)
    assert first != SimulatedEngine(law).train(Job(network, 4), lambda _: None)
    assert first.epochs == len(points) == len(first.curve) == 9
    assert first.accuracy == points[-1].val_accuracy


def test_a_stopped_training_is_a_part_of_the_whole():
    engine, job = SimulatedEngine(LAWS["rugged"]), Job(named("convnext_tiny"), 0)
    points = []
    stopped = engine.train(job, points.append, lambda: len(points) == 4)
    assert stopped.epochs == 4
    assert stopped.curve == engine.train(job, lambda _: None).curve[:4]


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_codes_and_architectures_are_judged_alike(law, band):
    codes = band.sample_codes(50, np.random.default_rng(0))
    by_code = law.accuracy(traits_of_codes(band.space, codes))
    networks = [band.space.build(code) for code in codes]
    np.testing.assert_allclose(by_code, [law.of(network) for network in networks], rtol=1e-12)
    assert ((by_code > CHANCE) & (by_code <= TOP)).all()
    assert by_code.std() > NOISE, "no search could see a difference"


def test_seeds_deviate_as_stated():
    law, network = LAWS["separable"], named("convnext_tiny")
    engine = SimulatedEngine(law)
    curves = np.array([engine.curve(network, seed) for seed in range(2000)])
    deviations = curves - engine.expected_curve(network)
    np.testing.assert_allclose(deviations.std(axis=0), NOISE, rtol=0.06)
    np.testing.assert_allclose(deviations.mean(axis=0), 0, atol=4 * NOISE / np.sqrt(2000))
    assert engine.expected_curve(network)[-1] == pytest.approx(law.of(network))


@pytest.mark.parametrize("name", ["interacting", "rugged", "published"])
def test_curves_cross_where_the_law_says_so(name, band):
    engine = SimulatedEngine(LAWS[name])
    curves = np.array([engine.expected_curve(network) for network in band.sample(40)])
    order = np.sign(curves[:, None] - curves[None])
    assert (order[:, :, 0] * order[:, :, -1] < 0).mean() > 0.05


def test_the_rest_of_the_laws_never_cross(band):
    engine = SimulatedEngine(LAWS["separable"])
    curves = np.array([engine.expected_curve(network) for network in band.sample(40)])
    assert (np.argsort(curves[:, 0]) == np.argsort(curves[:, -1])).all()


def test_the_best_of_a_listed_band_is_the_best():
    band = BandSampler(load_space("micro"), parse_budget("20M..40M"))
    for law in LAWS.values():
        best, code = best_in_band(law, band)
        assert best == law.accuracy(traits_of_codes(band.space, band.all_codes())).max()
        assert law.of(band.space.build(code)) == pytest.approx(best)
        # from a small pool, the local search climbs to nearly the same
        assert best_in_band(law, band, pool=60)[0] > best - 0.01


def test_the_best_of_a_large_band_is_better_than_many_draws(band):
    codes = band.sample_codes(20_000, np.random.default_rng(9))
    for law in LAWS.values():
        best, code = best_in_band(law, band, pool=20_000)
        assert best > law.accuracy(traits_of_codes(band.space, codes)).max()
        assert band.budget.allows(cost(band.space.build(code)).macs)


def test_the_published_network_is_near_the_best_of_its_law(band):
    law = LAWS["published"]
    assert law.of(named("convnext_tiny")) > best_in_band(law, band, pool=20_000)[0] - 0.03


def test_hashed_numbers_are_standard_normal(band):
    codes = np.unique(band.sample_codes(20_000, np.random.default_rng(1)), axis=0)
    traits = traits_of_codes(band.space, codes)
    drawn = traits.hashed("any", *traits.kernel_size.T, *traits.width.T, *traits.depth.T, *traits.expansion.T)
    drawn = np.unique(drawn)
    assert abs(drawn.mean()) < 0.05
    assert abs(drawn.std() - 1) < 0.05


def test_traits_read_the_activation():
    traits = traits_of([named("convnext_tiny"), named("resnet50")])
    assert traits.activation.tolist() == [1, 0]
    assert traits.expansion[:, 0].tolist() == [4, 4]
