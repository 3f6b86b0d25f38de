"""Random erasing (Zhong et al. 2020) of a normalised batch, with noise in every pixel, as timm does it."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from nas.data.transfer import moved

AREA = (0.02, 1 / 3)  # share of the image
ASPECT = (0.3, 1 / 0.3)  # height to width
ATTEMPTS = 10


def random_erasing(images: Tensor, probability: float, generator: Generator) -> Tensor:
    """Replaces a rectangle of float [N, 3, H, W] by normal noise, in a sample with `probability`.

    Area uniform in 2% to a third, aspect ratio log-uniform in .3 to 3.3, ten attempts to fit
    (timm/data/random_erasing.py, mode `pixel`, one rectangle). Draws come from `generator`, on the CPU, the
    noise on the images' device from a generator that it seeds.
    """
    count, _, height, width = images.shape
    boxes = draw_boxes(count, height, width, generator)
    erased = (torch.rand(count, generator=generator) < probability) & (boxes[:, 2] > 0)
    seed = int(torch.randint(2**62, (), generator=generator))
    own = torch.nonzero(erased).flatten()
    if not len(own):
        return images
    noise = torch.Generator(images.device).manual_seed(seed)
    top, left, tall, wide = moved(boxes[own], images.device).T[:, :, None]
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    within = ((rows >= top) & (rows < top + tall))[:, None, :, None]
    within = within & ((columns >= left) & (columns < left + wide))[:, None, None, :]
    there = moved(own, images.device)
    chosen = images[there]
    drawn = torch.randn(chosen.shape, generator=noise, device=images.device, dtype=images.dtype)
    changed = images.clone()
    changed[there] = torch.where(within, drawn, chosen)
    return changed


def draw_boxes(count: int, height: int, width: int, generator: Generator) -> Tensor:
    """Top, left, height and width int64 [count, 4]: each the first of ten attempts that fits, or all 0."""
    area, aspect, down, across = torch.rand(4, count, ATTEMPTS, generator=generator, dtype=torch.float64)
    target = (AREA[0] + (AREA[1] - AREA[0]) * area) * height * width
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    ratio = (low + (high - low) * aspect).exp()
    tall, wide = (target * ratio).sqrt().round(), (target / ratio).sqrt().round()
    fits = (tall < height) & (wide < width)  # strictly smaller, as in timm's loop
    top, left = (down * (height - tall + 1)).floor(), (across * (width - wide + 1)).floor()
    boxes = torch.stack([top, left, tall, wide], 2).long()
    first = fits.int().argmax(1)  # 0 also where none fits
    chosen: Tensor = boxes[torch.arange(count), first] * fits.any(1, keepdim=True)
    return chosen
