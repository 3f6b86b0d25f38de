"""Rows of trials are those that Optuna's storage writes, in SQLite and in PostgreSQL."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime

import optuna
import pytest
import sqlalchemy as sa
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState, create_trial

from nas.record.rows import KNOWN_VERSION, OptunaTrials, TrialRows, trial_store

DISTRIBUTIONS = {
    "depth": IntDistribution(3, 27, step=3),
    "norm": CategoricalDistribution(("layer", "batch")),
    "grn": CategoricalDistribution((False, True)),
    "width": CategoricalDistribution((None, 64, 1.5)),
}
PARAMS = {"depth": 9, "norm": "batch", "grn": True, "width": None}
CURVE = [0.1, 1 / 3, math.nan, 0.1 + 0.2]
NETWORK = {"role": "candidate", "name": "ünïcode 'quoted'", "memo": {"slow": [[1, 2]], "share": 0.1}}


@pytest.fixture(params=["sqlite", "postgresql"])
def rdb(request, tmp_path):
    """An empty database of Optuna's."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/study.db"
    else:
        url = request.getfixturevalue("postgres_url").replace("://", "+psycopg://")
    storage = optuna.storages.RDBStorage(url)
    yield storage
    storage.engine.dispose()


def life(rdb, trials, first, study=None):
    """Three trials: one complete, one failed, one under way that has gone back an epoch's value."""
    begun = []
    for number in range(first, first + 3):
        trial = create_trial(
            state=TrialState.RUNNING,
            params=PARAMS,
            distributions=DISTRIBUTIONS,
            user_attrs={"network": NETWORK, "result": {"target": 3}},
        )
        begun.append(trials.begin(number, trial))
    complete, failed, running = begun
    result = {"accuracy": 0.1 + 0.2, "loss": math.nan}
    trials.change(complete, {}, CURVE[:2])
    trials.end(complete, TrialState.COMPLETE, 0.1 + 0.2, {"result": result, "fidelity": 4}, CURVE)
    trials.end(failed, TrialState.FAIL, None, {"result": {"reason": "out of memory"}})
    trials.change(running, {}, [0.1, 0.3])
    trials.change(running, {"result": {"target": 9, "curve": [1.5]}}, [0.1, 0.2])
    trials.change(running, {"network": NETWORK | {"driver": 7}})
    return rdb.get_all_trials(study_id(rdb) if study is None else study)[first : first + 3]


def study_id(rdb):
    return rdb.get_all_studies()[0]._study_id


def test_rows_are_what_optuna_writes(rdb):
    optuna.create_study(storage=rdb, direction="maximize")
    ours = life(rdb, trial_store(rdb, study_id(rdb)), 0)
    theirs = life(rdb, OptunaTrials(rdb, study_id(rdb)), 3)  # the distributions fit those before
    for a, b in zip(ours, theirs, strict=True):
        assert (a.state, a.params, a.distributions) == (b.state, b.params, b.distributions)
        assert repr((a.values, a.user_attrs)) == repr((b.values, b.user_attrs))
        assert repr(a.intermediate_values) == repr(b.intermediate_values)
        assert abs((a.datetime_start - b.datetime_start).total_seconds()) < 60
        assert (a.datetime_complete is None) == (b.datetime_complete is None)
    assert [t.number for t in ours + theirs] == list(range(6))
    assert ours[0].datetime_complete >= ours[0].datetime_start
    assert repr(ours[0].intermediate_values) == repr(dict(enumerate(CURVE, 1)))
    assert raw(rdb, [0, 1, 2]) == raw(rdb, [3, 4, 5])


