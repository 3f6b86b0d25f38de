"""What a study knows of one of its networks, its accuracies and how far it is from each reference; and what
there is to remark of the whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nas.record.study import Study, Tried
from nas.verdict.confirm import COSTLIER, LEVEL, over_seeds
from space.errors import InputError


def evidence(study: Study, number: int) -> list[str]:
    """Sentences on the network of trial `number`, each with how many trainings stand behind it.

    A network that was among several confirmed is charged for that choice: its intervals are the wider ones
    of a choice among as many (Bonferroni). Raises `InputError` where the trial has no full-fidelity result.
    """
    tried = next((one for one in study.networks if one.trial == number), None)
    if tried is None:
        raise InputError(f"study {study.name}: trial {number} has no result at full fidelity")
    lines = [_own(tried)]
    if tried.role == "reference":
        return lines
    return [*lines, *(_against(study, tried, reference) for reference in _rivals(study, tried))]


def remarks(study: Study) -> Iterator[str]:
    """Lines for people: what the search noted, and the trainings that failed."""
    yield from (f"note: {warning}" for warning in study.mapping["warnings"])
    yield from (f"trial {t.number} failed: {t.reason}" for t in study.trials if t.state == "failed")


def _own(tried: Tried) -> str:
    if tried.fresh:
        values = list(tried.fresh.values())
        seeds = "one fresh seed" if len(values) == 1 else f"the mean of {len(values)} fresh seeds"
        searched = (
            "" if tried.chosen_by is None else f"; {tried.accuracies[tried.chosen_by]:.1%} in the search"
        )
        return f"{sum(values) / len(values):.1%}, {seeds}{searched}."
    return f"{tried.accuracy:.1%} in one training, the one that it was chosen by: optimistic."


def _rivals(study: Study, tried: Tried) -> Sequence[Tried]:
    return [reference for reference in study.references if reference.budget == tried.budget]


def _against(study: Study, tried: Tried, reference: Tried) -> str:
    gap = tried.macs / reference.macs - 1
    cost = (
        "at equal FLOPs"
        if abs(gap) < COSTLIER - 1
        else f"at {abs(gap):.0%} {'more' if gap > 0 else 'less'} FLOPs"
    )
    less = f"Less {reference.label}, {cost}"
    among = sum(1 for one in study.candidates if one.fresh and one.budget == tried.budget)
    found = over_seeds(tried.fresh, reference.fresh, among)
    if found is None:
        searched = over_seeds(tried.accuracies, reference.accuracies)
        if searched is None:
            return f"Against {reference.label}: no seed in common."
        return f"{less}: {100 * searched[1].value:+.1f} points by one training each: no interval."
    fresh, difference = found
    if fresh == 1:
        return f"{less}: {100 * difference.value:+.1f} points by one fresh seed: no interval."
    choice = f", chosen among {among} confirmed" if among > 1 else ""
    return (
        f"{less}: {100 * difference.value:+.1f} points ({difference.interval(LEVEL)}, {fresh} fresh seeds "
        f"paired{choice}): {difference.verdict}."
    )
