"""Spaces of networks as codes, whatever the networks are: what samplers draw from and step about in."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from space.axes import Variable
from space.columns import Array, Values
from space.factors import Factor

if TYPE_CHECKING:
    from space.cost import Cost
    from space.networks import Recorded


class CodedSpace(ABC):
    """Networks by what can be chosen of them: a code is one outcome index a factor.

    Codes are int64 arrays of shape [N, F].
    """

    def __init__(self, name: str, factors: Sequence[Factor], declared: Any) -> None:
        self.name = name
        self.factors = tuple(factors)
        self.declared = declared
        # by factor and outcome: the same in every code, and samplers ask for thousands of neighbours
        self._known_steps: dict[tuple[int, int], Array] = {}

    @property
    @abstractmethod
    def size(self) -> int:
        """How many distinct networks there are."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """16 hex digits: same space, same fingerprint."""

    @property
    @abstractmethod
    def metrics(self) -> tuple[str, ...]:
        """The costs that are known of its networks."""

    @abstractmethod
    def build(self, code: Array) -> Recorded:
        """The network of one code, shape [F]."""

    @abstractmethod
    def build_all(self, codes: Array) -> Sequence[Recorded]:
        """The networks of codes, shape [N, F]."""

    @abstractmethod
    def locate(self, network: Recorded) -> Array | None:
        """The code of a network, or None where it is not in the space."""

    @abstractmethod
    def costs(self, codes: Array) -> Cost:
        """What the networks of codes [N, F] cost, arrays of shape [N]; below 0 where there is no network."""

    @abstractmethod
    def sizes(self, codes: Array) -> list[Values]:
        """Costs by `metrics`, then other sizes of the networks of codes [N, F]: [N] each, or one number.

        All are positive.
        """

    @functools.cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What can be chosen, factor by factor."""
        return tuple(v for factor in self.factors for v in factor.variables)

    def choices(self, code: Array) -> dict[str, int]:
        """The value index of each variable, by name: a code as a sampler or a table sees it."""
        indices: dict[str, int] = {}
        for factor, k in zip(self.factors, code, strict=True):
            indices |= {
                v.name: int(i) for v, i in zip(factor.variables, factor.values_of[int(k)], strict=True)
            }
        return indices

    def code(self, choices: Mapping[str, int]) -> Array:
        """The code of value indices by variable name; `choices` and this undo each other."""
        return np.array(
            [int(f.outcome_of[tuple(choices[v.name] for v in f.variables)]) for f in self.factors],
            dtype=np.int64,
        )

    def neighbour_codes(self, code: Array) -> Array:
        """Codes one step away, [M, F]: an ordered variable's next value, any other of an unordered one."""
        steps = [self._steps(f, int(k)) for f, k in enumerate(code)]
        factors = np.repeat(np.arange(len(steps)), [len(others) for others in steps])
        codes = np.repeat(code[None], len(factors), axis=0)
        codes[np.arange(len(factors)), factors] = np.concatenate([*steps, np.zeros(0, dtype=np.int64)])
        return codes

    def _steps(self, f: int, k: int) -> Array:
        """The outcomes of a factor one step away from its outcome k, [M]."""
        if (f, k) not in self._known_steps:
            factor = self.factors[f]
            # in a dictionary, which keeps an order that seeds can rely on
            found: dict[int, None] = {}
            # an outcome may come of several combinations of values: a step from any of them counts
            for values in factor.all_values_of(k):
                for changed in _one_step(factor.variables, values):
                    found[int(factor.outcome_of[changed])] = None
            found.pop(k, None)
            self._known_steps[f, k] = np.array(list(found), dtype=np.int64)
        return self._known_steps[f, k]


def _one_step(variables: Sequence[Variable], values: Array) -> Iterator[tuple[int, ...]]:
    """Value indices with one variable a step away."""
    for v, variable in enumerate(variables):
        for other in _steps(variable, int(values[v])):
            yield (*map(int, values[:v]), other, *map(int, values[v + 1 :]))


def _steps(variable: Variable, i: int) -> list[int]:
    if variable.ordered:
        return [j for j in (i - 1, i + 1) if 0 <= j < len(variable.values)]
    return [j for j in range(len(variable.values)) if j != i]
