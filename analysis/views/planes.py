"""Studies that share a plane, and what their networks are called on it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.views.common import escape
from analysis.views.units import Spec
from nas.record.study import Study, Tried
from nas.verdict.field import Field, fields_of
from space.words import finite

MOST_CONDITIONS = 46  # characters beside an axis
NARROW = 1.5  # the costs of one budget, at most: largest by least


@dataclass(frozen=True)
class Plane:
    """Studies whose accuracies mean the same: of each its index among all, its label, and the study."""

    members: tuple[tuple[int, str, Study], ...]

    @property
    def conditions(self) -> str:
        """What an accuracy means."""
        return self.members[0][2].conditions

    @property
    def tabled(self) -> bool:
        """Whether others trained the networks, and counted their costs."""
        return self.members[0][2].tabled

    def title(self, what: str = "top-1") -> Spec:
        """Of an axis of accuracies or errors, in percent."""
        return {"text": accuracy_title(self.members[0][2], what)}

    @property
    def names(self) -> str:
        """The studies' labels."""
        return ", ".join(label for _, label, _ in self.members)


def planes(studies: Sequence[Study]) -> list[Plane]:
    """The studies by plane, in order of first appearance."""
    found: dict[tuple[str, str, int], list[tuple[int, str, Study]]] = {}
    for index, (label, study) in enumerate(zip(labels(studies), studies, strict=True)):
        found.setdefault(study.plane, []).append((index, label, study))
    return [Plane(tuple(members)) for members in found.values()]


def labels(studies: Sequence[Study]) -> list[str]:
    """The studies' names, told apart where several folders have one name."""
    names = [study.name for study in studies]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: i + 1].count(name)})"
        for i, name in enumerate(names)
    ]


def accuracy_title(study: Study, what: str = "top-1") -> str:
    """An axis title that nobody takes for ImageNet: the conditions, shortened to fit beside an axis."""
    short = f"{study.mapping['proxy'].get('name')} proxy, {study.length}"
    fitting = (text for text in (study.conditions, short) if len(text) <= MOST_CONDITIONS)
    return f"{what} (%)<br>{escape(next(fitting, short[: MOST_CONDITIONS - 1] + '…'))}"


def numbered(name: str, index: int) -> str:
    """`plane`, `plane_2`, ...: a file's name for the figure of each plane or study."""
    return name if index == 0 else f"{name}_{index + 1}"


def apart(studies: Sequence[Study]) -> list[str]:
    """The note that accuracies of different planes are not compared, where there are such."""
    found = planes(studies)
    if len(found) < 2:
        return []
    return [
        "Trained under different conditions, so never drawn together or compared: "
        + "; ".join(f"{plane.names} ({plane.conditions})" for plane in found)
        + "."
    ]


@dataclass(frozen=True)
class Judged:
    """A network with the accuracies that it is judged by; `stands` where it may be recommended by them."""

    tried: Tried
    accuracies: list[float]
    stands: bool


def judged(study: Study) -> list[Judged]:
    """The networks of a study as its recommendation sees them, each among those of its budget."""
    fields = fields_of(study)
    stands = {tried.trial for field in fields.values() for tried in field.networks}
    none = Field((), (), frozenset())
    found = ((tried, fields.get(tried.budget) or fields.get(None) or none) for tried in study.networks)
    return [Judged(tried, field.accuracies(tried), tried.trial in stands) for tried, field in found]


def is_narrow(study: Study) -> bool:
    """Whether all networks cost about the same, so that accuracy alone ranks them."""
    bands = budgets(study)
    low, high = (finite(bands[0].get(end)) for end in ("low", "high")) if len(bands) == 1 else (None, None)
    return bool(low and high and high <= NARROW * low)


def budgets(study: Study) -> list[Mapping[str, Any]]:
    """The bands of a search; named networks that were only measured are inside none."""
    return [] if study.mapping.get("objective") == "measure" else study.bands


def band_of(study: Study, tried: Tried) -> str:
    """The text of the budget a network was trained for; of an older record, of the first that holds it."""
    if tried.budget is not None:
        return tried.budget
    bands = study.bands
    cost = getattr(tried, study.metric)
    inside = (b for b in bands if (b.get("low") or 0) <= cost <= (b.get("high") or math.inf))
    return str(next(inside, bands[0]).get("text"))


def only(study: Study, trials: Set[int]) -> Study:
    """The study as if it had tried nothing but the networks of these trials; their repeats stay."""
    rows = study.trials
    own = (row.of if row.is_confirmation else row.number for row in rows)
    kept = [row for row, number in zip(rows, own, strict=True) if number in trials]
    return Study(study.mapping, kept, study.folder)


def random_part(studies: Sequence[Study], most: int) -> tuple[list[Study], str | None]:
    """The studies with at most `most` of their networks, drawn at random, and the note that says so."""
    places = [(i, tried.trial) for i, study in enumerate(studies) for tried in study.networks]
    if len(places) <= most:
        return list(studies), None
    drawn = np.random.default_rng(0).choice(len(places), most, replace=False).tolist()
    kept = [{places[j][1] for j in drawn if places[j][0] == i} for i in range(len(studies))]
    note = (
        f"To keep the page quick, {most:,} networks drawn at random are looked at, of the {len(places):,} "
        "that were trained in full."
    )
    return [only(study, trials) for study, trials in zip(studies, kept, strict=True)], note
