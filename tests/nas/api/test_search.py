"""`nas.search` and `nas.open`: the command from Python."""

import json
import os
import subprocess
import sys
import threading
from asyncio import CancelledError

import numpy as np
import pytest
from PIL import Image

import nas
from nas import search as command
from nas.api import _cost, _yaml
from nas.data import from_dataset
from space.errors import InputError

BUDGET, SPACE, LAW = "20M..40M", "micro", "simulated:separable"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def searched(study, **settings):
    settings = {"proxy": LAW, "trials": 4, "sampler": "random"} | settings
    return nas.search(BUDGET, space=SPACE, study=study, quiet=True, **settings)


def shallow(network, budget):
    """More where there are fewer blocks."""
    assert budget.text == BUDGET
    return 1 / sum(stage.depth for stage in network.stages)


def noisy(network, budget, seed):
    return shallow(network, budget) * (0.9 + seed % 7 / 100)


def holding(lock):
    def locked(network, budget):
        with lock:
            return shallow(network, budget)

    return locked


def broken(network, budget):
    raise RuntimeError(f"no room for {network.stages[0].width} channels")


def known(results):
    """What a study's record says, without moments and places."""
    moving = {"started", "ended", "train_seconds", "created", "wall_seconds", "name", "versions"}

    def kept(values):
        return {key: value for key, value in values.items() if key not in moving}

    return json.loads(json.dumps(results.study.to_dict()), object_hook=kept)


def test_importing_it_is_light_and_the_name_is_both_a_module_and_a_function():
    heavy = ["torch", "optuna", "pydantic", "numpy", "rich", "yaml", "pandas"]
    program = (
        f"import sys, nas\nprint([m for m in {heavy} if m in sys.modules], callable(nas.search))\n"
        f"import nas.search\nfrom nas.search import main\nprint([m for m in {heavy} if m in sys.modules])\n"
        "print(nas.search.main is main, callable(nas.search), {'search', 'open'} <= set(dir(nas)))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert said.splitlines() == ["[] True", "[]", "True True True"]
    with pytest.raises(AttributeError, match="has no attribute 'serch'"):
        _ = nas.serch


def test_the_record_is_the_one_that_the_command_gives(capsys):
    flags = ["--budget", BUDGET, "--space", SPACE, "--proxy", LAW, "--trials", "4"]
    flags += ["--sampler", "random", "--study", "told"]
    assert command.main(flags) == 0
    own = searched("called")
    assert known(own) == known(nas.open("told"))
    assert sorted(p.name for p in own.folder.iterdir()) == sorted(
        p.name for p in nas.open("told").folder.iterdir()
    )


def test_it_prints_as_the_command_does_unless_it_is_to_be_quiet(capsys):
    nas.search(BUDGET, space=SPACE, proxy=LAW, trials=2, study="loud", sampler="random")
    assert "trial 1 complete" in capsys.readouterr().out
    searched("still")
    assert capsys.readouterr().out == ""


def test_a_study_is_gone_on_with_and_opened_again(workplace):
    assert len(searched("more").trials) == 4
    assert len(searched("more", resume=True, trials=6).trials) == 6
    for place in ("more", "runs/more", workplace / "runs" / "more"):
        assert len(nas.open(place).trials) == 6


def test_costs_and_times_may_be_whole_numbers(workplace):
    settings = {"max_params": 10**9, "time_limit": 600, "trials": 2, "study": "numbers", "quiet": True}
    found = nas.search(30_000_000, space=SPACE, proxy=LAW, **settings)
    assert [trial["state"] for trial in found.trials] == ["complete"] * 2
    assert all(28_500_000 <= trial["flops"] <= 30_000_000 for trial in found.trials)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"bugdet": 1}, "there is no setting bugdet; there are proxy"),
        ({"trials": "many"}, "--trials: input should be a valid integer"),
        ({"data": "nowhere", "proxy": "smoke"}, "data: 'nowhere' is no data set"),
        ({"objective": "worst"}, "'worst'"),
        ({"objective": shallow}, "an objective takes the place of the proxy"),
        ({"objective": shallow, "proxy": None, "data": "digits"}, "takes the place of proxy and data"),
        ({"objective": shallow, "proxy": None, "scheduler": "asha"}, "which nothing stops early"),
        ({"objective": shallow, "proxy": None, "confirm": "2x2"}, r"objective\(network, budget, seed\)"),
        ({"objective": lambda n, b: 1, "proxy": None}, "known by the function's name; use def"),
        (
            {"objective": holding(threading.Lock()), "proxy": None, "engine": "ray"},
            "objective: cannot be sent to Ray's workers .*lock.*; let it make what it uses",
        ),
        ({"callbacks": print}, "give a list of functions of a trial"),
        ({"callbacks": ["print"]}, "callbacks .*print.*: give a list of functions of a trial"),
        ({"proxy": "objective:shallow"}, r"nas.search\(..., objective=shallow\)"),
    ],
)
def test_a_mistake_is_one_line_before_anything_is_made(settings, says, workplace):
    with pytest.raises(nas.InputError, match=says):
        searched("bad", **settings)
    assert not (workplace / "runs").exists()


