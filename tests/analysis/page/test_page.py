"""The page in a real browser, from a file without a network and from its server; and its parts."""
# ruff: noqa: RUF001 - the page is typeset, so are the expected texts

import contextlib
import copy
import dataclasses
import gc
import itertools
import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from analysis import dashboard
from analysis.page import live
from analysis.page.figures import THEMES
from analysis.page.page import Page, page_of, render, views_of, write_page
from analysis.page.view import DARK, FAMILY_COLOURS, PALETTE, SEQUENCE, Figure, Rows, Table, View
from analysis.views import networks
from analysis.views.common import STUDY_COLOURS
from nas import search as nas_search
from nas.record.study import Study, read_study
from space.architecture import Architecture
from space.cost import RESOLUTION, breakdown
from space.families import named
from space.networks import cost_of, parts_of
from space.swin import named_swin
from tests.analysis.sample_study import sample_study, trial
from tests.nas.table.conftest import write_table

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><img src=x onerror=\"window.hacked=1\"><a href='javascript:window.hacked=2'>b</a>&lt;"
DESKTOP = {"width": 1280, "height": 900}


# what a record has, and the sample of the report does not need
RECORDED = {
    "data": {"fingerprint": "f"}, "scheduler": {"name": "none"}, "sampler": {"name": "random"}, "limits": {},
    "objective": "best",
}  # fmt: skip


def study(name="tiny-4.5G", **fields):
    return Study.from_dict({**sample_study(), **RECORDED, "name": name, **fields}, Path("runs/a study"))


def two_studies():
    """The sample, and the sample with other seeds' luck; two trials of the second are confirmed."""
    other = sample_study()
    for row in other["trials"]:
        if row["accuracy"] is not None:
            row["accuracy"] -= 0.02
    for seed in (7, 8):
        again = {**copy.deepcopy(other["trials"][8]), "number": 12 + seed, "seed": seed, "accuracy": 0.59}
        other["trials"].append({**again, "role": "confirmation", "of": 8})
    return [study(), Study.from_dict({**other, **RECORDED, "name": "other"}, Path("runs/other"))]


def small_views(studies):
    """A view of each kind of trace: points of each study, points of all of them, curves, bars of none."""
    points = {i: list(one.networks) for i, one in enumerate(studies)}
    each = [
        {
            "type": "scatter", "mode": "markers", "name": f"study {i}",
            "customdata": [[i, t.trial] for t in own],
            "x": [t.macs / 1e9 for t in own], "y": [100 * t.accuracy for t in own],
        }
        for i, own in points.items()
    ]  # fmt: skip
    pooled = {
        "type": "scatter", "mode": "markers", "name": "all",
        "x": [x for trace in each for x in trace["x"]], "y": [y for trace in each for y in trace["y"]],
        "customdata": [custom for trace in each for custom in trace["customdata"]],
    }  # fmt: skip
    lines = {"type": "scatter", "mode": "lines", "x": [], "y": [], "customdata": [], "meta": {"study": 0}}
    for t in studies[0].to_dict()["trials"]:
        for row in t["curve"]:
            lines["x"].append(row["epoch"])
            lines["y"].append(100 * row["val_accuracy"])
            lines["customdata"].append([0, t["number"]])
        for values in (lines["x"], lines["y"], lines["customdata"]):
            values.append(None)
    bars = {"type": "bar", "x": [1, 2, 3], "y": ["a", "b", "c"], "orientation": "h"}
    panels = {
        "xaxis": {"domain": [0, 0.3]}, "xaxis2": {"domain": [0.35, 0.65]}, "xaxis3": {"domain": [0.7, 1]},
    }  # fmt: skip
    named = {"type": "scatter", "mode": "markers+text", "x": [1, 1.001, 4], "y": [60, 60.01, 61],
             "text": ["first name", "covered name", "far name"]}  # fmt: skip
    titled = {"xaxis": {"title": {"text": "GFLOPs"}}, "yaxis": {"title": {"text": "proxy accuracy (%)"}}}
    table = Table("points", "Points", ["network", "accuracy (%)", "on the front"],
                  [[t.label, 100 * t.accuracy, i == 0] for i, t in enumerate(points[0])])  # fmt: skip
    both = Figure("all", "Both", {"data": each, "layout": titled}, "Dots.")
    return [
        View("plane", "The plane", "An answer.", [both], [table], ["A note."]),
        View("curves", "Curves", "Another.", [Figure("lines", "Lines", {"data": [lines]}, "Lines.")]),
        View("edf", "Pooled", "", [Figure("pooled", "Pooled", {"data": [pooled]}, "All dots.")]),
        View("scaling", "Bars", "", [Figure("bars", "Bars", {"data": [bars], "layout": panels}, "Bars.")]),
        View("isoflop", "Names", "", [Figure("names", "Names", {"data": [named]}, "Names.")],
             [Table("answers", "Answers", ["budget", "points"], [["1G", 0.5], ["2G", -0.5]], open=True)]),
        View("parallel", "The choices", "", empty="Too few networks."),
        View("roadmap", "The roadmap", "", empty="No study of the roadmap is among them."),
        networks.view(studies),
    ]  # fmt: skip


