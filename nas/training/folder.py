"""The folder of a training: whose it is, what it holds, and whether that can be gone on with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from nas.recipe.recipe import Recipe, read_recipe
from nas.training.trainings import FILE as TRAININGS
from space.errors import InputError, quoted, reason
from space.files import locked, make_folder

LAST, BEST, RECIPE, SUMMARY = "checkpoint-last.pt", "checkpoint-best.pt", "recipe.yaml", "summary.json"
LOCK = ".lock"
# how an optimiser step's images are spread; the training is the same, to rounding
SPREAD = ("devices", "accumulation")


def hold(folder: Path) -> IO[str]:
    """The folder, locked till the file is closed or the process ends. Raises `InputError`."""
    made(folder)
    lock = folder / LOCK
    try:
        # before it is locked: `locked` raises with the name of who holds it
        holder = f" (process {int(lock.read_text()[:20])})"
    except (OSError, ValueError):
        holder = ""
    file = locked(
        lock,
        f"--out {folder}: another nas.train is at work there{holder}; wait for its end, or end it. What a "
        "torchrun that was killed has left running ends within a minute",
    )
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def is_begun(folder: Path) -> bool:
    """Whether the folder holds a training, or the begin of one."""
    return any((folder / name).exists() for name in (LAST, RECIPE, BEST))


def check_folder(folder: Path, resume: bool | str, *, several: bool = False) -> None:
    """Refuse a folder that holds trainings unless they are to be resumed, and one in place of several.

    `resume` "auto" takes one that holds any and one that holds none. Raises `InputError`; writes nothing.
    """
    held = [name for name in (LAST, RECIPE, BEST, TRAININGS) if (folder / name).exists()]
    if held and (held[0] == TRAININGS) != several:
        other = "several trainings" if held[0] == TRAININGS else "a single training"
        raise InputError(f"--out {folder}: holds {other} ({held[0]}); name another folder")
    what = "trainings" if several else "a training"
    if held and not resume:
        raise InputError(
            f"--out {folder}: holds {what} ({held[0]}); --resume goes on with {'them' if several else 'it'}"
        )
    if resume is True and not held:
        raise InputError(f"--out {folder}: holds no training to resume; leave out --resume to begin one")


def as_begun(recipe: Recipe, folder: Path) -> Recipe:
    """The recipe with its batch divided as the training in the folder divides it, if there is one.

    Other processes than it was begun on would divide it otherwise.
    """
    if (folder / RECIPE).exists():
        there = read_recipe(folder / RECIPE)
        if there.total_batch_size == recipe.total_batch_size:
            names = ("batch_size", *SPREAD)
            return recipe.changed(**{name: getattr(there, name) for name in names})
    return recipe


def check_recipe(folder: Path, recipe: Recipe) -> None:
    """Refuse to go on with another recipe's training; the checkpoint's own is compared when it is loaded.

    Raises `InputError`.
    """
    if (folder / RECIPE).exists():
        refuse_another(recipe, read_recipe(folder / RECIPE).model_dump(mode="json"), folder)


def made(folder: Path) -> None:
    """The folder, made if need be. Raises `InputError`."""
    try:
        make_folder(folder)
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        raise InputError(f"--out {folder}: cannot be made ({reason(error)})") from None


def refuse_another(recipe: Recipe, held: Mapping[str, Any], folder: Path) -> None:
    """Raises `InputError` naming the first field in which the recipe is not the one held in the folder."""
    own = recipe.model_dump(mode="json")
    there, here = (_compared(values) for values in _named_alike(held, own))
    found = difference(there, here)
    if found is not None:
        field, there, here = found
        raise InputError(
            f"--resume: {folder} was trained with another recipe: {field} is {quoted(there)} there, "
            f"{quoted(here)} here"
        )


def _compared(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in SPREAD}


def _named_alike(*recipes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Without the names of the classes where one of the recipes leaves them to the data."""
    data = [dict(values.get("data") or {}) for values in recipes]
    # the folder's recipe has had the data's names filled in, the user's file may still have none
    if any(each.get("classes") is None for each in data):
        for each in data:
            each.pop("classes", None)
    return [{**values, "data": each} for values, each in zip(recipes, data, strict=True)]


def difference(there: Any, here: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """The first field that differs between nested plain values, with both of its values."""
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in {**there, **here}:
            found = difference(there.get(key), here.get(key), f"{name}.{key}" if name else str(key))
            if found is not None:
                return found
        return None
    if isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for i, (old, new) in enumerate(zip(there, here, strict=True)):
            found = difference(old, new, f"{name}[{i}]")
            if found is not None:
                return found
        return None
    return None if there == here else (name, there, here)
