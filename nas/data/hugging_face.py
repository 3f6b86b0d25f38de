"""A data set of Hugging Face's `datasets` as sequences of (image, label); the package is not imported."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas.data.layout import NAMES
from space.errors import InputError, some

IMAGE, LABEL = "Image", "ClassLabel"  # types of columns


def splits_of(train: Any, val: Any) -> tuple[Any, Any]:
    """Training and validation images, those of a `DatasetDict` by its splits' names; others as they are.

    Raises `InputError`.
    """
    if val is None and isinstance(train, Mapping) and train and all(map(_is_one, train.values())):
        parts = {
            split: next((train[name] for name in names if name in train), None)
            for split, names in NAMES.items()
        }
        if parts["train"] is None:
            raise InputError(f"data: has the splits {some(sorted(train))}, and none is called train")
        train, val = parts["train"], parts["val"]
    return _columns(train), _columns(val)


def _columns(part: Any) -> Any:
    return ImageColumns(part) if _is_one(part) else part


def _is_one(part: Any) -> bool:
    return hasattr(part, "features") and hasattr(part, "select_columns")


class ImageColumns:
    """The one column of images and the one of labels, found by their types. Raises `InputError`."""

    def __init__(self, dataset: Any) -> None:
        features = dataset.features or {}
        self._image, self._label = (_named(features, kind) for kind in (IMAGE, LABEL))
        self.classes: list[str] = list(features[self._label].names)
        self._rows = dataset.select_columns([self._image, self._label])  # no other is decoded

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        row = self._rows[place]
        return row[self._image], row[self._label]


def _named(features: Mapping[str, Any], kind: str) -> str:
    """The name of the one column of this type."""
    names = [name for name, feature in features.items() if type(feature).__name__ == kind]
    if len(names) == 1:
        return names[0]
    there = ", ".join(f"{name} {type(feature).__name__}" for name, feature in features.items())
    if names:
        raise InputError(f"data: has the {kind} columns {some(names)}: remove_columns leaves the one to use")
    hint = "; class_encode_column makes one of a column of labels" if kind == LABEL else ""
    raise InputError(f"data: has no {kind} column among {there}{hint}")