@contextlib.contextmanager
def visit(browser, path, address="", **options):
    """A page, offline, when its table is there; asserts at both ends that it asked and logged nothing."""
    context = browser.new_context(**{"viewport": DESKTOP, "offline": True, "color_scheme": "dark", **options})
    page = context.new_page()
    seen = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(path.as_uri() + address)
    page.locator(".plot").first.scroll_into_view_if_needed()
    page.wait_for_selector(".plot .main-svg")
    page.wait_for_selector("#table .count")
    assert seen == [path.as_uri()]
    yield page
    assert seen == [path.as_uri()]
    context.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of two studies."""
    studies = two_studies()
    path = tmp_path_factory.mktemp("page") / "report.html"
    return write_page(Page(studies, small_views(studies)), path)


@pytest.fixture(scope="module")
def opened(browser, written):
    """The file, opened once."""
    with visit(browser, written) as page:
        yield page


@pytest.fixture
def page(opened):
    """The file as it opens: nothing chosen, nothing hidden."""
    opened.evaluate("location.hash = ''")
    for box in opened.locator("#shown input").all():
        box.check()
    opened.get_by_label("Filter").fill("")
    opened.evaluate("scrollTo(0, 0)")
    settle(opened)
    return opened


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 60)))")


def show(page, figure):
    """Scrolls to a figure and waits until it is drawn."""
    page.locator(f"#{figure}").evaluate(
        "div => { for (let at = div; (at = at.parentElement?.closest('details')); ) at.open = true; }"
    )
    page.locator(f"#{figure}").scroll_into_view_if_needed()
    page.wait_for_selector(f"#{figure} .main-svg")
    settle(page)


def point(page, figure, key):
    """Centre of a network's first marker in the window; None where it is not drawn."""
    show(page, figure)
    return page.evaluate(
        """([figure, key]) => {
            for (const trace of document.querySelectorAll(`#${figure} .scatterlayer .trace`)) {
                const data = trace.__data__[0].trace;
                const marks = trace.querySelectorAll("path.point");
                let drawn = -1;
                for (let i = 0; i < (data.customdata ?? []).length; i++) {
                    if (data.x[i] === null) continue;
                    drawn += 1;
                    if (String(data.customdata[i]) !== key || !marks[drawn]) continue;
                    const box = marks[drawn].getBoundingClientRect();
                    return [box.x + box.width / 2, box.y + box.height / 2];
                }
            }
            return null;
        }""",
        [figure, key],
    )


def marks(page, figure):
    """Points of the traces that mark the chosen network."""
    show(page, figure)
    return page.evaluate(
        """(figure) => document.getElementById(figure).data
            .filter(t => t.hoverinfo === "skip" && t.showlegend === false && t.name !== "the pick")
            .map(t => [t.mode, t.x.length])""",
        figure,
    )


def title(page):
    return page.locator("#network h2").inner_text()


# ---- from a file


def test_figures_are_drawn_when_they_come_into_view(opened):
    page = opened
    drawn = "[...document.querySelectorAll('.plot')].filter(d => d.querySelector('.main-svg')).map(d => d.id)"
    assert "plane-all" in page.evaluate(drawn) and "edf-pooled" not in page.evaluate(drawn)
    assert page.locator("#detail").is_hidden()
    show(page, "scaling-bars")
    assert "scaling-bars" in page.evaluate(drawn)
    assert page.locator("#plane-all").get_attribute("aria-label") == "Dots."
    assert page.locator("#plane-all .ytitle").text_content() == "proxy accuracy (%)"
    assert page.locator("nav a").all_inner_texts() == ["Answer", "Accuracy", "Curves", "Networks", "More"]
    assert page.locator("#empty").inner_text() == "With too few results as yet for: the choices."


@pytest.mark.parametrize(("key", "of"), [("0,6", 6), ("1,8", 8)])
def test_click_on_a_point_shows_its_network(page, key, of):
    page.mouse.click(*point(page, "plane-all", key))
    index = int(key[0])
    row = two_studies()[index].to_dict()["trials"][of]
    architecture = Architecture.from_dict(row["architecture"])
    assert title(page) == f"trial {of}"
    widths = [str(stage.width) for stage in architecture.stages]
    assert page.locator("#network .stages tr", has_text="Width").locator("td").all_inner_texts() == widths
    assert page.locator("#command").inner_text() == (
        f"python -m nas.export {shlex.quote(['runs/a study', 'runs/other'][index])} --trial {of}"
    )
    parts = [part.name.capitalize() for part in breakdown(architecture)]
    assert page.locator("#network .costs tbody th").all_inner_texts() == [*parts, "Whole"]
    whole = page.locator("#network .costs .whole td").all_inner_texts()
    assert whole[0] == f"{row['macs'] / 1e9:#.3g} G" and whole[1] == f"{row['params'] / 1e6:#.3g} M"
    assert page.locator("#curve .main-svg").count()
    seeds = page.locator("#network .seeds tbody tr").all_inner_texts()
    assert [line.split("\t") for line in seeds] == (
        [["0", "60.2%"]] if index == 0
        else [["0, in the search", "59.3%"], ["7", "59.0%"], ["8", "59.0%"], ["Mean of fresh seeds", "59.0%"]]
    )  # fmt: skip


