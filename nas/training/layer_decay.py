"""Layer-wise learning-rate decay: the nearer a parameter is to the image, the smaller its learning rate.

The official rule (optim_factory.py, `get_num_layer_for_convnext`) divides depths 3-3-27-3 into 12 groups of
three consecutive blocks; the stem is layer 0, the last norm and the classifier are layer 13. Here the rule is
the same for any depths: a stage is cut into groups of three consecutive blocks, of which the last may be
shorter, and what downsamples before a stage belongs to its first group. 3-3-9-3 has 6 groups then, as in the
official detection code. With `n` groups, layer `i` has `layer_decay ** (n + 1 - i)` times the schedule's
learning rate.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from space.architecture import Architecture
from space.errors import InputError
from space.networks import Network

BLOCKS = 3
"""Consecutive blocks that share a learning rate."""


def head_layer(depths: Sequence[int]) -> int:
    """The last layer, that of the head: the number of groups and one."""
    return 1 + sum(math.ceil(depth / BLOCKS) for depth in depths)


def layer_of(name: str, depths: Sequence[int]) -> int:
    """The layer of the parameter of this name (see `space.network`) in a network of these depths."""
    part, *rest = name.split(".")
    if part not in ("downsample_layers", "stages"):
        return head_layer(depths)
    stage = int(rest[0])
    if part == "downsample_layers" and stage == 0:
        return 0
    block = int(rest[1]) if part == "stages" else 0
    # the head's layer of a network that ends before this stage is the stage's first
    return head_layer(depths[:stage]) + block // BLOCKS


def layer_ids(names: Iterable[str], network: Network) -> dict[str, int]:
    """The layer of each parameter, by its name: 0 for the stem, one more from group to group.

    Raises `InputError` for a Swin Transformer.
    """
    if not isinstance(network, Architecture):
        raise InputError("optimizer.layer_decay: is for ConvNets; a Swin Transformer has none (null)")
    return {name: layer_of(name, network.depths) for name in names}


def lr_scales(names: Iterable[str], network: Network, layer_decay: float) -> dict[str, float]:
    """Each parameter's factor on the learning rate; the head's is 1. Raises `InputError` for a Swin."""
    last = head_layer(network.depths)
    return {name: layer_decay ** (last - layer) for name, layer in layer_ids(names, network).items()}
