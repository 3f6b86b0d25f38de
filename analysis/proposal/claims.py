"""What a proposal says: tables and sentences for people, and plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from analysis.isoflop.profiles import Profiles
from analysis.isoflop.sample import LABELS, dimensions
from analysis.isoflop.series import Series
from analysis.laws.answer import Answer, Estimate
from analysis.proposal.proposal import Scaled, ScalingPlan
from analysis.proposal.rules import published_exponents
from analysis.proposal.wishes import KEPT, RULE
from space.architecture import Architecture
from space.budget import quantity
from space.columns import columns_of
from space.command import table_console
from space.cost import cost
from space.networks import brief
from space.words import plural

INSIDE = 1.05  # times the largest budget: not yet an extrapolation


def print_plan(found: ScalingPlan, path: Path) -> None:
    """Rules, networks, prediction and remarks; a pipe gets plain text, as wide as it needs to be."""
    console = table_console()

    def say(line: str = "") -> None:
        console.print(line, markup=False, soft_wrap=True)

    sample = found.profiles.sample
    say(
        f"{found.study.name}: {plural(len(sample.networks), 'network')} at {len(sample.groups)} budgets, "
        f"scaled to {found.budget.text}: {_how_far(found.beyond)}"
    )
    console.print(_rule_table(found))
    for line in (*_reasons(found), *comparisons(found.profiles, found.budget.metric)):
        say(line)
    say()
    console.print(_network_table(found))
    for line in prediction(found):
        say(line)
    for note in found.notes:
        say(f"note: {note}")
    say(f"written to {path}: python -m space.describe {path}")


def _how_far(beyond: float) -> str:
    if beyond <= INSIDE:
        return "inside the budgets tried"
    return f"extrapolated, {beyond:.3g} times the largest budget tried"


def _rule_table(found: ScalingPlan) -> Table:
    level = f"{found.profiles.level:.0%}"
    table = Table(
        title=f"optima, with {level} intervals", title_justify="left", box=box.SIMPLE, pad_edge=False
    )
    table.add_column("dimension", no_wrap=True)
    for group in found.profiles.sample.groups:
        table.add_column(escape(group.text), overflow="fold")
    table.add_column("exponent", overflow="fold")
    table.add_column("at the target", overflow="fold")
    table.add_column("proposed", justify="right", no_wrap=True)
    proposed = dimensions(columns_of([found.proposal]), 1)
    for name, wish in found.wishes.items():
        optima = [short(one.answer) for one in found.profiles.optima[name]]
        at_target = (
            str(wish.answer) if wish.source == RULE else f"{wish.value:.3g}, kept of the largest budget"
        )
        if wish.source == RULE and found.beyond > INSIDE:
            at_target += ", extrapolated"
        cells = [*optima, short(found.profiles.rules[name].exponent), at_target]
        table.add_row(LABELS[name], *map(escape, cells), f"{2 ** proposed[name][0]:.3g}")
    return table


def short(answer: Answer) -> str:
    """An answer in a cell of a table."""
    if isinstance(answer, Estimate):
        return str(answer)
    return "at the edge" if answer.reason.startswith("at the edge") else "not identified"


def _reasons(found: ScalingPlan) -> Iterator[str]:
    """Why a dimension has no exponent."""
    for name, wish in found.wishes.items():
        rule = found.profiles.rules[name]
        if wish.source == KEPT:
            yield f"{LABELS[name]}: exponent {rule.exponent}; the value of the largest budget is kept"
        elif rule.stretch > 1:
            yield (
                f"{LABELS[name]}: the budgets scatter about the power law {rule.stretch:.2g} times as far as "
                "their intervals say; its intervals are that much longer"
            )


def comparisons(found: Profiles, metric: str) -> list[str]:
    """The study's exponents against those of ConvNeXt's own sizes."""
    lines = []
    for name, published in published_exponents(metric).items():
        exponent = found.rules[name].exponent
        start = f"{name}: ConvNeXt-T to L has exponent {published:.2f}"
        if not isinstance(exponent, Estimate):
            lines.append(f"{start}; the study's is not identified")
            continue
        inside = exponent.low <= published <= exponent.high
        verdict = "covers it" if inside else "does not cover it"
        lines.append(f"{start}; the study's interval {exponent.low:.2g} to {exponent.high:.2g} {verdict}")
    return lines


def _network_table(found: ScalingPlan) -> Table:
    title = f"networks that cost {found.budget}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    table.add_column("by", no_wrap=True)
    for heading in ("FLOPs", "params"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("network", no_wrap=True)
    where = f"in the space {found.space}" if found.space else "outside the space"
    rows = [Scaled(f"the study's optima, {where}", found.proposal), *found.others]
    for one in rows:
        if one.network is None:
            table.add_row(one.rule, "", "", "none in the band")
            continue
        total = cost(one.network)
        table.add_row(one.rule, quantity(total.macs), quantity(total.params), brief(one.network))
    return table


def prediction(found: ScalingPlan) -> list[str]:
    """The accuracy at the target, in sentences."""
    series = found.series
    kind = "fresh seeds" if series.fresh else "search values, which are optimistic"
    if series.fit is None:
        return [f"accuracy at the target: not identified ({series.reason})"]
    error = series.at([found.target])[0]
    about = f"{series.fit.law.formula}, {plural(series.fit.networks, 'network')}, {kind}"
    if not isinstance(error, Estimate):
        return [f"accuracy at the target: not identified: of the error, {error.reason} ({about})"]
    lines = [
        f"accuracy at the target: {_accuracy(error)}, of networks such as {_whose(series)}, under the "
        f"study's proxy ({about})"
    ]
    chosen = series.fit.law.name
    others = {name: one for name, one in by_law(found).items() if name != chosen}
    return [*lines, *(f"  by {name}: {_accuracy(one)}" for name, one in others.items())]


def by_law(found: ScalingPlan) -> dict[str, Answer]:
    """Percent error at the target under every law to choose among: how much hangs on the choice."""
    choice = found.series.choice
    rows = () if choice is None else choice.table
    return {row.law.name: found.series.at([found.target], row.law)[0] for row in rows}


def _whose(series: Series) -> str:
    return "the search confirms" if series.fresh else "the best of the search"


def _accuracy(error: Answer) -> str:
    """Of an error in percent, with its interval."""
    if not isinstance(error, Estimate):
        return str(error)
    return f"{100 - error.value:.1f}% ({100 - error.high:.1f}% to {100 - error.low:.1f}%)"


# ---- plain values ---------------------------------------------------------------------------------------


def as_json(found: ScalingPlan) -> dict[str, Any]:
    """Everything as plain values; numbers that are not finite are None."""
    return {
        "study": found.study.name,
        "to": found.budget.text,
        "metric": found.budget.metric,
        "band": [found.budget.low, found.budget.high],
        "beyond_largest_budget": found.beyond,
        "level": found.profiles.level,
        "budgets": [
            {"text": group.text, "cost": group.cost, "networks": group.networks}
            for group in found.profiles.sample.groups
        ],
        "dimensions": {name: _dimension_json(found, name) for name in found.wishes},
        "proposal": _network_json(found.proposal),
        "space": found.space,
        "others": [
            {"rule": one.rule, **(_network_json(one.network) if one.network else {"architecture": None})}
            for one in found.others
        ],
        "published_exponents": published_exponents(found.budget.metric),
        "prediction": _prediction_json(found),
        "notes": list(found.notes),
    }


def _dimension_json(found: ScalingPlan, name: str) -> dict[str, Any]:
    wish, rule = found.wishes[name], found.profiles.rules[name]
    return {
        "optima": [
            {"budget": one.group.text, "cost": one.group.cost, "method": one.method, **plain(one.answer)}
            for one in found.profiles.optima[name]
        ],
        "exponent": plain(rule.exponent),
        "at_target": {"value": wish.value, "source": wish.source, "reason": wish.reason},
        "interval_at_target": plain(rule.at(found.target)),
    }


def plain(answer: Answer) -> dict[str, Any]:
    """An answer as plain values."""
    low, high = (end if math.isfinite(end) else None for end in (answer.low, answer.high))
    if isinstance(answer, Estimate):
        return {"value": answer.value, "low": low, "high": high, "not_identified": None}
    return {"value": None, "low": low, "high": high, "not_identified": answer.reason}


def _network_json(network: Architecture) -> dict[str, Any]:
    total = cost(network)
    return {
        "network": brief(network),
        "fingerprint": network.fingerprint,
        "macs": total.macs,
        "params": total.params,
        "activations": total.activations,
        "architecture": network.to_dict(),
    }


def _prediction_json(found: ScalingPlan) -> dict[str, Any]:
    series = found.series
    if series.fit is None:
        return {"law": None, "fresh": series.fresh, "reason": series.reason}
    error = series.at([found.target])[0]
    return {
        "law": series.fit.law.formula,
        "fresh": series.fresh,
        "networks": series.fit.networks,
        "reason": series.reason,
        "parameters": {name: plain(one) for name, one in series.fit.parameters.items()},
        "error_percent": plain(error),
        "by_law": {name: plain(one) for name, one in by_law(found).items()},
    }
