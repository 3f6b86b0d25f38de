"""Trains networks under one proxy, one epoch at a time, and keeps each training's state between epochs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas.data import Data
from nas.data.batches import Cached, Resident
from nas.engines.job import Job
from nas.proxy.ladder import tuned
from nas.proxy.proxy import Proxy
from nas.proxy.reduced import facts
from nas.training import checkpoint
from nas.training.checkpoint import CheckpointError, fitting
from nas.training.device import choose_device, choose_precision, memory_errors_as_failures
from nas.training.form import Form, fits
from nas.training.loop import result_of, run_epoch
from nas.training.result import Epoch, Result, StepDone, TrialFailed
from nas.training.run import Run
from nas.training.state import State, start
from space.architecture import Architecture
from space.errors import InputError
from space.networks import Network, buildable

log = logging.getLogger(__name__)

# of the time of training, at most, that writing checkpoints may take where no rung asks for one
CHECKPOINT_SHARE = 0.02
# of a disk, for the first checkpoint's time; later ones are measured
BYTES_PER_SECOND = 200e6


class ProxyTraining:
    """One network's training under a proxy: the whole recipe's loop with the proxy's recipe.

    The same seed on the same device with the same number of threads gives the same bits, in one go or across
    checkpoints. The global random state is left as it was.
    """

    def __init__(
        self,
        architecture: Network,
        proxy: Proxy,
        data: Data,
        seed: int,
        device: str | None = None,
        form: Form | None = None,
    ) -> None:
        self._reduced = proxy.reduced(architecture)
        try:
            trained = facts(self._reduced, proxy.resolution, data.num_classes)
        except InputError as error:
            raise TrialFailed(str(error)) from None
        self._trained = trained if proxy.reduces else None
        self._init = proxy.init
        self._rates = proxy.rates
        self._tuned: float | None = None  # the rate that won, where there is a choice
        where = choose_device(proxy.device if device is None else device)
        recipe = proxy.recipe(self._reduced.network, data.num_classes, len(data.train))
        precision = choose_precision(recipe.precision, where)
        with memory_errors_as_failures():
            batches = Resident(data, where) if fits(data, where, form) else Cached(data)
            self._run = Run(recipe, batches, seed, where, precision, form=form)
        self._state = self._started(self._run)

    def _started(self, run: Run) -> State:
        with memory_errors_as_failures():
            return start(run, adapt=lambda network: self._reduced.adapt(network, self._init))

    @property
    def epochs(self) -> int:
        return self._run.recipe.epochs

    @property
    def curve(self) -> list[Epoch]:
        return self._state.curve

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        """Train and validate one epoch. Raises `TrialFailed`: a loss that is not finite, no memory."""
        with memory_errors_as_failures():
            if len(self._rates) > 1 and self._tuned is None:
                return self._first_epoch(on_step)
            return run_epoch(self._state, self._run, on_step)

    def _first_epoch(self, on_step: StepDone | None) -> Epoch:
        """Find the learning rate, and train the first epoch with it; what that takes is the training's."""
        found = tuned(self._run, self._started, self._rates)
        self._use(found.rate)
        self._state = state = self._started(self._run)
        point = run_epoch(state, self._run, on_step)
        state.images += found.images
        state.train_seconds += found.train_seconds
        state.eval_seconds += found.eval_seconds
        state.curve[-1] = replace(point, seconds=point.seconds + found.train_seconds + found.eval_seconds)
        return state.curve[-1]

    def _use(self, rate: float) -> None:
        self._tuned = rate
        self._run = replace(self._run, recipe=self._run.recipe.changed(optimizer={"lr": rate}))

    def result(self) -> Result:
        trained = self._trained
        if self._tuned is not None:
            trained = {**(trained or {}), "lr": self._tuned}
        return replace(result_of(self._state, self._run), trained=trained)

    def to_dict(self) -> dict[str, Any]:
        """The state, as tensors and plain values."""
        return self._state.to_dict() | ({} if self._tuned is None else {"lr": self._tuned})

    def restore(self, values: dict[str, Any]) -> None:
        """Go on from the values of `to_dict`. Raises `CheckpointError` for others; it starts afresh then."""
        try:
            self._state.restore(values)
            if len(self._rates) > 1:
                with fitting():
                    self._use(float(values["lr"]))
        except CheckpointError:
            self._state = self._started(self._run)
            raise

    def bytes_kept(self) -> int:
        """About the size of a checkpoint: weights and AdamW's two moments."""
        return 3 * sum(p.numel() * p.element_size() for p in self._state.network.parameters())