def test_the_chosen_network_stands_out_in_every_figure(page):
    assert marks(page, "plane-all") == []
    page.mouse.click(*point(page, "plane-all", "0,6"))
    settle(page)
    assert page.url.endswith("#trial=0:6")
    assert marks(page, "plane-all") == [["markers", 1]]
    assert marks(page, "edf-pooled") == [["markers", 1]]
    assert marks(page, "curves-lines") == [["lines", 6]]
    assert marks(page, "scaling-bars") == []
    page.locator("#close").click()
    assert marks(page, "curves-lines") == [] and "#" not in page.url


def test_the_address_keeps_the_network_and_the_section(page):
    page.evaluate("location.hash = '#trial=1:3'")
    expect(page.locator("#network h2")).to_have_text("trial 3")
    assert title(page) == "trial 3" and "other" in page.locator("#network .kind").inner_text()
    page.evaluate("location.hash = '#edf&trial=1:3'")
    assert page.url.endswith("#edf&trial=1:3")
    settle(page)
    assert 0 <= page.locator("#edf summary").first.bounding_box()["y"] < 200
    page.evaluate("location.hash = '#trial=0:0'")
    expect(page.locator("#network h2")).to_have_text("ConvNeXt-T (trial 0)")
    assert "no export" not in page.locator("#network").inner_text()
    page.evaluate("location.hash = '#trial=9:99'")
    expect(page.locator("#detail")).to_be_hidden()


def test_hidden_studies_leave_the_figures_and_the_table(page):
    boxes = page.locator("#shown input")
    assert boxes.count() == 2
    count = page.locator("#plane-all path.point").count()
    networks_shown = page.locator("#table .count").inner_text()
    boxes.nth(1).uncheck()
    settle(page)
    assert page.locator("#plane-all path.point").count() == count / 2
    assert point(page, "edf-pooled", "1,6") is None and point(page, "edf-pooled", "0,6")
    assert networks_shown == "1 to 28 of 28"
    assert page.locator("#table .count").inner_text() == "1 to 14 of 14"
    boxes.nth(0).uncheck()
    show(page, "curves-lines")  # by its meta
    assert page.locator("#curves-lines .lines path").count() == 0
    assert page.locator("#table .count").inner_text() == "No network"
    boxes.nth(0).check()
    show(page, "curves-lines")
    assert page.locator("#curves-lines .lines path").count()


def test_the_table_sorts_filters_and_chooses(page):
    column = page.locator("#table tbody td:nth-child(3)")
    values = [float(text.rstrip("%")) for text in column.all_inner_texts() if text != "–"]
    assert values == sorted(values, reverse=True) and len(values) == 22
    assert set(column.all_inner_texts()[22:]) == {"–"}  # failed, interrupted, and stopped early
    head = page.get_by_role("button", name="FLOPs")
    head.click()
    assert page.locator("#table th", has_text="FLOPs").get_attribute("aria-sort") == "ascending"
    flops = [float(t.split()[0]) for t in page.locator("#table tbody td:nth-child(5)").all_inner_texts()]
    assert flops == sorted(flops)
    page.get_by_label("Filter").fill("failed nan other")
    expect(page.locator("#table .count")).to_have_text("1 to 1 of 1")
    page.locator("#table td button").press("Enter")
    assert title(page) == "trial 4" and "loss became NaN" in page.locator("#network .reason").inner_text()
    assert page.evaluate("document.activeElement.id") == "detail"
    assert page.locator("#table tr.chosen").count() == 1
    page.keyboard.press("Escape")
    expect(page.locator("#detail")).to_be_hidden()


def test_the_table_shows_a_hundred_rows_at_a_time(browser, tmp_path):
    rows = [trial(i, named("convnext_tiny"), 0.5 + i / 1000) for i in range(250)]
    one = study(trials=rows)
    path = write_page(Page([one], small_views([one])), tmp_path / "many.html")
    with visit(browser, path) as page:
        assert page.locator("#shown").count() == 0
        expect(page.locator("#table tbody tr")).to_have_count(100)
        for _ in range(2):
            page.get_by_role("button", name="Next").click()
        assert page.locator("#table tbody tr").count() == 50
        assert page.locator("#table .count").inner_text() == "201 to 250 of 250"
        assert page.get_by_role("button", name="Next").is_disabled()


