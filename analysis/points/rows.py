"""Rows of a CSV file within limits, whose fields are read by name; no number is guessed.

Fields are separated by commas, semicolons or tabs, whichever part the header into the most names. A comma in
a number is a decimal comma in one country and parts thousands in another, and so is a point: which it is has
to follow from other numbers of the column, or of the file. Where it does not, the number is an error.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from pathlib import Path

from space.errors import InputError, printable, quoted, some
from space.reading import MOST_DIGITS, read_text

MOST_CHARACTERS = 16 << 20
MOST_ROWS = 10_000
MOST_COLUMNS = 200
MOST_NAME = 200  # characters
DELIMITERS = (",", ";", "\t")


class DigitSign(Enum):
    """What a text of digits shows by itself of its decimal sign."""

    POINT = "a decimal point"  # 4.46
    POINT_GROUPED = "commas between thousands"  # 1,014.45
    COMMA = "a decimal comma"  # 4,46
    COMMA_GROUPED = "points between thousands"  # 1.014,45
    EITHER = "none"  # 4466
    UNCLEAR = "one of two"  # 4,466 and 4.466


POINTS, COMMAS = {DigitSign.POINT, DigitSign.POINT_GROUPED}, {DigitSign.COMMA, DigitSign.COMMA_GROUPED}


@dataclass(frozen=True)
class FileRows:
    """The rows of a file by its columns' names, each with its line number."""

    path: Path
    columns: Sequence[str]
    rows: Sequence[tuple[int, Mapping[str, str]]]
    delimiter: str
    _signs: dict[str, set[DigitSign]] = field(default_factory=dict, repr=False)

    def lines(self, defaults: Mapping[str, str] | None = None) -> Iterator[FileLine]:
        """The rows; `defaults` stand in for empty fields."""
        return (FileLine(self, number, row, defaults or {}) for number, row in self.rows)

    def signs(self, name: str) -> set[DigitSign]:
        """What the numbers of a column show. Raises `InputError` where they contradict each other."""
        if name not in self._signs:
            first: dict[DigitSign, FileLine] = {}
            for line in self.lines():
                first.setdefault(sign_of(line.row[name]), line)
            pairs = [(first[comma], first[point]) for comma in COMMAS for point in POINTS
                     if comma in first and point in first]  # fmt: skip
            for comma, point in pairs[:1]:
                raise InputError(
                    f"{comma}: {name} {quoted(comma.row[name])} has a decimal comma, and line "
                    f"{point.number_of} a decimal point ({quoted(point.row[name])}): write all with points"
                )
            self._signs[name] = set(first)
        return self._signs[name]

    @cached_property
    def all_signs(self) -> set[DigitSign]:
        """What all its numbers show, which may contradict each other."""
        return {sign_of(text) for _, row in self.rows for text in row.values()}


@dataclass(frozen=True)
class FileLine:
    """A row; a bad field is an error that names file and line."""

    file: FileRows
    number_of: int
    row: Mapping[str, str]
    defaults: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.file.path}, line {self.number_of}"

    def has(self, name: str) -> bool:
        """Whether there is something in that field."""
        return bool(self.row.get(name) or self.defaults.get(name))

    def text(self, name: str) -> str:
        """The field, in one line. Raises `InputError` where it is empty, or too long for a name."""
        value = self.row.get(name) or self.defaults.get(name)
        if not value:
            raise InputError(f"{self}: no {name}")
        if len(value) > MOST_NAME:
            raise InputError(
                f"{self}: {name} {quoted(value)} has {len(value):,} characters, over {MOST_NAME}"
            )
        return printable(value)

    def number(self, name: str, allowed: Callable[[float], bool], is_: str) -> float:
        """A number that is `allowed`, which `is_` tells in words. Raises `InputError`."""
        text = self.text(name)
        if len(text) > MOST_DIGITS:
            raise InputError(
                f"{self}: {name} {quoted(text)} has over {MOST_DIGITS} characters; write it shorter"
            )
        value = _value(text, self._decimal(name, text))
        if not (math.isfinite(value) and allowed(value)):
            bare = re.fullmatch(r"([-+\d.,]*\d)\s*[^-+\d.,\s]{1,8}", text)
            unit = "" if bare is None else f" without a unit, which the column's name says: {bare[1]}"
            raise InputError(f"{self}: {name} {quoted(text)} must be {is_}{unit}")
        return value

    def integer(self, name: str, *, least: int) -> int:
        """A whole number. Raises `InputError`."""
        return int(self.number(name, lambda v: v == int(v) and v >= least, f"a whole number from {least}"))

    def _decimal(self, name: str, text: str) -> str:
        """The decimal sign of a number of that column. Raises `InputError` where it is not clear."""
        column = self.file.signs(name) if name in self.file.columns else set[DigitSign]()
        own = sign_of(text)
        # first by itself, then by its column, then by the file and what parts its fields
        if own is not DigitSign.UNCLEAR:
            return "," if own in COMMAS else "."
        sign = next(mark for mark in text if mark in ".,")
        same, others, grouped = (
            (COMMAS, POINTS, DigitSign.POINT_GROUPED)
            if sign == ","
            else (POINTS, COMMAS, DigitSign.COMMA_GROUPED)
        )
        if column & same:
            return sign
        if grouped in column:
            return {",": ".", ".": ","}[sign]
        file = self.file.all_signs
        told = file & same or (self.file.delimiter == ";" if sign == "," else self.file.delimiter != ";")
        if told and not file & others:
            return sign
        one, other = text.replace(",", "."), re.sub(r"[.,]", "", text)
        raise InputError(
            f"{self}: {name} {quoted(text)} may be {one} or {other}, and no other number of the column tells "
            f"which: write {one}0 or {other}"
        )


