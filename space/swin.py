"""The Swin Transformer (Liu et al. 2021) as a value, and its cost in closed form: the reference network.

How a `Swin` reads as a network (``swin_network.py`` builds it): a patch embedding (a convolution and a norm),
then stages of blocks at widths `width`, 2 `width`, 4 `width` ..., with patch merging between them, then a
norm, the mean over the map, and a linear head. A block is windowed attention and an MLP, each behind a norm
and beside a shortcut; every second block shifts its windows by half a window.

At any input size: images are padded to whole patches, maps to even sides before patch merging and to whole
windows before attention, with zeros at the right and the bottom, as in the official dense-prediction code. A
map whose shorter side is at most the window gets windows of that side and no shift, as in the official
classification code. The parameters do not depend on the input size: a smaller window uses the middle of the
table of relative position biases.

Costs are `space.cost.Cost`, with what attention adds to its conventions:

* ``macs``: multiply-accumulates of the convolution, the linear layers and both matrix products of attention
  (scores, and weights times values), padding included: fvcore's conv, linear and matmul operators, which is
  what the paper prints as FLOPs, less the norms (0.2% of Swin-T).
* ``params``: every learnable parameter.
* ``activations``: output elements of the convolution, the linear layers and both matrix products, the
  classifier not: fvcore's activation count.
* ``saved``: elements an image keeps for the backward pass: one input of each convolution, linear layer, norm
  and GELU, and both inputs of the matrix products.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from space.architecture import MAX_STAGES
from space.budget import Budget
from space.cost import NUM_CLASSES, RESOLUTION, Cost, Part
from space.errors import InputError, quoted, shortened, word
from space.stage import MAX_DEPTH, MAX_WIDTH
from space.stem import MAX_PATCH

HEAD_WIDTH = 32
MAX_WINDOW = 64
WIDTH_STEPS = (32, 16, 8, 1)
# height and width in pixels, or both in one number
Size = int | tuple[int, int]


@dataclass(frozen=True, eq=False)
class Swin:
    """A Swin Transformer without its number of classes. Frozen; equal networks compare and hash equal.

    `heads` left empty gives every stage heads of 32 channels, or of the nearest number that divides `width`.
    Raises `InputError` where it is built, naming the field and the reason.
    """

    width: int
    depths: tuple[int, ...]
    heads: tuple[int, ...] = ()
    window: int = 7
    patch_size: int = 4
    mlp_ratio: int | float = 4
    qkv_bias: bool = True
    drop_path: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", _ints(self.depths, MAX_DEPTH, "depths"))
        if not self.depths:
            raise InputError(f"depths: 0 stages; must be 1 to {MAX_STAGES}")
        _check_widths(self)
        object.__setattr__(self, "heads", _checked_heads(self))
        _need_int(self.window, MAX_WINDOW, "window")
        _need_int(self.patch_size, MAX_PATCH, "patch_size")
        if not isinstance(self.qkv_bias, bool):
            raise InputError(f"qkv_bias: {quoted(self.qkv_bias)} must be true or false")
        if not _is_number(self.drop_path) or not 0 <= self.drop_path < 1:
            raise InputError(f"drop_path: {quoted(self.drop_path)} must be at least 0 and below 1")
        object.__setattr__(self, "drop_path", float(self.drop_path))
        if self.mlp_ratio == int(self.mlp_ratio):
            object.__setattr__(self, "mlp_ratio", int(self.mlp_ratio))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Swin):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each stage: doubled by every patch merging."""
        return tuple(self.width * 2**i for i in range(len(self.depths)))

    @property
    def hidden(self) -> tuple[int, ...]:
        """Channels inside the MLP of each stage, rounded down as the official code does."""
        return tuple(int(width * self.mlp_ratio) for width in self.widths)

    def to_dict(self) -> dict[str, Any]:
        """Canonical plain values."""
        return {"family": "swin"} | {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in ((f.name, getattr(self, f.name)) for f in dataclasses.fields(self))
        }

    def to_json(self, indent: int | None = None) -> str:
        """Canonical JSON; `from_json` is its inverse."""
        return json.dumps(self.to_dict(), indent=indent)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over what is built: same network, same fingerprint."""
        # in channels: ratios that round to the same layers are one network
        built = self.to_dict() | {"mlp_ratio": self.hidden}
        if sum(self.depths) == 1:  # the linear rule gives an only block rate 0
            built["drop_path"] = 0.0
        text = json.dumps(built, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Swin:
        """A Swin from plain values; missing fields take their defaults, unknown ones raise `InputError`."""
        if not isinstance(values, Mapping):
            raise InputError(f"a Swin is a mapping of fields, not {quoted(values)}")
        values = dict(values)
        family = values.pop("family", "swin")
        if family != "swin":
            raise InputError(f"family: {quoted(family)} is not swin")
        names = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in names:
                raise InputError(f"{word(name)}: unknown field; the fields are {', '.join(names)}")
        for name in ("width", "depths"):
            if name not in values:
                raise InputError(f"{name}: missing")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> Swin:
        """A Swin from JSON text, canonical or not."""
        from space.reading import parse_json

        return cls.from_dict(parse_json(text, "architecture"))


def head_count(width: int) -> int:
    """Heads of a stage: the divisor of `width` that makes them nearest to 32 channels, in ratio."""
    divisors = [count for count in range(1, width + 1) if width % count == 0]
    return min(divisors, key=lambda count: _from_head_width(width, count))


def _from_head_width(width: int, count: int) -> float:
    return abs(math.log(width / count / HEAD_WIDTH))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -1e9 < value < 1e9


def _need_int(value: Any, high: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
        raise InputError(f"{name}: {quoted(value)} must be an integer of 1 to {high}")


def _ints(values: Any, high: int, name: str) -> tuple[int, ...]:
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise InputError(f"{name}: {quoted(values)} must be a list with one integer for each stage")
    if len(values) > MAX_STAGES:
        raise InputError(f"{name}: {len(values)} stages; must be 1 to {MAX_STAGES}")
    for i, value in enumerate(values):
        _need_int(value, high, f"{name}[{i}]")
    return tuple(values)


def _check_widths(swin: Swin) -> None:
    _need_int(swin.width, MAX_WIDTH, "width")
    if swin.widths[-1] > MAX_WIDTH:
        raise InputError(f"width: {swin.width} makes more than {MAX_WIDTH} channels in the last stage")
    if not _is_number(swin.mlp_ratio) or swin.hidden[0] < 1 or swin.hidden[-1] > MAX_WIDTH:
        raise InputError(
            f"mlp_ratio: {quoted(swin.mlp_ratio)} must be a number that makes 1 to {MAX_WIDTH} channels"
        )


def _checked_heads(swin: Swin) -> tuple[int, ...]:
    heads = _ints(swin.heads, MAX_WIDTH, "heads")
    if not heads:
        first = head_count(swin.width)
        heads = tuple(first * 2**i for i in range(len(swin.depths)))
    if len(heads) != len(swin.depths):
        raise InputError(f"heads: {len(heads)} stages, but depths has {len(swin.depths)}")
    for i, (count, width) in enumerate(zip(heads, swin.widths, strict=True)):
        if width % count:
            raise InputError(f"heads[{i}]: {count} does not divide the {width} channels of the stage")
    return heads


# paper, section 3.3; stochastic depth as in the official configurations (Swin-L: its ImageNet-22K one). Those
# with windows of 12 are for images of 384 pixels
_NAMED = {
    "swin_tiny": Swin(96, (2, 2, 6, 2), drop_path=0.2),
    "swin_small": Swin(96, (2, 2, 18, 2), drop_path=0.3),
    "swin_base": Swin(128, (2, 2, 18, 2), drop_path=0.5),
    "swin_large": Swin(192, (2, 2, 18, 2), drop_path=0.2),
    "swin_base_window12": Swin(128, (2, 2, 18, 2), window=12, drop_path=0.5),
    "swin_large_window12": Swin(192, (2, 2, 18, 2), window=12, drop_path=0.2),
}
SWIN_NAMES = tuple(_NAMED)
PUBLISHED = {"swin_tiny": "Swin-T", "swin_small": "Swin-S", "swin_base": "Swin-B", "swin_large": "Swin-L"}


def named_swin(name: str) -> Swin:
    """The Swin of that name, in any common spelling. Raises `InputError` with the closest names."""
    from space.families import canonical

    own = canonical(name)
    if own not in _NAMED:
        close = difflib.get_close_matches(own, SWIN_NAMES, n=1) or SWIN_NAMES
        raise InputError(f"{shortened(name, 80)}: no Swin of this name; did you mean {', '.join(close)}?")
    return _NAMED[own]


def window_of(height: int, width: int, window: int) -> tuple[int, int]:
    """Side and shift, in tokens, of the windows on a map of this size (official code)."""
    shorter = min(height, width)
    return (shorter, 0) if shorter <= window else (window, window // 2)


def swin_cost(swin: Swin, resolution: Size = RESOLUTION, num_classes: int = NUM_CLASSES) -> Cost:
    """Cost at `resolution`, one number or (height, width), in pixels; any size from 1 on.

    Raises `InputError` for a size below 1.
    """
    total = Cost(0, 0, 0, 0)
    for _, _, _, part in _walk(swin, resolution, num_classes):
        total = total + part
    return total


def swin_breakdown(swin: Swin, resolution: int = RESOLUTION, num_classes: int = NUM_CLASSES) -> list[Part]:
    """Cost part by part, in the order of computation, of a square image."""
    return [
        Part(name, channels, height, part)
        for name, channels, (height, _), part in _walk(swin, resolution, num_classes)
    ]


def _walk(swin: Swin, resolution: Size, num_classes: int) -> Iterator[tuple[str, int, tuple[int, int], Cost]]:
    """Every part: its name, the channels and the map (height, width) it hands on, its cost."""
    height, width = (resolution, resolution) if isinstance(resolution, int) else resolution
    if min(height, width) < 1:
        raise InputError(f"resolution {resolution}: must be at least 1")
    size = (-(-height // swin.patch_size), -(-width // swin.patch_size))
    yield "stem", swin.width, size, _embedding_cost(swin, size)
    for i, channels in enumerate(swin.widths):
        if i > 0:
            size = ((size[0] + 1) // 2, (size[1] + 1) // 2)
            yield f"downsampling {i + 1}", channels, size, _merging_cost(channels // 2, size)
        block = _block_cost(swin, i, size)
        numbers = (block.macs, block.params, block.activations, block.saved)
        yield f"stage {i + 1}", channels, size, Cost(*(swin.depths[i] * number for number in numbers))
    channels, tokens = swin.widths[-1], size[0] * size[1]
    weights = channels * num_classes
    head = Cost(weights, weights + num_classes + 2 * channels, 0, channels * tokens + channels)
    yield "head", num_classes, (1, 1), head


def _embedding_cost(swin: Swin, size: tuple[int, int]) -> Cost:
    """Patch embedding: a convolution over the padded image, and a norm."""
    tokens, patch = size[0] * size[1], 3 * swin.patch_size**2
    return Cost(
        macs=patch * swin.width * tokens,
        # a bias, and the norm's scale and shift
        params=patch * swin.width + 3 * swin.width,
        activations=swin.width * tokens,
        saved=(patch + swin.width) * tokens,
    )


def _merging_cost(channels: int, size: tuple[int, int]) -> Cost:
    """Patch merging to the map `size`: norm and linear layer, 4 `channels` -> 2 `channels` (section 3.1)."""
    tokens, weights = size[0] * size[1], 8 * channels**2
    return Cost(
        macs=weights * tokens,
        # the norm is over 4 C, before the linear layer, which has no bias
        params=weights + 8 * channels,
        activations=2 * channels * tokens,
        saved=8 * channels * tokens,
    )


def _block_cost(swin: Swin, index: int, size: tuple[int, int]) -> Cost:
    """One block: attention on whole windows, the MLP on the map itself (section 3.2, equations 1 and 2)."""
    channels, hidden, heads = swin.widths[index], swin.hidden[index], swin.heads[index]
    side, _ = window_of(*size, swin.window)
    tokens = size[0] * size[1]
    padded = math.prod(-(-length // side) * side for length in size)
    scores = heads * padded * side**2
    # biases of qkv and proj, fc1 and fc2; two norms
    vectors = (3 * swin.qkv_bias + 1) * channels + hidden + channels + 4 * channels
    table = heads * (2 * swin.window - 1) ** 2
    return Cost(
        # qkv and proj, scores and weighted values, in whole windows; the MLP has no padding
        macs=(4 * channels**2 + 2 * channels * side**2) * padded + 2 * channels * hidden * tokens,
        params=4 * channels**2 + 2 * channels * hidden + vectors + table,
        # qkv, weighted values and proj; scores; fc1 and fc2
        activations=5 * channels * padded + scores + (hidden + channels) * tokens,
        # inputs of qkv and proj, and q, k, v; the weights; two norms, fc1; GELU and fc2
        saved=5 * channels * padded + scores + 3 * channels * tokens + 2 * hidden * tokens,
    )


@dataclass(frozen=True)
class SwinReference:
    """A Swin to compare with; `in_band` says whether it meets the budget."""

    name: str
    swin: Swin
    in_band: bool


def swin_reference(budget: Budget) -> SwinReference:
    """The published Swin inside the budget, or the nearest one with its width scaled to fit.

    Width and heads double from stage to stage as in every published size, so heads are equally wide all over.
    Among the widths in the band, multiples of 32 come first, whose heads are of 32 channels, then those of 16
    and 8, then any; among equals the one whose heads are nearest to 32 channels, then the widest. Where no
    width is in the band, the widest below it.
    """
    found = [name for name in PUBLISHED if budget.allows(_cost(named_swin(name), budget))]
    if found:
        return SwinReference(PUBLISHED[found[-1]], named_swin(found[-1]), in_band=True)
    target = math.log(budget.high)
    name = min(PUBLISHED, key=lambda each: abs(math.log(_cost(named_swin(each), budget)) - target))
    swin, in_band = _scaled(named_swin(name), budget)
    return SwinReference(f"{PUBLISHED[name]} at width {swin.width}", swin, in_band)


def _scaled(published: Swin, budget: Budget) -> tuple[Swin, bool]:
    """The network of `published`'s depths that suits the budget best, and whether it is in the band."""
    below = published
    in_band = []
    # every width, for heads jump from one to the next, and parameters and activations with them
    for width in range(1, _max_width(published) + 1):
        swin = _with_width(published, width)
        cost = _cost(swin, budget)
        if budget.allows(cost):
            in_band.append(swin)
        elif width == 1 or cost < budget.low:
            below = swin
    return (min(in_band, key=_unevenness), True) if in_band else (below, False)


def _unevenness(swin: Swin) -> tuple[int, float, int]:
    """What `swin_reference` prefers, the smaller the better."""
    step = next(i for i, step in enumerate(WIDTH_STEPS) if swin.width % step == 0)
    return step, _from_head_width(swin.width, swin.heads[0]), -swin.width


def _with_width(published: Swin, width: int) -> Swin:
    return dataclasses.replace(published, width=width, heads=())


def _max_width(swin: Swin) -> int:
    growth = 2 ** (len(swin.depths) - 1)
    # the widest layer is in the last stage: its MLP's
    return int(MAX_WIDTH / (growth * max(1, swin.mlp_ratio)))


def _cost(swin: Swin, budget: Budget) -> int:
    return int(getattr(swin_cost(swin), budget.metric))
