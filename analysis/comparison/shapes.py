"""What a network's shape goes with: at equal FLOPs with accuracy, and with FLOPs within a family."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparison.families import ACTIVATIONS, PARAMS, CostAxis, ResultPlane, Side
from analysis.comparison.published import PUBLISHED_LEVEL
from analysis.laws.answer import FACTOR, Answer, Estimate, NotIdentified
from analysis.laws.law import Floats
from analysis.points.printed import PublishedPoint
from nas.verdict.difference import UNCLEAR, Difference, student
from space.words import plural

DEPTH = CostAxis("depth", "blocks", lambda point: getattr(point, "depth", math.nan))
SHAPES = (PARAMS, ACTIVATIONS, DEPTH)
WORDS = {"params": "parameters", "activations": "activations", "depth": "depth"}
FEWEST_LEFT = 6  # networks more than the parameters of the fit
OWN_SLOPE = 4  # networks of a family that has a slope of its own
MANY = 10  # families: from here on they are the sample, not their networks
LEAST_SPREAD = 0.05  # octaves by which a shape varies at equal FLOPs, or nothing can be seen of it
LEAST_SPAN = 1.5  # a factor in FLOPs that a family has to cover


@dataclass(frozen=True)
class ShapeEffect:
    """Points of top-1 that go with a doubling of a shape at equal FLOPs, over a plane's families.

    `difference` is None where `reason` says why.
    """

    shape: CostAxis
    difference: Difference | None
    networks: int
    families: int
    reason: str = ""


def effects(plane: ResultPlane) -> Iterator[ShapeEffect]:
    """Of each shape that two networks of a family or more have.

    Least squares of top-1 on the logarithm of the shape, beside what FLOPs give: a curve of the third degree
    in their logarithm, with a level of each family and a slope of those that have four networks. What else
    comes along with the shape in these families is in the effect. From ten families on the variance is
    clustered by family (Bell and McCaffrey 2002), else that of the residuals; Student's t.
    """
    for shape in SHAPES:
        known = [_once(side, shape) for side in plane.sides.values()]
        kept = [points for points in known if len(points) > 1]
        if kept:
            yield _effect(shape, kept)


def _once(side: Side, shape: CostAxis) -> list[tuple[float, float, float]]:
    """log2 of FLOPs and shape, and top-1, of each network of known shape: the mean of its seeds."""
    found: dict[str, list[PublishedPoint]] = {}
    for point in side.known(shape):
        if shape.of(point) > 0:
            found.setdefault(point.name, []).append(point)
    return [
        (math.log2(own[0].gflops), math.log2(shape.of(own[0])), sum(p.top1 for p in own) / len(own))
        for own in found.values()
    ]


def _effect(shape: CostAxis, families: Sequence[Sequence[tuple[float, float, float]]]) -> ShapeEffect:
    family = np.repeat(np.arange(len(families)), [len(own) for own in families])
    x, s, y = np.array([row for own in families for row in own]).T
    beside = _beside(x, family)
    # what is left of shape and accuracy at equal FLOPs (Frisch and Waugh 1933)
    basis = _basis(beside)
    s_left, y_left = (values - basis @ (basis.T @ values) for values in (s, y))
    freedom = y.size - basis.shape[1] - 1
    counts = (y.size, len(families))
    if freedom < FEWEST_LEFT:
        return ShapeEffect(shape, None, *counts, f"{y.size} networks for {basis.shape[1] + 1} parameters")
    spread = float(np.sqrt(s_left @ s_left / (freedom + 1)))
    if spread < LEAST_SPREAD:
        return ShapeEffect(shape, None, *counts, "it hardly varies at equal FLOPs")
    slope = float(s_left @ y_left / (s_left @ s_left))
    pull = s_left * (y_left - slope * s_left)
    if len(families) >= MANY:
        sums = np.bincount(family, pull)
        # a family of much of the weight draws the fit to itself: its sum is that much too small
        weight = np.bincount(family, s_left**2) / float(s_left @ s_left)
        variance = float(np.sum(sums**2 / np.maximum(1 - weight, 0.1))) / float(s_left @ s_left) ** 2
        freedom = max(1.0, 1 / float(weight @ weight) - 1)  # families, were all of one weight
    else:
        rest = y_left - slope * s_left
        variance = float(rest @ rest) / freedom / float(s_left @ s_left)
    reach = student(freedom, PUBLISHED_LEVEL) * math.sqrt(variance)
    return ShapeEffect(shape, Difference(slope, slope - reach, slope + reach), *counts)


def _beside(x: Floats, family: np.ndarray) -> Floats:
    """Columns of what FLOPs and family give, (n, k)."""
    centred = x - x.mean()
    counts = Counter(family.tolist())
    own = [family == one for one in counts]
    slopes = [centred * (family == one) for one, count in counts.items() if count >= OWN_SLOPE]
    return np.stack([*own, *slopes, centred, centred**2, centred**3], axis=1).astype(np.float64)


def _basis(columns: Floats) -> Floats:
    """Orthonormal, of the space that the columns span."""
    lengths = np.linalg.norm(columns, axis=0)
    there = lengths > 1e-12 * lengths.max()  # networks of one cost have no slope
    basis, sizes, _ = np.linalg.svd(columns[:, there] / lengths[there], full_matrices=False)
    return np.asarray(basis[:, sizes > 1e-9 * sizes[0]])


def exponents(side: Side) -> Iterator[tuple[CostAxis, Answer]]:
    """How each shape grows with FLOPs in a family: s of shape = k FLOPs^s, with its interval."""
    for shape in SHAPES:
        rows = _once(side, shape)
        if len(rows) >= OWN_SLOPE:
            x, s, _ = np.array(rows).T
            yield shape, _exponent(x, s)


def _exponent(x: Floats, s: Floats) -> Answer:
    span = float(np.ptp(x))
    if span < math.log2(LEAST_SPAN):
        return NotIdentified("its networks cost about the same", -math.inf, math.inf)
    centred = x - x.mean()
    slope = float(centred @ s / (centred @ centred))
    rest = s - s.mean() - slope * centred
    freedom = x.size - 2
    reach = student(freedom, PUBLISHED_LEVEL) * math.sqrt(
        float(rest @ rest) / freedom / float(centred @ centred)
    )
    low, high = slope - reach, slope + reach
    # judged by what it says of a size over the family's costs, as the exponents of a study are
    if (high - low) * span > math.log2(FACTOR):
        return NotIdentified(
            f"the interval {low:.2g} to {high:.2g} leaves a factor over {FACTOR:g}", low, high
        )
    return Estimate(slope, low, high)


def effect_words(effect: ShapeEffect) -> str:
    """What goes with a doubling, in a sentence."""
    over = f"{plural(effect.networks, 'network')} of {plural(effect.families, 'family', 'families')}"
    start = f"At equal FLOPs, over {over}, twice the {WORDS[effect.shape.key]}"
    d = effect.difference
    if d is None:
        return f"{start}: not identified: {effect.reason}."
    unclear = "; not distinguishable from none" if d.verdict == UNCLEAR else ""
    return f"{start} goes with {d.value:+.1f} points of top-1 ({d.low:+.1f} to {d.high:+.1f}{unclear})."


def exponent_words(family: str, grown: Sequence[tuple[CostAxis, Answer]]) -> str:
    """The exponents of a family in a sentence; empty where there are none."""
    if not grown:
        return ""
    return (
        f"{family} with FLOPs^s: "
        + "; ".join(f"{WORDS[cost.key]} s = {answer}" for cost, answer in grown)
        + "."
    )
