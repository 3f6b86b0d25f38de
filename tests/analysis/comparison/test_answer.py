"""Is what a search found better? Studies made up for the question."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.comparison.answer import answer
from analysis.comparison.claims import as_json, sentences
from nas.record.study import Study
from nas.verdict.confirm import LEVEL, paired
from space.errors import InputError


def trial(number, macs, accuracy, role="candidate", **fields):
    return {
        "number": number, "state": "complete", "role": role, "name": None, "budget": "4.5GFLOPs", "of": None,
        "architecture": {}, "fingerprint": f"f{number}", "macs": int(macs * 1e9), "params": 1,
        "activations": 1, "accuracy": accuracy, "full_fidelity": True, "seed": 0,
    } | fields  # fmt: skip


def study(trials, name="sweep", epochs=3):
    proxy = {"name": "cpu", "fingerprint": "p", "data": "fractal", "epochs": epochs, "resolution": 32}
    budget = {"text": "4.5GFLOPs", "metric": "macs", "low": 1, "high": 2}
    return Study.from_dict(
        {"name": name, "trials": trials, "budget": budget, "proxy": proxy, "data": {"fingerprint": "d"}}
    )


def again(number, of, seeds, accuracies):
    return [
        of | {"number": number + i, "role": "confirmation", "of": of["number"], "seed": s, "accuracy": a}
        for i, (s, a) in enumerate(zip(seeds, accuracies, strict=True))
    ]


def one_budget(gap, *, start=0, macs=4.5, budget="4.5GFLOPs", confirm=True, reference_macs=None):
    """A budget with two networks searched and two references; the better one is `gap` above ConvNeXt-T."""
    there = macs if reference_macs is None else reference_macs
    networks = [
        trial(start, there, 0.60, "reference", name="ConvNeXt-T", budget=budget),
        trial(start + 1, 0.97 * there, 0.58, "reference", name="Swin-T at width 80", budget=budget),
        trial(start + 2, macs, 0.70, budget=budget),
        trial(start + 3, macs, 0.72, budget=budget),  # the luckiest, but not the best
    ]
    rows = list(networks)
    if confirm:
        noise = np.array([0.001, 0.0, -0.001])
        for of, mean in zip(networks, (0.6, 0.59, 0.6 + gap, 0.58), strict=True):
            noise = np.roll(noise, 1)
            shifts = np.add([0.02, -0.01, 0.0], noise)  # a seed shifts all networks alike
            rows += again(start + 10 + 3 * of["number"], of, (1, 2, 3), mean + shifts)
    return rows


def test_the_winner_is_compared_with_each_family_by_fresh_seeds():
    found = answer([study(one_budget(0.05))])
    assert [family.family for family in found.families] == ["ConvNeXt", "Swin"]
    (match,) = found.families[0].matches
    assert match.searched.trial == 2 and match.fresh and match.seeds == 3 and match.rivals == 2
    assert match.difference.value == pytest.approx(0.05) and match.verdict == "better"
    # two were compared for the best: each gets half of the error
    differences = [match.searched.fresh[s] - match.reference.fresh[s] for s in (1, 2, 3)]
    expected = paired(differences, 1 - (1 - LEVEL) / 2)
    assert (match.difference.low, match.difference.high) == pytest.approx((expected.low, expected.high))
    assert found.families[0].mean is None  # one budget is no mean
    lines = sentences(found)
    assert "trial 2 less ConvNeXt-T (4.5GFLOPs): +5.0 points, 95% interval" in lines[0]
    assert "better (3 fresh seeds, paired, the best of 2 confirmed)" in lines[0]
    assert any("it costs 3.1% more FLOPs" in line for line in lines if "Swin-T at width 80" in line)


def test_the_mean_over_budgets_has_an_interval_over_budgets():
    rows = [*one_budget(0.05), *one_budget(0.04, start=100, macs=9, budget="9GFLOPs"),
            *one_budget(0.06, start=200, macs=2, budget="2GFLOPs")]  # fmt: skip
    convnext, _ = answer([study(rows)]).families
    assert [round(match.reference.macs / 1e9) for match in convnext.matches] == [2, 4, 9]
    expected = paired([0.06, 0.05, 0.04])
    assert convnext.mean.value == pytest.approx(0.05, abs=1e-6)
    assert convnext.mean.low == pytest.approx(expected.low, abs=1e-3) and convnext.mean.verdict == "better"


def test_without_fresh_seeds_there_is_no_verdict():
    found = answer([study(one_budget(0.05, confirm=False))])
    (match,) = found.families[0].matches
    assert match.searched.trial == 3 and match.difference.value == pytest.approx(0.12)
    assert match.verdict is None and not match.fresh and found.families[0].saved is None
    (line, _) = sentences(found)
    assert "no interval" in line and "one seed, the best of 2 by this very training, so optimistic" in line
    row = as_json(found)["families"][0]["matches"][0]
    assert row["low"] is None and row["verdict"] is None
    rows = [*one_budget(0.05, confirm=False), *one_budget(0.04, start=100, budget="9G", confirm=False)]
    mean = answer([study(rows)]).families[0].mean
    assert math.isinf(mean.low)  # optimistic ones are no sample to take an interval from


def test_what_costs_far_less_is_not_at_equal_flops():
    found = answer([study(one_budget(0.05, macs=3.0, reference_macs=4.5))])
    (match,) = found.families[0].matches
    assert not match.equal_cost and "33.3% less FLOPs: not at equal FLOPs" in sentences(found)[0]
    dear = answer([study(one_budget(0.05, macs=6.0, reference_macs=4.5))])
    assert dear.families[0].matches == () and "costs over 6% more" in dear.families[0].missing[0]


def test_planes_are_never_mixed():
    with pytest.raises(InputError, match=r"sweep .*3 epochs.* and longer .*9 epochs.* have different epochs"):
        answer([study(one_budget(0.05)), study(one_budget(0.05), "longer", epochs=9)])
    several = answer([study(one_budget(0.05)), study(one_budget(0.03), "other")])
    assert [match.study for match in several.families[0].matches] == ["other", "sweep"]
    with pytest.raises(InputError, match="no searched network"):
        answer([study([t for t in one_budget(0.05) if t["role"] == "reference"])])
    with pytest.raises(InputError, match="no reference"):
        answer([study([t for t in one_budget(0.05, confirm=False) if t["role"] == "candidate"])])
    with pytest.raises(InputError, match="no study"):
        answer([])


@settings(max_examples=3, deadline=None)  # a bootstrap each
@given(st.floats(-0.2, 0.2))
def test_a_shift_of_all_accuracies_changes_nothing(shift):
    rows = one_budget(0.05)
    moved = [row | {"accuracy": row["accuracy"] + shift} for row in rows]
    there, shifted = (answer([study(r)]).families[0].matches[0].difference for r in (rows, moved))
    assert (shifted.value, shifted.low) == pytest.approx((there.value, there.low), abs=1e-9)
