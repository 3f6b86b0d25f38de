"""The dashboard's views: their numbers against ones worked out by hand, and every odd study there is."""

import functools
import importlib
import json
import math
import time
from itertools import pairwise

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.page.picks import marked
from analysis.page.view import FAMILY_COLOURS, Figure, View
from analysis.points.printed import ROADMAP_T, roadmap
from analysis.views import common, curves, edf, plane, planes, progress, published, units
from analysis.views import roadmap as road
from nas.record.study import Study, read_study
from nas.search import main
from space.architecture import Architecture
from space.families import named
from space.networks import cost_of
from space.swin import named_swin

VIEWS = ("plane", "published", "roadmap", "curves", "progress", "edf")
TINY = named("convnext_tiny")
EPOCHS = 3
BAND = {"text": "4.5GFLOPs", "metric": "macs", "low": 4_275_000_000, "high": 4_500_000_000}
# a range of costs, which has a front
WIDE = {
    "budget": {"text": "1GFLOPs..9GFLOPs", "metric": "macs", "low": 1_000_000_000, "high": 9_000_000_000},
    "objective": "front",
}
HOSTILE = "</script><img src=x onerror=alert(1)><b>%{x}</b>"


@functools.cache
def plain(network):
    """What a record holds of a network, and its fingerprint."""
    counted = cost_of(network)
    costs = {"macs": counted.macs, "params": counted.params, "activations": counted.activations}
    return network.fingerprint, {"architecture": network.to_dict(), **costs}


def trial(number, accuracy=0.5, **fields):
    """One trial of a record; costs may be given, and are invented then."""
    fingerprint, known = plain(fields.pop("network", TINY))
    state = fields.get("state", "complete")
    fidelity = fields.get("fidelity", EPOCHS)
    reached = accuracy if accuracy is not None else 0.3
    curve = [{"epoch": e, "val_accuracy": reached * e / EPOCHS} for e in range(1, fidelity + 1)]
    return {
        "number": number, "state": state, "role": "candidate", "name": None,
        "fingerprint": f"{fingerprint}-{number}", **known,
        "seed": 0, "budget": BAND["text"], "driver": 0, "memo": {}, "of": None,
        "target": EPOCHS, "fidelity": fidelity, "full_fidelity": fidelity == EPOCHS,
        "paused": state == "paused",
        "accuracy": accuracy if state == "complete" else None, "curve": curve, "train_seconds": 10.0,
        "reason": None, "started": f"2026-11-22T10:{number % 60:02}:00.000+00:00",
        "ended": f"2026-11-22T10:{number % 60:02}:30.000+00:00" if state in ("complete", "failed") else None,
        **fields,
    }  # fmt: skip


def reference(number, accuracy, name="ConvNeXt-T", **fields):
    return trial(number, accuracy, role="reference", name=name, **fields)


def again(number, of, seed, accuracy, **fields):
    return trial(number, accuracy, role="confirmation", of=of, seed=seed, **fields)


def study(trials, name="one", **fields):
    proxy = {"name": "cpu", "fingerprint": "p", "data": "fractal", "epochs": EPOCHS, "resolution": 32}
    mapping = {
        "name": name, "budget": BAND, "objective": "best", "limits": {}, "space": {"name": "convnext"},
        "proxy": proxy, "data": {"spec": "fractal", "fingerprint": "d"}, "sampler": "random", "seed": 0,
        "scheduler": {"name": "none", "eta": 3, "levels": [EPOCHS]}, "wall_seconds": 60.0, "trials": trials,
    }  # fmt: skip
    return Study.from_dict({**mapping, **fields})


def other_plane(trials, name="other"):
    proxy = {"name": "gpu", "fingerprint": "q", "data": "cifar10:/data", "epochs": 50, "resolution": 64}
    return study(trials, name, proxy=proxy)


def confirmed():
    """Two candidates and a reference, with seeds 1 to 3 again; the best of the search is not the best."""
    trials = [reference(0, 0.50), trial(1, 0.70, macs=4_400_000_000), trial(2, 0.60, macs=4_300_000_000)]
    values = {0: (0.50, 0.52, 0.51), 1: (0.55, 0.54, 0.56), 2: (0.60, 0.63, 0.60)}
    for number, (of, by_seed) in enumerate(values.items()):
        trials += [again(3 + 3 * number + i, of, 1 + i, value) for i, value in enumerate(by_seed)]
    return study(trials)


def traces(view, figure):
    """Traces of a figure by their name, the number in brackets left out."""
    data = next(f for f in view.figures if f.name == figure).spec["data"]
    return {trace.get("name", str(i)).split(" (")[0]: trace for i, trace in enumerate(data)}


