"""The report in a real browser, opened from disk without a network, and its sentences without one."""
# ruff: noqa: RUF001 - the page is typeset, so are the expected texts

import contextlib
import copy
import errno
import html
import json
import os
import re
from pathlib import Path
from unittest import mock

import pytest

from analysis import report
from analysis.page.report.data import page_data
from analysis.page.report.page import render
from analysis.page.report.reported import Reported
from analysis.report import write_report
from space.errors import InputError
from space.families import named
from space.swin import named_swin
from tests.analysis.sample_study import sample_study, trial

HOSTILE = "</script><img src=x onerror=\"window.hacked=1\"><a href='javascript:window.hacked=2'>b</a>&lt;"
DESKTOP = {"width": 1280, "height": 900}


@contextlib.contextmanager
def visit(browser, folder, study, **options):
    """The study's page, offline; asserts at both ends that it asked for nothing and logged nothing."""
    path = write_report(study, folder / "report.html", folder="runs/a study")
    context = browser.new_context(**{"viewport": DESKTOP, "offline": True, **options})
    page = context.new_page()
    seen = []
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("request", lambda request: seen.append(request.url))
    page.goto(path.as_uri())
    assert seen == [path.as_uri()]
    yield page
    assert seen == [path.as_uri()]
    context.close()


@pytest.fixture
def opened(browser, tmp_path):
    """A function that opens a study's page until the test ends."""
    with contextlib.ExitStack() as stack:
        yield lambda study, **options: stack.enter_context(visit(browser, tmp_path, study, **options))


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory):
    """The sample's page, opened once: its tests choose what they look at, so their order does not matter."""
    with visit(browser, tmp_path_factory.mktemp("sample"), sample_study(), color_scheme="dark") as page:
        yield page


def text_of(study):
    """Visible text before the data block, on one line."""
    body = render(study, "runs/one").split("<body>")[1].split('<script type="application/json"')[0]
    body = body.replace("</p>", " ")
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", body)))


def drawn(page):
    return [key for key in ("plane", "progress", "curves", "detail")
            if page.locator(f"#{key}-figure .main-svg").count()]  # fmt: skip


def point(page, figure, number):
    """Centre of a trial's marker in the window."""
    return page.evaluate(
        """([figure, number]) => {
            const div = document.getElementById(figure);
            div.scrollIntoView({block: "center"});
            for (const trace of div.querySelectorAll(".scatterlayer .trace")) {
                const data = trace.__data__[0].trace;
                const i = (data.customdata ?? []).indexOf(number);
                const marks = trace.querySelectorAll("path.point");
                if (i < 0 || !marks.length) continue;
                const box = marks[i].getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }
        }""",
        [f"{figure}-figure", number],
    )


# ---- in the browser


def test_page_draws_its_figures(page):
    assert drawn(page) == ["plane", "progress", "curves", "detail"]
    assert page.locator("#plane-figure path.point").count() >= 11  # full trainings, and the ring
    assert "never ImageNet" in page.locator("#plane").inner_text()
    assert "not ImageNet" in page.locator("#plane-figure .ytitle").text_content()
    assert page.locator("#plane-figure .shapelayer path").count() == 3  # the band and its edges


def test_page_opens_with_the_best_network(opened, tmp_path):
    page = opened(sample_study(), viewport={"width": 380, "height": 800}, is_mobile=True, has_touch=True)
    assert page.locator("#detail h3").inner_text() == "Trial 8"
    assert_fits(page, 380)
    assert (tmp_path / "report.html").stat().st_size < 6e6


def assert_fits(page, width):
    assert page.evaluate("document.documentElement.scrollWidth") == width
    for figure in ("plane", "progress", "curves"):
        box = page.locator(f"#{figure}-figure .main-svg").first.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= width


