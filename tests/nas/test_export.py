"""Exports as a user makes them: one folder a network, checked, with a README of its own."""

import json

import pytest
import torch
import yaml

from nas import export, search
from nas.record import Record
from nas.targets.target import Mismatch
from space import describe
from space.architecture import Architecture
from space.network import build

SEARCH = [
    "--space",
    "micro",
    "--budget",
    "20M..40M",
    "--proxy",
    "simulated:interacting",
    "--sampler",
    "random",
]
SEARCH += ["--trials", "8", "--seed", "1"]


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "small"
    assert search.main([*SEARCH, "--objective", "front", "--confirm", "3x2", "--study", str(folder)]) == 0
    return folder


@pytest.fixture
def ran(capsys):
    def run(*arguments):
        code = export.main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


def written(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_default_is_one_folder_with_a_readme(study, ran, tmp_path):
    code, out, err = ran(study, "--out", tmp_path / "net")
    assert (code, err) == (0, "")
    files = written(tmp_path / "net")
    assert {"README.md", "architecture.json", "native/recipe.yaml", "python/model.py"} <= set(files)
    record = Record.read(str(study)).mapping()
    best = next(t for t in record["trials"] if t["number"] == record["best"])
    kept = json.loads((tmp_path / "net/architecture.json").read_text())
    assert kept["fingerprint"] == best["fingerprint"] and kept["macs"] == best["macs"]
    readme = (tmp_path / "net/README.md").read_text()
    for words in (
        best["fingerprint"],
        "## Cost",
        "## Evidence",
        "fresh seeds",
        "python -m nas.train recipe.yaml",
        f"trial {best['number']} of small",
        "simulated:interacting",
    ):
        assert words in readme, words  # fmt: skip
    assert "verified with torch" in out
    assert describe.main([str(tmp_path / "net/architecture.json")]) == 0


def test_the_folder_of_a_study_is_the_default(study, ran):
    assert ran(study, "--trial", 3, "--to", "native")[0] == 0
    recipe = yaml.safe_load((study / "export/trial-3/native/recipe.yaml").read_text())
    trial = Record.read(str(study)).trial(3)
    network, asked = (Architecture.from_dict(v) for v in (recipe["architecture"], trial["architecture"]))
    assert network.stages == asked.stages and network.norm == asked.norm


def test_a_front_is_a_folder_for_each_of_its_networks(study, ran, tmp_path):
    assert ran(study, "--front", "--to", "native", "--out", tmp_path)[0] == 0
    costs = {}
    for folder in tmp_path.iterdir():
        kept = json.loads((folder / "architecture.json").read_text())
        assert folder.name == f"trial-{kept['evidence']['trial']}"
        costs[kept["macs"]] = kept
    record = Record.read(str(study)).mapping()
    again = {t["of"] for t in record["trials"] if t["role"] == "confirmation"}
    assert costs and all(kept["evidence"]["trial"] in again for kept in costs.values())


def test_a_named_network_needs_no_study(ran, tmp_path):
    assert ran("--arch", "convnext_tiny", "--to", "native", "--gpus", 4, "--gpu-memory", "24GB",
               "--out", tmp_path / "t")[0] == 0  # fmt: skip
    recipe = yaml.safe_load((tmp_path / "t/native/recipe.yaml").read_text())
    assert recipe["devices"] == 4 and recipe["total_batch_size"] == 4096
    assert recipe["architecture"]["drop_path"] == 0.1
    readme = (tmp_path / "t/README.md").read_text()
    assert "4.456 GFLOPs" in readme and "28.59 M parameters" in readme and "## Evidence" not in readme


def test_a_target_that_was_named_refuses_and_nothing_is_written(ran, tmp_path):
    code, out, err = ran("--arch", "resnet50", "--to", "native", "transformers", "--out", tmp_path / "r")
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith("nas.export: resnet50: transformers: ") and "nothing was written" in err
    assert not (tmp_path / "r").exists()


def test_weights_are_exported_with_the_network(ran, tmp_path):
    architecture = Architecture.convnext([1, 1, 1, 1], [8, 16, 24, 32])
    (tmp_path / "a.json").write_text(architecture.to_json())
    model = build(architecture, num_classes=7).eval()
    average = {name: value / 2 for name, value in model.state_dict().items()}
    torch.save({"model": model.state_dict(), "model_ema": average}, tmp_path / "w.pth")
    arguments = ("--arch", tmp_path / "a.json", "--to", "python", "--weights", tmp_path / "w.pth")
    code, _, err = ran(*arguments, "--out", tmp_path / "no")
    assert code == 2 and "head" in err and not (tmp_path / "no").exists()
    assert ran(*arguments, "--num-classes", 7, "--out", tmp_path / "yes")[0] == 0
    kept = torch.load(tmp_path / "yes/python/weights.pt", weights_only=True)
    assert all(torch.equal(kept[name], value) for name, value in average.items())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "tf"), "--to: 'tf' is no target; there are native, "),
        (("--trial", "99"), "there is no trial 99; its trials are 0 to "),
        (("--trial", "1", "--front"), "--front: exports every network"),
        (("--arch", "convnext_tiny"), "--arch: names the network by itself"),
        (("--gpu-memory", "lots"), "--gpu-memory 'lots': write it like 40GB"),
        (("--gpu-memory", "1MB"), "not even one image fits, which needs"),
        (("--gpu-price", "-1"), "--gpu-price: -1 is no price"),
        (("--gpus", "7"), "gpus 7: a total batch of 4096 does not split"),
        (("--variant", "imagenet-2k"), "variant 'imagenet-2k': must be one of"),
        (("--resolution", "4"), "resolution 4"),
        (("--weights", "nowhere.pt"), "nowhere.pt: No such file"),
    ],
)
def test_a_mistake_is_one_line(study, ran, tmp_path, arguments, words):
    code, out, err = ran(study, *arguments, "--out", tmp_path / "net")
    assert code == 2 and words in err and err.count("\n") == 1 and out == ""
    assert not (tmp_path / "net").exists()


def test_no_network_is_asked_for(ran):
    code, _, err = ran()
    assert code == 2 and "which network? Give a study, or --arch" in err


def test_what_lies_there_is_never_lost(study, ran, tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "thesis.tex").write_text("mine")
    assert "holds other things than an export" in ran(study, "--trial", 2, "--out", folder)[2]
    assert written(folder) == ["thesis.tex"]
    own = tmp_path / "own"
    assert ran(study, "--trial", 2, "--to", "native", "--out", own)[0] == 0
    (own / "native/log.csv").write_text("a training")
    assert ran(study, "--trial", 2, "--to", "native", "--gpus", 4, "--out", own)[0] == 0
    assert (own / "native/log.csv").read_text() == "a training"
    assert yaml.safe_load((own / "native/recipe.yaml").read_text())["devices"] == 4
    before = {name: (own / name).read_bytes() for name in written(own)}
    assert "holds another network" in ran(study, "--trial", 3, "--to", "native", "--out", own)[2]
    assert {name: (own / name).read_bytes() for name in written(own)} == before


def test_a_form_that_differs_is_not_written(study, ran, tmp_path, monkeypatch):
    from nas.targets import python

    def differs(chosen):
        raise Mismatch("model.py: logits differ by 1")

    monkeypatch.setattr(python, "export", differs)
    code, _, err = ran(study, "--to", "native", "python", "--out", tmp_path / "net")
    assert code == 2 and "python: model.py: logits differ by 1; nothing was written" in err
    assert not (tmp_path / "net").exists()
