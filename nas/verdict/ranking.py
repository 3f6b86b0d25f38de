"""The table at the end of a search: what is recommended, among what it was chosen from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from nas.record.study import Study, Tried
from nas.verdict.pick import Pick, Recommendation, searched_value
from space.budget import quantity
from space.networks import recorded_from, titled

MOST = 5  # searched networks of a budget; the page has all
HEADINGS = ("trial", "FLOPs", "params", "accuracy", "seeds", "network")


@dataclass(frozen=True)
class Place:
    """A network with the accuracy that speaks for it: over the pick's fresh seeds, else of the search."""

    tried: Tried
    accuracy: float
    seeds: int
    picked: bool


def places(found: Recommendation) -> list[Place]:
    """What is recommended with the references: of a budget, by accuracy; of a front, by cost."""
    if found.kind == "front":
        picks = {pick.tried.trial: pick for pick in found.picks}
        last = next(iter(found.picks))
        shown = [tried for tried in found.study.networks if tried.trial in picks or tried.role == "reference"]
        front = (_place(tried, picks.get(tried.trial, last), tried.trial in picks) for tried in shown)
        return sorted(front, key=lambda place: getattr(place.tried, found.study.metric))
    return [place for pick in found.picks for place in _around(found.study, pick)]


def _around(study: Study, pick: Pick) -> Iterator[Place]:
    """The most accurate networks of the pick's budget, and all its references."""
    of_budget = [t for t in study.networks if pick.budget in (None, t.budget)]
    ranked = sorted(
        (_place(tried, pick, tried.trial == pick.tried.trial) for tried in of_budget),
        # one training is no match for a mean of fresh seeds: what has none comes after
        key=lambda place: (not place.seeds if pick.seeds else False, -place.accuracy, place.tried.trial),
    )
    candidates = [place for place in ranked if place.tried.role == "candidate"][:MOST]
    return (p for p in ranked if p.picked or p in candidates or p.tried.role == "reference")


def _place(tried: Tried, pick: Pick, picked: bool) -> Place:
    """Its accuracy over the seeds that the pick's is of, or as the search saw it where it lacks one."""
    fresh = [tried.fresh[seed] for seed in pick.over if seed in tried.fresh]
    if pick.over and len(fresh) == len(pick.over):
        return Place(tried, sum(fresh) / len(fresh), len(fresh), picked)
    return Place(tried, searched_value(tried), 0, picked)


def ranking_table(found: Recommendation) -> Table:
    """The places as a table for a terminal: numbers stay, the network's text is cut where it must."""
    what = "front" if found.kind == "front" else "ranking"
    title = Text(f"{what} under the {found.study.conditions}")
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    headings = ("budget", *HEADINGS) if found.kind == "budgets" else HEADINGS
    rows = [(place, cells_of(place, headings)) for place in places(found)]
    for heading in headings:
        text = heading in ("network", "budget")
        # only what may wrap gives way on a narrow terminal: the network, which is then cut
        table.add_column(heading, justify="left" if text else "right", no_wrap=heading != "network")
    for place, cells in rows:
        lines = (Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells)
        table.add_row(*lines, style="bold" if place.picked else "")
    return table


def cells_of(place: Place, headings: Sequence[str]) -> list[str]:
    """A place as cells under `headings`: of `HEADINGS`, and `budget`."""
    tried = place.tried
    cells = {
        "budget": tried.budget or "",
        "trial": str(tried.trial),
        "FLOPs": quantity(tried.macs),
        "params": quantity(tried.params),
        "accuracy": f"{place.accuracy:.1%}",
        "seeds": f"{place.seeds} fresh" if place.seeds else "1",
        "network": titled(tried.name, recorded_from(tried.architecture)),
    }
    return [cells[heading] for heading in headings]
