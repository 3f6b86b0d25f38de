"""Rank correlations against scipy, planted relations and noise, and the command on a small study."""

import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from analysis import proxies
from analysis.scores import rank
from analysis.scores.measure import measure as measured_of
from analysis.scores.rank import (
    NO_RELATION,
    NOT_OFFERED,
    OFFERED,
    RankInterval,
    interval,
    relations,
    spearman,
    tau_b,
)
from analysis.scores.scores import SCORES, score
from nas.record.study import Study
from space.architecture import Architecture
from space.errors import InputError
from studies.scores.measure import table
from tests.analysis.sample_study import EPOCHS, sample_study
from tests.nas.conftest import run, workplace  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]


def measure(mapping, *scores):
    return measured_of(Study.from_dict(mapping), *scores)


def one(scores, accuracies, name="score"):
    return next(found for found in relations(scores, accuracies) if found.score == name)


def planted(networks, noise, seed=0):
    """Accuracies, a score that follows them, and two baselines that do not."""
    rng = np.random.default_rng(seed)
    accuracies = rng.normal(size=networks)
    follows = accuracies + noise * rng.normal(size=networks)
    return {
        "flops": rng.normal(size=networks),
        "params": rng.normal(size=networks),
        "score": follows,
    }, accuracies


# ---- the correlations -----------------------------------------------------------------------------------

FEW_VALUES = hnp.arrays(float, 8, elements=st.integers(0, 4))


@given(FEW_VALUES, FEW_VALUES, st.lists(st.integers(0, 7), min_size=8, max_size=8))
def test_both_are_scipys_on_any_resample(x, y, drawn):
    """Ties included: those of the values and those of a network with its own copies."""
    counts = np.bincount(drawn, minlength=8)[None]
    for ours, theirs in ((tau_b, stats.kendalltau), (spearman, stats.spearmanr)):
        with warnings.catch_warnings():  # of constants, for which both say nan
            warnings.simplefilter("ignore")
            expected = theirs(x[drawn], y[drawn]).statistic
        assert ours(x, y, counts)[0] == pytest.approx(expected, nan_ok=True, abs=1e-9)


def test_the_interval_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(5)
    networks, tau, cases = 25, 0.4, 300
    correlation = np.sin(np.pi * tau / 2)
    hits = 0
    for _ in range(cases):
        x, noise = rng.normal(size=(2, networks))
        y = correlation * x + np.sqrt(1 - correlation**2) * noise
        counts = rng.multinomial(networks, np.full(networks, 1 / networks), size=400)
        found = interval(tau_b(x, y, np.vstack([np.ones((1, networks)), counts])))
        hits += found.low <= tau <= found.high
    assert 0.85 <= hits / cases <= 0.96


def test_an_interval_is_the_quantiles_of_the_resamples():
    draws = np.concatenate([[0.5], np.linspace(0, 1, 101), [np.nan]])
    assert interval(draws, level=0.8) == RankInterval(0.5, pytest.approx(0.1), pytest.approx(0.9))
    assert interval(np.array([np.nan, 0.1])) == RankInterval(None, None, None)
    assert str(RankInterval(0.5, -0.1, 0.9)) == "+0.50 [-0.10, +0.90]"


# ---- the verdict ----------------------------------------------------------------------------------------


def test_a_planted_relation_is_found_and_offered():
    scores, accuracies = planted(60, noise=0.4)
    found = one(scores, accuracies)
    assert (found.verdict, found.reason) == (OFFERED, "")
    assert found.tau.value == pytest.approx(stats.kendalltau(scores["score"], accuracies).statistic)
    assert found.rho.value == pytest.approx(stats.spearmanr(scores["score"], accuracies).statistic)
    assert found.tau.low > rank.WORTHWHILE
    assert found.tau.low < found.tau.value < found.tau.high
    assert found.gain.low > 0


def test_noise_is_not_distinguishable_from_no_relation():
    verdicts = []
    for seed in range(40):
        scores, accuracies = planted(20, noise=0.0, seed=seed)
        scores["score"] = np.random.default_rng(1000 + seed).normal(size=20)
        verdicts.append(one(scores, accuracies).verdict)
    assert verdicts.count(NO_RELATION) >= 32  # 90% of them, less luck
    assert OFFERED not in verdicts


