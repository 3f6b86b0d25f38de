"""One network as a value: every step from ResNet to ConvNeXt, and everything between, is an `Architecture`.

How a value reads as a network (``network.py`` builds it, ``cost.py`` counts it):

* stem: ``resnet`` is a 7x7 stride-2 convolution, then (norm, activation), then a 3x3 stride-2 max-pool;
  ``patchify`` is a ``patch_size`` x ``patch_size`` convolution of that stride, then (norm, activation).
* a block is three convolutions and a shortcut. With ``c`` input channels, ``hidden`` and ``out`` as below:
  ``spatial: middle``  1x1 (c -> hidden), k x k (hidden -> hidden), 1x1 (hidden -> out);
  ``spatial: first``   k x k (c -> c), 1x1 (c -> hidden), 1x1 (hidden -> out).
  ``style: bottleneck`` has hidden = width, out = expansion * width (ResNet);
  ``style: inverted`` has hidden = expansion * width, out = width (MobileNetV2, ConvNeXt).
* ``norm_after`` and ``act_after`` name the convolutions (1, 2, 3) followed by a norm, then an activation;
  activation 3 comes after the sum with the shortcut, as in ResNet. GRN follows activation 2, on the
  hidden channels; LayerScale and stochastic depth act on the branch, just before the sum.
* a 1x1 projection (with a norm if 3 is in ``norm_after``) stands on the shortcut wherever the shape changes.
* ``downsampling: strided`` puts stride 2 into the spatial convolution (and the projection) of the first block
  of every stage but the first; ``separate`` puts norm + 2x2 stride-2 convolution (to the next stage's output
  channels) between stages.
* the head is global average pooling, a norm if ``head_norm``, and a linear layer.
* a convolution followed directly by BatchNorm has no bias; every other convolution has one.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from space.errors import InputError

Style = Literal["bottleneck", "inverted"]
Conv = Literal["dense", "grouped", "depthwise"]
Spatial = Literal["first", "middle"]
Norm = Literal["batch", "layer", "group", "rms"]
Activation = Literal["relu", "gelu", "silu", "hardswish"]
Downsampling = Literal["strided", "separate"]
StemType = Literal["resnet", "patchify"]

STYLES = ("bottleneck", "inverted")
CONVS = ("dense", "grouped", "depthwise")
SPATIALS = ("first", "middle")
NORMS = ("batch", "layer", "group", "rms")
ACTIVATIONS = ("relu", "gelu", "silu", "hardswish")
DOWNSAMPLINGS = ("strided", "separate")
STEM_TYPES = ("resnet", "patchify")
MAX_STAGES = 6
# far beyond any network, and small enough that costs fit 64-bit integers
MAX_WIDTH = 16384
MAX_DEPTH = 512
MAX_KERNEL = 63
MAX_PATCH = 64


class ArchitectureError(InputError):
    """A combination that no network can have; the message starts with the field."""


@dataclass(frozen=True, slots=True)
class Stem:
    """The first layers, from 3 channels to `width`; `width` None means the first stage's width."""

    type: StemType = "patchify"
    patch_size: int = 4
    width: int | None = None
    norm: bool = True
    activation: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """`depth` equal blocks at one resolution. The defaults are ConvNeXt's block (paper, section 2)."""

    depth: int
    width: int
    kernel_size: int = 7
    expansion: int | float = 4
    style: Style = "inverted"
    conv: Conv = "depthwise"
    group_width: int | None = None
    spatial: Spatial = "first"
    norm_after: tuple[int, ...] = (1,)
    act_after: tuple[int, ...] = (2,)
    grn: bool = False

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


BLOCK_FIELDS = tuple(f.name for f in dataclasses.fields(Stage) if f.name not in ("depth", "width"))
STAGE_FIELDS = ("depth", "width", *BLOCK_FIELDS)


