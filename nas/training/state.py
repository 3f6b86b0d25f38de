"""The state that a training carries from step to step."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nas.recipe.recipe import Recipe
from nas.training.checkpoint import CheckpointError, fitting
from nas.training.cpu.adamw import EagerAdamW
from nas.training.cpu.depthwise import speed_up_small_maps
from nas.training.cpu.memory import keep_freed_memory
from nas.training.device import cuda_devices, random_states
from nas.training.distributed import ALONE, Ranks
from nas.training.ema import Ema
from nas.training.graphs import capture
from nas.training.optimiser import layer_scales, parameter_groups
from nas.training.result import Epoch
from nas.training.run import Run
from space.networks import Network, build_network
from space.swin import Swin


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
        for cuda, values in zip(cuda_devices(device), self.randomness[1:], strict=True):
            torch.cuda.set_rng_state(values, cuda)
        yield
        self.randomness = random_states(device)


@dataclass
class State:
    """What a training continues from; `forward` is the network as trained (compiled, on several devices).

    `beside` has what an epoch measures that is not in its point of the curve; `answers` are the last epoch's
    on the validation split, of the weights and of their average (`Accuracy.answers`), none before it.
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
    peak_memory: int = 0  # bytes
    answers: list[Tensor] = field(default_factory=list)

    def to_dict(self, ranks: Ranks = ALONE) -> dict[str, Any]:
        """Tensors and plain values, all processes' slots among them; called on every rank."""
        # ranks have consecutive slots, so in their order these are slot 0, 1, ...
        slots = [slot for own in ranks.gathered([slot.to_dict() for slot in self.slots]) for slot in own]
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            # the first by itself, as in checkpoints from before there were several
            **slots[0],
            "curve": [asdict(point) for point in self.curve],
            **{name: getattr(self, name) for name in COUNTED},
            "more_slots": slots[1:],
            "beside": self.beside,
            "peak_memory": self.peak_memory,
            "ema": None if self.ema is None else self.ema.network.state_dict(),
        }

    def restore(self, values: Mapping[str, Any], own_slots: range = range(1)) -> None:
        """Go on from the values of `to_dict`, with these of the slots.

        Raises `CheckpointError` for any others; the state is of no more use then.
        """
        with fitting():
            self.network.load_state_dict(values["network"])
            self.optimizer.load_state_dict(values["optimizer"])
            _refuse_moments(self.optimizer)
            if self.ema is not None:
                self.ema.network.load_state_dict(values["ema"])
            # all processes' slots are there, so another number of processes may go on
            slots = [values, *values.get("more_slots", [])]
            for slot, number in zip(self.slots, own_slots, strict=True):
                slot.restore(slots[number])
            self.curve = [Epoch(**point) for point in values["curve"]]
            self.beside = [dict(row) for row in values.get("beside", [])]
            self.peak_memory = int(values.get("peak_memory", 0))
            for name in COUNTED:
                setattr(self, name, type(getattr(self, name))(values[name]))
            if len(self.curve) != self.epoch:
                raise CheckpointError("does not fit this training (its curve is of other epochs)")


COUNTED = ("epoch", "step", "images", "train_seconds", "eval_seconds")


def _refuse_moments(optimizer: torch.optim.Optimizer) -> None:
    """Raises `CheckpointError` for an optimiser's moments of other shapes than its parameters, which torch
    takes."""
    for parameter, kept in optimizer.state.items():
        for name, value in kept.items():
            if name != "step" and value.shape != parameter.shape:
                raise CheckpointError(f"does not fit this training (the optimiser's {name})")


def start(
    run: Run,
    initial: Mapping[str, Tensor] | None = None,
    adapt: Callable[[nn.Module], None] | None = None,
) -> State:
    """A fresh network and optimiser on the device; `initial` replaces as many of its weights as it has.

    `adapt` may change the network right after it is built, and draw random numbers.
    """
    recipe, device = run.recipe, run.device
    # made on the CPU: one seed gives the same weights whatever the device
    with torch.random.fork_rng(cuda_devices(device)):
        torch.manual_seed(run.seed)
        network = build_network(as_trained(recipe), recipe.data.num_classes)
        if adapt is not None:
            adapt(network)
        slots = [_slot(number, run.seed, device) for number in run.own_slots]
    with torch.no_grad():
        # before `initial`, as in main.py: a classifier that is loaded is not scaled; biases start at 0
        network.head.weight.mul_(recipe.head_init_scale)
    if initial is not None:
        network.load_state_dict(initial, strict=False)
    if device.type == "cpu":
        keep_freed_memory()
        speed_up_small_maps(network)
    # before the average is copied, which is then on the device and lies alike
    memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
    network.to(device, memory_format=memory_format)  # type: ignore[call-overload]
    if device.type == "cuda":
        torch.backends.cudnn.deterministic = run.how.deterministic
    values = recipe.optimizer
    groups = parameter_groups(network, values.weight_decay, layer_scales(recipe, network))
    # fused: one kernel for all parameters in place of several for each
    optimizer = EagerAdamW(groups, lr=values.lr, betas=values.betas, eps=values.eps, fused=True)
    ema = None if run.ema_decay is None else Ema(network, run.ema_decay)
    forward, parallel = _forward(run, network)
    return State(network, optimizer, slots, forward, parallel, ema)


def _forward(run: Run, network: nn.Module) -> tuple[nn.Module, DistributedDataParallel | None]:
    """The network as trained, and its copy in several processes; after the average is copied from it."""
    forward: nn.Module = network
    parallel = None
    if run.ranks.world > 1:
        forward = parallel = DistributedDataParallel(network, device_ids=cuda_devices(run.device) or None)
    options = {} if run.recipe.compile and run.how.compile is None else run.how.compile
    if options is not None:
        torch.compiler.reset()  # past some networks of one process torch would compile no more
        forward = torch.compile(forward, **options)  # type: ignore[assignment]
    elif run.how.graphs and run.slots == 1 and run.device.type == "cuda":
        capture(network, run.recipe, run.device, run.precision)
    return forward, parallel


def _slot(number: int, seed: int, device: torch.device) -> Slot:
    """The first goes on where the weights' initialisation has left torch's generators."""
    if number > 0:
        # mixed by a hash: seed + number would give slot 1 of seed 0 the draws of slot 0 of seed 1
        seed = int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint32)[0])
        torch.manual_seed(seed)
    return Slot(torch.Generator().manual_seed(seed), random_states(device))


def as_trained(recipe: Recipe) -> Network:
    """The recipe's network with its LayerScale; none gets a LayerScale that it lacks."""
    network = recipe.network
    if isinstance(network, Swin):
        return network
    if recipe.layer_scale != "architecture" and network.layer_scale is not None:
        network = replace(network, layer_scale=recipe.layer_scale)
    return network
