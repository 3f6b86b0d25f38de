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


def percentage(fraction: float | None) -> str:
    """An accuracy for people: 57.0%, or - where there is none."""
    return "-" if fraction is None else f"{fraction:.1%}"


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
    """A time for people: 0.25 s, 42 s, 3 min 05 s, 1 h 02 min, 4.2 days."""
    if 0 < seconds < 0.95:
        return f"{seconds:.2g} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    # minutes say nothing any more beside so many hours
    return (
        f"{whole // 3600} h {whole % 3600 // 60:02d} min" if whole < 360_000 else f"{whole / 86400:,.1f} days"
    )


def said(lead: str) -> str:
    """A sentence that begins with a capital; not for one that begins with a study's or a network's name."""
    return lead[:1].upper() + lead[1:]
