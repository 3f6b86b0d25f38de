"""Augmentation of a batch at once, on its device; every draw comes from one `torch.Generator` on the CPU.

The draws are a few numbers a sample; made on the CPU they are the same whatever the device.
"""

from __future__ import annotations

import functools

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from nas.data.transfer import moved

MEAN = (0.485, 0.456, 0.406)  # ImageNet's, as in the official recipe
STD = (0.229, 0.224, 0.225)
SWITCH_PROBABILITY = 0.5  # between mixup and cutmix, where both are on (recipe)


def normalise(images: Tensor) -> Tensor:
    """uint8 [N, H, W, 3] -> float32 [N, 3, H, W], channels last in memory."""
    mean, std = _statistics(images.device)
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


@functools.cache
def _statistics(device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the levels; made once, since the device is waited for."""
    with torch.inference_mode(False):  # the first to ask may be a validation
        return torch.tensor(MEAN, device=device) * 255, torch.tensor(STD, device=device) * 255


def crop_and_flip(images: Tensor, padding: int, flip: bool, generator: Generator) -> Tensor:
    """Pads uint8 [N, H, W, 3] with zeros, crops each sample at its own place, mirrors half of them."""
    count, height, width, _ = images.shape
    places = torch.randint(0, 2 * padding + 1, (2, count, 1), generator=generator)
    mirrored = torch.rand(count, 1, generator=generator) < 0.5
    rows = places[0] + torch.arange(height)
    columns = torch.arange(width).expand(count, width)
    if flip:
        columns = torch.where(mirrored, width - 1 - columns, columns)
    columns = places[1] + columns
    samples = torch.arange(count)[:, None, None]
    padded = F.pad(images, (0, 0, padding, padding, padding, padding))
    chosen = samples, rows[:, :, None], columns[:, None, :]
    return padded[tuple(moved(index, images.device) for index in chosen)]


def soft_targets(labels: Tensor, num_classes: int, smoothing: float) -> Tensor:
    """Label-smoothed targets float32 [N, num_classes]: 1 - s + s/K on the label, s/K elsewhere."""
    hard = F.one_hot(labels, num_classes).float()
    return hard * (1 - smoothing) + smoothing / num_classes


def beta(alpha: float, generator: Generator) -> float:
    """One draw of Beta(alpha, alpha) by Johnk's rejection: torch's own takes no generator."""
    while True:
        u, v = torch.rand(2, generator=generator, dtype=torch.float64).pow(1 / alpha).tolist()
        if 0 < u + v <= 1:
            return float(u / (u + v))


def mix(
    images: Tensor,
    targets: Tensor,
    mixup: float,
    cutmix: float,
    probability: float,
    generator: Generator,
    switch_prob: float = SWITCH_PROBABILITY,
) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al. 2018) or cutmix (Yun et al. 2019) of [N, 3, H, W] with the batch reversed.

    One draw a batch, as the official recipe has it. `mixup` and `cutmix` are the alphas; 0 is off.
    """
    gate, switch = torch.rand(2, generator=generator).tolist()
    if mixup == cutmix == 0 or gate >= probability:
        return images, targets
    cut = cutmix > 0 and (mixup == 0 or switch < switch_prob)
    share = beta(cutmix if cut else mixup, generator)
    if cut:
        images, share = _paste(images, share, generator)
    else:
        images = share * images + (1 - share) * images.flip(0)
    return images, share * targets + (1 - share) * targets.flip(0)


def _paste(images: Tensor, share: float, generator: Generator) -> tuple[Tensor, float]:
    """Pastes a box of about 1 - share of the area; the exact share that is left, the box being clipped."""
    height, width = images.shape[2:]
    side = (1 - share) ** 0.5
    row, column = (torch.rand(2, generator=generator) * torch.tensor([height, width])).long().tolist()
    half_height, half_width = int(height * side) // 2, int(width * side) // 2
    top, bottom = max(0, row - half_height), min(height, row + half_height)
    left, right = max(0, column - half_width), min(width, column + half_width)
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.flip(0)[:, :, top:bottom, left:right]
    return mixed, 1 - (bottom - top) * (right - left) / (height * width)
