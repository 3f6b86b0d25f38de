"""What the code of a network depends on: what is constant over it, and the kinds of block that it has."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

from nas.targets.source.lines import wrapped
from space.architecture import Architecture
from space.layers import ACTIVATION_LAYERS, NORM_LAYERS
from space.network import spatial_name
from space.stage import Stage

Value = TypeVar("Value")


class Conv(NamedTuple):
    """One of a block's three convolutions: its name, the code that makes it, the channels behind it."""

    name: str
    code: str
    channels: str


@dataclass(frozen=True)
class Kind:
    """What a block's code depends on; numbers that differ between stages are its arguments."""

    spatial: str
    conv: str
    name: str
    pointwise: bool
    norm_after: tuple[int, ...]
    act_after: tuple[int, ...]

    @classmethod
    def of(cls, stage: Stage) -> Kind:
        """The kind of a stage's blocks."""
        # as in space.network: a dense 1x1 convolution is held as a linear layer
        pointwise = stage.kernel_size == 1 and stage.conv == "dense"
        name = spatial_name(stage)
        return cls(stage.spatial, stage.conv, name, pointwise, stage.norm_after, stage.act_after)


@dataclass(frozen=True)
class SourcePlan:
    """What is constant over the network (written into the code) and what is not (lists and arguments)."""

    network: Architecture

    @cached_property
    def kinds(self) -> dict[Kind, str]:
        """The kinds of block, in the order of appearance, and the names of their classes."""
        kinds = list(dict.fromkeys(Kind.of(stage) for stage in self.network.stages))
        return {kind: f"Block{n}" if len(kinds) > 1 else "Block" for n, kind in enumerate(kinds, start=1)}

    @property
    def blocks(self) -> str:
        """The class of each stage's blocks, as a list."""
        return f"[{', '.join(self.kinds[Kind.of(stage)] for stage in self.network.stages)}]"

    @cached_property
    def official(self) -> bool:
        """Whether blocks permute once to [N, H, W, C], after the spatial convolution, as the official one.

        LayerNorm is then over the last axis; other norms stand before and after that part of the block.
        """
        return all(
            stage.spatial == "first" and (self.network.norm == "layer" or 2 not in stage.norm_after)
            for stage in self.network.stages
        )

    @cached_property
    def strided(self) -> bool:
        """Whether the first blocks of the stages downsample."""
        return self.network.downsampling == "strided"

    @cached_property
    def entering(self) -> bool:
        """Whether some block changes the number of channels."""
        return any(c != s.out for c, s in zip(self.network.in_channels, self.network.stages, strict=True))

    @cached_property
    def hidden(self) -> str | None:
        """The channels between the last two convolutions as an expression of `dim`; None: a list."""
        pairs = {(stage.hidden, stage.out) for stage in self.network.stages}
        hidden, out = next(iter(pairs))
        # one of them is 0, which fits nothing, or both are 1
        up, down = hidden // out, out // hidden
        if all(h == up * o for h, o in pairs):
            return "dim" if up == 1 else f"{up} * dim"
        return f"dim // {down}" if all(o == down * h for h, o in pairs) else None

    @cached_property
    def kernel_size(self) -> int | None:
        """The kernel size of all spatial convolutions; None: a list."""
        return _common(stage.kernel_size for stage in self.network.stages)

    @cached_property
    def group_width(self) -> int | None:
        """The group width of all grouped convolutions; None: a list, or there are none."""
        return _common(stage.group_width for stage in self.network.stages if stage.conv == "grouped")

    @cached_property
    def lists_group_width(self) -> bool:
        """Whether grouped convolutions have different group widths."""
        return any(s.conv == "grouped" for s in self.network.stages) and self.group_width is None

    @property
    def group_widths(self) -> list[int]:
        """The group width of each stage, 0 without groups."""
        return [stage.group_width or 0 for stage in self.network.stages]

    @cached_property
    def grn(self) -> bool | None:
        """Whether blocks have GRN; None: some have."""
        return _common(stage.grn for stage in self.network.stages)

    @cached_property
    def stem_dim(self) -> str:
        """The channels after the stem, as an expression."""
        first = self.network.stages[0].out
        return "DIMS[0]" if self.network.stem_width == first else "STEM_DIM"

    @cached_property
    def arguments(self) -> list[tuple[str, str, str]]:
        """A block's arguments: name, type, and the value for block j of stage i."""
        entering = "entering" if self.strided else f"{self.stem_dim} if i == j == 0 else DIMS[i]"
        found = [
            ("in_dim", "int", entering, self.entering),
            ("dim", "int", "DIMS[i]", True),
            ("hidden", "int", "HIDDEN_DIMS[i]", self.hidden is None),
            ("kernel_size", "int", "KERNEL_SIZES[i]", self.kernel_size is None),
            ("group_width", "int", "GROUP_WIDTHS[i]", self.lists_group_width),
            ("stride", "int", "2 if i > 0 and j == 0 else 1", self.strided),
            ("grn", "bool", "HAS_GRN[i]", self.grn is None),
            ("drop_path", "float", "rates.pop(0)", True),
            ("layer_scale", "float", "layer_scale_init_value", self.network.layer_scale is not None),
        ]
        return [(name, kind, value) for name, kind, value, wanted in found if wanted]

    def norm(self, channels: str, *, dims: int = 2) -> str:
        """A norm of [N, C, H, W], or with `dims` 1 of [N, C]."""
        if self.network.norm == "batch":
            return f"nn.BatchNorm{dims}d({channels})"
        return f"{self.norm_name}({channels})"

    def block_norm(self, channels: str) -> str:
        """A norm within a block."""
        if self.official and self.network.norm == "layer":
            return f"nn.LayerNorm({channels}, eps=1e-6)"
        return self.norm(channels)

    def bias(self, followed: bool) -> str:
        """The argument of a convolution that takes its bias away: a BatchNorm follows."""
        return ", bias=False" if followed and self.network.norm == "batch" else ""

    @property
    def activation(self) -> str:
        """The activation layer's name."""
        return ACTIVATION_LAYERS[self.network.activation].__name__

    @property
    def norm_name(self) -> str:
        """The norm layer's name."""
        return NORM_LAYERS[self.network.norm].__name__

    def convs(self, kind: Kind) -> list[Conv]:
        """A block's convolutions in order."""
        first = kind.spatial == "first"
        entering, hidden = self.entering_dim, self.hidden_dim(kind)
        middle = entering if first else hidden
        bias = [self.bias(n in kind.norm_after) for n in (1, 2, 3)]
        linear = "nn.Linear" if self.official else "Pointwise"
        spatial = Conv(kind.name, self._spatial(kind, middle, bias[0 if first else 1]), middle)
        expand = Conv("pwconv1", f"{linear}({entering}, {hidden}{bias[1 if first else 0]})", hidden)
        project = Conv("pwconv2", f"{linear}({hidden}, dim{bias[2]})", "dim")
        return [spatial, expand, project] if first else [expand, spatial, project]

    @property
    def entering_dim(self) -> str:
        """The channels that enter a block."""
        return "in_dim" if self.entering else "dim"

    def hidden_dim(self, kind: Kind) -> str:
        """`hidden` within a block's code: a name of its own where it is written often."""
        return "hidden" if kind.spatial == "middle" and self.hidden != "dim" else self.hidden or "hidden"

    def _spatial(self, kind: Kind, channels: str, bias: str) -> str:
        """The block's k x k convolution."""
        stride = ", stride=stride" if self.strided else ""
        if kind.pointwise:
            return f"Pointwise({channels}, {channels}{stride}{bias})"
        size: int | str = self.kernel_size or "kernel_size"
        half = self.kernel_size // 2 if self.kernel_size else "kernel_size // 2"
        padding = f", padding={half}" if half else ""
        groups = {
            "dense": "",
            "depthwise": f", groups={channels}",
            "grouped": f", groups={channels} // {self.group_width or 'group_width'}",
        }[kind.conv]
        return f"nn.Conv2d({channels}, {channels}, kernel_size={size}{stride}{padding}{groups}{bias})"

    def words(self, kind: Kind) -> str:
        """The block's docstring: its layers in order."""
        norm, activation = self.norm_name, self.activation
        size = "" if self.kernel_size is None else f" {self.kernel_size}x{self.kernel_size}"
        spatial = "1x1 convolution" if kind.pointwise else f"{kind.conv}{size} convolution"
        convs = [spatial.removeprefix("dense "), "1x1 convolution", "1x1 convolution"]
        words = []
        for n, conv in enumerate(convs if kind.spatial == "first" else [convs[1], convs[0], convs[2]], 1):
            words += [conv] + [norm] * (n in kind.norm_after) + [activation] * (n in kind.act_after and n < 3)
            if n == 2 and self.grn is not False:
                words.append("GRN" if self.grn else "GRN (some stages)")
        words += ["LayerScale"] * (self.network.layer_scale is not None) + ["shortcut"]
        text = " -> ".join(words + [activation] * (3 in kind.act_after)) + "."
        return wrapped(text[0].upper() + text[1:], 4, first=len('    """'))


def _common(values: Iterable[Value]) -> Value | None:
    """The one value that all are, or None."""
    found = set(values)
    return found.pop() if len(found) == 1 else None
