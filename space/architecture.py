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
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any, Literal, get_args

from space.errors import InputError, quoted, word
from space.option import option, options_of

Style = Literal["bottleneck", "inverted"]
Conv = Literal["dense", "grouped", "depthwise"]
Spatial = Literal["first", "middle"]
Norm = Literal["batch", "layer", "group", "rms"]
Activation = Literal["relu", "gelu", "silu", "hardswish"]
Downsampling = Literal["strided", "separate"]
StemType = Literal["resnet", "patchify"]

STYLES: tuple[Style, ...] = get_args(Style)
CONVS: tuple[Conv, ...] = get_args(Conv)
SPATIALS: tuple[Spatial, ...] = get_args(Spatial)
NORMS: tuple[Norm, ...] = get_args(Norm)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
DOWNSAMPLINGS: tuple[Downsampling, ...] = get_args(Downsampling)
STEM_TYPES: tuple[StemType, ...] = get_args(StemType)
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
    patch_size: int = 4  # side in pixels, and the stride
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
STEM_FIELDS = tuple(f.name for f in dataclasses.fields(Stem))
_DECLARED = [(o, o.name, o.default) for o in OPTIONS]
# what a stage without them does not mention: networks are named as they were before there were these fields
_UNSAID = {o.name: o.default for o in OPTIONS if not o.in_every_fingerprint}
# all fields of a stage, or of a stem, as one tuple: a study of ten thousand networks reads them often
stage_fields = attrgetter(*STAGE_FIELDS)
stem_fields = attrgetter(*STEM_FIELDS)


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
    layer_scale: float | None = 1e-6  # initial value (paper, Table 5); None: no LayerScale
    drop_path: float = 0.0  # of the last block: the rate rises to it linearly from 0
    head_norm: bool = True

    def __post_init__(self) -> None:
        checked = _checked({name: getattr(self, name) for name in NETWORK_FIELDS}, self.stages)
        # frozen, so past __setattr__: the canonical values take the place of those given
        self.__dict__.update(checked.__dict__)

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
        return _in_channels(self.stages, self.stem_width, self.downsampling)

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
        rows = [stage_fields(stage) for stage in self.stages]
        columns = dict(zip(STAGE_FIELDS, zip(*rows, strict=True), strict=True))
        shared = [name for name in BLOCK_FIELDS if columns[name].count(columns[name][0]) == len(rows)]
        own = [(j, name) for j, name in enumerate(STAGE_FIELDS) if name not in shared]
        return {
            "stem": dict(zip(STEM_FIELDS, stem_fields(self.stem), strict=True)),
            "block": _said({name: _plain(columns[name][0]) for name in shared}),
            "stages": [_said({name: _plain(row[j]) for j, name in own}) for row in rows],
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
        # the linear rule of stochastic depth gives an only block rate 0
        drop_path = self.drop_path if sum(self.depths) > 1 else 0.0
        text = _NETWORK_TEXT % (
            _text(self.activation),
            # an empty `block`: stages are written in full, so that what they share makes no difference
            "{}",
            _text(self.downsampling),
            _text(drop_path),
            _text(self.head_norm),
            _text(self.layer_scale),
            _text(self.norm),
            "[" + ",".join(map(_built_text, self.stages)) + "]",
            _STEM_TEXT % tuple(map(_text, _sorted_stem_fields(self.stem))),
        )
        # 64 bits: among a million networks two share a fingerprint with probability 3e-8
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """An architecture from plain values; missing fields take ConvNeXt's, unknown ones raise."""
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"an architecture is a mapping of fields, not {quoted(values)}")
        _refuse_unknown(values, _KNOWN, "")
        stages = tuple(_read_stages(values))
        network = {**_DEFAULTS, **values}
        del network["stages"]
        network.pop("block", None)
        if "stem" in values:
            network["stem"] = _read_stem(values["stem"])
        return _checked(network, stages)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """An architecture from JSON text, canonical or not."""
        from space.files import parse_json

        try:
            values = parse_json(text, "architecture")
        except InputError as error:
            raise ArchitectureError(str(error)) from None
        return cls.from_dict(values)


