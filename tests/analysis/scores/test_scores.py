"""Scores against arithmetic by hand, brute force, and networks of every kind."""

import math
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import nn
from torch.nn import functional

from analysis.scores.batch import Batch, draw_batch
from analysis.scores.closed_form import effectiveness, entropy, widths_by_stage
from analysis.scores.scores import SCORES, score
from analysis.scores.untrained import (
    INITIALISATIONS,
    gradient_norm,
    linearise,
    nwot,
    sign_kernel,
    synflow,
    zico,
)
from nas.data import Data, Split
from nas.proxy.proxy import Proxy
from space.architecture import Architecture
from space.errors import InputError
from space.layers import LayerNorm
from space.network import Block, build
from space.space_file import load_space
from space.stage import Stage
from space.stem import Stem
from tests.space.strategies import architectures, random_architectures, smallest_resolution

NEEDING_DATA = [name for name, found in SCORES.items() if found.needs_data]
TINY = Architecture.convnext([1, 2], [8, 16])
PROXY = Proxy(data="digits", resolution=16, num_classes=3)


def images_and_labels(count=16, resolution=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    images = torch.from_numpy(rng.normal(size=(count, 3, resolution, resolution)).astype(np.float32))
    return images, torch.from_numpy(rng.integers(0, classes, count))


def batch(**options):
    return Batch(*images_and_labels(**options), num_classes=3, seed=0)


def data(count=80, resolution=16):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, resolution, resolution, 3)).astype(np.uint8)
    split = Split(pixels, rng.integers(0, 3, count))
    return Data(split, split, 3, "", "made")


# ---- closed forms ---------------------------------------------------------------------------------------


def test_deepmad_of_a_convnext_by_hand():
    network = Architecture.convnext([1, 1], [8, 16])
    assert widths_by_stage(network) == [[48], [49, 8, 32], [32, 49, 16, 64]]
    stem, first, second = np.log(48), np.log(49 * 8 * 32), np.log(32 * 49 * 16 * 64)
    expected = np.log(56**2 * 8) * (stem + stem + first) + 8 * np.log(28**2 * 16) * (stem + first + second)
    assert entropy(network) == pytest.approx(expected)
    assert effectiveness(network) == pytest.approx(8 / np.exp((stem + first + second) / 8))
    assert score("depth", network) == 8


def test_deepmad_of_a_grouped_bottleneck_by_hand():
    stage = Stage(
        depth=2, width=8, kernel_size=3, style="bottleneck", conv="grouped", group_width=4, spatial="middle"
    )
    network = Architecture(stages=(stage,), stem=Stem(type="resnet"), layer_scale=None)
    # 1x1 from 8 and then from 32 channels, 3x3 in groups of 4, 1x1 from 8
    assert widths_by_stage(network) == [[3 * 49], [8, 36, 8, 32, 36, 8]]


def test_widths_are_those_of_the_built_network():
    """What one output of a convolution sees is the size of its slice of the weight."""
    for architecture, _ in random_architectures(25, seed=3):
        network = build(architecture, 5)
        parts = [[network.downsample_layers[0]]]
        for i, stage in enumerate(network.stages):
            parts.append([*network.downsample_layers[max(i, 1) : i + 1], stage])
        built = [
            [
                module.weight[0].numel()
                for part in group
                for name, module in part.named_modules()
                if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
            ]
            for group in parts
        ]
        assert [sorted(stage) for stage in widths_by_stage(architecture)] == [sorted(b) for b in built]


def test_a_larger_kernel_and_another_block_raise_the_entropy():
    wider = replace(TINY, stages=tuple(replace(s, kernel_size=9) for s in TINY.stages))
    assert entropy(Architecture.convnext([2, 2], [8, 16])) > entropy(TINY)
    assert entropy(wider) > entropy(TINY)


def test_closed_forms_need_no_torch():
    names = [name for name in SCORES if name not in NEEDING_DATA]
    code = (
        "import sys; from analysis.scores.scores import score; from space.families import named\n"
        f"[score(name, named('convnext_tiny')) for name in {names}]\n"
        "assert 'torch' not in sys.modules and 'nas.search' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- SynFlow --------------------------------------------------------------------------------------------


def test_synflow_of_two_linear_layers_by_hand():
    network = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 1))
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, -2.0], [3.0, 0.5]]))
        network[2].weight.copy_(torch.tensor([[-1.0, 4.0]]))
    # R = 1 (1 + 2) + 4 (3 + 0.5) = 17, and every layer's saliencies sum to R
    assert synflow(network, (2,)) == pytest.approx(math.log(2 * 17))


