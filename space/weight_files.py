"""Files of weights, whichever program wrote them: tensors and plain values, no code of a pickle's.

torch's format, old and new, and safetensors, told apart by their first bytes, not by their names. What a
training script keeps beside the weights and nobody needs here (numpy's numbers in an optimizer's groups, a
configuration's classes) is read as inert values: nothing of numpy's or of theirs runs.
"""

from __future__ import annotations

import argparse
import os
import pickle
import re
import stat
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from space.errors import InputError, first_line, quoted, reason, word

State = dict[str, Tensor]

# keys of the official code and ours, timm's and Lightning's, PyTorch's tutorials', DeepSpeed's
WEIGHTS = ("model", "state_dict", "model_state_dict", "module")
AVERAGES = ("model_ema", "state_dict_ema", "model_ema_state_dict", "ema_state_dict")
WRAPPINGS = (*WEIGHTS, *AVERAGES)  # weights come before their average
# what wrappers put into names: DDP and AveragedModel, torch.compile, FSDP, activation checkpointing
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
WHOLE = "relative_position_index"  # of Swin's tensors the one that is no weight; counters have no dimensions
COUNTER = "n_averaged"  # of torch.optim.swa_utils.AveragedModel
BODIES = ("convnext", "convnextv2", "swin")  # transformers' names of the network below the classifier
ZIP = b"PK\x03\x04"  # torch's format since 1.6
PLAIN = "only tensors and plain values are read"
STATE_DICT = f"{PLAIN}, such as torch.save(model.state_dict(), FILE) writes"


class UnreadableError(ValueError):
    """Why a file gives no values, to stand behind its name."""


class _Inert:
    """In place of an object that is not needed."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_INERT = (
    "numpy.dtype", "numpy.ndarray",
    *(f"numpy.{core}.multiarray.{name}" for core in ("core", "_core") for name in ("scalar", "_reconstruct")),
    *(f"pathlib.{name}" for name in ("PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath")),
)  # fmt: skip
_DICTS = (  # the official Swin code's configuration, Lightning's
    "yacs.config.CfgNode",
    "lightning.fabric.utilities.data.AttributeDict",
    "lightning_fabric.utilities.data.AttributeDict",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
_READ: list[Any] = [
    argparse.Namespace,  # the official ConvNeXt script's arguments
    *((_Inert, name) for name in _INERT),
    *((OrderedDict, name) for name in _DICTS),
]


def read_values(path: Path) -> Any:
    """What the file holds, plain values and tensors. Raises `InputError` in one line.

    Tensors are mapped from the file where its format allows it: what is not used is not read.
    """
    try:
        return loaded(path, mapped=True)
    except UnreadableError as error:
        raise InputError(f"{path}: {error}") from None


def check_file(path: Path) -> None:
    """Raises `InputError` for what is no file to read."""
    try:
        _looked_into(path)
    except UnreadableError as error:
        raise InputError(f"{path}: {error}") from None


def loaded(path: Path, *, mapped: bool = False) -> Any:
    """As `read_values`, tensors in memory unless `mapped`. Raises `UnreadableError`."""
    size, first = _looked_into(path)
    if first.startswith(ZIP):
        _check_records(path, size)
        if path.suffix != ".safetensors":
            return torch_values(str(path), mmap=mapped)
    # safetensors: eight bytes with the length of its header, then the header, in JSON
    elif first[8:9] == b"{":
        return _safetensors(path)
    with path.open("rb") as file:  # by its name torch would go by its suffix
        return torch_values(file)


def _looked_into(path: Path) -> tuple[int, bytes]:
    """The file's size and its first nine bytes. Raises `UnreadableError`, without waiting for a pipe."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:  # noqa: PTH123
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadableError("a device or pipe, no file")
            first = file.read(9)
    except UnreadableError:
        raise
    except IsADirectoryError:
        raise UnreadableError("is a folder; name the file of weights in it") from None
    except (OSError, ValueError) as error:  # a NUL in a path is a ValueError
        raise UnreadableError(reason(error)) from None
    if not first:
        raise UnreadableError("is empty")
    return status.st_size, first


