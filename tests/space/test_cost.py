"""The closed form against the built modules and against two public counters.

Conventions, all of them in `space/cost.py`: a multiply-accumulate is one operation and only convolutions and
linear layers have any.

* fvcore counts the same by its `conv`, `linear` (and `addmm`, `matmul`) operators; its default total also has
  the norms', which are left out here.
* ptflops' dispatcher back end counts convolutions and matrix products, plus one operation for each addition
  of a bias; biases are taken off the module before it counts. Its other back end also counts norms,
  activations and pooling.
* activations are the output elements of every convolution, 1x1 ones included, the classifier not (pycls).
"""

from __future__ import annotations

import functools
import io
from contextlib import redirect_stdout

import numpy as np
import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from ptflops import get_model_complexity_info
from torch import nn

from space import cost as cost_module
from space.architecture import Architecture
from space.cost import METRICS, breakdown, cost, cost_columns, costs
from space.errors import InputError
from space.families import NAMES, named
from space.layers import Pointwise
from space.network import ConvNet, build
from space.space_file import load_space, shipped_spaces, space_from
from tests.space.strategies import networks, random_architectures

RESOLUTIONS = (224, 97, 33)
FVCORE_OPERATORS = ("conv", "linear", "addmm", "matmul", "bmm")
CLASSES = 7


def on_meta(architecture: Architecture) -> ConvNet:
    """The module without its weights' memory; shapes pass through it all the same."""
    with torch.device("meta"):
        return build(architecture, CLASSES).eval()


def fvcore_macs(model: nn.Module, resolution: int) -> int:
    analysis = FlopCountAnalysis(model, torch.zeros(1, 3, resolution, resolution))
    counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return round(sum(counts[operator] for operator in FVCORE_OPERATORS))


def ptflops_macs(model: nn.Module, resolution: int) -> int:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.bias = None
    with redirect_stdout(io.StringIO()):
        macs, _ = get_model_complexity_info(
            model, (3, resolution, resolution), backend="aten", as_strings=False,
            print_per_layer_stat=False, verbose=False,
        )  # fmt: skip
    assert macs is not None
    return int(macs)


