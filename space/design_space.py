"""A design space: axes declared in YAML, and the architectures they span.

    name: narrow
    base: convnext_tiny                        # every field that no axis sets: a name or an architecture
    axes:
      stage_ratio: {choices: ["1:1:3:1", "1:1:9:1"]}
      depth_multiplier: {integers: [1, 4]}
      base_width: {integers: [48, 128], step: 8}
      kernel_size: {choices: [3, 5, 7], per_stage: true}
    derive:                                    # fields computed from axes
      depth: {ratio: stage_ratio, times: depth_multiplier}
      width: {base: base_width, growth: 2}

An axis named after a field sets that field. Beside the two rules above, `{lookup: axis, values: {...}}` ties
a field to one or several axes. Every architecture of the space stands for exactly one code: one outcome a
factor.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from space.architecture import (
    CONVS,
    MAX_STAGES,
    NETWORK_FIELDS,
    NORMS,
    OPTIONS,
    STAGE_FIELDS,
    STEM_FIELDS,
    Architecture,
    stage_fields,
    stem_fields,
)
from space.assembly import Assembly
from space.axes import Variable
from space.columns import Array, Columns, StageColumns, Values, bits, scaled_array, where
from space.errors import InputError, checked_name
from space.factors import NETWORK, Factor, Target

MAX_AXES = 100
MAX_COMPARED = 1_000_000


class DesignSpace:
    """The product of its factors: `factors` sets the fields, `base` holds the rest.

    A code is one outcome index a factor; codes are int64 arrays of shape [N, F].
    """

    def __init__(self, name: str, base: Architecture, factors: Sequence[Factor], declared: Any) -> None:
        self.name = name
        self.base = base
        self.factors = tuple(factors)
        self.declared = declared
        self._lookup = [{outcome: k for k, outcome in enumerate(f.outcomes)} for f in self.factors]
        # by factor and outcome: the same in every code, and samplers ask for thousands of neighbours
        self._known_steps: dict[tuple[int, int], Array] = {}

    @property
    def size(self) -> int:
        """How many distinct architectures there are."""
        return math.prod(len(factor) for factor in self.factors)

    @functools.cached_property
    def variables(self) -> tuple[Variable, ...]:
        """What can be chosen, factor by factor."""
        return tuple(v for factor in self.factors for v in factor.variables)

    @functools.cached_property
    def fingerprint(self) -> str:
        """16 hex digits over the declaration and the base: same space, same fingerprint."""
        declared, base = self.declared, self.base.to_dict()
        try:
            text = json.dumps([declared, base], sort_keys=True, default=str)
        except TypeError:  # keys of several types have no order
            text = json.dumps([_by_text(declared), base], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def build(self, code: Array) -> Architecture:
        """The architecture of one code, shape [F]."""
        return self.build_all(np.asarray(code)[None])[0]

    def build_all(self, codes: Array) -> list[Architecture]:
        """The architectures of codes, shape [N, F]; those that agree in a stage share it."""
        return self._assembly.networks(codes)

    def locate(self, architecture: Architecture) -> Array | None:
        """The code of an architecture, or None where it is not in the space."""
        if len(architecture.stages) != len(self.base.stages):
            return None
        values = _values(architecture)
        code = []
        for factor, lookup in zip(self.factors, self._lookup, strict=True):
            k = lookup.get(tuple(values[target] for target in factor.targets))
            if k is None:
                return None
            code.append(k)
        located = np.array(code, dtype=np.int64)
        # fields that no factor sets must be the base's, which the lookups above did not see
        return located if self.build(located).fingerprint == architecture.fingerprint else None

    def __contains__(self, architecture: Architecture) -> bool:
        return self.locate(architecture) is not None

    def sample_codes(self, count: int, rng: np.random.Generator) -> Array:
        """`count` codes, uniform and independent over the whole space, shape [count, F]."""
        columns = [rng.integers(len(factor), size=count) for factor in self.factors]
        return np.stack(columns, axis=1).reshape(count, len(self.factors))

    def sample(self, count: int, seed: int = 0) -> list[Architecture]:
        """`count` architectures, uniform over the whole space, with replacement."""
        return self.build_all(self.sample_codes(count, np.random.default_rng(seed)))

    def all_codes(self) -> Iterator[Array]:
        """Every code once; for spaces small enough to enumerate."""
        for code in itertools.product(*(range(len(factor)) for factor in self.factors)):
            yield np.array(code, dtype=np.int64)

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

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All mutations by one step; `InputError` where the architecture is not in the space."""
        return self.build_all(self.neighbour_codes(self._located(architecture)))

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

    def encode(self, architecture: Architecture) -> Array:
        """A float vector: an ordered variable's position in [0, 1], an unordered one's one-hot; [D]."""
        choices = self.choices(self._located(architecture))
        parts: list[Array] = []
        for variable in self.variables:
            i, count = choices[variable.name], len(variable.values)
            parts.append(np.array([i / max(count - 1, 1)]) if variable.ordered else np.eye(count)[i])
        return np.concatenate(parts)

    def decode(self, vector: Array) -> Architecture:
        """The architecture nearest to a vector of `encode`'s shape, variable by variable."""
        choices, start = {}, 0
        for variable in self.variables:
            count = len(variable.values)
            width = 1 if variable.ordered else count
            part = vector[start : start + width]
            nearest = np.rint(np.clip(part[0], 0, 1) * (count - 1)) if variable.ordered else np.argmax(part)
            choices[variable.name] = int(nearest)
            start += width
        if start != len(vector):
            raise InputError(f"a vector of {self.name} has {start} numbers, not {len(vector)}")
        return self.build(self.code(choices))

    def columns(self, codes: Array) -> Columns:
        """The columns of codes [N, F]: the first depth an array, fields that no factor sets plain numbers."""
        arrays = self.base_arrays()
        for f, outcomes in enumerate(np.ascontiguousarray(codes.T)):
            # targets with the same values, such as a field of all stages, share one array
            taken: dict[int, Array] = {}
            for target, table in self.outcome_arrays(f).items():
                if id(table) not in taken:
                    taken[id(table)] = table.take(outcomes)
                arrays[target] = taken[id(table)]
        # one array at least: `len` of columns has to know how many networks there are
        arrays[0, "depth"] = np.broadcast_to(arrays[0, "depth"], len(codes))
        return columns_from(arrays, len(self.base.stages))

    @functools.cached_property
    def _assembly(self) -> Assembly:
        return Assembly(self._base_values, self.factors, len(self.base.stages))

    @functools.cached_property
    def _base_values(self) -> dict[Target, Any]:
        return _values(self.base)

    @functools.cached_property
    def _tables(self) -> list[dict[Target, Array]]:
        """What each outcome of a factor sets, in numbers; equal tables are one."""
        tables = []
        for factor in self.factors:
            distinct: dict[tuple[Any, ...], Array] = {}
            tables.append(
                {
                    target: distinct.setdefault((field.dtype, field.tobytes()), field)
                    for j, target in enumerate(factor.targets)
                    for field in [np.array([_number(target, outcome[j]) for outcome in factor.outcomes])]
                }
            )
        return tables

    def outcome_arrays(self, factor: int) -> Mapping[Target, Array]:
        """The numbers each outcome of a factor sets, arrays of shape [outcomes]."""
        return self._tables[factor]

    def base_arrays(self) -> dict[Target, Values]:
        """The base in numbers."""
        return {target: _number(target, value) for target, value in self._base_values.items()}

    def _located(self, architecture: Architecture) -> Array:
        code = self.locate(architecture)
        if code is None:
            raise InputError(f"network {architecture.fingerprint} is not in the space {self.name}")
        return code


