"""The target onnx: what ONNX Runtime computes from the file is the network."""

import json
import re

import numpy as np
import onnx as onnx_library
import onnxruntime
import pytest
import torch

from nas.targets import onnx
from nas.targets.target import Mismatch, Refused
from space.architecture import Architecture
from space.cost import cost
from space.network import build
from tests.nas.targets.conftest import CONVNEXT, MIXED, RESNET, make_chosen


@pytest.fixture(scope="module")
def exports():
    """Every network exported once: the exporter takes a second or two for each."""
    networks = {"convnext": CONVNEXT, "resnet": RESNET, "mixed": MIXED}
    return {name: (network, onnx.export(make_chosen(network))) for name, network in networks.items()}


def test_the_file_is_the_network(exports):
    for network, exported in exports.values():
        expected = cost(network, 32, 7)
        assert (exported.check.params, exported.check.macs) == (expected.params, expected.macs)
        assert exported.check.library.startswith("onnxruntime ")
        assert any("random" in note for note in exported.notes)


def test_a_valid_file_that_says_what_it_is(exports):
    for network, exported in exports.values():
        content = exported.files["nas_small.onnx"]
        model = onnx_library.load_from_string(content)
        onnx_library.checker.check_model(model, full_check=True)
        assert [opset.version for opset in model.opset_import if not opset.domain] == [onnx.OPSET]
        facts = {entry.key: entry.value for entry in model.metadata_props}
        assert Architecture.from_json(facts["architecture"]) == network
        assert facts["fingerprint"] == network.fingerprint
        assert json.loads(facts["mean"]) == [0.485, 0.456, 0.406]
        sizes = [v.type.tensor_type.shape.dim[0] for v in (*model.graph.input, *model.graph.output)]
        assert [size.dim_param for size in sizes] == ["batch", "batch"]
        symbols = [d.dim_param for v in model.graph.value_info for d in v.type.tensor_type.shape.dim]
        assert not any(re.search(r"\bs\d+\b", symbol) for symbol in symbols)
        assert b"/nas/targets" not in content
        assert b"stack_trace" not in content


def test_any_batch(exports):
    _, exported = exports["mixed"]
    session = onnxruntime.InferenceSession(exported.files["nas_small.onnx"])
    images = np.random.default_rng(0).normal(size=(5, 3, 32, 32)).astype(np.float32)
    together = session.run(None, {"images": images})[0]
    alone = np.concatenate([session.run(None, {"images": image[None]})[0] for image in images])
    assert together.shape == (5, 7)
    np.testing.assert_allclose(alone, together, rtol=1e-4, atol=1e-5)


def test_given_weights_are_in_the_file():
    torch.manual_seed(0)
    model = build(CONVNEXT, 7)
    exported = onnx.export(make_chosen(weights=model.state_dict()))
    assert not any("random" in note for note in exported.notes)
    session = onnxruntime.InferenceSession(exported.files["nas_small.onnx"])
    images = torch.randn(2, 3, 32, 32)
    got = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    torch.testing.assert_close(got, model.eval()(images), rtol=1e-4, atol=1e-6)


def test_what_is_checked_is_the_file(monkeypatch):
    made = onnx.final_model

    def damaged(chosen, program):
        model = made(chosen, program)
        node = next(node for node in model.graph.node if node.op_type == "Gelu")
        node.op_type = "Relu"
        del node.attribute[:]
        return model

    monkeypatch.setattr(onnx, "final_model", damaged)
    with pytest.raises(Mismatch, match="logits differ"):
        onnx.export(make_chosen())


def test_a_network_that_no_file_holds_is_refused_by_its_size():
    wide = Architecture.convnext([30], [4096])
    assert onnx.lacks(wide).startswith("params: 4038 M; one ONNX file holds 2 GB")
    with pytest.raises(Refused, match="params: 4038 M"):
        onnx.export(make_chosen(wide))


def test_a_broken_library_is_one_line(monkeypatch, tmp_path):
    (tmp_path / "broken_runtime.py").write_text("raise RuntimeError('numpy 1 was expected\\nsecond')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "broken_runtime"))
    words = r"^broken_runtime cannot be imported \(RuntimeError: numpy 1 was expected\); pip install "
    with pytest.raises(Refused, match=words):
        onnx.export(make_chosen())


def test_a_missing_library_is_one_line(monkeypatch):
    monkeypatch.setattr(onnx, "PACKAGES", ("onnx", "no_such_runtime"))
    with pytest.raises(
        Refused, match=r"^no_such_runtime is not installed; pip install 'convnext-nas\[export\]'$"
    ):
        onnx.export(make_chosen())
