"""One image to the pixels a network sees: the random crop of training, the centre crop of validation.

As torchvision and timm compute them (`transforms.RandomResizedCrop`, `Resize`, `CenterCrop`;
timm/data/transforms_factory.py), with Pillow's antialiased resampling.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nas.data.images import as_rgb
from nas.data.sources.subset import uniform

if TYPE_CHECKING:
    from PIL.Image import Image, Resampling

RATIO = (3 / 4, 4 / 3)  # width to height of a random crop
ATTEMPTS = 10
REDUCED_MARGIN = 2  # times R that a crop must keep where a JPEG is decoded smaller
STREAM = 0x63726F70  # tells these draws from others of the same seed
MOST_STRETCHED = 16  # times R that the longer side of a resized image is made in whole
WARP_FROM = 384  # the official code warps instead of cropping from here on (datasets.py, build_transform)


@dataclass(frozen=True)
class Crops:
    """Random crops of `scale` (least and most share of the area), resized to resolution x resolution."""

    resolution: int
    scale: tuple[float, float] = (0.08, 1.0)
    interpolation: str = "bicubic"
    seed: int = 0


def random_crop(image: Image, crops: Crops, epoch: int, index: int) -> NDArray[np.uint8]:
    """The random crop uint8 [R, R, 3] of image `index` in this epoch, the same on every machine.

    A JPEG file that is not decoded yet is decoded at 1/2, 1/4 or 1/8 where the crop is then still twice as
    large as R: photographs of many megapixels several times faster, pixels off by a grey level on average.
    """
    draws = uniform((crops.seed, epoch, index, STREAM), (ATTEMPTS, 4))
    left, top, width, height = crop_box(image.size, crops.scale, draws)
    side, method = (crops.resolution, crops.resolution), resampling(crops.interpolation)
    factor = _reduced(image, min(width, height) // (REDUCED_MARGIN * crops.resolution))
    if factor > 1:
        box = (left / factor, top / factor, (left + width) / factor, (top + height) / factor)
        return np.asarray(as_rgb(image).resize(side, method, box))
    # cropped first, as torchvision does: a resize within a box would look at pixels outside of it
    return np.asarray(as_rgb(image).crop((left, top, left + width, top + height)).resize(side, method))


def _reduced(image: Image, most: int) -> float:
    """Has a JPEG file decoded smaller by a factor of at most `most`, and returns the factor it took."""
    # only what came from a file has one; `draft` gives None where the format cannot, or once it is decoded
    if most < 2 or not hasattr(image, "decoderconfig"):
        return 1.0
    full = image.size
    drafted = image.draft("RGB", (full[0] // most, full[1] // most))
    # the box's width is full / factor, not rounded up as the drafted image's is
    return 1.0 if drafted is None else full[0] / drafted[1][2]


def crop_box(
    size: tuple[int, int], scale: tuple[float, float], draws: NDArray[np.float64]
) -> tuple[int, int, int, int]:
    """Left, top, width and height of a random crop of an image of `size` (width, height).

    Each row of `draws` [attempts, 4], uniform in [0, 1), is one attempt: area uniform in `scale`, aspect
    ratio log-uniform in 3/4 to 4/3, place uniform. Where none fits: the largest centre crop of such a ratio.
    """
    width, height = size
    low, high = math.log(RATIO[0]), math.log(RATIO[1])
    for area, ratio, across, down in draws.tolist():
        target = (scale[0] + (scale[1] - scale[0]) * area) * width * height
        aspect = math.exp(low + (high - low) * ratio)
        w, h = round(math.sqrt(target * aspect)), round(math.sqrt(target / aspect))
        if 0 < w <= width and 0 < h <= height:
            # + 1: the crop may also touch the right and the lower edge
            return int(across * (width - w + 1)), int(down * (height - h + 1)), w, h
    w, h = width, height
    if width / height < RATIO[0]:
        h = round(width / RATIO[0])
    elif width / height > RATIO[1]:
        w = round(height * RATIO[1])
    return (width - w) // 2, (height - h) // 2, w, h


def centre_crop(image: Image, resolution: int, eval_crop: float, interpolation: str) -> NDArray[np.uint8]:
    """Validation's pixels uint8 [R, R, 3]: the shorter side resized to R / eval_crop, the centre kept.

    With `eval_crop` 1 at 384 pixels and more the whole image is warped to R x R, as the official code does
    (and timm's `crop_mode: squash` for its weights).
    """
    method = resampling(interpolation)
    if eval_crop == 1 and resolution >= WARP_FROM:
        return np.asarray(as_rgb(image).resize((resolution, resolution), method))
    # floor is timm's, int and round are torchvision's: another rounding moves the crop by a pixel
    short = math.floor(resolution / eval_crop)
    least = min(image.size)
    width, height = (int(short * length / least) for length in image.size)
    corner = round((width - resolution) / 2), round((height - resolution) / 2)
    return part_of_resized(as_rgb(image), (width, height), corner, resolution, method)


def part_of_resized(
    image: Image, size: tuple[int, int], corner: tuple[int, int], side: int, method: Resampling
) -> NDArray[np.uint8]:
    """The part uint8 [side, side, 3] at `corner` (left, top) of an RGB image resized to `size`."""
    (width, height), (left, top) = size, corner
    if max(size) <= MOST_STRETCHED * side:
        resized = image.resize(size, method)
        return np.asarray(resized.crop((left, top, left + side, top + side)))
    # of a strip, what is cut away is never made: of 1 x 1,000,000 pixels it would be 50 billion
    across, down = image.size[0] / width, image.size[1] / height
    right, bottom = min((left + side) * across, image.size[0]), min((top + side) * down, image.size[1])
    return np.asarray(image.resize((side, side), method, (left * across, top * down, right, bottom)))


def resampling(interpolation: str) -> Resampling:
    """Pillow's filter of that name, `bilinear` or `bicubic`."""
    from PIL import Image

    return Image.Resampling[interpolation.upper()]
