"""A network as one readable PyTorch file that depends on torch alone, with nothing it does not use.

The style is that of the official `models/convnext.py` (facebookresearch/ConvNeXt), and so are the names of
the weights: a state dict of `space.network` loads into the generated class and the other way round. What
differs between stages stands in lists at the top; what a block is stands in its class, one for each kind.
The text runs under Python 3.8 and torch 1.8, which the official training code was written for, and is as
`ruff format` would leave it.
"""

from __future__ import annotations

import functools
import keyword
import re
from importlib import resources
from typing import TYPE_CHECKING

from nas.targets.quoting import in_docstring
from nas.targets.source.block import SourcePlan
from nas.targets.source.layers import LAYERS, with_layers
from nas.targets.source.lines import exploded, number, wrapped
from nas.targets.target import Chosen
from space.architecture import Architecture
from space.checkpoints import to_official
from space.cost import NUM_CLASSES, RESOLUTION, cost
from space.errors import InputError
from space.networks import brief

if TYPE_CHECKING:
    from jinja2 import Template

LONGEST_NAME = 64
RESERVED = re.compile(
    r"math|torch|nn|Tensor|Block\d*|BLOCKS|DEPTHS|DIMS|STEM_DIM|HIDDEN_DIMS|KERNEL_SIZES|GROUP_WIDTHS|HAS_GRN|"
    r"register_model|" + "|".join(LAYERS)
)
"""What the generated module itself may call something."""
NORM_ATTRIBUTES = {1: "norm", 2: "norm2", 3: "norm3"}
GUARDED_IMPORT = '''\
try:
    from timm.models import register_model
except Exception:  # noqa: BLE001 - also a timm whose own imports fail
    try:
        from timm.models.registry import register_model  # timm 0.3.2
    except Exception:  # noqa: BLE001

        def register_model(function):
            """Without timm there is no registry: the function as it is."""
            return function
'''


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
    body = template("network.py.jinja").render(
        plan=SourcePlan(network),
        network=network,
        norm_attributes=NORM_ATTRIBUTES,
        class_name=class_name,
        num_classes=num_classes,
        drop_path=number(network.drop_path if drop_path is None else drop_path),
        layer_scale=number((network.layer_scale or 0) if layer_scale is None else layer_scale),
        register_as=register_as,
    )
    body = with_layers(exploded(body.rstrip()))
    # only what the network's layers use: an unused import would be the first thing a linter tells the user
    imports = ["import math", ""] * ("math." in body) + ["import torch"] * bool(re.search(r"\btorch\.", body))
    parts = [
        _docstring(network, class_name, title, num_classes, resolution),
        "\n".join([*imports, "from torch import Tensor, nn"]),
        *([GUARDED_IMPORT] * bool(register_as)),
        body,
    ]
    return "\n\n".join(parts) + "\n"


@functools.cache
def template(name: str) -> Template:
    """A file of this package."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    return environment.from_string(resources.files(__package__).joinpath(name).read_text("utf-8"))


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
