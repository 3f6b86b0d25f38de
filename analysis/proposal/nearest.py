"""The network of a budget that is nearest to the wishes: of a design space, or of any depths and widths."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from analysis.proposal.rules import SHAPE_FIELDS, width_only, with_shape
from analysis.proposal.wishes import LEAST_TOLERANCE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from analysis.proposal.wishes import Wish
    from space.architecture import Architecture
    from space.band import BandSampler
    from space.budget import Budget
    from space.columns import Columns
    from space.design_space import DesignSpace

    Floats = NDArray[np.float64]

DRAWS, ROUNDS, ELITE = 10_000, 4, 40  # of the cross-entropy method below: chosen, not measured
STAGE_TOLERANCE = 0.5  # octaves by which a stage may differ from how the best network spreads its blocks
# from the wished number of blocks: densely to 2 octaves, and so far that the width can make any cost
DEPTH_OCTAVES = (*(step / 6 for step in range(-12, 13)), -4, -3.5, -3, -2.5, 2.5, 3, 3.5, 4, 4.5, 5)


def nearest_in(band: BandSampler, wanted: Mapping[str, Wish], best: Architecture) -> Architecture:
    """The nearest network of a space's band that was met; it is in the band, as all that are drawn are.

    Cross-entropy search (Rubinstein 1999): draw uniformly in the band, keep the outcomes that the nearest
    have, draw again among them. Settings without an order are the best network's, where the band has such.
    """
    import numpy as np

    allowed = _settings_of(band.space, best)
    # no network in the band has these settings: any will do
    if band.count_allowed(allowed) == 0:
        allowed = {}
    rng = np.random.default_rng(0)
    codes = band.sample_codes(DRAWS, rng, allowed)
    for _ in range(ROUNDS):
        codes = np.unique(codes, axis=0)
        far = distance(band.space.columns(codes), len(codes), wanted, best)
        codes = codes[np.argsort(far, kind="stable")[:ELITE]]
        # each factor's outcomes among the nearest, in any combination: draws stay uniform, and in the band
        near = {f: np.unique(codes[:, f]).tolist() for f in range(codes.shape[1])}
        codes = np.concatenate([codes, band.sample_codes(DRAWS, rng, near)])
    far = distance(band.space.columns(codes), len(codes), wanted, best)
    return band.space.build(codes[int(far.argmin())])


def nearest_free(budget: Budget, wanted: Mapping[str, Wish], best: Architecture) -> Architecture | None:
    """The nearest network of any depths and widths in the band; None where there is none.

    Blocks are shared out by the wished stage ratio, and for each number of them the width makes the cost.
    """
    from space.columns import columns_of

    kernels, expansions = _kernels(wanted, best), _expansions(wanted, best)
    start = with_shape(best, kernels=kernels, expansions=expansions)
    made: dict[str, Architecture] = {}
    for depths in _depth_choices(wanted, best):
        network = width_only(with_shape(start, depths=depths), budget)
        if network is not None:
            made[network.fingerprint] = network
    if not made:
        return None
    networks = list(made.values())
    far = distance(columns_of(networks), len(networks), wanted, best)
    return networks[int(far.argmin())]


def distance(columns: Columns, count: int, wanted: Mapping[str, Wish], best: Architecture) -> Floats:
    """How far `count` networks are from the wishes, in squared tolerances: (count,).

    What the wishes leave open, how depth, width, kernel size and expansion are spread over the stages, is to
    be as in the best network.
    """
    import numpy as np

    from analysis.isoflop.sample import dimensions
    from space.columns import columns_of

    found = dimensions(columns, count)
    total = np.zeros(count)
    for name, wish in wanted.items():
        if name in found:
            total += ((found[name] - math.log2(wish.value)) / wish.tolerance) ** 2
    own, theirs = _spread(columns_of([best]), 1), _spread(columns, count)
    if own.shape[1:] == theirs.shape[1:]:
        total += (((theirs - own) / STAGE_TOLERANCE) ** 2).mean(axis=(1, 2))
    return total


def _spread(columns: Columns, count: int) -> Floats:
    """Octaves of each stage's depth, width, kernel size and expansion over their mean, (count, 4, stages)."""
    import numpy as np

    fields = [
        np.stack([np.broadcast_to(getattr(stage, name), count) for stage in columns.stages], axis=1)
        for name in ("depth", "width", "kernel_size", "hidden")
    ]
    logs = np.log2(np.maximum(np.stack(fields, axis=1), 1).astype(np.float64))
    # hidden over width: the expansion
    logs[:, 3] -= logs[:, 1]
    return np.asarray(logs - logs.mean(axis=2, keepdims=True))


def _settings_of(space: DesignSpace, network: Architecture) -> dict[int, list[int]]:
    """Of factors that set no dimension, the outcomes that are the network's."""
    from space.factors import NETWORK

    if len(network.stages) != len(space.base.stages):
        return {}
    allowed = {}
    for f, factor in enumerate(space.factors):
        if any(name in SHAPE_FIELDS for _, name in factor.targets):
            continue
        own = []
        for i, name in factor.targets:
            holder: Any = network if i == NETWORK else network.stages[i]
            own.append(getattr(holder.stem, name[5:]) if name.startswith("stem.") else getattr(holder, name))
        same = [k for k, outcome in enumerate(factor.outcomes) if outcome == tuple(own)]
        if same:
            allowed[f] = same
    return allowed


def _depth_choices(wanted: Mapping[str, Wish], best: Architecture) -> Iterator[tuple[int, ...]]:
    """Depths around the wished number of blocks, the long stage as wished."""
    from space.stage import MAX_DEPTH

    depths = [float(depth) for depth in best.depths]
    if "stage_ratio" in wanted and len(depths) > 1:
        others = [depth for i, depth in enumerate(depths) if i != len(depths) - 2]
        depths[-2] = wanted["stage_ratio"].value * math.prod(others) ** (1 / len(others))
    total = wanted["depth"].value
    seen = set()
    for octaves in DEPTH_OCTAVES:
        factor = total * 2**octaves / sum(depths)
        chosen = tuple(max(1, min(MAX_DEPTH, round(depth * factor))) for depth in depths)
        if chosen not in seen:
            seen.add(chosen)
            yield chosen


def _kernels(wanted: Mapping[str, Wish], best: Architecture) -> list[int]:
    """The best network's, moved to the wished mean: odd numbers."""
    from space.stage import MAX_KERNEL

    sizes = [stage.kernel_size for stage in best.stages]
    factor = wanted["kernel_size"].value / math.prod(sizes) ** (1 / len(sizes))
    if abs(math.log2(factor)) < LEAST_TOLERANCE:
        return sizes
    return [max(1, min(MAX_KERNEL, 2 * round((size * factor - 1) / 2) + 1)) for size in sizes]


def _expansions(wanted: Mapping[str, Wish], best: Architecture) -> list[float]:
    """The best network's, moved to the wished mean: halves."""
    own = [float(stage.expansion) for stage in best.stages]
    factor = wanted["expansion"].value / math.prod(own) ** (1 / len(own))
    if abs(math.log2(factor)) < LEAST_TOLERANCE:
        return [stage.expansion for stage in best.stages]
    return [max(0.5, round(2 * value * factor) / 2) for value in own]
