"""How often the 90% intervals of an optimum, of its exponent and of its extrapolation cover the truth.

    python -m tests.benchmarks.isoflop

Simulated networks at 0.6, 1.2, 2.4 and 4.5 GFLOPs have an error of 30 points, 2.5 for each squared octave
that their depth is from 12 F^0.3 blocks, and 2 for each squared octave of kernel size from 6; one norm of two
costs 3 points. Depths are drawn evenly in octaves from 4 to 64, kernel sizes from 3 to 11. `noise` is the
standard deviation between networks in points; where trainings differ, a third of the networks have four and
the others one, with 1.5 points of noise each. `far` is the optimum at 15.4 GFLOPs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from analysis.isoflop.profiles import Profiles, profiles
from analysis.isoflop.sample import Sample
from analysis.laws.answer import Estimate
from tests.analysis.isoflop.samples import sample_from
from tests.benchmarks.measuring import Row, flags, report

BUDGETS = (0.6, 1.2, 2.4, 4.5)
FAR = 15.4
EXPONENT, AT_ONE = 0.3, 12.0
CURVATURE = 2.5
LEVEL = 0.9


@dataclass(frozen=True)
class Design:
    """How one simulated sweep measures its networks; `each` is their number at one budget."""

    each: int
    noise: float = 1.0
    seeds: bool = False
    tails: str = "normal"
    budgets: int = 4

    def __str__(self) -> str:
        trainings = ", 1 or 4 trainings" if self.seeds else ""
        return f"{self.budgets} budgets x {self.each} networks, noise {self.noise:g}{trainings}, {self.tails}"

    def draw(self, rng: np.random.Generator) -> Sample:
        group = np.repeat(np.arange(self.budgets), self.each)
        flops = np.array(BUDGETS[: self.budgets])[group] * rng.uniform(0.95, 1.0, group.size)
        depth = 2 ** rng.uniform(2, 6, group.size)
        kernel = 2 ** rng.uniform(np.log2(3), np.log2(11), group.size)
        norm = rng.integers(2, size=group.size)
        error = (
            30 + CURVATURE * np.log2(depth / optimum(flops)) ** 2 + 2 * np.log2(kernel / 6) ** 2 + 3 * norm
        )
        scatter = rng.standard_t(3, group.size) if self.tails == "t3" else rng.standard_normal(group.size)
        error = error + self.noise * scatter
        trainings = np.where(rng.random(group.size) < 1 / 3, 4, 1)
        if self.seeds:
            error = error + 1.5 * rng.standard_normal(group.size) / np.sqrt(trainings)
        return sample_from(
            flops,
            error,
            group,
            {"depth": depth, "kernel_size": kernel},
            seeds=trainings if self.seeds else None,
            seed_variance=1.5**2 if self.seeds else None,
            categories=norm[:, None],
        )


def optimum(flops: np.ndarray | float) -> np.ndarray:
    return AT_ONE * np.asarray(flops, dtype=float) ** EXPONENT


def coverage(design: Design, simulations: int, resamples: int = 1000) -> Row:
    """Share of simulations whose intervals hold the truth, and of those with a number, theirs."""
    rng = np.random.default_rng(7)
    held: dict[str, list[tuple[bool, bool]]] = {"optimum": [], "exponent": [], "far": []}
    widths, seconds = [], 0.0
    for _ in range(simulations):
        sample = design.draw(rng)
        start = perf_counter()
        found = profiles(sample, level=LEVEL, resamples=resamples)
        seconds += perf_counter() - start
        note(held, found)
        exponent = found.rules["depth"].exponent
        widths.append(exponent.high - exponent.low)
    row: Row = {"design": str(design)}
    for name, pairs in held.items():
        row[name] = f"{np.mean([inside for inside, _ in pairs]):.1%}"
        known = [inside for inside, identified in pairs if identified]
        row[f"{name}, where identified"] = (
            f"{np.mean(known):.1%} of {len(known) / len(pairs):.0%}" if known else "-"
        )
    return row | {
        "width of exponent": float(np.median(widths)),
        "simulations": simulations,
        "profiles a second": simulations / seconds,
    }


def note(held: dict[str, list[tuple[bool, bool]]], found: Profiles) -> None:
    """Whether each interval holds the truth, and whether it goes with a number."""
    rule = found.rules["depth"]
    for one in found.optima["depth"]:
        truth = float(optimum(one.group.cost))
        held["optimum"].append((one.answer.low <= truth <= one.answer.high, one.identified))
    held["exponent"].append((rule.exponent.low <= EXPONENT <= rule.exponent.high, rule.identified))
    far = rule.at(FAR)
    held["far"].append((far.low <= float(optimum(FAR)) <= far.high, isinstance(far, Estimate)))


def nothing_there(simulations: int, each: int = 20) -> float:
    """Share of optima that are named where depth makes no difference at all."""
    rng, named = np.random.default_rng(3), []
    for _ in range(simulations):
        group = np.repeat(np.arange(4), each)
        depth = 2 ** rng.uniform(2, 6, group.size)
        error = 30 + rng.standard_normal(group.size)
        sample = sample_from(np.array(BUDGETS)[group], error, group, {"depth": depth})
        named += [one.identified for one in profiles(sample, resamples=500).optima["depth"]]
    return float(np.mean(named))


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Coverage of the intervals of optima and of their exponents.", argv)
    if options.quick:
        plan = [(Design(12), 3), (Design(12, seeds=True), 3)]
    else:
        designs = [Design(12), Design(20), Design(40), Design(20, noise=2.0), Design(20, noise=0.3)]
        designs += [Design(20, seeds=True), Design(20, tails="t3"), Design(40, budgets=2), Design(100)]
        plan = [(design, 400) for design in designs]
    rows = [coverage(design, simulations, 200 if options.quick else 1000) for design, simulations in plan]
    share = nothing_there(5 if options.quick else 200)
    print(f"an optimum is named where there is none in {share:.1%} of the budgets")
    report(f"coverage of {LEVEL:.0%} intervals", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
