"""How often the 90% intervals of error(N, D), and of how it divides a compute, cover the truth.

    python -m tests.benchmarks.joint

Simulated grids follow error = 15 + 8 N^-0.45 + 6 D^-0.55, networks from 0.1 to 10 and data from 0.05 to 5.
Noise is 1% of the error between trainings, and in some designs 1.5% between networks, the same at every D.
`far` is the law at N = 30, D = 10, `best N` the network for a compute N D of 50.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from analysis.laws.answer import Answer, NotIdentified
from analysis.laws.joint import JointFit, fit_joint
from tests.benchmarks.measuring import Row, flags, report

TRUTH = {"E": 15.0, "A": 8.0, "B": 6.0, "alpha": 0.45, "beta": 0.55}
FAR, COMPUTE, LEVEL = (30.0, 10.0), 50.0, 0.9


@dataclass(frozen=True)
class Design:
    """A grid of networks and data sizes, or as many pairs of both as it would have, drawn at random."""

    networks: int
    sizes: int
    between: float = 0.0  # networks, as a share of the error
    tails: str = "normal"
    paired: bool = True

    def __str__(self) -> str:
        start = f"{self.networks} networks x {self.sizes} sizes"
        if not self.paired:
            start = f"{self.networks * self.sizes} networks, each at one size"
        return f"{start}, {self.between:.1%} between networks, {self.tails}"

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """N, D, errors and network ids, one row a training."""
        n, d = np.geomspace(0.1, 10, self.networks), np.geomspace(0.05, 5, self.sizes)
        network = np.repeat(np.arange(self.networks), self.sizes)
        n, d = n[network], np.tile(d, self.networks)
        if not self.paired:
            network = np.arange(n.size)
            n, d = 0.1 * 100 ** rng.random(n.size), 0.05 * 100 ** rng.random(n.size)
        own = rng.standard_t(3, n.size) if self.tails == "t3" else rng.standard_normal(n.size)
        shared = rng.standard_normal(network.max() + 1)[network]
        return n, d, truth(n, d) * np.exp(0.01 * own + self.between * shared), network


def truth(n: np.ndarray | float, d: np.ndarray | float) -> np.ndarray:
    n, d = np.asarray(n, float), np.asarray(d, float)
    return TRUTH["E"] + TRUTH["A"] * n ** -TRUTH["alpha"] + TRUTH["B"] * d ** -TRUTH["beta"]


def best_n() -> float:
    """Of N D = `COMPUTE`, by a fine grid."""
    n = np.geomspace(0.01, 1000, 200_001)
    return float(n[truth(n, COMPUTE / n).argmin()])


def asked(fit: JointFit) -> dict[str, Answer]:
    return {**fit.parameters, "far": fit.predict_intervals(*FAR)[0], "best N": fit.divide(COMPUTE).n}


def coverage(design: Design, simulations: int) -> Row:
    """Share of simulations whose interval holds the truth."""
    true = {**TRUTH, "far": float(truth(*FAR)), "best N": best_n()}
    rng, found, seconds = np.random.default_rng(11), [], 0.0
    for _ in range(simulations):
        n, d, error, network = design.draw(rng)
        start = perf_counter()
        found.append(asked(fit_joint(n, d, error, network=network, level=LEVEL)))
        seconds += perf_counter() - start
    widths = [one["best N"].high / max(one["best N"].low, 1e-9) for one in found]
    unknown = sum(isinstance(one["best N"], NotIdentified) for one in found)
    return {
        "design": str(design),
        **{name: f"{np.mean([one[name].low <= value <= one[name].high for one in found]):.1%}"
           for name, value in true.items()},
        "best N, high by low": float(np.median(widths)),
        "best N not identified": f"{unknown / simulations:.1%}",
        "simulations": simulations,
        "fits a second": simulations / seconds,
    }  # fmt: skip


DESIGNS = (
    Design(5, 4), Design(5, 4, 0.015), Design(8, 5), Design(8, 5, 0.015), Design(14, 6, 0.015),
    Design(8, 5, tails="t3"), Design(8, 5, paired=False), Design(4, 3, 0.015),
)  # fmt: skip


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Coverage of the intervals of error(N, D).", argv)
    rows = [coverage(*one) for one in ([(Design(5, 4), 3)] if options.quick else [(d, 200) for d in DESIGNS])]
    report(f"coverage of {LEVEL:.0%} intervals", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
