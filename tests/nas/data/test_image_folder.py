"""What of an image folder is read and what is left out, alike for a search and for a training."""

import os
import shutil
import socket
import zlib

import numpy as np
import pytest
from PIL import Image

from nas.data import images, load
from nas.data.crops import Crops, centre_crop, random_crop
from nas.data.images import opened
from nas.data.listing import Folder
from nas.data.sources.imagefolder import decode
from nas.data.stream import Streamed
from space.errors import InputError


def picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8))


@pytest.fixture
def root(tmp_path):
    """Classes a and b with 4 + 2 images each."""
    folder = tmp_path / "photos"
    for split, count in (("train", 4), ("val", 2)):
        for k, name in enumerate("ab"):
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                picture(100 * k + i + (split == "val") * 50).save(folder / split / name / f"{i}.png")
    return folder


def both(root):
    """The folder as a search reads it and as a training does."""
    cached = load(f"imagefolder:{root}", 16, cache_dir=root.parent / "cache")
    streamed = Streamed(root, resolution=16)
    assert (len(cached.train), len(cached.val)) == (streamed.train_size, streamed.val_size)
    assert (cached.classes, cached.read) == (streamed.classes, streamed.read)
    return cached


def refused(root):
    """The line, the same for both."""
    with pytest.raises(InputError) as cached:
        load(f"imagefolder:{root}", 16, cache_dir=root.parent / "cache")
    with pytest.raises(InputError) as streamed:
        Streamed(root, resolution=16)
    assert str(cached.value) == str(streamed.value) and "\n" not in str(cached.value)
    return str(cached.value)


def test_what_is_read_is_said(root):
    data = both(root)
    assert data.classes == ("a", "b") and data.read == f"{root}: 2 classes, 8 + 4 images"
    part = load(f"imagefolder:{root}", 16, train_size=4, cache_dir=root.parent / "cache")
    assert part.read == f"{root}: 2 classes, 4 of 8 + 4 images"


def test_nested_folders_are_read_links_included_and_circles_are_not(root):
    before = both(root)
    (root / "train" / "a" / "more" / "deep").mkdir(parents=True)
    for i in (2, 3):
        (root / "train" / "a" / f"{i}.png").rename(root / "train" / "a" / "more" / "deep" / f"{i}.png")
    assert both(root).fingerprint == before.fingerprint  # the order stays as well
    (root / "train" / "a" / "more" / "deep").rename(root.parent / "elsewhere")
    (root / "train" / "a" / "more" / "deep").symlink_to(root.parent / "elsewhere")
    assert both(root).fingerprint == before.fingerprint
    for name, target in (("self", "."), ("up", ".."), ("top", "../.."), ("more/twice", "deep")):
        (root / "train" / "a" / name).symlink_to(target)
    data = both(root)
    assert len(data.train) == 8  # not b's as a's
    assert (
        "4 linked to a folder that is read already (train/a/self, train/a/top, train/a/up, ...)" in data.read
    )


def test_hidden_folders_and_files_are_left_out_at_every_level(root):
    for split in ("train", "val"):
        shutil.copytree(root / split / "a", root / split / ".ipynb_checkpoints")
    shutil.copytree(root / "val" / "a", root / "train" / "a" / ".thumbs")
    shutil.copytree(root / "val" / "a", root / "train" / "b" / "@eaDir")
    (root / "train" / "b" / "._0.png").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    data = both(root)
    assert (data.num_classes, len(data.train), len(data.val)) == (2, 8, 4)
    assert data.read.endswith(
        "; left out: 5 hidden (train/.ipynb_checkpoints, val/.ipynb_checkpoints, train/a/.thumbs, ...)"
    )


