"""Factors: independent parts of a space. A factor owns its fields and lists every distinct way to set them.

The architectures of a space are the product of its factors' outcomes, each architecture exactly once.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from space.axes import Axis, Variable, variables_of
from space.columns import Array
from space.errors import InputError, counted, quoted, word
from space.stage import STAGE_FIELDS

# as space files write them, the stem's with a dot; `space.architecture` has another tuple of this name
NETWORK_FIELDS = (
    "stem.type", "stem.patch_size", "stem.width", "stem.norm", "stem.activation",
    "downsampling", "norm", "activation", "layer_scale", "drop_path", "head_norm",
)  # fmt: skip
# their one value is a list; to any other field of stages a list gives a value a stage
LIST_FIELDS = ("norm_after", "act_after")
NETWORK = -1  # in place of a stage: the field is the whole network's
MAX_COMBINATIONS = 200_000

Target = tuple[int, str]  # (stage, field), or (NETWORK, field)
Outcome = dict[Target, Any]


@dataclass(frozen=True)
class Rule:
    """A field computed from axes: `compute` takes their values in order."""

    field: str
    axes: tuple[str, ...]
    compute: Callable[..., Any]


@dataclass(frozen=True)
class Factor:
    """Variables that must be read together, and the distinct outcomes they can have.

    `outcome_of[i, j, ...]` is the outcome of variable values i, j, ...; `values_of[k]` the first values with
    outcome k.
    """

    variables: tuple[Variable, ...]
    targets: tuple[Target, ...]
    outcomes: tuple[tuple[Any, ...], ...]
    outcome_of: Array
    values_of: Array

    def all_values_of(self, outcome: int) -> Array:
        """Every combination of variable values with this outcome, [M, V]."""
        return np.argwhere(self.outcome_of == outcome)

    def __len__(self) -> int:
        return len(self.outcomes)


def make_factors(axes: Sequence[Axis], rules: Sequence[Rule], stages: int, where: str) -> list[Factor]:
    """Independent factors, in the order of their first axis. Raises `InputError` where two set one field."""
    _check_rules(axes, rules, where)
    factors: list[Factor] = []
    owner: dict[Target, str] = {}
    groups = [_aligned(group) for group in _connected(axes, rules)]
    _check_combinations(groups, where)
    for group in groups:
        for variables in group:
            factor = _make_factor(variables, rules, stages, where)
            names = " and ".join(v.name for v in variables)
            for target in factor.targets:
                if target in owner:
                    raise InputError(f"{where}: {owner[target]} and {names} both set {target[1]}")
                owner[target] = names
            factors.append(factor)
    return factors


def _check_rules(axes: Sequence[Axis], rules: Sequence[Rule], where: str) -> None:
    known = {axis.name: axis for axis in axes}
    for rule in rules:
        if rule.field not in STAGE_FIELDS + NETWORK_FIELDS:
            raise InputError(f"{where}: derive.{word(rule.field)}: no such field")
        for name in rule.axes:
            if name not in known:
                raise InputError(f"{where}: derive.{rule.field}: there is no axis {quoted(name)}")
        if len({known[name].groups for name in rule.axes}) > 1:
            raise InputError(f"{where}: derive.{rule.field}: its axes differ in per_stage")
    used = {name for rule in rules for name in rule.axes}
    for axis in axes:
        if axis.settings is None and axis.name not in used | {*STAGE_FIELDS, *NETWORK_FIELDS}:
            raise InputError(
                f"{where}: axes.{axis.name}: sets nothing; name it after a field, use it under derive, "
                "or let its choices set fields"
            )


def _connected(axes: Sequence[Axis], rules: Sequence[Rule]) -> list[list[Axis]]:
    """Axes joined by rules, directly or through others."""
    group = {axis.name: {axis.name} for axis in axes}
    for rule in rules:
        joined = set().union(*(group[name] for name in rule.axes))
        # every member gets the one set, so whoever is joined later meets all of them
        for name in joined:
            group[name] = joined
    seen: set[str] = set()
    groups = []
    for axis in axes:
        if axis.name not in seen:
            seen |= group[axis.name]
            groups.append([a for a in axes if a.name in group[axis.name]])
    return groups


def _aligned(group: Sequence[Axis]) -> list[tuple[Variable, ...]]:
    """The variables of joined axes, one tuple for each stage (or tied group of stages) they share."""
    return list(zip(*(variables_of(axis) for axis in group), strict=True))


def _check_combinations(groups: Sequence[Sequence[tuple[Variable, ...]]], where: str) -> None:
    """Every combination of tied variables is looked at when a space is read: refuse what would take long."""
    together = 0
    for variables in (variables for group in groups for variables in group):
        count = math.prod(len(v.values) for v in variables)
        together += count
        if together > MAX_COMBINATIONS:
            names = ", ".join(v.name for v in variables)
            tied = "are tied and have" if len(variables) > 1 else "has"
            raise InputError(
                f"{where}: {names} {tied} {counted(count)} combinations; at most {MAX_COMBINATIONS:,} in all"
            )


def _make_factor(variables: tuple[Variable, ...], rules: Sequence[Rule], stages: int, where: str) -> Factor:
    sizes = tuple(len(v.values) for v in variables)
    outcome_of = np.empty(sizes, dtype=np.int64)
    index: dict[tuple[Any, ...], int] = {}
    values_of = []
    targets: tuple[Target, ...] = ()
    for combination in itertools.product(*(range(size) for size in sizes)):
        outcome = _outcome(variables, combination, rules, stages, where)
        if not targets:
            targets = tuple(outcome)
        if set(outcome) != set(targets):
            raise InputError(f"{where}: axes.{variables[0].axis.name}: its choices set different fields")
        key = tuple(outcome[target] for target in targets)
        if key not in index:
            index[key] = len(index)
            values_of.append(combination)
        outcome_of[combination] = index[key]
    return Factor(variables, targets, tuple(index), outcome_of, np.array(values_of))


def _outcome(
    variables: Sequence[Variable], combination: Sequence[int], rules: Sequence[Rule], stages: int, where: str
) -> Outcome:
    values = {v.axis.name: v.values[i] for v, i in zip(variables, combination, strict=True)}
    outcome: Outcome = {}
    for variable, i in zip(variables, combination, strict=True):
        axis = variable.axis
        if axis.settings is not None:
            for field, value in axis.settings[i].items():
                place = f"{where}: axes.{axis.name}.{axis.values[i]}"
                _set(outcome, field, value, variable.stages, stages, place)
        elif axis.name in STAGE_FIELDS + NETWORK_FIELDS:
            _set(outcome, axis.name, axis.values[i], variable.stages, stages, f"{where}: axes.{axis.name}")
    for rule in rules:
        # any of its axes tells: those of a rule are always joined
        if rule.axes[0] in values:
            value = rule.compute(*(values[name] for name in rule.axes))
            _set(outcome, rule.field, value, variables[0].stages, stages, f"{where}: derive.{rule.field}")
    return outcome


def _set(
    outcome: Outcome, field: str, value: Any, at: tuple[int, ...] | None, stages: int, where: str
) -> None:
    if isinstance(value, list | tuple):
        if not all(map(_plain, value)):
            raise InputError(f"{where}: {quoted(value)} is not a list of plain values")
        ordered = field in LIST_FIELDS and all(isinstance(v, int) for v in value)
        value = tuple(sorted(value)) if ordered else tuple(value)
    elif not _plain(value):
        kind = "mapping" if isinstance(value, Mapping) else type(value).__name__
        raise InputError(f"{where}: {quoted(value)} is a {kind}; {word(field)} takes a value")
    if field in NETWORK_FIELDS:
        if at is not None:
            raise InputError(f"{where}: {field} belongs to the network, not to a stage")
        new = {(NETWORK, field): value}
    elif field in STAGE_FIELDS:
        places = range(stages) if at is None else at
        one_each = isinstance(value, tuple) and field not in LIST_FIELDS
        if one_each and (at is not None or len(value) != stages):
            raise InputError(f"{where}: {field} has {len(value)} values for {len(places)} stages")
        new = {(i, field): value[i] if one_each else value for i in places}
    else:
        raise InputError(f"{where}: no field {quoted(field)}; the fields are {', '.join(FIELDS)}")
    for target in new:
        if target in outcome:
            raise InputError(f"{where}: {field} is set twice")
    outcome.update(new)


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, int | float | str)


FIELDS = STAGE_FIELDS + NETWORK_FIELDS
