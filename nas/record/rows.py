"""A study's trials in Optuna's tables, one transaction for each step of a trial.

Optuna's storage asks the database about a trial before every one of its parameters, and takes several
transactions for what is one step here: 60 statements for a trial of 13 parameters, most of a search's time
between trainings. To read trials it makes an object of every row, and parses a distribution for every one of
those parameters. Where the tables are of the version known here, the same rows are written and read directly;
else Optuna does it.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

import optuna
import sqlalchemy as sa
from optuna.distributions import BaseDistribution, distribution_to_json, json_to_distribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages._rdb.models import TrialIntermediateValueModel
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.dialects import postgresql, sqlite

KNOWN_VERSION = "v3.2.0.a"  # of the tables, as Optuna's storage tells it
TABLES = (
    "trials", "trial_params", "trial_user_attributes", "trial_values", "trial_intermediate_values",
)  # fmt: skip
VALUED = (TrialState.COMPLETE, TrialState.PRUNED)


class TrialStore(Protocol):
    """A study's trials in a database; one driver at a time begins any (`Storage.turn`)."""

    def read(
        self, after: int = 0, besides: Collection[int] = (), keys: Collection[str] | None = None
    ) -> list[FrozenTrial]:
        """Trials whose identities are above `after` or among `besides`, in order of their numbers.

        With these user attributes, or all. Their intermediate values may be missing: they are there for
        Optuna's own tools.
        """

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """Store a running trial, the study's next; its identity."""

    def change(self, identity: int, attributes: Mapping[str, Any], curve: Sequence[float] = ()) -> None:
        """Other values of attributes of a running trial, and its curve where there is one.

        That has the values after epochs 1, 2, ...: all so far.
        """

    def end(
        self,
        identity: int,
        state: TrialState,
        accuracy: float | None,
        attributes: Mapping[str, Any],
        curve: Sequence[float] = (),
    ) -> None:
        """A trial is over, after a last change."""


def trial_store(rdb: optuna.storages.RDBStorage, study: int) -> TrialStore:
    """The trials of a study (Optuna's identity of it)."""
    known = rdb.get_current_version() == KNOWN_VERSION
    return TrialRows(rdb.engine, study) if known else OptunaTrials(rdb, study)


class OptunaTrials:
    """`TrialStore` by Optuna's own storage."""

    def __init__(self, rdb: optuna.storages.RDBStorage, study: int) -> None:
        self._rdb = rdb
        self._study = study

    def read(
        self, after: int = 0, besides: Collection[int] = (), keys: Collection[str] | None = None
    ) -> list[FrozenTrial]:
        """See `TrialStore`; all attributes are there."""
        del keys
        trials = self._rdb.get_all_trials(self._study, deepcopy=False)
        return [trial for trial in trials if trial._trial_id > after or trial._trial_id in besides]

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """See `TrialStore`; the database counts the number itself."""
        del number
        return self._rdb.create_new_trial(self._study, trial)

    def change(self, identity: int, attributes: Mapping[str, Any], curve: Sequence[float] = ()) -> None:
        """See `TrialStore`; what an earlier curve had beyond this one stays."""
        for key, value in attributes.items():
            self._rdb.set_trial_user_attr(identity, key, value)
        for step, value in enumerate(curve, 1):
            self._rdb.set_trial_intermediate_value(identity, step, value)

    def end(
        self,
        identity: int,
        state: TrialState,
        accuracy: float | None,
        attributes: Mapping[str, Any],
        curve: Sequence[float] = (),
    ) -> None:
        """See `TrialStore`; the attributes first, so that no complete trial lacks them."""
        self.change(identity, attributes, curve)
        self._rdb.set_trial_state_values(identity, state, None if accuracy is None else [accuracy])


