"""What one training and the whole will take on this machine, told before it starts.

A few steps of the first network are trained and thrown away: two seconds, or a hundredth of the whole.
Nothing of a study follows from it; what a training really takes is measured as soon as there is one.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.engines.job import Job
from nas.engines.local import LocalEngine
from nas.plan.measurement import Measurement
from nas.plan.plan import Plan, trained_share
from nas.training.cpu.memory import give_back
from nas.training.result import TrialFailed, outcomes
from space.networks import brief, cost_of
from space.words import duration, plural

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from nas.engines.engine import Engine
    from nas.engines.job import Trainer
    from nas.record.trial import Trial
    from space.networks import Recorded

# what the look may take: so many seconds, or this share of the whole
SECONDS, SHARE = 1.8, 0.01
MOST_STEPS = 6  # that are timed, after the first, which is slow: chosen, not measured
# an image of the validation takes this part of one that is trained: the forward pass of three
FORWARD = 1 / 3
DRAWS = 100  # of a band, for the mean cost of its networks


@dataclass(frozen=True)
class Forecast:
    """Seconds of one training and of all, by so many steps of the network of this name."""

    one: float
    whole: float
    trainings: int
    network: str
    steps: int

    def line(self, limit: float | None) -> str:
        """For people; with a time limit also how much of it all that has room for."""
        looked = f"{plural(self.steps, 'step')} of {self.network}"
        about = f"about {duration(self.one)} a training here ({looked})"
        if limit is None or self.whole <= limit:
            return f"{about}: {duration(self.whole)} for {plural(self.trainings, 'training')}"
        fit = int(self.trainings * limit / self.whole)
        if fit < 1:
            return f"{about}, more than --time-limit {duration(limit)}: one is trained all the same"
        room = f"--time-limit {duration(limit)} has room for about {fit} of {self.trainings}"
        return f"{about}: {room}, the rest is skipped"


def foretold(plan: Plan | Measurement, engine: Engine, trials: Sequence[Trial], console: Console) -> str:
    """What it all will take, in a line; "" where trainings have told, or run elsewhere."""
    if not isinstance(engine, LocalEngine) or any(trial.fidelity for trial in trials):
        return ""
    with console.status("seeing how long a training takes…"):
        found = forecast(plan)
    return "" if found is None else found.line(plan.time_limit)


def forecast(plan: Plan | Measurement) -> Forecast | None:
    """By a few steps on this machine; None where nothing is trained here, or those steps fail."""
    if plan.judge.probe is None:
        return None
    name, network = _first(plan)
    with suppress(TrialFailed):  # the training itself will tell
        one, steps = measured(plan.judge.probe, network, plan)
        macs = cost_of(network).macs
        return Forecast(one, one * _work(plan) / macs, plan.trainings, name or brief(network), steps)
    give_back()
    return None


def measured(trainer: Trainer, network: Recorded, plan: Plan | Measurement) -> tuple[float, int]:
    """Seconds of a whole training, and of how many steps that is told. Raises `TrialFailed`."""
    judge, clock = plan.judge, _Clock(plan.judge.passes * plan.trainings)
    with outcomes():
        training = trainer.start(Job(-1, network, plan.settings.seed, judge.epochs))
        clock.begin()
        with suppress(_Enough):
            training.epoch(clock.step)
    # what is trained, and the images that are only looked at
    looks = 1 + FORWARD * judge.facts["val_size"] / judge.facts["train_size"]
    return judge.passes * clock.steps * clock.each * looks, clock.counted


class _Enough(Exception):  # noqa: N818 - the end of a look, no error
    """The training has been seen for long enough."""


class _Clock:
    """Steps by the clock, for so many passes; the first one, which prepares much, counts only by itself."""

    def __init__(self, passes: int) -> None:
        self._passes = passes
        self._began = self._last = time.perf_counter()
        self._first = 0.0
        self.steps = 0  # of an epoch
        self.counted = 0
        self.each = 0.0  # seconds

    def begin(self) -> None:
        """The network is made: the first step begins."""
        self._last = time.perf_counter()

    def step(self, done: int, steps: int, loss: float) -> None:
        """Called after every step. Raises `_Enough`."""
        del loss
        _wait()
        now = time.perf_counter()
        if done == 1:
            self.steps, self.counted, self.each, self._first = steps, 1, now - self._last, now
        else:
            self.counted, self.each = done - 1, (now - self._first) / (done - 1)
        left = max(SECONDS, SHARE * self._passes * steps * self.each) - (now - self._began)
        if left < self.each or self.counted >= MOST_STEPS or done == steps:
            raise _Enough


def _wait() -> None:
    """A GPU works behind the loop."""
    import torch

    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()


def _first(plan: Plan | Measurement) -> tuple[str | None, Recorded]:
    """What is trained first, or, where there is no reference, a network of the band."""
    known = plan.networks if isinstance(plan, Measurement) else plan.effort.compared(0)
    if known:
        return known[0].name, known[0].network
    assert isinstance(plan, Plan)
    band = plan.bands[0]
    return None, band.space.build(band.sample_codes(1, np.random.default_rng(0))[0])


def _work(plan: Plan | Measurement) -> float:
    """Multiply-accumulates of an image in all trainings together: what they take goes by these, about."""
    if isinstance(plan, Measurement):
        return plan.settings.seeds * float(sum(cost_of(one.network).macs for one in plan.networks))
    effort, work = plan.effort, 0.0
    count, seeds = effort.confirm
    share = trained_share(effort.scheduler["levels"], plan.settings.eta)
    for i, band in enumerate(plan.bands):
        codes = band.sample_codes(DRAWS, np.random.default_rng(0))
        mean = float(np.mean(band.space.costs(codes).macs))
        references = effort.compared(i)
        published = float(sum(cost_of(one.network).macs for one in references))
        work += published + share * mean * (effort.shares[i] - len(references))
        if count:
            work += seeds * (count * mean + published)
    return work
