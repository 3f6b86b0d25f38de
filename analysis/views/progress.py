"""How a search goes: the best so far by trials and by epochs spent, its pace, its failures, its time."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from analysis.fronts.pareto import hypervolume
from analysis.page.view import Cell, Figure, Table, View, colour_of, symbol_of
from analysis.views.common import (
    budget_colour,
    dash,
    escape,
    figure_spec,
    spread_sample,
    study_colour,
    study_symbol,
    with_room,
)
from analysis.views.planes import Plane, apart, band_of, labels, numbered, planes
from analysis.views.units import Spec
from nas.record.study import Study, Tried
from nas.record.trial import Trial
from nas.verdict.field import searched_value
from space.words import compact, duration, finite, listed, percent, plural

KEY, TITLE = "progress", "Progress"
STATES = ("complete", "paused", "running", "interrupted", "failed")
MOST_POINTS = 2000  # of a study
FRONT_STEPS = 100
MOST_REFERENCES = 4
FEW = 10
BINS, A_BIN = 30, 5  # of the pace: intervals, and trainings in one of them
MOST_REASONS = 20
# numbers, paths and addresses differ from one failure to the next of the same kind
VARYING = re.compile(r"0x[0-9a-f]+|(?:/[\w.+-]+){2,}|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?", re.IGNORECASE)

COLUMNS = (
    "study", *STATES, "trained in full", "trainings of further seeds", "epochs trained", "training time",
    "wall time", "trials a minute", "best in the search (%)", "reached at trial",
)  # fmt: skip
FAILURE_COLUMNS = ("study", "failures", "reason (of the first)", "trials")


def view(studies: Sequence[Study]) -> View:
    """Best so far (a figure a plane), pace, counts by state, failures by reason; also of a running study."""
    shown = [_Course(i, label, s) for i, (label, s) in enumerate(zip(labels(studies), studies, strict=True))]
    if not any(one.trials for one in shown):
        reason = "No trial has begun yet."
        return View(KEY, TITLE, lead=reason, empty=reason)
    figures: list[Figure] = []
    for plane in planes(studies):
        members = [shown[index] for index, _, _ in plane.members]
        if any(one.candidates for one in members):
            name = numbered("progress", sum(f.name.startswith("progress_epochs") for f in figures))
            figures += [_best_figure(plane, members, by_epochs=epochs, name=name) for epochs in (False, True)]
            if any(one.front_so_far[0] for one in members):
                figures.append(_front_figure(plane, members, name.replace("progress", "progress_front")))
    if any(len(one.ends) > 1 for one in shown):
        figures.append(_pace_figure(shown))
    tables = [Table("progress", "Trials, epochs and time", COLUMNS, [_row(one) for one in shown])]
    failures = [row for one in shown for row in _failure_rows(one)]
    if failures:
        tables.append(Table("failures", "Failures by reason", FAILURE_COLUMNS, failures, open=True))
    return View(
        KEY,
        TITLE,
        lead=" ".join(_sentence(one, len(studies) > 1) for one in shown),
        figures=figures,
        tables=tables,
        notes=[*_notes(shown), *apart(studies)],
    )


@dataclass(frozen=True)
class _Course:
    """A study's trials in order, and what was spent on them."""

    index: int
    label: str
    study: Study

    @cached_property
    def every(self) -> list[Trial]:
        return sorted(self.study.trials, key=lambda t: t.number)

    @cached_property
    def trials(self) -> list[Trial]:
        """The search's own, without the trainings that confirm it."""
        return [t for t in self.every if not t.is_confirmation]

    @cached_property
    def candidates(self) -> list[Tried]:
        """Trained in full, by number."""
        return sorted(self.study.candidates, key=lambda t: t.trial)

    @cached_property
    def by_budget(self) -> dict[str, list[Tried]]:
        """The candidates of each budget that has any."""
        groups: dict[str, list[Tried]] = {}
        for tried in self.candidates:
            groups.setdefault(band_of(self.study, tried), []).append(tried)
        return groups

    @cached_property
    def front_so_far(self) -> tuple[list[int], list[float]]:
        """Trials, and the mean accuracy of the front until then; none where no front is sought.

        The mean is over the log of the cost within the budget, 0 below the cheapest network: the hypervolume
        against its upper end, divided by its width.
        """
        band = self.study.bands[0]
        low, high = finite(band.get("low")), finite(band.get("high"))
        if self.study.mapping.get("objective") != "front" or not self.candidates or not low or not high:
            return [], []
        costs = np.log([getattr(tried, self.study.metric) for tried in self.candidates])
        values = np.array([searched_value(tried) for tried in self.candidates])
        at = spread_sample(len(values), FRONT_STEPS)
        end, width = float(np.log(high)), float(np.log(high / low))
        means = [hypervolume(costs[: i + 1], values[: i + 1], (end, 0.0)) / width for i in at]
        return [self.candidates[i].trial for i in at], means

    @cached_property
    def epochs_by(self) -> dict[int, int]:
        """Number of a trial -> epochs of it and all before it."""
        spent = np.cumsum([_epochs(trial) for trial in self.trials])
        return {trial.number: int(total) for trial, total in zip(self.trials, spent, strict=True)}

    @cached_property
    def best(self) -> Tried | None:
        return max(self.candidates, key=lambda t: (searched_value(t), -t.trial), default=None)

    @cached_property
    def states(self) -> Counter[str]:
        return Counter(str(trial.state) for trial in self.trials)

    @cached_property
    def ends(self) -> list[float]:
        """When trainings ended, in minutes since the first began."""
        begins = [moment for t in self.every if (moment := _moment(t.started))]
        ends = [moment for t in self.every if (moment := _moment(t.ended))]
        first = min(begins + ends, default=None)
        return sorted((end - first).total_seconds() / 60 for end in ends) if first is not None else []

    @property
    def train_seconds(self) -> float:
        return sum(finite(trial.train_seconds) or 0.0 for trial in self.every)

    @property
    def failed(self) -> list[Trial]:
        return [trial for trial in self.every if trial.state == "failed"]