def columns_from(arrays: Mapping[Target, Values], stages: int) -> Columns:
    """Columns from arrays by target, broadcastable against each other, or numbers."""
    network = {field: value for (i, field), value in arrays.items() if i == NETWORK}
    return Columns(
        resnet_stem=network["stem.type"],
        patch_size=network["stem.patch_size"],
        # 0 stands for None, the first stage's
        stem_width=where(network["stem.width"] > 0, network["stem.width"], arrays[0, "width"]),
        stem_norm=network["stem.norm"],
        stem_activation=network["stem.activation"],
        separate=network["downsampling"],
        norm=network["norm"],
        relu=network["activation"],
        layer_scale=network["layer_scale"],
        head_norm=network["head_norm"],
        stages=tuple(_stage_columns(arrays, i) for i in range(stages)),
    )


def _stage_columns(arrays: Mapping[Target, Values], i: int) -> StageColumns:
    width, inverted = arrays[i, "width"], arrays[i, "style"]
    expanded = scaled_array(width, arrays[i, "expansion"])
    return StageColumns(
        depth=arrays[i, "depth"],
        width=width,
        hidden=where(inverted, expanded, width),
        out=where(inverted, width, expanded),
        kernel_size=arrays[i, "kernel_size"],
        conv=arrays[i, "conv"],
        group_width=arrays[i, "group_width"],
        middle=arrays[i, "spatial"],
        norm_after=arrays[i, "norm_after"],
        act_after=arrays[i, "act_after"],
        options={o.name: arrays[i, o.name] for o in OPTIONS},
    )


