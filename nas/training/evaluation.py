"""Accuracy of networks on the validation split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas.data.augment.batch import normalise
from nas.data.batches import Batches
from nas.data.transfer import to_device
from nas.training.device import autocast
from nas.training.run import Run

EVALUATION_BATCH = 256  # images; for the memory's sake, it changes no result
TOP = 5


@dataclass(frozen=True)
class Accuracy:
    """Mean cross-entropy, and the shares, in [0, 1], of images whose class is the first, or among five.

    `answers` int64 [2, images]: each image's label, and the class that the network takes it for.
    """

    loss: float
    top1: float
    top5: float
    answers: Tensor


def evaluate(networks: Sequence[nn.Module], run: Run) -> list[Accuracy]:
    """Each network's on the validation split, in one pass over it; the ranks share the images."""
    groups = torch.split(torch.arange(run.batches.val_size), EVALUATION_BATCH)
    # sums, not means, are shared: parts may differ in size, and no image counts twice to make them even
    own = groups[run.ranks.rank :: run.ranks.world]
    answers = torch.zeros(1 + len(networks), run.batches.val_size, dtype=torch.int64)
    found = totals(networks, run.batches, own, run.device, run.precision, answers=answers)
    shares = (run.ranks.sum(found) / run.batches.val_size).tolist()
    labels, *predicted = run.ranks.sum(answers)
    return [
        Accuracy(loss, top1, top5, torch.stack([labels, chosen]))
        for (loss, top1, top5), chosen in zip(shares, predicted, strict=True)
    ]


@torch.inference_mode()
def totals(
    networks: Sequence[nn.Module],
    batches: Batches,
    groups: Sequence[Tensor],
    device: torch.device,
    precision: str,
    *,
    places: Tensor | None = None,
    exact: bool = False,
    answers: Tensor | None = None,
    on_batch: Callable[[int, Tensor], None] | None = None,
) -> Tensor:
    """float64 [networks, 3], on the CPU: cross-entropy, top-1 and top-5 hits, summed over these groups.

    `groups` are indices int64 [n] into the validation split, a batch each. `places` are the labels' among the
    networks' classes, None: the same. `exact` adds up single images' losses in float64, so that the groups
    change nothing; else a batch's are added up in float32, as every recorded training has them. `answers`
    int64 [1 + networks, images of the split] is given these images' labels, and the class by each network.
    `on_batch` is called with each batch's images and its [networks, 3].
    """
    for network in networks:
        network.eval()
    sums: list[Tensor] = []
    seen: list[Tensor] = []
    for pixels, given in batches.validation(groups):
        images, labels = to_device(pixels, given if places is None else places[given], device)
        images, found, chosen = normalise(images), [], [labels]
        for network in networks:
            with autocast(device, precision):
                logits = network(images)
            chosen.append(logits.float().argmax(1))
            found.append(_sums(logits.float(), labels, chosen[-1], exact))
        sums.append(torch.stack(found))
        seen.append(torch.stack(chosen))
        if on_batch is not None:
            on_batch(len(labels), sums[-1])
    total = torch.zeros(len(networks), 3, dtype=torch.float64)
    # read once at the end, so that no batch waits for the device; there may be no batch
    for values in torch.stack(sums).cpu() if sums else ():
        total += values
    if answers is not None and seen:
        answers[:, torch.cat(list(groups))] = torch.cat(seen, 1).cpu()
    return total


def _sums(logits: Tensor, labels: Tensor, chosen: Tensor, exact: bool) -> Tensor:
    """Cross-entropy, top-1 and top-5 hits, summed over [N]."""
    if exact:
        loss = F.cross_entropy(logits, labels, reduction="none").double().sum()
    else:
        loss = F.cross_entropy(logits, labels, reduction="sum")
    first = chosen == labels
    five = logits.topk(min(TOP, logits.shape[1]), dim=1).indices == labels[:, None]
    return torch.stack([loss, first.sum().to(loss.dtype), five.sum().to(loss.dtype)])