def colours(page):
    return page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector("#plane-all .xtick text")).fill]"""
    )


def test_dark_follows_the_system_and_the_button(page):
    show(page, "plane-all")  # what is not in view is drawn anew when it comes there
    seen = {}
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        settle(page)
        seen[scheme] = colours(page)
    assert all(a != b for a, b in zip(*seen.values(), strict=True))
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").inner_text() == "Theme: dark"
    assert colours(page) == seen["dark"]
    page.locator("#theme").click()
    page.emulate_media(color_scheme="dark")


def test_a_phone_has_no_horizontal_overflow(browser, written):
    phone = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
    with visit(browser, written, "#trial=1:8", **phone) as page:  # the address of a chosen network
        assert title(page) == "trial 8"
        box = page.locator("#detail").bounding_box()
        assert box["x"] == 0 and box["width"] == 390 and box["y"] > 200
        for figure in ("plane-all", "curves-lines", "edf-pooled", "scaling-bars"):
            show(page, figure)
        assert page.locator("#scaling-bars").bounding_box()["width"] > 600  # panels scroll inside
        page.locator("#close").tap()
        page.locator("#table td button").first.tap()
        expect(page.locator("#detail")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_dark_page_draws_lighter_colours(browser, tmp_path):
    sky, blue = (f"rgb({', '.join(str(int(c[i : i + 2], 16)) for i in (1, 3, 5))})" for c in
                 (DARK["#0072b2"], "#0072b2"))  # fmt: skip
    spec = {"data": [{"type": "scatter", "mode": "lines", "x": [1, 2], "y": [1, 2], "name": "#0072b2",
                      "line": {"color": "#0072b2"}, "fill": "tozeroy", "fillcolor": "rgba(0,114,178,0.18)",
                      "showlegend": True}]}  # fmt: skip
    one = study()
    views = [View("plane", "P", "", [Figure("f", "F", spec, "F.")]), networks.view([one])]
    path = write_page(Page([one], views), tmp_path / "dark.html")
    with visit(browser, path) as page:
        for scheme, colour in (("dark", sky), ("light", blue)):
            page.emulate_media(color_scheme=scheme)
            settle(page)
            assert page.evaluate("getComputedStyle(document.querySelector('.js-line')).stroke") == colour
            fill = page.evaluate("getComputedStyle(document.querySelector('.js-fill')).fill")
            assert fill == colour
            assert page.locator(".legendtext").text_content() == "#0072b2"  # a name is no colour


def luminance(colour):
    """Relative luminance of WCAG 2."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", sorted({*PALETTE, *FAMILY_COLOURS.values(), *STUDY_COLOURS}))
def test_colours_of_points_stand_out_from_a_dark_page(colour):
    page = luminance(THEMES["dark"].surface)
    assert (luminance(DARK.get(colour, colour)) + 0.05) / (page + 0.05) >= 4  # WCAG asks 3 of graphics


def test_a_sequence_rises_away_from_the_page_in_both_themes():
    light = [luminance(colour) for colour in SEQUENCE]
    dark = [luminance(DARK[colour]) for colour in SEQUENCE]
    assert light == sorted(light, reverse=True) and dark == sorted(dark)


def test_names_that_would_cover_others_are_not_drawn(page):
    show(page, "isoflop-names")
    texts = page.locator("#isoflop-names .textpoint text").evaluate_all(
        "all => all.map(each => [each.textContent, getComputedStyle(each).visibility])"
    )
    assert dict(texts) == {"first name": "visible", "covered name": "hidden", "far name": "visible"}


def test_an_open_table_stands_with_its_figure(page):
    rows = page.locator("#isoflop .beside tbody tr").all_inner_texts()
    assert [row.split("\t") for row in rows] == [["1G", "0.5"], ["2G", "-0.5"]]
    assert page.locator("#isoflop details").count() == 0


