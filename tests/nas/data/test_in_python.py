"""A data set of a user's own in Python."""

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import from_dataset, load
from space.errors import InputError


def pixels(i):
    return np.random.default_rng(i).integers(0, 256, (20, 24, 3), np.uint8)


class Dataset:
    """As torchvision's: a length, items by index, names."""

    classes = ("cat", "dog")

    def __init__(self, count, make=Image.fromarray, first=0):
        self.items = [(make(pixels(first + i)), i % 2) for i in range(count)]

    def __len__(self):
        return len(self.items)

    def __getitem__(self, place):
        return self.items[place]


def test_pil_images_arrays_and_tensors_are_the_same_data_set():
    forms = (
        Image.fromarray,
        np.asarray,
        torch.from_numpy,
        lambda array: torch.from_numpy(array).permute(2, 0, 1),
    )
    found = [from_dataset(Dataset(8, form), Dataset(4, form, 50), resolution=16) for form in forms]
    assert len({data.fingerprint for data in found}) == 1
    data = found[0]
    assert data.train.images.shape == (8, 16, 16, 3) and data.train.images.dtype == np.uint8
    assert (data.num_classes, data.classes, len(data.val)) == (2, ("cat", "dog"), 4)
    assert data.read == "a data set in Python: 2 classes, 8 + 4 images"


def test_it_is_read_as_a_folder_of_the_same_images(tmp_path):
    for split, first, count in (("train", 0, 8), ("val", 50, 4)):
        for i, (image, label) in enumerate(Dataset(count, first=first)):
            folder = tmp_path / "photos" / split / Dataset.classes[label]
            folder.mkdir(parents=True, exist_ok=True)
            image.save(folder / f"{i}.png")
            if i + 1 == count:
                break
    there = load(str(tmp_path / "photos"), 16, cache_dir=tmp_path / "cache")
    here = from_dataset(Dataset(8), Dataset(4, first=50), resolution=16)
    for one, other in ((there.train, here.train), (there.val, here.val)):
        assert sorted(map(bytes, one.images)) == sorted(map(bytes, other.images))


def test_without_validation_images_the_same_fifth_is_kept_at_every_resolution():
    data = from_dataset(Dataset(30), resolution=16)
    assert data.read.endswith("2 classes, 24 + 6 images, a fifth of each class kept for validation")
    assert np.bincount(data.val.labels).tolist() == [3, 3]
    whole = from_dataset(Dataset(30), resolution=20)  # the centre of each, not resized
    kept = {bytes(image) for image in whole.val.images}
    validated = [i for i in range(30) if bytes(np.ascontiguousarray(pixels(i)[:, 2:22])) in kept]
    small = from_dataset([(pixels(i), i % 2) for i in validated], Dataset(2), resolution=16)
    backwards = Dataset(30)
    backwards.items.reverse()
    for same in (small.train, from_dataset(backwards, resolution=16).val):
        assert sorted(map(bytes, same.images)) == sorted(map(bytes, data.val.images))


def test_a_subset_is_chosen_as_of_every_data_set():
    three = [(pixels(i), i % 3) for i in range(30)]
    data = from_dataset(three, three, resolution=16, train_size=8, val_size=4, num_classes=2)
    assert (data.num_classes, len(data.train), len(data.val)) == (2, 8, 4)
    assert data.read == "a data set in Python: 2 of 3 classes, 8 of 20 + 4 of 20 images"
    assert set(data.train.labels) == {0, 1}


@pytest.mark.parametrize(
    ("train", "val", "classes", "words"),
    [
        ([], None, None, "data: train is empty; an item is an image (PIL, or"),
        (7, None, None, "data: train is 7, without a length; an item is"),
        ([1, 2], None, None, "data: train[0] is 1; an item is an image"),
        ([(pixels(0), "cat")], None, None, "its label, a whole number"),
        ([(pixels(0), -1)], None, None, "its label, a whole number"),
        ([(torch.zeros(3, 8, 8), 0)], None, None, "has an image float32 [8, 8, 3]; an item is"),
        ([(np.zeros((8, 8), np.uint8), 0)], None, None, "has an image uint8 [8, 8];"),
        ([(pixels(i), i > 0) for i in range(4)], None, None, "has one image of class '0'; a class needs two"),
        ([(pixels(0), 0), (pixels(1), 0)], None, None, "all labels are 0; a classifier needs at least two"),
        (Dataset(8), None, ("cat", "dog", "eel"), "train has no images of class 'eel'"),
        (Dataset(8), [(pixels(0), 0)], None, "val has no images of class 'dog'"),
        (Dataset(8), [(pixels(0), 2)], None, "val has label 2; the last of 2 classes is 1"),
        (Dataset(8), None, ("cat", "cat"), "classes 0 and 1 are both 'cat'"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_is_told_where(train, val, classes, words):
    with pytest.raises(InputError) as raised:
        from_dataset(train, val, classes, resolution=16)
    assert words in str(raised.value) and "\n" not in str(raised.value)


class Rows:
    """As `datasets.Dataset` is looked at: features, columns, rows by index."""

    def __init__(self, rows, names=("cat", "dog"), **features):
        self.rows = rows
        label = type("ClassLabel", (), {"names": list(names)})()
        self.features = {"id": type("Value", (), {})(), "photo": type("Image", (), {})(), "kind": label}
        self.features |= features

    def select_columns(self, names):
        return [{name: row[name] for name in names} for row in self.rows]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, place):
        return self.rows[place]


def as_rows(count, first=0):
    items = Dataset(count, first=first).items
    return Rows([{"id": i, "photo": image, "kind": label} for i, (image, label) in enumerate(items)])


def test_hugging_face_s_columns_are_found_by_their_types_and_its_splits_by_their_names():
    plain = from_dataset(Dataset(8), Dataset(4, first=50), resolution=16)
    splits = {"train": as_rows(8), "test": as_rows(4, 50)}
    for given in ((splits,), (splits["train"], splits["test"])):
        found = from_dataset(*given, resolution=16)
        assert (found.fingerprint, found.classes) == (plain.fingerprint, ("cat", "dog"))
    with pytest.raises(InputError, match=r"has the splits test, and none is called train"):
        from_dataset({"test": splits["test"]}, resolution=16)
    twice = as_rows(4)
    twice.features["other"] = twice.features["kind"]
    with pytest.raises(InputError, match="has the ClassLabel columns kind, other: remove_columns leaves the"):
        from_dataset(twice, resolution=16)
    del twice.features["other"], twice.features["kind"]
    with pytest.raises(
        InputError, match="has no ClassLabel column among id Value, photo Image; class_encode"
    ):
        from_dataset(twice, resolution=16)


def test_the_real_datasets_package_is_read_so(tmp_path):
    datasets = pytest.importorskip("datasets")
    label = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features(photo=datasets.Image(), kind=label)

    def made(count, first=0):
        images, labels = zip(*Dataset(count, first=first).items, strict=True)
        return datasets.Dataset.from_dict({"photo": [*images], "kind": [*labels]}, features=features)

    whole = datasets.DatasetDict(train=made(8), validation=made(4, 50))
    whole.save_to_disk(tmp_path / "pets")
    plain = from_dataset(Dataset(8), Dataset(4, first=50), resolution=16)
    for given in (whole, datasets.load_from_disk(tmp_path / "pets")):
        assert from_dataset(given, resolution=16).fingerprint == plain.fingerprint
