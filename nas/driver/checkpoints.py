"""The files in which the trainings of a study keep their states."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


class Checkpoints:
    """`folder` holds a file for each training that can go on; it is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._folder.mkdir(exist_ok=True)

    def path(self, number: int) -> Path:
        """Where the training of a trial keeps its state."""
        return self._folder / f"trial-{number}.ckpt"

    def mark(self, number: int) -> int | None:
        """Tells whether a training has come further since the last look."""
        path = self.path(number)
        return path.stat().st_mtime_ns if path.exists() else None

    def discard(self, number: int) -> None:
        """Remove a state, where there is one."""
        self.path(number).unlink(missing_ok=True)

    def sweep(self, over: Iterable[int]) -> None:
        """Remove the states of trainings that are over: a driver may die between a result and this."""
        # not file by file of the trials: a long study has thousands of them and few files
        names = {self.path(number).name for number in over}
        for path in self._folder.glob("trial-*.ckpt"):
            if path.name in names:
                path.unlink(missing_ok=True)
