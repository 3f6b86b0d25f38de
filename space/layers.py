"""The layers `network.py` puts together. Feature maps are [N, C, H, W], in either memory format.

The source of some stands in exported networks as it is (`nas.targets.source.layers`): Python 3.8, torch 1.8,
TorchScript (which has no `super().forward`), lines of 88 characters.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from space.architecture import Activation, Norm


class GELU(nn.GELU):
    """GELU of [N, C, ...], over channels-last memory as it lies: oneDNN's takes contiguous tensors only."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


ACTIVATION_LAYERS: dict[Activation, type[nn.Module]] = {
    "relu": nn.ReLU,
    "gelu": GELU,
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,
}


class Pointwise(nn.Linear):
    """1x1 convolution [N, c, H, W] -> [N, out, ceil(H / stride), ceil(W / stride)].

    The weight is [out, c], as in the official code; channels-last maps pass uncopied.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(in_channels, out_channels, bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """[N, c, H, W] -> [N, out, ceil(H / stride), ceil(W / stride)]."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        x = nn.functional.linear(x.movedim(1, -1), self.weight, self.bias)
        return x.movedim(-1, 1)


class LayerNorm(nn.LayerNorm):
    """LayerNorm over the channels of [N, C, H, W] or [N, C]; eps 1e-6, as official."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] -> the same shape."""
        shape, x = self.normalized_shape, x.movedim(1, -1)
        x = nn.functional.layer_norm(x, shape, self.weight, self.bias, self.eps)
        return x.movedim(-1, 1)


class RMSNorm(nn.RMSNorm):
    """RMSNorm over the channels of [N, C, H, W] or [N, C]; eps 1e-6, a weight and no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] -> the same shape."""
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class BatchNorm(nn.BatchNorm2d):
    """BatchNorm of [N, C, H, W] or [N, C]; eps 1e-5."""

    # torch's takes maps alone; the head's norm has pooled channels before it
    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002 - torch's own name
        if input.dim() not in (2, 4):
            raise ValueError(f"BatchNorm takes [N, C] or [N, C, H, W], not {input.dim()} dimensions")


def group_count(channels: int) -> int:
    """Groups of a GroupNorm: gcd(32, channels), or half, where a group is one channel.

    A group of one channel at 1x1 is its own mean: the norm would put out its bias,
    whatever comes in.
    """
    groups = math.gcd(32, channels)
    return groups // 2 if groups == channels > 1 else groups


class GroupNorm(nn.GroupNorm):
    """GroupNorm of [N, C, H, W] or [N, C] with `group_count(C)` groups; eps 1e-5."""

    def __init__(self, channels: int) -> None:
        super().__init__(group_count(channels), channels, eps=1e-5)


NORM_LAYERS: dict[Norm, type[nn.Module]] = {
    "batch": BatchNorm,
    "layer": LayerNorm,
    "group": GroupNorm,
    "rms": RMSNorm,
}


def norm_layer(norm: Norm, channels: int) -> nn.Module:
    """The norm of this type over `channels`."""
    return NORM_LAYERS[norm](channels)


def activation_layer(activation: Activation) -> nn.Module:
    """The activation of this type."""
    return ACTIVATION_LAYERS[activation]()


class GRN(nn.Module):
    """Global response normalisation of [N, C, H, W] (ConvNeXt V2, section 3.2).

    It starts as the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape."""
        response: Tensor = torch.norm(x, p=2, dim=(2, 3), keepdim=True)
        relative = response / (response.mean(dim=1, keepdim=True) + 1e-6)
        return x + self.gamma.view(-1, 1, 1) * (x * relative) + self.beta.view(-1, 1, 1)


class DropPath(nn.Module):
    """Stochastic depth: in training, drops whole samples with probability `rate`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> the same shape; kept samples are scaled by 1 / (1 - rate)."""
        if self.rate == 0 or not self.training:
            return x
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))

    def extra_repr(self) -> str:
        """The rate, for `print(network)`."""
        return f"rate={self.rate:.3f}"


def init_weights(module: nn.Module) -> None:
    """Truncated normal weights of std .02, zero biases (official code)."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
