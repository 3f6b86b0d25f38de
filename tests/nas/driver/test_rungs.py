"""Which trainings go on: never too many, only the best, the same after a resume, and every search ends."""

import itertools
import math
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas.driver.rungs import KEPT, SCHEDULERS, Rungs
from space.errors import InputError

PAUSING = ("asha", "halving", "hyperband")


class Search:
    """Any number of workers on made-up accuracies; keeps what happened, and checks each promotion."""

    def __init__(self, rungs, trials, workers=1, seed=0, eta=3, failing=0.0, unknown=0.0):
        self.rungs, self.trials, self.workers, self.eta = rungs, trials, workers, eta
        self.failing, self.unknown = failing, unknown
        self.rng = np.random.default_rng(seed)
        self.running = []
        self.events = defaultdict(list)  # of each trial
        self.order = []
        self.started = 0
        self.at = defaultdict(dict)  # level: trial: accuracy
        self.sent_on = defaultdict(list)

    def job(self):
        """What a controller does when a worker is free."""
        if (going_on := self.rungs.promote()) is not None:
            self.checked(*going_on)
            return going_on
        if self.started < self.trials and self.rungs.may_start():
            self.started += 1
            number = self.started - 1
            target = self.rungs.start(number)
            self.note(number, "start", target)
            return number, target
        return None

    def checked(self, number, target):
        self.note(number, "promoted", target)
        level = self.rungs.levels[self.rungs.levels.index(target) - 1]
        assert not math.isnan(self.at[level][number])
        assert number not in self.sent_on[level]
        self.sent_on[level].append(number)

    def note(self, number, what, *values):
        self.events[number].append((what, *values))
        self.order.append((number, what, *values))

    def finish(self, number, target):
        if self.rng.random() < self.failing:
            self.note(number, "failed")
            self.rungs.failed(number)
            return
        # few different values, for ties
        accuracy = math.nan if self.rng.random() < self.unknown else float(self.rng.integers(20)) / 20
        self.at[target][number] = accuracy
        self.note(number, "reached", target, accuracy)
        self.rungs.reached(number, target, accuracy)

    def run(self, until=math.inf):
        while len(self.order) < until:
            while len(self.running) < self.workers and (job := self.job()) is not None:
                self.running.append(job)
            if not self.running:
                break
            self.finish(*self.running.pop(int(self.rng.integers(len(self.running)))))
        return self


def replayed(rungs, search):
    """The calls repeated one trial after the other."""
    for number in sorted(search.events):
        for what, *values in search.events[number]:
            if what == "start":
                assert rungs.start(number) == values[0]
            else:
                getattr(rungs, what)(number, *values)
    return rungs


@st.composite
def searches(draw, schedulers=SCHEDULERS):
    scheduler, eta = draw(st.sampled_from(schedulers)), draw(st.integers(2, 4))
    epochs, trials = draw(st.integers(1, 30)), draw(st.integers(1, 80))

    def made():
        return Rungs(scheduler, epochs, trials, eta=eta)

    options = {
        "workers": draw(st.integers(1, 5)),
        "seed": draw(st.integers(0, 99)),
        "failing": draw(st.sampled_from([0, 0.1, 0.6])),
        "unknown": draw(st.sampled_from([0, 0.1, 0.6])),
    }
    return made, trials, eta, options


@given(searches())
@settings(max_examples=150, deadline=None)
def test_every_search_ends_and_no_rung_sends_on_too_many(drawn):
    made, trials, eta, options = drawn
    search = Search(made(), trials, eta=eta, **options).run()
    assert search.rungs.promote() is None
    assert search.rungs.may_start()
    assert search.started == trials
    for level in search.rungs.levels[:-1]:
        came = len(search.at[level]) + sum(
            events[-1] == ("failed",) and events[-2][1] == level for events in search.events.values()
        )
        assert len(search.sent_on[level]) <= came // eta


