"""Layer ids against the official rule, and its properties on other networks."""

import functools
import itertools
from collections import defaultdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.training.layer_decay import head_layer, layer_ids, lr_scales
from space.errors import InputError
from space.families import isotropic, named
from space.network import build
from space.space_file import load_space
from space.swin import named_swin


def names_of(network):
    with torch.device("meta"):
        return [name for name, _ in build(network).named_parameters()]


def official_layer(name, groups=12):
    """optim_factory.py for 3-3-27-3 and 12; object_detection/mmcv_custom has 6, for 3-3-9-3, likewise."""
    match name.split("."):
        case ["downsample_layers", stage, *_]:
            return {0: 0, 1: 2, 2: 3, 3: groups}[int(stage)]
        case ["stages", "0" | "1" as stage, *_]:
            return int(stage) + 1
        case ["stages", "2", block, *_]:
            return 3 + int(block) // 3
        case ["stages", "3", *_]:
            return groups
        case _:
            return groups + 1


@pytest.mark.parametrize("size", ["small", "base", "large", "xlarge"])
def test_layers_and_scales_are_the_official_ones(size):
    network = named(f"convnext_{size}")
    names = names_of(network)
    assert layer_ids(names, network) == {name: official_layer(name) for name in names}
    assert head_layer(network.depths) == 13
    official_values = [0.8 ** (12 + 1 - i) for i in range(12 + 2)]  # main.py
    scales = lr_scales(names, network, 0.8)
    assert scales == {name: official_values[official_layer(name)] for name in names}
    assert scales["head.weight"] == 1 and scales["downsample_layers.0.0.weight"] == 0.8**13


def test_tiny_has_six_groups_as_in_the_official_detection_code():
    network = named("convnext_tiny")
    names = names_of(network)
    assert layer_ids(names, network) == {name: official_layer(name, groups=6) for name in names}


@functools.cache
def some_networks():
    spaces = [load_space(name).sample(15, seed=3) for name in ("convnext", "roadmap", "micro")]
    others = [
        named("resnet200"),
        named("roadmap_t_7"),
        isotropic(18, 384, 0.1, None),
        isotropic(1, 8, 0, None),
    ]
    return (*itertools.chain(*spaces), *others)


@given(st.data())
def test_layers_rise_along_any_network(data):
    network = data.draw(st.sampled_from(some_networks()))
    names = names_of(network)
    found = layer_ids(names, network)
    last = head_layer(network.depths)
    along = sorted(names, key=functools.partial(position, count=len(network.depths)))
    assert [found[name] for name in along] == sorted(found.values())
    assert set(found.values()) == set(range(last + 1))
    assert {found[name] for name in names if name.startswith("downsample_layers.0.")} == {0}
    assert {name.split(".")[0] for name in names if found[name] == last} == {"norm", "head"} & {
        name.split(".")[0] for name in names
    }
    blocks = defaultdict(set)
    for name in names:
        if name.startswith("stages."):
            blocks[found[name]].add(tuple(name.split(".")[1:3]))
    assert all(1 <= len(group) <= 3 and len({stage for stage, _ in group}) == 1 for group in blocks.values())
    scales = lr_scales(names, network, 0.7)
    assert [scales[name] for name in along] == sorted(scales.values()) and max(scales.values()) == 1


def position(name, count):
    """Where a parameter stands on the way from the image to the logits."""
    part, *rest = name.split(".")
    if part == "downsample_layers":
        return int(rest[0]), -1
    return (int(rest[0]), int(rest[1])) if part == "stages" else (count, 0)


def test_a_swin_has_no_layers():
    with pytest.raises(InputError, match=r"optimizer\.layer_decay: .*Swin"):
        lr_scales(["head.weight"], named_swin("swin_tiny"), 0.8)
