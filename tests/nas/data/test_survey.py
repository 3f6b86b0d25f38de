"""What a data set holds, told without decoding it."""

import numpy as np
import pytest
from PIL import Image

from nas.data.survey import Survey, survey
from space.errors import InputError


@pytest.fixture
def photos(tmp_path):
    """Classes cat and dog, 6 + 2 images each; those of training are 30 to 35 pixels high."""
    for split, count in (("train", 6), ("val", 2)):
        for name in ("cat", "dog"):
            (tmp_path / "photos" / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = np.zeros((30 + i, 48, 3), np.uint8)
                Image.fromarray(pixels).save(tmp_path / "photos" / split / name / f"{i}.png")
    return tmp_path / "photos"


def test_sets_that_need_no_path():
    assert survey("fractal") == Survey(tuple("0123456789"), 4000, 1000, None)
    assert survey("digits") == Survey(tuple("0123456789"), 1198, 599, 8)


@pytest.mark.parametrize("spec", ["photos", "photos/", "./photos", "imagefolder:photos", "~/photos"])
def test_an_image_folder_however_its_path_is_written(photos, monkeypatch, spec):
    monkeypatch.chdir(photos.parent)
    monkeypatch.setenv("HOME", str(photos.parent))
    assert survey(spec) == Survey(("cat", "dog"), 12, 4, 32)


def test_an_image_that_is_cut_short_is_not_counted(photos):
    file = photos / "train" / "cat" / "0.png"
    file.write_bytes(file.read_bytes()[:20])
    found = survey(str(photos))
    assert found == Survey(("cat", "dog"), 11, 4, 33)
    assert found.read.endswith("2 classes, 11 + 4 images; left out: 1 cut short (train/cat/0.png)")


def test_a_wrong_place_is_a_line(tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        survey(str(tmp_path / "none"))