def test_paper_is_light_with_every_figure_and_no_controls(page):
    page.evaluate("location.hash = '#trial=0:6'")
    for figure in ("edf-pooled", "scaling-bars", "isoflop-names"):
        show(page, figure)  # unfolds it: what is folded is not printed
    page.set_viewport_size({"width": 680, "height": 900})
    page.emulate_media(color_scheme="dark")  # as afterwards, whatever the tests before have left
    show(page, "plane-all")
    screen = colours(page)
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    printed = "[...document.querySelectorAll('.plot')].every((div) => div.querySelector('.main-svg'))"
    assert page.evaluate(printed)
    assert page.locator("#isoflop .beside table").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert colours(page) != screen
    for control in ("#contents", "#theme", "#detail", "#shown"):
        assert page.locator(control).is_hidden()
    page.emulate_media(media="screen", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    show(page, "plane-all")
    assert colours(page) == screen
    page.set_viewport_size(DESKTOP)


def hostile_studies():
    """Every text of the studies is an attack; the keys that are looked up stay."""

    def poisoned(value):
        if isinstance(value, dict):
            return {key: item if key in ("state", "role", "metric", "architecture") else poisoned(item)
                    for key, item in value.items()}  # fmt: skip
        if isinstance(value, list):
            return [poisoned(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    mapping = poisoned({**sample_study(), **RECORDED})
    mapping["trials"][1]["state"] = HOSTILE
    return [Study.from_dict(mapping, Path(f"runs/{HOSTILE}")), Study.from_dict(mapping, None)]


def test_hostile_text_is_inert_everywhere(browser, tmp_path):
    studies = hostile_studies()
    views = [*small_views(studies), *views_of(studies, ["plane", "progress", "curves"])]
    table = Table(HOSTILE, HOSTILE, [HOSTILE], [[HOSTILE]])
    attacked = View("attacked", HOSTILE, HOSTILE, tables=[table], notes=[HOSTILE])
    unique = list({view.key: view for view in [*views, attacked]}.values())
    path = write_page(Page(studies, unique), tmp_path / "hostile.html")
    with visit(browser, path, "#trial=0:0") as page:
        assert page.title().startswith("2 studies: </script>")
        assert HOSTILE in title(page)
        for figure in page.locator(".plot").evaluate_all("all => all.map(each => each.id)"):
            show(page, figure)
        page.mouse.move(*point(page, "plane-plane", "0,0"))
        page.wait_for_selector("#plane-plane .hoverlayer text")
        for key in ("0:1", "1:4"):
            page.evaluate(f"location.hash = '#trial={key}'")
            settle(page)
        assert HOSTILE in page.locator("#network .reason").inner_text()
        quoted = shlex.split(page.evaluate("document.querySelector('#command').textContent"))
        assert quoted[-2:] == ["--trial", "4"]
        assert page.locator("img, a[href^=javascript], object, iframe, main a, aside a").count() == 0
        assert page.evaluate("window.hacked") is None


# ---- what it is made of


def test_parts_of_many_networks_are_those_of_each():
    """Counted together, of any families, to the unit they are kept in."""
    architectures = [
        *(named(name) for name in ("convnext_tiny", "resnet50", "resnet200", "roadmap_t_5", "convnext_base")),
        named_swin("swin_tiny"),
    ]  # fmt: skip
    rows = [trial(i, named("convnext_tiny"), 0.5) for i in range(len(architectures))]
    for row, network in zip(rows, architectures, strict=True):
        total = cost_of(network)
        values = network.to_dict() | ({"family": "swin"} if network == architectures[-1] else {})
        row |= {"architecture": values, "macs": total.macs, "params": total.params}
        row |= {"activations": total.activations}
    found = networks.details([study(trials=rows)])
    metrics = ("macs", "params", "activations")
    for i, network in enumerate(architectures):
        parts = [p for p in parts_of(network, RESOLUTION) if any(getattr(p.cost, m) for m in metrics)]
        assert found["forms"][found["form"][i]]["parts"] == tuple(part.name for part in parts)
        numbers = iter(found["parts"][i])
        for part in parts:
            for metric in metrics:
                unit = found["units"][metric]
                assert abs(next(numbers) * unit - getattr(part.cost, metric)) <= unit / 2
    assert [form["exported"] for form in found["forms"]].count(False) == 1  # the Swin's


def test_a_name_without_a_folder_is_not_looked_for_under_runs():
    for folder, argument in [("runs/x", "runs/x"), ("x", "./x"), ("/tmp/a b", "'/tmp/a b'")]:
        one = Study.from_dict(sample_study(), Path(folder))
        export = Page([one], []).data["studies"][0]["export"]
        assert export == f"python -m nas.export {argument}"


def test_what_stopped_early_has_no_accuracy():
    found = networks.details([study()])
    at = {number: i for i, number in enumerate(found["trial"])}
    assert found["accuracy"][at[7]] is None and found["accuracy"][at[8]] == 61.3
    assert found["states"][found["state"][at[7]]] == "stopped early"
    assert found["reasons"][str(at[4])].startswith("loss became NaN")


def test_the_table_of_networks_has_everything_in_units():
    (table,) = networks.view(two_studies()).tables
    row = dict(zip(table.columns, next(r for r in table.rows if r[:2] == ["other", 8]), strict=True))
    assert row["seeds"] == 3
    assert row["accuracy with fresh seeds (%)"] == 59.0
    assert row["proxy accuracy (%)"] == pytest.approx(59.1)
    assert row["standard deviation over seeds (points)"] == pytest.approx(0.173, abs=1e-3)
    assert row["depths"] == "4-6-16-3" and row["kernel sizes"] == "9-9-7-7"


def test_a_view_that_raises_is_not_left_out(monkeypatch):
    def broken(_):
        raise ZeroDivisionError

    monkeypatch.setattr(networks, "view", broken)
    with pytest.raises(ZeroDivisionError):
        views_of([study()], ["networks"])
    assert gc.isenabled()  # it is paused while the views are made


def test_rows_are_made_once_and_when_they_are_asked_for():
    asked = []
    rows = Rows(lambda: asked.append(True) or iter([(1, 2), (3, 4)]))
    table = Table("numbers", "Numbers", ["a", "b"], rows)
    assert not asked
    assert (len(table.rows), table.rows[1], table.rows[:1], list(table.rows)) == (
        2, (3, 4), [(1, 2)], [(1, 2), (3, 4)],
    )  # fmt: skip
    assert len(asked) == 1


def test_a_number_that_no_browser_reads_is_an_error():
    figure = Figure("f", "F", {"data": [{"y": [float("nan")]}]}, "")
    with pytest.raises(ValueError, match="JSON compliant"):
        render(Page([study()], [View("plane", "P", "", [figure])]))


def test_ten_thousand_trials_stay_below_12_mb():
    pool = sample_study()["trials"]
    rng = random.Random(1)
    rows = []
    for i in range(10_000):
        row = {
            **pool[i % len(pool)],
            "number": i,
            "macs": rng.randrange(10**9, 5 * 10**9),
            "role": "candidate",
        }
        row["curve"] = [{**row["curve"][0], "epoch": e, "val_accuracy": rng.random()} for e in range(1, 13)]
        if row["accuracy"] is not None:
            row["accuracy"] = rng.random()
        rows.append(row)
    one = study(trials=rows)
    page = Page([one], views_of([one], ["plane", "curves", "progress", "edf", "parallel", "networks"]))
    assert len(render(page).encode()) < 12e6


# ---- the command


@pytest.fixture
def recorded(tmp_path):
    """The recorded default study in a folder of its own."""
    return Path(shutil.copytree(ROOT / "studies" / "default", tmp_path / "default"))


def test_the_command_writes_the_page_into_the_study(recorded, capsys, monkeypatch, tmp_path):
    assert dashboard.main([str(recorded)]) == 0
    assert capsys.readouterr().out == f"{recorded / 'report.html'}\n"
    text = (recorded / "report.html").read_text(encoding="utf-8")
    assert "10 networks tried" in text and len(text) < 8e6
    monkeypatch.chdir(tmp_path)
    assert dashboard.main([str(recorded), str(recorded), "--out", "both.html"]) == 0
    assert "default (2)" in Path("both.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["none/such"], "no such study"),
        ([str(ROOT / "studies" / "default"), "--out", "/none/such/page.html"], "cannot be written"),
    ],
)
def test_mistakes_are_one_line(flags, message, capsys):
    assert dashboard.main(flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("analysis.dashboard: ") and message in error and error.count("\n") == 1


def test_serving_writes_nothing_and_needs_dash(capsys, monkeypatch):
    with pytest.raises(SystemExit, match="2"):
        dashboard.main(["x", "--serve", "--out", "page.html"])
    monkeypatch.setitem(sys.modules, "dash", None)
    assert dashboard.main([str(ROOT / "studies" / "default"), "--serve"]) == 2
    assert "pip install 'convnext-nas[dashboard]'" in capsys.readouterr().err


def test_help_is_quick():
    heavy = ("torch", "plotly", "dash", "sklearn", "optuna")
    code = f"import analysis.dashboard, sys; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---- from a server


def search(folder, *flags):
    command = [
        "-m",
        "nas.search",
        "--proxy",
        "simulated:interacting",
        "--sampler",
        "random",
        "--study",
        str(folder),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *command, *flags], cwd=folder.parent, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip


@contextlib.contextmanager
def served(*studies, stderr=None):
    """The address of a server of these studies, in a process of its own, and the process."""
    command = [sys.executable, "-m", "analysis.dashboard", *map(str, studies), "--serve", "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": stderr}
    with subprocess.Popen(command, cwd=ROOT, text=True, **pipes) as process:
        try:
            yield process.stdout.readline().split()[0], process
        finally:
            process.terminate()


def test_the_server_follows_a_running_study(browser, tmp_path):
    folder = tmp_path / "growing"
    assert search(folder, "--budget", "4.5GFLOPs", "--trials", "6").returncode == 0
    with served(folder) as (address, _):
        context = browser.new_context(viewport=DESKTOP)
        page = context.new_page()
        seen, asked = [], set()
        page.on("console", lambda message: seen.append(message.text))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("request", lambda request: asked.add(request.url))
        page.goto(address)
        tried = page.locator("#answer")
        expect(tried).to_contain_text("6 networks tried", timeout=60_000)
        page.wait_for_selector("#plane-ranking .main-svg", timeout=60_000)
        show(page, "plane-plane")
        expect(page.locator("#status")).to_contain_text("no search is running")
        page.locator("#table td button").first.click()
        chosen = title(page)
        page.evaluate("Plotly.relayout('plane-plane', {'yaxis.range': [1, 2], 'yaxis.autorange': false})")
        page.get_by_label("Filter").fill("trained")
        assert search(folder, "--resume", "--trials", "12").returncode == 0
        expect(tried).to_contain_text("12 networks tried", timeout=60_000)
        expect(page.locator("#table .count")).to_have_text("1 to 12 of 12")
        assert title(page) == chosen and "#trial=0:" in page.url
        show(page, "plane-plane")
        assert page.evaluate("document.getElementById('plane-plane').layout.yaxis.range") == [1, 2]
        assert page.get_by_label("Filter").input_value() == "trained"
        assert re.match(r"Read at \d\d:\d\d:\d\d; ", page.locator("#status").inner_text())
        assert seen == []
        assert all(url.startswith((address, "data:")) for url in asked)
        context.close()


def test_the_server_follows_a_study_in_a_database(browser, postgres_url, tmp_path, monkeypatch):
    folder = tmp_path / "shared"
    flags = ["--budget", "4.5GFLOPs", "--storage", postgres_url]
    assert search(folder, *flags, "--trials", "6").returncode == 0
    assert not (folder / "study.db").exists()
    monkeypatch.setattr(live, "POSTGRES_POLL", 0.2)
    follower = live.Follower([str(folder)], ["networks"])
    follower.look()
    assert follower.status.endswith("no search is running.")
    with served(folder) as (address, _):
        context = browser.new_context(viewport=DESKTOP)
        page = context.new_page()
        page.goto(address)
        tried = page.locator("#answer")
        expect(tried).to_contain_text("6 networks tried", timeout=60_000)
        other = tmp_path / "elsewhere" / "shared"  # another driver's
        other.parent.mkdir()
        assert search(other, *flags, "--trials", "12").returncode == 0
        expect(tried).to_contain_text("12 networks tried", timeout=60_000)
        context.close()
    version = follower.version
    follower.studies[0].due = follower.sections[0].due = 0.0
    follower.look()
    assert follower.version > version
    assert len(json.loads(follower.text)["data"]["networks"]["trial"]) == 12


@pytest.fixture(scope="module")
def client():
    follower = live.Follower([str(ROOT / "studies" / "default")], ["networks"])
    follower.look()
    return live.app(follower).server.test_client()


def test_the_server_answers_this_machine_only(client):
    assert client.get("/", headers={"Host": "localhost:8050"}).status_code == 200
    assert client.get("/", headers={"Host": "[::1]:8050"}).status_code == 200
    assert client.get("/", headers={"Host": "elsewhere.example:8050"}).status_code == 403

    for host in ("127.0.0.1.elsewhere.example", "localhost@elsewhere.example", "[::1", "a b", ""):
        assert client.get("/", headers={"Host": host}).status_code == 403


ASKED = {
    "output": "..page.data...version.data...state.data..",
    "outputs": [{"id": name, "property": "data"} for name in ("page", "version", "state")],
    "inputs": [{"id": "tick", "property": "n_intervals", "value": 1}],
    "changedPropIds": ["tick.n_intervals"],
    "state": [{"id": "version", "property": "data", "value": None}],
}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (ASKED, 200),
        ({**ASKED, "output": "x.y"}, 400),
        ({**ASKED, "inputs": []}, 400),
        ({**ASKED, "outputs": 5}, 400),
        ({**ASKED, "more": "x" * live.MOST_BODY}, 413),
        ([], 400),
        (None, 400),
        ("x", 400),
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 9000, 400),
        (b"x" * (1 << 20), 413),
    ],
)
def test_what_the_page_does_not_ask_for_is_answered_in_a_line(client, body, code, capfd):
    data = body if isinstance(body, bytes) else json.dumps(body)
    answer = client.post(live.UPDATE, data=data, content_type="application/json")
    assert answer.status_code == code
    if code != 200:
        assert answer.text.startswith(f"{code} ") and answer.text.count("\n") == 1
    assert "Traceback" not in "".join(capfd.readouterr())


