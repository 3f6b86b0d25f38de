"""A network as one readable PyTorch file that depends on torch alone, with nothing it does not use.

The style is that of the official `models/convnext.py` (facebookresearch/ConvNeXt), and so are the names of
the weights: a state dict of `space.network` loads into the generated class and the other way round. What
differs between stages stands in lists at the top; what a block is stands in its class, one for each kind.
The text runs under Python 3.8 and torch 1.8, which the official training code was written for, and is as
`ruff format` would leave it.
"""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from nas.targets.quoting import in_docstring
from nas.targets.target import Chosen
from space.architecture import Activation, Architecture, Norm, Stage
from space.checkpoints import to_official
from space.cost import NUM_CLASSES, RESOLUTION, cost
from space.errors import InputError
from space.networks import brief

LINE = 88
LONGEST_NAME = 64
NORM_NAMES: dict[Norm, str] = {
    "batch": "BatchNorm", "layer": "LayerNorm", "group": "GroupNorm", "rms": "RMSNorm"
}  # fmt: skip
ACTIVATION_NAMES: dict[Activation, str] = {
    "relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish"
}  # fmt: skip
NORM_ATTRIBUTES = {1: "norm", 2: "norm2", 3: "norm3"}
RESERVED = re.compile(
    r"math|torch|nn|Tensor|Block\d*|BLOCKS|DEPTHS|DIMS|STEM_DIM|HIDDEN_DIMS|KERNEL_SIZES|GROUP_WIDTHS|HAS_GRN|"
    r"LayerNorm2d|RMSNorm|RMSNorm2d|group_norm|GRN|Pointwise|DropPath|init_weights|register_model"
)
"""What the generated module itself may call something."""
TO_LAST = "x = x.permute(0, 2, 3, 1)  # (N, C, H, W) -> (N, H, W, C)"
TO_FIRST = "x = x.permute(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)"


def module_source(
    network: Architecture,
    class_name: str,
    *,
    title: str,
    drop_path: float | None = None,
    layer_scale: float | None = None,
    num_classes: int = NUM_CLASSES,
    resolution: int = RESOLUTION,
    register_as: str | None = None,
) -> str:
    """The Python source of a module whose class `class_name` is the network.

    The class takes `num_classes`, `in_chans`, `drop_path_rate`, `head_init_scale` and, where the network has
    LayerScale, `layer_scale_init_value`, all with defaults: `drop_path` and `layer_scale` replace the
    network's own. `title` and the cost at `resolution` stand in the docstring. `register_as` names a function
    that is registered with timm, if timm is there, and takes what timm's `create_model` passes.

    Raises `ValueError` for a name that is no identifier or that the module uses itself.
    """
    _refuse_names(class_name, register_as)
    plan = Plan(network)
    body = _body(plan, class_name, num_classes, drop_path, layer_scale)
    parts = [_docstring(network, class_name, title, num_classes, resolution)]
    imports = ["import torch"] if re.search(r"\btorch\.", body) else []
    imports.append("from torch import Tensor, nn")
    if re.search(r"\bmath\.", body):
        imports = ["import math", "", *imports]
    parts.append("\n".join(imports))
    if register_as:
        parts.append(GUARDED_IMPORT)
        body += "\n\n\n" + _registered(network, class_name, register_as)
    return "\n\n".join(parts) + "\n\n" + body + "\n"


def camel_case(name: str) -> str:
    """A class name for an identifier: searched_4g4_trial7 -> Searched4g4Trial7."""
    camel = "".join(part[:1].upper() + part[1:] for part in name.split("_"))
    fits = camel.isidentifier() and not RESERVED.fullmatch(camel) and not keyword.iskeyword(camel)
    return camel if fits else f"Network{camel}"


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


def _refuse_names(class_name: str, register_as: str | None) -> None:
    for name in (class_name, *([register_as] if register_as else [])):
        if not name.isidentifier() or keyword.iskeyword(name) or len(name) > LONGEST_NAME:
            raise ValueError(f"{name}: not a Python identifier of at most {LONGEST_NAME} characters")
        if RESERVED.fullmatch(name):
            raise ValueError(f"{name}: the module itself uses this name")
    if class_name == register_as:
        raise ValueError(f"{class_name}: the class and the registered function need different names")


