"""Uniform draws inside the band: how every search starts, and `--sampler random` goes on."""

from __future__ import annotations

import numpy as np

from nas.samplers.sampler import InTurn
from space.columns import Array


class Uniform(InTurn):
    """Uniform in the band; for a front, uniform in each stratum of costs."""

    def within(self, stratum: int, rng: np.random.Generator) -> Array:
        """A uniform unseen network, [F]."""
        return self.search.strata.parts[stratum].draw(rng)
