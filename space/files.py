"""Files as every command reads and writes them.

Read: text, YAML and JSON within limits, so that no file takes all time or memory. Written: whole or not at
all, under a temporary name that is swept where its writer died.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import re
import secrets
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import yaml

from space.errors import InputError, quoted, reason

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

MOST_BYTES = 64 << 20  # of a text file
MOST_VALUES = 200_000  # of a YAML file, what its aliases stand for counted each time
MOST_DEPTH = 64
MOST_DIGITS = 40
TEMPORARY = ".convnext-nas-part"
# what a spreadsheet would work out, or run, of a cell; a signed number and what comes after it is none
FORMULA = re.compile(r"[=@\t\r]|[-+].*(?:[|!]|\w\()", re.DOTALL)


# reading


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


# writing


def make_folder(folder: Path) -> Path:
    """The folder and those above it: all are there, or none that was not before. Raises `OSError`."""
    with folders(folder):
        return folder


@contextlib.contextmanager
def folders(folder: Path) -> Iterator[None]:
    """The folder and those above it, made; where what is done meanwhile fails, they are gone again if empty.

    Raises `OSError`.
    """
    made: list[Path] = []
    try:
        for each in reversed([folder, *folder.parents]):
            if not each.is_dir():
                _make(each)
                made.append(each)
        yield
    except BaseException:
        for each in reversed(made):
            with contextlib.suppress(OSError):  # not empty: something was written there
                each.rmdir()
        raise


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
    except FileExistsError:  # another process was quicker; or it is a file, or a link to nothing
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "Not a directory", str(folder)) from None


def write_text(path: Path, text: str) -> Path:
    """Text written whole or not at all. Raises `InputError`."""
    # a lone surrogate, which JSON allows in a name, has no UTF-8
    return write_bytes(path, text.encode("utf-8", errors="replace"))


def csv_of(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """CSV text: a line of names, and one a row; what a row lacks is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: csv_cell(value) for name, value in row.items()} for row in rows)
    return text.getvalue()


def csv_cell(value: Any) -> Any:
    """A value as CSV may have it: no name of a stranger's is a formula to the spreadsheet that opens it."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def write_bytes(path: Path, content: bytes) -> Path:
    """Bytes written whole or not at all. Raises `InputError`."""
    try:
        with replacing(path) as file:
            file.write(content)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be written ({reason(error)})") from None
    return path


@contextlib.contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """A file, to write and read, that takes the place of `path` when all is written, else is gone.

    On the disk first (`sync`), so that a power cut leaves the old file or the new one. What writers of the
    same path left that died is removed. Raises `OSError`.
    """
    # root could put a file in the place of /dev/null
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    sweep(path.parent, path.name)
    file, temporary = _temporary(path)
    try:
        with file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
            temporary.replace(path)  # while it is locked: nobody sweeps it
    finally:
        with contextlib.suppress(OSError):  # nor can it be removed where nothing can be written
            temporary.unlink(missing_ok=True)


def _temporary(path: Path) -> tuple[IO[bytes], Path]:
    """A new file of a name of its own, locked for as long as it is open."""
    while True:
        temporary = path.with_name(f"{_prefix(path.name)}{secrets.token_hex(4)}{TEMPORARY}")
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        file = open(handle, "w+b")  # noqa: PTH123, SIM115  the caller closes it
        if _take(handle) and temporary.exists():  # else swept before it was locked
            return file, temporary
        file.close()


def _prefix(name: str) -> str:
    """What the names of temporary files of `name` start with; they may be no longer than a name may be."""
    return "." + os.fsencode(name)[:200].decode(errors="ignore") + "."


def sweep(folder: Path, name: str | None = None) -> None:
    """Remove temporary files in `folder` (of the file `name` only) whose writers have died."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            if entry.name.endswith(TEMPORARY) and (name is None or entry.name.startswith(_prefix(name))):
                _remove_dead(Path(entry.path))


def _remove_dead(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if _take(file.fileno()):
            path.unlink()


def is_temporary(path: Path) -> bool:
    """Whether a file is what a writer leaves that dies."""
    return path.name.endswith(TEMPORARY)


# locks


def locked(path: Path, busy: str) -> IO[str]:
    """The file `path`, made, its folder too, and locked until it is closed or its process ends.

    Raises `InputError`: `busy` where another process has it.
    """
    if fcntl is None:
        raise InputError(f"{path}: this system has no POSIX locks; Linux and macOS have, and Windows has WSL")
    try:
        make_folder(path.parent)
        lock = path.open("a", encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{path.parent}: cannot be written ({reason(error)})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        taken = isinstance(error, BlockingIOError) or error.errno == errno.EACCES
        raise InputError(busy if taken else f"{path}: cannot be locked ({reason(error)})") from None
    return lock


def _take(handle: int) -> bool:
    """Lock an open file; whether nobody else holds it."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True
