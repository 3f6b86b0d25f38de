"""The recipe's numbers and timm's keys (reference: the official TRAINING.md, timm's train.py)."""

import dataclasses

import pytest
import yaml

from nas.export import yaml_text
from nas.recipe import recipe, stochastic_depth, timm_recipe, why_not_timm
from space.architecture import Architecture
from space.cost import cost
from space.design_space import load_space
from space.families import named


@pytest.mark.parametrize(
    ("name", "rate"), [("convnext_tiny", 0.1), ("convnext_small", 0.4), ("convnext_base", 0.5)]
)
def test_published_sizes_keep_their_stochastic_depth(name, rate):
    assert stochastic_depth(cost(named(name)).macs) == rate


def test_stochastic_depth_rises_with_cost_and_stays_published_outside():
    rates = [stochastic_depth(int(macs * 1e9)) for macs in (0.5, 4.5, 6, 8.7, 12, 15.4, 60)]
    assert rates == sorted(rates) and rates[0] == 0.1 and rates[-1] == 0.5


def test_ema_is_off_with_batch_norm():
    tiny = named("convnext_tiny")
    assert recipe(tiny)["ema_decay"] == 0.9999
    assert recipe(dataclasses.replace(tiny, norm="batch"))["ema_decay"] is None


def test_a_recipe_is_plain_yaml_that_gives_the_network_back():
    for network in load_space("convnext").sample(30):
        values = yaml.safe_load(yaml_text(recipe(network), "comment"))
        read = Architecture.from_dict(values["architecture"])
        assert dataclasses.replace(read, drop_path=network.drop_path) == network


def test_timm_gets_the_official_network():
    values = timm_recipe(named("convnext_small"))
    assert (
        values["model_kwargs"]["depths"] == [3, 3, 27, 3] and values["model_kwargs"]["drop_path_rate"] == 0.4
    )
    assert values["epochs"] + values["warmup_epochs"] == 300 and values["warmup_prefix"]
    assert 8 * values["batch_size"] * values["grad_accum_steps"] == 4096


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"norm": "batch"}, "norm"),
        ({"layer_scale": None}, "layer_scale"),
        ({"head_norm": False}, "head_norm"),
        ({"downsampling": "strided"}, "downsampling"),
    ],
)
def test_timm_is_refused_by_field(change, field):
    assert why_not_timm(named("convnext_tiny")) is None
    assert why_not_timm(dataclasses.replace(named("convnext_tiny"), **change)).startswith(f"{field}: ")


def test_timm_is_refused_for_resnets_isotropic_ones_and_other_expansions():
    assert why_not_timm(named("resnet50")).startswith("stem.type: ")
    assert why_not_timm(named("convnext_isotropic_small")).startswith("stages: ")
    tiny = named("convnext_tiny")
    stages = (dataclasses.replace(tiny.stages[0], expansion=3), *tiny.stages[1:])
    assert why_not_timm(dataclasses.replace(tiny, stages=stages)).startswith("expansion: [3, 4, 4, 4]")