NETWORK_FIELDS = tuple(f.name for f in dataclasses.fields(Architecture) if f.name != "stages")
# what plain values may have, in the order that messages name it
_KNOWN = dict.fromkeys([*(f.name for f in dataclasses.fields(Architecture)), "block"])
_KNOWN_STEM, _KNOWN_BLOCK, _KNOWN_STAGE = map(dict.fromkeys, (STEM_FIELDS, BLOCK_FIELDS, STAGE_FIELDS))

# the fields of a network that says nothing but its stages
_DEFAULTS = {f.name: Stem() if f.name == "stem" else f.default for f in dataclasses.fields(Architecture)[1:]}


def _checked(network: Mapping[str, Any], stages: Sequence[Stage]) -> Architecture:
    """The canonical architecture of any values. Raises `ArchitectureError`."""
    _check_stages(stages)
    network = checked_network(network)
    return assembled(network, tuple([checked_stage(stage, i) for i, stage in enumerate(stages)]))


def assembled(network: Mapping[str, Any], stages: tuple[Stage, ...]) -> Architecture:
    """The architecture of `checked_network` fields and `checked_stage` stages, not checked again.

    Raises `ArchitectureError` where channel groups do not divide the channels that enter a stage.
    """
    # past __init__, which would check again what is checked once a stage and used in thousands of networks
    architecture = object.__new__(Architecture)
    architecture.__dict__.update(_joined(network, stages))
    return architecture


def _object(names: Sequence[str]) -> str:
    """The form of a JSON object with these keys, sorted."""
    return "{" + ",".join(f'"{name}":%s' for name in sorted(names)) + "}"


# what `json.dumps(..., sort_keys=True, separators=(",", ":"))` makes of a network, in a fraction of its time
_NETWORK_TEXT = _object((*NETWORK_FIELDS, "block", "stages"))
_HASHED = sorted(name for name in STAGE_FIELDS if name not in _UNSAID)
_STEM_TEXT, _STAGE_TEXT = _object(STEM_FIELDS), _object(_HASHED)
_sorted_stem_fields = attrgetter(*sorted(STEM_FIELDS))
_hashed_stage_fields = attrgetter(*_HASHED)
_EXPANSION, _STYLE = _HASHED.index("expansion"), _HASHED.index("style")


@lru_cache(maxsize=4096, typed=True)  # typed: 1, 1.0 and True are equal, but not in JSON
def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _built_text(stage: Stage) -> str:
    """The stage as it is built: 2.67 times 96 channels and 256/96 times are the same layer."""
    texts = list(map(_text, _hashed_stage_fields(stage)))
    channels = scaled(stage.width, stage.expansion)
    texts[_EXPANSION] = _text(channels)
    # as many hidden channels as others: both styles are the same layers
    if channels == stage.width:
        texts[_STYLE] = _text("inverted")
    later = {name: getattr(stage, name) for name in _UNSAID} if _UNSAID else _UNSAID
    if later == _UNSAID:
        return _STAGE_TEXT % tuple(texts)
    said = dict(zip(_HASHED, texts, strict=True)) | {name: _text(v) for name, v in _said(later).items()}
    return _object(tuple(said)) % tuple(said[name] for name in sorted(said))


def _said(fields: dict[str, Any]) -> dict[str, Any]:
    """Those of a stage's fields that its canonical form has."""
    if not _UNSAID:
        return fields
    return {name: v for name, v in fields.items() if name not in _UNSAID or v != _UNSAID[name]}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _refuse_unknown(values: Mapping[str, Any], known: Mapping[str, Any], where: str) -> None:
    if values.keys() <= known.keys():
        return
    for name in values:
        if name not in known:
            raise ArchitectureError(f"{where}{word(name)}: unknown field; the fields are {', '.join(known)}")


