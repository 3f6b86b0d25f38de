"""One stage of a network: equal blocks at one resolution, and what is checked of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, get_args

from space.checks import ArchitectureError, need_bool, need_choice, need_int, need_number
from space.errors import quoted
from space.json_text import json_object, json_text
from space.option import option, options_of

Style = Literal["bottleneck", "inverted"]
Conv = Literal["dense", "grouped", "depthwise"]
Spatial = Literal["first", "middle"]
STYLES: tuple[Style, ...] = get_args(Style)
CONVS: tuple[Conv, ...] = get_args(Conv)
SPATIALS: tuple[Spatial, ...] = get_args(Spatial)
# far beyond any network, and small enough that costs fit 64-bit integers
MAX_WIDTH = 16384
MAX_DEPTH = 512
MAX_KERNEL = 63


@dataclass(frozen=True, slots=True)
class Stage:
    """`depth` equal blocks at one resolution. The defaults are ConvNeXt's block (paper, section 2)."""

    depth: int
    width: int
    kernel_size: int = 7
    expansion: int | float = 4
    style: Style = "inverted"
    conv: Conv = "depthwise"
    group_width: int | None = None  # channels a group; None unless `conv` is grouped
    spatial: Spatial = "first"
    norm_after: tuple[int, ...] = (1,)
    act_after: tuple[int, ...] = (2,)
    # declared fields, a line each: see `space/option.py`
    grn: bool = option("space.grn:Grn")

    @property
    def hidden(self) -> int:
        """Channels between the second and third convolution."""
        return self.width if self.style == "bottleneck" else scaled(self.width, self.expansion)

    @property
    def out(self) -> int:
        """Channels the stage hands on."""
        return scaled(self.width, self.expansion) if self.style == "bottleneck" else self.width


def scaled(width: int, expansion: float) -> int:
    """Channels of an expanded layer: `width * expansion`, rounded half to even (as numpy rounds)."""
    return round(width * expansion)


OPTIONS = options_of(Stage)
BLOCK_FIELDS = tuple(f.name for f in dataclasses.fields(Stage) if f.name not in ("depth", "width"))
STAGE_FIELDS = ("depth", "width", *BLOCK_FIELDS)
KNOWN_BLOCK, KNOWN_STAGE = map(dict.fromkeys, (BLOCK_FIELDS, STAGE_FIELDS))
_DECLARED = [(o, o.name, o.default) for o in OPTIONS]
# what a stage without them does not mention: networks are named as they were before there were these fields
_UNSAID = {o.name: o.default for o in OPTIONS if not o.in_every_fingerprint}
# all fields as one tuple: a study of ten thousand networks reads them often
stage_fields = attrgetter(*STAGE_FIELDS)
_HASHED = sorted(name for name in STAGE_FIELDS if name not in _UNSAID)
_STAGE_TEXT = json_object(_HASHED)
_hashed_stage_fields = attrgetter(*_HASHED)
_EXPANSION, _STYLE = _HASHED.index("expansion"), _HASHED.index("style")


def built_text(stage: Stage) -> str:
    """The stage as it is built: 2.67 times 96 channels and 256/96 times are the same layer."""
    texts = list(map(json_text, _hashed_stage_fields(stage)))
    channels = scaled(stage.width, stage.expansion)
    texts[_EXPANSION] = json_text(channels)
    # as many hidden channels as others: both styles are the same layers
    if channels == stage.width:
        texts[_STYLE] = json_text("inverted")
    later = {name: getattr(stage, name) for name in _UNSAID} if _UNSAID else _UNSAID
    if later == _UNSAID:
        return _STAGE_TEXT % tuple(texts)
    named = dict(zip(_HASHED, texts, strict=True)) | {name: json_text(v) for name, v in said(later).items()}
    return json_object(tuple(named)) % tuple(named[name] for name in sorted(named))


