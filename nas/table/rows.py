"""The rows of a table's file: CSV, JSON, or either packed by xz."""

from __future__ import annotations

import csv
import io
import lzma
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from space.errors import InputError, quoted, reason
from space.reading import MOST_BYTES, parse_json, read_text

MOST_ROWS = 1_000_000
FORMS = ".csv, .json, .csv.xz or .json.xz"
Row = Mapping[str, Any]


def read_rows(path: Path, where: str, key: str | None) -> Sequence[Row]:
    """Every row; those of a JSON mapping have its keys in the column `key`. Raises `InputError`."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    packed = suffixes[-1:] == [".xz"]
    form = (suffixes[-2:-1] if packed else suffixes[-1:]) or [""]
    if form[0] not in (".csv", ".json"):
        raise InputError(f"{where}: is no {FORMS} file")
    text = unpacked(path, where) if packed else read_text(path, where)
    rows = _of_csv(text, where) if form[0] == ".csv" else _of_json(text, where, key)
    if not rows:
        raise InputError(f"{where}: has no row")
    if len(rows) > MOST_ROWS:
        raise InputError(f"{where}: {len(rows):,} rows; at most {MOST_ROWS:,}")
    return rows


def unpacked(path: Path, where: str) -> str:
    """The text of a file packed by xz, as much as any file may have. Raises `InputError`."""
    try:
        with path.open("rb") as packed, lzma.open(packed) as file:
            content = file.read(MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise InputError(f"{where}: is larger than {MOST_BYTES >> 20} MiB unpacked")
        return content.decode("utf-8-sig")
    except (lzma.LZMAError, EOFError):
        raise InputError(f"{where}: is not packed by xz, or cut off") from None
    except UnicodeDecodeError:
        raise InputError(f"{where}: not a text file in UTF-8") from None
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where}: cannot be read ({reason(error)})") from None


def _of_csv(text: str, where: str) -> Sequence[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        names = next(reader, [])
        if len(set(names)) < len(names):
            raise InputError(f"{where}: two columns have one name")
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(names):
                raise InputError(
                    f"{where}: line {reader.line_num} has {len(cells)} cells, and the first line {len(names)}"
                )
            rows.append(dict(zip(names, cells, strict=True)))
    except csv.Error as error:
        raise InputError(f"{where}: line {reader.line_num}: not CSV: {error}") from None
    return rows


def _of_json(text: str, where: str, key: str | None) -> Sequence[Row]:
    values = parse_json(text, where)
    if isinstance(values, Mapping):
        if key is None:
            raise InputError(f"{where}: is a mapping; `key:` names the column that its keys become")
        for name, row in values.items():
            _check_row(row, where, quoted(name))
            if key in row:
                raise InputError(f"{where}: {quoted(name)} has a column {quoted(key)} already; rename `key:`")
        return [{**row, key: name} for name, row in values.items()]
    if not isinstance(values, list):
        raise InputError(f"{where}: must be a list of rows, or a mapping of keys to rows")
    for number, row in enumerate(values, 1):
        _check_row(row, where, f"row {number}")
    return values


def _check_row(row: Any, where: str, which: str) -> None:
    if not isinstance(row, Mapping):
        raise InputError(f"{where}: {which} is {quoted(row)}, not a mapping of columns to values")
