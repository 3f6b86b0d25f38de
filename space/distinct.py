"""Whether choices of a design space make distinct networks, or cancel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from space.assembly import Assembly
from space.checks import ArchitectureError
from space.design_space import MAX_COMPARED, DesignSpace
from space.errors import MOST_QUOTED, InputError, counted, shortened
from space.factors import NETWORK
from space.stage import MAX_WIDTH, scaled


def check_every_outcome(space: DesignSpace, where: str) -> None:
    """Every outcome of every factor is a valid network on its own, and no two are the same network."""
    for factor in space.factors:
        seen: dict[str, str] = {}
        alone = Assembly(space._base_values, [factor], len(space.base.stages))
        for k in range(len(factor)):
            chosen = zip(factor.variables, factor.values_of[k], strict=True)
            label = ", ".join(f"{v.name} {_shown(v.values[i])}" for v, i in chosen)
            try:
                fingerprint = alone.networks(np.array([[k]]))[0].fingerprint
            except (ArchitectureError, TypeError, ValueError, OverflowError) as error:
                raise InputError(f"{where}: {label}: {error}") from None
            if fingerprint in seen:
                raise InputError(f"{where}: {label} and {seen[fingerprint]} make the same network")
            seen[fingerprint] = label


def _shown(value: Any) -> str:
    return shortened(str(value), MOST_QUOTED)


def check_expanded(space: DesignSpace, where: str) -> None:
    """The widest and the narrowest layer that width and expansion make together."""
    for i in range(len(space.base.stages)):
        widths, expansions = _possible_at(space, i, "width"), _possible_at(space, i, "expansion")
        # rounding keeps the order: what lies between is between
        for pick in (min, max):
            width, expansion = pick(widths), pick(expansions)
            if not 1 <= scaled(width, expansion) <= MAX_WIDTH:
                raise InputError(
                    f"{where}: stage {i + 1}: width {width} with expansion {expansion} makes "
                    f"{scaled(width, expansion):,} channels; must be 1 to {MAX_WIDTH}"
                )
        if len(widths) * len(expansions) > MAX_COMPARED:
            raise InputError(
                f"{where}: stage {i + 1}: {len(widths):,} widths with {len(expansions):,} expansions; "
                "use fewer values"
            )


# what decides how many channels a grouped convolution has, and how they are grouped
GROUP_FIELDS = ("width", "expansion", "style", "conv", "group_width", "spatial", "depth", "downsampling")
PATCH_FIELDS = ("stem.type", "stem.patch_size")


def check_groups(space: DesignSpace, where: str) -> None:
    """Combinations across factors that can be impossible: channel groups, patch size with ResNet's stem."""
    grouped = any(
        value == "grouped"
        for values in (_possible(space, "conv"), {s.conv for s in space.base.stages})
        for value in values
    )
    fields = PATCH_FIELDS + (GROUP_FIELDS if grouped else ())
    together = [f for f, factor in enumerate(space.factors) if {t[1] for t in factor.targets} & {*fields}]
    # one factor alone: `check_every_outcome` has built all of it
    if len(together) < 2:
        return
    count = math.prod(len(space.factors[f]) for f in together)
    if count > 50_000:
        raise InputError(f"{where}: {counted(count)} combinations of channel groups to check; tie more axes")
    # the other factors set none of these fields: their first outcomes do for all
    base = [0] * len(space.factors)
    for chosen in itertools.product(*(range(len(space.factors[f])) for f in together)):
        code = list(base)
        for f, k in zip(together, chosen, strict=True):
            code[f] = k
        try:
            space.build(np.array(code))
        except ArchitectureError as error:
            raise InputError(f"{where}: an impossible combination: {error}") from None


def _possible(space: DesignSpace, field: str) -> set[Any]:
    return {
        outcome[j]
        for factor in space.factors
        for j, target in enumerate(factor.targets)
        if target[1] == field
        for outcome in factor.outcomes
    }


