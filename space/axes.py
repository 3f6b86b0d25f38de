"""Axes: what a space file lets vary, read from its YAML into variables with a finite list of values each.

An axis is one of

    {choices: [3, 5, 7]}                                  any values, in the order written
    {choices: {dense: {conv: dense}, ...}}                labels, each setting one or more fields together
    {integers: [40, 160], step: 8}                        both ends included
    {log_integers: [24, 256], count: 10, multiple_of: 8}  evenly spaced ratios, rounded

with `per_stage: true` for one variable a stage, or `per_stage: [a, a, b, b]` to tie stages to each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from space.errors import InputError, checked_name, quoted, word

MAX_VALUES = 10_000
MAX_NUMBER = 10**9
KINDS = ("choices", "integers", "log_integers")
OPTIONS = {
    "choices": {"per_stage"},
    "integers": {"step", "per_stage"},
    "log_integers": {"count", "multiple_of", "per_stage"},
}


@dataclass(frozen=True)
class Axis:
    """A named list of values; `settings` holds what each value sets where the values are labels.

    `groups` gives each stage its variable, where the axis has one a stage; None: one variable for all.
    """

    name: str
    values: tuple[Any, ...]
    settings: tuple[Mapping[str, Any], ...] | None
    groups: tuple[int, ...] | None


@dataclass(frozen=True)
class Variable:
    """One thing to choose: the axis itself, or the axis in one stage or tied group of stages."""

    name: str
    axis: Axis
    stages: tuple[int, ...] | None

    @property
    def values(self) -> tuple[Any, ...]:
        """What it may be, in order."""
        return self.axis.values

    @property
    def ordered(self) -> bool:
        """Whether the values are rising numbers, so that next to each other means alike."""
        # to Python true and false are integers, but no sizes
        numbers = [v for v in self.values if isinstance(v, int | float) and not isinstance(v, bool)]
        return len(numbers) == len(self.values) and numbers == sorted(numbers)


def read_axis(name: str, declared: Any, stages: int, where: str) -> Axis:
    """An axis from its YAML value. Raises `InputError` at `where`: unknown keys, empty or repeated values."""
    where = f"{where}: axes.{name}"
    if not isinstance(declared, Mapping):
        raise InputError(f"{where}: {quoted(declared)} must be a mapping such as {{choices: [3, 5, 7]}}")
    kinds = [kind for kind in KINDS if kind in declared]
    if len(kinds) != 1:
        raise InputError(f"{where}: needs exactly one of {', '.join(KINDS)}")
    kind = kinds[0]
    for key in declared:
        if key != kind and key not in OPTIONS[kind]:
            known = ", ".join(sorted(OPTIONS[kind]))
            raise InputError(f"{where}.{word(key)}: unknown key; {kind} goes with {known}")
    settings = None
    if kind == "choices":
        values, settings = _choices(declared["choices"], where)
    elif kind == "integers":
        values = _integers(declared, where)
    else:
        values = _log_integers(declared, where)
    # by their text: to a set 1, 1.0 and true are one value
    if len(set(map(repr, values))) < len(values):
        raise InputError(f"{where}: a value stands twice")
    return Axis(name, values, settings, _groups(declared.get("per_stage", False), stages, where))


def variables_of(axis: Axis) -> list[Variable]:
    """One variable, or one for each tied group of stages, named by the stages (1-based)."""
    if axis.groups is None:
        return [Variable(axis.name, axis, None)]
    variables = []
    for group in sorted(set(axis.groups), key=axis.groups.index):
        stages = tuple(i for i, g in enumerate(axis.groups) if g == group)
        label = "+".join(str(i + 1) for i in stages)
        variables.append(Variable(f"{axis.name}.{label}", axis, stages))
    return variables


def _choices(declared: Any, where: str) -> tuple[tuple[Any, ...], tuple[Mapping[str, Any], ...] | None]:
    if isinstance(declared, Mapping):
        for label, fields in declared.items():
            if not isinstance(fields, Mapping) or not fields:
                raise InputError(f"{where}.choices.{word(label)}: must be a mapping of the fields it sets")
        _need_some(declared, where)
        labels = tuple(_label(label, f"{where}.choices") for label in declared)
        return labels, tuple(declared.values())
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        raise InputError(f"{where}.choices: {quoted(declared)} must be a list, or a mapping of labels")
    _need_some(declared, where)
    for value in declared:
        if not _plain(value) and not (isinstance(value, list) and all(map(_plain, value))):
            raise InputError(f"{where}.choices: {quoted(value)} is neither a plain value nor a list of them")
    return tuple(tuple(v) if isinstance(v, list) else v for v in declared), None


def _label(label: Any, where: str) -> str:
    # str: of a label that YAML reads as true or null
    return checked_name(str(label) if label is None or isinstance(label, bool) else label, where)


def _plain(value: Any) -> bool:
    """Whether a value is no list, mapping or the like, and no number that no field could be."""
    if isinstance(value, str):
        return len(value) <= MAX_VALUES
    return value is None or (isinstance(value, int | float) and not abs(value) > MAX_NUMBER)


def _need_some(values: Collection[Any], where: str) -> None:
    if not values:
        raise InputError(f"{where}.choices: empty; needs at least one value")
    if len(values) > MAX_VALUES:
        raise InputError(f"{where}.choices: {len(values):,} values, at most {MAX_VALUES:,}")


def _integers(declared: Mapping[str, Any], where: str) -> tuple[int, ...]:
    low, high = _ends(declared["integers"], f"{where}.integers")
    values = range(low, high + 1, _positive(declared.get("step", 1), f"{where}.step"))
    if len(values) > MAX_VALUES:
        raise InputError(
            f"{where}.integers: {len(values):,} values, at most {MAX_VALUES:,}; use a larger step"
        )
    return tuple(values)


def _log_integers(declared: Mapping[str, Any], where: str) -> tuple[int, ...]:
    low, high = _ends(declared["log_integers"], f"{where}.log_integers")
    if low < 1:
        raise InputError(f"{where}.log_integers: {low} must be at least 1")
    if "count" not in declared:
        raise InputError(f"{where}.count: missing; how many values between {low} and {high}")
    count = _positive(declared["count"], f"{where}.count")
    multiple = _positive(declared.get("multiple_of", 1), f"{where}.multiple_of")
    if count > MAX_VALUES:
        raise InputError(f"{where}.count: {count:,} values, at most {MAX_VALUES:,}")
    spaced = np.geomspace(low, high, count)
    rounded = np.maximum(np.rint(spaced / multiple) * multiple, multiple).astype(int)
    # rounding may make neighbours equal, so there may be fewer than `count`
    return tuple(int(v) for v in np.unique(rounded))


def _ends(declared: Any, where: str) -> tuple[int, int]:
    fits = isinstance(declared, Sequence) and len(declared) == 2 and all(type(v) is int for v in declared)
    if not fits or not -MAX_NUMBER <= declared[0] <= declared[1] <= MAX_NUMBER:
        raise InputError(
            f"{where}: {quoted(declared)} must be two integers [low, high], at most {MAX_NUMBER:,}"
        )
    return declared[0], declared[1]


def _positive(value: Any, where: str) -> int:
    if type(value) is not int or value < 1:
        raise InputError(f"{where}: {quoted(value)} must be an integer of at least 1")
    if value > MAX_NUMBER:
        raise InputError(f"{where}: {quoted(value)} must be at most {MAX_NUMBER:,}")
    return value


def _groups(declared: Any, stages: int, where: str) -> tuple[int, ...] | None:
    if declared is False:
        return None
    if declared is True:
        return tuple(range(stages))
    if not isinstance(declared, Sequence) or isinstance(declared, str) or len(declared) != stages:
        raise InputError(
            f"{where}.per_stage: {quoted(declared)} must be true, false, or a list of {stages} names, "
            "the same name for stages tied to each other"
        )
    names = [checked_name(name, f"{where}.per_stage") for name in declared]
    # a group goes by the first of its stages
    return tuple(names.index(name) for name in names)
