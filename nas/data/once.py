"""Folders that are listed once in a command, however many of its steps open them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

Found = TypeVar("Found")

_listed: ContextVar[dict[Hashable, Any] | None] = ContextVar("listed", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """Within this block what was listed is known; after the outermost one all is looked at anew."""
    if _listed.get() is not None:
        yield
        return
    token = _listed.set({})
    try:
        yield
    finally:
        _listed.reset(token)


def listing_of(key: Hashable, look: Callable[[], Found]) -> Found:
    """What `look` finds, or has found in this block under this key."""
    known = _listed.get()
    if known is None:
        return look()
    if key not in known:
        known[key] = look()
    found: Found = known[key]
    return found
