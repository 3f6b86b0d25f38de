"""The decisions of a search, on simulated trainings: rungs, budgets, confirmation, going on after a crash."""

import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from analysis.page.method import method
from nas.driver.controller import MOST_ATTEMPTS
from nas.driver.gate import sufficient
from nas.engines.local import LocalEngine
from nas.plan.plan import Plan
from nas.plan.settings import Settings
from nas.plan.study import open_record
from nas.proxy.simulated import LAWS, SimulatedTrainer
from nas.record.record import Record
from nas.record.study import study_of
from nas.run import train
from nas.training.result import TrialFailed
from nas.verdict.pick import recommend
from space.families import named

QUIET = Console(quiet=True)
VOLATILE = ("order", "attempts", "mark", "started", "ended")


class Crash(BaseException):
    """In place of kill -9: nothing of ours handles it."""


class Crashing(LocalEngine):
    """Dies at the n-th call of the trainer or the controller."""

    def __init__(self, trainer, calls):
        super().__init__(trainer)
        self.left = calls

    def run(self, controller):
        super().run(Fragile(controller, self))


class Fragile:
    """A controller that dies before or after one of its calls."""

    def __init__(self, controller, engine):
        self._controller = controller
        self._engine = engine

    def __getattr__(self, name):
        if name == "over":
            return self._controller.over

        def call(*arguments):
            self._tick()
            found = getattr(self._controller, name)(*arguments)
            self._tick()
            return found

        return call

    def _tick(self):
        self._engine.left -= 1
        if self._engine.left == 0:
            raise Crash


def asked(**values):
    defaults = {"budget": "20M..40M", "objective": "best", "space": "micro", "sampler": "random"}
    return Settings(**defaults | {"proxy": "simulated:interacting", "trials": 9} | values)


def searched(folder, settings, engine=None, console=QUIET):
    """The study after a search, closed again."""
    plan = Plan.of(settings)
    record = open_record(plan, folder)
    try:
        train(plan, engine or LocalEngine(plan.judge.trainer), record, console)
        return record
    finally:
        record.close()


def outcome(record):
    return [{k: value for k, value in t.to_dict().items() if k not in VOLATILE} for t in record.trials()]


def test_a_paused_training_goes_on_and_only_full_ones_count(tmp_path):
    record = searched(tmp_path / "a", asked(scheduler="asha", trials=19))
    candidates = [t for t in record.trials() if t.role == "candidate"]
    fidelities = [t.fidelity for t in candidates]
    assert len(candidates) == 18 and set(fidelities) == {1, 3, 9}
    assert fidelities.count(9) <= sum(f >= 3 for f in fidelities) / 3
    for trial in candidates:
        assert len(trial.curve) == trial.fidelity
        assert [p["epoch"] for p in trial.curve] == list(range(1, trial.fidelity + 1))
        assert trial.full_fidelity == (trial.fidelity == 9) == (trial.state == "complete")
        assert (trial.accuracy is None) == (trial.state == "paused")
    # the reference is trained fully, whatever the rungs say
    assert record.trial(0).role == "reference" and record.trial(0).fidelity == 9
    kept = {int(p.stem.removeprefix("trial-")) for p in (tmp_path / "a/checkpoints").iterdir()}
    paused = {t.number for t in candidates if t.state == "paused"}
    assert kept <= paused
    (pick,) = recommend(study_of(record)).picks
    assert record.trial(pick.tried.trial).full_fidelity


def test_a_checkpoint_that_a_dead_driver_left_of_a_finished_training_goes(tmp_path):
    searched(tmp_path / "a", asked(trials=3))
    left = tmp_path / "a/checkpoints/trial-1.ckpt"
    left.write_text("of a driver that died after it had stored the result")
    searched(tmp_path / "a", asked(trials=4, resume=True))
    assert not left.exists()


def test_more_trials_later_are_as_if_asked_for_at_once(tmp_path):
    common = {"scheduler": "asha", "min_epochs": 1}
    whole = searched(tmp_path / "whole", asked(trials=19, **common))
    searched(tmp_path / "parts", asked(trials=11, **common))
    again = searched(tmp_path / "parts", asked(trials=19, resume=True, **common))
    assert outcome(again) == outcome(whole)


