"""ImageNet's layout decoded on the fly: any kind of image, any number of workers, the same pixels."""

import gc
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data.crops import Crops, centre_crop, random_crop
from nas.data.images import as_rgb
from nas.data.sources.imagefolder import decode
from nas.data.stream import Streamed
from space.errors import InputError

SIDE = 16


def picture(seed, size=(40, 30)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    for split, count in (("train", 4), ("val", 2)):
        for c, name in enumerate(("ant", "bee")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                picture(100 * c + i + (split == "val") * 50).save(root / split / name / f"{i}.png")
    return root


def streamed(folder, workers=0, crops=True, **options):
    wanted = Crops(SIDE, (0.08, 1.0), "bicubic", 7) if crops else None
    return Streamed(folder, resolution=SIDE, crops=wanted, workers=workers, **options)


def groups(*sizes):
    return list(torch.split(torch.arange(sum(sizes)), list(sizes)))


def pixels_of(read):
    return torch.cat([pixels for pixels, _ in read])


def test_splits_labels_and_pixels(folder):
    batches = streamed(folder)
    assert (batches.num_classes, batches.train_size, batches.val_size) == (2, 8, 4)
    (pixels, labels), (last, _) = batches.validation([torch.tensor([3, 0]), torch.tensor([1])])
    assert pixels.shape == (2, SIDE, SIDE, 3) and pixels.dtype == torch.uint8
    assert labels.tolist() == [1, 0] and labels.dtype == torch.int64
    for place, file in ((pixels[0], "bee/1"), (pixels[1], "ant/0"), (last[0], "ant/1")):
        expected = centre_crop(Image.open(folder / "val" / f"{file}.png"), SIDE, 0.875, "bicubic")
        assert np.array_equal(place.numpy(), expected)
    ((train, _),) = batches.training(2, [torch.tensor([5])])
    image = Image.open(folder / "train" / "bee" / "1.png")
    assert np.array_equal(train[0].numpy(), random_crop(image, Crops(SIDE, (0.08, 1.0), seed=7), 2, 5))


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")
def test_any_number_of_workers_gives_the_same_pixels_and_leaves_torch_s_randomness(folder):
    before = torch.get_rng_state()
    alone = [pixels_of(streamed(folder).training(epoch, groups(3, 3, 2))) for epoch in (0, 1)]
    whole = pixels_of(streamed(folder).validation(groups(4)))
    assert not torch.equal(*alone)
    for workers in (1, 4):
        batches = streamed(folder, workers)
        for epoch in (0, 1):
            assert torch.equal(pixels_of(batches.training(epoch, groups(2, 2, 2, 2))), alone[epoch])
            assert torch.equal(pixels_of(batches.validation(groups(1, 3))), whole)
    assert torch.equal(torch.get_rng_state(), before)


def test_ranks_that_divide_an_epoch_see_what_one_process_sees(folder):
    together = pixels_of(streamed(folder).training(4, groups(8)))
    order = [torch.arange(rank, 8, 2) for rank in (0, 1)]
    for own in order:
        assert torch.equal(pixels_of(streamed(folder).training(4, [own])), together[own])


def test_iteration_given_up_does_not_disturb_the_next(folder):
    batches = streamed(folder, workers=1)
    given_up = batches.training(0, groups(1, 1, 1, 1, 1, 1, 1, 1))
    next(given_up)
    assert torch.equal(
        pixels_of(batches.validation(groups(2, 2))), pixels_of(streamed(folder).validation(groups(4)))
    )
    with pytest.raises(RuntimeError, match="one at a time"):
        next(given_up)


@pytest.fixture
def two(folder, tmp_path):
    """Two classes with one image each, to be spoiled."""
    for split in ("train", "val"):
        for name in ("ant", "bee"):
            (tmp_path / split / name).mkdir(parents=True)
            content = (folder / "val" / name / "0.png").read_bytes()
            (tmp_path / split / name / "whole.png").write_bytes(content)
    return tmp_path


def without_middle(file):
    content = file.read_bytes()
    return content[:500] + content[-12:]  # whole, by its end


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_file_is_one_line_that_names_it(two, workers):
    damaged = two / "train" / "ant" / "cut.png"
    damaged.write_bytes(without_middle(two / "train" / "ant" / "whole.png"))
    batches = streamed(two, workers)
    with pytest.raises(InputError) as raised:
        list(batches.training(0, groups(3)))
    line = str(raised.value)
    assert line.startswith(f"data: {damaged} cannot be read as an image: image file is truncated")
    assert "\n" not in line and "Traceback" not in line
    assert len(list(batches.validation([torch.tensor([1])]))) == 1  # the batches go on


def test_a_script_needs_no_guard_for_workers(two):
    """Without `if __name__ == "__main__"` a process that is started runs the script again."""
    script = two / "script.py"
    script.write_text(
        "import torch\nfrom nas.data.stream import Streamed\n"
        f"batches = Streamed({str(two)!r}, resolution=8, workers=1)\n"
        "print(len(list(batches.validation([torch.tensor([0, 1])]))))\n"
    )
    done = subprocess.run([sys.executable, script], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n", "")


def test_file_that_vanishes_is_named(two):
    batches = streamed(two)
    (two / "train" / "ant" / "whole.png").unlink()
    with pytest.raises(InputError, match=r"whole\.png cannot be read as an image: No such file"):
        _ = batches.fingerprint
    with pytest.raises(InputError, match=r"whole\.png cannot be read as an image: No such file"):
        list(batches.training(0, groups(2)))


def test_worker_killed_is_one_line(folder, monkeypatch):
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.5)
    batches = streamed(folder, workers=1)
    running = batches.training(0, groups(*[1] * 8))
    next(running)
    for worker in batches._loader._iterator._workers:
        worker.kill()
    with pytest.raises(InputError, match=r"^data: .*DataLoader worker .*fewer workers need less") as raised:
        list(running)
    assert "\n" not in str(raised.value)
    del raised, running, batches
    gc.collect()  # the workers are joined now, with the short timeout


def kinds():
    """One image of every kind, and the RGB it should become at (0, 0)."""
    grey16 = Image.fromarray(np.full((20, 20), 200 * 256 + 37, np.uint16))
    palette = Image.new("P", (20, 20), 1)
    palette.putpalette([9, 9, 9, 10, 200, 30])
    cut_out = Image.new("RGB", (20, 20), (10, 200, 30))
    cut_out.info["transparency"] = (10, 200, 30)
    return {
        "grey.png": (Image.new("L", (20, 20), 77), (77, 77, 77)),
        "grey.jpg": (Image.new("L", (20, 20), 77), (77, 77, 77)),
        "bits.png": (Image.new("1", (20, 20), 1), (255, 255, 255)),
        "alpha.png": (Image.new("RGBA", (20, 20), (10, 200, 30, 0)), (10, 200, 30)),
        "greyalpha.png": (Image.new("LA", (20, 20), (77, 0)), (77, 77, 77)),
        "palette.png": (palette, (10, 200, 30)),
        "cmyk.jpg": (Image.new("CMYK", (20, 20), (0, 255, 255, 0)), (255, 0, 0)),
        "sixteen.png": (grey16, (200, 200, 200)),
        "sixteen.tif": (grey16, (200, 200, 200)),
        "sixteen.pgm": (grey16, (200, 200, 200)),
        "colour.tiff": (Image.new("RGB", (20, 20), (10, 200, 30)), (10, 200, 30)),
        "moving.gif": (palette, (10, 200, 30)),
        "cutout.png": (cut_out, (10, 200, 30)),
        "lossless.webp": (Image.new("RGB", (20, 20), (10, 200, 30)), (10, 200, 30)),
        "plain.ppm": (Image.new("RGB", (20, 20), (10, 200, 30)), (10, 200, 30)),
        "plain.bmp": (Image.new("RGB", (20, 20), (10, 200, 30)), (10, 200, 30)),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", list(kinds()))
def test_every_kind_of_image_becomes_rgb_streamed_or_cached(two, name):
    image, expected = kinds()[name]
    options = {"lossless": True} if name.endswith("webp") else {}
    for split in ("train", "val"):
        transparency = {"transparency": b"\x00\x10"} if name == "palette.png" and split == "val" else {}
        image.save(two / split / "ant" / f"0{name}", **options, **transparency)
    batches = streamed(two)
    read = [next(batches.training(0, groups(1))), next(batches.validation(groups(1)))]
    cached = decode([two / split / "ant" / f"0{name}" for split in ("train", "val")], SIDE)
    for pixels in [*(pixels.numpy() for pixels, _ in read), cached]:
        assert pixels.shape[1:] == (SIDE, SIDE, 3)
        assert np.abs(pixels.astype(int) - expected).max() <= (3 if name.endswith("jpg") else 0)


def test_sixteen_bits_keep_their_upper_eight_whatever_pillow_calls_them():
    values = np.array([[0, 255, 256, 65535]])
    for image in (Image.fromarray(values.astype(np.uint16)), Image.fromarray(values.astype(np.int32))):
        assert np.asarray(as_rgb(image))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_fingerprint_is_of_content_and_classes_not_of_places(folder, tmp_path, monkeypatch):
    def copy(where, change=lambda _: None):
        root = tmp_path / where
        for file in sorted(folder.rglob("*.png"), reverse=where == "here"):
            own = root / file.relative_to(folder)
            own.parent.mkdir(parents=True, exist_ok=True)
            own.write_bytes(file.read_bytes())
        change(root)
        return streamed(root).fingerprint

    def longer(root):
        with (root / "val/bee/1.png").open("ab") as file:
            file.write(b"x")

    def edited(root):
        content = bytearray((root / "val/bee/1.png").read_bytes())
        content[100] ^= 1
        (root / "val/bee/1.png").write_bytes(content)

    def reordered(root):
        (root / "train/ant/0.png").rename(root / "train/ant/9.png")

    def moved(root):
        (root / "train/ant/3.png").rename(root / "train/bee/.3.png")
        (root / "train/bee/.3.png").rename(root / "train/bee/!.png")

    def renamed(root):
        for split in ("train", "val"):
            (root / split / "bee").rename(root / split / "wasp")

    def spelled(root):
        (root / "train/ant/0.png").rename(root / "train/ant/00.png")

    same = streamed(folder).fingerprint
    assert copy("here") == copy("spelled", spelled) == same
    monkeypatch.chdir(folder)
    assert streamed(".").fingerprint == same
    assert streamed(f"{folder}/").fingerprint == streamed(folder / ".." / folder.name).fingerprint == same
    changes = (longer, edited, reordered, moved, renamed)
    assert len({same, *(copy(change.__name__, change) for change in changes)}) == 6


def test_fingerprint_reads_a_sample_of_many_files(folder, monkeypatch):
    read = []
    monkeypatch.setattr("nas.data.stream.MOST_HASHED", 3)
    monkeypatch.setattr("nas.data.stream._content", lambda file, most: read.append((file, most)) or b"")
    _ = streamed(folder).fingerprint
    assert [file[-14:] for file, _ in read[:3]] == ["rain/ant/0.png", "rain/ant/3.png", "rain/bee/2.png"]
    assert [most for _, most in read] == [(1 << 30) // 3] * 3 + [(1 << 30) // 2] * 2


def test_validation_alone_needs_no_training_folder(folder, tmp_path):
    (tmp_path / "val").symlink_to(folder / "val")
    batches = streamed(tmp_path, training=False)
    assert (batches.train_size, batches.val_size, batches.classes) == (0, 4, ("ant", "bee"))
    assert batches.read == f"{tmp_path}: 2 classes, 4 images"
    with pytest.raises(InputError, match=r"train is missing; imagefolder needs"):
        streamed(tmp_path)


def test_wrong_layouts_are_one_line(folder, tmp_path):
    with pytest.raises(InputError, match="is no folder"):
        streamed(tmp_path / "none")
    for split in ("train", "val"):
        (tmp_path / split / "ant").mkdir(parents=True)
        picture(0).save(tmp_path / split / "ant" / "a.png")
    with pytest.raises(InputError, match="one class folder, 'ant'; a classifier needs at least two classes"):
        streamed(tmp_path)
    (tmp_path / "train" / "bee").mkdir()
    with pytest.raises(InputError, match="bee is only in train"):
        streamed(tmp_path)
    (tmp_path / "val" / "bee").mkdir()
    with pytest.raises(InputError, match="has no images"):
        streamed(tmp_path)


def test_without_random_crops_training_is_cropped_as_validation_is(folder):
    batches = streamed(folder, crops=False)
    ((pixels, _),) = batches.training(0, [torch.tensor([0])])
    expected = centre_crop(Image.open(Path(folder, "train", "ant", "0.png")), SIDE, 0.875, "bicubic")
    assert np.array_equal(pixels[0].numpy(), expected)


def test_twelve_bits_in_a_tiff_keep_their_upper_eight():
    image = Image.fromarray(np.array([[0, 15, 16, 4095]], np.uint16))
    image.tag_v2 = {258: (12,)}
    assert np.asarray(as_rgb(image))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_a_tiff_in_which_white_is_zero_is_no_negative(tmp_path):
    # Pillow turns 8 bits round as it writes and as it reads them, and 16 bits never
    for kind, white, expected in ((np.uint8, 255, [0, 127, 255]), (np.uint16, 65535, [255, 128, 0])):
        file = tmp_path / "x.tif"
        Image.fromarray(np.array([[0, white // 2, white]], kind)).save(file, tiffinfo={262: 0})
        with Image.open(file) as image:
            assert np.asarray(as_rgb(image))[0, :, 0].tolist() == expected


def test_channels_of_sixteen_bits_that_pillow_takes_for_eight_are_refused():
    image = Image.new("RGB", (8, 8))
    image.tag_v2 = {258: (16, 16, 16), 259: 1, 284: 2}
    with pytest.raises(ValueError, match="save it interleaved, or compressed"):
        as_rgb(image)
    image.tag_v2[259] = 5  # libtiff reads these
    assert as_rgb(image).mode == "RGB"
