"""RandAugment's configuration string in timm's notation, `rand-m9-mstd0.5-inc1`, checked without torch."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from space.errors import InputError

MAX_LEVEL = 10
UNIFORM_FROM = 100.0  # a standard deviation above this stands for uniform magnitudes, as in timm


@dataclass(frozen=True)
class Policy:
    """RandAugment (Cubuk et al. 2020) in timm's variant (timm/data/auto_augment.py)."""

    magnitude: int = MAX_LEVEL  # m
    layers: int = 2  # n: operations drawn a sample
    probability: float = 0.5  # p: that a drawn operation is applied
    deviation: float = 0.0  # mstd: of the magnitude; infinite: uniform from 0 to `magnitude`
    maximum: int = MAX_LEVEL  # mmax
    increasing: bool = False  # inc: every operation grows stronger with its magnitude


FIELDS = {
    "m": ("magnitude", r"\d+"),
    "n": ("layers", r"\d+"),
    "p": ("probability", r"\d+(\.\d+)?"),
    "mstd": ("deviation", r"\d+(\.\d+)?"),
    "mmax": ("maximum", r"\d+"),
    "inc": ("increasing", r"[01]"),
}


def parse_policy(text: str) -> Policy:
    """The policy of `rand` and any of -mN, -nN, -pX, -mstdX, -mmaxN, -inc0, -inc1. Raises `InputError`."""
    first, *parts = text.split("-")
    if first != "rand":
        raise InputError(f"rand_augment: {text!r} does not begin with rand, as rand-m9-mstd0.5-inc1 does")
    values: dict[str, float] = {}
    for part in parts:
        found = re.fullmatch(r"([a-z]+)(.*)", part)
        field, pattern = FIELDS.get(found[1] if found else "", ("", ""))
        if not found or not field or not re.fullmatch(pattern, found[2]):
            raise InputError(f"rand_augment: {text!r}: {part!r} is none of {_forms()}")
        if field in values:
            raise InputError(f"rand_augment: {text!r}: {found[1]} stands twice")
        values[field] = float(found[2])
    return _policy(text, values)


def _policy(text: str, values: dict[str, float]) -> Policy:
    if not 0 <= values.get("probability", 0) <= 1:
        raise InputError(f"rand_augment: {text!r}: p must be at most 1")
    if values.get("layers", 1) < 1:
        raise InputError(f"rand_augment: {text!r}: n must be at least 1")
    deviation = values.get("deviation", 0.0)
    return Policy(
        magnitude=int(values.get("magnitude", MAX_LEVEL)),
        layers=int(values.get("layers", 2)),
        probability=values.get("probability", 0.5),
        deviation=math.inf if deviation > UNIFORM_FROM else deviation,
        # timm takes mmax0 for none
        maximum=int(values.get("maximum", MAX_LEVEL)) or MAX_LEVEL,
        increasing=bool(values.get("increasing", False)),
    )


def _forms() -> str:
    return "mN, nN, pX, mstdX, mmaxN and inc0 or inc1"
