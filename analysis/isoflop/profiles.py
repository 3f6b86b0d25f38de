"""Where the best depth, width, expansion, kernel size and stage ratio of each budget lie, and how they move.

    found = profiles(sample_of(study))
    found.optima["depth"][0].answer      of the smallest budget: an `Estimate`, or `NotIdentified` and why
    found.rules["depth"].exponent        s of x*(F) = a F^s, over the budgets

At each budget a parabola in log2(dimension) is fitted to the error of its networks, and its lowest point is
the optimum (IsoFLOP profiles: Hoffmann et al. 2022, "Training compute-optimal large language models", section
3.2; for shapes of networks: Alabdulmohsin et al. 2023, "Getting ViT in shape"). Other settings that the
networks differ in enter the fit side by side, their effects shared by the budgets; at equal cost more depth
means less width, so for these two the other one gives way. Where the parabola has no lowest point, the
settings of the best networks are resampled (empirical bootstrap: Radosavovic et al. 2020, section 3.1).

Intervals are percentiles of a bootstrap by network through every step, the power law included (coverage:
tests/benchmarks/isoflop.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from analysis.isoflop.optima import LEVEL, Optimum, optima_of, resampled
from analysis.isoflop.power_law import PowerLaw, power_law
from analysis.isoflop.sample import Floats, Sample
from space.errors import InputError

RESAMPLES = 1000


@dataclass(frozen=True)
class Profiles:
    """By dimension: the optimum of each group, the power law over them, and the adjusted errors, (n,)."""

    sample: Sample
    optima: Mapping[str, tuple[Optimum, ...]]
    rules: Mapping[str, PowerLaw]
    adjusted: Mapping[str, Floats] = field(repr=False)
    level: float = LEVEL


def profiles(sample: Sample, *, level: float = LEVEL, resamples: int = RESAMPLES) -> Profiles:
    """Optima of every dimension at every budget, and how they move; intervals at `level`.

    Raises `InputError` for a level or a number of resamples that makes no interval.
    """
    if not 0 < level < 1 or resamples < 20:
        raise InputError(
            f"isoflop: level {level} and {resamples} resamples; between 0 and 1, and at least 20"
        )
    counts = resampled(sample.group, resamples, seed=0)
    optima, adjusted = {}, {}
    for name in sample.dimensions:
        optima[name], adjusted[name] = optima_of(sample, name, counts, level)
    rules = {name: power_law(name, found, level) for name, found in optima.items()}
    return Profiles(sample, optima, rules, adjusted, level)
