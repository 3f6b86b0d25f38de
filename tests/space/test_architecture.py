"""The value: canonical JSON, fingerprints, refusals, immutability."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from space.architecture import Architecture
from space.checks import ArchitectureError
from space.errors import InputError
from space.families import named
from space.stage import BLOCK_FIELDS, OPTIONS, Stage, scaled
from space.stem import Stem
from tests.space.strategies import architectures

SMALL = Architecture.convnext([1, 2], [8, 16])


def shuffled(value: Any, order: random.Random) -> Any:
    """The same mapping with its keys in another order, all the way down."""
    if isinstance(value, dict):
        keys = list(value)
        order.shuffle(keys)
        return {key: shuffled(value[key], order) for key in keys}
    return [shuffled(item, order) for item in value] if isinstance(value, list) else value


def unhoisted(values: dict[str, Any]) -> dict[str, Any]:
    """The same network with every block field written in every stage."""
    return values | {"block": {}, "stages": [values["block"] | stage for stage in values["stages"]]}


@given(architectures())
def test_json_round_trip(architecture: Architecture):
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.to_json() == architecture.to_json()
    assert Architecture.from_dict(architecture.to_dict()) == architecture


@given(architectures(), st.integers(0, 10))
def test_one_network_has_one_fingerprint_however_written(architecture: Architecture, seed: int):
    values = architecture.to_dict()
    for other in (shuffled(values, random.Random(seed)), unhoisted(values)):
        read = Architecture.from_dict(other)
        assert read == architecture
        assert read.fingerprint == architecture.fingerprint
        assert read.to_json() == architecture.to_json()


@given(architectures(), architectures())
def test_different_networks_have_different_fingerprints(one: Architecture, other: Architecture):
    assert (one == other) == (one.fingerprint == other.fingerprint)


def sha_of_json(architecture: Architecture) -> str:
    """What a fingerprint is defined as, by `json` alone."""
    stages = []
    for stage in architecture.stages:
        channels = scaled(stage.width, stage.expansion)
        style = "inverted" if channels == stage.width else stage.style
        fields = dataclasses.asdict(stage) | {"expansion": channels, "style": style}
        for option in OPTIONS:  # a network without a younger field does not mention it
            if not option.in_every_fingerprint and fields[option.name] == option.default:
                del fields[option.name]
        stages.append(fields)
    built = architecture.to_dict() | {"block": {}, "stages": stages}
    if sum(architecture.depths) == 1:
        built["drop_path"] = 0.0
    text = json.dumps(built, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@given(architectures())
def test_a_fingerprint_is_the_digest_of_sorted_json(architecture: Architecture):
    assert architecture.fingerprint == sha_of_json(architecture)


def test_equal_values_of_other_types_do_not_pass_for_each_other():
    """Booleans and floats equal integers; none may take another's place, whichever came first."""
    one = {"stages": [{"depth": 1, "width": 8}, {"depth": 1, "width": 16}]}
    assert Architecture.from_dict(one) == Architecture.convnext([1, 1], [8, 16])
    for field, value in (("depth", True), ("depth", 1.0), ("width", 8.0), ("kernel_size", 7.0)):
        with pytest.raises(ArchitectureError, match=rf"stages\[0\].{field}: {value} must be an integer"):
            Architecture.from_dict({"stages": [{"depth": 1, "width": 8, field: value}]})
    for field in ("grn", "head_norm"):
        with pytest.raises(ArchitectureError, match=f"{field}: 0 must be true or false"):
            Architecture.from_dict(one | ({"block": {"grn": 0}} if field == "grn" else {field: 0}))
    for positions in ((True,), [1, True], (False, 2)):
        with pytest.raises(ArchitectureError, match="norm_after"):
            Architecture(stages=(Stage(1, 8, norm_after=positions),))  # type: ignore[arg-type]
    scales = [Architecture.from_dict(one | {"layer_scale": scale}) for scale in (1, 1.0)]
    assert [type(scale.layer_scale) for scale in scales] == [float, float]
    assert scales[0].fingerprint == scales[1].fingerprint == sha_of_json(scales[0])


def test_what_all_stages_share_is_hoisted():
    values = named("convnext_tiny").to_dict()
    younger = {option.name for option in OPTIONS if not option.in_every_fingerprint}
    assert set(values["block"]) == set(BLOCK_FIELDS) - younger
    assert values["stages"][0] == {"depth": 3, "width": 96}
    mixed = dataclasses.replace(SMALL.stages[1], kernel_size=3)
    values = Architecture(stages=(SMALL.stages[0], mixed)).to_dict()
    assert "kernel_size" not in values["block"]
    assert [stage["kernel_size"] for stage in values["stages"]] == [7, 3]


