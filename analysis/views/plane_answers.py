"""What the plane says in words and in a table: who won at each budget, and against whom."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.page.view import Cell, Table
from analysis.views.planes import band_of, labels, searched_value
from nas.record.study import Study, Tried
from nas.verdict.confirm import COSTLIER, Against, Mean, Verdict, confirmed
from nas.verdict.difference import Difference
from space.words import compact, percent, plural, points

COMPARED_COLUMNS = (
    "study", "budget", "best searched", "GFLOPs", "accuracy (%)", "seeds", "reference", "reference (%)",
    "compared with it", "difference (points)", "low (95%)", "high (95%)", "verdict",
)  # fmt: skip


OTHER = COMPARED_COLUMNS.index("compared with it")


def lead_of(studies: Sequence[Study]) -> str:
    """The answers of all studies, each under its name where there are several."""
    several = len(studies) > 1
    parts = []
    for label, study in zip(labels(studies), studies, strict=True):
        sentences = " ".join(answers(study))
        parts.append(f"{label}: {sentences}" if several else sentences)
    return " ".join(parts)


def answers(study: Study) -> list[str]:
    """The best network of each budget and how it compares with the references, in sentences.

    Of several budgets the table has them; the sentences count.
    """
    outcomes = _outcomes(study)
    if len(_groups(study)) > 1 and any(one.best is not None for one in outcomes):
        return _counted(study, outcomes)
    sentences = [_begun(sentence) for one in outcomes for sentence in one.sentences]
    return sentences or ["No network has been trained in full yet."]


@dataclass(frozen=True)
class _Rival:
    """A candidate's accuracy less a reference's; the ends are infinite where one training each decides."""

    candidate: str
    reference: str
    accuracy: float  # of the reference, over the seeds that are compared
    difference: Difference
    seeds: int

    @property
    def verdict(self) -> str:
        return self.difference.verdict


@dataclass(frozen=True)
class _Outcome:
    """What one budget came to: its best candidate, over `seeds` fresh ones; 0: as the search saw it."""

    budget: str
    sentences: Sequence[str]
    best: str | None = None
    macs: int = 0
    accuracy: float = 0.0
    seeds: int = 0
    rivals: Sequence[_Rival] = ()


def _groups(study: Study) -> dict[str, list[Tried]]:
    """The networks by the budget that they were trained for."""
    groups: dict[str, list[Tried]] = {}
    for tried in study.networks:
        groups.setdefault(band_of(study, tried), []).append(tried)
    return groups


def _outcomes(study: Study) -> list[_Outcome]:
    verdicts = confirmed(study.trials)
    if verdicts:
        return [_confirmed_outcome(study, verdict) for verdict in verdicts]
    return [_searched_outcome(budget, networks) for budget, networks in _groups(study).items()]


def _confirmed_outcome(study: Study, verdict: Verdict) -> _Outcome:
    winner = verdict.winner
    seeds = len(winner.by_seed)
    best = f"{winner.label} has the best mean of {plural(seeds, 'fresh seed')}, {winner.value:.1%}."
    means = {mean.label: mean for mean in verdict.means if mean.role == "reference"}
    rivals = [
        _Rival(
            one.candidate.label, one.reference, _shared(one, means[one.reference]), one.difference, one.seeds
        )
        for one in verdict.against
    ]
    budget = verdict.budget or str(study.bands[0].get("text"))
    sentences = [best, *(f"{line}." for line in verdict.comparisons)]
    return _Outcome(budget, sentences, winner.label, winner.macs, winner.value, seeds, rivals)


def _shared(one: Against, reference: Mean) -> float:
    """The reference's mean over the seeds that it was compared by."""
    seeds = one.candidate.by_seed.keys() & reference.by_seed.keys()
    return float(np.mean([reference.by_seed[seed] for seed in seeds]))


