"""What trainings with fresh seeds say of a search's best networks: which is best, and by how much.

The best of a search is partly its seed's luck. Trainings with seeds that no choice was made by are not, but
for the last choice, of the winner among those confirmed: the intervals allow for that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nas.record.trial import Trial
from nas.verdict.difference import Difference, student

# of what a network is taken by; what only describes has 90% in `analysis`. Chosen, not measured
LEVEL = 0.95
# a network is compared with a reference that costs less than itself by this much at most: networks of
# one budget cost 95% to 100% of it unless told otherwise, so any two of them are compared
COSTLIER = 1.06


@dataclass(frozen=True)
class Mean:
    """A network's accuracies with fresh seeds."""

    trial: int  # the trial of the search that it was chosen by
    name: str | None
    role: str
    macs: int
    by_seed: Mapping[int, float]

    @property
    def value(self) -> float:
        """The mean accuracy."""
        return float(np.mean(list(self.by_seed.values())))

    @property
    def label(self) -> str:
        """For people."""
        return self.name or f"trial {self.trial}"


@dataclass(frozen=True)
class Against:
    """A candidate's mean accuracy less a reference's, over the seeds that both have.

    The candidate is the best of those that cost no more than the reference, or hardly more (`COSTLIER`).
    """

    candidate: Mean
    reference: str
    seeds: int
    difference: Difference


@dataclass(frozen=True)
class Verdict:
    """The outcome of one budget's confirmation."""

    budget: str | None
    winner: Mean
    means: tuple[Mean, ...]
    against: tuple[Against, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the ends of an interval that is not known are None."""
        plain = asdict(self)
        for item in plain["against"]:
            ends = item["difference"]
            del ends["pairs"]  # the means have them by seed
            # JSON has no infinity
            ends.update({end: None for end in ("low", "high") if math.isinf(ends[end])})
        for mean, own in zip(plain["means"], self.means, strict=True):
            mean["mean"] = own.value
        for item, own_item in zip(plain["against"], self.against, strict=True):
            item["candidate"] = own_item.candidate.trial
        plain["winner"] = self.winner.trial
        return plain | {"level": LEVEL}


def confirmed(trials: Iterable[Trial]) -> list[Verdict]:
    """The verdict on each budget of a study's trials that has confirmed candidates."""
    trials = list(trials)
    by_number = {trial.number: trial for trial in trials}
    again: dict[str | None, dict[int, dict[int, float]]] = {}
    for trial in trials:
        accuracy = trial.full_accuracy
        if accuracy is not None and trial.of is not None and trial.of in by_number:
            again.setdefault(trial.budget, {}).setdefault(trial.of, {})[trial.seed] = accuracy
    found = []
    for budget, numbers in again.items():
        means = [_mean(by_number[number], seeds) for number, seeds in numbers.items()]
        verdict = judge(budget, means)
        if verdict is not None:
            found.append(verdict)
    return found


def judge(budget: str | None, means: Sequence[Mean]) -> Verdict | None:
    """The winner among the candidates and how it compares; None where no candidate was confirmed.

    Networks that lack a seed (a failed training) cannot win against those that have it.
    """
    candidates = [mean for mean in means if mean.role == "candidate"]
    if not candidates:
        return None
    most = max(len(mean.by_seed) for mean in candidates)
    winner = _best(candidates, most)
    references = [mean for mean in means if mean.role == "reference"]
    against = [_against(candidates, most, reference) for reference in references]
    return Verdict(budget, winner, tuple(means), tuple(item for item in against if item is not None))


def paired(differences: Sequence[float], level: float = LEVEL) -> Difference:
    """Mean and Student's t interval of paired differences; infinite for a single one."""
    values = np.asarray(differences, dtype=np.float64)
    mean = float(values.mean())
    if len(values) < 2:
        return Difference(mean, -math.inf, math.inf)
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    reach = student(len(values) - 1, level) * error
    return Difference(mean, mean - reach, mean + reach, tuple(values.tolist()))


def over_seeds(
    ours: Mapping[int, float], theirs: Mapping[int, float], among: int = 1
) -> tuple[int, Difference] | None:
    """The seeds that both have, and the difference over them; None where there are none.

    The first was chosen among so many: each gets its part of the error (Bonferroni).
    """
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    level = 1 - (1 - LEVEL) / max(1, among)
    return len(seeds), paired([ours[seed] - theirs[seed] for seed in seeds], level)


def _best(candidates: Sequence[Mean], seeds: int) -> Mean:
    # of equals the one that the search found first
    return max((m for m in candidates if len(m.by_seed) == seeds), key=lambda m: (m.value, -m.trial))


def _against(candidates: Sequence[Mean], most: int, reference: Mean) -> Against | None:
    rivals = [m for m in candidates if m.macs <= COSTLIER * reference.macs and len(m.by_seed) == most]
    if not rivals:
        return None
    best = _best(rivals, most)
    found = over_seeds(best.by_seed, reference.by_seed, len(rivals))
    return None if found is None else Against(best, reference.label, *found)


def _mean(trial: Trial, by_seed: Mapping[int, float]) -> Mean:
    return Mean(trial.number, trial.shown_name, trial.role, trial.macs, dict(by_seed))
