"""How a training runs on a device: not what it computes, which is the same in every form, to rounding.

One table. `python -m tests.gpu` measures each value against its alternatives on a card and says what it would
have here (docs/gpu.md). Forms are in no fingerprint: a study's results do not depend on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from nas.data import Data

READ_EVERY = 50
"""Optimiser steps between looks at the losses, where a look makes a device or other processes wait."""


@dataclass(frozen=True)
class Form:
    """One way to run a training."""

    compile: Mapping[str, Any] | None = None
    """Arguments of `torch.compile` for the network; None: as it is (a recipe may ask for it, too)."""
    graphs: bool = False
    """Replay the forward and the backward pass as CUDA graphs, where a step is one pass in one process."""
    resident: float = 0.0
    """The share of the device's memory, at most, that a data set may fill to be kept there."""
    deterministic: bool = False
    """Only cuDNN's kernels that give the same bits every time."""
    read_every: int = 1
    """Optimiser steps between looks at the losses."""


FORMS = {
    "cpu": Form(),
    # no card has decided these yet: what is certain to be right is on, what is only likely faster is off
    "cuda": Form(compile=None, graphs=False, resident=0.02, deterministic=False, read_every=READ_EVERY),
}

PER_CARD = 1
"""Short trainings that share a GPU in Ray's engine, unless `--gpus-per-trial` says otherwise."""


def form_on(device: torch.device) -> Form:
    """The form in which trainings run there."""
    return FORMS.get(device.type, FORMS["cuda"])


def fits(data: Data, device: torch.device, form: Form | None = None) -> bool:
    """Whether a data set is kept in the memory of the device, in this form (None: the device's)."""
    share = (form_on(device) if form is None else form).resident
    if device.type != "cuda" or share == 0:
        return False
    import torch

    held = data.train.images.nbytes + data.val.images.nbytes
    return held <= share * torch.cuda.get_device_properties(device).total_memory