@dataclass(frozen=True, eq=False)
class Architecture:
    """A network without its number of classes. Frozen; equal networks compare and hash equal.

    Raises `ArchitectureError` where it is built, naming the field and the reason.
    """

    stages: tuple[Stage, ...]
    stem: Stem = field(default_factory=Stem)
    downsampling: Downsampling = "separate"
    norm: Norm = "layer"
    activation: Activation = "gelu"
    layer_scale: float | None = 1e-6
    drop_path: float = 0.0
    head_norm: bool = True

    def __post_init__(self) -> None:
        _check_network(self)
        stages = tuple(_checked_stage(stage, i) for i, stage in enumerate(self.stages))
        object.__setattr__(self, "stages", stages)
        object.__setattr__(self, "stem", _canonical_stem(self.stem, stages[0].width))
        object.__setattr__(self, "drop_path", float(self.drop_path))
        if self.layer_scale is not None:
            object.__setattr__(self, "layer_scale", float(self.layer_scale))
        if len(stages) == 1 and self.downsampling == "strided":  # one stage never downsamples
            object.__setattr__(self, "downsampling", "separate")
        channels = self.in_channels
        stages = tuple(
            _checked_groups(s, c, i) for i, (s, c) in enumerate(zip(stages, channels, strict=True))
        )
        object.__setattr__(self, "stages", stages)
        if not _has_norm(self):  # what is not there has no type
            object.__setattr__(self, "norm", "layer")
        if not (self.stem.activation or any(stage.act_after for stage in stages)):
            object.__setattr__(self, "activation", "gelu")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Architecture):
            return NotImplemented
        return self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    @classmethod
    def convnext(cls, depths: Sequence[int], widths: Sequence[int], **fields: Any) -> Architecture:
        """The ConvNeXt of these depths and widths; `fields` are Architecture fields to change."""
        stages = tuple(Stage(depth=d, width=w) for d, w in zip(depths, widths, strict=True))
        return cls(stages=stages, **fields)

    @property
    def stem_width(self) -> int:
        """Channels after the stem."""
        return self.stages[0].width if self.stem.width is None else self.stem.width

    @property
    def in_channels(self) -> tuple[int, ...]:
        """Channels that enter the first block of each stage."""
        entering = [self.stem_width]
        for previous, stage in itertools.pairwise(self.stages):
            entering.append(stage.out if self.downsampling == "separate" else previous.out)
        return tuple(entering)

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(stage.depth for stage in self.stages)

    @property
    def widths(self) -> tuple[int, ...]:
        """Width of each stage."""
        return tuple(stage.width for stage in self.stages)

    def to_dict(self) -> dict[str, Any]:
        """Canonical plain values: what all stages share stands under `block`, the rest in its stage."""
        shared = {
            name: _plain(getattr(self.stages[0], name))
            for name in BLOCK_FIELDS
            if len({getattr(stage, name) for stage in self.stages}) == 1
        }
        own = [name for name in STAGE_FIELDS if name not in shared]
        return {
            "stem": {f.name: getattr(self.stem, f.name) for f in dataclasses.fields(Stem)},
            "block": shared,
            "stages": [{name: _plain(getattr(stage, name)) for name in own} for stage in self.stages],
            "downsampling": self.downsampling,
            "norm": self.norm,
            "activation": self.activation,
            "layer_scale": self.layer_scale,
            "drop_path": self.drop_path,
            "head_norm": self.head_norm,
        }

    def to_json(self, indent: int | None = None) -> str:
        """Canonical JSON; `from_json` is its inverse."""
        return json.dumps(self.to_dict(), indent=indent)

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of SHA-256 over what is built: same network, same fingerprint."""
        built = self.to_dict() | {"block": {}, "stages": [_built(stage) for stage in self.stages]}
        if sum(self.depths) == 1:  # the linear rule gives an only block rate 0
            built["drop_path"] = 0.0
        text = json.dumps(built, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """An architecture from plain values; missing fields take ConvNeXt's, unknown ones raise."""
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"an architecture is a mapping of fields, not {values!r}")
        names = [f.name for f in dataclasses.fields(cls)]
        _refuse_unknown(values, [*names, "block"], "")
        fields = {name: value for name, value in values.items() if name in names}
        fields["stages"] = tuple(_read_stages(values))
        if "stem" in fields:
            stem = fields["stem"]
            if not isinstance(stem, Mapping):
                raise ArchitectureError(f"stem: {stem!r} is not a mapping")
            _refuse_unknown(stem, [f.name for f in dataclasses.fields(Stem)], "stem.")
            fields["stem"] = Stem(**stem)
        return cls(**fields)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """An architecture from JSON text, canonical or not."""
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise ArchitectureError(f"not JSON: {error}") from None
        return cls.from_dict(values)


