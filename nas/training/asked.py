"""The recipe that a training is asked for: a file's, with fields set on the command line.

What contradicts itself in it, or does not fit the data or the processes, is set right where there is a rule
for that, and said in a line: whoever sets one field should not have to know which others hang on it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nas.data.batches import Batches
from nas.data.class_names import in_one_form
from nas.data.sources.registry import called
from nas.recipe.assignments import FLAG, assignments, nested
from nas.recipe.fitted import epochs_for, rate, total_batch
from nas.recipe.mistakes import part_of
from nas.recipe.published import drop_path, published
from nas.recipe.recipe import MOST, Recipe, Variant, recipe_from
from space.errors import InputError, some
from space.networks import network_from
from space.reading import parse_yaml, read_text
from space.swin import Swin

WARMUP = 20 / 300  # the published recipe's share of the epochs
FINE_TUNING: Variant = "finetune-1k"
DROP_PATH = "architecture.drop_path"  # the one field of a network that is its recipe's
SPREAD = ("batch_size", "accumulation", "devices")


@dataclass(frozen=True)
class Asked:
    """A recipe, whether it is to be fine-tuned by, the keys that were `given` on the command line, and what
    was set right in lines."""

    recipe: Recipe
    fine_tunes: bool
    given: Collection[str]
    notes: tuple[str, ...]


def asked(path: str | Path, texts: Sequence[str] = (), *, fine_tunes: bool = False) -> Asked:
    """The recipe of a file with these fields set, each `KEY=VALUE`. Raises `InputError`.

    `fine_tunes` first puts the values of the published fine-tuning in place of the file's, at the file's own
    resolution: its 384 pixels cost three times 224.
    """
    where = f"recipe {path}"
    values = parse_yaml(read_text(Path(path), where), where)
    if not isinstance(values, Mapping) or "architecture" not in values:
        recipe_from(values, where)  # raises
    values = _fine_tuning(values, where) if fine_tunes else dict(values)
    given = assignments(texts)
    _put(values, given, where)
    notes = _set_right(values)
    return Asked(recipe_from(values, where), fine_tunes, given.keys(), tuple(notes))


def _fine_tuning(values: Mapping[str, Any], where: str) -> dict[str, Any]:
    plain = dict(values)
    _set_right(plain)  # else it may be no recipe
    recipe = recipe_from(plain, where)
    if isinstance(recipe.network, Swin):
        raise InputError(f"--finetune: {where}: a Swin Transformer has no published fine-tuning")
    plain = recipe.model_dump(mode="json")
    plain["architecture"] |= {"drop_path": drop_path(recipe.network, FINE_TUNING)}
    for name, value in published(recipe.network, FINE_TUNING).items():
        if name != "data":
            plain[name] = {**plain[name], **value} if isinstance(value, Mapping) else value
    return plain


def _put(values: dict[str, Any], given: Mapping[str, Any], where: str) -> None:
    """Put the fields that are given where a recipe has them. Raises `InputError` for what is no field."""
    plain = {key: value for key, value in given.items() if key != DROP_PATH}
    for name, value in nested(plain, Recipe, "docs/recipe.md").items():
        part: Any = values.get(name)
        merged = part_of(Recipe, name) is not None and isinstance(part, Mapping)
        values[name] = {**part, **value} if merged else value
    if DROP_PATH in given:
        try:
            network = network_from(values["architecture"])
            values["architecture"] = {**network.to_dict(), "drop_path": given[DROP_PATH]}
        except (InputError, TypeError) as error:
            raise InputError(f"{where}: architecture: {error} ({FLAG} {DROP_PATH})") from None


# ---- what is set right ----------------------------------------------------------------------------------


def _set_right(values: dict[str, Any]) -> list[str]:
    """Set right what contradicts itself, as far as the values are numbers; what was, in lines."""
    notes = []
    schedule = values.get("schedule", {})
    epochs = values.get("epochs", Recipe.model_fields["epochs"].default)
    warmup = schedule.get("warmup_epochs", 20.0) if isinstance(schedule, Mapping) else None
    if _number(epochs) and _number(warmup) and warmup > epochs > 0:
        shorter = round(WARMUP * epochs, 2)
        values["schedule"] = {**schedule, "warmup_epochs": shorter}
        notes.append(
            f"warm-up: {shorter:g} epochs, a fifteenth as in the published recipe; {warmup:g} would be more "
            f"than all {epochs}"
        )
    total = values.get("total_batch_size", Recipe.model_fields["total_batch_size"].default)
    batch, accumulation, devices = counts = [values.get(name, 0) for name in SPREAD]
    whole = all(_number(n) and isinstance(n, int) and n > 0 for n in (total, *counts))
    if whole and batch * accumulation * devices != total:
        values |= spread(total, batch, devices)
        notes.append(f"batch: {_spread_said(values)}")
    return notes


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def spread(total: int, batch: int, devices: int) -> dict[str, int]:
    """A total batch over at most so many devices, forward passes of at most `batch` images."""
    devices = max(n for n in range(1, devices + 1) if total % n == 0)
    share = total // devices
    batch = max(n for n in range(1, min(batch, share) + 1) if share % n == 0)
    return {
        "total_batch_size": total, "batch_size": batch, "accumulation": share // batch, "devices": devices,
    }  # fmt: skip


def _spread_said(values: Mapping[str, Any]) -> str:
    """Such as `64 images a step, 8 a forward pass x 4 accumulated x 2 devices`."""
    parts = (("accumulation", "accumulated"), ("devices", "devices"))
    more = "".join(f" x {values[key]} {what}" for key, what in parts if values[key] > 1)
    each = f", {values['batch_size']:,} a forward pass{more}" if more else ""
    return f"{values['total_batch_size']:,} images a step{each}"


def fitted(asked: Asked, batches: Batches, spec: str, processes: int = 1) -> Asked:
    """The recipe for these images on so many processes; the notes are what was changed for them."""
    notes: list[str] = []
    recipe = _with_classes(asked.recipe, batches, spec, notes)
    recipe = _with_batch(replace(asked, recipe=recipe), batches.train_size, notes)
    if recipe.accumulation * recipe.devices % processes and recipe.total_batch_size % processes == 0:
        values = spread(recipe.total_batch_size, recipe.batch_size, processes)
        recipe = recipe.changed(**values)
        notes.append(f"batch: {_spread_said(values)}, for {processes} processes")
    return replace(asked, recipe=recipe, notes=tuple(notes))


def _with_classes(recipe: Recipe, batches: Batches, spec: str, notes: list[str]) -> Recipe:
    """The head follows the data."""
    data, there = recipe.data, batches.classes
    if batches.num_classes == data.num_classes and (there is None or data.classes == there):
        return recipe
    fields: dict[str, Any] = {
        "num_classes": batches.num_classes, "classes": None if there is None else list(there)
    }  # fmt: skip
    if batches.num_classes != data.num_classes:
        fields["name"] = called(spec)
        notes.append(f"classes: {batches.num_classes}, those of {spec}; the recipe has {data.num_classes}")
    elif data.classes is not None and there is not None:
        held, found = in_one_form(data.classes, there)
        missing, strange = set(held) - set(found), set(found) - set(held)
        what = f"{some(sorted(strange))} in place of {some(sorted(missing))}" if strange else "in their order"
        if held != found:
            notes.append(f"classes: those of {spec}, {what}")
    return recipe.changed(data=fields)


def _with_batch(asked: Asked, images: int, notes: list[str]) -> Recipe:
    """A batch that is larger than the images, or any of a fine-tuning, is fitted to them by the rules of
    nas.recipe.fitted; what was given on the command line stays, as far as it can."""
    recipe, tunes = asked.recipe, asked.fine_tunes
    total = recipe.total_batch_size
    if total <= images and (not tunes or "total_batch_size" in asked.given):
        return recipe
    fitting = total_batch(total, images, 1, fine_tunes=tunes)
    fields: dict[str, Any] = {}
    if fitting != total:
        lr = recipe.optimizer.lr
        fields |= spread(fitting, recipe.batch_size, 1)
        if "optimizer.lr" not in asked.given:
            lr = rate(lr, fitting / total, fine_tunes=tunes)
        notes.append(
            f"batch: {_spread_said(fields)}, learning rate {lr:g}; {total:,} are too many of {images:,}"
        )
        fields["optimizer"] = {"lr": lr}
    if tunes and "epochs" not in asked.given:
        epochs = epochs_for(recipe.epochs, images, images // fitting, fine_tunes=True)
        if epochs != recipe.epochs:
            notes.append(
                f"epochs: {epochs}, not {recipe.epochs}: so few images, and a few hundred steps needed"
            )
            fields["epochs"] = epochs
    return recipe.changed(**fields)
