"""Is what a search found better than ConvNeXt, Swin and ResNet? `python -m analysis.compare` says.

A study that was confirmed (`--confirm`) has accuracies with fresh seeds, by which nothing was chosen but the
winner among those confirmed; every interval allows for that choice. Without fresh seeds there is a
difference, optimistic, and no verdict. Studies of different planes are never compared.
"""

from __future__ import annotations

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.compare import Difference
from space.command import Command
from space.errors import InputError

if TYPE_CHECKING:
    from argparse import Namespace

    from analysis.compare import Saving
    from analysis.confirm import Mean
    from analysis.reference import PublishedPoint
    from analysis.study import Study, Tried

# a difference in cost that is worth saying; published figures are printed to two or three digits
COST_TOLD = 0.02


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


def answer(studies: Sequence[Study]) -> Answer:
    """The searched networks of studies of one plane against each family of their references.

    Raises `InputError` where the planes differ, or a study has no searched network or no reference.
    """
    from analysis.confirm import LEVEL
    from analysis.study import FAMILIES

    _check(studies)
    found = [family for study in studies for family in dict.fromkeys(t.family for t in study.references)]
    families = sorted(
        dict.fromkeys(found), key=lambda f: FAMILIES.index(f) if f in FAMILIES else len(FAMILIES)
    )
    answers = tuple(_family(studies, family) for family in families)
    return Answer(tuple(study.name for study in studies), studies[0].conditions, LEVEL, answers)


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
        if not study.candidates:
            raise InputError(f"study {study.name}: no searched network was trained to the end")
        if not study.references:
            raise InputError(
                f"study {study.name}: no reference was trained to the end: search without --no-reference"
            )


# ---- one family -----------------------------------------------------------------------------------------


def _family(studies: Sequence[Study], family: str) -> FamilyAnswer:
    from analysis.confirm import paired

    matches, missing = [], []
    for study in studies:
        for reference in (tried for tried in study.references if tried.family == family):
            found = _match(study, reference)
            if isinstance(found, Match):
                matches.append(found)
            else:
                missing.append(found)
    matches.sort(key=lambda match: (match.reference.macs, match.study))
    fair = [match for match in matches if match.equal_cost]
    mean = None
    if len(fair) > 1:
        values = [match.difference.value if match.unchosen is None else match.unchosen for match in fair]
        mean = paired(values)
        if any(match.unchosen is None for match in fair):  # optimistic, so no interval would be honest
            mean = Difference(mean.value, -math.inf, math.inf)
    return FamilyAnswer(family, tuple(matches), mean, _saved(studies, family), tuple(missing))


def _match(study: Study, reference: Tried) -> Match | str:
    """The best searched network of the reference's budget at its FLOPs, or why there is none."""
    from analysis.confirm import COSTLIER

    of_budget = [tried for tried in study.candidates if tried.budget == reference.budget]
    affordable = [tried for tried in of_budget if tried.macs <= COSTLIER * reference.macs]
    equal = [tried for tried in affordable if COSTLIER * tried.macs >= reference.macs]
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
    from analysis.confirm import judge

    means = [_mean(tried) for tried in rivals if tried.fresh]
    verdict = judge(reference.budget, [*means, _mean(reference)])
    if verdict is None or not verdict.against:
        return None
    (against,) = verdict.against
    searched = next(tried for tried in rivals if tried.trial == against.candidate.trial)
    seeds = sorted(searched.fresh.keys() & reference.fresh.keys())
    most = max(len(mean.by_seed) for mean in means)
    chosen_among = [tried for tried in rivals if len(tried.fresh) == most]
    return Match(
        study=study.name,
        budget=reference.budget,
        family=reference.family,
        searched=searched,
        reference=reference,
        searched_accuracy=_average(searched.fresh[seed] for seed in seeds),
        reference_accuracy=_average(reference.fresh[seed] for seed in seeds),
        seeds=len(seeds),
        rivals=len(chosen_among),
        fresh=True,
        equal_cost=equal,
        difference=against.difference,
        unchosen=_unchosen(chosen_among, reference),
    )


