"""How well a proxy tells networks apart: the spread between networks against the spread between seeds.

    python -m studies.proxy.measure train --proxy cpu --out studies/proxy/cpu.csv
    python -m studies.proxy.measure table studies/proxy/cpu.csv

`train` appends one row a training and skips the rows it finds, so it can be stopped and started again; after
every row it writes what `table` prints beside the CSV, as Markdown.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from space.architecture import Architecture
from space.band import BandSampler
from space.budget import parse_budget
from space.cost import cost
from space.families import named
from space.space_file import load_space

BUDGET = "4.5GFLOPs"
NAMED = (
    "convnext_tiny", "resnet50", "roadmap_t_2", "roadmap_t_3", "roadmap_t_6", "roadmap_t_9",
    "roadmap_t_13", "roadmap_t_15",
)  # fmt: skip
CANDIDATES = 8
COLUMNS = (
    "network", "origin", "fingerprint", "gflops", "mparams", "depths", "widths", "kernel_sizes", "expansions",
    "norm", "activation", "proxy", "proxy_fingerprint", "seed", "epochs", "accuracy", "val_loss",
    "train_seconds", "eval_seconds", "images_per_second", "precision", "threads",
)  # fmt: skip


def networks() -> dict[str, tuple[str, Architecture]]:
    """Name -> (origin, architecture): named networks near the budget, candidates of the default space."""
    found = {name: ("named", named(name)) for name in NAMED}
    band = BandSampler(load_space("convnext"), parse_budget(BUDGET))
    for i, candidate in enumerate(band.sample(CANDIDATES, seed=0)):
        found[f"candidate_{i}"] = ("candidate", candidate)
    return found


def jobs(seeds: int) -> Iterator[tuple[str, int]]:
    """Candidates and named networks in turn, all of them with one seed before any has a second."""
    names = list(networks())
    order = sorted(range(len(names)), key=lambda i: (i % len(NAMED), i))
    for seed in range(seeds):
        for i in order:
            yield names[i], seed


def measure(proxy_name: str, out: Path, seeds: int) -> None:
    """Trains what is missing in `out`, one row after the other."""
    import torch

    from nas.proxy.proxy import load_proxy
    from nas.proxy.trainer import train
    from nas.training.result import TrialFailed

    proxy = load_proxy(proxy_name)
    data = proxy.load_data()
    fingerprint = proxy.fingerprint(data)
    done = {(row["fingerprint"], row["proxy_fingerprint"], int(row["seed"])) for row in read(out)}
    found = networks()
    for name, seed in jobs(seeds):
        origin, architecture = found[name]
        if (architecture.fingerprint, fingerprint, seed) in done:
            continue
        try:
            result = train(architecture, proxy, data, seed)
        except TrialFailed as failure:
            print(f"{name} seed {seed}: {failure}", flush=True)
            continue
        costs = cost(architecture)
        row = {
            "network": name,
            "origin": origin,
            "fingerprint": architecture.fingerprint,
            "gflops": round(costs.macs / 1e9, 3),
            "mparams": round(costs.params / 1e6, 2),
            "depths": "-".join(map(str, architecture.depths)),
            "widths": "-".join(map(str, architecture.widths)),
            "kernel_sizes": "-".join(str(stage.kernel_size) for stage in architecture.stages),
            "expansions": "-".join(str(stage.expansion) for stage in architecture.stages),
            "norm": architecture.norm,
            "activation": architecture.activation,
            "proxy": Path(proxy_name).stem,
            "proxy_fingerprint": fingerprint,
            "seed": seed,
            "epochs": result.epochs,
            "accuracy": result.accuracy,
            "val_loss": round(result.curve[-1]["val_loss"], 4),
            "train_seconds": round(result.train_seconds, 1),
            "eval_seconds": round(result.eval_seconds, 1),
            "images_per_second": round(result.images_per_second, 1),
            "precision": result.precision,
            "threads": torch.get_num_threads(),
        }
        append(out, row)
        out.with_suffix(".md").write_text(table(out) + "\n", encoding="utf-8")
        print(f"{time.strftime('%H:%M:%S')} {name} seed {seed}: {result.accuracy:.3f}", flush=True)


def append(path: Path, row: dict[str, object]) -> None:
    """Adds a row, the header first if the file is new; it is on the disk when this returns."""
    new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerow(row)
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, str]]:
    """The rows so far; none if there is no file."""
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Spread:
    """Standard deviations: of the networks' means; of seeds, pooled within networks; and of what a seed does
    to one network beyond what it does to all of them (the residual of network + seed), which is the noise of
    comparing networks trained with the same seed, as the trials of one search are.
    """

    networks: int
    between: float
    within: float
    residual: float
    lowest: float
    highest: float

    def __str__(self) -> str:
        cells = [f"{self.lowest:.3f} to {self.highest:.3f}", f"{self.between:.4f}"]
        for noise in (self.within, self.residual):
            cells += [f"{noise:.4f}", f"{self.between / noise:.1f}"]
        return " | ".join((str(self.networks), *cells, f"{(self.highest - self.lowest) / self.within:.1f}"))


def spread(values: list[list[float]]) -> Spread:
    """From the values of each network, in the order of seeds; only seeds that all of them have count."""
    seeds = min(len(group) for group in values)
    grid = np.array([group[:seeds] for group in values])
    means, shifts = grid.mean(axis=1), grid.mean(axis=0) - grid.mean()
    deviations = grid - means[:, None]
    within = np.sqrt((deviations**2).sum() / (len(grid) * (seeds - 1)))
    residual = np.sqrt(((deviations - shifts) ** 2).sum() / ((len(grid) - 1) * (seeds - 1)))
    low, high = float(means.min()), float(means.max())
    return Spread(len(grid), float(means.std(ddof=1)), float(within), float(residual), low, high)


def table(path: Path) -> str:
    """Markdown: every network's mean and deviation, then the spreads with and without the extremes."""
    by_network: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in read(path):
        by_network[row["network"]].append(row)
    lines = ["| network | GFLOPs | accuracy | std over seeds | seeds |", "|---|---|---|---|---|"]
    for name in reversed(ranked(by_network)):
        group = column(by_network[name], "accuracy")
        deviation = f"{np.std(group, ddof=1):.3f}" if len(group) > 1 else ""
        gflops = by_network[name][0]["gflops"]
        lines.append(f"| {name} | {gflops} | {np.mean(group):.3f} | {deviation} | {len(group)} |")
    headings = "of | among | networks | range | between | within | ratio | residual | ratio | range / within"
    lines += ["", f"| {headings} |", "|---" * 10 + "|"]
    for metric in ("accuracy", "val_loss"):
        for label, names in selections(by_network).items():
            groups = [column(by_network[name], metric) for name in names]
            if min(len(group) for group in groups) > 1:
                lines.append(f"| {metric} | {label} | {spread(groups)} |")
    return "\n".join(lines)


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    """One number of every row."""
    return [float(row[name]) for row in rows]


