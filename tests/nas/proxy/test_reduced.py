"""Networks trained in place of those asked for: slim ones are valid, and cost what is counted."""

import dataclasses
import hashlib
import json

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from nas.engines.job import Job
from nas.proxy.proxy import LATER, PRESETS, VERSION, Proxy, load_proxy
from nas.proxy.reduced import fan_in, reduced, seen_resolution, slimmed, with_stem
from nas.proxy.trainer import ProxyTrainer, ProxyTraining, train
from nas.training.result import TrialFailed
from space.architecture import Architecture
from space.families import NAMES
from space.layers import GroupNorm
from space.network import Block
from space.networks import build_network, cost_of, named_network
from space.space_file import load_space, shipped_spaces
from space.stage import Stage
from space.stem import Stem
from space.swin import SWIN_NAMES, Swin
from space.swin_network import SwinBlock
from tests.nas.proxy.test_trainer import bits, trained
from tests.space.strategies import architectures

SHARES = st.sampled_from((0.1, 0.25, 0.5, 0.75)) | st.floats(0.05, 1)
SLIM = Proxy(
    data="digits", resolution=16, epochs=3, batch_size=32, lr=4e-3, layer_scale=1.0, stochastic_depth=0.2,
    mixup=0.2, train_size=128, val_size=64, width_share=0.5, stem_stride=2, init="fan_in",
)  # fmt: skip
ASKED = Architecture.convnext([1, 2, 1], [16, 32, 48])
RESNET = dataclasses.replace(ASKED, stem=Stem(type="resnet", width=24), norm="batch", activation="relu")


def ratios(network, slim):
    """New over old of everything that the widths decide."""
    if isinstance(network, Swin):
        return [slim.width / network.width]
    pairs = [(network.stem_width, slim.stem_width)]
    for old, new in zip(network.stages, slim.stages, strict=True):
        pairs += [(old.width, new.width), (old.hidden, new.hidden), (old.out, new.out)]
        pairs += [(old.group_width, new.group_width or new.out)] if old.group_width else []
    return [new / old for old, new in pairs]


def check_slim(network, share):
    slim = slimmed(network, share)
    assert slim.depths == network.depths
    assert all(new <= old for new, old in zip(slim.widths, network.widths, strict=True))
    assert min(slim.widths) >= min(8, *network.widths)
    kept = {"stem", "stages", "width", "heads"}
    before, after = network.to_dict(), slim.to_dict()
    assert {k: v for k, v in after.items() if k not in {*kept, "block"}} == {
        k: v for k, v in before.items() if k not in {*kept, "block"}
    }
    factor = cost_of(slim, 224).macs / cost_of(network, 224).macs
    each = ratios(network, slim)
    assert 0.999 * min(each) ** 2 <= factor <= 1.001 * max(each)
    # widths that are far from the least lie at the share, to half a step of 4
    own = 1 if isinstance(network, Swin) else len(network.stages)  # a Swin's others are twice the one before
    pairs = zip(network.widths[:own], slim.widths[:own], strict=True)
    near = [new / old for old, new in pairs if old * share >= 16]
    groups = own > 1 and any(stage.group_width for stage in network.stages)
    assert groups or all(abs(ratio / share - 1) <= 2 / 16 + 1e-9 for ratio in near)
    return slim


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(shipped_spaces()), st.integers(0, 2**32 - 1), SHARES)
def test_every_network_of_a_shipped_space_slims_to_a_valid_one(name, seed, share):
    for network in load_space(name).sample(3, seed):
        check_slim(network, share)


@settings(max_examples=60, deadline=None)
@given(architectures(max_width=300), SHARES)
def test_any_network_slims(network, share):
    slim = slimmed(network, share)
    assert slim.depths == network.depths and max(slim.widths) <= max(network.widths)


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_named_network_slims(share):
    for name in (*NAMES, *SWIN_NAMES):
        check_slim(named_network(name), share)


