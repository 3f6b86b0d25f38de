"""Accuracy of networks on the validation split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data.augment.batch import normalise
from nas.data.transfer import to_device
from nas.training.device import autocast
from nas.training.state import Run

EVALUATION_BATCH = 256  # images; for the memory's sake, it changes no result


@dataclass(frozen=True)
class Accuracy:
    """Mean cross-entropy, and the shares, in [0, 1], of images whose class is the first, or among five."""

    loss: float
    top1: float
    top5: float


@torch.inference_mode()
def evaluate(networks: Sequence[nn.Module], run: Run) -> list[Accuracy]:
    """Each network's on the validation split, in one pass over it; the ranks share the images."""
    for network in networks:
        network.eval()
    sums: list[list[Tensor]] = [[] for _ in networks]
    batches = torch.split(torch.arange(run.batches.val_size), EVALUATION_BATCH)
    for batch in run.batches.validation(batches[run.ranks.rank :: run.ranks.world]):
        pixels, labels = to_device(*batch, run.device)
        images = normalise(pixels)
        for network, own in zip(networks, sums, strict=True):
            with autocast(run.device, run.precision):
                logits = network(images)
            own.append(_sums(logits.float(), labels))
    totals = run.ranks.sum(torch.stack([_total(own) for own in sums])) / run.batches.val_size
    return [Accuracy(*values) for values in totals.tolist()]


def _sums(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy, top-1 and top-5 hits, summed over [N]."""
    loss = F.cross_entropy(logits, labels, reduction="sum")
    first = logits.argmax(1) == labels
    five = logits.topk(min(5, logits.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss, first.sum().float(), five.sum().float()])


def _total(batches: Sequence[Tensor]) -> Tensor:
    """The sum of all batches' [3], in double precision and in their order, on the CPU; there may be none."""
    total = torch.zeros(3, dtype=torch.float64)
    for values in torch.stack(list(batches)).cpu() if batches else ():
        total += values
    return total
