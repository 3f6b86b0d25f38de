"""Many recorded architectures at once: their numbers as arrays, and the few forms they are of.

A search varies depths, widths, kernel sizes and expansions most; in all else its networks are of few forms.
One `Architecture` a form is read and checked; ten thousand take more time than all that is drawn of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from space.architecture import Architecture
from space.columns import Columns, StageColumns, columns_of, scaled_array
from space.stage import MAX_DEPTH, MAX_KERNEL, MAX_WIDTH, Stage

Value = TypeVar("Value")
Array = NDArray[Any]

# the numbers of a stage, and what a record without them means
NUMBERS: Mapping[str, Any] = {
    field.name: field.default
    for field in dataclasses.fields(Stage)
    if field.name in ("depth", "width", "kernel_size", "expansion")
}


@dataclass(frozen=True)
class Shapes:
    """n ConvNets: the first network of each form, the form of each network (n,), and its place (forms,).

    `depth`, `width`, `kernel_size` and `expansion` are (n, stages), 0 where a network has no such stage.
    """

    forms: tuple[Architecture, ...]
    form: NDArray[np.intp]
    first: NDArray[np.intp]
    depth: Array
    width: Array
    kernel_size: Array
    expansion: Array

    def each(self, of: Callable[[Architecture], Value]) -> list[Value]:
        """For every network what `of` says of its form, which has none of its numbers."""
        values = [of(form) for form in self.forms]
        return [values[k] for k in self.form.tolist()]

    def take(self, rows: NDArray[np.intp]) -> Shapes:
        """Some of the networks, of as many stages as the longest of them; forms that none has stay."""
        longest = int(self.stages[rows].max(initial=1))
        numbers = {name: getattr(self, name)[rows, :longest] for name in NUMBERS}
        return dataclasses.replace(self, form=self.form[rows], **numbers)

    @property
    def stages(self) -> NDArray[np.intp]:
        """How many each network has, (n,)."""
        return np.asarray((self.depth > 0).sum(axis=1))

    @cached_property
    def columns(self) -> Columns:
        """As `space.columns.columns_of` has it of the networks' architectures."""
        like = columns_of(self.forms)
        fields = {
            field.name: getattr(like, field.name)[self.form]
            for field in dataclasses.fields(Columns)
            if field.name != "stages"
        }
        own_stem = np.array([form.stem.width or 0 for form in self.forms])[self.form]
        fields["stem_width"] = np.where(own_stem > 0, own_stem, self.width[:, 0])
        stages = tuple(self._stage(i, stage) for i, stage in enumerate(like.stages[: self.depth.shape[1]]))
        return Columns(**fields, stages=stages)

    def _stage(self, i: int, like: StageColumns) -> StageColumns:
        inverted = [i < len(f.stages) and f.stages[i].style == "inverted" for f in self.forms]
        here, widened = self.depth[:, i] > 0, scaled_array(self.width[:, i], self.expansion[:, i])
        inner, outer = np.array(inverted)[self.form], self.width[:, i]
        fields = {
            f.name: getattr(like, f.name)[self.form] for f in dataclasses.fields(like) if f.name != "options"
        }
        return dataclasses.replace(
            StageColumns(
                **fields, options={name: values[self.form] for name, values in like.options.items()}
            ),
            depth=self.depth[:, i],
            width=self.width[:, i],
            hidden=np.where(inner, widened, outer),
            out=np.where(inner, outer, widened),
            kernel_size=np.where(here, self.kernel_size[:, i], 1),
        )


def shapes_of(recorded: Sequence[Mapping[str, Any]]) -> Shapes:
    """The shapes of ConvNets as they are recorded, one or more. Raises `ArchitectureError`."""
    forms: dict[str, int] = {}
    first: list[int] = []
    form, numbers = [], []
    for i, values in enumerate(recorded):
        own = list(_numbers(values))
        # a form's first network is checked whole, the others by their numbers, which are all they differ in
        if not all(_can_be(*stage) for stage in own):
            Architecture.from_dict(values)  # says what is wrong with it
        key = _form(values, own)
        if key not in forms:
            forms[key] = len(forms)
            first.append(i)
        form.append(forms[key])
        numbers.append(own)
    architectures = tuple(Architecture.from_dict(recorded[i]) for i in first)
    longest = max(map(len, numbers))
    table = np.zeros((len(numbers), longest, len(NUMBERS)))
    # by the number of stages: one assignment for each, not one a network
    for count in range(1, longest + 1):
        rows = [i for i, own in enumerate(numbers) if len(own) == count]
        if rows:
            table[rows, :count] = [numbers[i] for i in rows]
    columns = {name: table[:, :, j] for j, name in enumerate(NUMBERS)}
    whole = {name: columns[name].astype(np.int64) for name in NUMBERS if name != "expansion"}
    return Shapes(architectures, np.array(form), np.array(first), **whole, expansion=columns["expansion"])


def _numbers(values: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Of each stage; what all share stands under `block`."""
    block = values.get("block") or {}
    shared = [(name, block.get(name, default)) for name, default in NUMBERS.items()]
    for stage in values.get("stages") or []:
        yield [stage.get(name, value) for name, value in shared]


def _can_be(depth: Any, width: Any, kernel_size: Any, expansion: Any) -> bool:
    """Whether an architecture may have such a stage."""
    return (
        all(type(value) is int for value in (depth, width, kernel_size))
        and isinstance(expansion, int | float)
        and 1 <= depth <= MAX_DEPTH
        and 1 <= width <= MAX_WIDTH
        and 1 <= kernel_size <= MAX_KERNEL
        and kernel_size % 2 == 1
        and 1 <= round(width * expansion) <= MAX_WIDTH
    )


def _form(values: Mapping[str, Any], numbers: Sequence[Any]) -> str:
    """All but the numbers, as a text; with them where they decide whether channel groups are one or many."""
    block = _rest(values.get("block") or {})
    stages = [_rest(stage) for stage in values.get("stages") or []]
    grouped = any(part.get("group_width") is not None for part in (block, *stages))
    others = [(name, value) for name, value in values.items() if name not in ("block", "stages")]
    return repr((others, block, stages, numbers if grouped else None))


def _rest(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in NUMBERS}
