"""The answer of `analysis.comparison.answer` in sentences, and as plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analysis.comparison.answer import Answer, FamilyAnswer, Match
    from analysis.comparison.savings import Saving
    from nas.verdict.difference import Difference

# a difference in cost that is worth saying; published figures are printed to two or three digits
COST_TOLD = 0.02


def sentences(found: Answer) -> list[str]:
    """The answer, a sentence a claim."""
    return [line for family in found.families for line in _family_sentences(family, found.level)]


def _family_sentences(family: FamilyAnswer, level: float) -> list[str]:
    lines = []
    for match in family.matches:
        where = f" ({match.budget})" if match.budget else ""
        lines.append(
            f"{match.searched.label} less {match.reference.label}{where}: {points(match.difference, level)}"
            f" ({basis(match)}{cost(match)})."
        )
    if family.mean is not None:
        fair = [match for match in family.matches if match.equal_cost]
        choice = ", free of the choice among the confirmed" if family.fresh else ""
        optimism = "" if family.fresh else "; single trainings, the searched ones chosen by them: optimistic"
        lines.append(
            f"Mean over {len(fair)} pairs at equal FLOPs, searched less {family.family}{choice}: "
            f"{points(family.mean, level)}{optimism}."
        )
    if family.saved is not None:
        lines.append(saving(family, level))
    lines.extend(f"{line}." for line in family.missing)
    return lines


def points(difference: Difference, level: float, scale: float = 100.0) -> str:
    """Such as `+1.2 points, 95% interval +0.4 to +2.0: better`; `scale` makes percent of the values."""
    value = f"{scale * difference.value:+.1f} points"
    told = difference.interval(level, of="two", scale=scale)
    if math.isinf(difference.low):
        return f"{value}, {told}"
    if difference.too_few:
        return f"{value} ({told}): {difference.verdict}"
    return f"{value}, {told}: {difference.verdict}"


def basis(match: Match) -> str:
    """How many trainings stand behind a difference."""
    if not match.fresh:
        among = f"the best of {match.rivals}" if match.rivals > 1 else "the only one"
        return f"one seed, {among} by this very training, so optimistic: --confirm trains them again"
    choice = f", the best of {match.rivals} confirmed" if match.rivals > 1 else ""
    seeds = "one fresh seed" if match.seeds == 1 else f"{match.seeds} fresh seeds, paired"
    return f"{seeds}{choice}"


def cost(match: Match) -> str:
    """What the two differ in cost, where it is worth saying."""
    gap = match.cost_gap
    if abs(gap) <= COST_TOLD:
        return ""
    word = "more" if gap > 0 else "less"
    unfair = "" if match.equal_cost else ": not at equal FLOPs"
    return f"; it costs {abs(gap):.1%} {word} FLOPs{unfair}"


def saving(family: FamilyAnswer, level: float) -> str:
    """The sentence on FLOPs at equal accuracy."""
    saved = family.saved
    if saved is None:
        return ""
    what = f"FLOPs at equal accuracy, searched front against {family.family}'s"
    if saved.value is None:
        return f"{what}: not reached: no accuracy is on both fronts."
    word = "fewer" if saved.value >= 0 else "more"
    low = "without a lower end" if math.isinf(saved.low) else f"from {saved.low:+.0%}"
    if math.isinf(saved.low) and saved.high >= 1:
        return (
            f"{what}: {abs(saved.value):.0%} {word}, no interval: the seeds' noise bounds it on neither side."
        )
    interval = f"{level:.0%} interval {low} to {saved.high:+.0%} saved"
    return f"{what}: {abs(saved.value):.0%} {word}, {interval}: {saved.verdict}."


# ---- plain values ---------------------------------------------------------------------------------------

COLUMNS = (
    "study", "budget", "family", "reference", "reference_gflops", "reference_accuracy", "searched", "trial",
    "searched_gflops", "searched_accuracy", "cost_gap", "equal_flops", "difference", "low", "high", "verdict",
    "seeds", "fresh", "rivals", "difference_without_choice",
)  # fmt: skip


def rows(found: Answer) -> list[dict[str, Any]]:
    """A row of `COLUMNS` a match: accuracies and differences are fractions of 1, unknown ends None."""
    return [_row(match) for family in found.families for match in family.matches]


def _row(match: Match) -> dict[str, Any]:
    values = (
        match.study, match.budget, match.family, match.reference.label, match.reference.macs / 1e9,
        match.reference_accuracy, match.searched.label, match.searched.trial, match.searched.macs / 1e9,
        match.searched_accuracy, match.cost_gap, match.equal_cost, match.difference.value,
        known(match.difference.low), known(match.difference.high), match.verdict, match.seeds, match.fresh,
        match.rivals, match.unchosen,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def as_json(found: Answer) -> dict[str, Any]:
    """Everything as plain values; ends that are not known are None."""
    return {
        "studies": list(found.studies),
        "conditions": found.conditions,
        "level": found.level,
        "families": [
            {
                "family": family.family,
                "matches": [_row(match) for match in family.matches],
                "mean": interval(family.mean),
                "flops_saved": interval(family.saved),
                "missing": list(family.missing),
            }
            for family in found.families
        ],
        "sentences": sentences(found),
    }


def interval(claim: Difference | Saving | None) -> dict[str, Any] | None:
    """Value, ends and verdict as plain values; no verdict without an end."""
    if claim is None:
        return None
    ends = {name: known(getattr(claim, name)) for name in ("value", "low", "high")}
    unknown = math.isinf(claim.low) and claim.high >= 1  # the highest share that can be saved
    return ends | {"verdict": None if unknown else claim.verdict}


def known(value: float | None) -> float | None:
    """A number as it is, None for one that is not finite."""
    return None if value is None or not math.isfinite(value) else value
