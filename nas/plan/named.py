"""The networks that a measurement is told: by name, in files, or those of a study."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.proxy import is_simulated, is_table
from nas.record.folder import NAME, is_study, study_folder
from nas.record.record import Record
from nas.record.study import Study, study_of
from space.describe import is_file, read_network
from space.errors import InputError
from space.families import ROADMAP_STEPS
from space.networks import is_name, network_from
from space.references import Reference

if TYPE_CHECKING:
    from space.networks import Network

WHICH = "which networks? Give names (python -m space.describe --list), files or a study"
ROADMAP_GROUPS = {"roadmap_t": "t", "roadmap_b": "b"}
TRIALS = re.compile(r"(.+):(\d{1,9}(?:,\d{1,9})*)", re.DOTALL)


def read_networks(names: Sequence[str]) -> list[Reference]:
    """The networks of names, groups, files and studies, none twice. Raises `InputError`."""
    found: dict[str, Reference] = {}
    for text in names:
        for name, network in _networks(text):
            if name in found:
                raise InputError(f"{text}: a network called {name} stands twice")
            twin = next((r.name for r in found.values() if r.network == network), None)
            if twin is not None:
                raise InputError(f"{text}: {name} is the same network as {twin}; name one of them")
            found[name] = Reference(name, network, in_band=True)
    if not found:
        raise InputError(WHICH)
    return list(found.values())


def _networks(text: str) -> Iterator[tuple[str, Network]]:
    """Those of one text, each with its name."""
    of = trials_of(text)
    if of is not None:
        trained = {one.trial: one for one in of.study.networks}
        for number in of.trials:
            if number not in trained:
                raise InputError(f"{text}: trial {number} is no network that was trained in full")
            one = trained[number]
            yield one.name or f"{of.study.name} trial {number}", network_from(one.architecture)
    elif text in ROADMAP_GROUPS:
        # from 1: steps 0 and 1 are one network under two recipes
        yield from (read_network(f"{text}_{i}") for i in range(1, ROADMAP_STEPS))
    else:
        yield read_network(text)


@dataclass(frozen=True)
class OfStudy:
    """Trials of a study, and the settings that the study was given."""

    study: Study
    asked: Mapping[str, Any]
    trials: Sequence[int]


def trials_of(text: str) -> OfStudy | None:
    """What `STUDY` (all it trained in full) or `STUDY:3,7` means; None of a name or a file.

    Raises `InputError`.
    """
    match = TRIALS.fullmatch(text)
    name = match[1] if match else text
    if is_name(name) or name in ROADMAP_GROUPS or not ("/" in name or NAME.fullmatch(name)):
        return None
    if not is_study(study_folder(name)) and (match is None or is_file(text)):
        return None
    with closing(Record.read(name)) as record:
        study, asked = study_of(record), record.asked
    trials = map(int, match[2].split(",")) if match else (one.trial for one in study.networks)
    return OfStudy(study, asked, tuple(trials))


def with_studies(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with a study, which may grow, by its trials; its proxy and data where none are named.

    Raises `InputError`.
    """
    networks: list[str] = []
    judges: list[dict[str, Any]] = []
    for text in values["networks"]:
        of = trials_of(text)
        if of is None:
            networks.append(text)
            continue
        if not of.trials:
            raise InputError(f"study {of.study.place}: has no network that was trained in full")
        networks.append(f"{of.study.place}:{','.join(map(str, of.trials))}")
        judges.append(_judge(of, values.get("proxy")))
    inherited = judges[0] if judges else {}
    if any(judge != inherited for judge in judges):
        raise InputError("networks of studies with different proxies: say under which (--proxy, --data)")
    fields = {**inherited.get("set", {}), **values.get("set", {})}
    return {**inherited, **values, "networks": networks, **({"set": fields} if fields else {})}


def _judge(of: OfStudy, named: Any) -> dict[str, Any]:
    """A study's settings of data and, unless a proxy is `named`, of its proxy."""
    if isinstance(named, str) and (is_simulated(named) or is_table(named)):
        return {}  # which take no data
    names = ("data", "set", "proxy") if named is None else ("data",)
    judge = {name: of.asked[name] for name in names if of.asked.get(name)}
    if judge.get("proxy") == "auto":  # what it was, where this machine would choose another
        judge["proxy"] = of.study.mapping["proxy"]["name"]
    return judge