def _epochs(trial: Trial) -> int:
    """Epochs that were trained, also where a trial failed or still runs."""
    return max(int(trial.fidelity or 0), len(trial.curve or []))


def _moment(text: object) -> datetime | None:
    """Of an ISO text; one without a zone is UTC."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


# ---- figures --------------------------------------------------------------------------------------------


def _best_figure(plane: Plane, members: Sequence[_Course], *, by_epochs: bool, name: str) -> Figure:
    """Every full training as a dot, the best so far as steps, the references as lines across."""
    data: list[Spec] = []
    for place, one in enumerate(members):
        if one.candidates:
            data += _best_traces(one, place, by_epochs=by_epochs, several=len(members) > 1)
    across = "epochs trained, of all trials up to this one" if by_epochs else "trial"
    last = max((x for trace in data for x in trace["x"]), default=0)
    spec = figure_spec(
        [*_references(members, by_epochs=by_epochs, last=last), *data],
        # of few trials there would be ticks at halves
        xaxis={"title": {"text": across}, "rangemode": "tozero", **({"dtick": 1} if last <= FEW else {})},
        yaxis={"title": plane.title()},
    )
    what = "epochs spent" if by_epochs else "trial number"
    title = f"Best accuracy so far, by {what}"
    alt = f"Accuracy of {plane.names}'s fully trained candidates by {what}, the best so far as a step line."
    name = name.replace("progress", "progress_epochs" if by_epochs else "progress_trials")
    return Figure(name, title, with_room(spec), alt, folded=by_epochs)


def _best_traces(one: _Course, place: int, *, by_epochs: bool, several: bool) -> list[Spec]:
    """Of each budget the candidates as dots and the best so far; of one study, a budget has a colour."""
    traces: list[Spec] = []
    for i, (budget, networks) in enumerate(one.by_budget.items()):
        split = len(one.by_budget) > 1
        label = ", ".join(filter(None, [one.label if several else "", budget if split else ""]))
        colour = study_colour(place) if several or not split else budget_colour(i, len(one.by_budget))
        look = colour, study_symbol(place), dash(i if split else place)
        traces += _best_pair(one, networks, escape(label), look, by_epochs=by_epochs)
    return traces


def _best_pair(
    one: _Course, networks: Sequence[Tried], label: str, look: tuple[str, str, str], *, by_epochs: bool
) -> list[Spec]:
    """Dots and steps; `look` is a colour, a symbol and a dash."""
    (colour, symbol, line), suffix = look, f", {label}" if label else ""
    values = [searched_value(tried) for tried in networks]
    across = [one.epochs_by[tried.trial] if by_epochs else tried.trial for tried in networks]
    custom = [[one.index, tried.trial] for tried in networks]
    rises = _rises(values)
    dots = spread_sample(len(networks), MOST_POINTS // len(one.by_budget))
    hover = f"trial %{{customdata[1]}}{suffix}: %{{y:.1f}}%<extra></extra>"
    return [
        {
            "type": "scatter", "mode": "markers", "name": f"candidates{suffix}",
            "x": [across[i] for i in dots], "y": [percent(values[i]) for i in dots],
            "customdata": [custom[i] for i in dots], "hovertemplate": hover,
            "marker": {"color": colour, "symbol": f"{symbol}-open", "size": 8, "line": {"width": 1.5}},
        },
        {
            "type": "scatter", "mode": "lines", "name": f"best so far{suffix}",
            "x": [*(across[i] for i in rises), across[-1]],
            "y": [percent(values[i]) for i in (*rises, rises[-1])],
            "customdata": [custom[i] for i in (*rises, rises[-1])],
            "line": {"shape": "hv", "color": colour, "dash": line, "width": 2},
            "hovertemplate": hover,
        },
    ]  # fmt: skip


def _rises(values: Sequence[float]) -> list[int]:
    """Where the best so far gets better: the steps of the line."""
    best = np.maximum.accumulate(values).tolist()
    return [i for i, value in enumerate(best) if i == 0 or value > best[i - 1]]


def _front_figure(plane: Plane, members: Sequence[_Course], name: str) -> Figure:
    """How the whole front rises: its mean accuracy over the budget, by trial."""
    data: list[Spec] = []
    for place, one in enumerate(members):
        x, y = one.front_so_far
        if x:
            data.append({
                "type": "scatter", "mode": "lines", "name": escape(one.label),
                "x": x, "y": list(map(percent, y)), "customdata": [[one.index, trial] for trial in x],
                "line": {"shape": "hv", "color": study_colour(place), "dash": dash(place), "width": 2},
                "hovertemplate": f"up to trial %{{x}}: %{{y:.1f}}%<extra>{escape(one.label)}</extra>",
            })  # fmt: skip
    spec = figure_spec(
        data,
        xaxis={"title": {"text": "trial"}, "rangemode": "tozero"},
        yaxis={"title": plane.title("mean of the best top-1")},
        showlegend=len(data) > 1,
    )
    title = "Mean accuracy of the best so far at every cost"
    alt = f"Mean of the best accuracy over the budget, on a log axis of cost, of {plane.names}, by trial."
    return Figure(name, title, spec, alt, folded=True)


def _references(members: Sequence[_Course], *, by_epochs: bool, last: int) -> list[Spec]:
    """Each reference from its training to the `last` one; of many or of several budgets none.

    The plane has those. A name that several studies trained is a line each, and in the legend once.
    """
    found = [(one, tried) for one in members for tried in one.study.references]
    if len(found) > MOST_REFERENCES or any(len(one.by_budget) > 1 for one in members):
        return []
    names = [tried.label for _, tried in found]
    return [
        _reference(one, tried, by_epochs, last, names.index(tried.label) == i)
        for i, (one, tried) in enumerate(found)
    ]


def _reference(one: _Course, tried: Tried, by_epochs: bool, last: int, named: bool) -> Spec:
    colour, value = colour_of(tried.family), percent(searched_value(tried))
    return {
        "type": "scatter", "mode": "lines+markers", "name": escape(tried.label), "showlegend": named,
        "x": [one.epochs_by[tried.trial] if by_epochs else tried.trial, last], "y": [value, value],
        "customdata": [[one.index, tried.trial]] * 2, "cliponaxis": False,
        # a step, whose network is where it begins
        "line": {"shape": "hv", "color": colour, "dash": "dash", "width": 1.2},
        "marker": {"color": colour, "symbol": f"{symbol_of(tried.family)}-open", "size": [9, 0],
                   "line": {"width": 1.5, "color": colour}},
        "hovertemplate": f"{escape(tried.label)}: %{{y:.1f}}%<extra></extra>",
    }  # fmt: skip


def _pace_figure(shown: Sequence[_Course]) -> Figure:
    """Trainings that ended a minute, over the time since the first began."""
    data: list[Spec] = []
    longest = max(one.ends[-1] for one in shown if one.ends)
    unit, divisor = ("hours", 60.0) if longest > 180 else ("minutes", 1.0)
    for place, one in enumerate(shown):
        if len(one.ends) < 2:
            continue
        counts, edges = np.histogram(
            one.ends, bins=max(1, min(BINS, len(one.ends) // A_BIN)), range=(0.0, one.ends[-1] or 1.0)
        )
        rate = counts / np.diff(edges)
        data.append({
            "type": "scatter", "mode": "lines", "name": escape(one.label),
            "x": [compact(edge / divisor) for edge in edges.tolist()],
            "y": [compact(value, 3) for value in [*rate.tolist(), rate[-1]]],
            "line": {"shape": "hv", "color": study_colour(place), "dash": dash(place), "width": 2},
            "hovertemplate": f"%{{y}} a minute<extra>{escape(one.label)}</extra>",
        })  # fmt: skip
    spec = figure_spec(
        data,
        xaxis={"title": {"text": f"time since the first training began ({unit})"}, "rangemode": "tozero"},
        yaxis={"title": {"text": "trainings ended a minute"}, "rangemode": "tozero"},
        showlegend=len(data) > 1,
    )
    names = listed([one.label for one in shown if len(one.ends) > 1])
    alt = f"Trainings ended a minute over time, of {names}."
    return Figure("progress_pace", "Trainings a minute", spec, alt, folded=True)


# ---- the numbers ----------------------------------------------------------------------------------------


def _row(one: _Course) -> list[Cell]:
    wall = finite(one.study.mapping.get("wall_seconds"))
    best = one.best
    minutes = one.ends[-1] if one.ends else 0.0
    return [
        one.label,
        *(one.states[state] for state in STATES),
        len(one.candidates) + len(one.study.references),
        len(one.every) - len(one.trials),
        sum(map(_epochs, one.every)),
        None if one.study.simulated or one.study.tabled else duration(one.train_seconds),
        None if wall is None else duration(wall),
        compact(len(one.ends) / minutes, 3) if minutes > 0 else None,
        percent(searched_value(best)) if best else None,
        best.trial if best else None,
    ]


def _failure_rows(one: _Course) -> list[list[Cell]]:
    """Failures that differ only in numbers and paths are of one kind; the most frequent first."""
    kinds: dict[str, list[Trial]] = {}
    for trial in one.failed:
        kinds.setdefault(VARYING.sub("#", str(trial.reason or "no reason given")), []).append(trial)
    rows: list[list[Cell]] = []
    for trials in sorted(kinds.values(), key=len, reverse=True)[:MOST_REASONS]:
        numbers = ", ".join(str(t.number) for t in trials[:8]) + (", …" if len(trials) > 8 else "")
        rows.append([one.label, len(trials), str(trials[0].reason or "no reason given"), numbers])
    return rows


# ---- the answer -----------------------------------------------------------------------------------------


def _sentence(one: _Course, several: bool) -> str:
    prefix = f"{one.label}: " if several else ""
    counts = listed([f"{one.states[state]:,} {state}" for state in STATES if one.states[state]])
    text = f"{prefix}{plural(len(one.trials), 'trial')} ({counts or 'none has begun'})"
    spent = f"{sum(map(_epochs, one.every)):,} epochs"
    if not (one.study.simulated or one.study.tabled):
        spent += f", {duration(one.train_seconds)} of training"
    if one.best is None:
        searched = one.study.mapping.get("objective") != "measure"
        none = (
            "No candidate has been trained in full yet" if searched else "Named networks: nothing is searched"
        )
        return f"{text}; {spent}. {none}."
    last = one.trials[-1].number
    return (
        f"{text}; {spent}. The best accuracy of the search, {searched_value(one.best):.1%}, came with trial "
        f"{one.best.trial} of {last}."
    )


def _notes(shown: Sequence[_Course]) -> list[str]:
    notes = []
    if any(one.candidates for one in shown):
        notes.append(
            "Only candidates trained in full count, each by the one seed that the search saw: the best so "
            "far rises with luck, too. Epochs are charged in the order of trial numbers, whatever was "
            "trained, paused and failed trials and references included."
        )
    if any(one.front_so_far[0] for one in shown):
        notes.append(
            "The mean of the best at every cost is over the log of the cost within the budget, 0 below the "
            "cheapest network: the hypervolume of what the search saw, divided by the budget's width."
        )
    if any(len(one.ends) > 1 for one in shown):
        notes.append(
            "The pace counts every training that ended, confirmations and failures too, by the clock: times "
            "in which a search stood still count as well."
        )
    return notes + [
        f"{one.label}: {MOST_POINTS:,} of {len(one.candidates):,} dots are drawn, the line from all."
        for one in shown
        if len(one.candidates) > MOST_POINTS
    ]
