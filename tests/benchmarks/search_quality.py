"""How good the networks are that each sampler finds, against the epochs it trains, on simulated laws.

    python -m tests.benchmarks.search_quality [--quick] [--seeds 20] [--trials 100] [--json PATH]

Regret: the best true accuracy in the band minus the true accuracy of the incumbent, the network with the best
*observed* accuracy among the fully trained ones. The space is `convnext`, the band 4.5 GFLOPs.

`script` is what one would write with Optuna alone: default TPE over the raw axes, both ends of the band as
constraints (`Trial.set_constraint`), infeasible networks pruned before they are trained (they cost it no
epoch here, only time), SuccessiveHalvingPruner with its defaults over the epochs of the others. It gets as
many epochs as `--trials` full trainings have; all other methods train every network fully.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from nas.engines.local import Job
from nas.proposals import SAMPLERS, Proposer, code_of, distributions
from nas.search import MIN_STARTUP, STARTUP_SHARE
from nas.simulated import CHANCE, EPOCHS, LAWS, SimulatedEngine, best_in_band
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.design_space import load_space
from tests.benchmarks.measuring import Row, machine, report

BUDGET = "4.5GFLOPs"
SHOWN = (5, 10, 20, 33, 50, 100, 200)  # full trainings' worth of epochs
Trace = list[tuple[int, float, float]]  # epochs spent, observed and true accuracy of a fully trained network


@cache
def band_of(space: str) -> BandSampler:
    return BandSampler(load_space(space), parse_budget("60MFLOPs" if space == "micro" else BUDGET))


@cache
def best_of(law: str, space: str) -> float:
    return best_in_band(LAWS[law], band_of(space))[0]


def searched(sampler: str, law: str, space: str, seed: int, trials: int) -> Trace:
    """A search as `nas.search` runs it, without the reference network."""
    study = optuna.create_study(direction="maximize")
    startup = max(MIN_STARTUP, round(STARTUP_SHARE * trials))
    proposer, engine = Proposer(study, band_of(space), sampler, seed, startup), SimulatedEngine(LAWS[law])
    trace: Trace = []
    while len(trace) < trials and (proposal := proposer.next()) is not None:
        result = engine.train(Job(proposal.architecture, seed), lambda _: None)
        study.tell(proposal.trial, result.accuracy)
        true = LAWS[law].of(proposal.architecture)
        trace.append(((len(trace) + 1) * EPOCHS, result.accuracy, true))
    return trace


def scripted(law: str, space: str, seed: int, trials: int) -> Trace:
    """The script one would write with Optuna alone; see the module's text."""
    band, engine = band_of(space), SimulatedEngine(LAWS[law])
    axes = distributions(band.space)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.SuccessiveHalvingPruner(),
    )
    trace: Trace = []
    spent = 0
    while spent < trials * EPOCHS:
        trial = study.ask(axes)
        network = band.space.build(code_of(band.space, trial.params))
        macs = cost(network).macs
        trial.set_constraint("too large", macs - band.budget.high)
        trial.set_constraint("too small", band.budget.low - macs)
        epochs = trained(trial, engine.curve(network, seed)) if band.budget.allows(macs) else 0
        spent += epochs
        if epochs == EPOCHS:
            accuracy = float(engine.curve(network, seed)[-1])
            study.tell(trial, accuracy)
            trace.append((spent, accuracy, LAWS[law].of(network)))
        else:
            study.tell(trial, state=TrialState.PRUNED)
    return [point for point in trace if point[0] <= trials * EPOCHS]


def trained(trial: optuna.Trial, curve: Iterable[float]) -> int:
    """Epochs after which the pruner ends the training, or all of them."""
    for epoch, accuracy in enumerate(curve, start=1):
        trial.report(float(accuracy), epoch)
        if epoch < EPOCHS and trial.should_prune():
            return epoch
    return EPOCHS