class Coloured:
    """Pictures of two colours, which any network can tell apart, as a user's data set of torch has them."""

    classes = ("red", "blue")

    def __init__(self, count):
        rng = np.random.default_rng(count)
        self.pixels = rng.integers(60, 90, (count, 40, 44, 3), np.uint8)
        self.pixels[::2, ..., 0] += 120
        self.pixels[1::2, ..., 2] += 120

    def __len__(self):
        return len(self.pixels)

    def __getitem__(self, place):
        return Image.fromarray(self.pixels[place]), place % 2


def test_a_data_set_of_python_is_searched_on(workplace, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(workplace / "cache"))
    settings = {"proxy": "smoke", "epochs": 1, "reference": "none", "trials": 1}
    study = searched("own", data=(Coloured(40), Coloured(16)), **settings)
    about = study.study.mapping
    assert about["data"]["classes"] == ["red", "blue"]
    assert (about["proxy"]["train_size"], about["proxy"]["val_size"]) == (40, 16)
    again = searched("own", data=(Coloured(40), Coloured(16)), resume=True, **settings | {"trials": 2})
    assert len(again.trials) == 2
    with pytest.raises(nas.InputError, match="was started with"):
        searched("own", data=Coloured(42), resume=True, **settings)
    ready = from_dataset(Coloured(40), Coloured(16), resolution=32)
    assert searched("ready", data=ready, **settings).study.mapping["data"]["classes"] == ["red", "blue"]
    study.export("best", to="native")
    assert "classes: [red, blue]" in (workplace / "best" / "recipe.yaml").read_text()
    for data, says in ((3, "data 3: is no data set; give a path"), ([1, 2], r"data: train\[0\] is 1")):
        with pytest.raises(nas.InputError, match=says):
            searched("none", data=data, **settings)
    with pytest.raises(nas.InputError, match="Ray's workers see no data set of Python"):
        searched("none", data=Coloured(40), **settings, engine="ray")


def test_an_objective_judges_in_place_of_the_proxy():
    study = searched("own", objective=shallow, proxy=None, trials=6)
    for row in study.trials:
        depth = sum(stage.depth for stage in study.network(row["trial"]).stages)
        assert row["accuracy"] == 1 / depth
    assert study.pick.accuracy == max(row["accuracy"] for row in study.trials)
    assert "the Python function shallow" in str(study)
    assert "python -m nas.export" in study.recommendation.next
    assert "objective shallow" in study.page().read_text()


def test_an_objective_that_takes_seeds_can_be_confirmed():
    study = searched("sure", objective=noisy, proxy=None, confirm="2x3")
    assert study.pick.seeds == 3 and study.recommendation.confirmed


