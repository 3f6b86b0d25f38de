"""Callbacks that show a search in TensorBoard or in Weights & Biases while it runs.

nas.search(budget="600MFLOPs", callbacks=[tensorboard("events")])
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nas.api.table import trial_row

if TYPE_CHECKING:
    from nas.record.trial import Trial


def tensorboard(folder: str | os.PathLike[str]) -> Callable[[Trial], None]:
    """Every trial's accuracy and costs by its number, and its learning curve by epochs.

    Raises `ImportError` without `pip install 'convnext-nas[train]'`.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError("needs TensorBoard: pip install 'convnext-nas[train]'") from error
    writer: Any = SummaryWriter(os.fspath(folder))

    def tell(trial: Trial) -> None:
        for name in ("accuracy", "flops", "params", "seconds"):
            if (value := trial_row(trial)[name]) is not None:
                writer.add_scalar(f"search/{name}", value, trial.number)
        for point in trial.curve:
            writer.add_scalar(f"trial {trial.number}/accuracy", point["val_accuracy"], point["epoch"])
            writer.add_scalar(f"trial {trial.number}/loss", point["val_loss"], point["epoch"])
        writer.flush()

    return tell


def wandb(project: str, **init: Any) -> Callable[[Trial], None]:
    """Every trial's row, logged to one run of the project; `init` goes to `wandb.init`.

    Raises `ImportError` without `pip install 'convnext-nas[wandb]'`.
    """
    try:
        import wandb as library
    except ImportError as error:
        raise ImportError("needs Weights & Biases: pip install 'convnext-nas[wandb]'") from error
    run = library.init(project=project, **init)

    def tell(trial: Trial) -> None:
        run.log({name: value for name, value in trial_row(trial).items() if value is not None})

    return tell
