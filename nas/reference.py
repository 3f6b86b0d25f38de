"""The published ConvNeXt of a budget: what every search is compared with, trained under the same proxy."""

from __future__ import annotations

import dataclasses
import math

from space.architecture import Architecture
from space.budget import Budget
from space.cost import cost
from space.design_space import DesignSpace
from space.families import named

PUBLISHED = {
    "convnext_tiny": "ConvNeXt-T",
    "convnext_small": "ConvNeXt-S",
    "convnext_base": "ConvNeXt-B",
    "convnext_large": "ConvNeXt-L",
    "convnext_xlarge": "ConvNeXt-XL",
}
WIDTH_STEPS = (8, 4, 2, 1)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A network to compare with; `in_band` says whether it meets the budget."""

    name: str
    architecture: Architecture
    in_band: bool


def references_of(budget: Budget, space: DesignSpace, front: bool) -> list[Reference]:
    """What a search of the budget is compared with; of a front, every published size inside the budget."""
    if front:
        found = [name for name in PUBLISHED if budget.allows(_cost(named(name), budget))]
        if found:
            return [Reference(PUBLISHED[n], _as_in(space, named(n)), in_band=True) for n in found]
    return [convnext_reference(budget, space)]


def convnext_reference(budget: Budget, space: DesignSpace) -> Reference:
    """The published ConvNeXt inside the budget, or the nearest one with its width scaled to fit.

    LayerScale and stochastic depth are training choices: where the space fixes them otherwise, the reference
    takes the space's, so that nothing but the network differs.
    """
    found = [name for name in PUBLISHED if budget.allows(_cost(named(name), budget))]
    if found:
        return Reference(PUBLISHED[found[-1]], _as_in(space, named(found[-1])), in_band=True)
    return _scaled(_nearest(budget), budget, space)


def _nearest(budget: Budget) -> str:
    target = math.log(budget.high)
    return min(PUBLISHED, key=lambda name: abs(math.log(_cost(named(name), budget)) - target))


def _scaled(name: str, budget: Budget, space: DesignSpace) -> Reference:
    """The widest network of a published size's depths under the budget; multiples of 8 if one is in band."""
    published = named(name)
    for step in WIDTH_STEPS:
        width = _widest(published, budget, step)
        network = _with_width(published, width)
        if budget.allows(_cost(network, budget)):
            break
    label = f"{PUBLISHED[name]} at width {width}"
    return Reference(label, _as_in(space, network), in_band=budget.allows(_cost(network, budget)))


def _widest(published: Architecture, budget: Budget, step: int) -> int:
    width = step
    while _cost(_with_width(published, width + step), budget) <= budget.high:
        width += step
    return width


def _with_width(published: Architecture, width: int) -> Architecture:
    stages = tuple(dataclasses.replace(stage, width=width * 2**i) for i, stage in enumerate(published.stages))
    return dataclasses.replace(published, stages=stages)


def _as_in(space: DesignSpace, network: Architecture) -> Architecture:
    for fields in ({}, {"drop_path": space.base.drop_path}, _training_choices(space)):
        changed = dataclasses.replace(network, **fields)
        if changed in space:
            return changed
    return network


def _training_choices(space: DesignSpace) -> dict[str, float | None]:
    return {"drop_path": space.base.drop_path, "layer_scale": space.base.layer_scale}


def _cost(network: Architecture, budget: Budget) -> int:
    return int(getattr(cost(network), budget.metric))
