"""Many networks at once as numbers that a model can learn from."""

from __future__ import annotations

import numpy as np

from space.axes import Variable
from space.columns import Array
from space.cost import cost_columns
from space.design_space import DesignSpace
from space.factors import Factor

COSTS = ("macs", "params", "activations")


class Encoder:
    """`DesignSpace.encode` of codes, and features of their costs and stages in closed form."""

    def __init__(self, space: DesignSpace) -> None:
        self._space = space
        self._tables = [_table(factor) for factor in space.factors]
        # of each encoded number: whether it is an ordered variable's position, not an indicator
        self.positions = np.concatenate(
            [np.full(1 if v.ordered else len(v.values), v.ordered) for v in space.variables]
        )

    def encode(self, codes: Array) -> Array:
        """`DesignSpace.encode` of each of codes [N, F], [N, D]."""
        return np.concatenate([t[codes[:, f]] for f, t in enumerate(self._tables)], axis=1)

    def closed_form(self, codes: Array) -> Array:
        """Logarithms of the costs and of each stage's depth and width, [N, 3 + 2 S]."""
        columns = self._space.columns(codes)
        total = cost_columns(columns)
        features = [getattr(total, name) for name in COSTS]
        features += [field for stage in columns.stages for field in (stage.depth, stage.width)]
        # in logarithms: a doubled width or cost is a step as long wherever it begins
        return np.stack([np.broadcast_to(np.log(f), len(codes)) for f in features], axis=1)


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
