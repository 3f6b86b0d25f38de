"""What the optimiser is told: groups of parameters, and the learning rate of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from nas.recipe.recipe import Recipe
from nas.training.layer_decay import lr_scales


def parameter_groups(
    network: nn.Module, weight_decay: float, scales: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Groups for the optimiser: weight decay, and none for biases and 1-D parameters (official code).

    Nor for parameters that a network names in `no_weight_decay_keywords`, as Swin's official code has it.
    `scales` are factors on the learning rate by parameter name; with them there are two groups for each
    factor, which keep it as `lr_scale`.
    """
    spared: set[str] = getattr(network, "no_weight_decay_keywords", set)()
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    if scales is None:
        groups = {(1.0, True): [], (1.0, False): []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            # norms, LayerScale and GRN are 1-D
            plain = parameter.ndim > 1 and not name.endswith(".bias")
            decays = plain and not any(word in name for word in spared)
            groups.setdefault((1.0 if scales is None else scales[name], decays), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": weight_decay if decays else 0.0}
        | ({} if scales is None else {"lr_scale": scale})
        for (scale, decays), parameters in groups.items()
    ]


def layer_scales(recipe: Recipe, network: nn.Module) -> dict[str, float] | None:
    """Layer-wise learning rate decay: each parameter's factor; None without it."""
    if recipe.optimizer.layer_decay is None:
        return None
    names = [name for name, _ in network.named_parameters()]
    return lr_scales(names, recipe.network, recipe.optimizer.layer_decay)


def lr_at(
    step: int, steps: int, warmup_steps: int, lr: float, min_lr: float, *, warmup_from: float = 0.0
) -> float:
    """Learning rate of a step, 0 .. steps - 1: linear from `warmup_from` to `lr`, then a cosine to `min_lr`.

    As the official code (utils.py, cosine_scheduler): the last warm-up step has `lr`, and so has the first
    after it; `min_lr` is what the step after the last would have.
    """
    if step < warmup_steps:
        return warmup_from + (lr - warmup_from) * step / max(1, warmup_steps - 1)
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * progress))
