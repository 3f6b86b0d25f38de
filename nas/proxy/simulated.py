"""A simulated trainer: documented accuracy laws in place of training, so that a search is judged in seconds.

A law gives each network a *true* accuracy at full fidelity,

    A = CHANCE + (TOP - CHANCE) * exp(-penalty),      penalty = 0 where nothing could be better,

a learning curve that ends at A after E epochs,

    a(e) = CHANCE + (A - CHANCE) * (1 - exp(-e / (E tau))) / (1 - exp(-1 / tau)),

and what a training with one seed measures: a(e) + noise * (0.8 z + 0.6 z_e), where z is drawn once for
(law, fingerprint, seed) and z_e once an epoch, both standard normal: at every epoch the deviation is `noise`.
tau is 0.35 unless the law says otherwise; where it depends on the network, curves cross.

In the penalties stage s has position p = s / (S - 1) in [0, 1], depth d, width w, kernel size k, expansion e;
D is the sum of the depths, w1 the first width, and

    shape(r) = log2(D / (r w1))^2,   large r: deep and narrow (ConvNeXt-T, L: D / w1 = 0.19, S: 0.38).

Means are over the stages. No law describes real networks; each is one way in which a search can have it hard.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nas.training.result import Epoch, StepDone
from nas.training.told import Told
from space.architecture import ACTIVATIONS, NORMS, Architecture
from space.columns import Array, Columns, columns_of
from space.cost import cost
from space.errors import InputError
from space.files import write_text
from space.networks import convnet

if TYPE_CHECKING:
    from nas.engines.job import Job

log = logging.getLogger(__name__)

CHANCE, TOP = 0.1, 0.75
EPOCHS = 9  # rungs after 1, 3 and 9
# of one training's accuracy; about what the cpu proxy shows (studies/proxy)
NOISE = 0.015
TAU = 0.35  # two thirds of what is learnt comes in the first third of the epochs; chosen, not measured
# simulated seconds of an epoch, for every 1e9 multiply-accumulates
SECONDS_PER_GMAC = 1.0
IMAGES = 1000  # of a simulated epoch
LATENCY, LATENCY_PER_GMAC = 1e-3, 4e-3  # seconds of a forward pass


@dataclass(frozen=True)
class Traits:
    """What laws look at, for N networks: stage fields of shape [N, S], network fields of shape [N]."""

    depth: Array
    width: Array
    kernel_size: Array
    expansion: Array
    norm: Array
    activation: Array

    @property
    def position(self) -> Array:
        """Of the stages: 0 for the first, 1 for the last; [S]."""
        stages = self.depth.shape[1]
        return np.asarray(np.arange(stages) / max(stages - 1, 1))

    def shape(self, ratio: float) -> Array:
        """Squared octaves between D / w1 and `ratio`, [N]."""
        octaves = np.log2(self.depth.sum(axis=1) / self.width[:, 0] / ratio)
        return np.asarray(octaves**2)

    def hashed(self, salt: str, *columns: Array) -> Array:
        """Standard normal numbers fixed by the salt and the columns' values, [N]."""
        state = np.full(len(self.norm), _digest(salt), dtype=np.uint64)
        for column in columns:
            state = _mixed(state ^ np.asarray(np.rint(column * 64), dtype=np.int64).astype(np.uint64))
        # Box and Muller 1958, from two uniform numbers of 53 bits, as many as a double holds; never log(0)
        low = (_mixed(state) >> np.uint64(11)) / 2.0**53
        high = ((state >> np.uint64(11)) + 0.5) / 2.0**53
        return np.asarray(np.sqrt(-2 * np.log(high)) * np.cos(2 * np.pi * low))


def _same_for_all(t: Traits) -> Array:
    return np.full(len(t.norm), TAU)


