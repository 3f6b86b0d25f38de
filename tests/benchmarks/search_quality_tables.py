"""How good the networks are that a search finds in a table of networks that others trained.

    python -m tests.benchmarks.search_quality_tables FILE.yaml [--budgets 40M 60M] [--seeds 20] [--worth 33]

Regret: the best accuracy in the band, each network's the mean over its seeds, minus that of the incumbent,
the network with the best *observed* accuracy, which is that of one seed. A search sees one of the table's
seeds.

Beside the samplers of `nas.search` (without its references):

* `script`, what one would write with Optuna alone: TPE over the axes, multivariate, both ends of the band as
  constraints; networks outside are pruned before they are trained and cost it nothing.
* `script_gp`, the same with Optuna's Gaussian process, which learns nothing from pruned trials: it is told
  networks outside with an accuracy of 0. Both know the axes alone: where a table has few of their
  combinations, nearly all they ask for is not in it.
* `plain_gp`: a Gaussian process over the encoded axes (Matern 5/2, one length, noise; scale, length and noise
  by maximum likelihood), 5 random networks, then expected improvement over all networks of the band.
* `most_params`: the networks of the band by falling number of parameters, equal ones in random order.

With `--json`, every row is written as it comes, and rows that are there already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path

import numpy as np
import optuna
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from optuna.trial import TrialState
from scipy.linalg import cho_factor, cho_solve  # type: ignore[import-untyped]
from scipy.optimize import minimize  # type: ignore[import-untyped]
from scipy.special import ndtr  # type: ignore[import-untyped]

from nas.engines.job import Job
from nas.plan.plan import MIN_STARTUP, STARTUP_SHARE
from nas.samplers.encoding import Encoder
from nas.samplers.proposer import SAMPLERS, Proposer, code_of, distributions
from nas.samplers.wishes import silence
from nas.table.space import TableBand
from nas.table.table import Table, read_table
from nas.table.trainer import TableTrainer
from space.budget import parse_budget
from space.columns import Array
from space.files import write_text
from tests.benchmarks.measuring import Row, machine, report

SHOWN = (10, 20, 33, 100)
BASELINES = ("script", "script_gp", "plain_gp", "most_params")
METHODS = ("random", "surrogate", "script", "plain_gp", "most_params")
START = 5  # random networks of the plain Gaussian process
TRIES = 50  # proposals of a script for each training: most lie outside the band
Found = list[tuple[float, float]]  # observed and true accuracy, one training after the other


@dataclass(frozen=True)
class Case:
    """A table's networks inside a budget."""

    path: Path
    budget: str
    shares: tuple[float, float]

    @cached_property
    def table(self) -> Table:
        return table_at(self.path)

    @cached_property
    def band(self) -> TableBand:
        return TableBand(self.table.space, parse_budget(self.budget, self.shares))

    @cached_property
    def codes(self) -> Array:
        return self.band.all_codes()

    @cached_property
    def true(self) -> dict[tuple[int, ...], float]:
        """The mean over seeds at full fidelity, by code."""
        rows = self.table.space.rows(self.codes)
        means = np.nanmean(self.table.accuracies[rows, :, -1], axis=1)
        return dict(zip(map(tuple, self.codes.tolist()), means.tolist(), strict=True))

    def trained(self, code: Array, seed: int) -> tuple[float, float]:
        """What a training of the network observes, and the truth."""
        training = TableTrainer(self.table).start(
            Job(0, self.table.space.build(code), seed, self.table.epochs)
        )
        while len(training.curve) < self.table.epochs:
            training.epoch()
        return training.result().accuracy, self.true[tuple(code.tolist())]


@cache
def table_at(path: Path) -> Table:
    return read_table(path)


