"""The plan of a larger network: where a study's optima lie, what they wish for, and what is proposed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from analysis.isoflop.series import searched_series
from analysis.proposal.nearest import nearest_free, nearest_in
from analysis.proposal.rules import COMPOUND, compound, depth_only, published_rule, width_only
from analysis.proposal.wishes import KEPT, RULE, wishes
from space.errors import InputError

if TYPE_CHECKING:
    from analysis.isoflop.profiles import Profiles
    from analysis.isoflop.sample import Sample
    from analysis.isoflop.series import Series
    from analysis.proposal.wishes import Wish
    from nas.record.study import Study, Tried
    from space.architecture import Architecture
    from space.budget import Budget
    from space.design_space import DesignSpace

FAR = 0.25  # octaves between a wish and the network proposed that are worth a remark


@dataclass(frozen=True)
class Scaled:
    """One network of the target budget, by one rule; `network` is None where no such is in the band."""

    rule: str
    network: Architecture | None


@dataclass(frozen=True)
class ScalingPlan:
    """Everything the command says."""

    study: Study = field(repr=False)
    budget: Budget
    profiles: Profiles = field(repr=False)
    best: Tried
    wishes: Mapping[str, Wish]
    proposal: Architecture
    space: str | None
    others: tuple[Scaled, ...]
    series: Series
    notes: tuple[str, ...]

    @property
    def target(self) -> float:
        """The middle of the band, in logarithms."""
        return math.sqrt(self.budget.low * self.budget.high)

    @property
    def beyond(self) -> float:
        """The target over the largest budget of the study."""
        return self.target / max(group.cost for group in self.profiles.sample.groups)


def plan(study: Study, to: str, space: str | None = None) -> ScalingPlan:
    """The network of the budget `to`, in band. Raises `InputError`."""
    from analysis.isoflop.profiles import profiles
    from analysis.isoflop.sample import sample_of
    from space.architecture import Architecture
    from space.budget import UNITS, parse_budget

    budget = parse_budget(to)
    if budget.metric != study.metric:
        raise InputError(
            f"--to {to}: is of {UNITS[budget.metric]}; the budgets of study {study.name} are of "
            f"{UNITS[study.metric]}"
        )
    sample = sample_of(study)
    check_spread(study, sample)
    found = profiles(sample)
    best = best_of_largest(sample)
    network = Architecture.from_dict(best.architecture)
    wanted = wishes(found, network, math.sqrt(budget.low * budget.high))
    proposal, name, notes = propose(study, budget, wanted, network, space)
    others = (
        Scaled("ConvNeXt's own rule", published_rule(budget)),
        Scaled("width alone", width_only(network, budget)),
        Scaled("depth alone", depth_only(network, budget)),
        Scaled(f"compound, depth to width as {COMPOUND[0]:g} to {COMPOUND[1]:g}", compound(network, budget)),
    )
    notes = [*notes, *_remarks(wanted, proposal)]
    return ScalingPlan(
        study, budget, found, best, wanted, proposal, name, others, searched_series(study), tuple(notes)
    )


def check_spread(study: Study, sample: Sample) -> None:
    """Raises `InputError` where the groups span less than a factor of 2."""
    from analysis.isoflop.sample import SPREAD
    from space.budget import UNITS, quantity

    costs = [group.cost for group in sample.groups]
    if len(costs) < 2 or max(costs) < SPREAD * min(costs):
        unit = UNITS[study.metric]
        ends = [quantity(float(end), unit) for end in (sample.cost.min(), sample.cost.max())]
        raise InputError(
            f"study {study.name}: its networks cost {ends[0]} to {ends[1]}; scaling needs two or more "
            f"budgets, or a range, over a factor of at least {SPREAD:g}"
        )


def best_of_largest(sample: Sample) -> Tried:
    """The best network of the largest budget: by fresh means where there are such, else by its mean."""
    largest = max(range(len(sample.groups)), key=lambda g: sample.groups[g].cost)
    networks = [tried for tried, g in zip(sample.networks, sample.group, strict=True) if g == largest]
    again = [tried for tried in networks if tried.role == "candidate" and tried.fresh]
    if again:
        most = max(len(tried.fresh) for tried in again)
        again = [tried for tried in again if len(tried.fresh) == most]
        return max(again, key=lambda tried: (sum(tried.fresh.values()), -tried.trial))
    return max(networks, key=lambda tried: (tried.accuracy, -tried.trial))


def propose(
    study: Study, budget: Budget, wanted: Mapping[str, Wish], best: Architecture, name: str | None
) -> tuple[Architecture, str | None, list[str]]:
    """The network nearest to the wishes inside the band, its space's name or None, and remarks.

    Raises `InputError`, also where the space `name` has no network in the band.
    """
    from space.band import BandSampler

    space, notes = _space_of(study, name)
    if space is not None:
        try:
            band = BandSampler(space, budget)
            if band.count:
                return nearest_in(band, wanted, best), space.name, notes
            why = band.why_empty()
        except InputError as error:  # too large to count
            why = str(error)
        if name is not None:
            raise InputError(why)
        notes.append(f"{why}; scaled outside the space, by free integers")
    found = nearest_free(budget, wanted, best)
    if found is None:
        raise InputError(f"--to {budget.text}: no network like the best of study {study.name} costs {budget}")
    return found, None, notes


def _space_of(study: Study, name: str | None) -> tuple[DesignSpace | None, list[str]]:
    """The space asked for, or the study's own where it can be read."""
    from space.space_file import load_space

    if name is not None:
        return load_space(name), []
    recorded = study.mapping.get("space") or {}
    try:
        space = load_space(str(recorded.get("name")))
    except InputError:
        outside = "scaled outside it, by free integers; --space FILE gives it"
        return None, [f"the study's space {recorded.get('name')} is not at hand: {outside}"]
    if recorded.get("fingerprint") not in (None, space.fingerprint):
        return space, [f"the space {space.name} has changed since the study"]
    return space, []


def _remarks(wanted: Mapping[str, Wish], proposal: Architecture) -> list[str]:
    """Where the proposal is not what was wished: the band, or the space, has nothing nearer."""
    from analysis.isoflop.sample import LABELS, dimensions
    from space.columns import columns_of

    found = dimensions(columns_of([proposal]), 1)
    remarks = []
    for name, wish in wanted.items():
        value = float(2 ** found[name][0])
        if abs(math.log2(value / wish.value)) > FAR:
            source = "by its power law" if wish.source == RULE else "kept"
            remarks.append(
                f"{LABELS[name]}: {value:.3g} in the network proposed, not {wish.value:.3g} as {source}; the "
                "band has nothing nearer in all dimensions together"
            )
    if all(wanted[name].source == KEPT for name in ("depth", "width")):
        remarks.append(
            "neither depth nor width has an exponent: the network in the band that changes the best one "
            "least is proposed, which is no finding"
        )
    return remarks
