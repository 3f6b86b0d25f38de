"""What a search draws from: the networks of a space whose cost lies in a budget."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from space.budget import Budget
from space.coded import CodedSpace
from space.columns import Array
from space.stage_tables import Allowed


class Band(Protocol):
    """As `space.band.BandSampler`, whatever the space."""

    @property
    def space(self) -> CodedSpace:
        """Whose codes these are."""

    @property
    def budget(self) -> Budget:
        """What a network may cost."""

    @property
    def count(self) -> int:
        """How many networks lie in the band."""

    @property
    def count_is_exact(self) -> bool:
        """Whether they were counted, not estimated."""

    def part(self, budget: Budget) -> Band:
        """The networks of the same space inside another budget."""

    def count_allowed(self, allowed: Allowed) -> int:
        """How many use only the `allowed` outcomes of some factors."""

    def sample_codes(self, count: int, rng: np.random.Generator, allowed: Allowed | None = None) -> Array:
        """`count` codes, uniform and independent in the band, [count, F]."""

    def all_codes(self) -> Array:
        """Every code of the band once, [count, F]."""

    def why_empty(self, allowed: Allowed | None = None) -> str:
        """One line: the band, and the nearest costs below and above it."""
