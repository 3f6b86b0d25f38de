"""A design space as Optuna's parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from space.axes import Variable
from space.columns import Array
from space.design_space import DesignSpace


def distributions(space: DesignSpace) -> dict[str, BaseDistribution]:
    """Optuna's view of a space: evenly spaced integers as such, everything else as choices."""
    return {variable.name: _distribution(variable) for variable in space.variables}


def params_of(space: DesignSpace, code: Array) -> dict[str, Any]:
    """Optuna parameters of a code."""
    choices = space.choices(code)
    return {v.name: _labels(v)[choices[v.name]] for v in space.variables}


def code_of(space: DesignSpace, params: Mapping[str, Any]) -> Array:
    """The code of Optuna parameters."""
    return space.code({v.name: _labels(v).index(params[v.name]) for v in space.variables})


def _labels(variable: Variable) -> tuple[Any, ...]:
    """A variable's values as Optuna stores them."""
    return tuple(v if v is None or isinstance(v, int | float | str) else str(v) for v in variable.values)


def _distribution(variable: Variable) -> BaseDistribution:
    labels = _labels(variable)
    integers = [v for v in labels if type(v) is int]
    steps = set(np.diff(integers)) if len(integers) == len(labels) > 1 else set()
    if len(steps) == 1 and min(steps) > 0:
        return IntDistribution(integers[0], integers[-1], step=int(steps.pop()))
    return CategoricalDistribution(labels)
