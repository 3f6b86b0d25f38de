"""Regularised evolution (Real et al. 2019, "Regularized evolution for image classifier architecture search",
Algorithm 1): the best of a few drawn from the youngest networks is changed by one step.

Ageing, not accuracy, removes a network: one that was lucky with its seed does not stay a parent for ever.
"""

from __future__ import annotations

import numpy as np

from nas.samplers.feasible import Feasible
from nas.samplers.history import History
from space.columns import Array

# the paper's 100 and 25 are for 20,000 networks
POPULATION = 12
TOURNAMENT = 12


def evolve(history: History, feasible: Feasible, rng: np.random.Generator) -> Array:
    """An unseen network of the band, [F]: a step from a parent, moved into the band where the step leaves it.

    The step itself is kept, and as much of the parent as the band then allows. Raises `ExhaustedError`.
    """
    if not len(history):
        return feasible.draw(rng)
    alive = np.arange(len(history))[-POPULATION:]
    drawn = rng.choice(alive, size=TOURNAMENT)
    parent = history.codes[drawn[np.argmax(history.accuracy[drawn])]]
    steps = feasible.space.neighbour_codes(parent)
    if not len(steps):
        return feasible.draw(rng)
    # first which factor, then how: as likely for a factor of few outcomes as for one of many
    factors = np.argmax(steps != parent, axis=1)
    chosen = int(rng.choice(np.unique(factors)))
    child = steps[int(rng.choice(np.flatnonzero(factors == chosen)))]
    return feasible.towards(child, rng, first=(chosen,))
