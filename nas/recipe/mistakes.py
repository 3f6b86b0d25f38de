"""What pydantic finds wrong with a user's values, as one line."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from space.errors import InputError, quoted, word

FLAGS = "flags"
Model = TypeVar("Model", bound=BaseModel)


def validated(model: type[Model], values: Any, where: str, flags: Collection[str] = ()) -> Model:
    """A model of `values`. Raises `InputError`: where, the first wrong key, what it should be, what it is.

    Keys among `flags` were given on the command line, and are named as they are written there.
    """
    if not isinstance(values, Mapping):
        raise InputError(f"{where}: must be a mapping of keys to values, not {type(values).__name__}")
    # before pydantic: it would tell of the key that a misspelt one leaves missing
    for key in values:
        if key not in model.model_fields:
            raise InputError(f"{where}: {word(key)}: {_unknown(model)}")
    try:
        found = model.model_validate(dict(values))
    except ValidationError as error:
        raise InputError(_line(model, error, where, flags)) from None
    for names, value in _turned(values, found):
        # a flag's value is text until pydantic reads it
        if isinstance(value, bool) or names[0] not in flags:
            key = flag(names[0]) if names[0] in flags else f"{where}: {'.'.join(names)}"
            raise InputError(f"{key}: must be a number, not {quoted(value)}")
    return found


def _turned(given: Any, found: Any, *names: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The names and values of what pydantic has made a number of: of true 1, of the text 1_0 ten."""
    if isinstance(given, Mapping) and isinstance(found, BaseModel):
        for name, value in given.items():
            yield from _turned(value, getattr(found, name), *names, name)
    elif isinstance(given, list | tuple) and isinstance(found, tuple | list):
        for value, one in zip(given, found, strict=False):
            yield from _turned(value, one, *names)
    elif isinstance(given, bool | str) and isinstance(found, int | float) and not isinstance(found, bool):
        yield names, given


def part_of(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    """The model that this field of a model is; None for a plain field."""
    found = model.model_fields[name].annotation if name in model.model_fields else None
    return found if isinstance(found, type) and issubclass(found, BaseModel) else None


def flag(key: str) -> str:
    """A setting as the command line has it."""
    return "--" + key.replace("_", "-")


def _line(model: type[BaseModel], error: ValidationError, where: str, flags: Collection[str]) -> str:
    first = error.errors(include_url=False)[0]
    names: list[str] = []
    places, owner = "", model
    inner: type[BaseModel] | None = model
    for part in first["loc"]:
        if inner is not None:
            names.append(str(part))
            owner, inner = inner, part_of(inner, str(part))
        elif isinstance(part, int):  # of a union pydantic names the branch, too
            places += f"[{part}]"
    message = {"extra_forbidden": _unknown(owner), "missing": "missing"}.get(first["type"])
    if message is None and first["type"] == "value_error":  # a validator's own words
        message = first["msg"].removeprefix("Value error, ")
    elif message is None:
        message = f"{first['msg'][:1].lower()}{first['msg'][1:]}, not {quoted(first['input'])}"
    if not names:  # of several keys together, which it names
        return message if where == FLAGS else f"{where}: {message}"
    key = flag(names[0]) if names[0] in flags else f"{where}: {'.'.join(names)}"
    return f"{key}{places}: {message}"


def _unknown(model: type[BaseModel]) -> str:
    return f"unknown key; the keys are {', '.join(model.model_fields)}"
