"""Convolutions as matrix products give what PyTorch's own give, to rounding, and so do their gradients."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from nas.training.cpu import depthwise
from nas.training.cpu.depthwise import SmallMapDepthwise, speed_up_small_maps
from nas.training.cpu.patches import PatchConvolution
from space.architecture import Architecture
from space.network import build

SIZES = st.integers(1, 10) | st.sampled_from([16, 17])  # by pixels, by columns, PyTorch's own way
FORMATS = st.sampled_from([torch.channels_last, torch.contiguous_format])


def results(conv: nn.Module, x: Tensor, weights: Tensor) -> list[Tensor]:
    """The output, and the gradients of a weighted sum of it: of the input and of every parameter."""
    x = x.detach().requires_grad_()
    y = conv(x)
    return [y, *torch.autograd.grad((y * weights).sum(), [x, *conv.parameters()])]


def assert_alike(conv: nn.Conv2d, fast_class: type[nn.Conv2d], x: Tensor) -> None:
    fast = nn.Sequential(copy.deepcopy(conv))
    speed_up_small_maps(fast)
    assert type(fast[0]) is fast_class
    weights = torch.randn_like(conv(x))
    torch.testing.assert_close(results(fast[0], x, weights), results(conv, x, weights), rtol=1e-9, atol=1e-9)
    with torch.no_grad():
        torch.testing.assert_close(fast(x), conv(x), rtol=1e-9, atol=1e-9)


@given(
    batch=st.integers(1, 3),
    channels=st.integers(1, 5),
    size=st.tuples(SIZES, SIZES),
    kernel=st.sampled_from([1, 3, 5, 7, 11]),
    bias=st.booleans(),
    memory_format=FORMATS,
)
def test_a_depthwise_convolution(
    batch: int,
    channels: int,
    size: tuple[int, int],
    kernel: int,
    bias: bool,
    memory_format: torch.memory_format,
):
    conv = nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=bias).double()
    if kernel == 1 and channels == 1:
        return  # a patch convolution as well
    x = torch.randn(batch, channels, *size, dtype=torch.float64).contiguous(memory_format=memory_format)
    assert_alike(conv, SmallMapDepthwise, x)


@pytest.mark.parametrize("images", [1, 2, 5])
def test_a_batch_in_slices(images: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(depthwise, "SLICE", images * 3 * 9 * 16)
    conv = nn.Conv2d(3, 3, 7, padding=3, groups=3).double()
    assert_alike(conv, SmallMapDepthwise, torch.randn(5, 3, 9, 16, dtype=torch.float64))


@given(
    batch=st.integers(1, 3),
    channels=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    size=st.tuples(SIZES, SIZES),
    kernel=st.integers(1, 4),
    bias=st.booleans(),
    memory_format=FORMATS,
)
def test_a_convolution_of_patches(
    batch: int,
    channels: tuple[int, int],
    size: tuple[int, int],
    kernel: int,
    bias: bool,
    memory_format: torch.memory_format,
):
    if min(size) < kernel or (kernel == 1 and channels == (1, 1)):
        return
    conv = nn.Conv2d(*channels, kernel, stride=kernel, bias=bias).double()
    conv.to(memory_format=memory_format)
    x = torch.randn(batch, channels[0], *size, dtype=torch.float64).contiguous(memory_format=memory_format)
    assert_alike(conv, PatchConvolution, x)


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 4, 3, stride=2, padding=1, groups=4),
        nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4),
        nn.Conv2d(4, 8, 3, padding=1, groups=4),
        nn.Conv2d(4, 4, (3, 5), padding=(1, 2), groups=4),
        nn.Conv2d(4, 4, 4, padding=2, groups=4),
        nn.Conv2d(4, 8, 2, stride=2, padding=1),
        nn.Conv2d(4, 8, 2, stride=2, groups=2),
        nn.Conv2d(4, 8, 2, stride=2, dilation=2),
        nn.Conv2d(4, 8, (2, 4), stride=(2, 4)),
        nn.Conv2d(4, 8, 3, stride=2),
    ],
)
def test_other_convolutions_stay_as_they_are(conv: nn.Conv2d):
    network = nn.Sequential(conv)
    speed_up_small_maps(network)
    assert type(network[0]) is nn.Conv2d


def test_bf16_autocast_reaches_both():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 4, 4, 4), nn.Conv2d(4, 4, 7, padding=3, groups=4))
    fast = copy.deepcopy(plain)
    speed_up_small_maps(fast)
    x = torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        ours, theirs = fast(x), plain(x)
    assert ours.dtype == torch.bfloat16
    torch.testing.assert_close(ours, theirs, rtol=2e-2, atol=2e-2)
    ours.float().sum().backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in fast.parameters())


def test_a_whole_network_trains_alike_and_keeps_its_state_dict():
    torch.manual_seed(0)
    plain = build(Architecture.convnext((1, 1, 2, 1), (8, 16, 24, 32), layer_scale=1.0), 10).double()
    fast = copy.deepcopy(plain)
    speed_up_small_maps(fast)
    assert list(fast.state_dict()) == list(plain.state_dict())
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    for network in (plain, fast):
        network.to(memory_format=torch.channels_last)
        network(images).square().sum().backward()
    for (name, ours), theirs in zip(fast.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-10, msg=name)
