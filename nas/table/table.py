"""A table of networks that others trained: its space, and the accuracies of each network."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nas.table.declared import (
    MOST_EPOCHS,
    MOST_SEEDS,
    AxisColumn,
    CostColumn,
    Declared,
    name_of,
    read_declared,
)
from nas.table.rows import Row, read_rows
from nas.table.space import TableSpace
from space.axes import Axis
from space.columns import Array
from space.errors import InputError, printable, quoted, shortened
from space.tabled import MOST_CHOICES, MOST_COST, Value
from space.words import plural

MOST_TEXT = 1000  # characters of a value of an axis
Numbered = tuple[int, Row]  # a row and its place in the file, from 1 on


@dataclass(frozen=True)
class Table:
    """`accuracies` [networks, seeds, epochs] are top-1 fractions, NaN where a network lacks a seed."""

    space: TableSpace
    accuracies: Array
    declared: Declared
    left_out: int  # rows without an accuracy

    @property
    def name(self) -> str:
        """The space's."""
        return self.space.name

    @property
    def seeds(self) -> int:
        """The most accuracies that a network has."""
        return int(self.accuracies.shape[1])

    @property
    def epochs(self) -> int:
        """Those after which accuracies are known; the last is full fidelity."""
        return int(self.accuracies.shape[2])

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over networks and accuracies."""
        digest = hashlib.sha256(self.space.fingerprint.encode())
        digest.update(np.ascontiguousarray(self.accuracies).tobytes())
        return digest.hexdigest()[:16]

    @property
    def read(self) -> str:
        """What was read, in a line."""
        known = f"{plural(self.seeds, 'seed')}, {plural(self.epochs, 'epoch')}"
        source = f", by {shortened(printable(self.declared.source), 100)}" if self.declared.source else ""
        left = f"; {plural(self.left_out, 'row')} without an accuracy left out" if self.left_out else ""
        axes = plural(len(self.space.factors), "axis", "axes")
        return f"table {self.name}: {plural(self.space.size, 'network')} of {axes}, {known}{source}{left}"


def read_table(path: Path) -> Table:
    """The table that a YAML file tells of. Raises `InputError`, one line."""
    declared = read_declared(path)
    where = f"table {path}: {declared.table}"
    rows = read_rows(path.parent / declared.table, where, declared.key)
    return table_of(declared, name_of(declared, path), rows, where)


def table_of(declared: Declared, name: str, rows: Sequence[Row], where: str) -> Table:
    """The table of these rows. Raises `InputError`."""
    accuracies = _accuracies(declared, rows, where)
    known: Array = np.asarray(np.isfinite(accuracies).any(axis=(1, 2)))
    if not known.any():
        raise InputError(f"{where}: no row has an accuracy")
    kept = [(i, row) for i, (row, has) in enumerate(zip(rows, known, strict=True), 1) if has]
    axes: list[Axis] = []
    codes: list[Array] = []
    for axis_name, column in declared.axes.items():
        for part, values, ordered in _taken_apart(axis_name, column, kept, where):
            axis, code = _axis(part, values, ordered, f"{where}: axis {part}")
            axes.append(axis)
            codes.append(code)
    _check_axes(axes, where)
    costs = {m: _costs(column, kept, where) for m, column in declared.costs.columns.items()}
    space = TableSpace(name, axes, np.stack(codes, axis=1), costs, where)
    return Table(space, accuracies[known], declared, len(rows) - len(kept))


def _cell(row: Row, column: str, number: int, where: str) -> Any:
    if column not in row:
        raise InputError(f"{where}: row {number} has no column {quoted(column)}")
    return row[column]


def _taken_apart(
    name: str, column: AxisColumn, rows: Sequence[Numbered], where: str
) -> list[tuple[str, list[Any], bool]]:
    """The axes of a column: name, values and whether numbers among them are sizes."""
    ordered = not column.characters if column.ordered is None else column.ordered
    cells = [_cell(row, column.column, i, where) for i, row in rows]
    if column.characters:
        cells = [list(str(cell)) for cell in cells]
    elif column.split is not None:
        cells = [str(cell).split(column.split) for cell in cells]
    if not any(isinstance(cell, list) for cell in cells):
        return [(name, cells, ordered)]
    count = len(cells[0]) if isinstance(cells[0], list) else 0
    for (i, _), cell in zip(rows, cells, strict=True):
        if not isinstance(cell, list) or len(cell) != count or not cell:
            raise InputError(
                f"{where}: axis {name}: row {i} has {quoted(cell)}, and the first row "
                f"{plural(count, 'value')}; every row needs as many"
            )
    return [(f"{name}.{i + 1}", [cell[i] for cell in cells], ordered) for i in range(count)]


def _axis(name: str, cells: Sequence[Any], ordered: bool, where: str) -> tuple[Axis, Array]:
    """The axis of a column's values, and which of its values each row has, [N]."""
    numbers = [_number(cell) for cell in cells] if ordered else [None]
    values = [_label(cell, where) for cell in cells] if None in numbers else numbers
    levels: list[Any] = sorted(set(values))  # all numbers, or all texts
    index = {level: i for i, level in enumerate(levels)}
    return Axis(name, tuple(levels), None, None), np.array([index[value] for value in values], dtype=np.int64)


