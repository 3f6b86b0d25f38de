"""The page of what others trained, in a real browser: as many models as timm has; and beside a study."""

import csv
import io
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from analysis import dashboard
from analysis.points.packaged import packaged_points
from analysis.points.printed import CONVNEXT_PAPER

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><img src=x onerror=window.hacked=1><b>b</b>"
MODELS = 1556  # as many rows as timm's results have
SIZES = ("tiny", "small", "base", "large")
FRAME = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Rows as timm has them: ConvNeXts and Swins, and ResNets of many recipes; two of unknown names."""
    folder = tmp_path_factory.mktemp("timm")
    models = [
        *((f"convnext_{size}.fb_in1k", 82 + i, 4.5 * 2**i) for i, size in enumerate(SIZES)),
        *(
            (f"swin_{size}_patch4_window7_224.ms_in1k", 81.5 + i, 4.5 * 2**i)
            for i, size in enumerate(SIZES[:3])
        ),
        ("convnext_tiny.in12k_ft_in1k", 84, 4.5),
        ("convnext_tiny.unheard_of", 99, 4.5),
        ("unheardof_tiny.fb_in1k", 99, 4.5),
    ]
    models += [
        (f"resnet{i}.a1_in1k", 60 + 20 * i / MODELS, 0.1 + i / 100) for i in range(MODELS - len(models))
    ]
    results, speeds = io.StringIO(), io.StringIO()
    rows, costs = csv.writer(results), csv.writer(speeds)
    rows.writerow(["model", "img_size", "top1", "param_count"])
    costs.writerow(["model", "infer_img_size", "infer_samples_per_sec", "infer_gmacs", "infer_macts"])
    for model, top1, gmacs in models:
        rows.writerow([model, 224, f"{top1:.3f}", f"{6 * gmacs:.2f}"])
    for model, (_, gmacs) in {name.split(".")[0]: rest for name, *rest in models}.items():
        costs.writerow([model, 224, f"{5000 / gmacs:.2f}", f"{gmacs:.2f}", f"{3 * gmacs:.2f}"])
    paths = folder / "results-imagenet.csv", folder / "benchmark-infer-amp-gpu.csv"
    for path, text in zip(paths, (results, speeds), strict=True):
        path.write_text(text.getvalue())
    return [str(path) for path in paths]


@pytest.fixture(scope="module")
def written(files, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "results.html"
    assert dashboard.main(["--results", *files, "--out", str(path)]) == 0
    return path


@pytest.fixture
def page(browser, written):
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto(written.as_uri())
    yield page
    page.close()
    assert wrong == []


def test_as_many_models_as_timm_has_are_small_and_quick(browser, written):
    assert written.stat().st_size < 6_000_000
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    session = page.context.new_cdp_session(page)
    # time of the page's own thread: what else runs on the machine does not count
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(written.as_uri())
    page.evaluate(FRAME)
    assert page.locator("#explorer .plot .point").count() > 1500
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    assert found["TaskDuration"] < 2
    page.close()


def test_the_answers_are_those_of_the_plane_that_is_chosen(page):
    answers = page.locator("#explorer .answers")
    paper = sum(point.source == CONVNEXT_PAPER for point in packaged_points())
    expect(answers).to_contain_text(
        "convnext less swin at equal FLOPs: +0.5 points on average (+0.5 to +0.5; better)"
    )
    expect(answers).to_contain_text("swin: no law, 3 networks for 3 parameters.")
    page.select_option("#explorer [name=source]", label=f"{CONVNEXT_PAPER} ({paper})")
    expect(answers).to_contain_text("+0.8 at 4.5 GFLOPs (ConvNeXt-T less Swin-T)")
    page.select_option("#explorer [name=size]", "any")
    expect(answers).to_have_text(re.compile("of one source, one pre-training set and one resolution"))


def test_words_filter_and_a_click_shows_the_model_with_its_other_weights(page):
    page.get_by_role("searchbox").fill("convnext tiny")
    expect(page.locator("#explorer [role=status]")).to_contain_text("1 result of 1 network;")
    page.locator("#explorer .plot .point").first.click(force=True)
    chosen = page.locator("#explorer .choice")
    expect(chosen).to_contain_text("convnext_tiny.fb_in1k")
    expect(chosen).to_contain_text("convnext_tiny.in12k_ft_in1k, 224 px: 84%")
    # the ring is around the point, and its row is marked
    boxes = [
        page.locator(f"#explorer {part}").bounding_box() for part in (".plot .point", ".shapelayer path")
    ]
    middles = [(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2) for box in boxes]
    assert middles[0] == pytest.approx(middles[1], abs=1.5)
    expect(page.locator("#explorer tr.chosen")).to_contain_text("convnext_tiny.fb_in1k")
    page.get_by_role("button", name="Close").click()
    expect(chosen).to_be_empty()
    expect(page.locator("#explorer .shapelayer path, #explorer tr.chosen")).to_have_count(0)


def test_families_are_chosen_and_throughput_has_its_front(page):
    page.get_by_role("button", name="resnet", exact=True).click()
    expect(page.get_by_role("button", name="resnet", exact=True)).to_have_attribute("aria-pressed", "true")
    page.select_option("#explorer [name=cost]", label="images a second, amp-gpu")
    expect(page.locator("#explorer .plot .xtitle")).to_have_text("images a second, amp-gpu")
    # the fastest is first on a front of speed
    front = page.evaluate(
        "document.querySelector('#explorer .plot').data.find(t => t.name === 'front of all').x"
    )
    assert front == sorted(front, reverse=True) and front[0] == 50000
    page.locator("#explorer th button", has_text="images/s").click()
    expect(page.locator("#explorer tbody tr").first).to_contain_text("resnet0.a1_in1k")


def test_laws_are_shaded_and_the_legend_hides_all_of_a_family(page):
    page.select_option("#explorer [name=source]", label="pycls MODEL_ZOO (24)")
    # none of the families chosen is there: those of most networks are
    expect(page.locator("#explorer .chips [aria-pressed=true]")).to_have_text(["regnetx", "regnety"])
    traces = (
        "document.querySelector('#explorer .plot')._fullData.filter(t => t.visible === true).map(t => t.fill)"
    )
    assert page.evaluate(traces).count("toself") == 2
    page.locator("#explorer .legendtoggle").last.click()
    expect(page.locator("#explorer .legend .traces").last).to_have_css("opacity", "0.5")
    assert page.evaluate(traces).count("toself") == 1
    page.select_option("#explorer [name=cost]", "params")
    answers = page.locator("#explorer .answers")
    expect(answers).to_contain_text("regnetx, error = a + b (M parameters)^-c over 12 networks: a")
    expect(answers).to_contain_text("regnetx less regnety at equal parameters:")


def test_a_law_is_shaded_where_its_parameters_are_not_identified_too(page):
    paper = [point for point in packaged_points() if point.source == CONVNEXT_PAPER]
    page.select_option("#explorer [name=source]", label=f"{CONVNEXT_PAPER} ({len(paper)})")
    at_once = [point for point in paper if point.pretrain == "imagenet-1k"]
    page.select_option("#explorer [name=pretrain]", label=f"imagenet-1k ({len(at_once)})")
    page.select_option("#explorer [name=size]", "224")
    expect(page.locator("#explorer .answers")).to_contain_text(
        "convnext, error = a + b GFLOPs^-c over 4 networks: a not identified"
    )
    law = "document.querySelector('#explorer .plot').data.filter(t => t.name === 'law, convnext')"
    assert page.evaluate(f"{law}.map(t => t.fill ?? null)") == ["toself", None]
    # it leaves the points their room
    low, high = page.evaluate(f"[Math.min(...{law}[0].y), Math.max(...{law}[0].y)]")
    shown = [point.top1 for point in at_once if point.resolution == 224]
    assert min(shown) - 0.5 <= low < high <= max(shown) + 0.5


def test_laws_of_throughput_are_over_the_time_of_an_image(page):
    page.select_option("#explorer [name=cost]", label="images a second, amp-gpu")
    page.get_by_role("button", name="resnet", exact=True).click()
    expect(page.locator("#explorer .answers")).to_contain_text("resnet, error = a + b (ms an image)^-c over")
    x = page.evaluate(
        "document.querySelector('#explorer .plot').data.find(t => t.name === 'law, resnet' && !t.fill).x"
    )
    assert x == sorted(x, reverse=True) and x[0] == pytest.approx(50000, rel=1e-3)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_has_no_horizontal_overflow(browser, written, scheme):
    page = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(written.as_uri())
    expect(page.locator("#explorer .plot .point").first).to_be_attached()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_a_study_stands_beside_and_is_never_mixed_with_it(browser, tmp_path, capsys):
    recorded = tmp_path / "default"
    shutil.copytree(ROOT / "studies" / "default", recorded)
    mine = tmp_path / "mine.csv"
    quoted = HOSTILE.replace('"', '""')
    mine.write_text(
        f'name,family,resolution,pretrain,top1,gflops\n"{quoted}","{quoted}",224,imagenet-1k,80,4.5\n'
    )
    path = tmp_path / "both.html"
    assert dashboard.main([str(recorded), "--results", str(mine), "--out", str(path)]) == 0
    assert "mine.csv: 1 row, all read" in capsys.readouterr().err
    page = browser.new_page()
    page.goto(path.as_uri())
    page.select_option("#explorer [name=source]", label="mine.csv (1)")
    expect(page.locator("#explorer tbody tr")).to_have_count(1)
    expect(page.locator("#explorer tbody tr")).to_contain_text("<b>b</b>")
    assert page.evaluate("window.hacked") is None
    # the study's own table and figures hold nothing of it
    assert "ConvNeXt paper Table 1" not in page.locator("#plane").inner_text()
    expect(page.locator("#contents")).to_contain_text("Others")
    page.close()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "which study? Give names under runs/ or folders, or --results"),
        (["--serve", "--results"], "--serve shows studies"),
        (["--results", "nowhere.csv"], "nowhere.csv: cannot be read"),
    ],
)
def test_mistakes_are_one_line(argv, message, capsys):
    try:
        code = dashboard.main(argv)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_what_was_left_out_is_named(written, files, capsys):
    assert dashboard.main(["--results", *files, "--out", str(written.with_name("again.html"))]) == 0
    said = capsys.readouterr().err
    assert "1 of weights that the rules do not know (convnext_tiny.unheard_of)" in said
    assert "1 of families that the rules do not know (unheardof_tiny.fb_in1k)" in said
