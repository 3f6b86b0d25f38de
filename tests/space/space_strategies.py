"""Hypothesis strategies: declarations of small design spaces, few enough networks to enumerate."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import strategies as st

from space.design_space import DesignSpace
from space.space_file import space_from
from space.stage import OPTIONS

MOST = 3000
STEP = 4

# values that stay distinct networks whatever the other axes choose
NUMBERS: dict[str, tuple[int, ...]] = {
    "depth": (1, 2, 3, 5),
    "width": (8, 12, 16, 24),
    "kernel_size": (1, 3, 5, 7),
    "expansion": (2, 3, 4),
}
NETWORK_AXES: dict[str, list[Any]] = {
    "norm": ["layer", "batch", "group", "rms"],
    "activation": ["gelu", "relu", "silu"],
    "style": ["bottleneck", "inverted"],
    "spatial": ["first", "middle"],
    "conv": ["depthwise", "dense"],
    **{o.name: list(o.values) for o in OPTIONS},
    "layer_scale": [None, 1e-6],
    "head_norm": [True, False],
    "stem.type": ["patchify", "resnet"],
    "stem.activation": [False, True],
}


@st.composite
def bases(draw: st.DrawFn, max_stages: int) -> dict[str, Any]:
    count = draw(st.integers(1, max_stages))
    block = {
        "style": draw(st.sampled_from(("bottleneck", "inverted"))),
        "spatial": draw(st.sampled_from(("first", "middle"))),
        "conv": draw(st.sampled_from(("dense", "depthwise"))),
        "expansion": draw(st.sampled_from((2, 4))),
    }
    widths = draw(st.lists(st.sampled_from(NUMBERS["width"]), min_size=count, max_size=count))
    return {
        "block": block,
        "stages": [{"depth": 1, "width": width} for width in widths],
        "downsampling": draw(st.sampled_from(("strided", "separate"))),
        "stem": {"width": draw(st.sampled_from((None, 5)))},
    }


@st.composite
def stage_axes(draw: st.DrawFn, field: str, stages: int) -> dict[str, Any]:
    """An axis over numbers: listed or spaced, one for all stages, one each, or tied."""
    kind = draw(st.sampled_from(("choices", "integers", "log_integers")))
    axis: dict[str, Any]
    if kind == "choices" or field == "kernel_size":
        axis = {
            "choices": draw(st.lists(st.sampled_from(NUMBERS[field]), min_size=1, max_size=3, unique=True))
        }
    elif kind == "integers":
        low = draw(st.sampled_from(NUMBERS[field]))
        axis = {"integers": [low, low + STEP], "step": draw(st.sampled_from((2, STEP)))}
    else:
        axis = {"log_integers": [NUMBERS[field][0], NUMBERS[field][-1]], "count": draw(st.integers(1, 3))}
    tied = st.lists(st.sampled_from("ab"), min_size=stages, max_size=stages)
    return axis | {"per_stage": draw(st.booleans() | tied)}


@st.composite
def declarations(draw: st.DrawFn, max_stages: int) -> dict[str, Any]:
    """Any small space with axes of several kinds."""
    base = draw(bases(max_stages))
    stages = len(base["stages"])
    axes: dict[str, Any] = {}
    for field in draw(st.lists(st.sampled_from(list(NUMBERS)), min_size=1, max_size=3, unique=True)):
        axes[field] = draw(stage_axes(field, stages))
    for field in draw(st.lists(st.sampled_from(list(NETWORK_AXES)), max_size=3, unique=True)):
        axes[field] = {"choices": NETWORK_AXES[field]}
    if "stem.type" not in axes and draw(st.booleans()):
        # eight times 2**5 is more than 224 pixels
        axes["stem.patch_size"] = {"choices": [2, 4, 8] if stages < 6 else [2, 4]}
    if stages > 1 and draw(st.booleans()):
        axes["downsampling"] = {"choices": ["strided", "separate"]}
    return {"name": "drawn", "base": base, "axes": axes}


def small_spaces(max_stages: int = 4, most: int = MOST) -> st.SearchStrategy[DesignSpace]:
    """Spaces of at most `most` networks."""
    return (
        declarations(max_stages)
        .map(lambda declared: space_from(declared, "space drawn"))
        .filter(lambda space: math.prod(map(len, space.factors)) <= most)
    )
