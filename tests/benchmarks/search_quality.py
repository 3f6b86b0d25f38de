"""How good the networks are that a search finds, against the epochs it trains, on simulated laws.

    python -m tests.benchmarks.search_quality [--quick] [--seeds 20] [--worth 33] [--json PATH]

Regret: the best true accuracy in the band minus the true accuracy of the incumbent, the network with the best
*observed* accuracy among the fully trained ones. The space is `convnext`, the band 4.5 GFLOPs.

Every sampler is measured with every scheduler, one worker, and the epochs of `--worth` full trainings. Every
trained epoch counts; a promoted training continues. A scheduler gets as many networks as these epochs suffice
for when all promotions are done.

`script` is what one would write with Optuna alone: default TPE over the raw axes, both ends of the band as
constraints (`Trial.set_constraint`), infeasible networks pruned before they are trained (they cost it no
epoch here, only time), SuccessiveHalvingPruner with its defaults over the epochs of the others.

`third` is no scheduler, but the baseline of one: every network stops at a third of the epochs, and the
incumbent is the best there. `auto` looks first (nas/driver/gate.py): a third of the epochs are those of full
trainings, the others suffice for as many networks as its decision makes of them.

With `--tables`, on networks that others trained in place of laws (docs/tables.md); a network's true accuracy
is then the mean over its seeds after the last epoch.

With `--json`, every row is written as it comes, and rows that are there already are not measured again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
import optuna
from optuna.trial import TrialState

from nas.driver.gate import Gate, look_of
from nas.driver.rungs import SCHEDULERS, Rungs, candidate_levels
from nas.engines.job import Job, Trainer
from nas.proxy.simulated import CHANCE, EPOCHS, LAWS, SimulatedTrainer
from nas.samplers.band import Band
from nas.samplers.proposer import SAMPLERS, Proposer, code_of, distributions
from nas.table.space import TableBand
from nas.table.table import Table, read_table
from nas.table.trainer import TableTrainer
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.errors import InputError
from space.files import write_text
from space.networks import Recorded, convnet
from space.space_file import load_space
from tests.benchmarks.measuring import Row, machine, report
from tests.nas.proxy.in_band import best_in_band

BUDGET = "4.5GFLOPs"
SHOWN = (5, 10, 20, 33, 50, 100, 200)  # full trainings' worth of epochs
MIN_STARTUP, STARTUP_SHARE = 5, 0.3
SCRIPT, AUTO, THIRD, TABLE = "script", "auto", "third", "table:"
ALL_SCHEDULERS = (*SCHEDULERS, AUTO, THIRD)
Curves = dict[int, list[float]]  # accuracies after each epoch, by trial
Trace = list[tuple[int, float, float]]  # epochs spent, observed and true accuracy of a fully trained network


@dataclass(frozen=True)
class Method:
    """A search: how it proposes, what it stops early, and what a full training is."""

    sampler: str
    scheduler: str = "none"
    epochs: int = EPOCHS
    eta: int = 3
    min_epochs: int | None = None

    @property
    def trained(self) -> int:
        """Epochs after which a network can be the incumbent."""
        return max(1, round(self.epochs / 3)) if self.scheduler == THIRD else self.epochs

    def rungs(self, networks: int) -> Rungs:
        if self.scheduler in (AUTO, THIRD):
            return Rungs("none", self.trained, networks)
        return Rungs(self.scheduler, self.epochs, networks, eta=self.eta, min_epochs=self.min_epochs)

    @cache  # noqa: B019 - of a frozen value
    def networks(self, worth: int) -> int | None:
        """As many as so many full trainings' epochs suffice for; None where that is decided on the way."""
        if self.scheduler == AUTO:
            return None
        if self.scheduler == "none":
            return worth
        most = worth * self.epochs
        # each has the epochs of the first rung at least
        first = self.rungs(most).levels[0]
        return next(n for n in range(most // first, 0, -1) if self._epochs_for(n) <= most)

    def _epochs_for(self, networks: int) -> int:
        """Epochs of a search for so many networks; they do not depend on what is found."""
        with suppress(InputError):  # too few for these rungs
            return sum(epochs for _, epochs in stretches(self.rungs(networks), networks, {}))
        return networks * self.epochs


def steps(method: Method, worth: int, curves: Curves) -> Iterator[tuple[int, int]]:
    """(trial, epochs to train) of a search, one after the other, by one worker; `curves` are those so far."""
    networks = method.networks(worth)
    if networks is not None:
        yield from stretches(method.rungs(networks), networks, curves)
        return
    levels = candidate_levels(method.epochs, method.eta, method.min_epochs)
    gate = Gate(levels, min(look_of(worth), worth), method.eta)
    for number in range(gate.look):
        yield number, method.epochs
        gate.learn(number, curves[number])
    rest = worth - gate.look
    gate.decision = gate.decide(gate.look, rest)
    yield from stretches(gate.rungs(), gate.networks(rest), curves, gate.look)


def stretches(rungs: Rungs, networks: int, curves: Curves, first: int = 0) -> Iterator[tuple[int, int]]:
    """The same with rungs, for so many networks numbered from `first`."""
    done: dict[int, int] = {}
    while True:
        going_on = rungs.promote()
        if going_on is None:
            if len(done) == networks or not rungs.may_start():
                return
            going_on = first + len(done), rungs.start(first + len(done))
        number, target = going_on
        yield number, target - done.get(number, 0)
        done[number] = target
        rungs.reached(number, target, curves[number][-1] if number in curves else 0.0)


@dataclass(frozen=True)
class Ground:
    """Where is searched: a band, what trains its networks, what they are truly worth, and the best of it."""

    band: Band
    trainer: Callable[[int], Trainer]  # of so many epochs
    true: Callable[[Recorded], float]
    best: float


@cache
def band_of(space: str) -> BandSampler:
    return BandSampler(load_space(space), parse_budget("60MFLOPs" if space == "micro" else BUDGET))


@cache
def ground_of(law: str, space: str) -> Ground:
    """Of a law and a space, or of a table's YAML and a budget."""
    if law.startswith(TABLE):
        return ground_of_table(table_of(law), space)
    band = band_of(space)
    best = best_in_band(LAWS[law], band)[0]

    def true(network: Recorded) -> float:
        return LAWS[law].of(convnet(network, law))

    return Ground(band, lambda epochs: SimulatedTrainer(LAWS[law], epochs), true, best)


def ground_of_table(table: Table, budget: str) -> Ground:
    band = TableBand(table.space, parse_budget(budget))
    means = np.nanmean(table.accuracies[:, :, -1], axis=1)

    def true(network: Recorded) -> float:
        row = table.space.row_of(network)
        assert row is not None
        return float(means[row])

    best = float(means[table.space.rows(band.all_codes())].max())
    return Ground(band, lambda epochs: TableTrainer(table), true, best)


@cache
def table_of(law: str) -> Table:
    return read_table(Path(law.removeprefix(TABLE)))


def searched(method: Method, law: str, space: str, seed: int, worth: int) -> Trace:
    """A search as `nas.search` runs it, without the reference network."""
    ground = ground_of(law, space)
    trainer = ground.trainer(method.epochs)
    levels = method.rungs(method.networks(worth) or worth).levels
    startup = max(MIN_STARTUP, round(STARTUP_SHARE * worth))
    proposer = Proposer(ground.band, method.sampler, seed, startup, epochs=method.epochs, levels=levels)
    trace: Trace = []
    trainings, curves, spent = {}, Curves(), 0
    for number, epochs in steps(method, worth, curves):
        if number not in trainings:
            proposal = proposer.next(number)
            if proposal is None:
                break
            proposer.started(number, proposal.architecture, proposal.memo)
            job = Job(number, proposal.architecture, seed, method.epochs)
            trainings[number] = job, trainer.start(job)
        job, training = trainings[number]
        for _ in range(epochs):
            training.epoch()
        spent += epochs
        curve = curves[number] = [point.val_accuracy for point in training.curve]
        proposer.reported(number, curve)
        if len(curve) == method.trained:
            trace.append((spent, curve[-1], ground.true(job.architecture)))
    return trace


def scripted(law: str, space: str, seed: int, trials: int) -> Trace:
    """The script one would write with Optuna alone; see the module's text."""
    band, trainer = band_of(space), SimulatedTrainer(LAWS[law])
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
        epochs = trained(trial, trainer.curve(network, seed)) if band.budget.allows(macs) else 0
        spent += epochs
        if epochs == EPOCHS:
            accuracy = float(trainer.curve(network, seed)[-1])
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


def shown(worth: int) -> list[int]:
    return [*(n for n in SHOWN if n < worth), worth]


@dataclass(frozen=True)
class Task:
    """All seeds of one law and method."""

    law: str
    method: Method
    space: str
    seeds: range
    worth: int

    def key(self) -> Row:
        """What tells its row from others."""
        networks = None if self.method.sampler == SCRIPT else self.method.networks(self.worth)
        law = self.law
        return {
            "law": TABLE + table_of(law).name if law.startswith(TABLE) else law,
            "method": self.method.sampler,
            **{name: value for name, value in asdict(self.method).items() if name != "sampler"},
            "trials": self.worth,
            "networks": networks,
            "seeds": len(self.seeds),
            "first seed": self.seeds.start,
        }

    def run_once(self, seed: int) -> tuple[list[float], float]:
        """Regrets of one search at `shown`, and the seconds it took."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        best = ground_of(self.law, self.space).best
        start = time.perf_counter()
        if self.method.sampler == SCRIPT:
            trace = scripted(self.law, self.space, seed, self.worth)
        else:
            trace = searched(self.method, self.law, self.space, seed, self.worth)
        seconds = time.perf_counter() - start
        return regrets(trace, best, [n * self.method.epochs for n in shown(self.worth)]), seconds

    def row(self, results: Sequence[tuple[list[float], float]]) -> Row:
        regret = np.array([r for r, _ in results])
        low, median, high = np.quantile(regret, (0.25, 0.5, 0.75), axis=0)
        return {
            **self.key(),
            "full trainings": shown(self.worth),
            "epochs trained": [n * self.method.epochs for n in shown(self.worth)],
            "median": median.tolist(),
            "quartiles": [low.tolist(), high.tolist()],
            "regret": regret.round(6).tolist(),
            "full trainings a second": len(self.seeds) * self.worth / sum(s for _, s in results),
        }


def measure(tasks: Sequence[Task], jobs: int, path: Path | None) -> list[Row]:
    """One row a task; those that the file has already are taken from there."""
    rows: list[Row] = []
    known: list[Row] = json.loads(path.read_text())["rows"] if path is not None and path.exists() else []
    with ProcessPoolExecutor(jobs) if jobs > 1 else nullcontext() as pool:
        for task in tasks:
            key = task.key()
            row = next((row for row in known if row | key == row), None)
            if row is None:
                row = task.row(list((pool.map if pool else map)(task.run_once, task.seeds)))
                known.append(row)
                if path is not None:
                    versions = f"{machine()}, optuna {optuna.__version__}"
                    write_text(path, json.dumps({"machine": versions, "rows": known}) + "\n")
            rows.append(row)
    return rows


def table(rows: Sequence[Row]) -> list[Row]:
    """Rows to print: regret in percentage points, median (quartiles)."""
    printed = []
    for row in rows:
        cells = {
            f"{n}": f"{100 * m:.2f} ({100 * low:.2f}-{100 * high:.2f})"
            for n, m, low, high in zip(row["full trainings"], row["median"], *row["quartiles"], strict=True)
        }
        names = ("law", "method", "scheduler", "seeds", "networks")
        rate = {"trainings a second": row["full trainings a second"]}
        printed.append({name: row[name] for name in names} | cells | rate)
    return printed


def parser() -> argparse.ArgumentParser:
    parse = argparse.ArgumentParser(description="Regret of samplers and schedulers on simulated laws.")
    parse.add_argument("--quick", action="store_true", help="a tiny space, a few methods: does it run at all")
    parse.add_argument("--seeds", type=int, default=20)
    parse.add_argument("--first-seed", type=int, default=0)
    parse.add_argument("--worth", type=int, default=33, help="full trainings whose epochs a search has")
    parse.add_argument("--epochs", type=int, default=EPOCHS, help="of a full training")
    parse.add_argument("--methods", nargs="+", default=[*SAMPLERS, SCRIPT], choices=[*SAMPLERS, SCRIPT])
    parse.add_argument("--schedulers", nargs="+", default=list(SCHEDULERS), choices=ALL_SCHEDULERS)
    parse.add_argument("--eta", type=int, default=3, help="one in so many goes on")
    parse.add_argument("--min-epochs", type=int, help="the first rung")
    parse.add_argument("--laws", nargs="+", default=list(LAWS), choices=list(LAWS))
    parse.add_argument("--tables", nargs="+", metavar="YAML", help="tables to search in place of laws")
    parse.add_argument(
        "--budget", default="1params..1e12params", help="of the tables (default: all they have)"
    )
    parse.add_argument("--jobs", type=int, default=1, help="processes")
    parse.add_argument("--json", type=Path, metavar="PATH", help="write the figures there as well")
    return parse


def planned(options: argparse.Namespace) -> list[Task]:
    """All tasks, the laws one after the other for each method."""
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    grounds = [(law, "convnext", options.epochs) for law in options.laws]
    if options.tables is not None:
        laws = [TABLE + path for path in options.tables]
        grounds = [(law, options.budget, table_of(law).epochs) for law in laws]
    tasks = []
    for sampler in options.methods:
        for scheduler in options.schedulers if sampler != SCRIPT else ["none"]:
            for law, space, epochs in grounds:
                method = Method(sampler, scheduler, epochs, options.eta, options.min_epochs)
                tasks.append(Task(law, method, space, seeds, options.worth))
    return tasks


def quick() -> list[Task]:
    methods = [Method("random", scheduler) for scheduler in ALL_SCHEDULERS]
    methods += [Method("surrogate"), Method(SCRIPT)]
    return [Task("separable", method, "micro", range(2), 4) for method in methods]


def main(argv: Sequence[str] | None = None) -> list[Row]:
    options = parser().parse_args(argv)
    tasks = quick() if options.quick else planned(options)
    rows = measure(tasks, options.jobs, options.json)
    title = "regret in percentage points after so many full trainings' worth of epochs, median (quartiles)"
    report(title, table(rows), None)
    return rows


if __name__ == "__main__":
    main()