def test_a_score_that_only_repeats_a_baseline_is_not_offered():
    scores, accuracies = planted(60, noise=0.4)
    for sign in (1, -1):  # fewer parameters is a baseline too
        found = one(scores | {"params": sign * scores["score"] ** 3}, accuracies)
        assert (found.verdict, found.reason) == (NOT_OFFERED, "no better than FLOPs or parameters")
        assert found.gain.value == pytest.approx(0)


def test_baselines_are_measured_against_nothing():
    scores, accuracies = planted(60, noise=0.4)
    found = one(scores | {"params": scores["score"]}, accuracies, "params")
    assert found.gain is None
    assert found.verdict == OFFERED
    assert one({"score": scores["score"]}, accuracies).gain is None


@pytest.mark.parametrize(
    ("networks", "noise", "sign", "verdict", "reason"),
    [
        (14, 0.0, 1, NOT_OFFERED, "fewer than 15 networks"),
        (15, 0.0, 1, OFFERED, ""),
        (60, 0.4, -1, NOT_OFFERED, "negative"),
        (60, 2.0, 1, NOT_OFFERED, "tau may be 0.3 or less"),
    ],
)
def test_reasons(networks, noise, sign, verdict, reason):
    scores, accuracies = planted(networks, noise)
    found = one({"score": sign * scores["score"]}, accuracies)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_a_constant_score_has_no_correlation():
    found = one({"score": np.full(20, 3.0)}, np.arange(20.0))
    assert found.tau == found.rho == RankInterval(None, None, None)
    assert (found.verdict, found.reason) == (NO_RELATION, "constant")


def test_a_network_without_a_score_does_not_count():
    scores, accuracies = planted(30, noise=0.5)
    holes = scores["score"].copy()
    holes[:4] = [np.nan, np.inf, -np.inf, np.nan]
    found = one({"score": holes}, accuracies)
    assert found.networks == 26
    assert found.tau.value == pytest.approx(stats.kendalltau(holes[4:], accuracies[4:]).statistic)


def test_the_same_twice_and_apart_from_the_order_of_scores():
    scores, accuracies = planted(20, noise=1.0)
    backwards = dict(reversed(scores.items()))
    assert relations(scores, accuracies) == relations(backwards, accuracies)[::-1]


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ({"a": [1, 2]}, [1, 2], "2 networks: a rank correlation needs at least 3"),
        ({"a": [1, 2]}, [1, 2, 3], "a: must be 3 numbers, one a network"),
        ({"a": [1, 2, 3]}, [[1, 2, 3]], "accuracies: must be one number a network"),
        ({"a": [1, 2, 3]}, [1, 2, np.nan], "accuracies: not all are finite"),
    ],
)
def test_mistakes_with_arrays(scores, accuracies, message):
    with pytest.raises(InputError, match=message):
        relations(scores, accuracies)


# ---- a study --------------------------------------------------------------------------------------------


def test_only_full_trainings_inside_the_band_count():
    study = sample_study()
    (found,) = measure(study, ["flops", "entropy"])
    counted = [
        trial
        for trial in study["trials"]
        if trial["state"] == "complete" and trial["fidelity"] == EPOCHS and 4.275e9 <= trial["macs"] <= 4.5e9
    ]
    assert 3 <= len(counted) < len(study["trials"])
    assert found.fingerprints == [trial["fingerprint"] for trial in counted]
    assert found.accuracies == [trial["accuracy"] for trial in counted]
    networks = [Architecture.from_dict(trial["architecture"]) for trial in counted]
    assert found.scores["entropy"] == [score("entropy", network) for network in networks]
    assert found.warnings == [
        f"{len(counted)} networks: fewer than 15 offer no score, whatever the table says"
    ]


def test_the_reference_counts_inside_the_band_only():
    study = sample_study()
    reference = study["trials"][0]
    assert reference["role"] == "reference"
    assert reference["fingerprint"] in measure(study, ["flops"])[0].fingerprints
    study["budget"]["high"] = reference["macs"] - 1
    assert reference["fingerprint"] not in measure(study, ["flops"])[0].fingerprints


def test_repeated_trainings_count_as_their_mean():
    study = sample_study()
    first = study["trials"][0]
    study["trials"].append(first | {"number": 99, "seed": 1, "accuracy": first["accuracy"] + 0.02})
    (found,) = measure(study, ["flops"])
    at = found.fingerprints.index(first["fingerprint"])
    assert found.trainings[at] == 2
    assert found.accuracies[at] == pytest.approx(first["accuracy"] + 0.01)
    assert len(found.fingerprints) == len(set(found.fingerprints))


