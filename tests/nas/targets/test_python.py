"""The target python: files that run in a folder of their own, without this project."""

import pytest
import torch

from nas.targets import python
from nas.targets.target import Mismatch
from space.cost import cost
from space.network import build
from tests.nas.targets.conftest import CONVNEXT, make_chosen


def test_the_files_run_on_their_own(network, run_in):
    exported = python.export(make_chosen(network))
    assert set(exported.files) == {"model.py", "example.py", "verify.py"}
    expected = cost(network, 32, 7)
    assert (exported.check.params, exported.check.macs) == (expected.params, expected.macs)
    assert exported.verify == "python verify.py"
    done = run_in(exported.files, "verify.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{expected.params:,} parameters; the logits agree\n"


@pytest.mark.parametrize(("old", "new"), [("nn.GELU()", "nn.ReLU()"), ("DEPTHS = [1, 2]", "DEPTHS = [1, 1]")])
def test_verify_notices_another_network(old, new, run_in):
    files = python.export(make_chosen()).files
    assert old in files["model.py"]
    done = run_in({**files, "model.py": files["model.py"].replace(old, new)}, "verify.py")
    assert done.returncode == 1
    assert "AssertionError" in done.stderr


def test_weights_go_along_and_load(run_in):
    torch.manual_seed(0)
    weights = build(CONVNEXT, 7).state_dict()
    exported = python.export(make_chosen(weights=weights))
    assert exported.check.difference <= exported.check.tolerance
    done = run_in(exported.files, "example.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("torch.Size([1, 7])")
    program = (
        "import torch; from model import NasSmall; m = NasSmall();"
        "m.load_state_dict(torch.load('weights.pt')); print(float(m.head.weight.double().sum()))"
    )
    done = run_in({}, "-c", program)
    assert float(done.stdout) == float(weights["head.weight"].double().sum())


def test_the_recipe_s_defaults_are_the_module_s():
    network = {**CONVNEXT.to_dict(), "drop_path": 0.4}
    text = python.export(make_chosen(architecture=network, layer_scale=0.5)).files["model.py"]
    assert "drop_path_rate: float = 0.4," in text
    assert "layer_scale_init_value: float = 0.5," in text
    assert "num_classes: int = 7," in text
    assert f"fingerprint\n{CONVNEXT.fingerprint}" in text.replace("fingerprint ", "fingerprint\n")


def test_nothing_is_handed_out_where_the_module_differs(monkeypatch):
    made = python.export(make_chosen()).files["model.py"]
    wrong = made.replace("nn.GELU()", "nn.ReLU()")
    monkeypatch.setattr("nas.targets.source.module.chosen_source", lambda chosen: wrong)
    with pytest.raises(Mismatch, match="logits differ"):
        python.export(make_chosen())
