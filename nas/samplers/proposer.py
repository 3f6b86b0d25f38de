"""What comes next: only feasible, unseen networks ever become trials.

A search starts with uniform draws; then one of the samplers (`nas/samplers/registry.py`) chooses.

A proposer is told what becomes of trials, and keeps nothing else: told the same again, it proposes the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution

from nas.samplers.band import Band
from nas.samplers.feasible import ExhaustedError, Feasible
from nas.samplers.history import Outcome
from nas.samplers.limits import Limits, TooSlowError, milliseconds
from nas.samplers.parameters import code_of, distributions, params_of
from nas.samplers.registry import SAMPLERS
from nas.samplers.sampler import Sampler, Search
from nas.samplers.strata import STRATA, Strata
from nas.samplers.trials import Trials
from nas.samplers.uniform import Uniform
from nas.training.result import TrialFailed
from space.columns import Array
from space.errors import InputError, quoted
from space.networks import Recorded, convnet, cost_of

__all__ = ["SAMPLERS", "Proposal", "Proposer", "code_of", "distributions", "params_of"]

# networks in a row that may be too slow before a search ends; all but the first few are drawn uniformly, for
# a sampler may want nothing but slow ones
PATIENCE, INSISTENCE = 200, 10


@dataclass(frozen=True)
class Proposal:
    """A network to train.

    `params` are its choices as Optuna stores them; `memo` holds JSON values to be stored with the trial and
    given back to `started` when the study is read again.
    """

    architecture: Recorded
    params: dict[str, Any]
    memo: dict[str, Any] = field(default_factory=dict)


class NoProposer:
    """Of a study that only measures given networks: it proposes none."""

    @property
    def distributions(self) -> Mapping[str, BaseDistribution]:
        """No parameters."""
        return {}

    def params(self, network: Recorded) -> dict[str, Any] | None:
        """No parameters."""

    def started(self, number: int, network: Recorded, memo: Mapping[str, Any] | None = None) -> None:
        """Nothing is learnt."""

    def reported(self, number: int, accuracies: Sequence[float]) -> None:
        """Nothing is learnt."""

    def failed(self, number: int) -> None:
        """Nothing is learnt."""

    def next(self, number: int) -> Proposal | None:
        """None: every network is a given one."""
        del number
        return None


class Proposer:
    """Proposes unseen networks of a band, by one of `SAMPLERS`.

    Until `startup` networks have reached one of `levels` (epochs, rising; by default `epochs` alone, full
    fidelity) networks are drawn uniformly; then a sampler learns from the highest such level. With `front`
    the band is a range whose whole front is sought: draws are uniform in strata of log cost. `parallel`
    tells that several trials run at once. Raises `InputError`: an unknown sampler, limits that nothing meets.
    """

    def __init__(
        self,
        band: Band,
        sampler: str,
        seed: int,
        startup: int,
        *,
        epochs: int = 1,
        levels: Sequence[int] = (),
        front: bool = False,
        limits: Limits | None = None,
        parallel: bool = False,
    ) -> None:
        if sampler not in SAMPLERS:
            raise InputError(f"sampler: {quoted(sampler)} is none of {', '.join(SAMPLERS)}")
        self.distributions: dict[str, BaseDistribution] = distributions(band.space)
        self._band = band
        self._space = band.space
        self._seed = seed
        self._limits = limits or Limits()
        if self._limits.max_latency is not None and self._limits.latency is None:
            raise ValueError("a limit of latency needs a way to measure it")
        self._seen: set[tuple[int, ...]] = set()
        make: type[Sampler] = SAMPLERS[sampler].load()
        if make.most_startup is not None:
            startup = min(startup, make.most_startup * (2 if front else 1))
        self._search = Search(
            Feasible(band, self._seen, self._limits),
            Strata(band, STRATA if front else 1, self._seen, self._limits, seed),
            Trials(tuple(levels) or (epochs,), startup),
            startup,
            front=front,
            parallel=parallel,
        )
        self._uniform, self._sampler = Uniform(self._search), make(self._search)
        self._fastest = np.inf
        self._fast_enough = False

    def params(self, network: Recorded) -> dict[str, Any] | None:
        """A network's choices as Optuna stores them; None where it is not of the space."""
        code = self._located(network)
        return None if code is None else params_of(self._space, code)

    def started(
        self,
        number: int,
        network: Recorded,
        memo: Mapping[str, Any] | None = None,
    ) -> None:
        """A trial of the study exists: its network is never proposed again.

        A sampler learns from it if it is of the space and lies in the band.
        """
        memo = memo or {}
        self._search.begun.add(number)
        # set aside in the place of this trial: they are in its memo, from which a resumed study has them too
        self._search.slow.clear()
        for code in memo.get("slow", ()):
            self._search.set_aside.setdefault(number, []).append(self._too_slow(number, np.array(code)))
        code = self._located(network)
        if code is None:
            return
        key = tuple(int(k) for k in code)
        self._seen.add(key)
        costs = cost_of(network)
        spent = int(getattr(costs, self._band.budget.metric))
        if self._band.budget.allows(spent) and self._limits.allow(costs):
            self._fast_enough = True
            self._search.trials.start(number, key, spent, self._search.strata.of(spent), memo)

    def reported(self, number: int, accuracies: Sequence[float]) -> None:
        """The trial's accuracies after epochs 1, 2, ...: all so far, when it reaches a level or ends."""
        self._search.trials.report(number, accuracies)

    def failed(self, number: int) -> None:
        """The trial gave no result."""
        self._search.trials.fail(number)

    def next(self, number: int) -> Proposal | None:
        """A network for trial `number`, or None when every network of the band has been tried.

        Its randomness follows from the seed, the number and what is known of other trials. Raises
        `TooSlowError` where `PATIENCE` networks in a row are slower than the limit, `InputError` where none
        ever was fast enough.
        """
        # by the number, not one generator for the whole search: a resumed study goes on with the same draws
        rng, slow = np.random.default_rng([self._seed, number]), self._search.slow
        for attempt in range(PATIENCE):
            try:
                code, memo = self._propose(rng, uniform=attempt >= INSISTENCE)
            except ExhaustedError:
                self._check_speed("every other network has been tried")
                return None
            architecture = self._space.build(code)
            if self._is_fast(architecture):
                self._fast_enough = True
                memo |= {"slow": [list(o.code) for o in slow]} if slow else {}
                return Proposal(architecture, params_of(self._space, code), memo)
            slow.append(self._too_slow(number, code))
        self._check_speed(f"{PATIENCE} networks looked at")
        raise TooSlowError(f"{PATIENCE} networks in a row were slower than {self._slowest()}")

    def _located(self, network: Recorded) -> Array | None:
        return self._space.locate(network)

    def _propose(self, rng: np.random.Generator, *, uniform: bool) -> tuple[Array, dict[str, Any]]:
        """A code and its memo. Raises `ExhaustedError`."""
        early = self._search.trials.level is None
        return (self._uniform if uniform or early else self._sampler).propose(rng)

    def _too_slow(self, number: int, code: Array) -> Outcome:
        """A network set aside, never to be proposed."""
        key = tuple(int(k) for k in code)
        self._seen.add(key)
        costs = self._space.costs(code[None])
        return Outcome(number, key, int(getattr(costs, self._band.budget.metric)[0]), math.nan, {})

    def _is_fast(self, network: Recorded) -> bool:
        """Whether the network is within the limit of latency; one that cannot be run is not."""
        if self._limits.max_latency is None or self._limits.latency is None:
            return True
        try:
            seconds = self._limits.latency(convnet(network, "--max-latency"))
        except TrialFailed:
            return False
        self._fastest = min(self._fastest, seconds)
        return seconds <= self._limits.max_latency

    def _check_speed(self, looked: str) -> None:
        """Refuse a limit that no network has met so far."""
        if self._search.slow and not self._fast_enough:
            raise InputError(f"--max-latency: no network is within {self._slowest()}; {looked}")

    def _slowest(self) -> str:
        seen = (
            "none could be run"
            if np.isinf(self._fastest)
            else f"the fastest took {milliseconds(self._fastest)}"
        )
        return f"{milliseconds(self._limits.max_latency or 0)} ({seen})"