@pytest.mark.parametrize(("figure", "number"), [("plane", 6), ("plane", 0), ("progress", 4), ("progress", 7)])
def test_click_on_a_point_shows_its_network(page, figure, number):
    study = sample_study()
    page.mouse.click(*point(page, figure, number))
    detail = page.locator("#detail")
    title = "ConvNeXt-T (trial 0)" if number == 0 else f"Trial {number}"
    assert detail.locator("h3").inner_text() == title
    widths = [str(stage["width"]) for stage in study["trials"][number]["architecture"]["stages"]]
    assert detail.locator(".stages tr", has_text="Width").locator("td").all_inner_texts() == widths
    assert f"{study['trials'][number]['macs'] / 1e9:.2f} GFLOPs" in detail.inner_text()
    assert page.locator("#detail-figure .main-svg").count()
    assert page.locator("tr.chosen [data-trial]").inner_text() == str(number)
    if number == 4:
        assert "loss became NaN" in detail.inner_text()


def test_hover_names_the_network(page):
    page.mouse.move(*point(page, "plane", 8))
    page.wait_for_selector("#plane-figure .hoverlayer text")
    hover = page.locator("#plane-figure .hoverlayer").text_content()
    assert "61.3%" in hover and "depths 4-6-16-3" in hover and "4.41 GFLOPs" in hover


def test_table_sorts_with_missing_values_last_and_chooses(page):
    head = page.locator(".trials th", has_text="Proxy accuracy")
    column = page.locator(".trials tbody tr td:nth-child(2)")
    for order in ("descending", "ascending"):
        head.locator("button").click()
        assert head.get_attribute("aria-sort") == order
        texts = column.all_inner_texts()
        numbers = [float(t.rstrip("%")) for t in texts if t.endswith("%")]
        assert numbers == sorted(numbers, reverse=order == "descending")
        assert set(texts[-2:]) == {"failed", "interrupted"}
    page.locator("[data-trial='3']").click()
    assert page.locator("#detail h3").inner_text() == "Trial 3"


def test_learning_curves_switch_series(page):
    page.get_by_role("button", name="Training loss").click()
    assert page.locator("#curves-figure .ytitle").text_content() == "training loss"
    assert page.locator("[aria-pressed=true]").inner_text() == "Training loss"


def colours(page):
    return page.evaluate(
        """() => [getComputedStyle(document.body).backgroundColor,
                  getComputedStyle(document.querySelector("#plane-figure .xtick text")).fill]"""
    )


def scheme(page, name):
    """The page's colours after the system switched to `name`; figures follow a frame later."""
    page.emulate_media(color_scheme=name)
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    return colours(page)


def test_dark_follows_the_system_and_the_button(page):
    dark, light = scheme(page, "dark"), scheme(page, "light")
    assert all(a != b for a, b in zip(light, dark, strict=True))
    button = page.locator("#theme")
    seen = {}
    for _ in range(3):
        button.click()
        seen[button.inner_text()] = colours(page)
    assert seen == {"Theme: light": light, "Theme: dark": dark, "Theme: auto": light}


def hostile_study():
    """Every text of the study is an attack; the keys that the page looks up stay."""

    def poisoned(value):
        if isinstance(value, dict):
            return {key: item if key in ("state", "role", "metric") else poisoned(item)
                    for key, item in value.items()}  # fmt: skip
        if isinstance(value, list):
            return [poisoned(item) for item in value]
        return HOSTILE if isinstance(value, str) else value

    study = poisoned(sample_study())
    study["versions"] = {HOSTILE: HOSTILE}
    study["warnings"] = [HOSTILE]
    study["trials"][1]["state"] = HOSTILE
    return study


def test_hostile_text_is_inert_everywhere(opened):
    page = opened(hostile_study())
    assert page.title() == HOSTILE
    assert drawn(page) == ["plane", "progress", "curves", "detail"]
    for number in (8, 0):
        page.mouse.move(*point(page, "plane", number))
        page.wait_for_selector("#plane-figure .hoverlayer text")
        page.mouse.click(*point(page, "plane", number))
    assert HOSTILE in page.locator("#detail h3").inner_text()
    assert "</script><img" in page.locator("#plane-figure .hoverlayer").text_content()
    assert page.locator("img, a, object, iframe").count() == 0
    assert page.locator("script").count() == 3
    assert page.evaluate("window.hacked") is None
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_function("() => document.querySelector('#curves-figure .main-svg').clientWidth < 380")
    assert_fits(page, 380)