@dataclass(frozen=True)
class SimulatedLaw:
    """`penalty` of networks, [N]; `tau` of their learning curves, [N] or one for all."""

    name: str
    about: str
    penalty: Callable[[Traits], Array]
    tau: Callable[[Traits], Array] = _same_for_all

    def accuracy(self, traits: Traits) -> Array:
        """True accuracies at full fidelity, [N]."""
        return np.asarray(CHANCE + (TOP - CHANCE) * np.exp(-self.penalty(traits)))

    def of(self, architecture: Architecture) -> float:
        """The true accuracy of one network."""
        return float(self.accuracy(traits_of([architecture]))[0])


def _separable(t: Traits) -> Array:
    """0.33 mean(((k - k*) / 8)^2 + 0.5 log2(e / e*)^2) + 0.02 shape(0.3) + norm + activation.

    The optimum moves with the stage: k* = 11 - 6 p, e* = 2 * 3^p.
    """
    kernels = ((t.kernel_size - (11 - 6 * t.position)) / 8) ** 2
    expansions = np.log2(t.expansion / (2 * 3**t.position)) ** 2
    norm = np.array([0.03, 0.01, 0.02, 0.0])[t.norm]
    activation = np.array([0.02, 0.01, 0.0, 0.015])[t.activation]
    every = np.asarray(0.33 * (kernels + 0.5 * expansions).mean(axis=1))
    return np.asarray(every + 0.02 * t.shape(0.3) + norm + activation)


def _interacting(t: Traits) -> Array:
    """0.5 mean(((k - k*) / 8)^2) + 0.1 mean(log2(e / e*)^2) + 0.3 mean(((k - k_next) / 8)^2)
    + 0.02 shape(0.19) + norm.

    k* = 5 + 2 log2(256 / w) in [3, 11]: wide stages want small kernels; e* = 6 / sqrt(d) in [2, 6]: deep
    stages want small expansions; neighbouring kernels want to be alike, although k* moves. BatchNorm costs
    0.06 log2(D / 12) where D > 12, every other norm 0.06 log2(12 / D) where D < 12, and 0.02 more with ReLU.
    """
    wanted = np.clip(5 + 2 * np.log2(256 / t.width), 3, 11)
    expansion = np.clip(6 / np.sqrt(t.depth), 2, 6)
    kernels = (((t.kernel_size - wanted) / 8) ** 2).mean(axis=1)
    expansions = (np.log2(t.expansion / expansion) ** 2).mean(axis=1)
    jumps = (np.diff(t.kernel_size, axis=1, append=t.kernel_size[:, -1:]) / 8) ** 2
    octaves = np.log2(t.depth.sum(axis=1) / 12)
    batch, relu = t.norm == NORMS.index("batch"), t.activation == ACTIVATIONS.index("relu")
    norm = 0.06 * np.maximum(np.where(batch, octaves, -octaves), 0) + 0.02 * (~batch & relu)
    return np.asarray(
        0.5 * kernels + 0.1 * expansions + 0.3 * jumps.mean(axis=1) + 0.02 * t.shape(0.19) + norm
    )


def _rugged(t: Traits) -> Array:
    """Half the separable penalty, 0.05 |mean of z(k, e, k_next)| sqrt(S) and 0.025 |z(network)|.

    z are standard normal, fixed by what stands in brackets (and the stage): an NK landscape (Kauffman 1993,
    chapter 2) of overlapping neighbours, and a part that no model can foresee.
    """
    after = np.concatenate([t.kernel_size[:, 1:], t.kernel_size[:, :1]], axis=1)
    stages = [
        t.hashed(f"stage {s}", t.kernel_size[:, s], t.expansion[:, s], after[:, s])
        for s in range(t.depth.shape[1])
    ]
    fields = [*t.depth.T, *t.width.T, *t.kernel_size.T, *t.expansion.T, t.norm, t.activation]
    overlapping = np.abs(np.sum(stages, axis=0)) / math.sqrt(len(stages))
    return np.asarray(0.5 * _separable(t) + 0.05 * overlapping + 0.025 * np.abs(t.hashed("network", *fields)))


# rows: NORMS; columns: ACTIVATIONS
TABLE = np.array(
    [
        [0.02, 0.12, 0.14, 0.10],
        [0.16, 0.05, 0.08, 0.13],
        [0.12, 0.10, 0.00, 0.11],
        [0.18, 0.09, 0.06, 0.15],
    ]
)