def _unconfirmed(study: Study, reference: Tried, rivals: Sequence[Tried], equal: bool) -> Match:
    """Single trainings: the best by the very accuracy that is compared."""
    best = max(rivals, key=lambda tried: (_searched(tried), -tried.trial))
    theirs = _at_seed(reference, best.chosen_by)
    difference = Difference(_searched(best) - theirs, -math.inf, math.inf)
    return Match(
        study=study.name,
        budget=reference.budget,
        family=reference.family,
        searched=best,
        reference=reference,
        searched_accuracy=_searched(best),
        reference_accuracy=theirs,
        seeds=1,
        rivals=len(rivals),
        fresh=False,
        equal_cost=equal,
        difference=difference,
        unchosen=None,
    )


def _searched(tried: Tried) -> float:
    """The accuracy that the search saw."""
    return _at_seed(tried, tried.chosen_by)


def _at_seed(tried: Tried, seed: int | None) -> float:
    """The accuracy with one seed; without it the mean over what there is."""
    return tried.accuracy if seed is None else tried.accuracies.get(seed, tried.accuracy)


def _mean(tried: Tried) -> Mean:
    from analysis.confirm import Mean

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
    from analysis.compare import chosen_by_others

    if len(seeds) == 1:
        return [max(rivals, key=_searched)]
    table = [[tried.fresh[seed] for seed in seeds] for tried in rivals]
    return [rivals[i] for i in chosen_by_others(table)]


def _saved(studies: Sequence[Study], family: str) -> Saving | None:
    """FLOPs saved between the fronts of the confirmed networks and of the family; None without fresh seeds.

    Networks of about equal FLOPs are rivals, of which each seed measures the one that the others choose: a
    front of all of them would be the front of their luck (simulated with 4 budgets of 3 networks and 3 seeds,
    its 95% interval covers in 66% of cases, this one in 91%: tests/benchmarks/fronts.py).
    """
    from analysis.compare import mean_saving
    from analysis.confirm import LEVEL

    searched = [tried for study in studies for tried in study.candidates if tried.fresh]
    theirs = [tried for study in studies for tried in study.references if tried.family == family]
    most = max((len(tried.fresh) for tried in searched), default=0)
    searched = [tried for tried in searched if len(tried.fresh) == most]  # a failed seed leaves no gap
    theirs = [tried for tried in theirs if len(tried.fresh) >= most]
    if not searched or not theirs:
        return None
    seeds = sorted(set.intersection(*(set(tried.fresh) for tried in [*searched, *theirs])))
    if not seeds:
        return None
    chosen = [_choice(rivals, seeds) for rivals in _of_equal_cost(searched)]
    costs = [math.exp(_average(math.log(tried.macs) for tried in each)) for each in chosen]
    table = [[tried.fresh[seed] for tried, seed in zip(each, seeds, strict=True)] for each in chosen]
    references = [[tried.fresh[seed] for seed in seeds] for tried in theirs]
    return mean_saving(costs, table, [tried.macs for tried in theirs], references, level=LEVEL)


def _of_equal_cost(networks: Iterable[Tried]) -> list[list[Tried]]:
    """Networks in groups, each within `COSTLIER` of its cheapest."""
    from analysis.confirm import COSTLIER

    groups: list[list[Tried]] = []
    for tried in sorted(networks, key=lambda tried: (tried.macs, tried.trial)):
        if groups and tried.macs <= COSTLIER * groups[-1][0].macs:
            groups[-1].append(tried)
        else:
            groups.append([tried])
    return groups


# ---- in words -------------------------------------------------------------------------------------------


def sentences(found: Answer) -> list[str]:
    """The answer, a sentence a claim."""
    return [line for family in found.families for line in _family_sentences(family, found.level)]


def _family_sentences(family: FamilyAnswer, level: float) -> list[str]:
    lines = []
    for match in family.matches:
        where = f" ({match.budget})" if match.budget else ""
        lines.append(
            f"{match.searched.label} less {match.reference.label}{where}: {points(match.difference, level)}"
            f" ({basis(match)}{cost(match)})."
        )
    if family.mean is not None:
        fair = [match for match in family.matches if match.equal_cost]
        choice = ", free of the choice among the confirmed" if family.fresh else ""
        optimism = "" if family.fresh else "; single trainings, the searched ones chosen by them: optimistic"
        lines.append(
            f"Mean over {len(fair)} pairs at equal FLOPs, searched less {family.family}{choice}: "
            f"{points(family.mean, level)}{optimism}."
        )
    if family.saved is not None:
        lines.append(saving(family, level))
    lines.extend(f"{line}." for line in family.missing)
    return lines


