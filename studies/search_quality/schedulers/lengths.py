"""What `auto` adds to random search in searches of several lengths, under the five laws.

    python -m studies.search_quality.schedulers.lengths [SEARCHES]

prints the mean difference of regret from no scheduler, in percentage points, with its standard error.
Networks are drawn from 20,000 of the band, so that a search takes milliseconds: 200 of each kind by default.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from nas.proxy.simulated import CHANCE, LAWS, NOISE, SimulatedLaw
from space.columns import Array
from tests.benchmarks.search_quality import AUTO, Curves, Method, band_of, steps
from tests.nas.proxy.in_band import traits_of_codes

POOL = 20_000
LENGTHS = ((10, 3), (20, 3), (33, 3), (10, 9), (14, 9), (20, 9), (33, 9), (100, 9))  # trainings, epochs


def drawn(law: SimulatedLaw, epochs: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Learning curves of networks of the band, [networks, epochs], and their true accuracies."""
    band = band_of("convnext")
    traits = traits_of_codes(band.space, band.sample_codes(POOL, rng))
    true = law.accuracy(traits)
    tau = np.broadcast_to(law.tau(traits), len(true))[:, None]
    progress = np.arange(1, epochs + 1) / epochs
    expected = CHANCE + (true - CHANCE)[:, None] * np.expm1(-progress / tau) / np.expm1(-1 / tau)
    noise = 0.8 * rng.standard_normal((POOL, 1)) + 0.6 * rng.standard_normal((POOL, epochs))
    return np.clip(expected + NOISE * noise, 0, 1), true


def found(method: Method, worth: int, curves: Array, true: Array) -> float:
    """The true accuracy of the incumbent of a search that trains these networks, one after the other."""
    done: dict[int, int] = defaultdict(int)
    known: Curves = {}
    for number, epochs in steps(method, worth, known):
        done[number] += epochs
        known[number] = curves[number, : done[number]].tolist()
    full = [number for number, epochs in done.items() if epochs == method.epochs]
    return float(true[max(full, key=lambda number: curves[number, -1])])


def main(argv: Sequence[str]) -> None:
    """Print a row for each length."""
    searches = int(argv[0]) if argv else 200
    print("| trainings | epochs |", " | ".join(LAWS), "| mean |")
    for worth, epochs in LENGTHS:
        gained = []
        for law in LAWS.values():
            curves, true = drawn(law, epochs, np.random.default_rng(7))
            for seed in range(searches):
                rows = np.random.default_rng([seed, 5]).choice(POOL, worth * epochs, replace=False)
                both = [
                    found(Method("random", scheduler, epochs), worth, curves[rows], true[rows])
                    for scheduler in ("none", AUTO)
                ]
                gained.append(100 * (both[0] - both[1]))
        each = np.array(gained).reshape(len(LAWS), searches)
        cells = [
            f"{part.mean():+.2f} ({part.std() / searches**0.5:.2f})" for part in (*each, each.mean(axis=0))
        ]
        print(f"| {worth} | {epochs} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
