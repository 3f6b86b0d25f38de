"""Depthwise convolutions on small maps, on CPUs: the weight gradient as a matrix product.

PyTorch's CPU weight gradient of a depthwise 7x7 convolution takes longer on a 1x1 map than on an 8x8 one, and
at a proxy's resolution it takes most of a training step. The same sums, in another order: the products of
every output pixel with every input pixel of a channel, summed over the batch, are S x S numbers, and each
tap of the kernel is the sum of those whose pixels lie that far apart. On maps 16 wide the same is done for
each row of taps, with columns in place of pixels. On a 1x1 map only the centre tap meets anything but
padding, and the convolution is a multiplication.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nas.training.cpu.patches import PatchConvolution, is_patch_convolution

MAX_PIXELS = 64  # an 8x8 map; above, S x S numbers a channel cost more than they save
FEW_PIXELS = 4  # up to here one broadcast product beats the batched matrix product
SMALL_KERNEL = 3  # PyTorch's own gradient is as fast for 3x3 above FEW_PIXELS
# Above MAX_PIXELS sums over pairs of columns win on maps 16 wide, which fill whole vectors, with large
# kernels: 64 images of 96 channels of 16x16 take PyTorch 16, 29, 38 and 56 ms with kernels of 5, 7, 9 and 11,
# the sums 34, 24, 28 and 32 (one core, fp32, under load). On maps 10 and 14 wide PyTorch is faster with 7.
COLUMNS = 16
LARGE_KERNEL = 7
SLICE = 1 << 19  # numbers of a map that are brought into another order at once, so that they stay in cache


class SmallMapDepthwise(nn.Conv2d):
    """A depthwise convolution of stride 1 and "same" padding with a fast weight gradient on small maps."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H, W]."""
        pixels = x.shape[2] * x.shape[3]
        fast = is_fast(x.shape[2], x.shape[3], self.kernel_size[0])
        # only the weight gradient is replaced: without gradients nothing is gained, but on a 1x1 map
        if not fast or (pixels > 1 and not torch.is_grad_enabled()):
            return super().forward(x)
        # autocast stops at a Function of one's own, and a product would take the wider type
        dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
        x, weight = x.to(dtype), self.weight.to(dtype)
        bias = None if self.bias is None else self.bias.to(dtype)
        if pixels > 1:
            return _Depthwise.apply(x, weight, bias)  # type: ignore[no-untyped-call,no-any-return]
        centre = self.kernel_size[0] // 2
        y = x * weight[:, :, centre, centre].view(1, -1, 1, 1)
        return y if bias is None else y + bias.view(1, -1, 1, 1)


def is_fast(height: int, width: int, kernel_size: int) -> bool:
    """Whether `weight_gradient` beats PyTorch's own on maps of that size."""
    pixels = height * width
    if pixels <= MAX_PIXELS:
        return pixels <= FEW_PIXELS or kernel_size > SMALL_KERNEL
    return width == COLUMNS and kernel_size >= LARGE_KERNEL


