"""Wrong values, wrong texts, wrong files: the kinds that inputs are made of."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.bad_input.case import Make
from tests.bad_input.runner import copy

NAN, INF = float("nan"), float("inf")
LONG = "a" * 300
DIGITS = "9" * 5000
ESCAPE = "\x1b[31mred"
LINES = "two\nlines"

# texts of flags

NO_NUMBERS = ("x", "", "1,5", "0x10", "1 2", "½", "--", ESCAPE)
NO_INTEGERS = (*NO_NUMBERS, "1.5", "nan", "inf", "1e3", DIGITS)
NO_COUNTS = (*NO_INTEGERS, "0", "-1", "-99999999999999999999")
NO_WHOLES = (*NO_INTEGERS, "-1")
NO_POSITIVES = (*NO_NUMBERS, "nan", "inf", "-inf", "0", "-1", "1e400")
NO_NONNEGATIVES = (*NO_NUMBERS, "nan", "inf", "-1", "-1e-9")
NO_SHARES = (*NO_POSITIVES, "1.1", "2")
NO_CHOICES = ("", "x", ESCAPE, LINES, LONG, "É", "[red]x[/red]")
NO_SIZES = ("", "x", "40", "-1GB", "0GB", "GB", "40GX", "4,0GB", "nanGB", "infGB", "40 G B", DIGITS + "GB")
NO_FILES = (
    "nope.yaml",
    "/dev/null",
    ".",
    "no/such/file.yaml",
    LONG,
    f"x/{LONG}.yaml",
    "\x1b[31m.yaml",
    "a\nb.yaml",
)
NO_STUDIES = (
    "nope",
    "a b",
    "..",
    ".",
    LONG,
    f"x/{LONG}",
    "/dev/null",
    "no/such/study",
    ESCAPE,
    LINES,
    "é",
    "a\\b",
    "%41",
)
# where nothing can be written: never a device, which a file that is renamed would replace
NO_PLACES = ("/dev/null/x", "/proc/x/y", f"x/{LONG}", "file.txt/x")
NO_DEVICES = ("x", "gpu", "cuda:99", "cuda:-1", "cuda:x", "cpu:x", ESCAPE, LONG)
NO_DATA = (
    "", "x", ":", "FRACTAL", "fractal:x", "digits:1", "cifar10", "cifar10:", "cifar10:nope", "cifar100:.",
    "imagefolder", "imagefolder:", "imagefolder:nope", "imagefolder:/dev/null", f"imagefolder:{LONG}",
    "imagefolder:\x1b[31m", f"cifar10:{LONG}", LONG, ESCAPE, LINES, "imagefolder:file.txt",
    "no/such/photos", "nope.csv", "csv", "csv:nope", "csv:/dev/null", "csv:file.txt", ".",
)  # fmt: skip

# values of keys; Raw stands as it is in the text of the file


class Raw(str):
    """Text that stands in a file as it is."""

    __slots__ = ()


HUGE = Raw(DIGITS)
DEEP = Raw("[" * 30_000 + "]" * 30_000)
COUNT = ("x", "", -1, 0, 1.5, NAN, INF, [], {}, [1], {"a": 1}, HUGE, "2001-99-99", "1:30", LONG, "a\x00b")
WHOLE = tuple(value for value in COUNT if value != 0 or isinstance(value, bool))
POSITIVE = ("x", "", -1, 0, NAN, INF, -INF, [], {}, [1], HUGE, Raw("1e999"), "2001-01-01", "a\x00b")
NONNEGATIVE = tuple(value for value in POSITIVE if value != 0)
SHARE = (*NONNEGATIVE, 1.5, 1e30)
ABOVE_0_TO_1 = (*POSITIVE, 1.5)
SWITCH = ("x", "", 2, -1, 1.5, NAN, [], {}, [True], None, "a\x00b")
CHOICE = ("x", "", 5, 1.5, True, None, [], {}, ["x"], LONG, ESCAPE, LINES, "a\x00b", HUGE)
PAIR = ("x", "", 5, [], [1], [1, 2, 3], ["a", "b"], {}, [NAN, 1], [None, None], [[], []], HUGE)
MAPPING = ("x", "", 5, 1.5, True, [], [1], [[1, 2]], LONG, "a\x00b", HUGE)
LIST = ("x", "", 5, True, {}, {"a": 1}, [5], ["x"], [None], [[]], "a\x00b", HUGE)


def document(values: Any, suffix: str) -> str:
    """Values as the text of a YAML or JSON file."""
    raw: list[Raw] = []

    def plain(value: Any) -> Any:
        if isinstance(value, Raw):
            raw.append(value)
            return f"RAW{len(raw) - 1}RAW"
        if isinstance(value, Mapping):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    values = plain(values)
    text = json.dumps(values) if suffix == ".json" else yaml.safe_dump(values, sort_keys=False)
    for i, value in enumerate(raw):
        text = text.replace(f'"RAW{i}RAW"', value).replace(f"RAW{i}RAW", value)
    return text


Place = tuple[str | int, ...]


def changed(values: Any, path: Place, value: Any) -> Any:
    """Values with the one at a path replaced."""
    if not path:
        return value
    if isinstance(values, list):
        return [changed(inner, path[1:], value) if i == path[0] else inner for i, inner in enumerate(values)]
    return {**values, path[0]: changed(values.get(path[0], {}), path[1:], value)}


def dropped(values: Any, path: Place) -> Any:
    """Values without the key at a path."""
    if len(path) == 1:
        return {key: inner for key, inner in values.items() if key != path[0]}
    return changed(values, path[:1], dropped(values[path[0]], path[1:]))


def shown(value: Any) -> str:
    """A value as the name of an input has it."""
    text = str(value) if isinstance(value, Raw) else repr(value)
    return text if len(text) < 50 else f"{text[:20]}... ({len(text):,} characters)"


# files and folders


def stocked(name: str) -> Make:
    """A copy of what the stock has under that name."""
    return lambda path, stock: copy(stock / name, path)


def folder(path: Path, _: Path) -> None:
    """An empty folder."""
    path.mkdir(parents=True)


def fifo(path: Path, _: Path) -> None:
    """A pipe that nobody writes to."""
    os.mkfifo(path)


def link(target: str) -> Make:
    """A symbolic link."""
    return lambda path, _: path.symlink_to(target)


def sparse(size: int) -> Make:
    """A file of zeros that takes no space."""

    def make(path: Path, _: Path) -> None:
        with path.open("wb") as file:
            file.truncate(size)

    return make


def cut(name: str, share: float) -> Make:
    """The first part of a file of the stock."""

    def make(path: Path, stock: Path) -> None:
        content = (stock / name).read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return make


def garbled(name: str, share: float, length: int = 64) -> Make:
    """A file of the stock with bytes overwritten."""

    def make(path: Path, stock: Path) -> None:
        content = bytearray((stock / name).read_bytes())
        start = int(share * len(content))
        content[start : start + length] = b"\xa5" * length
        path.write_bytes(content)

    return make


NO_TEXT_FILES: Mapping[str, bytes | Make] = {
    "a binary file": bytes(range(256)) * 20,
    "UTF-16": "name: x".encode("utf-16"),
    "Latin-1": "name: é".encode("latin-1"),
    "an overlong NUL": b"name: \xc0\x80",
    "a folder": folder,
    "a pipe": fifo,
    "a link to nothing": link("nowhere"),
    "a link to itself": link("bad"),
    "a link to /dev/zero": link("/dev/zero"),
    "a link to /proc/self/mem": link("/proc/self/mem"),
    "a sparse file of 3 GB": sparse(3 << 30),
}
"""Of any suffix; a link to itself stands beside the file it should be."""

BOMB = "\n".join(
    [
        "a: &a [x,x,x,x,x,x,x,x,x,x]",
        *(f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
    ]
)


def odd_texts(suffix: str) -> Iterator[tuple[str, str | bytes | Make]]:
    """Files that are no mapping of keys to values, by name."""
    yield from NO_TEXT_FILES.items()
    yield from {
        "a list": "[1, 2]",
        "a text": '"x"',
        "a number": "5",
        "lists nested 30,000 deep": DEEP,
        "mappings nested 20,000 deep": '{"a": ' * 20_000 + "1" + "}" * 20_000,
        "a list of a million": f"[{'1,' * 999_999}1]",
        "an unknown key": '{"nope": 1}',
        "an unknown key of 100,000 characters": f'{{"{"k" * 100_000}": 1}}',
        "an unknown key with control characters": '{"\\u001b[31m\\n\\u0000": 1}',
        "a number of 5,000 digits": f'{{"name": {DIGITS}}}',
        "a key twice": '{"name": "a", "name": "b"}',
        "a lone surrogate as key": '{"\\ud800": 1}',
        "an empty key": '{"": 1}',
        "cut in the middle": '{"name": "x", "stages": [',
        "NUL": '{"name": "a\x00b"}',
        "a closing bracket": "]",
    }.items()
    if suffix == ".json":
        yield from {
            "empty": "",
            "YAML": "name: x\n",
            "NaN alone": "NaN",
            "null": "null",
            "two values": "{} {}",
        }.items()
        return
    yield from {
        "an alias bomb": BOMB,
        "an alias bomb of mappings": BOMB.replace("[", "{k: [").replace("]", "]}"),
        "an alias inside of what it names": "a: &a [*a]",
        "an unknown alias": "a: *b",
        "a tag that runs code": "name: !!python/object/apply:os.system ['touch ran']",
        "an unknown tag": "name: !x 1",
        "two documents": "name: a\n---\nname: b\n",
        "a tab": "name:\n\tx: 1\n",
        "a list as key": "? [1, 2]\n: 1\n",
        "a mapping as key": "? {a: 1}\n: 1\n",
        "a merge of a text": "<<: x\n",
        "a binary": "name: !!binary aGVsbG8=\n",
        "a directive": "%YAML 9.9\n---\nname: x\n",
        "a block of 10 MB": "name: |\n" + ("  " + "x" * 998 + "\n") * 10_000,
    }.items()
