"""How often importances and main effects call noise a choice that matters, and how often they find one.

    python -m tests.benchmarks.importance

Made-up networks have six independent axes. Where there is a signal, accuracy rises along `slope` (five
values, a standard deviation of 0.5), has its optimum inside `bend` (a square, 0.5) and is higher at one of
the four levels of `level` (0.2); the other three axes, and without a signal all six, are noise. So is 0.5 of
accuracy. A false alarm is a data set with a noise axis that "matters", of any number; its nominal rate is
10%. `coverage` is of the 90% intervals of the levels of noise axes, whose effect is 0. Of 100 data sets a
rate of 5% has a standard error of 2 points. `data sets a second` is of all methods together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np

from analysis.axes.effects import FEWEST_A_LEVEL, Effect, main_effects
from analysis.axes.evaluators import PED_ANOVA
from analysis.axes.held_out import PERMUTATION
from analysis.axes.networkwise import LEVEL, MATTERS
from analysis.axes.ranking import importance
from tests.benchmarks.measuring import Row, flags, report

EFFECTS = "main effects"
TRUE, NOISE = ("slope", "bend", "level"), ("number", "steps", "letter")


@dataclass(frozen=True)
class Design:
    """How many networks a made-up study has, and whether its axes matter."""

    networks: int
    signal: bool

    @property
    def noise(self) -> tuple[str, ...]:
        return NOISE if self.signal else TRUE + NOISE

    def draw(self, rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """The axes, n values each, and the accuracies (n,)."""
        n = self.networks
        axes = {
            "slope": rng.choice([3.0, 5, 7, 9, 11], n),
            "bend": rng.normal(size=n),
            "level": np.array(list("wxyz"))[rng.integers(4, size=n)],
            "number": rng.normal(size=n),
            "steps": rng.choice([1.0, 2, 3, 4], n),
            "letter": np.array(list("pqr"))[rng.integers(3, size=n)],
        }
        accuracy = 0.5 * rng.normal(size=n)
        if self.signal:
            rise = 0.5 * (axes["slope"] - 7) / 2.8
            accuracy = accuracy + rise - 0.35 * axes["bend"] ** 2 + 0.5 * (axes["level"] == "w")
        return axes, accuracy


@dataclass
class Tally:
    """What one method said of the data sets of a design."""

    alarms: int = 0
    found: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TRUE, 0))

    def note(self, design: Design, verdicts: Mapping[tuple[str, ...], str]) -> None:
        """The verdicts on one data set, by the axes that they are on."""
        matters = [axes for axes, verdict in verdicts.items() if verdict == MATTERS]
        self.alarms += any(set(axes) <= set(design.noise) for axes in matters)
        for axes in matters:
            for axis in axes:
                if axis in self.found:
                    self.found[axis] += 1


def calibration(design: Design, data_sets: int) -> list[Row]:
    """A row for each method."""
    tallies = {method: Tally() for method in (EFFECTS, PERMUTATION, PED_ANOVA)}
    covered: list[bool] = []
    seconds = 0.0
    for seed in range(data_sets):
        axes, accuracy = design.draw(np.random.default_rng(seed))
        start = perf_counter()
        scores = importance(axes, accuracy, methods=(PED_ANOVA, PERMUTATION), seed=seed).methods
        effects = main_effects(axes, accuracy, seed=seed)
        seconds += perf_counter() - start
        for method, of_axes in scores.items():
            tallies[method].note(design, {score.axes: score.verdict for score in of_axes})
        tallies[EFFECTS].note(design, {(effect.axis,): effect.verdict for effect in effects})
        covered += [held for effect in effects if effect.axis in NOISE for held in levels_held(effect)]
    rows = []
    for method, tally in tallies.items():
        row: Row = {
            "networks": design.networks,
            "data": "signal" if design.signal else "noise",
            "method": method,
            "false alarms": f"{tally.alarms / data_sets:.0%}",
            "coverage": f"{np.mean(covered):.1%}" if method == EFFECTS else "-",
        }
        for axis, count in tally.found.items():
            row[f"{axis} found"] = f"{count / data_sets:.0%}" if design.signal else "-"
        rows.append(row | {"data sets": data_sets, "data sets a second": data_sets / seconds})
    return rows


def levels_held(effect: Effect) -> list[bool]:
    """Whether the interval of each level that has one holds 0."""
    return [
        level.effect.low <= 0 <= level.effect.high
        for level in effect.levels
        if level.networks >= FEWEST_A_LEVEL
    ]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("False alarms, coverage and power of importances and of main effects.", argv)
    sizes, data_sets = ((40,), 2) if options.quick else ((40, 80), 100)
    designs = [Design(networks, signal) for networks in sizes for signal in (False, True)]
    rows = [row for design in designs for row in calibration(design, data_sets)]
    report(f"verdicts at a family-wise level of {1 - LEVEL:.0%}", rows, options.json)
    return rows


if __name__ == "__main__":
    main()
