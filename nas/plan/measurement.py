"""Named networks to train with several seeds, worked out and checked."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.driver.branch import Branch
from nas.driver.rungs import Rungs
from nas.plan.judge import Judge, check_resolution, chosen_judge
from nas.plan.named import read_networks
from nas.plan.settings import MeasureSettings
from nas.samplers.proposer import NoProposer
from space.errors import InputError
from space.networks import convnet, cost_of
from space.references import Reference
from space.words import plural

if TYPE_CHECKING:
    from pathlib import Path

    from space.architecture import Architecture


@dataclass(frozen=True)
class Measurement:
    """What is going to be trained, checked before anything is."""

    settings: MeasureSettings
    networks: Sequence[Reference]
    judge: Judge
    time_limit: float | None = None

    @classmethod
    def of(cls, settings: MeasureSettings) -> Measurement:
        """Work it out. Raises `InputError`."""
        networks = read_networks(settings.networks)
        chosen = chosen_judge(settings)
        if chosen.table is not None:
            raise InputError("proxy table: its networks are searched, and have no names to measure them by")
        for one in networks:
            if chosen.name == "simulated":
                convnet(one.network, one.name)
            try:
                cost_of(one.network, chosen.resolution)
            except InputError as error:
                raise InputError(f"{one.name}: proxy {chosen.name}: {error}") from None
        judge = chosen.load()
        check_resolution(judge, networks)  # again: pixels may have followed from the data
        return cls(settings, networks, judge)

    @property
    def confirm(self) -> tuple[int, int]:
        """No search was made, so nothing but the networks themselves is trained again."""
        return 0, self.settings.seeds - 1

    def asked(self) -> dict[str, Any]:
        """The settings in the user's own words, for `--resume`."""
        return self.settings.asked()

    @property
    def trainings(self) -> int:
        """Of all networks with all seeds."""
        return len(self.networks) * self.settings.seeds

    def binding(self) -> dict[str, Any]:
        """What makes the results of a study comparable; a study is never resumed under other values."""
        macs = [cost_of(one.network).macs for one in self.networks]
        prints = [f"{one.name} {one.network.fingerprint}" for one in self.networks]
        return {
            "budget": {"text": BUDGET, "metric": "macs", "low": min(macs), "high": max(macs)},
            "objective": "measure",
            "limits": {},
            "space": {
                "name": "named networks",
                "fingerprint": hashlib.sha256("\n".join(prints).encode()).hexdigest()[:16],
                "size": len(prints),
                "in_band": len(prints),
                "in_band_is_exact": True,
            },
            "proxy": self.judge.facts,
            "data": self.judge.data,
            "seed": self.settings.seed,
            "sampler": "none",
            "scheduler": {"name": "none", "eta": 3, "levels": [self.judge.epochs]},
        }

    def branches(self, latency: Callable[[Architecture], float], workers: int) -> list[Branch]:
        """All networks, and no search."""
        del latency, workers
        rungs = Rungs("none", self.judge.epochs, 1)
        return [Branch(BUDGET, NoProposer(), rungs, self.networks, len(self.networks))]

    def title(self, folder: Path) -> str:
        """The measurement in a line."""
        networks, seeds = plural(len(self.networks), "network"), plural(self.settings.seeds, "seed")
        return f"{folder}: {networks}, {seeds}, {self.judge.name} proxy"


BUDGET = "named networks"
