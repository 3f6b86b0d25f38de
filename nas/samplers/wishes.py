"""What Optuna's samplers would try next if there were no budget: TPE, GP and NSGA-II.

As much of a wish is kept as leaves a network in the band, counted exactly; the rest is drawn uniformly among
the networks that are left.

They see a study in memory that holds results of one fidelity, as the trials stand, and nothing is written
anywhere. With two objectives, accuracy and the logarithm of the cost, they look for the front.
"""

from __future__ import annotations

import math
import warnings
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

from nas.samplers.history import Outcome
from nas.samplers.parameters import code_of, distributions, params_of
from nas.samplers.sampler import Sampler, Search
from space.columns import Array

# NSGA-II's individuals: Optuna's 50 are for thousands of trials
POPULATION = 16


class Wishing(Sampler):
    """One of Optuna's samplers, whose wishes are brought into the band."""

    seen: ClassVar[tuple[int, int]] = (64, 128)
    """The best results and the latest ones that it sees: no proposal takes longer than so many do."""

    def __init__(self, search: Search) -> None:
        super().__init__(search)
        self._space = search.space
        self._front = search.front
        self._distributions = distributions(search.space)
        self._keys: list[tuple[int, tuple[int, ...], float | None]] = []
        self._study = self._empty()

    def propose(self, rng: np.random.Generator) -> tuple[Array, dict[str, Any]]:
        """What of the wish the band allows, [F]."""
        search = self.search
        wish, memo = self.wish(search.outcomes(*self.seen), search.pending(), int(rng.integers(2**31)))
        return search.whole.towards(wish, rng), memo

    @abstractmethod
    def inner(self, seed: int) -> BaseSampler:
        """Optuna's sampler."""

    def wish(
        self, outcomes: Sequence[Outcome], pending: Sequence[Outcome], seed: int
    ) -> tuple[Array, dict[str, Any]]:
        """A code of the space, in the band or not, and what is to be remembered with it.

        A failed training stands with the lowest accuracy of the others.
        """
        with silence():
            self._update(outcomes, pending)
            inner = self.inner(seed)
            self._study.sampler = Whole(inner, self._distributions)
            trial = self._study.ask(self._distributions)
            params = dict(trial.params)
            memo = {}
            if isinstance(inner, Elitist):
                memo["generation"] = inner.generation(self._study)
            # a scratch trial: failed ones are invisible to samplers
            self._study.tell(trial, state=TrialState.FAIL)
        return code_of(self._space, params), memo

    def _update(self, outcomes: Sequence[Outcome], pending: Sequence[Outcome]) -> None:
        """Bring the study to these trials, in the order of their numbers: anew, unless some only came on."""
        lowest = min((o.accuracy for o in outcomes if not o.failed), default=0.0)
        rows: list[tuple[Outcome, float | None]] = [(outcome, None) for outcome in pending]
        rows += [(outcome, lowest if outcome.failed else outcome.accuracy) for outcome in outcomes]
        rows.sort(key=lambda row: row[0].number)
        keys = [(outcome.number, outcome.code, accuracy) for outcome, accuracy in rows]
        # scratch trials pile up in a study that only grows
        old = len(self._study.get_trials(deepcopy=False)) > 4 * len(rows) + 100
        if old or keys[: len(self._keys)] != self._keys:
            self._study, self._keys = self._empty(), []
        # nothing but new rows at the end: adding them to the study there is gives the same at less time
        self._study.add_trials([self._trial(*row) for row in rows[len(self._keys) :]])
        self._keys = keys

    def _trial(self, outcome: Outcome, accuracy: float | None) -> FrozenTrial:
        """A trial with its accuracy, or one that runs."""
        values = None
        if accuracy is not None:
            values = [accuracy, math.log(outcome.cost)] if self._front else [accuracy]
        return create_trial(
            state=TrialState.RUNNING if values is None else TrialState.COMPLETE,
            values=values,
            params=params_of(self._space, np.array(outcome.code)),
            distributions=self._distributions,
            # drawn uniformly at the start: the first generation
            user_attrs={"generation": outcome.memo.get("generation", 0)},
        )

    def _empty(self) -> Study:
        with silence():
            return optuna.create_study(directions=["maximize", "minimize"] if self._front else ["maximize"])


class Tpe(Wishing):
    """Tree-structured Parzen estimators (Bergstra et al. 2011), all parameters together."""

    def inner(self, seed: int) -> BaseSampler:
        """Networks in training count as bad ones: others are to be tried beside them."""
        liar = self.search.parallel
        # no start of Optuna's own: the search has drawn uniformly before
        return TPESampler(seed=seed, n_startup_trials=0, multivariate=True, constant_liar=liar)


class Gp(Wishing):
    """Optuna's Gaussian process."""

    seen = (50, 50)  # its time grows with their cube

    def inner(self, seed: int) -> BaseSampler:
        """Without random trials of its own: the search has drawn its start."""
        return GPSampler(seed=seed, n_startup_trials=0)


class Nsga2(Wishing):
    """NSGA-II (Deb et al. 2002)."""

    def inner(self, seed: int) -> BaseSampler:
        """As many individuals as were drawn at the start, for they are its first generation."""
        # 2: there is no crossover of fewer
        return Elitist(seed=seed, population_size=max(2, min(self.search.startup, POPULATION)))


class Whole(BaseSampler):
    """`inner`, made to propose all parameters together from the first trial on."""

    def __init__(self, inner: BaseSampler, space: dict[str, BaseDistribution]) -> None:
        self._inner = inner
        # NSGA-II takes no parameters with one value only
        self._space = {name: d for name, d in space.items() if not d.single()}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space."""
        return self._space

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The inner sampler's."""
        return self._inner.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """The inner sampler's: NSGA-II draws what mutates by itself."""
        return self._inner.sample_independent(study, trial, param_name, param_distribution)


class Elitist(NSGAIISampler):
    """NSGA-II (Deb et al. 2002) whose parents are the elite of all results of earlier generations.

    Optuna's keeps each generation's parents in the study when it begins, so late results never become any,
    and a study that is read back would choose others. A trial's generation is in its user attributes.
    """

    def generation(self, study: Study) -> int:
        """The generation under way: the latest, or the next where that has as many results as it needs."""
        known = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        generations = [trial.user_attrs["generation"] for trial in known]
        latest = max(generations, default=0)
        full = generations.count(latest) >= (self.population_size or 0)
        return int(latest + full)

    def get_trial_generation(self, study: Study, trial: FrozenTrial) -> int:  # noqa: ARG002
        """The generation of the trial that is being asked for."""
        return self.generation(study)

    def get_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """The results of this generation and of those before it."""
        known = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        return [trial for trial in known if trial.user_attrs["generation"] <= generation]

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        """The elite of the generations before; empty where there are not two to choose from."""
        population = self.get_population(study, generation - 1)
        if len(population) < 2:
            return []
        return self._elite_population_selection_strategy(study, population)


@contextmanager
def silence() -> Iterator[None]:
    """Optuna's messages about studies in memory and experimental features are not for a search's user."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
