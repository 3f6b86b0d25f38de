"""Many networks at once as numbers that a model can learn from."""

from __future__ import annotations

import numpy as np

from space.axes import Variable
from space.coded import CodedSpace
from space.columns import Array
from space.factors import Factor


class Encoder:
    """What is chosen as `DesignSpace.encode` has it, and sizes in closed form."""

    def __init__(self, space: CodedSpace) -> None:
        self._space = space
        self.costs = len(space.metrics)  # so many of the closed forms, the first
        self._tables = [_table(factor) for factor in space.factors]
        # of each encoded number: whether it is an ordered variable's position, not an indicator
        self.positions = np.concatenate(
            [np.full(1 if v.ordered else len(v.values), v.ordered) for v in space.variables]
        )

    def encode(self, codes: Array) -> Array:
        """`DesignSpace.encode` of each of codes [N, F], [N, D]."""
        return np.concatenate([t[codes[:, f]] for f, t in enumerate(self._tables)], axis=1)

    def closed_form(self, codes: Array) -> Array:
        """Logarithms of the costs, and of each stage's depth and width where there are any, [N, K]."""
        # in logarithms: a doubled width or cost is a step as long wherever it begins
        sizes = [np.log(size) for size in self._space.sizes(codes)]
        return np.stack([np.broadcast_to(size, len(codes)) for size in sizes], axis=1)


def _table(factor: Factor) -> Array:
    """The encoding of each outcome of a factor, [outcomes, d]."""
    return np.concatenate(
        [_columns(variable, factor.values_of[:, v]) for v, variable in enumerate(factor.variables)], axis=1
    )


def _columns(variable: Variable, indices: Array) -> Array:
    count = len(variable.values)
    if variable.ordered:
        return np.asarray(indices[:, None] / max(count - 1, 1))
    return np.asarray(np.eye(count)[indices])
