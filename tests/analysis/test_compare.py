"""Comparisons against arithmetic, brute force and simulated truths."""

import csv
import itertools
import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.answer import answer, as_json, main, published, sentences
from analysis.compare import (
    at_equal_flops,
    best_of,
    chosen_by_others,
    compare_spaces,
    edf,
    flops_saved,
    mean_saving,
    published_difference,
    range_of_best,
    verdict,
)
from analysis.confirm import LEVEL, paired
from analysis.reference import CONVNEXT_PAPER
from analysis.study import Study
from space.errors import InputError


def convnext_and_swin(**options):
    return published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b=CONVNEXT_PAPER, **options
    )


def test_convnext_minus_swin_in_the_papers_own_table():
    found = convnext_and_swin()
    assert [(a.name, b.name) for a, b, _ in found] == [
        (f"ConvNeXt-{size}", f"Swin-{size}") for size in ("T", "S", "B")
    ]
    assert [d.value for _, _, d in found] == pytest.approx([0.8, 0.1, 0.3])
    # one run each: without a noise to compare with, no verdict
    assert {d.verdict for _, _, d in found} == {"not distinguishable"}


def test_verdicts_on_the_published_plane_follow_the_noise_assumed():
    found = convnext_and_swin(noise=0.1)
    assert [d.verdict for _, _, d in found] == ["better", "not distinguishable", "better"]
    half = 1.6448536 * 0.1 * np.sqrt(2)
    assert [d.high - d.value for _, _, d in found] == pytest.approx([half] * 3)


def test_sources_are_chosen_one_by_one():
    found = published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b="Swin-Transformer README"
    )
    assert [d.value for _, _, d in found] == pytest.approx([0.9, -0.1, 0.3])
    with pytest.raises(InputError, match="no source"):
        published_difference("convnext", "swin", source_a="somewhere", source_b=CONVNEXT_PAPER)


def test_words():
    assert [verdict(*ends) for ends in ((0.1, 2), (-2, -0.1), (-1, 1), (0, 1))] == [
        "better", "worse", "not distinguishable", "not distinguishable",
    ]  # fmt: skip


def test_pairs_are_the_closest_in_flops_and_used_once():
    found = at_equal_flops([4.5, 4.45, 9], [1, 2, 3], [4.46, 20, 4.6], [10, 20, 30], tolerance=0.03)
    assert [(p.first, p.second) for p in found.pairs] == [(1, 0), (0, 2)]
    assert found.mean.value == pytest.approx(np.mean([2 - 10, 1 - 30]))
    with pytest.raises(InputError, match="agree in FLOPs"):
        at_equal_flops([1], [1], [2], [1])


def test_pairing_by_seed_removes_what_seeds_share():
    shared = np.array([0.0, 3.0, -2.0, 1.0])
    a, b = 80 + shared + [0.4, 0.5, 0.6, 0.5], 80 + shared
    paired = at_equal_flops([4.5], [a], [4.5], [b[::-1]], seeds_a=[1, 2, 3, 4], seeds_b=[4, 3, 2, 1])
    independent = at_equal_flops([4.5], [a], [4.5], [b])
    assert paired.verdict == "better" and independent.verdict == "not distinguishable"
    assert paired.mean.value == independent.mean.value == pytest.approx(0.5)
    # Student's interval of four differences of standard deviation 0.0816
    assert paired.mean.high - 0.5 == pytest.approx(2.3534 * 0.081650 / 2, rel=0.05)


def test_only_common_seeds_are_paired():
    found = at_equal_flops([1], [[1.0, 2, 9]], [1], [[1.5, 0.5, 7]], seeds_a=[0, 1, 2], seeds_b=[1, 0, 5])
    assert found.mean.value == pytest.approx(np.mean([1 - 0.5, 2 - 1.5]))
    with pytest.raises(InputError, match="no seed in common"):
        at_equal_flops([1], [[1.0]], [1], [[1.0]], seeds_a=[0], seeds_b=[1])
    with pytest.raises(InputError, match="or of neither"):
        at_equal_flops([1], [[1.0]], [1], [[1.0]], seeds_a=[0])


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_over_few_seeds_cover(paired):
    rng, seeds = np.random.default_rng(5), np.arange(3)
    ids = {"seeds_a": seeds, "seeds_b": seeds} if paired else {}
    held = 0
    for _ in range(400):
        a, b = rng.normal(0, 0.1, (2, 1, 3))
        mean = at_equal_flops([1], a + 0.2, [1], b, resamples=300, **ids).mean
        held += mean.low <= 0.2 <= mean.high
    assert 0.85 <= held / 400 <= 0.95


