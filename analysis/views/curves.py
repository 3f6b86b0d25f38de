"""Learning curves: accuracy by epoch, where trainings were paused or failed, and how early ranks settle."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analysis.page.view import NEUTRAL, Cell, Figure, Table, View, colour_of
from analysis.scores.rank import FEWEST, Relation, relations
from analysis.views.common import escape, figure_spec, spread_sample, vertical_line
from analysis.views.planes import accuracy_title, apart, labels, numbered
from analysis.views.units import Spec
from nas.record.study import Study
from nas.record.trial import Trial
from space.words import compact, finite, listed, percent, plural, said

KEY, TITLE = "curves", "Learning curves"
MOST_LINES, MOST_BEST, MOST_FAILED = 300, 10, 60
FEW_EPOCHS = 10
MOST_POINTS = 9000  # of one study's figure; beyond, epochs are left out evenly
# of the rank correlations: networks, epochs and resamples
MOST_RANKED, MOST_EPOCHS, RESAMPLES = 150, 6, 1000
FAILED_COLOUR = "#8c5a2b"
# what a curve is of
ACCURACY = "val_accuracy"
LOSSES = {"val_loss": "validation loss", "train_loss": "training loss"}
COLUMNS = ("study", "epoch", "networks", "Kendall tau", "low (90%)", "high (90%)", "Spearman rho", "rung")


def view(studies: Sequence[Study]) -> View:
    """The curves of each study, a figure each, and the rank correlation of every stage with the end."""
    shown = [_Curves(i, label, s) for i, (label, s) in enumerate(zip(labels(studies), studies, strict=True))]
    shown = [one for one in shown if one.trials]
    if not shown:
        reason = "No training has finished an epoch yet; curves are drawn from the first one on."
        return View(KEY, TITLE, lead=reason, empty=reason)
    tables = []
    rows = [row for one in shown for row in _rank_rows(one)]
    if rows:
        tables.append(
            Table("curves", "Rank correlation of an early accuracy with the final one", COLUMNS, rows)
        )
    return View(
        KEY,
        TITLE,
        lead=" ".join(_sentence(one, len(studies) > 1) for one in shown),
        figures=[figure for i, one in enumerate(shown) for figure in _figures(one, i, len(shown) > 1)],
        tables=tables,
        notes=[*_notes(shown), *apart(studies)],
    )


@dataclass(frozen=True)
class _Curves:
    """A study's trainings that have a curve, the confirmations left out."""

    index: int
    label: str
    study: Study

    @cached_property
    def last_epochs(self) -> dict[int, int]:
        """Number of a trial -> its last epoch that has an accuracy."""
        own = (t for t in self.study.trials if not t.is_confirmation)
        return {trial.number: last for trial in own if (last := _last_epoch(trial)) is not None}

    @cached_property
    def trials(self) -> list[Trial]:
        return [t for t in self.study.trials if t.number in self.last_epochs]

    @cached_property
    def full(self) -> list[Trial]:
        """Trained in full, the best first."""
        numbers = {tried.trial for tried in self.study.networks}
        return sorted(
            (t for t in self.trials if t.number in numbers), key=lambda t: -(t.full_accuracy or 0.0)
        )

    @cached_property
    def groups(self) -> dict[str, list[Trial]]:
        """What is drawn, by group; a trial is in one of them."""
        references = [t for t in self.trials if t.is_reference]
        rest = [t for t in self.trials if not t.is_reference]
        best = [t for t in self.full if not t.is_reference]
        best = best[: min(MOST_BEST, max(1, len(best) // 3))]  # of few, few: else none stands out
        chosen = {t.number for t in best}
        groups: dict[str, list[Trial]] = {}
        others: list[Trial] = []
        for trial in rest:
            if trial.state == "failed":
                groups.setdefault("failed", []).append(trial)
            elif trial.number not in chosen:
                others.append(trial)
        if "failed" in groups:
            groups["failed"] = _sample(groups["failed"], MOST_FAILED)
        references = _sample(references, MOST_LINES // 3)
        left = MOST_LINES - len(best) - len(references) - len(groups.get("failed", []))
        for trial in _sample(others, left):
            groups.setdefault(_group(trial), []).append(trial)
        for trial in references:
            groups.setdefault(f"reference {trial.family}", []).append(trial)
        return groups | ({"best": best} if best else {})

    @property
    def drawn(self) -> int:
        return sum(map(len, self.groups.values()))

    @cached_property
    def step(self) -> int:
        """One epoch in how many is drawn."""
        total = sum(len(_points(t)) for group in self.groups.values() for t in group)
        return max(1, math.ceil(total / MOST_POINTS))

    @cached_property
    def ranked(self) -> list[tuple[int, Relation]]:
        """At a few epochs, the correlation of the accuracy then with the final one, over full trainings."""
        full = _sample(sorted(self.full, key=lambda t: t.number), MOST_RANKED)
        curves = {t.number: dict(_points(t)) for t in full}
        epochs = min(map(max, curves.values()), default=0)
        at = [level for level in self.levels if level < epochs] or [
            i + 1 for i in spread_sample(epochs - 1, MOST_EPOCHS)
        ]
        full = [t for t in full if all(epoch in curves[t.number] for epoch in at)]
        if len(full) < FEWEST or epochs < 2:
            return []
        scores = {str(epoch): [curves[t.number][epoch] for t in full] for epoch in at}
        found = relations(scores, [t.full_accuracy or 0.0 for t in full], resamples=RESAMPLES)
        return [(int(one.score), one) for one in found]

    @property
    def levels(self) -> list[int]:
        """The rungs, in epochs, full training among them; none where nothing stops early."""
        return self.study.rungs


def _sample(trials: Sequence[Trial], most: int) -> list[Trial]:
    return [trials[i] for i in spread_sample(len(trials), max(most, 0))]


def _group(trial: Trial) -> str:
    if trial.state == "complete":
        return "trained in full" if trial.full_fidelity else "stopped early"
    return "paused" if trial.state == "paused" else "running or interrupted"


def _last_epoch(trial: Trial) -> int | None:
    rows = reversed(trial.curve or [])
    return next((row["epoch"] for row in rows if finite(row.get(ACCURACY)) is not None), None)


def _points(trial: Trial, of: str = ACCURACY) -> list[tuple[int, float]]:
    """Epoch and accuracy or loss, of epochs that have one."""
    return [
        (point["epoch"], value) for point in trial.curve or [] if (value := finite(point.get(of))) is not None
    ]


# ---- the figure -----------------------------------------------------------------------------------------

LOOKS: dict[str, dict[str, Any]] = {
    "trained in full": {"line": {"color": colour_of("searched"), "width": 1}, "opacity": 0.35},
    "stopped early": {"line": {"color": NEUTRAL, "width": 1, "dash": "dot"}, "opacity": 0.6},
    "paused": {"line": {"color": NEUTRAL, "width": 1}, "opacity": 0.45},
    "running or interrupted": {"line": {"color": NEUTRAL, "width": 1, "dash": "dash"}, "opacity": 0.8},
    "failed": {"line": {"color": FAILED_COLOUR, "width": 1}, "opacity": 0.8},
    "best": {"line": {"color": colour_of("searched"), "width": 2.2}},
}
ENDS = {
    "paused": "circle-open",
    "stopped early": "circle-open",
    "failed": "x",
    "running or interrupted": "triangle-right-open",
}


def _figures(curves: _Curves, index: int, several: bool) -> Iterator[Figure]:
    """Accuracy by epoch; and the losses, where they were recorded, folded."""
    start = f"{curves.label}: " if several else ""
    yield _figure(curves, numbered("curves", index), start, ACCURACY)
    if curves.study.simulated or curves.study.tabled:  # nothing was trained: its losses are only made up
        return
    for of in LOSSES:
        if any(_points(trial, of) for trials in curves.groups.values() for trial in trials):
            yield _figure(curves, numbered(f"curves_{of}", index), start, of)


def _figure(curves: _Curves, name: str, start: str, of: str) -> Figure:
    data = [trace for group, trials in curves.groups.items() for trace in _traces(curves, group, trials, of)]
    last = max(curves.last_epochs.values())
    marked = [vertical_line(level, f"rung {level}") for level in curves.levels[:-1]]
    spec = figure_spec(
        data,
        xaxis={
            "title": {"text": "epoch"},
            # from the first epoch where few would leave much of the figure empty
            "range": [1 - 0.05 * (last - 1), last + 0.02 * last]
            if 1 < last <= FEW_EPOCHS
            else [0, 1.02 * last],
            "tickformat": "d",
            **(
                {"dtick": 1} if last <= FEW_EPOCHS else {}
            ),  # else there are ticks at halves, all called whole
        },
        showlegend=True,
        yaxis={"title": {"text": LOSSES.get(of) or accuracy_title(curves.study)}},
        shapes=[line for line, _ in marked],
        annotations=[label for _, label in marked],
    )
    title = f"{start}{LOSSES.get(of, 'accuracy')} by epoch"
    alt = (
        f"Learning curves of {curves.drawn} of {plural(len(curves.trials), 'training')} of {curves.label}: "
        f"{listed([f'{len(trials)} {group}' for group, trials in curves.groups.items()])}."
    )
    return Figure(name, title if start else said(title), spec, alt, folded=of != ACCURACY)


def _traces(curves: _Curves, group: str, trials: Sequence[Trial], of: str) -> list[Spec]:
    """One trace of all the group's curves, with gaps between them; and a mark where each ends early."""
    x: list[float | None] = []
    y: list[float | None] = []
    custom: list[list[int] | None] = []
    ends: list[tuple[int, float, list[int]]] = []
    for trial in trials:
        points = [
            (epoch, percent(value) if of == ACCURACY else compact(value))
            for epoch, value in _thinned(_points(trial, of), curves.step, curves.levels)
        ]
        if not points:
            continue
        point_to = [curves.index, trial.number]
        x += [*(epoch for epoch, _ in points), None]
        y += [*(value for _, value in points), None]
        custom += [*([point_to] * len(points)), None]
        ends.append((*points[-1], point_to))
    if not ends:
        return []
    family = group.removeprefix("reference ")
    look = LOOKS.get(group) or {"line": {"color": colour_of(family), "width": 2, "dash": "dash"}}
    who = escape(trials[0].label) if len(trials) == 1 else "trial %{customdata[1]}"
    hover = (
        f"{who}<br>epoch %{{x}}: {'%{y:.1f}%' if of == ACCURACY else '%{y}'}<extra>{escape(group)}</extra>"
    )
    label = f"{group} ({len(trials)})"
    line: Spec = {
        "type": "scatter", "mode": "lines", "name": escape(label), "x": x[:-1], "y": y[:-1],
        "customdata": custom[:-1], "connectgaps": False, "hovertemplate": hover, **look,
    }  # fmt: skip
    if all(epoch == 1 for epoch, _, _ in ends):
        line["mode"] = "lines+markers"  # a line of one point is not seen
    if group not in ENDS:
        return [line]
    marks: Spec = {
        "type": "scatter", "mode": "markers", "name": escape(group), "showlegend": False,
        "x": [end[0] for end in ends], "y": [end[1] for end in ends], "customdata": [end[2] for end in ends],
        "marker": {"symbol": ENDS[group], "size": 7, "color": look["line"]["color"]}, "hovertemplate": hover,
    }  # fmt: skip
    return [line, marks]


def _thinned(
    points: Sequence[tuple[int, float]], step: int, levels: Sequence[int]
) -> list[tuple[int, float]]:
    """Every so many epochs, the last and the rungs."""
    last = len(points) - 1
    return [point for i, point in enumerate(points) if i % step == 0 or i == last or point[0] in levels]


# ---- how early ranks settle -----------------------------------------------------------------------------


def _rank_rows(curves: _Curves) -> list[list[Cell]]:
    rows: list[list[Cell]] = []
    for epoch, one in curves.ranked:
        ends = [one.tau.value, one.tau.low, one.tau.high, one.rho.value]
        rounded: list[Cell] = [None if end is None else round(end, 3) for end in ends]
        rows.append([curves.label, epoch, one.networks, *rounded, epoch in curves.levels])
    return rows


# ---- the answer -----------------------------------------------------------------------------------------


def _sentence(curves: _Curves, several: bool) -> str:
    full = {trial.number for trial in curves.full}
    states = Counter("trained in full" if t.number in full else _state(t) for t in curves.trials)
    counts = listed([f"{count:,} {state}" for state, count in states.most_common()])
    text = f"{f'{curves.label}: ' if several else ''}{counts}."
    if not curves.ranked or curves.ranked[0][1].tau.value is None:
        return text
    epoch, first = curves.ranked[0]
    settled = "" if (first.tau.low or 0) > 0 else ", not distinguishable from no relation"
    ends = "no interval" if first.tau.low is None else f"90% {first.tau.low:+.2f} to {first.tau.high:+.2f}"
    return (
        f"{text} After epoch {epoch} of {curves.study.mapping['proxy'].get('epochs')} the ranks go with the "
        f"final ones at Kendall tau {first.tau.value:+.2f} ({ends}, {first.networks} networks){settled}."
    )


def _state(trial: Trial) -> str:
    return "stopped early" if trial.state == "complete" else str(trial.state)


def _notes(shown: Sequence[_Curves]) -> list[str]:
    notes = ["Validation accuracy under the proxy; trainings that confirm the best are left out."]
    for one in shown:
        if one.drawn < len(one.trials):
            notes.append(
                f"{one.label}: {one.drawn} of {len(one.trials):,} curves are drawn: the best, the "
                "references, and an even sample of the others."
            )
        if one.step > 1:
            notes.append(f"{one.label}: one epoch in {one.step} is drawn.")
    if any(one.levels for one in shown):
        notes.append(
            "Dotted verticals are rungs: a training pauses there, and only a share goes on. The rank "
            "correlations are over the networks that were trained in full, which the rungs let through: "
            "among all networks they would differ."
        )
    return notes
