"""Folders of images: of another layout, with classes that have no image, and with files that are none."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.bad_input.case import Case, Make
from tests.bad_input.cases.flags import MEASURE, SMOKE
from tests.bad_input.stock import images
from tests.bad_input.wrong import fifo, folder, link, sparse, stocked

Change = Callable[[Path], Any]


def _all(make: Callable[[Path], None], pattern: str = "*/b/*") -> Change:
    """Every image of class b in its place made anew."""

    def change(root: Path) -> None:
        for path in sorted(root.glob(pattern)):
            path.unlink()
            make(path)

    return change


def _bytes(content: bytes) -> Change:
    return _all(lambda path: _written(path, content))


def _written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _head(share: float) -> Callable[[Path], None]:
    """The first part of each picture of class a, in place of one of class b."""

    def make(path: Path) -> None:
        content = (path.parent.parent / "a" / path.name).read_bytes()
        path.write_bytes(content[: int(share * len(content))])

    return make


def _without_middle(path: Path) -> None:
    """The start and the end of a picture of class a."""
    content = (path.parent.parent / "a" / path.name).read_bytes()
    path.write_bytes(content[: len(content) // 2] + content[-12:])


def _png(width: int, height: int, data: bytes = b"") -> bytes:
    """A PNG that says how large it is, and holds what it likes."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        crc = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def _remove(name: str) -> Change:
    def change(root: Path) -> None:
        for path in sorted(root.glob(f"{name}/**/*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (root / name).rmdir()

    return change


def _each(split: str, name: str) -> Change:
    """A class folder renamed in a split."""
    return lambda root: (root / split / "b").rename(root / split / name)


def _empty_class(root: Path) -> None:
    for split in ("train", "val"):
        (root / split / "c").mkdir()


def _only(pattern: str) -> Change:
    """The images of class b under another name."""

    def change(root: Path) -> None:
        for path in sorted(root.glob("*/b/*")):
            path.rename(path.with_name(pattern.format(path.stem)))

    return change


def _in_place(name: str, make: Make) -> Change:
    """Something else in place of a folder."""

    def change(root: Path) -> None:
        _remove(name)(root)
        make(root / name, root)

    return change


EPS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 40 36\n%%EndComments\n"
    b"(ran) (w) file closefile\nshowpage\n%%EOF\n"
)
TRAIN_KINDS: Mapping[str, Change] = {
    "no train": _remove("train"),
    "train is a file": _in_place("train", lambda path, _: _written(path, b"x")),
    "train is a pipe": _in_place("train", fifo),
    "train is a link to itself": _in_place("train", link("train")),
    "train is empty": _in_place("train", folder),
    "class b only in val": _remove("train/b"),
    "class b is called B in train": _each("train", "B"),
    "an empty class in train": _in_place("train/b", folder),
    "class b is a file": _in_place("val/b", lambda path, _: _written(path, b"x")),
    "class b is a link to itself": _in_place("val/b", link("b")),
}
"""For commands that read both splits: an evaluation takes the classes that there are."""
KINDS: Mapping[str, Change] = {
    "no val": _remove("val"),
    "val is a file": _in_place("val", lambda path, _: _written(path, b"x")),
    "val is a pipe": _in_place("val", fifo),
    "val is a link to nothing": _in_place("val", link("nowhere")),
    "val is empty": _in_place("val", folder),
    "an empty class in val": _in_place("val/b", folder),
    "a class more, empty": _empty_class,
    "only hidden images in a class": _only("._{}.png"),
    "only names that end like no image": _only("{}.txt"),
    "images without a suffix": _only("{}"),
}
"""For all commands: both splits are spoilt, or val."""
CONTENTS: Mapping[str, Change] = {
    "empty files": _bytes(b""),
    "text files": _bytes(b"no image\n"),
    "an HTML page": _bytes(b"<!DOCTYPE html><html><body>404</body></html>"),
    "Git LFS pointers": _bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"),
    "PostScript named .png": _bytes(EPS),
    "a PDF named .png": _bytes(b"%PDF-1.4\n%%EOF\n"),
    "an archive named .png": _bytes(b"PK\x05\x06" + b"\0" * 18),
    "a zip's head": _bytes(b"PK\x03\x04" + b"\0" * 200),
    "a PNG's head alone": _bytes(b"\x89PNG\r\n\x1a\n"),
    "a JPEG's head alone": _bytes(b"\xff\xd8\xff\xe0\x00\x10JFIF\x00"),
    "a GIF's head alone": _bytes(b"GIF89a"),
    "a TIFF that points to itself": _bytes(b"II*\x00\x08\x00\x00\x00\x00\x00\x08\x00\x00\x00"),
    "a BMP of 2 GB, it says": _bytes(
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, 30000, 30000, 1, 24, 0, 0, 0, 0, 0, 0)
    ),
    "a PNG of 100,000 x 100,000, it says": _bytes(_png(100_000, 100_000)),
    "a PNG of 2,000,000,000 x 1, it says": _bytes(_png(2_000_000_000, 1)),
    "a PNG of no width": _bytes(_png(0, 10)),
    "a PNG without pixels": _bytes(_png(40, 36)),
    "a PNG of wrong pixels": _bytes(_png(40, 36, b"\xff" * 50)),
    "cut in the middle": _all(_head(0.5)),
    "cut after 40 bytes": _all(_head(0.2)),
    "links to nothing": _all(lambda path: path.symlink_to("nowhere.png")),
    "links to themselves": _all(lambda path: path.symlink_to(path.name)),
    "links to /dev/zero": _all(lambda path: path.symlink_to("/dev/zero")),
    "links to a folder": _all(lambda path: path.symlink_to("/")),
    "pipes": _all(os.mkfifo),
    "sparse files of 3 GB": _all(lambda path: sparse(3 << 30)(path, path)),
    "one image without its middle": _all(_without_middle, "*/b/1.png"),
    "one image a PNG of 100,000 x 100,000": _all(
        lambda path: _written(path, _png(100_000, 100_000)), "*/b/1.png"
    ),
}
"""Images that are none: a training finds them when it comes to them, and keeps what it has done."""
WHOLE: Mapping[str, Make] = {
    "a file": lambda path, _: _written(path, b"x"),
    "an empty folder": folder,
    "a pipe": fifo,
    "a link to nothing": link("nowhere"),
    "a link to itself": link("images"),
    "images beside train": lambda path, _: images(path / "x"),
    "no class but one of another encoding": lambda path, _: Path(f"{path}/val/\udcff").mkdir(parents=True),
}

