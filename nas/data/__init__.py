"""Data sets behind one small interface: `load`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.data.dataset import Data, Split, load, open_source

__all__ = ["Data", "Split", "load", "open_source"]


def __getattr__(name: str) -> Any:
    # not at the top: `--help` lists the data sets (`nas.data.sources.registry`) and should not wait for numpy
    if name in __all__:
        return getattr(importlib.import_module("nas.data.dataset"), name)
    raise AttributeError(name)