def test_only_the_pages_routes_and_methods_are_answered(client):
    for path in ("/nowhere", "/_reload-hash", "/_favicon.ico", "/_dash-component-suites/os/path.py",
                 "/_dash-component-suites/dash/dash.py", "/_dash-component-suites/dash"):  # fmt: skip
        assert client.get(path).status_code == 404
    assert client.put("/").status_code == client.get(live.UPDATE).status_code == 405
    chunked = client.post(live.UPDATE, data=b"", headers={"Transfer-Encoding": "chunked"})
    assert chunked.status_code == 411


def test_a_stranger_is_answered_without_a_word_in_the_terminal():
    with served(ROOT / "studies" / "default", stderr=subprocess.PIPE) as (address, process):
        host, port = address.removeprefix("http://").rstrip("/").rsplit(":", 1)
        for sent in (
            b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
            b"POST /_dash-update-component HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx",
            b"POST /_dash-update-component HTTP/1.1\r\nContent-Length: -1\r\n\r\nx",
        ):
            with socket.create_connection((host, int(port)), timeout=20) as stranger:
                stranger.sendall(sent)
                stranger.shutdown(socket.SHUT_WR)
                assert stranger.recv(100)
        process.terminate()
        assert process.stderr.read() == ""


def test_the_server_gives_no_file_but_the_pages(client):
    assert client.get("/dashboard.css").content_type.startswith("text/css")
    for path in ("/assets/dashboard.py", "/assets/report.js", "/dashboard.py", "/../pyproject.toml"):
        answer = client.get(path)
        assert answer.status_code == 404 or b"import" not in answer.data
    policy = client.get("/").headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "http" not in policy


