"""A design space out of a YAML file, or one that is shipped."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from space.architecture import Architecture
from space.axes import read_axis
from space.derive import growth_rule, lookup_rule, ratio_rule
from space.design_space import MAX_AXES, DesignSpace
from space.distinct import check_codes_differ, check_every_outcome, check_expanded, check_groups
from space.errors import InputError, checked_name, quoted, word
from space.factors import Rule, make_factors
from space.families import named
from space.reading import parse_yaml, read_text

RULES = ("ratio", "base", "lookup")
KEYS = ("name", "about", "base", "axes", "derive")


def shipped_spaces() -> list[str]:
    """Names of the spaces that come with the package."""
    files = resources.files("space").joinpath("spaces").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def load_space(name: str | Path) -> DesignSpace:
    """A shipped space by name, or a YAML file by path. Raises `InputError` in one line."""
    shipped = resources.files("space").joinpath("spaces", f"{name}.yaml")
    if str(name) in shipped_spaces():
        return parse_space(shipped.read_text(), str(name))
    path = Path(name)
    if not os.path.exists(path):  # noqa: PTH110  a NUL, a name too long: no file
        raise InputError(
            f"space {quoted(str(name))}: neither a file nor a shipped space ({', '.join(shipped_spaces())})"
        )
    return parse_space(read_text(path, f"space {path}"), str(path))


def parse_space(text: str, where: str) -> DesignSpace:
    """A space from YAML text; `where` names the source in errors."""
    where = f"space {where}"
    return space_from(parse_yaml(text, where), where)


def space_from(declared: Any, where: str) -> DesignSpace:
    """A space from plain values, as a YAML file holds them. Raises `InputError` at `where`."""
    if not isinstance(declared, Mapping):
        raise InputError(f"{where}: must be a mapping with the keys {', '.join(KEYS)}")
    for key in declared:
        if key not in KEYS:
            raise InputError(f"{where}: {word(key)}: unknown key; the keys are {', '.join(KEYS)}")
    base = _read_base(declared.get("base", "convnext_tiny"), where)
    axes_declared = declared.get("axes")
    if not isinstance(axes_declared, Mapping) or not axes_declared:
        raise InputError(f"{where}: axes: missing; needs at least one axis")
    if len(axes_declared) > MAX_AXES:
        raise InputError(f"{where}: axes: {len(axes_declared):,} axes, at most {MAX_AXES}")
    name = checked_name(declared.get("name", "unnamed"), f"{where}: name")
    if not isinstance(declared.get("about", ""), str):
        raise InputError(f"{where}: about: {quoted(declared['about'])} must be text")
    stages = len(base.stages)
    axes = [
        read_axis(checked_name(axis_name, f"{where}: axes"), axis, stages, where)
        for axis_name, axis in axes_declared.items()
    ]
    rules = _read_rules(declared.get("derive") or {}, stages, where)
    factors = make_factors(axes, rules, stages, where)
    space = DesignSpace(name, base, factors, declared)
    # outcomes one by one before their combinations: the later checks take them for valid
    check_every_outcome(space, where)
    check_expanded(space, where)
    check_groups(space, where)
    check_codes_differ(space, where)
    return space


def _read_base(declared: Any, where: str) -> Architecture:
    try:
        return named(declared) if isinstance(declared, str) else Architecture.from_dict(declared)
    except InputError as error:
        raise InputError(f"{where}: base: {error}") from None


def _read_rules(declared: Any, stages: int, where: str) -> list[Rule]:
    if not isinstance(declared, Mapping):
        raise InputError(f"{where}: derive: must be a mapping from a field to its rule")
    rules = []
    for field, rule in declared.items():
        place = f"{where}: derive.{word(field)}"
        kinds = [kind for kind in RULES if isinstance(rule, Mapping) and kind in rule]
        if len(kinds) != 1:
            raise InputError(f"{place}: needs exactly one of {', '.join(RULES)}")
        reader = {"ratio": ratio_rule, "base": growth_rule, "lookup": lookup_rule}[kinds[0]]
        rules.append(reader(checked_name(field, f"{where}: derive"), rule, stages, place))
    return rules
