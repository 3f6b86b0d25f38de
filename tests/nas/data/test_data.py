"""Data sets, their cache, and what a user is told about a wrong one."""

import errno
import json
import multiprocessing
import os
import stat
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from nas.data import cache, load
from nas.data.augment.batch import beta, crop_and_flip, mix, normalise, soft_targets
from nas.data.sources import fractal
from nas.data.sources.cifar import PIXELS
from nas.data.sources.subset import balanced, existing_folder
from space.errors import InputError
from space.files import replacing


def small_fractal(cache_dir, **changes):
    fields = {"resolution": 16, "train_size": 40, "val_size": 20, "num_classes": 4} | changes
    return load("fractal", cache_dir=cache_dir, **fields)


def one_line(raised):
    message = str(raised.value)
    assert message and "\n" not in message
    return message


# fractal and the cache


def test_fractal_bytes_are_the_same_on_every_machine(tmp_path):
    data = small_fractal(tmp_path)
    assert data.fingerprint == "86815760b4b3cdb22baeeed6513172dcb66021f5167710d9ed266c06c3b9ffdd"


def test_fractal_shapes_balance_and_read_only(tmp_path):
    data = small_fractal(tmp_path)
    assert data.train.images.shape == (40, 16, 16, 3) and data.train.images.dtype == np.uint8
    assert data.val.labels.dtype == np.int64 and len(data.val) == 20 and data.num_classes == 4
    assert np.bincount(data.train.labels).tolist() == [10] * 4
    assert not data.train.images.flags.writeable


def test_fractal_classes_do_not_depend_on_sizes_and_seeds_differ(tmp_path):
    a, b = fractal.categories(3, 0), fractal.categories(5, 0)
    assert all(np.array_equal(x.matrices, y.matrices) for x, y in zip(a, b, strict=False))
    assert small_fractal(tmp_path).fingerprint != small_fractal(tmp_path, seed=1).fingerprint


def test_every_fractal_map_contracts_even_perturbed():
    for system in fractal.categories(20, 0):
        largest = np.linalg.norm(system.matrices, 2, axis=(1, 2)).max()
        assert largest * (1 + fractal.PERTURBATION / 4) < 1


def test_train_and_val_share_no_image(tmp_path):
    data = small_fractal(tmp_path)
    train = {image.tobytes() for image in data.train.images}
    assert not train & {image.tobytes() for image in data.val.images}


def test_second_load_reads_the_cache(tmp_path, monkeypatch):
    first = small_fractal(tmp_path)
    monkeypatch.setattr(cache, "build", lambda *_: pytest.fail("built again"))
    second = small_fractal(tmp_path)
    assert second.fingerprint == first.fingerprint
    assert np.array_equal(second.train.images, first.train.images)


def cut(path):
    os.truncate(path, path.stat().st_size - 100)


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def other_version(path):
    content = path.read_bytes()
    path.write_bytes(content.replace(b'"version": 1', b'"version": 0'))


def damaged_header(path):
    content = bytearray(path.read_bytes())
    content[len(cache.MAGIC) + 3] = 0
    path.write_bytes(content)


def not_a_cache(path):
    path.write_bytes(b"something else")


@pytest.mark.parametrize("damage", [cut, flip_a_byte, other_version, damaged_header, not_a_cache])
def test_a_damaged_cache_is_built_again(tmp_path, caplog, damage):
    first = small_fractal(tmp_path)
    (path,) = tmp_path.iterdir()
    images = np.array(first.train.images)
    del first
    damage(path)
    again = small_fractal(tmp_path)
    assert np.array_equal(again.train.images, images)
    assert "building it again" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_build_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fractal.Fractal, "fill", no_space)
    with pytest.raises(InputError) as raised:
        small_fractal(tmp_path)
    assert "No space left" in one_line(raised)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_has_its_space_on_the_disk_before_it_is_mapped(tmp_path, monkeypatch):
    """A full disk under a sparse file that is mapped is SIGBUS."""
    fill, taken = fractal.Fractal.fill, []

    def watched(self, split, images, labels):
        (part,) = tmp_path.iterdir()
        status = part.stat()
        taken.append(status.st_blocks * 512 >= status.st_size > images.nbytes)
        fill(self, split, images, labels)

    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(fractal.Fractal, "fill", watched)
    first = small_fractal(tmp_path).fingerprint
    next(tmp_path.iterdir()).unlink()
    monkeypatch.setattr(cache.os, "posix_fallocate", unsupported)
    assert small_fractal(tmp_path).fingerprint == first
    assert taken == [True] * 4


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(cache.os, "posix_fallocate", full)
    with pytest.raises(InputError) as raised:
        small_fractal(tmp_path)
    assert "cannot be written: No space left on device; XDG_CACHE_HOME sets another" in one_line(raised)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_builder_left_is_removed_by_the_next_of_any_data_set(tmp_path):
    with replacing(tmp_path / "digits-32px-0.bin"):
        (busy,) = tmp_path.iterdir()
        left = tmp_path / busy.name.replace("digits-32px-0.bin", "digits-32px-1.bin")
        left.write_bytes(b"half")
        small_fractal(tmp_path)
        assert busy.exists() and not left.exists()


