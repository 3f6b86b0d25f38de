"""The training loop, one for a search's short trainings and a whole recipe: small functions over a `State`.

An optimiser step is as many forward passes as the recipe has devices x accumulation. Each of them is a slot
with randomness of its own: however processes share the slots, the training is the same, to rounding
(BatchNorm's running statistics apart, which are those of the first process, as in the official code).
"""

from __future__ import annotations

import contextlib
import errno
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nas.data.augment import crop_and_flip, mix, normalise, soft_targets
from nas.data.batches import Batches
from nas.depthwise import speed_up_small_maps
from nas.distributed import ALONE, Ranks
from nas.ema import Ema
from nas.layer_decay import lr_scales
from nas.memory import keep_freed_memory
from nas.optimizer import EagerAdamW
from nas.recipe import Recipe
from nas.result import Epoch, Result, TrialFailed
from space.errors import InputError, first_line
from space.networks import Network, build_network, cost_of
from space.swin import Swin

# in what torch, oneDNN, cuDNN, the C++ library and the system say, by device and version
NO_MEMORY = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory",
    "unable to allocate", "failed to allocate", "allocation failed", "alloc_failed", "defaultcpuallocator",
    "bad_alloc", "bad allocation", "unable to mmap", "mmap failed", "could not create a primitive",
    "could not create a memory", "could not execute a primitive",
)  # fmt: skip
EVALUATION_BATCH = 256  # images; for the memory's sake, it changes no result
READ_EVERY = 50  # optimiser steps between looks at the losses, where a look makes the device wait

StepDone = Callable[[int, int, float], None]
"""Called with the steps done in this epoch, those there are, and the last loss that was read."""


@dataclass(frozen=True, eq=False)
class Run:
    """What a training is given, and what stays the same all through it. Raises `InputError`."""

    recipe: Recipe
    batches: Batches
    seed: int
    device: torch.device
    precision: str
    ranks: Ranks = ALONE

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
    def read_every(self) -> int:
        """Optimiser steps between looks at the losses."""
        return 1 if self.device.type == "cpu" and self.ranks.world == 1 else READ_EVERY

    def lr(self, step: int) -> float:
        """Learning rate of an optimiser step, counted over all epochs."""
        optimizer, schedule = self.recipe.optimizer, self.recipe.schedule
        steps = self.recipe.epochs * self.steps
        return lr_at(
            step, steps, self.warmup_steps, optimizer.lr, schedule.min_lr, warmup_from=schedule.warmup_from
        )


@dataclass
class Slot:
    """Randomness of one forward pass in every optimiser step: augmentation's, and torch's own generators',
    which stochastic depth (and, before the first slot's, weights) draw from."""

    generator: torch.Generator
    randomness: list[Tensor]

    def to_dict(self) -> dict[str, Any]:
        """Tensors."""
        return {"generator": self.generator.get_state(), "randomness": self.randomness}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Go on from the values of `to_dict`."""
        self.generator.set_state(values["generator"])
        self.randomness = values["randomness"]

    @contextlib.contextmanager
    def turn(self, device: torch.device) -> Iterator[None]:
        """torch's global generators are this slot's meanwhile."""
        torch.set_rng_state(self.randomness[0])
        for cuda, values in zip(_cuda(device), self.randomness[1:], strict=True):
            torch.cuda.set_rng_state(values, cuda)
        yield
        self.randomness = _randomness(device)


@dataclass
class State:
    """What a training continues from; `forward` is the network as trained (compiled, on several devices).

    `beside` has what an epoch measures that is not in its point of the curve.
    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    slots: list[Slot]
    forward: nn.Module
    parallel: DistributedDataParallel | None = None
    ema: Ema | None = None
    epoch: int = 0
    step: int = 0
    images: int = 0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    curve: list[Epoch] = field(default_factory=list)
    beside: list[dict[str, float]] = field(default_factory=list)

    def to_dict(self, ranks: Ranks = ALONE) -> dict[str, Any]:
        """Tensors and plain values, all processes' slots among them; called on every rank."""
        slots = [slot for own in ranks.gathered([slot.to_dict() for slot in self.slots]) for slot in own]
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **slots[0],
            "curve": [asdict(point) for point in self.curve],
            **{name: getattr(self, name) for name in COUNTED},
            "more_slots": slots[1:],
            "beside": self.beside,
            "ema": None if self.ema is None else self.ema.network.state_dict(),
        }

    def restore(self, values: Mapping[str, Any], own_slots: range = range(1)) -> None:
        """Go on from the values of `to_dict`, with these of the slots."""
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        if self.ema is not None:
            self.ema.network.load_state_dict(values["ema"])
        slots = [values, *values.get("more_slots", [])]
        for slot, number in zip(self.slots, own_slots, strict=True):
            slot.restore(slots[number])
        self.curve = [Epoch(**point) for point in values["curve"]]
        self.beside = list(values.get("beside", []))
        for name in COUNTED:
            setattr(self, name, values[name])


