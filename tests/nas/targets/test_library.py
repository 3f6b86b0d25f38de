"""A library as it is: there, missing, or broken in any way, and tried once."""

import pytest

from nas.targets.library import installed, library, said, unless_broken
from nas.targets.target import Mismatch
from space.errors import InputError


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Writes a package of that source and puts it on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(name, source):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(source)

    return make


def test_what_is_there_is_imported(packages):
    packages("library_that_works", "VALUE = 3\n")
    found = library("library_that_works")
    assert (found.module.VALUE, found.missing) == (3, "")
    assert installed("library_that_works")


@pytest.mark.parametrize(
    ("name", "source", "words"),
    [
        ("broken_1", "raise RuntimeError('no operator\\nmore')", "(RuntimeError: no operator)"),
        ("broken_2", "import nothing_here", "(ModuleNotFoundError: No module named 'nothing_here')"),
        ("broken_3", "raise SystemExit(7)", "(SystemExit: 7)"),
        ("broken_4", "raise ValueError", "(ValueError)"),
        ("broken_5", "raise RuntimeError('x' * 9999)", "x…x"),
        ("broken_6", "(", "(SyntaxError: '(' was never closed"),
    ],
)  # fmt: skip
def test_whatever_an_import_raises_is_a_reason(packages, name, source, words):
    packages(name, source)
    found = library(name)
    assert found.module is None and found.missing.startswith(f"{name} cannot be imported (")
    assert words in found.missing and len(found.missing) < 300 and found.missing.isprintable()
    assert library(name) is found  # not tried again


def test_a_folder_of_that_name_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "only_a_folder").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert not installed("only_a_folder")
    assert library("only_a_folder").missing == "only_a_folder is not installed"
    assert library("not.there.at.all").module is None


def test_the_first_cause_is_the_reason():
    try:
        try:
            raise RuntimeError("operator torchvision::nms does not exist")
        except RuntimeError as error:
            raise ModuleNotFoundError("Could not import module 'X'.") from error
    except ModuleNotFoundError as error:
        assert said(error) == "RuntimeError: operator torchvision::nms does not exist"


def test_a_check_may_differ_and_may_break():
    def raises(error):
        def check():
            raise error

        return check

    for kind in (Mismatch, InputError):
        with pytest.raises(kind):
            unless_broken(raises(kind("logits differ")), "it 1.0")
    assert unless_broken(raises(KeyError("a")), "it 1.0") == (None, "it 1.0 failed (KeyError: 'a')")