def check_codes_differ(space: DesignSpace, where: str) -> None:
    """Refuse choices of different factors that can cancel: they would make one network of two codes."""
    # a network of two codes would be counted twice, drawn twice as often and proposed twice
    for fields, least, cancel, reason in _CANCELLATIONS:
        owners = {f for f, factor in enumerate(space.factors) if {t[1] for t in factor.targets} & {*fields}}
        if len(owners) >= least and cancel(space):
            raise InputError(f"{where}: {reason}, so two choices make the same network")


def _possible_at(space: DesignSpace, stage: int, field: str) -> set[Any]:
    """Values that a field of a stage (or the network) can have."""
    target = (stage, field)
    for factor in space.factors:
        if target in factor.targets:
            j = factor.targets.index(target)
            return {outcome[j] for outcome in factor.outcomes}
    return {space._base_values[target]}


def _expansions_cancel(space: DesignSpace) -> bool:
    """Two expansions of a width round to one, or an expansion of 1 makes the style no choice."""
    for i in range(len(space.base.stages)):
        expansions = _possible_at(space, i, "expansion")
        free_style = len(_possible_at(space, i, "style")) > 1
        for width in _possible_at(space, i, "width"):
            channels = {scaled(width, expansion) for expansion in expansions}
            if len(channels) < len(expansions) or (free_style and width in channels):
                return True
    return False


def _stem_widths_cancel(space: DesignSpace) -> bool:
    """A stem width that the first stage may have too."""
    return bool(_possible_at(space, NETWORK, "stem.width") & _possible_at(space, 0, "width"))


def _groups_cancel(space: DesignSpace) -> bool:
    """A group as wide as the convolution (dense), or one channel wide (depthwise)."""
    for i in range(len(space.base.stages)):
        widths = _possible_at(space, i, "width")
        expanded = {scaled(w, e) for w in widths for e in _possible_at(space, i, "expansion")}
        if _possible_at(space, i, "group_width") & (widths | expanded | {1}):
            return True
    return False


def _norms_cancel(space: DesignSpace) -> bool:
    """A network that may have no norm at all, whose type is then no choice."""
    if len(_possible_at(space, NETWORK, "norm")) == 1:
        return False
    switches = [_possible_at(space, NETWORK, name) for name in ("stem.norm", "head_norm")]
    blocks = [_possible_at(space, i, "norm_after") for i in range(len(space.base.stages))]
    between = len(space.base.stages) > 1 and "strided" not in _possible_at(space, NETWORK, "downsampling")
    return not between and all(False in s for s in switches) and all(() in b for b in blocks)


def _activations_cancel(space: DesignSpace) -> bool:
    """A network that may have no activation at all, whose type is then no choice."""
    if len(_possible_at(space, NETWORK, "activation")) == 1:
        return False
    blocks = [_possible_at(space, i, "act_after") for i in range(len(space.base.stages))]
    return False in _possible_at(space, NETWORK, "stem.activation") and all(() in b for b in blocks)


def _drop_path_cancels(space: DesignSpace) -> bool:
    """A network that may be one block, which stochastic depth leaves alone."""
    one = len(space.base.stages) == 1 and 1 in _possible_at(space, 0, "depth")
    return one and len(_possible_at(space, NETWORK, "drop_path")) > 1


# fields, from how many factors on they can cancel, the test, and what it found
_CANCELLATIONS: tuple[tuple[tuple[str, ...], int, Callable[[DesignSpace], bool], str], ...] = (
    (("expansion", "width", "style"), 2, _expansions_cancel, "expansions round to the same channels"),
    (("stem.width", "width"), 1, _stem_widths_cancel, "stem.width can be the first width, which null says"),
    (("conv", "group_width", "width", "expansion"), 1, _groups_cancel, "a group_width is depthwise or dense"),
    (
        ("norm", "norm_after", "head_norm", "stem.norm", "downsampling"),
        2,
        _norms_cancel,
        "the norm's type is chosen where there may be no norm",
    ),
    (
        ("activation", "act_after", "stem.activation"),
        2,
        _activations_cancel,
        "the activation's type is chosen where there may be none",
    ),
    (("depth", "drop_path"), 2, _drop_path_cancels, "drop_path does nothing in a single block"),
)
