"""`python -m nas.train RECIPE --data DATA`: the whole training of a recipe, or several, controls beside it.

Under torchrun, on as many GPUs as it starts processes.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.sources.registry import forms
from nas.training.result import TrialFailed
from space.command import COUNT, POSITIVE_COUNT, SEEDS, Command
from space.errors import InputError
from space.words import duration, percentage, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nas.recipe.recipe import Recipe
    from nas.training.asked import Asked
    from nas.training.display import TrainingProgress
    from nas.training.distributed import Ranks
    from nas.training.full import FullTraining, Initial
    from nas.training.run import Run
    from nas.training.trainings import PlannedTraining
    from space.networks import Network

EPILOG = (
    "On several GPUs: torchrun --standalone --nproc-per-node 8 -m nas.train RECIPE --data ... --out ... "
    "The training is the same, to rounding. Is the network better than a control? python -m nas.train RECIPE "
    "--data ... --seeds 3 --control nearest, then python -m analysis.compare DIR."
)


def parser() -> Command:
    """The command line."""
    parse = Command(prog="python -m nas.train", description="Train a recipe's network.", epilog=EPILOG)
    parse.quiet = os.environ.get("RANK", "0") != "0"  # of several processes, one says what ends them
    add = parse.add_argument
    add("recipe", metavar="RECIPE", help="recipe.yaml, as nas.export writes it")
    add("--data", required=True, metavar="SPEC",
        help=f"{', '.join(forms())}; a folder is PATH/train/CLASS/*.jpg, PATH/val/CLASS/*.jpg")  # fmt: skip
    add("--out", type=Path, metavar="DIR",
        help="where checkpoints, logs and the summary go (default: trained, beside the recipe)")  # fmt: skip
    add("--seeds", type=SEEDS, default=1, metavar="N",
        help="N whole trainings, with the recipe's seed and the next, each in a folder (1)")  # fmt: skip
    add("--control", action="append", default=[], metavar="NAME|FILE|nearest",
        help="train this network too, by the same recipe and seeds, to compare with: a name, a file, or "
        "the published ConvNeXt nearest in FLOPs (swin, resnet: of these families); may be given "
        "again")  # fmt: skip
    add("--set", action="append", default=[], metavar="FIELD=VALUE", dest="assignments",
        help="a field of the recipe, such as schedule.warmup_epochs=2; may be given again")  # fmt: skip
    add("--resume", action="store_true",
        help="go on with what is in DIR, each training after its last whole epoch")  # fmt: skip
    add("--continue", dest="resume", action="store_const", const="auto",
        help="start, or go on where it is there: a command that can be given again")  # fmt: skip
    add("--init", metavar="CHECKPOINT",
        help="start from the weights in this file (the better ones, else the average where it has one), of "
        "this project's, the official, timm's or transformers' layout; of another ConvNeXt what fits is "
        "taken; a head of other classes is dropped")  # fmt: skip
    add("--finetune", action="store_true",
        help="with the published fine-tuning's schedule, rates and augmentation")  # fmt: skip
    add("--device", default="auto", help="cpu, cuda, cuda:N (default: auto)")
    add("--workers", type=COUNT, metavar="N",
        help="processes that decode images, for each GPU (default: by the cores)")  # fmt: skip
    add("--epochs-limit", type=POSITIVE_COUNT, metavar="N",
        help="stop after epoch N of the recipe's; --resume goes on")  # fmt: skip
    return parse


def main(argv: list[str] | None = None) -> int:
    """The command; returns its exit code."""
    given = sys.argv[1:] if argv is None else argv
    command = parser()
    args = command.parse_args(given)
    if args.out is None:
        args.out = beside(Path(args.recipe))

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
        words = given if args.resume else [*given, "--resume"]
        return f"go on with: python -m nas.train {shlex.join(words)}"

    return command.carry_out(act, interrupted)


def beside(recipe: Path) -> Path:
    """The folder that a recipe's training goes to: `trained` beside recipe.yaml, X-trained beside X.yaml."""
    return recipe.with_name("trained" if recipe.stem == "recipe" else f"{recipe.stem}-trained")


