"""What comes next: only feasible, unseen networks ever become trials.

`evolution` and `surrogate` (`nas/samplers/`) look inside the band by themselves. Optuna's samplers know
nothing of the budget: `InBandSampler` asks one for its wish and keeps as many of the wished choices as leave
at least one network in the band, then draws the rest uniformly among the networks that are left.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from nas.samplers.encoding import Encoder
from nas.samplers.evolution import evolve
from nas.samplers.feasible import ExhaustedError, Feasible
from nas.samplers.history import History
from nas.samplers.surrogate import MOST_STARTUP, improve
from space.architecture import Architecture
from space.axes import Variable
from space.band import BandSampler
from space.columns import Array
from space.cost import cost
from space.design_space import DesignSpace
from space.errors import InputError

__all__ = ["SAMPLERS", "ExhaustedError", "InBandSampler", "Proposal", "Proposer"]

SAMPLERS = ("tpe", "gp", "random", "evolution", "surrogate")


@dataclass(frozen=True)
class Proposal:
    """A network to train, as an open Optuna trial."""

    trial: optuna.Trial
    architecture: Architecture
    role: str
    name: str | None


class Proposer:
    """Asks Optuna for unseen networks of a band, queued ones (references, interrupted trials) first."""

    def __init__(self, study: Study, band: BandSampler, sampler: str, seed: int, startup: int) -> None:
        self._study = study
        self._space = band.space
        self._band = band
        self._distributions = distributions(band.space)
        self._seen: set[tuple[int, ...]] = set()
        for trial in study.get_trials(deepcopy=False):
            if "architecture" in trial.user_attrs and not trial.user_attrs.get("interrupted"):
                self._note(Architecture.from_dict(trial.user_attrs["architecture"]))
        study.sampler = InBandSampler(band, sampler, seed, startup, self._seen)

    def enqueue_reference(self, name: str, architecture: Architecture) -> None:
        """Queue a network to compare with; it need not be in the space."""
        code = self._space.locate(architecture)
        params = {} if code is None else params_of(self._space, code)
        attributes = {"role": "reference", "name": name, "architecture": architecture.to_dict()}
        self._study.enqueue_trial(params, user_attrs=attributes)
        self._note(architecture)

    def next(self) -> Proposal | None:
        """The next network, or None when every network of the band has been tried."""
        queued = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        if not queued and self._band.count_is_exact and len(self._seen) >= self._band.count:
            return None
        outside = bool(queued) and not queued[0].system_attrs.get("fixed_params")
        trial = self._study.ask() if outside else self._study.ask(self._distributions)
        known = trial.user_attrs.get("architecture")
        if known is not None:
            architecture = Architecture.from_dict(known)
        else:
            architecture = self._space.build(code_of(self._space, trial.params))
        self._note(architecture)
        role, name = trial.user_attrs.get("role", "candidate"), trial.user_attrs.get("name")
        return Proposal(trial, architecture, role, name)

    def _note(self, architecture: Architecture) -> None:
        """Remember a network; only those of the band count towards its being exhausted."""
        code = self._space.locate(architecture)
        budget = self._band.budget
        if code is not None and budget.allows(int(getattr(cost(architecture), budget.metric))):
            self._seen.add(tuple(int(k) for k in code))


def distributions(space: DesignSpace) -> dict[str, BaseDistribution]:
    """Optuna's view of a space: evenly spaced integers as such, everything else as choices."""
    return {variable.name: _distribution(variable) for variable in space.variables}


def params_of(space: DesignSpace, code: Array) -> dict[str, Any]:
    """Optuna parameters of a code."""
    choices = space.choices(code)
    return {v.name: _labels(v)[choices[v.name]] for v in space.variables}


def code_of(space: DesignSpace, params: Mapping[str, Any]) -> Array:
    """The code of Optuna parameters."""
    return space.code({v.name: _labels(v).index(params[v.name]) for v in space.variables})


