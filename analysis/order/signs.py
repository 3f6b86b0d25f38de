"""What an order prefers at equal FLOPs, beside what ImageNet does; and the noise of its seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.order.agreement import NEAR, banded, few, near
from analysis.order.common import means
from analysis.scores.rank import FEWEST, Floats, RankInterval, drawn
from nas.record.study import Study, Tried

# Accel-NASBench: MnasNet-like networks trained on ImageNet, in three bands of 5% of MACs. It has no
# activations: throughput on a large GPU, which falls with them, goes with accuracy at +.32 to +.43
SOURCE = "Accel-NASBench (arXiv 2404.08005), 215 to 297 networks a band"
PUBLISHED = {"params": "+0.49 to +0.60", "activations": "below 0 (throughput: +0.32 to +0.43)"}


@dataclass(frozen=True)
class Sign:
    """Kendall's tau of accuracy with a cost over the pairs of networks at equal FLOPs, and ImageNet's."""

    study: str
    metric: str
    tau: RankInterval
    pairs: int
    published: str


def signs(study: Study, name: str) -> list[Sign]:
    """Of the study's ConvNets: a Swin's activations are of another kind."""
    own = [tried for tried in study.networks if tried.family != "Swin"]
    networks = [own[i] for i in few(range(len(own)))]
    if len(networks) < FEWEST:
        return []
    macs = _column(networks, "macs")
    accuracies = means(tried.accuracies for tried in networks)
    draws = drawn(len(networks))
    pairs = int(np.triu(near(macs), 1).sum())
    return [
        Sign(name, metric, banded(_column(networks, metric), accuracies, macs, draws), pairs, published)
        for metric, published in PUBLISHED.items()
    ]


def _column(networks: Sequence[Tried], metric: str) -> Floats:
    return np.array([getattr(tried, metric) for tried in networks], dtype=float)


@dataclass(frozen=True)
class Noise:
    """Standard deviations, as fractions: of the networks' means, and of what seeds do to one network.

    `residual`: without the shift that a seed gives to all networks alike, which cancels inside a search; None
    where the networks do not share their seeds.
    """

    study: str
    group: str
    networks: int
    seeds: int
    between: float
    within: float
    residual: float | None

    @property
    def ratio(self) -> float | None:
        """How many times the noise the spread is."""
        noise = self.within if self.residual is None else self.residual
        return self.between / noise if noise > 0 else None


def noises(study: Study, name: str) -> list[Noise]:
    """Over all networks that were trained with several seeds, and over those of the fullest band."""
    several = [tried for tried in study.networks if len(tried.accuracies) > 1]
    groups = {"all networks": several, "the fullest band of 5%": fullest_band(several)}
    found = [_noise(name, group, members) for group, members in groups.items() if len(members) >= FEWEST]
    return found[:1] if len(found) == 2 and found[0].networks == found[1].networks else found


def fullest_band(networks: Sequence[Tried]) -> list[Tried]:
    """The most networks whose FLOPs are within 5% of each other."""
    ordered = sorted(networks, key=lambda tried: tried.macs)
    bands = ([n for n in ordered[i:] if n.macs <= NEAR * low.macs] for i, low in enumerate(ordered))
    return max(bands, key=len, default=[])


def _noise(study: str, group: str, networks: Sequence[Tried]) -> Noise:
    values = [list(tried.accuracies.values()) for tried in networks]
    between = float(np.std([np.mean(v) for v in values], ddof=1))
    squares = sum(float(np.var(v)) * len(v) for v in values)
    within = float(np.sqrt(squares / sum(len(v) - 1 for v in values)))
    shared = set.intersection(*(set(tried.accuracies) for tried in networks))
    residual = None
    if len(shared) > 1:
        table = np.array([[tried.accuracies[seed] for seed in sorted(shared)] for tried in networks])
        rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
        residual = float(np.sqrt((rest**2).sum() / ((len(table) - 1) * (table.shape[1] - 1))))
    return Noise(study, group, len(networks), max(map(len, values)), between, within, residual)