def test_bands_are_not_mixed():
    study = sample_study()
    (whole,) = measure(study, ["flops"])
    middle = sorted(whole.scores["flops"])[3]
    band = study["budget"]
    study["budget"] |= {
        "each": [band | {"text": "low", "high": middle}, band | {"text": "high", "low": middle + 1}]
    }
    low, high = measure(study, ["flops"])
    assert (low.band, high.band) == ("low", "high")
    assert max(low.scores["flops"]) == middle < min(high.scores["flops"])
    assert sorted(low.fingerprints + high.fingerprints) == sorted(whole.fingerprints)
    study["budget"]["each"][1]["low"] = study["budget"]["high"]  # no network there
    assert [found.band for found in measure(study, ["flops"])] == ["low"]


def test_a_study_without_images_says_which_scores_need_none():
    study = sample_study()
    study["proxy"] = {"name": "simulated:rugged", "data": "simulated:rugged", "epochs": EPOCHS}
    with pytest.raises(InputError, match=r"is no data set.*; --scores flops,.*,entropy needs no images"):
        measure(study)
    measure(study, ["entropy"])


def test_too_few_networks_are_said_to_be():
    study = sample_study()
    study["trials"] = study["trials"][:2]
    with pytest.raises(InputError, match=r"study tiny-4.5G: \d networks trained in full inside a band"):
        measure(study, ["flops"])


# ---- the command ----------------------------------------------------------------------------------------


def command(capsys, *arguments):
    code = proxies.main(list(arguments))
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def test_the_command_on_a_small_study(run, workplace, capsys):  # noqa: F811 - fixtures
    code, _, err = run("--study", "small", "--trials", "5", "--sampler", "random")
    assert code == 0, err
    code, out, err = command(capsys, "small", "--json")
    assert (code, err) == (0, "")
    printed = json.loads(out)
    assert printed["study"] == "small"
    (band,) = printed["bands"]
    assert band["band"] == "20M..40M"
    assert [relation["score"] for relation in band["relations"]] == list(SCORES)
    assert len(band["networks"]) == 5
    assert all(relation["verdict"] != OFFERED for relation in band["relations"])
    assert band["warnings"] == ["5 networks: fewer than 15 offer no score, whatever the table says"]
    accuracies = [network["accuracy"] for network in band["networks"]]
    for relation in band["relations"]:
        values = [network["scores"][relation["score"]] for network in band["networks"]]
        if relation["tau"]["value"] is not None:
            expected = stats.kendalltau(values, accuracies).statistic
            assert relation["tau"]["value"] == pytest.approx(expected)

    code, out, err = command(capsys, "small", "--scores", "depth, nwot")
    assert code == 0
    rows = [line.split()[0] for line in out.splitlines() if line.strip()]
    assert [row for row in rows if row in SCORES] == ["flops", "params", "depth", "nwot"]
    assert "entropy" not in out
    assert "\x1b" not in out
    assert out.rstrip().endswith("note: 5 networks: fewer than 15 offer no score, whatever the table says")

    again = json.loads(command(capsys, "small", "--scores", "synflow", "--json")[1])  # to the digit
    assert again["bands"][0]["relations"][-1] == band["relations"][list(SCORES).index("synflow")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "analysis.proxies: study runs/nothing: no such study"),
        (["a b"], "analysis.proxies: study 'a b': a name holds"),
        (["nothing", "--scores", "zen"], "analysis.proxies: score 'zen': there is no such score"),
    ],
)
def test_mistakes_are_one_line_and_exit_with_2(arguments, message, workplace, capsys):  # noqa: F811
    code, out, err = command(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") == 1


def test_unknown_flags_are_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        proxies.main(["x", "--nonsense"])
    assert exit_.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_search_is_not_imported():
    code = (
        "import sys\nfrom analysis import proxies\n"
        "proxies.main(['studies/default_tpe', '--scores', 'depth'])\n"
        "assert 'nas.search' not in sys.modules and 'torch' not in sys.modules"
    )
    run_it = [sys.executable, "-c", code]
    done = subprocess.run(run_it, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert "Kendall tau" in done.stdout


def test_the_recorded_tables_are_those_of_the_recorded_scores():
    folder = ROOT / "studies" / "scores"
    assert table(folder / "networks.csv") in (folder / "README.md").read_text(encoding="utf-8")
