"""The network of a larger budget: in band whatever is asked, by rules to check, honest where unknown."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.isoflop.sample import LABELS, dimensions
from analysis.isoflop.series import searched_series
from analysis.laws.answer import Estimate, NotIdentified
from analysis.proposal import rules
from analysis.proposal.claims import as_json
from analysis.proposal.nearest import distance, nearest_free, nearest_in
from analysis.proposal.proposal import plan
from analysis.proposal.rules import compound, depth_only, published_exponents, published_rule, width_only
from analysis.proposal.wishes import KEPT, RULE, Wish, wishes
from analysis.scale import main
from nas.record.study import Study
from space import describe
from space.architecture import Architecture
from space.band import BandSampler
from space.budget import Budget, parse_budget
from space.columns import columns_of
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.space_file import load_space
from tests.analysis.isoflop.test_profiles import sweep_of

TINY = named("convnext_tiny")
SWEEP = "0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs"


@pytest.fixture(scope="module")
def study():
    return sweep_of(SWEEP, 40, repeats=3)


@pytest.fixture(scope="module")
def found(study):
    return plan(study, "15.4GFLOPs")


def macs(network):
    return cost(network).macs


def wished(**values):
    """Wishes of known dimensions; ConvNeXt-T's for the others."""
    own = {name: float(2 ** x[0]) for name, x in dimensions(columns_of([TINY]), 1).items()} | values
    return {name: Wish(name, v, Estimate(v, v, v), RULE, "", 0.1) for name, v in own.items()}


# ---- ConvNeXt's own rule --------------------------------------------------------------------------------


def test_the_rule_gives_the_published_sizes_at_their_budgets():
    for name, text in (("tiny", "4.5G"), ("small", "8.7G"), ("base", "15.4G"), ("large", "34.4G")):
        network, published = published_rule(parse_budget(text)), named(f"convnext_{name}")
        assert (network.depths, network.widths) == (published.depths, published.widths), name


def test_the_rule_deepens_stage_3_before_it_widens():
    between = published_rule(parse_budget("6.5G"))
    assert between.widths[0] == 96 and 9 < between.depths[2] < 27
    above, below = published_rule(parse_budget("20G")), published_rule(parse_budget("1.2G"))
    assert above.depths == (3, 3, 27, 3) and 128 < above.widths[0] < 192
    assert below.depths == (3, 3, 9, 3) and below.widths[0] < 96


def test_published_exponents_are_those_of_depth_18_36_36_36_and_width_96_96_128_192():
    logs = np.log([macs(named(name)) for name in rules.PUBLISHED])
    x = logs - logs.mean()
    depth = x @ np.log([18, 36, 36, 36]) / (x @ x)
    width = x @ np.log([96, 96, 128, 192]) / (x @ x)
    assert published_exponents() == pytest.approx({"depth": depth, "width": width})
    assert 0.25 < depth < 0.35 and 0.3 < width < 0.4


# ---- simple ways to scale -------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(st.floats(0.3, 60), st.sampled_from(["convnext_tiny", "convnext_small", "resnet50"]))
def test_every_way_to_scale_is_in_band_or_says_that_it_cannot(gigas, name):
    budget, network = parse_budget(f"{gigas:.3f}GFLOPs"), named(name)
    for one in (width_only, depth_only, compound):
        scaled = one(network, budget)
        assert scaled is None or budget.allows(macs(scaled)), one
    wide, rule = width_only(network, budget), published_rule(budget)
    assert wide is None or wide.depths == network.depths
    assert rule is None or budget.allows(macs(rule))
    if gigas > 2:  # below, one channel more can be more than the band
        assert wide is not None and rule is not None


def test_depth_alone_keeps_the_width_where_the_band_has_such_depths():
    deep = depth_only(TINY, parse_budget("15.4GFLOPs"))
    assert deep.widths == TINY.widths
    ratio = np.array(deep.depths) / np.array(TINY.depths)
    assert ratio.max() / ratio.min() < 1.1 and ratio.min() > 3


def test_compound_scales_depth_and_width_as_their_bases_say():
    both = compound(TINY, parse_budget("60GFLOPs"))
    depth, width = sum(both.depths) / 18, both.widths[0] / 96
    assert np.log(depth) / np.log(width) == pytest.approx(np.log(1.2) / np.log(1.1), rel=0.15)


# ---- the proposal ---------------------------------------------------------------------------------------

SPACE = load_space("convnext")


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.floats(0.4, 60), st.floats(6, 120), st.floats(24, 400), st.floats(3, 13))
def test_the_proposal_of_a_space_is_in_it_and_in_band(gigas, depth, width, kernel):
    band = BandSampler(SPACE, parse_budget(f"{gigas:.2f}GFLOPs"))
    network = nearest_in(band, wished(depth=depth, width=width, kernel_size=kernel), TINY)
    assert network in SPACE and band.budget.allows(macs(network))
    assert network.norm == TINY.norm and network.activation == TINY.activation


