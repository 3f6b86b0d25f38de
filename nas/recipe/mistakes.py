"""What pydantic finds wrong with a user's values, as one line."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from space.errors import InputError, quoted, word

FLAGS = "flags"
Model = TypeVar("Model", bound=BaseModel)


def validated(
    model: type[Model], values: Mapping[Any, Any], where: str, flags: Collection[str] = ()
) -> Model:
    """A model of `values`. Raises `InputError`: where, the first wrong key, what it should be, what it is.

    Keys among `flags` were given on the command line, and are named as they are written there.
    """
    for key in values:
        if key not in model.model_fields:
            known = ", ".join(model.model_fields)
            raise InputError(f"{where}: {word(key)}: unknown key; the keys are {known}")
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        message = f"{message[:1].lower()}{message[1:]}"
        if not first["loc"]:  # of several keys together, which it names
            raise InputError(f"{where}: {message}" if where != FLAGS else message) from None
        key = str(first["loc"][0])
        # of a union pydantic names the branch, too
        place = "".join(f"[{part}]" for part in first["loc"][1:] if isinstance(part, int))
        named = flag(key) if key in flags else f"{where}: {key}"
        got = "" if first["type"] in ("missing", "value_error") else f", not {quoted(first['input'])}"
        raise InputError(f"{named}{place}: {message}{got}") from None


def flag(key: str) -> str:
    """A setting as the command line has it."""
    return "--" + key.replace("_", "-")