ONE_CLASS: Mapping[str, Make] = {"one class": lambda path, _: images(path, "a")}

CIFAR: Mapping[str, Mapping[str, bytes | Make]] = {
    "an empty folder": {"images": folder},
    "empty files": {f"images/{name}.bin": b"" for name in ("data_batch_1", "data_batch_2", "test_batch")},
    "a file too short": {
        f"images/{name}.bin": b"x" * 3000
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
    },
    "a label of 200": {
        f"images/{name}.bin": b"\xc8" + b"x" * 3072
        for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")
    },
    "a test batch that is missing": {f"images/data_batch_{i}.bin": b"\1" + b"x" * 3072 for i in range(1, 6)},
    "folders for files": {f"images/data_batch_{i}.bin": folder for i in range(1, 6)},
    "pipes for files": {f"images/data_batch_{i}.bin": fifo for i in range(1, 6)},
    "links to /dev/zero": {f"images/data_batch_{i}.bin": link("/dev/zero") for i in range(1, 6)},
    "the Python version's files": {"images/data_batch_1": b"\x80\x04.", "images/batches.meta": b"\x80\x04."},
}

LISTS: Mapping[str, bytes | Make] = {
    "an empty list": b"",
    "a header alone": b"file,label\n",
    "no labels": b"images/train/a/0.png\n",
    "files that are not there": b"x.png,a\ny.png,b\n",
    "two labels of one image": b"images/train/a/0.png,a\nimages/train/a/0.png,b\n",
    "two labels of one image, by two paths": b"images/train/a/0.png,a\nimages/../images/train/a/0.png,b\n",
    "a cell without a column": b"file,label\nimages/train/a/0.png,a,train\nimages/train/b/0.png,b,val\n",
    "two columns of one name": b"file,label,label\nimages/train/a/0.png,a,b\nimages/train/b/0.png,b,a\n",
    "a split of another name": b"file,label,split\nimages/train/a/0.png,a,x\nimages/train/b/0.png,b,x\n",
    "not UTF-8": b"images/train/a/0.png,\xff\n",
    "a quote that does not end": b'"images/train/a/0.png,a\n',
    "a NUL": b"images/train/a/0.png,a\x00\n",
    "a class of an escape": b"images/train/a/0.png,a\nimages/train/a/1.png,\x1b[31m\n",
    "a folder": folder,
    "a pipe": fifo,
    "devices for images": b"/dev/zero,a\n/dev/zero,b\n",
}
"""Lists of images, beside a folder of some."""
ONE_LABEL = {"one label": b"images/train/a/0.png,a\nimages/train/a/1.png,a\n"}