def _body(
    plan: Plan, class_name: str, num_classes: int, drop_path: float | None, layer_scale: float | None
) -> str:
    names = [f"Block{n}" for n in range(1, len(plan.kinds) + 1)] if len(plan.kinds) > 1 else ["Block"]
    parts = [_lists(plan)]
    parts += [_block(plan, kind, name) for kind, name in zip(plan.kinds, names, strict=True)]
    if len(names) > 1:
        stages = [names[plan.kinds.index(Kind.of(stage))] for stage in plan.network.stages]
        parts.append("# the kind of block of each stage\nBLOCKS = " + _list(stages))
    parts.append(_network(plan, class_name, num_classes, drop_path, layer_scale))
    parts += _layers("\n".join(parts), plan)
    return "\n\n\n".join(parts)


def _docstring(network: Architecture, class_name: str, title: str, num_classes: int, resolution: int) -> str:
    counted = cost(network, resolution, num_classes)
    about = (
        f"{brief(network)}: {counted.params:,} parameters and {counted.macs:,} multiply-accumulates at "
        f"{resolution}x{resolution} with {num_classes} classes; fingerprint {network.fingerprint}."
    )
    names = (
        "The weights are named as in the official ConvNeXt code."
        if _has_official_names(network)
        else "The weights are named as in convnext-nas."
    )
    text = "\n".join([_wrapped(about, 0), "", f"It depends on torch alone. {names}"])
    return f'"""{in_docstring(f"{class_name}: {title}")}\n\n{text}\n"""'


def _has_official_names(network: Architecture) -> bool:
    """Whether the official ConvNeXt has the same keys and shapes for all weights."""
    if any(stage.grn for stage in network.stages) or not network.stem.norm:
        return False
    try:
        to_official({}, network)
    except InputError:
        return False
    return True


def _lists(plan: Plan) -> str:
    stages = plan.network.stages
    lines = ["# of each stage: blocks, channels", f"DEPTHS = {_list([s.depth for s in stages])}"]
    lines.append(f"DIMS = {_list([s.out for s in stages])}")
    if plan.stem_dim == "STEM_DIM":
        lines += ["# channels after the stem", f"STEM_DIM = {plan.network.stem_width}"]
    if plan.hidden is None:
        lines += ["# channels between the last two convolutions of a block"]
        lines += [f"HIDDEN_DIMS = {_list([s.hidden for s in stages])}"]
    if plan.kernel_size is None:
        lines += [f"KERNEL_SIZES = {_list([s.kernel_size for s in stages])}"]
    if plan.lists_group_width:
        lines += ["# channels of a group of the grouped convolutions (0: the stage has none)"]
        lines += [f"GROUP_WIDTHS = {_list([s.group_width or 0 for s in stages])}"]
    if plan.grn is None:
        lines += [f"HAS_GRN = {_list([s.grn for s in stages])}"]
    return "\n".join(lines)


