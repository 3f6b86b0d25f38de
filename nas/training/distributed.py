"""The processes of one training, as torchrun starts them: who this one is, and what they tell each other."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from space.errors import InputError

# what torchrun sets for each process
ENVIRONMENT = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
TIMEOUT = timedelta(minutes=30)  # the others wait while rank 0 writes to a slow disk


@dataclass(frozen=True)
class Ranks:
    """This process's number among all of them; alone, every method returns at once."""

    rank: int = 0
    world: int = 1

    @property
    def main(self) -> bool:
        """Whether this process prints and writes."""
        return self.rank == 0

    def broadcast(self, values: Tensor) -> Tensor:
        """Rank 0's values, in place, for all; every rank gives a tensor of the same shape."""
        if self.world > 1:
            dist.broadcast(values, src=0)
        return values

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all ranks, in place, for all; on the CPU."""
        if self.world > 1:
            dist.all_reduce(values)
        return values

    def gathered(self, value: Any) -> list[Any]:
        """Every rank's value, in their order, for all."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values

    def barrier(self) -> None:
        """Wait until all are here."""
        if self.world > 1:
            dist.barrier()

    def same_buffers(self, network: nn.Module) -> None:
        """Rank 0's buffers (BatchNorm's statistics) for all."""
        # DDP sends rank 0's before a forward pass; the last one has left each rank its own
        for buffer in network.buffers():
            self.broadcast(buffer)


ALONE = Ranks()


def started_by_torchrun() -> bool:
    """Whether there are other processes to join."""
    return all(name in os.environ for name in ENVIRONMENT) and int(os.environ["WORLD_SIZE"]) > 1


@contextlib.contextmanager
def joined(device: str) -> Iterator[tuple[Ranks, str]]:
    """Join torchrun's other processes, if there are any: who this is, and the device it computes on.

    NCCL between GPUs, gloo between CPUs. Raises `InputError` where a process has no GPU of its own.
    """
    if not started_by_torchrun():
        yield ALONE, device
        return
    own = own_device(device, int(os.environ["LOCAL_RANK"]))
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    # gloo beside NCCL, for what lives on the CPU
    backend = "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo"
    dist.init_process_group(backend, timeout=TIMEOUT)
    yield Ranks(dist.get_rank(), dist.get_world_size()), own
    # after an exception the others may be anywhere; the process ends, and torchrun ends them
    dist.destroy_process_group()


def own_device(device: str, local_rank: int) -> str:
    """The device of the process with this number on its machine. Raises `InputError`."""
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda:"):
        raise InputError(f"--device {device}: under torchrun every process has a GPU of its own; use cuda")
    if device != "cuda":
        return device
    count = torch.cuda.device_count()
    if local_rank >= count:
        raise InputError(
            f"--device cuda: process {local_rank} of this machine has no GPU, there are {count}; "
            f"start torchrun with --nproc-per-node {max(1, count)}"
        )
    return f"cuda:{local_rank}"
