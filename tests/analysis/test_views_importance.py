"""The views of importance and of parallel coordinates on studies of every kind, and in a real browser."""

import json
import shutil

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis.study import Study
from analysis.views import importance, parallel
from space.design_space import load_space
from tests.analysis.sample_study import sample_study, trial

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def mapping_of(count, *, seed=0, name="made", epochs=None, **fields):
    """A made-up study of drawn networks whose accuracy follows the mean kernel size and the norm."""
    rng = np.random.default_rng(seed)
    rows = []
    for i, network in enumerate(load_space("convnext").sample(count, seed)):
        kernel = np.mean([stage.kernel_size for stage in network.stages])
        accuracy = 0.4 + 0.03 * kernel + 0.05 * (network.norm == "layer") + 0.01 * rng.normal()
        rows.append(trial(i, network, float(accuracy)) | {"curve": []})
    proxy = sample_study()["proxy"]
    if epochs:
        proxy = proxy | {"epochs": epochs}
    data = {"fingerprint": "fractal"}
    made = {"name": name, "trials": rows, "proxy": proxy, "data": data, "sampler": "random"}
    return sample_study() | made | fields


def study_of(count, **fields):
    return Study(mapping_of(count, **fields))


def check(view):
    """What the page relies on: plain finite JSON, unique names, rows as wide as their columns."""
    for figure in view.figures:
        text = json.dumps(figure.spec, allow_nan=False)
        go.Figure(json.loads(text))  # plotly's own check of every field
        assert "template" not in figure.spec["layout"]
        assert figure.alt
    for one in (view.figures, view.tables):
        names = [item.name for item in one]
        assert len(set(names)) == len(names)
    for table in view.tables:
        assert all(len(row) == len(table.columns) for row in table.rows)
        json.dumps(table.rows, allow_nan=False)
    assert view.empty or (view.lead and view.figures and view.tables)
    return view


# ---- importance -----------------------------------------------------------------------------------------


def test_importance_says_what_matters_and_shows_it():
    view = check(importance.view([study_of(80)]))
    assert "what matters is kernel size" in view.lead
    assert "kernel size: best at" in view.lead
    names = [figure.name for figure in view.figures]
    assert names[0] == "importance-permutation"
    assert names[-2:] == ["importance-effects", "importance-dependence"]
    bars = view.figures[0].spec["data"]
    assert bars[0]["name"] == "matters"
    assert bars[0]["y"][0] == "kernel size"
    table = next(t for t in view.tables if t.name == "importance-effects")
    kernel = [row for row in table.rows if row[0] == "kernel size"]
    assert [row[4] for row in kernel] == sorted(row[4] for row in kernel)  # more is better, bin by bin
    assert sum(row[2] for row in kernel) == 80


def test_few_networks_or_none_are_said_to_be_too_few():
    few = check(importance.view([study_of(9)]))
    assert "9 networks trained in full; importance needs 20" in few.empty
    nothing = study_of(3)
    for one in nothing.mapping["trials"]:
        one.update(state="failed", accuracy=None, reason="out of memory")
    assert check(importance.view([Study(nothing.mapping)])).empty
    assert check(importance.view([])).empty


def test_planes_have_figures_of_their_own():
    view = check(importance.view([study_of(40, name="one"), study_of(40, name="two", epochs=9)]))
    names = [figure.name for figure in view.figures]
    assert {"importance-permutation", "importance-permutation_2"} <= set(names)
    assert "one:" in view.lead
    assert "two:" in view.lead
    assert any("never drawn together" in note for note in view.notes)


def test_studies_of_one_plane_are_pooled():
    view = check(importance.view([study_of(30), study_of(30, seed=1, name="again")]))
    assert "axes of 60 networks" in view.lead


# ---- parallel coordinates -------------------------------------------------------------------------------


def test_every_network_is_a_line_through_its_axes():
    study = study_of(50)
    view = check(parallel.view([study]))
    trace = view.figures[0].spec["data"][0]
    assert {len(dimension["values"]) for dimension in trace["dimensions"]} == {50}
    norm = next(d for d in trace["dimensions"] if d["label"] == "norm")
    assert norm["ticktext"] == ["batch", "group", "layer", "rms"]
    assert norm["tickvals"] == [0, 1, 2, 3]
    assert trace["line"]["color"] == trace["dimensions"][-1]["values"] == sorted(trace["line"]["color"])
    table = next(t for t in view.tables if t.name == "parallel")
    assert len(table.rows) == 50
    best = max(study.networks, key=lambda tried: tried.accuracy)
    assert table.rows[0][1] == best.trial


def test_logarithmic_axes_have_ticks_at_values():
    trace = parallel.view([study_of(50)]).figures[0].spec["data"][0]
    width = next(d for d in trace["dimensions"] if d["label"] == "base width")
    for at, text in zip(width["tickvals"], width["ticktext"], strict=True):
        assert 10**at == pytest.approx(float(text), rel=0.01)
    low, high = min(width["values"]), max(width["values"])
    assert all(low - 1e-3 <= at <= high + 1e-3 for at in width["tickvals"])


def test_names_cannot_be_markup():
    one = mapping_of(30, name="<b>bold</b>")
    one["trials"][0] |= {"role": "reference", "name": "<img src=x>"}
    two = mapping_of(30, seed=1, name="other")
    text = json.dumps([figure.spec for figure in check(parallel.view([Study(one), Study(two)])).figures])
    assert "&lt;b&gt;bold" in text
    assert "<b>bold" not in text


def test_parallel_copes_with_one_network_and_with_none():
    assert check(parallel.view([study_of(1)])).empty
    assert check(parallel.view([])).empty
    assert not check(parallel.view([study_of(2)])).empty


def test_ten_thousand_networks_stay_small():
    base = mapping_of(500)
    rows = [row | {"number": i} for i, row in enumerate(base["trials"] * 20)]
    figure = parallel.view([Study(base | {"trials": rows})]).figures[0]
    assert len(figure.spec["data"][0]["line"]["color"]) == 10_000
    assert len(json.dumps(figure.spec, separators=(",", ":"))) < 1_500_000


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_both_views_are_drawn_by_a_browser(tmp_path):
    from playwright.sync_api import sync_playwright
    from plotly.offline import get_plotlyjs

    study = study_of(60)
    figures = [*importance.view([study]).figures, *parallel.view([study]).figures]
    specs = json.dumps([figure.spec for figure in figures]).replace("<", "\\u003c")
    page_file = tmp_path / "page.html"
    page_file.write_text(
        f"<!doctype html><meta charset=utf-8><body><script>{get_plotlyjs()}</script><script>"
        f"for (const spec of {specs}) {{ const at = document.body.appendChild(document.createElement('div'));"
        "Plotly.newPlot(at, spec.data, spec.layout); }</script>",
        encoding="utf-8",
    )
    errors = []
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--use-gl=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(page_file.as_uri())
        page.wait_for_selector(".parcoords .axis-title", state="attached", timeout=40_000)
        titles = page.locator(".parcoords .axis-title").all_text_contents()
        panels = page.locator(".errorbars path.yerror").count() + page.locator("path.yerror").count()
        bars = page.locator(".bars .point").count()
        page.screenshot(path=str(tmp_path / "views.png"), full_page=True)
        browser.close()
    assert errors == []
    assert "kernel size" in titles
    assert panels > 20
    assert bars >= 8
