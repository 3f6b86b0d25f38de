"""What a running training or evaluation shows: a live line on a terminal, plain lines on a pipe."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from space.words import duration, percentage


class LiveLine:
    """A live line on a terminal, and on a pipe a plain one after each `silence` seconds without a word."""

    silence = 60.0

    def __init__(self, console: Console, description: str = "", total: int | None = None) -> None:
        self._console = console
        self._began = self._spoke = time.monotonic()
        columns = [TextColumn("{task.description}")] if description else []
        self._live = Progress(
            *columns, BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[told]}"),
            console=console, transient=True, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._live.add_task(description, total=total, told="")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def note(self, text: str) -> None:
        """A line of its own."""
        self._live.console.print(text, soft_wrap=True, highlight=False, markup=False)

    def show(self, done: int, total: int, told: str, plain: str) -> None:
        """So much of `total` is done; `plain` names it on a pipe, before what is told of it."""
        if self._console.is_terminal:
            self._live.update(self._task, completed=done, total=total, told=told)
        elif time.monotonic() - self._spoke >= self.silence and done < total:
            self._spoke = time.monotonic()
            self.note(f"{plain}: {told}")


class EvaluationProgress(LiveLine):
    """Follows an evaluation of so many images."""

    silence = 30.0

    def __init__(self, console: Console, images: int) -> None:
        super().__init__(console, total=images)
        self._images, self._done, self._right = images, 0, 0.0

    def done(self, images: int, right: float) -> None:
        """So many more images are done, `right` of them rightly."""
        self._done += images
        self._right += right
        left = (time.monotonic() - self._began) * (self._images - self._done) / self._done
        told = f"top-1 so far {self._right / self._done:.1%}, {duration(left)} left"
        self.show(self._done, self._images, told, f"{self._done:,} of {self._images:,} images")


class TrainingProgress(LiveLine):
    """Follows a training of `epochs` epochs, of which `done` are there; `lead` names it among others."""

    def __init__(
        self, console: Console, epochs: int, done: int, images_per_step: int, lead: str = ""
    ) -> None:
        self._lead = lead
        self._epochs = epochs
        self._epoch = done + 1
        super().__init__(console, self._name())
        self._images = images_per_step
        self._first = done
        self._epoch_began = self._began
        self._best = 0.0

    def step(self, done: int, steps: int, loss: float) -> None:
        """So many optimiser steps of the epoch are done; `loss` is the last one known, or not finite."""
        now = time.monotonic()
        rate = done * self._images / max(now - self._epoch_began, 1e-9)
        # of what this process has to do: epochs from before a resume took none of its time
        share = (self._epoch - 1 - self._first + done / steps) / max(self._epochs - self._first, 1)
        left = (now - self._began) * (1 - share) / share
        known = f"loss {loss:.3f}, " if math.isfinite(loss) else ""
        told = f"{known}{rate:,.0f} images/s, {duration(left)} left"
        self.show(done, steps, told, f"{self._name()} step {done}/{steps}")

    def epoch(self, row: Mapping[str, Any]) -> None:
        """An epoch is over, validated and kept."""
        now = time.monotonic()
        tops = [row["val_accuracy"], row.get("ema_accuracy") or 0.0]
        self._best = max(self._best, *tops)
        trained = row["epoch"] - self._first
        left = (now - self._began) / max(trained, 1) * (self._epochs - row["epoch"])
        ema = f", EMA {percentage(tops[1])}" if "ema_accuracy" in row else ""
        self.note(
            f"{self._name()}: loss {row['train_loss']:.3f}, top-1 {percentage(tops[0])}{ema} "
            f"[best {percentage(self._best)}, {row['images_per_second']:,.0f} images/s, "
            f"{duration(row['seconds'])}, {duration(left)} left]"
        )
        self._epoch = row["epoch"] + 1
        self._epoch_began = self._spoke = now
        if self._console.is_terminal:
            self._live.reset(self._task, description=self._name(), told="")

    def resumed(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Epochs that were there before."""
        tops = [max(row["val_accuracy"], row.get("ema_accuracy") or 0.0) for row in rows]
        self._best = max(tops, default=0.0)

    def _name(self) -> str:
        return f"{self._lead}epoch {self._epoch}/{self._epochs}"
