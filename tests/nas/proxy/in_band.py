"""The best network of a band under a simulated law: what a search can be measured by."""

import math

import numpy as np

from nas.proxy.simulated import SimulatedLaw, Traits, traits_of_columns
from space.architecture import ACTIVATIONS
from space.band import BandSampler
from space.columns import Array
from space.cost import cost_columns
from space.design_space import DesignSpace
from space.factors import NETWORK

LISTED = 200_000


def traits_of_codes(space: DesignSpace, codes: Array) -> Traits:
    """What laws look at, of codes [N, F]."""
    activation = np.full(len(codes), ACTIVATIONS.index(space.base.activation))
    for f, factor in enumerate(space.factors):
        if (NETWORK, "activation") in factor.targets:  # columns only tell ReLU from the others
            j = factor.targets.index((NETWORK, "activation"))
            activation = np.array([ACTIVATIONS.index(o[j]) for o in factor.outcomes])[codes[:, f]]
    return traits_of_columns(space.columns(codes), activation)


def best_in_band(
    law: SimulatedLaw, band: BandSampler, pool: int = LISTED, starts: int = 40
) -> tuple[float, Array]:
    """The highest true accuracy in the band, and its code [F].

    Exact where the band has no more networks than `pool`; else the best of `pool` uniform ones, improved by
    all in-band changes of one or two factors of the `starts` best, until none helps.
    """
    space = band.space
    if band.count_is_exact and band.count <= pool:
        codes = band.all_codes()
    else:
        codes = band.sample_codes(pool, np.random.default_rng(0))
    accuracy = law.accuracy(traits_of_codes(space, codes))
    best, codes = -math.inf, codes[np.argsort(-accuracy)[:starts]]
    while (found := law.accuracy(traits_of_codes(space, codes)).max()) > best:
        best = float(found)
        codes = np.unique(np.concatenate([codes, _around(band, codes)]), axis=0)
        order = np.argsort(-law.accuracy(traits_of_codes(space, codes)))
        codes = codes[order[:starts]]
    return best, codes[0]


def _around(band: BandSampler, codes: Array) -> Array:
    """In-band codes one or two steps from any of `codes`."""
    space = band.space
    once = np.unique(np.concatenate([space.neighbour_codes(code) for code in codes]), axis=0)
    # a second step of another factor can bring the cost back into the band
    twice = [_combined(code, space.neighbour_codes(code)) for code in codes]
    near = np.unique(np.concatenate([once, *twice]), axis=0)
    macs = getattr(cost_columns(space.columns(near)), band.budget.metric)
    return np.asarray(near[(macs >= band.budget.low) & (macs <= band.budget.high)])


def _combined(code: Array, steps: Array) -> Array:
    """`code` after every two of its steps [M, F] together; of two steps of one factor, after the second."""
    both = np.where(steps[None] != code, steps[None], steps[:, None])
    return np.asarray(both.reshape(-1, len(code)))
