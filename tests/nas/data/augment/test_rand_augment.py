"""RandAugment and colour jitter: the pixels of Pillow, the draws of timm."""

import contextlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from nas.data.augment import image_ops
from nas.data.augment.color_jitter import color_jitter
from nas.data.augment.rand_augment import FILL, apply, matrices_of, operations, rand_augment
from nas.recipe.policy import Policy, parse_policy
from space.errors import InputError

RECIPE = "rand-m9-mstd0.5-inc1"


def images(count=6, height=31, width=40, seed=0):
    """Noise, smooth ramps, few levels, one colour: what tells table, blend and border mistakes apart."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (count, height, width, 3), np.uint8)
    rows, columns = np.mgrid[0:height, 0:width]
    pixels[1] = np.stack([rows * 4, columns * 3, rows + columns], -1) + 20
    pixels[2] = pixels[2] // 64 * 20 + 90
    pixels[3] = (200, 100, 30)
    return torch.from_numpy(pixels)


def by_pillow(pixels, operation, *arguments):
    """`operation(image, argument)` of every sample."""
    given = (
        zip(*(argument.tolist() for argument in arguments), strict=True) if arguments else [()] * len(pixels)
    )
    results = [
        np.asarray(operation(Image.fromarray(image), *values))
        for image, values in zip(pixels.numpy(), given, strict=True)
    ]
    return torch.from_numpy(np.stack(results))


def shifted_up(image, added):
    return image.point([min(255, i + added) if i < 128 else i for i in range(256)] * 3)


def kept_bits(image, bits):
    return ImageOps.posterize(image, bits) if bits else Image.new("RGB", image.size)


FACTORS = torch.tensor([0.1, 0.55, 1.0, 1.31, 1.9, 0.0])


@pytest.mark.parametrize(
    ("ours", "pillow", "arguments"),
    [
        (image_ops.autocontrast, ImageOps.autocontrast, ()),
        (image_ops.equalize, ImageOps.equalize, ()),
        (image_ops.invert, ImageOps.invert, ()),
        (image_ops.posterize, kept_bits, (torch.tensor([0, 1, 2, 3, 4, 8]),)),
        (image_ops.solarize, ImageOps.solarize, (torch.tensor([0, 26, 128, 200, 255, 256]),)),
        (image_ops.solarize_add, shifted_up, (torch.tensor([0, 1, 50, 99, 110, 128]),)),
        (image_ops.brightness, lambda image, f: ImageEnhance.Brightness(image).enhance(f), (FACTORS,)),
        (image_ops.contrast, lambda image, f: ImageEnhance.Contrast(image).enhance(f), (FACTORS,)),
        (image_ops.color, lambda image, f: ImageEnhance.Color(image).enhance(f), (FACTORS,)),
        (image_ops.sharpness, lambda image, f: ImageEnhance.Sharpness(image).enhance(f), (FACTORS,)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.parametrize("seed", [0, 1])
def test_values_are_pillow_s_to_the_bit(ours, pillow, arguments, seed):
    for pixels in (images(seed=seed), images(6, 4, 5, seed), images(6, 1, 2, seed)):
        before = pixels.clone()
        assert torch.equal(ours(pixels, *arguments), by_pillow(pixels, pillow, *arguments))
        assert torch.equal(pixels, before)


GEOMETRY = {
    "Rotate": lambda image, share, how: image.rotate(share * 30, how, fillcolor=FILL),
    "ShearX": lambda image, share, how: warped(image, (1, share * 0.3, 0, 0, 1, 0), how),
    "ShearY": lambda image, share, how: warped(image, (1, 0, 0, share * 0.3, 1, 0), how),
    "TranslateXRel": lambda image, share, how: warped(
        image, (1, 0, share * 0.45 * image.width, 0, 1, 0), how
    ),
    "TranslateYRel": lambda image, share, how: warped(
        image, (1, 0, 0, 0, 1, share * 0.45 * image.height), how
    ),
}


def warped(image, matrix, how):
    return image.transform(image.size, Image.Transform.AFFINE, matrix, how, fillcolor=FILL)


@pytest.mark.parametrize("name", list(GEOMETRY))
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_geometry_is_pillow_s_but_for_single_levels(name, interpolation):
    pixels, share = images(6, 97, 120), torch.tensor([-1.0, -0.63, 0.0, 0.071, 0.9, 1.0], dtype=torch.float64)
    ours = apply(name, pixels, share.abs() * 10, share.sign(), torch.full((6,), interpolation == "bicubic"))
    how = Image.Resampling[interpolation.upper()]
    theirs = by_pillow(pixels, lambda image, value: GEOMETRY[name](image, value, how), share)
    difference = (ours.int() - theirs.int()).abs()
    assert difference.max() <= 1 and difference.float().mean() < 0.015
    assert torch.equal(ours[2], pixels[2])  # a share of 0 moves nothing


def test_fill_is_the_mean_colour():
    assert FILL == (124, 116, 104)
    moved = apply(
        "TranslateXRel", images(), torch.full((6,), 10.0), torch.ones(6), torch.ones(6, dtype=torch.bool)
    )
    assert (moved[:, :, -10:] == torch.tensor(FILL, dtype=torch.uint8)).all()


# levels


def changed_by(name, level, sign=1.0):
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 16, 16, 1).repeat(1, 1, 1, 3)
    level, sign = torch.tensor([level], dtype=torch.float64), torch.tensor([sign])
    return apply(name, pixels, level, sign, torch.tensor([True]))[0, ..., 0].flatten().tolist()


def test_levels_become_arguments_as_in_timm():
    """timm's level_to_arg functions at some levels, each seen in what a ramp of all values turns into."""
    ramp = list(range(256))
    bits = {0: 4, 2.4: 4, 2.5: 3, 9: 1, 10: 0}
    for level, kept in bits.items():
        assert changed_by("PosterizeIncreasing", level) == [value >> 8 - kept << 8 - kept for value in ramp]
    assert changed_by("Posterize", 9) == [value >> 5 << 5 for value in ramp]  # int(.9 * 4) = 3 bits
    for level, threshold in {0: 256, 5: 128, 9: 26, 10: 0}.items():
        expected = [value if value < threshold else 255 - value for value in ramp]
        assert changed_by("SolarizeIncreasing", level) == expected
        assert changed_by("Solarize", 10 - level)[128:200] == expected[128:200] or level == 9
    assert changed_by("SolarizeAdd", 9)[:130] == [value + 99 for value in range(128)] + [128, 129]
    for sign, factor in ((1.0, 1.81), (-1.0, 0.19)):
        brighter = np.float32(factor) * np.arange(256, dtype=np.float32)
        assert changed_by("BrightnessIncreasing", 9, sign) == brighter.clip(0, 255).astype(int).tolist()
    dark = np.float32(0.1) * np.arange(256, dtype=np.float32)
    assert changed_by("BrightnessIncreasing", 10, -1.0) == dark.astype(int).tolist()
    assert changed_by("Brightness", 5) == ramp  # .1 + 1.8 / 2
    assert changed_by("BrightnessIncreasing", 0) == ramp


