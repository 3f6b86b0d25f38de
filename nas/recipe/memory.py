"""Memory of a training on one GPU, estimated, and the largest batch that fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from space.architecture import Architecture
from space.errors import InputError
from space.networks import Network, cost_of

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe


Precision = Literal["fp32", "bf16"]


GB = 10**9
# bytes of the CUDA context, the libraries' workspaces and the communication between GPUs: an assumption
CONTEXT = 1.0 * GB
# the share of a GPU's memory left to fragmentation and passing tensors: an assumption
SLACK = 0.1


@dataclass(frozen=True)
class Memory:
    """Estimated memory of a training on one GPU, in bytes."""

    state: int
    """What is there whatever the batch: weights, gradients, AdamW's two moments, the moving average."""
    image: int
    """What the backward pass needs kept of one image."""

    def needed(self, batch_size: int) -> float:
        """What a GPU must have for so many images in a forward pass, the reserve included."""
        return (self.state + batch_size * self.image + CONTEXT) / (1 - SLACK)


def training_memory(
    network: Network,
    *,
    resolution: int,
    num_classes: int,
    precision: Precision,
    ema: bool,
    devices: int,
) -> Memory:
    """The memory of training this network. Raises `InputError` where the resolution is too small for it.

    A parameter takes 16 bytes (weight, gradient, two moments, all fp32), 4 more for the moving average, 4 for
    the buckets in which several GPUs average gradients, 2 for the bf16 copy that autocast keeps.
    """
    cost = cost_of(network, resolution, num_classes)
    param = 16 + 4 * ema + 4 * (devices > 1) + 2 * (precision == "bf16")
    return Memory(param * cost.params, round(kept_bytes(network, precision) * cost.saved))


def kept_bytes(network: Network, precision: Precision) -> float:
    """Bytes of an element kept for the backward pass.

    Under autocast the inputs of norms and softmax, and GRN, stay fp32: 2.0 to 2.5 bytes were measured for
    ConvNets, up to 3.4 with GRN, 2.6 for Swin.
    """
    if precision == "fp32":
        return 4.0
    # the upper ends of what was measured, rounded up
    if not isinstance(network, Architecture):
        return 2.75
    return 3.5 if any(stage.grn for stage in network.stages) else 2.5


def memory_of(recipe: Recipe, devices: int | None = None, precision: Precision | None = None) -> Memory:
    """The memory of this training on each GPU; where the precision is `auto`, of fp32, which needs more."""
    if precision is None:
        precision = "bf16" if recipe.precision == "bf16" else "fp32"
    return training_memory(
        recipe.network,
        resolution=recipe.data.resolution,
        num_classes=recipe.data.num_classes,
        precision=precision,
        ema=recipe.ema_decay is not None,
        devices=recipe.devices if devices is None else devices,
    )


def largest_batch(memory: Memory, share: int, available: float) -> int:
    """The largest divisor of `share` images that fits `available` bytes.

    Raises `InputError` where not even one image does.
    """
    # divisors only, so that accumulated batches make up the share exactly
    for batch in range(share, 0, -1):
        if share % batch == 0 and memory.needed(batch) <= available:
            return batch
    raise InputError(
        f"gpu memory {available / GB:.3g} GB: not even one image fits, which needs "
        f"{memory.needed(1) / GB:.1f} GB: {memory.state / GB:.2f} GB of weights, gradients and optimiser, "
        f"{memory.image / GB:.2f} GB for the image, the rest is reserve"
    )
