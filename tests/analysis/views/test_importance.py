"""The views of importance and of parallel coordinates on studies of every kind, and in a real browser."""

import json
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
import pytest

from analysis.page.page import Page, write_page
from analysis.views import importance, parallel
from nas.record.study import Study
from space.space_file import load_space
from tests.analysis.sample_study import sample_study, trial


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
    return Study.from_dict(mapping_of(count, **fields))


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
    nothing = study_of(3).to_dict()
    for one in nothing["trials"]:
        one.update(state="failed", accuracy=None, reason="out of memory")
    assert check(importance.view([Study.from_dict(nothing)])).empty
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


def lines_of(figure):
    """[study, trial] -> heights along the axes, of every line that is drawn, and the names of the axes."""
    found = {}
    for trace in figure.spec["data"]:
        length = trace["meta"]["lines"]
        for start in range(0, len(trace["x"]), length):
            assert trace["x"][start : start + length] == [*range(length - 1), None]
            assert trace["y"][start + length - 1] is None
            custom = trace["customdata"][start : start + length]
            assert custom == [custom[0]] * (length - 1) + [None]
            found[tuple(custom[0])] = trace["y"][start : start + length - 1]
    return found, figure.spec["layout"]["xaxis"]["ticktext"]


def ticks_of(figure, axis):
    """Text -> height of the ticks of an axis."""
    place = figure.spec["layout"]["xaxis"]["ticktext"].index(axis)
    return {note["text"]: note["y"] for note in figure.spec["layout"]["annotations"] if note["x"] == place}


def test_every_network_is_a_line_through_its_axes():
    study = study_of(50)
    view = check(parallel.view([study]))
    [figure] = view.figures
    lines, axes = lines_of(figure)
    assert len(lines) == 50 and axes[-1] == "accuracy (%)"
    norms = ticks_of(figure, "norm")
    assert list(norms) == ["batch", "group", "layer", "rms"]
    for tried in study.networks:
        heights = lines[0, tried.trial]
        assert len(heights) == len(axes) and all(0 <= height <= 1 for height in heights)
        assert heights[axes.index("norm")] == norms[tried.architecture["norm"]]
    by_accuracy = sorted(study.networks, key=lambda tried: tried.accuracy)
    last = [lines[0, tried.trial][-1] for tried in by_accuracy]
    assert last == sorted(last) and (last[0], last[-1]) == (0, 1)
    best = by_accuracy[-1]
    assert figure.spec["data"][-1]["customdata"][-2] == [0, best.trial]  # on top
    table = next(t for t in view.tables if t.name == "parallel")
    assert len(table.rows) == 50
    assert table.rows[0][1] == best.trial


def test_colours_rise_with_accuracy():
    study = study_of(50)
    accuracy = {tried.trial: tried.accuracy for tried in study.networks}
    least = 0
    for trace in parallel.view([study]).figures[0].spec["data"]:
        own = [accuracy[custom[1]] for custom in trace["customdata"] if custom]
        assert min(own) >= least
        least = max(own)
        low, high = map(float, trace["name"].rstrip("%").split(" to "))
        assert all(low - 0.1 <= 100 * value <= high + 0.1 for value in own)


def test_logarithmic_axes_have_ticks_at_values():
    study = study_of(50)
    [figure] = parallel.view([study]).figures
    at = {float(text): height for text, height in ticks_of(figure, "base width").items()}
    widths = [tried.architecture["stages"][0]["width"] for tried in study.networks]
    assert len(at) >= 3
    for width, height in at.items():
        exact = np.log(width / min(widths)) / np.log(max(widths) / min(widths))
        assert height == pytest.approx(exact, abs=2e-3)


def test_names_cannot_be_markup():
    one = mapping_of(30, name="<b>bold</b>")
    one["trials"][0] |= {"role": "reference", "name": "<img src=x>"}
    two = mapping_of(30, seed=1, name="other")
    text = json.dumps(
        [figure.spec for figure in check(parallel.view([Study.from_dict(one), Study.from_dict(two)])).figures]
    )
    assert "&lt;b&gt;bold" in text
    assert "<b>bold" not in text


def test_parallel_copes_with_one_network_and_with_none():
    assert check(parallel.view([study_of(1)])).empty
    assert check(parallel.view([])).empty
    assert not check(parallel.view([study_of(2)])).empty


