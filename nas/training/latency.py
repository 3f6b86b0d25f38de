"""How long a network takes on the device in use: measured once, and remembered.

A latency is the median time of a forward pass of one 224x224 image, in evaluation mode, channels last, fp32
(on GPUs with the precision that torch is set to), after a warm-up.
"""

from __future__ import annotations

import json
import logging
import math
import platform
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nas.data.cache import writable_dir
from space.architecture import Architecture
from space.cost import RESOLUTION
from space.errors import InputError
from space.files import write_text

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

FILE = "latency.json"
VERSION = 1
# warm-up and measurement: so many passes at least, and so many seconds where those are over sooner
LEAST_WARM, WARM_SECONDS = 3, 0.1
LEAST_PASSES, MOST_PASSES, SECONDS = 10, 200, 0.5


def latency(architecture: Architecture, device: str, threads: int | None = None) -> float:
    """Seconds of a forward pass, from the cache folder where they are known. Raises `TrialFailed`."""
    return LatencyCache().seconds(architecture, device, threads)


def latency_here(architecture: Architecture, device: str) -> float:
    """The same on the device of this name ("auto": the best there is), with torch's threads."""
    import torch

    from nas.training.device import choose_device

    return latency(architecture, str(choose_device(device)), torch.get_num_threads())


def measure(architecture: Architecture, device: str, threads: int | None = None) -> float:
    """Seconds of a forward pass: the median of repeated ones with `threads` CPU threads (None: torch's).

    Raises `TrialFailed` where the device cannot be used or has too little memory.
    """
    import torch

    from nas.training.device import choose_device, memory_errors_as_failures
    from space.network import build

    where = choose_device(device)
    with _threads(threads), torch.inference_mode(), memory_errors_as_failures():
        network = build(architecture).eval()
        network.to(where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        image = torch.zeros(1, 3, RESOLUTION, RESOLUTION, device=where)
        image = image.contiguous(memory_format=torch.channels_last)
        once = _timer(network, image)
        # the first passes allocate memory and choose kernels
        _repeated(once, LEAST_WARM, MOST_PASSES, WARM_SECONDS)
        # the median: a pass that other work on the machine held up does not count
        return statistics.median(_repeated(once, LEAST_PASSES, MOST_PASSES, SECONDS))


def device_name(device: str) -> str:
    """What the device is called: the GPU's or the processor's model. Raises `TrialFailed`."""
    import torch

    from nas.training.device import choose_device

    where = choose_device(device)
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    return _processor() if where.type == "cpu" else str(where)


class LatencyCache:
    """Latencies in one JSON file of the cache folder, by fingerprint, device, threads and torch version.

    A file that is damaged or of another version counts as empty and is written anew. Of two processes that
    write at once one measurement may be lost, never the file.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = writable_dir(folder) / FILE
        self._known = self._read()

    def seconds(self, architecture: Architecture, device: str, threads: int | None = None) -> float:
        """The latency of a network: the one known, or a new measurement. Raises `TrialFailed`."""
        key = _key(architecture, device, threads)
        if key not in self._known:
            self._known = self._read()  # another process may have measured it by now
        if key not in self._known:
            seconds = measure(architecture, device, threads)
            # read again: others may have written theirs while this one was measured
            self._known = self._read() | {key: seconds}
            self._write()
        return self._known[key]

    def _write(self) -> None:
        text = json.dumps({"version": VERSION, "seconds": self._known}, indent=1) + "\n"
        try:
            write_text(self.path, text)
        except InputError as error:  # a search goes on without
            log.warning("cache: %s", error)

    def _read(self) -> dict[str, float]:
        try:
            held = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(held, dict) or held.get("version") != VERSION:
            return {}
        seconds = held.get("seconds")
        return {k: float(s) for k, s in seconds.items() if _is_time(s)} if isinstance(seconds, dict) else {}


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def _key(architecture: Architecture, device: str, threads: int | None) -> str:
    import torch

    used = torch.get_num_threads() if threads is None else threads
    # what changes a latency: kernels differ between versions of torch, too
    return f"{architecture.fingerprint} {device_name(device)}, {used} threads, torch {torch.__version__}"


def _timer(network: torch.nn.Module, image: torch.Tensor) -> Callable[[], float]:
    """One forward pass, in seconds; a GPU's own clock is asked, and waited for."""
    import torch

    def on_cpu() -> float:
        began = time.perf_counter()
        network(image)
        return time.perf_counter() - began

    def on_gpu() -> float:
        # events are recorded on the current device's stream
        with torch.cuda.device(image.device):
            began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            began.record()
            network(image)
            ended.record()
            # a GPU works behind the caller's back: without waiting there would be no end to ask for
            torch.cuda.synchronize()
        return float(began.elapsed_time(ended)) / 1000

    return on_gpu if image.is_cuda else on_cpu


def _repeated(once: Callable[[], float], least: int, most: int, seconds: float) -> list[float]:
    """Times of at least `least` passes, of more while they take less than `seconds`."""
    times: list[float] = []
    began = time.perf_counter()
    while len(times) < least or (len(times) < most and time.perf_counter() - began < seconds):
        times.append(once())
    return times


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    import torch

    if threads is not None and threads < 1:
        raise InputError(f"threads: {threads} is less than 1")
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _processor() -> str:
    """The model of the processor, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "cpu"