def test_a_cache_that_cannot_be_read_is_built_again(tmp_path, monkeypatch, caplog):
    first = small_fractal(tmp_path)
    read, refusals = cache.read, iter([PermissionError(errno.EACCES, "Permission denied")])

    def refused_once(path, key):
        for error in refusals:
            raise error
        return read(path, key)

    monkeypatch.setattr(cache, "read", refused_once)
    assert small_fractal(tmp_path).fingerprint == first.fingerprint
    assert "cannot be read (Permission denied); building it again" in caplog.text


def test_two_processes_build_at_once(tmp_path):
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        prints = pool.map(_fingerprint, [tmp_path] * 2)
    assert prints[0] == prints[1]
    assert len(list(tmp_path.iterdir())) == 1


def _fingerprint(folder):
    return small_fractal(folder).fingerprint


def test_default_cache_dir_follows_xdg(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    small_fractal(None)
    assert len(list((tmp_path / "convnext-nas").iterdir())) == 1


def test_an_unwritable_cache_dir(tmp_path, monkeypatch, caplog):
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(InputError) as raised:
        small_fractal(file / "cache")
    assert "cannot be written" in one_line(raised)
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    small_fractal(None)
    assert "cannot be written; using" in caplog.text


@pytest.fixture
def homeless(tmp_path, monkeypatch):
    """Nobody's home, as under `docker --user`: the folder that the cache falls back to."""

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", no_home)
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path / f"convnext-nas-{os.getuid()}"


def test_without_a_home_the_cache_is_a_temporary_folder_of_one_s_own(homeless, caplog):
    small_fractal(None)
    assert stat.S_IMODE(homeless.stat().st_mode) == 0o700 and len(list(homeless.iterdir())) == 1
    assert f"there is no home directory; using {homeless}" in caplog.text
    small_fractal(None)


def test_a_temporary_folder_that_is_another_s_is_refused(homeless, tmp_path, monkeypatch):
    (tmp_path / "trap").mkdir(mode=0o700)
    homeless.symlink_to(tmp_path / "trap")
    words = (
        r"no home directory, and .* is no folder that only you can write; remove it, or set XDG_CACHE_HOME$"
    )
    with pytest.raises(InputError, match=words):
        small_fractal(None)
    homeless.unlink()
    homeless.mkdir()
    homeless.chmod(0o777)
    with pytest.raises(InputError, match=words):
        small_fractal(None)
    homeless.chmod(0o700)
    owner = os.getuid()
    monkeypatch.setattr(cache.os, "getuid", lambda: owner + 1)
    homeless.rename(tmp_path / f"convnext-nas-{owner + 1}")
    with pytest.raises(InputError, match=words):
        small_fractal(None)
    assert list((tmp_path / "trap").iterdir()) == []


# digits, CIFAR, image folder


def test_digits(tmp_path):
    data = load("digits", 16, train_size=100, val_size=50, cache_dir=tmp_path)
    assert data.train.images.shape == (100, 16, 16, 3) and data.num_classes == 10
    assert np.bincount(data.val.labels).tolist() == [5] * 10
    assert data.train.images.max() > 200
    assert len(load("digits", 16, val_size=700, cache_dir=tmp_path).val) == 599  # all there are
    with pytest.raises(InputError, match="num_classes: 11 asked for; digits has 10"):
        load("digits", 16, num_classes=11, cache_dir=tmp_path)


def cifar_files(folder, names, label_bytes, classes, count=20):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in names:
        records = rng.integers(0, 256, (count, label_bytes + PIXELS), dtype=np.uint8)
        records[:, label_bytes - 1] = np.arange(count) % classes
        records.tofile(folder / name)
    return folder


CIFAR10_FILES = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]


