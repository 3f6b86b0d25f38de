"""What a running search shows: a live display on a terminal, plain lines on a pipe."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from space.architecture import Architecture
from space.budget import quantity

BLOCKS = "▁▂▃▄▅▆▇█"
RECENT = 8
TABLE_HEADINGS = ("trial", "FLOPs", "params", "accuracy", "time", "network")

Trial = Mapping[str, Any]


def brief(architecture: Architecture) -> str:
    """A network in one line: depths, widths, then kernel, expansion, norm and activation."""
    stages = architecture.stages
    parts = [
        "-".join(str(stage.depth) for stage in stages),
        "-".join(str(stage.width) for stage in stages),
        "k" + _joined([stage.kernel_size for stage in stages]),
        "e" + _joined([stage.expansion for stage in stages]),
        architecture.norm,
        architecture.activation,
    ]
    return " ".join(parts)


def _joined(values: Sequence[float]) -> str:
    return str(values[0]) if len(set(values)) == 1 else "-".join(map(str, values))


def percent(accuracy: float | None) -> str:
    """An accuracy for people."""
    return "-" if accuracy is None else f"{accuracy:.1%}"


def duration(seconds: float) -> str:
    """Seconds for people: 42 s, 3 min 05 s, 1 h 02 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class Progress:
    """Follows a search; `console` decides between the live display and lines."""

    def __init__(self, console: Console, title: str, trials: int, epochs: int) -> None:
        self._console = console
        self._title = title
        self._trials = trials
        self._epochs = epochs
        self._finished: list[Trial] = []
        self._current: tuple[int, str] | None = None
        self._curve: list[float] = []
        self._started = time.monotonic()
        self._trial_started = self._started
        self._spent: list[float] = []
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._print(self._title)
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def resumed(self, trials: Sequence[Trial]) -> None:
        """Trials that were there before."""
        self._finished = list(trials)
        self._spent = [t["train_seconds"] for t in trials if t["train_seconds"]]

    def trial(self, number: int, label: str) -> None:
        """A trial starts."""
        self._current, self._curve = (number, label), []
        self._trial_started = time.monotonic()
        if not self._console.is_terminal:
            self._print(f"trial {number} starts: {label}")

    def epoch(self, accuracy: float) -> None:
        """An epoch of the current trial is over, with this validation accuracy."""
        self._curve.append(accuracy)

    def done(self, trial: Trial) -> None:
        """The current trial is over, well or not."""
        self._spent.append(time.monotonic() - self._trial_started)
        self._finished.append(trial)
        self._current = None
        if not self._console.is_terminal:
            result = trial["reason"] or percent(trial["accuracy"])
            self._print(
                f"trial {trial['number']} {trial['state']}: {result} "
                f"[{len(self._finished)}/{self._trials}, best {percent(self._best())}, "
                f"{duration(time.monotonic() - self._started)}, {self._left()}]"
            )

    @property
    def remaining(self) -> int:
        """Trials still to do."""
        return self._trials - len(self._finished)

    def expected_seconds(self) -> float:
        """What a trial is expected to take, from those so far; 0 before the first."""
        return sum(self._spent) / len(self._spent) if self._spent else 0.0

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _best(self) -> float | None:
        return max((t["accuracy"] for t in self._finished if t["accuracy"] is not None), default=None)

    def _left(self) -> str:
        if not self._spent:
            return "time left unknown"
        left = (self._trials - len(self._finished)) * self.expected_seconds()
        if self._current:
            left -= min(time.monotonic() - self._trial_started, self.expected_seconds())
        return f"about {duration(left)} left"

    def _render(self) -> Group:
        share = (len(self._finished) + len(self._curve) / max(self._epochs, 1)) / max(self._trials, 1)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=1.0, completed=min(share, 1.0), width=30),
            f"{len(self._finished)}/{self._trials} trials",
            f"{duration(time.monotonic() - self._started)}, {self._left()}",
            Text(f"best {percent(self._best())}", style="bold green"),
        )
        return Group(Text(self._title, style="bold"), head, self._table(), self._now())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in TABLE_HEADINGS:
            table.add_column(title, no_wrap=True, justify="left" if title == "network" else "right")
        best = self._best()
        for trial in self._finished[-RECENT:]:
            style = "bold green" if trial["accuracy"] is not None and trial["accuracy"] == best else ""
            table.add_row(*trial_row(trial), style=style)
        return table

    def _now(self) -> Text:
        if self._current is None:
            return Text("proposing…", style="dim")
        number, label = self._current
        curve = "".join(BLOCKS[min(int(value * len(BLOCKS)), len(BLOCKS) - 1)] for value in self._curve)
        last = percent(self._curve[-1]) if self._curve else ""
        return Text.assemble(
            (f"trial {number}  ", "bold"), label, "\n",
            f"epoch {len(self._curve)}/{self._epochs}  ", (curve, "cyan"), f"  {last}",
        )  # fmt: skip


def trial_row(trial: Trial) -> list[str]:
    """A finished trial as table cells."""
    network = brief(Architecture.from_dict(trial["architecture"]))
    label = f"{trial['name']}: {network}" if trial["name"] else network
    return [
        str(trial["number"]),
        quantity(trial["macs"]),
        quantity(trial["params"]),
        percent(trial["accuracy"]),
        duration(trial["train_seconds"]) if trial["train_seconds"] else "-",
        f"{label}  ({trial['reason']})" if trial["reason"] else label,
    ]
