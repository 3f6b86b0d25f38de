"""What a training is given."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch

from nas.data.batches import Batches
from nas.recipe.recipe import Recipe
from nas.training.distributed import ALONE, Ranks
from nas.training.ema import ema_decay
from nas.training.form import READ_EVERY, Form, form_on
from nas.training.optimiser import lr_at
from space.errors import InputError


@dataclass(frozen=True, eq=False)
class Run:
    """What a training is given, and what stays the same all through it. Raises `InputError`."""

    recipe: Recipe
    batches: Batches
    seed: int
    device: torch.device
    precision: str
    ranks: Ranks = ALONE
    form: Form | None = None  # None: the device's

    def __post_init__(self) -> None:
        slots, total = self.slots, self.recipe.total_batch_size
        if slots % self.ranks.world:
            raise InputError(
                f"recipe: an optimiser step is {slots} forward passes (accumulation x devices), which "
                f"{self.ranks.world} processes cannot share; start a number that divides it"
            )
        if self.batches.train_size < total:
            raise InputError(
                f"recipe: total_batch_size: {total}, but there are {self.batches.train_size} training images"
            )

    @property
    def slots(self) -> int:
        """Forward passes of an optimiser step, in all processes."""
        return self.recipe.accumulation * self.recipe.devices

    @property
    def own_slots(self) -> range:
        """This process's."""
        count = self.slots // self.ranks.world
        return range(self.ranks.rank * count, (self.ranks.rank + 1) * count)

    @cached_property
    def steps(self) -> int:
        """Optimiser steps of an epoch; the images of the last incomplete one wait for another epoch."""
        return self.batches.train_size // self.recipe.total_batch_size

    @cached_property
    def warmup_steps(self) -> int:
        """Optimiser steps of the warm-up."""
        return round(self.recipe.schedule.warmup_epochs * self.steps)

    @property
    def ema_decay(self) -> float | None:
        """The moving average's decay in this training, of so many steps; None where there is none."""
        given = self.recipe.ema_decay
        return None if given is None else ema_decay(given, self.recipe.epochs * self.steps)

    @cached_property
    def how(self) -> Form:
        """The form in which it runs."""
        return form_on(self.device) if self.form is None else self.form

    @property
    def read_every(self) -> int:
        """Optimiser steps between looks at the losses."""
        # on a CPU the loss is there at once; of several processes each would wait for the others
        return self.how.read_every if self.ranks.world == 1 else READ_EVERY

    def lr(self, step: int) -> float:
        """Learning rate of an optimiser step, counted over all epochs."""
        optimizer, schedule = self.recipe.optimizer, self.recipe.schedule
        steps = self.recipe.epochs * self.steps
        return lr_at(
            step, steps, self.warmup_steps, optimizer.lr, schedule.min_lr, warmup_from=schedule.warmup_from
        )
