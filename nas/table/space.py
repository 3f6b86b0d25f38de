"""The networks of a table as a space, and those of a budget: they are listed, so that all is exact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np

from space.axes import Axis, Variable
from space.band import EmptyBandError
from space.budget import UNITS, Budget, quantity
from space.coded import CodedSpace
from space.columns import Array, Values
from space.cost import Cost
from space.errors import InputError
from space.factors import Factor
from space.networks import Recorded
from space.stage_tables import Allowed
from space.tabled import METRICS, Tabled


class TableSpace(CodedSpace):
    """The networks of a table: `codes` [N, F] by axis, and what each costs, by metric.

    Raises `InputError` that starts with `where`: two rows with one network.
    """

    def __init__(
        self, name: str, axes: Sequence[Axis], codes: Array, costs: Mapping[str, Array], where: str
    ) -> None:
        super().__init__(name, [_factor(axis) for axis in axes], None)
        self.codes = codes
        self.known = dict(costs)
        self._row = {code: row for row, code in enumerate(map(tuple, codes.tolist()))}
        if len(self._row) < len(codes):
            raise InputError(f"{where}: {_repeated(codes)} the same on every axis; an axis may be missing")

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.codes)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Those that the table has."""
        return tuple(self.known)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits over axes, networks and costs."""
        axes = json.dumps([[v.name, list(v.values)] for v in self.variables])
        digest = hashlib.sha256(axes.encode())
        for name, values in (("codes", self.codes), *sorted(self.known.items())):
            digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()[:16]

    def build(self, code: Array) -> Tabled:
        """The network of a code of the table, [F]."""
        return self.build_all(np.asarray(code)[None])[0]

    def build_all(self, codes: Array) -> list[Tabled]:
        """The networks of codes of the table, [N, F]."""
        return [self.network(int(row)) for row in self.rows(codes)]

    def network(self, row: int) -> Tabled:
        """The network of a row."""
        code = self.codes[row].tolist()
        choices = {v.name: v.values[k] for v, k in zip(self.variables, code, strict=True)}
        return Tabled(choices, **{metric: int(costs[row]) for metric, costs in self.known.items()})

    def locate(self, network: Recorded) -> Array | None:
        """The code of a network of the table; None for any other."""
        row = self.row_of(network)
        return None if row is None else self.codes[row]

    def row_of(self, network: Recorded) -> int | None:
        """The row of a network; None where it is not in the table."""
        if not isinstance(network, Tabled) or list(network.choices) != [v.name for v in self.variables]:
            return None
        places = zip(self._places, network.choices.values(), strict=True)
        row = self._row.get(tuple(place.get(repr(value), -1) for place, value in places))
        # the same choices at other costs are another table's network
        return row if row is not None and self.network(row) == network else None

    def rows(self, codes: Array) -> Array:
        """The row of each of codes [N, F]; -1 where the table has no such network, [N]."""
        return np.array([self._row.get(code, -1) for code in map(tuple, codes.tolist())], dtype=np.int64)

    def costs(self, codes: Array) -> Cost:
        """What the table says, [N] each: 0 of what it does not know, -1 where it has no such network."""
        rows = self.rows(codes)
        found = {m: self.known.get(m, np.zeros(self.size, dtype=np.int64))[rows] for m in METRICS}
        return Cost(**{m: np.where(rows < 0, -1, costs) for m, costs in found.items()}, saved=0)

    def sizes(self, codes: Array) -> list[Values]:
        """The costs that the table has."""
        rows = self.rows(codes)
        return [costs[rows] for costs in self.known.values()]

    @cached_property
    def _places(self) -> list[dict[str, int]]:
        # by their text: to a dictionary 1 and 1.0 are one value
        return [{repr(value): k for k, value in enumerate(v.values)} for v in self.variables]


class TableBand:
    """The networks of a table inside a budget: a `nas.samplers.band.Band`."""

    count_is_exact = True

    def __init__(self, space: TableSpace, budget: Budget) -> None:
        """Raises `InputError` where the table has no costs of the budget's metric."""
        if budget.metric not in space.known:
            known = ", ".join(UNITS[metric] for metric in space.known)
            raise InputError(
                f"budget {budget.text}: the table {space.name} has no {UNITS[budget.metric]}, but {known}"
            )
        self.space = space
        self.budget = budget
        costs = space.known[budget.metric]
        self._codes = space.codes[(costs >= budget.low) & (costs <= budget.high)]

    @property
    def count(self) -> int:
        """How many networks there are."""
        return len(self._codes)

    def part(self, budget: Budget) -> TableBand:
        """Those of the same table inside another budget."""
        return TableBand(self.space, budget)

    def count_allowed(self, allowed: Allowed) -> int:
        """How many use only the `allowed` outcomes of some factors."""
        return int(self._among(allowed).sum())

    def sample_codes(self, count: int, rng: np.random.Generator, allowed: Allowed | None = None) -> Array:
        """`count` codes, uniform and independent, [count, F]. Raises `EmptyBandError`."""
        codes = self._codes if not allowed else self._codes[self._among(allowed)]
        if not len(codes):
            raise EmptyBandError(self.why_empty(allowed))
        return np.asarray(codes[rng.integers(len(codes), size=count)])

    def all_codes(self) -> Array:
        """Every code once, [count, F]."""
        return self._codes

    def why_empty(self, allowed: Allowed | None = None) -> str:
        """One line: the band, and the nearest costs below and above it."""
        del allowed  # the table's costs are what a user can change to
        unit, costs = UNITS[self.budget.metric], self.space.known[self.budget.metric]
        below, above = costs[costs < self.budget.low], costs[costs > self.budget.high]
        near = [f"the nearest below is {quantity(int(below.max()), unit)}"] if below.size else []
        near += [f"the nearest above is {quantity(int(above.min()), unit)}"] if above.size else []
        return (
            f"budget {self.budget.text}: no network of the table {self.space.name} costs {self.budget}; "
            f"{' and '.join(near) or 'try a wider band'}"
        )

    def _among(self, allowed: Allowed) -> Array:
        among = np.ones(len(self._codes), dtype=bool)
        for f, outcomes in allowed.items():
            among &= np.isin(self._codes[:, f], np.asarray(outcomes))
        return among


def _factor(axis: Axis) -> Factor:
    """Of one axis that sets no field."""
    places = np.arange(len(axis.values))
    outcomes = tuple((value,) for value in axis.values)
    return Factor((Variable(axis.name, axis, None),), (), outcomes, places, places[:, None])


def _repeated(codes: Array) -> str:
    """The first two rows that are one network."""
    first: dict[tuple[int, ...], int] = {}
    for row, code in enumerate(map(tuple, codes.tolist()), 1):
        if code in first:
            return f"rows {first[code]} and {row} are"
        first[code] = row
    return "rows are"