def conv_outputs(model: nn.Module, resolution: int) -> int:
    """Output elements of the convolutions of one forward pass of one image."""
    counted = 0

    def count(_module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        nonlocal counted
        counted += output.numel()

    for module in model.modules():
        if isinstance(module, nn.Conv2d | Pointwise):
            module.register_forward_hook(count)
    device = next(model.parameters()).device
    with torch.no_grad():
        model(torch.zeros(1, 3, resolution, resolution, device=device))
    return counted


def param_count(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@functools.cache
def random_networks() -> list[tuple[Architecture, int]]:
    return random_architectures(260, seed=0)


def test_random_networks_are_many_and_of_every_kind():
    found = {arch.fingerprint: arch for arch, _ in random_networks()}.values()
    assert len(found) > 180
    kinds = {
        (a.norm, a.downsampling, a.stem.type, s.style, s.conv, s.spatial) for a in found for s in a.stages
    }
    assert len(kinds) > 60


def test_random_networks_against_the_module_and_fvcore():
    # real weights: for networks this small, the meta device takes longer
    for architecture, resolution in random_networks():
        model = build(architecture, CLASSES).eval()
        counted = cost(architecture, resolution, CLASSES)
        assert counted.params == param_count(model), architecture.to_json()
        assert counted.macs == fvcore_macs(model, resolution), architecture.to_json()
        assert counted.activations == conv_outputs(model, resolution), architecture.to_json()


def test_macs_of_random_networks_against_ptflops():
    for architecture, resolution in random_networks()[:100]:
        counted = ptflops_macs(build(architecture, CLASSES).eval(), resolution)
        assert cost(architecture, resolution, CLASSES).macs == counted, architecture.to_json()


@pytest.mark.parametrize("space", shipped_spaces())
def test_samples_of_the_shipped_spaces(space: str):
    for i, architecture in enumerate(load_space(space).sample(6, seed=1)):
        resolution = RESOLUTIONS[i % len(RESOLUTIONS)]
        counted = cost(architecture, resolution, CLASSES)
        model = on_meta(architecture)
        assert counted.params == param_count(model)
        assert counted.activations == conv_outputs(model, resolution)
        assert counted.macs == ptflops_macs(model, resolution)


@pytest.mark.parametrize("resolution", [97, 33])
def test_samples_of_the_micro_space_against_fvcore(resolution: int):
    for architecture in load_space("micro").sample(20, seed=2):
        counted = cost(architecture, resolution, CLASSES)
        assert counted.macs == fvcore_macs(build(architecture, CLASSES).eval(), resolution)


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_isotropic_small", "resnet50", "roadmap_t_6"])
def test_named_networks_against_both_counters(name: str):
    architecture = named(name)
    expected = cost(architecture, 97, CLASSES)
    assert expected.macs == fvcore_macs(build(architecture, CLASSES).eval(), 97)
    model = on_meta(architecture)
    assert expected.activations == conv_outputs(model, 97)
    assert expected.macs == ptflops_macs(model, 97)


@pytest.mark.parametrize("name", NAMES)
def test_params_of_every_named_network(name: str):
    assert cost(named(name), 224, CLASSES).params == param_count(on_meta(named(name)))


@pytest.mark.parametrize("block", [cost_module.BLOCK, 1, 7])
def test_many_at_once_equals_one_by_one(block: int, monkeypatch: pytest.MonkeyPatch):
    """Also across the blocks that many are cut into, of one network or of some."""
    monkeypatch.setattr(cost_module, "BLOCK", block)
    architectures = [architecture for architecture, _ in random_networks()]
    together = costs(architectures, 97)
    ones = [cost(architecture, 97) for architecture in architectures]
    for metric in METRICS:
        values = [getattr(one, metric) for one in ones]
        assert all(type(value) is int for value in values)
        assert getattr(together, metric).tolist() == values
    assert len(costs([]).macs) == 0


def test_costs_of_codes_are_one_a_code_even_where_none_differs():
    space = space_from({"axes": {"drop_path": {"choices": [0.0, 0.1, 0.2]}}}, "space alike")
    codes = np.array(list(space.all_codes()))
    total, one = cost_columns(space.columns(codes)), cost(space.base)
    for metric in METRICS:
        assert getattr(total, metric).tolist() == [getattr(one, metric)] * 3


@settings(max_examples=40, deadline=None)
@given(networks())
def test_parts_add_up_and_have_the_modules_shapes(network: tuple[Architecture, int]):
    architecture, resolution = network
    parts = breakdown(architecture, resolution, CLASSES)
    total = cost(architecture, resolution, CLASSES)
    assert sum(part.cost.macs for part in parts) == total.macs
    assert sum(part.cost.params for part in parts) == total.params
    features = on_meta(architecture).features(torch.zeros(1, 3, resolution, resolution, device="meta"))
    last = parts[-2]
    assert tuple(features.shape[1:]) == (last.channels, last.resolution, last.resolution)
    assert parts[-1].channels == CLASSES


def test_too_small_a_resolution_is_refused_in_one_line():
    tiny = named("convnext_tiny")
    assert cost(tiny, 32).macs > 0
    with pytest.raises(InputError, match="resolution") as caught:
        cost(tiny, 31)
    assert "\n" not in str(caught.value)


def kept_by_autograd(model: nn.Module, images: torch.Tensor) -> int:
    """Bytes of activations that a training step keeps for its backward pass, each storage once."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)  # the tensor keeps its address taken
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(images)
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("space", ["named", "convnext", "roadmap"])
def test_saved_elements_are_what_autograd_keeps_to_a_tenth(space: str) -> None:
    some = ("convnext_tiny", "resnet50", "roadmap_t_6", "convnext_isotropic_small")
    chosen = [named(name) for name in some] if space == "named" else load_space(space).sample(60, seed=1)
    small = [architecture for architecture in chosen if cost(architecture).params < 60e6]
    assert len(small) >= 3
    for architecture in small[:4]:
        model = build(architecture, CLASSES).to(memory_format=torch.channels_last)
        images = torch.randn(2, 3, 64, 64).contiguous(memory_format=torch.channels_last)
        total = cost(architecture, 64, CLASSES)
        assert 4 * 2 * total.saved == pytest.approx(kept_by_autograd(model, images), rel=0.1)
        assert total.training_bytes(2) == 16 * total.params + 8 * total.saved