def _norm_and_activation(t: Traits) -> Array:
    """A table of norm and activation from 0 to 0.18 with two separate good pairs, and 0.25 separable."""
    return np.asarray(TABLE[t.norm, t.activation] + 0.25 * _separable(t))


def _published(t: Traits) -> Array:
    """0.6 q / (4 + q), q = mean(((k - k*) / 4)^2 + log2(e / 4)^2) + ratio + shape(0.19) / 2 + others.

    ConvNeXt is near the best: k* = 7, but 9 in the last stage; ratio is the mean squared octaves between the
    depths and 1:1:3:1 (the 3 is the last stage but one); others: 0.3 unless LayerNorm, 0.3 unless GELU.
    """
    wanted = np.where(t.position == 1, 9, 7)
    ratio = np.ones(t.depth.shape[1])
    ratio[-2:-1] = 3
    relative = np.log2(t.depth / ratio)
    uneven = ((relative - relative.mean(axis=1, keepdims=True)) ** 2).mean(axis=1)
    blocks = (((t.kernel_size - wanted) / 4) ** 2 + np.log2(t.expansion / 4) ** 2).mean(axis=1)
    others = 0.3 * (t.norm != NORMS.index("layer")) + 0.3 * (t.activation != ACTIVATIONS.index("gelu"))
    q = blocks + uneven + t.shape(0.19) / 2 + others
    return np.asarray(0.6 * q / (4 + q))


def _large_kernels_are_slow(t: Traits) -> Array:
    """tau from 0.15 (all kernels 3) to 0.9 (all 11)."""
    return np.asarray(0.15 * 6.0 ** np.clip((t.kernel_size.mean(axis=1) - 3) / 8, 0, 1))


def _deep_is_slow(t: Traits) -> Array:
    """tau from 0.15 (D = 4 or less) to 0.9 (D = 36 or more)."""
    octaves = np.log2(t.depth.sum(axis=1) / 4) / math.log2(9)
    return np.asarray(0.15 * 6.0 ** np.clip(octaves, 0, 1))


LAWS = {
    law.name: law
    for law in (
        SimulatedLaw(
            "separable", "stages apart from each other, the optimum moves with the stage", _separable
        ),
        SimulatedLaw(
            "interacting",
            "kernel, width, depth and norm depend on each other; large kernels learn slowly",
            _interacting,
            _large_kernels_are_slow,
        ),
        SimulatedLaw(
            "rugged", "no model foresees all of it; deep networks learn slowly", _rugged, _deep_is_slow
        ),
        SimulatedLaw(
            "norm_activation", "norm and activation decide, with two good pairs", _norm_and_activation
        ),
        SimulatedLaw(
            "published", "ConvNeXt is near the best; deep networks learn slowly", _published, _deep_is_slow
        ),
    )
}


class SimulatedTrainer:
    """Trains jobs under a law in place of a proxy: a `nas.engines.job.Trainer`.

    Results follow from law, network (its fingerprint), seed, `epochs` and `noise` alone; so do their times.
    An epoch sleeps for `seconds`, so that a test can interrupt it.
    """

    def __init__(
        self, law: SimulatedLaw, epochs: int = EPOCHS, noise: float = NOISE, seconds: float = 0.0
    ) -> None:
        self.law = law
        self.epochs = epochs
        self.noise = noise
        self.seconds = seconds

    def start(self, job: Job) -> SimulatedTraining:
        return SimulatedTraining(self, job)

    def latency(self, architecture: Architecture) -> float:
        """Seconds of a forward pass of one 224x224 image: a constant, and so much for every GMAC."""
        gmacs: float = cost(architecture).macs / 1e9
        return LATENCY + LATENCY_PER_GMAC * gmacs

    def curve(self, architecture: Architecture, seed: int) -> Array:
        """The validation accuracies that a training measures, [epochs]."""
        rng = np.random.default_rng(_digest(f"{self.law.name} {architecture.fingerprint} {seed}"))
        once, each = rng.standard_normal(), rng.standard_normal(self.epochs)
        # of the noise's variance .64 is the training's own, the same at every epoch, and .36 each epoch's
        measured = self.expected_curve(architecture) + self.noise * (0.8 * once + 0.6 * each)
        return np.asarray(np.clip(measured, 0, 1))

    def expected_curve(self, architecture: Architecture) -> Array:
        """The learning curve without noise, [epochs]."""
        traits = traits_of([architecture])
        final, tau = float(self.law.accuracy(traits)[0]), float(self.law.tau(traits)[0])
        progress = np.arange(1, self.epochs + 1) / self.epochs
        return np.asarray(CHANCE + (final - CHANCE) * np.expm1(-progress / tau) / math.expm1(-1 / tau))


