"""Numbers and architectures as the pages write them, for people."""
# ruff: noqa: RUF001 - the pages are typeset: real multiplication signs, dashes and apostrophes

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from space.networks import is_swin

COSTS = {"macs": "FLOPs", "params": "parameters", "activations": "activations"}
NORMS = {"batch": "BatchNorm", "layer": "LayerNorm", "group": "GroupNorm", "rms": "RMSNorm"}
ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU", "hardswish": "Hardswish"}
STAGE_FIELDS = {"Depth": "depth", "Width": "width", "Kernel": "kernel_size", "Expansion": "expansion"}
MISSING = "–"

# ---- numbers --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scale:
    """A cost's unit, so that all its numbers on a page carry the same prefix."""

    metric: str
    divisor: float
    prefix: str

    @classmethod
    def of(cls, metric: str, values: Iterable[Any]) -> Scale:
        """The unit that suits the largest of `values`, counts at 224x224."""
        top = max((v for v in map(finite, values) if v is not None), default=1e9)
        if metric != "macs":
            top = min(top, 1e9 - 1)  # parameters and activations are counted in millions, as papers do
        for divisor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if top >= divisor:
                return cls(metric, divisor, prefix)
        return cls(metric, 1.0, "")

    @property
    def unit(self) -> str:
        """Such as `GFLOPs`, or `M parameters`."""
        return f"{self.prefix}FLOPs" if self.metric == "macs" else f"{self.prefix} {COSTS[self.metric]}"

    def number(self, value: Any) -> str:
        """Three digits, without the unit."""
        value = finite(value)
        return MISSING if value is None else three_digits(value / self.divisor)

    def text(self, value: Any) -> str:
        """Three digits and the unit."""
        return f"{self.number(value)} {self.unit.strip()}"


def finite(value: Any) -> float | None:
    """A number that can be drawn, else None."""
    ok = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if ok else None


def three_digits(value: float) -> str:
    """Such as `4.46`, `28.6`, `1,234`."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:#.3g}".rstrip(".")


def percent(value: Any) -> str:
    """A fraction of 1 in percent, one decimal."""
    value = finite(value)
    return MISSING if value is None else f"{100 * value:.1f}%"


def count(value: Any) -> str:
    """An exact count while it can be read, a power of ten above."""
    if not isinstance(value, int) or isinstance(value, bool):
        return MISSING
    if value < 10_000_000:
        return f"{value:,}".replace(",", "\u2009")
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}\u2009×\u200910" + str(int(exponent)).translate(
        str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    )


def duration(value: Any) -> str:
    """Seconds, in the units that suit them."""
    seconds = finite(value)
    if seconds is None:
        return MISSING
    if seconds < 120:
        return f"{seconds:.{0 if seconds >= 10 else 1}f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plural(number: int, noun: str) -> str:
    """Such as `1 epoch`, `3 epochs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def plain(value: Any) -> str:
    """A value of an architecture."""
    if isinstance(value, float):
        return f"{value:g}".replace("e-0", "e-")
    return MISSING if value is None else str(value)


# ---- an architecture ------------------------------------------------------------------------------------


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


def brief(architecture: Mapping[str, Any]) -> list[str]:
    """The network in two lines."""
    depth, width, kernel, expansion = (sequence(values) for _, values in stage_rows(architecture))
    known = dict(facts(architecture))
    first = f"depths {depth} · widths {width}"
    if is_swin(architecture):
        return [first, f"window {known['Window']} · MLP ratio {expansion} · heads {known['Heads']}"]
    kinds = [fact.split(",")[0] for fact in (known["Norm"], known["Activation"])]
    return [first, " · ".join([f"kernel {kernel}", f"expansion {expansion}", *kinds])]


def facts(architecture: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What is not a number a stage: block, norm, activation, stem, downsampling, extras."""
    if is_swin(architecture):
        return _swin_facts(architecture)
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
    if any(stage.get("grn") for stage in found):
        extras.append("GRN")
    return ", ".join(extras) or MISSING
