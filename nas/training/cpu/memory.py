"""The C library's memory settings for training on a CPU, where it is glibc on Linux.

glibc takes large tensors from the system and gives them back as they are freed, and the system clears every
page again at its next use: in ConvNeXt-T's step at 32 pixels, batch 64, 14,000 to 25,000 pages and 5% to
11% of the processor's time, at 64 pixels 8,000 to 10,000 pages and 1% to 4%. What the process keeps is
there at once. The most memory that is ever in use stays the same (946 MB before, 937 MB after; at 64 pixels
1,497 and 1,458), but the process has it until it ends.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
from functools import cache

# <malloc.h>; mallopt(3)
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
NEVER = 2**31 - 1  # bytes free at the heap's end before any go back; the largest value that mallopt takes
# with which users set the same themselves, before the process starts
SET_BY_USER = ("GLIBC_TUNABLES", "MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_MAX_", "MALLOC_MMAP_THRESHOLD_")


@cache
def keep_freed_memory() -> bool:
    """Have freed tensors stay with this process, from now on; whether that could be set.

    It does nothing where the C library is another one, or where the environment has settings of its own.
    Where another allocator was preloaded it has no effect.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in SET_BY_USER):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # all of it from the heap, none of which goes back
    return bool(mallopt(M_MMAP_MAX, 0)) and bool(mallopt(M_TRIM_THRESHOLD, NEVER))


def give_back() -> None:
    """Give what is free back to the system: after a training that was too large the next has it anew."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