class SimulatedTraining(Told):
    """One job under way. Its checkpoint is the number of epochs done, and whose they are."""

    by = "simulated"

    def __init__(self, trainer: SimulatedTrainer, job: Job) -> None:
        super().__init__(job)
        self._trainer = trainer
        network = convnet(job.architecture, f"trial {job.trial}")
        self._accuracies = trainer.curve(network, job.seed)
        self._seconds = cost(network).macs / 1e9 * SECONDS_PER_GMAC
        self.images_per_second = IMAGES / self._seconds
        self._whose = {
            "law": trainer.law.name,
            "fingerprint": job.architecture.fingerprint,
            "seed": job.seed,
            "of": trainer.epochs,
            "noise": trainer.noise,
        }
        self._curve = [self.point(epoch) for epoch in range(1, min(self._kept(), job.epochs) + 1)]

    def point(self, epoch: int) -> Epoch:
        """What the law measures after so many epochs."""
        accuracy = float(self._accuracies[epoch - 1])
        loss = -math.log(max(accuracy, 1e-3))
        return Epoch(epoch, loss, loss, accuracy, self._seconds)

    def epoch(self, on_step: StepDone | None = None) -> Epoch:
        """One epoch more, and the checkpoint written."""
        time.sleep(self._trainer.seconds)
        point = super().epoch(on_step)
        if self._job.checkpoint is not None:
            try:
                write_text(self._job.checkpoint, json.dumps({**self._whose, "done": len(self._curve)}) + "\n")
            except InputError as error:  # the training is worth more than its checkpoint
                log.warning("%s; after a crash this training starts again", error)
        return point

    def _kept(self) -> int:
        """Epochs of the checkpoint; none where it is damaged or another training's."""
        if self._job.checkpoint is None:
            return 0
        try:
            kept = json.loads(self._job.checkpoint.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, not UTF-8, not JSON
            return 0
        done = kept.pop("done", None) if isinstance(kept, dict) else None
        return done if kept == self._whose and type(done) is int and 0 <= done <= self._trainer.epochs else 0


def traits_of(architectures: Sequence[Architecture]) -> Traits:
    """What laws look at, of networks with equally many stages."""
    activation = np.array([ACTIVATIONS.index(a.activation) for a in architectures])
    return traits_of_columns(columns_of(architectures), activation)


def traits_of_columns(columns: Columns, activation: Array) -> Traits:
    """What laws look at, of N networks as columns and their places in `ACTIVATIONS`, (N,)."""
    count = len(activation)

    def stacked(*fields: Array) -> Array:
        return np.stack([np.broadcast_to(f, count) for f in fields], axis=1).astype(np.float64)

    stages = columns.stages
    return Traits(
        depth=stacked(*(s.depth for s in stages)),
        width=stacked(*(s.width for s in stages)),
        kernel_size=stacked(*(s.kernel_size for s in stages)),
        expansion=stacked(*(np.maximum(s.hidden, s.out) / s.width for s in stages)),
        norm=np.broadcast_to(columns.norm, count),
        activation=activation,
    )


def _digest(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _mixed(state: Array) -> Array:
    """The finaliser of splitmix64 (Steele et al. 2014): neighbouring integers come out unrelated."""
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(state ^ (state >> np.uint64(31)))
