"""Fractal images made on the spot: every class is an iterated function system.

After FractalDB (Kataoka et al. 2020, "Pre-training without natural images", section 3).
A class is 2 to 8 affine maps; its images are chaos games of perturbed maps, drawn with random colours,
rotation, scale and position, so that only the shape tells the class. Pixels use nothing but additions,
multiplications, divisions and square roots in float64, which IEEE 754 fixes, and raw bits of a fixed
generator: every machine makes the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas.data.sources.subset import shuffled, uniform

if TYPE_CHECKING:
    from nas.data.sources.source import Request

VERSION = 2
CLASSES = 10
MAX_MAPS = 8
BURN_IN = 16  # points on the way to the attractor, which are not drawn
CHUNK = 256
MIN_FILL, MAX_FILL = 0.2, 0.7  # share of pixels that a class must touch, at CATEGORY_SIDE
CATEGORY_SIDE = 32
PERTURBATION = 0.2  # of every parameter, as FractalDB's weights .8 to 1.2
TRAIN, VAL, CATEGORY = 1, 2, 3  # streams of random numbers

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class System:
    """Maps p -> matrix p + shift: `matrices` [M, 2, 2], `shifts` [M, 2], `cumulative` weights [M]."""

    matrices: Floats
    shifts: Floats
    cumulative: Floats


class Fractal:
    """`num_classes` systems (10 unless asked), as many images as asked for (default 4000 and 1000)."""

    def __init__(self, request: Request) -> None:
        self.num_classes = CLASSES if request.num_classes is None else request.num_classes
        self.classes: tuple[str, ...] | None = None
        self.read = ""
        self.sizes = {
            "train": 4000 if request.train_size is None else request.train_size,
            "val": 1000 if request.val_size is None else request.val_size,
        }
        self.seed = request.seed

    def identity(self) -> dict[str, Any]:
        """The seed draws classes and images."""
        return {"data": "fractal", "fractal": VERSION, "num_classes": self.num_classes, "seed": self.seed}

    def fill(self, split: str, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Draws a split; image i is of class i modulo the classes, in shuffled order."""
        stream = TRAIN if split == "train" else VAL
        order = shuffled((self.seed, stream), len(labels))
        labels[:] = order % self.num_classes
        for c, system in enumerate(categories(self.num_classes, self.seed)):
            own = np.flatnonzero(labels == c)
            for start in range(0, len(own), CHUNK):
                part = own[start : start + CHUNK]
                images[part] = draw(system, len(part), images.shape[1], (self.seed, stream, c, start))


def categories(count: int, seed: int) -> list[System]:
    """`count` systems, each the first of its stream whose filling rate is neither thin nor solid."""
    return [_category((seed, CATEGORY, c)) for c in range(count)]


def _category(stream: tuple[int, ...]) -> System:
    attempt = 0
    while True:
        system = random_system((*stream, attempt))
        one = System(system.matrices[None], system.shifts[None], system.cumulative)
        points, _ = chaos_game(one, 1000, (*stream, attempt, 1))
        if MIN_FILL <= filling_rate(points[0]) <= MAX_FILL:
            return system
        attempt += 1


def random_system(stream: tuple[int, ...]) -> System:
    """2 to 8 maps with uniform parameters, each matrix scaled to a Frobenius norm of .5 to .95.

    The Frobenius norm bounds the spectral one, so every map contracts, perturbed by a twentieth or not.
    """
    draws = uniform(stream, (MAX_MAPS + 1, 7))
    count = 2 + int(draws[-1, 0] * (MAX_MAPS - 1))
    raw = 2 * draws[:count] - 1
    # written out: a sum over an axis may add in another order on another machine
    norm = np.sqrt(raw[:, 0] ** 2 + raw[:, 1] ** 2 + raw[:, 2] ** 2 + raw[:, 3] ** 2)
    scale = 0.5 + 0.45 * draws[:count, 6]
    matrices = (raw[:, :4] / norm[:, None] * scale[:, None]).reshape(count, 2, 2)
    determinant = matrices[:, 0, 0] * matrices[:, 1, 1] - matrices[:, 0, 1] * matrices[:, 1, 0]
    weights = np.cumsum(np.abs(determinant) + 0.05)  # area draws points; no map is left out
    return System(matrices, raw[:, 4:6], weights / weights[-1])


