"""The views of scaling and of the best shapes: every kind of study gives a page, and no empty claim."""

import json
import time

import pytest

from analysis.page.view import View
from analysis.views import isoflop, plane, scaling
from nas.record.study import Study
from tests.analysis.isoflop.test_profiles import sweep_of
from tests.analysis.sample_study import sample_study

SWEEP = "0.6GFLOPs,1.2GFLOPs,2.4GFLOPs,4.5GFLOPs"
VIEWS = (scaling, isoflop)


@pytest.fixture(scope="module")
def sweep():
    return sweep_of(SWEEP, 40, repeats=3)


def changed(study, **values):
    return Study.from_dict({**study.to_dict(), **values})


def with_references(study):
    """The study with a ConvNeXt and a Swin at every budget."""
    trials = list(study.to_dict()["trials"])
    for i, gigas in enumerate((0.58, 1.17, 2.34, 4.4)):
        for name, accuracy in (("ConvNeXt-T at width 40", 0.55), ("Swin-T at width 40", 0.5)):
            like = trials[0]
            swin = {"architecture": {"family": "swin", "width": 40, "depths": [2, 2, 6, 2]}}
            trials.append(
                {
                    **like,
                    **(swin if name.startswith("Swin") else {}),
                    "number": len(trials),
                    "role": "reference",
                    "name": name,
                    "macs": int(gigas * 1e9),
                    "fingerprint": f"{name} {i}",
                    "seed": 0,
                    "accuracy": accuracy + 0.02 * i,
                    "of": None,
                }
            )
    return changed(study, trials=trials)


def checked(view):
    """A view as a page takes it: plain values, tables with as many cells as columns."""
    assert isinstance(view, View)
    for figure in view.figures:
        assert figure.alt and figure.title
        json.dumps(figure.spec, allow_nan=False)
        for trace in figure.spec["data"]:
            assert len(trace["x"]) == len(trace["y"])
            if "customdata" in trace:
                assert len(trace["customdata"]) == len(trace["x"])
    for table in view.tables:
        json.dumps(list(table.rows), allow_nan=False)
        assert all(len(row) == len(table.columns) for row in table.rows)
    assert view.lead and (view.empty is None) == bool(view.figures)
    return view


def table(view, name):
    (found,) = (one for one in view.tables if one.name == name)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


def names(figure):
    return [trace.get("name") for trace in figure.spec["data"]]


def test_the_law_of_a_sweep_with_references(sweep):
    view = checked(scaling.view([with_references(sweep)]))
    (figure,) = view.figures
    assert {"searched", "ConvNeXt", "Swin"} <= set(names(figure))
    rows = table(view, "scaling_laws")
    for row in rows:
        assert (row["value"] is None) == bool(row["not identified because"])
    points = table(view, "scaling_points")
    assert sum(row["series"] == "searched" for row in points) == 12
    assert {row["values"] for row in points if row["series"] == "searched"} == {"fresh seeds"}
    assert sum(row["series"] == "Swin" for row in points) == 4
    assert any("extrapolation" in note for note in view.notes)


def test_beyond_the_data_a_law_is_dashed(sweep):
    (figure,) = scaling.view([sweep]).figures
    lines = {t["name"]: t for t in figure.spec["data"] if t.get("mode") == "lines" and t.get("name")}
    inside, beyond = lines["searched: law"], lines["searched: extrapolated"]
    assert inside["line"]["dash"] == "solid" and beyond["line"]["dash"] == "dash"
    assert inside["x"][-1] == beyond["x"][0] and beyond["x"][-1] > 2 * inside["x"][-1]


def test_the_plane_shades_the_laws_that_are_identified_alone(sweep):
    trials = list(sweep.to_dict()["trials"])
    for i, gigas in enumerate((0.6, 0.9, 1.3, 2, 3, 4.4)):
        error = (15 + 10 / gigas**0.7) / 100 + 0.0003 * (-1) ** i
        named = {"role": "reference", "name": f"ConvNeXt-T at width {i}", "fingerprint": str(i)}
        costs = {"number": len(trials), "macs": int(gigas * 1e9), "accuracy": 1 - error}
        trials.append({**trials[0], **named, **costs})
    view = checked(plane.view([changed(sweep, trials=trials)]))
    figure = next(figure for figure in view.figures if figure.name == "plane")
    (band,) = [trace for trace in figure.spec["data"] if trace.get("fill") == "toself"]
    assert "law, ConvNeXt" in names(figure) and "law, searched" not in names(figure)
    # the legend's entry of the law hides both; the band is around what was measured
    assert band["legendgroup"] == "law, ConvNeXt" and min(band["x"]) == 0.6 and max(band["x"]) == 4.4
    assert 70 < min(band["y"]) < 70.8 and 81.4 < max(band["y"]) < 82
    assert any("shaded" in note for note in view.notes)
    assert not any("fill" in trace for one in plane.view([sweep]).figures for trace in one.spec["data"])


def test_search_values_are_said_to_be_optimistic():
    view = checked(scaling.view([sweep_of(SWEEP, 10)]))
    assert any("Search values are optimistic" in note for note in view.notes)
    assert len(table(view, "scaling_points")) == 4


