"""`lr: tuned`: which rate wins, that it is the same again, and that it is kept and recorded."""

import dataclasses

import pytest
import torch

from nas.engines.job import Job
from nas.proxy.ladder import short
from nas.proxy.proxy import Proxy, proxy_from
from nas.proxy.trainer import ProxyTrainer, ProxyTraining, train
from nas.training.result import TrialFailed
from space.errors import InputError
from tests.nas.proxy.test_trainer import TINY, bits, trained

TUNED = Proxy(
    data="digits", resolution=16, epochs=5, batch_size=32, lr="tuned", lr_ladder=(1e-6, 4e-3),
    layer_scale=1.0, mixup=0.2, train_size=128, val_size=64, stochastic_depth=0.2,
)  # fmt: skip


def test_the_rate_that_learns_wins_and_trains_as_if_it_had_been_given(data):
    found = train(TINY, TUNED, data, 5, device="cpu")
    assert found.trained == {"lr": 4e-3}
    given = train(TINY, TUNED.changed(lr=4e-3), data, 5, device="cpu")
    assert given.trained is None
    assert bits(dataclasses.replace(found, trained=None)) == bits(given)
    # the tries are part of its time, and of the images it saw in that
    seen = [result.images_per_second * result.train_seconds for result in (found, given)]
    assert seen[0] > 1.2 * seen[1]


def test_a_tuned_training_in_stretches_is_the_same_bit_for_bit(data, tmp_path, monkeypatch):
    whole = train(TINY, TUNED, data, 5, device="cpu")
    trainer = ProxyTrainer(TUNED, "cpu", data=data)
    path = tmp_path / "kept"
    trained(trainer, Job(0, TINY, 5, 2, path))
    torch.manual_seed(9)
    # it goes on with the rate it found: nothing is tried again
    monkeypatch.setattr("nas.proxy.trainer.tuned", lambda *_: pytest.fail("tuned again"))
    assert bits(trained(trainer, Job(0, TINY, 5, 5, path)).result()) == bits(whole)


def test_a_checkpoint_without_a_rate_is_of_another_training(data):
    values = ProxyTraining(TINY, TUNED.changed(lr=1e-3), data, 5, "cpu").to_dict()
    with pytest.raises(Exception, match="does not fit this training"):
        ProxyTraining(TINY, TUNED, data, 5, "cpu").restore(values)


def test_rates_that_diverge_lose_and_all_of_them_are_a_failure(data):
    wild = TUNED.changed(lr_ladder=(1e-3, 1e30))
    assert train(TINY, wild.changed(epochs=1), data, 0).trained == {"lr": 1e-3}
    with pytest.raises(
        TrialFailed, match=r"no learning rate of 1e\+30, 1e\+31 trains it: loss is not finite"
    ):
        train(TINY, TUNED.changed(lr_ladder=(1e30, 1e31)), data, 0)


def test_a_try_is_the_whole_schedule_in_a_quarter_of_the_epochs():
    recipe = TUNED.changed(epochs=20, warmup_epochs=2).recipe(TINY, 10, 128)
    tried = short(recipe, 2e-3)
    assert (tried.epochs, tried.schedule.warmup_epochs, tried.optimizer.lr) == (5, 0.5, 2e-3)
    assert short(recipe.changed(epochs=3), 1e-3).epochs == 1


def test_ladders_that_are_none_are_refused():
    for values in ({"lr_ladder": [1e-3]}, {"lr_ladder": [1e-3, -1]}, {"lr": "law"}):
        with pytest.raises(InputError, match="lr"):
            proxy_from(values, "proxy")
