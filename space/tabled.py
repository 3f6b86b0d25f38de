"""A network of which a table tells: what was chosen, what it costs, and no way to build it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from space.errors import InputError, checked_name, quoted, word

FAMILY = "table"
METRICS = ("macs", "params", "activations")
MOST_CHOICES = 1000
MOST_COST = 10**18
Value = str | int | float


@dataclass(frozen=True)
class Tabled:
    """A network by its values on a table's axes; a cost that the table does not know is 0.

    Raises `InputError` where it is built, naming the field and the reason.
    """

    choices: Mapping[str, Value]
    macs: int = 0
    params: int = 0
    activations: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.choices, Mapping) or not 1 <= len(self.choices) <= MOST_CHOICES:
            raise InputError(f"choices: must be a mapping of 1 to {MOST_CHOICES} axes to values")
        for name, value in self.choices.items():
            checked_name(name, "choices")
            if type(value) not in (str, int, float) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                raise InputError(f"choices.{word(name)}: {quoted(value)} is no plain value")
        for metric in METRICS:
            cost = getattr(self, metric)
            if type(cost) is not int or not 0 <= cost <= MOST_COST:
                raise InputError(f"{metric}: {quoted(cost)} is no count")

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def to_dict(self) -> dict[str, Any]:
        """Canonical plain values."""
        return {
            "family": FAMILY,
            "choices": dict(self.choices),
            **{metric: getattr(self, metric) for metric in METRICS},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Tabled:
        """The network of plain values. Raises `InputError`."""
        names = [field.name for field in dataclasses.fields(cls)]
        for name in values:
            if name not in (*names, "family"):
                raise InputError(f"{word(name)}: unknown field; the fields are {', '.join(names)}")
        if "choices" not in values:
            raise InputError("choices: missing")
        return cls(**{name: value for name, value in values.items() if name != "family"})

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over all of it."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]