def test_an_objective_s_study_is_gone_on_with_by_that_objective_alone(capsys):
    searched("own", objective=shallow, proxy=None)
    with pytest.raises(nas.InputError, match="objective:shallow', not 'objective:noisy'"):
        searched("own", objective=noisy, proxy=None, resume=True)
    assert command.main(["--study", "own", "--resume"]) == 2
    assert "nas.search(..., objective=shallow)" in capsys.readouterr().err
    more = nas.search(study="own", resume=True, trials=6, objective=shallow, quiet=True)
    assert len(more.trials) == 6


@pytest.mark.parametrize(
    ("gives", "reason"),
    [(1.5, "gave 1.5, not"), ("x", "gave 'x', not"), (float("nan"), "nan"), (None, "None")],
)
def test_what_is_no_value_makes_a_failed_trial(gives, reason):
    def odd(network, budget):
        return gives if network.stages[0].depth < 2 else 0.5

    failed = [
        row for row in searched("odd", objective=odd, proxy=None, reference="none").trials if row["reason"]
    ]
    assert failed and all(reason in row["reason"] and row["state"] == "failed" for row in failed)


def test_what_an_objective_raises_is_a_trial_s_reason_and_alike_errors_end_the_search():
    study = searched("broken", objective=broken, proxy=None, trials=20)
    assert study.pick is None and len(study.trials) < 20
    assert "RuntimeError: no room for 8 channels" in study.trials[0]["reason"]
    assert str(study).startswith("No network has been trained in full yet.")
    assert "No network" in study._repr_html_()


class SilentError(Exception):
    """Fails at saying what is wrong."""

    def __str__(self):
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "reason"),
    [(SystemExit(2), "SystemExit: 2"), (CancelledError(), "CancelledError"), (SilentError(), "SilentError")],
)
def test_no_error_of_an_objective_ends_the_program(error, reason):
    def ends(network, budget):
        if network.stages[0].depth == 1:
            raise error
        return 0.5

    study = searched("ends", objective=ends, proxy=None, reference="none", trials=6)
    assert {row["reason"] for row in study.trials} == {None, reason} and study.pick is not None


def test_an_objective_may_go_to_another_folder(tmp_path):
    def wanders(network, budget):
        os.chdir(tmp_path.parent)
        return 0.5

    assert searched("wanders", objective=wanders, proxy=None).pick is not None


@pytest.mark.parametrize("number", [np.float32(0.5), np.int64(1), np.float64(0.25)])
def test_numpy_s_numbers_are_numbers(number):
    assert _cost(number) == str(number) and _yaml("proxy.mixup", number) == str(number)
    with pytest.raises(InputError, match=r"set: proxy\.mixup is \{1\}, no plain value"):
        _yaml("proxy.mixup", {1})


def test_callbacks_are_told_of_every_trial_and_may_end_the_search():
    told = []
    searched("told", callbacks=[told.append])
    assert [trial.number for trial in told] == [0, 1, 2, 3]
    assert all(trial.state == "complete" and trial.accuracies for trial in told)

    def enough(trial):
        if trial.number == 1:
            raise LookupError("two are enough")

    with pytest.raises(LookupError):
        searched("ended", callbacks=[enough])
    assert [row["state"] for row in nas.open("ended").trials] == ["complete", "complete"]
    assert len(searched("ended", resume=True).trials) == 4


def test_an_interrupted_search_says_how_to_go_on():
    def stop(trial):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="runs/stopped: resume=True goes on"):
        searched("stopped", callbacks=[stop])
    assert nas.open("stopped").trials[0]["state"] == "complete"


def test_it_runs_in_a_thread_of_a_larger_program():
    found = []
    thread = threading.Thread(target=lambda: found.append(searched("aside")))
    thread.start()
    thread.join()
    assert found[0].pick is not None
