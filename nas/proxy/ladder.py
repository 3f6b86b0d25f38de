"""`lr: tuned`: a few learning rates are tried on a network in short trainings, and the best one trains it.

One rate for all is unfair: it moves a network by points, and changes places. Each try is a whole short
training, its schedule squeezed into it, for a rate that is not annealed looks worse the larger it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from nas.recipe.recipe import Recipe
from nas.training.loop import run_epoch
from nas.training.result import TrialFailed
from nas.training.run import Run
from nas.training.state import State

SHARE = 4  # a try has this part of the epochs, at least one


@dataclass(frozen=True)
class Tuned:
    """The rate that won, and what finding it took, in all tries."""

    rate: float
    images: int
    train_seconds: float
    eval_seconds: float


def tuned(run: Run, started: Callable[[Run], State], rates: Sequence[float]) -> Tuned:
    """The rate of the least validation loss, the smaller of two alike; a rate that diverges is none.

    Follows from the run and its seed alone. Raises `TrialFailed` where every rate diverges.
    """
    losses: dict[float, float] = {}
    images, train_seconds, eval_seconds, reason = 0, 0.0, 0.0, ""
    for rate in sorted(rates):
        attempt = replace(run, recipe=short(run.recipe, rate))
        state = started(attempt)
        try:
            for _ in range(attempt.recipe.epochs):
                losses[rate] = run_epoch(state, attempt).val_loss  # the last epoch's stays
        except TrialFailed as failure:
            losses.pop(rate, None)
            reason = str(failure)
        images += state.images
        train_seconds += state.train_seconds
        eval_seconds += state.eval_seconds
    if not losses:
        tried = ", ".join(f"{rate:g}" for rate in rates)
        raise TrialFailed(f"no learning rate of {tried} trains it: {reason}")
    best = min(losses, key=lambda rate: (losses[rate], rate))
    return Tuned(best, images, train_seconds, eval_seconds)


def short(recipe: Recipe, rate: float) -> Recipe:
    """The recipe of a try."""
    epochs = max(1, recipe.epochs // SHARE)
    warmup = recipe.schedule.warmup_epochs * epochs / recipe.epochs
    return recipe.changed(epochs=epochs, optimizer={"lr": rate}, schedule={"warmup_epochs": warmup})
