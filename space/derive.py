"""Fields of a design space that are computed from its axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from space.design_space import read_axis
from space.errors import InputError, quoted, word
from space.factors import Rule
from space.stage import MAX_WIDTH


def _only(rule: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in rule:
        if key not in known:
            raise InputError(f"{place}.{word(key)}: unknown key; the keys are {', '.join(known)}")


def ratio_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:
    """Stage i gets ratio[i] * times, at least 1 (paper, section 2.2)."""
    _only(rule, ("ratio", "times"), place)
    if "times" not in rule:
        raise InputError(f"{place}.times: missing; the axis that multiplies the ratio")

    def compute(ratio: Any, times: Any) -> tuple[int, ...]:
        parts = ratio.split(":") if isinstance(ratio, str) else ratio
        try:
            numbers = [float(part) for part in parts]
            values = tuple(max(1, round(number * times)) for number in numbers)
        except (TypeError, ValueError, OverflowError):
            raise InputError(
                f"{place}: {quoted(ratio)} times {quoted(times)} is not a ratio such as 1:1:3:1"
            ) from None
        if len(values) != stages:
            raise InputError(f"{place}: {quoted(ratio)} has {len(values)} parts for {stages} stages")
        return values

    return Rule(
        field,
        (read_axis(rule["ratio"], f"{place}.ratio"), read_axis(rule["times"], f"{place}.times")),
        compute,
    )


def growth_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:
    """Stage i gets base * growth ** i, rounded to a multiple; growth is a number, a list, or an axis."""
    _only(rule, ("base", "growth", "multiple_of"), place)
    multiple, growth = rule.get("multiple_of", 1), rule.get("growth", 2)
    if type(multiple) is not int or not 1 <= multiple <= MAX_WIDTH:
        raise InputError(f"{place}.multiple_of: {quoted(multiple)} must be an integer of 1 to {MAX_WIDTH}")

    # with one value where growth is a number or a list; with the axis' value where it is an axis
    def compute(base: Any, growing: Any = growth) -> tuple[int, ...]:
        try:
            if not isinstance(base, int | float):
                raise TypeError("no number")  # text and lists times a number are something else
            powers = (
                [growing**i for i in range(stages)] if isinstance(growing, int | float) else list(growing)
            )
            if min(powers) <= 0:
                raise ValueError("no width is left")
            values = tuple(max(multiple, round(base * p / multiple) * multiple) for p in powers)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{place}: {quoted(base)} cannot grow by {quoted(growing)}") from None
        if len(values) != stages:
            raise InputError(
                f"{place}.growth: {quoted(growing)} has {len(values)} numbers for {stages} stages"
            )
        return values

    base_axis = read_axis(rule["base"], f"{place}.base")
    return Rule(field, (base_axis, growth) if isinstance(growth, str) else (base_axis,), compute)


def lookup_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:  # noqa: ARG001
    """The field's value by the values of one axis, or of several through nested mappings."""
    _only(rule, ("lookup", "values"), place)
    axes = rule["lookup"] if isinstance(rule["lookup"], list) else [rule["lookup"]]
    if not axes:
        raise InputError(f"{place}.lookup: empty; needs at least one axis")

    def compute(*values: Any) -> Any:
        found = rule.get("values")
        for value in values:
            if not isinstance(found, Mapping) or value not in found:
                raise InputError(f"{place}.values: nothing for {', '.join(map(word, values))}")
            found = found[value]
        return found

    return Rule(field, tuple(read_axis(axis, f"{place}.lookup") for axis in axes), compute)
