"""The target torch: a .pt2 file that runs without the code of the model."""

import io

import pytest
import torch

from nas.targets import torch_export
from nas.targets.target import Mismatch
from space.cost import cost
from space.network import build
from tests.nas.targets.conftest import CONVNEXT, make_chosen


def test_the_file_is_the_network(network, run_in):
    exported = torch_export.export(make_chosen(network))
    expected = cost(network, 32, 7)
    assert (exported.check.params, exported.check.macs) == (expected.params, expected.macs)
    assert any("random" in note for note in exported.notes)
    assert exported.commands[0].startswith('python -c "import torch; ')


def test_any_batch_and_no_code_of_this_project(run_in):
    exported = torch_export.export(make_chosen())
    program = (
        "import sys, torch; run = torch.export.load('nas_small.pt2').module();"
        "print([tuple(run(torch.zeros(n, 3, 32, 32)).shape) for n in (1, 2, 5)], 'space' in sys.modules)"
    )
    done = run_in(exported.files, "-c", program)
    assert done.stdout == "[(1, 7), (2, 7), (5, 7)] False\n", done.stderr
    assert b"/nas/targets" not in exported.files["nas_small.pt2"]


def test_given_weights_are_in_the_file():
    torch.manual_seed(0)
    model = build(CONVNEXT, 7)
    exported = torch_export.export(make_chosen(weights=model.state_dict()))
    program = torch.export.load(io.BytesIO(exported.files["nas_small.pt2"]))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in program.state_dict.items())
    images = torch.randn(3, 3, 32, 32)
    torch.testing.assert_close(program.module()(images), model.eval()(images))
    assert not any("random" in note for note in exported.notes)


def test_what_is_checked_is_what_was_saved(monkeypatch):
    saved = torch_export.saved_program

    def damaged(program):
        program.state_dict["head.bias"] = torch.nn.Parameter(program.state_dict["head.bias"] + 1)
        return saved(program)

    monkeypatch.setattr(torch_export, "saved_program", damaged)
    with pytest.raises(Mismatch, match="logits differ"):
        torch_export.export(make_chosen())
