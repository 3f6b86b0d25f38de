"""The training loop: optimiser groups, schedule and the epoch, small functions over one `State`."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data import Data, Split
from nas.data.augment import crop_and_flip, mix, normalise, soft_targets
from nas.depthwise import speed_up_small_maps
from nas.proxy import Proxy
from nas.result import Epoch, Result, TrialFailed
from space.errors import InputError
from space.networks import Network, build_network, cost_of
from space.swin import Swin

# in torch's messages, by device and version
NO_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")
EVALUATION_BATCH = 256  # images; for the memory's sake, it changes no result


@dataclass
class State:
    """What a training continues from; `randomness` is torch's own generators', which weights and stochastic
    depth draw from."""

    network: nn.Module
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    randomness: list[Tensor]
    epoch: int = 0
    step: int = 0
    images: int = 0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    curve: list[Epoch] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "randomness": self.randomness,
            "curve": [asdict(point) for point in self.curve],
            **{name: getattr(self, name) for name in COUNTED},
        }

    def restore(self, values: dict[str, Any]) -> None:
        """Go on from the values of `to_dict`."""
        self.network.load_state_dict(values["network"])
        self.optimizer.load_state_dict(values["optimizer"])
        self.generator.set_state(values["generator"])
        self.randomness = values["randomness"]
        self.curve = [Epoch(**point) for point in values["curve"]]
        for name in COUNTED:
            setattr(self, name, values[name])


COUNTED = ("epoch", "step", "images", "train_seconds", "eval_seconds")


def check_resolution(architecture: Network, resolution: int) -> None:
    """Raises `TrialFailed` where the images are too small for the network's strides."""
    try:
        cost_of(architecture, resolution)
    except InputError as error:
        raise TrialFailed(str(error)) from None


def start(architecture: Network, proxy: Proxy, num_classes: int, seed: int, device: torch.device) -> State:
    """A fresh network and optimiser on the device."""
    with torch.random.fork_rng(_cuda(device)):
        torch.manual_seed(seed)
        network = build_network(as_trained(architecture, proxy), num_classes)
        randomness = _randomness(device)
    with torch.no_grad():
        network.head.weight.mul_(proxy.head_init_scale)
    if device.type == "cpu":
        speed_up_small_maps(network)
    network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        parameter_groups(network, proxy.weight_decay), lr=proxy.lr, betas=proxy.betas, eps=1e-8, fused=True
    )
    return State(network, optimizer, torch.Generator().manual_seed(seed), randomness)


