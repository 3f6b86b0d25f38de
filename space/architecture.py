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
from operator import attrgetter
from typing import Any, Literal, get_args

from space.checks import ArchitectureError, need_bool, need_choice, need_number, refuse_unknown
from space.errors import InputError, quoted
from space.json_text import json_object, json_text
from space.stage import (
    BLOCK_FIELDS,
    KNOWN_BLOCK,
    KNOWN_STAGE,
    STAGE_FIELDS,
    Stage,
    built_text,
    checked_groups,
    checked_stage,
    plain,
    said,
    stage_fields,
    with_tuples,
)
from space.stem import STEM_FIELDS, Stem, check_stem, read_stem, stem_fields, stem_text

Norm = Literal["batch", "layer", "group", "rms"]
Activation = Literal["relu", "gelu", "silu", "hardswish"]
Downsampling = Literal["strided", "separate"]
NORMS: tuple[Norm, ...] = get_args(Norm)
ACTIVATIONS: tuple[Activation, ...] = get_args(Activation)
DOWNSAMPLINGS: tuple[Downsampling, ...] = get_args(Downsampling)
MAX_STAGES = 6


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
            "block": said({name: plain(columns[name][0]) for name in shared}),
            "stages": [said({name: plain(row[j]) for j, name in own}) for row in rows],
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
            json_text(self.activation),
            # an empty `block`: stages are written in full, so that what they share makes no difference
            "{}",
            json_text(self.downsampling),
            json_text(drop_path),
            json_text(self.head_norm),
            json_text(self.layer_scale),
            json_text(self.norm),
            "[" + ",".join(map(built_text, self.stages)) + "]",
            stem_text(self.stem),
        )
        # 64 bits: among a million networks two share a fingerprint with probability 3e-8
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Architecture:
        """An architecture from plain values; missing fields take ConvNeXt's, unknown ones raise."""
        if not isinstance(values, Mapping):
            raise ArchitectureError(f"an architecture is a mapping of fields, not {quoted(values)}")
        refuse_unknown(values, _KNOWN, "")
        stages = tuple(_read_stages(values))
        network = {**_DEFAULTS, **values}
        del network["stages"]
        network.pop("block", None)
        if "stem" in values:
            network["stem"] = read_stem(values["stem"])
        return _checked(network, stages)

    @classmethod
    def from_json(cls, text: str) -> Architecture:
        """An architecture from JSON text, canonical or not."""
        from space.reading import parse_json

        try:
            values = parse_json(text, "architecture")
        except InputError as error:
            raise ArchitectureError(str(error)) from None
        return cls.from_dict(values)


NETWORK_FIELDS = tuple(f.name for f in dataclasses.fields(Architecture) if f.name != "stages")
# what plain values may have, in the order that messages name it
_KNOWN = dict.fromkeys([*(f.name for f in dataclasses.fields(Architecture)), "block"])
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


# what `json.dumps(..., sort_keys=True, separators=(",", ":"))` makes of a network, in a fraction of its time
_NETWORK_TEXT = json_object((*NETWORK_FIELDS, "block", "stages"))


def _read_stages(values: Mapping[str, Any]) -> Iterator[Stage]:
    block, stages = values.get("block", {}), values.get("stages")
    if not isinstance(block, Mapping):
        raise ArchitectureError(f"block: {quoted(block)} is not a mapping")
    refuse_unknown(block, KNOWN_BLOCK, "block.")
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise ArchitectureError("stages: must be a list of 1 to 6 stages, each with depth and width")
    if len(stages) > MAX_STAGES:
        raise ArchitectureError(f"stages: {len(stages)} stages; must be 1 to {MAX_STAGES}")
    block = with_tuples(block) if block else {}
    for i, stage in enumerate(stages):
        if type(stage) is not dict and not isinstance(stage, Mapping):
            raise ArchitectureError(f"stages[{i}]: {quoted(stage)} is not a mapping")
        if not stage.keys() <= KNOWN_STAGE.keys():
            refuse_unknown(stage, KNOWN_STAGE, f"stages[{i}].")
        merged = {**block, **with_tuples(stage)}
        for name in ("depth", "width"):
            if name not in merged:
                raise ArchitectureError(f"stages[{i}].{name}: missing")
        yield Stage(**merged)


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
    need_choice(values["downsampling"], DOWNSAMPLINGS, "downsampling")
    need_choice(values["norm"], NORMS, "norm")
    need_choice(values["activation"], ACTIVATIONS, "activation")
    need_bool(values["head_norm"], "head_norm")
    need_number(drop_path, "drop_path")
    if not 0 <= drop_path < 1:
        raise ArchitectureError(f"drop_path: {quoted(drop_path)} must be at least 0 and below 1")
    if layer_scale is not None:
        need_number(layer_scale, "layer_scale")
        if layer_scale <= 0:
            raise ArchitectureError(
                f"layer_scale: {quoted(layer_scale)} must be above 0; null switches LayerScale off"
            )
    check_stem(stem)
    scale = None if layer_scale is None else float(layer_scale)
    return {**values, "drop_path": abs(float(drop_path)), "layer_scale": scale}  # abs: -0.0 is 0.0


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
            checked_groups(s, c, i) for i, (s, c) in enumerate(zip(stages, channels, strict=True))
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
