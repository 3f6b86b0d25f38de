"""What the training-free scores are worth on the networks that were trained under the cpu proxy.

    python -m studies.scores.measure scores --out studies/scores/networks.csv
    python -m studies.scores.measure table studies/scores/networks.csv
    python -m studies.scores.measure coverage

`scores` scores the networks of studies/proxy/cpu.csv and of studies/default_tpe, `table` prints the rank
correlations of every score as Markdown, `coverage` how often the intervals hold the truth in simulated cases.
"""

from __future__ import annotations

import argparse
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.scores.batch import draw_batch
from analysis.scores.measure import compute
from analysis.scores.rank import LEVEL, WORTHWHILE, Relation, interval, relations, tau_b
from analysis.scores.scores import SCORES
from space.architecture import Architecture
from space.errors import InputError
from space.files import write_text

TRAININGS = Path("studies/proxy/cpu.csv")
SEARCH = Path("studies/default_tpe")
SEED = 0
BAND = (4.275, 4.5)  # GFLOPs: the default search's
POOLED = 2  # of `selections`
FIELDS = ("network", "origin", "fingerprint", "gflops", "accuracy", "accuracy_seed_0", "trainings")


@dataclass
class Trained:
    """A network with its accuracies by seed; `origin` is named, candidate or search."""

    name: str
    origin: str
    architecture: Architecture
    gflops: float
    accuracies: dict[int, float]


def trained() -> dict[str, Trained]:
    """Fingerprint -> network, of both studies. Raises `InputError` where their proxies differ."""
    from nas.proxy.proxy import load_proxy
    from nas.record.study import read_study
    from studies.proxy.measure import networks, read

    proxy = load_proxy("cpu")
    expected = proxy.fingerprint(proxy.load_data())
    known = networks()
    found: dict[str, Trained] = {}
    for row in read(TRAININGS):
        origin, architecture = known[row["network"]]
        if (row["fingerprint"], row["proxy_fingerprint"]) != (architecture.fingerprint, expected):
            raise InputError(f"{TRAININGS}: {row['network']} is another network or under another proxy now")
        entry = found.setdefault(
            row["fingerprint"], Trained(row["network"], origin, architecture, float(row["gflops"]), {})
        )
        entry.accuracies[int(row["seed"])] = float(row["accuracy"])
    study = read_study(f"./{SEARCH}")
    if study.mapping["proxy"]["fingerprint"] != expected:
        raise InputError(f"{SEARCH}: another proxy than the cpu proxy of today")
    for trial in study.trials:
        architecture = Architecture.from_dict(trial.architecture)
        new = Trained(f"search_{trial.number}", "search", architecture, trial.macs / 1e9, {})
        entry = found.setdefault(architecture.fingerprint, new)
        if trial.full_accuracy is not None:
            entry.accuracies.setdefault(trial.seed, trial.full_accuracy)
    return found


def write_scores(out: Path) -> None:
    """One row a network: accuracy (mean over seeds, and of seed 0) and every score."""
    from nas.proxy.proxy import load_proxy

    networks = list(trained().values())
    batch = draw_batch(load_proxy("cpu"), None, SEED)
    scores = compute(list(SCORES.values()), [network.architecture for network in networks], batch)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FIELDS, *scores])
    for i, network in enumerate(networks):
        values = list(network.accuracies.values())
        fields = [network.name, network.origin, network.architecture.fingerprint, f"{network.gflops:.3f}"]
        accuracies = [f"{np.mean(values):.4f}", f"{network.accuracies[0]:.4f}", len(values)]
        writer.writerow([*fields, *accuracies, *(f"{column[i]:.8g}" for column in scores.values())])
    write_text(out, text.getvalue())