def test_cifar10_reads_the_binary_version(tmp_path):
    folder = cifar_files(tmp_path / "cifar-10-batches-bin", CIFAR10_FILES, 1, 10)
    for path in (folder, tmp_path):
        data = load(f"cifar10:{path}", 32, cache_dir=tmp_path / "cache")
    assert len(data.train) == 100 and len(data.val) == 20
    record = np.fromfile(folder / "test_batch.bin", np.uint8).reshape(20, -1)
    found = {image.tobytes(): int(label) for image, label in zip(*vars_of(data.val), strict=True)}
    expected = record[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    assert all(
        found[np.ascontiguousarray(e).tobytes()] == r[0] for e, r in zip(expected, record, strict=True)
    )
    assert load(f"cifar10:{folder}", 16, 10, 10, 0, tmp_path / "cache").val.images.shape == (10, 16, 16, 3)


def vars_of(split):
    return split.images, split.labels


def test_cifar100_uses_the_fine_label(tmp_path):
    folder = cifar_files(tmp_path / "c", ["train.bin", "test.bin"], 2, 100, count=200)
    data = load(f"cifar100:{folder}", 32, train_size=100, val_size=100, cache_dir=tmp_path / "cache")
    assert data.num_classes == 100 and sorted(data.train.labels) == list(range(100))


def test_cifar_says_its_classes_and_how_much_is_read_of_what_was_published(tmp_path):
    folder = cifar_files(tmp_path / "c", CIFAR10_FILES, 1, 10)
    data = load(f"cifar10:{folder}", 32, train_size=30, num_classes=3, cache_dir=tmp_path / "cache")
    assert data.classes == ("airplane", "automobile", "bird")
    assert data.read == (
        f"{folder}: 3 classes, 30 of 100 (as published: 50,000) + 6 of 20 (as published: 10,000) images"
    )
    fine = cifar_files(tmp_path / "f", ["train.bin", "test.bin"], 2, 100, count=100)
    names = load(f"cifar100:{fine}", 32, cache_dir=tmp_path / "cache").classes
    assert (len(names), names[0], names[25], names[99]) == (100, "apple", "couch", "worm")


def test_sets_that_are_made_have_nothing_to_say(tmp_path):
    fractals, digits = small_fractal(tmp_path), load("digits", 8, num_classes=3, cache_dir=tmp_path)
    assert (fractals.classes, fractals.read) == (None, "")
    assert (digits.classes, digits.read) == (("0", "1", "2"), "")


def test_a_cifar_file_larger_than_published_is_not_read(tmp_path):
    folder = cifar_files(tmp_path / "c", CIFAR10_FILES, 1, 10)
    os.truncate(folder / "test_batch.bin", 3073 * 10_001)
    with pytest.raises(InputError, match=r"test_batch.bin has 30,733,073 bytes, more than the 30,730,000 of"):
        load(f"cifar10:{folder}", 32, cache_dir=tmp_path)
    (folder / "test_batch.bin").unlink()
    os.mkfifo(folder / "test_batch.bin")
    with pytest.raises(InputError, match=r"test_batch.bin is no file; cifar10 needs"):
        load(f"cifar10:{folder}", 32, cache_dir=tmp_path)


def test_the_python_version_of_cifar_is_told_from_the_binary_one(tmp_path):
    (tmp_path / "data_batch_1").write_bytes(b"pickle")
    with pytest.raises(
        InputError, match=r"data_batch_1.bin is missing \(this is the Python version, not the"
    ):
        load(f"cifar10:{tmp_path}", 32, cache_dir=tmp_path)


def test_cifar_mistakes(tmp_path):
    folder = cifar_files(tmp_path / "c", CIFAR10_FILES, 1, 10)
    with pytest.raises(InputError, match="cifar10:PATH"):
        load("cifar10", 32, cache_dir=tmp_path)
    with pytest.raises(InputError, match="is no folder"):
        load(f"cifar10:{tmp_path / 'nowhere'}", 32, cache_dir=tmp_path)
    os.truncate(folder / "data_batch_3.bin", 5000)
    with pytest.raises(InputError, match=r"data_batch_3.bin has 5000 bytes, not a multiple of 3073"):
        load(f"cifar10:{folder}", 32, cache_dir=tmp_path)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(InputError, match=r"data_batch_3.bin is missing"):
        load(f"cifar10:{folder}", 32, cache_dir=tmp_path)


@pytest.fixture
def folder(tmp_path):
    """Two classes, red and blue, images of several shapes and modes."""
    root = tmp_path / "images"
    for split, count in (("train", 6), ("val", 3)):
        for name, colour in (("blue", (0, 0, 255)), ("red", (255, 0, 0))):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                picture = Image.new("RGB", (40 + 10 * i, 60), colour)
                picture.save(root / split / name / f"{i}.{'png' if i % 2 else 'JPEG'}")
    return root


def test_imagefolder(folder, tmp_path):
    data = load(f"imagefolder:{folder}", 24, train_size=4, cache_dir=tmp_path / "cache")
    assert data.train.images.shape == (4, 24, 24, 3) and len(data.val) == 6
    assert np.bincount(data.train.labels).tolist() == [2, 2]
    for image, label in zip(data.val.images, data.val.labels, strict=True):  # blue is 0, red is 1
        colour = image.reshape(-1, 3).mean(0)
        assert colour[2 - 2 * label] > 240 and colour[2 * label] < 15


def test_imagefolder_decodes_in_threads_to_the_same_bytes(folder, tmp_path, monkeypatch):
    from nas.data.sources import imagefolder

    first = load(f"imagefolder:{folder}", 24, cache_dir=tmp_path / "a")
    monkeypatch.setattr(imagefolder, "CHUNK", 1)
    assert load(f"imagefolder:{folder}", 24, cache_dir=tmp_path / "b").fingerprint == first.fingerprint


def test_a_script_needs_no_guard_to_load_an_image_folder(folder, tmp_path):
    """Without `if __name__ == "__main__"` a process that is started runs the script again."""
    script = tmp_path / "script.py"
    script.write_text(f"from nas.data import load\nprint(len(load({str(folder)!r}, 24).train))\n")
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, env=environment
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "12\n", "")