def _searched_outcome(budget: str, networks: Sequence[Tried]) -> _Outcome:
    """Without fresh seeds: the best as the search saw it, and that one training decides nothing."""
    candidates = [tried for tried in networks if tried.role == "candidate"]
    references = [tried for tried in networks if tried.role == "reference"]
    if not candidates:
        return _Outcome(budget, [_best_reference(references)])
    best = _best(candidates)
    accuracy = searched_value(best)
    sentences = [
        f"{best.label} is the most accurate of {plural(len(candidates), 'candidate')} in the search, "
        f"{accuracy:.1%}."
    ]
    rivals = []
    for reference in references:
        within = [t for t in candidates if t.macs <= COSTLIER * reference.macs]
        if not within:
            continue
        rival = _best(within)
        difference = Difference(searched_value(rival) - reference.accuracy, -math.inf, math.inf)
        rivals.append(_Rival(rival.label, reference.label, reference.accuracy, difference, 1))
        sentences.append(
            f"{rival.label} less {reference.label}: {points(difference.value)} (one seed, no interval): "
            f"{difference.verdict}."
        )
    return _Outcome(budget, sentences, best.label, best.macs, accuracy, 0, rivals)


def _best(candidates: Sequence[Tried]) -> Tried:
    return max(candidates, key=lambda t: (searched_value(t), -t.trial))


def _begun(sentence: str) -> str:
    """With a capital, unless a network's name begins it."""
    return f"T{sentence[1:]}" if sentence.startswith("trial ") else sentence


def _counted(study: Study, outcomes: Sequence[_Outcome]) -> list[str]:
    """How the comparisons of several budgets came out."""
    searched = [one for one in outcomes if one.best is not None]
    verdicts = Counter(rival.verdict for one in searched for rival in one.rivals)
    candidates = plural(len(study.candidates), "candidate")
    sentences = [f"{candidates} over {plural(len(searched), 'budget')}."]
    if not verdicts:
        return sentences
    total = sum(verdicts.values())
    each = ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
    comparisons = plural(total, "comparison")
    how = "fresh seeds" if any(one.seeds for one in searched) else "one training each, without an interval"
    sentences.append(
        f"Of {comparisons} with the references of a budget, by {how}: {each}; the table has them."
    )
    if total > 1 and any(one.seeds for one in searched):
        sentences.append("Each interval is its own: of twenty at 95% one would be expected to miss.")
    return sentences


def budget_table(studies: Sequence[Study]) -> list[Table]:
    """What the budgets came to, without columns that say nothing here; none where nothing was searched."""
    rows = [row for label, study in zip(labels(studies), studies, strict=True)
            for row in _compared(label, study)]  # fmt: skip
    if not rows:
        return []
    idle = {"study"} if len(studies) == 1 else set()
    idle |= {"compared with it"} if all(row[OTHER] is None for row in rows) else set()
    kept = [i for i, name in enumerate(COMPARED_COLUMNS) if name not in idle]
    return [
        Table(
            "plane_budgets", "The best of each budget against the references",
            [COMPARED_COLUMNS[i] for i in kept], [[row[i] for i in kept] for row in rows],
            open=any(len(_groups(study)) > 1 for study in studies),
        )
    ]  # fmt: skip


def _compared(label: str, study: Study) -> list[list[Cell]]:
    """A row for each reference of each budget; one without where a budget has none."""
    rows: list[list[Cell]] = []
    for one in _outcomes(study):
        if one.best is None:
            continue
        start: list[Cell] = [
            label, one.budget, one.best, compact(one.macs / 1e9), percent(one.accuracy), one.seeds or 1,
        ]  # fmt: skip
        if not one.rivals:
            rows.append([*start, *[None] * 7])
        for rival in one.rivals:
            d = rival.difference
            ends = [round(100 * end, 1) if math.isfinite(end) else None for end in (d.value, d.low, d.high)]
            other = None if rival.candidate == one.best else rival.candidate
            rows.append([*start, rival.reference, percent(rival.accuracy), other, *ends, rival.verdict])
    return rows


def _best_reference(references: Sequence[Tried]) -> str:
    best = max(references, key=lambda t: t.accuracy)
    return (
        f"{best.label} has the best mean of {plural(len(references), 'network')}, {best.accuracy:.1%} over "
        f"{plural(len(best.accuracies), 'seed')}; nothing was searched."
    )
