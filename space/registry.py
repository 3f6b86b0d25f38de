"""What a flag takes by name: a line each, which help, messages and documents are made of."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A named thing: `place` is its "module" or "module:object", `summary` says what it is in a line."""

    place: str
    summary: str

    def load(self) -> Any:
        """The module or object, imported when it is asked for: help and messages do not pay for it."""
        return load(self.place)


def load(place: str) -> Any:
    """The module or object at "module" or "module:object"."""
    module, _, name = place.partition(":")
    found = importlib.import_module(module)
    return getattr(found, name) if name else found