def test_studies_of_one_plane_share_a_figure_and_those_of_two_do_not(sweep):
    other = changed(sweep, name="<other>")
    together = checked(scaling.view([sweep, other]))
    assert len(together.figures) == 1
    text = json.dumps(together.figures[0].spec)
    assert "<other>" not in text and "&lt;other&gt;" in text
    indices = {t["customdata"][0][0] for t in together.figures[0].spec["data"] if "customdata" in t}
    assert indices == {0, 1}
    proxy = {**sweep.mapping["proxy"], "fingerprint": "another"}
    apart = checked(scaling.view([sweep, changed(sweep, name="else", proxy=proxy)]))
    assert len(apart.figures) == 2
    assert any("never drawn together" in note for note in apart.notes)


def test_the_shapes_of_a_sweep(sweep):
    view = checked(isoflop.view([sweep]))
    assert [figure.name for figure in view.figures] == ["isoflop", "isoflop_optima"]
    assert "depth (blocks)" in view.lead
    rows = table(view, "isoflop_optima")
    assert len(rows) == 5 * 4
    for row in rows:
        assert (row["optimum"] is None) == bool(row["not identified because"])
        if row["optimum"] is not None:
            assert row["low"] <= row["optimum"] <= row["high"] <= 3 * row["low"] * 1.001
    laws = {row["dimension"]: row for row in table(view, "isoflop_laws")}
    assert laws["depth (blocks)"]["low"] - 0.05 <= 1 / 3 <= laws["depth (blocks)"]["high"] + 0.05
    optima = view.figures[1].spec
    texts = [one["text"] for one in optima["layout"]["annotations"]]
    assert any(text.startswith("exponent 0.") for text in texts) and "exponent not identified" in texts
    drawn = sum(trace.get("name") == "power law" for trace in optima["data"])
    assert drawn == sum(row["exponent"] is not None for row in laws.values())


def test_panels_do_not_overlap(sweep):
    layout = isoflop.view([sweep]).figures[0].spec["layout"]
    boxes = []
    for i in range(5):
        suffix = "" if i == 0 else str(i + 1)
        boxes.append((*layout[f"xaxis{suffix}"]["domain"], *layout[f"yaxis{suffix}"]["domain"]))
    for i, (left, right, low, high) in enumerate(boxes):
        assert 0 <= left < right <= 1 and 0 <= low < high <= 1
        for other in boxes[:i]:
            apart = right <= other[0] or other[1] <= left or high <= other[2] or other[3] <= low
            assert apart


def test_one_budget_has_optima_but_no_law():
    view = checked(isoflop.view([sweep_of("1.2GFLOPs", 40)]))
    assert [figure.name for figure in view.figures] == ["isoflop"]
    assert "One budget says nothing of how the best moves" in view.lead
    assert not table(view, "isoflop_laws")
    single = checked(scaling.view([sweep_of("1.2GFLOPs", 40)]))
    assert "No law" in (single.empty or "")


@pytest.mark.parametrize("module", VIEWS)
@pytest.mark.parametrize("kind", ["nothing", "one trial", "only references", "failed", "paused", "params"])
def test_every_kind_of_study_gives_a_view(module, kind, sweep):
    trials = sweep.to_dict()["trials"]
    studies = {
        "nothing": lambda: changed(sweep, trials=[]),
        "one trial": lambda: changed(sweep, trials=trials[:1]),
        "only references": lambda: changed(
            sweep, trials=[{**t, "role": "reference", "name": "ConvNeXt-T at width 40"} for t in trials[:1]]
        ),
        "failed": lambda: changed(
            sweep, trials=[{**t, "state": "failed", "accuracy": None} for t in trials[:9]]
        ),
        "paused": lambda: changed(sweep, trials=[{**t, "full_fidelity": False} for t in trials[:9]]),
        "params": lambda: sweep_of("5Mparams,20Mparams", 12),
    }
    view = checked(module.view([studies[kind]()]))
    if kind in ("nothing", "failed", "paused"):
        assert view.empty


@pytest.mark.parametrize("module", VIEWS)
def test_an_old_record_and_a_new_one_together(module, sweep):
    view = checked(module.view([Study.from_dict({**sample_study(), "data": {}}), sweep]))
    assert view.figures


def test_ten_thousand_networks_stay_a_page(sweep):
    trials = [t for t in sweep.to_dict()["trials"] if t["role"] == "candidate"]
    many = [
        {**t, "number": i, "fingerprint": str(i), "accuracy": t["accuracy"] + 1e-3 * (i % 7)}
        for i, t in enumerate(trials * (10_000 // len(trials)))
    ]
    large = changed(sweep, trials=many)
    for module in VIEWS:
        start = time.process_time()
        view = checked(module.view([large]))
        assert time.process_time() - start < 15  # a hundred times what the arithmetic takes
        assert sum(len(json.dumps(figure.spec)) for figure in view.figures) < 400_000
        assert module is scaling or any("drawn at random are looked at" in note for note in view.notes)
