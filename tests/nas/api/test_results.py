"""What Python has of a study."""

import sys
from html.parser import HTMLParser

import pytest

import nas
from nas.api.html import table
from nas.api.table import Table
from space.network import build


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "a & b"
    return nas.search(
        "20M..40M", space="micro", proxy="simulated:separable", trials=8, study=folder, quiet=True
    )


class Tags(HTMLParser):
    """The tags that are open, and what was ever wanted from elsewhere."""

    def __init__(self, text):
        super().__init__()
        self.open, self.wanted, self.count = [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        self.count[tag] = self.count.get(tag, 0) + 1
        self.wanted += [value for name, value in attributes if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_trials_are_rows_of_plain_values_and_a_data_frame_on_request(study):
    rows = study.trials
    assert isinstance(rows, list) and [row["trial"] for row in rows] == list(range(8))
    assert all(20e6 <= row["flops"] <= 40e6 for row in rows if row["role"] == "candidate")
    frame = rows.to_pandas()
    assert list(frame.columns) == rows.columns and len(frame) == 8
    assert frame.accuracy.max() == max(row["accuracy"] for row in rows)


def test_without_pandas_the_rows_are_there_and_the_frame_says_what_it_needs(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        study.trials.to_pandas()


def test_the_front_rises_in_cost_and_accuracy(study):
    rows = study.front
    assert rows == sorted(rows, key=lambda row: row["flops"]) == sorted(rows, key=lambda row: row["accuracy"])
    assert rows[-1]["trial"] == study.pick.tried.trial


def test_the_network_to_take_can_be_built(study):
    assert study.network().fingerprint == study.pick.tried.fingerprint
    module = build(study.network(), num_classes=3)
    assert sum(p.numel() for p in module.parameters()) > 0
    with pytest.raises(nas.InputError, match="there is no trial 99; its trials are 0 to 7"):
        study.network(99)


def test_the_page_is_written_where_the_study_is(study):
    study.page().unlink()
    assert study.page() == study.folder / "report.html" and study.page().is_file()


def test_exports_are_those_of_the_command(study, tmp_path, capsys):
    (folder,) = study.export(tmp_path / "best", to="native", trial=2, gpus=1)
    assert (folder / "recipe.yaml").is_file() and folder == tmp_path / "best"
    assert "devices: 1" in (folder / "recipe.yaml").read_text()
    front = study.export(tmp_path / "all", to=["native"], front=True)
    assert len(front) == len(study.front)
    for flags, says in (
        ({"gpu": 1}, "there is no flag gpu; there are study, trial"),
        ({"to": "caffe"}, "'caffe' is no target"),
        ({"trial": 99}, "there is no trial 99"),
    ):
        with pytest.raises(nas.InputError, match=says):
            study.export(tmp_path / "no", **flags)
    assert not (tmp_path / "no").exists()


def test_a_notebook_shows_a_small_page_that_needs_nothing_else(study):
    html = study._repr_html_()
    tags = Tags(html)
    assert not tags.open and not tags.wanted and "script" not in tags.count
    assert len(html) < 20_000 and tags.count["circle"] == 8
    assert "a &amp; b" in html and "a & b" not in html
    assert str(study) in repr(study).replace("> ", "") or study.pick.text in repr(study)


def test_a_table_in_a_notebook_escapes_what_is_in_it():
    rows = Table([{"<b>": "<script>", "n": None}, {"n": 0.123456}])
    html = rows._repr_html_()
    assert "<script>" not in html and "&lt;script&gt;" in html and "&lt;b&gt;" in html
    assert "<td>0.1235</td>" in html and Tags(html).count["td"] == 4
    assert table(["a"], []) == "<table><thead><tr><th>a</th></tr></thead><tbody></tbody></table>"
