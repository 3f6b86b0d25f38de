"""What claims on axes rest on: checked rows of networks, bootstraps by network, intervals and verdicts.

Rows of one network are no independent evidence, so a bootstrap draws them together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.axes.axes import Axis, axes_of
from analysis.axes.confounding import Columns, Floats, varying
from nas.verdict.difference import student
from space.errors import InputError

Ids = NDArray[np.intp]

LEVEL = 0.90
FEWEST = 20  # networks below which nothing is fitted
MATTERS, TIED = "matters", "cannot be told apart"

EFFECTS = "effects"
# networks that are used at most, drawn at random: more changes intervals that are narrow already
MOST = {"PED-ANOVA": 1000, "fANOVA": 200, "permutation": 1000, EFFECTS: 2000}


@dataclass(frozen=True)
class Interval:
    """A number with its interval; the ends are infinite where nothing tells the noise."""

    value: float
    low: float
    high: float


def checked_rows(
    columns: Columns, accuracy: ArrayLike, networks: Sequence[str] | None
) -> tuple[dict[str, Axis], Floats, Ids]:
    """The axes that vary, the accuracies (n,), and a number for each network (n,). Raises `InputError`."""
    axes, y = axes_of(columns), np.asarray(accuracy, dtype=np.float64)
    rows = len(next(iter(axes.values())).values)
    if y.shape != (rows,) or not np.isfinite(y).all():
        raise InputError(f"accuracy of shape {y.shape} must be {rows} finite numbers, one a row of the axes")
    names = np.arange(rows).astype(str) if networks is None else np.asarray(networks)
    if names.shape != (rows,):
        raise InputError(f"networks of shape {names.shape} must be {rows} ids, one a row of the axes")
    ids = _dense(names)
    count = int(ids.max()) + 1
    if count < FEWEST:
        raise InputError(f"{count} networks: importance needs at least {FEWEST}")
    if np.ptp(y) == 0:
        raise InputError("accuracy: is the same for all networks; there is nothing to explain")
    return varying(axes), y, ids


def _dense(ids: NDArray[Any]) -> Ids:
    """Ids as 0, 1, ..."""
    return np.unique(ids, return_inverse=True)[1]


def some_rows(count: int, most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """All of `count` rows, or `most` of them drawn at random, in their order."""
    return np.arange(count) if count <= most else np.sort(rng.choice(count, most, replace=False))


def at_most(
    most: int, axes: Mapping[str, Axis], y: Floats, ids: Ids, rng: np.random.Generator
) -> tuple[dict[str, Axis], Floats, Ids]:
    """What `checked_rows` returns, cut to `most` rows at random."""
    rows = some_rows(len(y), most, rng)
    return {name: axis.take(rows) for name, axis in axes.items()}, y[rows], _dense(ids[rows])


def half_width(error: float, freedom: float, level: float, tests: int = 1) -> float:
    """Half an interval by Student's t; of several tests each gets its part of the error."""
    return student(freedom, 1 - (1 - level) / tests) * error


def bootstrap_weights(ids: Ids, count: int, rng: np.random.Generator) -> Floats:
    """How often each row is in each bootstrap sample of networks, (count, n)."""
    groups = int(ids.max()) + 1
    # counts in place of drawn rows: a weighted fit needs no copies
    drawn = rng.multinomial(groups, np.full(groups, 1 / groups), size=count)
    return np.asarray(drawn[:, ids], dtype=np.float64)
