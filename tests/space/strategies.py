"""Hypothesis strategies: random valid architectures over every field, small enough to build and run."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from space.architecture import ACTIVATIONS, DOWNSAMPLINGS, NORMS, Architecture
from space.stage import CONVS, OPTIONS, SPATIALS, STYLES, Stage
from space.stem import Stem

POSITIONS = st.sets(st.sampled_from((1, 2, 3))).map(lambda chosen: tuple(sorted(chosen)))
EXPANSIONS = st.one_of(st.integers(1, 4), st.sampled_from((0.5, 1.5, 2.67)))


@st.composite
def stems(draw: st.DrawFn, max_width: int) -> Stem:
    kind = draw(st.sampled_from(("patchify", "resnet")))
    return Stem(
        type=kind,
        patch_size=4 if kind == "resnet" else draw(st.sampled_from((1, 2, 3, 4, 8))),
        width=draw(st.none() | st.integers(3, max_width)),
        norm=draw(st.booleans()),
        activation=draw(st.booleans()),
    )


def stages(max_depth: int, max_width: int) -> st.SearchStrategy[Stage]:
    """Stages without grouped convolutions: their groups depend on the stages before."""
    return st.builds(
        Stage,
        depth=st.integers(1, max_depth),
        width=st.integers(3, max_width),
        kernel_size=st.sampled_from((1, 3, 5, 7)),
        expansion=EXPANSIONS,
        style=st.sampled_from(STYLES),
        conv=st.sampled_from([conv for conv in CONVS if conv != "grouped"]),
        spatial=st.sampled_from(SPATIALS),
        norm_after=POSITIONS,
        act_after=POSITIONS,
        **{o.name: st.sampled_from(o.values) for o in OPTIONS},
    )


@st.composite
def architectures(
    draw: st.DrawFn, max_stages: int = 4, max_depth: int = 2, max_width: int = 12, **fixed: Any
) -> Architecture:
    """Any valid architecture; `fixed` are Architecture fields to hold."""
    shared = draw(st.booleans())
    count = draw(st.integers(1, max_stages))
    drawn = [draw(stages(max_depth, max_width)) for _ in range(count)]
    if shared:  # most networks have one kind of block
        drawn = [replace(drawn[0], depth=stage.depth, width=stage.width) for stage in drawn]
    fields: dict[str, Any] = {
        "stem": draw(stems(max_width)),
        "downsampling": draw(st.sampled_from(DOWNSAMPLINGS)),
        "norm": draw(st.sampled_from(NORMS)),
        "activation": draw(st.sampled_from(ACTIVATIONS)),
        "layer_scale": draw(st.none() | st.sampled_from((1e-6, 0.1, 1.0))),
        "drop_path": draw(st.sampled_from((0.0, 0.1, 0.5))),
        "head_norm": draw(st.booleans()),
    }
    ungrouped = Architecture(stages=tuple(drawn), **(fields | fixed))
    grouped = [
        _grouped(draw, stage, channels)
        for stage, channels in zip(ungrouped.stages, ungrouped.in_channels, strict=True)
    ]
    return replace(ungrouped, stages=tuple(grouped))


def _grouped(draw: st.DrawFn, stage: Stage, in_channels: int) -> Stage:
    """The stage with a group width that divides its spatial convolution's channels, or as it is."""
    channels = stage.hidden if stage.spatial == "middle" else math.gcd(in_channels, stage.out)
    divisors = [d for d in range(1, channels + 1) if channels % d == 0]
    group_width = draw(st.none() | st.sampled_from(divisors))
    return stage if group_width is None else replace(stage, conv="grouped", group_width=group_width)


def smallest_resolution(architecture: Architecture) -> int:
    """A resolution that leaves at least one pixel after every downsampling."""
    return architecture.stem.patch_size * 2 ** (len(architecture.stages) - 1)


@st.composite
def networks(draw: st.DrawFn, spread: int = 40, **options: Any) -> tuple[Architecture, int]:
    """An architecture and a resolution, odd or even, that it can be run at."""
    architecture = draw(architectures(**options))
    least = smallest_resolution(architecture)
    return architecture, draw(st.integers(least, least + spread))


def random_architectures(count: int, seed: int, **options: Any) -> list[tuple[Architecture, int]]:
    """`count` fixed (architecture, resolution) pairs, for tests that loop over one set."""
    from hypothesis import HealthCheck, given, settings
    from hypothesis import seed as seeded

    found: list[tuple[Architecture, int]] = []

    @seeded(seed)
    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(networks(**options))
    def collect(pair: tuple[Architecture, int]) -> None:
        found.append(pair)

    collect()
    return found