def _built(stage: Stage) -> dict[str, Any]:
    """The stage as it is built: 2.67 times 96 channels and 256/96 times are the same layer."""
    channels = scaled(stage.width, stage.expansion)
    style = "inverted" if channels == stage.width else stage.style
    return dataclasses.asdict(stage) | {"expansion": channels, "style": style}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _refuse_unknown(values: Mapping[str, Any], known: Sequence[str], where: str) -> None:
    for name in values:
        if name not in known:
            raise ArchitectureError(f"{where}{name}: unknown field; the fields are {', '.join(known)}")


def _read_stages(values: Mapping[str, Any]) -> Iterator[Stage]:
    block, stages = values.get("block", {}), values.get("stages")
    if not isinstance(block, Mapping):
        raise ArchitectureError(f"block: {block!r} is not a mapping")
    _refuse_unknown(block, BLOCK_FIELDS, "block.")
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise ArchitectureError("stages: must be a list of 1 to 6 stages, each with depth and width")
    for i, stage in enumerate(stages):
        where = f"stages[{i}]."
        if not isinstance(stage, Mapping):
            raise ArchitectureError(f"{where[:-1]}: {stage!r} is not a mapping")
        _refuse_unknown(stage, STAGE_FIELDS, where)
        merged = {**block, **stage}
        for name in ("depth", "width"):
            if name not in merged:
                raise ArchitectureError(f"{where}{name}: missing")
        yield Stage(**merged)


