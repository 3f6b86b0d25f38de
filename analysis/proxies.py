"""`python -m analysis.proxies STUDY`: what training-free scores are worth among the networks a study trained.

Kendall's tau-b and Spearman's rho of score and trained accuracy, inside the budget band, with percentile
bootstrap intervals over networks. A score is offered as a pre-filter only where this table says so: at least
`ENOUGH` networks, the 90% interval of tau above `WORTHWHILE`, and above the better of FLOPs and parameters
(each in the direction that fits it best) on the same resamples.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from space.command import Command
from space.errors import InputError
from space.networks import is_swin

if TYPE_CHECKING:
    from rich.table import Table

    from nas.scores import Batch, Score
    from space.architecture import Architecture

LEVEL = 0.90  # of the intervals
# at tau .3, 81% of the best tenth of the networks are in the better half by the score; by chance 50%
# (both normal; at .2 it is 71%, at .5 95%)
WORTHWHILE = 0.3
ENOUGH = 15  # networks; an interval of tau is 0.5 to 0.7 wide then (studies/scores)
FEWEST = 3
RESAMPLES = 4000
BASELINES = ("flops", "params")

Floats = NDArray[np.float64]

OFFERED = "offered"
NOT_OFFERED = "not offered"
NO_RELATION = "not distinguishable from no relation"


@dataclass(frozen=True)
class Interval:
    """A rank correlation with its bootstrap interval; all None where it is not defined (a constant)."""

    value: float | None
    low: float | None
    high: float | None

    def __str__(self) -> str:
        if self.value is None or self.low is None or self.high is None:
            return "-"
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


@dataclass(frozen=True)
class Relation:
    """A score against trained accuracy: both correlations, what is gained on the baselines, and the verdict.

    `gain` is tau minus the better baseline's, with its interval; None for a baseline itself.
    """

    score: str
    networks: int
    tau: Interval
    rho: Interval
    gain: Interval | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """The distinct networks of a study inside one band: trained accuracy, how often trained, and scores."""

    study: str
    band: str
    fingerprints: list[str]
    accuracies: list[float]
    trainings: list[int]
    scores: dict[str, list[float]]
    warnings: list[str] = field(default_factory=list)


def relations(
    scores: Mapping[str, ArrayLike], accuracies: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Relation]:
    """Every score [n] against the accuracies [n], networks resampled alike for all of them.

    `scores` should hold `BASELINES`; without them no gain is asked for. Networks for which a score is not
    finite do not count for it. Raises `InputError`.
    """
    y = _checked("accuracies", accuracies, None)
    columns = {name: _checked(name, values, len(y)) for name, values in scores.items()}
    if not np.isfinite(y).all():
        raise InputError("accuracies: not all are finite")
    if len(y) < FEWEST:
        raise InputError(f"{len(y)} networks: a rank correlation needs at least {FEWEST}")
    weights = np.random.default_rng(seed).multinomial(len(y), np.full(len(y), 1 / len(y)), size=resamples)
    draws = np.vstack([np.ones((1, len(y))), weights])  # first the networks as they are, then the resamples
    taus = {name: tau_b(x, y, draws) for name, x in columns.items()}
    return [_relation(name, x, y, draws, taus) for name, x in columns.items()]


def _checked(name: str, values: ArrayLike, length: int | None) -> Floats:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or (length is not None and len(array) != length):
        expected = "one number a network" if length is None else f"{length} numbers, one a network"
        raise InputError(f"{name}: must be {expected}, not an array of shape {array.shape}")
    return array


def _relation(name: str, x: Floats, y: Floats, draws: Floats, taus: Mapping[str, Floats]) -> Relation:
    tau, rho = interval(taus[name]), interval(spearman(x, y, draws))
    others = [taus[other] for other in BASELINES if other in taus and other != name]
    gain = None if name in BASELINES or not others else interval(_gain(taus[name], others))
    networks = int(np.isfinite(x).sum())
    return Relation(name, networks, tau, rho, gain, *_verdict(networks, tau, gain))


def _gain(tau: Floats, others: Sequence[Floats]) -> Floats:
    """Tau minus that of the best baseline, draw by draw; a baseline may as well be used upside down."""
    signed = [other * np.sign(other[0]) for other in others if np.isfinite(other[0])]
    best = max(signed, key=lambda other: float(other[0]), default=np.zeros_like(tau))
    return np.asarray(tau - best)


def _verdict(networks: int, tau: Interval, gain: Interval | None) -> tuple[str, str]:
    """The verdict and, in a few words, why."""
    if tau.value is None or tau.low is None or tau.high is None:
        return NO_RELATION, "constant"
    if tau.low <= 0 <= tau.high:
        return NO_RELATION, "the interval of tau holds 0"
    objections = {
        "negative": tau.high < 0,
        f"fewer than {ENOUGH} networks": networks < ENOUGH,
        f"tau may be {WORTHWHILE} or less": tau.low <= WORTHWHILE,
        "no better than FLOPs or parameters": gain is not None and (gain.low is None or gain.low <= 0),
    }
    reason = next((reason for reason, holds in objections.items() if holds), "")
    return NOT_OFFERED if reason else OFFERED, reason


def interval(draws: Floats, level: float = LEVEL) -> Interval:
    """The first draw with the percentile interval of the others; undefined draws are left out."""
    resampled = draws[1:][np.isfinite(draws[1:])]
    if not math.isfinite(draws[0]) or len(resampled) == 0:
        return Interval(None, None, None)
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(draws[0]), float(low), float(high))


def tau_b(x: Floats, y: Floats, counts: ArrayLike) -> Floats:
    """Kendall's tau-b for each row of `counts` [B, n], how often every network is drawn; nan where undefined.

    A network drawn twice is tied with itself, in both rankings. Networks without a finite x have no weight.
    """
    x, weights = _known(x, np.asarray(counts, dtype=float))
    signs_x, signs_y = (np.sign(v[:, None] - v) for v in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        agree, untied_x, untied_y = (
            ((weights @ pairs) * weights).sum(axis=1)
            for pairs in (signs_x * signs_y, abs(signs_x), abs(signs_y))
        )
        return np.asarray(agree / np.sqrt(untied_x * untied_y))


def spearman(x: Floats, y: Floats, counts: ArrayLike) -> Floats:
    """Spearman's rho (ties share their mean rank) for each row of `counts` [B, n]; nan where undefined."""
    x, weights = _known(x, np.asarray(counts, dtype=float))
    total = weights.sum(axis=1, keepdims=True)
    centred = []
    for values in (x, y):
        below = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
        ranks = weights @ below.T  # up to a constant
        centred.append(ranks - (weights * ranks).sum(axis=1, keepdims=True) / total)
    a, b = centred
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1))
        # a constant's ranks differ from their mean by rounding only
        return np.where(spread > 1e-9, (weights * a * b).sum(axis=1) / spread, np.nan)