@settings(max_examples=5, deadline=None)
@given(st.floats(0.2, 300), st.floats(4, 300), st.floats(1, 30), st.floats(3, 15), st.floats(1, 8))
def test_the_proposal_by_free_integers_is_in_band(gigas, depth, ratio, kernel, expansion):
    budget = parse_budget(f"{gigas:.2f}GFLOPs")
    wanted = wished(depth=depth, stage_ratio=ratio, kernel_size=kernel, expansion=expansion)
    network = nearest_free(budget, wanted, TINY)
    assert network is not None and budget.allows(macs(network))


def test_the_nearest_network_of_a_small_space_is_the_nearest():
    space = load_space("micro")
    band = BandSampler(space, Budget("all", "macs", 1, 10**12))
    best = space.build(next(space.all_codes()))
    target = space.sample(1, seed=3)[0]
    found = dimensions(columns_of([target]), 1)
    wanted = {n: Wish(n, float(2 ** x[0]), Estimate(1, 1, 1), RULE, "", 0.1) for n, x in found.items()}
    network = nearest_in(band, wanted, best)
    every = np.array(list(space.all_codes()))
    distances = distance(space.columns(every), len(every), wanted, best)
    mine = distance(columns_of([network]), 1, wanted, best)[0]
    assert mine == pytest.approx(distances.min(), abs=1e-9)


def test_a_network_that_is_wished_for_is_found():
    small = named("convnext_small")
    own = {n: float(2 ** x[0]) for n, x in dimensions(columns_of([small]), 1).items()}
    network = nearest_in(BandSampler(SPACE, parse_budget("8.7GFLOPs")), wished(**own), small)
    assert (network.depths, network.widths) == (small.depths, small.widths)
    free = nearest_free(parse_budget("8.7GFLOPs"), wished(**own), small)
    assert (free.depths, free.widths) == (small.depths, small.widths)


# ---- a study --------------------------------------------------------------------------------------------


def test_a_sweep_is_scaled_by_its_rules(study, found):
    assert found.budget.allows(macs(found.proposal))
    assert found.proposal in SPACE and found.space == "convnext"
    assert found.beyond == pytest.approx(15.0 / 4.39, rel=0.03)
    # the law wants D = 0.3 w1, whose exponents are both a third
    for name in ("depth", "width"):
        assert found.wishes[name].source == RULE
    ratio = sum(found.proposal.depths) / found.proposal.widths[0]
    assert 0.15 < ratio < 0.6
    for one in found.others:
        assert one.network is None or found.budget.allows(macs(one.network))


def test_what_is_not_identified_keeps_the_value_of_the_largest_budget_and_says_so(found):
    kept = {name: wish for name, wish in found.wishes.items() if wish.source == KEPT}
    assert kept
    best = {
        name: float(2 ** x[0])
        for name, x in dimensions(columns_of([Architecture.from_dict(found.best.architecture)]), 1).items()
    }
    for name, wish in kept.items():
        largest = found.profiles.optima[name][-1].answer
        value = largest.value if isinstance(largest, Estimate) else best[name]
        assert wish.value == pytest.approx(value)
        assert isinstance(wish.answer, NotIdentified) and "not identified" in wish.reason


def test_the_best_of_the_largest_budget_is_the_one_that_fresh_seeds_confirm(study, found):
    again = [t for t in study.candidates if t.fresh and t.macs > 4e9]
    assert len(again) == 3
    assert found.best.trial == max(again, key=lambda t: np.mean(list(t.fresh.values()))).trial


def test_fresh_means_stand_for_a_search_where_there_are_such(study):
    series = searched_series(study)
    assert series.fresh and len(series.points) == 12 and series.choice is not None
    assert all(point.seeds == 3 for point in series.points)
    without = searched_series(sweep_of(SWEEP, 12))
    assert not without.fresh and len(without.points) == 4 and without.choice is None
    best = max(t.accuracy for t in sweep_of(SWEEP, 12).candidates if t.macs < 1e9)
    assert without.points[0].error == pytest.approx(1 - best)
    single = searched_series(sweep_of("1.2GFLOPs", 12))
    assert single.fit is None and "factor" in single.reason


def test_outside_the_space_depths_and_widths_are_free_integers():
    far = plan(sweep_of("0.6GFLOPs,2.4GFLOPs", 12), "900GFLOPs")
    assert far.space is None and far.budget.allows(macs(far.proposal))
    assert far.proposal not in SPACE
    assert any("scaled outside the space" in note for note in far.notes)


def test_a_study_whose_space_is_not_at_hand_is_scaled_by_free_integers():
    study = sweep_of("0.6GFLOPs,2.4GFLOPs", 12)
    lost = Study.from_dict({**study.to_dict(), "space": {"name": "of-my-own"}})
    found = plan(lost, "4.5GFLOPs")
    assert found.space is None and found.budget.allows(macs(found.proposal))
    assert any("of-my-own is not at hand" in note for note in found.notes)
    changed = Study.from_dict({**study.to_dict(), "space": {"name": "convnext", "fingerprint": "other"}})
    assert any("has changed" in note for note in plan(changed, "4.5GFLOPs").notes)
    assert plan(lost, "4.5GFLOPs", "convnext").space == "convnext"


