"""Is what a search found better than ConvNeXt, Swin and ResNet? The searched networks against each family.

A study that was confirmed (`--confirm`) has accuracies with fresh seeds, by which nothing was chosen but the
winner among those confirmed; every interval allows for that choice. Without fresh seeds there is a
difference, optimistic, and no verdict. Studies of different planes are never compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from analysis.comparison.savings import Saving, chosen_by_others, mean_saving
from nas.record.study import Study, Tried
from nas.record.trial import FAMILIES
from nas.verdict.confirm import COSTLIER, LEVEL, Mean, judge, paired
from nas.verdict.difference import Difference
from space.errors import InputError


@dataclass(frozen=True)
class Match:
    """A searched network and a reference, by accuracies in fractions of 1.

    `fresh`: by seeds that nothing was chosen by. `rivals` is how many networks the searched one was chosen
    from by those seeds; `unchosen` is the difference without that choice's optimism, None where one seed
    does not allow it: at each seed, of the network that the other seeds choose.
    """

    study: str
    budget: str | None
    family: str
    searched: Tried
    reference: Tried
    searched_accuracy: float
    reference_accuracy: float
    seeds: int
    rivals: int
    fresh: bool
    equal_cost: bool
    difference: Difference
    unchosen: float | None

    @property
    def cost_gap(self) -> float:
        """Share by which the searched network costs more than the reference; negative: less."""
        return self.searched.macs / self.reference.macs - 1

    @property
    def verdict(self) -> str | None:
        """The verdict word; None without an interval."""
        return self.difference.verdict if math.isfinite(self.difference.low) else None


@dataclass(frozen=True)
class FamilyAnswer:
    """The searched networks against one family: each match, their mean, and FLOPs saved at equal accuracy.

    `mean` is over the matches at equal FLOPs; None for fewer than two. `missing` says of each reference
    without a match why it has none.
    """

    family: str
    matches: tuple[Match, ...]
    mean: Difference | None
    saved: Saving | None
    missing: tuple[str, ...]

    @property
    def fresh(self) -> bool:
        """Whether every match is by fresh seeds."""
        return all(match.fresh for match in self.matches)


@dataclass(frozen=True)
class Answer:
    """What studies of one plane say, a family each; `conditions` is what an accuracy means."""

    studies: tuple[str, ...]
    conditions: str
    level: float
    families: tuple[FamilyAnswer, ...]


KNOWN = (*FAMILIES, "roadmap")  # families that were published


def answer(studies: Sequence[Study]) -> Answer:
    """The searched networks of studies of one plane against each family of their references.

    Raises `InputError` where the planes differ, or a study has no searched network or no reference.
    """
    _check(studies)
    found = [family for study in studies for family in dict.fromkeys(t.family for t in published(study))]
    families = sorted(
        dict.fromkeys(found), key=lambda f: FAMILIES.index(f) if f in FAMILIES else len(FAMILIES)
    )
    answers = tuple(_family(studies, family) for family in families)
    return Answer(tuple(study.name for study in studies), studies[0].conditions, LEVEL, answers)


def searched(study: Study) -> list[Tried]:
    """What a search proposed; where networks were measured by name, those that nobody published."""
    if study.candidates:
        return study.candidates
    return [replace(tried, role="candidate") for tried in study.references if tried.family not in KNOWN]


def published(study: Study) -> list[Tried]:
    """What the searched networks are compared with."""
    return [tried for tried in study.references if study.candidates or tried.family in KNOWN]


def _check(studies: Sequence[Study]) -> None:
    if not studies:
        raise InputError("compare: no study")
    first = studies[0]
    for study in studies:
        if study.plane != first.plane:
            names = ("proxies", "data sets", "epochs")
            pairs = zip(names, first.plane, study.plane, strict=True)
            what = ", ".join(name for name, one, other in pairs if one != other)
            raise InputError(
                f"studies {first.name} ({first.conditions}) and {study.name} ({study.conditions}) have "
                f"different {what}: their accuracies are not compared"
            )
        if not searched(study):
            raise InputError(f"study {study.name}: no searched network was trained to the end")
        if not published(study):
            raise InputError(
                f"study {study.name}: no reference was trained to the end: search without --no-reference"
            )


# ---- one family -----------------------------------------------------------------------------------------


def _family(studies: Sequence[Study], family: str) -> FamilyAnswer:
    matches, missing = [], []
    for study in studies:
        for reference in (tried for tried in published(study) if tried.family == family):
            found = _match(study, reference)
            if isinstance(found, Match):
                matches.append(found)
            else:
                missing.append(found)
    matches.sort(key=lambda match: (match.reference.macs, match.study))
    fair = [match for match in matches if match.equal_cost]
    mean = None
    if len(fair) > 1:
        # the winners' own differences are optimistic, and a mean of many does not take that away
        values = [match.difference.value if match.unchosen is None else match.unchosen for match in fair]
        mean = paired(values)
        if any(match.unchosen is None for match in fair):  # optimistic, so no interval would be honest
            mean = Difference(mean.value, -math.inf, math.inf)
    return FamilyAnswer(family, tuple(matches), mean, _saved(studies, family), tuple(missing))


def _match(study: Study, reference: Tried) -> Match | str:
    """The best searched network of the reference's budget at its FLOPs, or why there is none."""
    of_budget = [tried for tried in searched(study) if tried.budget == reference.budget]
    affordable = [tried for tried in of_budget if tried.macs <= COSTLIER * reference.macs]
    equal = [tried for tried in affordable if COSTLIER * tried.macs >= reference.macs]
    # fresh seeds at lower FLOPs come before single trainings at equal ones: those have no interval
    for rivals in (equal, affordable):
        found = _confirmed(study, reference, rivals, rivals is equal)
        if found is not None:
            return found
    for rivals in (equal, affordable):
        if rivals:
            return _unconfirmed(study, reference, rivals, rivals is equal)
    where = f"{study.name}, {reference.budget}" if reference.budget else study.name
    return f"{reference.label} ({where}): every searched network costs over {COSTLIER - 1:.0%} more"


