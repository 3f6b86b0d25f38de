"""Colour jitter on a batch and its device, sample by sample as torchvision does it on Pillow images."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

from nas.data.augment import image_ops
from nas.data.transfer import moved

OPERATIONS = (image_ops.brightness, image_ops.contrast, image_ops.color)


def color_jitter(pixels: Tensor, strength: float, generator: Generator) -> Tensor:
    """Brightness, contrast and saturation of uint8 [N, H, W, 3] changed in an order each sample draws.

    Factors are uniform in 1 - `strength`, at least 0, to 1 + `strength`: torchvision's `ColorJitter` with one
    number for the three, as timm uses it. Every draw comes from `generator`, on the CPU.
    """
    count = len(pixels)
    low = max(0.0, 1 - strength)
    factors = low + (1 + strength - low) * torch.rand(len(OPERATIONS), count, generator=generator)
    order = torch.rand(len(OPERATIONS), count, generator=generator).argsort(0)
    pixels = pixels.clone()
    for place in order:
        for number, operation in enumerate(OPERATIONS):
            own = torch.nonzero(place == number).flatten()
            if len(own):
                there = moved(own, pixels.device)
                pixels[there] = operation(pixels[there], factors[number, own])
    return pixels
