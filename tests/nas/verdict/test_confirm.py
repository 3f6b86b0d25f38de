"""Fresh seeds decide: who wins, against whom, and when nothing can be said."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nas.verdict.confirm import confirmed, paired
from tests.trials import made


def trial(number, accuracy, role="candidate", *, of=None, seed=0, name=None, budget="4.5G", state="complete"):
    return made(number, accuracy, role, of=of, seed=seed, name=name, budget=budget, state=state)


def study(candidates, reference, seeds=(1, 2, 3)):
    """Accuracies by seed of candidates and reference, after a search in which candidate 1 was luckiest."""
    trials = [trial(0, 0.5, "reference", name="ConvNeXt-T")]
    trials += [trial(i, 0.9 - 0.01 * i) for i in range(1, len(candidates) + 1)]
    for of, accuracies in enumerate([reference, *candidates]):
        for seed, accuracy in zip(seeds, accuracies, strict=True):
            trials.append(trial(len(trials), accuracy, "confirmation", of=of, seed=seed))
    return trials


def test_the_winner_is_named_by_the_mean_over_fresh_seeds():
    (verdict,) = confirmed(study([[0.60, 0.61, 0.62], [0.70, 0.71, 0.72]], [0.5, 0.51, 0.52]))
    assert verdict.winner.trial == 2 and verdict.winner.value == pytest.approx(0.71)
    (against,) = verdict.against
    assert against.difference.value == pytest.approx(0.2) and against.seeds == 3
    assert against.difference.verdict == "better"
    assert (against.candidate.label, against.reference) == ("trial 2", "ConvNeXt-T")


def test_what_seeds_cannot_tell_apart_is_said_to_be_so():
    (verdict,) = confirmed(study([[0.60, 0.40, 0.62]], [0.5, 0.51, 0.52]))
    assert verdict.against[0].difference.verdict == "not distinguishable"
    (single,) = confirmed(study([[0.9]], [0.1], seeds=(1,)))
    assert single.against[0].difference.verdict == "not distinguishable"
    assert single.against[0].seeds == 1 and math.isinf(single.against[0].difference.low)
    assert single.to_dict()["against"][0]["difference"] == {
        "value": pytest.approx(0.8),
        "low": None,
        "high": None,
    }


def test_two_seeds_that_do_not_decide_stand_in_place_of_their_interval():
    found = paired([0.031, -0.014])
    assert found.too_few and found.verdict == "not distinguishable"
    assert found.low == pytest.approx(found.value - stats.t.ppf(0.975, 1) * 0.0225)  # no narrower for that
    assert found.interval(0.95) == "+3.1 and -1.4: two seeds give no useful interval"
    assert not paired([0.031, -0.014, 0.01]).too_few
    decided = paired([0.031, 0.0312])
    assert not decided.too_few and decided.interval(0.95) == "95% interval +3.0 to +3.2"


def test_seeds_are_paired_so_a_shift_common_to_all_networks_is_no_noise():
    shifts = np.array([0.0, 0.1, -0.1])
    (verdict,) = confirmed(study([0.61 + shifts + [0.001, 0, -0.001]], 0.60 + shifts))
    assert verdict.against[0].difference.verdict == "better"


def test_the_interval_allows_for_the_choice_among_the_confirmed():
    (alone,) = confirmed(study([[0.60, 0.61, 0.63]], [0.5, 0.52, 0.52]))
    (chosen,) = confirmed(study([[0.60, 0.61, 0.63], [0.1, 0.1, 0.1], [0.2, 0.2, 0.2]], [0.5, 0.52, 0.52]))
    one, three = alone.against[0].difference, chosen.against[0].difference
    assert one.value == three.value
    assert (three.high - three.low) / (one.high - one.low) == pytest.approx(
        stats.t.ppf(1 - 0.025 / 3, 2) / stats.t.ppf(0.975, 2)
    )


def test_networks_are_compared_at_no_more_than_the_reference_s_cost():
    trials = study([[0.60, 0.61, 0.62], [0.70, 0.71, 0.72]], [0.5, 0.51, 0.52])
    trials = [t.changed(macs=2 * t.macs) if 2 in (t.number, t.of) else t for t in trials]
    (verdict,) = confirmed(trials)
    assert verdict.winner.trial == 2
    assert verdict.against[0].candidate.trial == 1 and verdict.against[0].difference.value == pytest.approx(
        0.1
    )
    assert verdict.to_dict()["against"][0]["candidate"] == 1
    trials = [t.changed(macs=10**10) if t.is_candidate else t for t in trials]
    assert confirmed(trials)[0].against == ()


def test_the_choice_does_not_make_false_winners():
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(300):  # networks that are all equal
        (verdict,) = confirmed(study(rng.normal(0.5, 0.01, (3, 3)), rng.normal(0.5, 0.01, 3)))
        wrong += verdict.against[0].difference.verdict == "better"
    assert wrong / 300 <= 0.05


def test_each_budget_has_its_verdict_and_failures_do_not_win():
    trials = study([[0.6, 0.61, 0.62], [0.9, 0.9, 0.9]], [0.5, 0.5, 0.5])
    trials[-1] = trials[-1].changed(state="failed")
    (verdict,) = confirmed(trials)
    assert verdict.winner.trial == 1  # the other lacks a seed
    again = {t.number: None if t.of is None else t.of + 100 for t in trials}
    more = [t.changed(budget="9G", number=t.number + 100, of=again[t.number]) for t in trials]
    assert [v.budget for v in confirmed([*trials, *more])] == ["4.5G", "9G"]
    assert confirmed(trials[:3]) == [] and confirmed([]) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_the_interval_is_students(values):
    found = paired(values)
    assert found.value == pytest.approx(np.mean(values), abs=1e-12)
    if np.std(values) > 1e-9:
        expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)
    assert math.isinf(paired(values[:1]).high)
