"""Files of weights: what scripts keep beside them is no obstacle, and no file takes all time or memory."""

import argparse
import io
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from space.errors import InputError
from space.weight_files import read_values


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_values(path)
    line = str(caught.value)
    assert line.startswith(str(path)) and "\n" not in line and len(line) < 1300
    return line


def official(path: Path, **more: object) -> Path:
    """As the official main.py writes it: its schedule is numpy's."""
    weight = torch.nn.Parameter(torch.arange(3.0))
    optimizer = torch.optim.AdamW([weight])
    optimizer.param_groups[0]["lr"] = np.linspace(0, 1, 5)[2] * 0.5
    optimizer.param_groups[0]["weight_decay"] = np.float32(0.05)
    state = {
        "model": {"w": weight.data},
        "optimizer": optimizer.state_dict(),
        "args": argparse.Namespace(a=1),
    }
    torch.save(state | more, path)
    return path


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_numbers_and_paths_beside_the_weights_are_no_obstacle(tmp_path: Path, protocol: int):
    path = tmp_path / "w.pth"
    values = {
        "model": {"w": torch.arange(3.0)},
        "history": np.arange(3),
        "args": argparse.Namespace(p=Path("x")),
    }
    torch.save(values | {"best": np.float64(0.5)}, path, pickle_protocol=protocol)
    if protocol == 2:
        assert torch.equal(read_values(path)["model"]["w"], torch.arange(3.0))
    else:  # torch's own reader knows no other
        assert "only tensors and plain values are read" in refused(path)
    assert torch.equal(read_values(official(path))["model"]["w"], torch.arange(3.0))


def test_numpy_s_names_of_before_2_are_known(tmp_path: Path):
    path = official(tmp_path / "w.pth")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(tmp_path / "old.pth", "w") as new:
        for record in old.infolist():
            content = old.read(record)
            new.writestr(record.filename, content.replace(b"numpy._core.", b"numpy.core."))
    assert torch.equal(read_values(tmp_path / "old.pth")["model"]["w"], torch.arange(3.0))


class CfgNode(dict):  # type: ignore[type-arg]
    """As yacs's, which the official Swin script stores."""


def test_a_configuration_of_the_official_swin_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    config = CfgNode(LR=1)
    config.frozen = True  # type: ignore[attr-defined]
    monkeypatch.setattr(CfgNode, "__module__", "yacs.config")
    module = type(argparse)("yacs.config")
    module.CfgNode = CfgNode  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "yacs", type(argparse)("yacs"))
    monkeypatch.setitem(__import__("sys").modules, "yacs.config", module)
    path = official(tmp_path / "w.pth", config=config)
    assert read_values(path)["config"]["LR"] == 1


def test_what_is_refused_is_named_and_not_run(tmp_path: Path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "run",))

    torch.save({"model": {"w": torch.zeros(1)}, "x": Evil()}, tmp_path / "w.pth")
    assert "; only tensors and plain values are read" in refused(tmp_path / "w.pth")
    torch.save({"model": {"w": torch.zeros(1)}, "x": refused}, tmp_path / "w.pth")
    assert "holds 'tests.space.test_weight_files.refused'" in refused(tmp_path / "w.pth")
    (tmp_path / "w.pth").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "w.pth")
    assert not (tmp_path / "run").exists()


def test_other_archives_are_told_from_damaged_checkpoints(tmp_path: Path):
    np.savez(tmp_path / "w.npz", w=np.zeros(3))
    assert refused(tmp_path / "w.npz").endswith("is an archive of something else than a checkpoint")
    torch.jit.save(torch.jit.script(torch.nn.Linear(1, 1)), tmp_path / "w.pt")
    assert "is a TorchScript program; only tensors and plain values are read" in refused(tmp_path / "w.pt")


def test_formats_are_told_by_content(tmp_path: Path):
    from safetensors.torch import save_file

    save_file({"w": torch.arange(3.0)}, tmp_path / "pytorch_model.bin")
    torch.save({"w": torch.arange(3.0)}, tmp_path / "model.safetensors")
    torch.save({"w": torch.arange(3.0)}, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    for name in ("pytorch_model.bin", "model.safetensors", "old.pth"):
        assert torch.equal(read_values(tmp_path / name)["w"], torch.arange(3.0))


def test_what_is_no_file_is_said_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "dangling").symlink_to("nowhere")
    assert refused(tmp_path).endswith(": is a folder; name the file of weights in it")
    assert "a device or pipe" in refused(tmp_path / "pipe")
    assert "a device or pipe" in refused(Path("/dev/zero"))
    assert "is empty" in refused(tmp_path / "empty")
    for name in ("none", "dangling", "n" * 300, "a\0b"):
        with pytest.raises(InputError, match=r"No such file|name too long|null byte"):
            read_values(tmp_path / name)


def test_a_file_of_holes_and_a_bomb_are_refused_in_little_memory(tmp_path: Path):
    with (tmp_path / "holes.pth").open("wb") as file:
        file.truncate(1 << 40)
    refused(tmp_path / "holes.pth")
    with (
        zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as bomb,
        bomb.open("archive/data.pkl", "w") as record,
    ):
        for _ in range(64):
            record.write(bytes(1 << 20))
    assert "unpacks to more than it has" in refused(tmp_path / "bomb.pth")


@pytest.mark.parametrize("claimed", [10, 1 << 20, (1 << 63) - 1])
def test_a_safetensors_header_that_lies(tmp_path: Path, claimed: int):
    path = tmp_path / "w.safetensors"
    header = b'{"w": {"dtype": "F32", "shape": [1000000000000], "data_offsets": [0, 4000000000000]}}'
    path.write_bytes(claimed.to_bytes(8, "little") + header)
    refused(path)
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    refused(path)


def test_every_cut_and_every_changed_byte_is_one_line_or_the_same_values(tmp_path: Path):
    buffer = io.BytesIO()
    torch.save({"w": torch.arange(40.0)}, buffer)
    whole = buffer.getvalue()
    path = tmp_path / "w.pth"
    for at in range(0, len(whole), 37):
        path.write_bytes(whole[:at])
        refused(path)
        changed = bytearray(whole)
        changed[at] ^= 0x15
        path.write_bytes(changed)
        try:
            values = read_values(path)
        except InputError:
            continue
        assert torch.equal(values["w"], torch.arange(40.0))
