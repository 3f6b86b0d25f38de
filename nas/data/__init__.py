"""Data sets behind one small interface: `load`."""

from nas.data.dataset import Data, Split, load, open_source

__all__ = ["Data", "Split", "load", "open_source"]
