"""What every stored study and trial has: where it is missing or cannot be, the record was damaged or changed.

SQLite notices pages that were cut off or overwritten, but no row that is missing or was changed. Whatever
follows from something else that is stored is worked out again and compared.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nas.samplers.parameters import networks_of
from space.architecture import Architecture
from space.cost import costs
from space.errors import InputError, quoted
from space.networks import Recorded, cost_of, recorded_from
from space.space_file import load_space, shipped_spaces, space_from
from space.tabled import METRICS

if TYPE_CHECKING:
    from nas.record.trial import Trial
    from space.design_space import DesignSpace

STUDY = {"settings": dict, "asked": dict, "created": str, "versions": dict, "wall_seconds": float}
SETTINGS: dict[str, dict[str, type]] = {
    "budget": {"text": str, "metric": str, "low": int, "high": int},
    "space": {"name": str, "fingerprint": str, "size": int},
    "proxy": {"name": str, "epochs": int},
    "data": {"fingerprint": str},
}
TRIAL = {
    "role": str, "architecture": dict, "fingerprint": str, "macs": int, "params": int, "activations": int,
    "seed": int, "fidelity": int, "curve": list,
}  # fmt: skip
# what a trial may lack
MORE = {
    "name": str, "budget": str, "memo": dict, "of": int, "driver": int, "target": int, "attempts": int,
    "order": int, "threads": int, "train_seconds": float, "images_per_second": float, "reason": str,
    "trained": dict,
}  # fmt: skip
ROLES = ("reference", "candidate", "confirmation")
WORDS = {dict: "mapping", list: "list", str: "text", int: "whole number", float: "number"}
WELL = ("complete", "paused")


class DamagedError(InputError):
    """What a stored study lacks, in one line."""


@dataclass(frozen=True)
class Found:
    """A trial as it was read: its plain values, among them the accuracy that Optuna has, and its own."""

    trial: Mapping[str, Any]
    stored: Any

    @property
    def params(self) -> Mapping[str, Any]:
        """Optuna's parameters."""
        params: Mapping[str, Any] = self.trial["choices"]
        return params


def check_study(attributes: Mapping[str, Any], settings: Collection[str]) -> None:
    """Raises `DamagedError` unless the study has what each has, and these `settings`."""
    _check_kinds("the study", attributes, STUDY)
    _check_stopping(attributes)
    own = attributes["settings"]
    missing = [name for name in settings if name not in own]
    if missing:
        raise DamagedError(f"the study has no setting {missing[0]!r}")
    for name, kinds in SETTINGS.items():
        _check_kinds("the study", own, {name: dict})
        _check_kinds(f"the study's {name}", own[name], kinds)
    _check_kinds("the study", own, {"sampler": str, "seed": int})
    if own["budget"]["metric"] not in METRICS:
        raise DamagedError(f"the study's budget is of {quoted(own['budget']['metric'])}")
    each = own["budget"].get("each", [])
    if not isinstance(each, list) or not all(isinstance(budget, dict) for budget in each):
        raise DamagedError("the study's budget: each is no list of budgets")
    for budget in each:
        _check_kinds("the study's budget", budget, SETTINGS["budget"])


def _check_stopping(attributes: Mapping[str, Any]) -> None:
    """What `--scheduler auto` decided, by budget, where it did."""
    _check_kinds("the study", {"stopping": {}, **attributes}, {"stopping": dict})
    for budget, seen in attributes.get("stopping", {}).items():
        where = f"the study's stopping of {quoted(budget)}"
        _check_kinds("the study's stopping", {quoted(budget): seen}, {quoted(budget): dict})
        _check_kinds(where, seen, {"since": int, "trainings": int, "tau": dict, "stops": list, "says": str})
        if not all(epoch.isdecimal() for epoch in seen["tau"]):
            raise DamagedError(f"{where}: tau is not by epoch")
        stops = seen["stops"]
        rising = all(type(stop) is int and stop > 0 for stop in stops) and sorted(set(stops)) == stops
        if not rising:
            raise DamagedError(f"{where}: stops {quoted(stops)} are no rising epochs")


