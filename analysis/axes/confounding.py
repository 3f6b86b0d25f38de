"""Which axes of a design go together, so that no data of it can tell their effects apart.

Inside a cost band deeper networks are narrower, and a sampler concentrates: what such networks show of one
axis they show of those that go with it.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.axes.axes import Axis, axes_of
from space.errors import InputError
from space.words import listed

Floats = NDArray[np.float64]
Columns = Mapping[str, ArrayLike | Axis]

# an axis of whose variance the others explain so much (a variance inflation of 10) is tied to them
TIED_SHARE = 0.9


@dataclass(frozen=True)
class Tie:
    """How far the other axes determine an axis.

    `explained` is the adjusted R^2 (of a category: the largest of its contrasts) given all others; `by` are
    few that suffice for `TIED_SHARE`; `inflation` is the variance inflation factor 1 / (1 - explained).
    """

    axis: str
    explained: float
    by: tuple[str, ...]

    @property
    def inflation(self) -> float:
        """The variance inflation factor; infinite where the axis is a function of the others."""
        return math.inf if self.explained >= 1 else 1 / (1 - self.explained)

    @property
    def tied(self) -> bool:
        """Whether its effect cannot be told from that of `by`."""
        return self.explained >= TIED_SHARE


@dataclass(frozen=True)
class Confounding:
    """Which axes go together in a design. `groups` of axes cannot be told apart; costs belong to none.

    `pairs` are (axis, axis, association), the strongest first: |r|, the correlation ratio, or Cramer's V.
    `columns` and `rank` are of the design matrix: with a lower rank some effects are not defined.
    """

    networks: int
    columns: int
    rank: int
    ties: tuple[Tie, ...]
    pairs: tuple[tuple[str, str, float], ...]
    groups: tuple[tuple[str, ...], ...]

    def partners(self, axis: str) -> tuple[str, ...]:
        """The axes that one cannot be told apart from: those of its group, or what a cost is made up of."""
        for group in self.groups:
            if axis in group:
                return tuple(name for name in group if name != axis)
        return next((tie.by for tie in self.ties if tie.axis == axis and tie.tied), ())

    @property
    def text(self) -> list[str]:
        """What to say of it, a sentence each; none where all is well."""
        lines = []
        if self.networks <= self.columns:
            lines.append(
                f"{self.networks} networks for {self.columns} columns: too few to tell the axes apart"
            )
        for tie in self.ties:
            if tie.tied:
                how = "entirely" if tie.explained > 0.9999 else f"to {math.floor(100 * tie.explained)}%"
                lines.append(f"{tie.axis} is determined {how} by {listed(tie.by)} in these networks")
        lines += [
            f"{listed(group)} cannot be told apart: no claim is made on one of them alone"
            for group in self.groups
        ]
        return lines


def confounding(columns: Columns) -> Confounding:
    """How far the axes of a design, one value a network each, determine each other. Raises `InputError`."""
    axes = varying(columns)
    blocks = {name: block_of(axis) for name, axis in axes.items()}
    whole = stacked(blocks)
    ties = tuple(_tie(name, blocks) for name in axes)
    pairs = [(a, b, _association(axes[a], axes[b])) for a, b in itertools.combinations(axes, 2)]
    return Confounding(
        networks=len(whole),
        columns=whole.shape[1],
        rank=int(np.linalg.matrix_rank(whole)) if whole.size else 0,
        ties=ties,
        pairs=tuple(sorted(pairs, key=lambda pair: -pair[2])),
        groups=_groups([tie for tie in ties if tie.tied], axes),
    )


def varying(columns: Columns) -> dict[str, Axis]:
    """The axes that vary. Raises `InputError` where none does."""
    axes = {name: axis for name, axis in axes_of(columns).items() if axis.distinct > 1}
    if not axes:
        raise InputError("axes: none varies")
    return axes


def block_of(axis: Axis) -> Floats:
    """The columns of an axis in a linear model, each of mean 0: (n, 1), or (n, levels - 1)."""
    if axis.categorical:
        # without the first level: all of them add up to the constant
        block = np.eye(len(axis.levels))[axis.values.astype(int)][:, 1:]
    else:
        block = axis.scaled[:, None]
    block = block - block.mean(axis=0)
    # of one size, so that the tolerances of rank and basis mean the same for each
    return np.asarray(block / np.maximum(block.std(axis=0), 1e-12))


def stacked(blocks: Mapping[str, Floats], rows: int = 0) -> Floats:
    """Blocks side by side, (n, columns)."""
    return np.concatenate(list(blocks.values()), axis=1) if blocks else np.zeros((rows, 0))


def _tie(name: str, blocks: Mapping[str, Floats]) -> Tie:
    """Forward selection of the others, until they explain what ties an axis, or all that can be."""
    block, others = blocks[name], {other: b for other, b in blocks.items() if other != name}
    explained = _explained(block, stacked(others, len(block)))
    chosen: list[str] = []
    if explained >= TIED_SHARE:
        reached = 0.0
        while reached < TIED_SHARE and len(chosen) < len(others):
            gains = {
                other: _explained(block, stacked({k: others[k] for k in [*chosen, other]}))
                for other in others
                if other not in chosen
            }
            best = max(gains, key=lambda other: gains[other])
            chosen.append(best)
            reached = gains[best]
    return Tie(name, explained, tuple(chosen))


def _explained(block: Floats, others: Floats) -> float:
    """The largest squared canonical correlation with other columns, adjusted for their number."""
    n = len(block)
    basis = _basis(others)
    if not basis.shape[1]:
        return 0.0
    # singular values of the product of two orthonormal bases are the canonical correlations
    correlation = np.linalg.svd(_basis(block).T @ basis, compute_uv=False).max(initial=0.0)
    left = n - 1 - basis.shape[1]
    unexplained = 1 - min(float(correlation) ** 2, 1.0)
    # a function of the others, whatever rounding leaves of it
    if unexplained < 1e-9 and left > 0:
        return 1.0
    return max(0.0, 1 - unexplained * (n - 1) / left) if left > 0 else 0.0


def _basis(columns: Floats) -> Floats:
    """Orthonormal columns of the same span."""
    if not columns.size:
        return np.zeros((len(columns), 0))
    u, s, _ = np.linalg.svd(columns, full_matrices=False)
    return np.asarray(u[:, s > 1e-9 * max(s.max(), 1e-300)])


def _groups(ties: Sequence[Tie], axes: Mapping[str, Axis]) -> tuple[tuple[str, ...], ...]:
    """Axes tied to each other, gathered; a cost is what the others add up to, and is held fixed instead."""
    group = {name: {name} for name in axes}
    for tie in ties:
        members = [name for name in (tie.axis, *tie.by) if not axes[name].cost]
        if axes[tie.axis].cost or len(members) < 2:
            continue
        joined = set().union(*(group[name] for name in members))
        # invariant: all members of a group hold the same set
        for name in joined:
            group[name] = joined
    found = {id(members): members for members in group.values() if len(members) > 1}
    return tuple(tuple(name for name in axes if name in members) for members in found.values())


def _association(a: Axis, b: Axis) -> float:
    """|r| of numbers, the correlation ratio of a number and a category, bias-corrected Cramer's V of two.

    The last is Bergsma 2013's. All from 0 to 1.
    """
    if not a.categorical and not b.categorical:
        return float(abs(np.corrcoef(a.scaled, b.scaled)[0, 1]))
    if a.categorical != b.categorical:
        number, category = (b, a) if a.categorical else (a, b)
        return math.sqrt(_explained(number.scaled[:, None] - number.scaled.mean(), block_of(category)))
    table = np.zeros((len(a.levels), len(b.levels)))
    np.add.at(table, (a.values.astype(int), b.values.astype(int)), 1)
    n, (rows, columns) = table.sum(), table.shape
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / n
    phi = float(((table - expected) ** 2 / expected).sum()) / n
    # phi is above 0 by chance, the more the larger the table: so much is taken off
    corrected = max(0.0, phi - (rows - 1) * (columns - 1) / (n - 1))
    smaller = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1))
    return min(1.0, math.sqrt(corrected / (smaller - 1))) if smaller > 1 else 1.0