def _read_stages(values: Mapping[str, Any]) -> Iterator[Stage]:
    block, stages = values.get("block", {}), values.get("stages")
    if not isinstance(block, Mapping):
        raise ArchitectureError(f"block: {quoted(block)} is not a mapping")
    _refuse_unknown(block, _KNOWN_BLOCK, "block.")
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise ArchitectureError("stages: must be a list of 1 to 6 stages, each with depth and width")
    if len(stages) > MAX_STAGES:
        raise ArchitectureError(f"stages: {len(stages)} stages; must be 1 to {MAX_STAGES}")
    block = _with_tuples(block) if block else {}
    for i, stage in enumerate(stages):
        if type(stage) is not dict and not isinstance(stage, Mapping):
            raise ArchitectureError(f"stages[{i}]: {quoted(stage)} is not a mapping")
        if not stage.keys() <= _KNOWN_STAGE.keys():
            _refuse_unknown(stage, _KNOWN_STAGE, f"stages[{i}].")
        merged = {**block, **_with_tuples(stage)}
        for name in ("depth", "width"):
            if name not in merged:
                raise ArchitectureError(f"stages[{i}].{name}: missing")
        yield Stage(**merged)


def _with_tuples(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Positions as tuples, which JSON does not have."""
    if fields.keys().isdisjoint(("norm_after", "act_after")):
        return fields
    return {
        name: tuple(value) if name in ("norm_after", "act_after") and isinstance(value, list) else value
        for name, value in fields.items()
    }


def _read_stem(values: Any) -> Stem:
    if not isinstance(values, Mapping):
        raise ArchitectureError(f"stem: {quoted(values)} is not a mapping")
    _refuse_unknown(values, _KNOWN_STEM, "stem.")
    return Stem(**values)


def _need_int(value: Any, high: int, name: str) -> None:
    # the usual case first: a space that is read, and a study, check these thousands of times
    if type(value) is int and 1 <= value <= high:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArchitectureError(f"{name}: {quoted(value)} must be an integer of at least 1")
    if value > high:
        raise ArchitectureError(f"{name}: {quoted(value)} must be at most {high}")


def _need_bool(value: Any, name: str) -> None:
    if not isinstance(value, bool):
        raise ArchitectureError(f"{name}: {quoted(value)} must be true or false")


_NUMBERS = (int, float)


def _need_number(value: Any, name: str) -> None:
    # `not ... < ...` refuses NaN too
    if isinstance(value, bool) or not isinstance(value, _NUMBERS) or not -1e9 < value < 1e9:
        raise ArchitectureError(f"{name}: {quoted(value)} must be a number")


def _need_choice(value: Any, choices: Sequence[str], name: str) -> None:
    if value not in choices:
        raise ArchitectureError(f"{name}: {quoted(value)} must be one of {', '.join(choices)}")


def _check_stages(stages: Any) -> None:
    if not isinstance(stages, tuple | list) or not all(isinstance(stage, Stage) for stage in stages):
        raise ArchitectureError(f"stages: {quoted(stages)} is not a sequence of stages")
    if not 1 <= len(stages) <= MAX_STAGES:
        raise ArchitectureError(f"stages: {len(stages)} stages; must be 1 to {MAX_STAGES}")


def checked_network(values: Mapping[str, Any]) -> dict[str, Any]:
    """The canonical values of `NETWORK_FIELDS`. Raises `ArchitectureError`."""
    stem, drop_path, layer_scale = values["stem"], values["drop_path"], values["layer_scale"]
    if not isinstance(stem, Stem):
        raise ArchitectureError(f"stem: {quoted(stem)} is not a stem")
    _need_choice(values["downsampling"], DOWNSAMPLINGS, "downsampling")
    _need_choice(values["norm"], NORMS, "norm")
    _need_choice(values["activation"], ACTIVATIONS, "activation")
    _need_bool(values["head_norm"], "head_norm")
    _need_number(drop_path, "drop_path")
    if not 0 <= drop_path < 1:
        raise ArchitectureError(f"drop_path: {quoted(drop_path)} must be at least 0 and below 1")
    if layer_scale is not None:
        _need_number(layer_scale, "layer_scale")
        if layer_scale <= 0:
            raise ArchitectureError(
                f"layer_scale: {quoted(layer_scale)} must be above 0; null switches LayerScale off"
            )
    _check_stem(stem)
    scale = None if layer_scale is None else float(layer_scale)
    return {**values, "drop_path": abs(float(drop_path)), "layer_scale": scale}  # abs: -0.0 is 0.0


def _check_stem(stem: Stem) -> None:
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


def checked_stage(stage: Stage, index: int) -> Stage:
    """The canonical form of a stage on its own. Raises `ArchitectureError`, naming stage `index`."""
    try:
        _check_stage(stage)
        return _canonical_stage(stage)
    except ArchitectureError as error:
        raise ArchitectureError(f"stages[{index}].{error}") from None


def _check_stage(stage: Stage) -> None:
    _need_int(stage.depth, MAX_DEPTH, "depth")
    _need_int(stage.width, MAX_WIDTH, "width")
    _need_int(stage.kernel_size, MAX_KERNEL, "kernel_size")
    # padding of k // 2 keeps a map's size for odd k only
    if stage.kernel_size % 2 == 0:
        raise ArchitectureError(f"kernel_size: {stage.kernel_size} is even; must be odd")
    _need_number(stage.expansion, "expansion")
    _need_choice(stage.style, STYLES, "style")
    _need_choice(stage.conv, CONVS, "conv")
    _need_choice(stage.spatial, SPATIALS, "spatial")
    for declared, name, default in _DECLARED:
        value = getattr(stage, name)
        if value is default:
            continue
        if declared.values == (False, True):
            _need_bool(value, name)
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
        _need_int(stage.group_width, MAX_WIDTH, "group_width")


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


_group_width, _norm_after, _act_after = map(attrgetter, ("group_width", "norm_after", "act_after"))


def _joined(network: Mapping[str, Any], stages: tuple[Stage, ...]) -> dict[str, Any]:
    """The canonical fields of an architecture of checked parts: what depends on several of them at once."""
    stem, downsampling = network["stem"], network["downsampling"]
    fields = {**network, "stages": stages}
    stem_width = stages[0].width if stem.width is None else stem.width
    # None and the first width say the same: one of them is canonical, or one network had two fingerprints
    if stem.width == stages[0].width:
        fields["stem"] = dataclasses.replace(stem, width=None)
    if len(stages) == 1:  # one stage never downsamples
        fields["downsampling"] = downsampling = "separate"
    if any(map(_group_width, stages)):
        channels = _in_channels(stages, stem_width, downsampling)
        fields["stages"] = tuple(
            _checked_groups(s, c, i) for i, (s, c) in enumerate(zip(stages, channels, strict=True))
        )
    between = downsampling == "separate" and len(stages) > 1
    normed = between or stem.norm or fields["head_norm"] or any(map(_norm_after, stages))
    if not normed:  # what is not there has no type
        fields["norm"] = "layer"
    if not (stem.activation or any(map(_act_after, stages))):
        fields["activation"] = "gelu"
    return fields


def _in_channels(stages: Sequence[Stage], stem_width: int, downsampling: Downsampling) -> tuple[int, ...]:
    """Channels that enter the first block of each stage."""
    entering = [stem_width]
    for previous, stage in itertools.pairwise(stages):
        entering.append(stage.out if downsampling == "separate" else previous.out)
    return tuple(entering)


def _checked_groups(stage: Stage, in_channels: int, index: int) -> Stage:
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