@pytest.mark.parametrize("bad", [([], []), ([1, 2], [1]), ([0], [1]), ([1], [float("nan")]), ([[1]], [1])])
def test_sets_that_cannot_be_compared_are_refused_in_one_line(bad):
    with pytest.raises(InputError, match=r"^compare: a [^\n]*$"):
        at_equal_flops(*bad, [1], [1])


def test_flops_saved_between_two_power_laws():
    # b reaches everything a does with three times the FLOPs
    flops = np.geomspace(1, 100, 9)
    value = 80 + np.log(flops)
    assert flops_saved(flops, value, 3 * flops, value, 82.2) == pytest.approx(2 / 3)
    assert flops_saved(3 * flops, value, flops, value, 82.2) == pytest.approx(-2)
    assert flops_saved(flops, value, 3 * flops, value, 80) == pytest.approx(2 / 3)
    for outside in (79.9, 84.7):
        assert flops_saved(flops, value, 3 * flops, value, outside) is None


def test_flops_saved_sees_only_the_fronts():
    with_poor = ([1, 2, 4, 4, 3], [1, 2, 3, 3, 0])
    assert flops_saved(*with_poor, [1, 2, 4], [1, 2, 3], 2.5) == pytest.approx(0)
    assert flops_saved(*with_poor, [5, 6], [4, 5], 3) is None


small = st.lists(st.integers(0, 5), min_size=1, max_size=4)


@given(small, st.integers(1, 4))
def test_best_of_n_is_the_bootstrap_over_all_draws(errors, n):
    every = np.sort([min(draw) for draw in itertools.product(errors, repeat=n)])
    best = best_of(errors, n, level=0.8)
    assert best.mean == pytest.approx(every.mean())
    for bound, tail in ((best.low, 0.1), (best.high, 0.9)):
        # the smallest value whose distribution reaches the tail, up to rounding of the tail itself
        reached = {np.quantile(every, t, method="inverted_cdf") for t in (tail - 1e-9, tail + 1e-9)}
        assert bound in reached


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_edf_counts(errors):
    ordered, share = edf(errors)
    assert share.tolist() == [np.mean(np.array(errors) <= e) for e in ordered]


def test_range_of_best_finds_the_good_setting():
    rng = np.random.default_rng(0)
    depth = rng.integers(10, 30, 400)
    errors = 30 + 0.1 * (depth - 20) ** 2 + rng.normal(0, 0.3, 400)
    best = range_of_best(depth, errors)
    assert 18 <= best.low <= best.mean <= best.high <= 22
    # the best of all that are drawn, when all are drawn often, is the best there is
    assert range_of_best([1, 2], [5.0, 3.0], share=1, resamples=50).high == 2
    with pytest.raises(InputError, match="setting"):
        range_of_best([1, 2], [1.0])
    with pytest.raises(InputError, match="at least 1"):
        best_of([1.0], 0)
    with pytest.raises(InputError, match="finite"):
        edf([])


# ---- design spaces --------------------------------------------------------------------------------------

errors = st.lists(st.floats(0, 100), min_size=2, max_size=12)