def selections(rows: list[dict[str, str]]) -> Iterator[tuple[str, list[dict[str, str]], str]]:
    """What is compared with what: a title, its networks, and the accuracy that counts."""
    inside = [row for row in rows if BAND[0] <= float(row["gflops"]) <= BAND[1]]
    space = [row for row in inside if row["origin"] != "named" or row["network"] == "convnext_tiny"]
    search = [row for row in space if row["origin"] == "search" or row["network"] == "convnext_tiny"]
    drawn = [row for row in space if row["origin"] != "search"]
    yield "studies/default_tpe: one search", search, "accuracy_seed_0"
    yield "studies/proxy: drawn uniformly in the band, and ConvNeXt-T, mean of three seeds", drawn, "accuracy"
    yield "both, in the band and the default space, seed 0", space, "accuracy_seed_0"
    near = [row for row in rows if row["origin"] != "search"]
    yield "studies/proxy, ResNet-50 to ConvNeXt-T included, inside the band or not", near, "accuracy"


def table(path: Path) -> str:
    """Markdown: a table a selection."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = []
    for title, chosen, accuracy in selections(rows):
        scores = {name: [float(row[name]) for row in chosen] for name in SCORES}
        found = relations(scores, [float(row[accuracy]) for row in chosen])
        lines += [f"**{title}** ({len(chosen)} networks)", "", *markdown(found), ""]
    return "\n".join([*lines, *between(list(selections(rows))[POOLED][1])])


def between(rows: list[dict[str, str]]) -> list[str]:
    """Markdown: how far the scores rank networks as depth and activations do."""
    columns = {name: np.array([float(row[name]) for row in rows]) for name in SCORES}
    once = np.ones((1, len(rows)))
    lines = [f"**Kendall tau between scores** (the {len(rows)} networks)", ""]
    lines += ["| score | with depth | with activations | with params |", "|---" * 4 + "|"]
    for name, values in columns.items():
        taus = [tau_b(values, columns[other], once)[0] for other in ("depth", "activations", "params")]
        lines.append(f"| {name} | " + " | ".join(f"{tau:+.2f}" for tau in taus) + " |")
    return lines


def markdown(found: list[Relation]) -> list[str]:
    """One row a score."""
    lines = ["| score | Kendall tau | Spearman rho | tau above baseline | verdict |", "|---" * 5 + "|"]
    for one in found:
        gain = "" if one.gain is None else str(one.gain)
        verdict = f"{one.verdict}: {one.reason}" if one.reason else one.verdict
        lines.append(f"| {one.score} | {one.tau} | {one.rho} | {gain} | {verdict} |")
    return lines


def coverage(cases: int = 1000, resamples: int = 1000) -> str:
    """Markdown: bootstrap intervals of tau for normal scores and accuracies of a known tau."""
    rng = np.random.default_rng(0)
    lines = [
        f"| networks | true tau | interval holds it | above {WORTHWHILE} | mean width |",
        "|---" * 5 + "|",
    ]
    for networks in (10, 15, 30, 60):
        for tau in (0.0, 0.3, 0.5):
            correlation = np.sin(np.pi * tau / 2)  # a normal pair's
            ends = []
            for _ in range(cases):
                x, noise = rng.normal(size=(2, networks))
                y = correlation * x + np.sqrt(1 - correlation**2) * noise
                counts = rng.multinomial(networks, np.full(networks, 1 / networks), size=resamples)
                found = interval(tau_b(x, y, np.vstack([np.ones((1, networks)), counts])), LEVEL)
                ends.append((found.low, found.high))
            low, high = np.array(ends, dtype=float).T
            cells = [((low <= tau) & (tau <= high)).mean(), (low > WORTHWHILE).mean(), (high - low).mean()]
            lines.append(f"| {networks} | {tau} | {cells[0]:.1%} | {cells[1]:.1%} | {cells[2]:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """`scores`, `table` or `coverage`."""
    parser = argparse.ArgumentParser(prog="python -m studies.scores.measure", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    scoring = commands.add_parser("scores")
    scoring.add_argument("--out", type=Path, required=True)
    reading = commands.add_parser("table")
    reading.add_argument("csv", type=Path)
    commands.add_parser("coverage")
    args = parser.parse_args()
    if args.command == "scores":
        write_scores(args.out)
    elif args.command == "table":
        print(table(args.csv))
    else:
        print(coverage())


if __name__ == "__main__":
    main()
