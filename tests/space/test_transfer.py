"""Weights of one ConvNeXt as a start for another: exact where nothing differs, sane where something does."""

import dataclasses

import pytest
import torch

from space.architecture import Architecture
from space.checkpoints import to_official, to_timm, to_transformers
from space.errors import InputError
from space.families import named
from space.network import build
from space.transfer import architecture_of, transferred

SOURCE = Architecture.convnext([2, 3], [16, 24])


def with_stages(network, **fields):
    return dataclasses.replace(
        network, stages=tuple(dataclasses.replace(stage, **fields) for stage in network.stages)
    )


def model(network, classes=5):
    """As after some training: every number counts."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        built = build(network, classes).eval()
        with torch.no_grad():
            for name, value in built.named_parameters():
                if value.dim() == 1:  # norms near 1, biases and LayerScale of a size that tells
                    value.copy_((1.0 if name.endswith("weight") else 0.0) + 0.3 * torch.randn(value.shape))
                else:
                    value.copy_(torch.randn(value.shape) / value[0].numel() ** 0.5)
    return built


def started(source, target, classes=5):
    """A fresh target that has taken what fits of a source's weights."""
    found = transferred(model(source, classes=classes).state_dict(), source, target)
    with torch.random.fork_rng([]):
        torch.manual_seed(7)
        built = build(target, classes).eval()
    built.load_state_dict(found.state, strict=False)
    return built, found


IMAGES = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@torch.inference_mode()
def logits(network):
    return network(IMAGES)


@pytest.mark.parametrize(
    "target",
    [
        SOURCE,
        dataclasses.replace(SOURCE, layer_scale=None),
        with_stages(SOURCE, kernel_size=11),
        with_stages(SOURCE, grn=True),
        dataclasses.replace(SOURCE, drop_path=0.4),
    ],
    ids=["equal", "scale folded", "larger kernels", "grn", "drop path"],
)
def test_a_network_of_the_same_function_has_the_same_logits(target):
    built, found = started(SOURCE, target)
    torch.testing.assert_close(logits(built), logits(model(SOURCE)), rtol=1e-4, atol=1e-4)
    if target == SOURCE:
        assert found.taken == found.parameters
        assert torch.equal(logits(built), logits(model(SOURCE)))


def test_further_blocks_pass_on_what_they_are_given():
    for scale in (1e-6, None):
        source = dataclasses.replace(SOURCE, layer_scale=scale)
        deeper = dataclasses.replace(
            source, stages=tuple(dataclasses.replace(stage, depth=stage.depth + 2) for stage in source.stages)
        )
        built, found = started(source, deeper)
        torch.testing.assert_close(logits(built), logits(model(source)), rtol=1e-3, atol=1e-3)
        assert found.taken < found.parameters


def test_sliced_and_padded_networks_start_within_range():
    reference = logits(model(SOURCE)).std()
    for target in (
        Architecture.convnext([1, 2], [8, 20]),
        Architecture.convnext([3, 4], [24, 40]),
        with_stages(SOURCE, kernel_size=3, expansion=2),
        with_stages(SOURCE, kernel_size=9, expansion=6),
        dataclasses.replace(SOURCE, stem=dataclasses.replace(SOURCE.stem, patch_size=2)),
        dataclasses.replace(SOURCE, norm="rms", activation="silu"),
    ):
        built, found = started(SOURCE, target)
        out = logits(built)
        assert torch.isfinite(out).all() and 0.2 < out.std() / reference < 5
        loss = torch.nn.functional.cross_entropy(out, torch.tensor([0, 1, 2]))
        assert loss < 10 and 0.2 < found.taken / found.parameters <= 1


def test_channels_are_every_so_many_th_and_kernels_from_the_middle():
    target = with_stages(Architecture.convnext([1, 1], [8, 12]), kernel_size=3)
    own = model(SOURCE).state_dict()
    found = transferred(own, SOURCE, target).state
    kernel = own["stages.0.0.dwconv.weight"]
    assert torch.equal(found["stages.0.0.dwconv.weight"], kernel[::2, :, 2:5, 2:5])
    assert torch.equal(found["head.weight"], own["head.weight"][:, ::2])
    assert torch.equal(found["stages.1.0.pwconv2.weight"], own["stages.1.0.pwconv2.weight"][::2, ::2])


def test_a_channel_that_is_taken_does_not_listen_to_a_further_one():
    target = Architecture.convnext([2, 3], [24, 24])
    found = transferred(model(SOURCE).state_dict(), SOURCE, target).state
    weight = found["stages.0.1.pwconv1.weight"]  # [96, 24] of [64, 16]
    assert not weight[:64, 16:].any() and weight[64:, 16:].any() and weight[64:, :16].any()


@pytest.mark.parametrize("name", ["convnext_atto", "convnextv2_atto"])
@pytest.mark.parametrize("layout", [dict, to_official, to_timm, to_transformers])
def test_the_source_is_told_by_its_weights_in_every_layout(name, layout):
    network = dataclasses.replace(named(name), drop_path=0.0)
    with torch.device("meta"):
        state = build(network, 10).state_dict()
    written = state if layout is dict else layout(state, network)
    assert architecture_of(written) == network


def test_what_is_no_convnext_is_told_apart():
    with torch.device("meta"):
        state = build(named("resnet50"), 10).state_dict()
    assert architecture_of(state) is None and architecture_of({"head.weight": torch.zeros(3, 4)}) is None
    weights = model(SOURCE).state_dict()
    with pytest.raises(InputError, match="the recipe's network has style bottleneck"):
        transferred(weights, SOURCE, with_stages(SOURCE, style="bottleneck"))
    with pytest.raises(InputError, match="2 stages, the recipe's network has 3"):
        transferred(weights, SOURCE, Architecture.convnext([1, 1, 1], [8, 8, 8]))
