"""The generated module is the network, whatever the network, and reads like code that a person keeps."""

import ast
import dataclasses
import importlib
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from nas.targets.checking import compare_module, imported, randomised
from nas.targets.source.module import camel_case, module_source
from nas.targets.target import Mismatch
from space.architecture import Architecture
from space.cost import cost
from space.families import named
from space.network import build, drop_path_rates
from space.stage import Stage
from space.stem import Stem
from tests.nas.targets.conftest import CONVNEXT, MIXED, RESNET
from tests.space.strategies import architectures, networks, random_architectures

CLASSES = 7
RELATIVE = 1e-5


def source(network, **options):
    return module_source(network, "Searched", title="A network", num_classes=CLASSES, **options)


def generated(text, **arguments):
    with imported(text, "generated_module") as module:
        return module.Searched(**arguments)


def check(network, resolution, text):
    original, images = randomised(network, CLASSES, resolution=resolution)
    model = generated(text)
    model.load_state_dict(original.state_dict())
    return compare_module(original, images, model.eval(), library="generated", relative=RELATIVE)


@settings(max_examples=30, deadline=None)
@given(networks())
def test_logits_cost_and_names_of_any_network(pair):
    network, resolution = pair
    text = source(network, resolution=resolution)
    check(network, resolution, text)
    ours, theirs = build(network, CLASSES).state_dict(), generated(text).state_dict()
    assert {n: v.shape for n, v in ours.items()} == {n: v.shape for n, v in theirs.items()}


def test_a_network_that_makes_much_of_rounding_is_compared_in_float64():
    block = Stage(depth=1, width=3, kernel_size=3, expansion=1, style="bottleneck", conv="dense",
                  norm_after=(1, 2), act_after=(1, 2), grn=True)  # fmt: skip
    stages = (block, block, dataclasses.replace(block, width=8))
    stem = Stem(type="resnet", norm=False)
    network = Architecture(stages=stages, stem=stem, downsampling="strided", norm="group", layer_scale=None,
                           head_norm=False)  # fmt: skip
    found = check(network, 32, source(network, resolution=32))
    assert found.difference < 1e-5 * found.largest
    wrong = source(network, resolution=32).replace("nn.GELU()", "nn.ReLU()")
    with pytest.raises(Mismatch, match="generated in float64: logits differ"):
        check(network, 32, wrong)


@settings(max_examples=15, deadline=None)
@given(architectures())
def test_the_same_seed_starts_with_the_same_weights(network):
    torch.manual_seed(3)
    ours = build(network, CLASSES).state_dict()
    torch.manual_seed(3)
    theirs = generated(source(network)).state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


@settings(max_examples=15, deadline=None)
@given(architectures())
def test_stochastic_depth_of_every_block(network):
    rates = [m.rate for m in generated(source(network)).modules() if type(m).__name__ == "DropPath"]
    assert rates == pytest.approx(list(drop_path_rates(network)))


@settings(max_examples=12, deadline=None)
@given(networks(drop_path=0.0))
def test_training_mode_is_the_network_s(pair):
    network, resolution = pair
    torch.manual_seed(1)
    ours = build(network, CLASSES).train()
    theirs = generated(source(network)).train()
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(4, 3, resolution + 8, resolution + 8)
    wanted, got = ours(images), theirs(images)
    torch.testing.assert_close(got, wanted, rtol=1e-4, atol=1e-4 * float(wanted.detach().abs().max()))
    for (name, one), (_, other) in zip(
        sorted(ours.named_buffers()), sorted(theirs.named_buffers()), strict=True
    ):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    "name", ["convnext_tiny", "convnext_isotropic_small", "resnet50", "roadmap_t_6", "roadmap_t_14"]
)
def test_named_networks(name):
    found = check(named(name), 64, source(named(name)))
    assert found.params == cost(named(name), 64, CLASSES).params


def test_convnext_tiny_reads_like_the_official_file():
    text = module_source(named("convnext_tiny"), "ConvNeXtTiny", title="ConvNeXt-T", drop_path=0.1)
    assert "28,589,128 parameters and 4,455,531,264\nmultiply-accumulates at 224x224" in text
    assert "named as in the official ConvNeXt code" in text
    for line in (
        "DEPTHS = [3, 3, 9, 3]",
        "DIMS = [96, 192, 384, 768]",
        "self.dwconv = nn.Conv2d(dim, dim, kernel_size=7, padding=3, groups=dim)",
        "self.pwconv1 = nn.Linear(dim, 4 * dim)",
        "drop_path_rate: float = 0.1,",
        "layer_scale_init_value: float = 1e-6,",
    ):
        assert line in text
    for absent in ("GRN", "BatchNorm", "KERNEL_SIZES", "shortcut(", "timm", "math", "Pointwise"):
        assert absent not in text
    assert len(text.splitlines()) < 150
    assert "official" not in source(MIXED).split("class Searched")[0].split("import torch")[0]


def test_what_differs_between_stages_is_a_list():
    text = source(MIXED)
    assert "KERNEL_SIZES = [3, 5, 1]" in text
    assert "HIDDEN_DIMS = [16, 18, 64]" in text
    assert "HAS_GRN = [True, False, False]" in text
    assert "BLOCKS = [Block1, Block2, Block3]" in text
    assert "STEM_DIM = 6" in text


def random_sources():
    pairs = random_architectures(40, seed=7)
    texts = [source(a, register_as=("nas_net" if i % 2 else None)) for i, (a, _) in enumerate(pairs)]
    return [*texts, *(source(network) for network in (CONVNEXT, RESNET, MIXED))]