def test_a_study_is_read_again_when_it_has_changed_only(tmp_path, monkeypatch, recorded):
    follower = live.Follower([str(recorded)], ["networks"])
    follower.look()
    version = follower.version
    assert json.loads(follower.text)["data"]["networks"]["trial"] == list(range(10))
    follower.look()
    assert follower.version == version
    # its files change without it while a driver has it: nothing is made again then
    os.utime(recorded / "study.db")
    follower.studies[0].due = follower.sections[0].due = 0.0
    follower.look()
    assert follower.version == version
    known = follower.studies[0].study
    more = dataclasses.replace(known, trials=known.trials[:9])
    monkeypatch.setattr(live, "read_study", lambda _: more)
    os.utime(recorded / "study.db", ns=(0, 0))
    follower.studies[0].due = follower.sections[0].due = 0.0
    follower.look()
    assert follower.version > version
    assert json.loads(follower.text)["data"]["networks"]["trial"] == list(range(9))
    monkeypatch.undo()
    (recorded / "study.db").write_bytes(b"no database any more")
    follower.studies[0].due = 0.0
    follower.look()
    assert follower.status.startswith("Cannot be read: ")


def test_nothing_is_read_while_no_browser_asks(monkeypatch, recorded):
    clock, looks = [0.0], []
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    follower = live.Follower([str(recorded)], ["networks"], version=1)
    monkeypatch.setattr(follower, "look", lambda: looks.append(clock[0]))
    follower.asked = 0.0

    class Stop:
        def is_set(self):
            return clock[0] > 1000

        def wait(self, seconds):
            clock[0] += seconds
            if clock[0] == 500:
                follower.asked = clock[0]

    follower.follow(Stop())
    assert looks == [*range(int(live.IDLE)), *range(500, 500 + int(live.IDLE))]


