"""`python -m nas.train RECIPE --data imagefolder:PATH --out DIR`: the whole training of a recipe.

Under torchrun, on as many GPUs as it starts processes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.sources.registry import forms
from nas.training.result import TrialFailed
from space.command import COUNT, POSITIVE_COUNT, Command
from space.errors import InputError
from space.words import percentage

if TYPE_CHECKING:
    from nas.recipe.recipe import Recipe
    from nas.training.distributed import Ranks
    from nas.training.full import FullTraining
    from nas.training.state import Run

EPILOG = (
    "On several GPUs: torchrun --standalone --nproc-per-node 8 -m nas.train RECIPE --data ... --out ... "
    "The number of processes must divide the recipe's accumulation x devices; the training is the same."
)


def parser() -> Command:
    """The command line."""
    parse = Command(prog="python -m nas.train", description="Train a recipe's network.", epilog=EPILOG)
    parse.quiet = os.environ.get("RANK", "0") != "0"  # of several processes, one says what ends them
    parse.add_argument("recipe", metavar="RECIPE", help="recipe.yaml, as nas.export writes it")
    parse.add_argument("--data", required=True, metavar="SPEC",
                       help=f"{', '.join(forms())}; a folder is PATH/train/CLASS/*.jpg, "
                       "PATH/val/CLASS/*.jpg")  # fmt: skip
    parse.add_argument("--out", required=True, type=Path, metavar="DIR",
                       help="where checkpoints, logs and the summary go")  # fmt: skip
    parse.add_argument("--resume", action="store_true",
                       help="go on with the training in DIR after its last whole epoch")  # fmt: skip
    parse.add_argument("--init", metavar="CHECKPOINT",
                       help="start from the weights in this file (the better ones, else the average where it "
                       "has one), of this project's, the official, timm's or transformers' layout; a head of "
                       "other classes is dropped")  # fmt: skip
    parse.add_argument("--device", default="auto", help="cpu, cuda, cuda:N (default: auto)")
    parse.add_argument("--workers", type=COUNT, metavar="N",
                       help="processes that decode images, for each GPU (default: by the cores)")  # fmt: skip
    parse.add_argument("--epochs-limit", type=POSITIVE_COUNT, metavar="N",
                       help="stop after epoch N of the recipe's; --resume goes on")  # fmt: skip
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = sys.argv[1:] if argv is None else argv
    command = parser()
    args = command.parse_args(given)

    def act() -> int:
        try:
            train(args)
        except TrialFailed as error:
            less = "; a smaller batch_size with more accumulation needs less"
            return command.ended(1, f"{error}{less if 'of memory' in str(error) else ''}")
        return 0

    def interrupted() -> str:
        if not args.out.exists():
            return "nothing written"
        words = given if "--resume" in given else [*given, "--resume"]
        return f"go on with: python -m nas.train {shlex.join(words)}"

    return command.carry_out(act, interrupted)


def train(args: argparse.Namespace) -> None:
    """Train as the command line says. Raises `InputError`, `TrialFailed`."""
    from nas.recipe.recipe import read_recipe
    from nas.training.distributed import joined
    from nas.training.full import check_batch, check_folder
    from space.networks import cost_of

    # all that can be wrong is found before the first image is read, as far as that can be
    recipe = read_recipe(args.recipe)
    cost_of(recipe.network, recipe.data.resolution)
    check_batch(recipe)
    check_folder(args.out, recipe, args.resume)
    if args.init is not None:
        _check_init(Path(args.init))
    with joined(args.device) as (ranks, device):
        _train(args, recipe, ranks, device)


def _check_init(path: Path) -> None:
    from space.weight_files import check_file

    try:
        check_file(path)
    except InputError as error:
        raise InputError(f"--init {error}") from None


def _train(args: argparse.Namespace, recipe: Recipe, ranks: Ranks, device: str) -> None:
    from rich.console import Console

    from nas.training.display import TrainingProgress
    from nas.training.full import LAST, FullTraining, check_folder, hold, initial_weights

    console = Console(quiet=not ranks.main)
    notes: list[str] = []
    with ExitStack() as held:
        if args.resume and ranks.main:  # before what another process may be writing is read
            held.enter_context(hold(args.out))
        run = _run(args, recipe, ranks, device)
        initial = None
        if args.init is not None and not (args.resume and (args.out / LAST).exists()):
            data = run.recipe.data
            initial = initial_weights(args.init, recipe.network, data.num_classes, data.classes, notes.append)
        training = FullTraining(run, args.out, initial)
        if args.resume:
            training.resume()
        elif ranks.main:
            held.enter_context(hold(args.out))
            check_folder(args.out, recipe, resume=False)  # another may have been quicker
        notes = [*_notes(run), *notes]
        if not training.open():
            notes.append("log.csv only: TensorBoard is not installed (pip install 'convnext-nas[train]')")
        last = min(args.epochs_limit or recipe.epochs, recipe.epochs)
        with TrainingProgress(console, last, len(training.curve), recipe.total_batch_size) as progress:
            progress.resumed(training.rows)
            for note in (_title(run, training), *notes):
                progress.note(note)
            while len(training.curve) < last:
                progress.epoch(training.epoch(progress.step))
        training.close()
    for line in _outcome(training, args.out, recipe):
        console.print(line, soft_wrap=True, highlight=False, markup=False)


def _notes(run: Run) -> list[str]:
    """What there is to say before a training starts: what was read, and what is not as the recipe says."""
    notes = [run.batches.read] if run.batches.read else []
    if run.ema_decay is not None and run.ema_decay != run.recipe.ema_decay:
        notes.append(
            f"EMA: decay {run.ema_decay:.6g}, not {run.recipe.ema_decay:g}, which would not forget the start "
            f"in {run.recipe.epochs} epochs of {run.steps} steps"
        )
    return notes


def _run(args: argparse.Namespace, recipe: Recipe, ranks: Ranks, device: str) -> Run:
    """What the training is given, checked. Raises `InputError`."""
    from nas.data.opening import open_batches
    from nas.training.device import choose_device, choose_precision
    from nas.training.full import with_classes
    from nas.training.state import Run

    try:
        where = choose_device(device)
    except TrialFailed as failure:
        raise InputError(str(failure)) from None
    batches = open_batches(args.data, recipe, workers=args.workers, seed=recipe.seed)
    recipe = with_classes(recipe, batches, args.data)
    return Run(recipe, batches, recipe.seed, where, choose_precision(recipe.precision, where), ranks)


def _title(run: Run, training: FullTraining) -> str:
    from space.networks import brief

    recipe, done = run.recipe, len(training.curve)
    processes = f" x {run.ranks.world}" if run.ranks.world > 1 else ""
    goes_on = f", going on after epoch {done}" if done else ""
    return (
        f"{brief(recipe.network)}: {recipe.epochs} epochs of {run.steps} steps of {recipe.total_batch_size} "
        f"images at {recipe.data.resolution} pixels on {run.device}{processes} in {run.precision}{goes_on}"
    )


def _outcome(training: FullTraining, folder: Path, recipe: Recipe) -> list[str]:
    from nas.training.full import BEST, better_weights, top1

    best, done = training.best, len(training.curve)
    if best is None:
        return []
    which = "" if best.get("ema_accuracy") is None else (
        " of the weights" if better_weights(best) == "model" else " of their moving average")  # fmt: skip
    lines = [f"best top-1 {percentage(top1(best))}{which} after epoch {best['epoch']}: {folder / BEST}"]
    if done < recipe.epochs:
        lines.append(f"epochs {done + 1} to {recipe.epochs} are to come: --resume goes on")
    return lines


if __name__ == "__main__":
    sys.exit(main())
