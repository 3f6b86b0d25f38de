"""A study's trials in Optuna's tables, one transaction for each step of a trial.

Optuna's storage asks the database about a trial before every one of its parameters, and takes several
transactions for what is one step here: 60 statements for a trial of 13 parameters, most of a search's time
between trainings. Where the tables are of the version known here, the same rows are written at once; else
Optuna writes them.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Protocol

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

KNOWN_VERSION = "v3.2.0.a"  # of the tables, as Optuna's storage tells it
TABLES = ("trials", "trial_params", "trial_user_attributes", "trial_values")


class Trials(Protocol):
    """Where trials are written; one driver at a time begins any (`Storage.turn`)."""

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """Store a running trial, the study's next; its identity."""

    def change(self, identity: int, key: str, value: Any) -> None:
        """Another value of an attribute of a running trial."""

    def end(self, identity: int, state: TrialState, accuracy: float | None, key: str, value: Any) -> None:
        """A trial is over, its attribute `key` changed before."""


def trials_of(rdb: optuna.storages.RDBStorage, study: int) -> Trials:
    """The trials of a study (Optuna's identity of it)."""
    known = rdb.get_current_version() == KNOWN_VERSION
    return TrialRows(rdb.engine, study) if known else OptunaTrials(rdb, study)


class OptunaTrials:
    """`Trials` by Optuna's own storage."""

    def __init__(self, rdb: optuna.storages.RDBStorage, study: int) -> None:
        self._rdb = rdb
        self._study = study

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """See `Trials`; the database counts the number itself."""
        del number
        return self._rdb.create_new_trial(self._study, trial)

    def change(self, identity: int, key: str, value: Any) -> None:
        """See `Trials`."""
        self._rdb.set_trial_user_attr(identity, key, value)

    def end(self, identity: int, state: TrialState, accuracy: float | None, key: str, value: Any) -> None:
        """See `Trials`; the attribute first, so that no complete trial lacks it."""
        self.change(identity, key, value)
        self._rdb.set_trial_state_values(identity, state, None if accuracy is None else [accuracy])


class TrialRows:
    """`Trials` as rows of tables of `KNOWN_VERSION`, in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine, study: int) -> None:
        self._engine = engine
        self._study = study
        schema = sa.MetaData()
        schema.reflect(engine, only=TABLES)
        self._trials, self._params, self._attributes, self._values = (schema.tables[name] for name in TABLES)

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """See `Trials`."""
        row = {
            "number": number,
            "study_id": self._study,
            "state": "RUNNING",
            "datetime_start": trial.datetime_start,
        }
        attributes = [
            {"key": key, "value_json": json.dumps(value)} for key, value in trial.user_attrs.items()
        ]
        params = [_param(name, value, trial.distributions[name]) for name, value in trial.params.items()]
        with self._engine.begin() as connection:
            key = connection.execute(sa.insert(self._trials), row).inserted_primary_key
            assert key is not None  # the database makes one
            identity = int(key[0])
            for table, rows in ((self._params, params), (self._attributes, attributes)):
                if rows:
                    connection.execute(sa.insert(table), [{"trial_id": identity, **row} for row in rows])
        return identity

    def change(self, identity: int, key: str, value: Any) -> None:
        """See `Trials`; raises Optuna's error where the trial is over."""
        with self._engine.begin() as connection:
            self._set(connection, identity, key, value)

    def end(self, identity: int, state: TrialState, accuracy: float | None, key: str, value: Any) -> None:
        """See `Trials`; raises Optuna's error where the trial is over already."""
        with self._engine.begin() as connection:
            self._set(connection, identity, key, value)
            over = {"state": state.name, "datetime_complete": datetime.now()}
            connection.execute(sa.update(self._trials).where(self._trials.c.trial_id == identity), over)
            if accuracy is not None:
                row = {"trial_id": identity, "objective": 0, "value": accuracy, "value_type": "FINITE"}
                connection.execute(sa.insert(self._values), row)

    def _set(self, connection: sa.Connection, identity: int, key: str, value: Any) -> None:
        """An attribute that is there."""
        trials, attributes = self._trials, self._attributes
        state = connection.scalar(
            sa.select(trials.c.state).where(trials.c.trial_id == identity).with_for_update()
        )
        if state != "RUNNING":
            raise UpdateFinishedTrialError(f"trial {identity} of the database is over and does not change")
        connection.execute(
            sa.update(attributes).where(attributes.c.trial_id == identity, attributes.c.key == key),
            {"value_json": json.dumps(value)},
        )


def _param(name: str, value: Any, distribution: BaseDistribution) -> dict[str, Any]:
    """A parameter's row, but for its trial."""
    return {
        "param_name": name,
        "param_value": distribution.to_internal_repr(value),
        "distribution_json": distribution_to_json(distribution),
    }
