"""Numbers and counts as people read them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def compact(value: float, digits: int = 4) -> float:
    """A number to so many significant digits, without a trailing .0."""
    short = float(f"{value:.{digits}g}")
    return int(short) if short.is_integer() and abs(short) < 1e15 else short


def percent(fraction: float) -> float:
    """A fraction in percent, to two decimals."""
    return compact(round(100 * fraction, 2), 6)


def finite(value: Any) -> float | None:
    """A finite number, or None for anything else."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if ok else None


def points(difference: float) -> str:
    """A difference of fractions in points, signed."""
    return f"{100 * difference:+.1f} points"


def plural(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 network`, `2 networks`."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def duration(seconds: float) -> str:
    """A time for people."""
    if seconds < 100:
        return f"{seconds:.3g} s"
    minutes = seconds / 60
    if minutes < 100:
        return f"{minutes:.3g} min"
    return f"{minutes / 60:,.1f} h" if minutes < 60 * 100 else f"{minutes / 60 / 24:,.1f} days"


def said(lead: str) -> str:
    """A sentence that begins with a capital; not for one that begins with a study's or a network's name."""
    return lead[:1].upper() + lead[1:]
