"""What a running search shows: numbers at every width, and no time that is invented."""

import io
import time

import pytest
from rich.console import Console

from nas.driver.pace import Pace
from nas.driver.progress import SILENCE, Progress
from nas.record.trial import Trial
from space.families import named
from space.networks import cost_of

NETWORK = named("convnext_tiny")
COST = cost_of(NETWORK)
CURVE = [
    {"epoch": i + 1, "train_loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.2 * (i + 1)} for i in range(3)
]
LABEL = "3-3-9-3 96-192-384-768 k7 e4 layer gelu, and a name that is longer than any terminal is wide"


def trial(number, seconds=65.0, **more):
    values = {
        "number": number, "state": "complete", "choices": {}, "architecture": NETWORK.to_dict(),
        "fingerprint": NETWORK.fingerprint, "macs": COST.macs, "params": COST.params,
        "activations": COST.activations, "seed": 0, "fidelity": 3, "full_fidelity": True, "accuracy": 0.6,
        "curve": CURVE, "train_seconds": seconds,
    }  # fmt: skip
    return Trial(**values | more)


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    return made


def made(width=100, terminal=False, limit=None, trials=10, before=()):
    console = Console(
        width=width, force_terminal=terminal, color_system=None, file=io.StringIO(), record=True
    )
    pace = Pace(limit, before)
    progress = Progress(console, "runs/small: 4.275 GFLOPs to 4.500 GFLOPs", trials, 3, pace)
    progress.resumed(before)
    return progress, pace, console


def trained(progress, pace, clock, number, seconds=60.0):
    progress.trial(number, LABEL, 3)
    for epoch in range(1, 4):
        clock.now += seconds / 3
        progress.epoch(number, epoch, 0.2 * epoch)
    pace.trained(seconds, 3)
    progress.done(trial(number, seconds))


def drawn(progress, console):
    with console.capture() as captured:
        console.print(progress._render())
    return captured.get()


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_cuts_networks_and_no_number(clock, width):
    progress, pace, console = made(width, terminal=True, trials=100, limit=7200.0)
    for number in (7, 8):
        trained(progress, pace, clock, number, 3725.0 if number == 7 else 65.0)
    progress.done(trial(9, state="failed", accuracy=None, full_fidelity=False, curve=[], reason="no " * 60))
    progress.trial(10, LABEL, 300)
    progress.epoch(10, 1, 0.207)
    progress.step(10, 17, 320)
    shown = drawn(progress, console)
    lines = shown.splitlines()
    assert max(map(len, lines)) <= width
    # a line each: title, head (or two), heading, three trainings, and two of what is under way
    assert len(lines) <= 9 and "…" in shown
    for number in (
        "3/100 trials", "1 h 03 min", "best 60.0%", "4.456 G", "28.59 M", "1 h 02 min", "1 min 05 s",
        "1/300 epochs  batch 17/320  20.7%",
    ):  # fmt: skip
        assert number in shown, number


def test_a_terminal_too_narrow_for_all_numbers_shows_fewer_and_cuts_none(clock):
    progress, pace, console = made(40, terminal=True)
    trained(progress, pace, clock, 7, 3725.0)
    shown = drawn(progress, console)
    (row,) = (line for line in shown.splitlines() if line.split()[:1] == ["7"])
    assert row.split()[1:6] == ["60.0%", "1", "h", "02", "min"] and max(map(len, shown.splitlines())) <= 40


def test_of_a_rehearsal_the_clock_counts_and_not_the_seconds_that_its_formula_gives(clock):
    progress, pace, console = made(trials=4, before=[trial(0, 999.0, device="simulated")])
    with progress:
        trained(progress, pace, clock, 1, 2.0)
    assert "2 trainings to come: about 4 s" in console.export_text()


def test_a_wide_terminal_has_all_of_it(clock):
    progress, pace, console = made(160, terminal=True)
    trained(progress, pace, clock, 7)
    progress.trial(8, "n", 3)
    assert "…" not in drawn(progress, console) and "3-3-9-3 96-192-384-768 k7" in drawn(progress, console)


def test_batches_move_the_bar_and_an_epoch_that_is_over_has_none(clock):
    progress, _, console = made(100, terminal=True, trials=1)
    progress.trial(0, "n", 2)
    progress.step(0, 16, 32)
    assert progress._current[0].share == pytest.approx(0.25)
    progress.epoch(0, 1, 0.5)
    assert progress._current[0].share == pytest.approx(0.5)
    assert "batch" not in drawn(progress, console)


def test_the_time_that_is_left_is_never_more_than_the_limit_leaves(clock):
    progress, pace, console = made(limit=300.0, trials=100)
    with progress:
        for number in range(4):
            trained(progress, pace, clock, number)
    text = console.export_text()
    assert "100 trainings to come: at most 5 min 00 s (--time-limit)" in text
    assert (
        "99 trainings to come, about 4 of them in the 4 min 00 s that are left (--time-limit), "
        "measured on the first training"
    ) in text
    assert "[4/100, best 60.0%, 4 min 00 s, at most 1 min 00 s left]" in text
    clock.now += 1000
    assert progress._left() == "at most 0 s left"


def test_what_is_not_known_is_said_so_until_it_was_measured(clock):
    progress, pace, console = made(trials=3)
    with progress:
        assert progress._left() == "time left unknown"
        for number in range(3):
            trained(progress, pace, clock, number, 30.0)
    told = console.export_text().splitlines()
    assert told[:2] == [
        "runs/small: 4.275 GFLOPs to 4.500 GFLOPs",
        "3 trainings to come: how long they take is known after the first",
    ]
    assert told[4] == "2 trainings to come: about 1 min 00 s, measured on the first training"
    assert told[-1] == "trial 2 complete: 60.0% [3/3, best 60.0%, 1 min 30 s]"
    assert sum("to come" in line for line in told) == 2


def test_what_the_search_itself_takes_counts_where_it_is_longer_than_training(clock):
    progress, pace, console = made(trials=3)
    with progress:
        clock.now += 20.0  # of proposing
        trained(progress, pace, clock, 0, 0.3)
    assert "2 trainings to come: about 41 s" in console.export_text()


def test_a_search_that_goes_on_knows_from_the_start(clock):
    progress, _, console = made(trials=5, before=[trial(0), trial(1)])
    with progress:
        pass
    assert "3 trainings to come: about 3 min 15 s, measured on 2 trainings" in console.export_text()


def test_a_pipe_hears_now_and_then_of_a_long_epoch(clock):
    progress, _, console = made(trials=2)
    with progress:
        progress.trial(0, "n", 3)
        for batch in range(1, 101):
            clock.now += SILENCE / 30
            progress.step(0, batch, 100)
    told = [line for line in console.export_text().splitlines() if "batch" in line]
    assert told == [f"trial 0: 0/3 epochs  batch {batch}/100 [time left unknown]" for batch in (30, 60, 90)]


def test_a_pace_allows_what_would_end_in_time(clock):
    pace = Pace(100.0)
    assert pace.allows(1000) and pace.expected(1000) == 0  # nobody knows yet
    pace.trained(30.0, 3)
    clock.now += 60
    assert pace.expected(4) == 40 and pace.allows(4) and not pace.allows(5)
    assert pace.remaining == 40 and Pace().allows(10**9)
