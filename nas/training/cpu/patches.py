"""Convolutions whose stride is their kernel, on CPUs: a matrix product of the patches.

ConvNeXt's stem and its downsampling layers cut a map into patches that do not overlap. In channels-last
memory bringing each patch together is one copy, and the rest is a product with the weight as it lies.
PyTorch's CPU convolution is as fast forwards on large maps; its gradients on small ones take up to ten times
as long.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PatchConvolution(nn.Conv2d):
    """A convolution whose stride is its kernel size, without padding."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, out, H // k, W // k], channels-last."""
        patches = cut(x, self.kernel_size[0])
        # movedim makes a view: the output lies channels-last, as the next layer wants it
        return F.linear(patches, self.weight.permute(0, 2, 3, 1).flatten(1), self.bias).movedim(-1, 1)


def cut(x: Tensor, size: int) -> Tensor:
    """[N, C, H, W] -> [N, H // size, W // size, size * size * C]; what is left at the edges is cut off."""
    count, channels, height, width = x.shape
    rows, columns = height // size, width // size
    # views of channels-last memory; the last reshape below is the one copy
    x = x[:, :, : rows * size, : columns * size].movedim(1, -1)
    pieces = x.reshape(count, rows, size, columns, size, channels)
    return pieces.transpose(2, 3).reshape(count, rows, columns, size * size * channels)


def is_patch_convolution(conv: nn.Conv2d) -> bool:
    """Square, dense, stride = kernel, no padding."""
    k = conv.kernel_size[0]
    square = conv.kernel_size == conv.stride == (k, k)
    return square and conv.padding == (0, 0) and conv.dilation == (1, 1) and conv.groups == 1