def train(args: argparse.Namespace) -> None:
    """Train as the command line says. Raises `InputError`, `TrialFailed`."""
    from nas.data.layout import refuse_inside
    from nas.data.once import listed_once
    from nas.training.asked import asked
    from nas.training.distributed import joined
    from nas.training.folder import check_folder
    from nas.training.full import check_batch
    from space.networks import cost_of

    # all that can be wrong is found before the first image is read, as far as that can be
    wanted = asked(args.recipe, args.assignments, fine_tunes=args.finetune)
    if args.finetune and args.init is None:
        raise InputError("--finetune: of which weights? --init CHECKPOINT names them")
    trainings = _trainings(args, wanted.recipe)
    for each in trainings:
        cost_of(each.recipe.network, each.recipe.data.resolution)
        check_batch(each.recipe)
    check_folder(args.out, args.resume, several=_several(args))
    refuse_inside(args.out, args.data, "--out")
    if args.init is not None:
        _check_init(Path(args.init), [each.recipe.network for each in trainings])
    with joined(args.device) as (ranks, device), listed_once():
        _train_all(args, trainings, wanted, ranks, device)


def _several(args: argparse.Namespace) -> bool:
    return args.seeds > 1 or bool(args.control)


def _trainings(args: argparse.Namespace, recipe: Recipe) -> list[PlannedTraining]:
    """What is to be trained; one alone has the folder for itself. Raises `InputError`."""
    from nas.training.controls import control, trained_alike
    from nas.training.trainings import NETWORK, PlannedTraining, TrainingEntry, planned

    if not _several(args):
        return [PlannedTraining(TrainingEntry(NETWORK, NETWORK, recipe.seed, ""), recipe, args.out)]
    controls: dict[str, Recipe] = {}
    for text in args.control:
        name, network = control(text, recipe.network)
        if name in controls:
            raise InputError(f"--control: {name} is given twice")
        controls[name] = trained_alike(recipe, network)
    return planned(recipe, controls, args.seeds, args.out)


def _check_init(path: Path, networks: Sequence[Network]) -> None:
    """Of several networks each must have something to take: the last one's turn may come after days."""
    from nas.training.weights import start_from
    from space.weight_files import check_file

    try:
        check_file(path)
        different = {network.fingerprint: network for network in networks}
        for network in different.values() if len(different) > 1 else ():
            start_from(network, path)
    except InputError as error:
        raise InputError(f"--init {error}") from None


def _train_all(
    args: argparse.Namespace, trainings: list[PlannedTraining], asked: Asked, ranks: Ranks, device: str
) -> None:
    from rich.console import Console

    from nas.training.folder import hold
    from nas.training.trainings import said, write_trainings

    console = Console(quiet=not ranks.main)
    failures: list[str] = []
    heard: set[str] = set()
    with ExitStack() as held:
        for number, training in enumerate(trainings, 1):
            run, more = _run(args, training, asked, ranks, device)
            if number == 1 and _several(args) and ranks.main:
                held.enter_context(hold(args.out))
                write_trainings(args.out, trainings, args.data)
                _say(console, said(trainings))
            told = [note for note in [*_notes(run), *asked.notes, *more] if note not in heard]
            heard |= set(told)  # what is the same for all is said once
            try:
                _train(args, training, run, told, console, (number, len(trainings)))
            except TrialFailed as failure:
                # several processes cannot know whether all of them have failed
                if len(trainings) == 1 or ranks.world > 1:
                    raise
                failures.append(f"{training.label}: {failure}")
                _say(console, f"failed: {failures[-1]}")
    if failures:
        raise TrialFailed("; ".join(failures))
    if _several(args) and args.epochs_limit is None:
        _say(console, f"compare them: python -m analysis.compare {shlex.quote(str(args.out))}")


def _say(console: Console, line: str) -> None:
    console.print(line, soft_wrap=True, highlight=False, markup=False)


def _train(
    args: argparse.Namespace,
    training: PlannedTraining,
    run: Run,
    notes: list[str],
    console: Console,
    place: tuple[int, int],
) -> None:
    """One training, number so many of so many."""
    from nas.training.display import TrainingProgress
    from nas.training.folder import check_folder, check_recipe, hold, is_begun
    from nas.training.full import FullTraining

    recipe, folder = run.recipe, training.folder
    begun = args.resume and is_begun(folder)
    lead = f"{place[0]}/{place[1]} {training.label}: " if place[1] > 1 else ""
    with ExitStack() as held:
        if begun and run.ranks.main:  # before what another process may be writing is read
            held.enter_context(hold(folder))
        if begun:
            check_recipe(folder, recipe)
        full = FullTraining(run, folder, _initial(args, run, folder, notes, begun))
        if begun:
            full.resume()
        elif run.ranks.main:
            held.enter_context(hold(folder))
            check_folder(folder, resume=False)  # another may have been quicker
        if not full.open():
            notes.append("log.csv only: TensorBoard is not installed (pip install 'convnext-nas[train]')")
        last = min(args.epochs_limit or recipe.epochs, recipe.epochs)
        done = len(full.curve)
        with TrainingProgress(console, last, done, recipe.total_batch_size, lead) as progress:
            progress.resumed(full.rows)
            if place[1] == 1 or done < last:
                for note in (lead + _title(run, full), *notes):
                    progress.note(note)
            _epochs(full, last, progress, place)
        full.close()
    for line in _outcome(full, folder, recipe):
        _say(console, lead + line)