COUNTED = ("epoch", "step", "images", "train_seconds", "eval_seconds")


def check_resolution(architecture: Network, resolution: int) -> None:
    """Raises `TrialFailed` where the images are too small for the network's strides."""
    try:
        cost_of(architecture, resolution)
    except InputError as error:
        raise TrialFailed(str(error)) from None


def start(run: Run, initial: Mapping[str, Tensor] | None = None) -> State:
    """A fresh network and optimiser on the device; `initial` replaces as many of its weights as it has."""
    recipe, device = run.recipe, run.device
    with torch.random.fork_rng(_cuda(device)):
        torch.manual_seed(run.seed)
        network = build_network(as_trained(recipe), recipe.data.num_classes)
        slots = [_slot(number, run.seed, device) for number in run.own_slots]
    with torch.no_grad():
        network.head.weight.mul_(recipe.head_init_scale)
    if initial is not None:
        network.load_state_dict(initial, strict=False)
    if device.type == "cpu":
        keep_freed_memory()
        speed_up_small_maps(network)
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    values = recipe.optimizer
    groups = parameter_groups(network, values.weight_decay, layer_scales(recipe, network))
    optimizer = EagerAdamW(groups, lr=values.lr, betas=values.betas, eps=values.eps, fused=True)
    ema = None if recipe.ema_decay is None else Ema(network, recipe.ema_decay)
    forward: nn.Module = network
    parallel = None
    if run.ranks.world > 1:
        forward = parallel = DistributedDataParallel(network, device_ids=_cuda(device) or None)
    if recipe.compile:
        forward = torch.compile(forward)  # type: ignore[assignment]
    return State(network, optimizer, slots, forward, parallel, ema)


def _slot(number: int, seed: int, device: torch.device) -> Slot:
    """The first goes on where the weights' initialisation has left torch's generators."""
    if number > 0:
        seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)[0])
        torch.manual_seed(seed)
    return Slot(torch.Generator().manual_seed(seed), _randomness(device))


def as_trained(recipe: Recipe) -> Network:
    """The recipe's network with its LayerScale; none gets a LayerScale that it lacks."""
    network = recipe.network
    if isinstance(network, Swin):
        return network
    if recipe.layer_scale != "architecture" and network.layer_scale is not None:
        network = replace(network, layer_scale=recipe.layer_scale)
    return network


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


def run_epoch(state: State, run: Run, on_step: StepDone | None = None) -> Epoch:
    """One pass over the training split and one over the validation split; moves `state` on.

    The global random state is left as it was. Raises `TrialFailed`.
    """
    began, step = time.perf_counter(), state.step
    with torch.random.fork_rng(_cuda(run.device)):
        train_loss = _train_pass(state, run, on_step)
    trained = time.perf_counter()
    networks = [state.network] if state.ema is None else [state.network, state.ema.network]
    for network in networks:
        run.ranks.same_buffers(network)
    found = evaluate(networks, run)
    ended = time.perf_counter()
    state.epoch += 1
    if not math.isfinite(found[0].loss):
        raise TrialFailed(f"validation loss is not finite after epoch {state.epoch}")
    images = (state.step - step) * run.recipe.total_batch_size
    state.images += images
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
                (loss / len(state.slots)).backward()  # type: ignore[no-untyped-call]
        update(state, run.lr(state.step), run.recipe.clip_norm)
        if on_step is not None:
            on_step(done, run.steps, losses.last)
    return sum(losses.values) / len(losses.values)


def _order(state: State, run: Run) -> Tensor:
    """The epoch's images int64 [steps * total batch], the same on all ranks."""
    size = run.batches.train_size
    if run.ranks.main:
        order = torch.randperm(size, generator=state.slots[0].generator)
    else:
        order = torch.empty(size, dtype=torch.int64)
    return run.ranks.broadcast(order)[: run.steps * run.recipe.total_batch_size]


def micro_batches(order: Tensor, run: Run) -> list[Tensor]:
    """This process's batches, in the order in which it needs them; slot k has every step's k-th slice."""
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
    return F.cross_entropy(logits.float(), targets)


def _gradients_shared(state: State, last: bool) -> contextlib.AbstractContextManager[Any]:
    """Gradients of all ranks are averaged in the last backward pass of an optimiser step."""
    return contextlib.nullcontext() if last or state.parallel is None else state.parallel.no_sync()


