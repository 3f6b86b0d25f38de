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
from typing import TYPE_CHECKING, Any

import numpy as np

from space.architecture import MAX_STAGES, NETWORK_FIELDS, NORMS, Architecture
from space.assembly import Assembly
from space.coded import CodedSpace
from space.columns import Array, Columns, StageColumns, Values, bits, scaled_array, where
from space.cost import Cost, cost_columns
from space.errors import InputError, checked_name
from space.factors import NETWORK, Factor, Target
from space.stage import CONVS, OPTIONS, STAGE_FIELDS, stage_fields
from space.stem import STEM_FIELDS, stem_fields

if TYPE_CHECKING:
    from space.networks import Recorded

MAX_AXES = 100
MAX_COMPARED = 1_000_000


class DesignSpace(CodedSpace):
    """The product of its factors: `factors` sets the fields, `base` holds the rest."""

    def __init__(self, name: str, base: Architecture, factors: Sequence[Factor], declared: Any) -> None:
        super().__init__(name, factors, declared)
        self.base = base
        self._lookup = [{outcome: k for k, outcome in enumerate(f.outcomes)} for f in self.factors]

    @property
    def size(self) -> int:
        """How many distinct architectures there are."""
        return math.prod(len(factor) for factor in self.factors)

    @property
    def metrics(self) -> tuple[str, ...]:
        """All of them."""
        return ("macs", "params", "activations")

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

    def locate(self, network: Recorded) -> Array | None:
        """The code of an architecture, or None where it is not in the space."""
        if not isinstance(network, Architecture) or len(network.stages) != len(self.base.stages):
            return None
        values = _values(network)
        code = []
        for factor, lookup in zip(self.factors, self._lookup, strict=True):
            k = lookup.get(tuple(values[target] for target in factor.targets))
            if k is None:
                return None
            code.append(k)
        located = np.array(code, dtype=np.int64)
        # fields that no factor sets must be the base's, which the lookups above did not see
        return located if self.build(located).fingerprint == network.fingerprint else None

    def __contains__(self, architecture: Architecture) -> bool:
        return self.locate(architecture) is not None

    def sample_codes(self, count: int, rng: np.random.Generator) -> Array:
        """`count` codes, uniform and independent over the whole space, shape [count, F]."""
        columns = [rng.integers(len(factor), size=count) for factor in self.factors]
        return np.stack(columns, axis=1).reshape(count, len(self.factors))

    def costs(self, codes: Array) -> Cost:
        """Multiply-accumulates and activations at 224x224, and parameters, [N] each."""
        return cost_columns(self.columns(codes))

    def sizes(self, codes: Array) -> list[Values]:
        """Costs, and each stage's depth and width."""
        columns = self.columns(codes)
        total = cost_columns(columns)
        stages = [field for stage in columns.stages for field in (stage.depth, stage.width)]
        return [total.macs, total.params, total.activations, *stages]

    def sample(self, count: int, seed: int = 0) -> list[Architecture]:
        """`count` architectures, uniform over the whole space, with replacement."""
        return self.build_all(self.sample_codes(count, np.random.default_rng(seed)))

    def all_codes(self) -> Iterator[Array]:
        """Every code once; for spaces small enough to enumerate."""
        for code in itertools.product(*(range(len(factor)) for factor in self.factors)):
            yield np.array(code, dtype=np.int64)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """All mutations by one step; `InputError` where the architecture is not in the space."""
        return self.build_all(self.neighbour_codes(self._located(architecture)))

    def encode(self, architecture: Architecture) -> Array:
        """A float vector: an ordered variable's position in [0, 1], an unordered one's one-hot; [D]."""
        choices = self.choices(self._located(architecture))
        parts: list[Array] = []
        for variable in self.variables:
            i, count = choices[variable.name], len(variable.values)
            parts.append(np.array([i / max(count - 1, 1)]) if variable.ordered else np.eye(count)[i])
        return np.concatenate(parts)

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


def read_axis(value: Any, place: str) -> str:
    """The name of an axis."""
    return checked_name(value, place)
