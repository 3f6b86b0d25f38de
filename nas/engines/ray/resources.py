"""What a training asks of a cluster, and whether it fits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, floor
from typing import TYPE_CHECKING, Any

from space.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence


STEP = 1e-4  # the finest share of a resource that Ray knows


@dataclass(frozen=True)
class Share:
    """What one training gets of a node."""

    cpus: float
    gpus: float

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


@dataclass(frozen=True)
class Node:
    """What a node of the cluster has."""

    cpus: float
    gpus: float

    def fits(self, share: Share) -> int:
        """Trainings of this share that run here at once."""
        rooms = []
        if share.cpus:
            # + STEP: 0.3 / 0.1 is a hair below 3
            rooms.append(floor(self.cpus / share.cpus + STEP))
        if 0 < share.gpus < 1:  # a share lies on one GPU
            rooms.append(floor(self.gpus) * floor(1 / share.gpus + STEP))
        elif share.gpus:
            rooms.append(floor(self.gpus / share.gpus))
        return min(rooms)


def gpu_share(unit: float, need: int, memory: int) -> float:
    """GPUs for a training of `need` bytes: the smallest multiple of `unit` that holds it, at most 1.

    `memory` is one GPU's, in bytes. What no GPU holds gets a whole one, and fails there with its reason.
    """
    if unit >= 1:
        return unit
    # - STEP: what rounding alone puts above a share does not ask for another
    units = max(1, ceil(need / memory / unit - STEP))
    return min(1.0, round(units * unit, 4))


def default_cpus(nodes: Sequence[Node], gpus: float) -> float:
    """CPUs of a training: one without GPUs, else its share of those that each GPU of a node comes with."""
    shares = [node.cpus / node.gpus for node in nodes if node.gpus]
    if not gpus or not shares:
        return 1.0
    return max(STEP, floor(min(shares) * gpus * 100) / 100)


def resources_of(config: dict[str, Any]) -> Any:
    """What a trial asks of Ray. Tune reuses a worker for a trial that asks for the same."""
    return placement(config["cpus"], config["gpus"])


@cache
def placement(cpus: float, gpus: float) -> Any:
    """Ray's own value for these resources; one for all trials, which keep theirs."""
    from ray.tune import PlacementGroupFactory

    return PlacementGroupFactory([{"CPU": cpus, "GPU": gpus}])


def check_shares(cpus: float | None, gpus: float, workers: int | None) -> None:
    """Raises `InputError` where no machine could ever give this."""
    if cpus is not None and not cpus > 0:
        raise InputError(f"engine ray: CPUs per trial must be more than 0, not {cpus:g}")
    if gpus < 0 or 0 < gpus < STEP or (gpus > 1 and gpus != int(gpus)):
        raise InputError(
            f"engine ray: GPUs per trial must be 0 to 1, or a whole number, not {gpus:g}; "
            f"Ray's finest share is {STEP:g}"
        )
    if workers is not None and workers < 1:
        raise InputError(f"engine ray: workers must be 1 or more, not {workers}")


def check_fits(nodes: Sequence[Node], share: Share) -> None:
    """Raises `InputError` where no node can hold one training."""
    if any(node.fits(share) for node in nodes):
        return
    best = max(nodes, key=lambda node: (node.gpus, node.cpus), default=Node(0, 0))
    raise InputError(
        f"engine ray: a trial asks for {share}; no node has that, the largest of {len(nodes)} has "
        f"{best.cpus:g} CPUs and {best.gpus:g} GPUs"
    )
