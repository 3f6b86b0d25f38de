"""Agreement of two orders: planted ones, the recorded roadmap against ImageNet, and the command."""

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import agreement as command
from analysis.order.agreement import agreement, near, regret
from analysis.order.answer import COLUMNS, answer, sentence
from analysis.order.card import card_text
from analysis.order.common import CommonNetwork, with_published, with_study
from analysis.order.signs import fullest_band, noises, signs
from analysis.scores.rank import drawn, tau_b
from nas.record.study import Study, read_study
from space.architecture import Architecture
from space.errors import InputError
from space.families import named
from tests.analysis.sample_study import sample_study, trial

ROOT = Path(__file__).parents[3]
ROADMAP = ROOT / "studies/roadmap"


@pytest.fixture(scope="module")
def recorded():
    return read_study(ROADMAP)


def networks(ours, theirs, macs=None):
    """A list of seeds a network, on each side."""
    macs = macs or [1000] * len(ours)
    return [
        CommonNetwork(
            str(i), "searched", "candidate", f"{i:016x}", m, 1, 1, dict(enumerate(a)), dict(enumerate(b))
        )
        for i, (a, b, m) in enumerate(zip(ours, theirs, macs, strict=True))
    ]


def study(*rows, proxy="cpu"):
    """A study of (network, accuracies by seed, how it is named)."""
    trials = []
    for architecture, accuracies, fields in rows:
        for seed, accuracy in enumerate(accuracies):
            more = {"role": "confirmation", "of": len(trials) - seed} if seed else fields
            role = {key: more[key] for key in ("role", "name") if key in more}
            one = trial(len(trials), architecture, accuracy, **role)
            trials.append({**one, "seed": seed, "of": more.get("of")})
    mapping = sample_study()
    return Study.from_dict({**mapping, "proxy": {**mapping["proxy"], "name": proxy}, "trials": trials})


# ---- the numbers ----------------------------------------------------------------------------------------


def test_the_recorded_roadmap_agrees_with_imagenet_as_the_readme_says(recorded):
    found = answer([recorded])
    rows = {one.group: one for one in found.agreements}
    first = found.agreements[0]
    assert first.networks == 16 and str(first.tau) == "+0.38 [+0.03, +0.67]"
    assert str(first.rho) == "+0.55 [+0.10, +0.82]"
    assert f"{rows['T: steps 1 to 12'].tau.value:+.2f}" == "-0.02"
    assert f"{rows['T: steps 13 to 16'].tau.value:+.2f}" == "-0.33"
    assert rows["all networks"].networks == 17  # Swin-T as well
    said = sentence(found)
    assert "Kendall tau +0.38 (90% interval +0.03 to +0.67): more than by chance" in said and "69%" in said
    assert said.splitlines() == [said]


def test_the_same_order_agrees_wholly_and_the_reverse_not_at_all():
    ours = [[0.1 * i] for i in range(1, 8)]
    assert agreement("x", networks(ours, ours)).tau.value == 1
    opposite = agreement("x", networks(ours, ours[::-1]))
    assert opposite.tau.value == -1 and opposite.regret[1].value == pytest.approx(0.6)
    assert agreement("x", networks(ours, ours)).regret[3].value == 0
    assert agreement("x", networks(ours, [[0.5]] * 7)).tau.value is None


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(90, 110)), min_size=3, max_size=12)
)
def test_tau_over_pairs_at_equal_flops_counts_those_pairs(rows):
    x, y, macs = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    among = near(macs)
    agree = untied_x = untied_y = 0
    for i in range(len(rows)):
        for j in range(i):
            if max(macs[i], macs[j]) <= 1.05 * min(macs[i], macs[j]):
                a, b = np.sign(x[i] - x[j]), np.sign(y[i] - y[j])
                agree, untied_x, untied_y = agree + a * b, untied_x + abs(a), untied_y + abs(b)
    found = tau_b(x, y, np.ones((1, len(rows))), among)[0]
    if untied_x and untied_y:
        assert found == pytest.approx(agree / math.sqrt(untied_x * untied_y))
    else:
        assert math.isnan(found)
    whole = tau_b(x, y, np.ones((1, len(rows))))[0]
    assert whole == pytest.approx(stats.kendalltau(x, y).statistic, nan_ok=True)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=3, max_size=10), st.integers(1, 3))
