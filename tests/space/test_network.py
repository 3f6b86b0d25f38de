"""The built module: shapes, gradients, memory formats, stochastic depth, and the layers by themselves."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from torch import nn

from space.architecture import Architecture
from space.cost import breakdown, cost
from space.families import named
from space.layers import GRN, BatchNorm, DropPath, GroupNorm, LayerNorm, Pointwise, RMSNorm, group_count
from space.network import Block, ConvNet, build, drop_path_rates
from space.stage import Stage
from space.stem import Stem
from tests.space.strategies import architectures, networks

CLASSES = 5


def small(**fields) -> Architecture:
    return Architecture.convnext([1, 2], [8, 16], **fields)


def images(count: int, resolution: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, 3, resolution, resolution, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=80, deadline=None)
@given(networks())
def test_shapes_and_params(network: tuple[Architecture, int]):
    architecture, resolution = network
    model = build(architecture, CLASSES).eval()
    with torch.no_grad():
        features = model.features(images(2, resolution))
        logits = model(images(2, resolution))
    last = breakdown(architecture, resolution, CLASSES)[-2]
    assert features.shape == (2, last.channels, last.resolution, last.resolution)
    assert logits.shape == (2, CLASSES)
    assert torch.isfinite(logits).all()
    assert sum(p.numel() for p in model.parameters()) == cost(architecture, resolution, CLASSES).params


@settings(max_examples=40, deadline=None)
@given(networks(drop_path=0.0))
def test_gradients_reach_every_parameter(network: tuple[Architecture, int]):
    architecture, resolution = network
    model = build(architecture, CLASSES).train()
    model(images(3, resolution + 8)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_gradients_of_convnext_are_nowhere_zero():
    model = build(small(layer_scale=1.0), CLASSES).train()
    F.cross_entropy(model(images(4, 32)), torch.arange(4)).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@settings(max_examples=40, deadline=None)
@given(networks(norm="layer"))
def test_memory_format_changes_nothing(network: tuple[Architecture, int]):
    architecture, resolution = network
    torch.manual_seed(0)
    model = build(architecture, CLASSES).double().eval()
    x = images(2, resolution).double()
    with torch.no_grad():
        expected = model(x)
        got = model.to(memory_format=torch.channels_last)(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("name", ["batch", "group", "rms"])
def test_memory_format_of_the_other_norms(name: str):
    model = build(small(norm=name), CLASSES).double().eval()
    x = images(2, 33).double()
    got = model(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(got, model(x), rtol=1e-7, atol=1e-9)


def test_channels_last_maps_stay_so():
    model = build(small(), CLASSES).to(memory_format=torch.channels_last).eval()
    out = model.features(images(2, 32).contiguous(memory_format=torch.channels_last))
    assert out.is_contiguous(memory_format=torch.channels_last)
    x = torch.randn(2, 8, 5, 5).contiguous(memory_format=torch.channels_last)
    assert x.movedim(1, -1).is_contiguous()  # so a Pointwise or a LayerNorm copies nothing


def test_works_where_the_last_map_is_one_pixel():
    for name in ("convnext_tiny", "resnet50"):
        parts = breakdown(named(name), 32, CLASSES)
        assert parts[-2].resolution == 1
    model = build(small(), CLASSES).train()
    assert model.features(images(2, 8)).shape[2:] == (1, 1)
    model(images(2, 8)).sum().backward()


def test_drop_path_only_in_training():
    torch.manual_seed(0)
    model = build(small(drop_path=0.5, layer_scale=1.0), CLASSES)
    x = images(8, 16)
    assert torch.equal(model.eval()(x), model(x))
    assert not torch.equal(model.train()(x), model(x))


def test_drop_path_drops_samples_and_keeps_the_mean():
    torch.manual_seed(0)
    out = DropPath(0.25).train()(torch.ones(4000, 2, 3, 3))
    per_sample = out.flatten(1)
    assert torch.equal(per_sample.min(1).values, per_sample.max(1).values)
    assert sorted(set(per_sample[:, 0].tolist())) == pytest.approx([0, 1 / 0.75])
    assert out.mean().item() == pytest.approx(1.0, abs=0.03)


def test_drop_path_rates_rise_linearly_over_all_blocks():
    rates = list(drop_path_rates(Architecture.convnext([2, 3], [8, 16], drop_path=0.4)))
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])
    assert list(drop_path_rates(Architecture.convnext([1], [8], drop_path=0.4))) == [0.0]
    model = build(Architecture.convnext([2, 3], [8, 16], drop_path=0.4))
    in_model = [m.rate for m in model.modules() if isinstance(m, DropPath)]
    assert in_model == pytest.approx(rates)


def test_state_dict_has_the_official_layout():
    state = build(small(), CLASSES).state_dict()
    block = {"gamma": (8,), "dwconv.weight": (8, 1, 7, 7), "dwconv.bias": (8,), "norm.weight": (8,),
             "norm.bias": (8,), "pwconv1.weight": (32, 8), "pwconv1.bias": (32,),
             "pwconv2.weight": (8, 32), "pwconv2.bias": (8,)}  # fmt: skip
    assert {
        k.removeprefix("stages.0.0."): tuple(v.shape) for k, v in state.items() if "stages.0.0." in k
    } == block
    others = {k: tuple(v.shape) for k, v in state.items() if not k.startswith("stages.") and "weight" in k}
    assert others == {
        "downsample_layers.0.0.weight": (8, 3, 4, 4),
        "downsample_layers.0.1.weight": (8,),
        "downsample_layers.1.0.weight": (8,),
        "downsample_layers.1.1.weight": (16, 8, 2, 2),
        "norm.weight": (16,),
        "head.weight": (CLASSES, 16),
    }


def test_initial_weights_are_the_official_ones():
    torch.manual_seed(0)
    model = build(Architecture.convnext([1, 1], [64, 128]), 100)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.15)
            assert module.bias is not None
            assert not module.bias.any()
    gammas = [p for name, p in model.named_parameters() if name.endswith(".gamma")]
    assert all(torch.all(gamma == 1e-6) for gamma in gammas)
    assert len(gammas) == 2


def first_block(stage: Stage, **fields) -> Block:
    network = build(Architecture(stages=(stage,), **fields))
    block = network.stages[0][0]
    assert isinstance(block, Block)
    return block


@settings(max_examples=60, deadline=None)
@given(architectures())
def test_a_bias_stands_wherever_no_batch_norm_follows(architecture: Architecture):
    model = build(architecture, CLASSES)
    batch = architecture.norm == "batch"
    stem = model.downsample_layers[0][0]
    assert (stem.bias is None) == (batch and architecture.stem.norm)
    for stage, blocks in zip(architecture.stages, model.stages, strict=True):
        for block in blocks:
            convs = [getattr(block, block.first), getattr(block, block.second), block.pwconv2]
            without = tuple(i for i, conv in enumerate(convs, start=1) if conv.bias is None)
            assert without == (stage.norm_after if batch else ())
            if not isinstance(block.shortcut, nn.Identity):
                assert (block.shortcut[0].bias is None) == (batch and 3 in stage.norm_after)


def test_resnet_block_is_he_et_al():
    """Against the block written out by hand with torch's own layers."""
    stage = Stage(1, 4, kernel_size=3, style="bottleneck", conv="dense", spatial="middle",
                  norm_after=(1, 2, 3), act_after=(1, 2, 3))  # fmt: skip
    fields = {"norm": "batch", "activation": "relu", "layer_scale": None, "head_norm": False}
    block = first_block(stage, stem=Stem(type="resnet", width=6, activation=True), **fields).eval()
    x = torch.randn(2, 6, 9, 9)

    def conv1x1(weights: nn.Module, value: torch.Tensor) -> torch.Tensor:
        return F.conv2d(value, weights.weight[:, :, None, None])

    y = block.norm(conv1x1(block.pwconv1, x)).relu()
    y = block.norm2(F.conv2d(y, block.conv.weight, padding=1)).relu()
    y = block.norm3(conv1x1(block.pwconv2, y))
    shortcut = block.shortcut[1](conv1x1(block.shortcut[0], x))
    torch.testing.assert_close(block(x), (y + shortcut).relu())


