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

from nas.targets.quoting import in_docstring
from nas.targets.source.block import Kind, Plan, block_source
from nas.targets.source.layers import (
    DROP_PATH,
    GRN_FIRST,
    GRN_LAST,
    GUARDED_IMPORT,
    INIT_WEIGHTS,
    LAYERS,
    POINTWISE,
    POINTWISE_STRIDED,
)
from nas.targets.source.lines import call_of, indented, list_of, number, wrapped
from nas.targets.target import Chosen
from space.architecture import Architecture
from space.checkpoints import to_official
from space.cost import NUM_CLASSES, RESOLUTION, cost
from space.errors import InputError
from space.networks import brief

LONGEST_NAME = 64
RESERVED = re.compile(
    r"math|torch|nn|Tensor|Block\d*|BLOCKS|DEPTHS|DIMS|STEM_DIM|HIDDEN_DIMS|KERNEL_SIZES|GROUP_WIDTHS|HAS_GRN|"
    r"LayerNorm2d|RMSNorm|RMSNorm2d|group_norm|GRN|Pointwise|DropPath|init_weights|register_model"
)
"""What the generated module itself may call something."""


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
    parts += [block_source(plan, kind, name) for kind, name in zip(plan.kinds, names, strict=True)]
    if len(names) > 1:
        stages = [names[plan.kinds.index(Kind.of(stage))] for stage in plan.network.stages]
        parts.append("# the kind of block of each stage\nBLOCKS = " + list_of(stages))
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
    text = "\n".join([wrapped(about, 0), "", f"It depends on torch alone. {names}"])
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
    lines = ["# of each stage: blocks, channels", f"DEPTHS = {list_of([s.depth for s in stages])}"]
    lines.append(f"DIMS = {list_of([s.out for s in stages])}")
    if plan.stem_dim == "STEM_DIM":
        lines += ["# channels after the stem", f"STEM_DIM = {plan.network.stem_width}"]
    if plan.hidden is None:
        lines += ["# channels between the last two convolutions of a block"]
        lines += [f"HIDDEN_DIMS = {list_of([s.hidden for s in stages])}"]
    if plan.kernel_size is None:
        lines += [f"KERNEL_SIZES = {list_of([s.kernel_size for s in stages])}"]
    if plan.lists_group_width:
        lines += ["# channels of a group of the grouped convolutions (0: the stage has none)"]
        lines += [f"GROUP_WIDTHS = {list_of([s.group_width or 0 for s in stages])}"]
    if plan.grn is None:
        lines += [f"HAS_GRN = {list_of([s.grn for s in stages])}"]
    return "\n".join(lines)


def _network(
    plan: Plan, class_name: str, num_classes: int, drop_path: float | None, layer_scale: float | None
) -> str:
    network = plan.network
    signature = [
        "self",
        f"num_classes: int = {num_classes}",
        "in_chans: int = 3",
        f"drop_path_rate: float = {number(network.drop_path if drop_path is None else drop_path)}",
    ]
    if network.layer_scale is not None:
        start = network.layer_scale if layer_scale is None else layer_scale
        signature.append(f"layer_scale_init_value: float = {number(start)}")
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
        *call_of("    def __init__", signature, " -> None:"),
        "        super().__init__()",
        "        self.num_classes = num_classes",
        *indented([*_downsampling(plan), *_stages(plan), *_head(plan)]),
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
    lines += [f"    {line}" for line in call_of("nn.Conv2d", ["in_chans", dim, *conv], ",", indent=12)]
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
        *("        " + line for line in call_of(f"block = {block}", arguments, indent=16)),
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
        *indented(through),
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
        *call_of(f"def {name}", ["pretrained: bool = False", "**kwargs"], f" -> {class_name}:"),
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