class TrialRows:
    """`TrialStore` as rows of tables of `KNOWN_VERSION`, in SQLite or PostgreSQL."""

    def __init__(self, engine: sa.Engine, study: int) -> None:
        self._engine = engine
        self._study = study
        schema = sa.MetaData()
        schema.reflect(engine, only=TABLES)
        self._trials, self._params, self._attributes, self._values, self._steps = (
            schema.tables[name] for name in TABLES
        )
        self._insert: Any = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert

    def read(
        self, after: int = 0, besides: Collection[int] = (), keys: Collection[str] | None = None
    ) -> list[FrozenTrial]:
        """See `TrialStore`. Raises `ValueError` or `LookupError` for what Optuna never wrote."""
        # the trials first: what another driver changes meanwhile is of one that is read again
        found = self._rows(self._trials, after, besides)
        values = {row.trial_id: row.value for row in self._rows(self._values, after, besides)}
        params = _grouped(self._rows(self._params, after, besides))
        attributes = _grouped(self._rows(self._attributes, after, besides, keys))
        distribution_of = functools.cache(json_to_distribution)
        trials = []
        for row in found:
            if row.state not in TrialState.__members__:
                raise ValueError(f"trial {row.number}: {row.state!r} is not among a trial's states")
            state = TrialState[row.state]
            # one that is missing comes as no number, which `TrialCheck` names
            value = values.get(row.trial_id, math.nan) if state in VALUED else None
            own = params.get(row.trial_id, ())
            distributions = {p.param_name: distribution_of(p.distribution_json) for p in own}
            trials.append(
                FrozenTrial(
                    row.number,
                    state,
                    value,
                    _local(row.datetime_start),
                    _local(row.datetime_complete),
                    {p.param_name: distributions[p.param_name].to_external_repr(p.param_value) for p in own},
                    distributions,
                    {a.key: json.loads(a.value_json) for a in attributes.get(row.trial_id, ())},
                    system_attrs={},
                    intermediate_values={},
                    trial_id=row.trial_id,
                )
            )
        return sorted(trials, key=lambda trial: trial.number)

    def begin(self, number: int, trial: FrozenTrial) -> int:
        """See `TrialStore`."""
        row = {
            "number": number,
            "study_id": self._study,
            "state": "RUNNING",
            "datetime_start": _utc(trial.datetime_start or datetime.now()),
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

    def change(self, identity: int, attributes: Mapping[str, Any], curve: Sequence[float] = ()) -> None:
        """See `TrialStore`; raises Optuna's error where the trial is over."""
        with self._engine.begin() as connection:
            self._set(connection, identity, attributes, curve)

    def end(
        self,
        identity: int,
        state: TrialState,
        accuracy: float | None,
        attributes: Mapping[str, Any],
        curve: Sequence[float] = (),
    ) -> None:
        """See `TrialStore`; raises Optuna's error where the trial is over already."""
        with self._engine.begin() as connection:
            self._set(connection, identity, attributes, curve)
            over = {"state": state.name, "datetime_complete": _utc(datetime.now())}
            connection.execute(sa.update(self._trials).where(self._trials.c.trial_id == identity), over)
            if accuracy is not None:
                row = {"trial_id": identity, "objective": 0, "value": accuracy, "value_type": "FINITE"}
                connection.execute(sa.insert(self._values), row)

    def _rows(
        self,
        table: sa.Table,
        after: int,
        besides: Collection[int],
        keys: Collection[str] | None = None,
    ) -> Sequence[sa.Row[Any]]:
        """A table's rows of trials, in the order in which they were written."""
        wanted = sa.or_(table.c.trial_id > after, table.c.trial_id.in_(besides))
        query = sa.select(table).where(wanted).order_by(*table.primary_key)
        if keys is not None:
            query = query.where(table.c.key.in_(keys))
        if table is self._trials:
            query = query.where(table.c.study_id == self._study)
        else:
            own = sa.select(self._trials.c.trial_id).where(self._trials.c.study_id == self._study)
            query = query.where(table.c.trial_id.in_(own))
        with self._engine.connect() as connection:
            return connection.execute(query).all()

    def _set(
        self,
        connection: sa.Connection,
        identity: int,
        attributes: Mapping[str, Any],
        curve: Sequence[float],
    ) -> None:
        trials, steps = self._trials, self._steps
        # the row is locked to the end of the transaction: no other driver ends the trial meanwhile (an SQLite
        # study has one driver)
        state = connection.scalar(
            sa.select(trials.c.state).where(trials.c.trial_id == identity).with_for_update()
        )
        if state != "RUNNING":
            raise UpdateFinishedTrialError(f"trial {identity} of the database is over and does not change")
        rows = [{"key": key, "value_json": json.dumps(value)} for key, value in attributes.items()]
        self._put(connection, self._attributes, identity, ["key"], rows)
        if curve:
            # a training that went on from an older checkpoint has fewer epochs than were reported
            beyond = sa.delete(steps).where(steps.c.trial_id == identity, steps.c.step > len(curve))
            connection.execute(beyond)
            rows = [_step(step, value) for step, value in enumerate(curve, 1)]
            self._put(connection, steps, identity, ["step"], rows)

    def _put(
        self,
        connection: sa.Connection,
        table: sa.Table,
        identity: int,
        by: list[str],
        rows: Sequence[dict[str, Any]],
    ) -> None:
        """Rows of a trial, told apart by the columns `by`: new, or in place of those that are there."""
        if not rows:
            return
        insert = self._insert(table)
        changed = {name: insert.excluded[name] for name in rows[0] if name not in by}
        put = insert.on_conflict_do_update(index_elements=["trial_id", *by], set_=changed)
        connection.execute(put, [{"trial_id": identity, **row} for row in rows])


def _grouped(rows: Sequence[sa.Row[Any]]) -> dict[int, list[sa.Row[Any]]]:
    """Rows by their trial."""
    grouped: dict[int, list[sa.Row[Any]]] = {}
    for row in rows:
        grouped.setdefault(row.trial_id, []).append(row)
    return grouped


def _param(name: str, value: Any, distribution: BaseDistribution) -> dict[str, Any]:
    """A parameter's row, but for its trial."""
    return {
        "param_name": name,
        "param_value": distribution.to_internal_repr(value),
        "distribution_json": distribution_to_json(distribution),
    }


def _step(step: int, value: float) -> dict[str, Any]:
    """An intermediate value's row, but for its trial."""
    stored, kind = TrialIntermediateValueModel.intermediate_value_to_stored_repr(value)
    return {"step": step, "intermediate_value": stored, "intermediate_value_type": kind.name}


def _utc(moment: datetime) -> datetime:
    """Optuna's trials have local times, its tables UTC; both without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _local(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC).astimezone().replace(tzinfo=None)