def test_synflow_is_what_is_lost_without_each_layer():
    """R is linear in every layer's weight, so its summed saliency is R less R without the layer."""
    for architecture, resolution in random_architectures(6, seed=5, max_stages=3, max_width=6, spread=4):
        torch.manual_seed(0)
        network = build(replace(architecture, layer_scale=None, drop_path=0.0), 3)
        shape = (3, resolution, resolution)
        joints = [*network.downsample_layers, *(m for m in network.modules() if isinstance(m, Block))]
        found = synflow(network, shape, joints)
        assert found == pytest.approx(synflow(network, shape))  # joints change nothing
        ones = torch.ones(1, *shape, dtype=torch.float64)
        with torch.no_grad():
            flow, lost = network(ones).sum(), 0.0
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    kept = module.weight.clone()
                    module.weight.zero_()
                    lost += flow - network(ones).sum()
                    module.weight.copy_(kept)
        assert found == pytest.approx(math.log(lost), rel=1e-6)


def test_synflow_beyond_the_range_of_doubles():
    layers = [nn.Linear(64, 64, bias=False) for _ in range(400)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    expected = math.log(400) + 401 * math.log(64)  # 64^401 is about 10^724
    assert synflow(nn.Sequential(*layers), (64,), layers) == pytest.approx(expected)


def test_why_synflow_switches_norms_off():
    """With the norm the saliencies before it sum to zero; without it they do not."""
    torch.manual_seed(0)
    first, last = nn.Linear(3, 5, bias=False), nn.Linear(5, 2, bias=False)
    network = nn.Sequential(first, LayerNorm(5), last)

    def saliency():
        flow = network(torch.ones(1, 3)).sum()
        return (first.weight * torch.autograd.grad(flow, first.weight)[0]).sum().item()

    assert abs(saliency()) < 1e-4
    linearise(network)
    assert isinstance(network[1], nn.Identity)
    assert saliency() > 0.01


def test_synflow_does_not_see_norm_activation_and_grn():
    values = set()
    for changes in ({}, {"norm": "group"}, {"norm": "rms", "activation": "relu"}):
        grn = tuple(replace(stage, grn=bool(changes)) for stage in TINY.stages)
        values.add(round(SCORES["synflow"].compute(replace(TINY, stages=grn, **changes), batch()), 9))
    assert len(values) == 1


# ---- NWOT -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", [nn.ReLU, nn.GELU, nn.Hardswish])
def test_the_sign_kernel_by_brute_force(activation):
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), activation(), nn.Conv2d(4, 5, 3), activation(), nn.Flatten(), nn.Linear(80, 2)
    )
    images, _ = images_and_labels(count=6)
    with torch.no_grad():
        before = [network[:1](images), network[:3](images)]
    codes = np.concatenate([(x.flatten(1) > 0).numpy() for x in before], axis=1)
    expected = [[codes.shape[1] - sum(a != b) for b in codes] for a in codes]
    assert sign_kernel(network, images).tolist() == expected
    assert nwot(network, images) == pytest.approx(math.log(np.linalg.det(np.array(expected) + np.eye(6))))


def test_for_relu_the_signs_are_the_linear_regions():
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))
    inputs = torch.randn(5, 4)
    on = (network[:2](inputs) > 0).numpy()
    assert sign_kernel(network, inputs).tolist() == [[6 - sum(a != b) for b in on] for a in on]


def test_nwot_with_equal_images_or_no_activation_is_finite():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 2))
    equal = torch.ones(3, 4)
    assert nwot(network, equal) == pytest.approx(math.log(1 + 3 * 6))  # K is 6 everywhere
    assert nwot(nn.Sequential(nn.Linear(4, 2)), equal) == 0


# ---- gradients ------------------------------------------------------------------------------------------


def gradients_by_backward(network, images, labels):
    network.zero_grad()
    functional.cross_entropy(network(images), labels).backward()
    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    return [layer.weight.grad.numpy().astype(float).ravel() for layer in layers]


@pytest.fixture
def small():
    torch.manual_seed(4)
    network = build(Architecture.convnext([1, 1], [6, 8], layer_scale=None), 3)
    for parameter in network.parameters():  # away from weights so small that gradients are rounding
        nn.init.normal_(parameter, std=0.3)
    return network


def test_gradient_norm_by_backward(small):
    images, labels = images_and_labels()
    expected = sum(np.sqrt((g**2).sum()) for g in gradients_by_backward(small, images, labels))
    assert gradient_norm(small, images, labels) == pytest.approx(expected, rel=1e-5)


def test_zico_by_the_gradients_of_each_batch(small):
    images, labels = images_and_labels()
    parts = [gradients_by_backward(small, images[i : i + 4], labels[i : i + 4]) for i in range(0, 16, 4)]
    expected = 0.0
    for layer in zip(*parts, strict=True):
        deviation, size = np.std(layer, axis=0), np.mean(np.abs(layer), axis=0)
        varies = deviation > 0
        expected += np.log(np.sum(size[varies] / deviation[varies]))
    assert zico(small, images, labels, batches=4) == pytest.approx(expected, rel=1e-4)


