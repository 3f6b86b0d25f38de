"""Networks of a band that have not been tried: uniform ones, and the ones that come closest to a wish."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import numpy as np

from space.band import Allowed, BandSampler
from space.columns import Array
from space.cost import cost_columns

DRAWS = 64
ENUMERABLE = 200_000


class ExhaustedError(Exception):
    """Every network of the band has been tried."""


class Feasible:
    """The codes of `band` that are not in `seen` (codes as tuples); `seen` may grow."""

    def __init__(self, band: BandSampler, seen: Container[tuple[int, ...]]) -> None:
        self.band = band
        self.space = band.space
        self._seen = seen

    def only(self, codes: Array) -> Array:
        """Those of codes [N, F] that are in the band and unseen, each once."""
        costs = getattr(cost_columns(self.space.columns(codes)), self.band.budget.metric)
        inside = codes[(costs >= self.band.budget.low) & (costs <= self.band.budget.high)]
        # a dictionary, for it keeps the order and takes a fifth of numpy's time for rows
        unseen = {key: None for code in inside.tolist() if (key := tuple(code)) not in self._seen}
        return np.array(list(unseen), dtype=np.int64).reshape(len(unseen), codes.shape[1])

    def draw(self, rng: np.random.Generator) -> Array:
        """A uniform unseen network, [F]. Raises `ExhaustedError` when none is left."""
        return self._unseen(rng, [{}])

    def towards(self, wish: Array, rng: np.random.Generator, first: Sequence[int] = ()) -> Array:
        """An unseen network that has as many of the wished outcomes as the band allows, [F].

        Outcomes are granted one by one, those of the factors `first` first, the others in random order; an
        outcome that leaves no network in the band is passed over. What is left open is drawn uniformly.
        Where only seen networks remain, the outcomes granted last are given up. Raises `ExhaustedError`.
        """
        order = [*first, *(int(f) for f in rng.permutation(len(wish)) if f not in first)]
        kept = self._granted({f: [int(wish[f])] for f in order})
        factors = list(kept)
        return self._unseen(rng, [{f: kept[f] for f in factors[:n]} for n in range(len(kept), -1, -1)])

    def _granted(self, wishes: dict[int, list[int]]) -> dict[int, list[int]]:
        """The wishes, in their order, that together leave a network in the band."""
        items = list(wishes.items())
        # most wishes begin with many that can be granted together: a binary search finds these
        start = _last(len(items), lambda n: self.band.count_allowed(dict(items[:n])) > 0)
        granted = dict(items[:start])
        for f, outcome in items[start + 1 :]:
            if self.band.count_allowed(granted | {f: outcome}) > 0:
                granted[f] = outcome
        return granted

    def _unseen(self, rng: np.random.Generator, relaxations: Sequence[Allowed]) -> Array:
        """A uniform unseen network under the first restriction that has one."""
        for allowed in relaxations:
            codes = self.band.sample_codes(DRAWS, rng, allowed)
            new = [i for i, code in enumerate(codes.tolist()) if tuple(code) not in self._seen]
            if new:
                return np.asarray(codes[new[0]])
        return self._last_unseen(rng)

    def _last_unseen(self, rng: np.random.Generator) -> Array:
        """When draws only meet known networks, look at all of them."""
        if not self.band.count_is_exact or self.band.count > ENUMERABLE:
            raise ExhaustedError
        left = [code for code in self.band.all_codes() if tuple(code) not in self._seen]
        if not left:
            raise ExhaustedError
        return np.asarray(left[int(rng.integers(len(left)))])


def _last(most: int, holds: Callable[[int], bool]) -> int:
    """The largest number in 0..most that holds; holding is monotone and certain at 0."""
    low, high = 0, most
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low
