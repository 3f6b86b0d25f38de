"""A user's own function in place of the proxy's training: a network and its budget -> a value.

Such a study is known by the function's name, as others are by their proxy's fingerprint: whoever changes what
the function computes gives it another name.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nas.proxy import OBJECTIVE
from nas.training.result import Epoch, TrialFailed, UnexpectedFailure, described
from nas.training.told import Told
from space.errors import InputError, quoted
from space.networks import buildable

if TYPE_CHECKING:
    from nas.engines.job import Job
    from space.architecture import Architecture
    from space.budget import Budget
    from space.networks import Network

Objective = Callable[..., Any]
"""`objective(network, budget)`, or with a `seed` besides: from 0 to 1, larger is better."""

_known: dict[str, Objective] = {}


@contextmanager
def offered(objective: Objective) -> Iterator[str]:
    """While it lasts a search may name the function as its proxy; the name. Raises `InputError`."""
    name = f"{OBJECTIVE}{name_of(objective)}"
    _known[name] = objective
    try:
        yield name
    finally:
        del _known[name]


def name_of(objective: Objective) -> str:
    """What a study calls the function. Raises `InputError` where it has no name to tell it apart by."""
    name = getattr(objective, "__name__", type(objective).__name__)
    if not name.isidentifier():
        raise InputError(f"objective {quoted(name)}: the study is known by the function's name; use def")
    return str(name)


def known(name: str) -> Objective:
    """The function that is offered under this name. Raises `InputError`."""
    if name not in _known:
        own = name.removeprefix(OBJECTIVE) or "NAME"
        raise InputError(
            f"proxy {quoted(name)}: is a function of Python; search or go on with it by "
            f"nas.search(..., objective={own})"
        )
    return _known[name]


def takes_seed(objective: Objective) -> bool:
    """Whether it wants to know the seed, without which several trainings of a network are one."""
    try:
        return "seed" in inspect.signature(objective).parameters
    except (TypeError, ValueError):  # of a function written in C
        return False


class ObjectiveTrainer:
    """Calls the function once a network; `budgets` are the search's."""

    epochs = 1

    def __init__(self, objective: Objective, budgets: Sequence[Budget], device: str) -> None:
        self._objective = objective
        self._budgets = tuple(budgets)
        self._device = device

    def start(self, job: Job) -> ObjectiveTraining:
        return ObjectiveTraining(self, job)

    def value(self, network: Network, seed: int) -> float:
        """What the function gives. Raises `TrialFailed` where that is no number from 0 to 1."""
        more = {"seed": seed} if takes_seed(self._objective) else {}
        try:
            with contextlib.chdir("."):  # the study's folder is where it was, wherever the function goes
                given = self._objective(network, self.budget(network), **more)
        except (Exception, KeyboardInterrupt):
            raise
        except BaseException as error:  # SystemExit of a command that it calls, asyncio's CancelledError
            raise UnexpectedFailure(described(error)) from None
        try:
            value = float(given)
        except (TypeError, ValueError):
            value = math.nan
        if not 0 <= value <= 1:
            raise TrialFailed(f"the objective gave {quoted(given)}, not a number from 0 to 1")
        return value

    def budget(self, network: Network) -> Budget:
        """The budget that a network was proposed for; of a reference beside them all, the nearest."""
        from space.networks import cost_of

        total = cost_of(network)

        def distance(budget: Budget) -> float:
            cost: int = getattr(total, budget.metric)
            return max(budget.low / cost, cost / budget.high, 1.0)

        return min(self._budgets, key=distance)

    def latency(self, architecture: Architecture) -> float:
        from nas.training.latency import latency_here

        return latency_here(architecture, self._device)


class ObjectiveTraining(Told):
    """One call; there is nothing to go on with after a crash."""

    by = "objective"

    def __init__(self, trainer: ObjectiveTrainer, job: Job) -> None:
        super().__init__(job)
        self._trainer = trainer

    def point(self, epoch: int) -> Epoch:
        """The one call."""
        began = time.monotonic()
        value = self._trainer.value(buildable(self._job.architecture), self._job.seed)
        # a record has losses, and this is the nearest to one
        return Epoch(epoch, 1 - value, 1 - value, value, time.monotonic() - began)
