"""The training loop, one for a search's short trainings and a whole recipe: small functions over a `State`.

An optimiser step is as many forward passes as the recipe has devices x accumulation. Each of them is a slot
with randomness of its own: however processes share the slots, the training is the same, to rounding
(BatchNorm's running statistics apart, which are those of the first process, as in the official code).
"""

from __future__ import annotations

import contextlib
import math
import time
from dataclasses import asdict
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data.augment.pipeline import augmented
from nas.training.device import autocast, cuda_devices, peak_memory
from nas.training.evaluation import evaluate
from nas.training.result import Epoch, Result, StepDone, TrialFailed
from nas.training.run import Run
from nas.training.state import Slot, State


def run_epoch(state: State, run: Run, on_step: StepDone | None = None) -> Epoch:
    """One pass over the training split and one over the validation split; moves `state` on.

    The global random state is left as it was. Raises `TrialFailed`.
    """
    began, step = time.perf_counter(), state.step
    with torch.random.fork_rng(cuda_devices(run.device)):
        train_loss = _train_pass(state, run, on_step)
    trained = time.perf_counter()
    networks = [state.network] if state.ema is None else [state.network, state.ema.network]
    for network in networks:
        # each rank validates other images, which must see one network
        run.ranks.same_buffers(network)
    found = evaluate(networks, run)
    ended = time.perf_counter()
    # before the check, whose message counts from 1
    state.epoch += 1
    if not math.isfinite(found[0].loss):
        raise TrialFailed(f"validation loss is not finite after epoch {state.epoch}")
    images = (state.step - step) * run.recipe.total_batch_size
    state.images += images
    state.answers = [each.answers for each in found]
    state.peak_memory = max(state.peak_memory, peak_memory(run.device))
    state.train_seconds += trained - began
    state.eval_seconds += ended - trained
    point = Epoch(state.epoch, train_loss, found[0].loss, found[0].top1, ended - began)
    state.curve.append(point)
    beside = {"lr": run.lr(state.step - 1), "val_top5": found[0].top5}
    if state.ema is not None:
        beside |= {"ema_loss": found[1].loss, "ema_accuracy": found[1].top1, "ema_top5": found[1].top5}
    state.beside.append(beside | {"images_per_second": images / max(trained - began, 1e-9)})
    return point


def _train_pass(state: State, run: Run, on_step: StepDone | None) -> float:
    """The mean training loss of one epoch."""
    state.network.train()
    losses = _Losses(state, run)
    incoming = run.batches.training(state.epoch, micro_batches(_order(state, run), run))
    for done in range(1, run.steps + 1):
        state.optimizer.zero_grad(set_to_none=True)
        for slot in state.slots:
            pixels, labels = next(incoming)
            with slot.turn(run.device), _gradients_shared(state, slot is state.slots[-1]):
                loss = _loss(state, run, slot, pixels, labels)
                losses.add(loss)
                # the mean over this process's slots; DDP takes that over the processes
                (loss / len(state.slots)).backward()  # type: ignore[no-untyped-call]
        update(state, run.lr(state.step), run.recipe.clip_norm)
        if on_step is not None:
            on_step(done, run.steps, losses.last)
    return sum(losses.values) / len(losses.values)


def _order(state: State, run: Run) -> Tensor:
    """The epoch's images int64 [steps * total batch], the same on all ranks."""
    size = run.batches.train_size
    if run.ranks.main:
        # by slot 0's generator, which rank 0 alone has
        order = torch.randperm(size, generator=state.slots[0].generator)
    else:
        order = torch.empty(size, dtype=torch.int64)
    return run.ranks.broadcast(order)[: run.steps * run.recipe.total_batch_size]


def micro_batches(order: Tensor, run: Run) -> list[Tensor]:
    """This process's batches, in the order in which it needs them; slot k has every step's k-th slice."""
    # a slot's images do not depend on who has the slot, so neither do gradients on the number of processes
    slices = order.view(run.steps, run.slots, run.recipe.batch_size)
    own = run.own_slots
    return list(slices[:, own.start : own.stop].flatten(0, 1))


class _Losses:
    """An epoch's losses, one an optimiser step: the mean over its slots. They wait on the device."""

    def __init__(self, state: State, run: Run) -> None:
        self._state = state
        self._run = run
        self._before = state.step
        self._waiting: list[Tensor] = []
        self.values: list[float] = []

    @property
    def last(self) -> float:
        """The last one read."""
        return self.values[-1] if self.values else math.nan

    def add(self, loss: Tensor) -> None:
        """Another slot's loss. Raises `TrialFailed` when they are read and one is not finite."""
        self._waiting.append(loss.detach())
        slots, run = len(self._state.slots), self._run
        steps = len(self._waiting) // slots
        last = len(self.values) + steps == run.steps
        if len(self._waiting) % slots == 0 and (steps == run.read_every or last):
            self._read(steps)

    def _read(self, steps: int) -> None:
        # here the host waits for the device
        waiting = torch.stack(self._waiting).cpu().double().view(steps, -1).mean(1)
        self._waiting = []
        self.values += (self._run.ranks.sum(waiting) / self._run.ranks.world).tolist()
        for i, value in enumerate(self.values[-steps:], len(self.values) - steps):
            if not math.isfinite(value):
                raise TrialFailed(
                    f"loss is not finite at epoch {self._state.epoch + 1}, step {self._before + i + 1}"
                )


def _loss(state: State, run: Run, slot: Slot, pixels: Tensor, labels: Tensor) -> Tensor:
    """The mean loss of one forward pass over pixels uint8 [N, H, W, 3]."""
    images, targets = augmented(pixels, labels, run.recipe, run.device, slot.generator)
    with autocast(run.device, run.precision):
        logits = state.forward(images)
    # in float32: bf16 has too few digits for a softmax over many classes
    return F.cross_entropy(logits.float(), targets)


def _gradients_shared(state: State, last: bool) -> contextlib.AbstractContextManager[Any]:
    """Gradients of all ranks are averaged in the last backward pass of an optimiser step."""
    return contextlib.nullcontext() if last or state.parallel is None else state.parallel.no_sync()


def update(state: State, lr: float, clip_norm: float | None) -> None:
    """One optimiser step at the learning rate `lr`, from the gradients that are there."""
    # set at every step, not by a scheduler: after a resume the rate follows from the step alone
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), clip_norm)
    state.optimizer.step()
    if state.ema is not None:
        state.ema.update(state.network)
    state.step += 1


def result_of(state: State, run: Run) -> Result:
    """What the epochs done so far gave. Raises `TrialFailed` where there is none."""
    if not state.curve:
        raise TrialFailed("stopped before the first epoch ended")
    return Result(
        # the last epoch's, not the best one's: a maximum over validations would be optimistic
        accuracy=state.curve[-1].val_accuracy,
        epochs=state.epoch,
        curve=tuple(asdict(point) for point in state.curve),
        train_seconds=state.train_seconds,
        eval_seconds=state.eval_seconds,
        images_per_second=state.images / max(state.train_seconds, 1e-9),
        seed=run.seed,
        precision=run.precision,
        device=str(run.device),
        threads=torch.get_num_threads(),
    )