def test_bottlenecks_groups_and_heads_follow():
    quarter = slimmed(named_network("resnet50"), 0.25)
    assert quarter.widths == (16, 32, 64, 128) and [s.out for s in quarter.stages] == [64, 128, 256, 512]
    assert slimmed(named_network("convnext_tiny"), 0.25).widths == (24, 48, 96, 192)
    swin = slimmed(named_network("swin_base"), 0.25)
    assert swin.widths == (32, 64, 128, 256) and swin.heads == (1, 2, 4, 8)
    stage = Stage(2, 128, 3, 2, "bottleneck", "grouped", 4, "middle", (1, 2, 3), (1, 2, 3))
    grouped = Architecture(stages=(stage,), norm="batch")
    assert slimmed(grouped, 0.5).stages[0].group_width == 2  # 32 groups, as before
    odd = dataclasses.replace(grouped, stages=(dataclasses.replace(stage, width=120, group_width=24),))
    assert slimmed(odd, 0.3).stages[0].width % slimmed(odd, 0.3).stages[0].group_width == 0
    assert slimmed(ASKED, 1.0) is ASKED and with_stem(ASKED, 4) is ASKED


@pytest.mark.parametrize("stride", [4, 2, 1])
@pytest.mark.parametrize("resolution", [32, 64])
@pytest.mark.parametrize("name", ["convnext_tiny", "resnet50", "roadmap_t_2", "roadmap_t_8", "swin_tiny"])
def test_a_stem_of_smaller_stride_keeps_the_maps_and_costs_what_is_counted(name, resolution, stride):
    what = reduced(named_network(name), 0.1, stride)
    module = build_network(what.network, 10).eval()
    what.adapt(module, "official")
    counted = what.cost(resolution, 10)
    images = torch.zeros(1, 3, resolution, resolution)
    side = resolution // stride // 8
    assert module.features(images).shape[-2:] == (side, side)
    assert sum(p.numel() for p in module.parameters()) == counted.params
    operators = FlopCountAnalysis(module, images).unsupported_ops_warnings(False).by_operator()
    macs = sum(operators[key] for key in ("conv", "linear", "matmul", "addmm"))
    assert macs == counted.macs