def _block(plan: Plan, kind: Kind, name: str) -> str:
    signature = ["self", *(f"{argument}: {hint}" for argument, hint, _ in plan.arguments)]
    lines = [
        f"class {name}(nn.Module):",
        f'    """{_block_words(plan, kind)}"""',
        "",
        *_call("    def __init__", signature, " -> None:"),
        "        super().__init__()",
        *_indented(_block_layers(plan, kind)),
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        *_indented(_forward_last(plan, kind) if plan.channels_last else _forward_first(plan, kind)),
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
    return _wrapped(text[0].upper() + text[1:], 4, first=len('    """'))


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
        return _call("self.conv = Pointwise", [channels, channels, *stride, *bias], indent=8)
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
    return _call(f"self.{attribute} = nn.Conv2d", [*arguments, *groups, *bias], indent=8)


def _layer(attribute: str, layer: str, in_dim: str, dim: str, bias: list[str]) -> list[str]:
    return _call(f"self.{attribute} = {layer}", [in_dim, dim, *bias], indent=8)


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


def _network(
    plan: Plan, class_name: str, num_classes: int, drop_path: float | None, layer_scale: float | None
) -> str:
    network = plan.network
    signature = [
        "self",
        f"num_classes: int = {num_classes}",
        "in_chans: int = 3",
        f"drop_path_rate: float = {_number(network.drop_path if drop_path is None else drop_path)}",
    ]
    if network.layer_scale is not None:
        start = network.layer_scale if layer_scale is None else layer_scale
        signature.append(f"layer_scale_init_value: float = {_number(start)}")
    signature.append("head_init_scale: float = 1.0")
    lines = [
        f"class {class_name}(nn.Module):",
        '    """Images (N, 3, H, W) -> logits (N, num_classes).',
        "",
        "    num_classes: 0 leaves the classifier out: features (N, C).",
        "    drop_path_rate: stochastic depth at the last block, rising from 0 at the first.",
        *(["    layer_scale_init_value: LayerScale at the start."] * (network.layer_scale is not None)),
        "    head_init_scale: factor on the initial weights of the classifier.",
        '    """',
        "",
        *_call("    def __init__", signature, " -> None:"),
        "        super().__init__()",
        "        self.num_classes = num_classes",
        *_indented([*_downsampling(plan), *_stages(plan), *_head(plan)]),
        "",
        *_forward(plan),
    ]
    return "\n".join(lines)


def _downsampling(plan: Plan) -> list[str]:
    """The stem and, where blocks do not downsample, the layers between stages."""
    network, stem, dim = plan.network, plan.network.stem, plan.stem_dim
    bias = plan.bias(stem.norm)
    if stem.type == "resnet":
        conv = ["kernel_size=7", "stride=2", "padding=3", *bias]
    else:
        conv = [f"kernel_size={stem.patch_size}", f"stride={stem.patch_size}", *bias]
    layers = [plan.norm(dim, last=False)] * stem.norm + [plan.activation] * stem.activation
    layers += ["nn.MaxPool2d(kernel_size=3, stride=2, padding=1)"] * (stem.type == "resnet")
    lines = [
        "# the stem" if plan.strided or len(network.stages) == 1 else "# the stem and what is between stages"
    ]
    lines += ["stem = nn.Sequential("]
    lines += [f"    {line}" for line in _call("nn.Conv2d", ["in_chans", dim, *conv], ",", indent=12)]
    lines += [*(f"    {layer}," for layer in layers), ")"]
    lines += ["self.downsample_layers = nn.ModuleList([stem])"]
    if plan.strided or len(network.stages) == 1:
        return [*lines, ""]
    return [
        *lines,
        "for i in range(len(DIMS) - 1):",
        "    downsample = nn.Sequential(",
        f"        {plan.norm('DIMS[i]', last=False)},",
        "        nn.Conv2d(DIMS[i], DIMS[i + 1], kernel_size=2, stride=2),",
        "    )",
        "    self.downsample_layers.append(downsample)",
        "",
    ]


def _stages(plan: Plan) -> list[str]:
    block = "Block" if len(plan.kinds) == 1 else "BLOCKS[i]"
    arguments = [f"{name}={value}" for name, _, value in plan.arguments]
    values = " ".join(value for _, _, value in plan.arguments)
    indexed = re.search(r"\[i\]|\bi\b", values) or len(plan.kinds) > 1
    counter = "j" if re.search(r"\bj\b", values) else "_"
    running = plan.strided and plan.entering
    return [
        "# stochastic depth, block by block",
        "count = sum(DEPTHS)",
        "rates = [drop_path_rate * i / max(1, count - 1) for i in range(count)]",
        "self.stages = nn.ModuleList()",
        *([f"entering = {plan.stem_dim}"] * running),
        "for i, depth in enumerate(DEPTHS):" if indexed else "for depth in DEPTHS:",
        "    blocks = []",
        f"    for {counter} in range(depth):",
        *("        " + line for line in _call(f"block = {block}", arguments, indent=16)),
        "        blocks.append(block)",
        *(["        entering = DIMS[i]"] * running),
        "    self.stages.append(nn.Sequential(*blocks))",
        "",
    ]


def _head(plan: Plan) -> list[str]:
    norm = {
        "layer": "nn.LayerNorm(DIMS[-1], eps=1e-6)",
        "rms": "RMSNorm(DIMS[-1])",
        "batch": "nn.BatchNorm1d(DIMS[-1])",
        "group": "group_norm(DIMS[-1])",
    }[plan.network.norm]
    return [
        *([f"self.norm = {norm}"] * plan.network.head_norm),
        "self.head = (",
        "    nn.Linear(DIMS[-1], num_classes) if num_classes > 0 else nn.Identity()",
        ")",
        "",
        "self.apply(init_weights)",
        "if num_classes > 0:",
        "    self.head.weight.data.mul_(head_init_scale)",
        "    self.head.bias.data.mul_(head_init_scale)",
    ]


def _forward(plan: Plan) -> list[str]:
    if plan.strided:
        through = ["x = self.downsample_layers[0](x)", "for stage in self.stages:", "    x = stage(x)"]
    else:
        through = [
            "for downsample, stage in zip(self.downsample_layers, self.stages):",
            "    x = stage(downsample(x))",
        ]
    pooled = "x.mean((-2, -1))"
    return [
        "    def forward_features(self, x: Tensor) -> Tensor:",
        '        """Images (N, 3, H, W) -> features (N, C), averaged over the last map."""',
        *_indented(through),
        f"        return {f'self.norm({pooled})' if plan.network.head_norm else pooled}",
        "",
        "    def forward(self, x: Tensor) -> Tensor:",
        "        return self.head(self.forward_features(x))",
    ]


def _layers(text: str, plan: Plan) -> list[str]:
    """The layers that `text` uses, after it, as the official file has them."""
    used = {name for name in LAYERS if re.search(rf"\b{name}\(", text)}
    if "RMSNorm2d" in used:
        used.add("RMSNorm")
    layers = [source for name, source in LAYERS.items() if name in used]
    if plan.grn is not False:
        layers.append(GRN_LAST if plan.channels_last else GRN_FIRST)
    if re.search(r"\bPointwise\(", text):
        layers.append(POINTWISE_STRIDED if plan.strided else POINTWISE)
    return [*layers, DROP_PATH, INIT_WEIGHTS]


def _registered(network: Architecture, class_name: str, name: str) -> str:
    if network.layer_scale is None:
        scale = ['kwargs.pop("layer_scale_init_value", None)  # this network has no LayerScale']
    else:
        scale = [
            'if kwargs.get("layer_scale_init_value", 1.0) <= 0:',
            '    raise ValueError("layer_scale_init_value: LayerScale has to start above 0")',
        ]
    lines = [
        "@register_model",
        *_call(f"def {name}", ["pretrained: bool = False", "**kwargs"], f" -> {class_name}:"),
        '    """The network for timm\'s create_model, which hands on its own arguments as well."""',
        "    if pretrained:",
        '        raise ValueError("pretrained: no weights to download; load a checkpoint")',
        '    if kwargs.pop("drop_rate", 0.0):',
        '        raise ValueError("drop_rate: this network has no dropout before the classifier")',
        '    for name in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):',
        "        kwargs.pop(name, None)",
        *("    " + line for line in scale),
        f"    return {class_name}(**kwargs)",
    ]
    return "\n".join(lines)


def _call(head: str, arguments: Sequence[str], tail: str = "", indent: int = 0) -> list[str]:
    """`head(arguments)tail` as ruff formats it, `indent` columns being added later."""
    line = f"{head}({', '.join(arguments)}){tail}"
    if len(line) + indent <= LINE:
        return [line]
    margin = " " * (len(head) - len(head.lstrip()))
    return [f"{head}(", *(f"{margin}    {argument}," for argument in arguments), f"{margin}){tail}"]


def _list(values: Sequence[object]) -> str:
    return f"[{', '.join(map(str, values))}]"


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"        {line}" if line else "" for line in lines]