def chaos_game(systems: System, steps: int, stream: tuple[int, ...]) -> tuple[Floats, NDArray[np.int64]]:
    """Points [N, steps, 2] of N games and the map [N, steps] that led to each; all games at once."""
    count = len(systems.shifts)
    picks = np.searchsorted(systems.cumulative, uniform(stream, (BURN_IN + steps, count)), side="right")
    rows = np.arange(count)
    x, y = np.zeros(count), np.zeros(count)
    points = np.empty((steps, 2, count))
    for step, pick in enumerate(picks):
        m, s = systems.matrices[rows, pick], systems.shifts[rows, pick]
        x, y = m[:, 0, 0] * x + m[:, 0, 1] * y + s[:, 0], m[:, 1, 0] * x + m[:, 1, 1] * y + s[:, 1]
        if step >= BURN_IN:
            points[step - BURN_IN] = x, y
    return points.transpose(2, 0, 1), picks[BURN_IN:].T


def filling_rate(points: Floats) -> float:
    """Share of a CATEGORY_SIDE square's pixels that the points [steps, 2], fitted into it, touch."""
    low, high = points.min(0), points.max(0)
    cells = ((points - low) / (high - low + 1e-9) * (CATEGORY_SIDE - 1e-6)).astype(np.int64)
    return len(np.unique(cells[:, 0] * CATEGORY_SIDE + cells[:, 1])) / CATEGORY_SIDE**2


def draw(system: System, count: int, side: int, stream: tuple[int, ...]) -> NDArray[np.uint8]:
    """`count` images [count, side, side, 3] of one class."""
    maps = len(system.shifts)
    jitter = 1 + PERTURBATION * (2 * uniform((*stream, 0), (count, maps, 6)) - 1)
    jitter[:, :, :4] = 1 + (jitter[:, :, :4] - 1) / 4  # keeps every map contracting
    systems = System(
        system.matrices * jitter[:, :, :4].reshape(count, maps, 2, 2),
        system.shifts * jitter[:, :, 4:],
        system.cumulative,
    )
    points, picks = chaos_game(systems, side * side, (*stream, 1))
    cells = place(points, side, (*stream, 2))
    return paint(cells, picks, side, (*stream, 3))


def place(points: Floats, side: int, stream: tuple[int, ...]) -> NDArray[np.int64]:
    """Fits, turns, scales and moves the points of each image; the pixel [N, steps] of each point."""
    count = len(points)
    u = uniform(stream, (count, 4))
    low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
    centred = (points - (low + high) / 2) / ((high - low).max(2, keepdims=True) + 1e-9)
    half = 0.35 * (2 * u[:, :1] - 1)  # tangent of half the angle, up to 39 degrees: no sine needed
    cosine, sine = (1 - half**2) / (1 + half**2), 2 * half / (1 + half**2)
    scale, shift = 0.7 + 0.3 * u[:, 1:2], 0.2 * (u[:, 2:] - 0.5)
    x = (cosine * centred[:, :, 0] - sine * centred[:, :, 1]) * scale + shift[:, :1]
    y = (sine * centred[:, :, 0] + cosine * centred[:, :, 1]) * scale + shift[:, 1:]
    column = np.clip(((x + 0.5) * side).astype(np.int64), 0, side - 1)
    row = np.clip(((y + 0.5) * side).astype(np.int64), 0, side - 1)
    cells: NDArray[np.int64] = row * side + column
    return cells


def paint(
    cells: NDArray[np.int64], picks: NDArray[np.int64], side: int, stream: tuple[int, ...]
) -> NDArray[np.uint8]:
    """Each map in a random colour on a graded, noisy ground: [N, side, side, 3]."""
    count = len(cells)
    u = uniform(stream, (count, MAX_MAPS + 3, 3))
    palette, ground, slope = u[:, :MAX_MAPS], 0.4 * u[:, -3], 0.4 * (u[:, -2:] - 0.5)
    ramp = np.arange(side) / side - 0.5
    canvas = (
        ground[:, None, None]
        + ramp[:, None, None] * slope[:, 0][:, None, None]
        + ramp[:, None] * slope[:, 1][:, None, None]
    )
    flat = canvas.reshape(count, side * side, 3)
    rows = np.arange(count)
    for step in range(cells.shape[1]):  # later points lie on top, as they do in a drawing
        flat[rows, cells[:, step]] = 0.4 + 0.6 * palette[rows, picks[:, step]]
    noise = 0.2 * (uniform((*stream, 4), canvas.shape) - 0.5)
    return (np.clip(flat.reshape(canvas.shape) + noise, 0, 1) * 255).astype(np.uint8)
