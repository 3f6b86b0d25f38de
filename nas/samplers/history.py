"""Results of one fidelity, as samplers see them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from space.columns import Array


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: its network's code [F] and cost, its accuracy (NaN: failed), its memo."""

    number: int
    code: tuple[int, ...]
    cost: int
    accuracy: float
    memo: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether there is no accuracy."""
        return math.isnan(self.accuracy)


@dataclass(frozen=True)
class History:
    """Networks with results, oldest first: codes [N, F], accuracies [N] and costs [N], all of one fidelity.

    A failed training stands with the lowest accuracy of the others.
    """

    codes: Array
    accuracy: Array
    cost: Array

    def __len__(self) -> int:
        return len(self.accuracy)

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], factors: int) -> History:
        """The history of outcomes of networks with so many factors."""
        accuracy = np.array([outcome.accuracy for outcome in outcomes])
        lowest = min((o.accuracy for o in outcomes if not o.failed), default=0.0)
        return cls(
            np.array([outcome.code for outcome in outcomes], dtype=np.int64).reshape(-1, factors),
            # not left out: a model that does not hear of failures proposes their like again
            np.where(np.isnan(accuracy), lowest, accuracy),
            np.array([outcome.cost for outcome in outcomes], dtype=np.int64),
        )
