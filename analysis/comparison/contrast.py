"""A trained network less a control: by how much it is better, how sure that is, and what would tell.

Two things are chance in such a difference. Another seed would have given another network: Student's t over
paired seeds. Other validation images would have given other counts: the images on which the two differ, by
McNemar's conditional test for one seed, by their mean over the seeds for several. What is called better or
worse is so by each of the two that is known.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]

from analysis.comparison.trained import TrainedNetwork
from nas.verdict.confirm import LEVEL, paired
from nas.verdict.difference import UNCLEAR, Difference, student, welch

MOST_SEEDS = 100  # more than anybody trains


@dataclass(frozen=True)
class Contrast:
    """The network less a control, in fractions of 1.

    `seeds` have both (0: none in common, the means of all are compared); `by_seeds` has no ends for a single
    training; `fewest` are the trainings of that network that has fewer; `by_images` is None where predictions
    are missing; `won` and `lost` are images that the network
    alone, or the control alone, has right, a seed on average.
    """

    control: TrainedNetwork
    seeds: int
    fewest: int
    by_seeds: Difference
    by_images: Difference | None
    won: float | None
    lost: float | None
    seeds_to_tell: int | None
    images_to_tell: int | None

    @property
    def too_few(self) -> bool:
        """Whether two seeds, of both or not paired of one of them, are all there is and do not decide."""
        not_paired = self.seeds == 0 and self.fewest == 2 and self.by_seeds.verdict == UNCLEAR
        return not_paired or self.by_seeds.too_few

    @property
    def known(self) -> list[Difference]:
        """The intervals that there are."""
        ends = [self.by_seeds] if math.isfinite(self.by_seeds.low) else []
        return ends + ([] if self.by_images is None else [self.by_images])

    @property
    def verdict(self) -> str | None:
        """`better` or `worse` where every interval says so; None where there is none."""
        words = {each.verdict for each in self.known}
        if not words:
            return None
        return words.pop() if len(words) == 1 else UNCLEAR

    @property
    def reach(self) -> tuple[float, float]:
        """The wider of the intervals; infinite where there is none."""
        if not self.known:
            return -math.inf, math.inf
        return min(each.low for each in self.known), max(each.high for each in self.known)


def contrast(network: TrainedNetwork, control: TrainedNetwork) -> Contrast:
    """The difference with its intervals."""
    ours, theirs = network.accuracies, control.accuracies
    seeds = sorted(ours.keys() & theirs.keys())
    by_seeds = _by_seeds(ours, theirs, seeds)
    gains = _gains(network, control, seeds)
    by_images = None if gains is None else _by_images(*gains)
    won, lost = (None, None) if gains is None else (float(gains[0].sum()), float(gains[1].sum()))
    return Contrast(
        control, len(seeds), min(len(ours), len(theirs)), by_seeds, by_images, won, lost,
        _seeds_to_tell([ours[s] - theirs[s] for s in seeds], by_seeds),
        None if gains is None or by_images is None else _images_to_tell(len(gains[0]), by_images),
    )  # fmt: skip


def _by_seeds(ours: dict[int, float], theirs: dict[int, float], seeds: list[int]) -> Difference:
    if seeds:
        return paired([ours[seed] - theirs[seed] for seed in seeds])
    sides = [np.asarray(list(side.values())) for side in (ours, theirs)]
    value = float(sides[0].mean() - sides[1].mean())
    if min(map(len, sides)) < 2:
        return Difference(value, -math.inf, math.inf)
    half = welch([float(s.var(ddof=1)) / len(s) for s in sides], [len(s) for s in sides], LEVEL)
    return Difference(value, value - half, value + half)


def _gains(
    network: TrainedNetwork, control: TrainedNetwork, seeds: list[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Shares of the seeds, [images] each, in which the network alone has an image right, and the control."""
    ours, theirs = network.answers, control.answers
    pairs = [(ours[s], theirs[s]) for s in seeds if s in ours and s in theirs]
    if not seeds and ours and theirs:
        pairs = [(a, b) for a in ours.values() for b in theirs.values()]
    if not pairs or len(pairs) < len(seeds):
        return None
    label = pairs[0][0].label
    if any(not np.array_equal(label, each.label) for pair in pairs for each in pair):
        return None
    won = np.mean([a.right & ~b.right for a, b in pairs], axis=0)
    lost = np.mean([b.right & ~a.right for a, b in pairs], axis=0)
    return won, lost


def _by_images(won: NDArray[np.float64], lost: NDArray[np.float64]) -> Difference:
    """What other images of the same kind would leave the difference within."""
    images = len(won)
    value = float((won - lost).mean())
    single = set(np.unique(np.concatenate([won, lost]))) <= {0.0, 1.0}
    if not single:
        half = student(images - 1, LEVEL) * float((won - lost).std(ddof=1)) / math.sqrt(images)
        return Difference(value, value - half, value + half)
    wins, all_ = int(won.sum()), int(won.sum() + lost.sum())
    if all_ == 0:  # no image in which they differ: how many others could there be?
        share = 1 - ((1 - LEVEL) / 2) ** (1 / images)
        return Difference(0.0, -share, share)
    # McNemar: of the images in which they differ, each is the network's or the control's as a coin falls
    ends = stats.binomtest(wins, all_).proportion_ci(LEVEL, method="exact")
    low, high = ((2 * end - 1) * all_ / images for end in (float(ends.low), float(ends.high)))
    return Difference(value, low, high)


def _seeds_to_tell(differences: list[float], found: Difference) -> int | None:
    """With how many seeds a difference as large as this one would be told; None where that is not known.

    By the spread of two nobody can say.
    """
    if len(differences) < 3 or found.verdict != UNCLEAR or found.value == 0:
        return None
    spread = float(np.std(differences, ddof=1))
    for seeds in range(len(differences) + 1, MOST_SEEDS + 1):
        if student(seeds - 1, LEVEL) * spread / math.sqrt(seeds) < abs(found.value):
            return seeds
    return None


def _images_to_tell(images: int, found: Difference) -> int | None:
    """With how many validation images it would be told, about."""
    if found.verdict != UNCLEAR or found.value == 0:
        return None
    half = (found.high - found.low) / 2
    return math.ceil(images * (half / found.value) ** 2)
