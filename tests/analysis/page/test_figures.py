"""Figures and tables as files: real images by a real browser, CSV that reads back as it was, or nothing."""

import csv
import io
import struct
import sys
import xml.etree.ElementTree as ET

import pytest

from analysis.page import figures
from analysis.page.figures import THEMES, csv_bytes, export, paper, template
from analysis.page.view import Figure, Table, View
from space.errors import InputError

SPEC = {
    "data": [{"type": "scatter", "x": [1, 2], "y": [3, 4], "name": "first &lt;b&gt;", "showlegend": True}],
    "layout": {"xaxis": {"title": {"text": "GFLOPs"}}},
}
FIGURE = Figure("front", "The front", SPEC, "Two points.")
ROWS = [['a, "b"', 1, 0.123456789012345, True], [None, -2, 1e-9, False], ["Δ width 2", 3, 4.5, None]]
TABLE = Table("numbers", "Numbers", ["network", "FLOPs (G)", "error (%)", "chosen"], ROWS)


def view(**fields):
    return View("plane", "The plane", "An answer.", **fields)


def read(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8"))))


def test_a_table_reads_back_as_it_was():
    head, *rows = read(csv_bytes(TABLE))
    assert head == list(TABLE.columns)
    assert [row[0] for row in rows] == ['a, "b"', "", "Δ width 2"]
    assert [float(row[2]) for row in rows] == [row[2] for row in ROWS]
    assert [row[3] for row in rows] == ["true", "false", ""]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The files of one figure and one table, the second time over the first."""
    folder = tmp_path_factory.mktemp("figures") / "of" / "a paper"
    folder.mkdir(parents=True)
    (folder / "plane-front.svg").write_text("old")
    paths = export([view(figures=[FIGURE], tables=[TABLE])], folder)
    assert sorted(folder.iterdir()) == paths  # and nothing temporary
    return {path.name: path.read_bytes() for path in paths}


def test_every_figure_is_svg_and_png_and_every_table_csv(exported):
    assert list(exported) == ["plane-front.png", "plane-front.svg", "plane-numbers.csv"]
    assert exported["plane-numbers.csv"] == csv_bytes(TABLE)


def test_the_png_is_of_print_resolution(exported):
    content = exported["plane-front.png"]
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert (width, height) == (figures.SCALE * figures.PAPER_WIDTH, figures.SCALE * figures.PAPER_HEIGHT)
    assert len(content) > 10_000


def test_the_svg_is_white_with_the_words_of_the_figure(exported):
    root = ET.fromstring(exported["plane-front.svg"])
    assert root.tag.endswith("svg") and root.get("width") == str(figures.PAPER_WIDTH)
    words = " ".join(root.itertext())
    assert "GFLOPs" in words and "first <b>" in words
    assert "rgb(255, 255, 255)" in root.get("style", "") + exported["plane-front.svg"].decode()
    assert "Arial" in exported["plane-front.svg"].decode()


def test_a_figure_keeps_its_own_height_and_is_not_changed():
    tall = Figure("tall", "Tall", {"data": [], "layout": {"height": 900}}, "")
    assert paper(tall)["layout"]["height"] == 900
    assert tall.spec == {"data": [], "layout": {"height": 900}}


def test_themes_differ_in_colours_only():
    light, dark = (template(THEMES[name])["layout"] for name in ("light", "dark"))
    assert light["font"]["color"] != dark["font"]["color"]
    assert light["colorway"] == dark["colorway"] and light["margin"] == dark["margin"]


def contrast(first, second):
    """WCAG 2.2's contrast ratio of two #rrggbb colours."""

    def luminance(colour):
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("name", THEMES)
def test_text_has_the_contrast_of_wcag(name):
    theme = THEMES[name]
    assert contrast(theme.ink, theme.surface) >= 7
    assert contrast(theme.muted, theme.surface) >= 4.5


@pytest.mark.parametrize(
    ("module", "environment", "message"),
    [
        ("kaleido", {}, "pip install 'convnext-nas\\[dashboard\\]'"),
        (None, {"BROWSER_PATH": "/none"}, "BROWSER_PATH"),
    ],
)
def test_without_a_library_or_a_browser_nothing_is_written(
    tmp_path, monkeypatch, module, environment, message
):
    if module:
        monkeypatch.setitem(sys.modules, module, None)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=message) as error:
        export([view(figures=[FIGURE], tables=[TABLE])], tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_tables_alone_need_no_browser(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaleido", None)
    assert [path.name for path in export([view(tables=[TABLE])], tmp_path)] == ["plane-numbers.csv"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        export([view(tables=[TABLE])], tmp_path / "file" / "out")
