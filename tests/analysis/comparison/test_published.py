"""The published plane: the paper's own table."""

import numpy as np
import pytest

from analysis.comparison.published import published, published_difference
from analysis.points.printed import CONVNEXT_PAPER
from space.errors import InputError


def convnext_and_swin(**options):
    return published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b=CONVNEXT_PAPER, **options
    )


def test_convnext_minus_swin_in_the_papers_own_table():
    found = convnext_and_swin()
    assert [(a.name, b.name) for a, b, _ in found] == [
        (f"ConvNeXt-{size}", f"Swin-{size}") for size in ("T", "S", "B")
    ]
    assert [d.value for _, _, d in found] == pytest.approx([0.8, 0.1, 0.3])
    # one run each: without a noise to compare with, no verdict
    assert {d.verdict for _, _, d in found} == {"not distinguishable"}


def test_verdicts_on_the_published_plane_follow_the_noise_assumed():
    found = convnext_and_swin(noise=0.1)
    assert [d.verdict for _, _, d in found] == ["better", "not distinguishable", "better"]
    half = 1.6448536 * 0.1 * np.sqrt(2)
    assert [d.high - d.value for _, _, d in found] == pytest.approx([half] * 3)


def test_sources_are_chosen_one_by_one():
    found = published_difference(
        "convnext", "swin", source_a=CONVNEXT_PAPER, source_b="Swin-Transformer README"
    )
    assert [d.value for _, _, d in found] == pytest.approx([0.9, -0.1, 0.3])
    with pytest.raises(InputError, match="no source"):
        published_difference("convnext", "swin", source_a="somewhere", source_b=CONVNEXT_PAPER)


def test_a_family_of_several_sources_needs_one_named():
    with pytest.raises(InputError, match=r"no family 'resnet' under these conditions; there is .*convnext"):
        published("resnet")
    with pytest.raises(InputError, match="no source 'a blog' here"):
        published(source="a blog")