def regrets(trace: Trace, best: float, epochs: Sequence[int]) -> list[float]:
    """Of the incumbent after so many epochs; nothing fully trained counts as guessing."""
    found = []
    for limit in epochs:
        known = [(observed, true) for spent, observed, true in trace if spent <= limit]
        found.append(best - (max(known)[1] if known else CHANCE))
    return found


def run_once(task: tuple[str, str, int], space: str, trials: int) -> tuple[list[float], float]:
    """Regrets of one search at `SHOWN`, and the seconds it took."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    law, method, seed = task
    best = best_of(law, space)
    start = time.perf_counter()
    if method == "script":
        trace = scripted(law, space, seed, trials)
    else:
        trace = searched(method, law, space, seed, trials)
    seconds = time.perf_counter() - start
    return regrets(trace, best, [n * EPOCHS for n in shown(trials)]), seconds


def shown(trials: int) -> list[int]:
    return [*(n for n in SHOWN if n < trials), trials]


def measure(
    laws: Sequence[str], methods: Sequence[str], space: str, seeds: range, trials: int, jobs: int
) -> list[Row]:
    """One row a law and method: regrets' median and quartiles over the seeds."""
    tasks = [(law, method, seed) for law in laws for method in methods for seed in seeds]
    work = partial(run_once, space=space, trials=trials)
    if jobs > 1:
        with ProcessPoolExecutor(jobs) as pool:
            results = list(pool.map(work, tasks))
    else:
        results = [work(task) for task in tasks]
    rows = []
    for start in range(0, len(tasks), len(seeds)):
        law, method, _ = tasks[start]
        regret = np.array([r for r, _ in results[start : start + len(seeds)]])
        seconds = sum(s for _, s in results[start : start + len(seeds)])
        low, median, high = np.quantile(regret, (0.25, 0.5, 0.75), axis=0)
        rows.append(
            {
                "law": law,
                "method": method,
                "trials": trials,
                "seeds": len(seeds),
                "first seed": seeds.start,
                "full trainings": shown(trials),
                "epochs": [n * EPOCHS for n in shown(trials)],
                "median": median.tolist(),
                "quartiles": [low.tolist(), high.tolist()],
                "full trainings a second": len(seeds) * trials / seconds,
            }
        )
    return rows


def table(rows: Sequence[Row]) -> list[Row]:
    """Rows to print: regret in percentage points, median (quartiles)."""
    printed = []
    for row in rows:
        cells = {
            f"{n}": f"{100 * m:.2f} ({100 * low:.2f}-{100 * high:.2f})"
            for n, m, low, high in zip(row["full trainings"], row["median"], *row["quartiles"], strict=True)
        }
        shown_row = {"law": row["law"], "method": row["method"], "seeds": row["seeds"], "of": row["trials"]}
        printed.append(shown_row | cells | {"trainings a second": row["full trainings a second"]})
    return printed


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(description="Regret of every sampler on simulated accuracy laws.")
    parse.add_argument("--quick", action="store_true", help="a tiny space, two methods: does it run at all")
    parse.add_argument("--seeds", type=int, default=20)
    parse.add_argument("--first-seed", type=int, default=0)
    parse.add_argument("--trials", type=int, default=100, help="full trainings, or as many epochs")
    parse.add_argument("--methods", nargs="+", default=[*SAMPLERS, "script"], choices=[*SAMPLERS, "script"])
    parse.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    parse.add_argument("--jobs", type=int, default=1, help="processes")
    parse.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    return parse


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = parser().parse_args(argv)
    if options.quick:
        rows = measure(["separable"], ["random", "surrogate", "script"], "micro", range(2), 8, 1)
    else:
        rows = measure(options.laws, options.methods, "convnext", options.seeds, options.trials, options.jobs)
    title = "regret in percentage points after so many full trainings' worth of epochs, median (quartiles)"
    report(title, table(rows), None)
    if options.json is not None:
        text = json.dumps({"machine": f"{machine()}, optuna {optuna.__version__}", "rows": rows}, indent=1)
        options.json.write_text(text + "\n")
    return rows


if __name__ == "__main__":
    main()
