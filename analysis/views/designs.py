"""An architecture in words: what each stage is, and what all of them share."""
# ruff: noqa: RUF001 - the page is typeset: real multiplication signs and dashes

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from space.networks import chosen, is_swin, is_tabled
from space.stage import OPTIONS

NORMS = {"batch": "BatchNorm", "layer": "LayerNorm", "group": "GroupNorm", "rms": "RMSNorm"}
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish"}
STAGE_FIELDS = {"Depth": "depth", "Width": "width", "Kernel": "kernel_size", "Expansion": "expansion"}
MISSING = "–"


def plain(value: Any) -> str:
    """A value of an architecture."""
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return MISSING if value is None else str(value)


def stages(architecture: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The fields of each stage."""
    if is_swin(architecture):
        width, expansion = architecture.get("width"), architecture.get("mlp_ratio")
        return [
            {"depth": depth, "width": None if width is None else width * 2**i, "expansion": expansion}
            for i, depth in enumerate(architecture.get("depths") or [])
        ]
    block = architecture.get("block") or {}
    return [{**block, **stage} for stage in architecture.get("stages") or []]


def stage_rows(architecture: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Depth, width, kernel and expansion, one value a stage."""
    if is_swin(architecture):
        found = stages(architecture)
        return [(name, [plain(stage.get(key)) for stage in found]) for name, key in STAGE_FIELDS.items()]
    found, block = architecture.get("stages") or [], architecture.get("block") or {}
    rows = []
    for name, key in STAGE_FIELDS.items():  # as `stages` has them, without making its mappings
        shared = block.get(key)
        rows.append((name, [plain(stage.get(key, shared)) for stage in found]))
    return rows


def sequence(values: Sequence[str]) -> str:
    """`7` where all stages agree, `7-7-9-9` where they do not."""
    return values[0] if len(set(values)) == 1 else "-".join(values) or MISSING


def facts(architecture: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is not a number a stage: block, norm, activation, stem, downsampling, extras."""
    if is_swin(architecture):
        return _swin_facts(architecture)
    if is_tabled(architecture):
        return chosen(architecture["choices"])
    found = stages(architecture)
    norm, activation = architecture.get("norm"), architecture.get("activation")
    styles = {"inverted": "inverted bottleneck", "bottleneck": "bottleneck"}
    style = _agreed(styles.get(str(s.get("style")), plain(s.get("style"))) for s in found)
    conv = _agreed(f"{plain(s.get('conv'))}, {plain(s.get('spatial'))}" for s in found)
    downsampling = {"separate": "own layer", "strided": "in the block"}.get(
        str(architecture.get("downsampling")), MISSING
    )
    return [
        ("Block", style),
        ("Convolution", conv),
        ("Norm", _placed(NORMS.get(str(norm), plain(norm)), "norm_after", found)),
        ("Activation", _placed(ACTIVATIONS.get(str(activation), plain(activation)), "act_after", found)),
        ("Stem", _stem(architecture.get("stem") or {})),
        ("Downsampling", downsampling),
        ("Also", _extras(architecture, found)),
    ]  # fmt: skip


def _swin_facts(architecture: Mapping[str, Any]) -> list[tuple[str, str]]:
    patch = plain(architecture.get("patch_size"))
    return [
        ("Block", "windowed attention and MLP"),
        ("Window", plain(architecture.get("window"))),
        ("Heads", "-".join(map(str, architecture.get("heads") or [])) or MISSING),
        ("Norm", NORMS["layer"]),
        ("Activation", ACTIVATIONS["gelu"]),
        ("Stem", f"{patch}×{patch} patches"),
        ("Downsampling", "patch merging"),
    ]  # fmt: skip


def _agreed(values: Iterable[str]) -> str:
    return " / ".join(dict.fromkeys(values)) or MISSING


def _placed(kind: str, field: str, found: Sequence[Mapping[str, Any]]) -> str:
    places = _agreed(", ".join(map(str, stage.get(field) or [])) for stage in found)
    return kind if places == MISSING else f"{kind}, after conv {places}"


def _stem(stem: Mapping[str, Any]) -> str:
    patch = plain(stem.get("patch_size"))
    names = {"patchify": f"{patch}×{patch} patches", "resnet": "7×7 stride 2, max-pool"}
    return names.get(str(stem.get("type")), MISSING)


def _extras(architecture: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> str:
    extras = []
    if architecture.get("layer_scale") is not None:
        extras.append(f"LayerScale {plain(architecture['layer_scale'])}")
    if architecture.get("drop_path"):
        extras.append(f"drop path {plain(architecture['drop_path'])}")
    for option in OPTIONS:
        values = dict.fromkeys(stage.get(option.name, option.default) for stage in found)
        extras += [option.words(value) for value in values if value != option.default]
    return ", ".join(extras) or MISSING
