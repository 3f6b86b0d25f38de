"""A design space as Optuna's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from space.axes import Variable
from space.coded import CodedSpace
from space.columns import Array
from space.networks import Recorded


def distributions(space: CodedSpace) -> dict[str, BaseDistribution]:
    """Optuna's view of a space: evenly spaced integers as such, everything else as choices."""
    return {variable.name: _distribution(variable) for variable in space.variables}


def params_of(space: CodedSpace, code: Array) -> dict[str, Any]:
    """Optuna parameters of a code."""
    choices = space.choices(code)
    return {v.name: _labels(v)[choices[v.name]] for v in space.variables}


def code_of(space: CodedSpace, params: Mapping[str, Any]) -> Array:
    """The code of Optuna parameters."""
    return space.code({v.name: _labels(v).index(params[v.name]) for v in space.variables})


def networks_of(space: CodedSpace, params: Sequence[Mapping[str, Any]]) -> list[Recorded | None]:
    """The networks of Optuna parameters; None where they are none of the space's."""
    indices = {v.name: {label: i for i, label in enumerate(_labels(v))} for v in space.variables}
    chosen = {}
    for i, values in enumerate(params):
        if values.keys() == indices.keys():
            with suppress(KeyError, TypeError):
                chosen[i] = [known[values[name]] for name, known in indices.items()]
    if not chosen:
        return [None] * len(params)
    columns = dict(zip(indices, np.array(list(chosen.values())).T, strict=True))
    codes = [f.outcome_of[tuple(columns[v.name] for v in f.variables)] for f in space.factors]
    found = dict(zip(chosen, space.build_all(np.stack(codes, axis=1)), strict=True))
    return [found.get(i) for i in range(len(params))]


def _labels(variable: Variable) -> tuple[Any, ...]:
    """A variable's values as Optuna stores them."""
    return tuple(v if v is None or isinstance(v, int | float | str) else str(v) for v in variable.values)


def _distribution(variable: Variable) -> BaseDistribution:
    labels = _labels(variable)
    integers = [v for v in labels if type(v) is int]
    steps = set(np.diff(integers)) if len(integers) == len(labels) > 1 else set()
    # Optuna's integers are evenly spaced; of others it would propose values that no axis has
    if len(steps) == 1 and min(steps) > 0:
        return IntDistribution(integers[0], integers[-1], step=int(steps.pop()))
    return CategoricalDistribution(labels)