@settings(max_examples=8, deadline=None)
@given(
    crashes=st.lists(st.integers(1, 90), max_size=4),
    scheduler=st.sampled_from(["none", "auto", "asha", "halving", "hyperband"]),
    sampler=st.sampled_from(["random", "evolution", "tpe"]),
)
def test_after_any_crashes_the_record_is_that_of_an_undisturbed_search(
    tmp_path_factory, crashes, scheduler, sampler
):
    folder = tmp_path_factory.mktemp("study")
    plain = {"scheduler": scheduler, "sampler": sampler, "confirm": "1x2", "trials": 10}
    whole = searched(folder / "whole", asked(**plain))
    cut = folder / "cut"
    resume = False
    for calls in crashes:
        plan = Plan.of(asked(resume=resume, **plain))
        record = open_record(plan, cut)
        resume = True
        try:
            train(plan, Crashing(plan.judge.trainer, calls), record, QUIET)
        except Crash:
            pass
        finally:
            record.close()
    again = searched(cut, asked(resume=resume, **plain))
    assert outcome(again) == outcome(whole)
    order = [t.order for t in again.trials() if t.over]
    assert sorted(order) == list(range(len(order)))


def test_no_epoch_is_trained_twice_across_a_crash(tmp_path):
    seen = []

    class Counting(SimulatedTrainer):
        def start(self, job):
            training = super().start(job)
            inner = training.epoch

            def epoch(on_step=None):
                point = inner(on_step)
                seen.append((job.trial, point.epoch))
                return point

            training.epoch = epoch
            return training

    trainer = Counting(LAWS["interacting"])
    plan = Plan.of(asked(trials=5))
    record = open_record(plan, tmp_path / "a")
    with pytest.raises(Crash):
        train(plan, Crashing(trainer, 60), record, QUIET)
    record.close()
    searched(tmp_path / "a", asked(trials=5, resume=True), LocalEngine(trainer))
    assert len(seen) == len(set(seen)) == 5 * 9


def test_a_training_in_which_the_search_always_dies_is_given_up(tmp_path):
    class Deadly(SimulatedTrainer):
        def start(self, job):
            if job.trial == 2:
                raise Crash
            return super().start(job)

    trainer = Deadly(LAWS["interacting"])
    resume = False
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(Crash):
            searched(tmp_path / "a", asked(trials=4, resume=resume), LocalEngine(trainer))
        resume = True
    record = searched(tmp_path / "a", asked(trials=4, resume=True), LocalEngine(trainer))
    assert [t.state for t in record.trials()] == ["complete", "complete", "failed", "complete"]
    assert "the search died 5 times" in record.trial(2).reason


def test_a_list_of_budgets_is_a_search_each_with_its_own_reference(tmp_path):
    record = searched(tmp_path / "a", asked(budget="20M,40M,60M", objective="auto", trials=13, confirm="1x2"))
    searched_trials = [t for t in record.trials() if t.role != "confirmation"]
    shares = {b: [t for t in searched_trials if t.budget == b] for b in ("20M", "40M", "60M")}
    assert sorted(map(len, shares.values())) == [4, 4, 5]
    for budget, trials in shares.items():
        high = float(budget[:-1]) * 1e6
        assert all(0.95 * high <= t.macs <= high for t in trials if t.role == "candidate")
        assert [t.role for t in trials].count("reference") == 1
    # the budgets take turns
    assert {t.budget for t in searched_trials[:3]} == set(shares)
    confirmations = [t for t in record.trials() if t.role == "confirmation"]
    assert len(confirmations) == 3 * 2 * 2  # budgets, networks, seeds
    assert record.about()["budget"]["low"] == 19_000_000 and len(record.about()["budget"]["each"]) == 3


def test_a_range_is_searched_over_all_its_costs(tmp_path):
    record = searched(tmp_path / "a", asked(budget="10M..160M", objective="auto", trials=25))
    macs = np.array([t.macs for t in record.trials() if t.role == "candidate"])
    assert record.about()["objective"] == "front"
    for low, high in ((10e6, 20e6), (20e6, 40e6), (40e6, 80e6), (80e6, 160e6)):
        assert ((macs >= low) & (macs <= high)).sum() >= 3


def test_the_front_is_compared_with_every_published_size_in_it(tmp_path):
    plan = Plan.of(asked(space="convnext", budget="4GFLOPs..16GFLOPs", objective="auto"))
    assert [r.name for r in plan.effort.references[0]] == ["ConvNeXt-T", "ConvNeXt-S", "ConvNeXt-B"]
    assert plan.effort.references[0][0].network == named("convnext_tiny")