def test_formatted_and_clean_under_ruff_s_defaults(tmp_path):
    for i, text in enumerate(random_sources()):
        (tmp_path / f"model{i}.py").write_text(text)
    for command in (["check"], ["format", "--diff"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", command[0], "--isolated", "--no-cache", *command[1:], tmp_path],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_unused_and_torch_alone():
    for text in random_sources():
        tree = ast.parse(text, feature_version=(3, 8))  # the official code's Python
        found = [node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
        for node in found:
            if node.name not in ("Searched", "nas_net"):
                assert len(re.findall(rf"\b{node.name}\b", text)) > 1, node.name
        imports = {
            (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imports <= {"torch", "math", "timm"}
        assert ("timm" in imports) == ("nas_net" in text)


def test_the_same_text_every_time():
    assert source(MIXED) == source(Architecture.from_json(MIXED.to_json()))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = self.gamma * x", "x = x"),
        ("nn.GELU()", "nn.SiLU()"),
        ("x = self.norm(x)", "x = x"),
        ("kernel_size=7, padding=3", "kernel_size=7, padding=3, padding_mode='circular'"),
        ("return self.norm(x.mean((-2, -1)))", "return x.mean((-2, -1))"),
        ("return shortcut + self.drop_path(x)", "return self.drop_path(x)"),
    ],
)
def test_a_wrong_module_is_noticed(old, new):
    text = source(CONVNEXT)
    assert old in text
    with pytest.raises(Mismatch, match="logits differ"):
        check(CONVNEXT, 32, text.replace(old, new))


@pytest.mark.parametrize("network", [CONVNEXT, RESNET, MIXED], ids=["convnext", "resnet", "mixed"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchscript_compiles_it(network, tmp_path, monkeypatch):
    (tmp_path / "scripted_module.py").write_text(source(network))  # it reads the source's file
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("scripted_module")
    images = torch.randn(2, 3, 32, 32)
    for classes in (CLASSES, 0):
        model = module.Searched(num_classes=classes).eval()
        torch.testing.assert_close(torch.jit.script(model)(images), model(images))
    assert torch.jit.script(module.Searched(drop_path_rate=0.5).train())(images).shape == (2, CLASSES)
    del sys.modules["scripted_module"]


def test_no_classes_leave_the_features():
    for network in (CONVNEXT, RESNET):
        model = generated(source(network), num_classes=0).eval()
        images = torch.randn(2, 3, 32, 32)
        assert model(images).shape == (2, network.stages[-1].out)
        assert torch.equal(model(images), model.forward_features(images))
        assert not any(name.startswith("head") for name in model.state_dict())


def test_arguments():
    text = source(CONVNEXT, drop_path=0.3, layer_scale=0.5)
    model = generated(text, num_classes=3, in_chans=1, head_init_scale=0.0)
    assert model(torch.zeros(2, 1, 16, 16)).shape == (2, 3)
    assert not model.head.weight.any()
    assert {float(p.detach().max()) for n, p in model.named_parameters() if n.endswith("gamma")} == {0.5}
    assert [m.rate for m in model.modules() if type(m).__name__ == "DropPath"][-1] == pytest.approx(0.3)
    changed = generated(text, layer_scale_init_value=0.25, drop_path_rate=0.0)
    assert {float(p.detach().max()) for n, p in changed.named_parameters() if n.endswith("gamma")} == {0.25}
    assert not any(m.rate for m in changed.modules() if type(m).__name__ == "DropPath")
    with pytest.raises(TypeError, match="layer_scale_init_value"):
        generated(source(RESNET), layer_scale_init_value=1e-6)


def test_stochastic_depth_drops_whole_samples():
    torch.manual_seed(0)
    with imported(source(CONVNEXT), "generated_module") as module:
        out = module.DropPath(0.25).train()(torch.ones(4000, 2, 3, 3)).flatten(1)
    assert torch.equal(out.min(1).values, out.max(1).values)
    assert sorted(set(out[:, 0].tolist())) == pytest.approx([0, 1 / 0.75])
    assert out.mean().item() == pytest.approx(1.0, abs=0.03)


def test_a_training_step_reaches_every_weight():
    model = generated(source(MIXED)).train()
    nn.functional.cross_entropy(model(torch.randn(4, 3, 32, 32)), torch.arange(4)).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    "title",
    ['says "so"', 'ends in """', "back\\slash \\N{x}", "two\nlines", "", "\x00\x1b[0m\ud800", "x" * 9999],
)
def test_any_title_is_text(title):
    text = module_source(CONVNEXT, "Searched", title=title, num_classes=CLASSES)
    assert ast.get_docstring(ast.parse(text)).startswith("Searched:")


@pytest.mark.parametrize("name", ["4g", "class", "Block", "Block2", "nn", "GRN", "x" * 65])
def test_names_the_module_cannot_have(name):
    with pytest.raises(ValueError, match=r"identifier|uses this name"):
        module_source(CONVNEXT, name, title="")
    with pytest.raises(ValueError, match=r"identifier|uses this name"):
        module_source(CONVNEXT, "Searched", title="", register_as=name)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("nas_4g4_trial7", "Nas4g4Trial7"),
        ("block", "NetworkBlock"),
        ("_4g", "Network4g"),
        ("none", "NetworkNone"),
    ],
)
def test_a_class_name_for_an_identifier(name, wanted):
    assert camel_case(name) == wanted