def test_what_is_no_image_is_left_out_by_name_or_content_and_said(root):
    own = root / "train" / "a"
    (root / "train" / "labels.csv").write_text("a,b")
    (own / "readme.txt").write_text("some")
    (own / "page.jpg").write_text("<html>404</html>")
    (own / "drawing.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")
    (own / "nothing.png").touch()
    (own / "zz.png").symlink_to("nowhere.png")
    (own / "me.png").symlink_to("me.png")
    os.mkfifo(own / "pipe.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(own / "s.png"))
        data = both(root)
    assert len(data.train) == 8
    for part in (
        "1 outside of the class folders (train/labels.csv)",
        "1 not named as an image (train/a/readme.txt)",
        "2 without an image's content (train/a/drawing.jpg, train/a/page.jpg)",
        "1 empty (train/a/nothing.png)",
        "2 linked to nothing (train/a/me.png, train/a/zz.png)",
        "2 no regular file (train/a/pipe.png, train/a/s.png)",
    ):
        assert part in data.read


def test_a_class_without_images_is_named_with_what_was_left_out(root):
    for file in (root / "train" / "b").iterdir():
        file.write_bytes(b"")
    line = refused(root)
    assert f"{root}/train/b has no images (.jpg .jpeg" in line and "left out: 4 empty (train/b/0.png," in line


def test_names_need_not_be_text_but_classes_are_named(root):
    shutil.copy(root / "val" / "a" / "0.png", os.fsencode(root / "train" / "a") + b"/\xff\xfe.png")
    (root / "train" / "b" / "line\nbreak.JPG").write_bytes((root / "val" / "b" / "0.png").read_bytes())
    assert len(both(root).train) == 10
    for name, shown in ((os.fsdecode(b"\xff"), r"'\udcff'"), (" a", "' a'"), ("a\u2028b", r"'a\u2028b'")):
        (root / "train" / name).mkdir()
        line = refused(root)  # no export could write it after the search
        assert f"has a class folder {shown}; a class's name is one line of text in UTF-8, without" in line
        (root / "train" / name).rmdir()


def test_classes_of_one_split_only_are_named(root):
    (root / "val" / "b").rename(root / "val" / "c")
    (root / "train" / "d").mkdir()
    assert (
        "3 classes in train and 2 in val, which must be the same; b, d are only in train; c is only in val"
        in (refused(root))
    )


@pytest.mark.parametrize(
    ("names", "what"),
    [(("caf\u00e9", "cafe\u0301"), "the encoding of letters (Unicode NFC, NFD)"), (("Cat", "cat"), "case")],
)
def test_names_that_hardly_differ_are_told_in_what(root, names, what):
    for split, name in zip(("train", "val"), names, strict=True):
        (root / split / "b").rename(root / split / name)
    assert refused(root).endswith(f"; {names[0]!r} and {names[1]!r} differ in {what} alone")


def test_a_tiff_of_another_kind_is_not_called_another_format(tmp_path):
    file = tmp_path / "x.tif"
    Image.fromarray(np.zeros((8, 8), np.float32)).save(file)
    bits = b"\x02\x01\x03\x00\x01\x00\x00\x00"  # BitsPerSample, one number
    content = file.read_bytes()
    assert content.count(bits + b"\x20") == 1
    file.write_bytes(content.replace(bits + b"\x20", bits + b"\x40"))
    with pytest.raises(InputError, match="a TIFF of other channels or numbers than are read: save it grey"):
        decode([file], 16)


def test_one_class_is_refused(root):
    for split in ("train", "val"):
        shutil.rmtree(root / split / "b")
    assert "has one class folder, 'a'; a classifier needs at least two classes" in refused(root)


def test_a_wrong_place_says_what_is_there_and_what_may_be_meant(root):
    assert refused(root / "train").endswith(f"holds a, b; PATH may be {root}")
    assert refused(root.parent).endswith(f"{root.parent} holds photos; PATH may be {root}")
    assert "is no folder" in refused(root / "train" / "a" / "0.png")
    (root / "train").rename(root / "learn")
    assert refused(root).endswith("and PATH/val/CLASS/*.jpg; " + f"{root} holds learn, val")
    (root / "train").mkdir()
    assert refused(root).endswith(f"{root}/train is empty")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(root):
    (root / "train" / "a" / "0.png").chmod(0)
    assert "a/0.png cannot be read as an image: Permission denied" in refused(root)


def test_a_folder_elsewhere_has_the_same_fingerprint_and_other_names_another(root):
    first = load(f"imagefolder:{root}", 16, train_size=5, cache_dir=root.parent / "cache")

    def copied(name):
        copy = root.parent / name
        for file in sorted(root.rglob("*.png"), reverse=True):  # another order on the disk
            own = copy / file.relative_to(root)
            own.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, own)
        return copy

    def fingerprint(copy):
        return load(f"imagefolder:{copy}", 16, train_size=5, cache_dir=root.parent / "cache").fingerprint

    assert fingerprint(copied("far #%41 away")) == first.fingerprint
    other = copied("other")
    for split in ("train", "val"):
        (other / split / "b").rename(other / split / "c")
    assert fingerprint(other) != first.fingerprint


