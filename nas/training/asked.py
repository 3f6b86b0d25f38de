"""The recipe that a training is asked for: a file's, with fields set on the command line.

What contradicts itself in it, or does not fit the data or the processes, is set right where there is a rule
for that, and said in a line: whoever sets one field should not have to know which others hang on it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nas.data.batches import Batches
from nas.recipe.mistakes import part_of
from nas.recipe.published import drop_path, published
from nas.recipe.recipe import MOST, Recipe, Variant, recipe_from
from space.checkpoints import some
from space.errors import InputError, quoted, word
from space.files import parse_yaml, read_text
from space.networks import network_from
from space.swin import Swin

WARMUP = 20 / 300  # the published recipe's share of the epochs
LEAST_STEPS = 8  # optimiser steps of an epoch with a batch that is made smaller
SPREAD = ("batch_size", "accumulation", "devices")


def asked_recipe(
    path: str | Path, assignments: Sequence[str] = (), variant: Variant | None = None
) -> tuple[Recipe, list[str]]:
    """The recipe of a file with these fields set, `field=value` or `part.field=value`; what was set right.

    `variant` first puts a published variant's values in place of the file's (`fine_tuned`). Raises
    `InputError`.
    """
    where = f"recipe {path}"
    values = parse_yaml(read_text(Path(path), where), where)
    if not isinstance(values, Mapping) or "architecture" not in values:
        recipe_from(values, where)  # raises
    values = dict(values)
    if variant is not None:
        values = fine_tuned(values, variant, where)
    for text in assignments:
        values = assigned(values, text)
    notes = _set_right(values)
    return recipe_from(values, where), notes


def fine_tuned(values: Mapping[str, Any], variant: Variant, where: str) -> dict[str, Any]:
    """A recipe's values with those of a published fine-tuning, at the recipe's own resolution and spread."""
    recipe = recipe_from(values, where)
    if isinstance(recipe.network, Swin):
        raise InputError(f"--finetune: {where}: a Swin Transformer has no published fine-tuning")
    plain = recipe.model_dump(mode="json")
    plain["architecture"] |= {"drop_path": drop_path(recipe.network, variant)}
    for name, value in published(recipe.network, variant).items():
        if name != "data":  # 384 pixels cost three times 224
            plain[name] = {**plain[name], **value} if isinstance(value, Mapping) else value
    return plain


# ---- fields on the command line -------------------------------------------------------------------------


def assigned(values: Mapping[str, Any], text: str) -> dict[str, Any]:
    """A recipe's plain values with one more field set. Raises `InputError` for what is no field."""
    name, equals, given = text.partition("=")
    if not equals or not name:
        raise InputError(f"--set {quoted(text)}: write it like schedule.warmup_epochs=2")
    where = f"--set {word(name)}"
    value = parse_yaml(given, where)
    first, *rest = name.split(".")
    part = part_of(Recipe, first)
    if first not in Recipe.model_fields:
        raise InputError(f"{where}: no field of a recipe; they are {_fields()}")
    if part is not None and (len(rest) != 1 or rest[0] not in part.model_fields):
        fields = ", ".join(f"{first}.{field}" for field in part.model_fields)
        raise InputError(f"{where}: no field of a recipe; of {first} they are {fields}")
    own = dict(values)
    if first == "architecture":
        own[first] = network_from(own[first]).to_dict()
    if not rest:
        return own | {first: value}
    own.setdefault(first, {})
    own = json.loads(json.dumps(own))  # a copy all the way down
    _put(own, [first, *rest], value, known=part is not None, where=where)
    return own


def _put(values: Any, keys: Sequence[str], value: Any, *, known: bool, where: str) -> None:
    """Put `value` at the end of these keys; where they are not `known` to be right, each must be there."""
    for key in keys[:-1]:
        values = values[_key(values, key, where)]
    last = keys[-1] if known and isinstance(values, dict) else _key(values, keys[-1], where)
    values[last] = value


def _key(values: Any, key: str, where: str) -> str | int:
    if isinstance(values, dict) and key in values:
        return key
    if isinstance(values, list) and key.isdecimal() and int(key) < len(values):
        return int(key)
    there = values if isinstance(values, dict) else range(len(values) if isinstance(values, list) else 0)
    raise InputError(f"{where}: there is no {word(key)}, but {', '.join(map(str, there)) or 'nothing'}")


def _fields() -> str:
    return ", ".join(f"{name}.…" if part_of(Recipe, name) else name for name in Recipe.model_fields)


