"""Samples of any origin: simulated networks, with the dimensions that their errors follow."""

import numpy as np

from analysis.isoflop.sample import Group, Sample


def sample_from(cost, error, group, dimensions, *, seeds=None, seed_variance=None, categories=None):
    """All (n,); `group` numbers 0 .. groups - 1, `dimensions` are positive values."""
    costs, index = np.asarray(cost, dtype=float), np.asarray(group, dtype=np.int64)
    groups = tuple(
        Group(f"group {g + 1}", float(np.exp(np.log(costs[index == g]).mean())), int((index == g).sum()))
        for g in range(int(index.max()) + 1)
    )
    return Sample(
        networks=(),
        groups=groups,
        group=index,
        cost=costs,
        error=np.asarray(error, dtype=float),
        seeds=np.ones(costs.size) if seeds is None else np.asarray(seeds, dtype=float),
        dimensions={name: np.log2(np.asarray(values, dtype=float)) for name, values in dimensions.items()},
        categories=np.zeros((costs.size, 0)) if categories is None else np.asarray(categories, dtype=float),
        seed_variance=seed_variance,
    )