def _wrapped(text: str, indent: int, first: int = 0) -> str:
    """Text of a docstring, broken at the line length."""
    lines = textwrap.wrap("." * first + text, LINE - indent, break_long_words=False, break_on_hyphens=False)
    return ("\n" + " " * indent).join(lines)[first:]


def _number(value: float) -> str:
    return re.sub(r"e([+-])0", r"e\1", repr(float(value)))


GUARDED_IMPORT = """\
try:
    from timm.models import register_model
except Exception:  # noqa: BLE001 - also a timm whose own imports fail
    try:
        from timm.models.registry import register_model  # timm 0.3.2
    except Exception:  # noqa: BLE001

        def register_model(function):
            \"\"\"Without timm there is no registry: the function as it is.\"\"\"
            return function
"""
LAYER_NORM_2D = """\
class LayerNorm2d(nn.LayerNorm):
    \"\"\"LayerNorm over the channels of (N, C, H, W).\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__(dim, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        shape, eps = self.normalized_shape, self.eps
        x = nn.functional.layer_norm(x, shape, self.weight, self.bias, eps)
        return x.permute(0, 3, 1, 2)"""
RMS_NORM = """\
class RMSNorm(nn.Module):
    \"\"\"RMSNorm over the last axis: a scale and no shift.\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight"""
