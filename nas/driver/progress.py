"""What a running search shows: a live display on a terminal, plain lines on a pipe."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO, cast

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.record.trial import Trial
from space.budget import quantity
from space.command import LastingOutput
from space.networks import brief, network_from

BLOCKS = "▁▂▃▄▅▆▇█"
RECENT = 8
TABLE_HEADINGS = ("trial", "FLOPs", "params", "accuracy", "time", "network")


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


def lasting_console() -> Console:
    """What a search writes to: it goes on where nobody reads that, for all of it is in the record."""
    note = "the search goes on without it; Ctrl-C ends it, and --resume goes on with its study"
    return Console(highlight=False, file=cast("TextIO", LastingOutput(note)))


@dataclass
class _Current:
    """A training under way."""

    label: str
    epochs: int
    began: float
    curve: dict[int, float] = field(default_factory=dict)


class Progress:
    """Follows a search; `console` decides between the live display and lines."""

    def __init__(self, console: Console, title: str, trials: int, epochs: int) -> None:
        self._console = console
        self._title = title
        self._trials = trials
        self._epochs = epochs
        self._recent: deque[Trial] = deque(maxlen=RECENT)
        self._finished = 0
        self._counted: set[int] = set()
        self._best: float | None = None
        self._current: dict[int, _Current] = {}
        self._side_by_side = 1
        self._started = time.monotonic()
        self._trained_seconds = 0.0
        self._trained_epochs = 0
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
        for trial in trials:
            self._count(trial)
            self._trained_seconds += trial.train_seconds or 0.0
            self._trained_epochs += trial.fidelity

    def trial(self, number: int, label: str, epochs: int) -> None:
        """A training begins, or goes on; to so many epochs in all."""
        self._current[number] = _Current(label, epochs, time.monotonic())
        self._side_by_side = max(self._side_by_side, len(self._current))
        if not self._console.is_terminal:
            self._print(f"trial {number} {'goes on' if number in self._counted else 'starts'}: {label}")

    def epoch(self, number: int, epoch: int, accuracy: float) -> None:
        """An epoch of a training is over, with this validation accuracy."""
        self._current[number].curve[epoch] = accuracy

    def done(self, trial: Trial) -> None:
        """A training is over, well or not, or pauses."""
        current = self._current.pop(trial.number, None)
        if current is not None and current.curve:
            self._trained_seconds += time.monotonic() - current.began
            self._trained_epochs += len(current.curve)
        self._count(trial)
        if not self._console.is_terminal:
            accuracy = trial.last_accuracy
            after = f" after {trial.fidelity} of {self._epochs} epochs" if trial.paused else ""
            self._print(
                f"trial {trial.number} {trial.state}: {trial.reason or percent(accuracy)}{after} "
                f"[{self._finished}/{self._trials}, best {percent(self._best)}, "
                f"{duration(time.monotonic() - self._started)}, {self._left()}]"
            )

    def expected_seconds(self, epochs: int) -> float:
        """What so many epochs are expected to take, from those so far; 0 before the first."""
        return epochs * self._trained_seconds / self._trained_epochs if self._trained_epochs else 0.0

    def _count(self, trial: Trial) -> None:
        if trial.state in ("complete", "failed", "paused"):
            self._finished += trial.number not in self._counted
            self._counted.add(trial.number)
            self._recent.append(trial)
        if (accuracy := trial.full_accuracy) is not None and not trial.is_confirmation:
            self._best = max(self._best or 0.0, accuracy)

    def _print(self, line: str) -> None:
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _left(self) -> str:
        if not self._trained_epochs:
            return "time left unknown"
        # what a network takes on average, those included that were stopped early
        each = self._trained_seconds / max(self._finished, 1)
        spent = sum(min(time.monotonic() - c.began, each) for c in self._current.values())
        left = max((self._trials - self._finished) * each - spent, 0.0) / self._side_by_side
        return f"about {duration(left)} left"

    def _render(self) -> Group:
        part = sum(len(c.curve) / max(c.epochs, 1) for c in self._current.values())
        share = (self._finished + part) / max(self._trials, 1)
        head = Table.grid(padding=(0, 2))
        head.add_row(
            ProgressBar(total=1.0, completed=min(share, 1.0), width=30),
            f"{self._finished}/{self._trials} trials",
            f"{duration(time.monotonic() - self._started)}, {self._left()}",
            Text(f"best {percent(self._best)}", style="bold green"),
        )
        return Group(Text(self._title, style="bold"), head, self._table(), self._now())

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False)
        for title in TABLE_HEADINGS:
            table.add_column(title, no_wrap=True, justify="left" if title == "network" else "right")
        for trial in self._recent:
            style = "bold green" if trial.accuracy is not None and trial.accuracy == self._best else ""
            table.add_row(*map(Text, trial_row(trial)), style=style)
        return table

    def _now(self) -> Text:
        if not self._current:
            return Text("proposing…", style="dim")
        lines = Text()
        for number, current in sorted(self._current.items()):
            curve = [current.curve[epoch] for epoch in sorted(current.curve)]
            blocks = "".join(BLOCKS[min(int(value * len(BLOCKS)), len(BLOCKS) - 1)] for value in curve)
            last = percent(curve[-1]) if curve else ""
            epoch = max(current.curve, default=0)
            lines.append_text(
                Text.assemble(
                    "\n" if lines else "",
                    (f"trial {number}  ", "bold"),
                    current.label,
                    "\n",
                    f"epoch {epoch}/{current.epochs}  ",
                    (blocks, "cyan"),
                    f"  {last}",
                )
            )
        return lines


def trial_row(trial: Trial) -> list[str]:
    """A finished trial as table cells."""
    network = brief(network_from(trial.architecture))
    label = f"{trial.name}: {network}" if trial.name else network
    return [
        str(trial.number),
        quantity(trial.macs),
        quantity(trial.params),
        _reached(trial),
        duration(trial.train_seconds) if trial.train_seconds else "-",
        f"{label}  ({trial.reason})" if trial.reason else label,
    ]


def _reached(trial: Trial) -> str:
    """The accuracy; in brackets where it is not that of a full training."""
    shown = percent(trial.last_accuracy)
    return f"({shown})" if trial.accuracy is None and trial.curve else shown
