"""The table at the end of a search: what is recommended, among what it was chosen from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from nas.record.study import Study, Tried
from nas.verdict.field import searched_value
from nas.verdict.pick import Pick, Recommendation
from space.budget import quantity
from space.networks import chosen, recorded_from, titled
from space.tabled import Tabled

FEWEST = 24  # letters of a table's network in a line
LEAST = 8  # of any other
PIPE = 10_000
MOST = 5  # searched networks of a budget; the page has all
COSTS = {"FLOPs": "macs", "params": "params"}  # 0 where a table does not know them
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


def print_ranking(found: Recommendation, console: Console) -> None:
    """The table; a pipe or a file has it as wide as its longest row, a narrow terminal a list."""
    table = ranking_table(found)
    if not console.is_terminal:
        table.width = console.measure(table, options=console.options.update(width=PIPE)).maximum
    elif _least(table) > console.width:
        console.print(*_listed(found, console.width), sep="\n")
        return
    console.print(table, crop=False)


def _least(table: Table) -> int:
    """The width at which all numbers of the table are whole."""
    between = 3 * len(table.columns) - 1  # two at the edges
    told = any(isinstance(cell, Parts) for cell in table.columns[-1].cells)
    numbers = (
        max(cell_len(str(cell)) for cell in (column.header, *column.cells)) for column in table.columns[:-1]
    )
    return sum(numbers) + between + (FEWEST if told else LEAST)


def _listed(found: Recommendation, width: int) -> Iterator[Text]:
    """The places in two lines or more each: the network, cut where it must be, and its numbers."""
    shown = places(found)
    headings = _headings(found, shown)
    numbers = [heading for heading in headings if heading not in ("budget", "trial", "network")]
    told, shared = _axes(shown) if found.study.tabled else ([], [])
    yield Text(_title(found, shared))
    yield Text(f"each with {', '.join(numbers)}")
    budget = None
    for row, place in enumerate(shown):
        cells = dict(zip(headings, cells_of(place, headings), strict=True))
        if cells.get("budget") != budget:
            budget = cells["budget"]
            yield Text(f"for {budget}", style="bold")
        style = "bold" if place.picked else ""
        network = told[row] if told else [cells["network"]]
        first = Text(f"trial {cells['trial']}  {' '.join(network)}", style=style)
        if not told:
            first.truncate(width, overflow="ellipsis")
        yield first
        values = [f"{cells[heading]}," for heading in numbers[:-1]] + [cells[numbers[-1]]]
        yield from (Text(f"  {line}", style=style) for line in lines_of(values, width - 2))


def ranking_table(found: Recommendation) -> Table:
    """The places as a table for a terminal: numbers stay, the network's text is cut where it must.

    A table's networks are told in full, over several lines, but for the axes on which all of them agree.
    """
    shown = places(found)
    headings = _headings(found, shown)
    told, shared = _axes(shown) if found.study.tabled else ([], [])
    table = Table(title=Text(_title(found, shared)), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        text = heading in ("network", "budget")
        # only what may wrap gives way on a narrow terminal: the network
        table.add_column(heading, justify="left" if text else "right", no_wrap=heading != "network")
    for row, place in enumerate(shown):
        lines: list[Text | Parts] = [
            Text(cell, no_wrap=True, overflow="ellipsis") for cell in cells_of(place, headings)
        ]
        if told:
            lines[headings.index("network")] = Parts(told[row])
        table.add_row(*lines, style="bold" if place.picked else "")
    return table


def _headings(found: Recommendation, shown: Sequence[Place]) -> list[str]:
    """Those that have something to say: no budget where there is one, no cost that a table does not know."""
    return [
        heading for heading in ("budget", *HEADINGS)
        if (heading != "budget" or found.kind == "budgets")
        and (heading not in COSTS or any(getattr(place.tried, COSTS[heading]) for place in shown))
    ]  # fmt: skip


def _title(found: Recommendation, shared: Sequence[str]) -> str:
    what = "front" if found.kind == "front" else "ranking"
    same = f"\nthe same in all: {'; '.join(shared)}" if shared else ""
    return f"{what} under the {found.study.conditions}{same}"


def _axes(shown: Sequence[Place]) -> tuple[list[list[str]], list[str]]:
    """What tells a table's networks apart, `axis value` each; and what all of several have in common."""
    networks = [recorded_from(place.tried.architecture) for place in shown]
    values = [dict(chosen(one.choices)) for one in networks if isinstance(one, Tabled)]
    same = [axis for axis in values[0] if len(values) > 1 and len({own[axis] for own in values}) == 1]
    told = [[f"{axis} {value}" for axis, value in own.items() if axis not in same] for own in values]
    return told, [f"{axis} {values[0][axis]}" for axis in same]


@dataclass(frozen=True)
class Parts:
    """A network in parts, over as many lines as the width of its column makes of them."""

    parts: Sequence[str]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From a few letters to one line."""
        longest = len(" ".join(self.parts))
        return Measurement(min(FEWEST, longest), longest).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        """The lines."""
        yield from (Text(line, no_wrap=True) for line in lines_of(self.parts, options.max_width))


def lines_of(parts: Sequence[str], width: int) -> list[str]:
    """Parts in lines of at most `width` letters: whole where they fit, else after a comma, dash or space."""
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
            continue
        rest = part
        while len(rest) > width:
            at = max(rest.rfind(end, 0, width) for end in ", -") + 1 or width
            lines.append(rest[:at].rstrip())
            rest = rest[at:]
        lines.append(rest)
    return lines


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