def test_a_range_of_costs_is_scaled_too():
    found = plan(sweep_of("1GFLOPs..8GFLOPs", 60), "15.4GFLOPs")
    assert found.budget.allows(macs(found.proposal))
    assert set(found.wishes) == set(LABELS)


def test_parameters_are_a_budget_as_well():
    found = plan(sweep_of("5Mparams,20Mparams", 15), "60Mparams")
    assert found.budget.allows(cost(found.proposal).params)
    assert published_exponents("params") != published_exponents("macs")


def test_without_an_exponent_of_depth_or_width_nothing_is_claimed():
    found = plan(sweep_of("0.6GFLOPs,2.4GFLOPs", 6), "4.5GFLOPs")
    assert found.wishes["depth"].source == found.wishes["width"].source == KEPT
    assert any("which is no finding" in note for note in found.notes)


def test_everything_is_plain_json(found):
    values = json.loads(json.dumps(as_json(found), allow_nan=False))
    assert values["proposal"]["macs"] == macs(found.proposal)
    assert set(values["dimensions"]) == set(LABELS)
    for dimension in values["dimensions"].values():
        assert (dimension["exponent"]["value"] is None) == bool(dimension["exponent"]["not_identified"])
    prediction = values["prediction"]
    assert prediction["fresh"] and set(prediction["by_law"]) == {"power", "saturating power"}
    error = prediction["error_percent"]
    assert error["not_identified"] or error["low"] < error["value"] < error["high"]


def test_the_wish_inside_the_budgets_is_near_their_optima(study, found):
    inside = wishes(found.profiles, TINY, 2.4e9 * 0.975)
    answer = found.profiles.optima["depth"][2].answer
    assert isinstance(answer, Estimate)
    assert inside["depth"].value == pytest.approx(answer.value, rel=0.3)


# ---- the command ----------------------------------------------------------------------------------------


@pytest.fixture
def shown(study, monkeypatch, tmp_path):
    monkeypatch.setattr("nas.record.study.read_study", lambda _: Study(study.mapping, study.trials, tmp_path))
    return tmp_path


def test_the_command_prints_and_writes_what_describe_reads(shown, capsys, tmp_path):
    assert main(["sweep", "--to", "15.4GFLOPs"]) == 0
    text = capsys.readouterr().out
    for word in ("exponent", "extrapolated", "ConvNeXt's own rule", "width alone", "depth alone", "compound"):
        assert word in text, word
    assert "kept of the largest budget" in text and "ConvNeXt-T to L has exponent 0.30" in text
    path = shown / "scaled" / "15.4GFLOPs.json"
    name, network = describe.read_file(path)
    assert name == "sweep scaled to 15.4GFLOPs" and 14.63e9 <= macs(network) <= 15.4e9
    assert describe.main([str(path)]) == 0


def test_json_and_out(shown, capsys, tmp_path):
    out = tmp_path / "deep" / "mine.json"
    assert main(["sweep", "--to", "15.4GFLOPs", "--out", str(out), "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["file"] == str(out)
    assert json.loads(out.read_text())["architecture"] == values["proposal"]["architecture"]


@pytest.mark.parametrize(
    ("budgets", "flags", "message"),
    [
        ("1.2GFLOPs", ["--to", "15.4GFLOPs"], "scaling needs two or more budgets, or a range"),
        (
            "0.6GFLOPs,2.4GFLOPs",
            ["--to", "30Mparams"],
            "is of params; the budgets of study sweep are of FLOPs",
        ),
        ("0.6GFLOPs,2.4GFLOPs", ["--to", "15 bananas"], "budget '15 bananas'"),
        (
            "0.6GFLOPs,2.4GFLOPs",
            ["--to", "4.5G", "--space", "none-such"],
            "neither a file nor a shipped space",
        ),
        (
            "0.6GFLOPs,2.4GFLOPs",
            ["--to", "900GFLOPs", "--space", "convnext"],
            "no network of the space convnext",
        ),
        ("0.6GFLOPs,2.4GFLOPs", ["--to", "1"], "costs 1 FLOPs to 1 FLOPs"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(budgets, flags, message, monkeypatch, capsys, tmp_path):
    study = Study.from_dict(sweep_of(budgets, 6).to_dict(), tmp_path)
    monkeypatch.setattr("nas.record.study.read_study", lambda _: study)
    assert main(["sweep", *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("analysis.scale: ") and error.count("\n") == 1 and message in error
    assert not list(tmp_path.iterdir())


def test_a_study_that_is_not_there(capsys):
    assert main(["/none/such", "--to", "4.5G"]) == 2
    assert "no such study" in capsys.readouterr().err
    with pytest.raises(SystemExit) as exit_:
        main(["sweep"])
    assert exit_.value.code == 2


def test_a_file_that_cannot_be_written(shown, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main(["sweep", "--to", "4.5G", "--out", str(tmp_path / "file" / "x.json")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_no_candidate_no_law():
    study = sweep_of("0.6GFLOPs,2.4GFLOPs", 6)
    nothing = Study.from_dict({**study.to_dict(), "trials": []})
    assert searched_series(nothing).points == ()
    with pytest.raises(InputError, match="no network with a full-fidelity result"):
        plan(nothing, "4.5G")
