"""From a batch's pixels to what the network is given: images and soft targets."""

from __future__ import annotations

import torch
from torch import Tensor

from nas.data.augment.batch import crop_and_flip, mix, normalise, soft_targets
from nas.data.transfer import to_device
from nas.recipe.recipe import Recipe


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
        from nas.data.augment.erasing import random_erasing

        images = random_erasing(images, values.random_erasing, generator)
    targets = soft_targets(labels, recipe.data.num_classes, values.label_smoothing)
    mixing = values.mixup, values.cutmix, values.mixup_prob
    return mix(images, targets, *mixing, generator, values.switch_prob)


def _coloured(pixels: Tensor, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """RandAugment, or else colour jitter, of uint8 [N, H, W, 3]."""
    values = recipe.augmentation
    if values.rand_augment is not None:
        from nas.data.augment.rand_augment import rand_augment

        return rand_augment(pixels, values.rand_augment, generator, recipe.data.interpolation)
    if values.color_jitter > 0:
        from nas.data.augment.color_jitter import color_jitter

        return color_jitter(pixels, values.color_jitter, generator)
    return pixels