@given(searches(("asha",)))
@settings(max_examples=100, deadline=None)
def test_only_the_best_of_a_rung_at_that_moment_go_on(drawn):
    made, trials, eta, options = drawn
    search = Search(made(), trials, eta=eta, **options).run()
    levels = search.rungs.levels
    at, promoted = defaultdict(dict), defaultdict(int)
    for number, what, *values in search.order:
        if what == "reached":
            at[values[0]][number] = values[1]
        elif what == "promoted":
            level = levels[levels.index(values[0]) - 1]
            promoted[level] += 1
            finite = {n: a for n, a in at[level].items() if not math.isnan(a)}
            best = sorted(finite, key=lambda n: (-finite[n], n))[: len(at[level]) // eta]
            assert number in best
            assert promoted[level] <= len(at[level]) // eta


@given(searches(("halving",)))
@settings(max_examples=100, deadline=None)
def test_a_synchronous_rung_is_complete_before_any_goes_on(drawn):
    made, trials, eta, options = drawn
    search = Search(made(), trials, eta=eta, **options).run()
    for first, (number, what, *_) in enumerate(search.order):
        if what == "promoted":
            # nobody starts between a bracket's first promotion and its end, or is still at an earlier rung
            before = search.order[:first]
            last = {n: (w, *v) for n, w, *v in before}
            target = search.order[first][2]
            on_their_way = [n for n, (w, *v) in last.items() if w in {"start", "promoted"} and v[0] < target]
            assert not on_their_way
            assert number in search.at[search.rungs.levels[search.rungs.levels.index(target) - 1]]


@given(searches(), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_a_resumed_search_goes_on_as_it_would_have(drawn, until):
    made, trials, eta, options = drawn
    search = Search(made(), trials, eta=eta, **options).run(until)
    again = replayed(made(), search)
    assert again.worth_keeping() == search.rungs.worth_keeping()
    assert again.may_start() == search.rungs.may_start()
    copy = Search(again, trials, eta=eta, **options)
    copy.rng.bit_generator.state = search.rng.bit_generator.state
    copy.started, copy.running, copy.at = search.started, list(search.running), search.at
    copy.sent_on = search.sent_on.copy()
    happened = len(search.order)
    sent_on = {level: list(numbers) for level, numbers in search.sent_on.items()}
    search.run()
    copy.sent_on = defaultdict(list, sent_on)
    assert copy.run().order == search.order[happened:]


@given(st.sampled_from(SCHEDULERS), st.integers(1, 400), st.integers(1, 300), st.integers(2, 5))
@settings(deadline=None)
def test_default_rungs_rise_to_full_training_and_let_one_network_get_there(scheduler, epochs, trials, eta):
    levels = Rungs(scheduler, epochs, trials, eta=eta).levels
    assert levels[-1] == epochs
    assert list(levels) == sorted(set(levels))
    assert levels[0] >= 1
    assert len(levels) <= 4
    assert all(later / earlier >= math.sqrt(eta) * 0.8 for earlier, later in itertools.pairwise(levels))
    assert trials >= eta ** (len(levels) - 1) or scheduler == "hyperband"


def test_rungs_are_about_eta_apart():
    assert Rungs("asha", 9, 30).levels == (1, 3, 9)
    assert Rungs("asha", 3, 10).levels == (1, 3)
    assert Rungs("asha", 81, 100).levels == (3, 9, 27, 81)
    assert Rungs("asha", 90, 100, min_epochs=1).levels == (1, 3, 9, 29, 90)
    assert Rungs("asha", 26, 100, min_epochs=2).levels == (2, 7, 26)
    assert Rungs("asha", 16, 100, eta=2).levels == (2, 4, 8, 16)
    assert Rungs("asha", 9, 4).levels == (3, 9)
    assert Rungs("asha", 9, 2).levels == (9,)
    assert Rungs("none", 9, 30).levels == (9,)


def test_nothing_pauses_without_a_scheduler():
    search = Search(Rungs("none", 9, 20), 20, workers=3, unknown=0.2).run()
    assert {what for _, what, *_ in search.order} == {"start", "reached"}
    assert all(target == 9 for _, what, target, *_ in search.order if what == "start")
    assert not search.rungs.worth_keeping()


def test_asha_of_nine():
    rungs = Rungs("asha", 9, 9)
    accuracies = [0.5, 0.4, 0.6, 0.7, 0.7, 0.1, 0.2, 0.3, 0.65]
    sent_on = []
    for number, accuracy in enumerate(accuracies):
        assert rungs.promote() is None
        assert rungs.start(number) == 1
        rungs.reached(number, 1, accuracy)
        while (going_on := rungs.promote()) is not None:
            sent_on.append(going_on)
            rungs.reached(*going_on, accuracies[going_on[0]])
    # 2 leads after three; 3 and 4 tie; at last the best of the three goes all the way
    assert sent_on == [(2, 3), (3, 3), (4, 3), (3, 9)]


def test_halving_of_ten_in_two_rungs():
    rungs = Rungs("halving", 3, 10)
    for number in range(10):
        assert rungs.may_start()
        rungs.start(number)
    assert not rungs.may_start()
    for number in range(9):
        rungs.reached(number, 1, number / 10)
        assert rungs.promote() is None
    rungs.failed(9)
    assert rungs.worth_keeping() == frozenset(range(1, 9))
    assert [rungs.promote() for _ in range(4)] == [(8, 3), (7, 3), (6, 3), None]
    rungs.reached(8, 3, 0.5)
    rungs.failed(7)
    assert not rungs.may_start()
    rungs.reached(6, 3, 0.5)
    assert rungs.may_start()
    assert rungs.promote() is None
    assert not rungs.worth_keeping()


def test_a_bracket_that_gets_no_more_networks_is_full():
    rungs = Rungs("halving", 3, 10)
    for number in range(4):
        rungs.start(number)
        rungs.reached(number, 1, number / 10)
    assert rungs.promote() is None
    rungs.close()
    assert rungs.promote() == (3, 3)
    assert rungs.promote() is None


def test_hyperband_brackets_begin_at_every_rung_in_proportion():
    rungs = Rungs("hyperband", 9, 170)
    first = [rungs.start(number) for number in range(170)]
    assert [first.count(epochs) for epochs in (1, 3, 9)] == [90, 50, 30]
    # the same proportions all the way
    assert [first[:17].count(epochs) for epochs in (1, 3, 9)] == [9, 5, 3]


def test_a_network_is_compared_with_its_own_bracket():
    rungs = Rungs("hyperband", 9, 30)
    first = {number: rungs.start(number) for number in range(30)}
    late = [number for number, epochs in first.items() if epochs == 3]
    early = [number for number, epochs in first.items() if epochs == 1]
    for number in late[:2]:
        rungs.reached(number, 3, 0.9)
    for number in early[:3]:
        rungs.reached(number, 1, 0.1)
    assert rungs.promote() == (early[0], 3)
    rungs.reached(early[0], 3, 0.2)
    assert rungs.promote() is None  # two and one at 3 epochs, in different brackets
    rungs.reached(late[2], 3, 0.8)
    assert rungs.promote() == (late[0], 9)


def test_of_each_rung_the_next_in_line_are_worth_keeping():
    rungs = Rungs("asha", 9, 100)
    for number in range(100):
        rungs.start(number)
        rungs.reached(number, 1, (number * 37 % 100) / 100)
        kept = rungs.worth_keeping()
        assert len(kept) == min(number + 1, KEPT)
    best = sorted(range(100), key=lambda n: -(n * 37 % 100))
    assert kept == frozenset(best[:KEPT])
    assert rungs.promote() == (best[0], 3)
    assert rungs.worth_keeping() == frozenset(best[1 : KEPT + 1])


def test_a_longer_search_goes_on_with_the_brackets_of_a_shorter_one():
    short = Search(Rungs("halving", 3, 10), 10).run()
    long = replayed(Rungs("halving", 3, 60, min_epochs=1), short)
    search = Search(long, 60)
    search.started, search.at = 10, short.at
    assert search.run().started == 60
    assert long.promote() is None
    assert long.may_start()


@pytest.mark.parametrize("scheduler", PAUSING)
def test_the_cost_of_a_call_does_not_grow(scheduler):
    search = Search(Rungs(scheduler, 27, 4000), 4000, workers=4)
    search.run(4000)
    rungs = search.rungs
    assert len(rungs._brackets) <= 4
    search.run()
    assert search.started == 4000
    assert len(rungs.worth_keeping()) <= KEPT * 4 * 4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (("bohb", 9, 30), "scheduler: 'bohb' is none of none, asha, halving, hyperband"),
        (("asha", 0, 30), "epochs: 0 is less than 1"),
        (("asha", 9, 0), "trials: 0 is less than 1"),
    ],
)
def test_impossible_values_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        Rungs(*wrong)