def searched(sampler: str, case: Case, seed: int, worth: int) -> Found:
    """A search as `nas.search` runs it."""
    startup = max(MIN_STARTUP, round(STARTUP_SHARE * worth))
    proposer = Proposer(case.band, sampler, seed, startup, epochs=case.table.epochs)
    found: Found = []
    while len(found) < worth and (proposal := proposer.next(len(found))) is not None:
        proposer.started(len(found), proposal.architecture, proposal.memo)
        code = case.table.space.locate(proposal.architecture)
        assert code is not None
        observed, true = case.trained(code, seed)
        proposer.reported(len(found), [0.0] * (case.table.epochs - 1) + [observed])
        found.append((observed, true))
    return found


def scripted(
    sampler: Callable[..., BaseSampler], outside: TrialState, case: Case, seed: int, worth: int
) -> Found:
    """The script one would write with Optuna alone; see the module's text."""
    space, budget = case.table.space, case.band.budget
    with silence():
        study = optuna.create_study(direction="maximize", sampler=sampler(seed=seed))
        found: Found = []
        for _ in range(TRIES * worth):
            trial = study.ask(distributions(space))
            code = code_of(space, trial.params)
            cost = int(getattr(space.costs(code[None]), budget.metric)[0])
            # in shares of the budget: what is not in the table is as far outside as can be
            trial.set_constraint("too large", (cost - budget.high) / budget.high)
            trial.set_constraint("too small", (budget.low - cost) / budget.high)
            if not budget.allows(cost):
                study.tell(trial, None if outside == TrialState.PRUNED else 0.0, outside)
                continue
            found.append(case.trained(code, seed))
            study.tell(trial, found[-1][0])
            if len(found) == worth:
                break
    return found


def by_gaussian_process(case: Case, seed: int, worth: int) -> Found:
    """The plain Gaussian process; see the module's text."""
    features = Encoder(case.table.space).encode(case.codes)
    seen = np.random.default_rng(seed).permutation(len(features))[:START].tolist()
    found = [case.trained(case.codes[i], seed) for i in seen]
    squares = ((features[:, None] - features) ** 2).sum(axis=2)
    while len(found) < min(worth, len(features)):
        accuracy = np.array([observed for observed, _ in found])
        target = (accuracy - accuracy.mean()) / (accuracy.std() or 1.0)
        likely = partial(unlikelihood, squares[np.ix_(seen, seen)], target)
        scale, length, noise = np.exp(minimize(likely, np.log([1.0, 1.0, 0.1]), method="L-BFGS-B").x)
        factor = cho_factor(scale * matern(squares[np.ix_(seen, seen)], length) + noise * np.eye(len(seen)))
        across = scale * matern(squares[seen], length)
        mean = across.T @ cho_solve(factor, target)
        variance = scale - (across * cho_solve(factor, across)).sum(axis=0)
        deviation = np.sqrt(np.maximum(variance, 1e-12))
        z = (mean - target.max()) / deviation
        gain = deviation * (z * ndtr(z) + np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi))
        gain[seen] = -np.inf
        seen.append(int(np.argmax(gain)))
        found.append(case.trained(case.codes[seen[-1]], seed))
    return found


def matern(squares: Array, length: float) -> Array:
    distance = np.sqrt(5 * squares) / length
    return np.asarray((1 + distance + distance**2 / 3) * np.exp(-distance))


def unlikelihood(squares: Array, target: Array, logs: Array) -> float:
    """The negative logarithm of the marginal likelihood, hyperparameters within e^-4 and e^4."""
    scale, length, noise = np.exp(np.clip(logs, [-4, -4, -9], [4, 4, 1]))
    covariance = scale * matern(squares, length) + noise * np.eye(len(target))
    factor = cho_factor(covariance, lower=True)
    return float(target @ cho_solve(factor, target) / 2 + np.log(np.diag(factor[0])).sum())


def by_parameters(case: Case, seed: int, worth: int) -> Found:
    """The networks of most parameters, first."""
    order = np.random.default_rng(seed).random(len(case.codes))
    params = case.table.space.costs(case.codes).params
    return [case.trained(case.codes[i], seed) for i in np.lexsort((order, -params))[:worth]]


