"""The recipe for the images at hand: the published one, its sizes worked out for how many there are.

On as many images as ImageNet-1K has it is the published recipe, value for value. Each rule below says where
it is from; "ours" is what no source says. docs/recipe.md has them in a table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nas.recipe.estimate import IMAGES
from nas.recipe.published import NO_CROP_FROM, recipe_for, split
from space.errors import InputError

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe, Variant
    from space.networks import Network

PUBLISHED = IMAGES["imagenet-1k"]
# optimiser steps of an epoch, at least: a batch is never more than this part of the images (ours)
LEAST_STEPS = 16
# where the images allow: below, an epoch takes long on a GPU and norms over the batch see little (ours)
LEAST_BATCH = 32
FEWEST = 8
# of a fine-tuning in all: what Kolesnikov et al. 2020 (arXiv:1912.11370) give sets of under 20,000 images
FINE_TUNING_STEPS = 500
# a random crop sees so many pixels of a small image, at least (ours); .08 of 224 x 224 are 63 x 63
LEAST_CROP = 32
CROP = 0.08
# pixels, and what they divide evenly: the last stage of a stride of 32 has maps of 2 x 2 (ours)
LEAST_PIXELS, MULTIPLE = 64, 32
# weights trained at 224 see smaller images blown up to that: CIFAR's are to 128 in Kolesnikov et al. 2020, to
# 384 in the code of Dosovitskiy et al. 2021 (arXiv:2010.11929)
FINE_TUNED_PIXELS = 224


@dataclass(frozen=True)
class Images:
    """A data set as a recipe needs to know it; `pixels`: the shorter side of a typical image, if known.

    `read` says in a line what was read of it and what was left out, where that was now.
    """

    name: str
    train: int
    num_classes: int
    classes: tuple[str, ...] | None = None
    pixels: int | None = None
    read: str = ""


def fitted_recipe(
    network: Network,
    images: Images,
    *,
    variant: Variant = "imagenet-1k",
    resolution: int | None = None,
    gpus: int = 1,
    gpu_memory: float | None = None,
) -> Recipe:
    """The recipe that trains this network on these images with so many GPUs of `gpu_memory` bytes each.

    `variant`, `resolution` and the rest as for `recipe_for`. Raises `InputError`.
    """
    if images.train < 2:
        raise InputError(f"{images.name}: {images.train} training images are too few for a training")
    if not 1 <= gpus <= images.train:
        raise InputError(f"gpus {gpus}: must be from 1 to the {images.train:,} training images")
    # on one device first: the published total batch need not split over these
    recipe = recipe_for(
        network,
        variant=variant,
        resolution=pixels_for(images, variant) if resolution is None else resolution,
        gpus=1,
        gpu_memory=math.inf,
        num_classes=images.num_classes,
    )
    fine_tunes = variant.startswith("finetune")
    published = recipe.total_batch_size
    total = total_batch(published, images.train, gpus, fine_tunes=fine_tunes)
    steps = images.train // total
    epochs = epochs_for(recipe.epochs, images.train, steps, fine_tunes=fine_tunes)
    recipe = recipe.changed(
        data={
            "name": images.name,
            "classes": None if images.classes is None else list(images.classes),
            "eval_crop": eval_crop(recipe.data.resolution, images),
        },
        epochs=epochs,
        total_batch_size=total,
        batch_size=total,
        optimizer={"lr": rate(recipe.optimizer.lr, total / published, fine_tunes=fine_tunes)},
        # the published share of the training
        schedule={"warmup_epochs": round(recipe.schedule.warmup_epochs * epochs / recipe.epochs, 1)},
        augmentation=crops(recipe.data.resolution, images.pixels),
        ema_decay=average(recipe.ema_decay, epochs * steps),
    )
    return split(recipe, gpus, gpu_memory)


def total_batch(published: int, images: int, devices: int, *, fine_tunes: bool) -> int:
    """Images an optimiser step, a multiple of the devices, at most `published` and a `LEAST_STEPS`th of them.

    From scratch in proportion to the images, to the nearest power of two: an epoch has about as many steps
    as ImageNet's 312, which gives CIFAR's 50,000 the 128 of He et al. 2016. A fine-tuning takes the published
    512 as far as there are images, as Kolesnikov et al. 2020 (arXiv:1912.11370) do on sets of all sizes.
    """
    most = max(_power_below(images // LEAST_STEPS), min(FEWEST, _power_below(images)))
    wanted = published
    if not fine_tunes:
        wanted = max(2 ** max(round(math.log2(published * images / PUBLISHED)), 0), LEAST_BATCH)
    total = min(published, wanted, most)
    return max(total // devices, 1) * devices


def epochs_for(published: int, images: int, steps: int, *, fine_tunes: bool) -> int:
    """Passes over the images, of so many steps each.

    From scratch the published 300, on more images than ImageNet-1K's by their square root fewer: ImageNet-22K
    has 90 = 300 / sqrt(11.1). On fewer it stays at 300, as in Hassani et al. 2021 (arXiv:2104.05704) on CIFAR
    and Flowers-102; their code has 98.0% on CIFAR-10 after 5,000, 96.5% after 300. A fine-tuning has 500
    steps at least, as Kolesnikov et al. 2020 have on small sets.
    """
    if fine_tunes:
        return max(published, math.ceil(FINE_TUNING_STEPS / steps))
    return min(published, round(300 * math.sqrt(PUBLISHED / images)))


def rate(published: float, share: float, *, fine_tunes: bool) -> float:
    """The learning rate of a total batch that is this share of the published one.

    By its square root, Adam's rule (Malladi et al. 2022, arXiv:2205.10287); that the betas stay as published
    is ours. A fine-tuning keeps its rate (`nas.recipe.published.fine_tuning_rate`): in hundreds of
    steps, not 75,060, AdamW moves a weight little enough (ours).
    """
    return published if fine_tunes or share == 1 else float(f"{published * math.sqrt(share):.2g}")


def average(published: float | None, steps: int) -> float | None:
    """The moving average's decay for so many steps, as a training would set it (`nas.training.ema`)."""
    if published is None:
        return None
    from nas.training.ema import ema_decay

    return round(ema_decay(published, steps), 6)


