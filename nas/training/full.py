"""A whole recipe's training in a folder of its own: checkpoints after every epoch, logs, a summary.

    recipe.yaml          the recipe as run
    checkpoint-last.pt   all that the training goes on from
    checkpoint-best.pt   the weights of the best epoch, and their moving average: `model`, `model_ema`
    predictions.npz      the class that the best weights take each validation image for
    log.csv, tensorboard/, summary.json
    .lock                held by the process that writes

Both checkpoints are in torch's own format and load with `weights_only=True`; `read_weights` of
nas/training/weights.py reads either. `best_weights` in them says which of the two had the better top-1,
`classes` the classes' names.
"""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nas.data.class_names import in_one_form
from nas.recipe.recipe import Recipe, recipe_text
from nas.training.checkpoint import CheckpointError, fitting, load_plain, save_plain
from nas.training.device import forget_peak_memory, memory_errors_as_failures
from nas.training.folder import BEST, LAST, RECIPE, SUMMARY, made, refuse_another
from nas.training.log import TrainingLog
from nas.training.loop import run_epoch
from nas.training.predictions import write_predictions
from nas.training.result import Epoch, StepDone
from nas.training.run import Run
from nas.training.state import start
from nas.training.weights import BEST as BEST_WEIGHTS
from nas.training.weights import OWN, better, start_from
from space.errors import InputError, reason, some
from space.files import sweep, write_text
from space.networks import Network, brief, build_network, cost_of
from space.swin import Swin

HEAD = ("head.weight", "head.bias")


@dataclass(frozen=True)
class Initial:
    """Weights to start from, under our names, and what they are, for the record."""

    state: dict[str, Tensor]
    facts: dict[str, Any]


class FullTraining:
    """One training in its folder; every rank makes one and calls the same methods, rank 0 alone writes."""

    def __init__(self, run: Run, folder: Path, initial: Initial | None = None) -> None:
        self._run = run
        self._folder = folder
        self._init = None if initial is None else initial.facts
        forget_peak_memory(run.device)
        with memory_errors_as_failures():
            self._state = start(run, None if initial is None else initial.state)
        self._log: TrainingLog | None = None

    @property
    def curve(self) -> list[Epoch]:
        """Every epoch done."""
        return self._state.curve

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every epoch done, with all that was measured."""
        return [asdict(point) | beside for point, beside in zip(self.curve, self._state.beside, strict=True)]

    @property
    def best(self) -> dict[str, Any] | None:
        """The row of the epoch with the best top-1, the first of equals; the average's counts as well."""
        return max(self.rows, key=top1, default=None)

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one. Raises `InputError`."""
        path = self._folder / LAST
        try:
            kept = load_plain(path)
        except CheckpointError as error:
            raise self._unusable(path, error) from None
        if kept is None:
            return
        try:
            with fitting():
                if "training" not in kept:
                    raise CheckpointError("holds no training's state, or another version's")
                refuse_another(self._run.recipe, dict(kept["recipe"]), self._folder)
                if kept["data"] != self._run.batches.fingerprint:
                    raise InputError(f"--data: these are not the images that {self._folder} was trained on")
                values = dict(kept["training"]) | {"network": kept["model"], "ema": kept.get("model_ema")}
                self._state.restore(values, self._run.own_slots)
                self._init = kept.get("init")
        except CheckpointError as error:
            raise self._unusable(path, error) from None

    def _unusable(self, path: Path, error: CheckpointError) -> InputError:
        return InputError(
            f"{path}: {error}; remove it to train again from the start, or train from {BEST} with --init"
        )

    def open(self) -> bool:
        """Begin writing; whether TensorBoard's events are written too. Raises `InputError`."""
        self._run.ranks.barrier()  # all have looked at the folder
        # gathers every rank's randomness, so every rank calls it, before rank 0 goes on alone
        values = None if self.curve else self._checkpoint()
        if not self._run.ranks.main:
            return True
        made(self._folder)
        if not (self._folder / RECIPE).exists():
            write_text(self._folder / RECIPE, recipe_text(self._run.recipe, "The recipe as run."))
        if values is not None:  # what it starts from need not be given again
            self._save(LAST, values)
        self._log = TrainingLog(self._folder, len(self.curve))
        sweep(self._folder)
        if self.curve:  # a crash may have come between the checkpoint and these
            self._log.table(self.rows)
            self._write_summary()
        return self._log.events

    def epoch(self, on_step: StepDone | None = None) -> dict[str, Any]:
        """Train, validate and keep one epoch; its row.

        Raises `TrialFailed`, and `InputError` where it cannot be written.
        """
        with memory_errors_as_failures():
            run_epoch(self._state, self._run, on_step)
        values = self._checkpoint()
        if self._run.ranks.main:
            with uninterrupted():
                self._write(values)
        return self.rows[-1]

    def close(self) -> None:
        """Nothing more will be written."""
        if self._log is not None:
            self._log.close()

    def _write(self, values: dict[str, Any]) -> None:
        # the best first: a crash in between takes both back to the epoch before, which comes again
        if self.best == self.rows[-1]:
            which = 0 if better_weights(self.rows[-1]) == OWN[0] else -1
            write_predictions(self._folder, *self._state.answers[which].numpy())
            self._save(BEST, {name: value for name, value in values.items() if name != "training"})
        self._save(LAST, values)
        if self._log is not None:
            self._log.epoch(self.rows)
        self._write_summary()

    def _write_summary(self) -> None:
        write_text(self._folder / SUMMARY, json.dumps(self._summary(), indent=1) + "\n")

    def _save(self, name: str, values: dict[str, Any]) -> None:
        try:
            save_plain(self._folder / name, values)
        except OSError as error:
            raise InputError(
                f"{self._folder / name}: epoch {values['epoch']} cannot be written "
                f"({reason(error)}); --resume goes on after the last epoch that is kept"
            ) from None

    def _checkpoint(self) -> dict[str, Any]:
        """Called on every rank."""
        state = self._state.to_dict(self._run.ranks)
        recipe, row = self._run.recipe, self.rows[-1] if self.rows else {"epoch": 0}
        weights = {"model": state.pop("network")}
        average = state.pop("ema")
        return {
            # named as in the official code, for other programs; `training` is for this one alone
            **weights,
            **({} if average is None else {"model_ema": average}),
            "architecture": recipe.architecture,
            "num_classes": recipe.data.num_classes,
            "classes": _names(recipe),
            "resolution": recipe.data.resolution,
            "recipe": recipe.model_dump(mode="json"),
            "data": self._run.batches.fingerprint,
            **{name: row.get(name) for name in ("epoch", "val_accuracy", "ema_accuracy")},
            BEST_WEIGHTS: better_weights(row),
            "init": self._init,
            "training": state,
        }

    def _summary(self) -> dict[str, Any]:
        run, state = self._run, self._state
        recipe, batches = run.recipe, run.batches
        cost = cost_of(recipe.network, recipe.data.resolution, recipe.data.num_classes)
        return {
            "network": brief(recipe.network),
            "architecture": recipe.network.fingerprint,
            "macs": cost.macs,
            "params": cost.params,
            "resolution": recipe.data.resolution,
            "num_classes": recipe.data.num_classes,
            "classes": _names(recipe),
            "data": {
                "name": recipe.data.name,
                "fingerprint": batches.fingerprint,
                "train_size": batches.train_size,
                "val_size": batches.val_size,
            },
            "epochs": state.epoch,
            "recipe_epochs": recipe.epochs,
            "best": self.best,
            BEST_WEIGHTS: better_weights(self.best or {}),
            "ema_decay": run.ema_decay,
            "last": self.rows[-1],
            "seed": run.seed,
            "init": self._init,
            "precision": run.precision,
            "device": str(run.device),
            "processes": run.ranks.world,
            "train_seconds": state.train_seconds,
            "eval_seconds": state.eval_seconds,
            "images_per_second": state.images / max(state.train_seconds, 1e-9),
            "peak_memory": state.peak_memory or None,
            "torch": torch.__version__,
        }