def test_samples_of_the_spaces_train_under_every_stem():
    for name in shipped_spaces():
        for i, network in enumerate(load_space(name).sample(4, 7)):
            for stride in (4, 2, 1):
                what = reduced(network, 0.1, stride)
                module = build_network(what.network, 3)
                what.adapt(module, ("fan_in", "identity")[i // 2 % 2])
                resolution = (32, 64)[i % 2]
                module(torch.rand(2, 3, resolution, resolution)).sum().backward()
                assert sum(p.numel() for p in module.parameters()) == what.cost(resolution, 3).params


def test_patches_shrink_in_proportion():
    def patch(size, stride):
        return with_stem(dataclasses.replace(ASKED, stem=Stem(patch_size=size)), stride).stem.patch_size

    assert [patch(8, 2), patch(4, 1), patch(2, 2), patch(1, 1)] == [4, 1, 1, 1]
    assert with_stem(named_network("swin_tiny"), 2).patch_size == 2
    assert seen_resolution(32, 2) == 64


@pytest.mark.parametrize("width", [64, 96, 104])
def test_the_groups_of_a_slim_norm_keep_their_channels(width):
    stages = [{"depth": 1, "width": width * 2**i} for i in range(4)]
    asked = Architecture.from_dict({"norm": "group", "stages": stages})
    slim = reduced(asked, 0.125, 2)
    module = build_network(slim.network, 10)
    slim.adapt(module, "identity")
    pairs = zip(build_network(asked, 10).modules(), module.modules(), strict=True)
    groups = [
        (a.num_channels / a.num_groups, b.num_channels / b.num_groups)
        for a, b in pairs
        if isinstance(a, GroupNorm)
    ]
    assert len(groups) >= 9 and all(0.6 <= b / a <= 1.5 for a, b in groups)
    head = module.norm(torch.randn(8, slim.network.stages[-1].width))
    assert len(head.abs().round(decimals=3).unique()) > 8  # two channels a group: plus and minus one


def test_weights_by_fan_in_have_its_deviation():
    module = build_network(named_network("convnext_tiny"), 10)
    torch.manual_seed(0)
    fan_in(module)
    for name, parameter in module.named_parameters():
        if parameter.ndim > 1 and parameter.numel() > 20_000:
            assert parameter.detach().std() * parameter[0].numel() ** 0.5 == pytest.approx(1, abs=0.05), name


@pytest.mark.parametrize("name", ["roadmap_t_1", "roadmap_t_9", "roadmap_t_13", "roadmap_t_16", "swin_tiny"])
def test_with_identity_every_block_begins_as_its_shortcut_and_learns(name):
    what = reduced(named_network(name), 0.1, 2)
    module = build_network(what.network, 3).eval()
    what.adapt(module, "identity")
    blocks = [each for each in module.modules() if isinstance(each, Block | SwinBlock)]
    seen = {}
    for block in blocks:
        block.register_forward_hook(lambda block, given, out: seen.update({block: (given[0], out)}))
    module(torch.rand(2, 3, 32, 32)).square().sum().backward()
    for block in blocks:
        given, out = seen[block]
        expected = given if isinstance(block, SwinBlock) else block.act3(block.shortcut(given))
        torch.testing.assert_close(out, expected, rtol=0, atol=0)
    zero = [p for block in blocks for p in block.parameters() if p.ndim > 1 and not p.any()]
    norms = [block.norm3 for block in blocks if isinstance(block, Block)]
    zero += [norm.weight for norm in norms if not isinstance(norm, nn.Identity)]
    assert len(zero) >= len(blocks) and all(parameter.grad.any() for parameter in zero)


@pytest.mark.parametrize("asked", [ASKED, RESNET, Swin(32, (2, 1))], ids=["convnext", "resnet", "swin"])
def test_a_reduced_training_in_stretches_is_the_same_bit_for_bit(data, tmp_path, asked):
    whole = train(asked, SLIM, data, 5, device="cpu")
    trainer = ProxyTrainer(SLIM, "cpu", data=data)
    for epochs in (1, 2, 3):
        torch.manual_seed(epochs)
        training = trained(trainer, Job(0, asked, 5, epochs, tmp_path / "kept"))
    assert bits(training.result()) == bits(whole)
    said = whole.trained
    what = reduced(asked, 0.5, 2)
    assert said["architecture"] == what.network.to_dict() and said["macs"] == what.cost(16, 10).macs
    assert json.loads(json.dumps(said)) == said


def test_what_is_too_small_is_said_of_the_network_trained(data):
    four = Architecture.convnext([1] * 6, [16] * 6)
    plain = SLIM.changed(stem_stride=4)
    with pytest.raises(TrialFailed, match="the network needs larger images"):
        ProxyTraining(four, plain, data, 0)
    assert ProxyTraining(Architecture.convnext([1] * 4, [16] * 4), SLIM, data, 0).epochs == 3
    assert train(ASKED, plain.changed(width_share=1.0, epochs=1), data, 0).trained is None


@pytest.mark.parametrize("name", [name for name in PRESETS if name != "photos"])
def test_a_proxy_without_the_later_fields_has_the_fingerprint_it_always_had(name, data):
    """Spelled out: the fields that a proxy had when the recorded studies were made."""
    proxy = load_proxy(name)
    values = proxy.model_dump(mode="json", exclude={"data", "device", *LATER})
    assert len(values) == 23
    text = json.dumps(values | {"pixels": data.fingerprint, "version": VERSION}, sort_keys=True)
    assert proxy.fingerprint(data) == hashlib.sha256(text.encode()).hexdigest()[:16]
    for changed in ({"width_share": 0.25}, {"stem_stride": 2}, {"init": "fan_in"}, {"lr": "tuned"}):
        assert proxy.changed(**changed).fingerprint(data) != proxy.fingerprint(data)
        assert changed.items() <= proxy.changed(**changed).to_dict().items()