def test_imagefolder_notices_an_edited_file(folder, tmp_path):
    first = load(f"imagefolder:{folder}", 24, cache_dir=tmp_path / "cache")
    Image.new("RGB", (50, 50), (0, 255, 0)).save(folder / "train" / "red" / "0.JPEG")
    assert load(f"imagefolder:{folder}", 24, cache_dir=tmp_path / "cache").fingerprint != first.fingerprint


def remove_val(root):
    import shutil

    shutil.rmtree(root / "val")


def empty_class(root):
    for file in (root / "train" / "red").iterdir():
        file.unlink()


def flat_layout(root):
    for name in ("blue", "red"):
        remove = root / "train" / name
        for file in remove.iterdir():
            file.unlink()
        remove.rmdir()


def extra_class(root):
    (root / "train" / "green").mkdir()


def damaged_image(root):
    (root / "train" / "red" / "0.JPEG").write_bytes(b"\xff\xd8\xff\xe0" + bytes(50) + b"\xff\xd9")


@pytest.mark.parametrize(
    ("mistake", "words"),
    [
        (remove_val, "val is missing; imagefolder needs PATH/train/CLASS"),
        (empty_class, "red has no images"),
        (flat_layout, "train has no class folders"),
        (extra_class, "3 classes in train and 2 in val, which must be the same; green is only in train"),
        (damaged_image, "0.JPEG cannot be read as an image: "),
    ],
)
def test_imagefolder_mistakes(folder, tmp_path, mistake, words):
    mistake(folder)
    with pytest.raises(InputError) as raised:
        load(f"imagefolder:{folder}", 24, cache_dir=tmp_path / "cache")
    assert words in one_line(raised)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("svhn", "'svhn' is no data set; there are fractal, digits"),
        ("fractal:/tmp", "fractal takes no path"),
        ("imagefolder", "imagefolder needs a path"),
        ("imagefolder:/no/such/place", "/no/such/place is no folder"),
    ],
)
def test_wrong_specs(spec, words, tmp_path):
    with pytest.raises(InputError) as raised:
        load(spec, 16, cache_dir=tmp_path)
    assert words in one_line(raised)


def test_a_home_is_expanded_and_a_wrong_path_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a %41 #\nb").mkdir()
    assert existing_folder("~/a %41 #\nb", "x") == tmp_path / "a %41 #\nb"
    (tmp_path / "file").touch()
    for path in ("~/file", "~/none", "~nobody/x", "a\0b", "x" * 300):
        with pytest.raises(InputError, match=r"is no folder.*; needed$") as raised:
            existing_folder(path, "needed")
        one_line(raised)


