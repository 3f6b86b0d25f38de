"""A moving average of a network's weights, as timm's `ModelEmaV2` (timm/utils/model_ema.py) has it."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

SPANS = 7.5
"""How often the average forgets in a training, at least: its steps x (1 - decay). The shortest published
training with an average, ConvNeXt-XL's fine-tuning (75,060 steps at .9999), has 7.506."""


def ema_decay(decay: float, steps: int) -> float:
    """The decay in a training of so many optimiser steps: `decay`, or less where the average would not leave
    its start behind, of which e^-7.5 (.06%) may be left in the end.

    .9999 remembers 10,000 steps: in a training of 2,000 most of the average would be the random start. A
    memory of a number of steps is of other images where the batch is another (Busbridge et al. 2023,
    arXiv:2307.13813, who scale it by the batch); that it is a share of the training is ours.
    """
    return min(decay, math.exp(-SPANS / steps))


class Ema:
    """Keeps `network`, a copy whose floating values, buffers too, become d * average + (1 - d) * current.

    The average starts at the current values and has no warm-up. Counters (BatchNorm's number of batches)
    are copied: an average of whole numbers is none. torch's own `AveragedModel` differs in all three.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the average towards the values of `network`, the one it was copied from."""
        average, current = _values(self.network), _values(network)
        floating = [i for i, value in enumerate(average) if value.is_floating_point()]
        kept = [average[i] for i in floating]
        # all tensors in one call: one by one, each would cost the GPU two kernel launches at every step
        torch._foreach_mul_(kept, self.decay)
        torch._foreach_add_(kept, [current[i] for i in floating], alpha=1 - self.decay)
        for old, new in zip(average, current, strict=True):
            if not old.is_floating_point():
                old.copy_(new)


def _values(network: nn.Module) -> list[Tensor]:
    return [*(parameter.detach() for parameter in network.parameters()), *network.buffers()]
