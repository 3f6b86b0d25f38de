"""CUDA graphs of a network's training passes: a small network's time goes into launching kernels."""

from __future__ import annotations

import gc

import torch
from torch import nn

from nas.recipe.recipe import Recipe
from nas.training.device import cuda_devices


def capture(network: nn.Module, recipe: Recipe, device: torch.device, precision: str) -> None:
    """From now on, training passes of `network` over a whole batch of the recipe are replayed.

    Evaluations run as before. Gradients have one place each, where a second pass before the optimiser's step
    would overwrite the first one's: a step must be one pass. The capture's own passes leave no trace in
    running statistics or in random states.
    """
    gc.collect()  # an earlier network and its graphs hold each other, and their memory on the device
    side = recipe.data.resolution
    images = torch.zeros(recipe.batch_size, 3, side, side, device=device)
    if recipe.channels_last:
        images = images.contiguous(memory_format=torch.channels_last)
    statistics = [buffer.clone() for buffer in network.buffers()]
    network.train()
    with (
        torch.random.fork_rng(cuda_devices(device)),
        # a copy of a weight that autocast keeps would be the weight as it was at the capture
        torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
    ):
        torch.cuda.make_graphed_callables(network, (images,))
    for buffer, before in zip(network.buffers(), statistics, strict=True):
        buffer.copy_(before)