def points(difference: Difference, level: float, scale: float = 100.0) -> str:
    """Such as `+1.2 points, 95% interval +0.4 to +2.0: better`; `scale` makes percent of the values."""
    value = f"{scale * difference.value:+.1f} points"
    if math.isinf(difference.low):
        return f"{value}, no interval"
    ends = f"{scale * difference.low:+.1f} to {scale * difference.high:+.1f}"
    return f"{value}, {level:.0%} interval {ends}: {difference.verdict}"


def basis(match: Match) -> str:
    """How many trainings stand behind a difference."""
    if not match.fresh:
        among = f"the best of {match.rivals}" if match.rivals > 1 else "the only one"
        return f"one seed, {among} by this very training, so optimistic: --confirm trains them again"
    choice = f", the best of {match.rivals} confirmed" if match.rivals > 1 else ""
    seeds = "one fresh seed" if match.seeds == 1 else f"{match.seeds} fresh seeds, paired"
    return f"{seeds}{choice}"


def cost(match: Match) -> str:
    """What the two differ in cost, where it is worth saying."""
    gap = match.cost_gap
    if abs(gap) <= COST_TOLD:
        return ""
    word = "more" if gap > 0 else "less"
    unfair = "" if match.equal_cost else ": not at equal FLOPs"
    return f"; it costs {abs(gap):.1%} {word} FLOPs{unfair}"


def saving(family: FamilyAnswer, level: float) -> str:
    """The sentence on FLOPs at equal accuracy."""
    saved = family.saved
    if saved is None:
        return ""
    what = f"FLOPs at equal accuracy, searched front against {family.family}'s"
    if saved.value is None:
        return f"{what}: not reached: no accuracy is on both fronts."
    word = "fewer" if saved.value >= 0 else "more"
    low = "without a lower end" if math.isinf(saved.low) else f"from {saved.low:+.0%}"
    if math.isinf(saved.low) and saved.high >= 1:
        return (
            f"{what}: {abs(saved.value):.0%} {word}, no interval: the seeds' noise bounds it on neither side."
        )
    interval = f"{level:.0%} interval {low} to {saved.high:+.0%} saved"
    return f"{what}: {abs(saved.value):.0%} {word}, {interval}: {saved.verdict}."


# ---- plain values ---------------------------------------------------------------------------------------


COLUMNS = (
    "study", "budget", "family", "reference", "reference_gflops", "reference_accuracy", "searched", "trial",
    "searched_gflops", "searched_accuracy", "cost_gap", "equal_flops", "difference", "low", "high", "verdict",
    "seeds", "fresh", "rivals", "difference_without_choice",
)  # fmt: skip


def rows(found: Answer) -> list[dict[str, Any]]:
    """A row of `COLUMNS` a match: accuracies and differences are fractions of 1, unknown ends None."""
    return [_row(match) for family in found.families for match in family.matches]


