"""How often a 90% interval of a scaling law covers the truth, and how long fits and fronts take.

    python -m tests.benchmarks.fitting

Simulated networks follow error = 15 + 10 F^-0.5 from 0.2 to 20 GFLOPs. Noise between networks is 0.2 points;
in the designs with seeds it is 0.17 between networks and 0.1 between seeds. `far` is the law at 60 GFLOPs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from analysis.comparison.equal_flops import at_equal_flops
from analysis.fronts.pareto import front_probability
from analysis.laws.answer import Estimate, NotIdentified
from analysis.laws.choice import choose_law
from analysis.laws.fit import Fit, fit_law
from analysis.laws.law import SATURATING_POWER, double_saturation
from nas.verdict.front import front
from tests.benchmarks.measuring import Row, best_time, flags, report

TRUTH = {"a": 15.0, "b": 10.0, "c": 0.5}
FAR = 60.0
LEVEL = 0.9
GUESS = 99.9


@dataclass(frozen=True)
class Design:
    """How one simulated study measures its networks."""

    networks: int
    seeds: int = 1
    tails: str = "normal"
    least: float = 0.2

    def __str__(self) -> str:
        seeds = f" x {self.seeds} seeds" if self.seeds > 1 else ""
        return f"{self.networks} networks{seeds}, from {self.least:g} G, {self.tails}"

    def draw(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """FLOPs, errors and network ids, one row a training."""
        flops = np.geomspace(self.least, 20, self.networks)
        spread = 0.2 if self.seeds == 1 else 0.17
        scatter = spread * noise(self.tails, self.networks, rng)
        network = np.repeat(np.arange(self.networks), self.seeds)
        error = truth(flops)[network] + scatter[network]
        if self.seeds > 1:
            error = error + 0.1 * rng.standard_normal(network.size)
        return flops[network], error, network


def noise(tails: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """Scatter of unit scale: normal, Student's t with 3 degrees of freedom, or one network in 8 far off."""
    if tails == "t3":
        return rng.standard_t(3, count)
    values = rng.standard_normal(count)
    return values * np.where(rng.random(count) < 0.125, 5, 1) if tails == "outliers" else values


def truth(flops: np.ndarray | float) -> np.ndarray:
    return TRUTH["a"] + TRUTH["b"] * np.asarray(flops, dtype=float) ** -TRUTH["c"]


Ranges = dict[str, tuple[float, float]]


def profile_ranges(fit: Fit) -> Ranges:
    answers: dict[str, Estimate | NotIdentified] = dict(fit.parameters)
    answers["far"] = fit.predict_intervals([FAR])[0]
    return {name: (answer.low, answer.high) for name, answer in answers.items()}


def profile(loss: str, by_network: bool = True) -> Callable[[np.ndarray, np.ndarray, np.ndarray], Fit]:
    return lambda flops, error, network: fit_law(
        flops, error, network=network if by_network else None, loss=loss, level=LEVEL
    )


METHODS: dict[str, tuple[Callable[[np.ndarray, np.ndarray, np.ndarray], Fit], Callable[[Fit], Ranges]]] = {
    "profile, huber (default)": (profile("huber"), profile_ranges),
    "profile, soft_l1": (profile("soft_l1"), profile_ranges),
    "profile, squared": (profile("squared"), profile_ranges),
    "profile, squared, each seed a network": (profile("squared", by_network=False), profile_ranges),
}


def coverage(design: Design, method: str, simulations: int) -> Row:
    """Share of simulations whose interval holds the truth, for each parameter and the law far out."""
    fitted, ranges = METHODS[method]
    rng = np.random.default_rng(7)
    held: dict[str, list[bool]] = {}
    widths, unidentified, gradient, seconds = [], 0, 0.0, 0.0
    for _ in range(simulations):
        data = design.draw(rng)
        start = perf_counter()
        fit = fitted(*data)
        found = ranges(fit)
        seconds += perf_counter() - start
        for name, (low, high) in found.items():
            held.setdefault(name, []).append(low <= TRUTH.get(name, float(truth(FAR))) <= high)
        widths.append(found["c"][1] - found["c"][0])
        unidentified += any(isinstance(answer, NotIdentified) for answer in fit.parameters.values())
        gradient = max(gradient, fit.gradient)
    return {
        "design": str(design),
        "method": method,
        **{name: f"{np.mean(held[name]):.1%}" if name in held else "-" for name in (*TRUTH, "far")},
        "width of c": float(np.median(widths)),
        "not identified": f"{unidentified / simulations:.1%}",
        "largest gradient": f"{gradient:.0e}",
        "simulations": simulations,
        "fits a second": simulations / seconds,
    }


def coverage_of_differences(pairs: int, simulations: int) -> float:
    """Coverage of the mean difference at equal FLOPs between sets 0.3 apart, from `pairs` pairs."""
    rng, held = np.random.default_rng(3), 0
    flops = np.geomspace(1, 20, pairs)
    for _ in range(simulations):
        first, second = 80 + 0.2 * rng.standard_normal((2, pairs))
        mean = at_equal_flops(flops, first + 0.3, flops, second, level=LEVEL, resamples=500).mean
        held += mean.low <= 0.3 <= mean.high
    return held / simulations


def timings(points: int, repeats: int) -> list[Row]:
    """Seconds of each piece of the analysis on one core."""
    rng = np.random.default_rng(0)
    cost, value = rng.random((2, points))
    # every point of this one is on the front: the longest there can be
    rising = np.sort(rng.random((2, points)), axis=1)[:, rng.permutation(points)]
    flops, error, _ = Design(16).draw(rng)
    few = points // 1000
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "front, random points": (points, lambda: front(cost, value)),
        "front, all of them on it": (points, lambda: front(*rising)),
        "front probability, 10,000 draws": (
            few,
            lambda: front_probability(cost[:few], value[:few], np.full(few, 0.02)),
        ),
        "fit of double saturation, 16 networks": (
            1,
            lambda: fit_law(flops, error, law=double_saturation(GUESS)),
        ),
        "choice between two laws, 16 networks": (
            1,
            lambda: choose_law(flops, error, [SATURATING_POWER, double_saturation(GUESS)]),
        ),
    }
    rows = []
    for name, (size, call) in work.items():
        seconds = best_time(call, repeats)
        rows.append({"work": name, "size": size, "seconds": seconds, "items a second": size / seconds})
    return rows


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Coverage of scaling-law intervals, and timings of the analysis.", argv)
    times = timings(2000, 1) if options.quick else timings(1_000_000, 3)
    report("timings", times, options.json.with_name("timings.json") if options.json else None)
    if options.quick:
        plan = [(Design(8), method, 4) for method in METHODS]
    else:
        profiles = [name for name in METHODS if name.startswith("profile") and "each seed" not in name]
        designs = [Design(n) for n in (6, 8, 16, 32)] + [Design(8, seeds=3), Design(16, seeds=3)]
        designs += [Design(8, least=2), Design(16, tails="t3"), Design(16, tails="outliers")]
        plan = [
            (design, method, 200 if method == "profile, soft_l1" else 600)
            for design in designs
            for method in profiles
        ]
        plan += [(Design(n, seeds=3), "profile, squared, each seed a network", 600) for n in (8, 16)]
    rows = [coverage(*one) for one in plan]
    simulations = 20 if options.quick else 2000
    for pairs in (3, 8):
        share = coverage_of_differences(pairs, simulations)
        print(f"mean difference over {pairs} pairs: covered {share:.1%} of {simulations} simulations")
    report(f"coverage of {LEVEL:.0%} intervals", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
