"""Sizes of memory as users write them."""

from __future__ import annotations

import re

from space.errors import InputError, quoted

SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([MGT]i?B)\s*", re.I)
MOST = 1e15
UNITS = {"mb": 10**6, "gb": 10**9, "tb": 10**12, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def bytes_of(text: str, name: str) -> int:
    """Bytes of "40GB" or "24GiB". Raises `InputError` that starts with `name`."""
    match = SIZE.fullmatch(text) if len(text) <= 100 else None
    size = float(match[1]) * UNITS[match[2].lower()] if match else 0.0
    if not 1 <= size <= MOST:
        raise InputError(f"{name} {quoted(text)}: write it like 40GB or 24GiB")
    return int(size)
