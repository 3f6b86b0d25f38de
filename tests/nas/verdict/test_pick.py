"""One rule says what a study recommends, and everything goes by it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas import export, search
from nas.record.study import Study
from nas.verdict.pick import recommend
from space.swin import named_swin
from tests.trials import made

SWIN = named_swin("swin_tiny").to_dict()
BUDGET = {"text": "1GFLOPs", "metric": "macs", "low": 9 * 10**8, "high": 10**9}


def study(trials, folder="runs/one", **values):
    mapping = {
        "name": "one", "budget": BUDGET, "objective": "best", "limits": {},
        "proxy": {"name": "cpu", "data": "fractal", "epochs": 4},
    }  # fmt: skip
    return Study(mapping | values, trials, Path(folder))


def again(of, *accuracies, **values):
    """Trainings of a trial with the seeds 1, 2, ..."""
    return [
        made(100 * of + seed, accuracy, "confirmation", of=of, seed=seed, **values)
        for seed, accuracy in enumerate(accuracies, 1)
    ]


def test_one_training_each_gives_a_pick_without_an_interval_and_says_how_to_get_one():
    trials = [made(0, 0.5, "reference", name="ConvNeXt-T"), made(1, 0.6), made(2, 0.7)]
    found = recommend(study(trials))
    (pick,) = found.picks
    assert (pick.tried.trial, pick.seeds, pick.among) == (2, 0, 3)
    assert found.lines == (
        "Take trial 2 (1.000 GFLOPs, 10.00 M parameters): it is the most accurate of 3 ConvNets, 70.0%. How "
        "sure: no interval, by one training each; +20.0 points against ConvNeXt-T.",
    )
    assert "better" not in found.lines[0]  # no verdict without an interval
    assert found.next == "python -m nas.search --study runs/one --resume --confirm 3x3"
    assert found.export == "python -m nas.export runs/one --trial 2"
    assert pick.to_dict()["against"][0] == {
        "name": "ConvNeXt-T", "difference": pytest.approx(0.2), "low": None, "high": None, "seeds": 1,
        "verdict": None,
    }  # fmt: skip


def test_two_fresh_seeds_that_do_not_decide_are_shown_and_a_third_is_next():
    trials = [made(0, 0.5, "reference", name="ConvNeXt-T"), made(1, 0.9), made(2, 0.6)]
    trials += again(0, 0.5, 0.6) + again(1, 0.58, 0.57)
    found = recommend(study(trials))
    assert found.lines[0].endswith(
        "How sure: +2.5 points against ConvNeXt-T (+8.0 and -3.0: two seeds give no useful interval): not "
        "distinguishable."
    )
    assert found.next == "python -m nas.search --study runs/one --resume --confirm 1x3"
    low, high = (found.picks[0].to_dict()["against"][0][end] for end in ("low", "high"))
    assert high - low > 1  # for scripts, as wide as it is
    told = recommend(study([t.changed(accuracy=0.09 + t.accuracy / 100) if t.of == 0 else t for t in trials]))
    assert "95% interval" in told.lines[0] and told.next == told.export


def test_fresh_seeds_come_before_what_the_search_saw():
    trials = [made(0, 0.5, "reference", name="ConvNeXt-T"), made(1, 0.9), made(2, 0.6), made(3, 0.8)]
    trials += again(0, 0.5, 0.51) + again(1, 0.55, 0.56) + again(2, 0.60, 0.61)
    found = recommend(study(trials))
    (pick,) = found.picks
    assert (pick.tried.trial, pick.seeds, pick.among) == (2, 2, 3) and pick.accuracy == pytest.approx(0.605)
    assert "the best mean of 2 fresh seeds among 3 ConvNets" in found.lines[0]
    assert "+10.0 points against ConvNeXt-T (95% interval +10.0 to +10.0, 2 paired seeds)" in found.lines[0]
    assert found.next == found.export == "python -m nas.export runs/one --trial 2"


def test_a_reference_may_win_and_a_lucky_seed_of_the_search_does_not_speak_for_it():
    trials = [made(0, 0.99, "reference", name="ConvNeXt-T"), made(1, 0.6)]
    assert recommend(study(trials)).picks[0].tried.label == "ConvNeXt-T"
    (pick,) = recommend(study(trials + again(0, 0.5, 0.5) + again(1, 0.6, 0.6))).picks
    assert pick.tried.trial == 1 and pick.seeds == 2
    (pick,) = recommend(study(trials + again(0, 0.7, 0.6) + again(1, 0.5, 0.6))).picks
    assert pick.tried.label == "ConvNeXt-T" and [rival.label for rival in pick.rivals] == ["trial 1"]


def test_a_swin_is_compared_with_and_never_taken():
    swin = made(0, 0.9, "reference", name="Swin-T", architecture=SWIN)
    (pick,) = recommend(study([swin, made(1, 0.6)])).picks
    assert pick.tried.trial == 1 and "-30.0 points against Swin-T" in pick.text
    assert recommend(study([swin])).kind == "none"


def test_a_reference_beyond_the_budget_or_a_limit_is_not_taken():
    trials = [made(0, 0.9, "reference", name="ConvNeXt-S", macs=2 * 10**9), made(1, 0.6)]
    assert recommend(study(trials)).picks[0].tried.trial == 1
    trials[0] = trials[0].changed(macs=10**9)
    assert recommend(study(trials)).picks[0].tried.trial == 0
    assert recommend(study(trials, limits={"max_params": 10**6})).picks[0].tried.trial == 1


def test_a_network_that_lacks_a_seed_does_not_win():
    trials = [made(1, 0.9), made(2, 0.6), *again(1, 0.99), *again(2, 0.6, 0.6)]
    assert recommend(study(trials)).picks[0].tried.trial == 2


def test_several_budgets_have_a_pick_each():
    budgets = [{**BUDGET, "text": text} for text in ("1GFLOPs", "2GFLOPs")]
    trials = [made(0, 0.5, budget="2GFLOPs"), made(1, 0.6, budget="1GFLOPs"), made(2, 0.4, budget="1GFLOPs")]
    found = recommend(study(trials, budget={**BUDGET, "each": budgets}))
    assert [(p.budget, p.tried.trial) for p in found.picks] == [("1GFLOPs", 1), ("2GFLOPs", 0)]
    assert found.kind == "budgets" and found.lines[0].startswith("For 1GFLOPs take trial 1 (")
    assert found.export == "python -m nas.export runs/one"
    trials[0] = trials[0].changed(macs=2 * 10**9)
    found = recommend(study(trials, budget={**BUDGET, "each": budgets}))
    assert found.lines[1].endswith(" But 1GFLOPs's trial 1 costs less and reached 60.0%.")


def test_a_range_has_its_front():
    trials = [made(i, 0.1 * i, macs=10**8 * i) for i in range(1, 6)] + [made(6, 0.2, macs=10**9)]
    found = recommend(study(trials, objective="front"))
    assert [pick.tried.trial for pick in found.picks] == [1, 2, 3, 4, 5] and found.kind == "front"
    assert found.lines[0].startswith(
        "Take the front's network that you can pay for: 5 networks, 100.00 MFLOPs"
    )
    assert found.most_accurate.tried.trial == 5 and found.export.endswith("--front")


def test_named_networks_are_told_apart_by_all_their_seeds():
    trials = [made(0, 0.5, "reference", name="a"), made(1, 0.6, "reference", name="b")]
    trials += again(0, 0.5, 0.5) + again(1, 0.4, 0.4)
    (pick,) = recommend(study(trials, objective="measure")).picks
    assert pick.tried.label == "a" and pick.seeds == 3


def test_what_is_not_there_or_was_not_trained_is_said():
    nothing = recommend(study([made(0, state="interrupted")]))
    assert nothing.lines == ("No network has been trained in full yet.",) and nothing.picks == ()
    assert nothing.next == "python -m nas.search --study runs/one --resume"
    rehearsed = study([made(0, 0.5)], proxy={"name": "simulated:interacting", "data": "-", "epochs": 4})
    assert "nothing was trained" in recommend(rehearsed).note
    assert recommend(rehearsed).next == "python -m nas.search --budget 1GFLOPs"
    told = {"space": {"name": "micro"}, "limits": {"max_params": 30_000_000, "max_latency": 0.005}}
    again = recommend(Study(rehearsed.mapping | told, rehearsed.trials, rehearsed.folder)).next
    assert again == f"{recommend(rehearsed).next} --space micro --max-params 30000000 --max-latency 0.005s"
    own = rehearsed.mapping | {"space": {"name": "mine"}}
    assert recommend(Study(own, rehearsed.trials, rehearsed.folder)).next.endswith(" --space FILE")
    running = recommend(study([made(0, 0.5), made(1)]))
    assert "so far" in running.note and running.next == "python -m analysis.dashboard runs/one --serve"


def test_a_command_is_ready_for_a_shell():
    assert (
        recommend(study([made(0, 0.5)], "runs/a study")).export
        == "python -m nas.export 'runs/a study' --trial 0"
    )
    assert recommend(study([made(0, 0.5)], "one")).export == "python -m nas.export ./one --trial 0"


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from(["candidate", "reference"])), min_size=1, max_size=8)
)
def test_nothing_that_could_be_taken_is_more_accurate(rows):
    trials = [made(i, value, role, name=None) for i, (value, role) in enumerate(rows)]
    (pick,) = recommend(study(trials)).picks
    assert pick.accuracy == max(value for value, _ in rows)
    assert pick.tried.trial == min(i for i, (value, _) in enumerate(rows) if value == pick.accuracy)


@pytest.mark.parametrize(
    ("budget", "confirm"), [("20M..40M", "2x2"), ("20M,40M", "0x0"), ("40M", "2x2"), ("40M", "0x0")]
)
def test_terminal_summary_page_and_export_name_the_same_network(
    tmp_path, monkeypatch, capsys, budget, confirm
):
    monkeypatch.chdir(tmp_path)
    flags = ["--budget", budget, "--space", "micro", "--proxy", "simulated:interacting", "--trials", "8"]
    assert search.main([*flags, "--confirm", confirm, "--study", "one"]) == 0
    out = capsys.readouterr().out
    summary = json.loads(Path("runs/one/summary.json").read_text())
    picks = [each["trial"] for each in summary["recommended"]]
    assert picks and all(line in out for line in summary["says"])
    assert summary["best"]["number"] in picks
    assert export.main(["runs/one", "--to", "native", "--out", "exported"]) == 0
    kept = [json.loads(path.read_text()) for path in Path("exported").rglob("architecture.json")]
    assert sorted(each["evidence"]["trial"] for each in kept) == sorted(set(picks))
    page = re.sub("</?span>", "", Path("runs/one/report.html").read_text())
    assert re.search(rf"nas\.export runs/one --trial {summary['best']['number']}\b", page)
