"""The stem of a network: its first layers, and what is checked of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Literal, get_args

from space.checks import ArchitectureError, need_bool, need_choice, need_int, refuse_unknown
from space.errors import quoted
from space.json_text import json_object, json_text
from space.stage import MAX_WIDTH

StemType = Literal["resnet", "patchify"]
STEM_TYPES: tuple[StemType, ...] = get_args(StemType)
MAX_PATCH = 64


@dataclass(frozen=True, slots=True)
class Stem:
    """The first layers, from 3 channels to `width`; `width` None means the first stage's width."""

    type: StemType = "patchify"
    patch_size: int = 4  # side in pixels, and the stride
    width: int | None = None
    norm: bool = True
    activation: bool = False


STEM_FIELDS = tuple(f.name for f in dataclasses.fields(Stem))
_KNOWN = dict.fromkeys(STEM_FIELDS)
stem_fields = attrgetter(*STEM_FIELDS)
_STEM_TEXT = json_object(STEM_FIELDS)
_sorted_stem_fields = attrgetter(*sorted(STEM_FIELDS))


def stem_text(stem: Stem) -> str:
    """The stem as JSON, in the form that is hashed."""
    return _STEM_TEXT % tuple(map(json_text, _sorted_stem_fields(stem)))


def read_stem(values: Any) -> Stem:
    """A stem from plain values, not checked yet but for their names. Raises `ArchitectureError`."""
    if not isinstance(values, Mapping):
        raise ArchitectureError(f"stem: {quoted(values)} is not a mapping")
    refuse_unknown(values, _KNOWN, "stem.")
    return Stem(**values)


def check_stem(stem: Stem) -> None:
    """Raises `ArchitectureError`."""
    need_choice(stem.type, STEM_TYPES, "stem.type")
    need_int(stem.patch_size, MAX_PATCH, "stem.patch_size")
    if stem.type == "resnet" and stem.patch_size != 4:
        raise ArchitectureError(
            f"stem.patch_size: {stem.patch_size} with stem.type resnet, which always divides by 4"
        )
    if stem.width is not None:
        need_int(stem.width, MAX_WIDTH, "stem.width")
    need_bool(stem.norm, "stem.norm")
    need_bool(stem.activation, "stem.activation")