def _known(x: Floats, weights: Floats) -> tuple[Floats, Floats]:
    known = np.isfinite(x)
    return np.where(known, x, 0.0), weights * known


# ---- a study --------------------------------------------------------------------------------------------


def measure(study: Mapping[str, Any], names: Sequence[str] | None = None) -> list[Measured]:
    """The scores of the networks that a study, as `nas.record` maps it, trained inside its band or bands.

    Complete trials at full fidelity, one fidelity; repeated trainings of a network count as their mean. Bands
    are never mixed: across them FLOPs alone would rank. Raises `InputError`.
    """
    from analysis.wording import plural
    from nas.scores import SCORES, find
    from space.architecture import Architecture

    chosen = [find(name) for name in names or SCORES]
    groups = {band["text"]: _by_network(study["trials"], band) for band in _bands(study)}
    most = max(len(found) for found in groups.values())
    if most < FEWEST:
        raise InputError(
            f"study {study['name']}: {plural(most, 'network')} trained in full inside a band; "
            f"a rank correlation needs at least {FEWEST}"
        )
    batch, warnings = _batch(study) if any(one.needs_data for one in chosen) else (None, [])
    measured = []
    for band, found in groups.items():
        if len(found) < FEWEST:
            continue
        few = f"{len(found)} networks: fewer than {ENOUGH} offer no score, whatever the table says"
        networks = [Architecture.from_dict(trials[0]["architecture"]) for trials in found.values()]
        measured.append(
            Measured(
                study=str(study["name"]),
                band=band,
                fingerprints=list(found),
                accuracies=[float(np.mean([t["accuracy"] for t in trials])) for trials in found.values()],
                trainings=[len(trials) for trials in found.values()],
                scores=compute(chosen, networks, batch),
                warnings=warnings + [few] * (len(found) < ENOUGH),
            )
        )
    return measured


def compute(
    scores: Sequence[Score], networks: Sequence[Architecture], batch: Batch | None
) -> dict[str, list[float]]:
    """Name -> the score of each network."""
    from rich.console import Console

    console = Console(stderr=True)
    found: dict[str, list[float]] = {one.name: [] for one in scores}
    with console.status("scoring…") as status:
        for i, network in enumerate(networks):
            for one in scores:
                status.update(f"scoring network {i + 1} of {len(networks)}: {one.name}…")
                found[one.name].append(one.compute(network, batch))
    return found


