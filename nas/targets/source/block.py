"""The source of a block, of each kind that a network has."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nas.targets.source.lines import call_of, indented, wrapped
from space.architecture import Activation, Architecture, Norm, Stage

NORM_NAMES: dict[Norm, str] = {
    "batch": "BatchNorm", "layer": "LayerNorm", "group": "GroupNorm", "rms": "RMSNorm"
}  # fmt: skip


ACTIVATION_NAMES: dict[Activation, str] = {
    "relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish"
}  # fmt: skip


NORM_ATTRIBUTES = {1: "norm", 2: "norm2", 3: "norm3"}


TO_LAST = "x = x.permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)"


TO_FIRST = "x = x.permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)"


@dataclass(frozen=True)
class Kind:
    """What a block's code depends on; numbers that differ between stages are its arguments."""

    spatial: str
    conv: str
    pointwise: bool
    norm_after: tuple[int, ...]
    act_after: tuple[int, ...]

    @classmethod
    def of(cls, stage: Stage) -> Kind:
        """The kind of a stage's blocks."""
        # as in space.network: a dense 1x1 convolution is held as a linear layer
        pointwise = stage.kernel_size == 1 and stage.conv == "dense"
        return cls(stage.spatial, stage.conv, pointwise, stage.norm_after, stage.act_after)