def as_trained(architecture: Network, proxy: Proxy) -> Network:
    """The architecture with the proxy's stochastic depth and LayerScale; none gets a LayerScale it lacks."""
    if proxy.stochastic_depth is not None:
        architecture = replace(architecture, drop_path=proxy.stochastic_depth)
    if isinstance(architecture, Swin):
        return architecture
    if proxy.layer_scale != "architecture" and architecture.layer_scale is not None:
        architecture = replace(architecture, layer_scale=proxy.layer_scale)
    return architecture


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Two groups for the optimiser: weight decay, and none for biases and 1-D parameters (official code).

    Nor for parameters that a network names in `no_weight_decay_keywords`, as Swin's official code has it.
    """
    spared: set[str] = getattr(network, "no_weight_decay_keywords", set)()
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            plain = parameter.ndim > 1 and not name.endswith(".bias")
            groups[plain and not any(word in name for word in spared)].append(parameter)
    return [
        {"params": groups[True], "weight_decay": weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]


def lr_at(step: int, steps: int, warmup_steps: int, lr: float, min_lr: float) -> float:
    """Learning rate of a step, 0 .. steps - 1: linear from 0 to `lr`, then a cosine towards `min_lr`.

    As the official code: the last warm-up step has `lr`, and so has the first after it.
    """
    if step < warmup_steps:
        return lr * step / max(1, warmup_steps - 1)
    progress = (step - warmup_steps) / (steps - warmup_steps)
    return min_lr + 0.5 * (lr - min_lr) * (1 + math.cos(math.pi * progress))


def run_epoch(
    state: State,
    proxy: Proxy,
    data: Data,
    device: torch.device,
    precision: str,
) -> Epoch:
    """One pass over the training split and one over the validation split; moves `state` on.

    The global random state is left as it was. Raises `TrialFailed`.
    """
    began, step = time.perf_counter(), state.step
    with _own_randomness(state, device):
        train_loss = _train_pass(state, proxy, data, device, precision)
    trained = time.perf_counter()
    val_loss, val_accuracy = evaluate(state.network, data.val, device, precision)
    ended = time.perf_counter()
    state.epoch += 1
    if not math.isfinite(val_loss):
        raise TrialFailed(f"validation loss is not finite after epoch {state.epoch}")
    state.images += (state.step - step) * min(proxy.batch_size, len(data.train))
    state.train_seconds += trained - began
    state.eval_seconds += ended - trained
    point = Epoch(state.epoch, train_loss, val_loss, val_accuracy, ended - began)
    state.curve.append(point)
    return point


def _train_pass(state: State, proxy: Proxy, data: Data, device: torch.device, precision: str) -> float:
    """The mean training loss of one epoch. Batches are full ones; the remainder waits for another epoch."""
    batch_size = min(proxy.batch_size, len(data.train))
    per_epoch = len(data.train) // batch_size
    warmup = round(proxy.warmup_epochs * per_epoch)
    state.network.train()
    losses = []
    order = torch.randperm(len(data.train), generator=state.generator)[: per_epoch * batch_size]
    for indices in torch.split(order, batch_size):
        lr = lr_at(state.step, proxy.epochs * per_epoch, warmup, proxy.lr, proxy.min_lr)
        images, targets = _training_batch(data, indices, proxy, device, state.generator)
        with autocast(device, precision):
            logits = state.network(images)
        loss = F.cross_entropy(logits.float(), targets)
        value = loss.item()
        if not math.isfinite(value):
            raise TrialFailed(f"loss is not finite at epoch {state.epoch + 1}, step {state.step + 1}")
        losses.append(value)
        update(state, loss, lr, proxy.clip_norm)
    return sum(losses) / len(losses)


def update(state: State, loss: Tensor, lr: float, clip_norm: float | None) -> None:
    """One optimiser step at the learning rate `lr`."""
    for group in state.optimizer.param_groups:
        group["lr"] = lr
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(state.network.parameters(), clip_norm)
    state.optimizer.step()
    state.step += 1


def _training_batch(
    data: Data, indices: Tensor, proxy: Proxy, device: torch.device, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Augmented images [N, 3, H, W] and soft targets [N, classes]."""
    pixels, labels = to_device(data.train, indices, device)
    if proxy.flip or proxy.crop_padding:
        pixels = crop_and_flip(pixels, proxy.crop_padding, proxy.flip, generator)
    targets = soft_targets(labels, data.num_classes, proxy.label_smoothing)
    return mix(normalise(pixels), targets, proxy.mixup, proxy.cutmix, proxy.mixup_prob, generator)


def to_device(split: Split, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Pixels uint8 [N, H, W, 3] and labels int64 [N] of these images."""
    chosen = indices.numpy()
    pixels, labels = torch.from_numpy(split.images[chosen]), torch.from_numpy(split.labels[chosen])
    if device.type == "cuda":
        pixels, labels = pixels.pin_memory(), labels.pin_memory()
    return pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


@torch.no_grad()
def evaluate(network: nn.Module, split: Split, device: torch.device, precision: str) -> tuple[float, float]:
    """Mean cross-entropy and top-1 accuracy, in [0, 1], on a split."""
    network.eval()
    total, correct = 0.0, 0
    for indices in torch.split(torch.arange(len(split)), EVALUATION_BATCH):
        pixels, labels = to_device(split, indices, device)
        with autocast(device, precision):
            logits = network(normalise(pixels))
        total += F.cross_entropy(logits.float(), labels, reduction="sum").item()
        correct += int((logits.argmax(1) == labels).sum())
    return total / len(split), correct / len(split)


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
        reason = str(error).splitlines()[0]
        raise TrialFailed(f"device {name!r} cannot be used: {reason}") from None
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
def _own_randomness(state: State, device: torch.device) -> Iterator[None]:
    """torch's global generators are the training's meanwhile, and put back afterwards."""
    with torch.random.fork_rng(_cuda(device)):
        torch.set_rng_state(state.randomness[0])
        for cuda, values in zip(_cuda(device), state.randomness[1:], strict=True):
            torch.cuda.set_rng_state(values, cuda)
        yield
        state.randomness = _randomness(device)


@contextlib.contextmanager
def memory_errors_as_failures() -> Iterator[None]:
    """`TrialFailed` in place of whatever torch says when there is no memory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrialFailed(f"out of memory: {_first_line(error)}") from None
    except RuntimeError as error:
        if not any(words in str(error) for words in NO_MEMORY):
            raise
        raise TrialFailed(f"out of memory: {_first_line(error)}") from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def result_of(state: State, seed: int, precision: str, device: torch.device) -> Result:
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
        seed=seed,
        precision=precision,
        device=str(device),
        threads=torch.get_num_threads(),
    )
