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
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from space.architecture import (
    CONVS,
    MAX_STAGES,
    MAX_WIDTH,
    NETWORK_FIELDS,
    NORMS,
    STAGE_FIELDS,
    STEM_FIELDS,
    Architecture,
    ArchitectureError,
    scaled,
    stage_fields,
    stem_fields,
)
from space.assembly import Assembly
from space.axes import Variable, read_axis
from space.columns import Array, Columns, StageColumns, Values, bits, scaled_array, where
from space.errors import MOST_QUOTED, InputError, checked_name, counted, quoted, shortened, word
from space.factors import NETWORK, Factor, Rule, Target, make_factors
from space.families import named
from space.files import parse_yaml, read_text

RULES = ("ratio", "base", "lookup")
KEYS = ("name", "about", "base", "axes", "derive")
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
            found: dict[int, None] = {}
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
        grn=arrays[i, "grn"],
    )


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


def shipped_spaces() -> list[str]:
    """Names of the spaces that come with the package."""
    files = resources.files("space").joinpath("spaces").iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml"))


def load_space(name: str | Path) -> DesignSpace:
    """A shipped space by name, or a YAML file by path. Raises `InputError` in one line."""
    shipped = resources.files("space").joinpath("spaces", f"{name}.yaml")
    if str(name) in shipped_spaces():
        return parse_space(shipped.read_text(), str(name))
    path = Path(name)
    if not os.path.exists(path):  # noqa: PTH110  a NUL, a name too long: no file
        raise InputError(
            f"space {quoted(str(name))}: neither a file nor a shipped space ({', '.join(shipped_spaces())})"
        )
    return parse_space(read_text(path, f"space {path}"), str(path))


def parse_space(text: str, where: str) -> DesignSpace:
    """A space from YAML text; `where` names the source in errors."""
    where = f"space {where}"
    return space_from(parse_yaml(text, where), where)


def space_from(declared: Any, where: str) -> DesignSpace:
    """A space from plain values, as a YAML file holds them. Raises `InputError` at `where`."""
    if not isinstance(declared, Mapping):
        raise InputError(f"{where}: must be a mapping with the keys {', '.join(KEYS)}")
    for key in declared:
        if key not in KEYS:
            raise InputError(f"{where}: {word(key)}: unknown key; the keys are {', '.join(KEYS)}")
    base = _read_base(declared.get("base", "convnext_tiny"), where)
    axes_declared = declared.get("axes")
    if not isinstance(axes_declared, Mapping) or not axes_declared:
        raise InputError(f"{where}: axes: missing; needs at least one axis")
    if len(axes_declared) > MAX_AXES:
        raise InputError(f"{where}: axes: {len(axes_declared):,} axes, at most {MAX_AXES}")
    name = checked_name(declared.get("name", "unnamed"), f"{where}: name")
    if not isinstance(declared.get("about", ""), str):
        raise InputError(f"{where}: about: {quoted(declared['about'])} must be text")
    stages = len(base.stages)
    axes = [
        read_axis(checked_name(axis_name, f"{where}: axes"), axis, stages, where)
        for axis_name, axis in axes_declared.items()
    ]
    rules = _read_rules(declared.get("derive") or {}, stages, where)
    factors = make_factors(axes, rules, stages, where)
    space = DesignSpace(name, base, factors, declared)
    _check_every_outcome(space, where)
    _check_expanded(space, where)
    _check_groups(space, where)
    check_codes_differ(space, where)
    return space


def _read_base(declared: Any, where: str) -> Architecture:
    try:
        return named(declared) if isinstance(declared, str) else Architecture.from_dict(declared)
    except InputError as error:
        raise InputError(f"{where}: base: {error}") from None


def _read_rules(declared: Any, stages: int, where: str) -> list[Rule]:
    if not isinstance(declared, Mapping):
        raise InputError(f"{where}: derive: must be a mapping from a field to its rule")
    rules = []
    for field, rule in declared.items():
        place = f"{where}: derive.{word(field)}"
        kinds = [kind for kind in RULES if isinstance(rule, Mapping) and kind in rule]
        if len(kinds) != 1:
            raise InputError(f"{place}: needs exactly one of {', '.join(RULES)}")
        reader = {"ratio": _ratio_rule, "base": _growth_rule, "lookup": _lookup_rule}[kinds[0]]
        rules.append(reader(checked_name(field, f"{where}: derive"), rule, stages, place))
    return rules