# fields that are no numbers, as the closed forms read them: what costs alike is one number
_NUMBERS: dict[str, Callable[[Any], int | float | bool]] = {
    "style": lambda value: value == "inverted",
    "conv": CONVS.index,
    "group_width": lambda value: value or 1,
    "spatial": lambda value: value == "middle",
    "norm_after": bits,
    "act_after": bits,
    "stem.type": lambda value: value == "resnet",
    "stem.width": lambda value: value or 0,
    "downsampling": lambda value: value == "separate",
    "norm": NORMS.index,
    "activation": lambda value: value == "relu",
    "layer_scale": lambda value: value is not None,
}


def _number(target: Target, value: Any) -> int | float | bool:
    read = _NUMBERS.get(target[1])
    number: int | float | bool = value if read is None else read(value)
    return number


def _values(architecture: Architecture) -> dict[Target, Any]:
    """Every field of an architecture by target."""
    values: dict[Target, Any] = {}
    for i, stage in enumerate(architecture.stages):
        values.update(zip(_STAGE_TARGETS[i], stage_fields(stage), strict=True))
    values.update(zip(_STEM_TARGETS, stem_fields(architecture.stem), strict=True))
    return values | {target: getattr(architecture, target[1]) for target in _NETWORK_TARGETS}


_STAGE_TARGETS = [[(i, field) for field in STAGE_FIELDS] for i in range(MAX_STAGES)]
_STEM_TARGETS = [(NETWORK, f"stem.{field}") for field in STEM_FIELDS]
_NETWORK_TARGETS = [(NETWORK, field) for field in NETWORK_FIELDS if field != "stem"]


def _by_text(value: Any) -> Any:
    """The same values with keys of one type."""
    if isinstance(value, Mapping):
        return {str(key): _by_text(inner) for key, inner in value.items()}
    return [_by_text(inner) for inner in value] if isinstance(value, list | tuple) else value


def _one_step(variables: Sequence[Variable], values: Array) -> Iterator[tuple[int, ...]]:
    """Value indices with one variable a step away."""
    for v, variable in enumerate(variables):
        for other in _steps(variable, int(values[v])):
            yield (*map(int, values[:v]), other, *map(int, values[v + 1 :]))


def _steps(variable: Variable, i: int) -> list[int]:
    if variable.ordered:
        return [j for j in (i - 1, i + 1) if 0 <= j < len(variable.values)]
    return [j for j in range(len(variable.values)) if j != i]


def read_axis(value: Any, place: str) -> str:
    """The name of an axis."""
    return checked_name(value, place)