def _epochs(full: FullTraining, last: int, progress: TrainingProgress, place: tuple[int, int]) -> None:
    """Up to epoch `last`; of several trainings the first one's first epoch tells how long all will take."""
    while len(full.curve) < last:
        progress.epoch(full.epoch(progress.step))
        number, count = place
        if number == 1 < count and len(full.curve) == 1 < last:
            whole = duration(full.rows[0]["seconds"] * last * count)
            progress.note(
                f"about {whole} for all {count} trainings, if each takes as long; fewer --seeds, or --set "
                "epochs=N, take less"
            )


def _initial(
    args: argparse.Namespace, run: Run, folder: Path, notes: list[str], begun: bool
) -> Initial | None:
    """The weights to start from; `notes` get what was taken. None where the training has its own."""
    from nas.training.folder import LAST
    from nas.training.full import initial_weights
    from space.cost import RESOLUTION  # the published weights'

    recipe = run.recipe
    if begun and (folder / LAST).exists():
        return None
    if args.init is None:
        if recipe.fine_tunes:
            notes.append(
                f"from scratch by a recipe for fine-tuning (learning rate {recipe.optimizer.lr:g}): it will "
                "learn little; --init CHECKPOINT names trained weights to start from"
            )
        return None
    initial = initial_weights(
        args.init, recipe.network, recipe.data.num_classes, recipe.data.classes, notes.append
    )
    own, seen = recipe.data.resolution, initial.facts["resolution"] or RESOLUTION
    if args.finetune and own < seen:
        notes.append(
            f"--finetune: at the recipe's {own} pixels, where the weights have seen {seen}; --set "
            f"data.resolution={seen} takes about {(seen / own) ** 2:.0f} times as long"
        )
    if own >= 2 * seen:
        notes.append(
            f"--init: at the recipe's {own} pixels, where the weights have seen {seen}; --set "
            f"data.resolution={seen} is about {(own / seen) ** 2:.0f} times as quick"
        )
    return initial


def _notes(run: Run) -> list[str]:
    """What there is to say before a training starts: what was read, and what is not as the recipe says."""
    notes = [run.batches.read] if run.batches.read else []
    if run.ema_decay is not None and run.ema_decay != run.recipe.ema_decay:
        notes.append(
            f"EMA: decay {run.ema_decay:.6g}, not {run.recipe.ema_decay:g}, which would not forget the start "
            f"in {plural(run.recipe.epochs, 'epoch')} of {plural(run.steps, 'step')}"
        )
    return notes


def _run(
    args: argparse.Namespace, training: PlannedTraining, asked: Asked, ranks: Ranks, device: str
) -> tuple[Run, tuple[str, ...]]:
    """What the training is given, checked, and what was set right for it. Raises `InputError`."""
    from nas.data.opening import open_batches
    from nas.training.asked import fitted
    from nas.training.device import choose_device, choose_precision
    from nas.training.folder import as_begun
    from nas.training.full import check_batch
    from nas.training.run import Run

    recipe = training.recipe
    try:
        where = choose_device(device)
    except TrialFailed as failure:
        raise InputError(str(failure)) from None
    batches = open_batches(args.data, recipe, workers=args.workers, seed=recipe.seed, any_classes=True)
    found = fitted(replace(asked, recipe=recipe), batches, args.data, ranks.world)
    recipe, notes = found.recipe, found.notes
    if args.resume:
        recipe = as_begun(recipe, training.folder)
    check_batch(recipe)
    return Run(recipe, batches, recipe.seed, where, choose_precision(recipe.precision, where), ranks), notes


def _title(run: Run, training: FullTraining) -> str:
    from space.networks import brief

    recipe, done = run.recipe, len(training.curve)
    processes = f" x {run.ranks.world}" if run.ranks.world > 1 else ""
    goes_on = f", going on after epoch {done}" if done else ""
    return (
        f"{brief(recipe.network)}: {plural(recipe.epochs, 'epoch')} of {plural(run.steps, 'step')} of "
        f"{recipe.total_batch_size} images at {recipe.data.resolution} pixels on {run.device}{processes} in "
        f"{run.precision}{goes_on}"
    )


def _outcome(training: FullTraining, folder: Path, recipe: Recipe) -> list[str]:
    from nas.training.folder import BEST
    from nas.training.full import better_weights, top1

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
