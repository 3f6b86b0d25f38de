"""The published networks of a budget."""

import pytest

from space.budget import parse_budget
from space.cost import cost
from space.errors import InputError
from space.families import named
from space.networks import cost_of
from space.references import FAMILIES, references_of
from space.space_file import load_space
from space.swin import named_swin


def reference_of(budget, space, family="convnext"):
    (found,) = references_of(budget, space, front=False, families=[family])
    return found


@pytest.mark.parametrize(
    ("budget", "name", "family"),
    [
        ("4.5GFLOPs", "ConvNeXt-T", "convnext_tiny"),
        ("8.7GFLOPs", "ConvNeXt-S", "convnext_small"),
        ("15.4GFLOPs", "ConvNeXt-B", "convnext_base"),
        ("34.4GFLOPs", "ConvNeXt-L", "convnext_large"),
        ("550MFLOPs", "ConvNeXt-A", "convnext_atto"),
        ("800MFLOPs", "ConvNeXt-F", "convnext_femto"),
        ("1.4GFLOPs", "ConvNeXt-P", "convnext_pico"),
        ("2.5GFLOPs", "ConvNeXt-N", "convnext_nano"),
        ("29Mparams", "ConvNeXt-T", "convnext_tiny"),
    ],
)
def test_a_published_size_is_taken_as_it_is(budget, name, family):
    space = load_space("convnext")
    reference = reference_of(parse_budget(budget), space)
    assert reference.name == name and reference.in_band
    # nano's depths are no ratio of the space
    assert reference.network in space or name == "ConvNeXt-N"
    assert reference.network.depths == named(family).depths
    assert reference.network.widths == named(family).widths


@pytest.mark.parametrize("budget", ["600MFLOPs", "1.2GFLOPs", "2.4GFLOPs", "6GFLOPs", "11GFLOPs", "50GFLOPs"])
def test_between_sizes_the_width_is_scaled_and_said(budget):
    space = load_space("convnext")
    band = parse_budget(budget)
    reference = reference_of(band, space)
    assert " at width " in reference.name and reference.in_band
    assert band.allows(cost(reference.network).macs)
    wider = reference.network.widths[0] + 8

    scaled = named("convnext_tiny").convnext(reference.network.depths, [wider * 2**i for i in range(4)])
    assert cost(scaled).macs > band.high


def test_a_band_no_width_meets_gets_the_nearest_below():
    reference = reference_of(parse_budget("4.5GFLOPs..4.5001GFLOPs"), load_space("convnext"))
    assert not reference.in_band and cost(reference.network).macs < 4.5e9


def test_the_reference_of_a_foreign_space_is_the_published_network():
    reference = reference_of(parse_budget("4.5GFLOPs"), load_space("micro"))
    assert reference.network == named("convnext_tiny")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "budget", ["300MFLOPs", "1.2GFLOPs", "4.5GFLOPs", "9GFLOPs", "40GFLOPs", "28Mparams"]
)
def test_every_family_has_a_reference_in_every_budget(family, budget):
    band = parse_budget(budget)
    reference = reference_of(band, load_space("convnext"), family)
    assert reference.in_band and band.allows(getattr(cost_of(reference.network), band.metric))


def test_the_size_inside_the_budget_is_the_published_one():
    space = load_space("convnext")
    assert reference_of(parse_budget("4.5GFLOPs"), space, "swin").network == named_swin("swin_tiny")
    assert reference_of(parse_budget("4.1GFLOPs"), space, "resnet").network == named("resnet50")
    assert reference_of(parse_budget("4.5GFLOPs"), space, "resnet").name == "ResNet-50 at width 66"


def test_a_front_is_compared_with_every_size_inside_it():
    found = references_of(
        parse_budget("4GFLOPs..16GFLOPs"), load_space("convnext"), True, ("convnext", "swin", "resnet")
    )
    assert [r.name for r in found] == [
        "ConvNeXt-T", "ConvNeXt-S", "ConvNeXt-B", "Swin-T", "Swin-S", "Swin-B",
        "ResNet-50", "ResNet-101", "ResNet-152", "ResNet-200",
    ]  # fmt: skip


def test_an_unknown_family_is_refused_in_one_line():
    with pytest.raises(InputError, match="'vit': is none of convnext, swin, resnet, or none"):
        references_of(parse_budget("4.5GFLOPs"), load_space("convnext"), False, ("vit",))


@pytest.mark.parametrize(
    ("budget", "name"),
    [
        ("600MFLOPs", "ConvNeXt-A at width 41"),
        ("1.2GFLOPs", "ConvNeXt-P at width 59"),
        ("6GFLOPs", "ConvNeXt-T at width 110"),
    ],
)
def test_it_is_the_nearest_published_size_that_is_scaled(budget, name):
    assert reference_of(parse_budget(budget), load_space("convnext")).name == name


def test_a_scaled_size_in_an_older_record_stands_for_its_family():
    reference = reference_of(parse_budget("600MFLOPs"), load_space("convnext"))
    assert reference.is_among({"ConvNeXt-T at width 34"}) and reference.is_among({reference.name})
    assert not reference.is_among({"Swin-T at width 34", "ConvNeXt-T"})
