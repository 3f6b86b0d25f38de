"""Networks with an accuracy on both sides: of a study and as published, or of two studies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from analysis.points.printed import CONVNEXT_PAPER, IMAGENET_1K, published_points, roadmap
from analysis.scores.rank import FEWEST
from analysis.views.planes import labels
from analysis.views.roadmap import LAST, REGIMES, SWIN, step_of
from nas.record.study import Study, Tried
from space.errors import InputError
from space.networks import is_name, named_network
from space.words import plural

IMAGENET = "ImageNet-1K as published"
BASE = 12  # the last step before the activations and norms are thinned out

Step = tuple[str, int]  # regime (t or b) and number; 17 is Swin


@dataclass(frozen=True)
class CommonNetwork:
    """A network of both sides. Accuracies are top-1 fractions by seed; published ones have one, the mean."""

    label: str
    family: str
    role: str
    fingerprint: str
    macs: int
    params: int
    activations: int
    ours: Mapping[int, float]
    theirs: Mapping[int, float]
    step: Step | None = None


@dataclass(frozen=True)
class Common:
    """The networks of both sides, and groups of them, as indices, of at least `FEWEST`.

    The first group is the answer's. `sides` say what each accuracy is of, for people; `names` are short.
    """

    networks: tuple[CommonNetwork, ...]
    sides: tuple[str, str]
    names: tuple[str, str]
    groups: Mapping[str, Sequence[int]]

    @property
    def ours(self) -> NDArray[np.float64]:
        """Mean accuracy on the first side, (n,)."""
        return means(network.ours for network in self.networks)

    @property
    def theirs(self) -> NDArray[np.float64]:
        """Mean accuracy on the second side, (n,)."""
        return means(network.theirs for network in self.networks)


def means(accuracies: Iterable[Mapping[int, float]]) -> NDArray[np.float64]:
    """The mean over seeds of each network, (n,)."""
    return np.array([float(np.mean(list(by_seed.values()))) for by_seed in accuracies])


def with_published(study: Study) -> Common:
    """The study's networks that ImageNet accuracies were published of, by one paper under one recipe.

    They are the roadmap's two columns and the named networks of the ConvNeXt paper. Raises `InputError` for
    fewer than `FEWEST`.
    """
    found: dict[Step | str, tuple[Tried, float, dict[int, float]]] = {}
    for tried in study.networks:
        key = _step(tried) or tried.fingerprint
        top1 = _published(tried, key)
        if top1 is not None:
            first, _, seeds = found.get(key, (tried, top1, {}))
            found[key] = (first, top1, {**tried.accuracies, **seeds})
    # steps in their order first, as the roadmap's view ranks them
    keys = sorted(found, key=lambda key: (isinstance(key, str), REGIME_ORDER.get(key[0], 0), key))
    networks = tuple(
        _network(tried, seeds, {0: top1 / 100}, key if isinstance(key, tuple) else None)
        for key in keys
        for tried, top1, seeds in [found[key]]
    )
    _refuse_few(networks, f"study {study.name}", "the published accuracies")
    groups = {**_roadmap_groups(networks), **_everything(networks)}
    return Common(networks, (study.conditions, IMAGENET), (f"the {_proxy(study)} proxy", "ImageNet"), groups)


def with_study(first: Study, second: Study) -> Common:
    """The networks that both studies trained, matched by fingerprint. Raises `InputError`."""
    names = labels([first, second])
    one, two = _by_network(first), _by_network(second)
    networks = tuple(
        _network(tried, seeds, two[fingerprint][1], _step(tried))
        for fingerprint, (tried, seeds) in one.items()
        if fingerprint in two
    )
    _refuse_few(networks, f"study {names[0]}", f"study {names[1]}")
    groups = {**_everything(networks), **_roles(networks), **_roadmap_groups(networks)}
    sides = tuple(f"{name}, {study.conditions}" for name, study in zip(names, (first, second), strict=True))
    return Common(networks, (sides[0], sides[1]), (f"study {names[0]}", f"study {names[1]}"), groups)


REGIME_ORDER = {regime: place for place, regime in enumerate(REGIMES)}


def _proxy(study: Study) -> str:
    return str(study.mapping["proxy"]["name"])


def _step(tried: Tried) -> Step | None:
    return next(((r, step) for r in REGIMES if (step := step_of(tried, r)) is not None), None)


def _published(tried: Tried, key: Step | str) -> float | None:
    """ImageNet-1K top-1 in percent."""
    if isinstance(key, tuple):
        return _of_steps()[key]
    return _of_names().get(tried.fingerprint)


@cache
def _of_steps() -> Mapping[Step, float]:
    return {(r, step.order): step.top1 for r, (key, *_) in REGIMES.items() for step in roadmap(key)}


@cache
def _of_names() -> Mapping[str, float]:
    """Top-1 by fingerprint."""
    points = published_points(source=CONVNEXT_PAPER, pretrain=IMAGENET_1K, resolution=224)
    return {named_network(p.name).fingerprint: p.top1 for p in points if is_name(p.name)}


def _network(
    tried: Tried, ours: Mapping[int, float], theirs: Mapping[int, float], step: Step | None
) -> CommonNetwork:
    costs = tried.macs, tried.params, tried.activations
    return CommonNetwork(tried.label, tried.family, tried.role, tried.fingerprint, *costs, ours, theirs, step)


def _by_network(study: Study) -> dict[str, tuple[Tried, dict[int, float]]]:
    """Every network once, with all its seeds: several budgets may have one reference."""
    found: dict[str, tuple[Tried, dict[int, float]]] = {}
    for tried in study.networks:
        first, seeds = found.get(tried.fingerprint, (tried, {}))
        found[tried.fingerprint] = (first, {**tried.accuracies, **seeds})
    return found


def _refuse_few(networks: Sequence[CommonNetwork], one: str, other: str) -> None:
    if len(networks) < FEWEST:
        found = plural(len(networks), "network") if networks else "no network"
        raise InputError(f"{one}: has {found} in common with {other}; a rank correlation needs {FEWEST}")


def _roadmap_groups(networks: Sequence[CommonNetwork]) -> dict[str, Sequence[int]]:
    groups: dict[str, Sequence[int]] = {}
    for regime, (_, title, letter) in REGIMES.items():
        steps = {n.step[1]: i for i, n in enumerate(networks) if n.step and n.step[0] == regime}
        parts = {
            f"the roadmap's steps from {title}": (1, LAST),
            f"{letter}: steps 1 to {BASE}": (1, BASE),
            f"{letter}: steps {BASE + 1} to {LAST}": (BASE + 1, LAST),
        }
        for name, (low, high) in parts.items():
            groups[name] = [i for step, i in steps.items() if low <= step <= high and step != SWIN]
    return _large(groups)


def _everything(networks: Sequence[CommonNetwork]) -> dict[str, Sequence[int]]:
    return {"all networks": range(len(networks))}


def _roles(networks: Sequence[CommonNetwork]) -> dict[str, Sequence[int]]:
    """What the search proposed, where there are others too."""
    own = [i for i, network in enumerate(networks) if network.role == "candidate"]
    return _large({"candidates": own}) if len(own) < len(networks) else {}


def _large(groups: Mapping[str, Sequence[int]]) -> dict[str, Sequence[int]]:
    return {name: members for name, members in groups.items() if len(members) >= FEWEST}