def test_zico_leaves_out_what_does_not_vary():
    network = nn.Sequential(nn.Linear(2, 2, bias=False))
    images, labels = torch.ones(8, 2), torch.zeros(8, dtype=torch.int64)
    assert zico(network, images, labels) == 0
    images = torch.tensor([[1.0, 0.0], [2.0, 0.0]]).repeat_interleave(4, 0)  # the second input sees nothing
    assert math.isfinite(zico(network, images, labels, batches=2))


def test_gradients_are_taken_where_they_are_switched_off(small):
    images, labels = images_and_labels()
    with torch.no_grad():
        assert gradient_norm(small, images, labels) > 0


# ---- all of them ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NEEDING_DATA)
def test_deterministic_and_the_global_random_state_untouched(name):
    torch.manual_seed(7)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # noqa: NPY002
    found = [score(name, TINY, PROXY, data(), seed) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1].tolist(), random.getstate()) == before[1:]  # noqa: NPY002


@pytest.mark.parametrize("name", NEEDING_DATA)
def test_layer_scale_and_stochastic_depth_do_not_matter(name):
    variants = [{"layer_scale": s} for s in (None, 1e-6, 1.0)] + [{"drop_path": 0.5}]
    assert len({SCORES[name].compute(replace(TINY, **v), batch()) for v in variants}) == 1


def test_the_mean_of_several_initialisations():
    images, labels = images_and_labels()
    values = []
    for seed in range(INITIALISATIONS):
        torch.manual_seed(seed)
        network = build(replace(TINY, layer_scale=None), 3)
        values.append(gradient_norm(network, images, labels))
    assert np.std(values) > 0
    found = SCORES["gradient_norm"].compute(TINY, Batch(images, labels, 3, seed=0))
    assert found == pytest.approx(np.mean(values), rel=1e-4)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(architectures(max_stages=2, max_width=8))
def test_finite_for_any_network(architecture):
    """BatchNorm, GRN, ReLU, dense and grouped blocks, no norm or no activation at all."""
    images = batch(count=8, resolution=smallest_resolution(architecture))
    for name, found in SCORES.items():
        assert math.isfinite(found.compute(architecture, images)), name


def shrunk(architecture):
    """The same kind of network with a sixteenth of the width and few blocks."""
    stages = tuple(
        replace(s, depth=1 if i else min(s.depth, 2), width=s.width // 16)
        for i, s in enumerate(architecture.stages)
    )
    return replace(architecture, stages=stages)


@pytest.mark.parametrize("name", ["convnext", "roadmap", "micro"])
def test_finite_and_telling_in_the_shipped_spaces(name):
    networks = load_space(name).sample(4, seed=0)
    networks = networks if name == "micro" else [shrunk(network) for network in networks]
    images = batch(count=16, resolution=32)
    for found in SCORES.values():
        values = [found.compute(network, images) for network in networks]
        assert np.isfinite(values).all(), found.name
        assert len(set(values)) > 1, found.name


def test_every_score_says_where_it_comes_from_and_where_it_misleads():
    documented = (Path(__file__).parents[3] / "docs" / "scores.md").read_text(encoding="utf-8")
    for name, found in SCORES.items():
        assert found.name == name
        assert min(len(text) for text in (found.about, found.source, found.hazard)) > 10
        assert f"| `{name}` |" in documented


# ---- images and mistakes --------------------------------------------------------------------------------


def test_the_batch_is_drawn_by_the_seed():
    first, again, other = (draw_batch(PROXY, data(), seed) for seed in (0, 0, 1))
    assert first.images.shape == (64, 3, 16, 16)
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    assert first.resolution == 16


def test_the_proxy_brings_its_own_images(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    proxy = Proxy(data="digits", resolution=16, train_size=40, val_size=10)
    assert score("nwot", TINY, proxy) == score("nwot", TINY, proxy, proxy.load_data())


@pytest.mark.parametrize(
    ("attempt", "message"),
    [
        (lambda: score("zen", TINY), "score 'zen': there is no such score; there are flops, params"),
        (lambda: score("zico", TINY), "score zico: needs a proxy"),
        (lambda: score("zico", TINY, PROXY, data(count=7)), "7 training images; they need at least 8"),
        (lambda: score("nwot", TINY, PROXY, data(resolution=4)), "cannot be downsampled further"),
        (lambda: SCORES["nwot"].compute(TINY, None), "needs a batch"),
    ],
)
def test_mistakes_are_one_line(attempt, message):
    with pytest.raises(InputError, match=message) as caught:
        attempt()
    assert "\n" not in str(caught.value)