@dataclass(frozen=True)
class Plan:
    """What is constant over the network (written into the code) and what is not (lists and arguments)."""

    network: Architecture

    @cached_property
    def kinds(self) -> list[Kind]:
        """The kinds of block, in the order of appearance."""
        return list(dict.fromkeys(Kind.of(stage) for stage in self.network.stages))

    @cached_property
    def over_channels(self) -> bool:
        """Whether the norm is over the last axis of (N, H, W, C): LayerNorm and RMSNorm."""
        return self.network.norm in ("layer", "rms")

    @cached_property
    def channels_last(self) -> bool:
        """Whether all blocks can permute once, after the spatial convolution, as the official block does."""
        return all(
            stage.spatial == "first" and (self.over_channels or 2 not in stage.norm_after)
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
        up, down = hidden // out, out // hidden
        if all(h == up * o for h, o in pairs):
            return "dim" if up == 1 else f"{up} * dim"
        return f"dim // {down}" if all(o == down * h for h, o in pairs) else None

    @cached_property
    def kernel_size(self) -> int | None:
        """The kernel size of all spatial convolutions; None: a list."""
        sizes = {stage.kernel_size for stage in self.network.stages}
        return sizes.pop() if len(sizes) == 1 else None

    @cached_property
    def group_width(self) -> int | None:
        """The group width of all grouped convolutions; None: a list, or there are none."""
        widths = {stage.group_width for stage in self.network.stages if stage.conv == "grouped"}
        return widths.pop() if len(widths) == 1 else None

    @cached_property
    def lists_group_width(self) -> bool:
        """Whether grouped convolutions have different group widths."""
        return any(s.conv == "grouped" for s in self.network.stages) and self.group_width is None

    @cached_property
    def grn(self) -> bool | None:
        """Whether blocks have GRN; None: some have."""
        found = {stage.grn for stage in self.network.stages}
        return found.pop() if len(found) == 1 else None

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

    def norm(self, channels: str, *, last: bool) -> str:
        """A norm over `channels` of maps, (N, H, W, C) if `last`, else (N, C, H, W)."""
        return {
            "layer": f"nn.LayerNorm({channels}, eps=1e-6)" if last else f"LayerNorm2d({channels})",
            "rms": f"RMSNorm({channels})" if last else f"RMSNorm2d({channels})",
            "batch": f"nn.BatchNorm2d({channels})",
            "group": f"group_norm({channels})",
        }[self.network.norm]

    def bias(self, followed: bool) -> list[str]:
        """The argument of a convolution that takes its bias away: a BatchNorm follows."""
        return ["bias=False"] if followed and self.network.norm == "batch" else []

    @property
    def activation(self) -> str:
        """The activation layer."""
        return f"nn.{ACTIVATION_NAMES[self.network.activation]}()"


def block_source(plan: Plan, kind: Kind, name: str) -> str:
    """The class of one kind of block, as lines."""
    signature = ["self", *(f"{argument}: {hint}" for argument, hint, _ in plan.arguments)]
    lines = [
        f"class {name}(nn.Module):",
        f'    """{_block_words(plan, kind)}"""',
        "",
        *call_of("    def __init__", signature, " -> None:"),
        "        super().__init__()",
        *indented(_block_layers(plan, kind)),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *indented(_forward_last(plan, kind) if plan.channels_last else _forward_first(plan, kind)),
    ]
    return "\n".join(lines)


def _block_words(plan: Plan, kind: Kind) -> str:
    """The block's docstring: its layers in order."""
    size = "" if plan.kernel_size is None else f" {plan.kernel_size}x{plan.kernel_size}"
    spatial = f"{kind.conv}{size} convolution" if not kind.pointwise else "1x1 convolution"
    spatial = spatial.removeprefix("dense ")
    order = [spatial, "1x1 convolution"] if kind.spatial == "first" else ["1x1 convolution", spatial]
    words = []
    for n, conv in enumerate([*order, "1x1 convolution"], start=1):
        words.append(conv)
        words += [NORM_NAMES[plan.network.norm]] * (n in kind.norm_after)
        words += [ACTIVATION_NAMES[plan.network.activation]] * (n in kind.act_after and n < 3)
        words += ["GRN"] * (n == 2 and plan.grn is True) + ["GRN (some stages)"] * (
            n == 2 and plan.grn is None
        )
    words += ["LayerScale"] * (plan.network.layer_scale is not None) + ["shortcut"]
    words += [ACTIVATION_NAMES[plan.network.activation]] * (3 in kind.act_after)
    text = " -> ".join(words) + "."
    return wrapped(text[0].upper() + text[1:], 4, first=len('    """'))


def _block_layers(plan: Plan, kind: Kind) -> list[str]:
    """The body of a block's `__init__`."""
    entering = "in_dim" if plan.entering else "dim"
    hidden = plan.hidden or "hidden"
    lines = []
    if kind.spatial == "middle" and hidden not in ("hidden", "dim"):
        lines.append(f"hidden = {hidden}")
        hidden = "hidden"
    followed = [plan.bias(n in kind.norm_after) for n in (1, 2, 3)]
    linear = "nn.Linear" if plan.channels_last else "Pointwise"
    if kind.spatial == "first":
        middle = entering
        convs = [
            _spatial(plan, kind, entering, followed[0]),
            _layer("pwconv1", linear, entering, hidden, followed[1]),
        ]
    else:
        middle = hidden
        convs = [
            _layer("pwconv1", linear, entering, hidden, followed[0]),
            _spatial(plan, kind, hidden, followed[1]),
        ]
    convs.append(_layer("pwconv2", linear, hidden, "dim", followed[2]))
    last = plan.channels_last
    for n, (conv, channels) in enumerate(zip(convs, (middle, hidden, "dim"), strict=True), start=1):
        lines += conv
        if n in kind.norm_after:
            lines.append(f"self.{NORM_ATTRIBUTES[n]} = {plan.norm(channels, last=last)}")
        if n == 2 and plan.grn is not False:
            choice = "" if plan.grn else " if grn else nn.Identity()"
            lines.append(f"self.grn = GRN({hidden}){choice}")
    if kind.act_after:
        lines.append(f"self.act = {plan.activation}")
    if plan.network.layer_scale is not None:
        lines.append("self.gamma = nn.Parameter(layer_scale * torch.ones(dim))")
    lines.append("self.drop_path = DropPath(drop_path)")
    return lines + _projection(plan, kind, entering, followed[2])


def _spatial(plan: Plan, kind: Kind, channels: str, bias: list[str]) -> list[str]:
    """The block's k x k convolution."""
    stride = ["stride=stride"] if plan.strided else []
    if kind.pointwise:
        return call_of("self.conv = Pointwise", [channels, channels, *stride, *bias], indent=8)
    size = "kernel_size" if plan.kernel_size is None else str(plan.kernel_size)
    padding = [f"padding={size} // 2" if plan.kernel_size is None else f"padding={plan.kernel_size // 2}"]
    groups = {
        "dense": [],
        "depthwise": [f"groups={channels}"],
        "grouped": [f"groups={channels} // {plan.group_width or 'group_width'}"],
    }[kind.conv]
    arguments = [channels, channels, f"kernel_size={size}", *stride]
    if plan.kernel_size != 1:
        arguments += padding
    attribute = "dwconv" if kind.conv == "depthwise" else "conv"
    return call_of(f"self.{attribute} = nn.Conv2d", [*arguments, *groups, *bias], indent=8)


def _layer(attribute: str, layer: str, in_dim: str, dim: str, bias: list[str]) -> list[str]:
    return call_of(f"self.{attribute} = {layer}", [in_dim, dim, *bias], indent=8)


def _projection(plan: Plan, kind: Kind, entering: str, bias: list[str]) -> list[str]:
    """The shortcut's 1x1 convolution, where the block changes the shape."""
    changes = ["stride > 1"] * plan.strided + ["in_dim != dim"] * plan.entering
    if not changes:
        return []
    stride = ["stride"] if plan.strided else []
    layers = [f"Pointwise({', '.join([entering, 'dim', *stride, *bias])})"]
    if 3 in kind.norm_after:
        layers.append(plan.norm("dim", last=False))
    shortcut = ["    self.shortcut = nn.Sequential(", *(f"        {layer}," for layer in layers), "    )"]
    return ["self.shortcut = nn.Identity()", f"if {' or '.join(changes)}:", *shortcut]


def _forward_last(plan: Plan, kind: Kind) -> list[str]:
    """The body of `forward` as in the official block: channels-last after the spatial convolution."""
    over_channels = plan.over_channels
    norms = [f"x = self.{NORM_ATTRIBUTES[n]}(x)" if n in kind.norm_after else "" for n in (1, 2, 3)]
    acts = ["x = self.act(x)" if n in kind.act_after else "" for n in (1, 2, 3)]
    steps = ["shortcut = x", f"x = self.{_attribute(kind)}(x)"]
    steps += [TO_LAST, norms[0]] if over_channels else [norms[0], TO_LAST]
    steps += [acts[0], "x = self.pwconv1(x)", norms[1], acts[1]]
    steps += ["" if plan.grn is False else "x = self.grn(x)", "x = self.pwconv2(x)"]
    scaled = plan.network.layer_scale is not None
    if over_channels or not norms[2]:
        steps += [norms[2], "x = self.gamma * x" if scaled else "", TO_FIRST]
    else:
        steps += [TO_FIRST, norms[2], "x = self.gamma[:, None, None] * x" if scaled else ""]
    return [step for step in steps if step] + _sum(plan, kind, "shortcut", "x")


def _forward_first(plan: Plan, kind: Kind) -> list[str]:
    """The body of `forward` on (N, C, H, W) throughout."""
    convs = [_attribute(kind), "pwconv1"] if kind.spatial == "first" else ["pwconv1", _attribute(kind)]
    lines = []
    for n, conv in enumerate([*convs, "pwconv2"], start=1):
        value = f"self.{conv}({'x' if n == 1 else 'y'})"
        if n in kind.norm_after:
            value = f"self.{NORM_ATTRIBUTES[n]}({value})"
        if n in kind.act_after and n < 3:
            value = f"self.act({value})"
        if n == 2 and plan.grn is not False:
            value = f"self.grn({value})"
        lines.append(f"y = {value}")
    if plan.network.layer_scale is not None:
        lines.append("y = self.gamma[:, None, None] * y")
    return lines + _sum(plan, kind, "x", "y")


def _sum(plan: Plan, kind: Kind, shortcut: str, branch: str) -> list[str]:
    if plan.strided or plan.entering:
        shortcut = f"self.shortcut({shortcut})"
    total = f"{shortcut} + self.drop_path({branch})"
    return [f"return self.act({total})" if 3 in kind.act_after else f"return {total}"]


def _attribute(kind: Kind) -> str:
    return "dwconv" if kind.conv == "depthwise" else "conv"
