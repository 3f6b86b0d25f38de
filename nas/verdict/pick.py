"""Which network a study recommends, why, how sure that is, and what to do next.

One rule for the terminal, the page, `summary.json` and an export without `--trial`, by the evidence that
`nas.verdict.field` finds. A reference may win; a Swin is compared with and never recommended.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from nas.proxy.card import card_line
from nas.record.study import Study, Tried
from nas.verdict.confirm import COSTLIER, LEVEL, over_seeds
from nas.verdict.difference import Difference
from nas.verdict.field import Field, field_of, fields_of, searched_value
from nas.verdict.front import front
from space.budget import UNITS, quantity
from space.networks import is_tabled
from space.space_file import shipped_spaces
from space.words import plural, points

MOST_LINES = 12  # of a front or of budgets; the table has all
NO_INTERVAL = "no interval, by one training each"
DEFAULT_SPACE = "convnext"
CONFIRM = "3x3"  # networks and seeds that tell luck from merit


@dataclass(frozen=True)
class Rival:
    """The pick's accuracy less another network's, over seeds that both have; infinite ends: no interval."""

    label: str
    seeds: int
    difference: Difference

    @property
    def verdict(self) -> str | None:
        """`better`, `worse` or `not distinguishable`; None without an interval."""
        return self.difference.verdict if math.isfinite(self.difference.low) else None

    @property
    def text(self) -> str:
        """The difference with its interval, as far as there is one."""
        d = self.difference
        less = f"{points(d.value)} against {self.label}"
        if self.verdict is None:
            return less
        seeds = "" if d.too_few else f", {self.seeds} paired seeds"
        return f"{less} ({d.interval(LEVEL)}{seeds}): {self.verdict}"


@dataclass(frozen=True)
class Pick:
    """The network recommended for one budget, or one of a recommended front.

    `accuracy` is the mean over the fresh seeds `over`; none of them: of the one training that it was chosen
    by, among `among` networks.
    """

    tried: Tried
    budget: str | None
    accuracy: float
    over: tuple[int, ...]
    among: int
    rivals: tuple[Rival, ...]

    @property
    def seeds(self) -> int:
        """How many fresh seeds stand behind it."""
        return len(self.over)

    @property
    def costs(self) -> str:
        """What the network costs, for people."""
        macs, params = self.tried.macs, self.tried.params
        # 0 is what a table does not know
        known = [quantity(macs, "FLOPs")] if macs else []
        known += [f"{quantity(params)} parameters"] if params else []
        return ", ".join(known) or quantity(self.tried.activations, "activations")

    @property
    def because(self) -> str:
        """Why this one."""
        if self.among == 1:
            return f"it is the only one trained in full, {self.accuracy:.1%}"
        if self.seeds:
            seeds = plural(self.seeds, "fresh seed")
            mean = "mean of " if self.seeds > 1 else "accuracy with "
            return f"it has the best {mean}{seeds} among {self.among} {self._kind}, {self.accuracy:.1%}"
        return f"it is the most accurate of {self.among} {self._kind}, {self.accuracy:.1%}"

    @property
    def _kind(self) -> str:
        return "networks" if is_tabled(self.tried.architecture) else "ConvNets"

    @property
    def sure(self) -> str:
        """How sure that is: the differences with their intervals, or that there is none."""
        said = "; ".join(rival.text for rival in self.rivals)
        if self.seeds > 1:
            return said or "no reference of its cost to compare it with"
        once = "no interval, by one fresh seed" if self.seeds else NO_INTERVAL
        return f"{once}; {said}" if said else once

    @property
    def text(self) -> str:
        """Two sentences that a person can act on."""
        take = f"take {self.tried.label} ({self.costs})"
        take = f"for {self.budget} {take}" if self.budget else take
        return f"{take[0].upper()}{take[1:]}: {self.because}. How sure: {self.sure}."

    def to_dict(self) -> dict[str, Any]:
        """Plain values; the ends of an interval that is not known are None."""
        return {
            "trial": self.tried.trial,
            "name": self.tried.name,
            "role": self.tried.role,
            "budget": self.budget,
            "accuracy": self.accuracy,
            "seeds": self.seeds,
            "among": self.among,
            "macs": self.tried.macs,
            "params": self.tried.params,
            "activations": self.tried.activations,
            "fingerprint": self.tried.fingerprint,
            "against": [
                {
                    "name": rival.label,
                    "difference": rival.difference.value,
                    "low": rival.difference.low if rival.verdict else None,
                    "high": rival.difference.high if rival.verdict else None,
                    "seeds": rival.seeds,
                    "verdict": rival.verdict,
                }
                for rival in self.rivals
            ],
        }


@dataclass(frozen=True)
class Recommendation:
    """What a study recommends: one network, one a budget, or a front from the cheapest network on."""

    study: Study
    kind: Literal["one", "budgets", "front", "none"]
    picks: tuple[Pick, ...]

    @cached_property
    def most_accurate(self) -> Pick | None:
        """Of several the most accurate: the one that a single network would be."""
        return max(self.picks, key=lambda pick: (pick.accuracy, -pick.tried.trial), default=None)

    @property
    def confirmed(self) -> bool:
        """Whether it rests on fresh seeds."""
        return any(pick.seeds for pick in self.picks)

    @property
    def running(self) -> bool:
        """Whether a search is still at it."""
        return any(trial.state == "running" for trial in self.study.trials)

    @property
    def note(self) -> str | None:
        """What has to be said with it."""
        if self.study.simulated:
            return "A rehearsal: its accuracies are a formula's, and nothing was trained."
        if self.study.tabled:
            return "Its accuracies are a table's: others trained these networks."
        if self.study.objective is not None:
            return f"Accuracies are what the objective, the Python function {self.study.objective}, gave."
        if self.running:
            return "The search is still running: this is what it knows so far."
        return None

    @property
    def card(self) -> str | None:
        """How far the order under the study's proxy is ImageNet's; None where nothing was trained."""
        return card_line(self.study.mapping["proxy"], self.study.mapping.get("data") or {})

    @property
    def lines(self) -> tuple[str, ...]:
        """For people, a paragraph each."""
        best = self.most_accurate
        if best is None:
            return ("No network has been trained in full yet.",)
        if self.kind != "front":
            lines = [" ".join(filter(None, (pick.text, self.cheaper(pick)))) for pick in self.picks]
        else:
            first, last = self.picks[0], self.picks[-1]
            why = f"means of {plural(best.seeds, 'fresh seed')}" if best.seeds else NO_INTERVAL
            lines = [
                f"Take the front's network that you can pay for: {plural(len(self.picks), 'network')}, "
                f"{_cost(first.tried, self.study)} to {_cost(last.tried, self.study)}, "
                f"{first.accuracy:.1%} to "
                f"{last.accuracy:.1%}. How sure: {why}.",
                best.text,
            ]
        more = len(lines) - MOST_LINES
        return tuple(lines) if more <= 0 else (*lines[:MOST_LINES], f"And {more} more: the page has them.")

    def cheaper(self, pick: Pick) -> str:
        """That a smaller budget's pick is more accurate, where one is: nobody should pay for less."""
        metric = self.study.metric
        cost, better = getattr(pick.tried, metric), []
        if all(bool(other.seeds) == bool(pick.seeds) for other in self.picks):  # else by unlike evidence
            better = [o for o in self.picks if getattr(o.tried, metric) < cost and o.accuracy > pick.accuracy]
        best = max(better, key=lambda other: other.accuracy, default=None)
        if best is None:
            return ""
        return f"But {best.budget}'s {best.tried.label} costs less and reached {best.accuracy:.1%}."

    @property
    def _by_two(self) -> int:
        """Networks that two fresh seeds were too few for; 0 where they did, or there were others."""
        if not any(rival.difference.too_few for pick in self.picks for rival in pick.rivals):
            return 0
        return max(Counter(one.budget for one in self.study.candidates if one.fresh).values(), default=0)

    @property
    def next(self) -> str:
        """The command to give next, for a shell."""
        place = shlex.quote(self.study.place)
        mapping = self.study.mapping
        if mapping.get("objective") == "measure":
            return self.export if self.picks else f"python -m nas.measure --study {place} --resume"
        if self.study.simulated:
            return _rehearsed(mapping)
        if self.running:
            return f"python -m analysis.dashboard {place} --serve"
        again = CONFIRM
        if self.study.tabled:
            # nobody can build its networks, and it has so many seeds beside the search's
            fresh = self.study.mapping["proxy"].get("seeds", 1) - 1
            again = f"3x{fresh}"
            if self.picks and (self.confirmed or not fresh):
                return f"python -m analysis.dashboard {place}"
        elif self.study.objective is not None or (self.confirmed and not self._by_two):
            return self.export  # no command goes on with a function of Python
        elif self.confirmed:
            again = f"{self._by_two}x{CONFIRM[-1]}"
        confirm = f" --confirm {again}" if self.picks else ""
        return f"python -m nas.search --study {place} --resume{confirm}"

    @property
    def export(self) -> str:
        """The command that exports what is recommended."""
        command = f"python -m nas.export {shlex.quote(self.study.place)}"
        if self.kind == "one" and self.picks:
            return f"{command} --trial {self.picks[0].tried.trial}"
        return f"{command} --front" if self.kind == "front" else command


