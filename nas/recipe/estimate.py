"""What a training will need and take, estimated before it runs: memory of a GPU, time, money.

Every figure is an estimate; docs/recipe.md says how it is made and what it was compared with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.recipe.memory import GB, Precision, largest_batch, memory_of
from nas.targets.quoting import in_markdown
from space.errors import InputError
from space.networks import cost_of

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe


IMAGES = {"imagenet-1k": 1_281_167, "imagenet-22k": 14_197_122}
"""Training images by data set."""
MOVED = {"fp32": 56, "bf16": 28}
"""Bytes of memory traffic, forward and backward, for each element kept (bf16: fitted; fp32: twice that)."""
UNITS = (("days", 24.0), ("hours", 1.0), ("minutes", 1 / 60), ("seconds", 1 / 3600))
# of a report on ConvNeXt-B with eight A100: 4.3 times the short time, or 5.3 (docs/recipe.md)
SLOWER = 5
"""How much longer than the fastest the slowest end of a time is."""
LEAST_PASS = 0.005
"""Seconds that a forward and backward pass takes, however small: 500 launches of 10 us (ours)."""


@dataclass(frozen=True)
class Gpu:
    """A GPU by its vendor's figures: bytes, dense FLOPS without sparsity (matrix units), bytes a second."""

    name: str
    memory: float
    bf16: float | None
    """None: it has no bf16, the training runs in fp32."""
    fp32: float
    bandwidth: float

    def flops(self, precision: Precision) -> float:
        """Peak FLOPS in the precision; one that it lacks is fp32."""
        return self.fp32 if precision == "fp32" or self.bf16 is None else self.bf16


# dense, without sparsity: the sparse figures of some data sheets are twice these
GPUS = (
    Gpu("V100 32GB", 32 * GB, None, 15.7e12, 0.900e12),
    Gpu("RTX 3090", 24 * GB, 71e12, 35.6e12, 0.936e12),
    Gpu("RTX 4090", 24 * GB, 165e12, 82.6e12, 1.008e12),
    Gpu("L4", 24 * GB, 121e12, 30.3e12, 0.300e12),
    Gpu("L40S", 48 * GB, 362e12, 91.6e12, 0.864e12),
    Gpu("A100 40GB", 40 * GB, 312e12, 19.5e12, 1.555e12),
    Gpu("A100 80GB", 80 * GB, 312e12, 19.5e12, 2.039e12),
    Gpu("H100 SXM", 80 * GB, 989e12, 67e12, 3.35e12),
    Gpu("H200 SXM", 141 * GB, 989e12, 67e12, 4.8e12),
)


@dataclass(frozen=True)
class TrainingEstimate:
    """One training on GPUs of one kind; `hours` and `cost` are (least, most)."""

    gpu: Gpu
    gpus: int
    precision: Precision
    batch_size: int
    accumulation: int
    memory: float
    """Bytes of each GPU, the reserve included."""
    hours: tuple[float, float]
    """Of the forward and backward passes; neither reading images nor validation."""
    price: float | None
    """Money for a GPU and hour."""

    @property
    def gpu_hours(self) -> tuple[float, float]:
        """Hours of all GPUs."""
        return self.hours[0] * self.gpus, self.hours[1] * self.gpus

    @property
    def cost(self) -> tuple[float, float] | None:
        """Money, in the price's currency; None where no price is known."""
        if self.price is None:
            return None
        return self.gpu_hours[0] * self.price, self.gpu_hours[1] * self.price


def seconds_per_image(recipe: Recipe, gpu: Gpu) -> float:
    """The least time of an image's forward and backward pass on one GPU.

    Arithmetic and memory traffic one after the other: 3 x MACs x 2 FLOPs at the peak, and `MOVED` bytes for
    every element kept at the peak bandwidth.
    """
    cost = cost_of(recipe.network, recipe.data.resolution, recipe.data.num_classes)
    precision = precision_on(recipe, gpu)
    # 2 FLOPs a MAC; the backward pass has two products, by inputs and by weights, for the forward pass's one
    return float(6 * cost.macs / gpu.flops(precision) + MOVED[precision] * cost.saved / gpu.bandwidth)