# ---- what is set right ----------------------------------------------------------------------------------


def _set_right(values: dict[str, Any]) -> list[str]:
    """Set right what contradicts itself, as far as the values are numbers; what was, in lines."""
    notes = []
    schedule = values.get("schedule")
    epochs = values.get("epochs", Recipe.model_fields["epochs"].default)
    warmup = (schedule if isinstance(schedule, Mapping) else {}).get("warmup_epochs", 20.0)
    if _number(epochs) and _number(warmup) and warmup > epochs > 0:
        shorter = round(WARMUP * epochs, 2)
        values["schedule"] = {**(schedule or {}), "warmup_epochs": shorter}
        notes.append(
            f"warm-up: {shorter:g} epochs, a fifteenth as in the published recipe; {warmup:g} would be more "
            f"than all {epochs}"
        )
    total = values.get("total_batch_size", Recipe.model_fields["total_batch_size"].default)
    batch, accumulation, devices = (values.get(name) for name in SPREAD)
    counts = all(isinstance(n, int) and 0 < n <= MOST for n in (total, batch, accumulation, devices))
    if counts and batch * accumulation * devices != total:
        values |= spread(total, batch, devices)
        notes.append(f"batch: {spread_said(values)}")
    return notes


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def spread(total: int, batch: int, devices: int) -> dict[str, int]:
    """A total batch over at most so many devices, forward passes of at most `batch` images."""
    devices = max(n for n in range(1, devices + 1) if total % n == 0)
    share = total // devices
    batch = max(n for n in range(1, min(batch, share) + 1) if share % n == 0)
    return {
        "total_batch_size": total, "batch_size": batch, "accumulation": share // batch, "devices": devices,
    }  # fmt: skip


def spread_said(values: Mapping[str, Any]) -> str:
    """Such as `64 images a step, 8 a forward pass x 4 accumulated x 2 devices`."""
    parts = (("accumulation", "accumulated"), ("devices", "devices"))
    more = "".join(f" x {values[key]} {what}" for key, what in parts if values[key] > 1)
    return f"{values['total_batch_size']:,} images a step" + (
        f", {values['batch_size']:,} a forward pass{more}" if more else ""
    )


def fitted(recipe: Recipe, batches: Batches, spec: str, processes: int = 1) -> tuple[Recipe, list[str]]:
    """The recipe for these images on so many processes; what was changed, in lines."""
    notes: list[str] = []
    recipe = _with_classes(recipe, batches, spec, notes)
    recipe = _with_batch(recipe, batches.train_size, notes)
    if recipe.accumulation * recipe.devices % processes and recipe.total_batch_size % processes == 0:
        values = spread(recipe.total_batch_size, recipe.batch_size, processes)
        recipe = recipe.changed(**values)
        notes.append(f"batch: {spread_said(values)}, for {processes} processes")
    return recipe, notes


def _with_classes(recipe: Recipe, batches: Batches, spec: str, notes: list[str]) -> Recipe:
    """The head follows the data."""
    data, there = recipe.data, batches.classes
    if batches.num_classes != data.num_classes:
        notes.append(f"classes: {batches.num_classes}, those of {spec}; the recipe has {data.num_classes}")
    elif data.classes is not None and there is not None and data.classes != there:
        missing, strange = set(data.classes) - set(there), set(there) - set(data.classes)
        what = (
            f"{some(sorted(strange))} in place of {some(sorted(missing))}"
            if strange
            else "in the data's order"
        )
        notes.append(f"classes: those of {spec}, {what}")
    names = data.classes if there is None and batches.num_classes == data.num_classes else there
    return recipe.changed(
        data={"num_classes": batches.num_classes, "classes": None if names is None else list(names)}
    )


def _with_batch(recipe: Recipe, images: int, notes: list[str]) -> Recipe:
    """A batch that is larger than the images becomes one of several an epoch, its learning rate in proportion
    (Goyal et al. 2017, Accurate, Large Minibatch SGD; the official ConvNeXt commands for fewer GPUs)."""
    total = recipe.total_batch_size
    if total <= images:
        return recipe
    smaller = 2 ** max(0, (images // LEAST_STEPS).bit_length() - 1)
    rate = float(f"{recipe.optimizer.lr * smaller / total:.3g}")
    values = spread(smaller, recipe.batch_size, 1)
    notes.append(
        f"batch: {spread_said(values)}, and a learning rate of {rate:g}, in proportion; {total:,} images are "
        f"more than the {images:,} there are"
    )
    return recipe.changed(**values, optimizer={"lr": rate})
