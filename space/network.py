"""Architecture -> `torch.nn.Module`. The state dict of a ConvNeXt has the official layout.

Names in the state dict, for every architecture: `downsample_layers.0` is the stem,
`downsample_layers.i` the layers between stages, `stages.i.j` block j of stage i, `norm` and `head` the head.
In a block `pwconv1`, `pwconv2` are its 1x1 convolutions, `dwconv` its spatial one (`conv` if not depthwise),
`norm`, `norm2`, `norm3` the norms after convolution 1, 2, 3, `shortcut` the projection, `gamma` LayerScale.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from space.architecture import Architecture
from space.layers import DropPath, Pointwise, activation_layer, init_weights, norm_layer
from space.stage import OPTIONS, Stage
from space.stem import Stem


def build(architecture: Architecture, num_classes: int = 1000) -> ConvNet:
    """The network of an architecture, initialised as the official code does (ResNets too)."""
    return ConvNet(architecture, num_classes)


class ConvNet(nn.Module):
    """Images [N, 3, H, W] -> logits [N, num_classes]."""

    def __init__(self, architecture: Architecture, num_classes: int = 1000) -> None:
        super().__init__()
        self.architecture = architecture
        entering = architecture.in_channels
        rates = drop_path_rates(architecture)
        self.downsample_layers = nn.ModuleList([stem_layers(architecture)])
        self.stages = nn.ModuleList()
        for i, stage in enumerate(architecture.stages):
            strided = i > 0 and architecture.downsampling == "strided"
            if i > 0 and not strided:
                previous = architecture.stages[i - 1].out
                self.downsample_layers.append(between_stages(architecture, previous, entering[i]))
            blocks = nn.Sequential()
            for j in range(stage.depth):
                channels, stride = (entering[i], 2 if strided else 1) if j == 0 else (stage.out, 1)
                blocks.append(Block(architecture, stage, channels, stride, next(rates)))
            self.stages.append(blocks)
        last = architecture.stages[-1].out
        self.norm = norm_layer(architecture.norm, last) if architecture.head_norm else nn.Identity()
        self.head = nn.Linear(last, num_classes)
        self.apply(init_weights)

    def features(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> the last stage's output [N, C, H', W']."""
        for i, stage in enumerate(self.stages):
            # of strided stages the stem is the only one
            if i < len(self.downsample_layers):
                x = self.downsample_layers[i](x)
            x = stage(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        """[N, 3, H, W] -> logits [N, num_classes]."""
        x = self.features(x)
        return self.head(self.norm(x.mean((2, 3))))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Three convolutions and a shortcut, [N, in_channels, H, W] -> [N, out, ceil(H / stride), ...]."""

    def __init__(
        self, architecture: Architecture, stage: Stage, in_channels: int, stride: int, drop_path: float
    ) -> None:
        super().__init__()
        hidden, out = stage.hidden, stage.out
        batch = architecture.norm == "batch"
        bias1, bias2, bias3 = (not (batch and n in stage.norm_after) for n in (1, 2, 3))
        if stage.spatial == "first":
            middle = in_channels
            convs = {
                spatial_name(stage): spatial_conv(stage, in_channels, stride, bias1),
                "pwconv1": Pointwise(in_channels, hidden, bias=bias2),
            }
        else:
            middle = hidden
            convs = {
                "pwconv1": Pointwise(in_channels, hidden, bias=bias1),
                spatial_name(stage): spatial_conv(stage, hidden, stride, bias2),
            }
        for name, conv in convs.items():
            self.add_module(name, conv)
        # names, not modules: these would stand in the state dict a second time
        self.first, self.second = convs
        self.pwconv2 = Pointwise(hidden, out, bias=bias3)

        def norm(after: int, channels: int) -> nn.Module:
            return norm_layer(architecture.norm, channels) if after in stage.norm_after else nn.Identity()

        def act(after: int) -> nn.Module:
            return activation_layer(architecture.activation) if after in stage.act_after else nn.Identity()

        self.norm, self.norm2, self.norm3 = norm(1, middle), norm(2, hidden), norm(3, out)
        self.act1, self.act2, self.act3 = act(1), act(2), act(3)
        channels = (middle, hidden, out)
        has = [(o, value) for o in OPTIONS if (value := getattr(stage, o.name)) != o.default]
        for option, value in has:
            self.add_module(option.name, option.layer(value, channels[option.after - 1]))
        # names of the declared layers after each convolution
        self.after1, self.after2, self.after3 = ([o.name for o, _ in has if o.after == n] for n in (1, 2, 3))
        scale = architecture.layer_scale
        self.gamma = None if scale is None else nn.Parameter(torch.full((out,), scale))
        self.drop_path = DropPath(drop_path)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or in_channels != out:
            self.shortcut = nn.Sequential(Pointwise(in_channels, out, stride, bias=bias3), norm(3, out))

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out, ceil(H / stride), ceil(W / stride)]."""
        first, second = getattr(self, self.first), getattr(self, self.second)
        y = self.act1(self.norm(first(x)))
        for name in self.after1:
            y = getattr(self, name)(y)
        y = self.act2(self.norm2(second(y)))
        for name in self.after2:
            y = getattr(self, name)(y)
        y = self.norm3(self.pwconv2(y))
        for name in self.after3:
            y = getattr(self, name)(y)
        if self.gamma is not None:
            y = y * self.gamma.view(-1, 1, 1)
        return self.act3(self.shortcut(x) + self.drop_path(y))  # type: ignore[no-any-return]


def spatial_name(stage: Stage) -> str:
    """The k x k convolution's name in the state dict."""
    return "dwconv" if stage.conv == "depthwise" else "conv"


def spatial_conv(stage: Stage, channels: int, stride: int, bias: bool) -> nn.Module:
    """The block's k x k convolution, [N, channels, H, W] -> [N, channels, ceil(H / stride), ...]."""
    if stage.kernel_size == 1 and stage.conv == "dense":
        # torch 2.13 on CPUs writes outside its memory in Conv2d's backward here (stride 2, channels-last)
        return Pointwise(channels, channels, stride, bias)
    # `or`: this entry is worked out for every stage, grouped or not
    groups = {"dense": 1, "depthwise": channels, "grouped": channels // (stage.group_width or channels)}
    k = stage.kernel_size
    return nn.Conv2d(channels, channels, k, stride, k // 2, groups=groups[stage.conv], bias=bias)


def stem_layers(architecture: Architecture) -> nn.Sequential:
    """Convolution (norm) (activation) (max-pool): [N, 3, H, W] -> [N, stem width, H / 4, W / 4] or so."""
    stem: Stem = architecture.stem
    width = architecture.stem_width
    bias = not (stem.norm and architecture.norm == "batch")
    if stem.type == "resnet":
        layers = nn.Sequential(nn.Conv2d(3, width, 7, stride=2, padding=3, bias=bias))
    else:
        layers = nn.Sequential(nn.Conv2d(3, width, stem.patch_size, stride=stem.patch_size, bias=bias))
    if stem.norm:
        layers.append(norm_layer(architecture.norm, width))
    if stem.activation:
        layers.append(activation_layer(architecture.activation))
    if stem.type == "resnet":
        layers.append(nn.MaxPool2d(3, stride=2, padding=1))
    return layers


def between_stages(architecture: Architecture, in_channels: int, out_channels: int) -> nn.Sequential:
    """Separate downsampling: norm, then a 2x2 convolution of stride 2 (paper, section 2.6)."""
    return nn.Sequential(
        norm_layer(architecture.norm, in_channels),
        nn.Conv2d(in_channels, out_channels, 2, stride=2),
    )


def drop_path_rates(architecture: Architecture) -> Iterator[float]:
    """Stochastic depth's rate for every block in turn, rising linearly from 0 to `drop_path`."""
    blocks = sum(architecture.depths)
    for j in range(blocks):
        # the linear rule (Huang et al. 2016, "Deep networks with stochastic depth", section 3): early blocks,
        # which all others build on, are dropped least
        yield architecture.drop_path * j / max(1, blocks - 1)
