"""The scores of a study's networks, computed band by band."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from analysis.scores.rank import ENOUGH, FEWEST
from space.errors import InputError

if TYPE_CHECKING:
    from analysis.scores.batch import Batch
    from analysis.scores.scores import Score
    from nas.record.study import Study
    from nas.record.trial import Trial
    from space.architecture import Architecture


@dataclass(frozen=True)
class MeasuredBand:
    """The distinct networks of a study inside one band: trained accuracy, how often trained, and scores."""

    study: str
    band: str
    fingerprints: list[str]
    accuracies: list[float]
    trainings: list[int]
    scores: dict[str, list[float]]
    warnings: list[str] = field(default_factory=list)


def measure(study: Study, names: Sequence[str] | None = None) -> list[MeasuredBand]:
    """The scores of the networks that a study trained inside its band or bands.

    Complete trials at full fidelity, one fidelity; repeated trainings of a network count as their mean. Bands
    are never mixed: across them FLOPs alone would rank. Raises `InputError`.
    """
    from analysis.scores.scores import SCORES, find
    from space.architecture import Architecture
    from space.words import plural

    chosen = [find(name) for name in names or SCORES]
    groups = {band["text"]: _by_network(study.trials, band) for band in study.bands}
    most = max(len(found) for found in groups.values())
    if most < FEWEST:
        raise InputError(
            f"study {study.name}: {plural(most, 'network')} trained in full inside a band; "
            f"a rank correlation needs at least {FEWEST}"
        )
    batch, warnings = _batch(study) if any(one.needs_data for one in chosen) else (None, [])
    measured = []
    for band, found in groups.items():
        if len(found) < FEWEST:
            continue
        few = f"{len(found)} networks: fewer than {ENOUGH} offer no score, whatever the table says"
        networks = [Architecture.from_dict(trials[0].architecture) for trials in found.values()]
        measured.append(
            MeasuredBand(
                study=study.name,
                band=band,
                fingerprints=list(found),
                accuracies=[float(np.mean([t.accuracy for t in trials])) for trials in found.values()],
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


def _by_network(trials: Sequence[Trial], band: Mapping[str, Any]) -> dict[str, list[Trial]]:
    """Fingerprint -> the trials that count."""
    full = [t for t in trials if t.full_accuracy is not None and not t.is_swin]  # scores are of ConvNets
    fidelity = max((t.fidelity for t in full), default=0)
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in full:
        if trial.fidelity == fidelity and band["low"] <= getattr(trial, band["metric"]) <= band["high"]:
            groups[trial.fingerprint].append(trial)
    return groups


def _batch(study: Study) -> tuple[Batch, list[str]]:
    """The images that the study's proxy trains on, and a warning where they are not the same any more."""
    from analysis.scores.batch import draw_batch
    from analysis.scores.scores import SCORES
    from nas.proxy.proxy import Proxy, proxy_from

    fields = {name: value for name, value in study.mapping["proxy"].items() if name in Proxy.model_fields}
    try:
        proxy = proxy_from(fields, "proxy")
        data = proxy.load_data()
    except InputError as error:  # a simulated study, a folder that has gone
        closed = ",".join(name for name, one in SCORES.items() if not one.needs_data)
        raise InputError(f"study {study.name}: {error}; --scores {closed} needs no images") from None
    warnings = []
    if data.fingerprint != study.mapping["data"]["fingerprint"]:
        warnings.append(f"the data set {proxy.data} is not the one the study was trained on")
    return draw_batch(proxy, data, study.mapping["seed"]), warnings
