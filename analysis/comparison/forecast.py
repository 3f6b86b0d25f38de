"""What the laws of families say of a larger cost, and of networks beyond the fit that are there."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from analysis.comparison.beyond import Held, tally
from analysis.comparison.families import (
    ACTIVATIONS,
    GFLOPS,
    LEAST,
    PARAMS,
    CostAxis,
    ResultPlane,
    planes,
    speeds_of,
    time_on,
)
from analysis.comparison.published import PUBLISHED_LEVEL
from analysis.comparison.shapes import ShapeEffect, effect_words, effects, exponent_words, exponents
from analysis.laws.answer import Answer, in_percent, plain
from analysis.laws.fit import Fit, fit_law
from analysis.points.printed import PublishedPoint, having, listed
from space.budget import parse_budget
from space.errors import InputError, quoted
from space.words import plural

COSTS = {"macs": (GFLOPS, 1e9), "params": (PARAMS, 1e6), "activations": (ACTIVATIONS, 1e6)}
THROUGHPUT = re.compile(r"\s*(\d{1,9}(?:\.\d{0,9})?)\s*images/s\s*")


@dataclass(frozen=True)
class FamilyForecast:
    """The law of a family on its plane over a cost, its word `at` one, and on the networks beyond the fit.

    `grown` are the exponents by which its shapes grow with FLOPs, `effects` what shapes go with on the plane.
    """

    plane: ResultPlane
    family: str
    note: str
    fit: Fit
    cost: CostAxis
    at: float
    answer: Answer
    held: Sequence[Held[PublishedPoint]]
    grown: Sequence[tuple[CostAxis, Answer]]
    effects: Sequence[ShapeEffect]


def cost_of(text: str, flag: str, device: str | None = None) -> tuple[CostAxis, float]:
    """`15.4GFLOPs` or `30Mparams` as a cost and a number in its unit; `700images/s` as the time on `device`.

    Raises `InputError`.
    """
    if speed := THROUGHPUT.fullmatch(text):
        if device is None:
            raise InputError(f"{flag} {text}: no result has a throughput")
        if not float(speed[1]) > 0:
            raise InputError(f"{flag} {text}: must be above 0")
        return time_on(device), 1000 / float(speed[1])
    budget = parse_budget(text, (1.0, 1.0))
    if ".." in text:
        raise InputError(f"{flag} {text}: write one cost like 15.4GFLOPs, 30Mparams or 700images/s")
    cost, unit = COSTS[budget.metric]
    return cost, budget.high / unit


def _device(points: Sequence[PublishedPoint], to: str, wanted: str | None) -> str | None:
    """The device of a throughput: the one that is wanted, or the only one. Raises `InputError`."""
    there = list(dict.fromkeys(name for point in points for name, _ in speeds_of(point)))
    if not THROUGHPUT.fullmatch(to):
        if wanted is not None:
            raise InputError(
                f"--device belongs to a throughput such as --to 700images/s, not to {quoted(to)}"
            )
        return None
    if wanted is not None and wanted not in there:
        known = f"there is {listed(there)}" if there else "no result has a throughput"
        raise InputError(f"--device {quoted(wanted)}: no result has it; {known}")
    if wanted is None and len(there) > 1:
        raise InputError(f"--to {to}: on which device? --device names one: {listed(there)}")
    return wanted if wanted is not None else next(iter(there), None)


def forecasts(
    points: Iterable[PublishedPoint],
    to: str,
    *,
    fit_to: str | None = None,
    noise: float | None = None,
    device: str | None = None,
    **wanted: Any,
) -> list[FamilyForecast]:
    """Of each family with at least four networks up to `fit_to`; `wanted` are fields of the points.

    A throughput is one on `device`, and up to one are the networks at least as fast. The interval is that of
    one more network at 90%. Raises `InputError`, also where no family has enough.
    """
    chosen = having(points, wanted, "no result")
    device = _device(chosen, to, device)
    cost, at = cost_of(to, "--to", device)
    last, most = (cost, math.inf) if fit_to is None else cost_of(fit_to, "--fit-to", device)
    if last.key != cost.key:
        raise InputError(f"--fit-to {fit_to}: not the cost of --to {to}")
    found = [forecast for plane in planes(chosen) for forecast in _of_plane(plane, cost, at, most, noise)]
    if not found:
        upto = "" if fit_to is None else f" up to {fit_to}"
        raise InputError(
            f"no family has {LEAST} networks{upto} on one plane and of one recipe: a law has three parameters"
        )
    return found


def _of_plane(
    plane: ResultPlane, cost: CostAxis, at: float, most: float, noise: float | None
) -> Iterable[FamilyForecast]:
    found = list(effects(plane))
    for side in plane.sides.values():
        known = side.known(cost)
        fitted = [point for point in known if cost.of(point) <= most]
        beyond = sorted((p for p in known if cost.of(p) > most), key=cost.of)
        if len({p.name for p in fitted}) < LEAST or len({cost.of(p) for p in fitted}) < 2:
            continue
        fit = fit_law(
            [cost.of(point) for point in fitted],
            [point.error for point in fitted],
            network=[point.name for point in fitted],
            noise=noise,
            level=PUBLISHED_LEVEL,
        )
        answer, *others = fit.predict_networks([at, *map(cost.of, beyond)])
        held = list(map(Held, beyond, others))
        grown = list(exponents(side))
        yield FamilyForecast(plane, side.family, side.note, fit, cost, at, answer, held, grown, found)


def sentences(found: Sequence[FamilyForecast]) -> list[str]:
    """A sentence a claim."""
    lines = []
    for one in found:
        plane = one.plane
        where = f"{plane.source}, {plane.pretrain}, {plane.resolution} px, {plane.test_set}"
        answers = "; ".join(f"{name} {answer}" for name, answer in one.fit.parameters.items())
        over = "" if one.cost == GFLOPS else f", F in {one.cost.unit},"
        lines.append(
            f"{one.family} ({where}): error = {one.fit.law.formula}{over} over "
            f"{plural(one.fit.networks, 'network')}: {answers}."
        )
        lines.append(f"  A network of {one.cost.told(one.at)}: {in_percent(one.answer, ' error')}.")
        lines += [held.words(one.cost.told(one.cost.of(held.point), 3), " error") for held in one.held]
        lines += [f"  {said}" for said in (exponent_words(one.family, one.grown), one.note) if said]
    for one in {id(one.plane): one for one in found}.values():
        where = f"{one.plane.source}, {one.plane.pretrain}, {one.plane.resolution} px"
        lines += [f"{where}: {effect_words(effect)}" for effect in one.effects]
    return [*lines, *tally((held for one in found for held in one.held), "network", PUBLISHED_LEVEL)]


def as_json(found: Sequence[FamilyForecast]) -> list[dict[str, Any]]:
    """Everything as plain values; what is not identified has its reason in place of a value."""
    return [
        {
            "source": one.plane.source, "test_set": one.plane.test_set, "pretrain": one.plane.pretrain,
            "resolution": one.plane.resolution, "family": one.family, "networks": one.fit.networks,
            "law": one.fit.law.formula, "level": one.fit.level,
            "parameters": {name: plain(answer) for name, answer in one.fit.parameters.items()},
            **one.cost.plain(one.at), "error": plain(one.answer),
            "beyond": [
                {"name": held.point.name, **one.cost.plain(one.cost.of(held.point)),
                 "error": held.point.error, "inside": held.inside, "predicted": plain(held.answer)}
                for held in one.held
            ],
            "exponents": {cost.key: plain(answer) for cost, answer in one.grown},
            "at_equal_flops": {effect.shape.key: _effect(effect) for effect in one.effects},
        }
        for one in found
    ]  # fmt: skip


def _effect(effect: ShapeEffect) -> dict[str, Any]:
    """Points of top-1 of a doubling."""
    counts = {"networks": effect.networks, "families": effect.families}
    d = effect.difference
    if d is None:
        return {"not identified": effect.reason, **counts}
    return {"points": round(d.value, 3), "low": round(d.low, 3), "high": round(d.high, 3), **counts}
