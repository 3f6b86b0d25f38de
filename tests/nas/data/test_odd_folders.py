"""Folders and lists that users have: each is read, and said how, or is one line that says what to do."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas.data import listing, load
from nas.data.csv_list import _order
from nas.data.files import looked_at
from nas.data.layout import refuse_inside
from nas.data.once import listed_once
from nas.data.opening import STREAMED
from nas.data.sources.registry import parsed
from nas.data.stream import Streamed
from nas.data.survey import survey
from space.errors import InputError


def images(folder, count=5, suffix="png", first=0):
    """Images that differ, with an end of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        pixels = np.random.default_rng([i, *os.fsencode(folder.name)]).integers(0, 256, (12, 14, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.{suffix}")


def splits(root, train="train", val="val", classes="ab"):
    for name in classes:
        images(root / train / name, 4)
        images(root / val / name, 2, first=4)


def classes(root, names="ab", count=5, **form):
    for name in names:
        images(root / name, count, **form)


def written(text):
    """A list beside the images of a folder of classes."""

    def make(root):
        classes(root)
        (root / "list.csv").write_text(text)

    return make


def rows(*lines, names="ab", count=5, form="{c}/{i}.png,{c}"):
    return "\n".join([*lines, *(form.format(c=c, i=i) for c in names for i in range(count))])


def with_extras(*extras):
    def make(root):
        classes(root)
        for path, content in extras:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)

    return make


def nested(root):
    classes(root, count=3)
    images(root / "a" / "2023" / "may", 2, first=3)
    images(root / "b" / "2024", 2, first=3)


def linked(root):
    classes(root.parent / "elsewhere")
    root.mkdir()
    for name in "ab":
        (root / name).symlink_to(root.parent / "elsewhere" / name)


def cut(root):
    classes(root, suffix="jpg")
    for i in (1, 2):
        content = (root / "a" / f"{i}.jpg").read_bytes()
        (root / "a" / f"{i}.jpg").write_bytes(content[: len(content) // 2])


def cut_of_every_kind(root):
    for suffix in ("jpg", "png", "webp"):
        for name in "ab":
            images(root / name, 2, suffix, first=ord(suffix[0]))
            file = root / name / f"{ord(suffix[0])}.{suffix}"
            file.write_bytes(file.read_bytes()[:-30])


def trailing(root):
    classes(root, suffix="jpg")
    with (root / "a" / "0.jpg").open("ab") as file:  # as some phones add
        file.write(bytes(5000))


def grey_of_16_bits(root):
    for name in "ab":
        (root / name).mkdir(parents=True)
        for i in range(5):
            pixels = np.random.default_rng([i, ord(name)]).integers(0, 65536, (12, 14), np.uint16)
            Image.fromarray(pixels).save(root / name / f"{i}.png")


def kaggle(root):
    classes(root / "train")
    images(root / "test", 3)


def flat_splits(root):
    images(root / "train")
    images(root / "val")


def named_otherwise(root):
    splits(root, "seg_train", "seg_test")


def unpacked_twice(root):
    splits(root / "photos" / "photos")


def beside_notes(root):
    splits(root / "images")
    (root / "docs").mkdir()
    (root / "docs" / "readme.txt").write_text("some")


def class_called_train(root):
    classes(root, ("bus", "car", "train"))


def classes_differ(root):
    splits(root)
    images(root / "train" / "c")


def empty_in_val(root):
    splits(root)
    (root / "train" / "c").mkdir()
    (root / "val" / "c").mkdir()
    images(root / "train" / "c")


def two_of_splits(root):
    splits(root)
    splits(root, "train", "test")


def one_of_classes(root):
    classes(root.parent, ("my photos", "your photos"))


def an_archive(root):
    root.write_bytes(b"PK\x03\x04")


FIFTH = "2 classes, 8 + 2 images, a fifth of each class kept for validation"
READ = {
    "splits": (splits, "2 classes, 8 + 4 images"),
    "train and validation": (
        lambda root: splits(root, val="validation"),
        "8 + 4 images, in train and validation",
    ),
    "train and valid": (lambda root: splits(root, val="valid"), "8 + 4 images, in train and valid"),
    "train and test": (lambda root: splits(root, val="test"), "8 + 4 images, in train and test"),
    "Training and Testing": (lambda root: splits(root, "Training", "Testing"), "in Training and Testing"),
    "train, val and test": (two_of_splits, "8 + 4 images; not read: test"),
    "classes alone": (classes, FIFTH),
    "a class called train": (class_called_train, "3 classes, 12 + 3 images, a fifth"),
    "two images a class": (lambda root: classes(root, count=2), "2 + 2 images, a fifth"),
    "folders in classes": (nested, FIFTH),
    "linked classes": (linked, FIFTH),
    "grey of 16 bits": (grey_of_16_bits, FIFTH),
    "bytes behind the end": (trailing, FIFTH),
    "spaces and other letters": (
        lambda root: classes(root, ("Füchse & Co", "a b", "犬")),
        "3 classes, 12 + 3",
    ),
    "what systems leave": (
        with_extras(
            ("a/.DS_Store", b"x"),
            ("a/Thumbs.db", b"x"),
            ("b/desktop.ini", b"x"),
            ("__MACOSX/a/._0.png", b"\x00\x05\x16\x07"),
            (".ipynb_checkpoints/0.png", b"x"),
        ),
        f"{FIFTH}; left out: 5 hidden (.ipynb_checkpoints, __MACOSX, a/.DS_Store, ...)",
    ),
    "what is no image": (
        with_extras(("README.md", b"x"), ("a/notes.txt", b"x"), ("a/IMG.HEIC", b"x"), ("b/x.jpg", b"<html>")),
        "1 outside of the class folders (README.md), 1 in a format that is not read, JPEG would be "
        "(a/IMG.HEIC), 1 not named as an image (a/notes.txt), 1 without an image's content (b/x.jpg)",
    ),
    "downloads that broke off": (cut, "for validation; left out: 2 cut short (a/1.jpg, a/2.jpg)"),
    "of every format": (
        cut_of_every_kind,
        "4 + 2 images, a fifth of each class kept for validation; left out: 6 cut",
    ),
    "a list": (written(rows()), FIFTH),
    "a list with a header": (written(rows("label,path", form="{c},{c}/{i}.png")), FIFTH),
    "a list with semicolons": (written(rows("file;width;class", form="{c}/{i}.png;14;{c}")), FIFTH),
    "a list with splits": (
        written(rows(form="{c}/{i}.png,{c},train", count=4) + "\n" + "a/4.png,a,test\nb/4.png,b,test\n"),
        "2 classes, 8 + 2 images, validated on test",
    ),
    "a list with three splits": (
        written(
            "file,label,split\na/0.png,a,train\nb/0.png,b,train\na/1.png,a,val\nb/1.png,b,val\na/2.png,a,test"
        ),
        "2 classes, 2 + 2 images; not read: 1 of split 'test'",
    ),
    "a list of what is not there": (
        written(rows() + "\na/9.png,a\na/0.png,a"),
        f"{FIFTH}; left out: 1 listed twice (a/0.png), 1 not there (a/9.png)",
    ),
}
REFUSED = {
    "nothing": (lambda root: None, "is no folder (No such file or directory); an image folder is PATH/CLASS"),
    "a file": (
        an_archive,
        "is no folder; an archive has to be unpacked; a list of images that does not end in .csv is",
    ),
    "an empty folder": (Path.mkdir, "has no class folders; an image folder is PATH/CLASS/*.jpg, or"),
    "images alone": (images, "and PATH/val/CLASS/*.jpg; {root} holds 0.png, 1.png, 2.png and 2 more"),
    "the folder of one class": (
        one_of_classes,
        "holds 0.png, 1.png, 2.png and 2 more; PATH may be {root.parent}",
    ),
    "one class": (
        lambda root: classes(root, "a"),
        "has one class folder, a; a classifier needs at least two",
    ),
    "one class in splits": (
        lambda root: splits(root, classes="a"),
        "train has one class folder, 'a'; a classifier",
    ),
    "one image of a class": (
        lambda root: [classes(root), images(root / "c", 1)],
        "has one image of class 'c'; a class needs two, one of them for val",
    ),
    "an empty class": (
        lambda root: [classes(root), (root / "c").mkdir()],
        "{root}/c has no images (.jpg .jpeg",
    ),
    "a folder too high": (unpacked_twice, "holds photos; PATH may be {root}/photos/photos"),
    "a folder too high for classes": (lambda root: classes(root / "photos"), "PATH may be {root}/photos"),
    "beside another folder": (beside_notes, "holds docs, images; PATH may be {root}/images"),
    "splits named otherwise": (
        named_otherwise,
        "holds seg_test, seg_train, and each of them a, b: if these are the classes, name two",
    ),
    "splits without classes": (
        flat_splits,
        "{root}/train has no class folders; imagefolder needs PATH/train/CLASS",
    ),
    "test images without classes": (
        kaggle,
        "/val/CLASS/*.jpg; {root}/test holds 0.png, 1.png, 2.png; of {root}/train as PATH a",
    ),
    "train alone": (
        lambda root: classes(root / "train"),
        "of {root}/train as PATH a part is kept for validation",
    ),
    "other classes": (
        classes_differ,
        "3 classes in train and 2 in val, which must be the same; c is only in train",
    ),
    "a class empty in val": (empty_in_val, "{root}/val/c has no images"),
    "a list without labels": (
        written("a/0.png\n"),
        "begins with 'a/0.png'; a list has columns file and label, and",
    ),
    "a list of something else": (
        written("id,breed\n1,a\n"),
        "begins with 'id,breed'; a list has columns file and",
    ),
    "an empty list": (written("file,label\n"), "lists no images; a list has columns file and label"),
    "a list of nothing there": (
        written(rows(names="xy")),
        "left out: 10 not there (x/0.png, x/1.png, x/2.png, ...); paths are relative to {root}",
    ),
    "a list of one label": (written(rows(names="a")), "has one label, 'a'; a classifier needs at least two"),
    "a list with a row cut": (
        written(rows() + "\na/0.png"),
        "list.csv, line 11: 'a/0.png' has no file or no label",
    ),
    "two labels of an image": (
        written(rows() + "\na/0.png,b"),
        "'a/0.png' has two labels, in lines 1 and 11",
    ),
    "two labels of an image, by two paths": (
        lambda root: [
            classes(root),
            (root / "list.csv").write_text(f"{rows()}\n{root.resolve()}/a/0.png,b"),
        ],
        "/a/0.png' has two labels, in lines 1 and 11",
    ),
    "a list whose splits have no name": (
        written(rows("file,label", form="{c}/{i}.png,{c},train")),
        "list.csv, line 2: 'a/0.png,a,train' has 3 cells, the first line 2; name every column, and",
    ),
    "labels with a comma": (
        written(rows(form="{c}/{i}.png,{c}") + "\na/4.png,a, or b"),
        "line 11: 'a/4.png,a,or b' has 3 cells, the first line 2",
    ),
    "two columns of one name": (
        written(rows("file,label,Label", form="{c}/{i}.png,{c},0")),
        "list.csv has 2 columns 'label'",
    ),
    "a list of train alone": (
        written(rows("file,label,split", form="{c}/{i}.png,{c},train")),
        "has no val images: its splits are train; they are called train|training and val|",
    ),
    "a list of bytes": (
        lambda root: [classes(root), (root / "list.csv").write_bytes(b"\xff\xfe")],
        "cannot be read as a list (it is not text in UTF-8)",
    ),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A path as a user may write it, relative to where they are."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "my photos"


def made(make, root):
    """What is given to --data."""
    make(root)
    return str(root / "list.csv") if (root / "list.csv").exists() else str(root)


def streamed(spec, training=True):
    kind, path = parsed(spec)
    return Streamed(path, listing=STREAMED[kind], resolution=8, training=training)


@pytest.mark.parametrize("name", READ)
def test_it_is_read_alike_by_search_training_and_evaluation(place, name):
    make, said = READ[name]
    spec = made(make, place)
    data, training, validation = (
        load(spec, 8, cache_dir=place.parent / "cache"),
        streamed(spec),
        streamed(spec, False),
    )
    assert data.read == training.read and said in data.read
    assert (len(data.train), len(data.val)) == (training.train_size, training.val_size)
    assert validation.val_size == training.val_size and data.classes == training.classes == validation.classes
    assert training._files["val"] == validation._files["val"]
    assert not set(training._files["train"]) & set(training._files["val"])
    for labels in (data.train.labels, data.val.labels):
        assert set(labels) == set(range(data.num_classes))


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_a_line_that_says_what_to_do(place, name):
    make, words = REFUSED[name]
    spec = made(make, place)
    lines = []
    for read in (lambda: load(spec, 8, cache_dir=place.parent / "cache"), lambda: streamed(spec)):
        with pytest.raises(InputError) as raised:
            read()
        lines.append(str(raised.value))
    assert lines[0] == lines[1] and lines[0].startswith(f"data: {place}") and "\n" not in lines[0]
    assert words.format(root=place) in lines[0]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pets.tar.gz", "unpack the archive, and name the folder that comes out of it; an image folder is"),
        ("pets.npz", r"is read in Python, and its images given as nas\.search\(data=\.\.\.\)"),
        ("cat.JPG", "an image alone is no data set"),
        ("labels.txt", r"a list of images that does not end in \.csv is written csv:FILE"),
    ],
)
def test_a_file_is_told_what_to_do_with_by_its_name(place, name, says):
    (place.parent / name).write_bytes(b"x")
    with pytest.raises(InputError, match=says):
        load(name if "/" in name else f"./{name}", 8, cache_dir=place.parent / "cache")


def test_within_a_command_a_folder_is_listed_once_and_anew_in_the_next(place, monkeypatch):
    classes(place)
    looked = []
    monkeypatch.setattr(listing, "looked_at", lambda files: looked.append(len(files)) or looked_at(files))
    for seen in (10, 20):
        with listed_once(), listed_once():
            there = survey(str(place))
            data, training = load(str(place), 8, cache_dir=place.parent / "cache"), streamed(str(place))
        assert looked == [seen] and there.train == len(data.train) == training.train_size == seen * 4 // 5
        assert data.read == training.read
        looked.clear()
        for name in "ab":
            images(place / name, 5, first=5)
    survey(str(place)), survey(str(place))
    assert looked == [20, 20]


@pytest.mark.parametrize("divided", [False, True])
def test_nothing_is_written_where_it_would_be_read_as_a_class(place, divided):
    splits(place) if divided else classes(place)
    says = "--out .*: lies among the class folders of my photos, where it would be read as one"
    for folder in [place / "train" / "a" / "best"] if divided else [place / "best", place]:
        with pytest.raises(InputError, match=says):
            refuse_inside(folder, "my photos", "--out")
    for folder in (place.parent / "best", place.parent / "my photos-best", *([place / "best"] * divided)):
        refuse_inside(folder, "my photos", "--out")
    (place.parent / "loop").symlink_to("loop")
    refuse_inside(place.parent / "loop", "my photos", "--out")
    refuse_inside(place, "loop", "--out")  # whoever reads it says what it is
    refuse_inside(place, "digits", "--out")


def test_the_held_out_images_follow_from_their_names_alone(place):
    classes(place, count=20)
    first = streamed(str(place))
    held, fingerprint = {Path(file).relative_to(place) for file in first._files["val"]}, first.fingerprint
    assert len(held) == 8
    place.rename("moved")
    assert streamed("moved").fingerprint == streamed(f"imagefolder:{place.parent}/moved/").fingerprint
    assert streamed("moved").fingerprint == fingerprint
    images(Path("moved/a"), 1, first=20)
    again = {Path(file).relative_to("moved") for file in streamed("moved")._files["val"]}
    assert len(held & again) >= 7  # one image more moves one at most


def test_a_name_of_a_data_set_goes_before_a_folder_of_that_name(place):
    classes(place.parent / "digits")
    assert parsed("digits") == ("digits", "")
    assert load("./digits", 8, cache_dir=place.parent / "cache").classes == ("a", "b")


def test_numbers_are_classes_in_their_order(place):
    classes(place, ("2", "10"))
    (place / "list.csv").write_text(rows(names=("2", "10")))
    assert streamed(str(place)).classes == ("10", "2")  # as torchvision has them
    assert streamed(str(place / "list.csv")).classes == ("2", "10")


def test_labels_that_are_one_number_keep_their_order_in_every_process():
    for names in (["1", "01", "001", "2", "\uff11", "a"], ["a", "\uff11", "2", "001", "01", "1"]):
        assert sorted(names, key=_order) == ["001", "01", "1", "2", "a", "\uff11"]  # the last is no ASCII


def test_of_two_columns_of_labels_it_is_said_which_is_read(place):
    classes(place)
    (place / "list.csv").write_text(rows("image,label,category", form="{c}/{i}.png,{c},other"))
    data = load(str(place / "list.csv"), 8, cache_dir=place.parent / "cache")
    assert data.classes == ("a", "b")
    assert data.read.endswith("kept for validation; by its columns 'image', 'label', not 'category'")
