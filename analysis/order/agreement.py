"""Rank agreement of two sides over groups of networks: tau, rho and regret, each with its interval.

Intervals are percentiles of a bootstrap over the networks (`analysis.scores.rank`). Where a network was
trained with several seeds, a second interval of tau draws networks and seeds: the noise of the seeds is in
the means already and comes in once more, so its middle lies nearer to 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analysis.order.common import Common, CommonNetwork, means
from analysis.scores.rank import Floats, RankInterval, drawn, interval, relations, tau_b

NEAR = 1.05  # FLOPs of two networks of a band, at most: larger by smaller
FEWEST_PAIRS = 10  # of fewer the resamples know nothing: three pairs in one order look certain
TOP = (1, 3)
SEED_RESAMPLES = 1000
MOST = 1000  # networks, lest every pair of a study of ten thousand is looked at


@dataclass(frozen=True)
class Agreement:
    """How far both sides agree over a group.

    `near` is tau over the `pairs` of networks whose FLOPs differ by at most 5%. `regret` by k: how much less
    accurate on the second side, as a fraction, the best of the first side's best k is than the best of all.
    """

    group: str
    networks: int
    tau: RankInterval
    rho: RankInterval
    tau_seeds: RankInterval | None
    near: RankInterval
    pairs: int
    regret: Mapping[int, RankInterval]


def agreements(common: Common) -> list[Agreement]:
    """Of every group, the first the answer's."""
    return [
        agreement(name, [common.networks[i] for i in few(members)]) for name, members in common.groups.items()
    ]


def few(members: Sequence[int]) -> Sequence[int]:
    """At most `MOST` of them, drawn with a fixed seed."""
    if len(members) <= MOST:
        return members
    return sorted(np.random.default_rng(0).choice(np.asarray(members), MOST, replace=False).tolist())


def agreement(group: str, networks: Sequence[CommonNetwork]) -> Agreement:
    """Of these networks, of which a rank correlation needs three."""
    x, y = means(n.ours for n in networks), means(n.theirs for n in networks)
    relation = relations({"order": x}, y)[0]
    draws = drawn(len(networks))
    macs = np.array([n.macs for n in networks], dtype=float)
    among = near(macs)
    return Agreement(
        group,
        len(networks),
        relation.tau,
        relation.rho,
        _tau_seeds(networks),
        banded(x, y, macs, draws),
        int(np.triu(among, 1).sum()),
        {k: interval(regret(x, y, draws, k)) for k in TOP if k < len(networks)},
    )


def near(macs: Floats) -> NDArray[np.bool_]:
    """Which pairs of networks are of one band, [n, n]."""
    return np.asarray(np.maximum(macs[:, None], macs) <= NEAR * np.minimum(macs[:, None], macs))


def banded(x: Floats, y: Floats, macs: Floats, draws: Floats) -> RankInterval:
    """Tau over pairs at equal FLOPs; none for fewer than `FEWEST_PAIRS`."""
    among = near(macs)
    if np.triu(among, 1).sum() < FEWEST_PAIRS:
        return RankInterval(None, None, None)
    return interval(tau_b(x, y, draws, among))


def regret(x: Floats, y: Floats, draws: Floats, k: int) -> Floats:
    """Best y less the best y among the k networks of largest x, of those drawn; (B,)."""
    order = np.argsort(-x, kind="stable")
    here = draws[:, order] > 0
    values = np.where(here, y[order], -np.inf)
    first = np.where(np.cumsum(here, axis=1) <= k, values, -np.inf)
    return np.asarray(values.max(axis=1) - first.max(axis=1))


def _tau_seeds(networks: Sequence[CommonNetwork]) -> RankInterval | None:
    """Tau with an interval over networks and seeds; None where every network has one seed."""
    sides = [[list(n.ours.values()) for n in networks], [list(n.theirs.values()) for n in networks]]
    if all(len(values) == 1 for side in sides for values in side):
        return None
    rng = np.random.default_rng(1)
    draws = drawn(len(networks), SEED_RESAMPLES)
    x, y = means(n.ours for n in networks), means(n.theirs for n in networks)
    again = [_resampled(side, rng, SEED_RESAMPLES) for side in sides]
    taus = [tau_b(x, y, draws[:1])]
    taus += [tau_b(a, b, row[None]) for a, b, row in zip(*again, draws[1:], strict=True)]
    return interval(np.concatenate(taus))


def _resampled(side: Iterable[Sequence[float]], rng: np.random.Generator, count: int) -> Floats:
    """Means over seeds drawn with replacement, [count, n]."""
    columns = [np.asarray(v)[rng.integers(len(v), size=(count, len(v)))].mean(axis=1) for v in side]
    return np.stack(columns, axis=1)