def _check_records(path: Path, size: int) -> None:
    """Raises `UnreadableError` for records that do not match their CRC-32s, which torch does not check.

    For those that unpack to more than the file has, which torch never packs of weights; for other archives.
    """
    try:
        with zipfile.ZipFile(path) as records:
            names = {name.rpartition("/")[2] for name in records.namelist()}
            if "constants.pkl" in names:
                raise UnreadableError(f"is a TorchScript program; {STATE_DICT}")
            if names and "data.pkl" not in names:
                raise UnreadableError("is an archive of something else than a checkpoint")
            if sum(record.file_size for record in records.infolist()) > size:
                raise UnreadableError("is no checkpoint: it unpacks to more than it has")
            damaged = records.testzip()
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(f"cannot be read ({reason(error)})") from None
    except Exception:  # zipfile has no one error for a damaged file
        raise UnreadableError("is damaged: its directory of records cannot be read") from None
    if damaged is not None:
        raise UnreadableError(f"is damaged: {quoted(damaged)} does not match its CRC-32")


def torch_values(file: str | IO[bytes], *, mmap: bool | None = None) -> Any:
    """What torch's format holds, in a file by its name or an open one. Raises `UnreadableError`."""
    try:
        with torch.serialization.safe_globals(_READ), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of formats that are old, or another pickle's
            return torch.load(file, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError as error:
        raise UnreadableError(f"cannot be read ({reason(error)})") from None
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)", str(error))
        if refused:
            raise UnreadableError(f"holds {quoted(refused[1])}; {STATE_DICT}") from None
        raise UnreadableError(f"is damaged, or no checkpoint; {PLAIN}") from None
    except Exception as error:  # torch.load has no one error for a damaged file
        said = first_line(error).split(". ")[0]
        raise UnreadableError(f"is damaged, or no checkpoint: {said}") from None


def _safetensors(path: Path) -> Any:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise UnreadableError("reading it needs safetensors: pip install safetensors") from None
    try:
        return load_file(path)
    except OSError as error:
        raise UnreadableError(f"cannot be read ({reason(error)})") from None
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise UnreadableError(f"not a readable safetensors file: {first_line(error)}") from None


def unwrapped(values: Any, where: str | Path) -> State:
    """The state dict itself, out of the wrappings of training scripts, DDP, torch.compile and averages.

    Raises `InputError` that starts with `where`.
    """
    for wrapping in WRAPPINGS:
        if isinstance(values, Mapping) and isinstance(values.get(wrapping), Mapping):
            values = values[wrapping]
            break
    else:
        _refuse_others(values, where)
    if not isinstance(values, Mapping) or not values:
        raise InputError(f"{where}: holds no weights, bare or under {', '.join(WRAPPINGS)}")
    state: State = {}
    for name, value in values.items():
        if name == COUNTER:
            continue
        bare = ".".join(part for part in str(name).split(".") if part not in WRAPPERS)
        if bare in state:
            raise InputError(f"{where}: holds {quoted(bare)} twice")
        _refuse_odd(value, f"{where}: {quoted(name)[1:-1]}")
        state[bare] = value
    # a module around the network, Lightning's say; no layout has one name before all others, but for those of
    # transformers without a classifier
    while len(around := {name.partition(".")[0] for name in state}) == 1 and around.isdisjoint(BODIES):
        if not all("." in name for name in state):
            break
        state = {name.partition(".")[2]: value for name, value in state.items()}
    return state


def _refuse_others(values: Any, where: str | Path) -> None:
    """Raises `InputError` for weights under a key that is not known, by that key."""
    there = [
        key
        for key, value in (values.items() if isinstance(values, Mapping) else ())
        if isinstance(value, Mapping) and any(isinstance(each, Tensor) for each in value.values())
    ]
    if there:
        names = ", ".join(word(key) for key in there[:3])
        raise InputError(
            f"{where}: holds weights under {names}; they are read bare or under {', '.join(WRAPPINGS)}"
        )


def _refuse_odd(value: Any, where: str) -> None:
    """Raises `InputError` for what is no plain tensor of numbers, all of which are there."""
    if not isinstance(value, Tensor):
        raise InputError(f"{where} is {type(value).__name__}, not a tensor")
    if value.layout != torch.strided or value.is_quantized or value.is_meta or value.is_complex():
        raise InputError(f"{where} is a tensor of another kind than weights are")
    # one number repeated by strides of 0 is small in a file and any size in memory
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise InputError(f"{where} is a tensor that claims more numbers than it has")
    if not value.is_floating_point():
        if value.dim() and not where.endswith(WHOLE):
            raise InputError(f"{where} is {value.dtype}; weights that are quantised are not read")
    elif not value.float().isfinite().all():
        raise InputError(f"{where} is not finite: its training diverged")
