"""What a training writes down of every epoch: a CSV file, and events for TensorBoard where there is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from space.files import csv_of, write_text

CSV_NAME = "log.csv"
EVENTS_NAME = "tensorboard"  # a folder
# the column, and its tag in TensorBoard
TAGS = {
    "lr": "schedule/lr",
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "val_accuracy": "top1/val",
    "val_top5": "top5/val",
    "ema_loss": "loss/ema",
    "ema_accuracy": "top1/ema",
    "ema_top5": "top5/ema",
    "images_per_second": "speed/images_per_second",
    "seconds": "speed/seconds",
}
COLUMNS = ("epoch", *TAGS)

Row = Mapping[str, Any]


class TrainingLog:
    """The logs in a training's folder; `events` says whether TensorBoard's are among them."""

    def __init__(self, folder: Path, epochs_done: int) -> None:
        self._csv = folder / CSV_NAME
        self._writer = _event_writer(folder / EVENTS_NAME, epochs_done)

    @property
    def events(self) -> bool:
        """Whether there is a TensorBoard to write for."""
        return self._writer is not None

    def epoch(self, rows: Sequence[Row]) -> None:
        """Another epoch is over, the last of these. Raises `InputError` where the file cannot be written."""
        self.table(rows)
        if self._writer is not None:
            row = rows[-1]
            for name, tag in TAGS.items():
                if row.get(name) is not None:
                    self._writer.add_scalar(tag, row[name], row["epoch"])
            # so that TensorBoard shows an epoch when it is over, and a killed process loses none
            self._writer.flush()

    def table(self, rows: Sequence[Row]) -> None:
        """The CSV file of all epochs. Raises `InputError` where it cannot be written."""
        # all rows each time: after a crash the file holds what the checkpoint holds, no row twice
        write_text(self._csv, csv_text(rows))

    def close(self) -> None:
        """Nothing more will come."""
        if self._writer is not None:
            self._writer.close()


def csv_text(rows: Sequence[Row]) -> str:
    """One line an epoch under a line of names; what a training does not measure is left empty."""
    return csv_of(COLUMNS, rows)


def _event_writer(folder: Path, epochs_done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None
    # events of epochs that a crash has taken back are dropped by TensorBoard
    purge = epochs_done + 1 if epochs_done else None
    return SummaryWriter(str(folder), purge_step=purge)