def test_balanced_subset_is_even_and_repeatable():
    labels = np.array([0] * 50 + [1] * 5 + [2] * 50)
    chosen = balanced(labels, 30, (0,))
    assert sorted(np.bincount(labels[chosen]).tolist()) == [5, 12, 13]
    assert len(set(chosen.tolist())) == 30
    assert np.array_equal(chosen, balanced(labels, 30, (0,)))
    assert not np.array_equal(chosen, balanced(labels, 30, (1,)))


def test_the_header_is_readable(tmp_path):
    small_fractal(tmp_path)
    (path,) = tmp_path.iterdir()
    header = path.read_bytes()[: cache.HEADER_BYTES]
    fields = json.loads(header[len(cache.MAGIC) :].rstrip(b"\0"))
    assert fields["sizes"] == {"train": 40, "val": 20} and len(fields["sha256"]) == 64


# augmentation


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_crop_without_padding_or_flip_is_the_identity():
    images = torch.randint(0, 256, (4, 8, 8, 3), dtype=torch.uint8)
    assert torch.equal(crop_and_flip(images, 0, False, generator()), images)


def test_each_sample_is_cropped_and_flipped_at_its_own_place():
    row, column = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    image = torch.stack([row + 1, column + 1, torch.ones_like(row)], -1).to(torch.uint8)
    out = crop_and_flip(image.expand(64, 8, 8, 3), 2, True, generator())
    seen = set()
    for sample in out.long():
        inside = sample[..., 2] == 1
        assert sample[~inside].sum() == 0  # the padding
        rows, columns = sample[3, 3, 0] - 1 - 3, sample[3, :, 1]
        step = int(columns[4] - columns[3])
        seen.add((int(rows), int(columns[3]), step))
        expected = columns[3] + step * (torch.arange(8) - 3)
        assert torch.equal(columns[inside[3]], expected[inside[3]])
    assert {s[0] for s in seen} == {-2, -1, 0, 1, 2} and {s[2] for s in seen} == {-1, 1}


def test_normalise():
    images = torch.full((2, 4, 4, 3), 255, dtype=torch.uint8)
    out = normalise(images)
    assert out.shape == (2, 3, 4, 4) and out.is_contiguous(memory_format=torch.channels_last)
    assert out[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.6400], abs=1e-4)


def test_label_smoothing():
    targets = soft_targets(torch.tensor([1]), 4, 0.1)
    assert targets[0].tolist() == pytest.approx([0.025, 0.925, 0.025, 0.025])


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.8, 0.0), (0.0, 1.0), (0.8, 1.0)])
def test_mixing_keeps_the_label_mass_and_matches_the_pixels(mixup, cutmix):
    images = torch.stack([torch.full((3, 16, 16), float(i)) for i in range(2)])
    targets = soft_targets(torch.tensor([0, 1]), 2, 0.0)
    source = generator()
    shares = []
    for _ in range(50):
        mixed, soft = mix(images, targets, mixup, cutmix, 1.0, source)
        assert soft.sum(1).tolist() == pytest.approx([1, 1])
        assert mixed.mean((1, 2, 3)).tolist() == pytest.approx(soft[:, 1].tolist(), abs=1e-5)
        shares.append(float(soft[0, 0]))
    assert min(shares) < 0.3 and max(shares) > 0.7
    assert torch.equal(images[0], torch.zeros(3, 16, 16))  # the batch itself is left alone


def test_mixing_has_a_probability_and_an_off_switch():
    images, targets = torch.randn(4, 3, 8, 8), torch.eye(4)
    assert mix(images, targets, 0.0, 0.0, 1.0, generator())[0] is images
    assert mix(images, targets, 0.8, 1.0, 0.0, generator())[0] is images
    source = generator()
    mixed = [mix(images, targets, 0.8, 1.0, 0.5, source)[0] is not images for _ in range(200)]
    assert 70 < sum(mixed) < 130


@pytest.mark.parametrize("alpha", [0.2, 0.8, 1.0, 2.0])
def test_beta_has_the_right_mean_and_variance(alpha):
    source = generator()
    draws = np.array([beta(alpha, source) for _ in range(3000)])
    assert draws.mean() == pytest.approx(0.5, abs=0.03)
    assert draws.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)
