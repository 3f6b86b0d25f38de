"""What a YAML file says of a table: where it is, and which of its columns are axes, costs and accuracies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

from nas.recipe.mistakes import validated
from space.errors import InputError, checked_name, word
from space.reading import parse_yaml, read_text

MOST_AXES, MOST_SEEDS, MOST_EPOCHS = 100, 1000, 10_000
Column = Annotated[str, Field(min_length=1, max_length=1000)]
Columns = Annotated[tuple[Column, ...], Field(min_length=1, max_length=MOST_EPOCHS)]


class OneColumn(BaseModel):
    """A column by its name."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: Column

    @model_validator(mode="before")
    @classmethod
    def _is_spelt_right(cls, values: Any) -> Any:
        """Or pydantic would tell of the key that a misspelt one leaves missing."""
        for key in values if isinstance(values, dict) else ():
            if key not in cls.model_fields:
                raise ValueError(f"{word(key)}: unknown key; the keys are {', '.join(cls.model_fields)}")
        return values


class AxisColumn(OneColumn):
    """A column that is an axis, or, taken apart, several: `NAME.1`, `NAME.2`, ..."""

    characters: StrictBool = False  # each character of its text is a value
    split: Annotated[str, Field(min_length=1, max_length=10)] | None = None  # values stand between these
    ordered: StrictBool | None = None  # None: numbers are, unless they are single characters

    @model_validator(mode="after")
    def _is_taken_apart_once(self) -> AxisColumn:
        if self.characters and self.split is not None:
            raise ValueError("characters and split: a column is taken apart in one way")
        return self


class CostColumn(OneColumn):
    """A column of costs, in units of `times`."""

    times: Annotated[float, Field(gt=0, le=1e15, allow_inf_nan=False)] = 1.0


class CostColumns(BaseModel):
    """The costs that a table has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    macs: CostColumn | None = None
    params: CostColumn | None = None
    activations: CostColumn | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _is_a_column(cls, value: Any) -> Any:
        return {"column": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _has_one(self) -> CostColumns:
        if not self.columns:
            raise ValueError("none of macs, params and activations: a budget is a cost")
        return self

    @property
    def columns(self) -> dict[str, CostColumn]:
        """Those there are, by metric."""
        found = {"macs": self.macs, "params": self.params, "activations": self.activations}
        return {metric: column for metric, column in found.items() if column is not None}


class Declared(BaseModel):
    """A table's YAML. Paths are relative to its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Annotated[str, Field(min_length=1, max_length=4096)]
    name: str | None = None  # None: the file's
    source: Annotated[str, Field(max_length=1000)] | None = None  # who trained them, under what terms
    data: Annotated[str, Field(max_length=200)] | None = None  # on what
    key: Column | None = None  # the column that the keys of a JSON mapping become
    axes: Annotated[dict[str, AxisColumn], Field(min_length=1, max_length=MOST_AXES)]
    costs: CostColumns
    # a column, whose cells hold a number, one a seed, or one an epoch for each seed; or a column (or the
    # columns of all epochs) for each seed
    accuracies: Column | Annotated[tuple[Column | Columns, ...], Field(min_length=1, max_length=MOST_SEEDS)]
    percent: StrictBool = False

    @field_validator("axes", mode="before")
    @classmethod
    def _are_columns(cls, value: Any) -> Any:
        """A list of columns, or a mapping of names to them."""
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            if len(set(value)) < len(value):
                raise ValueError("a column stands twice")
            return {one: {"column": one} for one in value}
        if isinstance(value, dict):
            return {name: {"column": one} if isinstance(one, str) else one for name, one in value.items()}
        return value


def read_declared(path: Path) -> Declared:
    """What the file says. Raises `InputError`, one line."""
    where = f"table {path}"
    declared = validated(Declared, parse_yaml(read_text(path, where), where), where)
    for name in declared.axes:
        checked_name(name, f"{where}: axes")
    if declared.name is not None:
        checked_name(declared.name, f"{where}: name")
    return declared


def name_of(declared: Declared, path: Path) -> str:
    """What the space is called."""
    try:
        return declared.name or checked_name(path.stem, "name")
    except InputError:
        return "table"
