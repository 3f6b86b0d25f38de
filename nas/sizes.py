"""Sizes of memory as users write them."""

from __future__ import annotations

import re

from space.errors import InputError

SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([MGT]i?B)\s*", re.I)
UNITS = {"mb": 10**6, "gb": 10**9, "tb": 10**12, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def bytes_of(text: str, name: str) -> int:
    """Bytes of "40GB" or "24GiB". Raises `InputError` that starts with `name`."""
    match = SIZE.fullmatch(text)
    if match is None or float(match[1]) <= 0:
        raise InputError(f"{name} {text!r}: write it like 40GB or 24GiB")
    return int(float(match[1]) * UNITS[match[2].lower()])