class _Depthwise(torch.autograd.Function):
    """x [N, C, H, W], weight [C, 1, k, k], bias [C] or None -> [N, C, H, W]."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return nn.functional.conv2d(x, weight, bias, padding=weight.shape[2] // 2, groups=weight.shape[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        x, weight = ctx.saved_tensors
        pad = [weight.shape[2] // 2] * 2
        # only the input's gradient is PyTorch's own; the mask leaves out the slow one
        to_input, _, _ = torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [1, 1], pad, [1, 1], False, [0, 0], x.shape[1], (True, False, False)
        )
        to_bias = gradient.sum((0, 2, 3)) if ctx.has_bias else None
        return to_input, weight_gradient(x, gradient, weight.shape[2]), to_bias


def weight_gradient(x: Tensor, gradient: Tensor, kernel_size: int) -> Tensor:
    """Gradient [C, 1, k, k] from input and output gradient [N, C, H, W]."""
    if x.shape[2] * x.shape[3] <= MAX_PIXELS:
        return _by_pixels(x, gradient, kernel_size)
    return _by_columns(x, gradient, kernel_size)


def _by_pixels(x: Tensor, gradient: Tensor, kernel_size: int) -> Tensor:
    count, channels, height, width = x.shape
    pixels = height * width
    inputs = x.permute(0, 2, 3, 1).reshape(count, pixels, channels)
    outputs = gradient.permute(0, 2, 3, 1).reshape(count, pixels, channels)
    if pixels <= FEW_PIXELS:
        pairs = (outputs[:, :, None] * inputs[:, None]).sum(0).view(-1, channels).t()
    else:
        a, b = (
            t.reshape(-1, channels).t().contiguous().view(channels, count, pixels) for t in (outputs, inputs)
        )
        # [C, S, N] x [C, N, S]: output pixel first, as `taps_of_pairs` has them
        pairs = torch.bmm(a.transpose(1, 2), b).view(channels, -1)
    return (pairs @ taps_of_pairs(height, width, kernel_size).to(pairs.dtype)).view(
        channels, 1, kernel_size, kernel_size
    )


def _by_columns(x: Tensor, gradient: Tensor, kernel_size: int) -> Tensor:
    """Row by row of taps: rows of both maps that lie that far apart, and in them the pairs of columns."""
    channels, height, width = x.shape[1:]
    centre = kernel_size // 2
    summed = torch.promote_types(x.dtype, torch.float32)  # bf16 would lose what the slices add
    # row of taps, channel, input column, output column
    pairs = torch.zeros(kernel_size, channels, width, width, dtype=summed)
    count = max(1, SLICE // (channels * height * width))
    for inputs, outputs in zip(torch.split(x, count), torch.split(gradient, count), strict=True):
        a, b = _rows_together(inputs), _rows_together(outputs)
        for row in range(max(0, centre - height + 1), min(kernel_size, centre + height)):
            # only rows that both maps have: what lies in the padding adds nothing
            apart = row - centre
            seen = a[:, max(0, apart) : height + min(0, apart)].flatten(1, 2)
            seeing = b[:, max(0, -apart) : height + min(0, -apart)].flatten(1, 2)
            pairs[row] += torch.bmm(seen.transpose(1, 2), seeing)
    # of a map one row high only the kernel's middle row has taps: how columns meet, in any row
    taps = taps_of_pairs(1, width, kernel_size)[:, centre * kernel_size : (centre + 1) * kernel_size]
    # output column first, as `taps_of_pairs` has them
    by_channel = pairs.permute(1, 0, 3, 2).reshape(channels, kernel_size, -1)
    return (by_channel @ taps.to(summed)).view(channels, 1, kernel_size, kernel_size).to(x.dtype)


def _rows_together(x: Tensor) -> Tensor:
    """[N, C, H, W] -> contiguous [C, H, N, W], where one offset moves the rows of all images alike."""
    count, channels, height, width = x.shape
    return x.permute(2, 0, 3, 1).reshape(-1, channels).t().contiguous().view(channels, height, count, width)


@lru_cache(maxsize=64)
def taps_of_pairs(height: int, width: int, kernel_size: int) -> Tensor:
    """0/1 matrix [S * S, k * k]: the tap through which output pixel t sees input pixel s, at t * S + s."""
    rows, columns = torch.arange(height), torch.arange(width)
    row = rows[:, None] - rows[:, None, None, None] + kernel_size // 2  # input row - output row
    column = columns - columns[:, None, None] + kernel_size // 2
    inside = (row >= 0) & (row < kernel_size) & (column >= 0) & (column < kernel_size)
    tap = torch.where(inside, row * kernel_size + column, -1).flatten()
    # pairs that are too far apart have tap -1, which is none
    return (tap[:, None] == torch.arange(kernel_size**2)).float()


def speed_up_small_maps(network: nn.Module) -> None:
    """Switches the convolutions of `network` that are faster as matrix products on a CPU, in place.

    Those are depthwise ones of stride 1 (`SmallMapDepthwise`) and those whose stride is their kernel
    (`PatchConvolution`). Parameters and their names stay as they are.
    """
    for module in network.modules():
        # not isinstance: a subclass has a forward pass of its own
        if type(module) is not nn.Conv2d:
            continue
        if is_same_depthwise(module):
            # the class alone changes: parameters, their names and their memory stay as they are
            module.__class__ = SmallMapDepthwise
        elif is_patch_convolution(module):
            module.__class__ = PatchConvolution


def is_same_depthwise(conv: nn.Conv2d) -> bool:
    """One channel a group, stride 1, a square odd kernel, "same" padding."""
    k = conv.kernel_size[0]
    same = conv.kernel_size == (k, k) and conv.padding == (k // 2, k // 2) and k % 2 == 1
    plain = conv.stride == conv.dilation == (1, 1)
    return same and plain and conv.groups == conv.in_channels == conv.out_channels