def test_paper_is_light_and_narrow_enough(page):
    page.set_viewport_size({"width": 680, "height": 900})
    screen = scheme(page, "dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert colours(page) != screen
    page.emulate_media(media="screen")
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert colours(page) == screen
    page.set_viewport_size(DESKTOP)


def failed_study():
    study = sample_study()
    lost = {"state": "failed", "accuracy": None, "curve": [], "reason": "out of memory"}
    study["trials"] = [{**t, **lost} for t in study["trials"][:3]]
    return {**study, "best": None}


def reference_study():
    study = sample_study()
    return {**study, "trials": study["trials"][:1], "best": None}


def infinite_study():
    """With numbers that Python's JSON reads and a browser's does not."""
    study = sample_study()
    study["trials"][4]["curve"][2].update(val_loss=float("nan"), train_loss=float("inf"), val_accuracy=None)
    study["trials"][5]["accuracy"] = float("nan")
    return study


def bare_study():
    """Only what a trial cannot do without."""
    trials = [
        {"number": 0, "state": "complete", "full_fidelity": True, "accuracy": 0.5, "macs": 5e6},
        {"number": 1, "state": "failed"},
    ]
    return {"trials": trials, "best": 0, "budget": None}


@pytest.mark.parametrize(
    ("make", "figures"),
    [
        (failed_study, []),
        (reference_study, ["plane", "progress", "curves", "detail"]),
        (bare_study, ["plane", "progress"]),
        (infinite_study, ["plane", "progress", "curves", "detail"]),
    ],
)
def test_incomplete_studies_give_a_sensible_page(opened, make, figures):
    study = make()
    page = opened(study)
    assert drawn(page) == figures
    answer = page.locator(".answer").inner_text()
    assert ("trained to the end yet" in answer) == (study.get("best") is None)
    assert "undefined" not in page.inner_text("body") and "None" not in page.inner_text("body")


# ---- without


def test_the_answer_is_one_plain_sentence():
    text = text_of(sample_study())
    assert (
        "Best of 10 networks inside 4.28–4.50 GFLOPs: 61.3% on fractal validation images after 6 epochs; "
        "ConvNeXt-T, trained the same way: 58.0%."
    ) in text
    assert "One seed each: only re-training both with fresh seeds tells whether 3.3 points" in text
    assert "proxy accuracies, not ImageNet" in text


def test_the_answer_names_what_cannot_be_compared():
    study = sample_study()
    study["trials"][0]["fidelity"] = 3
    assert "ConvNeXt-T, after 3 epochs, so not comparable: 58.0%." in text_of(study)
    study["trials"][0].update(state="failed", accuracy=None)
    assert "ConvNeXt-T, the reference, has no result." in text_of(study)
    study["reference"] = None
    assert "after 6 epochs. One training is one seed" in text_of(study)


def test_a_study_without_anything_still_has_a_page():
    text = text_of({})
    assert "No network in this study has been trained to the end yet." in text
    assert "No trial was started." in text and "None" not in text


def test_repeated_seeds_are_not_called_one_seed():
    study = sample_study()
    study["trials"].append({**study["trials"][8], "number": 14, "seed": 1, "accuracy": 0.6})
    text = text_of(study)
    assert "One seed each" not in text and "spread over seeds" in text


def test_shortened_trainings_are_not_compared():
    study = sample_study()
    study["trials"][7]["accuracy"] = 0.99
    data = page_data(Reported(study))
    assert data["front"] == [9, 6, 8]
    assert "Best of 10 networks" in text_of(study)


def test_a_paused_training_is_shown_as_far_as_it_came_and_compared_with_nothing():
    study = sample_study()
    paused = study["trials"][8]
    paused |= {"state": "paused", "accuracy": None, "curve": paused["curve"][:2], "fidelity": 2}
    study["best"] = 6
    data = page_data(Reported(study))
    shown = data["trials"][8]
    assert shown["kind"] == "short" and shown["accuracy"] == pytest.approx(
        100 * paused["curve"][-1]["val_accuracy"], abs=0.01
    )
    assert 8 not in data["front"]


def test_confirmation_has_a_section_and_no_points():
    study = sample_study()
    for seed in (1, 2, 3):
        for of, accuracy in ((0, 0.58), (8, 0.60)):
            row = trial(len(study["trials"]), named("convnext_tiny"), accuracy + seed / 1000)
            study["trials"].append(row | {"role": "confirmation", "of": of, "seed": seed, "budget": "4.5G"})
    page = render(study, "runs/x")
    assert "Confirmed with fresh seeds" in page and "less ConvNeXt-T: +2.0 points" in page
    assert len(page_data(Reported(study))["trials"]) == 14


def test_a_missing_best_is_the_highest_full_candidate():
    study = sample_study()
    del study["best"]
    study["trials"][0]["accuracy"] = 0.9
    assert Reported(study).best["number"] == 8


def test_budget_in_another_cost_moves_the_axis():
    study = sample_study()
    study["budget"] = {"text": "27M params", "metric": "params", "low": 24e6, "high": 27.5e6}
    text = text_of(study)
    assert "Accuracy against parameters" in text and "inside 24.0–27.5 M parameters" in text
    data = page_data(Reported(study))
    assert data["axis"] == "M parameters at 224×224" and data["band"] == [24.0, 27.5]


def test_export_command_is_exact(tmp_path):
    page = render(sample_study(), "runs/a study")
    assert "python -m nas.export &#x27;runs/a study&#x27;" in page
    path = write_report(sample_study(), tmp_path / "report.html")
    assert f"python -m nas.export {tmp_path}<" in path.read_text(encoding="utf-8")


def test_a_failed_write_leaves_the_old_page(tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    monkeypatch.setattr(report.Path, "replace", mock.Mock(side_effect=full))
    with pytest.raises(InputError, match="cannot be written \\(No space left on device\\)"):
        write_report(sample_study(), path)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_names_without_utf8_are_written(tmp_path):
    study = {**sample_study(), "name": "lone \ud800 surrogate"}
    assert "surrogate" in write_report(study, tmp_path / "r.html").read_text(encoding="utf-8")


def test_a_thousand_trials_stay_below_6_mb():
    study = sample_study()
    long = copy.deepcopy(study["trials"])
    for one in long:
        one["curve"] = [{**one["curve"][0], "epoch": e} for e in range(1, 61)]
    study["trials"] = [{**long[i % 14], "number": i} for i in range(1000)]
    page = render(study, "runs/one")
    assert len(page.encode()) < 6e6
    assert "One epoch in 8 is drawn" in page


def test_the_command_writes_the_page_of_the_recorded_default_study(tmp_path, capsys):
    recorded = Path(__file__).parents[3] / "studies" / "default"
    assert report.main([str(recorded), "--out", str(tmp_path / "page.html")]) == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    summary = json.loads((recorded / "summary.json").read_text())
    assert "LayerScale from 1 where there is one, stochastic depth 0, in place of" in page
    assert f"{summary['best']['accuracy']:.1%}" in page and summary["reference"]["name"] in page
    assert report.main([str(tmp_path / "none")]) == 2
    assert "no such study" in capsys.readouterr().err


def test_the_best_is_what_was_searched_and_every_reference_stands_beside_it():
    study = sample_study()
    swin = {**study["trials"][0], "number": 99, "role": "reference", "name": "Swin-T", "state": "complete",
            "accuracy": 0.99, "architecture": named_swin("swin_tiny").to_dict()}  # fmt: skip
    study["trials"].append(swin)
    candidates = [t for t in study["trials"] if t["role"] == "candidate" and t["accuracy"] is not None]
    best = max((t for t in candidates if t["full_fidelity"]), key=lambda t: t["accuracy"])
    study["best"] = study["reference"]  # no candidate was better
    page = render(study, "runs/x")
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert data["best"] == best["number"] and 99 not in data["front"]
    name = next(t["name"] for t in study["trials"] if t["number"] == study["reference"])
    assert f"{name} and Swin-T, references" in page and "Swin-T: <strong>99.0%</strong>" in page
