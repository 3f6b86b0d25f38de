"""Data sets behind one small interface: `load`, and `from_dataset` for what is in Python already."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.data.dataset import Data, Split, load, open_source
    from nas.data.in_python import from_dataset

__all__ = ["Data", "Split", "from_dataset", "load", "open_source"]


def __getattr__(name: str) -> Any:
    # not at the top: `--help` lists the data sets (`nas.data.sources.registry`) and should not wait for numpy
    if name in __all__:
        module = "nas.data.in_python" if name == "from_dataset" else "nas.data.dataset"
        return getattr(importlib.import_module(module), name)
    raise AttributeError(name)
