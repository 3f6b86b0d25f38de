"""A moving average of a network's weights, as timm's `ModelEmaV2` (timm/utils/model_ema.py) has it."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


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
        torch._foreach_mul_(kept, self.decay)
        torch._foreach_add_(kept, [current[i] for i in floating], alpha=1 - self.decay)
        for old, new in zip(average, current, strict=True):
            if not old.is_floating_point():
                old.copy_(new)


def _values(network: nn.Module) -> list[Tensor]:
    return [*(parameter.detach() for parameter in network.parameters()), *network.buffers()]
