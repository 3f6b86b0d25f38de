"""The networks of a space's codes, put together from parts: each stage is checked once, then used again.

A code sets each field of a part (a stage, or the network around the stages) through a factor. So the
outcomes of the factors that touch a part decide the whole part, and networks that agree in them share one
frozen value. What depends on several parts, such as channel groups, is looked at for every network.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import getitem
from typing import Any

from space.architecture import NETWORK_FIELDS, Architecture, assembled, checked_network
from space.columns import Array
from space.factors import NETWORK, Factor, Target
from space.stage import STAGE_FIELDS, Stage, checked_stage
from space.stem import STEM_FIELDS, Stem

# values of one part that are kept: about 20 MB
MAX_KEPT = 65_536

Key = tuple[int, ...]
STEM = [f"stem.{name}" for name in STEM_FIELDS]
AROUND = [name for name in NETWORK_FIELDS if name != "stem"]


class PartTable(dict[Key, Any]):
    """One part of all networks of a space: its values by the outcomes of the factors that set its fields.

    `make` takes one value a target, in their order.
    """

    def __init__(
        self,
        targets: Sequence[Target],
        base: Mapping[Target, Any],
        factors: Sequence[Factor],
        make: Callable[[list[Any]], Any],
    ) -> None:
        super().__init__()
        self._base = [base[target] for target in targets]
        self._make = make
        place = {target: i for i, target in enumerate(targets)}
        # for each factor: (place in its outcomes, place in this part's values)
        here = [[(j, place[t]) for j, t in enumerate(factor.targets) if t in place] for factor in factors]
        self._factors = [f for f, settings in enumerate(here) if settings]
        self._outcomes = [(factors[f].outcomes, here[f]) for f in self._factors]

    def __missing__(self, key: Key) -> Any:
        values = self._base.copy()
        for k, (outcomes, settings) in zip(key, self._outcomes, strict=True):
            outcome = outcomes[k]
            for j, i in settings:
                values[i] = outcome[j]
        made = self._make(values)
        # no eviction: what is beyond is made anew each time
        if len(self) < MAX_KEPT:
            self[key] = made
        return made

    def keys_of(self, columns: Sequence[Sequence[int]]) -> Iterable[Key]:
        """The key of each of N codes, given as N outcomes a factor."""
        if not self._factors:
            return itertools.repeat(())
        return zip(*(columns[f] for f in self._factors), strict=True)


class Assembly:
    """Architectures of codes, each exactly what `Architecture` makes of its fields, with the same errors."""

    def __init__(self, base: Mapping[Target, Any], factors: Sequence[Factor], stages: int) -> None:
        self._factors = len(factors)
        around = [(NETWORK, field) for field in (*AROUND, *STEM)]
        self._network = PartTable(around, base, factors, _network)
        self._stages = [
            PartTable([(i, field) for field in STAGE_FIELDS], base, factors, functools.partial(_stage, i))
            for i in range(stages)
        ]

    def networks(self, codes: Array) -> list[Architecture]:
        """The architectures of codes [N, F]. Raises `ArchitectureError` at the first that cannot be."""
        if codes.ndim != 2 or codes.shape[1] != self._factors:
            raise ValueError(f"codes of shape {codes.shape}, not [N, {self._factors}]")
        # Python's ints, for they become keys of dictionaries: numpy's hash far slower
        columns = codes.T.tolist()
        keys = (part.keys_of(columns) for part in (self._network, *self._stages))
        # the range ends the zip: the keys of a part that no factor touches repeat for ever
        return [
            assembled(self._network[around], tuple(map(getitem, self._stages, own)))
            for _, around, *own in zip(range(len(codes)), *keys, strict=False)
        ]


def _network(values: list[Any]) -> dict[str, Any]:
    stem = Stem(*values[len(AROUND) :])
    return checked_network({**dict(zip(AROUND, values, strict=False)), "stem": stem})


def _stage(index: int, values: list[Any]) -> Stage:
    return checked_stage(Stage(*values), index)
