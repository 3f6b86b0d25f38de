"""transformers reads config.json, builds the network, and its logits are the network's."""

import dataclasses
import itertools
import json
import re
import types

import pytest
import torch

from nas.targets import transformers as target
from nas.targets import verification
from nas.targets.checking import randomised
from nas.targets.library import Library
from nas.targets.target import Mismatch, Refused
from space.families import named
from space.space_file import load_space
from space.stem import Stem
from tests.benchmarks.exports import restored
from tests.nas.targets.conftest import CONVNEXT, MIXED, RESNET, make_chosen


def of_all_stages(network, **fields):
    return dataclasses.replace(
        network, stages=tuple(dataclasses.replace(stage, **fields) for stage in network.stages)
    )


V2 = dataclasses.replace(of_all_stages(CONVNEXT, grn=True), layer_scale=None)


@pytest.mark.parametrize(
    "network",
    [
        CONVNEXT,
        V2,
        dataclasses.replace(CONVNEXT, layer_scale=None, activation="hardswish"),
        dataclasses.replace(CONVNEXT, activation="silu", stem=Stem(patch_size=2)),
        dataclasses.replace(CONVNEXT, activation="relu", stages=CONVNEXT.stages[:1]),
    ],
    ids=["convnext", "v2", "no LayerScale", "patch 2", "one stage"],
)
def test_transformers_builds_the_network(network):
    exported = target.export(make_chosen(network))
    assert exported.check.library.startswith("transformers ")
    assert exported.check.difference <= exported.check.tolerance
    assert "model.safetensors" not in exported.files


@pytest.mark.parametrize(
    ("network", "axis"),
    [
        (RESNET, "stem.type"),
        (MIXED, "stem.activation"),
        (dataclasses.replace(CONVNEXT, stem=Stem(norm=False)), "stem.norm"),
        (dataclasses.replace(CONVNEXT, norm="rms"), "norm"),
        (dataclasses.replace(CONVNEXT, head_norm=False), "head_norm"),
        (dataclasses.replace(CONVNEXT, downsampling="strided"), "downsampling"),
        (of_all_stages(CONVNEXT, kernel_size=5), "kernel_size"),
        (of_all_stages(CONVNEXT, expansion=3), "expansion"),
        (of_all_stages(CONVNEXT, grn=True), "layer_scale"),
        (
            dataclasses.replace(
                V2, stages=(V2.stages[0], dataclasses.replace(V2.stages[1], grn=False))
            ),
            "grn",
        ),
    ],
)  # fmt: skip
def test_what_transformers_lacks_is_refused_with_the_axis(network, axis):
    assert target.lacks(network).startswith(f"{axis}: ")
    with pytest.raises(Refused, match=f"^{axis}: "):
        target.export(make_chosen(network))
    if axis == "layer_scale":  # ConvNeXt's own LayerScale is what stands in the way of GRN
        assert target.lacks(dataclasses.replace(network, layer_scale=None)) is None
    else:
        assert not (target.lacks(restored(network, axis)) or "").startswith(f"{axis}: ")


def test_every_refused_axis_of_the_space_can_be_set_back():
    for network in load_space("convnext").sample(100, seed=1):
        for _ in range(3):
            reason = target.lacks(network)
            if reason is None:
                break
            axis = reason.partition(":")[0]
            network = restored(network, axis)  # noqa: PLW2901
            assert not (target.lacks(network) or "").startswith(f"{axis}: ")
        assert target.lacks(network) is None  # kernel size, expansion and norm are all that it varies beyond


@pytest.mark.parametrize("name", ["convnext_tiny", "convnext_base", "convnext_xlarge"])
def test_transformers_has_the_published_networks(name):
    assert target.lacks(named(name)) is None


def test_the_config_is_the_published_one():
    from transformers import ConvNextConfig

    chosen = make_chosen(named("convnext_tiny"), num_classes=1000, resolution=224)
    found = target.config(chosen)
    published = ConvNextConfig(num_labels=1000).to_dict()
    differing = {key for key in found if found[key] != published.get(key)}
    # of facebook/convnext-tiny-224 and the networks here: eps before the classifier, labels, stochastic depth
    assert differing <= {"architectures", "layer_norm_eps", "id2label", "label2id", "drop_path_rate",
                         "hidden_sizes", "depths"}  # fmt: skip
    assert found["layer_norm_eps"] == 1e-6 and len(found["id2label"]) == 1000
    assert (found["hidden_sizes"], found["depths"]) == ([96, 192, 384, 768], [3, 3, 9, 3])


def quiet(network):
    """The network with features so small before the classifier that its norm's eps is half of the result."""
    module = randomised(network, 7, resolution=32)[0]
    state = {name: value.clone() for name, value in module.state_dict().items()}
    last = len(network.stages) - 1
    for name in state:
        if name.startswith(f"downsample_layers.{last}.1.") or (
            name.startswith(f"stages.{last}.") and (name.endswith(".gamma"))
        ):
            state[name] *= 1e-3
    return state


