"""Folders of whole trainings, as `analysis.compare DIR` reads them: each of their files spoilt."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.bad_input.case import Case, Make
from tests.bad_input.wrong import DEEP, HUGE, LINES, LONG, NAN, NO_TEXT_FILES, cut, garbled, link, stocked

FILES = ("summary.json", "recipe.yaml", "trainings.json", "predictions.npz")
TEXTS: Mapping[str, str | bytes | Make] = {
    **NO_TEXT_FILES, "empty": "", "a list": "[]", "a text": '"x"', "deep": DEEP, "a number": HUGE,
}  # fmt: skip
NUMBER = (None, "x", -1, True, [], NAN, 1e400)
SUMMARY: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("epochs", "recipe_epochs", "seed", "macs", "params", "train_seconds"), NUMBER),
    "num_classes": (None, "x", 0, 1.5, 10**7, 3),
    "classes": ("ab", ["a"], ["a", 5], {}),
    "best": (None, [], {}, {"val_accuracy": 1.5}, {"val_accuracy": True}, {"val_accuracy": 0.5,
        "ema_accuracy": "x"}),
    "data": (None, [], {}, {"val_size": "x"}, {"val_size": -5}, {"val_size": 10**30}),
    "network": (None, 5, []),
}  # fmt: skip
ENTRY: Mapping[str, Any] = {"name": "network", "role": "network", "seed": 0, "folder": "a/b"}
ENTRIES: Mapping[str, tuple[Any, ...]] = {
    "name": (None, "", LINES, LONG),
    "role": (None, "x", []),
    "seed": (None, "x", 1.5, True),
    "folder": (None, "../..", "/etc", "a", "a/../..", "a/b/c", "a\x00/b"),
}
whole = partial(np.zeros, 8, np.int32)
ARRAYS: Mapping[str, Mapping[str, Any]] = {
    "nothing in it": {},
    "other names": {"a": whole(), "b": whole()},
    "fractions": {"label": np.zeros(8), "predicted": np.zeros(8)},
    "objects": {"label": np.array([None] * 8, dtype=object), "predicted": whole()},
    "negative": {"label": whole() - 1, "predicted": whole()},
    "no such class": {"label": whole(), "predicted": whole() + 9},
    "two dimensions": {"label": whole().reshape(4, 2), "predicted": whole()},
    "fewer images": {"label": whole()[:4], "predicted": whole()[:4]},
    "no image": {"label": whole()[:0], "predicted": whole()[:0]},
}


def cases() -> Iterator[Case]:
    """All of them."""
    for file in FILES:
        for name, content in TEXTS.items():
            yield _case(file, name, link(file) if name == "a link to itself" else content)
    for key, values in SUMMARY.items():
        for value in values:
            yield _case("summary.json", f"{key}: {str(value)[:30]}", _changed(key, value))
    for key, values in ENTRIES.items():
        for value in values:
            text = json.dumps({"trainings": [{**ENTRY, key: value}]})
            yield _case("trainings.json", f"{key}: {str(value)[:30]!r}", text)
    for name, arrays in ARRAYS.items():
        yield _case("predictions.npz", name, _saved(arrays))
    for name, make in {"cut": cut, "garbled": garbled}.items():
        yield _case("predictions.npz", name, make("trained/predictions.npz", 0.5))


def _case(file: str, name: str, content: str | bytes | Make) -> Case:
    files = {"trained": stocked("trained"), f"trained/{file}": _instead(content)}
    return Case("analysis.compare", "trainings", file, name, ("trained",), files)


def _instead(content: str | bytes | Make) -> Make:
    """In the place of the stock's file."""

    def make(path: Path, stock: Path) -> None:
        path.unlink(missing_ok=True)
        if callable(content):
            content(path, stock)
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    return make


def _changed(key: str, value: Any) -> Make:
    def make(path: Path, stock: Path) -> None:
        values = json.loads((stock / "trained" / "summary.json").read_text())
        path.write_text(json.dumps(values | {key: value}))

    return make


def _saved(arrays: Mapping[str, Any]) -> Make:
    def make(path: Path, _: Path) -> None:
        np.savez(path, **arrays)

    return make