_NUMBER = r"[-+]?(?:\d+(?:{0}\d*)?|{0}\d+)(?:[eE][-+]?\d+)?"
_PLAIN = {sign: re.compile(_NUMBER.format(re.escape(sign)), re.ASCII) for sign in ".,"}
_THOUSANDS = r"[-+]?[1-9]\d{{0,2}}(?:{1}\d{{3}})+(?:{0}\d*)?"
_GROUPED = {
    sign: re.compile(_THOUSANDS.format(re.escape(sign), re.escape(other)), re.ASCII)
    for sign, other in (".,", ",.")
}


def sign_of(text: str) -> DigitSign:
    """What a text shows of its decimal sign; `EITHER` also of what is no number."""
    if "." not in text and "," not in text:
        return DigitSign.EITHER
    kinds = {
        DigitSign.POINT: _PLAIN["."], DigitSign.POINT_GROUPED: _GROUPED["."],
        DigitSign.COMMA: _PLAIN[","], DigitSign.COMMA_GROUPED: _GROUPED[","],
    }  # fmt: skip
    could = [sign for sign, pattern in kinds.items() if pattern.fullmatch(text)]
    if len(could) == 1:
        return could[0]
    return DigitSign.UNCLEAR if could else DigitSign.EITHER


def _value(text: str, decimal: str) -> float:
    """The number; NaN for what is none, `nan` and `inf` among it."""
    if not (_PLAIN[decimal].fullmatch(text) or _GROUPED[decimal].fullmatch(text)):
        return math.nan
    thousands = {",": ".", ".": ","}[decimal]
    return float(text.replace(thousands, "").replace(decimal, "."))


def read_rows(path: Path) -> FileRows:
    """The rows of a CSV file. Raises `InputError`."""
    text = read_text(path, str(path)).removeprefix("\ufeff")
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"{path}: more than {MOST_CHARACTERS >> 20} million characters, no table of networks"
        )
    if "\0" in text:
        raise InputError(f"{path}: not a text file in UTF-8: it has NUL bytes")
    delimiter = _delimiter(text)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    rows: list[tuple[int, Mapping[str, str]]] = []
    try:
        columns = [name.strip() for name in next(reader, [])]
        _check_columns(path, columns)
        for values in reader:
            if not any(value.strip() for value in values):
                continue
            if len(values) != len(columns):
                raise InputError(
                    f"{path}, line {reader.line_num}: {len(values)} fields; the header has {len(columns)}"
                )
            if len(rows) == MOST_ROWS:
                raise InputError(f"{path}: more than {MOST_ROWS:,} rows, no table of networks")
            fields = zip(columns, (value.strip() for value in values), strict=True)
            rows.append((reader.line_num, dict(fields)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from None
    if not rows:
        raise InputError(f"{path}: no rows under a header of column names")
    return FileRows(path, columns, rows, delimiter)


def _delimiter(text: str) -> str:
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(DELIMITERS, key=header.count)


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    if len(columns) > MOST_COLUMNS:
        raise InputError(f"{path}: {len(columns):,} columns, no table of networks")
    seen = set()
    for name in columns:
        if name in seen:
            raise InputError(f"{path}: the column {quoted(name)} is there twice")
        seen.add(name)


def reading(path: Path, rows: int, used: int, left_out: Mapping[str, Sequence[str]]) -> str:
    """What was read of a file, in a line; `left_out` are names by the reason."""
    told = f"{path.name}: {_rows(rows)}, {'all' if used == rows else f'{used:,}'} read"
    parts = [f"{len(names)} {reason} ({some(names)})" for reason, names in left_out.items() if names]
    return f"{told}; left out: {'; '.join(parts)}" if parts else told


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"