def update(state: State, lr: float, clip_norm: float | None) -> None:
    """One optimiser step at the learning rate `lr`, from the gradients that are there."""
    for group in state.optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), clip_norm)
    state.optimizer.step()
    if state.ema is not None:
        state.ema.update(state.network)
    state.step += 1


def augmented(
    pixels: Tensor, labels: Tensor, recipe: Recipe, device: torch.device, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Images [N, 3, H, W] and soft targets [N, classes] on the device, from pixels uint8 [N, H, W, 3].

    In timm's order: crop, flip, RandAugment or colour jitter, normalise, erase, mix.
    """
    values = recipe.augmentation
    pixels, labels = to_device(pixels, labels, device)
    if values.flip or values.crop_padding:
        pixels = crop_and_flip(pixels, values.crop_padding, values.flip, generator)
    images = normalise(_coloured(pixels, recipe, generator))
    if not recipe.channels_last:
        images = images.contiguous()
    if values.random_erasing > 0:
        from nas.data.erasing import random_erasing

        images = random_erasing(images, values.random_erasing, generator)
    targets = soft_targets(labels, recipe.data.num_classes, values.label_smoothing)
    mixing = values.mixup, values.cutmix, values.mixup_prob
    return mix(images, targets, *mixing, generator, values.switch_prob)


def _coloured(pixels: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """RandAugment, or else colour jitter, of uint8 [N, H, W, 3]."""
    values = recipe.augmentation
    if values.rand_augment is not None:
        from nas.data.rand_augment import rand_augment

        return rand_augment(pixels, values.rand_augment, generator, recipe.data.interpolation)
    if values.color_jitter > 0:
        from nas.data.color_jitter import color_jitter

        return color_jitter(pixels, values.color_jitter, generator)
    return pixels


def to_device(pixels: Tensor, labels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both on the device; the copy overlaps with work where they are in pinned memory."""
    return pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


@dataclass(frozen=True)
class Accuracy:
    """Mean cross-entropy, and the shares, in [0, 1], of images whose class is the first, or among five."""

    loss: float
    top1: float
    top5: float


@torch.inference_mode()
def evaluate(networks: Sequence[nn.Module], run: Run) -> list[Accuracy]:
    """Each network's on the validation split, in one pass over it; the ranks share the images."""
    for network in networks:
        network.eval()
    sums: list[list[Tensor]] = [[] for _ in networks]
    batches = torch.split(torch.arange(run.batches.val_size), EVALUATION_BATCH)
    for batch in run.batches.validation(batches[run.ranks.rank :: run.ranks.world]):
        pixels, labels = to_device(*batch, run.device)
        images = normalise(pixels)
        for network, own in zip(networks, sums, strict=True):
            with autocast(run.device, run.precision):
                logits = network(images)
            own.append(_sums(logits.float(), labels))
    totals = run.ranks.sum(torch.stack([_total(own) for own in sums])) / run.batches.val_size
    return [Accuracy(*values) for values in totals.tolist()]


def _sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, top-1 and top-5 hits, summed over [N]."""
    loss = F.cross_entropy(logits, labels, reduction="sum")
    first = logits.argmax(1) == labels
    five = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss, first.sum().float(), five.sum().float()])


def _total(batches: Sequence[Tensor]) -> Tensor:
    """The sum of all batches' [3], in double precision and in their order, on the CPU; there may be none."""
    total = torch.zeros(3, dtype=torch.float64)
    for values in torch.stack(list(batches)).cpu() if batches else ():
        total += values
    return total


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 where that is the precision, else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA if there is any, else the CPU. Raises `TrialFailed` if the device is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise TrialFailed(f"device {name!r} cannot be used: {first_line(error)}") from None
    return device


def choose_precision(precision: str, device: torch.device) -> str:
    """`auto` is bf16 on a GPU that has it, else fp32.

    Not timed, lest one seed give two results. On a CPU without bf16 instructions it is 10 times slower.
    """
    if precision != "auto":
        return precision
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []


def _randomness(device: torch.device) -> list[Tensor]:
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(cuda) for cuda in _cuda(device))]


@contextlib.contextmanager
def memory_errors_as_failures() -> Iterator[None]:
    """`TrialFailed` in place of whatever torch, its libraries and the system say when there is no memory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrialFailed(f"out of memory: {first_line(error)}") from None
    except (RuntimeError, OSError) as error:
        told = str(error).lower()
        if getattr(error, "errno", None) != errno.ENOMEM and not any(words in told for words in NO_MEMORY):
            raise
        raise TrialFailed(f"out of memory: {first_line(error)}") from None


def result_of(state: State, run: Run) -> Result:
    """What the epochs done so far gave. Raises `TrialFailed` where there is none."""
    if not state.curve:
        raise TrialFailed("stopped before the first epoch ended")
    return Result(
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
