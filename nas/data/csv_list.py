"""A CSV file that lists images: a file and its label a row, and the split where there is such a column."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas.data.class_names import RULE, is_class_name, nearly_alike
from nas.data.files import MISSING, NOWHERE, TWICE, ImageFiles, LeftOut, looked_at
from nas.data.held_out import held_out
from nas.data.images import EXTENSIONS
from nas.data.layout import NAMES, SPLITS
from nas.data.listing import FIFTH, summary
from space.errors import InputError, quoted, reason, some

NEEDED = "a list has columns file and label, and split if the images are divided already"
COLUMNS = {
    "file": ("file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "img"),
    "label": ("label", "class", "class_name", "category", "target"),
    "split": ("split", "set", "subset", "partition"),
}
DELIMITERS = ",;\t"
MOST_BYTES = 1 << 30
NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class _Row:
    line: int
    file: str
    label: str
    split: str = ""


class CsvList:
    """The images a CSV file lists, in the order of their names; `classes` are the labels, numbers by value.

    Paths are relative to the file's folder. Without a split column a fifth of each class is for validation.
    `left_out` counts what is listed and not read. Raises `InputError` for what is no such list.
    """

    def __init__(self, path: str | Path, splits: Sequence[str] = SPLITS) -> None:
        self.root = Path(os.path.expanduser(path))  # noqa: PTH111  Path's own raises without a home
        self.left_out = LeftOut()
        rows, columns = _rows(self.root)
        self._how, self._rows = self._divided(self._unlike(rows), splits)
        self._how += columns
        labels = {split: {row.label for row in rows} for split, rows in self._rows.items()}
        self.classes = tuple(sorted(set.union(*labels.values()), key=_order))
        for name in self.classes:
            if not is_class_name(name):
                raise InputError(f"data: {self.root} has a label {quoted(name)}; {RULE}")
            for split, own in labels.items():
                if name not in own:
                    hint = nearly_alike([name], sorted(own))
                    raise InputError(
                        f"data: {self.root} lists no {split} images of class {quoted(name)}{hint}"
                    )
        if len(self.classes) < 2 and len(splits) > 1:
            raise InputError(
                f"data: {self.root} has one label, {quoted(self.classes[0])}; a classifier needs at least "
                "two classes"
            )
        self._found: dict[tuple[str, ...], ImageFiles] = {}

    def images(self, split: str, classes: Iterable[str]) -> ImageFiles:
        """The images of these classes, labelled in this order. Raises `InputError` at a class without any."""
        classes = tuple(classes)
        whole = "" in self._rows
        images = self._images("" if whole else split, classes)
        if not whole:
            return images
        names = [os.path.relpath(file, self.root.parent) for file in images.files]
        val = held_out(images.labels, names, classes, str(self.root))
        return images.taken(np.flatnonzero(val if split == "val" else ~val))

    def read(self, classes: int, images: Sequence[tuple[int, int]]) -> str:
        """What is read of it, in a line: `classes`, and images that are read and that there are by split."""
        how = self._how + nearly_alike(self.classes, self.classes)
        return summary(str(self.root), (classes, len(self.classes)), images, how, self.left_out)

    def _unlike(self, rows: list[_Row]) -> list[_Row]:
        """Every file once, however its path is written."""
        first: dict[str, _Row] = {}
        parent = os.path.abspath(self.root.parent)  # noqa: PTH100  Path's own keeps ..
        for row in rows:
            known = first.setdefault(os.path.normpath(os.path.join(parent, row.file)), row)  # noqa: PTH118
            if (known.label, known.split) != (row.label, row.split):
                told = "labels" if known.label != row.label else "splits"
                raise InputError(
                    f"data: {self.root}: {quoted(row.file)} has two {told}, in lines {known.line} and "
                    f"{row.line}"
                )
            if known is not row:
                self.left_out.add(TWICE, row.file)
        return list(first.values())

    def _divided(self, rows: list[_Row], splits: Sequence[str]) -> tuple[str, dict[str, list[_Row]]]:
        """How the rows are divided, in words, and those of each split; of "" where no column tells them."""
        counts = Counter(row.split.lower() for row in rows)
        if set(counts) == {""}:
            return FIFTH, {"": rows}
        chosen: dict[str, str] = {}
        for split in splits:
            names = [name for name in NAMES[split] if counts[name]]
            if not names:
                raise InputError(
                    f"data: {self.root} has no {split} images: its splits are {some(sorted(counts))}; they "
                    f"are called {' and '.join('|'.join(NAMES[one]) for one in SPLITS)}, or have no column"
                )
            chosen[split] = names[0]
        parts = {split: [row for row in rows if row.split.lower() == name] for split, name in chosen.items()}
        unread = sorted(counts.keys() - set(chosen.values())) if len(splits) > 1 else []
        how = "" if chosen.get("val") == "val" else f", validated on {chosen['val']}"
        said = ", ".join(f"{counts[name]:,} of split {quoted(name)}" for name in unread)
        return (f"{how}; not read: {said}" if said else how), parts

    def _images(self, part: str, classes: tuple[str, ...]) -> ImageFiles:
        key = (part, *classes)
        if key not in self._found:
            labels = {name: label for label, name in enumerate(classes)}
            rows = [row for row in self._rows[part] if row.label in labels]
            rows.sort(key=lambda row: (labels[row.label], os.fsencode(row.file)))
            files = [os.path.join(self.root.parent, os.path.normpath(row.file)) for row in rows]  # noqa: PTH118
            why, facts = looked_at(files)
            for index in np.flatnonzero(why):
                self.left_out.add(MISSING if why[index] == NOWHERE else why[index], rows[index].file)
            kept = np.flatnonzero(why == "")
            of = np.array([labels[row.label] for row in rows], np.int64)
            images = ImageFiles(files, of, facts[:, 0], facts[:, 1]).taken(kept)
            for label in np.flatnonzero(np.bincount(images.labels, minlength=len(classes)) == 0):
                slashes = any("\\" in row.file for row in rows) and os.sep == "/"
                raise InputError(
                    f"data: {self.root} lists no image of class {quoted(classes[label])} that can be read; "
                    f"left out: {self.left_out}; paths are relative to {self.root.parent}"
                    f"{', and / stands between folders' if slashes else ''}"
                )
            self._found[key] = images
        return self._found[key]


def _order(label: str) -> tuple[int, bytes]:
    # 1 and 01 are two labels
    return int(label) if NUMBER.fullmatch(label) else 10**9, os.fsencode(label)


def _rows(path: Path) -> tuple[list[_Row], str]:
    """The rows, whole, and which columns were read where others have such names, too. Raises `InputError`."""
    try:
        if not path.is_file():
            raise InputError(f"data: {path} is no file; {NEEDED}")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"data: {path} is larger than {MOST_BYTES >> 30} GiB, no list of images")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            delimiter = max(DELIMITERS, key=first.count)
            file.seek(0)
            found, columns = _parsed(path, csv.reader(file, delimiter=delimiter, strict=True))
    except (OSError, csv.Error, ValueError) as error:
        if isinstance(error, InputError):
            raise
        why = "it is not text in UTF-8" if isinstance(error, UnicodeDecodeError) else reason(error)
        raise InputError(f"data: {path} cannot be read as a list ({why}); {NEEDED}") from None
    if not found:
        raise InputError(f"data: {path} lists no images; {NEEDED}")
    return found, columns


def _parsed(path: Path, reader: Iterator[list[str]]) -> tuple[list[_Row], str]:
    places: dict[str, int] | None = None
    rows, width, columns = [], 0, ""
    for line, row in enumerate(reader, 1):
        cells = [cell.strip() for cell in row]
        if not any(cells):
            continue
        if places is None:
            places, header = _places(path, cells)
            width = len(cells)
            if header:
                columns = _unread(path, cells, places)
                continue
        if any(cells[width:]):  # a split without a name would be lost, and half of a label with a comma
            raise InputError(
                f"data: {path}, line {line}: {quoted(','.join(cells))} has {len(cells)} cells, the first "
                f"line {width}; name every column, and put a cell that holds a comma into quotation marks"
            )
        file, label, split = (
            cells[places[name]] if 0 <= places.get(name, -1) < len(cells) else "" for name in COLUMNS
        )
        if not file or not label:
            raise InputError(f"data: {path}, line {line}: {quoted(','.join(cells))} has no file or no label")
        if "split" in places and not split:
            raise InputError(f"data: {path}, line {line}: {quoted(file)} has no split, as others have")
        rows.append(_Row(line, file, label, split))
    return rows, columns


def _places(path: Path, cells: list[str]) -> tuple[dict[str, int], bool]:
    """The place of each column by the first row, and whether that is a header."""
    low = [cell.lower() for cell in cells]
    found = {
        column: next(low.index(name) for name in names if name in low)
        for column, names in COLUMNS.items()
        if set(names) & set(low)
    }
    if {"file", "label"} <= found.keys():
        return found, True
    image = low[0].endswith(EXTENSIONS) or (path.parent / cells[0]).is_file()
    if image and len(cells) in (2, 3) and (len(cells) == 2 or _is_split(low[2])):
        return dict(zip(COLUMNS, range(len(cells)), strict=False)), False
    raise InputError(
        f"data: {path} begins with {quoted(','.join(cells))}; {NEEDED}, with a header or in this order"
    )


def _unread(path: Path, cells: list[str], places: dict[str, int]) -> str:
    """Which columns are read, where there are others. Raises `InputError` at equal names of these."""
    low = [cell.lower() for cell in cells]
    for place in places.values():
        if low.count(low[place]) > 1:
            raise InputError(f"data: {path} has {low.count(low[place])} columns {quoted(cells[place])}")
    # one without a name is an index
    others = [cell for place, cell in enumerate(cells) if cell and place not in places.values()]
    if not others:
        return ""
    read = ", ".join(quoted(cells[place]) for place in places.values())
    return f"; by its columns {read}, not {some(list(map(quoted, others)))}"


def _is_split(name: str) -> bool:
    return any(name in names for names in NAMES.values())