def _rehearsed(mapping: Mapping[str, Any]) -> str:
    """After a rehearsal the search itself."""
    command = f"python -m nas.search --budget {shlex.quote(str(mapping['budget']['text']))}"
    space = mapping.get("space", {}).get("name", DEFAULT_SPACE)
    if space != DEFAULT_SPACE:  # of one of the user's own the record has no path
        command += f" --space {space if space in shipped_spaces() else 'FILE'}"
    for name, most in mapping["limits"].items():
        command += f" --{name.replace('_', '-')} {most}{'s' if name == 'max_latency' else ''}"
    return command


def recommend(study: Study) -> Recommendation:
    """What the study recommends, by the best evidence it has."""
    if study.mapping.get("objective") == "front":
        picks = front_of(study)
        return Recommendation(study, "front" if picks else "none", picks)
    order = {band["text"]: i for i, band in enumerate(study.bands)}
    fields = sorted(fields_of(study).items(), key=lambda item: order.get(str(item[0]), 0))
    picks = tuple(_best(study, field, budget) for budget, field in fields if field.networks)
    several = len(study.bands) > 1
    return Recommendation(study, ("budgets" if several else "one") if picks else "none", picks)


def _best(study: Study, among: Field, budget: str | None) -> Pick:
    best = max(range(len(among.networks)), key=lambda i: (among.values[i], -among.networks[i].trial))
    return _pick(among, best, study.networks, budget)


