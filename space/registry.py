"""What a flag takes by name: a line each, which help, messages and documents are made of."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Entry:
    """A named thing: `place` is its "module" or "module:object", `summary` says what it is in a line."""

    place: str
    summary: str

    def load(self) -> Any:
        """The module or object, imported when it is asked for: help and messages do not pay for it."""
        module, _, name = self.place.partition(":")
        found = importlib.import_module(module)
        return getattr(found, name) if name else found


def table(head: str, entries: Mapping[str, Entry]) -> str:
    """The entries as a Markdown table under `head`, the names' column."""
    return lines([(head, "what it is"), ("---", "---"), *((f"`{n}`", e.summary) for n, e in entries.items())])


def lines(rows: Iterable[Iterable[str]]) -> str:
    """Rows of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
