"""The documents: their commands, links and Python are what the program takes and gives."""

import importlib
import importlib.util
import pkgutil
import re
import shlex
from pathlib import Path

import pytest

from analysis import cli
from tests.photographs import make

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(
    r"^(?: {4}|)(?:pip install [^&]*&& )?python -m ((?:nas|analysis|space)\.\w+)(.*)$", re.MULTILINE
)
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
NAME = re.compile(r"`((?:nas|analysis|space)(?:\.\w+)+)`")
IMPORT = re.compile(r"^from ((?:nas|analysis|space)[\w.]*) import ([\w, ]+)", re.MULTILINE)
LINK = re.compile(r"\]\(([^)\s]+)\)")
PARSED = {entry.place for entry in cli.COMMANDS.values()}


def script(name):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def anchors(page):
    """What a link may name in a page: its headings, as GitHub writes them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith("http"):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_is_one_that_is_taken(page, capsys):
    for place, rest in COMMAND.findall(page.read_text()):
        if place not in PARSED:
            continue
        words = shlex.split(rest.replace("…", ""), comments=True)
        try:
            importlib.import_module(place).parser().parse_args(words)
        except SystemExit:
            pytest.fail(f"python -m {place} {rest}: {capsys.readouterr().err}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_the_python_of_a_page_imports_is_there(page):
    for place, names in IMPORT.findall(page.read_text()):
        for name in names.split(","):
            assert hasattr(importlib.import_module(place), name.strip()), f"from {place} import {name}"


def test_what_documents_and_docstrings_name_is_there():
    sources = [path for package in ("space", "nas", "analysis") for path in (ROOT / package).rglob("*.py")]
    names = {name for path in (*PAGES, *sources) for name in NAME.findall(path.read_text(encoding="utf-8"))}
    assert len(names) > 20
    for name in sorted(names):
        pkgutil.resolve_name(name)


def test_the_readme_names_every_command_of_the_console_script():
    for name in cli.COMMANDS:
        assert f"`{name}`" in (ROOT / "README.md").read_text()


SMALLER = {
    '"600MFLOPs"': '"20M..40M", space="micro"',
    "trials=20": 'trials=3, epochs=1, study="small"',
    '["native", "onnx"]': '"native"',
    "callbacks=[print]": 'callbacks=[told.append], trials=3, study="own", quiet=True',
}


def test_the_readme_s_python_runs(tmp_path, monkeypatch):
    (code,) = PYTHON.findall((ROOT / "README.md").read_text())
    assert 15 <= len(code.splitlines()) <= 24
    for long, short in SMALLER.items():
        assert long in code
        code = code.replace(long, short)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make(tmp_path / "photos", kinds=2, train=12, val=6, side=40)
    names = {"told": []}
    exec(code, names)
    assert len(names["told"]) == 3 and names["study"].name == "own"
    assert (tmp_path / "best").is_dir() and (tmp_path / "runs" / "small" / "report.html").is_file()


def test_the_page_of_the_api_is_what_the_docstrings_say():
    made = script("make_api")
    for name in (name for objects in made.SECTIONS.values() for name in objects):
        place, _, attribute = name.rpartition(".")
        assert hasattr(importlib.import_module(place), attribute), name
    assert made.FILE.read_text() == made.page(), "python docs/make_api.py makes it again"


def test_the_notebook_gives_what_it_shows(tmp_path):
    notebook = script("make_notebook")
    shown = notebook.cells()
    for before, now in zip(shown, notebook.run(shown, tmp_path), strict=True):
        assert texts(before) == texts(now), "python docs/make_notebook.py runs it again"
    assert (tmp_path / "best" / "recipe.yaml").is_file()


def texts(cell):
    """What a cell prints and shows as text: HTML is a library's own, too."""
    return [output.get("text") or output["data"]["text/plain"] for output in cell.get("outputs", ())]


def test_the_citation_names_this_version():
    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()
    assert f'version = "{cited["version"]}"' in (ROOT / "pyproject.toml").read_text()