def test_explicit_defaults_change_nothing():
    written = {
        "stages": [{"depth": 1, "width": 8}, {"depth": 2, "width": 16, "kernel_size": 7}],
        "block": {"expansion": 4.0, "norm_after": [1], "grn": False, "conv": "depthwise"},
        "stem": {"width": 8, "patch_size": 4},
        "drop_path": 0,
    }
    read = Architecture.from_dict(written)
    assert read == SMALL
    assert read.fingerprint == SMALL.fingerprint


def test_a_fingerprint_stays_from_version_to_version_and_process_to_process():
    code = "from space.families import named; print(named('convnext_tiny').fingerprint)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == named("convnext_tiny").fingerprint == "376c82a6a35d8571"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Stage(1, 8, conv="grouped", group_width=1), Stage(1, 8)),
        (Stage(1, 8, conv="grouped", group_width=8), Stage(1, 8, conv="dense")),
        (Stage(1, 96, expansion=2.67), Stage(1, 96, expansion=256 / 96)),
        (Stage(1, 8, norm_after=(3, 1)), Stage(1, 8, norm_after=(1, 3))),
        (Stage(1, 8, norm_after=(3, 1.0)), Stage(1, 8, norm_after=(1, 3))),
        (Stage(1, 8, expansion=4.0), Stage(1, 8, expansion=4)),
    ],
)
def test_two_ways_to_write_a_block(one: Stage, other: Stage):
    first, second = Architecture(stages=(one,)), Architecture(stages=(other,))
    assert first.fingerprint == second.fingerprint
    assert first.to_json() == second.to_json() or one.expansion == 2.67


def test_two_ways_to_write_a_network():
    assert Architecture(stages=SMALL.stages, stem=Stem(width=8)) == SMALL
    assert dataclasses.replace(SMALL, drop_path=-0.0).fingerprint == SMALL.fingerprint
    one_stage = Architecture.convnext([1], [8])
    assert dataclasses.replace(one_stage, downsampling="strided") == one_stage
    bare = {"stem": Stem(norm=False), "head_norm": False}
    block = Stage(1, 8, norm_after=(), act_after=())
    quiet = Architecture(stages=(block,), **bare)
    assert Architecture(stages=(block,), norm="batch", activation="relu", **bare) == quiet


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(Stage)])
def test_every_block_field_counts_in_the_fingerprint(field: str):
    other = {
        "depth": 2, "width": 12, "kernel_size": 3, "expansion": 3, "style": "bottleneck", "conv": "dense",
        "group_width": 4, "spatial": "middle", "norm_after": (1, 2), "act_after": (),
        **{option.name: option.values[-1] for option in OPTIONS},
    }[field]  # fmt: skip
    change = {"conv": "grouped", "group_width": 4} if field == "group_width" else {field: other}
    one, two = Stage(1, 8), dataclasses.replace(Stage(1, 8), **change)
    assert Architecture(stages=(one,)).fingerprint != Architecture(stages=(two,)).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"downsampling": "strided"}, {"norm": "rms"}, {"activation": "relu"}, {"layer_scale": None},
        {"layer_scale": 1e-4}, {"drop_path": 0.1}, {"head_norm": False}, {"stem": Stem(patch_size=2)},
        {"stem": Stem(width=6)}, {"stem": Stem(type="resnet")}, {"stem": Stem(norm=False)},
        {"stem": Stem(activation=True)},
    ],
)  # fmt: skip
def test_every_network_field_counts_in_the_fingerprint(change: dict[str, Any]):
    assert dataclasses.replace(SMALL, **change).fingerprint != SMALL.fingerprint


def network(**fields: Any) -> dict[str, Any]:
    return {"stages": [{"depth": 1, "width": 8}, {"depth": 1, "width": 16}]} | fields