def test_confirmation_trains_the_best_and_the_references_again_with_fresh_seeds(tmp_path):
    record = searched(tmp_path / "a", asked(trials=8, confirm="2x3", seed=4))
    again = [t for t in record.trials() if t.role == "confirmation"]
    assert len(again) == 3 * 3 and {t.seed for t in again} == {5, 6, 7}
    ranked = sorted((t for t in record.trials() if t.role == "candidate"), key=lambda t: -t.accuracy)
    assert {t.of for t in again} == {0, ranked[0].number, ranked[1].number}
    for trial in again:
        origin = record.trial(trial.of)
        assert trial.fingerprint == origin.fingerprint and trial.accuracy != origin.accuracy
    means = {n: np.mean([t.accuracy for t in again if t.of == n]) for n in {t.of for t in again}}
    (pick,) = recommend(study_of(record)).picks
    assert pick.tried.trial == max(means, key=means.get)
    # asked for again, it finds what is there
    before = outcome(record)
    assert outcome(searched(tmp_path / "a", asked(trials=8, confirm="2x3", seed=4, resume=True))) == before


def test_limits_hold_for_every_candidate(tmp_path):
    latency = SimulatedTrainer(LAWS["interacting"]).latency
    free = searched(tmp_path / "free", asked(trials=12, reference=False))
    most = {
        key: int(np.median([getattr(t, key) for t in free.trials()])) for key in ("params", "activations")
    }
    record = searched(
        tmp_path / "a",
        asked(trials=12, max_params=str(most["params"]), max_activations=str(most["activations"]),
              max_latency="1s", reference=False),
    )  # fmt: skip
    assert len(record.trials()) == 12
    for trial in record.trials():
        assert trial.params <= most["params"] and trial.activations <= most["activations"]
    assert record.about()["limits"] == {
        "max_params": most["params"], "max_activations": most["activations"], "max_latency": 1.0
    }  # fmt: skip
    assert latency(named("convnext_tiny")) > 0


def test_failures_leave_the_rungs_and_the_search_going(tmp_path):
    class Failing(SimulatedTrainer):
        def start(self, job):
            if job.trial % 3 == 1:
                raise TrialFailed("no memory")
            return super().start(job)

    for scheduler in ("asha", "halving", "hyperband"):
        settings = asked(scheduler=scheduler, trials=14)
        record = searched(tmp_path / scheduler, settings, LocalEngine(Failing(LAWS["interacting"])))
        states = [t.state for t in record.trials()]
        assert len(states) == 14 and states.count("failed") == 5 and "complete" in states[1:]
        assert all(t.reason == "no memory" for t in record.trials() if t.state == "failed")


def test_a_study_says_what_its_scheduler_was(tmp_path):
    record = searched(tmp_path / "a", asked(scheduler="asha", trials=10))
    assert record.settings["scheduler"] == {"name": "asha", "eta": 3, "levels": [1, 3, 9]}
    again = Record.read(tmp_path / "a")
    assert outcome(again) == outcome(record)


LOOKED = "after 6 full trainings, rank correlation with the last epoch: epoch 1 "


def test_auto_looks_first_and_then_stops_where_early_ranks_tell(tmp_path):
    record = searched(tmp_path / "a", asked(proxy="simulated:separable", scheduler="auto", trials=19))
    assert record.settings["scheduler"] == {"name": "auto", "eta": 3, "levels": [1, 2, 4, 9]}
    (decision,) = record.stopping.values()
    assert decision["says"].startswith(LOOKED) and decision["stops"] == [1, 4]
    # a reference and six candidates are trained fully, the others stop after epochs that told
    fidelities = [t.fidelity for t in record.trials()]
    assert fidelities[:7] == [9] * 7 and decision["since"] == 7
    assert set(fidelities[7:]) == {1, 4, 9}
    # in the epochs of as many full trainings, more networks
    assert 18 * 9 < sum(fidelities) <= 19 * 9
    assert len(fidelities) == 7 + sufficient(12, (1, 4, 9), 3)
    study = study_of(record)
    assert (study.scheduler, study.rungs) == ("auto", [1, 4, 9])
    page = "".join(map(str, method([recommend(study)])))
    assert "Stopping early" in page and decision["says"] in page
    assert json.loads((tmp_path / "a/summary.json").read_text())["stopping"] == record.stopping


