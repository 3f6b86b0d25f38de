"""What a training reads: batches by index, in order, cropped alike however they are divided."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nas.data import Data, Split
from nas.data.batches import Cached
from nas.data.crops import Crops, centre_crop, crop_box, random_crop
from nas.data.images import as_rgb
from nas.data.opening import default_workers, open_batches
from space.errors import InputError


def some_data(count=6, side=8):
    pixels = np.random.default_rng(0).integers(0, 256, (count, side, side, 3), np.uint8)
    split = Split(pixels, np.arange(count) % 3)
    return Data(split, split, 3, "f", "made")


def recipe(resolution=8, num_classes=10, crop=None):
    data = SimpleNamespace(
        resolution=resolution, num_classes=num_classes, interpolation="bicubic", eval_crop=0.875
    )
    return SimpleNamespace(data=data, augmentation=SimpleNamespace(random_resized_crop=crop))


def indices(*groups):
    return [torch.tensor(group) for group in groups]


def test_cached_batches_come_as_asked_for():
    data = some_data()
    batches = Cached(data)
    for read in (batches.validation(indices([4, 1], [0])), batches.training(3, indices([4, 1], [0]))):
        (pixels, labels), (last, _) = read
        assert pixels.dtype == torch.uint8 and labels.dtype == torch.int64
        assert np.array_equal(pixels.numpy(), data.train.images[[4, 1]]) and labels.tolist() == [1, 1]
        assert np.array_equal(last.numpy(), data.train.images[[0]])
    assert (batches.num_classes, batches.train_size, batches.val_size) == (3, 6, 6)


def test_cached_crops_depend_on_seed_epoch_and_image_alone():
    batches = Cached(some_data(), Crops(8, (0.08, 1.0), seed=5))
    (together, _), *_ = batches.training(2, indices([0, 1, 2, 3]))
    apart = [pixels for pixels, _ in batches.training(2, indices([3], [2], [1], [0]))]
    assert torch.equal(together, torch.cat(apart[::-1]))
    (later, _), *_ = batches.training(3, indices([0, 1, 2, 3]))
    (other, _), *_ = Cached(some_data(), Crops(8, (0.08, 1.0), seed=6)).training(2, indices([0, 1, 2, 3]))
    for different in (later, other):
        assert all(not torch.equal(a, b) for a, b in zip(together, different, strict=True))
    (whole, _), *_ = batches.validation(indices([0]))
    assert np.array_equal(whole.numpy(), batches.data.val.images[[0]])


def test_open_batches_reads_digits_and_counts_classes(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    batches = open_batches("digits", recipe(), seed=0)
    assert (batches.num_classes, batches.train_size + batches.val_size) == (10, 1797)
    with pytest.raises(InputError, match=r"digits has 10 classes; the recipe's data.num_classes is 1000$"):
        open_batches("digits", recipe(num_classes=1000), seed=0)
    with pytest.raises(InputError, match="needs a path"):
        open_batches("imagefolder", recipe(), seed=0)
    with pytest.raises(InputError, match="is no folder"):
        open_batches(f"imagefolder:{tmp_path}/none", recipe(), seed=0)


def test_workers_share_the_cores_of_a_machine(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert default_workers() == 16
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "8")
    assert default_workers() == 8
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0}, raising=False)
    assert default_workers() == 1


# crops


@given(
    st.tuples(st.integers(1, 900), st.integers(1, 900)),
    st.lists(st.floats(0, 1, exclude_max=True), min_size=40, max_size=40),
)
def test_crop_lies_within_the_image_and_keeps_to_scale_and_ratio(size, draws):
    left, top, width, height = crop_box(size, (0.08, 1.0), np.reshape(draws, (10, 4)))
    assert min(left, top) >= 0 and min(width, height) > 0
    assert left + width <= size[0] and top + height <= size[1]
    if min(width, height) > 20:  # below, rounding to pixels decides
        assert 0.7 < width / height < 1.43
        assert size[0] / size[1] > 3 or size[1] / size[0] > 3 or width * height > 0.07 * size[0] * size[1]


def test_crop_is_centred_where_no_attempt_fits():
    whole = np.full((10, 4), 0.999)  # nearly all of the area at 4:3
    assert crop_box((10, 100), (0.08, 1.0), whole) == (0, 43, 10, 13)
    assert crop_box((100, 10), (0.08, 1.0), whole) == (43, 0, 13, 10)
    assert crop_box((100, 90), (1.0, 1.0), whole) == (0, 0, 100, 90)


def test_crop_areas_and_ratios_are_uniform():
    """Of 2000 crops of a large square: quartiles of the area's share and of the log ratio."""
    draws = np.random.default_rng(0).random((2000, 10, 4))
    boxes = np.array([crop_box((4000, 4000), (0.2, 0.6), row) for row in draws])
    share, ratio = boxes[:, 2] * boxes[:, 3] / 16e6, np.log(boxes[:, 2] / boxes[:, 3])
    assert np.allclose(np.quantile(share, [0.25, 0.5, 0.75]), [0.3, 0.4, 0.5], atol=0.02)
    assert np.allclose(np.quantile(ratio, [0.25, 0.5, 0.75]) / np.log(4 / 3), [-0.5, 0, 0.5], atol=0.06)
    middle = boxes[:, :2] / (4000 - boxes[:, 2:])
    assert np.allclose(
        np.quantile(middle, [0.25, 0.5, 0.75], axis=0), [[0.25] * 2, [0.5] * 2, [0.75] * 2], atol=0.04
    )