def test_many_files_are_looked_at_in_threads_alike(root, monkeypatch):
    (root / "train" / "b" / "1.png").write_text("no image")
    whole = Folder(root).images("train", ("a", "b"))
    monkeypatch.setattr("nas.data.files.CHUNK", 2)
    parts = Folder(root).images("train", ("a", "b"))
    assert parts.files == whole.files and len(whole.files) == 7
    for one, other in (
        (parts.labels, whole.labels),
        (parts.sizes, whole.sizes),
        (parts.changed, whole.changed),
    ):
        assert np.array_equal(one, other)


# one image


def pixels_of(file):
    """As a cache holds it, as validation and training crop it."""
    with opened(str(file)) as image:
        centre = centre_crop(image, 16, 0.875, "bicubic")
    with opened(str(file)) as image:
        return decode([file], 16)[0], centre, random_crop(image, Crops(16), 0, 0)


@pytest.mark.parametrize("size", [(1, 300_000), (300_000, 1), (3, 2000)])
def test_a_strip_is_cropped_without_being_stretched_in_whole(tmp_path, monkeypatch, size):
    file, resize, made = tmp_path / "strip.png", Image.Image.resize, []

    def watched(image, size, *rest):
        made.append(max(size))
        return resize(image, size, *rest)

    monkeypatch.setattr(Image.Image, "resize", watched)
    Image.new("RGB", size, (10, 20, 30)).save(file)
    for pixels in pixels_of(file):
        assert pixels.shape == (16, 16, 3) and (pixels == (10, 20, 30)).all()
    assert len(made) == 3 and max(made) <= 16 * 16


def test_of_a_strip_the_same_pixels_are_cut(monkeypatch):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (400, 20, 3), np.uint8))
    part = centre_crop(image, 16, 0.875, "bicubic")
    monkeypatch.setattr("nas.data.crops.MOST_STRETCHED", 10**6)
    whole = centre_crop(image, 16, 0.875, "bicubic")
    assert np.abs(part.astype(int) - whole).max() <= 1


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    bound = Image.MAX_IMAGE_PIXELS
    file = tmp_path / "large.png"
    Image.new("L", (40, 30)).save(file)
    monkeypatch.setattr(images, "MOST_PIXELS", 1200)
    decode([file], 16)
    monkeypatch.setattr(images, "MOST_PIXELS", 1199)
    with pytest.raises(
        InputError, match=r"large.png has more than .* million pixels, the most that an image may"
    ):
        decode([file], 16)
    assert bound == Image.MAX_IMAGE_PIXELS  # another's Pillow is left as it was


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    (tmp_path / "x.webp").write_bytes(b"RIFF____WEBP")
    os.truncate(tmp_path / "x.webp", (2 << 30) + 1)
    with pytest.raises(InputError, match=r"x.webp is larger than 2 GiB, no image that is read"):
        decode([tmp_path / "x.webp"], 16)


@pytest.mark.filterwarnings("error")
def test_photographs_of_200_megapixels_are_within_the_bound(tmp_path):
    file = tmp_path / "header.png"  # a header alone, of an image at the bound
    Image.new("1", (8, 8)).save(file)
    content = bytearray(file.read_bytes())
    content[16:24] = (16320).to_bytes(4, "big") + (12240).to_bytes(4, "big")
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    file.write_bytes(content)
    with opened(str(file)) as image:
        assert image.size == (16320, 12240)


def test_other_formats_are_never_opened_whatever_their_name(tmp_path):
    for name, content in (
        ("eps.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"),
        ("xpm.png", b"/* XPM */"),
        ("short.jpg", b"\xff\xd8\xff\xe0"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"{name} cannot be read as an image: "):
            decode([tmp_path / name], 16)
    picture(0).save(tmp_path / "really.jpg", format="PNG")  # as some of ImageNet's are
    decode([tmp_path / "really.jpg"], 16)


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_numbers_without_a_range_are_refused(tmp_path, dtype):
    file = tmp_path / "x.tif"
    Image.fromarray(np.linspace(0, 1, 64).reshape(8, 8).astype(dtype)).save(file)
    with pytest.raises(InputError, match=r"x.tif .*without a range; save them with 8 or 16 bits"):
        decode([file], 16)


def test_orientation_in_exif_is_not_applied_as_in_torchvision(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    left = Image.new("RGB", (40, 40), (255, 255, 255))
    left.paste((0, 0, 0), (0, 0, 20, 40))
    left.save(tmp_path / "turned.png", exif=exif)
    (pixels,) = decode([tmp_path / "turned.png"], 16)
    assert pixels[:, :6].max() < 10 and pixels[:, -6:].min() > 245
