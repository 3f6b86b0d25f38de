"""The simulated trainer: the same results for the same network and seed, and noise of the stated size."""

import json
import pickle
import subprocess
import sys
import time

import numpy as np
import pytest

from nas.engines.job import Job
from nas.proxy.simulated import (
    CHANCE,
    LAWS,
    NOISE,
    TOP,
    SimulatedTrainer,
    traits_of,
)
from nas.training.result import TrialFailed
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.families import named
from space.space_file import load_space
from tests.nas.proxy.in_band import best_in_band, traits_of_codes


@pytest.fixture(scope="module")
def band():
    return BandSampler(load_space("convnext"), parse_budget("4.5GFLOPs"))


def test_it_needs_no_torch():
    code = "import sys, nas.proxy.simulated; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def job(seed=0, epochs=9, network="convnext_tiny", checkpoint=None):
    return Job(0, named(network), seed, epochs, checkpoint)


def finished(trainer, job):
    """The job done to its end."""
    training = trainer.start(job)
    while len(training.curve) < job.epochs:
        assert training.epoch() == training.curve[-1]
    return training.result()


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_the_same_training_gives_the_same_result(law):
    first = finished(SimulatedTrainer(law), job(3))
    assert first == finished(SimulatedTrainer(law), job(3))
    assert first == finished(pickle.loads(pickle.dumps(SimulatedTrainer(law))), job(3))
    assert first != finished(SimulatedTrainer(law), job(4))
    assert first.epochs == len(first.curve) == 9
    assert first.accuracy == first.curve[-1]["val_accuracy"]


def test_a_short_training_is_a_part_of_the_whole():
    trainer = SimulatedTrainer(LAWS["rugged"])
    short = finished(trainer, job(epochs=4))
    assert short.epochs == 4
    assert short.curve == finished(trainer, job()).curve[:4]


def test_a_training_goes_on_from_its_checkpoint(tmp_path):
    trainer, kept = SimulatedTrainer(LAWS["rugged"]), tmp_path / "kept.json"
    undisturbed = finished(trainer, job())
    assert finished(trainer, job(epochs=4, checkpoint=kept)).epochs == 4
    training = trainer.start(job(checkpoint=kept))
    assert len(training.curve) == 4
    assert training.epoch().epoch == 5
    assert len(trainer.start(job(checkpoint=kept)).curve) == 5
    assert finished(trainer, job(checkpoint=kept)) == undisturbed
    # what was kept may be more than a job wants
    assert finished(trainer, job(epochs=4, checkpoint=kept)).epochs == 4
    assert list(tmp_path.iterdir()) == [kept]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "{}", "null", "\udcff"])
def test_a_damaged_checkpoint_is_ignored(tmp_path, text):
    trainer, kept = SimulatedTrainer(LAWS["rugged"]), tmp_path / "kept.json"
    kept.write_text(text, errors="surrogateescape")
    assert not trainer.start(job(checkpoint=kept)).curve
    assert finished(trainer, job(checkpoint=kept)) == finished(trainer, job())


@pytest.mark.parametrize("done", [-1, 10, 2.0, True, "2", None])
def test_an_impossible_count_of_epochs_is_ignored(tmp_path, done):
    trainer, kept = SimulatedTrainer(LAWS["rugged"]), tmp_path / "kept.json"
    trainer.start(job(checkpoint=kept)).epoch()
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"done": done}))
    assert not trainer.start(job(checkpoint=kept)).curve


def test_a_foreign_checkpoint_is_ignored(tmp_path):
    kept, mine = tmp_path / "kept.json", SimulatedTrainer(LAWS["rugged"])
    foreign = [
        (SimulatedTrainer(LAWS["separable"]), job(checkpoint=kept)),
        (SimulatedTrainer(LAWS["rugged"], epochs=12), job(checkpoint=kept)),
        (SimulatedTrainer(LAWS["rugged"], noise=0.0), job(checkpoint=kept)),
        (mine, job(seed=1, checkpoint=kept)),
        (mine, job(network="convnext_small", checkpoint=kept)),
    ]
    for trainer, other in foreign:
        finished(trainer, other)
        assert not mine.start(job(checkpoint=kept)).curve
    finished(mine, job(checkpoint=kept))
    assert len(mine.start(job(checkpoint=kept)).curve) == 9


def test_a_training_goes_on_without_a_checkpoint_that_cannot_be_written(tmp_path, caplog):
    training = SimulatedTrainer(LAWS["rugged"]).start(job(checkpoint=tmp_path / "missing" / "kept.json"))
    assert training.epoch().epoch == 1
    assert "kept.json: cannot be written" in caplog.text and "starts again" in caplog.text


def test_no_epochs_are_no_result():
    with pytest.raises(TrialFailed, match="no epoch"):
        SimulatedTrainer(LAWS["rugged"]).start(job()).result()


def test_an_epoch_can_take_its_time():
    training = SimulatedTrainer(LAWS["rugged"], seconds=0.05).start(job())
    start = time.monotonic()
    training.epoch()
    assert time.monotonic() - start >= 0.05
    # recorded times are those of the law
    assert training.curve == (SimulatedTrainer(LAWS["rugged"]).start(job()).epoch(),)


def test_latency_rises_with_the_cost():
    trainer = SimulatedTrainer(LAWS["rugged"])
    networks = [named(n) for n in ("convnext_tiny", "convnext_small", "convnext_base")]
    macs = np.array([cost(network).macs for network in networks])
    latencies = np.array([trainer.latency(network) for network in networks])
    np.testing.assert_allclose(np.diff(latencies) / np.diff(macs), 4e-12)
    assert (latencies > 0).all()


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
    trainer = SimulatedTrainer(law)
    curves = np.array([trainer.curve(network, seed) for seed in range(2000)])
    deviations = curves - trainer.expected_curve(network)
    np.testing.assert_allclose(deviations.std(axis=0), NOISE, rtol=0.06)
    np.testing.assert_allclose(deviations.mean(axis=0), 0, atol=4 * NOISE / np.sqrt(2000))
    assert trainer.expected_curve(network)[-1] == pytest.approx(law.of(network))


@pytest.mark.parametrize("name", ["interacting", "rugged", "published"])
def test_curves_cross_where_the_law_says_so(name, band):
    trainer = SimulatedTrainer(LAWS[name])
    curves = np.array([trainer.expected_curve(network) for network in band.sample(40)])
    order = np.sign(curves[:, None] - curves[None])
    assert (order[:, :, 0] * order[:, :, -1] < 0).mean() > 0.05


def test_the_rest_of_the_laws_never_cross(band):
    trainer = SimulatedTrainer(LAWS["separable"])
    curves = np.array([trainer.expected_curve(network) for network in band.sample(40)])
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
