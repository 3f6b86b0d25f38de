"""Regularised evolution (Real et al. 2019, "Regularized evolution for image classifier architecture search",
Algorithm 1): the best of a few drawn from the youngest networks is changed by one step.

Ageing, not accuracy, removes a network: one that was lucky with its seed does not stay a parent for ever.

Over a wide band, for the front, the best is what NSGA-II calls the best (Deb et al. 2002, section III: first
the front it is on, then how alone it stands there), among the parents whose cost is near the stratum at hand.
"""

from __future__ import annotations

import numpy as np

from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from nas.samplers.sampler import InTurn
from nas.samplers.strata import Strata
from space.columns import Array

# the paper's 100 and 25 are for 20,000 networks
POPULATION = 12
TOURNAMENT = 12
# of a stratum, where there are several
STRATUM_POPULATION = 6


class Evolution(InTurn):
    """Regularised evolution; over a wide band by ranks of fronts."""

    def within(self, stratum: int, rng: np.random.Generator) -> Array:
        """A step from a good young network, [F]."""
        strata = self.search.strata
        alive = self.search.latest(population(len(strata)))
        if not self.search.front:
            return evolve(alive, strata.parts[stratum], rng)
        return evolve_front(alive, strata, stratum, rng)


def population(strata: int) -> int:
    """How many of the youngest networks are alive."""
    return POPULATION if strata == 1 else STRATUM_POPULATION * strata


def evolve(history: History, feasible: Feasible, rng: np.random.Generator) -> Array:
    """An unseen network of the band, [F]: a step from a parent, moved into the band where the step leaves it.

    The step itself is kept, and as much of the parent as the band then allows. Raises `ExhaustedError`.
    """
    if not len(history):
        return feasible.draw(rng)
    alive = np.arange(len(history))[-POPULATION:]
    # with replacement, as in Algorithm 1: or 12 drawn of 12 alive would always have the best among them
    drawn = rng.choice(alive, size=TOURNAMENT)
    return _child(history.codes[drawn[np.argmax(history.accuracy[drawn])]], feasible, rng)


def evolve_front(history: History, strata: Strata, stratum: int, rng: np.random.Generator) -> Array:
    """An unseen network of the stratum, [F]: a step from a parent of this or the next one, moved there.

    Raises `ExhaustedError`.
    """
    feasible = strata.parts[stratum]
    alive = np.arange(len(history))[-population(len(strata)) :]
    away = np.array([abs(strata.of(int(cost)) - stratum) for cost in history.cost[alive]], dtype=np.int64)
    if not len(alive):
        return feasible.draw(rng)
    # the cost's logarithm, in which strata are equally wide: crowding is by ratios of costs
    accuracy, cost = history.accuracy[alive], np.log(history.cost[alive])
    rank = front_ranks(accuracy, cost)
    alone = crowding(accuracy, cost, rank)
    # of this stratum or one beside it; where none is so near, the nearest there are
    near = np.flatnonzero(away <= max(1, int(away.min())))
    drawn = rng.choice(near, size=TOURNAMENT)
    # by the front it is on, then by how alone it stands: lexsort's last key counts first
    best = drawn[np.lexsort((-alone[drawn], rank[drawn]))[0]]
    return _child(history.codes[alive[best]], feasible, rng)


def _child(parent: Array, feasible: Feasible, rng: np.random.Generator) -> Array:
    steps = feasible.space.neighbour_codes(parent)
    if not len(steps):
        return feasible.draw(rng)
    # first which factor, then how: as likely for a factor of few outcomes as for one of many
    factors = np.argmax(steps != parent, axis=1)
    chosen = int(rng.choice(np.unique(factors)))
    child = steps[int(rng.choice(np.flatnonzero(factors == chosen)))]
    # the step before the rest of the parent: granted last, it might be just what the band does not allow
    return feasible.towards(child, rng, first=(chosen,))


def front_ranks(accuracy: Array, cost: Array) -> Array:
    """0 for the networks that no other dominates, 1 for those that only they dominate, ...; [N]."""
    better = (accuracy[:, None] >= accuracy) & (cost[:, None] <= cost)
    dominates = better & ~better.T  # equal ones do not
    rank = np.zeros(len(accuracy), dtype=np.int64)
    left = np.ones(len(accuracy), dtype=bool)
    level = 0
    while left.any():
        front = left & ~dominates[left].any(axis=0)
        rank[front] = level
        left &= ~front
        level += 1
    return rank


def crowding(accuracy: Array, cost: Array, rank: Array) -> Array:
    """How far apart the neighbours of each network on its front are (Deb et al. 2002, section III.B); [N]."""
    alone = np.zeros(len(rank))
    for level in np.unique(rank):
        front = np.flatnonzero(rank == level)
        for values in (accuracy[front], cost[front]):
            order = np.argsort(values, kind="stable")
            spread = values[order[-1]] - values[order[0]]
            # the ends of a front are as alone as can be, so that it keeps its extent
            gaps = np.full(len(front), np.inf)
            if len(front) > 2 and spread > 0:
                gaps[1:-1] = (values[order[2:]] - values[order[:-2]]) / spread
            alone[front[order]] += gaps
    return alone
