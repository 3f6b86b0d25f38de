"""Files as every command reads and writes them: YAML by the safe loader, text written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any

import yaml

from space.errors import InputError


class _Loader(yaml.SafeLoader):
    """The safe loader, with 1e-6 a number, as YAML 1.2 has it, and a key written twice an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                raise yaml.constructor.ConstructorError(problem=f"the key {key!r} stands twice")
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """The values of YAML text. Raises `InputError` in one line that starts with `where`."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{where}: not YAML: {' '.join(str(error).split())}") from None


def read_text(path: Path, where: str) -> str:
    """The text of a file. Raises `InputError` in one line that starts with `where`."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{where}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise InputError(f"{where}: not a text file") from None


def write_text(path: Path, text: str) -> Path:
    """Text written beside `path` and renamed, so that nobody meets half a file. Raises `InputError`."""
    # a lone surrogate, which JSON allows in a name, has no UTF-8
    return write_bytes(path, text.encode("utf-8", errors="replace"))


def write_bytes(path: Path, content: bytes) -> Path:
    """Bytes written beside `path` and renamed, so that nobody meets half a file. Raises `InputError`."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror})") from None
    finally:
        with contextlib.suppress(OSError):  # nor can it be removed where nothing can be written
            temporary.unlink(missing_ok=True)
    return path
