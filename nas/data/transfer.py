"""Pixels on their way to the device."""

from __future__ import annotations

import torch
from torch import Tensor


def moved(values: Tensor, device: torch.device) -> Tensor:
    """A few numbers on the device, which is not waited for; they stay as they are until they are there."""
    return values if values.device == device else pinned(values).to(device, non_blocking=True)


def to_device(pixels: Tensor, labels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """Both on the device; the copy overlaps with work where they are in pinned memory."""
    return pixels.to(device, non_blocking=True), labels.to(device, non_blocking=True)


def pinned(values: Tensor) -> Tensor:
    """In page-locked memory where there is CUDA, so that the copy to it can overlap with work."""
    return values.pin_memory() if torch.cuda.is_available() else values
