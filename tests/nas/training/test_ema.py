"""The moving average of weights, number by number against its definition (timm's ModelEmaV2)."""

import copy
import math

import pytest
import torch
from torch import nn

from nas.training.ema import Ema, ema_decay


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 2))


def moved(net):
    """Every value changes, as a training step would: weights, running statistics and the counter."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(torch.randn_like(parameter))
    net.train()(torch.randn(8, 3, 4, 4) * 3 + 1)


@pytest.mark.parametrize("decay", [0.0, 0.9, 0.9999])
def test_every_floating_value_follows_the_definition(decay):
    net = network()
    ema = Ema(net, decay)
    expected = {k: v.clone().double() for k, v in net.state_dict().items()}
    for _ in range(4):
        moved(net)
        ema.update(net)
        for name, value in net.state_dict().items():
            expected[name] = decay * expected[name] + (1 - decay) * value.double()
    assert expected.keys() == ema.network.state_dict().keys()
    for name, value in ema.network.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value.double(), expected[name], rtol=1e-5, atol=1e-7)
    # the running statistics are averages of the network's own, not those of the averaged weights
    assert not torch.equal(ema.network[1].running_mean, torch.zeros(4)) or decay == 1


def test_counters_are_copied():
    net = network()
    ema = Ema(net, 0.5)
    for count in (1, 2, 3):
        moved(net)
        ema.update(net)
        assert ema.network[1].num_batches_tracked == net[1].num_batches_tracked == count


def test_the_average_is_a_copy_that_never_trains():
    net = network()
    ema = Ema(net, 0.9)
    before = copy.deepcopy(ema.network.state_dict())
    moved(net)
    assert all(torch.equal(v, before[k]) for k, v in ema.network.state_dict().items())
    assert not ema.network.training and not any(p.requires_grad for p in ema.network.parameters())


def test_the_average_starts_at_the_weights_it_is_given():
    """Without a warm-up: after one step it is decay * first + (1 - decay) * second, not the second."""
    net = network()
    first = net[3].weight.detach().clone()
    ema = Ema(net, 0.75)
    moved(net)
    ema.update(net)
    torch.testing.assert_close(ema.network[3].weight, 0.75 * first + 0.25 * net[3].weight.detach())


@pytest.mark.parametrize("steps", [1_281_167 // 4096 * 300, 1_281_167 // 512 * 30])
def test_the_published_trainings_keep_their_decay(steps):
    """From scratch on ImageNet-1K, and ConvNeXt-XL's fine-tuning, the shortest one with an average."""
    assert ema_decay(0.9999, steps) == 0.9999


@pytest.mark.parametrize("steps", [1, 7, 100, 2000, 50_000])
def test_a_short_training_forgets_its_start_as_the_published_ones_do(steps):
    decay = ema_decay(0.9999, steps)
    assert 0 < decay < 0.9999
    assert decay**steps == pytest.approx(math.exp(-7.5))
    assert ema_decay(decay / 2, steps) == decay / 2  # what is asked for is the most
    assert ema_decay(0.0, steps) == 0