def table(view, name):
    """Rows of a table as mappings."""
    found = next(t for t in view.tables if t.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def layout(view, figure):
    return next(f for f in view.figures if f.name == figure).spec["layout"]


# ---- every view of every study --------------------------------------------------------------------------


def swins():
    swin = named_swin("swin_tiny")
    return study([reference(0, 0.5), reference(1, 0.48, "Swin-T", network=swin), trial(2, 0.6)])


def budgets():
    each = [{"text": f"{g}GFLOPs", "metric": "macs", "low": 950e6 * g, "high": 1e9 * g} for g in (1, 2)]
    whole = {"text": "1GFLOPs,2GFLOPs", "metric": "macs", "low": 950e6, "high": 2e9, "each": each}
    rows = [
        trial(i, 0.4 + 0.01 * i, macs=(1 + i % 2) * 990_000_000, budget=each[i % 2]["text"]) for i in range(8)
    ]
    return study(rows, "two budgets", budget=whole)


def measured(values, regime="t", **fields):
    """A study of named networks: name -> accuracies, one a seed."""
    rows = []
    for name, by_seed in values.items():
        first = len(rows)
        network = named_swin(name) if name.startswith("swin") else named(name)
        rows.append(reference(first, by_seed[0], name, network=network))
        rows += [again(first + i, first, i, value, name=name) for i, value in enumerate(by_seed) if i]
    return study(rows, "measured", objective="measure", sampler="none", **fields)


ODD = {
    "no trials": [study([])],
    "no candidate": [study([reference(0, 0.5)])],
    "one trial": [study([trial(0, 0.5)])],
    "no references": [study([trial(i, 0.4 + i / 20) for i in range(5)])],
    "failed only": [study([trial(i, None, state="failed", reason="memory", fidelity=0) for i in range(3)])],
    "paused only": [study([trial(i, state="paused", fidelity=1) for i in range(3)],
                          scheduler={"name": "asha", "eta": 3, "levels": [1, 3]})],
    "running": [study([trial(0, 0.5), trial(1, state="running", fidelity=1, ended=None),
                       trial(2, None, state="interrupted", fidelity=0, started=None)])],
    "confirmed": [confirmed()],
    "swin": [swins()],
    "budgets": [budgets()],
    "parameters": [study([reference(0, 0.5), trial(1, 0.6), trial(2, 0.55)],
                         budget={"text": "30Mparams", "metric": "params", "low": 28.5e6, "high": 30e6})],
    "activations": [study([trial(1, 0.6)],
                          budget={"text": "14M", "metric": "activations", "low": 13e6, "high": 14e6})],
    "no lower end": [study([trial(1, 0.6)], budget={**BAND, "low": None})],
    "two planes": [study([trial(0, 0.5), trial(1, 0.6)]), other_plane([trial(0, 0.9)])],
    "one plane": [study([trial(i, 0.4 + i / 50) for i in range(6)], f"study {j}") for j in range(7)],
    "one name": [study([trial(0, 0.5)]), study([trial(0, 0.6)])],
    "one empty": [study([]), other_plane([trial(0, 0.9)])],
    "hostile": [study([reference(0, 0.5, HOSTILE), trial(1, 0.6), trial(2, 0.5), trial(3, 0.55),
                       trial(4, None, state="failed", reason=HOSTILE)], HOSTILE)] * 2,
    "not numbers": [study([trial(0, math.nan), trial(1, 0.5, curve=[{"epoch": 1, "val_accuracy": math.nan}]),
                           trial(2, 0.5, curve=[{"epoch": 1}], train_seconds=None)])],
    "equal": [study([trial(i, 0.5) for i in range(8)])],
    "older": [read_study("studies/default_tpe")],
    "measured": [measured({f"roadmap_t_{i}": (0.5 + i / 100, 0.51 + i / 100) for i in range(1, 17)})],
}  # fmt: skip


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("studies", ODD.values(), ids=ODD)
def test_every_view_copes_with_every_study(name, studies):
    view = importlib.import_module(f"analysis.views.{name}").view(studies)
    assert view.key == name and view.title and view.lead
    assert bool(view.figures or view.tables) == (view.empty is None)
    assert len({one.name for one in view.figures}) == len(view.figures)
    assert len({one.name for one in view.tables}) == len(view.tables)
    for figure in view.figures:
        json.dumps(figure.spec, allow_nan=False)
        go.Figure(figure.spec)  # raises where plotly does not know a field
        assert figure.title and figure.alt.endswith(".")
        dumped = json.dumps(figure.spec)
        assert not any(text in dumped for text in (HOSTILE, "<img", "%{x}&lt;"))
        assert not {"paper_bgcolor", "plot_bgcolor", "font", "title"} & figure.spec["layout"].keys()
        for trace in figure.spec["data"]:
            assert trace["type"] in ("scatter", "bar")  # plotly's bundle in the page has no others
            check_points(trace, studies)
    for one in view.tables:
        json.dumps([list(row) for row in one.rows], allow_nan=False)
        assert all(len(row) == len(one.columns) for row in one.rows)


def check_points(trace, studies):
    """Points of networks say which study and trial they are of."""
    if "customdata" not in trace:
        return
    assert len(trace["customdata"]) == len(trace["x"]) == len(trace["y"])
    for point in filter(None, trace["customdata"]):
        index, number = point
        assert number in {t["number"] for t in studies[index].to_dict()["trials"]}


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A real search of two budgets under simulated training, with early stopping and fresh seeds."""
    folder = tmp_path_factory.mktemp("searches") / "sweep"
    flags = ["--proxy", "simulated:interacting", "--sampler", "random", "--confirm", "2x2"]
    flags += ["--budget", "0.6GFLOPs,2.4GFLOPs", "--scheduler", "asha", "--trials", "24"]
    assert main([*flags, "--study", str(folder)]) == 0
    return [read_study(folder)]


@pytest.mark.parametrize("name", VIEWS)
def test_views_of_real_searches(name, searched):
    test_every_view_copes_with_every_study(name, searched)


def test_ten_thousand_trials_are_light_and_quick():
    kinds = [{"state": "paused", "fidelity": 1}, {}, {}, {}]
    rows = [reference(0, 0.5)]
    rows += [
        trial(i, 0.3 + 0.4 * ((i * 7919) % 10_007) / 10_007, macs=4_275_000_000 + (i * 104_729) % 225_000_000,
              params=20_000_000 + (i * 1_299_709) % 20_000_000, **kinds[i % 4])
        for i in range(1, 10_000)
    ]  # fmt: skip
    rows += [again(10_000 + i, i, 1, 0.5) for i in range(1, 4)]
    large = study(rows, scheduler={"name": "asha", "eta": 3, "levels": [1, 3]})
    began, sizes = time.process_time(), {}
    for name in VIEWS:
        view = importlib.import_module(f"analysis.views.{name}").view([large])
        plain = [*(f.spec for f in view.figures), *(list(t.rows) for t in view.tables)]
        sizes[name] = len(json.dumps(plain, separators=(",", ":")))
    assert sizes["plane"] < 1_000_000 and sum(sizes.values()) < 2_000_000, sizes
    assert time.process_time() - began < 12  # a few seconds; the rest is for a busy machine


# ---- what views share -----------------------------------------------------------------------------------


def test_ticks_are_the_familiar_ones_where_there_is_room():
    assert units.ticks(0.5, 10, units.GFLOPS_TICKS) == [0.6, 1.2, 2.4, 4.5, 8.7]
    assert units.ticks(4.2, 4.55, units.GFLOPS_TICKS) == [4.2, 4.3, 4.4, 4.5]
    assert units.ticks(18, 420) == [20, 50, 100, 200]


@given(st.floats(1e-3, 1e5), st.floats(1.001, 1e4))
def test_ticks_are_few_inside_and_rising(low, ratio):
    high = low * ratio
    found = units.ticks(low, high, units.GFLOPS_TICKS)
    assert 1 <= len(found) <= 16
    assert all(low * (1 - 1e-4) <= tick <= high * (1 + 1e-4) for tick in found)
    assert all(a < b for a, b in pairwise(found))


@given(st.integers(1, 500), st.integers(1, 100))
def test_a_spread_sample_has_both_ends(count, most):
    found = common.spread_sample(count, most)
    assert len(found) <= max(most, 1) and found == sorted(set(found))
    assert found[0] == 0 and (found[-1] == count - 1 or most == 1)


def test_studies_are_gathered_by_what_their_accuracies_mean():
    studies = [study([]), other_plane([]), study([], "two")]
    found = planes.planes(studies)
    assert [[index for index, _, _ in plane.members] for plane in found] == [[0, 2], [1]]
    assert "cpu proxy" in planes.apart(studies)[0] and planes.apart(studies[:1]) == []
    assert planes.labels([study([]), study([]), study([], "two")]) == ["one (1)", "one (2)", "two"]


def test_a_band_is_drawn_at_data_values_and_named_networks_have_none():
    [shape] = common.band_shapes([BAND], "macs")
    assert (shape["x0"], shape["x1"]) == (4.275, 4.5)
    assert common.band_shapes([BAND], "params") == []
    assert planes.budgets(measured({"resnet50": (0.5,)})) == []


def test_families_of_networks_that_were_trained_by_name():
    known = {
        "convnext_tiny": "ConvNeXt",
        "Swin-T at width 72": "Swin",
        "resnet50": "ResNet",
        "roadmap_t_3": "roadmap",
    }
    for name, family in known.items():
        [tried] = study([reference(0, 0.5, name)]).networks
        assert tried.family == family
    assert study([trial(0)]).networks[0].family == "searched"


# ---- plane ----------------------------------------------------------------------------------------------


def test_a_range_has_one_front_by_fresh_means_where_there_are_such():
    searched_only = study([reference(0, 0.50), *confirmed().to_dict()["trials"][1:3]], **WIDE)
    line = traces(plane.view([searched_only]), "plane")["front"]
    assert (line["x"], line["y"], line["customdata"]) == ([4.3, 4.4], [60, 70], [[0, 2], [0, 1]])
    view = plane.view([study(confirmed().to_dict()["trials"], **WIDE)])
    line = traces(view, "plane")["front"]
    assert (line["x"], line["y"]) == ([4.3], [61])  # with fresh seeds trial 1 is at 55%
    dots = traces(view, "plane")["searched, fresh seeds"]
    assert dict(zip(dots["x"], dots["y"], strict=True)) == {4.4: 55, 4.3: 61}
    assert dots["error_y"]["array"] == [1, 2] and dots["error_y"]["arrayminus"] == [1, 1]
    assert "front" not in traces(view, "plane_params")
    assert [row["on the front"] for row in table(view, "plane")] == [False, False, True]


def test_a_narrow_budget_has_a_ranking_with_the_references_in_it():
    rows = [*confirmed().to_dict()["trials"], trial(20, 0.99)]
    view = plane.view([study(rows)])
    assert [figure.name for figure in view.figures] == ["ranking", "plane", "plane_params"]
    axis = layout(view, "ranking")["yaxis"]
    # what only its search saw stands below what has fresh seeds
    assert axis["ticktext"] == ["trial 2", "trial 1", "ConvNeXt-T", "trial 20"]
    assert "front" not in traces(view, "plane")


def test_what_one_training_decides_is_hollow_and_has_no_bar():
    view = plane.view([study([*confirmed().to_dict()["trials"], trial(20, 0.99)])])
    found = traces(view, "ranking")
    assert found["searched, one training"]["marker"]["symbol"] == "circle-open"
    assert "error_x" not in found["searched, one training"]
    assert found["searched, fresh seeds"]["marker"]["symbol"] == "circle"
    assert "winner's curse" in " ".join(view.notes)


def test_the_table_of_picks_has_an_interval_or_no_verdict():
    rows = table(plane.view([confirmed()]), "plane_picks")
    assert {(row["pick"], row["accuracy (%)"], row["fresh seeds"], row["less"]) for row in rows} == {
        ("trial 2", 61, 3, "ConvNeXt-T")
    }
    # paired differences 10, 11 and 9 points: mean 10, sd 1; one of two candidates was chosen: 97.5%
    reach = 100 * stats.t.ppf(1 - 0.05 / 4, 2) * 0.01 / math.sqrt(3)
    assert (rows[0]["low (95%)"], rows[0]["high (95%)"]) == (round(10 - reach, 1), round(10 + reach, 1))
    assert rows[0]["verdict"] == "better"
    unsure = table(plane.view([study([reference(0, 0.50), trial(1, 0.60)])]), "plane_picks")
    assert unsure[0]["low (95%)"] is None and unsure[0]["verdict"] == "no interval"


def test_probability_of_being_on_the_front():
    rows = {
        row["trial"]: row
        for row in table(plane.view([study(confirmed().to_dict()["trials"], **WIDE)]), "plane")
    }
    column = "probability of being on it"
    # trial 2 is the cheapest, so always on the front; the others are far below it
    assert rows[2][column] == 1 and rows[1][column] < 0.01 and rows[0][column] < 0.01
    assert rows[0]["fresh seeds"] == 3  # those of the candidates


def test_probability_is_even_between_equals_with_equal_and_unequal_seeds():
    for extra in ([], [again(8, 1, 4, 0.5)]):
        rows = [trial(1, 0.5, macs=4_300_000_000), trial(2, 0.5, macs=4_400_000_000)]
        rows += [again(2 * s + of, of, s, 0.5 + 0.01 * (s - 2)) for s in (1, 2, 3) for of in (1, 2)] + extra
        found = {r["trial"]: r for r in table(plane.view([study(rows, **WIDE)]), "plane")}
        assert found[1]["probability of being on it"] == 1
        assert 0.42 < found[2]["probability of being on it"] < 0.58


def test_probability_compares_networks_over_the_same_seeds():
    rows = [
        reference(0, 0.99),
        trial(1, 0.5, macs=4_300_000_000),
    ]  # the candidate's first seed does not count
    rows += [again(2, 0, 1, 0.40), again(3, 0, 2, 0.41), again(4, 1, 1, 0.50), again(5, 1, 2, 0.51)]
    found = {r["trial"]: r for r in table(plane.view([study(rows, **WIDE)]), "plane")}
    assert found[0]["probability of being on it"] < 0.05


def test_studies_of_one_plane_share_a_figure_and_of_two_do_not():
    one, two = study([trial(0, 0.5)], "a", **WIDE), study([trial(0, 0.6)], "b", **WIDE)
    view = plane.view([one, two, other_plane([trial(0, 0.9), trial(1, 0.8)])])
    names = ["plane", "plane_params", "ranking_2", "plane_2", "plane_params_2"]
    assert [f.name for f in view.figures] == names
    shared = traces(view, "plane")
    first, second = shared["searched, a, one training"], shared["searched, b, one training"]
    assert first["y"] == [50] and second["y"] == [60]
    assert first["marker"]["symbol"] != second["marker"]["symbol"]
    assert shared["front, a"]["line"]["dash"] != shared["front, b"]["line"]["dash"]
    assert traces(view, "plane_2")["searched, one training"]["y"] == [90, 80]
    assert "gpu proxy" in layout(view, "plane_2")["yaxis"]["title"]["text"]
    assert any("never drawn together" in note for note in view.notes)


def test_the_axis_is_of_the_budgets_cost():
    view = plane.view(ODD["parameters"])
    assert [f.name for f in view.figures] == ["ranking", "plane", "plane_macs"]
    assert layout(view, "plane")["xaxis"]["title"]["text"].startswith("parameters")
    assert layout(view, "plane")["shapes"][0]["x1"] == 30
    assert layout(view, "plane_macs")["shapes"] == []


def test_a_large_study_is_drawn_from_a_sample_but_its_front_is_whole(monkeypatch):
    monkeypatch.setattr(plane, "MOST_POINTS", 10)
    monkeypatch.setattr(plane, "MOST_ROWS", 20)
    rows = [trial(i, 0.3 + i / 1000, macs=4_300_000_000 + 1000 * i) for i in range(0, 200, 2)]
    rows += [trial(i, 0.2, macs=4_400_000_000 + i) for i in range(1, 100, 2)]
    view = plane.view([study(rows, **WIDE)])
    assert len(traces(view, "plane")["front"]["x"]) == 100
    assert 100 < len(traces(view, "plane")["searched, one training"]["x"]) <= 110
    assert any("10 of 150 candidates are drawn" in note for note in view.notes)


def test_named_networks_have_a_front_of_means_and_no_winners_curse():
    view = plane.view(
        [measured({"resnet50": (0.4, 0.5), "convnext_tiny": (0.6, 0.7), "swin_tiny": (0.5, 0.5)})]
    )
    groups = {f"{family}, fresh seeds" for family in ("ResNet", "ConvNeXt", "Swin")}
    assert set(traces(view, "plane")) == {*groups, "front"}
    assert traces(view, "plane")["ConvNeXt, fresh seeds"]["y"] == [65]
    assert "optimistic" not in " ".join(view.notes)


def test_names_stand_where_they_cover_the_fewest_points():
    crowd = [(x / 100, 0.55) for x in range(40, 61)]
    points = [(0.5, 0.5), (0.0, 0.0), (1.0, 1.0), *crowd]
    assert common.beside([(0.5, 0.5)], ["ConvNeXt-T"], points) == ["bottom center"]
    [side] = common.beside([(1.0, 1.0)], ["ConvNeXt-T at width 60"], points)
    assert side == "middle left"  # elsewhere it would leave the figure


# ---- published ------------------------------------------------------------------------------------------


def test_published_differences_at_equal_flops():
    rows = table(published.view([]), "published_differences")
    own = [r for r in rows if r["source of Swin"] == r["source of ConvNeXt"]]
    assert [(r["ConvNeXt"], r["difference (points)"]) for r in own] == [
        ("ConvNeXt-T", 0.8), ("ConvNeXt-S", 0.1), ("ConvNeXt-B", 0.3),
    ]  # fmt: skip
    assert [r["verdict on ConvNeXt"] for r in own] == ["better", "not distinguishable", "better"]
    others = [r["difference (points)"] for r in rows if r not in own]
    assert others == [0.9, -0.1, 0.3]  # Swin as its own repository prints it


def test_published_noise_is_that_of_table_ten_and_of_rounding():
    stds = [s.top1_std for s in roadmap(ROADMAP_T) if s.top1_std is not None]
    assert published.printed_noise() ** 2 == pytest.approx(sum(s * s for s in stds) / 16 + 0.01 / 12)
    assert len(stds) == 16


def test_published_laws_say_what_is_not_identified():
    view = published.view([])
    answers = {(r["family"], r["parameter"]): r["answer"] for r in table(view, "published_laws")}
    assert {answers["Swin", p] for p in "abc"} == {"not identified: 3 networks for 3 parameters"}
    assert "not identified" in answers["ConvNeXt", "c"] and "not identified" not in answers["ConvNeXt", "a"]
    assert "Swin, not identified" in view.lead


def test_published_laws_are_shaded_where_their_values_are_identified():
    shades = [trace for trace in published.view([]).figures[0].spec["data"] if trace.get("fill")]
    # three Swins are too few
    (convnext,) = [trace for trace in shades if trace["line"]["color"] == FAMILY_COLOURS["ConvNeXt"]]
    assert len(shades) == 1
    half = len(convnext["y"]) // 2
    high, low = convnext["y"][:half], convnext["y"][half:][::-1]
    assert all(0 < above - below < 2 for above, below in zip(high, low, strict=True))


def test_published_plane_has_one_source_and_no_study():
    view = published.view([confirmed()])
    assert view.figures == published.view([]).figures
    assert {r["source"] for r in table(view, "published")} == {"ConvNeXt paper Table 1"}
    convnext = traces(view, "published")["ConvNeXt"]
    assert list(zip(convnext["text"], convnext["x"], convnext["y"], strict=True)) == [
        ("ConvNeXt-T", 4.5, 82.1), ("ConvNeXt-S", 8.7, 83.1), ("ConvNeXt-B", 15.4, 83.8),
        ("ConvNeXt-L", 34.4, 84.3),
    ]  # fmt: skip


# ---- roadmap --------------------------------------------------------------------------------------------


def published_t():
    return {s.order: s.top1 for s in roadmap(ROADMAP_T) if 1 <= s.order <= 16}


def test_a_proxy_that_ranks_as_published():
    values = {f"roadmap_t_{i}": (top1 / 100, top1 / 100 + 0.01) for i, top1 in published_t().items()}
    view = road.view([measured(values)])
    [rank] = table(view, "roadmap_ranks")
    assert rank["steps"] == 16 and rank["Kendall tau"] == rank["Spearman rho"] == 1
    assert "Kendall tau +1.00" in view.lead and "more than by chance" in view.lead
    rows = {r["step"]: r for r in table(view, "roadmap") if r["regime"].endswith("T")}
    assert rows[4]["proxy top-1 (%)"] == pytest.approx(78.78) and rows[4]["seeds"] == 2
    assert rows[4]["standard error"] == pytest.approx(0.5)
    assert rows[0]["proxy top-1 (%)"] is None and rows[15]["counted GFLOPs"] == 4.15


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [(range(16), "more than by chance"), (range(0, -16, -1), "reversed"), ([8, 3, 12] * 6, "no relation")],
)
def test_rank_correlation_is_scipys_over_the_steps_that_were_measured(scores, verdict):
    # step 2 is not measured; the ends have the names of a search
    names = {1: "resnet50", 16: "convnext_tiny"}
    accuracy = {i: 0.5 + score / 100 for i, score in zip(range(1, 17), scores, strict=False) if i != 2}
    view = road.view([measured({names.get(i, f"roadmap_t_{i}"): (a,) for i, a in accuracy.items()})])
    [rank] = table(view, "roadmap_ranks")
    both = [list(accuracy.values()), [published_t()[i] for i in accuracy]]
    assert rank["steps"] == 15
    assert rank["Kendall tau"] == pytest.approx(stats.kendalltau(*both)[0], abs=1e-3)
    assert rank["Spearman rho"] == pytest.approx(stats.spearmanr(*both)[0], abs=1e-3)
    assert rank["Kendall tau"] - 0.6 < rank["low of tau (90%)"] < rank["Kendall tau"] and verdict in view.lead


def test_steps_of_the_roadmap_are_found_by_name_and_by_network():
    def step(name, network, regime="t"):
        [tried] = study([reference(0, 0.5, name, network=network)]).networks
        return road.step_of(tried, regime)

    assert step("roadmap_t_0", named("resnet50")) == step("ResNet-50", named("resnet50")) == 1
    assert step("roadmap_b_5", named("roadmap_b_5")) is None and step("roadmap_b_5", TINY, "b") == 5
    assert (
        step("Swin-T", named_swin("swin_tiny")) == 17
        and step("swin_base", named_swin("swin_base"), "b") == 17
    )
    assert step("Swin-T at width 72", named_swin("swin_tiny")) is None
    assert (
        step("ConvNeXt-T", TINY) == 16
        and step("ConvNeXt-T at width 34", Architecture.convnext([1], [8])) is None
    )
    assert step("roadmap_t_99", TINY) is None
    [mine] = study(
        [
            reference(
                0, 0.5, "mine", network=named("roadmap_t_7"), fingerprint=named("roadmap_t_7").fingerprint
            )
        ]
    ).networks
    assert road.step_of(mine, "t") == 7


def test_roadmap_figure_has_both_columns_and_swin_across():
    values = {f"roadmap_t_{i}": (0.5 + i / 100,) for i in range(1, 17)} | {"swin_tiny": (0.6,)}
    view = road.view([measured(values)])
    assert [f.name for f in view.figures] == ["roadmap_t", "roadmap_b"]
    bars, proxy, dots = next(f for f in view.figures if f.name == "roadmap_t").spec["data"]
    assert bars["x"][0] == 76.13 and bars["x"][-1] == 81.97 and len(bars["x"]) == 17
    assert (
        bars["y"][15] == "15  bn to ln<br>4.46 G*"
        and bars["y"][0] == "0  resnet<br>4.09 G"
        and bars["error_x"]["array"][0] == 0
    )
    assert proxy["xaxis"] == "x2" and proxy["x"][0] == 51 and len(proxy["x"]) == 16 == len(dots["x"])
    assert [shape["x0"] for shape in layout(view, "roadmap_t")["shapes"]] == [81.3, 60]
    assert table(view, "roadmap_ranks")[0]["steps"] == 16  # Swin is none of them
    assert "ImageNet" in layout(view, "roadmap_t")["xaxis"]["title"]["text"]
    assert "cpu proxy" in layout(view, "roadmap_t")["xaxis2"]["title"]["text"]
    assert len(next(f for f in view.figures if f.name == "roadmap_b").spec["data"]) == 1


def test_studies_of_one_plane_share_a_road_and_each_step_says_whose_it_is():
    steps = measured({f"roadmap_t_{i}": (0.5 + i / 100,) for i in range(1, 17)})
    search = study([reference(0, 0.5, seed=7), trial(1, 0.6)], "search")  # its ConvNeXt-T is step 16
    rows = {r["step"]: r for r in table(road.view([steps, search]), "roadmap") if r["regime"].endswith("T")}
    assert (rows[15]["study"], rows[15]["seeds"]) == ("measured", 1)
    assert (rows[16]["study"], rows[16]["seeds"]) == ("measured, search", 2)
    assert rows[16]["proxy top-1 (%)"] == pytest.approx((66 + 50) / 2)


def test_roadmaps_of_two_planes_have_a_figure_each():
    values = {f"roadmap_t_{i}": (0.5 + i / 100,) for i in range(1, 5)}
    proxy = {"name": "gpu", "fingerprint": "q", "data": "cifar10", "epochs": EPOCHS}
    view = road.view([measured(values), measured(values, proxy=proxy)])
    assert [f.name for f in view.figures] == ["roadmap_t", "roadmap_t_2", "roadmap_b"]
    assert len(table(view, "roadmap_ranks")) == 2


def test_without_a_measurement_the_roadmap_is_the_published_one():
    assert road.view([confirmed()]).empty
    view = road.view()
    assert "+3.15 points at 4.49 GFLOPs" in view.lead and "+0.67 to Swin-T" in view.lead
    assert [t.name for t in view.tables] == ["roadmap"]


# ---- curves ---------------------------------------------------------------------------------------------


def test_curves_of_a_group_are_one_trace_with_gaps():
    rows = [trial(i, 0.3 + i / 10) for i in range(4)] + [reference(4, 0.6)]
    view = curves.view([study(rows)])
    best, rest = traces(view, "curves")["best"], traces(view, "curves")["trained in full"]
    assert best["x"] == [1, 2, 3] and best["y"] == [20, 40, 60]
    assert rest["x"] == [1, 2, 3, None, 1, 2, 3, None, 1, 2, 3]
    assert rest["customdata"][:4] == [[0, 0], [0, 0], [0, 0], None]
    assert traces(view, "curves")["reference ConvNeXt"]["y"][-1] == 60


def test_losses_have_folded_figures_where_they_were_recorded():
    rows = [trial(i, 0.3 + i / 10) for i in range(3)]
    assert [figure.name for figure in curves.view([study(rows)]).figures] == ["curves"]
    for epoch in rows[1]["curve"]:
        epoch["train_loss"] = 2.0 / epoch["epoch"]
    accuracy, loss = curves.view([study(rows)]).figures
    assert not accuracy.folded and loss.folded and loss.title == "Training loss by epoch"
    [line] = loss.spec["data"]
    assert (line["x"], line["y"]) == ([1, 2, 3], [2, 1, 0.6667])


def test_rungs_and_what_ended_early_are_marked():
    rows = [
        trial(0, 0.6),
        trial(1, 0.3, state="paused", fidelity=1),
        trial(2, None, state="failed", fidelity=2),
    ]
    view = curves.view([study(rows, scheduler={"name": "asha", "eta": 3, "levels": [1, 3]})])
    assert [shape["x0"] for shape in layout(view, "curves")["shapes"]] == [1]
    assert [note["text"] for note in layout(view, "curves")["annotations"]] == ["rung 1"]
    data = view.figures[0].spec["data"]
    marks = {t["name"]: (t["x"], t["marker"]["symbol"]) for t in data if t["mode"] == "markers"}
    assert marks == {"paused": ([1], "circle-open"), "failed": ([2], "x")}
    assert layout(curves.view([study(rows)]), "curves")["shapes"] == []  # nothing stops early there


def test_of_many_curves_a_few_hundred_are_drawn():
    rows = [trial(i, 0.3 + (i * 37 % 1000) / 2000) for i in range(1000)] + [reference(1000, 0.5)]
    view = curves.view([study(rows)])
    groups = traces(view, "curves")
    drawn = sum(trace["x"].count(None) + 1 for trace in groups.values())
    assert drawn == curves.MOST_LINES
    assert max(groups["best"]["y"][2::4]) == pytest.approx(100 * max(t["accuracy"] for t in rows), abs=0.01)
    assert any("300 of 1,001 curves" in note for note in view.notes)


def test_how_early_ranks_settle():
    # after epoch 1 the order is reversed, after epoch 2 it is the final one
    rows = [
        trial(i, 0.3 + i / 100, curve=[{"epoch": e, "val_accuracy": v} for e, v in
                                       ((1, 0.3 - i / 100), (2, 0.3 + i / 200), (3, 0.3 + i / 100))])
        for i in range(10)
    ]  # fmt: skip
    view = curves.view([study(rows)])
    assert {r["epoch"]: (r["Kendall tau"], r["Spearman rho"]) for r in table(view, "curves")} == {
        1: (-1, -1),
        2: (1, 1),
    }
    assert "After epoch 1 of 3" in view.lead and "tau -1.00" in view.lead


# ---- progress -------------------------------------------------------------------------------------------


def test_best_so_far_by_trials_and_by_epochs():
    rows = [
        reference(0, 0.55), trial(1, 0.4), trial(2, 0.9, state="paused", fidelity=1), trial(3, 0.6),
        trial(4, 0.5), again(5, 3, 1, 0.99),
    ]  # fmt: skip
    view = progress.view([study(rows)])
    steps = traces(view, "progress_trials")["best so far"]
    assert (steps["x"], steps["y"]) == ([1, 3, 4], [40, 60, 60])
    steps = traces(view, "progress_epochs")["best so far"]
    assert (steps["x"], steps["y"]) == ([6, 10, 13], [40, 60, 60])  # the paused trial's epoch counts
    line = traces(view, "progress_trials")["ConvNeXt-T"]  # from its training on, as the mark of its family
    assert (line["x"], line["y"]) == ([0, 4], [55, 55]) and line["marker"]["symbol"] == "diamond-open"
    [row] = table(view, "progress")
    assert (row["complete"], row["paused"], row["epochs trained"], row["reached at trial"]) == (4, 1, 16, 3)
    assert row["trainings of further seeds"] == 1 and row["best in the search (%)"] == 60


def test_a_recommended_reference_is_marked_in_the_progress_too():
    view = marked(progress.view([study([reference(0, 0.7), trial(1, 0.4)])]), {(0, 0)})
    star = traces(view, "progress_trials")["the pick"]
    assert (star["x"], star["y"]) == ([0], [70])


def test_a_network_that_is_a_mark_a_seed_is_starred_at_their_mean():
    dots = {
        "type": "scatter",
        "mode": "markers",
        "x": [60, 63, 72],
        "y": ["a"] * 3,
        "customdata": [[0, 1]] * 3,
    }
    [figure] = marked(View("v", "", "", [Figure("f", "", {"data": [dots]}, "")]), {(0, 1)}).figures
    assert (figure.spec["data"][-1]["x"], figure.spec["data"][-1]["y"]) == ([65], ["a"])


def test_of_a_rehearsal_no_time_of_training_is_told():
    rows = [trial(1, 0.4), trial(2, 0.5)]
    assert "of training" in progress.view([study(rows)]).lead
    proxy = {**study(rows).mapping["proxy"], "name": "simulated:rugged"}
    rehearsed = study(rows, proxy=proxy)
    assert "of training" not in progress.view([rehearsed]).lead
    assert rehearsed.conditions == "simulated:rugged proxy, 3 epochs, 32 px"


def test_each_budget_has_its_own_best_so_far():
    view = progress.view([budgets()])
    one, two = (traces(view, "progress_trials")[f"best so far, {g}GFLOPs"] for g in (1, 2))
    assert (one["x"], one["y"]) == ([0, 2, 4, 6, 6], [40, 42, 44, 46, 46])
    assert two["x"] == [1, 3, 5, 7, 7] and one["line"]["color"] != two["line"]["color"]


def test_progress_of_a_front_is_its_mean_accuracy_over_the_budget():
    band = {"text": "1GFLOPs..4GFLOPs", "metric": "macs", "low": 1_000_000_000, "high": 4_000_000_000}
    rows = [
        trial(0, 0.6, macs=2_000_000_000),
        trial(1, 0.4, macs=1_000_000_000),
        trial(2, 0.5, macs=3_000_000_000),
    ]
    view = progress.view([study(rows, budget=band, objective="front")])
    steps = traces(view, "progress_front")["one"]
    # 60% over one doubling of two; then 40% over the other one as well; trial 2 adds nothing
    assert steps["x"] == [0, 1, 2] and steps["y"] == pytest.approx([30, 50, 50])
    assert "progress_front" not in {f.name for f in progress.view([study(rows)]).figures}


def test_failures_are_grouped_by_reason():
    reasons = ["loss became NaN in epoch 4", "loss became NaN in epoch 7", "out of memory", None]
    rows = [trial(i, None, state="failed", fidelity=0, reason=r) for i, r in enumerate(reasons)]
    found = table(progress.view([study(rows)]), "failures")
    assert [(r["failures"], r["reason (of the first)"], r["trials"]) for r in found] == [
        (2, "loss became NaN in epoch 4", "0, 1"), (1, "out of memory", "2"), (1, "no reason given", "3"),
    ]  # fmt: skip


def test_pace_is_trainings_a_minute():
    rows = [trial(i, 0.5) for i in range(10)]  # one a minute, the first ends after half a minute
    view = progress.view([study(rows)])
    pace = traces(view, "progress_pace")["one"]
    assert sum(
        y * (b - a) for y, (a, b) in zip(pace["y"], pairwise(pace["x"]), strict=False)
    ) == pytest.approx(10, rel=0.01)
    assert table(view, "progress")[0]["trials a minute"] == pytest.approx(10 / 9.5, rel=0.01)


def test_a_running_study_has_progress():
    view = progress.view(ODD["running"])
    assert "3 trials (1 complete, 1 running and 1 interrupted)" in view.lead
    assert progress.view([study([])]).empty


# ---- edf ------------------------------------------------------------------------------------------------


def test_distribution_of_errors_and_of_the_best_of_n():
    accuracies = (0.5, 0.6, 0.7, 0.8, 0.6, 0.5, 0.7, 0.8)
    view = edf.view([study([trial(i, a) for i, a in enumerate(accuracies)] + [reference(9, 0.99)])])
    curve = traces(view, "edf")["one"]
    assert curve["x"] == [20, 20, 20, 30, 30, 40, 40, 50, 50]
    assert curve["y"] == [0, 0.25, 0.25, 0.5, 0.5, 0.75, 0.75, 1, 1]
    best = next(t for t in view.figures[1].spec["data"] if "name" in t)
    # of two draws with replacement: the least of them is 20, 30, 40, 50 with chances 7, 5, 3 and 1 in 16
    assert best["x"] == [1, 2] and best["y"] == [35, 28.75]
    ribbon = view.figures[1].spec["data"][0]
    assert ribbon["fill"] == "toself" and min(ribbon["y"]) < 28.75 < max(ribbon["y"])
    [row] = table(view, "edf")
    assert (row["networks"], row["best error (%)"], row["median error (%)"], row["n"]) == (8, 20, 35, 2)


def test_errors_are_those_that_the_search_saw():
    rows = [trial(i, a) for i, a in enumerate((0.5, 0.6, 0.7))] + [again(3, 2, 1, 0.1)]
    assert traces(edf.view([study(rows)]), "edf")["one"]["x"] == [30, 30, 40, 50]


def test_searches_are_not_compared_as_design_spaces():
    rows = [trial(i, 0.5 + i / 100) for i in range(8)]
    found = edf.view([study(rows, "a"), study(rows, "b", sampler="surrogate")]).lead
    assert "what the searches trained in full" in found and "design spaces" not in found


def test_what_the_distribution_is_of_is_said():
    rows = [trial(i, 0.5 + i / 50) for i in range(8)] + [trial(9, None, state="failed", fidelity=0)]
    uniform = " ".join(edf.view([study(rows)]).notes)
    few = edf.view([study(rows[:4])])  # the best of one is not drawn, nor its band spoken of
    assert [figure.name for figure in few.figures] == ["edf"] and "Band" not in " ".join(few.notes)
    assert "Band" in uniform
    assert "Not a uniform sample" not in uniform and "no part in it: 1" in uniform
    assert "Not a uniform sample: one" in " ".join(edf.view([study(rows, sampler="surrogate")]).notes)
    stopped = study(rows, scheduler={"name": "asha", "levels": [1, 3]})
    assert "survivors" in " ".join(edf.view([stopped]).notes)
    assert "strata" in " ".join(edf.view([study(rows, objective="front")]).notes)


def test_each_budget_has_its_own_distribution():
    view = edf.view([budgets()])
    assert [(r["budget"], r["networks"]) for r in table(view, "edf")] == [("1GFLOPs", 4), ("2GFLOPs", 4)]
    assert len(view.figures) == 1  # a quarter of four networks is one: no curve of the best of n
    assert all(t.name != "edf_compared" for t in view.tables)


@pytest.mark.parametrize(
    ("shift", "verdict"), [(0.1, "better"), (-0.1, "worse"), (0.0, "not distinguishable")]
)
def test_studies_of_one_budget_are_compared(shift, verdict):
    rows = [trial(i, 0.5 + (i * 7 % 40) / 400) for i in range(40)]
    moved = [trial(i, 0.5 + shift + (i * 11 % 40) / 400) for i in range(40)]
    view = edf.view([study(moved, "a"), study(rows, "b")])
    [row] = table(view, "edf_compared")
    assert row["verdict on a"] == row["verdict on a (mean)"] == verdict
    assert row["mean: a better by (points)"] == pytest.approx(100 * shift)
    assert row["low"] <= row["best of n: a better by (points)"] <= row["high"]
    assert (
        f"a less b (4.5GFLOPs; design spaces): {100 * shift:+.1f} points" in view.lead
        and verdict in view.lead
    )


def test_studies_of_two_planes_or_budgets_are_not_compared():
    rows = [trial(i, 0.5 + i / 100) for i in range(8)]
    view = edf.view([study(rows), other_plane(rows)])
    assert [f.name for f in view.figures] == ["edf", "best_of", "edf_2", "best_of_2"]
    assert all(t.name != "edf_compared" for t in view.tables)


def test_too_few_networks_have_no_distribution():
    assert "Fewer than 3" in edf.view([study([trial(0, 0.5), trial(1, 0.6)])]).empty
