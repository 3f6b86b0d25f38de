"""Rows as Python has them: a list of dictionaries that a notebook shows as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nas.record.trial import Trial


class Table(list[dict[str, Any]]):
    """A list of rows, each a dictionary of plain values; the same whatever is installed."""

    @property
    def columns(self) -> list[str]:
        """The keys of the rows, in their order."""
        return list(dict.fromkeys(key for row in self for key in row))

    def to_pandas(self) -> Any:
        """The rows as a `pandas.DataFrame`. Raises `ImportError` where pandas is not installed."""
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_pandas() needs pandas: pip install pandas") from error
        return pd.DataFrame(list(self), columns=self.columns)

    def _repr_html_(self) -> str:
        from nas.api.html import table

        return table(self.columns, ([row.get(key) for key in self.columns] for row in self))


def trial_row(trial: Trial) -> dict[str, Any]:
    """A trial as a row: costs at 224x224, accuracy as a share, seconds, its choices in the space."""
    from space.networks import network_from, titled

    return {
        "trial": trial.number,
        "state": trial.state,
        "role": trial.role,
        "network": titled(trial.name, network_from(trial.architecture)),
        "flops": trial.macs,
        "params": trial.params,
        "activations": trial.activations,
        "accuracy": trial.last_accuracy,
        "epochs": trial.fidelity,
        "full": trial.full_fidelity,
        "seed": trial.seed,
        "of": trial.of,
        "budget": trial.budget,
        "seconds": trial.train_seconds,
        "reason": trial.reason,
        **{f"choice_{name}": value for name, value in trial.choices.items()},
    }
