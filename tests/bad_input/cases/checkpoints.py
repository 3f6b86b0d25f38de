"""Checkpoints that are none, that would run code, that unpack to more than there is, of another network."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.bad_input.case import Case, Make
from tests.bad_input.stock import RECIPE
from tests.bad_input.wrong import NO_TEXT_FILES, cut, garbled, link, stocked

CHECKPOINT = "trained/checkpoint-best.pt"


class _Runs:
    """Would make a file named `ran` where it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch ran",)


def _zip(entries: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, value in entries.items():
            archive.writestr(name, value)
    return content.getvalue()


def _bomb(path: Path, _: Path) -> None:
    """4 GB of zeros in 4 MB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", pickle.dumps({}, 2))
        archive.writestr("x/version", b"3\n")
        with archive.open("x/data/0", "w", force_zip64=True) as entry:
            zeros = bytes(1 << 24)
            for _unused in range(256):
                entry.write(zeros)


def _safetensors(header: bytes, length: int | None = None, data: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def _tensor(dtype: str, shape: Sequence[object], offsets: Sequence[object]) -> bytes:
    return json.dumps({"head.weight": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


RUNS = pickle.dumps(_Runs(), 2)
PT: Mapping[str, bytes | Make] = {
    **NO_TEXT_FILES,
    "an empty file": b"",
    "a text": b"no checkpoint\n",
    "an HTML page": b"<!DOCTYPE html><html></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a pickle that runs code": RUNS,
    "a pickle that runs code, in torch's archive": _zip(
        {"x/data.pkl": RUNS, "x/version": b"3\n", "x/byteorder": b"little"}
    ),
    "a pickle that runs code, in a mapping": pickle.dumps({"model": _Runs()}, 2),
    "a pickle of protocol 9": b"\x80\x09.",
    "a pickle that never ends": b"\x80\x02" + b"(" * 100_000,
    "a pickle of a million marks": b"\x80\x02" + b"(l" * 500_000 + b".",
    "a TorchScript archive": _zip(
        {"x/data.pkl": pickle.dumps({}, 2), "x/constants.pkl": b".", "x/code/x.py": b""}
    ),
    "an archive of something else": _zip({"hello.txt": b"x"}),
    "an archive without entries": _zip({}),
    "an archive with a path upwards": _zip({"../ran": b"x", "x/data.pkl": b"x"}),
    "an archive that unpacks to 4 GB": _bomb,
    "cut in the middle": cut(CHECKPOINT, 0.5),
    "cut before its end": cut(CHECKPOINT, 0.98),
    "a tenth of it": cut(CHECKPOINT, 0.1),
    "bytes changed in the weights": garbled(CHECKPOINT, 0.4),
    "bytes changed at the head": garbled(CHECKPOINT, 0.0),
    "bytes changed at the end": garbled(CHECKPOINT, 0.995, 20),
}
LAYOUTS = (
    "no_weights", "empty_mapping", "a_tensor", "a_list", "texts_for_tensors", "a_key_less", "a_key_more",
        "other_shapes",
    "another_network", "numbers_for_keys",
)  # fmt: skip
SAFETENSORS: Mapping[str, bytes | Make] = {
    "empty": b"",
    "a text": b"no checkpoint\n",
    "a header longer than the file": _safetensors(b"{}", 1 << 60),
    "a header that is no JSON": _safetensors(b"{nope"),
    "a header nested deep": _safetensors(b"[" * 50_000),
    "no tensors": _safetensors(b"{}"),
    "a tensor beyond the end": _safetensors(_tensor("F32", [4], [0, 1 << 40])),
    "a shape of 2^60": _safetensors(_tensor("F32", [1 << 60], [0, 16]), data=bytes(16)),
    "a negative shape": _safetensors(_tensor("F32", [-1], [0, 16]), data=bytes(16)),
    "an unknown type": _safetensors(_tensor("X9", [4], [0, 16]), data=bytes(16)),
    "another network's": _safetensors(_tensor("F32", [4], [0, 16]), data=bytes(16)),
    "a folder": NO_TEXT_FILES["a folder"],
    "a pipe": NO_TEXT_FILES["a pipe"],
}

IMAGES: Mapping[str, Make] = {
    "images": stocked("images"),
    "recipe.yaml": stocked("recipe.yaml"),
    "tiny.json": stocked("tiny.json"),
}
DATA = ("--data", "imagefolder:images", "--workers", "0")
LOCK = ("work/out/.lock",)
TRAIN = ("recipe.yaml", *DATA, "--out", "out")
EXPORT = ("--arch", "tiny.json", "--to", "native", "--num-classes", "2", "--out", "exported")


def cases() -> Iterator[Case]:
    """All of them."""
    for aim, command, argv in (
        ("checkpoint", "nas.evaluate", ("FILE", *DATA)),
        ("--weights", "nas.export", (*EXPORT, "--weights", "FILE")),
        ("--init", "nas.train", (*TRAIN, "--init", "FILE")),
    ):
        for name, content in PT.items():
            yield _case(command, aim, argv, "bad.pt", name, content)
        for name in LAYOUTS:
            if command != "nas.evaluate" and name == "another_network":
                continue  # what the file says of its network is not asked
            yield _case(command, aim, argv, "bad.pt", name.replace("_", " "), stocked(f"weights/{name}.pt"))
        for name, content in SAFETENSORS.items():
            yield _case(command, aim, argv, "bad.safetensors", name, content)
    yield from _evaluated()
    yield from _described()
    yield from _resumed()


def _evaluated() -> Iterator[Case]:
    argv = ("FILE", *DATA)
    for name in ("bare", "no_network", "nan", "architecture_is_text"):
        content = stocked(f"weights/{name}.pt")
        case = _case("nas.evaluate", "checkpoint", argv, "bad.pt", name.replace("_", " "), content)
        yield replace(case, printed=name == "nan")  # found when its outputs are
    yield _case("nas.evaluate", "--ema", ("FILE", *DATA, "--ema", "--network", "tiny.json"), "bad.pt",
                "has no average", stocked("weights/bare.pt"))  # fmt: skip


def _described() -> Iterator[Case]:
    names = (
        "bare",
        "empty_mapping",
        "a_tensor",
        "a_list",
        "no_network",
        "architecture_is_text",
        "numbers_for_keys",
    )
    for name, content in {
        **PT,
        **{name.replace("_", " "): stocked(f"weights/{name}.pt") for name in names},
    }.items():
        if not name.startswith("bytes changed in the weights"):
            yield _case("space.describe", "network", ("FILE",), "bad.pt", name, content)


def _resumed() -> Iterator[Case]:
    """A training's own folder, its last checkpoint spoilt."""
    argv = (*TRAIN, "--resume")
    spoilt = {name: make for name, make in PT.items() if name != "a folder"}
    layouts = ("no_weights", "empty_mapping", "a_tensor", "a_list", "recipe_is_text", "training_is_empty")
    for name, content in {
        **spoilt,
        **{name.replace("_", " "): stocked(f"weights/{name}.pt") for name in layouts},
    }.items():
        files = {
            **IMAGES,
            "out/recipe.yaml": stocked("trained/recipe.yaml"),
            "out/checkpoint-last.pt": content,
        }
        if name == "a link to itself":
            files["out/checkpoint-last.pt"] = link("checkpoint-last.pt")
        yield Case("nas.train", "checkpoints", "--resume", name, argv, files, leaves=LOCK)
    out: dict[str, Mapping[str, str | bytes | Make]] = {
        "its recipe is no YAML": {
            "out/recipe.yaml": "{",
            "out/checkpoint-last.pt": stocked("trained/checkpoint-last.pt"),
        },
        "its recipe is a folder": {"out/recipe.yaml": NO_TEXT_FILES["a folder"]},
        "its recipe is another": {"out/recipe.yaml": "x: 1\n"},
        "an empty folder": {"out": NO_TEXT_FILES["a folder"]},
        "a file": {"out": "x"},
        "a pipe": {"out": NO_TEXT_FILES["a pipe"]},
        "a link to nothing": {"out": link("nowhere")},
    }
    for name, files in out.items():
        yield Case("nas.train", "checkpoints", "--resume", f"--out: {name}", argv, {**IMAGES, **files})
    trained = {**IMAGES, "out": stocked("trained")}
    for name, words in {
        "without --resume": TRAIN,
        "of other images": (*argv, "--data", "imagefolder:other"),
    }.items():
        other = _other if "other" in name else stocked("images")
        yield Case(
            "nas.train",
            "checkpoints",
            "--out",
            f"holds a training, {name}",
            tuple(words),
            {**trained, "other": other},
            leaves=LOCK,
        )
    text = json.dumps({**RECIPE, "epochs": 2})
    yield Case(
        "nas.train",
        "checkpoints",
        "--resume",
        "under another recipe",
        argv,
        {**trained, "recipe.yaml": text},
        leaves=LOCK,
    )


def _other(path: Path, _: Path) -> None:
    from tests.bad_input.stock import images

    images(path, count=6)


def _case(
    command: str, aim: str, argv: Sequence[str], file: str, name: str, content: str | bytes | Make
) -> Case:
    if name == "a link to itself":
        content = link(file)
    words = tuple(file if word == "FILE" else word for word in argv)
    suffix = Path(file).suffix
    return Case(command, "checkpoints", aim, f"{suffix} file: {name}", words, {**IMAGES, file: content})
