"""What a process frees stays with it unless its user set otherwise; measured in processes of their own."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

from nas.training.cpu.memory import SET_BY_USER

# pages that come anew with the second to fifth use of 160 MB, which the first has touched
REPEATED_USE = """
import resource
import numpy as np
from nas.training.cpu.memory import keep_freed_memory

print(keep_freed_memory())
def use():
    parts = [np.ones(size << 20, dtype=np.uint8) for size in (80, 40, 40)]
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

only_glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the setting is glibc's")


def run(**settings: str) -> tuple[bool, int]:
    """Whether it was set, and the pages."""
    environment = {name: value for name, value in os.environ.items() if name not in SET_BY_USER}
    command = [sys.executable, "-c", REPEATED_USE]
    done = subprocess.run(
        command, env=environment | settings, capture_output=True, text=True, check=True, timeout=60
    )
    kept, pages = done.stdout.split()
    return kept == "True", int(pages)


@only_glibc
def test_freed_memory_is_used_again():
    kept, pages = run()
    assert kept
    assert pages < 200


@only_glibc
def test_settings_of_the_environment_stand():
    kept, pages = run(MALLOC_TRIM_THRESHOLD_="131072")
    assert not kept
    assert pages > 200


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    from nas.training.cpu import memory

    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: pytest.fail("it was touched"))
    assert memory.keep_freed_memory.__wrapped__() is False
