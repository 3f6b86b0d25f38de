"""Export targets, one a file: what each can express of a network, and the files that train or run it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

from space.errors import InputError

if TYPE_CHECKING:
    from nas.targets.target import Target
    from space.architecture import Architecture

_MODULES = {
    "native": "nas.targets.native",
    "convnext": "nas.targets.convnext",
    "timm": "nas.targets.timm",
    "transformers": "nas.targets.transformers",
    "onnx": "nas.targets.onnx",
    "torch": "nas.targets.torch_export",
    "python": "nas.targets.python",
}
TARGETS = tuple(_MODULES)
"""The targets' names, in the order in which they are offered."""


def option_lacking(name: str, network: Architecture) -> str | None:
    """The first declared field of a block (`space/option.py`) that the target of that name cannot express."""
    from space.stage import OPTIONS

    for stage in network.stages:
        for option in OPTIONS:
            value = getattr(stage, option.name)
            if value != option.default and name not in option.targets:
                return f"{option.name}: {value}; {name} has no {option.label}"
    return None


def load_target(name: str) -> Target:
    """The target of that name, imported when asked for. Raises `InputError` with the known names."""
    if name not in _MODULES:
        raise InputError(f"{name}: no export target of this name; there are {', '.join(TARGETS)}")
    return cast("Target", importlib.import_module(_MODULES[name]))
