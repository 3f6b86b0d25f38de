"""The list of targets, and the check that all of them share: what it lets through and what it does not."""

import sys

import pytest
import torch
from torch import nn

from nas.targets import TARGETS, load_target
from nas.targets.checking import (
    compare,
    compare_module,
    counted,
    imported,
    original_of,
    parameter_count,
    randomised,
    with_weights,
)
from nas.targets.target import Mismatch
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.network import build
from tests.nas.targets.conftest import CONVNEXT, make_chosen


def test_targets_in_order():
    assert TARGETS == ("native", "convnext", "timm", "transformers", "onnx", "torch", "python")


@pytest.mark.parametrize("name", ["native", "convnext", "onnx", "torch", "python"])
def test_a_target_says_what_it_is(name):
    module = load_target(name)
    assert name == module.NAME
    assert module.SUMMARY
    assert module.lacks(named("convnext_tiny")) is None
    assert module.lacks(named("resnet50")) is None


def test_an_unknown_target_is_one_line_with_the_known_ones():
    with pytest.raises(InputError, match=r"tflite: no export target .* native, convnext, timm, .* python"):
        load_target("tflite")


def test_every_weight_shows_in_the_logits(network):
    """What the check could not see could be wrong: each tensor, moved alone, must move the logits."""
    module, images = randomised(network, 7, resolution=32)
    with torch.no_grad():
        before = module(images)
        tolerance = 1e-4 * before.abs().max()
        for name, value in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            kept = value.clone()
            value.mul_(1.3).add_(0.05 * torch.linspace(-1, 1, len(value)).view(-1, *[1] * (value.dim() - 1)))
            assert (module(images) - before).abs().max() > 10 * tolerance, name
            value.copy_(kept)
        assert torch.equal(module(images), before)


def test_the_network_itself_passes_and_is_counted(network):
    module, images = randomised(network, 7, resolution=32)
    check = compare_module(module, images, module, library="itself")
    expected = cost(network, 32, 7)
    assert (check.params, check.macs) == (expected.params, expected.macs)
    assert check.difference == 0 < check.tolerance
    assert check.images == "2 of 32x32"


def test_same_seed_same_weights_other_seed_others():
    one = randomised(CONVNEXT, 7, seed=1)[0].state_dict()
    other = randomised(CONVNEXT, 7, seed=2)[0].state_dict()
    again = randomised(CONVNEXT, 7, seed=1)[0].state_dict()
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)
    for name, value in one.items():
        if name.endswith(".gamma"):
            assert 0.5 <= value.min() <= value.max() <= 1.5


@pytest.mark.parametrize(
    ("params", "macs", "change", "message"),
    [
        (1, 0, lambda y: y, "parameters; the network has"),
        (0, 1, lambda y: y, "multiply-accumulates; the network has"),
        (0, 0, lambda y: y + 1e-3, "logits differ by"),
        (0, 0, lambda y: y * float("nan"), "logits differ by nan"),
        (0, 0, lambda y: y[:, :3], r"logits are \[2, 3\]; the network's are \[2, 7\]"),
    ],
)
def test_what_differs_is_a_mismatch(params, macs, change, message):
    module, images = randomised(CONVNEXT, 7, resolution=32)
    expected = cost(CONVNEXT, 32, 7)
    with pytest.raises(Mismatch, match=message):
        compare(
            module,
            images,
            lambda x: change(module(x)),
            library="other",
            params=expected.params + params,
            macs=expected.macs + macs,
        )


def test_macs_are_those_of_one_image():
    layer = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1, groups=1), nn.Flatten(), nn.Linear(4 * 64, 5))
    _, macs = counted(layer, torch.zeros(2, 3, 8, 8))
    assert macs == 4 * 64 * 27 + 4 * 64 * 5
    assert parameter_count(layer) == 4 * 27 + 4 + 4 * 64 * 5 + 5


def test_given_weights_are_the_ones_compared():
    torch.manual_seed(4)
    weights = build(CONVNEXT, 7).state_dict()
    original, images = original_of(make_chosen(weights=weights))
    assert images.shape == (2, 3, 32, 32)
    for name, value in original.state_dict().items():
        assert torch.equal(value, weights[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("head.bias"), r"weights: head.bias: None; the network has \[7\]"),
        (lambda w: w.update(more=torch.zeros(2)), r"weights: more: \[2\]; the network has None"),
        (lambda w: w.update({"norm.bias": torch.zeros(3)}), r"weights: norm.bias: \[3\]; .* has \[16\]"),
    ],
)
def test_foreign_weights_are_refused_in_one_line(change, message):
    weights = dict(build(CONVNEXT, 7).state_dict())
    change(weights)
    with pytest.raises(InputError, match=message):
        with_weights(CONVNEXT, weights, 7)


def test_a_generated_module_leaves_nothing_behind():
    with imported("import sys\nVALUE = sys.modules[__name__].__name__", "json") as module:
        assert module.VALUE == "json"
    assert sys.modules["json"].__name__ == "json"
    assert not hasattr(sys.modules["json"], "VALUE")
    with imported("", "generated_once"):
        assert "generated_once" in sys.modules
    assert "generated_once" not in sys.modules