def test_strided_block_halves_rounding_up():
    model = build(named("roadmap_t_7"), CLASSES)
    block = model.stages[1][0]
    assert block(torch.randn(1, 96, 7, 5)).shape == (1, 192, 4, 3)


def test_resnet_stem_ends_in_a_max_pool():
    stem = build(named("resnet50"), CLASSES).downsample_layers[0]
    assert [type(layer) for layer in stem] == [nn.Conv2d, BatchNorm, nn.ReLU, nn.MaxPool2d]
    assert stem(torch.randn(1, 3, 33, 33)).shape == (1, 64, 9, 9)


def test_pointwise_is_a_1x1_convolution():
    layer = Pointwise(6, 4, stride=2)
    x = torch.randn(2, 6, 7, 5)
    expected = F.conv2d(x, layer.weight[:, :, None, None], layer.bias, stride=2)
    torch.testing.assert_close(layer(x), expected)


@pytest.mark.parametrize("shape", [(3, 12, 5, 4), (3, 12)])
def test_layer_and_rms_norm_over_the_channels(shape: tuple[int, ...]):
    x = torch.randn(shape)
    mean, square = x.mean(1, keepdim=True), x.square().mean(1, keepdim=True)
    expected = (x - mean) / (x.var(1, correction=0, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(LayerNorm(12)(x), expected)
    torch.testing.assert_close(RMSNorm(12)(x), x / (square + 1e-6).sqrt())
    assert [name for name, _ in RMSNorm(12).named_parameters()] == ["weight"]


def test_batch_and_group_norm_take_maps_and_vectors():
    for layer in (BatchNorm(12), GroupNorm(12)):
        assert layer.eps == 1e-5
        for shape in ((3, 12, 4, 4), (3, 12)):
            assert layer(torch.randn(shape)).shape == shape
    with pytest.raises(ValueError, match="3 dimensions"):
        BatchNorm(12)(torch.randn(3, 12, 4))


@pytest.mark.parametrize(
    ("channels", "groups"), [(96, 32), (64, 32), (32, 16), (16, 8), (40, 8), (7, 1), (2, 1), (1, 1)]
)
def test_group_count(channels: int, groups: int):
    assert group_count(channels) == groups


def test_group_norm_at_one_pixel_still_depends_on_its_input():
    layer = GroupNorm(32)
    one, other = layer(torch.randn(1, 32, 1, 1)), layer(torch.randn(1, 32, 1, 1))
    assert not torch.equal(one, other)


def test_grn_starts_as_the_identity_and_follows_the_paper():
    """ConvNeXt V2, algorithm 1, written channels-last as there."""
    layer, x = GRN(6), torch.randn(2, 6, 5, 5)
    torch.testing.assert_close(layer(x), x)
    nn.init.normal_(layer.gamma)
    nn.init.normal_(layer.beta)
    nhwc = x.permute(0, 2, 3, 1)
    response = nhwc.norm(p=2, dim=(1, 2), keepdim=True)
    relative = response / (response.mean(dim=-1, keepdim=True) + 1e-6)
    expected = layer.gamma * (nhwc * relative) + layer.beta + nhwc
    torch.testing.assert_close(layer(x), expected.permute(0, 3, 1, 2))


def test_activation_3_comes_after_the_sum():
    block = first_block(Stage(1, 8, act_after=(3,)), activation="relu", layer_scale=1.0)
    assert block(torch.full((1, 8, 4, 4), -100.0)).min() == 0.0


def test_build_is_repeatable_under_one_seed():
    def weights() -> ConvNet:
        torch.manual_seed(3)
        return build(small(), CLASSES)

    for one, other in zip(weights().parameters(), weights().parameters(), strict=True):
        assert torch.equal(one, other)
