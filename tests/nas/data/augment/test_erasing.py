"""Random erasing: timm's rectangles, filled with normal noise."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nas.data.augment.erasing import draw_boxes, random_erasing


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_rectangles_have_timm_s_areas_and_ratios():
    """Of those that fit in ten attempts, on a square large enough that nearly all do at the first."""
    boxes = draw_boxes(20000, 1000, 1000, generator()).double().numpy()
    top, left, tall, wide = boxes.T
    assert tall.min() > 0 and (top + tall).max() <= 1000 and (left + wide).max() <= 1000
    area, ratio = tall * wide / 1e6, np.log(tall / wide)
    assert area.min() >= 0.0199 and area.max() <= 0.334
    assert np.abs(ratio).max() <= np.log(1 / 0.3) + 0.02
    small = area < 0.29  # above, tall and wide ones do not fit: sqrt(.29 / .3) is .98 of the side
    assert np.allclose(
        np.quantile(area[small], [0.25, 0.5, 0.75]), 0.02 + 0.27 * np.array([0.25, 0.5, 0.75]), atol=0.005
    )
    assert np.allclose(
        np.quantile(ratio[small], [0.25, 0.5, 0.75]) / np.log(1 / 0.3), [-0.5, 0, 0.5], atol=0.04
    )
    place = top / (1000 - tall)
    assert np.allclose(np.quantile(place, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.02)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 1000))
def test_rectangles_lie_within_any_image(height, width, seed):
    top, left, tall, wide = draw_boxes(50, height, width, generator(seed)).T
    assert min(top.min(), left.min(), tall.min(), wide.min()) >= 0
    assert (tall < height).all() or height == 1
    assert (top + tall <= height).all() and (left + wide <= width).all()


def test_an_erased_sample_has_noise_in_one_rectangle_and_nothing_else_changes():
    images = torch.full((400, 3, 32, 24), 7.0)
    before = images.clone()
    erased = random_erasing(images, 0.25, generator())
    assert torch.equal(images, before)
    changed = erased != images
    touched = changed.flatten(1).any(1)
    assert abs(float(touched.double().mean()) - 0.25) < 0.07
    values = erased[changed]
    assert abs(float(values.mean())) < 0.02 and abs(float(values.std()) - 1) < 0.02
    for sample in changed[touched][:20]:
        rows, columns = (torch.nonzero(sample.any(0).any(axis)).flatten() for axis in (1, 0))
        box = sample[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert box.all()  # noise in every pixel and channel, of its own
    assert values.unique().numel() > 0.9 * values.numel()


def test_probability_and_seed_decide():
    images = torch.zeros(20, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    assert torch.equal(random_erasing(images, 0.0, generator()), images)
    every = random_erasing(images, 1.0, generator())
    assert (every != 0).flatten(1).any(1).all()
    assert torch.equal(every, random_erasing(images, 1.0, generator()))
    assert not torch.equal(every, random_erasing(images, 1.0, generator(1)))
    assert every.is_contiguous(memory_format=torch.channels_last)


def test_draws_leave_torch_s_own_randomness_and_advance_the_generator_alike():
    state, own = torch.get_rng_state(), generator()
    random_erasing(torch.zeros(8, 3, 16, 16), 0.5, own)
    other = generator()
    random_erasing(torch.ones(8, 3, 16, 16, dtype=torch.bfloat16), 0.0, other)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(own.get_state(), other.get_state())


@pytest.mark.parametrize("side", [1, 2, 3])
def test_tiny_images_pass(side):
    assert random_erasing(torch.zeros(4, 3, side, side), 1.0, generator()).shape == (4, 3, side, side)
