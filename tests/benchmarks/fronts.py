"""How long fronts take beside plain numpy and Optuna, and how often the intervals of comparisons cover.

    python -m tests.benchmarks.fronts

Data: `random` is uniform in the square; `correlated` has costs over two decades, and a value that rises with
their logarithm, as accuracy does with FLOPs; `all on it` is part of a circle.
Ratios are times divided by ours, on the same points; the quadratic one compares each with all others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from optuna._hypervolume import compute_hypervolume
from optuna.study._multi_objective import _is_pareto_front

from analysis.comparison.distributions import compare_spaces
from analysis.comparison.savings import chosen_by_others, mean_saving
from analysis.fronts.pareto import hypervolume
from nas.verdict.confirm import LEVEL, paired
from nas.verdict.front import front
from tests.benchmarks.measuring import Row, best_time, flags, report

SMALL, LARGE = 2000, 1_000_000
CHOICES = ("chosen by all seeds", "by the other seeds")
# a front of all confirmed; choices by the other seeds, their noise taken as independent; what is reported
INTERVALS = ("of all", "chosen, as independent", "chosen, with the choice's luck")
KINDS = ("random", "correlated", "all on it")


def data(kind: str, points: int, rng: np.random.Generator) -> np.ndarray:
    """Points (n, 2): cost and value."""
    if kind == "random":
        return rng.random((points, 2))
    if kind == "all on it":
        ball = np.abs(rng.standard_normal((points, 2)))
        ball /= np.linalg.norm(ball, axis=1, keepdims=True)
        return np.stack([1 - ball[:, 0], ball[:, 1]], axis=1)
    logs = rng.uniform(0, np.log(100), points)
    cost = np.exp(logs + 0.2 * rng.standard_normal(points))
    return np.stack([cost, 60 + 4 * logs + rng.standard_normal(points)], axis=1)


def losses(table: np.ndarray) -> np.ndarray:
    return np.concatenate([table[:, :-1], -table[:, -1:]], axis=1)


def quadratic(loss: np.ndarray) -> np.ndarray:
    """The definition: dominated by one that is no worse in all and better in one."""
    no_worse = np.ones((len(loss), len(loss)), dtype=bool)
    better = np.zeros_like(no_worse)
    for column in loss.T:
        no_worse &= column[:, None] <= column[None, :]
        better |= column[:, None] < column[None, :]
    return np.flatnonzero(~(no_worse & better).any(axis=0))


def fronts(sizes: Sequence[int], repeats: int) -> list[Row]:
    """Times of fronts; all that is timed agrees first."""
    rows = []
    for kind in KINDS:
        for points in sizes:
            table = data(kind, points, np.random.default_rng(1))
            loss = losses(table)
            seconds = best_time(lambda: front(*table.T), repeats)  # noqa: B023 - called at once
            kept = np.sort(front(*table.T))
            row: Row = {
                "work": f"front, {kind}",
                "points": points,
                "on the front": kept.size,
                "seconds": seconds,
                "points a second": points / seconds,
                "quadratic numpy": "-",
                "Optuna": "-",
            }
            rivals: dict[str, Callable[[np.ndarray], np.ndarray]] = {
                "quadratic numpy": quadratic,
                "Optuna": lambda loss: np.flatnonzero(_is_pareto_front(loss, False)),
            }
            if points > SMALL:
                del rivals["quadratic numpy"]
            for name, rival in rivals.items():
                assert np.array_equal(np.sort(rival(loss)), kept), (name, kind, points)
                taken = best_time(lambda: rival(loss), 1 if points > SMALL else repeats)  # noqa: B023
                row[name] = f"{taken / seconds:.3g}x"
            rows.append(row)
    return rows


def volumes(sizes: Sequence[int], repeats: int) -> list[Row]:
    """Times of hypervolumes, all of the points on the front."""
    rows = []
    for points in sizes:
        table = data("all on it", points, np.random.default_rng(1))
        worst = np.array([1.1, -0.1])
        loss, corner = losses(table), np.append(worst[:-1], -worst[-1])
        seconds = best_time(lambda: hypervolume(*table.T, tuple(worst)), repeats)  # noqa: B023 - called at once
        taken = best_time(lambda: compute_hypervolume(loss, corner), 1)  # noqa: B023
        assert np.isclose(hypervolume(*table.T, tuple(worst)), compute_hypervolume(loss, corner), rtol=1e-9)
        rows.append(
            {
                "work": "hypervolume",
                "points": points,
                "on the front": points,
                "seconds": seconds,
                "points a second": points / seconds,
                "quadratic numpy": "-",
                "Optuna": f"{taken / seconds:.3g}x",
            }
        )
    return rows


# ---- coverage -------------------------------------------------------------------------------------------


def coverage_of_spaces(networks: int, n: int, simulations: int, law: str = "normal") -> Row:
    """Coverage of 90% intervals of two spaces' differences; the truth is that of a million draws."""

    def errors(rng: np.random.Generator, count: tuple[int, ...], better: float) -> np.ndarray:
        drawn = rng.standard_normal(count) if law == "normal" else rng.gamma(2.0, 1.0, count) - 2
        return 30 - better + 2 * drawn

    rng = np.random.default_rng(11)
    far = [np.sort(errors(rng, (200_000 // n, n), d)).min(axis=1).mean() for d in (0.5, 0.0)]
    truth = {"best": float(far[1] - far[0]), "mean": 0.5}
    held = dict.fromkeys(truth, 0)
    for _ in range(simulations):
        found = compare_spaces(errors(rng, (networks,), 0.5), errors(rng, (networks,), 0.0), n)
        for name, value in truth.items():
            claim = getattr(found, name)
            held[name] += claim.low <= value <= claim.high
    shares = {f"{name} covered": f"{count / simulations:.1%}" for name, count in held.items()}
    return {"networks": networks, "n": n, "errors": law, **shares, "simulations": simulations}


def coverage_of_saving(
    budgets: int, confirmed: int, seeds: int, simulations: int, unequal: float = 0.0
) -> Row:
    """Coverage of 95% intervals of FLOPs saved: the networks searched need 0.8 of the reference's FLOPs.

    `unequal` is the standard deviation of the confirmed networks of a budget in those of one training; the
    truth is then of the networks that were chosen.
    """
    rng = np.random.default_rng(12)
    flops, columns = np.geomspace(0.6, 9, budgets), np.arange(seeds)
    slope, one = 0.06, 0.012
    group, shift = np.repeat(np.arange(budgets), confirmed), -slope * np.log(0.8)
    held, width = dict.fromkeys(INTERVALS, 0), dict.fromkeys(INTERVALS, 0.0)
    for i in range(simulations):
        level = 0.6 + slope * np.log(flops)[:, None] + 0.02 * rng.standard_normal(seeds)
        theirs = level + one * rng.standard_normal((budgets, seeds))
        apart = unequal * one * rng.standard_normal((budgets, confirmed))
        noise = one * rng.standard_normal((budgets, confirmed, seeds))
        rivals = level[:, None, :] + shift + apart[:, :, None] + noise
        every, known = rivals.reshape(-1, seeds), {"level": LEVEL, "resamples": 400, "seed": i}
        picked = np.array([chosen_by_others(each) if confirmed > 1 else 0 * columns for each in rivals])
        places = np.arange(budgets)[:, None], picked
        exact = (slope * np.log(flops) + shift + apart[places].mean(axis=1))[:, None]
        truth = mean_saving(flops, exact, flops, slope * np.log(flops)[:, None]).value
        found = {
            INTERVALS[0]: mean_saving(flops[group], every, flops, theirs, **known),
            INTERVALS[1]: mean_saving(flops, rivals[(*places, columns)], flops, theirs, **known),
            INTERVALS[2]: mean_saving(flops[group], every, flops, theirs, rivals_a=group, **known),
        }
        for name, saving in found.items():
            held[name] += saving.low <= truth <= saving.high
            width[name] += (saving.high - max(saving.low, -1)) / simulations
    return {
        "budgets": budgets,
        "confirmed": confirmed,
        "seeds": seeds,
        "unequal": unequal,
        **{name: f"{held[name] / simulations:.1%}, width {width[name]:.2f}" for name in INTERVALS},
        "simulations": simulations,
    }


def coverage_of_choice(budgets: int, confirmed: int, seeds: int, simulations: int) -> Row:
    """Coverage of the mean over budgets at equal FLOPs of a winner chosen by the seeds that measure it."""
    rng, columns = np.random.default_rng(13), np.arange(seeds)
    held, bias = dict.fromkeys(CHOICES, 0), dict.fromkeys(CHOICES, 0.0)
    for _ in range(simulations):
        gaps = 0.01 + 0.01 * rng.standard_normal(budgets)
        rivals = gaps[:, None, None] + 0.012 * rng.standard_normal((budgets, confirmed, seeds))
        theirs = 0.012 * rng.standard_normal((budgets, seeds))
        pairs = list(zip(rivals, theirs, strict=True))
        for name, values in {
            CHOICES[0]: [values.mean(axis=1).max() - one.mean() for values, one in pairs],
            CHOICES[1]: [(values[chosen_by_others(values), columns] - one).mean() for values, one in pairs],
        }.items():
            mean = paired(values)
            held[name] += mean.low <= 0.01 <= mean.high
            bias[name] += (mean.value - 0.01) / simulations
    shares = {name: f"{held[name] / simulations:.1%}, bias {100 * bias[name]:+.2f} points" for name in held}
    return {"budgets": budgets, "confirmed": confirmed, "seeds": seeds, **shares, "simulations": simulations}


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = flags("Times of fronts and hypervolumes, and coverage of the comparisons' intervals.", argv)
    if options.quick:
        rows = fronts([300], 1) + volumes([100], 1)
        simulations, spaces = 10, [(20, 2, "normal")]
    else:
        rows = fronts([SMALL, LARGE], 3) + volumes([SMALL], 3)
        simulations = 1000
        spaces = [
            (m, n, law) for law in ("normal", "gamma") for m in (20, 100) for n in (m // 10, m // 4, m // 2)
        ]
    report("fronts", rows, options.json)
    beside = options.json.with_name if options.json else None
    tables = {
        "spaces": [coverage_of_spaces(m, n, simulations, law) for m, n, law in spaces],
        "saving": [
            coverage_of_saving(*design, simulations, unequal)
            for design, unequal in (
                ((4, 1, 3), 0),
                ((4, 3, 3), 0),
                ((6, 3, 5), 0),
                ((4, 3, 3), 1),
                ((4, 3, 3), 3),
            )
        ],
        "choice": [coverage_of_choice(b, k, s, simulations) for b, k, s in ((4, 1, 3), (4, 3, 3), (6, 3, 5))],
    }
    titles = {
        "spaces": "coverage of 90% intervals of two design spaces (best of n, mean)",
        "saving": f"coverage of {LEVEL:.0%} intervals of FLOPs saved, by how they are made",
        "choice": f"coverage of {LEVEL:.0%} intervals of the mean over budgets, by who chooses the winners",
    }
    for name, table in tables.items():
        report(titles[name], table, beside(f"{name}.json") if beside else None)
    return rows


if __name__ == "__main__":
    main()