def _labels(variable: Variable) -> tuple[Any, ...]:
    """A variable's values as Optuna stores them."""
    return tuple(v if v is None or isinstance(v, int | float | str) else str(v) for v in variable.values)


def _distribution(variable: Variable) -> BaseDistribution:
    labels = _labels(variable)
    integers = [v for v in labels if type(v) is int]
    steps = set(np.diff(integers)) if len(integers) == len(labels) > 1 else set()
    if len(steps) == 1 and min(steps) > 0:
        return IntDistribution(integers[0], integers[-1], step=int(steps.pop()))
    return CategoricalDistribution(labels)


class InBandSampler(BaseSampler):
    """An Optuna sampler whose every proposal lies in `band` and is not in `seen` (codes as tuples).

    `sampler` is random (uniform in the band), tpe, gp, evolution or surrogate; all but the first are random
    until there are `startup` results. A proposal's randomness follows from the seed and the number of results
    before it, so a resumed study goes on as it would have.
    """

    def __init__(
        self, band: BandSampler, sampler: str, seed: int, startup: int, seen: Container[tuple[int, ...]]
    ) -> None:
        if sampler not in SAMPLERS:
            raise InputError(f"sampler: {sampler!r} is none of {', '.join(SAMPLERS)}")
        self._space = band.space
        self._feasible = Feasible(band, seen)
        self._encoder = Encoder(band.space)
        self._sampler = sampler
        self._seed = seed
        self._startup = min(startup, MOST_STARTUP) if sampler == "surrogate" else startup
        self._distributions = distributions(band.space)

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """The whole space: all variables are proposed together."""
        return self._distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Parameters of one unseen network in the band. Raises `ExhaustedError` when none is left."""
        over = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.FAIL))
        index = sum(not t.user_attrs.get("interrupted") for t in over)
        rng = np.random.default_rng([self._seed, index])
        complete = sum(t.state is TrialState.COMPLETE for t in over)
        if self._sampler == "random" or complete < self._startup:
            code = self._feasible.draw(rng)
        elif self._sampler == "evolution":
            code = evolve(self._history(over), self._feasible, rng)
        elif self._sampler == "surrogate":
            code = improve(self._history(over), self._feasible, self._encoder, rng)
        else:
            wish = self._wish(study, trial, search_space, int(rng.integers(2**31)))
            code = self._feasible.towards(code_of(self._space, wish), rng)
        return params_of(self._space, code)

    def _history(self, over: Sequence[FrozenTrial]) -> History:
        """The results at full fidelity of networks of the space, and the failures among them."""
        known = [
            t
            for t in over
            if t.params.keys() == self._distributions.keys()
            and t.user_attrs.get("full_fidelity", True)
            and not t.user_attrs.get("interrupted")
        ]
        values = np.array([math.nan if t.value is None else t.value for t in known])
        if np.isnan(values).all():
            known, values = [], values[:0]
        lowest = np.nanmin(values, initial=np.inf)
        codes = np.array([code_of(self._space, t.params) for t in known], dtype=np.int64)
        codes = codes.reshape(len(known), len(self._space.factors))
        return History(codes, np.where(np.isnan(values), lowest, values))

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,
        param_distribution: BaseDistribution,  # noqa: ARG002
    ) -> Any:
        """Never needed: every variable is in the relative search space."""
        raise InputError(f"study: parameter {param_name!r} is not of the space {self._space.name}")

    def _wish(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution], seed: int
    ) -> dict[str, Any]:
        """What the inner sampler would try if there were no budget."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            inner: BaseSampler
            if self._sampler == "gp":
                inner = GPSampler(seed=seed, n_startup_trials=0)
            else:
                inner = TPESampler(seed=seed, n_startup_trials=0, multivariate=True)
            inner.before_trial(study, trial)
            return inner.sample_relative(study, trial, search_space)
