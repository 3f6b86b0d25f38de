"""docs/tutorial.md: its commands, in order, on few and small photographs, each with less to do."""

import importlib
import shlex
from pathlib import Path

import pytest

from tests.photographs import make
from tests.test_docs import COMMAND, PYTHON

TEXT = (Path(__file__).parents[1] / "docs" / "tutorial.md").read_text()
COMMANDS = [(place, shlex.split(rest, comments=True)) for place, rest in COMMAND.findall(TEXT)]
# of flags that are given twice the last counts
SMALL = {
    "nas.search": ["--space", "micro", "--budget", "20M..40M", "--reference", "convnext", "--trials", "3",
                   "--epochs", "1", "--resolution", "32", "--study", "photos-150MFLOPs"],
    "nas.train": ["--set", "epochs=1", "--set", "data.resolution=32", "--seeds", "2"],
}  # fmt: skip
LONGER = {"nas.search": ["--trials", "4"]}
PRETRAINED = "tuned"  # needs weights from elsewhere


def said(place, words, capsys):
    """What a command of the tutorial prints."""
    words = [*words, *(LONGER if "--resume" in words else SMALL).get(place, ())]
    words = ["1x2" if word == "2x3" else word for word in words]
    code = importlib.import_module(place).main(words)
    printed = capsys.readouterr()
    assert code == 0, (place, words, printed.err)
    return printed.out


@pytest.fixture
def photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return make(tmp_path / "photos", kinds=2, train=24, val=12, side=40)


def test_its_commands_go_from_photographs_to_a_comparison(photos, capsys):
    own = [(place, words) for place, words in COMMANDS if not any(PRETRAINED in word for word in words)]
    assert [place for place, _ in own] == [
        *["nas.search"] * 3, "analysis.dashboard", "nas.export", "nas.train",
        "analysis.compare", "nas.evaluate", "nas.export",
    ]  # fmt: skip
    outputs = [said(place, words, capsys) for place, words in own]
    assert "photos: 2 classes, 48 + 24 images" in outputs[0]
    assert "2 fresh seeds" in outputs[2]
    assert (
        "next    python -m nas.train best/recipe.yaml --data photos/ --seeds 3 --control nearest"
        in outputs[4]
    )
    folder = photos.parent
    recipe = (folder / "best" / "recipe.yaml").read_text()
    assert "classes: [boxes, suns]" in recipe
    assert "paired" in outputs[6] and (folder / "comparison.html").is_file()
    assert (folder / "runs" / "photos-150MFLOPs" / "report.html").is_file()
    assert (folder / "ready" / "python" / "model.py").is_file()


def test_the_commands_with_pretrained_weights_are_taken(capsys):
    others = [(place, words) for place, words in COMMANDS if any(PRETRAINED in word for word in words)]
    assert [place for place, _ in others] == ["nas.export", "nas.train", "analysis.compare"]
    for place, words in others:
        importlib.import_module(place).parser().parse_args(words)


def test_its_python_runs(photos):
    (code,) = PYTHON.findall(TEXT)
    for long, short in {
        '"150MFLOPs"': '"20M..40M", space="micro", reference="none"',
        "=6": "=1",
        "=8": "=1",
    }.items():
        assert long in code
        code = code.replace(long, short)
    exec(code, {})
    assert (photos.parent / "mine" / "recipe.yaml").is_file()
