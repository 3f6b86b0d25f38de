"""The engine in this process: one training at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from space.architecture import Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

    from nas.data.dataset import Data
    from nas.proxy import Proxy
    from nas.result import Epoch, Result


@dataclass(frozen=True)
class Job:
    """One training to do: a network, from a seed."""

    architecture: Architecture
    seed: int


class LocalEngine:
    """Trains jobs under one proxy on one device."""

    def __init__(self, proxy: Proxy, data: Data, device: str) -> None:
        self._proxy = proxy
        self._data = data
        self._device = device

    def train(self, job: Job, on_epoch: Callable[[Epoch], None]) -> Result:
        """Train to the proxy's full fidelity. Raises `TrialFailed` with the reason."""
        from nas.training import train

        return train(
            job.architecture, self._proxy, self._data, job.seed, device=self._device, on_epoch=on_epoch
        )