RMS_NORM_2D = """\
class RMSNorm2d(RMSNorm):
    \"\"\"RMSNorm over the channels of (N, C, H, W).\"\"\"

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1)
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight
        return x.permute(0, 3, 1, 2)"""
GROUP_NORM = """\
def group_norm(dim: int) -> nn.GroupNorm:
    \"\"\"GroupNorm in gcd(32, dim) groups; in half of that if a group were one channel.\"\"\"
    groups = math.gcd(32, dim)
    return nn.GroupNorm(groups // 2 if groups == dim > 1 else groups, dim)"""
LAYERS = {
    "LayerNorm2d": LAYER_NORM_2D,
    "RMSNorm": RMS_NORM,
    "RMSNorm2d": RMS_NORM_2D,
    "group_norm": GROUP_NORM,
}
GRN = """\
class GRN(nn.Module):
    \"\"\"Global response normalisation of {layout} (ConvNeXt V2).\"\"\"

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(dim))
        self.beta = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        response = torch.norm(x, p=2, dim={space}, keepdim=True)
        relative = response / (response.mean({channels}, keepdim=True) + 1e-6)
        return x + self.gamma{view} * (x * relative) + self.beta{view}"""
GRN_LAST = GRN.format(layout="(N, H, W, C)", space="(1, 2)", channels="-1", view="")
GRN_FIRST = GRN.format(layout="(N, C, H, W)", space="(2, 3)", channels="1", view="[:, None, None]")
POINTWISE = """\
class Pointwise(nn.Linear):
    \"\"\"1x1 convolution of (N, C, H, W); the weight is (out, in).\"\"\"

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias)
        return x.permute(0, 3, 1, 2)"""
POINTWISE_STRIDED = """\
class Pointwise(nn.Linear):
    \"\"\"1x1 convolution of (N, C, H, W); the weight is (out, in).\"\"\"

    def __init__(
        self, in_dim: int, dim: int, stride: int = 1, bias: bool = True
    ) -> None:
        super().__init__(in_dim, dim, bias)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        x = nn.functional.linear(x.permute(0, 2, 3, 1), self.weight, self.bias)
        return x.permute(0, 3, 1, 2)"""
DROP_PATH = """\
class DropPath(nn.Module):
    \"\"\"Stochastic depth: in training, whole samples of the branch are dropped.\"\"\"

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if self.rate == 0 or not self.training:
            return x
        kept = x.new_empty(x.shape[0], 1, 1, 1).bernoulli_(1 - self.rate)
        return x * (kept / (1 - self.rate))"""
INIT_WEIGHTS = """\
def init_weights(module: nn.Module) -> None:
    \"\"\"Truncated normal weights of std .02 and zero biases, as in the official code.\"\"\"
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)"""


def chosen_source(chosen: Chosen, *, register_as: str | None = None) -> str:
    """`module_source` of the chosen network with its recipe's defaults, the class named after it."""
    recipe = chosen.recipe
    return module_source(
        chosen.network,
        camel_case(chosen.name),
        title=chosen.title,
        drop_path=recipe.network.drop_path,
        layer_scale=None if recipe.layer_scale == "architecture" else recipe.layer_scale,
        num_classes=recipe.data.num_classes,
        resolution=recipe.data.resolution,
        register_as=register_as,
    )