def _confirmed(study: Study, reference: Tried, rivals: Sequence[Tried], equal: bool) -> Match | None:
    """By fresh seeds; None where the reference and no rival have one in common."""
    means = [_mean(tried) for tried in rivals if tried.fresh]
    verdict = judge(reference.budget, [*means, _mean(reference)])
    if verdict is None or not verdict.against:
        return None
    (against,) = verdict.against
    searched = next(tried for tried in rivals if tried.trial == against.candidate.trial)
    seeds = sorted(searched.fresh.keys() & reference.fresh.keys())
    most = max(len(mean.by_seed) for mean in means)
    chosen_among = [tried for tried in rivals if len(tried.fresh) == most]
    accuracies = [_average(tried.fresh[seed] for seed in seeds) for tried in (searched, reference)]
    match = _single(study, searched, reference, accuracies, chosen_among, equal)
    return replace(
        match,
        seeds=len(seeds),
        fresh=True,
        difference=against.difference,
        unchosen=_unchosen(chosen_among, reference),
    )


def _unconfirmed(study: Study, reference: Tried, rivals: Sequence[Tried], equal: bool) -> Match:
    """Single trainings: the best by the very accuracy that is compared."""
    best = max(rivals, key=lambda tried: (_searched(tried), -tried.trial))
    accuracies = [_searched(best), _at_seed(reference, best.chosen_by)]
    return _single(study, best, reference, accuracies, rivals, equal)


def _single(
    study: Study,
    searched: Tried,
    reference: Tried,
    accuracies: Sequence[float],
    rivals: Sequence[Tried],
    equal: bool,
) -> Match:
    """Two networks by one training each: a difference that has no interval."""
    searched_accuracy, reference_accuracy = accuracies
    return Match(
        study=study.name,
        budget=reference.budget,
        family=reference.family,
        searched=searched,
        reference=reference,
        searched_accuracy=searched_accuracy,
        reference_accuracy=reference_accuracy,
        seeds=1,
        rivals=len(rivals),
        fresh=False,
        equal_cost=equal,
        difference=Difference(searched_accuracy - reference_accuracy, -math.inf, math.inf),
        unchosen=None,
    )


def _searched(tried: Tried) -> float:
    """The accuracy that the search saw."""
    return _at_seed(tried, tried.chosen_by)


def _at_seed(tried: Tried, seed: int | None) -> float:
    """The accuracy with one seed; without it the mean over what there is."""
    return tried.accuracy if seed is None else tried.accuracies.get(seed, tried.accuracy)


def _mean(tried: Tried) -> Mean:
    return Mean(tried.trial, tried.name, tried.role, tried.macs, tried.fresh)


def _average(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers)


def _unchosen(rivals: Sequence[Tried], reference: Tried) -> float | None:
    """The mean difference where no seed has a say in the choice of the network that it measures."""
    seeds = sorted(set(reference.fresh).intersection(*(tried.fresh for tried in rivals)))
    if not seeds:
        return None
    chosen = _choice(rivals, seeds)
    return _average(
        tried.fresh[seed] - reference.fresh[seed] for tried, seed in zip(chosen, seeds, strict=True)
    )


def _choice(rivals: Sequence[Tried], seeds: Sequence[int]) -> list[Tried]:
    """For each seed the best network by the other seeds; by the search's accuracies for one seed."""
    if len(seeds) == 1:
        return [max(rivals, key=_searched)]
    table = [[tried.fresh[seed] for seed in seeds] for tried in rivals]
    return [rivals[i] for i in chosen_by_others(table)]


def _saved(studies: Sequence[Study], family: str) -> Saving | None:
    """FLOPs saved between the fronts of the confirmed networks and of the family; None without fresh seeds.

    Confirmed networks of about equal FLOPs are rivals: see `analysis.comparison.savings.mean_saving`.
    """
    ours = [tried for study in studies for tried in searched(study) if tried.fresh]
    theirs = [tried for study in studies for tried in published(study) if tried.family == family]
    most = max((len(tried.fresh) for tried in ours), default=0)
    ours = [tried for tried in ours if len(tried.fresh) == most]  # a failed seed leaves no gap
    theirs = [tried for tried in theirs if len(tried.fresh) >= most]
    if not ours or not theirs:
        return None
    seeds = sorted(set.intersection(*(set(tried.fresh) for tried in [*ours, *theirs])))
    if not seeds:
        return None
    groups = _of_equal_cost(ours)
    if len(seeds) == 1:  # which has to be left to measure
        groups = [_choice(rivals, seeds) for rivals in groups]
    sides = [tried for rivals in groups for tried in rivals], theirs
    costs, tables = (
        [[tried.macs for tried in side] for side in sides],
        [[[tried.fresh[seed] for seed in seeds] for tried in side] for side in sides],
    )
    group = [g for g, rivals in enumerate(groups) for _ in rivals]
    return mean_saving(costs[0], tables[0], costs[1], tables[1], rivals_a=group, level=LEVEL)


def _of_equal_cost(networks: Iterable[Tried]) -> list[list[Tried]]:
    """Networks in groups, each within `COSTLIER` of its cheapest."""
    groups: list[list[Tried]] = []
    for tried in sorted(networks, key=lambda tried: (tried.macs, tried.trial)):
        if groups and tried.macs <= COSTLIER * groups[-1][0].macs:
            groups[-1].append(tried)
        else:
            groups.append([tried])
    return groups