def _row(match: Match) -> dict[str, Any]:
    values = (
        match.study, match.budget, match.family, match.reference.label, match.reference.macs / 1e9,
        match.reference_accuracy, match.searched.label, match.searched.trial, match.searched.macs / 1e9,
        match.searched_accuracy, match.cost_gap, match.equal_cost, match.difference.value,
        _known(match.difference.low), _known(match.difference.high), match.verdict, match.seeds, match.fresh,
        match.rivals, match.unchosen,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def as_json(found: Answer) -> dict[str, Any]:
    """Everything as plain values; ends that are not known are None."""
    return {
        "studies": list(found.studies),
        "conditions": found.conditions,
        "level": found.level,
        "families": [
            {
                "family": family.family,
                "matches": [_row(match) for match in family.matches],
                "mean": interval(family.mean),
                "flops_saved": interval(family.saved),
                "missing": list(family.missing),
            }
            for family in found.families
        ],
        "sentences": sentences(found),
    }


def interval(claim: Difference | Saving | None) -> dict[str, Any] | None:
    """Value, ends and verdict as plain values; no verdict without an end."""
    if claim is None:
        return None
    plain: Mapping[str, float | None] = asdict(claim)
    ends = {name: _known(value) for name, value in plain.items()}
    unknown = math.isinf(claim.low) and claim.high >= 1  # the highest share that can be saved
    return ends | {"verdict": None if unknown else claim.verdict}


def _known(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value


# ---- the published plane --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Published:
    """Two families of published networks, or of results of one's own: top-1 in percent at equal FLOPs.

    `sides` are family and source of each; `pairs` their names, GFLOPs and differences; `fits` the answers of
    a + b F^-c for the error of each family.
    """

    sides: tuple[tuple[str, str], tuple[str, str]]
    conditions: str
    noise: float | None
    level: float
    pairs: tuple[tuple[str, float, str, float, Difference], ...]
    mean: Difference
    fits: tuple[Mapping[str, Any], ...]


PUBLISHED_LEVEL = 0.9


def published(
    family: str = "convnext",
    against: str = "swin",
    *,
    source: str | None = None,
    against_source: str | None = None,
    pretrain: str = "imagenet-1k",
    resolution: int = 224,
    noise: float | None = None,
    results: Iterable[PublishedPoint] = (),
) -> Published:
    """Compare two families among the published points and `results`, each family from one source.

    A source that is not named is the ConvNeXt paper's Table 1, or the only one that has the family.
    `noise` is the standard deviation of one training in points. Raises `InputError`.
    """
    from analysis.compare import at_equal_flops
    from analysis.reference import PLANE, published_points
    from analysis.results import select, table

    everything = [*published_points(pool=PLANE), *results]
    plane = [p for p in everything if p.pretrain == pretrain and p.resolution == resolution]
    sides = [
        select(plane, family=name, source=chosen or _source(plane, name))
        for name, chosen in ((family, source), (against, against_source))
    ]
    tables = [table(side) for side in sides]
    first, second = tables
    known = first.seeds is not None and second.seeds is not None
    found = at_equal_flops(
        first.gflops,
        first.top1,
        second.gflops,
        second.top1,
        seeds_a=first.seeds if known else None,
        seeds_b=second.seeds if known else None,
        noise=noise,
        level=PUBLISHED_LEVEL,
    )
    pairs = tuple(
        (first.names[p.first], float(first.gflops[p.first]), second.names[p.second],
         float(second.gflops[p.second]), p.difference)
        for p in found.pairs
    )  # fmt: skip
    named = ((family, sides[0][0].source), (against, sides[1][0].source))
    fits = tuple(_fit(side, noise) for side in sides)
    return Published(named, f"{pretrain}, {resolution} px", noise, PUBLISHED_LEVEL, pairs, found.mean, fits)


def _source(points: Sequence[PublishedPoint], family: str) -> str:
    from analysis.reference import CONVNEXT_PAPER

    there = list(dict.fromkeys(point.source for point in points if point.family == family))
    if CONVNEXT_PAPER in there:
        return CONVNEXT_PAPER
    if len(there) > 1:
        raise InputError(f"compare: {family} has several sources ({', '.join(there)}): name one")
    if not there:
        known = ", ".join(sorted({point.family for point in points})) or "none"
        raise InputError(f"compare: no family {family!r} under these conditions; there is {known}")
    return there[0]


def _fit(points: Sequence[PublishedPoint], noise: float | None) -> dict[str, Any]:
    from analysis.scaling import SATURATING_POWER, fit_law

    names = [point.name for point in points]
    plain = {"law": SATURATING_POWER.formula, "networks": len(set(names))}
    if len({point.gflops for point in points}) < 2:
        return plain  # no line through one point: no parameter is asked for
    fitted = fit_law(
        [point.gflops for point in points],
        [point.error for point in points],
        network=names,
        noise=noise,
        level=PUBLISHED_LEVEL,
    )
    return plain | dict(fitted.parameters)


def published_sentences(found: Published) -> list[str]:
    """The published plane's answer, a sentence a claim."""
    (family, source), (against, other_source) = found.sides
    lines = []
    for name, gflops, other, other_gflops, difference in found.pairs:
        gap = gflops / other_gflops - 1
        costs = "" if abs(gap) <= COST_TOLD else f"; {abs(gap):.0%} {'more' if gap > 0 else 'less'} FLOPs"
        lines.append(f"{name} less {other}: {points(difference, found.level, 1.0)}{costs}.")
    if len(found.pairs) > 1:
        lines.append(f"Mean over {len(found.pairs)} pairs: {points(found.mean, found.level, 1.0)}.")
    if found.noise is None:
        lines.append(
            "One published run has no interval: --noise assumes a standard deviation of one training."
        )
    else:
        lines.append(f"Assumed: a standard deviation of {found.noise:g} points of one training.")
    for (name, _), fit in zip(found.sides, found.fits, strict=True):
        answers = "; ".join(f"{key} {value}" for key, value in fit.items() if key not in ("law", "networks"))
        count = "1 network" if fit["networks"] == 1 else f"{fit['networks']} networks"
        lines.append(f"{name}, error = {fit['law']} over {count}: {answers or 'not identified'}.")
    lines.append(f"Sources: {family}: {source}; {against}: {other_source}; {found.conditions}.")
    return lines


def published_rows(found: Published) -> list[dict[str, Any]]:
    """A row a pair; differences are points of top-1, unknown ends None."""
    (family, source), (against, other_source) = found.sides
    return [
        {
            "family": family, "network": name, "gflops": gflops, "source": source,
            "against": against, "other": other, "other_gflops": other_gflops, "other_source": other_source,
            "difference": difference.value, "low": _known(difference.low), "high": _known(difference.high),
            "verdict": difference.verdict if math.isfinite(difference.low) else None,
        }
        for name, gflops, other, other_gflops, difference in found.pairs
    ]  # fmt: skip


def published_json(found: Published) -> dict[str, Any]:
    """Everything as plain values; a parameter that is not identified has its reason in place of a value."""
    fits = []
    for (family, _), fit in zip(found.sides, found.fits, strict=True):
        plain = {
            key: value if key in ("law", "networks") else {k: _plain(v) for k, v in asdict(value).items()}
            for key, value in fit.items()
        }
        fits.append({"family": family, **plain})
    return {
        "conditions": found.conditions,
        "level": found.level,
        "noise": found.noise,
        "pairs": published_rows(found),
        "mean": interval(found.mean),
        "fits": fits,
        "sentences": published_sentences(found),
    }


def _plain(value: Any) -> Any:
    return _known(value) if isinstance(value, float) else value


# ---- the command ----------------------------------------------------------------------------------------


def parser() -> Command:
    """The flags."""
    command = Command(
        prog="python -m analysis.compare",
        description="Are the networks that a search found "
        "better than ConvNeXt, Swin and ResNet at equal FLOPs, and how many FLOPs do they save?",
    )
    add = command.add_argument
    add(
        "studies",
        nargs="*",
        metavar="STUDY",
        help="names under runs/ or folders, all of one proxy and data set",
    )
    add("--json", action="store_true", help="print everything as JSON in place of the tables")
    add("--csv", metavar="FILE", type=Path, help="write the differences there as well")
    plane = command.add_argument_group("the published plane, in place of studies")
    add = plane.add_argument
    add("--published", action="store_true", help="compare two published families at equal FLOPs")
    add("--family", metavar="NAME", help="the first family (default: convnext)")
    add(
        "--source",
        metavar="NAME",
        help="its source (default: ConvNeXt paper Table 1, or the family's only one)",
    )
    add("--against", metavar="NAME", help="the second family (default: swin)")
    add("--against-source", metavar="NAME", help="its source (default: as --source)")
    add("--pretrain", metavar="NAME", help="pre-training set of both (default: imagenet-1k)")
    add("--resolution", type=int, metavar="N", help="of both, in pixels (default: 224)")
    add(
        "--noise",
        type=_noise,
        metavar="S",
        help="standard deviation of one training in points: none assumed "
        "without it, so no verdict on single runs",
    )
    add(
        "--results",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="CSV files of your own (name, family, "
        "resolution, pretrain, accuracy or top1, gflops), or timm's: results-imagenet.csv and "
        "benchmark-infer-*.csv",
    )
    return command  # fmt: skip


PUBLISHED_FLAGS = ("family", "source", "against", "against_source", "pretrain", "resolution", "noise")


def _noise(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise ValueError
    return value


_noise.__name__ = "number above 0"  # argparse says "invalid number above 0 value"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    given = {name: getattr(args, name) for name in PUBLISHED_FLAGS if getattr(args, name) is not None}
    if args.published and args.studies:
        command.error("--published takes no study: the two planes are never compared")
    if not args.published and (given or args.results):
        flag = "--" + next(iter(given), "results").replace("_", "-")
        command.error(f"{flag} belongs to --published")
    if not args.published and not args.studies:
        command.error("which study? Give names under runs/ or folders, or --published")
    try:
        if args.published:
            _show_published(published(results=_own(args.results or ()), **given), args)
        else:
            from analysis.study import read_studies

            _show_answer(answer(read_studies(args.studies)), args)
    except InputError as error:
        print(f"analysis.compare: {error}", file=sys.stderr)
        return 2
    return 0


def _own(paths: Sequence[Path]) -> list[PublishedPoint]:
    """The results in the files; what timm's cannot be joined is told on stderr."""
    from analysis.results import is_timm, read_results, read_timm

    timm = [path for path in paths if is_timm(path)]
    found: list[PublishedPoint] = []
    for path in paths:
        if path not in timm:
            found += read_results(path)
    if timm:
        joined = read_timm(*timm)
        found += joined.points
        if joined.left_out:
            print(
                f"analysis.compare: {len(joined.left_out)} of timm's results have no costs at their image "
                f"size, such as {joined.left_out[0]}",
                file=sys.stderr,
            )
    return found


def _show_answer(found: Answer, args: Namespace) -> None:
    if args.csv:
        _write_csv(args.csv, COLUMNS, rows(found))
    if args.json:
        print(json.dumps(as_json(found), indent=2))
        return
    columns = ("budget", "reference", "GFLOPs", "accuracy", "searched", "GFLOPs", "accuracy", "points",
               f"{found.level:.0%} interval", "verdict")  # fmt: skip
    several = len(found.studies) > 1
    cells = [
        (*((match.study,) if several else ()), *_cells(match)) for f in found.families for match in f.matches
    ]
    _print_table(
        f"{', '.join(found.studies)}: searched less reference ({found.conditions})",
        (*(("study",) if several else ()), *columns),
        cells,
    )
    _print_lines(sentences(found))


def _cells(match: Match) -> tuple[str, ...]:
    accuracies = [f"{100 * value:.1f}%" for value in (match.reference_accuracy, match.searched_accuracy)]
    costs = [f"{tried.macs / 1e9:.3g}" for tried in (match.reference, match.searched)]
    difference = match.difference
    known = math.isfinite(difference.low)
    ends = f"{100 * difference.low:+.1f} to {100 * difference.high:+.1f}" if known else "one seed"
    return (
        match.budget or "", match.reference.label, costs[0], accuracies[0], match.searched.label, costs[1],
        accuracies[1], f"{100 * difference.value:+.1f}", ends, match.verdict or "no interval",
    )  # fmt: skip


def _show_published(found: Published, args: Namespace) -> None:
    plain = published_rows(found)
    if args.csv:
        _write_csv(args.csv, list(plain[0]), plain)
    if args.json:
        print(json.dumps(published_json(found), indent=2))
        return
    cells = []
    for name, gflops, other, other_gflops, difference in found.pairs:
        known = math.isfinite(difference.low)
        ends = f"{difference.low:+.1f} to {difference.high:+.1f}" if known else "one run"
        word = difference.verdict if known else "no interval"
        cells.append(
            (name, f"{gflops:.3g}", other, f"{other_gflops:.3g}", f"{difference.value:+.1f}", ends, word)
        )
    (family, _), (against, _) = found.sides
    columns = (family, "GFLOPs", against, "GFLOPs", "points", f"{found.level:.0%} interval", "verdict")
    _print_table(f"published top-1, {family} less {against} ({found.conditions})", columns, cells)
    _print_lines(published_sentences(found))


def _print_table(title: str, columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left")
    numbers = ("GFLOPs", "accuracy", "points")
    for name in columns:
        table.add_column(name, justify="right" if name in numbers else "left")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))  # Text: a bracket in a name is no markup
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)  # a file or pipe has no edge to wrap at
    console.print(table)


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)


def _write_csv(path: Path, columns: Sequence[str], values: Iterable[Mapping[str, Any]]) -> None:
    from space.files import write_text

    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(values)
    write_text(path, text.getvalue())