def block(**fields: Any) -> dict[str, Any]:
    return network(block=fields)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "mapping of fields"),
        (network(norms="batch"), "norms: unknown field"),
        (network(stem={"size": 3}), "stem.size: unknown field"),
        (network(stem="patchify"), "stem: 'patchify' is not a mapping"),
        (block(kernel=3), "block.kernel: unknown field"),
        ({"stages": []}, "stages: must be a list of 1 to 6 stages"),
        ({}, "stages: must be a list"),
        ({"stages": [{"depth": 1, "width": 8}] * 7}, "stages: 7 stages"),
        ({"stages": [{"depth": 1}]}, r"stages\[0\].width: missing"),
        ({"stages": [{"depth": 1, "width": 8, "size": 1}]}, r"stages\[0\].size: unknown field"),
        ({"stages": [{"depth": 0, "width": 8}]}, r"stages\[0\].depth: 0 must be an integer of at least 1"),
        ({"stages": [{"depth": 1, "width": True}]}, r"stages\[0\].width: True must be an integer"),
        ({"stages": [{"depth": 1, "width": "8"}]}, r"stages\[0\].width: '8' must be an integer"),
        (block(kernel_size=4), r"stages\[0\].kernel_size: 4 is even"),
        (block(expansion=0), r"stages\[0\].expansion: 0 leaves no channels"),
        (block(expansion="4"), r"stages\[0\].expansion: '4' must be a number"),
        (block(expansion=float("nan")), r"stages\[0\].expansion: nan must be a number"),
        (block(style="fused"), r"stages\[0\].style: 'fused' must be one of bottleneck, inverted"),
        (block(conv="grouped"), r"stages\[0\].group_width: None, but conv grouped needs it"),
        (block(group_width=4), r"stages\[0\].group_width: 4, but conv is depthwise"),
        (block(conv="grouped", group_width=3), r"stages\[0\].group_width: 3 does not divide the 8 channels"),
        (block(norm_after=[4]), r"stages\[0\].norm_after: \[4\] must name each of convolutions 1, 2, 3"),
        (block(act_after=[1, 1]), r"stages\[0\].act_after"),
        (block(act_after=2), r"stages\[0\].act_after: 2 must be a list"),
        (block(grn="yes"), r"stages\[0\].grn: 'yes' must be true or false"),
        (network(norm="instance"), "norm: 'instance' must be one of batch, layer, group, rms"),
        (network(activation="tanh"), "activation: 'tanh'"),
        (network(downsampling="pool"), "downsampling: 'pool'"),
        (network(drop_path=1), "drop_path: 1 must be at least 0 and below 1"),
        (network(layer_scale=0), "layer_scale: 0 must be above 0; null switches LayerScale off"),
        (network(layer_scale="1e-6"), "layer_scale: '1e-6' must be a number"),
        (network(head_norm=1), "head_norm: 1 must be true or false"),
        (network(stem={"type": "conv"}), "stem.type: 'conv' must be one of resnet, patchify"),
        (network(stem={"type": "resnet", "patch_size": 2}), "stem.patch_size: 2 with stem.type resnet"),
        (network(stem={"patch_size": 0}), "stem.patch_size: 0 must be an integer"),
    ],
)  # fmt: skip
def test_refusals_name_the_field_and_the_reason(values: Any, message: str):
    with pytest.raises(ArchitectureError, match=message) as caught:
        Architecture.from_dict(values)
    assert isinstance(caught.value, InputError)
    assert "\n" not in str(caught.value)


def test_text_that_is_not_json_is_refused():
    with pytest.raises(ArchitectureError, match="not JSON"):
        Architecture.from_json("{")


def test_groups_must_divide_the_channels_that_enter():
    first, second = Stage(1, 8, kernel_size=3), Stage(1, 16, conv="grouped", group_width=16)
    with pytest.raises(ArchitectureError, match=r"stages\[1\].group_width: 16 does not divide the 8"):
        Architecture(stages=(first, second), downsampling="strided")
    assert Architecture(stages=(first, second)).stages[1].conv == "dense"


def test_values_are_immutable():
    for value, field in ((SMALL, "norm"), (SMALL.stages[0], "width"), (SMALL.stem, "norm")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, None)
    listed = [Stage(1, 8, norm_after=[1])]  # type: ignore[arg-type]
    kept = Architecture(stages=listed)  # type: ignore[arg-type]
    listed.append(Stage(1, 8))
    assert kept.depths == (1,)
    assert hash(kept) == hash(Architecture.convnext([1], [8]))


def test_channels_between_the_stages():
    bottleneck = {"style": "bottleneck", "expansion": 4}
    stages = (Stage(1, 8, **bottleneck), Stage(1, 16, **bottleneck))
    assert Architecture(stages=stages).in_channels == (8, 64)
    strided = Architecture(stages=stages, downsampling="strided", stem=Stem(width=6))
    assert strided.in_channels == (6, 32)
    assert strided.stem_width == 6
    assert [(stage.hidden, stage.out) for stage in strided.stages] == [(8, 32), (16, 64)]


def test_the_value_needs_no_torch():
    code = "import sys, space.families, space.describe, space.cost; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_canonical_json_is_plain():
    values = json.loads(SMALL.to_json())
    assert values == SMALL.to_dict()
    assert json.loads(SMALL.to_json(indent=2)) == values
