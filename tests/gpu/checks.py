"""The checks in the order of their value, what one is given, and what it says."""

from __future__ import annotations

import contextlib
import importlib
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

DATA = "TESTS_GPU_DATA"
"""The environment's name of `--data`, for every check runs in a process of its own."""

VERDICTS = ("ok", "failed", "missed", "measured", "skipped")
"""Held; did not hold; a target was missed; a number without a target; not tried, and why."""


@dataclass(frozen=True)
class Finding:
    """One thing that a check saw; `advice` is what a table of the product would have by it."""

    what: str
    verdict: str
    said: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    advice: str = ""

    def to_dict(self) -> dict[str, Any]:
        return {key: plain(value) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Setting:
    """Where a check runs: its device, a folder of its own, the report's folder, the seconds that it has."""

    device: str
    folder: Path
    out: Path
    seconds: float

    @property
    def dry(self) -> bool:
        return self.device == "cpu"

    def pick(self, full: Any, small: Any) -> Any:
        """The value for a card, or the one for the small form."""
        return small if self.dry else full


@dataclass(frozen=True)
class Check:
    """A function `tests.gpu.PART.NAME`, and the seconds that it may take on a card."""

    name: str
    seconds: int
    small: int = 40
    """Seconds of the small form."""

    @property
    def part(self) -> str:
        return self.name.partition(".")[0]

    def function(self) -> Callable[[Setting], Iterator[Finding]]:
        part, name = self.name.split(".")
        return getattr(importlib.import_module(f"tests.gpu.{part}"), name)


# first what would make the rest worthless; those of one part beside each other share a process
CHECKS = (
    Check("correct.against_cpu", 40),
    Check("correct.whole_recipe", 20),
    Check("correct.resume", 30),
    Check("correct.out_of_memory", 20),
    Check("correct.latencies", 15),
    Check("memory.estimate", 45),
    Check("correct.forms", 60),
    Check("fast.ceilings", 15),
    Check("fast.against_timm", 140),
    Check("fast.waits", 30),
    Check("fast.resident", 20),
    Check("useful.minute", 40),
    Check("together.sharing", 70),
    Check("useful.search", 120),
    Check("together.two_processes", 40, small=60),
    Check("together.fractions", 60, small=90),
    Check("fast.compile_pays", 60),
    Check("order.roadmap", 420, small=60),
)
PARTS = tuple(dict.fromkeys(check.part for check in CHECKS))


def held(
    what: str, holds: bool, said: str, advice: str = "", target: bool = False, **numbers: Any
) -> Finding:
    """Something that must hold, or a target."""
    verdict = "ok" if holds else "missed" if target else "failed"
    return Finding(what, verdict, said, numbers, advice)


def measured(what: str, said: str, advice: str = "", **numbers: Any) -> Finding:
    """A number without a target."""
    return Finding(what, "measured", said, numbers, advice)


def skipped(what: str, why: str) -> Finding:
    """Not tried, and why."""
    return Finding(what, "skipped", why)


def plain(value: Any) -> Any:
    """As JSON has it: no tensors, no infinities, six digits."""
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    try:
        number = float(value)
    except (TypeError, ValueError):
        return str(value)
    return float(f"{number:.6g}") if math.isfinite(number) else str(number)


@contextlib.contextmanager
def timed(times: list[float]) -> Iterator[None]:
    """Appends the seconds by the clock, the device's work included."""
    began = time.perf_counter()
    yield
    wait()
    times.append(time.perf_counter() - began)


def wait() -> None:
    """Until the GPU has done all it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