def test_auto_is_as_no_scheduler_where_early_ranks_are_reversed(tmp_path):
    class Reversed(SimulatedTrainer):
        def curve(self, architecture, seed):
            curve = super().curve(architecture, seed)
            return np.append(0.8 - curve[-1] + np.zeros(8), curve[-1])

    trainer = Reversed(LAWS["separable"])
    auto = searched(tmp_path / "auto", asked(scheduler="auto", trials=19), LocalEngine(trainer))
    none = searched(tmp_path / "none", asked(trials=19), LocalEngine(trainer))
    (decision,) = auto.stopping.values()
    assert decision["says"].startswith(LOOKED) and decision["says"].endswith("none stops early")
    assert outcome(auto) == outcome(none)
    assert "stopping" not in none.about()
    assert (study_of(auto).scheduler, study_of(auto).rungs) == ("none", [])


def test_auto_goes_on_with_what_it_decided(tmp_path):
    plain = {"proxy": "simulated:separable", "scheduler": "auto"}
    first = searched(tmp_path / "a", asked(trials=10, **plain)).stopping
    lines = io.StringIO()
    again = searched(
        tmp_path / "a", asked(trials=30, resume=True, **plain), console=Console(file=lines, width=400)
    )
    assert again.stopping == first
    (decision,) = first.values()
    assert f"auto: {decision['says']}; the epochs of 30 trainings suffice for" in lines.getvalue()
    assert sum(t.fidelity == 9 for t in again.trials()) < 30 < len(again.trials())
    # a third of 30 would have been more
    assert again.trial(7).fidelity < 9


def test_every_budget_looks_for_itself(tmp_path):
    record = searched(
        tmp_path / "a",
        asked(budget="20M,40M", objective="auto", proxy="simulated:separable", scheduler="auto", trials=26),
    )
    assert set(record.stopping) == {"20M", "40M"}
    for budget, decision in record.stopping.items():
        own = [t for t in record.trials() if t.budget == budget]
        looked = [t for t in own if t.number < decision["since"]]
        assert len(looked) == 7 and all(t.fidelity == 9 for t in looked)
        assert {t.fidelity for t in own if t.number >= decision["since"]} <= {*decision["stops"], 9}


def test_auto_waits_for_six_that_succeed(tmp_path):
    class Failing(SimulatedTrainer):
        def start(self, job):
            if job.trial % 3 == 1:
                raise TrialFailed("no memory")
            return super().start(job)

    plain = {"proxy": "simulated:separable", "scheduler": "auto"}
    record = searched(tmp_path / "a", asked(trials=20, **plain), LocalEngine(Failing(LAWS["separable"])))
    (decision,) = record.stopping.values()
    assert decision["trainings"] == 6
    assert sum(t.is_candidate and t.state == "complete" for t in record.trials()[: decision["since"]]) == 6
    # too few for a look: all are trained fully, and nothing is decided
    few = searched(tmp_path / "few", asked(trials=6, **plain))
    assert few.stopping == {} and {t.fidelity for t in few.trials()} == {9}
    assert "not decided" in "".join(map(str, method([recommend(study_of(few))])))


def test_auto_with_no_epoch_to_stop_at_says_so(tmp_path):
    record = searched(tmp_path / "a", asked(scheduler="auto", min_epochs=9, trials=4))
    (decision,) = record.stopping.values()
    assert decision["says"] == "there is no epoch before the last to stop at; none stops early"
    assert [t.fidelity for t in record.trials()] == [9] * 4


class Two(LocalEngine):
    """Holds two jobs at once, as two workers would; keeps the roles of each pair."""

    def __init__(self, trainer):
        super().__init__(trainer)
        self.pairs = []

    def run(self, controller):
        waiting = []
        while True:
            while len(waiting) < 2 and (job := controller.next()) is not None:
                waiting.append(job)
            if not waiting:
                return
            self.pairs.append([job.label.startswith("trial ") for job in waiting])
            self._train(waiting.pop(0), controller)


def test_confirmations_run_side_by_side_and_never_beside_the_search(tmp_path):
    plan = Plan.of(asked(trials=6, confirm="2x3"))
    engine = Two(plan.judge.trainer)
    record = searched(tmp_path / "two", asked(trials=6, confirm="2x3"), engine)
    assert engine.pairs.count([True, True]) == 3 * 3 - 1  # two networks and the reference, three seeds each
    assert [False, True] not in engine.pairs
    again = [(t.of, t.seed) for t in record.trials() if t.role == "confirmation"]
    assert len(again) == len(set(again)) == 3 * 3