def method(name: str) -> Callable[[Case, int, int], Found]:
    """A search by its name."""
    own: dict[str, Callable[[Case, int, int], Found]] = {
        "script": partial(scripted, partial(TPESampler, multivariate=True), TrialState.PRUNED),
        "script_gp": partial(scripted, GPSampler, TrialState.COMPLETE),
        "plain_gp": by_gaussian_process,
        "most_params": by_parameters,
    }
    return own.get(name) or partial(searched, name)


def row(name: str, case: Case, seeds: range, worth: int) -> Row:
    """All seeds of one search; regrets in percentage points."""
    best, shown = max(case.true.values()), [n for n in SHOWN if n <= worth]
    began = time.perf_counter()
    found = [method(name)(case, seed, worth) for seed in seeds]
    regret = np.array([[100 * (best - max(one[:n])[1]) if one else np.nan for n in shown] for one in found])
    return {
        **key(name, case, seeds, worth),
        "networks": case.band.count,
        "trainings": shown,
        "mean": regret.mean(axis=0).round(3).tolist(),
        "error": (regret.std(axis=0, ddof=1) / np.sqrt(len(seeds))).round(3).tolist(),
        "regret": regret.round(3).tolist(),
        "seconds": round((time.perf_counter() - began) / len(seeds), 2),
    }


def key(name: str, case: Case, seeds: range, worth: int) -> Row:
    """What tells one row from another."""
    return {
        "table": case.table.name, "budget": str(case.band.budget), "method": name,
        "first seed": seeds.start, "seeds": len(seeds), "worth": worth,
    }  # fmt: skip


def printed(rows: Sequence[Row]) -> list[Row]:
    """Mean regret in percentage points, with its standard error."""
    return [
        {name: one[name] for name in ("table", "budget", "networks", "method", "seeds", "worth")}
        | {
            f"{n}": f"{m:.2f} ± {e:.2f}"
            for n, m, e in zip(one["trainings"], one["mean"], one["error"], strict=True)
        }
        for one in rows
    ]


def markdown(rows: Sequence[Row]) -> str:
    """The same as a table of a README."""
    cells = printed(rows)
    heads = list(dict.fromkeys(name for one in cells for name in one))
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(str(one.get(head, '')) for head in heads)} |" for one in cells]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> list[Row]:
    """Measure, print and, where asked to, write."""
    parse = argparse.ArgumentParser(description="Regret of searches on a table of trained networks.")
    parse.add_argument("table", type=Path, help="a YAML as of --proxy table:FILE")
    parse.add_argument("--budgets", nargs="+", default=["40M", "60M", "80M"], metavar="COST")
    parse.add_argument("--band", type=float, nargs=2, default=(0.95, 1.0), metavar=("LOW", "HIGH"))
    parse.add_argument("--methods", nargs="+", default=METHODS, choices=[*SAMPLERS, *BASELINES])
    parse.add_argument("--seeds", type=int, default=20)
    parse.add_argument("--first-seed", type=int, default=0)
    parse.add_argument("--worth", type=int, default=33, help="trainings of a search")
    parse.add_argument("--json", type=Path, metavar="PATH", help="write the figures there, and PATH.md")
    options = parse.parse_args(argv)
    path = options.json
    rows: list[Row] = json.loads(path.read_text())["rows"] if path is not None and path.exists() else []
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for budget in options.budgets:
        case = Case(options.table, budget, tuple(options.band))
        for name in options.methods:
            known = key(name, case, seeds, options.worth)
            if any(one | known == one for one in rows):
                continue
            rows.append(row(name, case, seeds, options.worth))
            if path is not None:
                lines = ",\n".join(map(json.dumps, rows))
                write_text(path, f'{{"machine": {json.dumps(machine())}, "rows": [\n{lines}\n]}}\n')
                write_text(path.with_suffix(".md"), markdown(rows))
    report("mean regret in percentage points after so many trainings", printed(rows), None)
    return rows


if __name__ == "__main__":
    main()
