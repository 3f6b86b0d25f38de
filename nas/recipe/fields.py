"""The fields of a proxy or a recipe as a table of Markdown, made from their types.

docs/proxies.md and docs/recipe.md have the tables; `python -m nas.recipe.fields` prints both.
"""

from __future__ import annotations

import json
import re
import sys
import types
import typing
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from nas.recipe.mistakes import part_of

HEADINGS = "| field | type | default | meaning |\n|---|---|---|---|"
NAMES = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}


def field_table(model: type[BaseModel], prefix: str = "") -> str:
    """Name, type, default and meaning of every field, those of parts as `part.field`."""
    return "\n".join([HEADINGS, *_rows(model, prefix)])


def _rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        part = part_of(model, name)
        if part is not None:
            rows += _rows(part, f"{prefix}{name}.")
            continue
        default = "required" if field.is_required() else f"`{_default(field.default)}`"
        meaning = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {type_words(field)} | {default} | {meaning} |")
    return rows


def _default(value: Any) -> str:
    return json.dumps(value).strip('"')


def type_words(field: FieldInfo) -> str:
    """A field's type for people, with its bounds."""
    return _words(field.annotation, tuple(field.metadata))


def _words(kind: Any, metadata: tuple[Any, ...] = ()) -> str:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _words(inner[0], (*inner[1:], *metadata))
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_words(each) for each in inner)
    if origin is typing.Literal:
        return ", ".join(f"`{value}`" for value in inner)
    if origin is tuple:
        return f"{'list' if Ellipsis in inner else 'two'} of: {_words(inner[0])}"
    if origin is dict:
        return "mapping"
    return " ".join(filter(None, [NAMES.get(kind, str(kind)), _bounds(metadata)]))


def _bounds(metadata: tuple[Any, ...]) -> str:
    """Such as `> 0, <= 1`, of what pydantic keeps beside a type."""
    found = {}
    for each in metadata:
        for item in (each, *getattr(each, "metadata", ())):
            for name, sign in (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<=")):
                value = getattr(item, name, None)
                if value is not None:
                    found[sign] = value
    return ", ".join(f"{sign} {_number(value)}" for sign, value in found.items())


def _number(value: float) -> str:
    power = re.fullmatch(r"1(0+)", str(value))
    return f"10^{len(power[1])}" if power and len(power[1]) > 4 else _two(value)


def _two(value: float) -> str:
    """Powers of two as such: no table is to be read for 9223372036854775808."""
    if isinstance(value, int) and value > 2**16 and value & (value - 1) == 0:
        return f"2^{value.bit_length() - 1}"
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def main() -> int:
    """Both tables."""
    from nas.proxy.proxy import Proxy
    from nas.recipe.recipe import Recipe

    print(field_table(Proxy, "proxy."), field_table(Recipe), sep="\n\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
