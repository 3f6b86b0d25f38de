"""What a running search shows: a live display on a terminal, plain lines on a pipe."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TextIO, cast

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from nas.driver.pace import Pace
from nas.record.trial import Trial
from space.budget import quantity
from space.command import LastingOutput
from space.networks import recorded_from, titled
from space.words import duration, percentage, plural

BLOCKS = "▁▂▃▄▅▆▇█"
RECENT = 8  # trainings that the table shows
BAR, LEAST_BAR = 30, 8  # columns
SILENCE = 60.0  # seconds after which a pipe hears of a training under way
TABLE_HEADINGS = ("trial", "FLOPs", "params", "accuracy", "time", "network")
COSTS = ("FLOPs", "params")
NARROW = 56  # columns of a terminal on which the table leaves out the costs


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
    batch: int = 0  # of the epoch under way
    batches: int = 0

    @property
    def share(self) -> float:
        """How much of it is done."""
        within = self.batch / self.batches if self.batches else 0.0
        return (len(self.curve) + within) / max(self.epochs, 1)

    @property
    def numbers(self) -> str:
        """How far it is, and how good."""
        epochs = f"{max(self.curve, default=0)}/{self.epochs} epochs"
        batch = f"batch {self.batch}/{self.batches}" if self.batches else ""
        last = percentage(self.curve[max(self.curve)]) if self.curve else ""
        return "  ".join(filter(None, [epochs, batch, last]))

    def blocks(self, most: int) -> str:
        """The learning curve, a character an epoch; of a long one its end."""
        curve = [self.curve[epoch] for epoch in sorted(self.curve)][-max(most, 1) :]
        return "".join(BLOCKS[min(int(value * len(BLOCKS)), len(BLOCKS) - 1)] for value in curve)


class Progress:
    """Follows a search of so many trainings to `epochs`; `console` decides between live display and lines."""

    def __init__(
        self, console: Console, title: str, trials: int, epochs: int, pace: Pace, foreseen: str = ""
    ) -> None:
        """`foreseen`: how long it will take, in a line, where that is known before the first training."""
        self._console = console
        self._title = title
        self._trials = trials
        self._epochs = epochs
        self._pace = pace
        self._foreseen = foreseen
        self._recent: deque[Trial] = deque(maxlen=RECENT)
        self._finished = 0
        self._counted: set[int] = set()
        self._best: float | None = None
        self._current: dict[int, _Current] = {}
        self._ended = 0  # stretches of training, in this run
        self._side_by_side = 1
        self._measured = False  # what a training takes has been said
        self._spoke = time.monotonic()
        self._live = Live(console=console, get_renderable=self._render, refresh_per_second=4, transient=True)

    def __enter__(self) -> Progress:
        if not self._console.is_terminal:
            self._print(self._title)
        self._foretell()
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._console.is_terminal:
            self._live.stop()

    def resumed(self, trials: Sequence[Trial]) -> None:
        """Trials that were there before."""
        for trial in trials:
            self._count(trial)

    def trial(self, number: int, label: str, epochs: int) -> None:
        """A training begins, or goes on; to so many epochs in all."""
        self._current[number] = _Current(label, epochs, time.monotonic())
        # as many as were ever under way at once: how many workers there are, an engine need not say
        self._side_by_side = max(self._side_by_side, len(self._current))
        if not self._console.is_terminal:
            self._print(f"trial {number} {'goes on' if number in self._counted else 'starts'}: {label}")

    def step(self, number: int, batch: int, batches: int) -> None:
        """So many batches of an epoch under way are done. Shown when the display is drawn next, not now."""
        current = self._current[number]
        current.batch, current.batches = batch, batches
        self._break_silence(number)

    def epoch(self, number: int, epoch: int, accuracy: float) -> None:
        """An epoch of a training is over, with this validation accuracy."""
        current = self._current[number]
        current.curve[epoch] = accuracy
        current.batch = current.batches = 0
        self._break_silence(number)

    def decided(self, line: str, share: int, most: int) -> None:
        """Where trainings stop early from now on: the epochs of `share` suffice for `most` networks."""
        self._trials += most - share
        more = f"; the epochs of {share} trainings suffice for {most} networks" if most > share else ""
        self._print(f"{line}{more}")

    def done(self, trial: Trial) -> None:
        """A training is over, well or not, or pauses."""
        self._current.pop(trial.number, None)
        self._ended += 1
        self._count(trial)
        if not self._console.is_terminal:
            after = f" after {trial.fidelity} of {self._epochs} epochs" if trial.paused else ""
            outcome = trial.reason or percentage(trial.last_accuracy)
            self._print(
                f"trial {trial.number} {trial.state}: {outcome}{after} "
                f"[{self._finished}/{self._trials}, best {percentage(self._best)}, {self._times()}]"
            )
        if not self._measured and self._pace.epochs:
            self._foretell()

    def _count(self, trial: Trial) -> None:
        if trial.state in ("complete", "failed", "paused"):
            # once, however often it pauses and goes on
            self._finished += trial.number not in self._counted
            self._counted.add(trial.number)
            self._recent.append(trial)
        if (accuracy := trial.full_accuracy) is not None and not trial.is_confirmation:
            self._best = max(self._best or 0.0, accuracy)

    def _print(self, line: str) -> None:
        self._spoke = time.monotonic()
        self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _break_silence(self, number: int) -> None:
        if not self._console.is_terminal and time.monotonic() - self._spoke >= SILENCE:
            self._print(f"trial {number}: {self._current[number].numbers} [{self._left()}]")

    def _foretell(self) -> None:
        """Say how long the trainings to come take, as far as that is known: a bound, or what was measured."""
        coming, limit = self._trials - self._finished, self._pace.limit
        if coming <= 0:
            return
        words = f"{plural(coming, 'training')} to come"
        self._measured = self._pace.epochs > 0
        if self._measured:
            ours = "the first training" if self._finished == 1 else plural(self._finished, "training")
            self._print(f"{words}{self._measure(coming)}, measured on {ours}")
        elif self._foreseen:
            self._print(self._foreseen)
        elif limit is None:
            self._print(f"{words}: how long they take is known after the first")
        else:
            self._print(f"{words}: at most {duration(limit)} (--time-limit)")

    def _measure(self, coming: int) -> str:
        """How long the trainings to come take, or how many of them the time limit has room for."""
        expected, most = self._expected(), self._pace.remaining
        if expected <= most:
            return f": about {duration(expected)}"
        fit = int(coming * most / expected)
        return f", about {fit} of them in the {duration(most)} that are left (--time-limit)"

    def _expected(self) -> float:
        """Seconds that the trainings to come should take, by those so far."""
        # what a network takes on average, those included that were stopped early
        each = self._pace.seconds / max(self._finished, 1)
        under_way = [time.monotonic() - current.began for current in self._current.values()]
        if self._side_by_side == 1 and self._ended:  # of a rehearsal the proposals are all that takes time
            each = max(each, (self._pace.elapsed - sum(under_way)) / self._ended)
        spent = sum(min(seconds, each) for seconds in under_way)
        return max((self._trials - self._finished) * each - spent, 0.0) / self._side_by_side

    def _times(self) -> str:
        """Since the start, and until the end."""
        since = duration(self._pace.elapsed)
        return f"{since}, {self._left()}" if self._finished < self._trials else since

    def _left(self) -> str:
        """Never more than the time limit leaves: no training starts that would end later."""
        most = self._pace.remaining
        if self._pace.epochs and (expected := self._expected()) <= most:
            return f"about {duration(expected)} left"
        return f"at most {duration(most)} left" if math.isfinite(most) else "time left unknown"

    def _render(self) -> Group:
        width = self._console.width
        return Group(Text(self._title, style="bold"), self._head(width), self._table(width), self._now(width))

    def _head(self, width: int) -> RenderableType:
        """All trainings: a bar of the width that the numbers leave, or none."""
        trials = f"{self._finished}/{self._trials} trials"
        times = self._times()
        best = Text(f"best {percentage(self._best)}", style="bold green")
        room = width - len(f"  {trials}  {times}  {best.plain}")
        # without a bar there are two columns more for the numbers
        if room < LEAST_BAR:
            return Text.assemble(trials, "  ", times, "  " if room >= -2 else "\n", best)
        share = (self._finished + sum(c.share for c in self._current.values())) / max(self._trials, 1)
        head = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=1.0, completed=min(share, 1.0), width=min(BAR, room))
        head.add_row(bar, trials, times, best)
        return head

    def _table(self, width: int) -> Table:
        """The latest trainings; where they are too wide it is the network that is cut short."""
        table = Table(box=None, pad_edge=False)
        kept = [i for i, name in enumerate(TABLE_HEADINGS) if width >= NARROW or name not in COSTS]
        for title in (TABLE_HEADINGS[i] for i in kept):
            # rich takes the width that is missing from columns that may wrap; no cell of this one does
            network = title == "network"
            table.add_column(title, no_wrap=not network, justify="left" if network else "right")
        for trial in self._recent:
            style = "bold green" if trial.accuracy is not None and trial.accuracy == self._best else ""
            cells = trial_row(trial)
            table.add_row(*(_line(cells[i]) for i in kept), style=style)
        return table

    def _now(self, width: int) -> RenderableType:
        if not self._current:
            return Text("proposing…" if self._finished < self._trials else "", style="dim")
        lines = []
        for number, current in sorted(self._current.items()):
            numbers = current.numbers
            blocks = current.blocks(width - len(numbers) - 2)
            lines += [
                _line(Text.assemble((f"trial {number}  ", "bold"), current.label)),
                _line(Text.assemble(numbers, "  ", (blocks, "cyan"))),
            ]
        return Group(*lines)


def _line(text: str | Text) -> Text:
    """One line, its end left out where it is too long."""
    line = Text(text) if isinstance(text, str) else text
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def trial_row(trial: Trial) -> list[str]:
    """A finished trial as table cells."""
    label = titled(trial.name, recorded_from(trial.architecture))
    return [
        str(trial.number),
        quantity(trial.macs),
        quantity(trial.params),
        _reached(trial),
        duration(trial.train_seconds) if trial.train_seconds and not trial.is_simulated else "-",
        f"{trial.reason}: {label}" if trial.reason else label,
    ]


def _reached(trial: Trial) -> str:
    """The accuracy; in brackets where it is not that of a full training."""
    shown = percentage(trial.last_accuracy)
    return f"({shown})" if trial.accuracy is None and trial.curve else shown
