"""Among which networks a study's pick is made, and by which of their accuracies.

The evidence is the best that there is: trainings with fresh seeds, by which nothing was chosen, before those
that the search saw.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from nas.record.study import Study, Tried


@dataclass(frozen=True)
class Field:
    """The networks that may be recommended, each by its accuracies under `seeds`, the same for all."""

    networks: tuple[Tried, ...]
    values: tuple[float, ...]
    seeds: frozenset[int]  # fresh ones; none: by the search's own trainings

    @cached_property
    def candidates(self) -> int:
        """How many of them were searched."""
        return sum(one.role == "candidate" for one in self.networks)

    def accuracies(self, tried: Tried) -> list[float]:
        """What any network is judged by here: under the fresh seeds, else by the search's own training."""
        fresh = [tried.accuracies[seed] for seed in sorted(self.seeds & tried.fresh.keys())]
        return fresh or [searched_value(tried)]


def fields_of(study: Study) -> dict[str | None, Field]:
    """What a study recommends from, by budget; under None where there is one field for all networks."""
    apart = len(study.bands) > 1 and study.mapping.get("objective") != "front"
    groups: dict[str | None, list[Tried]] = {}
    for tried in study.networks:
        groups.setdefault(tried.budget if apart else None, []).append(tried)
    return {budget: field_of(study, networks, budget) for budget, networks in groups.items()}


def field_of(study: Study, networks: Sequence[Tried], budget: str | None) -> Field:
    """Of these networks those that may be recommended for a budget."""
    return _compared([tried for tried in networks if _takeable(study, tried, budget)])


def _takeable(study: Study, tried: Tried, budget: str | None) -> bool:
    """Whether it can be recommended: a ConvNet that costs no more than the budget and the limits allow."""
    if tried.family == "Swin":
        return False
    # proposed within budget and limits; named networks have neither
    if tried.role == "candidate" or study.mapping.get("objective") == "measure":
        return True
    bands = [band for band in study.bands if budget in (None, band["text"])]
    limits = study.mapping.get("limits") or {}
    return all(
        getattr(tried, metric) <= most
        for metric, most in [(study.metric, max(band["high"] for band in bands)), *_costs(limits)]
    )


def _costs(limits: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(metric, most) for metric in ("params", "activations") if (most := limits.get(f"max_{metric}"))]


def _compared(networks: Sequence[Tried]) -> Field:
    """Those with the most fresh seeds, by their means; where no candidate has any, all by one training.

    A reference has no training that it was chosen by, but is held to the same seeds as the candidates: else
    a lucky seed of the search would speak for it alone.
    """
    candidates = [tried for tried in networks if tried.role == "candidate"]
    fresh = {seed for tried in candidates or networks for seed in tried.fresh}
    # references alone: nothing chose them, so each training counts as fresh, and one of each is no mean
    if not candidates and max((len(tried.fresh) for tried in networks), default=0) < 2:
        fresh = set()
    seeds = {tried.trial: [s for s in sorted(fresh) if s in tried.fresh] for tried in networks}
    most = max(map(len, seeds.values()), default=0)
    if not most:
        return Field(tuple(networks), tuple(map(searched_value, networks)), frozenset())
    kept = [tried for tried in networks if len(seeds[tried.trial]) == most]
    values = [_mean(tried.accuracies[seed] for seed in seeds[tried.trial]) for tried in kept]
    return Field(tuple(kept), tuple(values), frozenset(fresh))


def searched_value(tried: Tried) -> float:
    """The accuracy that the search saw: of one training; of a reference the first, or the mean."""
    if tried.chosen_by is not None and tried.chosen_by in tried.accuracies:
        return tried.accuracies[tried.chosen_by]
    return tried.accuracy


def _mean(values: Any) -> float:
    numbers = list(values)
    return float(sum(numbers) / len(numbers))