@given(errors, st.integers(1, 6))
def test_the_expected_best_is_that_of_all_subsets(drawn, n):
    n = min(n, len(drawn) // 2)
    expected = np.mean([min(subset) for subset in itertools.combinations(drawn, n)])
    found = compare_spaces([0.0] * len(drawn), drawn, n)
    assert found.best.value == pytest.approx(expected, abs=1e-9)
    assert found.mean.value == pytest.approx(np.mean(drawn), abs=1e-9)


@given(errors, errors, st.floats(-50, 50))
def test_spaces_swapped_or_shifted(first, second, shift):
    there, back = compare_spaces(first, second, 1), compare_spaces(second, first, 1)
    ends = there.best.value, there.best.low, there.best.high
    assert ends == pytest.approx((-back.best.value, -back.best.high, -back.best.low), abs=1e-9)
    assert there.distance == pytest.approx(back.distance)
    moved = compare_spaces(np.add(first, shift), np.add(second, shift), 1)
    assert (moved.best.value, moved.best.low, moved.best.high) == pytest.approx(ends, abs=1e-6)


def test_a_better_space_is_called_better():
    rng = np.random.default_rng(1)
    found = compare_spaces(rng.normal(30, 2, 200), rng.normal(33, 2, 200), 10)
    assert found.best.verdict == found.mean.verdict == "better" and found.same < 0.001
    assert found.mean.value == pytest.approx(3, abs=0.6)
    # the signed area between the two distributions is the difference of the means
    grid = np.linspace(20, 45, 5001)
    a, b = (np.random.default_rng(1).normal(m, 2, 200) for m in (30, 33))
    gap = np.searchsorted(np.sort(a), grid) - np.searchsorted(np.sort(b), grid)
    assert compare_spaces(a, b, 1).mean.value == pytest.approx(
        gap.sum() / 200 * (grid[1] - grid[0]), abs=0.01
    )


@pytest.mark.parametrize("n", [2, 10])
def test_intervals_of_design_spaces_cover(n):
    rng = np.random.default_rng(4)
    truth = float(-rng.standard_normal((40_000, n)).min(axis=1).mean())  # of the best of a, where b is 0
    held = 0
    for _ in range(400):
        best = compare_spaces(rng.standard_normal(20), [0.0] * 20, n).best
        held += best.low <= truth <= best.high
    assert 0.85 <= held / 400 <= 0.98


def test_spaces_that_cannot_be_compared():
    for bad in (([1.0, 2], [1.0, 2], 2), ([1.0, 2], [1.0, 2], 0), ([1.0], [2.0, 3], 1), ([1.0, 2], [], 1)):
        with pytest.raises(InputError, match=r"half the networks|must be finite"):
            compare_spaces(*bad)


# ---- FLOPs saved ----------------------------------------------------------------------------------------


def test_the_mean_saving_of_parallel_fronts_is_their_distance():
    flops = np.geomspace(1, 10, 5)
    value = (70 + 3 * np.log(flops))[:, None] + [0.0, 0.5, -0.5]  # a seed's shift is no noise
    saved = mean_saving(0.8 * flops, value, flops, value)
    assert (saved.value, saved.low, saved.high) == pytest.approx(
        (0.2, 0.2, 0.2)
    ) and saved.verdict == "better"
    back = mean_saving(flops, value, 0.8 * flops, value)
    assert 1 - back.value == pytest.approx(1 / 0.8) and back.verdict == "worse"


def test_fronts_that_share_no_accuracy_have_no_saving():
    saved = mean_saving([1, 2], [[70], [71]], [1, 2], [[80], [81]])
    assert (saved.value, saved.low, saved.high, saved.verdict) == (None, -math.inf, 1, "not distinguishable")
    sure = mean_saving([1, 2], [[70, 70.1], [71, 71]], [1, 2], [[80, 80.1], [81, 81]])
    assert sure.value is None and sure.verdict == "worse"
    with pytest.raises(InputError, match="the same seeds"):
        mean_saving([1], [[70, 71]], [1], [[70]])


def test_intervals_of_savings_cover():
    rng, flops, held = np.random.default_rng(2), np.geomspace(0.6, 9, 4), 0
    for i in range(100):
        table = 0.6 + 0.06 * np.log(flops)[:, None] + 0.02 * rng.standard_normal(3)
        first, second = (table + 0.006 * rng.standard_normal(table.shape) for _ in range(2))
        saved = mean_saving(0.8 * flops, first, flops, second, level=0.9, resamples=100, seed=i)
        held += saved.low <= 0.2 <= saved.high
    assert 82 <= held <= 99


# ---- a choice without its luck --------------------------------------------------------------------------


@given(st.integers(0, 2**32 - 1))
def test_no_seed_chooses_what_it_measures(seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(4, 3))
    chosen = chosen_by_others(values)
    changed = values.copy()
    changed[:, 1] = rng.normal(size=4)
    assert chosen_by_others(changed)[1] == chosen[1]
    assert chosen.tolist() == [np.delete(values, s, axis=1).mean(axis=1).argmax() for s in range(3)]
    with pytest.raises(InputError, match="two seeds"):
        chosen_by_others(values[:, :1])


def test_the_mean_over_budgets_is_not_that_of_the_luckiest():
    rng, values, lucky = np.random.default_rng(6), [], []
    for _ in range(2000):
        table, theirs = rng.normal(0, 0.01, (3, 3)), rng.normal(0, 0.01, 3)
        values.append((table[chosen_by_others(table), range(3)] - theirs).mean())
        lucky.append(table.mean(axis=1).max() - theirs.mean())
    assert abs(np.mean(values)) < 0.0008 and np.mean(lucky) > 0.004


# ---- is what a search found better? ---------------------------------------------------------------------


def trial(number, macs, accuracy, role="candidate", **fields):
    return {
        "number": number, "state": "complete", "role": role, "name": None, "budget": "4.5GFLOPs", "of": None,
        "architecture": {}, "fingerprint": f"f{number}", "macs": int(macs * 1e9), "params": 1,
        "activations": 1, "accuracy": accuracy, "full_fidelity": True, "seed": 0,
    } | fields  # fmt: skip


def study(trials, name="sweep", epochs=3):
    proxy = {"name": "cpu", "fingerprint": "p", "data": "fractal", "epochs": epochs, "resolution": 32}
    budget = {"text": "4.5GFLOPs", "metric": "macs", "low": 1, "high": 2}
    return Study(
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


# ---- the command ----------------------------------------------------------------------------------------


def test_the_published_plane(capsys):
    assert main(["--published", "--noise", "0.1"]) == 0
    out = capsys.readouterr().out
    for line in (
        "ConvNeXt-T less Swin-T: +0.8 points, 90% interval +0.6 to +1.0: better.",
        "ConvNeXt-S less Swin-S: +0.1 points, 90% interval -0.1 to +0.3: not distinguishable.",
        "ConvNeXt-B less Swin-B: +0.3 points, 90% interval +0.1 to +0.5: better.",
        "swin, error = a + b F^-c over 3 networks: a not identified",
        "Sources: convnext: ConvNeXt paper Table 1; swin: ConvNeXt paper Table 1; imagenet-1k, 224 px.",
    ):
        assert line in out
    assert main(["--published", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [pair["difference"] for pair in found["pairs"]] == pytest.approx([0.8, 0.1, 0.3])
    assert {pair["verdict"] for pair in found["pairs"]} == {None}
    assert "3 networks for 3 parameters" in found["fits"][1]["a"]["reason"]


def test_own_results_beside_the_published_ones(tmp_path, capsys):
    path = tmp_path / "mine.csv"
    path.write_text("name,family,resolution,pretrain,top1,gflops,seed\n"
                    "A,mine,224,imagenet-1k,83.0,4.45,0\nA,mine,224,imagenet-1k,83.2,4.45,1\n")  # fmt: skip
    flags = ["--published", "--results", str(path), "--family", "mine", "--noise", "0.1"]
    assert main(flags) == 0
    out = capsys.readouterr().out
    assert "A less Swin-T: +1.8 points" in out and "over 1 network: not identified" in out
    assert "Sources: mine: mine.csv; swin: ConvNeXt paper" in out
    other = [*flags, "--against-source", "Swin-Transformer README", "--csv", str(tmp_path / "x.csv")]
    assert main(other) == 0
    (row,) = csv.DictReader((tmp_path / "x.csv").read_text().splitlines())
    assert row["other_source"] == "Swin-Transformer README" and row["verdict"] == "better"
    capsys.readouterr()
    path.write_text("name,top1\n")
    assert main(flags) == 2
    assert capsys.readouterr().err.startswith(f"analysis.compare: {path}: no rows")


def test_a_family_of_several_sources_needs_one_named():
    with pytest.raises(InputError, match=r"no family 'resnet' under these conditions; there is .*convnext"):
        published("resnet")
    with pytest.raises(InputError, match="no source 'a blog' here"):
        published(source="a blog")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "which study?"),
        (["x", "--published"], "--published takes no study"),
        (["x", "--noise", "0.1"], "--noise belongs to --published"),
        (["--results", "x.csv"], "--results belongs to --published"),
        (["--published", "--noise", "-1"], "invalid number above 0 value"),
        (["--published", "--results", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["/nowhere/study"], "no such study"),
    ],
)
def test_mistakes_are_one_line(argv, message, capsys):
    try:
        code = main(argv)
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2 and message in error
    assert error.startswith("analysis.compare: ") and error.count("\n") == 1


def test_help_needs_nothing_heavy():
    program = (
        "import sys; from analysis.answer import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'optuna', 'scipy', 'plotly', 'rich', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("set()")


def test_a_confirmed_sweep_from_search_to_answer(tmp_path, capsys):
    from nas.search import main as search

    folder = tmp_path / "sweep"
    argv = ["--budget", "0.6GFLOPs,1.2GFLOPs", "--proxy", "simulated:separable", "--trials", "6"]
    assert search([*argv, "--sampler", "random", "--confirm", "2x3", "--study", str(folder)]) == 0
    capsys.readouterr()
    table = tmp_path / "pairs.csv"
    assert main([str(folder), "--csv", str(table)]) == 0
    out = capsys.readouterr().out
    assert "3 fresh seeds, paired, the best of 2 confirmed" in out
    assert "Mean over 2 pairs at equal FLOPs, searched less ConvNeXt, free of the choice" in out
    assert "FLOPs at equal accuracy, searched front against ConvNeXt's" in out
    rows = list(csv.DictReader(table.read_text().splitlines()))
    convnext = [row for row in rows if row["family"] == "ConvNeXt"]
    assert [row["budget"] for row in convnext] == ["0.6GFLOPs", "1.2GFLOPs"]
    assert {row["fresh"] for row in rows} == {"True"}
    assert main([str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["families"][0]["mean"]["verdict"] in ("better", "worse", "not distinguishable")
    assert found["level"] == LEVEL
