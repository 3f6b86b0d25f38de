"""`python -m nas.evaluate CHECKPOINT --data SPEC`: the share of validation images a network gets right."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from nas.data.class_names import in_one_form, nearly_alike
from nas.data.sources.registry import forms
from nas.training.result import TrialFailed
from nas.training.weights import Weights, read_weights
from space.command import COUNT, POSITIVE_COUNT, SHARE, Command
from space.errors import InputError, some
from space.words import duration

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from nas.data.batches import Batches

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Evaluation:
    """Over `images`: top-1 and top-5 in [0, 1] with 95% Wilson intervals, mean cross-entropy; top-5 is None
    where there are no more than five classes."""

    images: int
    top1: float
    top1_interval: tuple[float, float]
    top5: float | None
    top5_interval: tuple[float, float] | None
    loss: float
    seconds: float


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m nas.evaluate",
        description="Top-1, top-5 and loss of a checkpoint on a validation split, with 95% intervals.",
    )
    parse.add_argument("checkpoint", metavar="CHECKPOINT",
                       help="a file of nas.train, or weights in this project's, official ConvNeXt, timm or "
                       "transformers layout")  # fmt: skip
    parse.add_argument("--data", required=True, metavar="SPEC",
                       help=f"{', '.join(forms())}; a folder is PATH/val/CLASS/*.jpg")  # fmt: skip
    parse.add_argument("--network", metavar="NAME|FILE",
                       help="the weights' network, where the checkpoint does not say it; a recipe.yaml also "
                       "says at which pixels it was trained")  # fmt: skip
    parse.add_argument("--ema", action=argparse.BooleanOptionalAction, default=None,
                       help="the weights' moving average, or the weights (default: those that the checkpoint "
                       "says were better, else the average where it has one)")  # fmt: skip
    parse.add_argument("--resolution", type=POSITIVE_COUNT, metavar="N",
                       help="image side, pixels (default: the checkpoint's, else 224)")  # fmt: skip
    parse.add_argument("--crop", type=SHARE, metavar="X",
                       help="the centre crop's share of the shorter side; 1 at 384 pixels and more warps "
                       "the whole image, as the official code does (default: the checkpoint's, else "
                       "0.875)")  # fmt: skip
    parse.add_argument("--batch-size", type=POSITIVE_COUNT, default=256, metavar="N",
                       help="images at a time; changes no result (256)")  # fmt: skip
    parse.add_argument("--workers", type=COUNT, metavar="N",
                       help="processes that decode images; 0: none (default: by the cores)")  # fmt: skip
    parse.add_argument("--device", default="auto", help="cpu, cuda, cuda:N (default: auto)")
    parse.add_argument("--precision", default="auto", choices=("auto", "fp32", "bf16"),
                       help="auto is bf16 where the GPU has it, as in training")  # fmt: skip
    parse.add_argument("--json", action="store_true", help="print one JSON object")
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    command = parser()
    args = command.parse_args(argv)

    def act() -> int:
        try:
            evaluate(args)
        except TrialFailed as error:
            return command.ended(1, str(error))
        return 0

    return command.carry_out(act)


def evaluate(args: argparse.Namespace) -> None:
    """Evaluate as the command line says. Raises `InputError`, `TrialFailed`."""
    from nas.training.device import choose_device, choose_precision, memory_errors_as_failures
    from space.networks import brief, cost_of

    try:
        device = choose_device(args.device)
    except TrialFailed as failure:
        raise InputError(str(failure)) from None
    weights = read_weights(args.checkpoint, args.network, args.ema)
    resolution = args.resolution or weights.resolution
    cost_of(weights.network, resolution)  # refuses images too small for the network
    batches = open_validation(args, weights, resolution)
    labels = labels_of(batches, weights, args.data, args.checkpoint)
    precision = choose_precision(args.precision, device)
    notes = [note for note in (batches.read, *weights.notes, _untold(args, weights), labels.note) if note]
    if not args.json:
        print(f"{args.checkpoint}: {brief(weights.network)}, {weights.which}")
        print("".join(f"{note}\n" for note in notes), end="", flush=True)
    with memory_errors_as_failures():
        found = evaluation(weights, batches, args.batch_size, device, precision, labels.places)
    _report(args, weights, found, notes, resolution, str(device), precision)


def _untold(args: argparse.Namespace, weights: Weights) -> str:
    """What must be known of an accuracy at pixels that nobody has said; "" where somebody has."""
    if weights.told or (args.resolution and args.crop):
        return ""
    return (
        f"pixels: {args.resolution or weights.resolution}, a crop of {args.crop or weights.crop:g}, as "
        f"published; {args.checkpoint} does not say what it was trained at, where its accuracy may differ: "
        "--resolution and --crop, or --network recipe.yaml"
    )


@dataclass(frozen=True)
class Labels:
    """Where the data's labels are among the network's classes, int64 [classes of the data]; None: the same.

    `note` says what a reader of the accuracy must know of it.
    """

    places: Tensor | None = None
    note: str = ""


def labels_of(batches: Batches, weights: Weights, spec: str, path: str) -> Labels:
    """The labels of the data `spec` among the classes of the network in `path`, by name where both have any.

    Raises `InputError` for classes that the network does not know, and without names for another number.
    """
    import torch

    names, known = batches.classes, weights.classes
    if names is None or known is None:
        if batches.num_classes != weights.num_classes:
            raise InputError(
                f"data: {spec} has {batches.num_classes} classes; the network in {path} tells "
                f"{weights.num_classes} apart"
            )
        if names is None and known is None:
            return Labels()
        without = spec if names is None else path
        return Labels(
            note=f"classes: {weights.num_classes} in both; {without} keeps no names: that they are the same, "
            "in the same order, could not be checked"
        )
    names, known = in_one_form(names, known)
    places = {name: place for place, name in enumerate(known)}
    strange = [name for name in names if name not in places]
    missing = [name for name in known if name not in set(names)]
    if strange:
        lacking = f"; it knows {some(missing, 10)}{nearly_alike(strange, missing)}" if missing else ""
        raise InputError(
            f"data: {spec} has classes that the network does not know: {some(strange, 10)}{lacking}"
        )
    note = (
        f"classes: {len(names)} of the network's {len(known)}, among all of which it chooses; without "
        f"{some(missing, 10)}"
        if missing
        else ""
    )
    return Labels(torch.tensor([places[name] for name in names]), note)


def open_validation(args: argparse.Namespace, weights: Weights, resolution: int) -> Batches:
    """The validation split that the command line names, at `resolution`. Raises `InputError`."""
    from nas.data import load
    from nas.data.batches import Cached
    from nas.data.opening import STREAMED, classes_to_ask, default_workers
    from nas.data.sources.registry import parsed

    kind, path = parsed(args.data)
    if kind not in STREAMED:
        classes = classes_to_ask(args.data, weights.num_classes)
        return Cached(load(args.data, resolution, num_classes=classes))
    from nas.data.stream import Streamed

    return Streamed(
        path,
        listing=STREAMED[kind],
        resolution=resolution,
        eval_crop=args.crop or weights.crop,
        interpolation=weights.interpolation,
        workers=default_workers() if args.workers is None else args.workers,
        training=False,
    )


def evaluation(
    weights: Weights,
    batches: Batches,
    batch_size: int,
    device: torch.device,
    precision: str = "fp32",
    places: Tensor | None = None,
) -> Evaluation:
    """The network, moved to `device`, on the validation split; `places` are the labels' among its classes.

    Raises `InputError`.
    """
    import torch
    from rich.console import Console

    from nas.training.display import EvaluationProgress
    from nas.training.evaluation import TOP, totals

    model = weights.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    began, images = time.perf_counter(), batches.val_size
    groups = torch.split(torch.arange(images), batch_size)
    with EvaluationProgress(Console(stderr=True), images) as progress:
        found = totals(
            [model], batches, groups, device, precision,
            places=places, exact=True, on_batch=lambda done, sums: progress.done(done, float(sums[0, 1])),
        )  # fmt: skip
    if not torch.isfinite(found).all():
        raise InputError(
            "the network's outputs are not finite: its training diverged, or it is not its weights"
        )
    loss, first, five = found[0].tolist()
    several = weights.num_classes > TOP
    return Evaluation(
        images=images,
        top1=first / images,
        top1_interval=wilson(round(first), images),
        top5=five / images if several else None,
        top5_interval=wilson(round(five), images) if several else None,
        loss=loss / images,
        seconds=time.perf_counter() - began,
    )


def wilson(right: int, images: int) -> tuple[float, float]:
    """Wilson's 95% interval of a share: what other images of the same kind would leave it within."""
    from scipy import stats  # type: ignore[import-untyped]

    found = stats.binomtest(right, images).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def _report(
    args: argparse.Namespace,
    weights: Weights,
    found: Evaluation,
    notes: list[str],
    resolution: int,
    device: str,
    precision: str,
) -> None:
    from space.networks import brief

    if args.json:
        values = {
            "checkpoint": str(args.checkpoint),
            "network": brief(weights.network),
            "fingerprint": weights.network.fingerprint,
            "ema": weights.averaged,
            "weights": weights.which,
            "data": args.data,
            "num_classes": weights.num_classes,
            "notes": notes,
            "resolution": resolution,
            "device": device,
            "precision": precision,
            **asdict(found),
        }
        print(json.dumps(values, indent=2))
        return
    print(_line("top-1", found.top1, found.top1_interval))
    if found.top5 is not None and found.top5_interval is not None:
        print(_line("top-5", found.top5, found.top5_interval))
    print(f"loss    {found.loss:.4f}")
    rate = found.images / max(found.seconds, 1e-9)
    print(f"images  {found.images:,} of {args.data} at {resolution} pixels on {device} in {precision}, "
          f"{duration(found.seconds)} ({rate:,.0f} images/s)")  # fmt: skip


def _line(name: str, share: float, interval: tuple[float, float]) -> str:
    low, high = interval
    return f"{name}   {share:.2%}  (95% interval {low:.2%} to {high:.2%})"


if __name__ == "__main__":
    sys.exit(main())
