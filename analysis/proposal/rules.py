"""Rules that make a larger network without a search: ConvNeXt's own, and depth, width or both alone."""

from __future__ import annotations

import bisect
import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from space.architecture import Architecture
    from space.budget import Budget

    Floats = NDArray[np.float64]

# the sizes that one rule connects: depth of stage 3 from 9 to 27, then width 96 to 128 to 192
# (ConvNeXt paper, section 3)
PUBLISHED = ("convnext_tiny", "convnext_small", "convnext_base", "convnext_large")
COMPOUND = (1.2, 1.1)  # depth and width together (Tan and Le 2019, section 3.3); the resolution stays
WIDTH_STEPS = (8, 4, 2, 1)
SHAPE_FIELDS = ("depth", "width", "kernel_size", "expansion")


def published_exponents(metric: str = "macs") -> dict[str, float]:
    """Slopes of log depth and log base width over log cost through ConvNeXt-T, S, B and L.

    Least squares through four sizes that were chosen, not drawn: there is no interval.
    """
    import numpy as np

    from space.cost import cost
    from space.families import named

    networks = [named(name) for name in PUBLISHED]
    logs = np.log([float(getattr(cost(one), metric)) for one in networks])
    sizes = {"depth": [sum(one.depths) for one in networks], "width": [one.widths[0] for one in networks]}
    return {name: float(np.polyfit(logs, np.log(values), 1)[0]) for name, values in sizes.items()}


def published_rule(budget: Budget) -> Architecture | None:
    """What the rule from T over S and B to L gives at a budget: stage 3 from 9 to 27 blocks, then width.

    Between two blocks, and below T, the width makes the rest. None where no width is in the band.
    """
    from space.families import convnext

    tiny, small = ((3, 3, depth, 3) for depth in (9, 27))
    # the rule in three parts: below T by width, above S by width, between them by blocks of stage 3
    if _cost(convnext(tiny, 96, 0.0), budget) > budget.high:
        return _in_band(lambda width: convnext(tiny, width, 0.0), budget)
    if _cost(convnext(small, 96, 0.0), budget) < budget.low:
        return _in_band(lambda width: convnext(small, width, 0.0), budget)
    depths = [(3, 3, depth, 3) for depth in range(9, 28)]
    below = [d for d in depths if _cost(convnext(d, 96, 0.0), budget) <= budget.high]
    found = convnext(below[-1], 96, 0.0)
    return (
        found
        if budget.allows(_cost(found, budget))
        else _in_band(lambda w: convnext(below[-1], w, 0.0), budget)
    )


def _cost(network: Architecture, budget: Budget) -> int:
    from space.cost import cost

    return int(getattr(cost(network), budget.metric))


def _in_band(make: Callable[[int], Architecture], budget: Budget) -> Architecture | None:
    """The widest network under the budget, of the coarsest step of width that has one in the band."""
    widest = _widest(make, budget)
    for step in WIDTH_STEPS:
        width = widest // step * step
        if width and budget.allows(_cost(network := make(width), budget)):
            return network
    return None


def _widest(make: Callable[[int], Architecture], budget: Budget) -> int:
    """The largest width that costs at most the budget, 0 for none, by bisection: cost rises with width."""
    from space.checks import ArchitectureError

    def fits(width: int) -> bool:
        try:
            return _cost(make(width), budget) <= budget.high
        except ArchitectureError:  # wider than a network can be
            return False

    low, high = 0, 64
    while fits(high):
        low, high = high, 2 * high
    # invariant: `low` fits, or is 0; `high` does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def with_shape(
    network: Architecture,
    *,
    depths: Sequence[int] | None = None,
    width: int | None = None,
    kernels: Sequence[int] | None = None,
    expansions: Sequence[float] | None = None,
) -> Architecture:
    """The network with other depths, base width, kernel sizes or expansions; widths keep their growth."""
    stages = []
    for i, stage in enumerate(network.stages):
        changed: dict[str, Any] = {} if depths is None else {"depth": int(depths[i])}
        if width is not None:
            changed["width"] = max(1, round(width * stage.width / network.stages[0].width))
        if kernels is not None:
            changed["kernel_size"] = int(kernels[i])
        if expansions is not None:
            changed["expansion"] = expansions[i]
        stages.append(dataclasses.replace(stage, **changed))
    stem = network.stem
    if width is not None and stem.width is not None:
        stem = dataclasses.replace(stem, width=max(1, round(width * stem.width / network.stages[0].width)))
    return dataclasses.replace(network, stages=tuple(stages), stem=stem)


def width_only(network: Architecture, budget: Budget) -> Architecture | None:
    """The same depths, wider or narrower."""
    return _in_band(lambda width: with_shape(network, width=width), budget)


def depth_only(network: Architecture, budget: Budget) -> Architecture | None:
    """The same width, every stage deeper or shallower by one factor; where no such depths are in the band,
    width makes the rest.
    """
    choices = _depths(network, budget)
    # cost rises along `choices`, each of which has a block more
    fitting = bisect.bisect_right(
        choices, budget.high, key=lambda depths: _cost(with_shape(network, depths=depths), budget)
    )
    if not fitting:
        return None
    found = with_shape(network, depths=choices[fitting - 1])
    return found if budget.allows(_cost(found, budget)) else width_only(found, budget)


def _depths(network: Architecture, budget: Budget) -> list[tuple[int, ...]]:
    """Depths of the network times rising factors, a block more in one stage or several each time."""
    from space.stage import MAX_DEPTH

    most = max(4.0, 4 * budget.high / _cost(network, budget))
    factors = {
        # where int(d f + 0.5) goes up by one: in between depths do not change
        (blocks + 0.5) / depth
        for depth in network.depths
        for blocks in range(1, min(MAX_DEPTH, int(most * depth) + 1))
    }
    ordered = [[max(1, min(MAX_DEPTH, int(d * f + 0.5))) for d in network.depths] for f in sorted(factors)]
    return list(dict.fromkeys([(1,) * len(network.depths), *map(tuple, ordered)]))


def compound(network: Architecture, budget: Budget) -> Architecture | None:
    """Depth and width together, as 1.2 to 1.1 (Tan and Le 2019, section 3.3); width makes the rest."""
    from space.stage import MAX_DEPTH

    depth, width = COMPOUND
    middle = math.sqrt(budget.low * budget.high)
    # FLOPs go as depth and as the square of width
    steps = math.log(middle / _cost(network, budget)) / math.log(depth * width**2)
    depths = [max(1, min(MAX_DEPTH, round(one * depth**steps))) for one in network.depths]
    return width_only(with_shape(network, depths=depths), budget)
