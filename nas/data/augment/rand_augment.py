"""RandAugment on a batch and its device, sample by sample as timm does it on Pillow images."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from nas.data.augment import image_ops
from nas.data.augment.batch import MEAN
from nas.data.transfer import moved
from nas.recipe.policy import MAX_LEVEL, Policy, parse_policy

FILL = tuple(round(255 * value) for value in MEAN)  # of what a geometric operation uncovers
TRANSLATION = 0.45  # of the side, at level 10
SHEAR, ROTATION = 0.3, 30.0  # at level 10
INTERPOLATIONS = ("bilinear", "bicubic")

Operation = Callable[[Tensor, Tensor], Tensor]


def rand_augment(pixels: Tensor, policy: str, generator: Generator, interpolation: str = "bicubic") -> Tensor:
    """Augments uint8 [N, H, W, 3] by timm's configuration string, such as `rand-m9-mstd0.5-inc1`.

    Each sample draws its own operations, magnitudes and signs (timm/data/auto_augment.py), on the CPU from
    `generator`. `interpolation` is that of training's crops, which timm hands on to the geometric operations:
    `bilinear`, `bicubic`, or `random` for either. Raises `InputError` for a string that is no policy.
    """
    rules = parse_policy(policy)
    count, names = len(pixels), operations(rules.increasing)
    for _ in range(rules.layers):
        chosen = torch.randint(len(names), (count,), generator=generator)
        applied = torch.rand(count, generator=generator) < rules.probability
        levels = _levels(rules, count, generator)
        signs = torch.where(torch.rand(count, generator=generator) < 0.5, -1.0, 1.0)
        cubic = torch.rand(count, generator=generator) < 0.5
        if interpolation != "random":
            cubic = torch.full((count,), interpolation == "bicubic")
        pixels = pixels.clone()
        for number, name in enumerate(names):
            own = torch.nonzero(applied & (chosen == number)).flatten()
            if len(own):
                there = moved(own, pixels.device)
                changed = apply(name, pixels[there], levels[own], signs[own], cubic[own])
                pixels[there] = changed
    return pixels


def _levels(rules: Policy, count: int, generator: Generator) -> Tensor:
    """Magnitudes float64 [N]: normal about `magnitude`, or uniform below it, within 0 .. `maximum`."""
    if math.isinf(rules.deviation):
        levels = rules.magnitude * torch.rand(count, generator=generator, dtype=torch.float64)
    else:
        noise = torch.randn(count, generator=generator, dtype=torch.float64)
        levels = rules.magnitude + rules.deviation * noise
    return levels.clamp(0, rules.maximum)


def operations(increasing: bool) -> tuple[str, ...]:
    """timm's 15 operations; of `increasing` ones the strength grows with the level."""
    suffix = "Increasing" if increasing else ""
    return (
        "AutoContrast", "Equalize", "Invert", "Rotate",
        f"Posterize{suffix}", f"Solarize{suffix}", "SolarizeAdd",
        f"Color{suffix}", f"Contrast{suffix}", f"Brightness{suffix}", f"Sharpness{suffix}",
        "ShearX", "ShearY", "TranslateXRel", "TranslateYRel",
    )  # fmt: skip


def apply(name: str, pixels: Tensor, levels: Tensor, signs: Tensor, cubic: Tensor) -> Tensor:
    """One operation of that name on all samples, at float64 `levels` [N], `signs` -1 or 1 [N]."""
    if name in PLAIN:
        return PLAIN[name](pixels)
    if name in ARGUMENTS:
        operation, argument = ARGUMENTS[name]
        return operation(pixels, argument(levels / MAX_LEVEL, signs))
    height, width = pixels.shape[1:3]
    matrices = matrices_of(name, signs * levels / MAX_LEVEL, height, width)
    changed = torch.empty_like(pixels)
    for interpolation, drawn in zip(INTERPOLATIONS, (~cubic, cubic), strict=True):
        own = torch.nonzero(drawn).flatten()  # found on the CPU: a mask on a GPU would make it wait
        if len(own):
            there = moved(own, pixels.device)
            changed[there] = image_ops.affine(pixels[there], matrices[own], interpolation, FILL)
    return changed


def matrices_of(name: str, share: Tensor, height: int, width: int) -> Tensor:
    """Affine matrices float64 [N, 6] of a geometric operation at `share` [N] of its strongest, signed."""
    matrices = torch.tensor([1.0, 0, 0, 0, 1, 0], dtype=torch.float64).repeat(len(share), 1)
    if name == "Rotate":
        angles = -torch.deg2rad(share * ROTATION)
        cosine, sine = angles.cos(), angles.sin()
        x, y = width / 2, height / 2  # the centre stays
        columns = [cosine, sine, x - cosine * x - sine * y, -sine, cosine, y + sine * x - cosine * y]
        return torch.stack(columns, 1)
    place, strongest = {
        "ShearX": (1, SHEAR),
        "ShearY": (3, SHEAR),
        "TranslateXRel": (2, TRANSLATION * width),
        "TranslateYRel": (5, TRANSLATION * height),
    }[name]
    matrices[:, place] = share * strongest
    return matrices


# how the share of the highest level and the sign become an operation's argument


def _bits(share: Tensor, _: Tensor) -> Tensor:
    return (share * 4).int().clamp(max=8)


def _fewer_bits(share: Tensor, _: Tensor) -> Tensor:
    return (4 - (share * 4).int()).clamp(min=0)


def _threshold(share: Tensor, _: Tensor) -> Tensor:
    return (share * 256).int().clamp(max=256)


def _lower_threshold(share: Tensor, _: Tensor) -> Tensor:
    return 256 - (share * 256).int().clamp(max=256)


def _added(share: Tensor, _: Tensor) -> Tensor:
    return (share * 110).int().clamp(max=128)


def _factor(share: Tensor, _: Tensor) -> Tensor:
    return share * 1.8 + 0.1


def _factor_away_from_one(share: Tensor, signs: Tensor) -> Tensor:
    return (1 + signs * share * 0.9).clamp(min=0.1)


PLAIN: dict[str, Callable[[Tensor], Tensor]] = {
    "AutoContrast": image_ops.autocontrast,
    "Equalize": image_ops.equalize,
    "Invert": image_ops.invert,
}
ARGUMENTS: dict[str, tuple[Operation, Operation]] = {
    "Posterize": (image_ops.posterize, _bits),
    "PosterizeIncreasing": (image_ops.posterize, _fewer_bits),
    "Solarize": (image_ops.solarize, _threshold),
    "SolarizeIncreasing": (image_ops.solarize, _lower_threshold),
    "SolarizeAdd": (image_ops.solarize_add, _added),
    "Color": (image_ops.color, _factor),
    "ColorIncreasing": (image_ops.color, _factor_away_from_one),
    "Contrast": (image_ops.contrast, _factor),
    "ContrastIncreasing": (image_ops.contrast, _factor_away_from_one),
    "Brightness": (image_ops.brightness, _factor),
    "BrightnessIncreasing": (image_ops.brightness, _factor_away_from_one),
    "Sharpness": (image_ops.sharpness, _factor),
    "SharpnessIncreasing": (image_ops.sharpness, _factor_away_from_one),
}