def test_validation_keeps_the_centre_as_torchvision_does():
    """400x300 at 224: shorter side to 256, longer to int(256 * 400 / 300) = 341, crop at 58 and 16."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (300, 400, 3), np.uint8))
    expected = np.asarray(image.resize((341, 256), Image.Resampling.BICUBIC))[16:240, 58:282]
    assert np.array_equal(centre_crop(image, 224, 0.875, "bicubic"), expected)
    bilinear = np.asarray(image.resize((341, 256), Image.Resampling.BILINEAR))[16:240, 58:282]
    assert np.array_equal(centre_crop(image, 224, 0.875, "bilinear"), bilinear)


def test_validation_warps_at_384_as_the_official_code():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8))
    warped = np.asarray(image.resize((384, 384), Image.Resampling.BICUBIC))
    assert np.array_equal(centre_crop(image, 384, 1.0, "bicubic"), warped)
    assert not np.array_equal(centre_crop(image, 384, 0.95, "bicubic"), warped)


def test_large_jpegs_decode_smaller_with_nearly_the_same_pixels(tmp_path):
    rows, columns = np.mgrid[0:1200, 0:1600]
    waves = [128 + 60 * np.sin(rows / a) + 60 * np.cos(columns / b) for a, b in ((9, 23), (40, 7), (15, 15))]
    path = tmp_path / "photo.jpg"
    noise = np.random.default_rng(0).normal(0, 10, (1200, 1600, 3))
    Image.fromarray((np.stack(waves, -1) + noise).clip(0, 255).astype(np.uint8)).save(path, quality=95)
    crops = Crops(64, (0.5, 1.0))
    for index in range(4):
        with Image.open(path) as lazy, Image.open(path) as whole:
            whole.load()
            fast, exact = random_crop(lazy, crops, 0, index), random_crop(as_rgb(whole), crops, 0, index)
            assert lazy.size[0] < whole.size[0]
        difference = np.abs(fast.astype(int) - exact)
        assert difference.mean() < 1.5 and difference.max() < 16


@pytest.mark.parametrize("size", [(37, 41), (300, 20), (1, 1)])
def test_small_and_odd_images_crop_to_the_resolution(size):
    image = Image.new("RGB", size, (10, 20, 30))
    for pixels in (random_crop(image, Crops(32), 0, 0), centre_crop(image, 32, 0.875, "bicubic")):
        assert pixels.shape == (32, 32, 3) and (pixels == (10, 20, 30)).all()
