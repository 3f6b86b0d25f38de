"""What has been tried so far, as samplers see it."""

from __future__ import annotations

from dataclasses import dataclass

from space.columns import Array


@dataclass(frozen=True)
class History:
    """Networks of the space with results, oldest first: codes [N, F], accuracies [N], all at full fidelity.

    A failed training stands with the lowest accuracy of the others.
    """

    codes: Array
    accuracy: Array

    def __len__(self) -> int:
        return len(self.accuracy)