def test_regret_is_what_the_best_few_leave(rows, k):
    x, y = (np.array(column) for column in zip(*rows, strict=True))
    best = np.argsort(-x, kind="stable")[:k]
    draws = drawn(len(rows), 20)
    found = regret(x, y, draws, k)
    assert found[0] == pytest.approx(y.max() - y[best].max())
    assert (found >= 0).all() and found.shape == (21,)


def test_few_pairs_at_equal_flops_have_no_interval_that_looks_certain():
    ours = [[0.1 * i] for i in range(1, 6)]
    apart = agreement("x", networks(ours, ours, [100, 101, 102, 200, 400]))
    assert apart.pairs == 3 and apart.near.value is None
    assert agreement("x", networks(ours, ours)).near.value == 1


def test_seeds_widen_the_interval_where_they_are_noisy():
    rng = np.random.default_rng(3)
    true = np.linspace(0.3, 0.6, 12)
    noisy = [list(value + rng.normal(0, 0.1, 3)) for value in true]
    found = agreement("x", networks(noisy, [[value] for value in true]))
    one = agreement("x", networks([[value] for value in true], [[value] for value in true]))
    assert one.tau_seeds is None
    assert found.tau_seeds.value == found.tau.value and found.tau_seeds.low < found.tau.low


def test_an_answer_is_the_same_twice(recorded):
    assert answer([recorded]) == answer([recorded])


# ---- which networks -------------------------------------------------------------------------------------


def test_named_networks_and_both_columns_have_published_accuracies():
    sizes = ["convnext_small", "convnext_large", "convnext_base"]
    names = [*sizes, "roadmap_t_3", "roadmap_b_4", "roadmap_t_5"]
    rows = [(named(name), [0.5], {"role": "reference", "name": name}) for name in names]
    rows.append((named("resnet50"), [0.4], {}))  # found by the search itself: by its fingerprint
    found = with_published(study(*rows))
    published = {n.label: 100 * n.theirs[0] for n in found.networks}
    assert published["convnext_small"] == pytest.approx(83.1) and len(published) == 7
    assert found.networks[0].step == ("t", 1) and published["convnext_large"] == pytest.approx(84.3)
    assert [n.step for n in found.networks[3:5]] == [("b", 4), ("b", 16)]
    assert next(iter(found.groups)) == "the roadmap's steps from ResNet-50 to ConvNeXt-T"


def test_two_studies_are_matched_by_fingerprint():
    own = [Architecture.convnext([1, 1, d, 1], [32, 64, 128, 256]) for d in range(1, 6)]
    first = study(*[(n, [0.3 + 0.01 * i, 0.31 + 0.01 * i], {}) for i, n in enumerate(own)])
    second = study(*[(n, [0.6 - 0.02 * i], {}) for i, n in enumerate(own[1:])], proxy="gpu")
    found = with_study(first, second)
    assert [n.fingerprint for n in found.networks] == [n.fingerprint for n in own[1:]]
    reversed_ = answer([first, second])
    assert reversed_.agreements[0].tau.value == -1 and reversed_.agreements[0].tau_seeds is not None
    assert "reversed" in sentence(reversed_)
    assert noises(first, "x")[0].networks == 5


@pytest.mark.parametrize("count", [0, 2])
def test_fewer_than_three_networks_in_common_are_one_line(count):
    own = [Architecture.convnext([1, 1, d, 1], [32, 64, 128, 256]) for d in range(1, 6)]
    first = study(*[(n, [0.5], {}) for n in own])
    other = [Architecture.convnext([2, 1, 1, 1], [24 * k, 48 * k, 96 * k, 192 * k]) for k in (1, 2, 3)]
    second = study(*[(n, [0.5], {}) for n in (*own[:count], *other)])
    words = f"has {'no network' if count == 0 else '2 networks'} in common with"
    with pytest.raises(InputError, match=words):
        with_study(first, second)
    with pytest.raises(InputError, match="in common with the published accuracies"):
        with_published(first)


# ---- signs and noise ------------------------------------------------------------------------------------


