"""Pillow's image operations for a batch at once: uint8 [N, H, W, 3] in and out, on any device.

One argument a sample. The arithmetic is that of Pillow (ImageOps, ImageEnhance, and `transform` in
Geometry.c), and the pixels are Pillow's to the bit; those of `affine` but for one grey level in at most one
value of a hundred, where a result is a whole number and Pillow cuts off its rounding error. (kornia's
enhancements are within a level of Pillow's; its warps are not: another bicubic kernel, and borders blended
with the fill.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from nas.data.transfer import moved

LEVELS = 256
GREY = (19595, 38470, 7471)  # ITU-R 601-2 luma in 1/65536, as Pillow converts RGB to L


def autocontrast(pixels: Tensor) -> Tensor:
    """Each channel stretched to 0 .. 255; a channel of one value stays."""
    low = pixels.amin((1, 2))[..., None].double()
    high = pixels.amax((1, 2))[..., None].double()
    # a number over a tensor would be its reciprocal times the number, and round twice
    scale = torch.full_like(low, 255) / (high - low).clamp(min=1)
    table = (_levels(pixels) * scale - low * scale).clamp(0, 255)
    return looked_up(pixels, torch.where(high > low, table, _levels(pixels)))


def equalize(pixels: Tensor) -> Tensor:
    """Each channel's histogram made flat; a channel of one value stays."""
    count = pixels.shape[0]
    of_channel = torch.arange(count * 3, device=pixels.device).view(count, 1, 3) * LEVELS
    places = pixels.flatten(1, 2) + of_channel
    histogram = torch.zeros(count * 3 * LEVELS, dtype=torch.int64, device=pixels.device)
    histogram.scatter_add_(0, places.flatten(), torch.ones_like(places).flatten())
    histogram = histogram.view(count, 3, LEVELS)
    highest = pixels.amax((1, 2)).long()[..., None]
    total = pixels.shape[1] * pixels.shape[2]
    # the pixels of the highest level have no level to be spread to
    step = (total - histogram.gather(2, highest)) // 255
    below = histogram.cumsum(2) - histogram
    table = ((below + step // 2) // step.clamp(min=1)).clamp(max=255)
    return looked_up(pixels, torch.where(step > 0, table, _levels(pixels)))


def invert(pixels: Tensor) -> Tensor:
    """255 less the value."""
    return 255 - pixels


def posterize(pixels: Tensor, bits: Tensor) -> Tensor:
    """Keeps the upper `bits` [N], 0 to 8, of each value; 0 gives black."""
    mask = 256 - 2 ** (8 - bits.long())
    return pixels & _per_sample(mask, pixels).to(torch.uint8)


def solarize(pixels: Tensor, threshold: Tensor) -> Tensor:
    """Inverts values of `threshold` [N], 0 to 256, and more."""
    return torch.where(pixels < _per_sample(threshold, pixels), pixels, 255 - pixels)


def solarize_add(pixels: Tensor, added: Tensor) -> Tensor:
    """Adds `added` [N], 0 and more, to values below 128."""
    more = (pixels + _per_sample(added.short(), pixels)).clamp(max=255).to(torch.uint8)
    return torch.where(pixels < 128, more, pixels)


def brightness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Black at `factor` [N] 0, the image at 1, brighter above."""
    return looked_up(pixels, _blended(0, _levels(pixels), moved(factor, pixels.device)[:, None, None]))


def contrast(pixels: Tensor, factor: Tensor) -> Tensor:
    """The mean grey at `factor` [N] 0, the image at 1, more contrast above."""
    mean = (grey(pixels).double().mean((1, 2)) + 0.5).floor()[:, None, None]
    return looked_up(pixels, _blended(mean, _levels(pixels), moved(factor, pixels.device)[:, None, None]))


def color(pixels: Tensor, factor: Tensor) -> Tensor:
    """Grey at `factor` [N] 0, the image at 1, more saturated above."""
    return _blended(grey(pixels)[..., None], pixels, _per_sample(factor, pixels)).to(torch.uint8)


def sharpness(pixels: Tensor, factor: Tensor) -> Tensor:
    """Smoothed at `factor` [N] 0, the image at 1, sharper above; the outermost pixels stay."""
    smooth = pixels.clone()
    if min(pixels.shape[1:3]) > 2:
        values = pixels.int()
        lines = values[:, :-2] + values[:, 1:-1] + values[:, 2:]
        total = lines[:, :, :-2] + lines[:, :, 1:-1] + lines[:, :, 2:] + 4 * values[:, 1:-1, 1:-1]
        smooth[:, 1:-1, 1:-1] = ((2 * total + 13) // 26).to(torch.uint8)  # a thirteenth, rounded
    return _blended(smooth, pixels, _per_sample(factor, pixels)).to(torch.uint8)


def grey(pixels: Tensor) -> Tensor:
    """Luma int32 [N, H, W]."""
    values = pixels.int()
    red, green, blue = GREY
    return (values[..., 0] * red + values[..., 1] * green + values[..., 2] * blue + 0x8000) >> 16


def looked_up(pixels: Tensor, table: Tensor) -> Tensor:
    """Every value replaced by that of its sample's and channel's table: [N, 1 or 3, 256] of 0 to 255."""
    count = len(pixels)
    tables = table.to(torch.uint8).expand(count, 3, LEVELS).reshape(-1)
    first = torch.arange(count * 3, dtype=torch.int32, device=pixels.device).view(count, 1, 1, 3) * LEVELS
    return tables.index_select(0, (pixels + first).view(-1)).view(pixels.shape)


def _levels(pixels: Tensor) -> Tensor:
    return torch.arange(LEVELS, device=pixels.device)


def _blended(start: Tensor | int, end: Tensor, factor: Tensor) -> Tensor:
    """From `start` at factor 0 to `end` at 1 and beyond, in float32 and cut off, as Image.blend does it."""
    base = start.float() if isinstance(start, Tensor) else start
    return (base + factor.float() * (end.float() - base)).clamp(0, 255).trunc()


def _per_sample(values: Tensor, pixels: Tensor) -> Tensor:
    return moved(values, pixels.device)[:, None, None, None]


def affine(pixels: Tensor, matrices: Tensor, interpolation: str, fill: Sequence[int]) -> Tensor:
    """What Pillow's `transform(AFFINE)` samples: output (x, y) shows input (a x + b y + c, d x + e y + f).

    `matrices` float64 [N, 6] are a .. f; `interpolation` is `bilinear` or `bicubic`, without antialiasing,
    bicubic with Pillow's a = -1; `fill` is the colour of what lies outside.
    """
    matrices = matrices.to(torch.float64)
    along_rows = bool((matrices[:, 3:] == torch.tensor([0, 1, 0])).all())  # y stays: no taps across rows
    along_columns = bool((matrices[:, :3] == torch.tensor([1, 0, 0])).all())
    count, height, width, _ = pixels.shape
    device = pixels.device
    a, b, c, d, e, f = moved(matrices, device).T[:, :, None, None]
    x = torch.arange(width, device=device, dtype=torch.float64) + 0.5
    y = torch.arange(height, device=device, dtype=torch.float64)[:, None] + 0.5
    columns, rows = a * x + b * y + c, d * x + e * y + f  # [N, H, W]
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    across = _taps(columns, width, interpolation, alone=along_columns)
    down = _taps(rows, height, interpolation, alone=along_rows)
    first = torch.arange(count, device=device, dtype=torch.int32)[:, None, None] * (height * width)
    planes = list(pixels.permute(3, 0, 1, 2).reshape(3, -1))  # arithmetic by channel is 4 times faster
    lines = []
    for row in down.places:
        start = first + row * width
        lines.append(_interpolated([_picked(planes, start + at) for at in across.places], across.fraction))
    values = _interpolated(lines, down.fraction).clamp_(0, 255).to(torch.uint8).permute(1, 2, 3, 0)
    return torch.where(inside[..., None], values, moved(torch.tensor(fill, dtype=torch.uint8), device))


class _Taps:
    """The neighbours of positions along one side, int32 [N, H, W] each, and how far between them they lie."""

    def __init__(self, places: list[Tensor], fraction: Tensor) -> None:
        self.places, self.fraction = places, fraction


def _taps(positions: Tensor, size: int, interpolation: str, *, alone: bool) -> _Taps:
    """1, 2 or 4 neighbours, those outside of the image replaced by its border."""
    lower = (positions - 0.5).floor()
    fraction = (positions - 0.5 - lower).float()
    offsets = (0,) if alone else (0, 1) if interpolation == "bilinear" else (-1, 0, 1, 2)
    places = [(lower + offset).clamp(0, size - 1).int() for offset in offsets]
    return _Taps(places, fraction)


def _picked(planes: list[Tensor], places: Tensor) -> Tensor:
    """float32 [3, N, H, W] from places [N, H, W] in the flat planes of the batch."""
    flat = places.flatten()
    return torch.stack([plane.index_select(0, flat) for plane in planes]).view(3, *places.shape).float()


def _interpolated(taps: list[Tensor], fraction: Tensor) -> Tensor:
    """Between 1, 2 or 4 neighbours; in Horner's form, in which equal neighbours give exactly their value."""
    if len(taps) == 1:
        return taps[0]
    if len(taps) == 2:
        return taps[0] + (taps[1] - taps[0]) * fraction
    v1, v2, v3, v4 = taps
    inner = 2 * (v1 - v2) + v3 - v4 + fraction * (v2 - v1 + v4 - v3)
    return v2 + fraction * (v3 - v1 + fraction * inner)