def pixels_for(images: Images, variant: Variant) -> int | None:
    """Pixels of a training: no more than the images have, in whole maps of the last stage; None: published.

    Small images are blown up to 64 pixels, and for a fine-tuning to 224.
    """
    most = NO_CROP_FROM if variant.startswith("finetune") else FINE_TUNED_PIXELS
    least = FINE_TUNED_PIXELS if variant.startswith("finetune") else LEAST_PIXELS
    if images.pixels is None or images.pixels >= most:
        return None
    return max(least, images.pixels // MULTIPLE * MULTIPLE)


def eval_crop(pixels: int, images: Images) -> float:
    """Share of the shorter side that validation sees: nothing is cut off images that are no larger (ours)."""
    whole = pixels >= NO_CROP_FROM or (images.pixels is not None and images.pixels <= pixels)
    return 1.0 if whole else 0.875


def crops(pixels: int, there: int | None) -> dict[str, object]:
    """Random crops: of small images none sees fewer than 32 of their own pixels.

    Where that leaves nothing to crop, images are padded by an eighth, as CIFAR's are (He et al. 2016). The
    rest of the augmentation stays as published: the code of Hassani et al. 2021 has the same RandAugment,
    mixup, cutmix, erasing and smoothing on Flowers-102 (its crops are .8 to 1 of the area), and the fewer
    images, the more is augmentation worth (Steiner et al. 2022, arXiv:2106.10270, of ViT).
    """
    own = min(pixels, there or pixels)
    share = round((LEAST_CROP / own) ** 2, 2)
    if share <= CROP:
        return {}
    if share < 1:
        return {"random_resized_crop": [share, 1.0]}
    return {"random_resized_crop": None, "crop_padding": pixels // 8}


def _power_below(number: int) -> int:
    """The largest power of two of at most `number`; 1 below that."""
    return 1 << (max(number, 1).bit_length() - 1)
