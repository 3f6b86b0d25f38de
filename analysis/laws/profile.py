"""The region of parameters that data allow: profile likelihood, and the ranges that follow from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import special  # type: ignore[import-untyped]

from analysis.laws.law import Floats
from analysis.laws.problem import GRID_POINTS, LeastLoss, Problem, project, shape_grid
from nas.verdict.difference import student


@dataclass(frozen=True)
class Region:
    """The non-linear parameters at which the fit is not significantly worse: `shapes` (e, k)."""

    shapes: Floats
    error: Floats
    most: float


def _allowance(problem: Problem, least: float, level: float) -> float:
    """How far the weighted squares may rise above their least (Bates and Watts 1988, section 6.1).

    F for an estimated noise, so that few networks get wider intervals; chi-squared for a known one.
    """
    freedom = problem.error.size - len(problem.law.parameters)
    if problem.noise_known:
        return float(special.ndtri(0.5 + level / 2)) ** 2 * problem.loss.variance
    # t squared is F of one and `freedom` degrees
    return student(freedom, level) ** 2 * least / freedom


def region_of(problem: Problem, optimum: LeastLoss, level: float) -> Region:
    """Zoom a grid onto the region below the allowance, and add where its edges cross it."""
    law = problem.law
    _, least = project(law, problem.logs, optimum.shape[None], optimum.pseudo, problem.weight)
    most = float(least[0]) + _allowance(problem, float(least[0]), level)
    limits = np.array(law.axes)
    box, points = limits.copy(), GRID_POINTS[len(law.axes)]
    # invariant: the region lies in the box, which is cut to it and a grid step more until it fills most of it
    for _ in range(12):
        shapes = shape_grid([(low, high) for low, high in box], points)
        _, loss = project(law, problem.logs, shapes, optimum.pseudo, problem.weight)
        inside = np.vstack([shapes[loss <= most], optimum.shape[None]])
        step = (box[:, 1] - box[:, 0])[:, None] / (points - 1)
        tight = np.stack([inside.min(axis=0), inside.max(axis=0)], axis=1) + step * [-1, 1]
        tight = np.clip(tight, limits[:, :1], limits[:, 1:])
        if ((tight[:, 1] - tight[:, 0]) > 0.6 * (box[:, 1] - box[:, 0])).all():
            break
        box = tight
    edges = _crossings(shapes, loss, most, points)
    return Region(np.vstack([inside, edges]), optimum.pseudo, most)


def _crossings(shapes: Floats, loss: Floats, most: float, points: int) -> Floats:
    """Where the profile along each axis crosses `most`, by interpolation; shape (m, k)."""
    axes = shapes.shape[1]
    cube = loss.reshape((points,) * axes)
    found = []
    for axis in range(axes):
        flat = np.moveaxis(cube, axis, 0).reshape(points, -1)
        indices = np.moveaxis(np.arange(len(shapes)).reshape(cube.shape), axis, 0).reshape(points, -1)
        # the best point of each slice across the axis: its profile
        place = indices[np.arange(points), flat.argmin(axis=1)]
        profile = loss[place]
        for here, there in pairwise(range(points)):
            inner, outer = (here, there) if profile[here] <= most else (there, here)
            if profile[inner] <= most < profile[outer] < np.inf:
                part = (most - profile[inner]) / (profile[outer] - profile[inner])
                found.append(shapes[place[inner]] * (1 - part) + shapes[place[outer]] * part)
    return np.array(found).reshape(-1, axes)


def corners_of(
    region: Region, problem: Problem, direction: Floats | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Extreme linear parameters (e, m, j) the allowance leaves at each shape, and which of them exist.

    With two of them: the extremes of each and of `direction` (e, 2) on the ellipse, and its cuts with the
    bounds at 0; a linear function is largest at one of these.
    """
    law, weight = problem.law, problem.weight
    linear, loss = project(law, problem.logs, region.shapes, region.error, weight, bounded=False)
    slack = np.maximum(region.most - loss, 0)
    _, basis = law.terms(problem.logs, region.shapes)
    if len(basis) == 1:
        reach = np.sqrt(slack / np.sum(weight * basis[0] ** 2, -1))
        ends = np.stack([linear[:, 0] - reach, linear[:, 0] + reach], axis=1)
        ends = np.clip(ends, 0, law.guess_error)[..., None]
        return ends, np.ones(ends.shape[:2], dtype=bool)
    z = basis[1]
    total, cross, square = weight.sum(), np.sum(weight * z, -1), np.sum(weight * z * z, -1)
    # u'x on the ellipse (x - m)'A(x - m) <= slack is extreme at m +- A^-1 u sqrt(slack / u'A^-1 u)
    determinant = np.maximum(total * square - cross**2, np.finfo(float).tiny)
    units = [np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])] + ([] if direction is None else [direction])
    found = []
    for unit in units:
        tilt = np.stack(
            [unit[:, 0] * square - unit[:, 1] * cross, unit[:, 1] * total - unit[:, 0] * cross], axis=-1
        )
        tilt = tilt / determinant[:, None]
        length = np.sqrt(slack / np.maximum(np.sum(tilt * unit, -1), np.finfo(float).tiny))
        found += [linear - tilt * length[:, None], linear + tilt * length[:, None]]
    on_ellipse = np.stack(found, axis=1)
    cuts, exist = _cuts(region, weight, z)
    corners = np.concatenate([on_ellipse, cuts], axis=1)
    allowed = np.concatenate([(on_ellipse >= 0).all(-1), exist], axis=1)
    return corners, allowed


def _cuts(region: Region, weight: Floats, z: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Where the ellipse of (a, b) meets a = 0 and b = 0: shape (e, 4, 2), and which of them exist."""
    y, corners, exist = region.error, [], []
    # on a bound only one column is left: a fit of one parameter, with what it leaves of the allowance
    for i, column in enumerate((np.ones_like(z), z)):
        square = np.sum(weight * column**2, -1)
        middle = np.sum(weight * column * y, -1) / square
        slack = region.most - np.sum(weight * (y - middle[:, None] * column) ** 2, -1)
        reach = np.sqrt(np.maximum(slack, 0) / square)
        for end in (middle - reach, middle + reach):
            corner = np.zeros((len(z), 2))
            corner[:, i] = end
            corners.append(corner)
            exist.append((slack >= 0) & (end >= 0))
    return np.stack(corners, axis=1), np.stack(exist, axis=1)


def parameter_ranges(
    region: Region, problem: Problem, values: Mapping[str, float]
) -> dict[str, tuple[float, float]]:
    """Least and largest value of each parameter in the region, by name."""
    linear, allowed = corners_of(region, problem)
    with np.errstate(over="ignore", invalid="ignore"):
        named = problem.law.named(region.shapes[:, None, :], linear, problem.log_unit)
    reached = {name: np.where(allowed, named[name], np.nan) for name in values}
    return {name: range_of(reached[name], value) for name, value in values.items()}


def range_of(values: Floats, value: float) -> tuple[float, float]:
    """Least and largest that exists; the optimum always does."""
    known = np.append(values[~np.isnan(values)], value)
    return float(known.min()), float(known.max())
