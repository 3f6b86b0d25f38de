"""How to divide a training's compute between the network and the images it sees, by error(N, D)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from analysis.comparison.beyond import Held, tally
from analysis.laws.answer import Estimate, in_percent, plain
from analysis.laws.joint import FORMULA, Division, JointFit, fit_joint
from analysis.points.printed import PublishedPoint, having
from analysis.points.result import OwnResult
from nas.record.study import Study, Tried
from space.errors import InputError, quoted
from space.words import compact, plural

LEVEL = 0.9
# multiply-accumulates of a step over those of the forward pass: backward has two products for each of its one
STEP = 3
SCALE = STEP * 1e9 * 1e6  # of GFLOPs times millions of images
PREFIXES = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18, "z": 1e21, "y": 1e24}
COMPUTE = re.compile(r"\s*(\d+(?:\.\d*)?(?:e[+-]?\d+)?)\s*([kmgtpezy]?)(?:flops)?\s*", re.I)
MOST_DIGITS = 40
# of a proxy: what may differ, or follows from it
OWN = ("epochs", "train_size", "fingerprint", "warmup_epochs")
FEWEST = 3  # networks that all studies trained, or all networks count


class LawPoint(NamedTuple):
    """What the law takes: a network's name and GFLOPs, millions of images seen, the error in percent."""

    name: str
    gflops: float
    images: float
    error: float

    @property
    def compute(self) -> float:
        """Its multiply-accumulates."""
        return SCALE * self.gflops * self.images


@dataclass(frozen=True)
class TrainingGrid:
    """Trainings of a family that differ in network and images seen alone; `note` says which these are."""

    where: str
    family: str
    trainings: Sequence[LawPoint]
    note: str = ""


@dataclass(frozen=True)
class Divided:
    """The law of a grid, how it divides a compute, and what it says of trainings beyond the fit."""

    grid: TrainingGrid
    fit: JointFit
    compute: float
    division: Division
    held: Sequence[Held[LawPoint]]


def compute_of(text: str, flag: str) -> float:
    """`5EFLOPs` as a number. Raises `InputError`."""
    match = COMPUTE.fullmatch(text) if len(text) <= MOST_DIGITS else None
    value = float(match[1]) * PREFIXES[match[2].lower()] if match else math.nan
    if not 1 <= value <= 1e30:
        raise InputError(
            f"{flag} {quoted(text)}: the compute of a whole training, written like 5EFLOPs or 5e18: {STEP} "
            "times a network's FLOPs, times the images it sees"
        )
    return value


def divided(grids: Iterable[TrainingGrid], compute: str, fit_to: str | None = None) -> list[Divided]:
    """The law of each grid, and how it divides `compute`. Raises `InputError`."""
    total = compute_of(compute, "--compute")
    most = math.inf if fit_to is None else compute_of(fit_to, "--fit-to")
    found = []
    for grid in grids:
        fitted = [one for one in grid.trainings if one.compute <= most]
        beyond = [one for one in grid.trainings if one.compute > most]
        if not fitted:
            continue
        names, gflops, images, errors = zip(*fitted, strict=True)
        fit = fit_joint(gflops, images, errors, network=names, level=LEVEL)
        answers = fit.predict_trainings([one.gflops for one in beyond], [one.images for one in beyond])
        held = list(map(Held, beyond, answers))
        found.append(Divided(grid, fit, total, fit.divide(total / SCALE), held))
    if not found:
        raise InputError(f"--fit-to {fit_to}: no training has so little compute")
    return found


# ---- grids ----------------------------------------------------------------------------------------------


def grids_of_results(points: Iterable[PublishedPoint], **wanted: Any) -> list[TrainingGrid]:
    """Those of results that say how many images were seen; `wanted` are fields of the points.

    Raises `InputError` where none does.
    """
    seen = [p for p in points if isinstance(p, OwnResult) and math.isfinite(p.images_seen_m)]
    if not seen:
        raise InputError(
            "--compute: no result says how many images its training saw: a column images_seen (or "
            "images_seen_m, in millions), training images times epochs"
        )
    seen = [p for p in seen if p.error > 0]
    if not seen:
        raise InputError("--compute: every result is of no error at all, which no law has")
    groups: dict[tuple[str, str], list[LawPoint]] = {}
    for p in having(seen, wanted, "no such result"):
        where = f"{p.source}, {p.pretrain}, {p.resolution} px, {p.test_set}"
        where += f", {p.recipe_alone}" if p.recipe_alone else ""
        groups.setdefault((where, p.family), []).append(LawPoint(p.name, p.gflops, p.images_seen_m, p.error))
    return [TrainingGrid(where, family, own) for (where, family), own in groups.items()]


