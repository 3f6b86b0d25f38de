"""Which networks to export: of a study, its best, a trial's or its front's; or of a file or a name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from space.errors import InputError, printable, shortened

if TYPE_CHECKING:
    from nas.record.study import Study
    from nas.record.trial import Trial
    from space.architecture import Architecture


LONGEST_NAME = 60
LONGEST_TITLE = 200


@dataclass(frozen=True)
class Exportable:
    """A network to export; `study` and `trial` are where it comes from, None for a network by itself."""

    network: Architecture
    label: str
    title: str
    """One line, whatever a file or a study calls the network."""
    study: Study | None = None
    trial: int | None = None

    @property
    def name(self) -> str:
        """A Python identifier that no library's own network has, of at most `LONGEST_NAME` characters."""
        own = re.sub(r"\W+", "_", self.label, flags=re.ASCII).strip("_").lower()
        if not own or len(own) > LONGEST_NAME - 8:  # of other letters, or cut: not the network's alone
            digits = self.network.fingerprint[:8]
            own = f"{own[: LONGEST_NAME - 17].strip('_')}_{digits}".strip("_")
        return f"nas_{own}"

    @property
    def source(self) -> Trial | None:
        """The training it comes from; None without a study."""
        trials = () if self.study is None else self.study.trials
        return next((t for t in trials if t.number == self.trial), None)


def by_itself(text: str) -> Exportable:
    """The network of a name or of a .json or .yaml file. Raises `InputError`."""
    from space.describe import is_file, read_network
    from space.networks import convnet

    name, network = read_network(text)
    label = Path(text).stem if is_file(text) else name
    return Exportable(convnet(network, name), label, _title(name) or label)


def of_trial(study: Study, number: int) -> Exportable:
    """The network of that trial. Raises `InputError` where there is none."""
    trials = {trial.number: trial for trial in study.trials}
    if number not in trials:
        known = f"0 to {max(trials)}" if trials else "none"
        raise InputError(f"study {study.name}: there is no trial {number}; its trials are {known}")
    again = trials[number].of  # a training again of a network with a number of its own
    return _exportable(study, trials[number if again is None else again])


def recommended(study: Study, *, front: bool = False) -> list[Exportable]:
    """What the study recommends, or its front from the cheapest network on.

    Raises `InputError` where nothing was trained to the end.
    """
    from nas.verdict.pick import front_of, recommend

    found = front_of(study) if front else recommend(study).picks
    if not found:
        raise InputError(f"study {study.name}: no trial was trained to the end yet; --trial N takes any")
    trials = {trial.number: trial for trial in study.trials}
    # each once: two budgets may have the same pick
    return [
        _exportable(study, trials[number]) for number in dict.fromkeys(pick.tried.trial for pick in found)
    ]


def _exportable(study: Study, trial: Trial) -> Exportable:
    from space.networks import convnet, recorded_from

    number = trial.number
    network = convnet(recorded_from(trial.architecture), f"trial {number}")
    title = f"trial {number} of {study.name}"
    if trial.name:
        title = f"{trial.name} ({title})"
    return Exportable(network, f"{study.name} trial {number}", _title(title), study, number)


def _title(name: str) -> str:
    return shortened(printable(name), LONGEST_TITLE)


def asked_for(study: str | None, trial: int | None, front: bool, arch: str | None) -> Sequence[Exportable]:
    """The networks that the command's flags name. Raises `InputError`."""
    if arch is not None:
        if study is not None or trial is not None or front:
            raise InputError("--arch: names the network by itself; leave out STUDY, --trial and --front")
        return [by_itself(arch)]
    if study is None:
        raise InputError("which network? Give a study, or --arch with a file or a name")
    if front and trial is not None:
        raise InputError("--front: exports every network of the front; leave out --trial")
    from nas.record.study import read_study

    found = read_study(study)
    return recommended(found, front=front) if trial is None else [of_trial(found, trial)]