def test_what_is_read_is_what_optuna_reads(rdb):
    for name in ("other", "study"):
        optuna.create_study(storage=rdb, direction="maximize", study_name=name)
    other, study = (rdb.get_study_id_from_name(name) for name in ("other", "study"))
    trial_store(rdb, other).begin(0, create_trial(state=TrialState.RUNNING, user_attrs={"result": {}}))
    trials = trial_store(rdb, study)
    assert isinstance(trials, TrialRows)
    assert trials.read() == []
    life(rdb, trials, 0, study)
    life(rdb, OptunaTrials(rdb, study), 3, study)
    theirs = rdb.get_all_trials(study)
    assert len(theirs) == 6
    assert values(trials.read()) == values(OptunaTrials(rdb, study).read()) == values(theirs)
    first, *_, last = (trial._trial_id for trial in theirs)
    for read in (trials.read, OptunaTrials(rdb, study).read):
        assert values(read(last - 1, [first])) == values([theirs[0], theirs[-1]])
        assert read(last) == []


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata"])
def test_times_are_those_of_optuna_in_every_time_zone(rdb, monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        optuna.create_study(storage=rdb, direction="maximize")
        trials = trial_store(rdb, study_id(rdb))
        life(rdb, trials, 0)
        assert values(trials.read()) == values(rdb.get_all_trials(study_id(rdb)))
        ended = trials.read()[0].datetime_complete
        assert abs((ended - datetime.now()).total_seconds()) < 60
        with rdb.engine.connect() as connection:
            stored = connection.scalar(sa.text("select max(datetime_complete) from trials"))
        stored = datetime.fromisoformat(str(stored)).replace(tzinfo=UTC)
        assert abs((stored - datetime.now(UTC)).total_seconds()) < 60
    finally:
        monkeypatch.undo()
        time.tzset()


def values(trials):
    """All that trials hold, but intermediate values; NaN is NaN here, the order of attributes is nobody's."""
    held = [
        {**vars(t), "intermediate_values": {}, "_user_attrs": sorted(t.user_attrs.items())} for t in trials
    ]
    return [repr(sorted(one.items())) for one in held]


def raw(rdb, numbers):
    """The rows of trials, column by column, but for identities and times."""
    schema = sa.MetaData()
    schema.reflect(rdb.engine)
    trials = schema.tables["trials"]
    found = []
    with rdb.engine.connect() as connection:
        for name, table in sorted(schema.tables.items()):
            if "trial_id" not in table.c:
                continue
            own = [c for c in table.c if not c.name.endswith("_id") and "datetime" not in c.name]
            own = [c for c in own if c.name != "number"]
            query = sa.select(*own).select_from(table if table is trials else table.join(trials))
            rows = connection.execute(query.where(trials.c.number.in_(numbers))).all()
            found.append((name, sorted(map(repr, rows))))
    return found


def test_what_is_over_does_not_change(rdb):
    optuna.create_study(storage=rdb, direction="maximize")
    trials = trial_store(rdb, study_id(rdb))
    assert isinstance(trials, TrialRows)
    identity = trials.begin(0, create_trial(state=TrialState.RUNNING, user_attrs={"result": {}}))
    trials.end(identity, TrialState.FAIL, None, {"result": {"reason": "first"}})
    with pytest.raises(UpdateFinishedTrialError):
        trials.change(identity, {"result": {"reason": "second"}})
    with pytest.raises(UpdateFinishedTrialError):
        trials.end(identity, TrialState.COMPLETE, 0.5, {"result": {"reason": "second"}})
    (trial,) = rdb.get_all_trials(study_id(rdb))
    assert (trial.state, trial.values, trial.user_attrs) == (
        TrialState.FAIL,
        None,
        {"result": {"reason": "first"}},
    )


def test_a_step_that_fails_leaves_nothing(rdb):
    optuna.create_study(storage=rdb, direction="maximize")
    trials = trial_store(rdb, study_id(rdb))
    begun = create_trial(state=TrialState.RUNNING, user_attrs={"result": {}, "network": {}})
    identity = trials.begin(0, begun)
    with pytest.raises(sa.exc.StatementError):  # no database takes it, after the other rows
        trials.end(identity, TrialState.COMPLETE, object(), {"result": {"accuracy": 0.5}})
    (trial,) = rdb.get_all_trials(study_id(rdb))
    assert (trial.state, trial.user_attrs) == (TrialState.RUNNING, {"result": {}, "network": {}})


def test_tables_of_another_version_are_left_to_optuna(tmp_path, monkeypatch):
    rdb = optuna.storages.RDBStorage(f"sqlite:///{tmp_path}/study.db")
    optuna.create_study(storage=rdb, direction="maximize")
    assert rdb.get_current_version() == KNOWN_VERSION
    monkeypatch.setattr(optuna.storages.RDBStorage, "get_current_version", lambda _: "v9.0.0.a")
    trials = trial_store(rdb, study_id(rdb))
    assert isinstance(trials, OptunaTrials)
    complete, failed, running = life(rdb, trials, 0)
    assert complete.params == PARAMS and complete.value == 0.1 + 0.2
    assert failed.user_attrs["result"] == {"reason": "out of memory"}
    assert running.user_attrs["network"]["driver"] == 7