def test_signs_say_what_accuracy_goes_with_at_equal_flops(recorded):
    found = {sign.metric: sign for sign in signs(recorded, "roadmap")}
    assert found["params"].published == "+0.49 to +0.60" and found["params"].pairs >= 10
    assert found["params"].tau.low <= found["params"].tau.value <= found["params"].tau.high
    assert signs(study((Architecture.convnext([1], [8]), [0.5], {})), "x") == []


def test_noise_is_told_from_the_spread():
    rng = np.random.default_rng(0)
    shift = rng.normal(0, 0.05, 4)  # of a seed, for all networks alike
    own = [Architecture.convnext([1, 1, d, 1], [32, 64, 128, 256]) for d in range(1, 41)]
    rows = [(n, list(0.5 + rng.normal(0, 0.03) + shift + rng.normal(0, 0.01, 4)), {}) for n in own]
    noise = noises(study(*rows), "x")[0]
    assert noise.residual == pytest.approx(0.01, rel=0.2) and noise.between == pytest.approx(0.03, rel=0.4)
    assert noise.within > 2 * noise.residual and noise.ratio == noise.between / noise.residual
    assert noises(study(*[(n, [0.5], {}) for n in own]), "x") == []


def test_the_fullest_band_is_the_one_with_most_networks(recorded):
    band = fullest_band(recorded.networks)
    costs = [tried.macs for tried in band]
    assert max(costs) <= 1.05 * min(costs) and len(band) >= 5


# ---- the command ----------------------------------------------------------------------------------------


def test_the_command_prints_a_table_and_writes_csv_and_a_page(tmp_path, capsys):
    table, page = tmp_path / "x.csv", tmp_path / "x.html"
    assert command.main([str(ROADMAP), "--csv", str(table), "--plot", str(page)]) == 0
    out = capsys.readouterr().out
    assert "+0.38 [+0.03, +0.67]" in out and "on ImageNet +0.49 to +0.60" in out and "2404.08005" in out
    rows = list(csv.reader(table.open(encoding="utf-8")))
    assert len(set(COLUMNS)) == len(COLUMNS)  # as programs read them, by name
    assert tuple(rows[0]) == COLUMNS and len(rows) == 5 and rows[1][1] == "16"
    text = page.read_text(encoding="utf-8")
    assert "Plotly.newPlot" in text and "+0.38" in text


def test_json_has_everything_as_plain_values(capsys):
    assert command.main([str(ROADMAP), "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert round(found["agreements"][0]["tau"]["value"], 2) == 0.38
    assert len(found["networks"]) == 17 and found["signs"][0]["metric"] == "params"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ([ROADMAP, ROADMAP, ROADMAP], "one study or two, not 3"),
        ([ROADMAP, "--plot", "x.png"], "the name must end in .svg or .html"),
        ([ROADMAP, ROOT / "studies/default"], "has 2 networks in common with study default"),
        ([ROOT / "studies/default"], "has 2 networks in common with the published accuracies"),
        (["nope"], "nope"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(flags, words, capsys):
    try:
        code = command.main([str(flag) for flag in flags])
    except SystemExit as ended:  # of the command line
        code = ended.code
    assert code == 2
    told = capsys.readouterr()
    assert words in told.err and told.out == "" and "Traceback" not in told.err
    assert len(told.err.strip().splitlines()) <= 2


@pytest.mark.parametrize(
    "preset, studies", [("cpu", ["roadmap"]), ("photos", ["order/photos", "order/photos_b"])]
)
def test_the_packaged_card_is_what_the_recorded_studies_give(preset, studies, tmp_path, capsys):
    path = tmp_path / "card.yaml"
    for study in studies:
        assert command.main([str(ROOT / "studies" / study), "--card", str(path)]) == 0
    capsys.readouterr()
    packaged = ROOT / f"nas/proxies/cards/{preset}.yaml"
    assert path.read_text(encoding="utf-8") == packaged.read_text(encoding="utf-8")


def test_a_simulated_study_makes_no_card(recorded):
    mapping = {**recorded.mapping, "proxy": {**recorded.mapping["proxy"], "name": "simulated:rugged"}}
    simulated = Study(mapping, recorded.trials)
    with pytest.raises(InputError, match="was simulated, so its proxy has no card"):
        card_text(simulated, answer([simulated]))
