"""The published networks of a budget: what every search is compared with, trained under the same proxy."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Mapping, Sequence

from space.architecture import Architecture
from space.budget import Budget
from space.design_space import DesignSpace
from space.errors import InputError, quoted
from space.families import named
from space.networks import Network, cost_of
from space.swin import PUBLISHED as SWINS
from space.swin import named_swin, swin_reference

CONVNEXTS = {
    "convnext_atto": "ConvNeXt-A",
    "convnext_femto": "ConvNeXt-F",
    "convnext_pico": "ConvNeXt-P",
    "convnext_nano": "ConvNeXt-N",
    "convnext_tiny": "ConvNeXt-T",
    "convnext_small": "ConvNeXt-S",
    "convnext_base": "ConvNeXt-B",
    "convnext_large": "ConvNeXt-L",
    "convnext_xlarge": "ConvNeXt-XL",
}
RESNETS = {
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
    "resnet200": "ResNet-200",
}
SCALED_TO = " at width "
WIDTH_STEPS = (8, 4, 2, 1, 0.5, 0.25, 0.125)


@dataclasses.dataclass(frozen=True)
class Reference:
    """A network to compare with; `in_band` says whether it meets the budget."""

    name: str
    network: Network
    in_band: bool

    def is_among(self, trained: Collection[str]) -> bool:
        """Whether it, or another scaled size of its family in its place, is among names of references."""
        family = self.name.partition("-")[0]
        stands_in = any(SCALED_TO in name and name.partition("-")[0] == family for name in trained)
        return self.name in trained or stands_in


def references_of(
    budget: Budget, space: DesignSpace, front: bool, families: Sequence[str] = ("convnext",)
) -> list[Reference]:
    """What a search of the budget is compared with; of a front, every published size inside the budget.

    Of each family the published size inside the budget, or the nearest one with its width scaled to fit,
    which its name then says. LayerScale and stochastic depth are training choices: where the space fixes them
    otherwise, a ConvNeXt takes the space's, so that nothing but the network differs. Raises `InputError`.
    """
    found: list[Reference] = []
    for family in families:
        check_family(family)
        published = [r for r in FAMILIES[family](space) if budget.allows(_cost(r.network, budget))]
        if front and published:
            found += published
        else:
            # the largest inside: published ones come in rising size
            found.append(published[-1] if published else SCALED[family](budget, space))
    return found


def check_family(name: str) -> None:
    """Raises `InputError` unless there is a family of this name."""
    if name not in FAMILIES:
        raise InputError(f"reference {quoted(name)}: is none of {', '.join(FAMILIES)}, or none")


def _convnexts(space: DesignSpace) -> list[Reference]:
    return [Reference(name, _as_in(space, named(key)), in_band=True) for key, name in CONVNEXTS.items()]


def _resnets(_: DesignSpace) -> list[Reference]:
    return [Reference(name, named(key), in_band=True) for key, name in RESNETS.items()]


def _swins(_: DesignSpace) -> list[Reference]:
    return [Reference(name, named_swin(key), in_band=True) for key, name in SWINS.items()]


def _scaled_convnext(budget: Budget, space: DesignSpace) -> Reference:
    return _scaled(CONVNEXTS, budget, space)


def _scaled_resnet(budget: Budget, space: DesignSpace) -> Reference:
    return _scaled(RESNETS, budget, space)


def _scaled_swin(budget: Budget, _: DesignSpace) -> Reference:
    scaled = swin_reference(budget)
    return Reference(scaled.name, scaled.swin, scaled.in_band)


# from the smallest to the largest
FAMILIES: Mapping[str, Callable[[DesignSpace], list[Reference]]] = {
    "convnext": _convnexts,
    "swin": _swins,
    "resnet": _resnets,
}
SCALED: Mapping[str, Callable[[Budget, DesignSpace], Reference]] = {
    "convnext": _scaled_convnext,
    "swin": _scaled_swin,
    "resnet": _scaled_resnet,
}


def _scaled(published: Mapping[str, str], budget: Budget, space: DesignSpace) -> Reference:
    """The widest network of a published size's depths under the budget; multiples of 8 if one is in band.

    Where no whole width is, fractions of it are taken, and each stage's width is rounded.
    """
    target = math.log(budget.high)
    nearest = min(published, key=lambda name: abs(math.log(_cost(named(name), budget)) - target))
    # from widths such as the published ones are to any at all: a narrow band may need a finer step
    for step in WIDTH_STEPS:
        width = _widest(named(nearest), budget, step)
        network = _with_width(named(nearest), width)
        if budget.allows(_cost(network, budget)):
            break
    label = f"{published[nearest]}{SCALED_TO}{width:g}"
    return Reference(label, _as_in(space, network), in_band=budget.allows(_cost(network, budget)))


def _widest(published: Architecture, budget: Budget, step: float) -> float:
    """The largest multiple of `step` under the budget, and at least 1."""
    least = max(1, round(1 / step))
    low, high = least, least + 1
    # doubled, then halved between: `low` fits, but for the least there is, and `high` does not
    while _cost(_with_width(published, high * step), budget) <= budget.high:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        fits = _cost(_with_width(published, middle * step), budget) <= budget.high
        low, high = (middle, high) if fits else (low, middle)
    return low * step


def _with_width(published: Architecture, width: float) -> Architecture:
    stages = tuple(
        dataclasses.replace(stage, width=round(width * 2**i)) for i, stage in enumerate(published.stages)
    )
    return dataclasses.replace(published, stages=stages)


def _as_in(space: DesignSpace, network: Architecture) -> Architecture:
    # as little as makes it one of the space: nothing, stochastic depth, LayerScale as well
    for fields in ({}, {"drop_path": space.base.drop_path}, _training_choices(space)):
        changed = dataclasses.replace(network, **fields)
        if changed in space:
            return changed
    return network


def _training_choices(space: DesignSpace) -> dict[str, float | None]:
    return {"drop_path": space.base.drop_path, "layer_scale": space.base.layer_scale}


def _cost(network: Network, budget: Budget) -> int:
    return int(getattr(cost_of(network), budget.metric))