def test_ten_thousand_networks_are_a_few_hundred_lines():
    base = mapping_of(500)
    rows = [row | {"number": i} for i, row in enumerate(base["trials"] * 20)]
    view = parallel.view([Study.from_dict(base | {"trials": rows})])
    lines, _ = lines_of(view.figures[0])
    assert len(lines) == parallel.MOST_LINES
    heights = [line[-1] for line in lines.values()]
    assert min(heights) == 0 and max(heights) == 1  # the best and the worst are there
    assert len(json.dumps(view.figures[0].spec, separators=(",", ":"))) < 300_000
    [note] = [note for note in view.notes if "lines are drawn" in note]
    assert "10,000" in note and f"{parallel.MOST_READ:,}" in note


def test_a_large_study_is_looked_at_in_part_and_says_so(monkeypatch):
    monkeypatch.setattr(importance, "MOST_READ", 40)
    view = check(importance.view([study_of(60)]))
    assert "axes of 40 networks" in view.lead
    assert any("40 networks drawn at random" in note and "60" in note for note in view.notes)


def test_both_views_are_drawn_by_a_browser(browser, tmp_path):
    study = study_of(60)
    views = [importance.view([study]), parallel.view([study])]
    path = write_page(Page([study], views), tmp_path / "page.html")
    errors = []
    page = browser.new_page(viewport={"width": 1300, "height": 900})
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text))
    page.goto(path.as_uri())
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    for name in page.locator(".plot").evaluate_all("all => all.map(each => each.id)"):
        page.locator(f"#{name}").scroll_into_view_if_needed()
        page.wait_for_selector(f"#{name} .main-svg")
    titles = page.locator("#parallel-parallel .xtick text").all_text_contents()
    panels = page.locator("path.yerror").count()
    bars = page.locator(".bars .point").count()
    assert errors == []  # nothing that the page's policy forbids, either
    assert "kernel size" in titles and titles[-1] == "accuracy (%)"
    assert panels > 20
    assert bars >= 8
    keep_by_a_box(page, study)
    page.close()


def keep_by_a_box(page, study):
    """A box over the upper end of the last axis keeps the lines of the best."""
    drawn = """() => document.getElementById("parallel-parallel").data
        .flatMap(t => (t.customdata || []).filter((c, i) => c && t.y[i] !== null).map(c => c[1]))"""
    everything = set(page.evaluate(drawn))
    assert len(everything) == len(study.networks)
    values = {tried.trial: tried.accuracy for tried in study.networks}
    low, high = min(values.values()), max(values.values())
    heights = sorted((value - low) / (high - low) for value in values.values())
    _, edge = max((b - a, (a + b) / 2) for a, b in pairwise(heights) if 0.5 < a < 0.9)
    box = page.evaluate(
        """(edge) => {
            const { _fullLayout: { xaxis, yaxis } } = document.getElementById("parallel-parallel");
            const at = document.querySelector("#parallel-parallel .nsewdrag").getBoundingClientRect();
            const last = xaxis.tickvals.length - 1;
            return [at.x + xaxis.l2p(last) - 12, at.y + yaxis.l2p(1.02),
                    at.x + xaxis.l2p(last) + 12, at.y + yaxis.l2p(edge)];
        }""",
        edge,
    )
    page.mouse.move(box[0], box[1])
    page.mouse.down()
    page.mouse.move(box[2], box[3], steps=4)
    page.mouse.up()
    page.wait_for_function(f"() => new Set(({drawn})()).size < {len(study.networks)}")
    best = {trial for trial, value in values.items() if (value - low) / (high - low) > edge}
    assert set(page.evaluate(drawn)) == best
    # a double-click takes the box away
    page.mouse.dblclick(box[0] - 30, box[1] + 60)
    page.wait_for_function(f"() => new Set(({drawn})()).size === {len(study.networks)}")


def test_a_level_without_an_interval_is_hollow():
    view = check(importance.view([study_of(12)]))
    if view.empty:
        view = check(importance.view([study_of(20)]))
    effects = next(f for f in view.figures if f.name.startswith("importance-effects"))
    drawn = {(trace["marker"]["symbol"], "error_y" in trace) for trace in effects.spec["data"]}
    assert drawn == {("circle", True), ("circle-open", False)}
