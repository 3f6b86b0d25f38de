"""The published ConvNeXt of a budget."""

import pytest

from nas.reference import convnext_reference
from space.budget import parse_budget
from space.cost import cost
from space.design_space import load_space
from space.families import named


@pytest.mark.parametrize(
    ("budget", "name", "family"),
    [
        ("4.5GFLOPs", "ConvNeXt-T", "convnext_tiny"),
        ("8.7GFLOPs", "ConvNeXt-S", "convnext_small"),
        ("15.4GFLOPs", "ConvNeXt-B", "convnext_base"),
        ("34.4GFLOPs", "ConvNeXt-L", "convnext_large"),
        ("29Mparams", "ConvNeXt-T", "convnext_tiny"),
    ],
)
def test_a_published_size_is_taken_as_it_is(budget, name, family):
    space = load_space("convnext")
    reference = convnext_reference(parse_budget(budget), space)
    assert reference.name == name and reference.in_band and reference.architecture in space
    assert reference.architecture.depths == named(family).depths
    assert reference.architecture.widths == named(family).widths


@pytest.mark.parametrize("budget", ["600MFLOPs", "1.2GFLOPs", "2.4GFLOPs", "6GFLOPs", "11GFLOPs", "50GFLOPs"])
def test_between_sizes_the_width_is_scaled_and_said(budget):
    space = load_space("convnext")
    band = parse_budget(budget)
    reference = convnext_reference(band, space)
    assert " at width " in reference.name and reference.in_band
    assert band.allows(cost(reference.architecture).macs)
    wider = reference.architecture.widths[0] + 8
    scaled = named("convnext_tiny").convnext(reference.architecture.depths, [wider * 2**i for i in range(4)])
    assert cost(scaled).macs > band.high


def test_a_band_no_width_meets_gets_the_nearest_below():
    reference = convnext_reference(parse_budget("4.5GFLOPs..4.5001GFLOPs"), load_space("convnext"))
    assert not reference.in_band and cost(reference.architecture).macs < 4.5e9


def test_the_reference_of_a_foreign_space_is_the_published_network():
    reference = convnext_reference(parse_budget("4.5GFLOPs"), load_space("micro"))
    assert reference.architecture == named("convnext_tiny")
