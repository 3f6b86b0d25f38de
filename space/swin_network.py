"""`Swin` -> `torch.nn.Module`, with the official state dict (Liu et al. 2021). Maps are [N, H, W, C].

Names in the state dict: `patch_embed.proj`, `patch_embed.norm`; `layers.i.blocks.j` with `norm1`,
`attn.relative_position_bias_table`, `attn.relative_position_index`, `attn.qkv`, `attn.proj`, `norm2`,
`mlp.fc1`, `mlp.fc2`; `layers.i.downsample.reduction` and `.norm`; `norm`, `head`. Official checkpoints also
hold `attn_mask`, which belongs to one input size; it is computed here, and ignored on loading.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from space.layers import DropPath
from space.swin import Swin, window_of

# the official value: low enough to switch a pair off, and finite in half precision
MASKED = -100.0


def build_swin(swin: Swin, num_classes: int = 1000) -> SwinNetwork:
    """The network of a `Swin`, initialised as the official code does."""
    return SwinNetwork(swin, num_classes)


class SwinNetwork(nn.Module):
    """Images [N, 3, H, W] of any size -> logits [N, num_classes]."""

    def __init__(self, swin: Swin, num_classes: int = 1000) -> None:
        super().__init__()
        self.architecture = swin
        self.patch_embed = PatchEmbed(swin.patch_size, swin.width)
        blocks = sum(swin.depths)
        # stochastic depth rises linearly from the first block to the last
        rates = [swin.drop_path * j / max(1, blocks - 1) for j in range(blocks)]
        self.layers = nn.ModuleList()
        for i, depth in enumerate(swin.depths):
            self.layers.append(SwinStage(swin, i, rates[:depth]))
            rates = rates[depth:]
        self.norm = nn.LayerNorm(swin.widths[-1])
        self.head = nn.Linear(swin.widths[-1], num_classes)
        self.apply(init_linear)

    @staticmethod
    def no_weight_decay_keywords() -> set[str]:
        """Parts of the names of parameters that the official recipe does not decay, beside 1-D ones."""
        return {"relative_position_bias_table"}

    def features(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> the last stage's output [N, C, H', W'], before the norm."""
        x = self.patch_embed(x)
        for layer in self.layers:
            x = layer(x)
        return x.movedim(-1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> logits [N, num_classes]."""
        x = self.norm(self.features(x).movedim(1, -1))
        return self.head(x.mean((1, 2)))  # type: ignore[no-any-return]


class PatchEmbed(nn.Module):
    """Whole patches -> tokens: [N, 3, H, W] -> [N, ceil(H / patch), ceil(W / patch), width]."""

    def __init__(self, patch_size: int, width: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(3, width, patch_size, stride=patch_size)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> [N, ceil(H / patch), ceil(W / patch), width]."""
        height, width = x.shape[2:]
        x = F.pad(x, (0, -width % self.patch_size, 0, -height % self.patch_size))
        return self.norm(self.proj(x).movedim(1, -1))  # type: ignore[no-any-return]


class PatchMerging(nn.Module):
    """2x2 neighbours into one token (section 3.1): [N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), 2 C]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), 2 C]."""
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
        # the official order of the four neighbours goes down the columns first
        corners = [x[:, row::2, column::2] for column in (0, 1) for row in (0, 1)]
        return self.reduction(self.norm(torch.cat(corners, dim=-1)))  # type: ignore[no-any-return]


class SwinStage(nn.Module):
    """Blocks at one resolution, then patch merging unless it is the last stage; [N, H, W, C]."""

    def __init__(self, swin: Swin, index: int, drop_path: Sequence[float]) -> None:
        super().__init__()
        self.window = swin.window
        self.blocks = nn.ModuleList(
            SwinBlock(swin, index, shifted=j % 2 == 1, drop_path=rate) for j, rate in enumerate(drop_path)
        )
        last = index == len(swin.depths) - 1
        self.downsample = None if last else PatchMerging(swin.widths[index])

    def forward(self, x: Tensor) -> Tensor:
        """[N, H, W, C] -> [N, ceil(H / 2), ceil(W / 2), 2 C], the last stage the same shape."""
        height, width = x.shape[1:3]
        side, shift = window_of(height, width, self.window)
        mask = None
        if shift and len(self.blocks) > 1:  # all shifted blocks share it
            mask = shift_mask(height + -height % side, width + -width % side, side, shift, x)
        for block in self.blocks:
            x = block(x, mask)
        return x if self.downsample is None else self.downsample(x)


class SwinBlock(nn.Module):
    """Windowed attention and an MLP, each behind a norm and beside a shortcut (section 3.2); [N, H, W, C]."""

    def __init__(self, swin: Swin, index: int, *, shifted: bool, drop_path: float) -> None:
        super().__init__()
        channels = swin.widths[index]
        self.window, self.shifted = swin.window, shifted
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, swin.heads[index], swin.window, swin.qkv_bias)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, swin.hidden[index])
        self.drop_path = DropPath(drop_path)
        self.register_load_state_dict_pre_hook(_ignore_mask)  # type: ignore[no-untyped-call]

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """[N, H, W, C] -> the same shape; `mask` is `shift_mask`'s, for the shifted blocks."""
        x = x + self.drop_path(self.attend(self.norm1(x), mask))
        return x + self.drop_path(self.mlp(self.norm2(x)))  # type: ignore[no-any-return]

    def attend(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Attention inside each window of the padded, shifted map; [N, H, W, C] -> the same shape."""
        height, width = x.shape[1:3]
        side, shift = window_of(height, width, self.window)
        shift, mask = (shift, mask) if self.shifted else (0, None)
        # the padding takes part as keys of zeros plus bias: the official code does not mask it
        x = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
        padded_height, padded_width = x.shape[1:3]
        if shift:
            x = x.roll((-shift, -shift), (1, 2))
        x = from_windows(self.attn(to_windows(x, side), side, mask), side, padded_height, padded_width)
        if shift:
            x = x.roll((shift, shift), (1, 2))
        return x[:, :height, :width]


class WindowAttention(nn.Module):
    """Multi-head attention among the tokens of a window, with relative position bias (equation 4).

    Two plain matrix products: fvcore has no count for `scaled_dot_product_attention`, which would drop out
    of the measured cost, and a bias for every window and head keeps it from its fastest kernels.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int, qkv_bias: bool) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        self.register_buffer("relative_position_index", relative_position_index(window))
        self.qkv = nn.Linear(channels, 3 * channels, bias=qkv_bias)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, side: int, mask: Tensor | None = None) -> Tensor:
        """Windows [N * windows, side^2, C] -> the same shape; `mask` is [windows, side^2, side^2]."""
        count, tokens, channels = x.shape
        qkv = self.qkv(x).reshape(count, tokens, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        scores = (q * (channels // self.heads) ** -0.5) @ k.transpose(-2, -1)
        bias = self.position_bias(side)
        if mask is None:
            scores = scores + bias
        else:
            bias = bias + mask[:, None]
            scores = (scores.unflatten(0, (-1, mask.shape[0])) + bias).flatten(0, 1)
        x = (scores.softmax(-1) @ v).transpose(1, 2).reshape(count, tokens, channels)
        return self.proj(x)  # type: ignore[no-any-return]

    def position_bias(self, side: int) -> Tensor:
        """[heads, side^2, side^2]; a window smaller than `window` has its offsets in the same table."""
        index = self.relative_position_index.view((self.window,) * 4)[:side, :side, :side, :side]
        bias = self.relative_position_bias_table[index.reshape(-1)]
        return bias.view(side**2, side**2, self.heads).permute(2, 0, 1)


class Mlp(nn.Module):
    """Linear, GELU, linear over the channels; [..., C] -> the same shape."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1, self.act, self.fc2 = nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """[..., C] -> the same shape."""
        return self.fc2(self.act(self.fc1(x)))  # type: ignore[no-any-return]


def relative_position_index(window: int) -> Tensor:
    """Row of the bias table for every pair of tokens of a window, [window^2, window^2]."""
    # offsets from -(window - 1) to window - 1 in both directions, a row of the table each
    row, column = torch.arange(window**2) // window, torch.arange(window**2) % window
    rows, columns = row[:, None] - row, column[:, None] - column
    return (rows + window - 1) * (2 * window - 1) + columns + window - 1


def shift_mask(height: int, width: int, side: int, shift: int, like: Tensor) -> Tensor:
    """0 for pairs of tokens that were neighbours before the shift, else -100 (figure 4).

    [windows, side^2, side^2] for a map of `height` x `width` whole windows, of the type and device of `like`.
    """

    def band(length: int) -> Tensor:
        i = torch.arange(length, device=like.device)
        # 0 before the last window; in it 1, and 2 for what the shift brought round from the other side
        return (i >= length - side).long() + (i >= length - shift).long()

    region = to_windows((3 * band(height)[:, None] + band(width))[None, :, :, None], side)[..., 0]
    apart = region[:, :, None] != region[:, None, :]
    return like.new_zeros(apart.shape).masked_fill(apart, MASKED)


def to_windows(x: Tensor, side: int) -> Tensor:
    """Map [N, H, W, C] of whole windows -> [N * windows, side^2, C]."""
    height, width, channels = x.shape[1:]
    x = x.reshape(-1, height // side, side, width // side, side, channels)
    return x.transpose(2, 3).reshape(-1, side**2, channels)


def from_windows(x: Tensor, side: int, height: int, width: int) -> Tensor:
    """Windows [N * windows, side^2, C] -> the map [N, height, width, C]; undoes `to_windows`."""
    x = x.reshape(-1, height // side, width // side, side, side, x.shape[-1])
    return x.transpose(2, 3).reshape(-1, height, width, x.shape[-1])


def init_linear(module: nn.Module) -> None:
    """Linear layers: truncated normal of std .02, zero biases; the rest keeps torch's own (official code)."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _ignore_mask(_module: nn.Module, state_dict: dict[str, Any], prefix: str, *_: Any) -> None:
    state_dict.pop(prefix + "attn_mask", None)