def check_numbers(numbers: Collection[int]) -> None:
    """Raises `DamagedError` unless trials are numbered from 0 without a gap, as Optuna does."""
    for expected, number in enumerate(sorted(numbers)):
        if number != expected:
            state = "missing" if number > expected else "there twice"
            raise DamagedError(f"trial {min(expected, number)} is {state}")


def values_of(number: int, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a trial's attributes hold, in one mapping. Raises `DamagedError`."""
    parts = [attributes.get(name, {}) for name in ("network", "result")]
    if not all(isinstance(part, dict) for part in parts):
        raise DamagedError(f"trial {number}: network or result is no mapping")
    return {**attributes, **parts[0], **parts[1]}  # of format 1: all in one


class TrialCheck:
    """Whether trials can be those of a study with these settings."""

    def __init__(self, settings: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
        self._epochs: int = settings["proxy"]["epochs"]
        whole = settings["budget"]
        self._budgets = {budget["text"]: budget for budget in whole.get("each") or [whole]}
        self._one = len(self._budgets) == 1
        self._space = _known_space(settings["space"], asked.get("space"))

    def __call__(self, found: Sequence[Found], known: Mapping[int, Trial]) -> None:
        """Raises `DamagedError` naming a trial and what is wrong with it; `known` are those before them."""
        networks = [_network(one.trial, f"trial {one.trial['number']}") for one in found]
        _check_costs([one.trial for one in found], networks)
        # those read now as well: a confirmation may repeat a trial of the same reading
        first = {n: (t.role, t.fingerprint) for n, t in known.items()}
        first |= {one.trial["number"]: (one.trial["role"], one.trial["fingerprint"]) for one in found}
        for one in found:
            for flaw in (*_flaws(one, self._epochs), *self._foreign(one.trial, first)):
                raise DamagedError(f"trial {one.trial['number']} {flaw}")
        self._check_params(found, networks)

    def _foreign(self, trial: Mapping[str, Any], known: Mapping[int, tuple[str, str]]) -> Iterator[str]:
        """What does not fit the study or its trials, of which `known` has roles and fingerprints."""
        text = trial["budget"]
        if text is None and not self._one:
            yield "has no budget"
        if text is not None and text not in self._budgets:
            yield f"has the budget {quoted(text)}, which is none of the study's"
        elif trial["role"] == "candidate":
            budget = self._budgets[text] if text is not None else next(iter(self._budgets.values()))
            cost = trial[budget["metric"]]
            if not budget["low"] <= cost <= budget["high"]:
                yield f"has {budget['metric']} of {cost}, outside of its budget"
        if (trial["of"] is not None) != (trial["role"] == "confirmation"):
            yield f"has the role {trial['role']} and is of {trial['of']}"
        if not self._are_codes((trial["memo"] or {}).get("slow", [])):
            yield "has a memo of slow networks that are none"
        if trial["of"] is not None:
            # a trial that is not there is refused as one that cannot be repeated
            role, fingerprint = known.get(trial["of"], ("confirmation", ""))
            if role == "confirmation":
                yield f"repeats trial {trial['of']}, which is none of the search's"
            elif fingerprint != trial["fingerprint"]:
                yield f"repeats trial {trial['of']}, which has another network"

    def _are_codes(self, codes: Any) -> bool:
        """Whether these can be codes of the space, as far as it is known."""
        if not (isinstance(codes, list) and all(isinstance(code, list) for code in codes)):
            return False
        if self._space is None:
            return all(type(k) is int and k >= 0 for code in codes for k in code)
        sizes = [len(factor) for factor in self._space.factors]
        return all(
            len(code) == len(sizes)
            and all(type(k) is int and 0 <= k < n for k, n in zip(code, sizes, strict=True))
            for code in codes
        )

    def _check_params(self, found: Sequence[Found], networks: Sequence[Recorded]) -> None:
        """Where the space is known, parameters must be those of the networks."""
        if self._space is None:
            return
        own = [(one, net) for one, net in zip(found, networks, strict=True) if one.params]
        built = networks_of(self._space, [one.params for one, _ in own])
        for (one, network), other in zip(own, built, strict=True):
            if other != network:
                raise DamagedError(f"trial {one.trial['number']} has the parameters of another network")


def _known_space(settings: Mapping[str, Any], asked: Any) -> DesignSpace | None:
    """The space of a study, where its settings hold it or its name; not from a file that they name."""
    try:
        if isinstance(asked, dict):
            space = space_from(asked, "space")
        elif isinstance(asked, str) and asked in shipped_spaces():
            space = load_space(asked)
        else:
            return None
    except InputError:
        return None
    return space if space.fingerprint == settings["fingerprint"] else None


def _network(trial: Mapping[str, Any], where: str) -> Recorded:
    """The network of a trial that has what each has."""
    _check_kinds(where, trial, TRIAL)
    _check_kinds(where, trial, MORE, optional=True)
    if trial["role"] not in ROLES:
        raise DamagedError(f"{where}: role {quoted(trial['role'])} is none of {', '.join(ROLES)}")
    try:
        network = recorded_from(trial["architecture"])
    except InputError as error:
        raise DamagedError(f"{where}: architecture: {error}") from None
    if network.fingerprint != trial["fingerprint"]:
        raise DamagedError(f"{where}: fingerprint is not its architecture's, {network.fingerprint}")
    return network


def _check_costs(trials: Sequence[Mapping[str, Any]], networks: Sequence[Recorded]) -> None:
    """Costs must be those of the networks, which are worked out at once."""
    plain = [(t, net) for t, net in zip(trials, networks, strict=True) if isinstance(net, Architecture)]
    total = costs([net for _, net in plain])
    others = [
        (t, cost_of(n)) for t, n in zip(trials, networks, strict=True) if not isinstance(n, Architecture)
    ]
    for metric in METRICS:
        expected = [(t, int(c)) for (t, _), c in zip(plain, getattr(total, metric), strict=True)]
        expected += [(t, int(getattr(cost, metric))) for t, cost in others]
        for trial, cost in expected:
            if trial[metric] != cost:
                raise DamagedError(
                    f"trial {trial['number']}: {metric} is {trial[metric]}, and its architecture's {cost}"
                )


def _flaws(one: Found, epochs: int) -> Iterator[str]:
    trial = one.trial
    state, accuracy, target, fidelity = (trial[key] for key in ("state", "accuracy", "target", "fidelity"))
    if state == "failed" and not isinstance(trial["reason"], str):
        yield "failed without a reason"
    if state == "complete" and not _is_accuracy(accuracy):
        yield "is complete without an accuracy"
    elif state == "complete" and one.stored not in (None, accuracy):
        yield f"has two accuracies, {accuracy:g} and {quoted(one.stored)}"
    curve = trial["curve"]
    if state in WELL and not 0 < fidelity == len(curve):
        yield f"was trained for {fidelity} epochs and its curve has {len(curve)}"
    if not 0 <= fidelity <= (epochs if target is None else target):
        yield f"was trained for {fidelity} epochs, and to be for {epochs if target is None else target}"
    if target is not None and not 0 < target <= epochs:
        yield f"was to be trained for {target} epochs, and the proxy has {epochs}"
    if state == "complete" and not (fidelity == epochs and trial["full_fidelity"] is True):
        yield f"is complete after {fidelity} of {epochs} epochs"
    for point in curve:
        value = point.get("val_accuracy") if isinstance(point, dict) else None
        diverged = state != "complete" and isinstance(value, float) and math.isnan(value)
        if not (_is_accuracy(value) or diverged):
            yield "has a curve without accuracies"
            return


def _is_accuracy(value: Any) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 0 <= value <= 1


def _check_kinds(
    where: str, values: Mapping[str, Any], kinds: Mapping[str, type], *, optional: bool = False
) -> None:
    for name, kind in kinds.items():
        value = values.get(name)
        if value is None:
            if not optional:
                raise DamagedError(f"{where} has no {name}")
        elif not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise DamagedError(f"{where}: {name} is no {WORDS[kind]}")
        elif isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
            raise DamagedError(f"{where}: {name} is {value}, no {WORDS[kind]}")
