"""From a data set's spec to batches: decoded beforehand, or streamed."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from nas.data.batches import Batches, Cached
from nas.data.crops import Crops
from nas.data.csv_list import CsvList
from nas.data.dataset import load
from nas.data.listing import Folder, Listing
from nas.data.sources.imagefolder import cores
from nas.data.sources.registry import FOLDER, LIST, SOURCES, parsed
from space.errors import InputError

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe

STREAMED: dict[str, Callable[..., Listing]] = {FOLDER: Folder, LIST: CsvList}
MOST_WORKERS = 16  # more than a GPU's training waits for, and each has its own memory


def default_workers() -> int:
    """Processes that decode images: this process's share of the CPU cores, at most 16."""
    # torchrun says how many processes share this machine
    return max(1, min(MOST_WORKERS, cores() // int(os.environ.get("LOCAL_WORLD_SIZE", "1"))))


def classes_to_ask(spec: str, count: int) -> int | None:
    """How many classes to ask a data set for: None of one that has the classes it has."""
    data_set = SOURCES.get(spec.partition(":")[0])
    return count if data_set is not None and data_set.any_classes else None


def open_batches(
    spec: str, recipe: Recipe, *, workers: int | None = None, seed: int, any_classes: bool = False
) -> Batches:
    """The data set `spec` as the recipe reads it.

    Image files are decoded on the fly by `workers` processes (None: `default_workers`; 0: in this one);
    every other data set is read from the cache at the recipe's resolution. `seed` draws the random crops.
    Raises `InputError`, also where the data set's classes are not as many as the recipe's, unless
    `any_classes`.
    """
    data = recipe.data
    crops = None
    if recipe.augmentation.random_resized_crop is not None:
        scale = recipe.augmentation.random_resized_crop
        crops = Crops(data.resolution, scale, data.interpolation, seed)
    name, path = parsed(spec)
    batches: Batches
    if name in STREAMED:
        from nas.data.stream import Streamed

        batches = Streamed(
            path,
            listing=STREAMED[name],
            resolution=data.resolution,
            eval_crop=data.eval_crop,
            interpolation=data.interpolation,
            crops=crops,
            workers=default_workers() if workers is None else workers,
        )
    else:
        classes = classes_to_ask(spec, data.num_classes)
        batches = Cached(load(spec, data.resolution, num_classes=classes), crops)
    if batches.num_classes != data.num_classes and not any_classes:
        raise InputError(
            f"data: {spec} has {batches.num_classes} classes; the recipe's data.num_classes is "
            f"{data.num_classes}"
        )
    return batches
