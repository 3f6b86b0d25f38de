"""A search told to others while it runs."""

import sys
from types import ModuleType

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import nas
from nas.api.callbacks import tensorboard, wandb


def searched(callback):
    return nas.search(
        "20M..40M", space="micro", proxy="simulated:separable", trials=3, quiet=True, callbacks=[callback]
    )


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_tensorboard_has_every_trial_and_its_curve():
    study = searched(tensorboard("events"))
    events = EventAccumulator("events")
    events.Reload()
    shown = events.Scalars("search/accuracy")
    assert [point.step for point in shown] == [0, 1, 2]
    assert [point.value for point in shown] == pytest.approx([row["accuracy"] for row in study.trials])
    assert len(events.Scalars("trial 2/accuracy")) == 9


def test_wandb_has_every_trial_s_row(monkeypatch):
    logged, told = [], {}
    library = ModuleType("wandb")
    library.init = lambda **init: told.update(init) or library
    library.log = logged.append
    monkeypatch.setitem(sys.modules, "wandb", library)
    study = searched(wandb("searches", mode="offline"))
    assert told == {"project": "searches", "mode": "offline"}
    assert [row["accuracy"] for row in logged] == [row["accuracy"] for row in study.trials]


@pytest.mark.parametrize(
    ("callback", "library", "extra"),
    [(tensorboard, "torch.utils.tensorboard", "train"), (wandb, "wandb", "wandb")],
)
def test_without_its_library_a_callback_says_what_to_install(callback, library, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install 'convnext-nas\[{extra}\]'"):
        callback("x")