def precision_on(recipe: Recipe, gpu: Gpu) -> Precision:
    """What `auto` becomes there."""
    return "fp32" if recipe.precision == "fp32" or gpu.bf16 is None else "bf16"


def estimates(
    recipe: Recipe,
    *,
    train_images: int | None = None,
    price: float | None = None,
    gpus: Iterable[Gpu] = GPUS,
) -> tuple[TrainingEstimate, ...]:
    """The training on as many GPUs as the recipe has, for each kind that one image fits.

    `price` is that of a GPU and hour. Raises `InputError` where the data set's size is not known (`IMAGES`)
    and not given.
    """
    count = IMAGES.get(recipe.data.name) if train_images is None else train_images
    if count is None:
        raise InputError(f"{recipe.data.name}: how many training images? Known are {', '.join(IMAGES)}")
    if count < recipe.total_batch_size:
        raise InputError(f"{count} training images are fewer than a total batch of {recipe.total_batch_size}")
    # an epoch's last incomplete batch is not trained on (nas.training.run)
    images = recipe.epochs * (count // recipe.total_batch_size) * recipe.total_batch_size
    return tuple(found for gpu in gpus if (found := _estimate(recipe, gpu, images, price)) is not None)


def _estimate(recipe: Recipe, gpu: Gpu, images: int, price: float | None) -> TrainingEstimate | None:
    precision = precision_on(recipe, gpu)
    memory = memory_of(recipe, precision=precision)
    share = recipe.total_batch_size // recipe.devices
    try:
        batch_size = largest_batch(memory, share, gpu.memory)
    except InputError:
        return None
    seconds = max(seconds_per_image(recipe, gpu) * batch_size, LEAST_PASS)
    least = seconds * images / recipe.devices / batch_size / 3600
    return TrainingEstimate(
        gpu=gpu,
        gpus=recipe.devices,
        precision=precision,
        batch_size=batch_size,
        accumulation=share // batch_size,
        memory=memory.needed(batch_size),
        hours=(least, SLOWER * least),
        price=price,
    )


def estimate_lines(
    recipe: Recipe, *, train_images: int | None = None, price: float | None = None
) -> list[str]:
    """The estimates as lines of Markdown; one line that says why where there are none."""
    try:
        found = estimates(recipe, train_images=train_images, price=price)
    except InputError as error:
        return [f"No estimate of time: {in_markdown(str(error))}"]
    if not found:
        need = memory_of(recipe, precision="bf16").needed(1) / GB
        return [f"No estimate of time: one image needs {need:.0f} GB, more than the GPUs known here have."]
    count = recipe.devices
    columns = [f"{count} x GPU", "precision", "batch x accumulation", "memory", "time", "GPU hours"]
    priced = price is not None
    lines = [
        "Estimates; nothing was run. Batches are the largest that fit. The short time is what the GPU's peak",
        f"figures allow, and {1000 * LEAST_PASS:g} ms a batch at least; the long one is {SLOWER} times that. "
        "Reading images and",
        "validation come on top.",
        "",
        _row([*columns, *(["cost"] if priced else [])]),
        _row(["---"] * (len(columns) + priced)),
    ]
    for each in found:
        cells = [
            each.gpu.name,
            each.precision,
            f"{each.batch_size} x {each.accumulation}",
            f"{each.memory / GB:.0f} GB",
            _time(*each.hours),
            f"{_number(each.gpu_hours[0])} to {_number(each.gpu_hours[1])}",
        ]
        if each.cost is not None:
            cells.append(f"{_number(each.cost[0])} to {_number(each.cost[1])}")
        lines.append(_row(cells))
    if priced:
        lines += ["", f"At {price:g} for a GPU and hour, in the currency of that price."]
    return lines


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _time(least: float, most: float) -> str:
    """Hours in the unit that suits the longer time."""
    unit, hours = next((pair for pair in UNITS if most >= 2 * pair[1]), UNITS[-1])
    return f"{_number(least / hours)} to {_number(most / hours)} {unit}"


def _number(value: float) -> str:
    """Two significant digits, no exponent."""
    return f"{float(f'{value:.2g}'):,g}" if value < 1e6 else f"{float(f'{value:.2g}'):,.0f}"
