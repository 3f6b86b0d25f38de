"""What a declared field of a block is: its values, its layer, its costs, and where it can go.

Each is declared in a file of its own (`space/grn.py`) and named by a line of `space.stage.Stage`. From
these come its reading and checking, its axis, the network's layer, the closed-form costs and all that is
counted by them, its part of fingerprints, and which export targets refuse it.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from space.registry import load

if TYPE_CHECKING:
    from torch import nn

Values = Any  # a number, or an array of them

# targets that are made from the built network, whatever is in it
BUILT = ("native", "onnx", "torch")


class OptionCost(NamedTuple):
    """What a layer costs on top of its block, by the conventions of `space.cost`; ints or int64 arrays."""

    params: Values = 0
    macs: Values = 0
    activations: Values = 0
    saved: Values = 0


class Option(ABC):
    """A layer that a block may have: one of `values`, the first of which is a block without it.

    Values are numbers or truth values: costs are computed on arrays of them.
    """

    name: ClassVar[str]
    """The field of a stage, the axis, and the layer's name in the state dict."""
    label: ClassVar[str]
    """For people."""
    values: ClassVar[tuple[Any, ...]]
    after: ClassVar[Literal[1, 2, 3]] = 2
    """The convolution whose norm and activation it follows; after 3, on the branch before LayerScale.

    Activation 3 comes after the sum, so it is not among them.
    """
    targets: ClassVar[tuple[str, ...]] = BUILT
    """The export targets that can express it; the others refuse it."""
    in_every_fingerprint: ClassVar[bool] = False
    """Whether a network without it says so in its fingerprint: of fields as old as fingerprints only.

    Without it a network's fingerprint, and its canonical form, are what they were before there was the field.
    """

    @property
    def default(self) -> Any:
        """A block without it."""
        return self.values[0]

    @abstractmethod
    def cost(self, value: Values, channels: Values, area: Values) -> OptionCost:
        """Of the layer on maps of so many channels and pixels; what is said of the default does not count."""

    def adds(self, metric: str) -> bool:
        """Whether any value costs something by this metric."""
        # 64: any shape tells which metrics a layer adds to
        return any(getattr(self.cost(value, 64, 64), metric) for value in self.values[1:])

    @abstractmethod
    def layer(self, value: Any, channels: int) -> nn.Module:
        """The layer, [N, channels, H, W] -> the same shape. Imports torch itself."""

    def words(self, value: Any) -> str:
        """A block that has it, for people."""
        return self.label if value is True else f"{self.label} {value}"

    def is_value(self, value: Any) -> bool:
        """Whether it is one of the values, of the same type: 1 and true differ in JSON."""
        return any(type(value) is type(known) and value == known for known in self.values)


def option(place: str) -> Any:
    """A field of `Stage`, declared by the `Option` at "module:class", as `dataclasses.field` makes one."""
    declared: Option = load(place)()
    return dataclasses.field(default=declared.default, metadata={"option": declared})


def options_of(stage: type) -> tuple[Option, ...]:
    """The options declared in a dataclass, in their order."""
    return tuple(f.metadata["option"] for f in dataclasses.fields(stage) if "option" in f.metadata)
