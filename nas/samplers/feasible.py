"""Networks of a band that have not been tried: uniform ones, and the ones that come closest to a wish."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import numpy as np

from nas.samplers.band import Band
from nas.samplers.limits import BATCH, ENUMERABLE, MOST_BINNED_DRAWS, MOST_DRAWS, Limits
from space.columns import Array
from space.stage_tables import Allowed

# for one network: most draws are unseen, so that the first few would do, and 64 cost hardly more
DRAWS = 64
# draws for every network of a pool that is asked for, where limits or known networks are in the way
POOL_DRAWS = 20


class ExhaustedError(Exception):
    """Every network of the band has been tried."""


class Feasible:
    """The codes of `band` within the closed-form `limits` that are not in `seen` (tuples), which may grow."""

    def __init__(self, band: Band, seen: Container[tuple[int, ...]], limits: Limits | None = None) -> None:
        self.band = band
        self.space = band.space
        self._seen = seen
        self._limits = limits or Limits()

    def only(self, codes: Array) -> Array:
        """Those of codes [N, F] that are in the band, within the limits and unseen, each once."""
        costs = self.space.costs(codes)
        budgeted = getattr(costs, self.band.budget.metric)
        inside = (budgeted >= self.band.budget.low) & (budgeted <= self.band.budget.high)
        return self._unseen(codes[inside & self._limits.allow(costs)])

    def draw(self, rng: np.random.Generator) -> Array:
        """A uniform unseen network, [F]. Raises `ExhaustedError` when none is left."""
        return self._first(rng, [{}])

    def listed(self, most: int) -> bool:
        """Whether the band is so small that a pool of `most` is all of it."""
        return self.band.count_is_exact and self.band.count <= most

    def pool(self, count: int, rng: np.random.Generator) -> Array:
        """Uniform unseen networks, each once, [M, F]: `count` draws, and more where few of them will do.

        Of a band no larger than that, all that are left, in random order.
        """
        if self.listed(count):
            return self._new(rng.permutation(self.band.all_codes()))
        found = self._new(self.band.sample_codes(count, rng))
        for _ in range(POOL_DRAWS - 1):
            if len(found) >= count // 2:
                break
            found = self._unseen(np.concatenate([found, self._new(self.band.sample_codes(count, rng))]))
        return found

    def towards(self, wish: Array, rng: np.random.Generator, first: Sequence[int] = ()) -> Array:
        """An unseen network that has as many of the wished outcomes as the band allows, [F].

        Outcomes are granted one by one, those of the factors `first` first, the others in random order; an
        outcome that leaves no network in the band is passed over. What is left open is drawn uniformly.
        Where draws meet only seen networks, or none within the limits, the outcomes granted last are given
        up. Raises `ExhaustedError`.
        """
        order = [*first, *(int(f) for f in rng.permutation(len(wish)) if f not in first)]
        kept = self._granted({f: [int(wish[f])] for f in order})
        factors = list(kept)
        # first under all that was granted, then without the last of it, the last two, ...
        return self._first(rng, [{f: kept[f] for f in factors[:n]} for n in range(len(kept), -1, -1)])

    def _granted(self, wishes: dict[int, list[int]]) -> dict[int, list[int]]:
        """The wishes, in their order, that together leave a network in the band."""
        items = list(wishes.items())
        # most wishes begin with many that can be granted together: a binary search finds these
        start = _last(len(items), lambda n: self.band.count_allowed(dict(items[:n])) > 0)
        granted = dict(items[:start])
        # items[start] is the one that the search found refused
        for f, outcome in items[start + 1 :]:
            if self.band.count_allowed(granted | {f: outcome}) > 0:
                granted[f] = outcome
        return granted

    def _first(self, rng: np.random.Generator, relaxations: Sequence[Allowed]) -> Array:
        """A uniform unseen network under the first restriction that has one."""
        for allowed in relaxations:
            new = self._new(self.band.sample_codes(DRAWS, rng, allowed))
            if len(new):
                return np.asarray(new[0])
        return self._search(rng)

    def _search(self, rng: np.random.Generator) -> Array:
        """When a few draws meet nothing new, look at all networks of the band, or at very many."""
        if self.band.count_is_exact and self.band.count <= ENUMERABLE:
            left = self._new(self.band.all_codes())
            if len(left):
                return np.asarray(left[int(rng.integers(len(left)))])
            raise ExhaustedError
        most = MOST_DRAWS if self.band.count_is_exact else MOST_BINNED_DRAWS
        for _ in range(most // BATCH):
            new = self._new(self.band.sample_codes(BATCH, rng))
            if len(new):
                return np.asarray(new[0])
        raise ExhaustedError

    def _new(self, codes: Array) -> Array:
        """Those of codes of the band that are within the limits and unseen, each once."""
        if self._limits.closed_form:
            codes = codes[self._limits.allow(self.space.costs(codes))]
        return self._unseen(codes)

    def _unseen(self, codes: Array) -> Array:
        # a dictionary, for it keeps the order and takes a fifth of numpy's time for rows
        unseen = {key: None for code in codes.tolist() if (key := tuple(code)) not in self._seen}
        return np.array(list(unseen), dtype=np.int64).reshape(len(unseen), codes.shape[1])


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