def _need_int(value: Any, high: int, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArchitectureError(f"{name}: {value!r} must be an integer of at least 1")
    if value > high:
        raise ArchitectureError(f"{name}: {value} must be at most {high}")


def _need_bool(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        raise ArchitectureError(f"{name}: {value!r} must be true or false")


def _need_number(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e9 < value < 1e9:
        raise ArchitectureError(f"{name}: {value!r} must be a number")


def _need_choice(value: Any, choices: Sequence[str], name: str) -> None:
    if value not in choices:
        raise ArchitectureError(f"{name}: {value!r} must be one of {', '.join(choices)}")


def _check_network(arch: Architecture) -> None:
    stages = arch.stages
    if not isinstance(stages, tuple | list) or not all(isinstance(stage, Stage) for stage in stages):
        raise ArchitectureError(f"stages: {stages!r} is not a sequence of stages")
    if not 1 <= len(stages) <= MAX_STAGES:
        raise ArchitectureError(f"stages: {len(stages)} stages; must be 1 to {MAX_STAGES}")
    if not isinstance(arch.stem, Stem):
        raise ArchitectureError(f"stem: {arch.stem!r} is not a stem")
    _need_choice(arch.downsampling, DOWNSAMPLINGS, "downsampling")
    _need_choice(arch.norm, NORMS, "norm")
    _need_choice(arch.activation, ACTIVATIONS, "activation")
    _need_bool(arch.head_norm, "head_norm")
    _need_number(arch.drop_path, "drop_path")
    if not 0 <= arch.drop_path < 1:
        raise ArchitectureError(f"drop_path: {arch.drop_path!r} must be at least 0 and below 1")
    if arch.layer_scale is not None:
        _need_number(arch.layer_scale, "layer_scale")
        if arch.layer_scale <= 0:
            raise ArchitectureError(
                f"layer_scale: {arch.layer_scale!r} must be above 0; null switches LayerScale off"
            )
    stem = arch.stem
    _need_choice(stem.type, STEM_TYPES, "stem.type")
    _need_int(stem.patch_size, MAX_PATCH, "stem.patch_size")
    if stem.type == "resnet" and stem.patch_size != 4:
        raise ArchitectureError(
            f"stem.patch_size: {stem.patch_size} with stem.type resnet, which always divides by 4"
        )
    if stem.width is not None:
        _need_int(stem.width, MAX_WIDTH, "stem.width")
    _need_bool(stem.norm, "stem.norm")
    _need_bool(stem.activation, "stem.activation")


def _checked_stage(stage: Stage, index: int) -> Stage:
    where = f"stages[{index}]."
    _need_int(stage.depth, MAX_DEPTH, where + "depth")
    _need_int(stage.width, MAX_WIDTH, where + "width")
    _need_int(stage.kernel_size, MAX_KERNEL, where + "kernel_size")
    if stage.kernel_size % 2 == 0:
        raise ArchitectureError(f"{where}kernel_size: {stage.kernel_size} is even; must be odd")
    _need_number(stage.expansion, where + "expansion")
    _need_choice(stage.style, STYLES, where + "style")
    _need_choice(stage.conv, CONVS, where + "conv")
    _need_choice(stage.spatial, SPATIALS, where + "spatial")
    _need_bool(stage.grn, where + "grn")
    channels = scaled(stage.width, stage.expansion)
    if channels < 1:
        raise ArchitectureError(f"{where}expansion: {stage.expansion} leaves no channels")
    if channels > MAX_WIDTH:
        raise ArchitectureError(f"{where}expansion: {stage.expansion} makes more than {MAX_WIDTH} channels")
    if (stage.group_width is None) == (stage.conv == "grouped"):
        reason = "conv grouped needs it" if stage.group_width is None else f"conv is {stage.conv}"
        raise ArchitectureError(f"{where}group_width: {stage.group_width!r}, but {reason}")
    if stage.group_width is not None:
        _need_int(stage.group_width, MAX_WIDTH, where + "group_width")
    expansion = stage.expansion
    return dataclasses.replace(
        stage,
        expansion=int(expansion) if expansion == int(expansion) else expansion,
        norm_after=_positions(stage.norm_after, where + "norm_after"),
        act_after=_positions(stage.act_after, where + "act_after"),
        # one channel a group is what depthwise means
        conv="depthwise" if stage.group_width == 1 else stage.conv,
        group_width=None if stage.group_width == 1 else stage.group_width,
    )


def _positions(value: Any, name: str) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ArchitectureError(f"{name}: {value!r} must be a list of convolutions among 1, 2, 3")
    if any(isinstance(v, bool) or v not in (1, 2, 3) for v in value) or len(set(value)) < len(value):
        raise ArchitectureError(
            f"{name}: {list(value)!r} must name each of convolutions 1, 2, 3 at most once"
        )
    return tuple(sorted(value))


def _canonical_stem(stem: Stem, first_width: int) -> Stem:
    return dataclasses.replace(stem, width=None) if stem.width == first_width else stem


def _checked_groups(stage: Stage, in_channels: int, index: int) -> Stage:
    """A grouped spatial convolution must divide its channels, in the first block and in the others."""
    if stage.group_width is None:
        return stage
    channels = {stage.hidden}
    if stage.spatial == "first":
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


def _has_norm(arch: Architecture) -> bool:
    between = arch.downsampling == "separate" and len(arch.stages) > 1
    return arch.stem.norm or arch.head_norm or between or any(stage.norm_after for stage in arch.stages)