def test_the_server_makes_the_views_of_a_tables_study_that_its_page_has(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ("--proxy", f"table:{write_table(tmp_path)}", "--budget", "60M", "--band", "0.1:1")
    assert nas_search.main([*flags, "--trials", "6", "--study", "small"]) == 0
    follower = live.Follower(["small"])
    names = [section.module for section in follower.sections]
    assert names == [view.key for view in page_of([read_study("small")]).plain]
    assert "published" not in names and "roadmap" not in names


def test_a_slow_view_is_made_for_a_share_of_the_time(monkeypatch, recorded):
    clock = [0.0]
    follower = live.Follower([str(recorded)], ["networks", "plane"])
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    known = follower.studies[0].study
    monkeypatch.setattr(
        live, "read_study", lambda _: dataclasses.replace(known, mapping={**known.mapping, "seed": clock[0]})
    )
    made = []

    def slow(self, studies):
        made.append(clock[0])
        clock[0] += 8
        self.seconds, self.due, self.outdated = 8.0, clock[0] + 8 / live.SHARE, False

    monkeypatch.setattr(follower.sections[1], "make", slow.__get__(follower.sections[1]))
    for _ in range(100):
        os.utime(recorded / "study.db", ns=(0, int(1e9 * (1 + clock[0]))))
        follower.look()
        clock[0] += 1
    assert len(made) >= 2
    assert all(b - a >= 8 + 8 / live.SHARE for a, b in itertools.pairwise(made))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--port", "99999"], "invalid port, a number from 0 to 65535, value: '99999'"),
        (["--port", "-1"], "invalid port"),
        (["--port", "x"], "invalid port"),
        (["--host", ""], "--host '': names no address"),
        (["--host", "no such host"], "cannot be listened on"),
        (["--host", "x" * 300], "cannot be listened on"),
        (["--host", "a..b"], "cannot be listened on"),
        (["--host", "::zz"], "cannot be listened on"),
    ],
)
def test_addresses_that_cannot_be_served_from_are_one_line(flags, message, capsys):
    try:
        code = dashboard.main([str(ROOT / "studies" / "default"), "--serve", *flags])
    except SystemExit as stopped:
        code = stopped.code
    error = capsys.readouterr().err
    assert code == 2 and message in error and error.count("\n") == 1


def test_a_port_in_use_is_one_line(capsys):
    with live._listening("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert dashboard.main([str(ROOT / "studies" / "default"), "--serve", "--port", port]) == 2
    assert "cannot be listened on" in capsys.readouterr().err


def test_the_page_stays_where_it_is_when_the_panel_narrows_it(page):
    show(page, "plane-all")
    page.evaluate("scrollTo(0, document.getElementById('plane').offsetTop - 60)")
    settle(page)
    x, y = point(page, "plane-all", "0,6")
    before = page.evaluate("document.getElementById('plane-all').getBoundingClientRect().top")
    page.mouse.click(x, y)
    settle(page)
    assert page.locator("#network h2").inner_text() == "trial 6"
    after = page.evaluate("document.getElementById('plane-all').getBoundingClientRect().top")
    assert abs(after - before) < 3


def test_a_command_is_parted_between_its_words_alone(written, browser):
    with visit(browser, written, viewport={"width": 390, "height": 844}) as page:
        code = page.locator(".study .export code").first
        assert code.inner_text() == code.text_content()
        assert code.evaluate("node => node.clientHeight > 40 && [...node.children].length > 4")  # in lines
        assert code.evaluate("node => [...node.children].every(word => word.clientHeight < 30)")
        assert page.evaluate("document.documentElement.scrollWidth") == 390