def _bands(study: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The budget, or each of several."""
    budget = study["budget"]
    return list(budget.get("each") or [budget])


def _by_network(
    trials: Sequence[Mapping[str, Any]], band: Mapping[str, Any]
) -> dict[str, list[Mapping[str, Any]]]:
    """Fingerprint -> the trials that count."""
    from analysis.study import full_accuracy

    full = [t for t in trials if full_accuracy(t) is not None]
    full = [t for t in full if not is_swin(t["architecture"])]  # scores are of ConvNets
    fidelity = max((t["fidelity"] for t in full), default=0)
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for trial in full:
        if trial["fidelity"] == fidelity and band["low"] <= trial[band["metric"]] <= band["high"]:
            groups[trial["fingerprint"]].append(trial)
    return groups


def _batch(study: Mapping[str, Any]) -> tuple[Batch, list[str]]:
    """The images that the study's proxy trains on, and a warning where they are not the same any more."""
    from nas.proxy import Proxy, proxy_from
    from nas.scores import SCORES, draw_batch

    fields = {name: value for name, value in study["proxy"].items() if name in Proxy.model_fields}
    try:
        proxy = proxy_from(fields, "proxy")
        data = proxy.load_data()
    except InputError as error:  # a simulated study, a folder that has gone
        closed = ",".join(name for name, one in SCORES.items() if not one.needs_data)
        raise InputError(f"study {study['name']}: {error}; --scores {closed} needs no images") from None
    warnings = []
    if data.fingerprint != study["data"]["fingerprint"]:
        warnings.append(f"the data set {proxy.data} is not the one the study was trained on")
    return draw_batch(proxy, data, study["seed"]), warnings


# ---- the command ----------------------------------------------------------------------------------------


def parser() -> Command:
    """The command line."""
    parse = Command(
        prog="python -m analysis.proxies",
        description="Rank correlations of training-free scores with a study's accuracies inside its band.",
    )
    parse.add_argument("study", metavar="STUDY", help="runs/NAME by its name, or a study folder")
    parse.add_argument("--scores", metavar="A,B", help="these scores only (default: all)")
    parse.add_argument("--json", action="store_true", help="print one JSON object instead of the table")
    return parse


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code, 2 for a user's mistake."""
    command = parser()
    args = command.parse_args(argv)
    return command.carry_out(lambda: show(args))


def show(args: argparse.Namespace) -> None:
    """Print what was asked for. Raises `InputError`."""
    from nas.record import Record

    names = None if args.scores is None else _names(args.scores)
    measured = measure(Record.read(args.study).mapping(), names)
    found = [(band, relations(band.scores, band.accuracies)) for band in measured]
    if args.json:
        bands = [as_json(*band) for band in found]
        print(json.dumps({"study": measured[0].study, "level": LEVEL, "bands": bands}, indent=2))
        return
    for band in found:
        print_table(*band)


def _names(text: str) -> list[str]:
    """The scores asked for, the baselines first: a gain needs them, and they cost nothing."""
    from nas.scores import find

    asked = [find(name.strip()).name for name in text.split(",")]
    return list(dict.fromkeys([*BASELINES, *asked]))


def as_json(measured: Measured, found: Sequence[Relation]) -> dict[str, Any]:
    """Everything behind one band's table as plain values; a number that is not finite is null."""
    networks = [
        {
            "fingerprint": measured.fingerprints[i],
            "accuracy": accuracy,
            "trainings": measured.trainings[i],
            "scores": {name: _finite(values[i]) for name, values in measured.scores.items()},
        }
        for i, accuracy in enumerate(measured.accuracies)
    ]
    return {
        "band": measured.band,
        "warnings": measured.warnings,
        "relations": [asdict(relation) for relation in found],
        "networks": networks,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(title: str, found: Sequence[Relation]) -> Table:
    """One row a score."""
    from rich import box
    from rich.table import Table

    it = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for heading in ("score", "networks", "Kendall tau", "Spearman rho", "tau above baseline", "verdict"):
        it.add_column(heading, no_wrap=heading != "verdict")
    for one in found:
        verdict = f"{one.verdict} ({one.reason})" if one.reason else one.verdict
        gain = "" if one.gain is None else str(one.gain)
        style = "bold" if one.verdict == OFFERED else ""
        it.add_row(one.score, str(one.networks), str(one.tau), str(one.rho), gain, verdict, style=style)
    return it


def print_table(measured: Measured, found: Sequence[Relation]) -> None:
    """The table, with notes; a pipe gets plain text, as wide as it needs to be."""
    from rich.console import Console
    from rich.markup import escape

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    count = len(measured.accuracies)
    title = f"{measured.study}: {count} networks in the band of {measured.band}, {LEVEL:.0%} intervals"
    console.print(table(escape(title), found))
    for warning in measured.warnings:
        console.print(f"note: {warning}", markup=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