def top1(row: Mapping[str, Any]) -> float:
    """A row's best top-1, of the weights or of their average."""
    return max(float(row["val_accuracy"]), float(row.get("ema_accuracy") or 0.0))


def better_weights(row: Mapping[str, Any]) -> str | None:
    """The key in a checkpoint of the weights with the row's best top-1; None before the first epoch."""
    if row.get("val_accuracy") is None:
        return None
    return better(float(row["val_accuracy"]), row.get("ema_accuracy"))


def _names(recipe: Recipe) -> list[str] | None:
    return None if recipe.data.classes is None else list(recipe.data.classes)


def check_batch(recipe: Recipe) -> None:
    """Raises `InputError` where a forward pass has but one value a channel for a BatchNorm to train on."""
    network = recipe.network
    if recipe.batch_size > 1 or isinstance(network, Swin) or network.norm != "batch":
        return
    try:
        # shapes alone are worked out: no memory, no arithmetic; the number of classes has no part in it
        with torch.device("meta"):
            side = recipe.data.resolution
            build_network(network, 2).train()(torch.empty(1, 3, side, side))
    except ValueError:  # torch's word for it
        raise InputError(
            "recipe: batch_size: 1 leaves BatchNorm a single value a channel in the last layers; it needs 2 "
            "images or more a forward pass (with less accumulation, or fewer devices)"
        ) from None


def initial_weights(
    path: str | Path,
    network: Network,
    num_classes: int,
    classes: Sequence[str] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Initial:
    """A checkpoint's weights under our names, for `network` to start from; without the head of other classes.

    Reads what `read_weights` reads, and networks without a head. Where both have names, the head's rows go to
    the `classes` of their names. `say` is told what was taken and what was not. Raises `InputError`.
    """
    try:
        start = start_from(network, path)
    except InputError as error:
        raise InputError(f"--init {error}") from None
    for note in start.notes:
        say(f"--init {path}: {note}")
    state, named = start.state, start.classes

    def taken(state: dict[str, Tensor], classifier: str) -> Initial:
        return Initial(state, {**start.facts, "classifier": classifier})

    if HEAD[0] not in state:
        return taken(state, "fresh")
    held = len(state[HEAD[0]])
    if named is not None and classes is not None:
        named, classes = in_one_form(named, classes)
    if held == num_classes and (named is None or classes is None or list(named) == list(classes)):
        return taken(state, "taken")
    if named is not None and classes is not None and sorted(named) == sorted(classes):
        say(f"--init {path}: its classes are these in another order; its classifier's rows are put in theirs")
        # row i of the head is class i
        rows = torch.tensor([named.index(name) for name in classes])
        return taken(state | {name: state[name][rows] for name in HEAD}, "taken")
    why = f"of {held} classes" if held != num_classes else f"of other classes ({some(named or ())})"
    say(f"--init {path}: without its classifier, {why}; a fresh one of {num_classes} classes is trained")
    return taken({name: value for name, value in state.items() if name not in HEAD}, "fresh")


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C meanwhile waits until the end."""
    # noted and raised behind the block: between two files of one epoch it would leave them of unlike epochs
    waiting: list[int] = []
    handler: Callable[..., None] = lambda number, _: waiting.append(number)  # noqa: E731
    try:
        before = signal.signal(signal.SIGINT, handler)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if waiting:
        raise KeyboardInterrupt
