"""The study folder: its name, what of it is refused and how, and what Optuna's own tools find in it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import warnings

import optuna
import pytest
from optuna.terminator import BestValueStagnationEvaluator, Terminator
from rich.console import Console

from analysis import dashboard
from nas import export, search
from nas.driver.controller import SearchController
from nas.engines.local import LocalEngine
from nas.plan.plan import Plan
from nas.plan.settings import Settings
from nas.plan.study import open_record
from nas.record.database import study_name
from nas.record.folder import study_folder
from nas.record.record import Record
from nas.run import train
from space.errors import InputError

SEARCH = ["--space", "micro", "--budget", "20M..40M", "--objective", "best", "--sampler", "random",
          "--proxy", "simulated:interacting"]  # fmt: skip
WIDE = ["--budget", "4.5GFLOPs", "--sampler", "random", "--proxy", "simulated:interacting"]


def numbers(folder):
    record = Record.read(folder)
    found = [trial.number for trial in record.trials()]
    record.close()
    return found


def changed(folder, *statements):
    with contextlib.closing(sqlite3.connect(folder / "study.db")) as database, database:
        for statement in statements:
            database.execute(statement)


# names


def test_what_is_in_a_path_names_no_other_database(workplace, capsys):
    awkward = ("x/a b", "x/a%20b", "x/a%2520b", "x/a?mode=memory", "x/a#b", "x/{a}", "x/%41", "x/A",
               "x/é", "x/a&immutable=1", "x/a'\"")  # fmt: skip
    for i, name in enumerate(awkward):
        assert search.main([*SEARCH, "--study", name, "--trials", str(i % 3 + 1)]) == 0, name
        assert [path.name for path in (workplace / name).glob("study.db*")] == ["study.db"]
    for i, name in enumerate(awkward):
        assert len(numbers(name)) == i % 3 + 1
        assert search.main(["--study", name, "--resume", "--trials", "4"]) == 0
        assert Record.read(name).about()["name"] == (workplace / name).name
    capsys.readouterr()
    assert sorted(p.name for p in (workplace / "x").iterdir()) == sorted(n[2:] for n in awkward)
    assert [p.name for p in workplace.iterdir() if p.name not in ("x", "tiny.yaml")] == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x/a\0b", " character"),
        ("x/a\nb", "line breaks"),
        ("x/" + 300 * "n", "a folder's name has at most 255 bytes"),
        (300 * "n", "a folder's name has at most 255 bytes"),
        ("a b", "a name holds letters, digits"),
        ("", "a name holds letters, digits"),
    ],
)
def test_a_name_that_is_none_is_one_line(workplace, capsys, name, words):
    with pytest.raises(InputError, match=r"study '"):
        study_folder(name)
    for command in ([search, *SEARCH, "--study", name], [dashboard, name], [export, name]):
        assert command[0].main(command[1:]) == 2
        err = capsys.readouterr().err
        assert words in err and err.count("\n") == 1 and len(err) < 400
    assert [p.name for p in workplace.iterdir()] == ["tiny.yaml"]


def test_a_study_is_called_as_its_folder_and_is_found_after_that_was_renamed(workplace, capsys):
    assert search.main([*SEARCH, "--study", "./one", "--trials", "2"]) == 0
    (workplace / "one").rename(workplace / "two")
    assert optuna.get_all_study_names(f"sqlite:///{workplace}/two/study.db") == ["one"]
    assert numbers("./two") == [0, 1]
    assert search.main(["--study", "./two", "--resume", "--trials", "3"]) == 0
    assert numbers("./two") == [0, 1, 2]
    # a study of the user's own beside it is nobody's business
    optuna.create_study(study_name="mine", storage=f"sqlite:///{workplace}/two/study.db")
    assert numbers("./two") == [0, 1, 2]
    assert study_name(workplace / "a\udcffb") == "a�b"
    capsys.readouterr()


# what is in the folder


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"storage": "postg', "not JSON"),
        ("", "not JSON"),
        ("[1, 2]", "must have the keys storage and study, and no other"),
        ('{"storage": "postgresql://h/d"}', "must have the keys storage and study"),
        ('{"storage": "postgresql://h/d", "study": "x", "more": 1}', "must have the keys storage and study"),
        ('{"storage": "postgresql://h/d", "study": 5}', "study is 5, no text"),
        ('{"storage": "sqlite:///made.db", "study": "x"}', "must be postgresql://USER@HOST/DATABASE"),
        ('{"storage": "postgresql+psycopg2://h/d", "study": "x"}', "must be postgresql://USER@HOST"),
        ('{"storage": "postgresql://u@h:port/d", "study": "x"}', "must be postgresql://USER@HOST/DATABASE"),
        ('{"storage": "postgresql://u@far.example/d", "study": "x"}', "set PGHOST=far.example if you know"),
        ('{"storage": "postgresql://u@localhost/d?host=far.example", "study": "x"}', "PGHOST=far.example"),
        ('{"storage": "postgresql://localhost,far.example/d", "study": "x"}', "PGHOST=far.example"),
        ('{"storage": "postgresql:///d?hostaddr=10.0.0.9", "study": "x"}', "hostaddr of the database's URL"),
        ('{"storage": "postgresql:///d?service=x", "study": "x"}', "service of the database's URL"),
        ('{"storage": "postgresql:///d?passfile=/etc/x", "study": "x"}', "passfile of the database's URL"),
    ],
)
def test_a_study_json_of_whatever_kind_is_one_line_and_nothing_is_made(
    workplace, capsys, monkeypatch, text, words
):
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.delenv("PGHOST", raising=False)
    (workplace / "one").mkdir()
    (workplace / "one/study.json").write_text(text)
    for command in ([dashboard, "./one"], [export, "./one"], [search, "--study", "./one", "--resume"]):
        assert command[0].main(command[1:]) == 2
        err = capsys.readouterr().err
        assert words in err and "study ./one" not in err and err.count("\n") == 1, err
    assert [path.name for path in (workplace / "one").iterdir()] == ["study.json"]
    assert not (workplace / "made.db").exists()


def test_a_study_in_a_database_is_not_started_again_as_a_file(workplace, capsys):
    (workplace / "one").mkdir()
    (workplace / "one/study.json").write_text("{}")
    assert search.main([*SEARCH, "--study", "./one"]) == 2
    assert "one: is in a PostgreSQL database (study.json)" in capsys.readouterr().err
    assert not (workplace / "one/study.db").exists()


def test_a_stranger_s_study_names_no_database(workplace, capsys):
    assert search.main([*SEARCH, "--study", "./one", "--trials", "1"]) == 0
    asked = "json_set(value_json, '$.storage', 'postgresql://far.example/d')"
    changed(workplace / "one", f"update study_user_attributes set value_json = {asked} where key = 'asked'")
    assert search.main(["--study", "./one", "--resume", "--trials", "2"]) == 0
    assert numbers("./one") == [0, 1]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["delete from studies"], "study.db holds no study"),
        (["delete from study_user_attributes where key = 'format'"],
         "study.db is not a study of this program: 'one' has no format"),
        (["update alembic_version set version_num = 'v9.0.0.a'"],
         "study.db was written by another version of Optuna (The runtime optuna version"),
        (["drop table trial_values"], "study.db is damaged (the table trial_values is missing)"),
        (["drop table version_info"], "study.db is damaged (the table version_info is missing)"),
        (["insert into studies (study_name) values ('two')",
          "insert into study_user_attributes (study_id, key, value_json) values (2, 'format', '3')"],
         "study.db holds 2 studies of this program ('one', 'two'), not one"),
    ],
)  # fmt: skip
def test_each_reason_not_to_read_a_database_has_its_sentence(workplace, capsys, statements, words):
    assert search.main([*SEARCH, "--study", "./one", "--trials", "1"]) == 0
    changed(workplace / "one", *statements)
    capsys.readouterr()
    for command in ([dashboard, "./one"], [search, "--study", "./one", "--resume"]):
        assert command[0].main(command[1:]) == 2
        err = capsys.readouterr().err
        assert f"study one: {words}" in err and err.count("\n") == 1, err


# Optuna's own tools


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """The study of a search whose reference lies in the space, with confirmations."""
    folder = tmp_path_factory.mktemp("searched") / "mine"
    flags = ["--study", str(folder), "--trials", "24", "--confirm", "2x2", "--scheduler", "asha"]
    assert search.main([*WIDE, *flags]) == 0
    return folder


@pytest.fixture
def theirs(searched):
    """The study as Optuna has it."""
    return optuna.load_study(study_name=None, storage=f"sqlite:///{searched}/study.db")


def test_optuna_has_the_name_the_metric_and_the_parameters(searched, theirs):
    assert theirs.study_name == "mine" and theirs.metric_names == ["accuracy"]
    ours = Record.read(searched).trials()
    assert all(trial.choices for trial in ours)
    by_role = {trial.role: trial.choices for trial in ours}
    assert by_role["reference"]["base_width"] == 96 and set(by_role) >= {"confirmation", "candidate"}
    repeated = [trial for trial in ours if trial.role == "confirmation"]
    assert repeated and all(trial.choices == ours[trial.of].choices for trial in repeated)
    assert theirs.best_params == theirs.best_trial.params and theirs.best_params


def test_optuna_has_costs_to_sort_by_and_the_learning_curves(searched, theirs):
    for trial, known in zip(theirs.trials, Record.read(searched).trials(), strict=True):
        for key in ("role", "macs", "params", "activations", "seed", "fidelity", "train_seconds"):
            assert trial.user_attrs[key] == getattr(known, key), key
        curve = {point["epoch"]: point["val_accuracy"] for point in known.curve}
        assert trial.intermediate_values == curve and curve
    frame = theirs.trials_dataframe()
    assert "value_accuracy" in frame and frame["user_attrs_macs"].dtype == "int64"


def test_optuna_s_importances_and_terminator_work(theirs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for evaluator in (
            optuna.importance.FanovaImportanceEvaluator(seed=0, n_trees=8),
            optuna.importance.PedAnovaImportanceEvaluator(),
        ):
            found = optuna.importance.get_param_importances(theirs, evaluator=evaluator)
            assert "base_width" in found and abs(sum(found.values()) - 1) < 1e-6
        evaluator = BestValueStagnationEvaluator(max_stagnation_trials=100)
        assert Terminator(evaluator, min_n_trials=2).should_terminate(theirs) is False


# a study of one objective has neither a front nor a volume of its own, and the terminator asks for a Gaussian
# process of every trial
PLOTS = sorted(
    {name for name in optuna.visualization.__all__ if name.startswith("plot_")}
    - {"plot_pareto_front", "plot_hypervolume_history", "plot_terminator_improvement"}
)


@pytest.mark.parametrize("name", PLOTS)
def test_every_picture_of_optuna_s_shows_the_study(theirs, name):
    few = {"params": ["base_width", "norm"]} if name in ("plot_contour", "plot_rank") else {}
    drawn = getattr(optuna.visualization, name)(theirs, **few)
    shown = len(theirs.trials) if name == "plot_intermediate_values" else 1
    points = [trace.dimensions if trace.type == "parcoords" else trace.x for trace in drawn.data]
    assert len(points) >= shown and any(len(each) for each in points)


def begin(record, network, role, proposer, seed=0):
    return record.begin(
        network, role=role, target=9, seed=seed, budget="4.5GFLOPs",
        params=proposer.params(network), distributions=proposer.distributions,
    )  # fmt: skip


def test_what_is_not_of_the_space_is_pruned_for_optuna_and_complete_for_us(tmp_path):
    from space.swin import named_swin

    plan = Plan.of(Settings(budget="4.5GFLOPs", proxy="simulated:interacting", sampler="random", trials=2))
    record = open_record(plan, tmp_path / "one")
    (branch,) = plan.branches(lambda _: 0.0, 1)
    curve = [{"epoch": i + 1, "val_accuracy": 0.1 * i} for i in range(9)]
    for network, role in (
        (named_swin("swin_tiny"), "reference"),
        (branch.references[0].network, "candidate"),
    ):
        number = begin(record, network, role, branch.proposer)
        record.complete(number, 0.8, fidelity=9, full_fidelity=True, curve=curve, train_seconds=1.0)
    record.close()
    record = Record.read(tmp_path / "one")
    assert [(t.state, t.accuracy, bool(t.choices)) for t in record.trials()] == [
        ("complete", 0.8, False),
        ("complete", 0.8, True),
    ]
    record.close()
    study = optuna.load_study(study_name="one", storage=f"sqlite:///{tmp_path}/one/study.db")
    assert [trial.state.name for trial in study.trials] == ["PRUNED", "COMPLETE"]
    assert study.best_trial.number == 1 and len(study.trials[0].intermediate_values) == 9


def test_a_result_that_is_no_number_is_a_failed_trial(tmp_path):
    plan = Plan.of(Settings(budget="4.5GFLOPs", proxy="simulated:interacting", sampler="random", trials=2))
    record = open_record(plan, tmp_path / "one")
    (branch,) = plan.branches(lambda _: 0.0, 1)
    curve = [{"epoch": i + 1, "val_accuracy": float("nan")} for i in range(9)]
    number = begin(record, branch.references[0].network, "reference", branch.proposer)
    record.complete(number, float("nan"), fidelity=9, full_fidelity=True, curve=curve)
    record.close()
    (trial,) = Record.read(tmp_path / "one").trials()
    assert (trial.state, trial.reason) == ("failed", "its accuracy is nan")


def test_a_curve_is_shown_while_it_grows_and_after_a_training_went_back(tmp_path, monkeypatch):
    monkeypatch.setattr("nas.record.record.REPORT_SHARE", float("inf"))  # at every epoch
    seen = []
    done = SearchController.epoch

    def epoch(self, job, point):
        done(self, job, point)
        rdb = self._record.storage.rdb
        seen.append(len(rdb.get_trial(job.trial + 1).intermediate_values))

    monkeypatch.setattr(SearchController, "epoch", epoch)
    settings = Settings(
        budget="20M..40M", objective="best", space="micro", sampler="random",
        proxy="simulated:interacting", trials=2,
    )  # fmt: skip
    plan = Plan.of(settings)
    record = open_record(plan, tmp_path / "one")
    (branch,) = plan.branches(lambda _: 0.0, 1)
    network = branch.proposer.next(0).architecture
    number = record.begin(
        network, target=9, seed=0, budget=branch.budget, params=branch.proposer.params(network),
        distributions=branch.proposer.distributions,
    )  # fmt: skip
    record.report(number, [{"val_accuracy": 0.5}] * 7)  # and then it was killed
    record.close()
    record = Record.resume(tmp_path / "one", plan.binding())
    train(plan, LocalEngine(plan.judge.trainer), record, Console(quiet=True))
    trials = record.trials()
    stored = record.storage.rdb.get_all_trials(record._study._study_id)
    record.close()
    assert seen == [*range(1, 10)] * 2
    for trial, known in zip(stored, trials, strict=True):
        assert list(trial.intermediate_values.values()) == [p["val_accuracy"] for p in known.curve]


def test_a_study_of_the_second_format_is_gone_on_with(workplace, capsys):
    """Its trials carry neither parameters where they are references, nor curves, nor costs."""
    assert search.main([*WIDE, "--study", "./whole", "--trials", "8"]) == 0
    assert search.main([*WIDE, "--study", "./one", "--trials", "4"]) == 0
    changed(
        workplace / "one",
        "update studies set study_name = 'study'",
        "delete from study_system_attributes",
        "update study_user_attributes set value_json = '2' where key = 'format'",
        "delete from trial_intermediate_values",
        "delete from trial_user_attributes where key not in ('network', 'result')",
        "delete from trial_params where trial_id = 1",
    )
    before = Record.read("./one")
    assert [t.state for t in before.trials()] == ["complete"] * 4
    before.close()
    assert search.main(["--study", "./one", "--resume", "--trials", "8"]) == 0
    kinds = [[(t.fingerprint, t.accuracy) for t in Record.read(n).trials()] for n in ("./one", "./whole")]
    assert kinds[0] == kinds[1]
    study = optuna.load_study(study_name="study", storage=f"sqlite:///{workplace}/one/study.db")
    assert study.user_attrs["format"] == 3 and study.metric_names == ["accuracy"]
    assert study.trials[-1].user_attrs["macs"] > 4e9 and not study.trials[1].intermediate_values
    capsys.readouterr()


def test_a_copied_study_is_a_study(searched, tmp_path):
    shutil.copytree(searched, tmp_path / "copy")
    assert numbers(tmp_path / "copy") == numbers(searched)
    summary = json.loads((tmp_path / "copy/summary.json").read_text())
    assert summary["trials"]["complete"] > 0