def said(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of a stage's fields that its canonical form has."""
    if not _UNSAID:
        return fields
    return {name: v for name, v in fields.items() if name not in _UNSAID or v != _UNSAID[name]}


def plain(value: Any) -> Any:
    """Positions as a list, which JSON has."""
    return list(value) if isinstance(value, tuple) else value


def with_tuples(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Positions as tuples, which JSON does not have."""
    if fields.keys().isdisjoint(("norm_after", "act_after")):
        return fields
    return {
        name: tuple(value) if name in ("norm_after", "act_after") and isinstance(value, list) else value
        for name, value in fields.items()
    }


def checked_stage(stage: Stage, index: int) -> Stage:
    """The canonical form of a stage on its own. Raises `ArchitectureError`, naming stage `index`."""
    try:
        _check_stage(stage)
        return _canonical_stage(stage)
    except ArchitectureError as error:
        raise ArchitectureError(f"stages[{index}].{error}") from None


def _check_stage(stage: Stage) -> None:
    need_int(stage.depth, MAX_DEPTH, "depth")
    need_int(stage.width, MAX_WIDTH, "width")
    need_int(stage.kernel_size, MAX_KERNEL, "kernel_size")
    # padding of k // 2 keeps a map's size for odd k only
    if stage.kernel_size % 2 == 0:
        raise ArchitectureError(f"kernel_size: {stage.kernel_size} is even; must be odd")
    need_number(stage.expansion, "expansion")
    need_choice(stage.style, STYLES, "style")
    need_choice(stage.conv, CONVS, "conv")
    need_choice(stage.spatial, SPATIALS, "spatial")
    for declared, name, default in _DECLARED:
        value = getattr(stage, name)
        if value is default:
            continue
        if declared.values == (False, True):
            need_bool(value, name)
        elif not declared.is_value(value):
            known = ", ".join(map(str, declared.values))
            raise ArchitectureError(f"{name}: {quoted(value)} must be one of {known}")
    channels = scaled(stage.width, stage.expansion)
    if channels < 1:
        raise ArchitectureError(f"expansion: {stage.expansion} leaves no channels")
    if channels > MAX_WIDTH:
        raise ArchitectureError(f"expansion: {stage.expansion} makes more than {MAX_WIDTH} channels")
    if (stage.group_width is None) == (stage.conv == "grouped"):
        reason = "conv grouped needs it" if stage.group_width is None else f"conv is {stage.conv}"
        raise ArchitectureError(f"group_width: {quoted(stage.group_width)}, but {reason}")
    if stage.group_width is not None:
        need_int(stage.group_width, MAX_WIDTH, "group_width")


def _canonical_stage(stage: Stage) -> Stage:
    """The stage with plain integers where it can have them, positions in order, and depthwise by its name."""
    changes: dict[str, Any] = {}
    if type(stage.expansion) is not int and stage.expansion == int(stage.expansion):
        changes["expansion"] = int(stage.expansion)
    norm_after = _positions(stage.norm_after, "norm_after")
    if norm_after is not stage.norm_after:
        changes["norm_after"] = norm_after
    act_after = _positions(stage.act_after, "act_after")
    if act_after is not stage.act_after:
        changes["act_after"] = act_after
    if stage.group_width == 1:  # one channel a group is what depthwise means
        changes |= {"conv": "depthwise", "group_width": None}
    return dataclasses.replace(stage, **changes) if changes else stage


_ORDERED = ((), (1,), (2,), (3,), (1, 2), (1, 3), (2, 3), (1, 2, 3))


def _positions(value: Any, name: str) -> tuple[int, ...]:
    # equal is not enough: (True,) and (1.0,) equal (1,)
    if type(value) is tuple and value in _ORDERED and {int}.issuperset(map(type, value)):
        return value
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArchitectureError(f"{name}: {quoted(value)} must be a list of convolutions among 1, 2, 3")
    if any(isinstance(v, bool) or v not in (1, 2, 3) for v in value) or len(set(value)) < len(value):
        raise ArchitectureError(
            f"{name}: {quoted(list(value))} must name each of convolutions 1, 2, 3 at most once"
        )
    return tuple(sorted(map(int, value)))


def checked_groups(stage: Stage, in_channels: int, index: int) -> Stage:
    """A grouped spatial convolution must divide its channels, in the first block and in the others."""
    if stage.group_width is None:
        return stage
    channels = {stage.hidden}
    if stage.spatial == "first":
        # the convolution is over what enters: from the stage before, and in later blocks from the one before
        channels = {in_channels, stage.out} if stage.depth > 1 else {in_channels}
    for count in sorted(channels):
        if count % stage.group_width:
            raise ArchitectureError(
                f"stages[{index}].group_width: {stage.group_width} does not divide "
                f"the {count} channels of the spatial convolution"
            )
    if channels == {stage.group_width}:  # one group is what dense means
        return dataclasses.replace(stage, conv="dense", group_width=None)
    return stage
