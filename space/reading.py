"""Text, YAML and JSON as every command reads them: within limits, or a file could take all there is."""

from __future__ import annotations

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import yaml

from space.errors import InputError, quoted, reason

MOST_BYTES = 64 << 20  # of a text file
MOST_VALUES = 200_000  # of a YAML file, what its aliases stand for counted each time
MOST_DEPTH = 64
MOST_DIGITS = 40


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema within limits, a key written twice being an error.

    By YAML 1.1, PyYAML's own, `1:1:3:1` is a number to the base of 60, `no` is false, `1e-6` is text and
    `2001-99-99` an error.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = self._values = 0
        self._sizes: dict[int, int] = {}  # values that a node stands for, by the node's id

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._sizes:
                raise yaml.constructor.ConstructorError(problem="an alias stands inside of what it names")
            self._count(self._sizes[id(node)])
            return node
        before = self._values
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        # long texts weigh more: an alias may stand for them many times
        self._count(1 + len(getattr(event, "value", None) or "") // 100)
        self._depth += 1
        if self._depth > MOST_DEPTH:
            raise yaml.constructor.ConstructorError(problem=f"nested more than {MOST_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._sizes[id(node)] = self._values - before
        return node

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            raise yaml.constructor.ConstructorError(problem=f"more than {MOST_VALUES:,} values")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key for key, _ in node.value if not key.tag.endswith(":merge")]
        _refuse_twice([self.construct_object(key, deep=True) for key in keys])
        return super().construct_mapping(node, deep)

    def construct_number(self, node: yaml.ScalarNode) -> int | float:
        text = str(self.construct_scalar(node))
        if node.tag.endswith(":float"):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        if len(text) > MOST_DIGITS:
            raise yaml.constructor.ConstructorError(problem=f"a number of more than {MOST_DIGITS} digits")
        bases = {"0o": 8, "0x": 16}
        return int(text, bases.get(text[:2], 10))


def _refuse_twice(keys: list[Any]) -> None:
    seen: set[Any] = set()
    for key in keys:
        try:
            twice = key in seen
            seen.add(key)
        except TypeError:
            raise yaml.constructor.ConstructorError(problem=f"{quoted(key)} cannot be a key") from None
        if twice:
            raise yaml.constructor.ConstructorError(problem=f"the key {quoted(key)} stands twice")


_PLAIN = ("null", "bool", "str", "seq", "map")
_CORE = {  # https://yaml.org/spec/1.2.2/#103-core-schema; and <<, which many files use
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
    "merge": (r"<<", ["<"]),
}
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), _first)
_CONSTRUCTORS = {
    **{name: yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{name}"] for name in _PLAIN},
    "int": _Loader.construct_number,
    "float": _Loader.construct_number,
}
_Loader.yaml_constructors = {f"tag:yaml.org,2002:{name}": make for name, make in _CONSTRUCTORS.items()}
_Loader.yaml_constructors[None] = yaml.SafeLoader.yaml_constructors[None]  # of any other tag: an error


def parse_yaml(text: str, where: str) -> Any:
    """The values of YAML 1.2 text. Raises `InputError` in one line that starts with `where`."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, LookupError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{where}: not YAML: {' '.join(str(error).split())}") from None


def parse_json(text: str, where: str) -> Any:
    """The values of JSON text. Raises `InputError` in one line that starts with `where`."""
    try:
        values = json.loads(text, object_pairs_hook=_mapping, parse_int=_whole)
        _refuse_depth(values)
    except (json.JSONDecodeError, yaml.YAMLError, ValueError) as error:
        raise InputError(f"{where}: not JSON: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise InputError(f"{where}: not JSON: nested more than {MOST_DEPTH} deep") from None
    return values


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        _refuse_twice([key for key, _ in pairs])
    return found


def _whole(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise ValueError(f"a number of more than {MOST_DIGITS} digits")
    return int(digits)


def _refuse_depth(values: Any) -> None:
    level = [values]
    for _ in range(MOST_DEPTH):
        level = [
            inner
            for value in level
            if isinstance(value, dict | list)
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise ValueError(f"nested more than {MOST_DEPTH} deep")


def read_values(path: Path, where: str) -> Any:
    """The values of a YAML file (`.yaml`, `.yml`) or a JSON file (any other). Raises `InputError`."""
    parse = parse_yaml if path.suffix.lower() in (".yaml", ".yml") else parse_json
    return parse(read_text(path, where), where)


def read_text(path: Path, where: str) -> str:
    """The text of a file, UTF-8 with or without a mark. Raises `InputError` that starts with `where`.

    A pipe is read as far as it has a writer, `/dev/zero` to the limit.
    """
    try:
        # a named pipe that nobody writes to would be waited for
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:  # noqa: PTH123
            if stat.S_ISFIFO(os.fstat(handle).st_mode):
                os.set_blocking(handle, True)
            content = file.read(MOST_BYTES + 1)
            if not content and stat.S_ISFIFO(os.fstat(handle).st_mode):
                raise ValueError("a pipe with nothing in it")
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        raise InputError(f"{where}: cannot be read ({reason(error)})") from None
    if len(content) > MOST_BYTES:
        raise InputError(f"{where}: is larger than {MOST_BYTES >> 20} MiB, no file of this kind")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{where}: not a text file in UTF-8") from None