def test_impossible_options_are_refused():
    with pytest.raises(InputError, match="eta: 1 is less than 2"):
        Rungs("asha", 9, 30, eta=1)
    with pytest.raises(InputError, match="min_epochs: 10 is not between 1 and the 9"):
        Rungs("asha", 9, 30, min_epochs=10)
    with pytest.raises(
        InputError, match="rungs at 1, 3, 9 epochs, asha trains none of 8 networks fully; 9 trials"
    ):
        Rungs("asha", 9, 8, min_epochs=1)
    assert Rungs("hyperband", 9, 8, min_epochs=1).levels == (1, 3, 9)


def test_calls_out_of_turn_are_refused():
    rungs = Rungs("asha", 9, 30)
    rungs.start(0)
    with pytest.raises(ValueError, match="was started before"):
        rungs.start(0)
    with pytest.raises(ValueError, match="sent to 1 epochs, not 3"):
        rungs.reached(0, 3, 0.5)
    with pytest.raises(ValueError, match="does not wait"):
        rungs.promoted(0, 3)
    rungs.reached(0, 1, math.nan)
    with pytest.raises(ValueError, match="is not under way"):
        rungs.failed(0)
    with pytest.raises(ValueError, match="does not go on to 9"):
        rungs.promoted(0, 9)
    with pytest.raises(ValueError, match="does not wait"):
        rungs.promoted(0, 3)