SPEC = "imagefolder:images"
BOTH: Mapping[str, Sequence[str]] = {
    "nas.train": ("recipe.yaml", "--data", SPEC, "--out", "out", "--workers", "0"),
    "nas.search": (*SMOKE, "--data", SPEC),
    "nas.measure": (*MEASURE, "--proxy", "smoke", "--data", SPEC),
}
VAL: Mapping[str, Sequence[str]] = {"nas.evaluate": ("model.pt", "--data", SPEC, "--workers", "0")}
GIVEN: Mapping[str, Make] = {
    "recipe.yaml": stocked("recipe.yaml"),
    "model.pt": stocked("trained/checkpoint-best.pt"),
    "../cache": stocked("cache"),
}


def cases() -> Iterator[Case]:
    """All of them."""
    for command, argv in {**BOTH, **VAL}.items():
        kinds = {**KINDS, **(TRAIN_KINDS if command in BOTH else {}), **CONTENTS}
        for name, change in kinds.items():
            yield _case(command, name, argv, _changed(change))
        for name, make in {**WHOLE, **(ONE_CLASS if command in BOTH else {})}.items():
            yield _case(command, name, argv, make)
        lists = {**LISTS, **(ONE_LABEL if command in BOTH else {})}
        for name, content in lists.items():
            words = tuple("list.csv" if word == SPEC else word for word in argv)
            yield Case(
                command,
                "folders of data",
                "csv",
                name,
                words,
                {**GIVEN, "images": _changed(lambda _: None), "list.csv": content},
            )
        for name, files in CIFAR.items():
            words = tuple("cifar10:images" if word == SPEC else word for word in argv)
            yield Case(command, "folders of data", "cifar10", name, words, {**GIVEN, **files})
    yield _case(
        "nas.train",
        "workers decode: empty files",
        _workers(BOTH["nas.train"]),
        _changed(CONTENTS["empty files"]),
    )
    yield _case(
        "nas.evaluate",
        "workers decode: text",
        _workers(VAL["nas.evaluate"]),
        _changed(CONTENTS["text files"]),
    )


def _workers(argv: Sequence[str]) -> tuple[str, ...]:
    return (*argv, "--workers", "1")


def _changed(change: Change) -> Make:
    def make(path: Path, _: Path) -> None:
        images(path)
        change(path)

    return make


def _case(command: str, name: str, argv: Sequence[str], make: Make) -> Case:
    case = Case(command, "folders of data", "imagefolder", name, tuple(argv), {**GIVEN, "images": make})
    if name.removeprefix("workers decode: ") not in CONTENTS:
        return case
    if command == "nas.train":
        return replace(case, printed=True, leaves=("work/out*",))
    return replace(case, printed=command == "nas.evaluate")
