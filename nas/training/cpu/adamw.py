"""AdamW as torch has it, without the guards that it wears for being compiled itself."""

from __future__ import annotations

from inspect import unwrap
from typing import Any

import torch


class EagerAdamW(torch.optim.AdamW):
    """`torch.optim.AdamW`, the same to the bit, for optimisers that are not compiled (networks may be).

    torch decorates these methods to keep `torch.compile` out of them, and the decorators import all of it
    at the first call: 1.6 to 2 s of the processor before the first training step, in every process.
    """

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)

    @torch.no_grad()  # as the decorator of `step` has it
    def step(self, closure: Any = None) -> Any:
        """One step from the gradients that there are."""
        return unwrap(torch.optim.AdamW.step)(self, closure)