def _label(cell: Any, where: str) -> Value:
    if isinstance(cell, dict | list):
        raise InputError(f"{where}: {quoted(cell)} is no plain value")
    if cell is None or cell == "":
        return "none"
    text = {True: "on", False: "off"}[cell] if isinstance(cell, bool) else str(cell)
    if len(text) > MOST_TEXT:
        raise InputError(f"{where}: {quoted(text)} has {len(text):,} characters; at most {MOST_TEXT:,}")
    return text


def _number(cell: Any) -> int | float | None:
    """A finite number, written out or not; None for anything else."""
    if isinstance(cell, bool) or not isinstance(cell, int | float | str):
        return None
    try:
        value = float(cell)
        if not math.isfinite(value):
            return None
        return int(value) if value == int(value) and abs(value) < 2**53 else value
    except (ValueError, OverflowError):
        return None


def _check_axes(axes: Sequence[Axis], where: str) -> None:
    names = [axis.name for axis in axes]
    if len(names) > MOST_CHOICES:
        raise InputError(f"{where}: {len(names):,} axes; at most {MOST_CHOICES:,}")
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(f"{where}: two axes are called {quoted(twice)}")


def _costs(column: CostColumn, rows: Sequence[Numbered], where: str) -> Array:
    """Whole costs, [N]."""
    costs = []
    for i, row in rows:
        cell = _cell(row, column.column, i, where)
        number = _number(cell)
        if number is None or not 1 <= number * column.times <= MOST_COST:
            raise InputError(
                f"{where}: row {i}: {column.column} {quoted(cell)} is no cost; a number whose "
                f"{column.times:g}-fold is at least 1"
            )
        costs.append(round(number * column.times))
    return np.array(costs, dtype=np.int64)


def _accuracies(declared: Declared, rows: Sequence[Row], where: str) -> Array:
    """[N, seeds, epochs], NaN where there is none."""
    found = [_row_accuracies(declared, row, i, where) for i, row in enumerate(rows, 1)]
    seeds = max(map(len, found))
    epochs = max((len(curve) for own in found for curve in own), default=0)
    if not seeds or not epochs:
        raise InputError(f"{where}: no row has an accuracy")
    if seeds > MOST_SEEDS or epochs > MOST_EPOCHS or len(rows) * seeds * epochs > 10**8:
        raise InputError(f"{where}: {len(rows):,} rows of {seeds:,} seeds and {epochs:,} epochs are too many")
    table = np.full((len(rows), seeds, epochs), np.nan)
    for i, own in enumerate(found):
        for s, curve in enumerate(own):
            # one that was cut off has no accuracy at full fidelity
            if len(curve) == epochs and None not in curve:
                table[i, s] = curve
    wrong = np.flatnonzero(((table < 0) | (table > (100 if declared.percent else 1))).any(axis=(1, 2)))
    if wrong.size:
        row = int(wrong[0])
        value = table[row][np.isfinite(table[row])].max()
        hint = "" if declared.percent else "; `percent: true` where they are percentages"
        raise InputError(f"{where}: row {row + 1}: {value:g} is no accuracy{hint}")
    return table / 100 if declared.percent else table


Curve = list[float | None]


def _row_accuracies(declared: Declared, row: Row, number: int, where: str) -> list[Curve]:
    """A curve for each seed; a single accuracy is a curve of one epoch."""
    columns = declared.accuracies
    if isinstance(columns, str):
        cell = _cell(row, columns, number, where)
        each = cell if isinstance(cell, list) else [cell]
    else:
        each = [
            _cell(row, column, number, where)
            if isinstance(column, str)
            else [_cell(row, one, number, where) for one in column]
            for column in columns
        ]
    curves = []
    for cell in each:
        curve = [_accuracy(one, number, where) for one in (cell if isinstance(cell, list) else [cell])]
        # no accuracy at all is no curve; its place says which seed it is of
        curves.append([] if set(curve) == {None} else curve)
    return curves


def _accuracy(cell: Any, number: int, where: str) -> float | None:
    if cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell)):
        return None
    value = _number(cell)
    if value is None:
        raise InputError(f"{where}: row {number}: {quoted(cell)} is no accuracy")
    return float(value)
