"""The layers that a generated module may bring: the ones of the network itself, as they stand there."""

from __future__ import annotations

import inspect
import re

import torch
from torch import Tensor, nn

from space.layers import GRN, DropPath, GroupNorm, LayerNorm, Pointwise, group_count, init_weights


# not the network's own layer: torch has nn.RMSNorm only from 2.4 on
class RMSNorm(nn.Module):
    """RMSNorm over the channels of [N, C, H, W] or [N, C]: a weight and no bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, ...] -> the same shape."""
        x = x.movedim(1, -1)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
        return x.movedim(-1, 1)


# a layer stands before what it uses itself
LAYERS = {
    layer.__name__: inspect.getsource(layer).rstrip()
    for layer in (LayerNorm, RMSNorm, GroupNorm, group_count, GRN, Pointwise, DropPath, init_weights)
}


def with_layers(text: str) -> str:
    """`text`, and after it, as in the official file, the layers that it uses."""
    for name, source in LAYERS.items():
        if re.search(rf"(?<![.\w]){name}[()]", text):
            text += f"\n\n\n{source}"
    return text