def front_of(study: Study) -> tuple[Pick, ...]:
    """The ConvNets that no other one beats in both cost and accuracy, from the cheapest on."""
    among = field_of(study, study.networks, None)
    costs = [getattr(tried, study.metric) for tried in among.networks]
    return tuple(_pick(among, int(i), study.networks, front=study.metric) for i in front(costs, among.values))


def _cost(tried: Tried, study: Study) -> str:
    """FLOPs, or of a table that has none the cost of the budget."""
    metric = "macs" if tried.macs else study.metric
    return quantity(getattr(tried, metric), UNITS[metric])


def _pick(
    among: Field, best: int, networks: Sequence[Tried], budget: str | None = None, *, front: str = ""
) -> Pick:
    """Of a budget, or of a `front` over that cost."""
    tried = among.networks[best]
    seeds = tuple(seed for seed in sorted(among.seeds) if seed in tried.accuracies)
    others = _others(among, tried, networks, front)
    rivals = [rival for other in others if (rival := _rival(among, tried, other)) is not None]
    return Pick(tried, budget, among.values[best], seeds, len(among.networks), tuple(rivals))


def _others(among: Field, tried: Tried, networks: Sequence[Tried], front: str) -> list[Tried]:
    """Whom a pick is compared with: each reference of its budget; a reference with the best candidate too."""
    same = [one for one in networks if one.budget == tried.budget and one is not tried]
    if front:  # over which a dearer network is more accurate as a rule
        cost = getattr(tried, front)
        same = [one for one in same if cost / COSTLIER <= getattr(one, front) <= cost * COSTLIER]
    others = [one for one in same if one.role == "reference"]
    if tried.role == "candidate":
        return others
    near = {one.trial for one in same if one.role == "candidate"}
    rivals = [
        (value, one) for one, value in zip(among.networks, among.values, strict=True) if one.trial in near
    ]
    best = max(rivals, key=lambda pair: (pair[0], -pair[1].trial), default=None)
    return others if best is None else [best[1], *others]


def _rival(among: Field, tried: Tried, other: Tried) -> Rival | None:
    """The difference over fresh seeds that both have."""
    ours = {seed: value for seed, value in tried.accuracies.items() if seed in among.seeds}
    if found := over_seeds(ours, other.accuracies, among.candidates):
        return Rival(other.label, *found)
    # the pick was judged by fresh seeds: one of the search's trainings is no match for their mean
    if among.seeds:
        return None
    value = searched_value(tried) - searched_value(other)
    return Rival(other.label, 1, Difference(value, -math.inf, math.inf))