def ranked(by_network: dict[str, list[dict[str, str]]]) -> list[str]:
    """The networks by mean accuracy, worst first."""
    return sorted(by_network, key=lambda name: float(np.mean(column(by_network[name], "accuracy"))))


def selections(by_network: dict[str, list[dict[str, str]]]) -> dict[str, list[str]]:
    """What the spread is stated for: one broken network must not carry it."""
    names = ranked(by_network)
    origin = {name: rows[0]["origin"] for name, rows in by_network.items()}
    return {
        "all networks": names,
        "all but the best and the worst": names[1:-1],
        "all but the two worst": names[2:],
        "candidates of the default space": [name for name in names if origin[name] == "candidate"],
        "candidates but the best and the worst": [n for n in names if origin[n] == "candidate"][1:-1],
        "named networks": [name for name in names if origin[name] == "named"],
    }


def main() -> None:
    """`train` or `table`."""
    parser = argparse.ArgumentParser(prog="python -m studies.proxy.measure", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    training = commands.add_parser("train")
    training.add_argument("--proxy", default="cpu")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--seeds", type=int, default=3)
    summary = commands.add_parser("table")
    summary.add_argument("csv", type=Path)
    args = parser.parse_args()
    if args.command == "train":
        measure(args.proxy, args.out, args.seeds)
    else:
        print(table(args.csv))


if __name__ == "__main__":
    main()
