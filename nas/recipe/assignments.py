"""Fields set on the command line, `--set proxy.epochs=5`: read, and put where a model has them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from nas.recipe.mistakes import part_of
from space.errors import InputError, quoted, word
from space.reading import parse_yaml

FLAG = "--set"


def assignments(texts: Sequence[str]) -> dict[str, Any]:
    """Keys and YAML values of `KEY=VALUE`s; of equal keys the last counts. Raises `InputError`."""
    found = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise InputError(f"{FLAG} {quoted(text)}: write it like proxy.epochs=5")
        found[key.strip()] = parse_yaml(value, f"{FLAG} {word(key)}")
    return found


def nested(values: Mapping[str, Any], model: type[BaseModel], table: str, prefix: str = "") -> dict[str, Any]:
    """Fields of a model, and of its parts, from dotted keys.

    `table` is the document that has them all. Raises `InputError` for an unknown key, naming the nearest.
    """
    known = list(field_names(model, prefix))
    fields: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1, 0.0)[0]
            raise InputError(f"{FLAG} {word(key)}: unknown key; the nearest is {near}, {table} has them all")
        part, dot, field = key.removeprefix(prefix).partition(".")
        if dot:
            fields.setdefault(part, {})[field] = value
        else:
            fields[part] = value
    return fields


def field_names(model: type[BaseModel], prefix: str = "") -> Sequence[str]:
    """Every field, those of parts as `part.field`."""
    names: list[str] = []
    for name in model.model_fields:
        part = part_of(model, name)
        names += [prefix + name] if part is None else field_names(part, f"{prefix}{name}.")
    return names