def _only(rule: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in rule:
        if key not in known:
            raise InputError(f"{place}.{word(key)}: unknown key; the keys are {', '.join(known)}")


def _ratio_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:
    """Stage i gets ratio[i] * times, at least 1 (paper, section 2.2)."""
    _only(rule, ("ratio", "times"), place)
    if "times" not in rule:
        raise InputError(f"{place}.times: missing; the axis that multiplies the ratio")

    def compute(ratio: Any, times: Any) -> tuple[int, ...]:
        parts = ratio.split(":") if isinstance(ratio, str) else ratio
        try:
            numbers = [float(part) for part in parts]
            values = tuple(max(1, round(number * times)) for number in numbers)
        except (TypeError, ValueError, OverflowError):
            raise InputError(
                f"{place}: {quoted(ratio)} times {quoted(times)} is not a ratio such as 1:1:3:1"
            ) from None
        if len(values) != stages:
            raise InputError(f"{place}: {quoted(ratio)} has {len(values)} parts for {stages} stages")
        return values

    return Rule(
        field, (_axis(rule["ratio"], f"{place}.ratio"), _axis(rule["times"], f"{place}.times")), compute
    )


def _growth_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:
    """Stage i gets base * growth ** i, rounded to a multiple; growth is a number, a list, or an axis."""
    _only(rule, ("base", "growth", "multiple_of"), place)
    multiple, growth = rule.get("multiple_of", 1), rule.get("growth", 2)
    if type(multiple) is not int or not 1 <= multiple <= MAX_WIDTH:
        raise InputError(f"{place}.multiple_of: {quoted(multiple)} must be an integer of 1 to {MAX_WIDTH}")

    def compute(base: Any, growing: Any = growth) -> tuple[int, ...]:
        try:
            if not isinstance(base, int | float):
                raise TypeError("no number")  # text and lists times a number are something else
            powers = (
                [growing**i for i in range(stages)] if isinstance(growing, int | float) else list(growing)
            )
            if min(powers) <= 0:
                raise ValueError("no width is left")
            values = tuple(max(multiple, round(base * p / multiple) * multiple) for p in powers)
        except (TypeError, ValueError, OverflowError):
            raise InputError(f"{place}: {quoted(base)} cannot grow by {quoted(growing)}") from None
        if len(values) != stages:
            raise InputError(
                f"{place}.growth: {quoted(growing)} has {len(values)} numbers for {stages} stages"
            )
        return values

    base_axis = _axis(rule["base"], f"{place}.base")
    return Rule(field, (base_axis, growth) if isinstance(growth, str) else (base_axis,), compute)


def _lookup_rule(field: str, rule: Mapping[str, Any], stages: int, place: str) -> Rule:  # noqa: ARG001
    """The field's value by the values of one axis, or of several through nested mappings."""
    _only(rule, ("lookup", "values"), place)
    axes = rule["lookup"] if isinstance(rule["lookup"], list) else [rule["lookup"]]
    if not axes:
        raise InputError(f"{place}.lookup: empty; needs at least one axis")

    def compute(*values: Any) -> Any:
        found = rule.get("values")
        for value in values:
            if not isinstance(found, Mapping) or value not in found:
                raise InputError(f"{place}.values: nothing for {', '.join(map(word, values))}")
            found = found[value]
        return found

    return Rule(field, tuple(_axis(axis, f"{place}.lookup") for axis in axes), compute)


def _axis(value: Any, place: str) -> str:
    """The name of an axis."""
    return checked_name(value, place)


def _check_every_outcome(space: DesignSpace, where: str) -> None:
    """Every outcome of every factor is a valid network on its own, and no two are the same network."""
    for factor in space.factors:
        seen: dict[str, str] = {}
        alone = Assembly(space._base_values, [factor], len(space.base.stages))
        for k in range(len(factor)):
            chosen = zip(factor.variables, factor.values_of[k], strict=True)
            label = ", ".join(f"{v.name} {_shown(v.values[i])}" for v, i in chosen)
            try:
                fingerprint = alone.networks(np.array([[k]]))[0].fingerprint
            except (ArchitectureError, TypeError, ValueError, OverflowError) as error:
                raise InputError(f"{where}: {label}: {error}") from None
            if fingerprint in seen:
                raise InputError(f"{where}: {label} and {seen[fingerprint]} make the same network")
            seen[fingerprint] = label


def _shown(value: Any) -> str:
    return shortened(str(value), MOST_QUOTED)


def _check_expanded(space: DesignSpace, where: str) -> None:
    """The widest and the narrowest layer that width and expansion make together."""
    for i in range(len(space.base.stages)):
        widths, expansions = _possible_at(space, i, "width"), _possible_at(space, i, "expansion")
        for pick in (min, max):
            width, expansion = pick(widths), pick(expansions)
            if not 1 <= scaled(width, expansion) <= MAX_WIDTH:
                raise InputError(
                    f"{where}: stage {i + 1}: width {width} with expansion {expansion} makes "
                    f"{scaled(width, expansion):,} channels; must be 1 to {MAX_WIDTH}"
                )
        if len(widths) * len(expansions) > MAX_COMPARED:
            raise InputError(
                f"{where}: stage {i + 1}: {len(widths):,} widths with {len(expansions):,} expansions; "
                "use fewer values"
            )


GROUP_FIELDS = ("width", "expansion", "style", "conv", "group_width", "spatial", "depth", "downsampling")
PATCH_FIELDS = ("stem.type", "stem.patch_size")


def _check_groups(space: DesignSpace, where: str) -> None:
    """Combinations across factors that can be impossible: channel groups, patch size with ResNet's stem."""
    grouped = any(
        value == "grouped"
        for values in (_possible(space, "conv"), {s.conv for s in space.base.stages})
        for value in values
    )
    fields = PATCH_FIELDS + (GROUP_FIELDS if grouped else ())
    together = [f for f, factor in enumerate(space.factors) if {t[1] for t in factor.targets} & {*fields}]
    if len(together) < 2:
        return
    count = math.prod(len(space.factors[f]) for f in together)
    if count > 50_000:
        raise InputError(f"{where}: {counted(count)} combinations of channel groups to check; tie more axes")
    base = [0] * len(space.factors)
    for chosen in itertools.product(*(range(len(space.factors[f])) for f in together)):
        code = list(base)
        for f, k in zip(together, chosen, strict=True):
            code[f] = k
        try:
            space.build(np.array(code))
        except ArchitectureError as error:
            raise InputError(f"{where}: an impossible combination: {error}") from None


def _possible(space: DesignSpace, field: str) -> set[Any]:
    return {
        outcome[j]
        for factor in space.factors
        for j, target in enumerate(factor.targets)
        if target[1] == field
        for outcome in factor.outcomes
    }


def check_codes_differ(space: DesignSpace, where: str) -> None:
    """Refuse choices of different factors that can cancel: they would make one network of two codes."""
    for fields, least, cancel, reason in _CANCELLATIONS:
        owners = {f for f, factor in enumerate(space.factors) if {t[1] for t in factor.targets} & {*fields}}
        if len(owners) >= least and cancel(space):
            raise InputError(f"{where}: {reason}, so two choices make the same network")


def _possible_at(space: DesignSpace, stage: int, field: str) -> set[Any]:
    """Values that a field of a stage (or the network) can have."""
    target = (stage, field)
    for factor in space.factors:
        if target in factor.targets:
            j = factor.targets.index(target)
            return {outcome[j] for outcome in factor.outcomes}
    return {space._base_values[target]}


def _expansions_cancel(space: DesignSpace) -> bool:
    """Two expansions of a width round to one, or an expansion of 1 makes the style no choice."""
    for i in range(len(space.base.stages)):
        expansions = _possible_at(space, i, "expansion")
        free_style = len(_possible_at(space, i, "style")) > 1
        for width in _possible_at(space, i, "width"):
            channels = {scaled(width, expansion) for expansion in expansions}
            if len(channels) < len(expansions) or (free_style and width in channels):
                return True
    return False


def _stem_widths_cancel(space: DesignSpace) -> bool:
    """A stem width that the first stage may have too."""
    return bool(_possible_at(space, NETWORK, "stem.width") & _possible_at(space, 0, "width"))


def _groups_cancel(space: DesignSpace) -> bool:
    """A group as wide as the convolution (dense), or one channel wide (depthwise)."""
    for i in range(len(space.base.stages)):
        widths = _possible_at(space, i, "width")
        expanded = {scaled(w, e) for w in widths for e in _possible_at(space, i, "expansion")}
        if _possible_at(space, i, "group_width") & (widths | expanded | {1}):
            return True
    return False


def _norms_cancel(space: DesignSpace) -> bool:
    """A network that may have no norm at all, whose type is then no choice."""
    if len(_possible_at(space, NETWORK, "norm")) == 1:
        return False
    switches = [_possible_at(space, NETWORK, name) for name in ("stem.norm", "head_norm")]
    blocks = [_possible_at(space, i, "norm_after") for i in range(len(space.base.stages))]
    between = len(space.base.stages) > 1 and "strided" not in _possible_at(space, NETWORK, "downsampling")
    return not between and all(False in s for s in switches) and all(() in b for b in blocks)


def _activations_cancel(space: DesignSpace) -> bool:
    """A network that may have no activation at all, whose type is then no choice."""
    if len(_possible_at(space, NETWORK, "activation")) == 1:
        return False
    blocks = [_possible_at(space, i, "act_after") for i in range(len(space.base.stages))]
    return False in _possible_at(space, NETWORK, "stem.activation") and all(() in b for b in blocks)


def _drop_path_cancels(space: DesignSpace) -> bool:
    """A network that may be one block, which stochastic depth leaves alone."""
    one = len(space.base.stages) == 1 and 1 in _possible_at(space, 0, "depth")
    return one and len(_possible_at(space, NETWORK, "drop_path")) > 1


# fields, from how many factors on they can cancel, the test, and what it found
_CANCELLATIONS: tuple[tuple[tuple[str, ...], int, Callable[[DesignSpace], bool], str], ...] = (
    (("expansion", "width", "style"), 2, _expansions_cancel, "expansions round to the same channels"),
    (("stem.width", "width"), 1, _stem_widths_cancel, "stem.width can be the first width, which null says"),
    (("conv", "group_width", "width", "expansion"), 1, _groups_cancel, "a group_width is depthwise or dense"),
    (
        ("norm", "norm_after", "head_norm", "stem.norm", "downsampling"),
        2,
        _norms_cancel,
        "the norm's type is chosen where there may be no norm",
    ),
    (
        ("activation", "act_after", "stem.activation"),
        2,
        _activations_cancel,
        "the activation's type is chosen where there may be none",
    ),
    (("depth", "drop_path"), 2, _drop_path_cancels, "drop_path does nothing in a single block"),
)