class KeptTraining:
    """A job's training, with its state in the job's checkpoint file."""

    def __init__(self, training: ProxyTraining, job: Job, identity: dict[str, Any]) -> None:
        self._training = training
        self._job = job
        self._identity = identity
        self._saved_at = time.monotonic()
        self._save_seconds = training.bytes_kept() / BYTES_PER_SECOND
        self._restore()

    @property
    def curve(self) -> list[Epoch]:
        return self._training.curve

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        """Train one epoch; its state is kept at a rung and whenever little time is lost by it."""
        point = self._training.epoch(on_step)
        due = self._save_seconds <= CHECKPOINT_SHARE * (time.monotonic() - self._saved_at)
        over = point.epoch == self._training.epochs  # nothing is left to go on with
        if self._job.checkpoint is not None and not over and (due or point.epoch == self._job.epochs):
            self._save(self._job.checkpoint)
        return point

    def result(self) -> Result:
        return self._training.result()

    def _save(self, path: Path) -> None:
        began = time.monotonic()
        try:
            checkpoint.save(path, self._identity, self._training.to_dict())
        except OSError as error:  # the training is worth more than its checkpoint
            log.warning("%s cannot be written (%s); after a crash this training starts again", path, error)
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - began

    def _restore(self) -> None:
        path = self._job.checkpoint
        try:
            kept = None if path is None else checkpoint.load(path, self._identity)
            if kept is not None and not _beyond(kept, self._job.epochs):
                self._training.restore(kept)
        except CheckpointError as error:
            log.warning("%s %s; the training starts again", path, error)


def _beyond(kept: dict[str, Any], epochs: int) -> bool:
    with fitting():
        return int(kept["epoch"]) > epochs


class ProxyTrainer:
    """Trains jobs under a proxy on a device; every host must have the data of this `fingerprint`."""

    def __init__(
        self, proxy: Proxy, device: str, fingerprint: str | None = None, data: Data | None = None
    ) -> None:
        self._proxy = proxy
        self._device = device
        self._fingerprint = data.fingerprint if data is not None else fingerprint
        self._data = data

    def __getstate__(self) -> dict[str, Any]:
        # a worker maps the host's own cache of the data set
        return self.__dict__ | {"_data": None}

    @property
    def epochs(self) -> int:
        return self._proxy.epochs

    def start(self, job: Job) -> KeptTraining:
        data = self._loaded()
        identity = {
            "architecture": job.architecture.fingerprint,
            "proxy": self._proxy.fingerprint(data),
            "seed": job.seed,
        }
        training = ProxyTraining(buildable(job.architecture), self._proxy, data, job.seed, self._device)
        return KeptTraining(training, job, identity)

    def latency(self, architecture: Architecture) -> float:
        from nas.training.latency import latency_here

        return latency_here(architecture, self._device)

    def _loaded(self) -> Data:
        if self._data is None:
            data = self._proxy.load_data()
            if self._fingerprint not in (None, data.fingerprint):
                raise TrialFailed(f"data {self._proxy.data}: differs on this host from the study's")
            self._data = data
        return self._data


def train(
    architecture: Network,
    proxy: Proxy,
    data: Data,
    seed: int,
    *,
    device: str | None = None,
    on_epoch: Callable[[Epoch], None] | None = None,
) -> Result:
    """One training to full fidelity. Raises `TrialFailed`."""
    training = ProxyTraining(architecture, proxy, data, seed, device)
    while len(training.curve) < proxy.epochs:
        point = training.epoch()
        if on_epoch is not None:
            on_epoch(point)
    return training.result()
