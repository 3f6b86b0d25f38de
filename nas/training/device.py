"""The device of a training: which, in which precision, and when its memory is full."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nas.training.result import TrialFailed
from space.errors import first_line, text_of

# in what torch, oneDNN, cuDNN, the C++ library and the system say, by device and version
NO_MEMORY = (
    "out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory",
    "unable to allocate", "failed to allocate", "allocation failed", "alloc_failed", "defaultcpuallocator",
    "bad_alloc", "bad allocation", "unable to mmap", "mmap failed", "could not create a primitive",
    "could not create a memory", "could not execute a primitive",
)  # fmt: skip


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """bf16 where that is the precision, else nothing."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA if there is any, else the CPU. Raises `TrialFailed` if the device is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    # AssertionError: a torch built without CUDA
    except (RuntimeError, AssertionError) as error:
        raise TrialFailed(f"device {name!r} cannot be used: {first_line(error)}") from None
    return device


def choose_precision(precision: str, device: torch.device) -> str:
    """`auto` is bf16 on a GPU that has it, else fp32.

    Not timed, lest one seed give two results. On a CPU without bf16 instructions it is 10 times slower.
    """
    if precision != "auto":
        return precision
    native = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return "bf16" if native else "fp32"


def cuda_devices(device: torch.device) -> list[torch.device]:
    """The device itself where it is a GPU, else none: whose randomness is kept."""
    return [device] if device.type == "cuda" else []


def forget_peak_memory(device: torch.device) -> None:
    """`peak_memory` is that from here on, where the system can be asked so."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return
    with contextlib.suppress(OSError):  # Linux alone has it
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int:
    """The most bytes that were in use: tensors' on a GPU, the whole process's on a CPU; 0 where unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s*(\d+) kB", status, re.M)
    return 1024 * int(found[1]) if found else 0


def random_states(device: torch.device) -> list[Tensor]:
    """States of the CPU's and the GPU's random numbers."""
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(cuda) for cuda in cuda_devices(device))]


@contextlib.contextmanager
def memory_errors_as_failures() -> Iterator[None]:
    """`TrialFailed` in place of whatever torch, its libraries and the system say when there is no memory."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrialFailed(f"out of memory: {first_line(error)}") from None
    except (RuntimeError, OSError) as error:
        told = text_of(error).lower()
        if getattr(error, "errno", None) != errno.ENOMEM and not any(words in told for words in NO_MEMORY):
            raise
        raise TrialFailed(f"out of memory: {first_line(error)}") from None
