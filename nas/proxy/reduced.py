"""The network that a proxy trains in place of the one asked for: slimmer, or with larger maps.

What is asked for is what is costed, ranked, recorded and exported; what is trained in its place follows from
it and from the proxy's `width_share` and `stem_stride`. Only `adapt` needs torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from space.architecture import Architecture
from space.cost import Cost
from space.networks import Network, cost_of, parts_of
from space.stage import Stage
from space.swin import Swin

if TYPE_CHECKING:
    from torch import nn

Init = Literal["official", "fan_in", "identity"]
OWN_STRIDE = 4  # of the stems of ResNet, ConvNeXt and Swin
# a vector of four floats, and norms over groups keep at least four
MULTIPLE = 4
LEAST = 8


@dataclass(frozen=True)
class Reduced:
    """What is trained: the slim network, its stem still as published where `network` cannot say otherwise.

    A patchify stem or a Swin's patch has its new size in `network`; a ResNet stem loses strides by `adapt`.
    """

    network: Network
    stem_stride: int
    asked: Network | None = None  # of a slim one

    @property
    def _resnet_stem(self) -> bool:
        network = self.network
        return (
            self.stem_stride < OWN_STRIDE
            and isinstance(network, Architecture)
            and network.stem.type == "resnet"
        )

    def cost(self, resolution: int, num_classes: int) -> Cost:
        """Exactly what is trained costs. Raises `InputError` where the images are too small for it."""
        if not self._resnet_stem:
            return cost_of(self.network, resolution, num_classes)
        # behind the stem everything is as with an own stem and images so much larger
        factor = OWN_STRIDE // self.stem_stride
        total = Cost(0, 0, 0, 0)
        for part in parts_of(self.network, resolution * factor, num_classes)[1:]:
            total = total + part.cost
        # the pool, which costs nothing, loses its stride first: the convolution sees half of that
        seen = resolution * factor // 2
        stem = parts_of(self.network, seen, num_classes)[0].cost
        return total + replace(stem, saved=stem.saved - 3 * (seen**2 - resolution**2))

    def adapt(self, module: nn.Module, init: Init) -> None:
        """Give a ResNet stem its strides and group norms their channels; begin with the weights of `init`."""
        if self._resnet_stem:
            convolution, *_, pool = module.downsample_layers[0]  # type: ignore[index]
            pool.stride = 1  # the window stays, and so does the norm before it
            if self.stem_stride == 1:
                convolution.stride = (1, 1)
        if self.asked is not None:
            slim_groups(module, self.asked)
        if init != "official":
            fan_in(module)
        if init == "identity":
            end_branches_in_zero(module)


def reduced(network: Network, width_share: float, stem_stride: int) -> Reduced:
    """The network that is trained in place of `network`."""
    return Reduced(
        with_stem(slimmed(network, width_share), stem_stride),
        stem_stride,
        network if width_share < 1 else None,
    )


def seen_resolution(resolution: int, stem_stride: int) -> int:
    """The pixels at which a network with its own stem has the maps that it has with `stem_stride`."""
    return resolution * OWN_STRIDE // stem_stride


def with_stem(network: Network, stride: int) -> Network:
    """Patches of a side of `stride` where theirs is 4, others in proportion: 8 becomes 4 at stride 2."""
    if stride == OWN_STRIDE:
        return network
    if isinstance(network, Swin):
        return replace(network, patch_size=_patch(network.patch_size, stride))
    if network.stem.type == "resnet":
        return network
    return replace(network, stem=replace(network.stem, patch_size=_patch(network.stem.patch_size, stride)))


def _patch(size: int, stride: int) -> int:
    return max(1, size * stride // OWN_STRIDE)


def slimmed(network: Network, share: float) -> Network:
    """The network with all widths times `share`; depths, kernels, expansions, norms and the rest stay.

    A width goes to the nearest multiple of 4, is at least 8, and never more than it was. Groups keep their
    number as near as can be: their width is times `share` too, the stage's width a multiple of it. What
    follows from the widths follows them: hidden channels by the expansion, a bottleneck's output as well. A
    Swin's heads keep the channels of a head as near as a divisor of the new width allows.
    """
    if share == 1:
        return network
    if isinstance(network, Swin):
        return _slim_swin(network, share)
    stem = network.stem
    if stem.width is not None:
        stem = replace(stem, width=_slim(stem.width, share))
    stages = [_slim_stage(stage, share) for stage in network.stages]
    stem_width = stages[0].width if stem.width is None else stem.width
    entering = [stem_width, *(stage.out for stage in stages[:-1])]
    if network.downsampling == "separate":
        entering[1:] = [stage.out for stage in stages[1:]]
    grouped = tuple(_fit_groups(s, c) for s, c in zip(stages, entering, strict=True))
    return replace(network, stem=stem, stages=grouped)


def _slim(width: int, share: float, multiple: int = MULTIPLE) -> int:
    """The width times the share: a multiple, at least 8, and at most the width it was."""
    near = multiple * max(round(width * share / multiple), -(-LEAST // multiple))
    return min(near, width)


def _slim_stage(stage: Stage, share: float) -> Stage:
    if stage.group_width is None:
        return replace(stage, width=_slim(stage.width, share))
    # a group of one channel would be depthwise, another convolution
    group = max(min(2, stage.group_width), round(stage.group_width * share))
    width = _slim(stage.width, share, math.lcm(MULTIPLE, group))
    return replace(stage, width=width, group_width=group)


def _fit_groups(stage: Stage, in_channels: int) -> Stage:
    """The stage with the group width nearest to its own that divides all channels it convolves."""
    if stage.group_width is None:
        return stage
    channels = [stage.hidden] if stage.spatial == "middle" else [in_channels, stage.out]
    return replace(stage, group_width=_nearest(_divisors(math.gcd(*channels)), stage.group_width))


def _slim_swin(swin: Swin, share: float) -> Swin:
    width = _slim(swin.width, share)
    widths = [width * 2**i for i in range(len(swin.depths))]
    wanted = [new * heads / old for new, heads, old in zip(widths, swin.heads, swin.widths, strict=True)]
    heads = [_nearest(_divisors(new), count) for new, count in zip(widths, wanted, strict=True)]
    return replace(swin, width=width, heads=tuple(heads))


def _divisors(number: int) -> Sequence[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _nearest(values: Iterable[int], wanted: float) -> int:
    """The value nearest in ratio; of two alike the larger."""
    return min(values, key=lambda value: (round(abs(math.log(value / wanted)), 9), -value))


def slim_groups(module: nn.Module, asked: Network) -> None:
    """Let the groups of every GroupNorm have as many channels as in the network asked for, as near as can be.

    By their own rule slim ones are left with two channels, which behind the pool are their mean plus and
    minus one, whatever comes in.
    """
    import torch

    from space.layers import GroupNorm
    from space.networks import build_network

    if not any(isinstance(layer, GroupNorm) for layer in module.modules()):
        return
    with torch.device("meta"):
        whole = build_network(asked, 1)
    for layer, before in zip(module.modules(), whole.modules(), strict=True):
        if isinstance(layer, GroupNorm) and isinstance(before, GroupNorm):
            size = before.num_channels / before.num_groups
            layer.num_groups = _nearest(_divisors(layer.num_channels), layer.num_channels / size)


def fan_in(module: nn.Module) -> None:
    """Draw the weights of all convolutions and linear layers again, normal of std fan_in^-1/2.

    The official std of .02 is that of 2500 channels: a narrow network's branches begin all but asleep with
    it, and a norm that forgets the scale (BatchNorm) gains by it.
    """
    from torch import nn

    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            std = layer.weight[0].numel() ** -0.5
            nn.init.trunc_normal_(layer.weight, std=std, a=-3 * std, b=3 * std)


def end_branches_in_zero(module: nn.Module) -> None:
    """Let every block begin as its shortcut, whatever its branch ends in (Goyal et al. 2017, section 5.1).

    A norm at the end of a branch makes it as loud as the shortcut; where an activation follows their sum,
    as in a ResNet, such a network learns slowly at first, and a short training sees nothing else of it.
    """
    from torch import nn

    from space.network import Block
    from space.swin_network import SwinBlock

    for block in module.modules():
        if isinstance(block, Block):
            ended = block.pwconv2 if isinstance(block.norm3, nn.Identity) else block.norm3
            nn.init.zeros_(ended.weight)  # type: ignore[arg-type]
        elif isinstance(block, SwinBlock):
            nn.init.zeros_(block.attn.proj.weight)
            nn.init.zeros_(block.mlp.fc2.weight)


def facts(trained: Reduced, resolution: int, num_classes: int) -> dict[str, Any]:
    """What was trained, for the record: the network, and its cost at the proxy's pixels and classes."""
    cost = trained.cost(resolution, num_classes)
    return {
        "architecture": trained.network.to_dict(),
        "stem_stride": trained.stem_stride,
        "macs": cost.macs,
        "params": cost.params,
        "activations": cost.activations,
    }