def test_geometric_levels():
    share = torch.tensor([-0.9], dtype=torch.float64)
    assert matrices_of("ShearX", share, 10, 20).tolist() == [pytest.approx([1, -0.27, 0, 0, 1, 0])]
    assert matrices_of("ShearY", share, 10, 20).tolist() == [pytest.approx([1, 0, 0, -0.27, 1, 0])]
    assert matrices_of("TranslateXRel", share, 10, 20).tolist() == [pytest.approx([1, 0, -8.1, 0, 1, 0])]
    assert matrices_of("TranslateYRel", share, 10, 20).tolist() == [pytest.approx([1, 0, 0, 0, 1, -4.05])]
    rotated = matrices_of("Rotate", share, 10, 20)[0]
    assert rotated[0] == pytest.approx(math.cos(math.radians(27)))
    assert rotated[:3] @ torch.tensor([10.0, 5, 1]).double() == pytest.approx(10)  # the centre stays
    assert rotated[3:] @ torch.tensor([10.0, 5, 1]).double() == pytest.approx(5)


# draws


def draws_of(monkeypatch, policy, count=4000, interpolation="bicubic", seed=0):
    """What `rand_augment` asks of `apply`: the name and, of each sample, level, sign and whether bicubic."""
    seen = []

    def recorded(name, pixels, levels, signs, cubic):
        seen.append((name, levels, signs, cubic))
        return pixels

    monkeypatch.setattr("nas.data.augment.rand_augment.apply", recorded)
    rand_augment(
        images(4).repeat(count // 4, 1, 1, 1), policy, torch.Generator().manual_seed(seed), interpolation
    )
    return seen


def test_draws_of_the_recipe_s_policy(monkeypatch):
    seen = draws_of(monkeypatch, RECIPE)
    names = [name for name, *_ in seen]
    assert sorted(names) == sorted(operations(increasing=True) * 2)  # two layers, all 15 drawn in each
    applied = np.array([len(levels) for _, levels, *_ in seen])
    assert abs(applied.sum() / 8000 - 0.5) < 0.03  # each layer is applied with probability .5
    assert np.abs(applied - 4000 * 0.5 / 15).max() < 50  # uniform among the 15: deviation 11
    levels = torch.cat([levels for _, levels, *_ in seen])
    signs, cubic = (torch.cat([draw[i] for draw in seen]) for i in (2, 3))
    assert levels.max() == 10 and abs(float(levels.median()) - 9) < 0.05
    assert abs(float((levels < 8.5).double().mean()) - 0.1587) < 0.03  # one deviation below
    assert abs(float(signs.mean())) < 0.06 and set(signs.tolist()) == {-1.0, 1.0}
    assert cubic.all()


def test_draws_of_other_policies(monkeypatch):
    seen = draws_of(monkeypatch, "rand-m5-n1-p1")
    assert sum(len(levels) for _, levels, *_ in seen) == 4000
    assert {name for name, *_ in seen} == set(operations(increasing=False))
    assert all((levels == 5).all() for _, levels, *_ in seen)
    uniform = torch.cat([levels for _, levels, *_ in draws_of(monkeypatch, "rand-m8-mstd101")])
    assert np.allclose(np.quantile(uniform, [0.25, 0.5, 0.75, 1]), [2, 4, 6, 8], atol=0.25)
    larger = torch.cat([levels for _, levels, *_ in draws_of(monkeypatch, "rand-m12-mmax15-mstd2")])
    assert larger.max() == 15 and abs(float(larger.median()) - 12) < 0.2
    mixed = torch.cat([draw[3] for draw in draws_of(monkeypatch, RECIPE, interpolation="random")])
    assert abs(float(mixed.double().mean()) - 0.5) < 0.04


def test_rand_augment_is_the_generator_s_alone_and_leaves_its_input():
    pixels = images(40)
    before, state = pixels.clone(), torch.get_rng_state()
    first, again, other = (
        rand_augment(pixels, RECIPE, torch.Generator().manual_seed(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(pixels, before) and torch.equal(torch.get_rng_state(), state)
    assert first.dtype == torch.uint8 and first.shape == pixels.shape
    touched = (first != pixels).flatten(1).any(1).double().mean()
    assert 0.4 < touched < 0.95  # three of four draw an operation; some change nothing


@pytest.mark.parametrize(
    "policy", ["rand-m10-mstd0.5-inc1-p1-n4", "rand-m15-mmax20-p1-n4-inc1", "rand-m0-p1-n4"]
)
def test_extreme_levels_work(policy):
    assert rand_augment(images(60, 9, 11), policy, torch.Generator().manual_seed(0)).shape == (60, 9, 11, 3)


def test_all_work_is_on_the_pixels_device():
    """On torch's device without data, where a tensor of another device or a look at a value is an error."""
    pixels = images(200, 9, 11).to("meta")
    for policy in ("rand-m9-mstd0.5-inc1-p1", "rand-m9-p1"):
        augmented = rand_augment(pixels, policy, torch.Generator().manual_seed(0), "random")
        assert augmented.device.type == "meta" and augmented.shape == pixels.shape
    assert color_jitter(pixels, 0.4, torch.Generator().manual_seed(0)).device.type == "meta"


# policies


def test_policies_are_read_as_timm_reads_them():
    assert parse_policy(RECIPE) == Policy(magnitude=9, deviation=0.5, increasing=True)
    assert parse_policy("rand") == Policy(10, 2, 0.5, 0.0, 10, False)
    assert parse_policy("rand-n3-m7-p0.25-mmax12-inc0-mstd101") == Policy(7, 3, 0.25, math.inf, 12, False)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("original-mstd0.5", "does not begin with rand"),
        ("", "does not begin with rand"),
        ("rand-m9-tweights", "'tweights' is none of mN"),
        ("rand-9", "'9' is none of"),
        ("rand-m9.5", r"'m9\.5' is none of"),
        ("rand-m9-", "'' is none of"),
        ("rand-m9-inc2", "'inc2' is none of"),
        ("rand-m-9", "'m' is none of"),
        ("rand-p1.5", "p must be at most 1"),
        ("rand-n0", "n must be at least 1"),
        ("rand-m9-m8", "m stands twice"),
    ],
)
def test_wrong_policies_are_one_line(text, wrong):
    with pytest.raises(InputError, match=f"^rand_augment: .*{wrong}") as raised:
        parse_policy(text)
    assert "\n" not in str(raised.value)


@given(st.text("randmpisctux0159.-", max_size=20))
def test_no_text_but_a_policy_passes(text):
    with contextlib.suppress(InputError):
        assert parse_policy(f"rand-{text}").layers >= 1


# colour jitter


def test_colour_jitter_draws_factors_and_orders(monkeypatch):
    seen = {}

    def recorded(number):
        def operation(pixels, factor):
            seen.setdefault(number, []).append(factor)
            return pixels + number + 1  # brightness 1, contrast 2, saturation 3: all once a sample

        return operation

    monkeypatch.setattr("nas.data.augment.color_jitter.OPERATIONS", [recorded(number) for number in range(3)])
    pixels = torch.zeros(3000, 1, 1, 3, dtype=torch.uint8)
    assert (color_jitter(pixels, 0.4, torch.Generator().manual_seed(0)) == 6).all() and (pixels == 0).all()
    for factors in seen.values():
        assert len(factors) == 3 and all(
            abs(len(factor) - 1000) < 100 for factor in factors
        )  # each place alike
        values = torch.cat(factors)
        assert values.min() >= 0.6 and values.max() <= 1.4
        assert np.allclose(np.quantile(values, [0.25, 0.5, 0.75]), [0.8, 1.0, 1.2], atol=0.03)


def test_colour_jitter_without_strength_changes_nothing():
    assert torch.equal(color_jitter(images(), 0.0, torch.Generator().manual_seed(0)), images())
    changed = color_jitter(images(), 0.4, torch.Generator().manual_seed(0))
    assert (changed != images()).flatten(1).any(1).all()