def test_eps_before_the_classifier_is_the_networks(tmp_path):
    """transformers' own default of 1e-12 shows in these logits; config.json's 1e-6 is the network's."""
    from transformers import AutoConfig, AutoModelForImageClassification

    from nas.targets.checking import with_weights

    state = quiet(CONVNEXT)
    exported = target.export(make_chosen(CONVNEXT, weights=state))
    for name, content in exported.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    original = with_weights(CONVNEXT, state, 7)
    config = AutoConfig.from_pretrained(tmp_path)
    config_default = AutoConfig.from_pretrained(tmp_path, layer_norm_eps=1e-12)
    with torch.no_grad():
        wanted = original(images)
        loaded = AutoModelForImageClassification.from_pretrained(tmp_path, config=config).eval()
        other = AutoModelForImageClassification.from_pretrained(tmp_path, config=config_default).eval()
        torch.testing.assert_close(loaded(images).logits, wanted, rtol=1e-4, atol=1e-5)
        assert (other(images).logits - wanted).abs().max() > 1e-2


def test_weights_of_v2_are_written_and_read(tmp_path):
    from transformers import ConvNextV2ForImageClassification

    module, images = randomised(V2, 7, resolution=32)
    exported = target.export(make_chosen(V2, weights=module.state_dict()))
    for name, content in exported.files.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    loaded = ConvNextV2ForImageClassification.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(images).logits, module(images), rtol=1e-4, atol=1e-4)
    assert len(exported.commands) == 1  # nothing to initialise first


@pytest.mark.parametrize(
    ("key", "value"), [("layer_norm_eps", 1e-3), ("drop_path_rate", 0.3), ("depths", [1, 3])]
)
def test_another_config_is_a_mismatch(monkeypatch, key, value):
    own = target.config
    monkeypatch.setattr(target, "config", lambda chosen: own(chosen) | {key: value})
    with pytest.raises(Mismatch):
        target.export(make_chosen(CONVNEXT))


def test_the_script_beside_it_verifies(run_in):
    exported = target.export(make_chosen(V2))
    ran = run_in(exported.files, "verify_transformers.py", "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["params"] == exported.check.params and found["difference"] <= found["tolerance"]


def test_the_script_says_in_a_line_that_transformers_cannot_be_imported(run_in):
    lazy = """
class Auto:
    def __getattr__(self, name):
        try:
            raise RuntimeError("operator torchvision::nms does not exist")
        except RuntimeError as error:
            raise ModuleNotFoundError("Could not import module") from error
AutoConfig = AutoModelForImageClassification = Auto()
__version__ = "5.0"
"""
    files = dict(target.export(make_chosen(CONVNEXT)).files) | {"transformers/__init__.py": lazy}
    ran = run_in(files, "verify_transformers.py")
    why = "transformers cannot be imported (RuntimeError: operator torchvision::nms does not exist)"
    assert (ran.returncode, ran.stderr) == (verification.ABSENT, f"not verified: {why}\n")


def test_without_transformers_the_config_is_written_unverified(monkeypatch):
    monkeypatch.setattr(target, "library", lambda name: Library(None, f"{name} is not installed"))
    weights = randomised(CONVNEXT, 7, resolution=32)[0].state_dict()
    exported = target.export(make_chosen(CONVNEXT, weights=weights))
    assert exported.check is None and exported.verify == "python verify_transformers.py"
    assert "model.safetensors" not in exported.files
    assert exported.unverified == "transformers is not installed"
    assert any("pip install safetensors" in note for note in exported.notes)


def test_a_transformers_that_fails_when_a_class_is_asked_for_leaves_it_unverified(monkeypatch):
    """As it does beside a torchvision that does not fit torch: imports are lazy there."""

    class Lazy(types.ModuleType):
        __version__ = "5.0"

        def __getattr__(self, name):
            try:
                raise RuntimeError("operator torchvision::nms does not exist")
            except RuntimeError as error:
                raise ModuleNotFoundError(f"Could not import module {name!r}.") from error

    monkeypatch.setattr(target, "library", lambda name: Library(Lazy("transformers")))
    exported = target.export(make_chosen(CONVNEXT))
    assert exported.check is None and "config.json" in exported.files
    why = "transformers cannot be imported (RuntimeError: operator torchvision::nms does not exist)"
    assert exported.unverified == why


def test_an_error_of_transformers_costs_the_check_alone(monkeypatch):
    def fails(*arguments):
        raise AttributeError("no such thing")

    monkeypatch.setattr(target, "_check_rates", fails)
    exported = target.export(make_chosen(CONVNEXT))
    assert exported.check is None
    assert re.fullmatch(r"transformers \S+ failed \(AttributeError: no such thing\)", exported.unverified)


def test_the_commands_are_arguments_of_transformers():
    """The flags of the Trainer exist; the script's own are run_image_classification.py's."""
    from transformers import TrainingArguments

    words = target.commands(make_chosen(CONVNEXT))[1].split()
    flags = {word.removeprefix("--") for word in words if word.startswith("--")} - {"nproc_per_node=8"}
    own = {"model_name_or_path", "train_dir", "validation_dir", "label_column_name"}
    assert flags - own <= {field.name for field in dataclasses.fields(TrainingArguments)}
    given = dict(itertools.pairwise(words))
    assert float(given["--max_grad_norm"]) == 0  # the Trainer clips at 1 otherwise
    assert float(given["--warmup_steps"]) == pytest.approx(20 / 300, rel=1e-4)


def test_the_shared_weights_are_alike_everywhere():
    """An integer hash: these numbers are the same on every machine and under every version of torch."""
    assert verification.drawn("stem.0.weight", [4]).tolist() == pytest.approx(DRAWN, abs=1e-7)


DRAWN = [0.5169613, 0.290973, -0.4605963, -0.9684966]