def grids_of_studies(studies: Sequence[Study]) -> list[TrainingGrid]:
    """Those of studies whose proxies differ in epochs and training images alone. Raises `InputError`."""
    images = [_images(study) for study in studies]
    first = studies[0]
    for study in studies[1:]:
        _check_alike(first, study)
    found: dict[str, list[LawPoint]] = {}
    common = set.intersection(*({t.fingerprint for t in study.networks} for study in studies))
    alike = len({t.macs for t in first.networks if t.fingerprint in common}) >= FEWEST
    for study, seen in zip(studies, images, strict=True):
        for tried in study.networks:
            if not alike or tried.fingerprint in common:
                found.setdefault(tried.family, []).extend(_trainings(tried, seen))
    if not found:
        raise InputError(f"study {first.name}: no network has been trained in full yet")
    note = f"Networks that all of {plural(len(studies), 'study', 'studies')} trained."
    if not alike:
        note = (
            f"Fewer than {FEWEST} networks of different cost were trained in all studies: these are of any. "
            "What a search chose is better than others of its cost; python -m nas.measure trains the same "
            "networks again."
        )
    proxy = first.mapping["proxy"]
    where = f"{proxy['name']} proxy: {proxy.get('data')}, {proxy.get('resolution')} px"
    return [TrainingGrid(where, family, own, note) for family, own in found.items()]


def _trainings(tried: Tried, seen: float) -> list[LawPoint]:
    # fresh seeds where there are such: by the others a search has chosen
    values = (tried.fresh or tried.accuracies).values()
    costs = tried.macs / 1e9, seen / 1e6
    # a law takes errors above 0 alone, and a network may have made no mistake
    return [LawPoint(tried.fingerprint, *costs, max(100 * (1 - value), 1e-4)) for value in values]


def _images(study: Study) -> float:
    """Images that a training of the study saw. Raises `InputError`."""
    proxy = study.mapping["proxy"]
    size, epochs = proxy.get("train_size"), proxy.get("epochs")
    if not (isinstance(size, int) and isinstance(epochs, int) and size > 0 and epochs > 0):
        raise InputError(f"study {study.name}: its trainings saw no images ({study.conditions})")
    return float(size * epochs)


def _check_alike(first: Study, second: Study) -> None:
    facts: list[Mapping[str, Any]] = [
        {k: v for k, v in s.mapping["proxy"].items() if k not in OWN} for s in (first, second)
    ]
    differ = [key for key in facts[0].keys() | facts[1].keys() if facts[0].get(key) != facts[1].get(key)]
    if differ:
        raise InputError(
            f"studies {first.name} and {second.name} differ in {', '.join(sorted(differ))}: error(N, D) "
            "takes studies that differ in epochs and train_size alone"
        )


# ---- words and plain values -----------------------------------------------------------------------------


def compute_words(value: float) -> str:
    """`5.2 EFLOPs`."""
    prefix, scale = max(
        ((p, s) for p, s in PREFIXES.items() if s <= value), key=lambda pair: pair[1], default=("", 1)
    )
    return f"{compact(value / scale, 3)} {prefix.upper() if scale > 1e3 else prefix}FLOPs"


def sentences(found: Sequence[Divided]) -> Iterator[str]:
    """A sentence a claim."""
    for one in found:
        fit, grid = one.fit, one.grid
        answers = "; ".join(f"{name} {answer}" for name, answer in fit.parameters.items())
        if not fit.fitted:
            answers = str(fit.parameters["E"])
        yield (
            f"{grid.family} ({grid.where}): error = {FORMULA} over {plural(fit.networks, 'network')} and "
            f"{plural(fit.trainings, 'training')}, N in GFLOPs, D in millions of images seen: {answers}."
        )
        if fit.fitted:
            yield f"  {_division_words(one)}"
        for held in one.held:
            yield held.words(f"{_number(held.point.images)} M images")
        if grid.note:
            yield f"  {grid.note}"
    if any(one.fit.fitted and not one.division.inside and not one.held for one in found):
        yield (
            "Beyond what was tried the intervals hold if the law does: --fit-to holds it against larger "
            "trainings."
        )
    yield from tally((held for one in found for held in one.held), "training", LEVEL)


def _division_words(one: Divided) -> str:
    n, d, error = one.division.n, one.division.d, one.division.error
    total = compute_words(one.compute)
    if not (isinstance(n, Estimate) and isinstance(d, Estimate)):
        why = next(answer for answer in (n, d) if not isinstance(answer, Estimate))
        return f"How to divide {total} between N and D cannot be told: of N, {why.reason}."
    far = "" if one.division.inside else "; extrapolated, beyond the N and D that were tried"
    best = f"a network of {_shown(n)} GFLOPs that sees {_shown(d)} M images"
    return f"{total}: {best}; error {in_percent(error)}{far}."


def _shown(one: Estimate) -> str:
    return f"{_number(one.value)} ({_number(one.low)} to {_number(one.high)})"


def _number(value: float) -> str:
    return f"{compact(value, 3):,}"


def as_json(found: Sequence[Divided]) -> list[dict[str, Any]]:
    """Everything as plain values; what is not identified has its reason in place of a value."""
    return [
        {
            "where": one.grid.where, "family": one.grid.family, "law": FORMULA, "level": one.fit.level,
            "networks": one.fit.networks, "trainings": one.fit.trainings,
            "parameters": {name: plain(answer) for name, answer in one.fit.parameters.items()},
            "compute": one.compute, "gflops": plain(one.division.n), "images_seen_m": plain(one.division.d),
            "error": plain(one.division.error), "extrapolated": not one.division.inside,
            "beyond": [
                {**held.point._asdict(), "inside": held.inside, "predicted": plain(held.answer)}
                for held in one.held
            ],
            "note": one.grid.note,
        }
        for one in found
    ]  # fmt: skip
